//! A process that reads, and now and then makes a backup.

use std::sync::Arc;

use esparsa::store::is_missing;
use esparsa::{Error, Index, IndexOptions, Result, Snapshot};

use crate::backup::back_up;
use crate::directory::{SimulatedDirectory, is_injected};
use crate::documents::{Contents, ask, contents};
use crate::executor::SimulatedExecutor;
use crate::random::Random;
use crate::turns::{self, PAUSES};
use crate::world::{Medium, World};
use crate::writer::Shared;

pub struct Reader {
    world: Arc<World>,
    random: Random,
    process: usize,
    /// The writer whose process it is a thread of.
    shared: Option<Shared>,
    /// The last commit that had returned when it began to look.
    known: u64,
    /// When the snapshot that it uses was the newest.
    since: u64,
}

/// A snapshot that is kept while writers go on.
struct Kept {
    snapshot: Snapshot,
    contents: Contents,
    /// When it was the newest.
    time: u64,
}

impl Reader {
    pub fn new(world: &Arc<World>, seed: u64, shared: Option<Shared>) -> Self {
        Self {
            world: world.clone(),
            random: Random(seed),
            process: world.start_process(),
            shared,
            known: 0,
            since: 0,
        }
    }

    pub fn run(mut self) {
        let mut index = None;
        let mut kept: Option<Kept> = None;
        let mut newest = 0;
        for _ in 0..3 + self.random.below(16) {
            if let Err(error) = self.look(&mut index, &mut kept, &mut newest) {
                self.accept(&error);
                (index, kept) = (None, None);
            }
            if self.shared.is_none() && self.world.is_dead(self.process) {
                return;
            }
            turns::sleep(self.random.pick(&PAUSES));
        }
    }

    fn accept(&self, error: &Error) {
        let is_slow = self.world.turns.now() - self.since > self.world.delay;
        let is_late = self.world.medium == Medium::Objects && is_slow && is_missing(error);
        let is_early = matches!(error, Error::NoIndex { .. }) && self.known == 0;
        assert!(
            is_injected(error) || is_late || is_early,
            "a reader met an error without a reason: {error}"
        );
    }

    fn look(
        &mut self,
        index: &mut Option<Index>,
        kept: &mut Option<Kept>,
        newest: &mut u64,
    ) -> Result<()> {
        if let Some(shared) = &self.shared {
            let shared = shared.lock().expect("no thread panics with it").clone();
            let Some((process, shared)) = shared else {
                return Ok(());
            };
            if process != self.process {
                (self.process, *index, *kept) = (process, None, None);
            }
            index.get_or_insert(shared);
        }
        let known = self.world.model().acknowledged().max(*newest);
        self.known = known;
        let time = self.world.turns.now();
        self.since = time;
        if index.is_none() {
            let executor = SimulatedExecutor::new(&self.world.turns, self.random.next());
            let options = IndexOptions::new().executor(Arc::new(executor));
            let directory = SimulatedDirectory::new(&self.world, self.process, 0);
            *index = Some(Index::open_in(Arc::new(directory), options)?);
        }
        let Some(index) = index.as_ref() else {
            return Ok(());
        };
        let snapshot = index.snapshot()?;
        let found = contents(&snapshot, self.random.chance(4))?;
        self.world.model().see(known, snapshot.commit(), &found);
        *newest = snapshot.commit();
        self.world
            .say(|| format!("process {} has read commit {newest}", self.process));
        ask(&snapshot, &found, &mut self.random)?;
        if let Some(kept) = kept {
            // Files that its commit names may have been removed since.
            self.since = kept.time;
            let again = contents(&kept.snapshot, self.random.chance(4))?;
            assert_eq!(again, kept.contents, "a snapshot that was kept");
            ask(&kept.snapshot, &kept.contents, &mut self.random)?;
            self.since = time;
        }
        if self.random.chance(6) {
            back_up(&self.world, self.process, &snapshot, &found)?;
        }
        if kept.is_none() || self.random.chance(2) {
            *kept = Some(Kept {
                snapshot,
                contents: found,
                time,
            });
        }
        Ok(())
    }
}
