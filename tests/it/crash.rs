//! Every operation on the folder fails once, and stops everything once; no commit is ever lost.
//!
//! A script of work is run without faults to count its operations. Then it is run again for each
//! operation and each kind of fault, up to the first error, and the folder is looked at as a machine
//! could find it after a crash at that point: enumerated, not sampled. What is found must be the last
//! commit that returned, or the one that was under way, and a new writer must be able to go on from it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use esparsa::internals::format::manifest::{deletes_file, manifest_file, segment_file};
use esparsa::store::{
    Directory, Fault, Faulty, FileHandle, FileSink, FileVersion, Lock, Memory, Scratch,
};
use esparsa::{
    Document, Error, Index, IndexOptions, IndexWriter, MergePolicy, Query, Result, Schema, Sparse,
    Text, WriterOptions,
};

use crate::contents::{Contents, contents};

/// A folder that fails on demand and remembers what was published and removed since it was last made
/// durable.
#[derive(Clone, Debug)]
struct Disk {
    faulty: Faulty,
    names: Arc<Mutex<Names>>,
}

#[derive(Debug, Default)]
struct Names {
    /// A removal or a listing failed. When that happens after a commit, nobody is told.
    cleaning_failed: bool,
    created: Vec<String>,
    published: BTreeSet<String>,
    removed: BTreeSet<String>,
}

impl Disk {
    fn new(fault: Fault) -> Self {
        Self {
            faulty: Faulty::new(fault),
            names: Arc::default(),
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap()
    }

    /// The folders that a machine may find after losing power now: names and content that were not
    /// synced reached the disk or not, or of the names nothing but what was published or removed.
    fn after_crash(&self) -> Vec<(String, Memory)> {
        let mut found = Vec::new();
        for names in [false, true] {
            for content in [false, true] {
                let memory = self.faulty.after_crash(names, content);
                found.push((format!("names {names}, content {content}"), memory));
            }
        }
        let published = self.faulty.after_crash(false, false);
        let all = self.faulty.after_crash(true, false);
        for name in &self.names().published {
            // A file may have been removed again since.
            if let Some(bytes) = all.bytes(name) {
                published.overwrite(name, bytes.to_vec());
            }
        }
        found.push(("published names alone".into(), published));
        let removed = self.faulty.after_crash(false, false);
        for name in &self.names().removed {
            // A file that was never durable is not there to be removed.
            let _ = removed.remove(name);
        }
        found.push(("removals alone".into(), removed));
        found
    }
}

impl Directory for Disk {
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>> {
        let file = self.faulty.create(name)?;
        self.names().created.push(name.to_owned());
        Ok(file)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        self.faulty.open(name)
    }

    fn version(&self, name: &str) -> Result<Option<FileVersion>> {
        self.faulty.version(name)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let published = self.faulty.publish(name, bytes);
        let mut names = self.names();
        if matches!(published, Ok(true)) {
            names.created.push(name.to_owned());
            // The temporary name could not be removed, which nobody is told.
            let left = self.faulty.after_crash(true, false).list()?;
            names.cleaning_failed |= left.iter().any(|left| {
                let rest = left.strip_prefix(name);
                rest.is_some_and(|rest| rest.ends_with(".tmp"))
            });
            // It ends by making the names of the folder durable.
            names.published.clear();
            names.removed.clear();
        } else if self.faulty.after_crash(true, false).bytes(name).is_some() {
            names.published.insert(name.to_owned());
        }
        published
    }

    fn remove(&self, name: &str) -> Result<()> {
        let removed = self.faulty.remove(name);
        self.names().cleaning_failed |= removed.is_err();
        removed?;
        self.names().removed.insert(name.to_owned());
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>> {
        let listed = self.faulty.list();
        self.names().cleaning_failed |= listed.is_err();
        listed
    }

    fn sync(&self) -> Result<()> {
        self.faulty.sync()?;
        let mut names = self.names();
        names.published.clear();
        names.removed.clear();
        Ok(())
    }

    fn lock(&self) -> Result<Box<dyn Lock>> {
        self.faulty.lock()
    }

    fn scratch(&self) -> Result<Box<dyn Scratch>> {
        self.faulty.scratch()
    }

    fn path(&self) -> PathBuf {
        self.faulty.path()
    }
}

fn schema() -> Schema {
    Schema::builder()
        .text("text", Text::new())
        .sparse("sparse", Sparse::new().expected_max(2.0))
        .stored("source")
        .build()
        .unwrap()
}

fn id(number: u32) -> String {
    format!("id{number:03}")
}

fn document(number: u32, version: u32) -> Document {
    Document::new(id(number))
        .with_text("text", format!("common w{number} v{version}"))
        .with_sparse("sparse", [("all", 0.5), ("some", 1.0)])
        .with_stored("source", format!("{number}/{version}"))
}

/// With one thread, merges run when the script waits for them: operations have the same numbers
/// each time.
fn options(threads: usize) -> WriterOptions {
    WriterOptions::new()
        .threads(threads)
        .merge_threads(threads - 1)
        .merge_policy(MergePolicy::new().segments_per_tier(3))
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Create,
    OpenWriter,
    CloseWriter,
    /// First and last number, and version.
    Add(u32, u32, u32),
    Delete(u32, u32),
    Commit,
    Refresh,
    /// Deletes by query the documents that were added with this version.
    DeleteVersion(u32),
    Rollback,
    WaitForMerges,
    MergeTo(usize),
}

/// Adds, replaces and deletes, merges by policy and by request, rolls back, empties, and begins anew.
const SCRIPT: [Step; 51] = [
    Step::Create,
    Step::OpenWriter,
    Step::Add(0, 11, 1),
    Step::Commit,
    Step::Add(3, 5, 2),
    Step::Delete(0, 1),
    Step::Add(12, 14, 1),
    Step::Commit,
    Step::Add(15, 16, 1),
    Step::Add(4, 4, 3),
    Step::Commit,
    Step::WaitForMerges,
    Step::Add(17, 18, 1),
    Step::Delete(3, 3),
    Step::Refresh,
    Step::Add(18, 19, 2),
    Step::Refresh,
    Step::Commit,
    Step::WaitForMerges,
    Step::Commit,
    Step::MergeTo(1),
    Step::Commit,
    Step::Add(30, 32, 1),
    Step::Delete(4, 4),
    Step::Refresh,
    Step::Rollback,
    Step::Add(30, 31, 7),
    Step::Refresh,
    Step::Add(32, 33, 7),
    Step::DeleteVersion(7),
    Step::Commit,
    Step::Delete(5, 6),
    Step::Add(7, 7, 4),
    Step::Commit,
    Step::WaitForMerges,
    Step::CloseWriter,
    Step::OpenWriter,
    Step::Add(40, 40, 1),
    Step::Delete(8, 8),
    Step::MergeTo(1),
    Step::Rollback,
    Step::Add(41, 41, 1),
    Step::Commit,
    Step::Delete(0, 60),
    Step::Commit,
    Step::Add(50, 51, 1),
    Step::Commit,
    Step::WaitForMerges,
    Step::CloseWriter,
    Step::OpenWriter,
    Step::CloseWriter,
];

/// What a run of the script came to.
struct Outcome {
    error: Option<Error>,
    /// What the last commit that returned holds; `None` before the index was created.
    committed: Option<Contents>,
    /// What the commit holds that was under way when the error struck.
    under_way: Option<Contents>,
    /// The writer that met the error.
    writer: Option<IndexWriter>,
    /// It was met while merges were run: a merge that fails is given up, and poisons nobody.
    while_merging: bool,
}

impl Outcome {
    fn allows(&self, found: &Option<Contents>) -> bool {
        *found == self.committed || (self.under_way.is_some() && *found == self.under_way)
    }
}

struct Run {
    directory: Arc<dyn Directory>,
    threads: usize,
    index: Option<Index>,
    writer: Option<IndexWriter>,
    committed: Option<Contents>,
    pending: Contents,
}

impl Run {
    fn step(&mut self, step: Step) -> Result<()> {
        let options = options(self.threads);
        match (step, &mut self.writer, &self.index) {
            (Step::Create, None, None) => {
                let directory = self.directory.clone();
                let index = Index::create_in(directory, schema(), IndexOptions::new())?;
                self.index = Some(index);
                self.committed = Some(Contents::new());
            }
            (Step::OpenWriter, None, Some(index)) => {
                self.writer = Some(index.writer_with(options)?);
            }
            (Step::CloseWriter, writer @ Some(_), _) => *writer = None,
            (Step::Add(first, last, version), Some(writer), _) => {
                for number in first..=last {
                    writer.add(document(number, version))?;
                    let stored = format!("{number}/{version}");
                    self.pending.insert(id(number), stored);
                }
            }
            (Step::Delete(first, last), Some(writer), _) => {
                for number in first..=last {
                    writer.delete(&id(number))?;
                    self.pending.remove(&id(number));
                }
            }
            (Step::Commit, Some(writer), _) => {
                let report = writer.commit()?;
                assert_eq!(report.documents, self.pending.len() as u64);
                self.committed = Some(self.pending.clone());
            }
            (Step::Refresh, Some(writer), _) => {
                assert_eq!(contents(&writer.refresh()?), self.pending);
            }
            (Step::DeleteVersion(version), Some(writer), _) => {
                let version = format!("/{version}");
                let kept = self.pending.len();
                self.pending.retain(|_, stored| !stored.ends_with(&version));
                let query = Query::text("text", version.replace('/', "v"));
                let deleted = writer.delete_matching(&query)?;
                assert_eq!(deleted, (kept - self.pending.len()) as u64);
            }
            (Step::Rollback, Some(writer), _) => {
                writer.rollback()?;
                self.pending = self.committed.clone().unwrap();
            }
            (Step::WaitForMerges, Some(writer), _) => writer.wait_for_merges()?,
            (Step::MergeTo(segments), Some(writer), _) => writer.merge_to(segments)?,
            (step, writer, _) => panic!("{step:?} with {writer:?}"),
        }
        Ok(())
    }
}

/// Runs the script up to the first error.
fn run(disk: &Disk, threads: usize) -> Outcome {
    let mut run = Run {
        directory: Arc::new(disk.clone()),
        threads,
        index: None,
        writer: None,
        committed: None,
        pending: Contents::new(),
    };
    for step in SCRIPT {
        if let Err(error) = run.step(step) {
            let commits = matches!(step, Step::Create | Step::Commit);
            return Outcome {
                error: Some(error),
                under_way: commits.then_some(run.pending),
                committed: run.committed,
                writer: run.writer,
                while_merging: matches!(step, Step::WaitForMerges | Step::MergeTo(_)),
            };
        }
    }
    Outcome {
        error: None,
        committed: run.committed,
        under_way: None,
        writer: run.writer,
        while_merging: false,
    }
}

/// Everything that the index in a folder holds, verified; `None` when the folder is not an index.
fn contents_of(directory: &Arc<dyn Directory>) -> Option<Contents> {
    let index = match Index::open_in(directory.clone(), IndexOptions::new()) {
        Ok(index) => index,
        Err(error) => {
            assert!(error.to_string().contains("is not an index"), "{error}");
            return None;
        }
    };
    Some(contents(&index.snapshot().unwrap()))
}

/// Opens a writer on what was found, commits one more document, and checks that nothing else is left.
fn go_on(directory: &Arc<dyn Directory>, found: Option<Contents>) -> Contents {
    let index = match &found {
        Some(_) => Index::open_in(directory.clone(), IndexOptions::new()),
        None => Index::create_in(directory.clone(), schema(), IndexOptions::new()),
    };
    let index = index.unwrap();
    let mut writer = index.writer_with(options(1)).unwrap();
    writer.add(document(99, 1)).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let mut expected = found.unwrap_or_default();
    expected.insert(id(99), "99/1".into());
    assert_eq!(contents_of(directory).as_ref(), Some(&expected));
    assert_eq!(files(directory), named_files(&index));
    expected
}

fn files(directory: &Arc<dyn Directory>) -> BTreeSet<String> {
    directory.list().unwrap().into_iter().collect()
}

/// The manifest in force and the files that it names.
fn named_files(index: &Index) -> BTreeSet<String> {
    let snapshot = index.snapshot().unwrap();
    let mut names = BTreeSet::from([manifest_file(snapshot.commit())]);
    for segment in snapshot.segments() {
        names.insert(segment_file(segment.entry.number));
        let deletes = segment.entry.deletes.as_ref();
        names.extend(deletes.map(|deletes| deletes_file(deletes.number)));
    }
    names
}

fn assert_poisoned(outcome: &mut Outcome) {
    let Some(writer) = outcome.writer.as_mut().filter(|_| !outcome.while_merging) else {
        return;
    };
    let results = [
        ("add", writer.add(document(1, 9))),
        ("add_parsed", writer.add_parsed(Default::default)),
        ("delete", writer.delete("id001")),
        ("commit", writer.commit().map(|_| ())),
        ("refresh", writer.refresh().map(|_| ())),
        (
            "delete_matching",
            writer.delete_matching(&Query::all()).map(|_| ()),
        ),
        ("rollback", writer.rollback()),
        ("wait_for_merges", writer.wait_for_merges()),
        ("merge_to", writer.merge_to(1)),
        ("attach", writer.attach("nowhere")),
    ];
    for (call, result) in results {
        let poisoned = matches!(result, Err(Error::Poisoned { .. }));
        assert!(poisoned, "{call} after an error: {result:?}");
    }
}

/// Every folder that a crash may leave holds a commit that is allowed, and a writer can go on from it.
fn check_crashes(disk: &Disk, fault: Fault, outcome: &Outcome) {
    for (crash, memory) in disk.after_crash() {
        let directory: Arc<dyn Directory> = Arc::new(memory);
        let found = contents_of(&directory);
        assert!(
            outcome.allows(&found),
            "{fault:?}, {crash}, after {:?}: found {found:?}, expected {:?} or {:?}",
            outcome.error,
            outcome.committed,
            outcome.under_way
        );
        go_on(&directory, found);
    }
}

fn operations() -> u64 {
    let disk = Disk::new(Fault::None);
    let outcome = run(&disk, 1);
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    disk.faulty.operations()
}

#[test]
fn whatever_stops_the_work_no_commit_is_lost() {
    for operation in 0..operations() {
        let fault = Fault::StopAt(operation);
        let disk = Disk::new(fault);
        let mut outcome = run(&disk, 1);
        let error = outcome.error.as_ref();
        let tolerated = disk.names().cleaning_failed;
        assert!(
            error.is_some() || tolerated,
            "{fault:?}: the fault went unnoticed"
        );
        assert_poisoned(&mut outcome);
        check_crashes(&disk, fault, &outcome);
    }
}

#[test]
fn one_failed_operation_poisons_the_writer_or_a_removal_and_loses_no_commit() {
    let mut unnoticed = 0;
    for operation in 0..operations() {
        let fault = Fault::FailOnce(operation);
        let disk = Disk::new(fault);
        let mut outcome = run(&disk, 1);
        if outcome.error.is_none() {
            let tolerated = disk.names().cleaning_failed;
            assert!(tolerated, "{fault:?}: the fault went unnoticed");
            unnoticed += 1;
        }
        assert_poisoned(&mut outcome);
        check_crashes(&disk, fault, &outcome);
        // A poisoned writer holds the lock until it is dropped, and leaves the folder alone.
        drop(outcome.writer.take());
        check_crashes(&disk, fault, &outcome);
        // The disk works again: the same process goes on.
        go_on_where_it_failed(&disk, fault, &outcome);
    }
    assert!(unnoticed > 0, "no removal failed after a commit");
}

/// Opens a new writer on the folder that failed once; the machine may still stop at any time.
fn go_on_where_it_failed(disk: &Disk, fault: Fault, outcome: &Outcome) {
    let directory: Arc<dyn Directory> = Arc::new(disk.clone());
    let found = contents_of(&directory);
    assert!(outcome.allows(&found), "{fault:?}: found {found:?}");
    if found.is_some() {
        let index = Index::open_in(directory.clone(), IndexOptions::new()).unwrap();
        drop(index.writer_with(options(1)).unwrap());
        check_crashes(disk, fault, outcome);
    }
    let expected = go_on(&directory, found);
    for (crash, memory) in disk.after_crash() {
        let directory: Arc<dyn Directory> = Arc::new(memory);
        let found = contents_of(&directory);
        assert_eq!(found.as_ref(), Some(&expected), "{fault:?}, {crash}");
    }
}

#[test]
fn with_threads_no_commit_is_lost_either() {
    // Which operation has a number depends on the threads here, so some runs may end without a fault.
    let mut struck = 0;
    for operation in (0..operations()).step_by(2) {
        let fault = Fault::StopAt(operation);
        let disk = Disk::new(fault);
        let mut outcome = run(&disk, 2);
        struck += u64::from(outcome.error.is_some());
        assert_poisoned(&mut outcome);
        drop(outcome.writer.take());
        check_crashes(&disk, fault, &outcome);
    }
    assert!(struck * 2 > operations() * 9 / 10, "{struck}");
}

#[test]
fn a_file_name_is_never_used_twice() {
    let disk = Disk::new(Fault::None);
    assert!(run(&disk, 1).error.is_none());
    let created = disk.names().created.clone();
    assert!(created.len() > 20, "{created:?}");
    let distinct: BTreeSet<&String> = created.iter().collect();
    assert_eq!(distinct.len(), created.len(), "{created:?}");
}

#[test]
fn bad_input_leaves_the_writer_usable() {
    let directory: Arc<dyn Directory> = Arc::new(Memory::new());
    let index = Index::create_in(directory.clone(), schema(), IndexOptions::new()).unwrap();
    let mut writer = index.writer().unwrap();
    let unknown_field = Document::new("x").with_text("title", "x");
    assert!(writer.add(unknown_field).unwrap_err().is_input());
    assert!(writer.merge_to(0).unwrap_err().is_input());
    let missing = writer.attach("no-such-folder").unwrap_err();
    assert!(matches!(missing, Error::NoIndex { .. }), "{missing}");
    writer.add(document(1, 1)).unwrap();
    writer.commit().unwrap();
    assert_eq!(contents_of(&directory).unwrap().len(), 1);
}

#[test]
fn a_create_that_did_not_finish_can_be_repeated() {
    let memory = Memory::new();
    memory.overwrite("manifest-0000000001.tmp", b"esparsa".to_vec());
    let directory: Arc<dyn Directory> = Arc::new(memory);
    let created = Index::create_in(directory.clone(), schema(), IndexOptions::new());
    created.unwrap();
    assert_eq!(contents_of(&directory), Some(Contents::new()));
}
