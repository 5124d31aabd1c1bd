//! The backup: an index in a folder of its own, which is replaced now and then.

use std::sync::Arc;

use esparsa::store::Directory;
use esparsa::{Error, Index, IndexOptions, Result, Snapshot};

use crate::directory::SimulatedDirectory;
use crate::documents::{Contents, contents};
use crate::world::World;

/// Replaces the backup by one of this snapshot, unless another process uses it.
pub fn back_up(
    world: &Arc<World>,
    process: usize,
    snapshot: &Snapshot,
    found: &Contents,
) -> Result<()> {
    {
        let mut model = world.model();
        if model.backup_is_used {
            return Ok(());
        }
        model.backup_is_used = true;
        let before = model.backup.take();
        model.backups_under_way.extend(before);
        model.backups_under_way.push(found.clone());
    }
    let made = replace(SimulatedDirectory::new(world, process, 1), snapshot);
    let mut model = world.model();
    model.backup_is_used = false;
    if made.is_ok() {
        model.backup = Some(found.clone());
        model.backups_under_way.clear();
    }
    made
}

fn replace(directory: SimulatedDirectory, snapshot: &Snapshot) -> Result<()> {
    let directory = Arc::new(directory);
    // Manifests first: what is left of an index without them is none.
    let mut names = directory.list()?;
    names.sort_by_key(|name| !name.starts_with("manifest"));
    for name in names {
        directory.remove(&name)?;
        directory.sync()?;
    }
    snapshot.copy_to(&*directory)?;
    let copy = Index::open_in(directory, IndexOptions::new())?.snapshot()?;
    assert_eq!(copy.commit(), snapshot.commit(), "the commit of a backup");
    assert_eq!(
        contents(&copy, true)?,
        contents(snapshot, false)?,
        "a backup"
    );
    Ok(())
}

/// What is found in the place of the backup must be what was made, or what was being made.
pub fn look_at_backup(world: &Arc<World>, process: usize) {
    let directory = Arc::new(SimulatedDirectory::new(world, process, 1));
    let mut model = world.model();
    model.backup_is_used = false;
    let (expected, allowed) = (model.backup.clone(), model.backups_under_way.clone());
    drop(model);
    let found = match Index::open_in(directory, IndexOptions::new()) {
        Ok(index) => {
            let snapshot = index.snapshot().expect("a snapshot of the backup");
            Some(contents(&snapshot, true).expect("contents of the backup"))
        }
        Err(Error::NoIndex { .. }) => None,
        Err(error) => panic!("the backup does not open after a start: {error}"),
    };
    match expected {
        Some(expected) => assert_eq!(found, Some(expected), "the backup"),
        None => assert!(
            found.as_ref().is_none_or(|found| allowed.contains(found)),
            "a backup that nobody made: {found:?}"
        ),
    }
}
