//! A queue of the card with its memory: where operations put their work.
//!
//! # Replay
//!
//! One short batch alone is a hundred small kernels whose launches take longer than they do. So what a batch of some shape launched can be recorded
//! once and replayed: the same code runs again, but its buffers are those of the recording, its uploads go there, its launches do nothing, and at the end the
//! recording is replayed as a whole. This is right as long as launches depend on the shape alone, which the caller promises by the key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zerocopy::IntoBytes;

use super::device::{Address, Device, Kernel, Queue, Recording};
use super::memory::{Heap, Memory, Spare};
use super::parameters::Parameters;
use super::tensor::Tensor;
use crate::error::{Error, Result};

/// Recordings of a lane at most; each keeps its buffers.
const MOST_RECORDINGS: usize = 64;

/// What tables of a batch are kept from one operation to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kept {
    Starts,
    Tiles,
    SequenceOfRow,
    Buckets,
    Bias,
}

/// A queue with its memory.
pub(super) struct Lane {
    heap: Arc<Heap>,
    /// Bytes that a block may share.
    shared_bytes: u32,
    queue: Box<dyn Queue>,
    spare: Spare,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mode: Mode,
    kept: KeptTables,
    /// What was done under a key: once, or so often that it was recorded.
    known: HashMap<Vec<u32>, Option<Recorded>>,
}

/// The last table of each kind, with what it was made of.
type KeptTables = HashMap<Kept, (Vec<u8>, Arc<Buffer>)>;

#[derive(Default)]
enum Mode {
    #[default]
    Direct,
    /// Buffers and what was uploaded to them.
    Recording(Vec<Memory>, Vec<(Address, Vec<u8>)>),
    /// Addresses of the recording's buffers, the next one last.
    Replaying(Vec<Address>),
}

#[derive(Clone)]
struct Recorded {
    /// Whoever holds the result holds these too: they are not to be overwritten.
    memories: Arc<Vec<Memory>>,
    recording: Arc<dyn Recording>,
}

/// Memory of a lane, which gets it back.
pub(super) struct Buffer {
    address: Address,
    memory: Option<Memory>,
    lane: Arc<Lane>,
    /// The result of a recording is not overwritten while somebody has it.
    recorded: Option<Arc<Vec<Memory>>>,
}

impl Buffer {
    pub(super) fn address(&self) -> Address {
        self.address
    }

    /// Whether another lane made it.
    pub(super) fn is_foreign_to(&self, lane: &Arc<Lane>) -> bool {
        !Arc::ptr_eq(&self.lane, lane)
    }

    /// Waits until it is written.
    pub(super) fn synchronize(&self) -> Result<()> {
        self.lane.queue.synchronize()
    }

    /// While the buffer lives, so do the memories that it is one of.
    fn hold(&mut self, memories: &Arc<Vec<Memory>>) {
        self.recorded = Some(Arc::clone(memories));
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.lane.spare.put(memory);
        }
    }
}

impl Lane {
    pub(super) fn new(device: &Arc<dyn Device>, heap: &Arc<Heap>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            heap: Arc::clone(heap),
            shared_bytes: device.shared_bytes(),
            queue: device.queue()?,
            spare: Spare::new(heap),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer of so many bytes, with anything in it.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Result<Buffer> {
        let mut state = self.state();
        let (address, memory) = match &mut state.mode {
            Mode::Direct => {
                let memory = match self.spare.take(bytes) {
                    Err(error) if error.is_device_memory() => {
                        // What was recorded can be recorded again.
                        let recorded = std::mem::take(&mut state.known);
                        drop(recorded);
                        self.spare.take(bytes)
                    }
                    result => result,
                }?;
                (memory.address(), Some(memory))
            }
            Mode::Recording(memories, _) => {
                let memory = Memory::allocate(&self.heap, bytes)?;
                let address = memory.address();
                memories.push(memory);
                (address, None)
            }
            Mode::Replaying(addresses) => {
                let address = addresses.pop();
                (address.ok_or_else(other_work)?, None)
            }
        };
        Ok(Buffer {
            address,
            memory,
            lane: Arc::clone(self),
            recorded: None,
        })
    }

    /// A buffer with these bytes.
    pub(super) fn upload(self: &Arc<Self>, bytes: &[u8]) -> Result<Buffer> {
        let buffer = self.take(bytes.len())?;
        match &mut self.state().mode {
            Mode::Recording(_, uploads) => uploads.push((buffer.address, bytes.to_vec())),
            Mode::Direct | Mode::Replaying(_) => self.queue.upload(buffer.address, bytes)?,
        }
        Ok(buffer)
    }

    /// A buffer with these numbers, uploaded unless the last one of this kind had the same.
    pub(super) fn keep(self: &Arc<Self>, kind: Kept, numbers: &[u32]) -> Result<Arc<Buffer>> {
        let bytes = numbers.as_bytes();
        if let Some((known, buffer)) = self.state().kept.get(&kind)
            && known == bytes
        {
            return Ok(Arc::clone(buffer));
        }
        let buffer = Arc::new(self.upload(bytes)?);
        let entry = (bytes.to_vec(), Arc::clone(&buffer));
        let before = self.state().kept.insert(kind, entry);
        drop(before);
        Ok(buffer)
    }

    /// Writes memory that all lanes may read when this returns.
    pub(super) fn load(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.queue.upload(to, bytes)?;
        self.queue.synchronize()
    }

    /// Runs a kernel.
    pub(super) fn launch<P: Parameters>(
        &self,
        kernel: &'static Kernel,
        grid: [usize; 3],
        shared_bytes: usize,
        parameters: &P,
    ) -> Result<()> {
        if matches!(self.state().mode, Mode::Replaying(_)) {
            return Ok(());
        }
        let [x, y, z] = grid.map(|blocks| u32::try_from(blocks).unwrap_or(u32::MAX));
        let shared_bytes = u32::try_from(shared_bytes).unwrap_or(u32::MAX);
        if shared_bytes > self.shared_bytes {
            return Err(Error::device(format!(
                "kernel {}: expected a card whose blocks share {shared_bytes} bytes, found one of {}; use the processor",
                kernel.name, self.shared_bytes
            )));
        }
        self.queue
            .launch(kernel, [x, y, z], shared_bytes, parameters.as_bytes())
    }

    /// Sets bytes to 0.
    pub(super) fn clear(&self, buffer: &Buffer, bytes: usize) -> Result<()> {
        match self.state().mode {
            Mode::Replaying(_) => Ok(()),
            Mode::Direct | Mode::Recording(..) => self.queue.fill(buffer.address, 0, bytes),
        }
    }

    /// So many bytes of a buffer, when all work before is done.
    pub(super) fn download(&self, buffer: &Buffer, bytes: usize) -> Result<Vec<u8>> {
        let mut found = vec![0; bytes];
        self.queue.download(buffer.address, &mut found)?;
        Ok(found)
    }

    pub(super) fn synchronize(&self) -> Result<()> {
        self.queue.synchronize()
    }

    /// Does `run`, or replays what it did before under the same key: the first time it runs, so that kernels are loaded; the second time it is
    /// recorded; from then on it is replayed, unless somebody still has the result of the last time.
    pub(super) fn replayable(
        self: &Arc<Self>,
        key: Vec<u32>,
        run: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut state = self.state();
        if !matches!(state.mode, Mode::Direct) {
            drop(state);
            return run();
        }
        let has_room = state.known.len() < MOST_RECORDINGS;
        match state.known.get(&key) {
            Some(Some(recorded)) if Arc::strong_count(&recorded.memories) == 1 => {
                let recorded = recorded.clone();
                drop(state);
                self.replay(&recorded, run)
            }
            Some(None) => {
                drop(state);
                self.record(key, run)
            }
            known => {
                if known.is_none() && has_room {
                    state.known.insert(key, None);
                }
                drop(state);
                run()
            }
        }
    }

    fn record(
        self: &Arc<Self>,
        key: Vec<u32>,
        run: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let before = self.enter(Mode::Recording(Vec::new(), Vec::new()));
        let result = self.queue.begin_recording().and_then(|()| run());
        let recording = self.queue.end_recording();
        let Mode::Recording(memories, uploads) = self.leave(before) else {
            return Err(other_work());
        };
        let (mut result, recording) = (result?, recording?);
        for (address, bytes) in &uploads {
            self.queue.upload(*address, bytes)?;
        }
        recording.replay()?;
        let recorded = Recorded {
            memories: Arc::new(memories),
            recording: recording.into(),
        };
        result.buffer.hold(&recorded.memories);
        self.state().known.insert(key, Some(recorded));
        Ok(result)
    }

    fn replay(
        self: &Arc<Self>,
        recorded: &Recorded,
        run: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let addresses = recorded.memories.iter().map(Memory::address);
        let before = self.enter(Mode::Replaying(addresses.rev().collect()));
        let result = run();
        let Mode::Replaying(left) = self.leave(before) else {
            return Err(other_work());
        };
        let mut result = result?;
        if !left.is_empty() {
            return Err(other_work());
        }
        recorded.recording.replay()?;
        result.buffer.hold(&recorded.memories);
        Ok(result)
    }

    /// Tables that were kept are those of another mode: they are put aside.
    fn enter(&self, mode: Mode) -> KeptTables {
        let mut state = self.state();
        state.mode = mode;
        std::mem::take(&mut state.kept)
    }

    fn leave(&self, before: KeptTables) -> Mode {
        let mut state = self.state();
        let of_mode = std::mem::replace(&mut state.kept, before);
        let mode = std::mem::take(&mut state.mode);
        drop(state);
        drop(of_mode);
        mode
    }
}

fn other_work() -> Error {
    Error::device(
        "a replayed batch did other work than the recorded one; this is a mistake in esparsa, please report it",
    )
}
