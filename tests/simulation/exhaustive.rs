//! A fixed piece of work, each of whose operations meets each kind of fault: enumerated, not sampled.
//!
//! - The machine loses power at each operation, in many ways; what is left is looked at, and a writer
//!   goes on from it.
//! - It loses power a second time, at each operation of that writer.
//! - Each operation fails once, or it and all later ones.
//! - The disk is full after each byte of a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use esparsa::{Index, IndexOptions, MergePolicy, Result, WriterOptions};

use crate::backup::back_up;
use crate::directory::{SimulatedDirectory, is_injected};
use crate::disk::Disk;
use crate::documents::contents;
use crate::model::Model;
use crate::random::Random;
use crate::run::{go_on, look};
use crate::session::{Session, change_schema, open_index};
use crate::turns::Turns;
use crate::world::{Fault, FaultKind, Medium, World};

/// The disks and the model before or after a piece of work.
type Machine = ([Disk; 2], Model);

/// How many cases were run.
#[derive(Debug, Default)]
pub struct Cases {
    pub power_losses: AtomicU64,
    pub second_power_losses: AtomicU64,
    pub errors: AtomicU64,
    pub full_disks: AtomicU64,
}

fn options() -> WriterOptions {
    // With one thread, and merges when the work waits for them, operations have the same numbers
    // each time.
    WriterOptions::new()
        .threads(1)
        .merge_threads(0)
        .merge_policy(MergePolicy::new().segments_per_tier(2))
}

/// Creates, adds, replaces, deletes, refreshes, rolls back, merges, changes the schema, makes a
/// backup, and attaches it.
fn work(world: &Arc<World>, process: usize) -> Result<()> {
    let mut random = Random(7);
    let mut index = open_index(world, process, IndexOptions::new())?;
    let mut session = Session::open(world, process, &index, options())?;
    (0..6).try_for_each(|number| session.add(number, 0))?;
    session.commit()?;
    (2..4).try_for_each(|number| session.add(number, 1))?;
    session.delete(0)?;
    session.commit()?;
    session.add(9, 1)?;
    session.refresh(&mut random)?;
    session.delete_version(1)?;
    session.rollback()?;
    session.add(10, 2)?;
    session.commit()?;
    session.wait_for_merges()?;
    session.commit()?;
    session.merge_to(1)?;
    session.commit()?;
    drop(session);
    change_schema(world, process, &mut index)?;
    let snapshot = index.snapshot()?;
    let found = contents(&snapshot, false)?;
    back_up(world, process, &snapshot, &found)?;
    let mut session = Session::open(world, process, &index, options())?;
    session.delete(4)?;
    session.add(11, 3)?;
    session.commit()?;
    session.attach()?;
    session.commit()
}

/// What a writer does after a start of the machine.
fn recover(world: &Arc<World>, process: usize) -> Result<()> {
    let index = open_index(world, process, IndexOptions::new())?;
    let mut session = Session::open(world, process, &index, options())?;
    session.add(20, 4)?;
    session.delete(5)?;
    session.commit()
}

fn machine() -> Machine {
    ([Disk::new(0), Disk::new(1)], Model::default())
}

/// A world with at most one fault, and its process.
fn world(medium: Medium, (disks, model): Machine, fault: Option<Fault>) -> (Arc<World>, usize) {
    let faults = fault.into_iter().collect();
    let world = World::new(1, Turns::new(1, 1), medium, disks, model, faults, None);
    let process = world.start_process();
    (world, process)
}

/// With this many ways to lose power, each operation is followed by a second loss of power.
pub const ALL_WAYS: u64 = 64;
/// With fewer, the writer is killed at every 29th operation.
const KILL_STEP: u64 = 29;

type Work = fn(&Arc<World>, usize) -> Result<()>;

/// What a piece of work leaves, and how it ended.
struct Done {
    left: Machine,
    operations: u64,
    /// The operation that met the fault.
    action: &'static str,
}

/// Does some work with a fault.
fn run(medium: Medium, before: Machine, fault: Option<Fault>, work: Work) -> Done {
    let (world, process) = world(medium, before, fault);
    if let Err(error) = work(&world, process) {
        assert!(
            is_injected(&error),
            "{fault:?}: an error without a reason: {error}"
        );
    }
    let state = world.state();
    let (operations, action) = (state.processes[process].operations, state.failed_action);
    drop(state);
    Done {
        left: world.take(),
        operations,
        action,
    }
}

/// Loses power in one way, looks at what is left, and returns it.
fn lose_power(medium: Medium, (disks, model): &Machine, way: u64) -> Machine {
    let (mut disks, mut model) = (disks.clone(), model.clone());
    let mut random = Random(way);
    model.lose_power();
    if medium != Medium::Objects {
        disks
            .iter_mut()
            .for_each(|disk| disk.lose_power(&mut random));
    }
    look(way, medium, disks, model, None, &mut random)
}

fn power_loss(at: u64, is_unseen: bool) -> Fault {
    Fault {
        process: 0,
        at,
        kind: FaultKind::LosePower,
        is_unseen: Some(is_unseen),
    }
}

/// Every case that begins with a fault at operation `at` of the work; false behind the last one.
/// `ways` is how many ways there are to lose power at each operation. With few of them, it is lost
/// again after some of the operations only.
pub fn check(medium: Medium, at: u64, ways: u64, cases: &Cases) -> bool {
    let again = at.is_multiple_of((ALL_WAYS / ways.clamp(1, ALL_WAYS)).pow(2));
    for is_unseen in [false, true] {
        let fault = power_loss(at, is_unseen);
        let Done {
            left, operations, ..
        } = run(medium, machine(), Some(fault), work);
        if operations <= at {
            return false;
        }
        for way in 0..ways.div_ceil(2) {
            let (disks, model) = lose_power(medium, &left, way);
            go_on(way, medium, disks, model, None);
            cases.power_losses.fetch_add(1, Ordering::Relaxed);
        }
        if again {
            lose_power_again(medium, at, &left, cases);
        }
    }
    let killed = Fault {
        kind: FaultKind::Kill,
        ..power_loss(at, true)
    };
    let killed = run(medium, machine(), Some(killed), work);
    // A commit that is published and not durable yet is what the next writer must not build on.
    if again || at.is_multiple_of(KILL_STEP) || killed.action == "publish" {
        lose_power_later(medium, &killed.left, cases);
    }
    for kind in [FaultKind::FailOnce, FaultKind::FailForEver] {
        for is_unseen in [false, true] {
            let fault = Fault {
                process: 0,
                at,
                kind,
                is_unseen: Some(is_unseen),
            };
            fail(medium, fault, at);
            cases.errors.fetch_add(1, Ordering::Relaxed);
        }
    }
    true
}

/// Loses power once more, at each operation of the writer that goes on after the first time.
fn lose_power_again(medium: Medium, at: u64, left: &Machine, cases: &Cases) {
    for second in 0.. {
        let before = lose_power(medium, left, at);
        let fault = power_loss(second, second % 2 == 0);
        let Done {
            left, operations, ..
        } = run(medium, before, Some(fault), recover);
        if operations <= second {
            return;
        }
        let (disks, model) = lose_power(medium, &left, second);
        go_on(second, medium, disks, model, None);
        cases.second_power_losses.fetch_add(1, Ordering::Relaxed);
    }
}

/// The writer was killed, and the machine loses power at each operation of the next one.
fn lose_power_later(medium: Medium, left: &Machine, cases: &Cases) {
    for later in 0.. {
        let fault = power_loss(later, later % 2 == 0);
        let Done {
            left, operations, ..
        } = run(medium, left.clone(), Some(fault), recover);
        if operations <= later {
            return;
        }
        for way in 0..2 {
            let (disks, model) = lose_power(medium, &left, later + way);
            go_on(later, medium, disks, model, None);
        }
        cases.second_power_losses.fetch_add(1, Ordering::Relaxed);
    }
}

/// An error, after which the machine goes on, or loses power after all.
fn fail(medium: Medium, fault: Fault, way: u64) {
    let (disks, model) = run(medium, machine(), Some(fault), work).left;
    let left = (disks.clone(), model.clone());
    let (disks, model) = look(way, medium, disks, model, None, &mut Random(way));
    go_on(way, medium, disks, model, None);
    let (disks, model) = lose_power(medium, &left, way);
    go_on(way, medium, disks, model, None);
}

/// The disk is full after `room` bytes of a commit; false when they are enough.
pub fn fill_disk(medium: Medium, room: u64, cases: &Cases) -> bool {
    let before = run(medium, machine(), None, work).left;
    let (world, process) = world(medium, before, None);
    world.state().processes[process].room = Some(room);
    let index = Index::open_in(
        Arc::new(SimulatedDirectory::new(&world, process, 0)),
        IndexOptions::new(),
    );
    let index = index.expect("an index on a full disk");
    let known = index.snapshot().expect("a snapshot on a full disk");
    let failed = recover(&world, process).is_err();
    // A reader goes on, with what it has and with what is there.
    contents(&known, true).expect("an old snapshot on a full disk");
    let snapshot = index.snapshot().expect("a snapshot on a full disk");
    contents(&snapshot, true).expect("contents on a full disk");
    drop((known, snapshot, index));
    let (disks, model) = world.take();
    let (disks, model) = look(room, medium, disks, model, None, &mut Random(room));
    go_on(room, medium, disks, model, None);
    cases.full_disks.fetch_add(1, Ordering::Relaxed);
    failed
}
