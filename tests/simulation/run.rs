//! One run: a machine that is started some times, with a writer or two and readers each time.

use std::sync::Arc;

use esparsa::internals::format::manifest::{deletes_file, manifest_file, segment_file};
use esparsa::store::Directory;
use esparsa::{Error, Index, IndexOptions};

use crate::backup::look_at_backup;
use crate::directory::SimulatedDirectory;
use crate::disk::Disk;
use crate::documents::{Contents, NUMBERS, ask, contents, document, schema};
use crate::model::Model;
use crate::planted::Planted;
use crate::random::Random;
use crate::reader::Reader;
use crate::turns::Turns;
use crate::world::{Fault, FaultKind, Medium, World};
use crate::writer::{Shared, Writer};

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    pub steps: u64,
    pub commits: u64,
    pub power_losses: u64,
}

/// Runs the simulation of a seed; panics, or returns the message of a panic, when something is wrong.
pub fn run(seed: u64, planted: Option<Planted>) -> Result<Summary, String> {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9) ^ 0x5EED);
    let medium = random.pick(&[
        Medium::Links,
        Medium::Links,
        Medium::Renames,
        Medium::Objects,
    ]);
    let mut disks = [Disk::new(0), Disk::new(1)];
    let mut model = Model::default();
    let mut summary = Summary::default();
    for _ in 0..1 + random.below(3) {
        let patience = random.pick(&[2, 6, 30, 200]);
        let turns = Turns::new(random.next(), patience);
        let faults = faults(&mut random);
        let world = World::new(random.next(), turns, medium, disks, model, faults, planted);
        world.say(|| {
            format!(
                "a start on {medium:?}, with faults {:?}",
                world.state().faults
            )
        });
        start(&world, &mut random);
        summary.steps += world.turns.run()?;
        let has_lost_power = world.state().has_lost_power;
        (disks, model) = world.take();
        if has_lost_power || random.chance(2) {
            summary.power_losses += 1;
            model.lose_power();
            if medium != Medium::Objects {
                disks
                    .iter_mut()
                    .for_each(|disk| disk.lose_power(&mut random));
            }
        }
        (disks, model) = look(seed, medium, disks, model, planted, &mut random);
    }
    summary.commits = model.acknowledged();
    go_on(seed, medium, disks, model, planted);
    Ok(summary)
}

/// Faults for one start of the machine, of which most come before its processes end.
fn faults(random: &mut Random) -> Vec<Fault> {
    let kinds = [
        FaultKind::FailOnce,
        FaultKind::FailOnce,
        FaultKind::FailForEver,
        FaultKind::DiskFull,
        FaultKind::RemovalsFail,
        FaultKind::Kill,
        FaultKind::Kill,
        FaultKind::LosePower,
    ];
    let count = random.below(4);
    let fault = |_| Fault {
        process: random.pick(&[0, 0, 0, 1, 2, 3]),
        at: random.below(400),
        kind: random.pick(&kinds),
        is_unseen: None,
    };
    (0..count).map(fault).collect()
}

fn start(world: &Arc<World>, random: &mut Random) {
    let shared = random.chance(2).then(Shared::default);
    let writers = random.pick(&[1, 1, 2]);
    for number in 0..writers {
        let shared = shared.clone().filter(|_| number == 0);
        let writer = Writer::new(world, random.next(), shared, writers == 1);
        world.turns.spawn(move || writer.run());
    }
    if shared.is_some() {
        let reader = Reader::new(world, random.next(), shared);
        world.turns.spawn(move || reader.run());
    }
    for _ in 0..random.below(3) {
        let reader = Reader::new(world, random.next(), None);
        world.turns.spawn(move || reader.run());
    }
}

/// A world without faults on the same disks, and its process.
pub fn calm(
    seed: u64,
    medium: Medium,
    disks: [Disk; 2],
    model: Model,
    planted: Option<Planted>,
) -> (Arc<World>, usize) {
    let turns = Turns::new(seed, 1);
    let world = World::new(seed, turns, medium, disks, model, Vec::new(), planted);
    let process = world.start_process();
    (world, process)
}

/// What the machine finds after its start must be what is allowed.
pub fn look(
    seed: u64,
    medium: Medium,
    disks: [Disk; 2],
    model: Model,
    planted: Option<Planted>,
    random: &mut Random,
) -> ([Disk; 2], Model) {
    let (world, process) = calm(seed, medium, disks, model, planted);
    let directory = Arc::new(SimulatedDirectory::new(&world, process, 0));
    match Index::open_in(directory, IndexOptions::new()) {
        Ok(index) => {
            let snapshot = index.snapshot().expect("a snapshot after a start");
            let found = contents(&snapshot, true).expect("contents after a start");
            world.model().settle(snapshot.commit(), &found);
            ask(&snapshot, &found, random).expect("answers after a start");
        }
        Err(Error::NoIndex { .. }) => {
            let acknowledged = world.model().acknowledged();
            assert_eq!(acknowledged, 0, "the index is lost");
        }
        Err(error) => panic!("the index does not open after a start: {error}"),
    }
    look_at_backup(&world, process);
    world.take()
}

/// A writer can go on from what is left, and leaves nothing behind.
pub fn go_on(seed: u64, medium: Medium, disks: [Disk; 2], model: Model, planted: Option<Planted>) {
    let (world, process) = calm(seed, medium, disks, model, planted);
    let directory: Arc<dyn Directory> = Arc::new(SimulatedDirectory::new(&world, process, 0));
    let acknowledged = world.model().acknowledged();
    let mut expected = world
        .model()
        .contents_of(acknowledged)
        .cloned()
        .unwrap_or_else(Contents::new);
    let index = match acknowledged {
        0 => Index::create_in(directory.clone(), schema(), IndexOptions::new()),
        _ => Index::open_in(directory.clone(), IndexOptions::new()),
    };
    let index = index.expect("an index to go on with");
    let mut writer = index.writer().expect("a writer to go on with");
    writer.add(document(NUMBERS, 1)).expect("one more document");
    writer.commit().expect("one more commit");
    drop(writer);
    expected.insert(NUMBERS, 1);
    let snapshot = index.snapshot().expect("the last snapshot");
    assert_eq!(
        contents(&snapshot, true).ok(),
        Some(expected),
        "the last contents"
    );
    if medium == Medium::Objects {
        return;
    }
    let mut named = vec![manifest_file(snapshot.commit())];
    for segment in snapshot.segments() {
        named.push(segment_file(segment.entry.number));
        let deletes = segment.entry.deletes.as_ref();
        named.extend(deletes.map(|deletes| deletes_file(deletes.number)));
    }
    named.sort();
    assert_eq!(directory.list().ok(), Some(named), "files that are left");
}
