//! An open writer of a simulated process, and what the model says that it holds.

use std::sync::Arc;

use esparsa::store::Directory;
use esparsa::{
    Column, Error, Index, IndexOptions, IndexWriter, Query, Result, SchemaChange, WriterOptions,
};

use crate::directory::SimulatedDirectory;
use crate::documents::{Contents, ask, contents, document, id, schema};
use crate::random::Random;
use crate::world::World;

pub struct Session {
    world: Arc<World>,
    process: usize,
    writer: IndexWriter,
    /// The commit that it is based on, and its contents.
    base: u64,
    committed: Contents,
    pending: Contents,
}

/// Opens the index of a process, or creates it where there is none.
pub fn open_index(world: &Arc<World>, process: usize, options: IndexOptions) -> Result<Index> {
    let directory = directory(world, process, 0);
    let known = world.model().acknowledged();
    match Index::open_in(directory.clone(), options.clone()) {
        Err(Error::NoIndex { .. }) if known == 0 => {}
        opened => return opened,
    }
    world.model().begin(process, Contents::new());
    let index = Index::create_in(directory, schema(), options)?;
    world.model().acknowledge(process, 1, &Contents::new());
    Ok(index)
}

fn directory(world: &Arc<World>, process: usize, disk: usize) -> Arc<dyn Directory> {
    Arc::new(SimulatedDirectory::new(world, process, disk))
}

impl Session {
    pub fn open(
        world: &Arc<World>,
        process: usize,
        index: &Index,
        options: WriterOptions,
    ) -> Result<Self> {
        let known = world.model().acknowledged();
        let mut writer = index.writer_with(options)?;
        let opened = writer.refresh()?;
        let (base, found) = (opened.commit(), contents(&opened, false)?);
        world.model().see(known, base, &found);
        Ok(Self {
            world: world.clone(),
            process,
            writer,
            base,
            committed: found.clone(),
            pending: found,
        })
    }

    pub fn add(&mut self, number: u64, version: u64) -> Result<()> {
        self.writer.add(document(number, version))?;
        self.pending.insert(number, version);
        Ok(())
    }

    pub fn delete(&mut self, number: u64) -> Result<()> {
        self.writer.delete(&id(number))?;
        self.pending.remove(&number);
        Ok(())
    }

    /// Deletes the documents of a version by a query.
    pub fn delete_version(&mut self, version: u64) -> Result<()> {
        let query = Query::text("text", format!("v{version}"));
        let before = self.pending.len();
        self.pending.retain(|_, v| *v != version);
        let deleted = self.writer.delete_matching(&query)?;
        assert_eq!(
            deleted,
            (before - self.pending.len()) as u64,
            "deleted by query"
        );
        Ok(())
    }

    pub fn refresh(&mut self, random: &mut Random) -> Result<()> {
        let snapshot = self.writer.refresh()?;
        let found = contents(&snapshot, random.chance(4))?;
        assert_eq!(found, self.pending, "what a refresh shows");
        ask(&snapshot, &self.pending, random)
    }

    pub fn rollback(&mut self) -> Result<()> {
        self.writer.rollback()?;
        self.pending.clone_from(&self.committed);
        Ok(())
    }

    pub fn merge_to(&mut self, segments: usize) -> Result<()> {
        self.writer.merge_to(segments)
    }

    pub fn wait_for_merges(&mut self) -> Result<()> {
        self.writer.wait_for_merges()
    }

    pub fn commit(&mut self) -> Result<()> {
        let pending = self.pending.clone();
        self.world.model().begin(self.process, pending.clone());
        let report = self.writer.commit()?;
        assert_eq!(
            report.documents,
            pending.len() as u64,
            "documents of a commit"
        );
        let (process, commit) = (self.process, report.commit);
        self.world
            .say(|| format!("process {process} has committed {commit}"));
        if commit != self.base {
            self.world.model().acknowledge(process, commit, &pending);
        }
        self.base = commit;
        self.committed = pending;
        Ok(())
    }

    /// Attaches the backup, if there is one that nobody is making.
    pub fn attach(&mut self) -> Result<()> {
        let Some(backup) = self.world.model().take_backup() else {
            return Ok(());
        };
        let verify = esparsa::Verify::AtOpen;
        let directory = directory(&self.world, self.process, 1);
        let attached = self.writer.attach_in(directory, verify);
        self.world.model().backup_is_used = false;
        match attached {
            // The schema was changed since.
            Err(error) if error.is_input() => return Ok(()),
            attached => attached?,
        }
        self.pending.extend(backup);
        Ok(())
    }
}

/// Adds a column that no document uses, or drops it.
pub fn change_schema(world: &Arc<World>, process: usize, index: &mut Index) -> Result<()> {
    let known = world.model().acknowledged();
    let snapshot = index.snapshot()?;
    let found = contents(&snapshot, false)?;
    world.model().see(known, snapshot.commit(), &found);
    let change = match snapshot.schema().field("extra") {
        Some(_) => SchemaChange::new().drop_field("extra"),
        None => SchemaChange::new().add_field("extra", Column::i64()),
    };
    drop(snapshot);
    world.model().begin(process, found);
    world.model().begin_change(process);
    let report = match index.change_schema(change) {
        // Another writer has made the same change.
        Err(error) if error.is_input() => {
            world.model().end_change(process);
            return Ok(());
        }
        report => report?,
    };
    world.say(|| {
        format!(
            "process {process} has changed the schema in {}",
            report.commit
        )
    });
    let snapshot = index.snapshot()?;
    let after = (snapshot.commit(), contents(&snapshot, false)?);
    let mut model = world.model();
    // Another writer may have committed before the lock was acquired, and not have returned yet.
    let before = report.commit - 1;
    if model.contents_of(before).is_none() && after.0 == report.commit {
        model.see(known, before, &after.1);
    }
    // If neither is known, later commits tell.
    if let Some(before) = model.contents_of(before).cloned() {
        model.acknowledge(process, report.commit, &before);
    }
    Ok(())
}
