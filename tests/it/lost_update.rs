//! Where no lock excludes other writers, one commits at every operation of another, and nothing is
//! lost: the other fails, or commits on top of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use esparsa::store::{Directory, FileHandle, FileSink, FileVersion, Lock, Memory, Removal};
use esparsa::{Column, Document, Index, IndexOptions, Result, Schema, SchemaChange, Text};

/// A directory whose lock excludes nobody, and in which another writer commits just before one
/// operation.
#[derive(Debug)]
struct Contended {
    memory: Memory,
    operations: AtomicU64,
    /// The operation before which the other writer commits.
    at: u64,
}

#[derive(Debug)]
struct Unlocked;

impl Lock for Unlocked {}

impl Contended {
    fn new(memory: &Memory, at: u64) -> Arc<Self> {
        Arc::new(Self {
            memory: memory.clone(),
            operations: AtomicU64::new(0),
            at,
        })
    }

    fn step(&self) {
        if self.operations.fetch_add(1, Ordering::Relaxed) == self.at {
            add(Self::new(&self.memory, u64::MAX), "other").unwrap();
        }
    }
}

impl Directory for Contended {
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>> {
        self.step();
        self.memory.create(name)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        self.step();
        self.memory.open(name)
    }

    fn version(&self, name: &str) -> Result<Option<FileVersion>> {
        self.step();
        self.memory.version(name)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        self.step();
        self.memory.publish(name, bytes)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.memory.remove(name)
    }

    fn list(&self) -> Result<Vec<String>> {
        self.step();
        self.memory.list()
    }

    fn sync(&self) -> Result<()> {
        self.step();
        Ok(())
    }

    fn removal(&self, _: bool) -> Result<Removal> {
        Ok(Removal::NotNow)
    }

    fn lock(&self) -> Result<Box<dyn Lock>> {
        self.step();
        Ok(Box::new(Unlocked))
    }

    fn path(&self) -> PathBuf {
        "contended".into()
    }
}

fn add(directory: Arc<dyn Directory>, id: &str) -> Result<()> {
    let mut writer = Index::open_in(directory, IndexOptions::new())?.writer()?;
    writer.add(Document::new(id).with_text("text", "lava"))?;
    writer.commit().map(|_| ())
}

fn change_schema(directory: Arc<dyn Directory>) -> Result<()> {
    let mut index = Index::open_in(directory, IndexOptions::new())?;
    let change = SchemaChange::new().add_field("height", Column::i64());
    index.change_schema(change).map(|_| ())
}

/// Does `work` once for each of its operations, before which another writer commits.
fn contend(work: impl Fn(Arc<dyn Directory>) -> Result<()>, is_done: impl Fn(&Index) -> bool) {
    let (mut failed, mut done) = (0, 0);
    for at in 0.. {
        let memory = Memory::new();
        let schema = Schema::builder().text("text", Text::new()).build().unwrap();
        Index::create_in(Arc::new(memory.clone()), schema, IndexOptions::new()).unwrap();
        let contended = Contended::new(&memory, at);
        let worked = work(contended.clone());
        if contended.operations.load(Ordering::Relaxed) <= at {
            break;
        }
        let index = Index::open_in(Arc::new(memory), IndexOptions::new()).unwrap();
        let found = index.snapshot().unwrap().find("other").unwrap();
        assert!(found.is_some(), "operation {at}: a commit is lost");
        match worked {
            Ok(()) => assert!(is_done(&index), "operation {at}"),
            Err(_) => failed += 1,
        }
        done += 1;
    }
    assert!(failed > 0 && failed < done, "{failed} of {done} failed");
}

#[test]
fn a_change_of_the_schema_loses_no_commit_that_was_made_meanwhile() {
    contend(change_schema, |index| {
        index.schema().field("height").is_some()
    });
}

#[test]
fn a_writer_loses_no_commit_that_was_made_while_it_opened_or_worked() {
    let has_own = |index: &Index| index.snapshot().unwrap().find("own").unwrap().is_some();
    contend(|directory| add(directory, "own"), has_own);
}
