//! What the index must hold: the commits that returned, and those that are being made.

use std::collections::BTreeMap;

use crate::documents::Contents;

#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Contents of the commits that returned or were seen, by number.
    commits: BTreeMap<u64, Contents>,
    /// The number of the last commit that returned; 0 before there is an index.
    acknowledged: u64,
    /// What each process has begun to commit and not finished.
    under_way: BTreeMap<usize, Vec<Contents>>,
    /// Processes that change the schema, with the commit that was the newest before: one commit
    /// above it may keep the contents of its predecessor.
    changing: BTreeMap<usize, u64>,
    /// The backup that returned, or else those that may be there.
    pub backup: Option<Contents>,
    pub backups_under_way: Vec<Contents>,
    /// A process uses the folder of the backup.
    pub backup_is_used: bool,
}

impl Model {
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// A process begins to commit.
    pub fn begin(&mut self, process: usize, contents: Contents) {
        self.under_way.entry(process).or_default().push(contents);
    }

    /// A process begins to change the schema.
    pub fn begin_change(&mut self, process: usize) {
        let newest = self.commits.last_key_value();
        let newest = newest.map_or(0, |(commit, _)| *commit);
        self.changing.insert(process, newest);
    }

    /// It has changed nothing.
    pub fn end_change(&mut self, process: usize) {
        self.changing.remove(&process);
    }

    /// A commit has returned. Where no lock excludes other writers, one may have seen it and committed
    /// the next before.
    pub fn acknowledge(&mut self, process: usize, commit: u64, contents: &Contents) {
        self.under_way.remove(&process);
        self.changing.remove(&process);
        let before = self.commits.insert(commit, contents.clone());
        let is_same = before.as_ref().is_none_or(|before| before == contents);
        assert!(is_same, "commit {commit} was seen with other contents");
        assert!(
            commit > self.acknowledged || before.is_some(),
            "commit {commit} returned after commit {}, which does not follow it",
            self.acknowledged
        );
        self.acknowledged = self.acknowledged.max(commit);
    }

    /// A commit was found by a process that knew of commit `known` when it began to look.
    pub fn see(&mut self, known: u64, commit: u64, contents: &Contents) {
        assert!(
            commit >= known,
            "found commit {commit}, and {known} had returned"
        );
        if let Some(expected) = self.commits.get(&commit) {
            assert_eq!(contents, expected, "contents of commit {commit}");
            return;
        }
        let is_committed = self.under_way.values().flatten().any(|c| c == contents);
        assert!(
            is_committed || self.is_change(commit, contents),
            "commit {commit} has contents that nobody committed: {contents:?}; last {:?}",
            self.commits.last_key_value()
        );
        self.commits.insert(commit, contents.clone());
    }

    /// Whether a commit may be a change of the schema, which counts as seen then.
    fn is_change(&mut self, commit: u64, contents: &Contents) -> bool {
        let mut changing = self.changing.iter();
        let by = changing.find(|(_, before)| commit > **before);
        let by = by.map(|(process, _)| *process);
        let is_change = by.is_some() && self.commits.get(&(commit - 1)) == Some(contents);
        if is_change {
            by.map(|process| self.changing.remove(&process));
        }
        is_change
    }

    /// The contents of a commit that was seen.
    pub fn contents_of(&self, commit: u64) -> Option<&Contents> {
        self.commits.get(&commit)
    }

    /// What the backup holds, if it was made and nobody uses it; the caller uses it from now on.
    pub fn take_backup(&mut self) -> Option<Contents> {
        let backup = self.backup.clone().filter(|_| !self.backup_is_used)?;
        self.backup_is_used = true;
        Some(backup)
    }

    /// All processes are gone; a commit that did not return is there or not.
    pub fn lose_power(&mut self) {
        let lost = self.commits.split_off(&(self.acknowledged + 1));
        self.under_way
            .entry(0)
            .or_default()
            .extend(lost.into_values());
        self.backup_is_used = false;
    }

    /// The first process after a start of the machine has found this commit, which is durable now.
    pub fn settle(&mut self, commit: u64, contents: &Contents) {
        self.see(self.acknowledged, commit, contents);
        self.acknowledged = commit;
        self.under_way.clear();
        self.changing.clear();
    }
}
