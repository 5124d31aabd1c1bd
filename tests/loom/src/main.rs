//! Snapshots of an index while commits are published, in every interleaving of their threads.
//!
//! [loom](https://docs.rs/loom) runs each model in every order of its steps. A step is an operation
//! of the directory, or an access to a mutex or an atomic of the segment cache
//! (`src/index/segment_cache.rs`). `PREEMPTIONS` bounds how often a thread is preempted. `run` builds
//! this with the flag that puts loom's types in place of those of the standard library.

#![cfg_attr(not(esparsa_loom), allow(unused))]

#[cfg(not(esparsa_loom))]
compile_error!("the models need loom inside the library: start them by tests/loom/run");

mod directory;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use directory::{Change, Files, Recorder, Shared, Stepwise, apply};
use esparsa::executor::Inline;
use esparsa::{
    Document, Index, IndexOptions, IndexWriter, MergePolicy, Schema, Snapshot, Text, WriterOptions,
};
use loom::model::Builder;
use loom::thread::{self, JoinHandle};

const PREEMPTIONS: usize = 3;
const STACK_WORDS: usize = 1 << 17;
/// The newest commit when a model begins, and when all that was recorded is done again.
const FIRST: u64 = 3;
const LAST: u64 = 5;

/// The newest commit that has returned: no reader may find an older one from then on.
#[derive(Clone, Debug)]
struct Known(Arc<AtomicU64>);

impl Default for Known {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(FIRST)))
    }
}

impl Known {
    fn commit(&self, commit: u64) {
        self.0.fetch_max(commit, Ordering::SeqCst);
    }

    fn newest(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

fn main() {
    let history: &'static History = Box::leak(Box::new(History::record()));
    model("readers of one index, and a writer elsewhere", move || {
        let (directory, index) = history.open();
        let known = Known::default();
        let readers = [(); 2].map(|()| {
            let (index, known) = (index.clone(), known.clone());
            spawn(move || look_twice(&index, &known))
        });
        history.replay(&directory, &known);
        for reader in readers {
            reader.join().unwrap();
        }
        check(&index.snapshot().unwrap(), LAST);
    });
    model("a reader of an index, and its own writer", move || {
        let (_, index) = history.open();
        let known = Known::default();
        let reader = spawn({
            let (index, known) = (index.clone(), known.clone());
            move || look_twice(&index, &known)
        });
        let writer = spawn({
            let (index, known) = (index.clone(), known.clone());
            move || {
                write(&mut writer_of(&index), FIRST + 1);
                known.commit(FIRST + 1);
            }
        });
        reader.join().unwrap();
        writer.join().unwrap();
        check(&index.snapshot().unwrap(), FIRST + 1);
    });
    model(
        "an index that is opened while a writer commits",
        move || {
            let directory = Shared(Arc::new(Stepwise::new(history.first.clone())));
            let known = Known::default();
            let reader = spawn({
                let (directory, known) = (directory.clone(), known.clone());
                move || {
                    let index = Index::open_in(Arc::new(directory), options()).unwrap();
                    look_twice(&index, &known);
                }
            });
            history.replay(&directory, &known);
            reader.join().unwrap();
        },
    );
}

/// Runs a model in every order, and says how many there are.
fn model(name: &str, run: impl Fn() + Sync + Send + 'static) {
    let (started, orders) = (Instant::now(), AtomicU64::new(0));
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.max_branches = 100_000;
    let orders = Arc::new(orders);
    let counted = orders.clone();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        run();
    });
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "loom: {name}: {} interleavings, {seconds:.1} s",
        orders.load(Ordering::Relaxed)
    );
}

/// A thread whose stack is large enough for writing a segment.
fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new()
        .stack_size(STACK_WORDS)
        .spawn(work)
        .unwrap()
}

fn options() -> IndexOptions {
    IndexOptions::new().executor(Arc::new(Inline))
}

fn writer_of(index: &Index) -> IndexWriter {
    let policy = MergePolicy::never();
    let options = WriterOptions::new().merge_threads(0).merge_policy(policy);
    index.writer_with(options).unwrap()
}

/// What commit `commit` adds to the one before: a document, and the deletion of another.
fn write(writer: &mut IndexWriter, commit: u64) {
    let document = Document::new(format!("d{commit}")).with_text("text", "lava");
    writer.add(document).unwrap();
    if commit == 4 {
        writer.delete("d2").unwrap();
    }
    assert_eq!(writer.commit().unwrap().commit, commit);
}

/// The documents of a commit.
fn ids(commit: u64) -> Vec<String> {
    let numbers = 2..=commit;
    let is_live = |number: &u64| *number != 2 || commit < 4;
    numbers
        .filter(is_live)
        .map(|number| format!("d{number}"))
        .collect()
}

fn check(snapshot: &Snapshot, at_least: u64) {
    let commit = snapshot.commit();
    assert!(commit >= at_least, "found commit {commit} after {at_least}");
    let ids = ids(commit);
    assert_eq!(
        snapshot.documents(),
        ids.len() as u64,
        "documents of commit {commit}"
    );
    for id in ids {
        assert!(
            snapshot.find(&id).unwrap().is_some(),
            "{id} of commit {commit}"
        );
    }
}

/// Two snapshots: none is older than the one before, or than a commit that had returned.
fn look_twice(index: &Index, known: &Known) {
    let at_least = known.newest();
    let first = index.snapshot().unwrap();
    check(&first, at_least);
    let at_least = known.newest().max(first.commit());
    let second = index.snapshot().unwrap();
    check(&second, at_least);
    // The first has not changed.
    check(&first, FIRST);
}

/// Commits that were made outside of the models.
struct History {
    /// The files after the first commit.
    first: Files,
    /// What each commit after it changes.
    later: Vec<Vec<Change>>,
}

impl History {
    fn record() -> Self {
        // Outside of a model there is no loom, so this is one of its own, of a single thread.
        let history: Arc<std::sync::Mutex<Option<Self>>> = Arc::default();
        let recorded = history.clone();
        loom::model(move || {
            let record = || Self::record_in(&Recorder::default());
            *recorded.lock().unwrap() = Some(spawn(record).join().unwrap());
        });
        history.lock().unwrap().take().expect("what was recorded")
    }

    fn record_in(recorder: &Recorder) -> Self {
        let schema = Schema::builder().text("text", Text::new()).build().unwrap();
        let index = Index::create_in(Arc::new(recorder.clone()), schema, options()).unwrap();
        let mut writer = writer_of(&index);
        (2..=FIRST).for_each(|commit| write(&mut writer, commit));
        let mut first = Files::new();
        recorder
            .take()
            .iter()
            .for_each(|change| apply(&mut first, change));
        let later = (FIRST + 1..=LAST).map(|commit| {
            // The last commit removes what those before it could not.
            recorder.keep_all(commit < LAST);
            write(&mut writer, commit);
            recorder.take()
        });
        let later = later.collect();
        Self { first, later }
    }

    /// The index after the first commit, with nothing in its cache.
    fn open(&self) -> (Shared, Index) {
        let directory = Shared(Arc::new(Stepwise::new(self.first.clone())));
        let opened = directory.clone();
        let open = move || Index::open_in(Arc::new(opened), options()).unwrap();
        (directory, spawn(open).join().unwrap())
    }

    /// Does what the writer has done, as if it were in another process.
    fn replay(&self, directory: &Shared, known: &Known) {
        for (changes, commit) in self.later.iter().zip(FIRST + 1..) {
            changes.iter().for_each(|change| directory.0.change(change));
            known.commit(commit);
        }
    }
}
