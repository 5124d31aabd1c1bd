//! A process that writes: random sessions of random operations, until it is tired or dead.

use std::sync::{Arc, Mutex};

use esparsa::store::is_missing;
use esparsa::{Error, Index, IndexOptions, MergePolicy, Result, WriterOptions};

use crate::directory::{is_injected, is_taken};
use crate::documents::NUMBERS;
use crate::executor::SimulatedExecutor;
use crate::random::Random;
use crate::session::{Session, change_schema, open_index};
use crate::turns::{self, PAUSES};
use crate::world::{Medium, World};

/// The index of a process, for a reader in the same process.
pub type Shared = Arc<Mutex<Option<(usize, Index)>>>;

pub struct Writer {
    world: Arc<World>,
    random: Random,
    process: usize,
    shared: Option<Shared>,
    /// The index of the last session of this process.
    index: Option<Index>,
    /// No other process writes, and no other index of this one.
    is_alone: bool,
}

impl Writer {
    pub fn new(world: &Arc<World>, seed: u64, shared: Option<Shared>, is_alone: bool) -> Self {
        Self {
            world: world.clone(),
            random: Random(seed),
            process: world.start_process(),
            shared,
            index: None,
            is_alone,
        }
    }

    /// Some sessions; a process that is killed is started again.
    pub fn run(mut self) {
        let sessions = 1 + self.random.below(4);
        for _ in 0..sessions {
            if let Err(error) = self.session() {
                self.accept(&error);
            }
            if self.world.state().has_lost_power {
                return;
            }
            if self.world.is_dead(self.process) {
                self.process = self.world.start_process();
                self.index = None;
            }
            turns::sleep(self.random.pick(&PAUSES));
        }
    }

    /// Panics for an error that has no reason.
    fn accept(&self, error: &Error) {
        let others_win = self.world.medium == Medium::Objects && !self.is_alone;
        let is_lost_race = is_missing(error) || is_taken(error);
        let is_locked = matches!(error, Error::Locked { .. });
        let is_there = error.to_string().contains("already holds an index");
        let is_reasonable =
            is_injected(error) || is_locked || is_there || others_win && is_lost_race;
        assert!(
            is_reasonable,
            "a writer met an error without a reason: {error}"
        );
    }

    /// The index of the last session, or `anew` another one. Of that, a job of the last session may
    /// still write files, whose numbers only the former knows.
    fn index(&mut self, anew: bool) -> Result<Index> {
        if let Some(index) = self.index.take() {
            if !anew && !self.random.chance(4) {
                return Ok(index);
            }
            self.is_alone = false;
        }
        let executor = SimulatedExecutor::new(&self.world.turns, self.random.next());
        let options = IndexOptions::new().executor(Arc::new(executor));
        open_index(&self.world, self.process, options)
    }

    fn session(&mut self) -> Result<()> {
        // A change looks at snapshots, for which an index that a reader has too would wait.
        let changes = self.random.chance(6);
        let mut index = self.index(changes)?;
        if changes {
            change_schema(&self.world, self.process, &mut index)?;
        }
        let options = WriterOptions::new()
            .threads(self.random.pick(&[1, 1, 2]))
            .merge_threads(self.random.pick(&[0, 1, 2]))
            .reorder_from(self.random.pick(&[None, Some(4)]))
            .merge_policy(MergePolicy::new().segments_per_tier(self.random.pick(&[2, 3])));
        self.index = Some(index.clone());
        let mut session = Session::open(&self.world, self.process, &index, options)?;
        if let Some(shared) = &self.shared {
            *shared.lock().expect("no thread panics with it") = Some((self.process, index));
        }
        for _ in 0..2 + self.random.below(24) {
            self.act(&mut session)?;
        }
        if self.random.chance(4) {
            // The writer is dropped in the middle of its work.
            return Ok(());
        }
        session.commit()
    }

    fn act(&mut self, session: &mut Session) -> Result<()> {
        match self.random.below(20) {
            0..=8 => (0..1 + self.random.below(6))
                .try_for_each(|_| session.add(self.random.below(NUMBERS), self.random.below(6))),
            9..=10 => (0..1 + self.random.below(4))
                .try_for_each(|_| session.delete(self.random.below(NUMBERS))),
            11..=13 => session.commit(),
            14 => session.refresh(&mut self.random),
            15 => session.rollback(),
            16 => session.merge_to(1 + self.random.below(2) as usize),
            17 => session.wait_for_merges(),
            18 => session.delete_version(self.random.below(6)),
            _ => session.attach(),
        }
    }
}
