//! Doing again what a short batch did.
//!
//! One short batch alone is a hundred small kernels whose launches take longer than they do. So what a batch of some shape launched can be recorded
//! once and replayed: the same code runs again, but its buffers are those of the recording, its uploads go there, its launches do nothing, and at the end the
//! recording is replayed as a whole. This is right as long as launches depend on the shape alone, which the caller promises by the key.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use super::device::{Address, Recording};
use super::lane::Lane;
use super::memory::Memory;
use super::tensor::Tensor;
use crate::error::{Error, Result};

/// Recordings of a lane at most; each keeps its buffers.
const MOST_RECORDINGS: usize = 48;
/// Keys that a lane remembers at most.
const MOST_KEYS: usize = 512;

/// What becomes of what is put into a lane.
#[derive(Default)]
pub(super) enum Mode {
    #[default]
    Direct,
    /// Buffers and what was uploaded to them.
    Recording(Vec<Memory>, Vec<(Address, Vec<u8>)>),
    /// Addresses of the recording's buffers, the next one last.
    Replaying(Vec<Address>),
}

/// What was done under which keys.
#[derive(Default)]
pub(super) struct Known {
    entries: HashMap<Vec<u32>, (u64, Entry)>,
    /// Counts lookups: whoever was looked up longest ago goes first.
    clock: u64,
}

#[derive(Clone)]
enum Entry {
    /// It ran once: its kernels are loaded.
    Once,
    /// There was no room to record it.
    Never,
    Recorded(Recorded),
}

#[derive(Clone)]
struct Recorded {
    /// Whoever holds the result holds these too: they are not to be overwritten.
    memories: Arc<Vec<Memory>>,
    recording: Arc<dyn Recording>,
}

impl Known {
    fn get(&mut self, key: &[u32]) -> Option<Entry> {
        self.clock += 1;
        let (last, entry) = self.entries.get_mut(key)?;
        *last = self.clock;
        Some(entry.clone())
    }

    fn put(&mut self, key: Vec<u32>, entry: Entry) {
        self.clock += 1;
        self.entries.insert(key, (self.clock, entry));
        self.forget(MOST_KEYS, |_| true);
        self.forget(MOST_RECORDINGS, |entry| matches!(entry, Entry::Recorded(_)));
    }

    /// Keeps `most` of the entries that are meant.
    fn forget(&mut self, most: usize, are_meant: impl Fn(&Entry) -> bool) {
        let meant = || {
            self.entries
                .iter()
                .filter(|(_, (_, entry))| are_meant(entry))
        };
        if meant().count() <= most {
            return;
        }
        let oldest = meant().min_by_key(|(_, (last, _))| *last);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.entries.remove(&key);
        }
    }
}

impl Lane {
    /// Does `run`, or replays what it did before under the same key: the first time it runs, so that kernels are loaded; the second time it is
    /// recorded; from then on it is replayed, unless somebody still has the result of the last time.
    pub(super) fn replayable(
        self: &Arc<Self>,
        key: Vec<u32>,
        run: impl Fn() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut state = self.state();
        if !matches!(state.mode, Mode::Direct) {
            drop(state);
            return run();
        }
        let entry = state.known.get(&key);
        if entry.is_none() {
            state.known.put(key.clone(), Entry::Once);
        }
        drop(state);
        match entry {
            Some(Entry::Once) => self.record(key, run),
            // The map has one, and `recorded` is another.
            Some(Entry::Recorded(recorded)) if Arc::strong_count(&recorded.memories) <= 2 => {
                self.replay(&recorded, run)
            }
            _ => run(),
        }
    }

    fn record(self: &Arc<Self>, key: Vec<u32>, run: impl Fn() -> Result<Tensor>) -> Result<Tensor> {
        let before = self.enter(Mode::Recording(Vec::new(), Vec::new()));
        let begun = self.queue.begin_recording();
        let result = begun.map(|()| catch_unwind(AssertUnwindSafe(&run)));
        let recording = self.queue.end_recording();
        let mode = self.leave(before);
        let result = result?.unwrap_or_else(|panic| resume_unwind(panic));
        let Mode::Recording(memories, uploads) = mode else {
            return Err(other_work());
        };
        if let Err(error) = &result
            && error.is_device_memory()
        {
            drop(memories);
            self.state().known.put(key, Entry::Never);
            return run();
        }
        let (mut result, recorded) = (
            result?,
            Recorded {
                memories: Arc::new(memories),
                recording: recording?.into(),
            },
        );
        // Nobody else's work comes between the uploads and what reads them.
        let mut state = self.state();
        for (address, bytes) in &uploads {
            self.queue.upload(*address, bytes)?;
        }
        recorded.recording.replay()?;
        result.buffer.hold(&recorded.memories);
        state.known.put(key, Entry::Recorded(recorded));
        Ok(result)
    }

    fn replay(
        self: &Arc<Self>,
        recorded: &Recorded,
        run: impl Fn() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let addresses = recorded.memories.iter().map(Memory::address);
        let before = self.enter(Mode::Replaying(addresses.rev().collect()));
        // Another thread may have replayed it since it was looked up, and have the result.
        let result = match Arc::strong_count(&recorded.memories) <= 2 {
            true => catch_unwind(AssertUnwindSafe(|| {
                let mut result = run()?;
                let Mode::Replaying(left) = &self.state().mode else {
                    return Err(other_work());
                };
                if !left.is_empty() {
                    return Err(other_work());
                }
                recorded.recording.replay()?;
                result.buffer.hold(&recorded.memories);
                Ok(Some(result))
            })),
            false => Ok(Ok(None)),
        };
        self.leave(before);
        match result.unwrap_or_else(|panic| resume_unwind(panic))? {
            Some(result) => Ok(result),
            None => run(),
        }
    }
}

pub(super) fn other_work() -> Error {
    Error::device(
        "a replayed batch did other work than the recorded one; this is a mistake in esparsa, please report it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_up_longest_ago_is_forgotten() {
        let mut known = Known::default();
        for key in 0..MOST_KEYS as u32 {
            known.put(vec![key], Entry::Once);
        }
        assert!(known.get(&[0]).is_some());
        known.put(vec![9_999], Entry::Never);
        assert!(known.get(&[0]).is_some() && known.get(&[9_999]).is_some());
        assert!(known.get(&[1]).is_none());
    }
}
