//! Readers beside a writer, writers beside writers, and a writer that is killed, on the file system.
//!
//! Tests that need another process run themselves again as a child, which learns its part and its
//! folder from an environment variable and says what it has done on its standard output.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use esparsa::internals::format::manifest::segment_file;
use esparsa::{
    Document, Error, Index, IndexWriter, MergePolicy, OnDuplicate, Query, Schema, Sparse, Text,
    WriterOptions,
};

use crate::contents::{Contents, contents};

/// The folder that a child works on; unset in the parent.
const CHILD_FOLDER: &str = "ESPARSA_CHILD_FOLDER";
/// What every line that a child says begins with: the test harness writes to standard output too.
const CHILD_SAYS: &str = "child says ";

fn schema() -> Schema {
    Schema::builder()
        .text("text", Text::new())
        .sparse("sparse", Sparse::new().expected_max(2.0))
        .stored("source")
        .build()
        .unwrap()
}

fn document(number: u64, version: u64) -> Document {
    Document::new(format!("id{number}"))
        .with_text("text", format!("common w{} v{version}", number % 7))
        .with_sparse("sparse", [("all", 0.5), ("some", 1.0)])
        .with_stored("source", format!("{number}/{version}"))
}

fn writer(index: &Index, threads: usize) -> IndexWriter {
    let options = WriterOptions::new()
        .threads(threads)
        .merge_policy(MergePolicy::new().segments_per_tier(3))
        .on_duplicate(OnDuplicate::Replace);
    index.writer_with(options).unwrap()
}

/// Documents of the index that readers look at, and how many of them each commit replaces.
const DOCUMENTS: u64 = 300;
const GROUP: u64 = 30;

/// Of the commit of this number, all documents: those that are deleted, by turns, are left out.
fn expected(commit: u64) -> Contents {
    let group = |number: u64| number / GROUP;
    let groups = DOCUMENTS / GROUP;
    // Commit 1 made the index, commit 2 added everything; commit c replaced one group, and deleted one
    // which the commit after it brings back.
    let replaced = |group: u64| (3..=commit).rev().find(|c| c % groups == group);
    let version_of = |group: u64| {
        let brought_back = (4..=commit).rev().find(|c| deleted_by(c - 1) == group);
        replaced(group).max(brought_back).unwrap_or(2)
    };
    (0..DOCUMENTS)
        .filter(|number| commit < 3 || deleted_by(commit) != group(*number))
        .map(|number| {
            let version = version_of(group(number));
            (format!("id{number}"), format!("{number}/{version}"))
        })
        .collect()
}

/// The group that commit `commit` deletes.
fn deleted_by(commit: u64) -> u64 {
    (commit + DOCUMENTS / GROUP / 2) % (DOCUMENTS / GROUP)
}

fn write_commit(writer: &mut IndexWriter, commit: u64) {
    let groups = DOCUMENTS / GROUP;
    if commit == 2 {
        (0..DOCUMENTS).for_each(|number| writer.add(document(number, 2)).unwrap());
    } else {
        let brought_back = (commit > 3).then(|| deleted_by(commit - 1));
        for group in brought_back.into_iter().chain([commit % groups]) {
            for number in group * GROUP..(group + 1) * GROUP {
                writer.add(document(number, commit)).unwrap();
            }
        }
        let deleted = deleted_by(commit);
        for number in deleted * GROUP..(deleted + 1) * GROUP {
            writer.delete(&format!("id{number}")).unwrap();
        }
    }
    if commit.is_multiple_of(7) {
        writer.merge_to(1).unwrap();
    }
    assert_eq!(writer.commit().unwrap().commit, commit);
}

#[test]
fn readers_see_whole_commits_while_a_writer_works() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(folder.path(), schema()).unwrap();
    let mut writer = writer(&index, 2);
    write_commit(&mut writer, 2);
    let (done, checked) = (AtomicBool::new(false), AtomicU64::new(0));
    let read = || {
        let index = Index::open(folder.path()).unwrap();
        let mut newest = 0;
        while !done.load(Ordering::Relaxed) {
            let snapshot = index.snapshot().unwrap();
            assert!(snapshot.commit() >= newest, "a reader went back");
            newest = snapshot.commit();
            assert_eq!(contents(&snapshot), expected(newest), "commit {newest}");
            let hits = snapshot
                .search(&Query::text("text", "common"), 1_000)
                .unwrap();
            assert_eq!(hits.len() as u64, snapshot.documents());
            checked.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut commit = 2;
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(read)).collect();
        let end = Instant::now() + Duration::from_millis(2_500);
        while Instant::now() < end && !readers.iter().any(|r| r.is_finished()) {
            commit += 1;
            write_commit(&mut writer, commit);
        }
        done.store(true, Ordering::Relaxed);
    });
    let checked = checked.into_inner();
    assert!(
        commit > 10 && checked > 10,
        "{commit} commits, {checked} snapshots"
    );
    assert_eq!(contents(&index.snapshot().unwrap()), expected(commit));
}

#[test]
fn a_snapshot_stays_the_same_when_its_files_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(folder.path(), schema()).unwrap();
    let mut writer = writer(&index, 1);
    (2..=4).for_each(|commit| write_commit(&mut writer, commit));
    let snapshot = index.snapshot().unwrap();
    let query = Query::text("text", "common w3");
    let hits = snapshot.search(&query, 50).unwrap();
    (5..=12).for_each(|commit| write_commit(&mut writer, commit));
    writer.merge_to(1).unwrap();
    writer.commit().unwrap();
    assert!(!snapshot.segments().is_empty());
    for segment in snapshot.segments() {
        let file = folder.path().join(segment_file(segment.entry.number));
        assert!(!file.exists(), "{} is still there", file.display());
    }
    assert_eq!(snapshot.commit(), 4);
    assert_eq!(contents(&snapshot), expected(4));
    assert_eq!(snapshot.search(&query, 50).unwrap(), hits);
    assert_eq!(contents(&index.snapshot().unwrap()), expected(12));
}

/// A child that does not outlive a test that fails.
struct Part(Child);

impl Part {
    /// Kills the child as the operating system kills: without a word.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a test of this file again, as a child that works on `folder`.
fn spawn(test: &str, folder: &Path) -> Part {
    let test = format!("concurrency::{test}");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--test-threads=1", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Part(child)
}

/// What a child says, line by line, up to its end.
fn sayings(child: &mut Part) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    lines.filter_map(|line| {
        let line = line.unwrap();
        let (_, said) = line.split_once(CHILD_SAYS)?;
        Some(said.to_owned())
    })
}

fn say(what: &str) {
    println!("{CHILD_SAYS}{what}");
}

fn assert_locked(index: &Index) {
    let refused = index.writer();
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
}

#[test]
fn a_second_writer_is_refused_in_this_process_and_in_another() {
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        let index = Index::open(folder).unwrap();
        assert_locked(&index);
        say("locked");
        // The parent closes its writer, and then this input.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        let _held = index.writer().unwrap();
        say("holding");
        std::thread::sleep(Duration::from_secs(600));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(folder.path(), schema()).unwrap();
    let held = index.writer().unwrap();
    assert_locked(&index);
    assert_locked(&Index::open(folder.path()).unwrap());
    let test = "a_second_writer_is_refused_in_this_process_and_in_another";
    let mut child = spawn(test, folder.path());
    let mut said = sayings(&mut child);
    assert_eq!(said.next().as_deref(), Some("locked"));
    drop(held);
    drop(child.0.stdin.take());
    assert_eq!(said.next().as_deref(), Some("holding"));
    assert_locked(&index);
    // Readers need no lock.
    assert_eq!(index.snapshot().unwrap().documents(), 0);
    child.kill();
    index.writer().unwrap();
}

/// The part of the child: loads on from the last commit, and never stops.
fn load_without_end(folder: &Path) {
    let index = Index::open(folder).unwrap();
    let mut writer = writer(&index, 2);
    let mut commit = index.snapshot().unwrap().commit();
    loop {
        commit += 1;
        write_commit(&mut writer, commit);
        say(&commit.to_string());
    }
}

#[test]
fn a_writer_that_is_killed_loses_nothing_that_it_has_committed() {
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        return load_without_end(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(folder.path(), schema()).unwrap();
    let test = "a_writer_that_is_killed_loses_nothing_that_it_has_committed";
    let mut last = 1;
    for round in 0..12 {
        let mut child = spawn(test, folder.path());
        let mut said = sayings(&mut child);
        for _ in 0..3 {
            last = said.next().expect("a commit").parse().unwrap();
        }
        // Somewhere in a commit: they take some milliseconds.
        std::thread::sleep(Duration::from_micros(round * 1_700));
        child.kill();
        last = said.last().map_or(last, |said| said.parse().unwrap());
        let snapshot = index.snapshot().unwrap();
        let found = snapshot.commit();
        assert!(found == last || found == last + 1, "{found} after {last}");
        assert_eq!(contents(&snapshot), expected(found), "commit {found}");
        let mut writer = writer(&index, 1);
        write_commit(&mut writer, found + 1);
        let next = index.snapshot().unwrap();
        assert_eq!(contents(&next), expected(found + 1));
    }
}

/// The part of the child: backs the index up into one folder after another, and never stops.
fn back_up_without_end(folder: &Path) {
    let snapshot = Index::open(folder.join("index")).unwrap().snapshot();
    let snapshot = snapshot.unwrap();
    for number in 0.. {
        snapshot
            .backup(folder.join(format!("backup-{number}")))
            .unwrap();
        say(&number.to_string());
    }
}

#[test]
fn a_backup_that_is_killed_leaves_no_index_or_a_whole_one() {
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        return back_up_without_end(Path::new(&folder));
    }
    let test = "a_backup_that_is_killed_leaves_no_index_or_a_whole_one";
    let mut broken_off = 0;
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::create(folder.path().join("index"), schema()).unwrap();
        let mut writer = writer(&index, 1);
        (2..=5).for_each(|commit| write_commit(&mut writer, commit));
        let mut child = spawn(test, folder.path());
        let mut said = sayings(&mut child);
        said.next().expect("a backup");
        // Somewhere in a backup: they take a millisecond or so.
        std::thread::sleep(Duration::from_micros(round * 430));
        child.kill();
        let said: Vec<String> = said.collect();
        for number in 0.. {
            let backup = folder.path().join(format!("backup-{number}"));
            if !backup.exists() {
                break;
            }
            match Index::open(&backup) {
                Ok(copy) => assert_eq!(contents(&copy.snapshot().unwrap()), expected(5)),
                Err(Error::NoIndex { .. }) => {
                    assert!(!said.contains(&number.to_string()), "backup {number}");
                    broken_off += 1;
                }
                Err(error) => panic!("backup {number}: {error}"),
            }
        }
        assert_eq!(contents(&index.snapshot().unwrap()), expected(5));
    }
    assert!(broken_off > 0, "no backup was broken off");
}
