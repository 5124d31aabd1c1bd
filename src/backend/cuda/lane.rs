//! A queue of the card with its memory: where operations put their work.
//!
//! Threads may share a lane: what one of them puts into the queue is never in the middle of a batch that another records or replays (see [`replay`](super::replay)).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};

use zerocopy::IntoBytes;

use super::device::{Address, Device, Kernel, Queue};
use super::memory::{Heap, Memory, Spare};
use super::parameters::Parameters;
use super::replay::{Known, Mode, other_work};
use crate::error::{Error, Result};

/// What tables of a batch are kept from one operation to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kept {
    Starts,
    Tiles,
    SequenceOfRow,
    Buckets,
    Bias,
}

/// The last table of each kind, with what it was made of.
pub(super) type KeptTables = HashMap<Kept, (Vec<u8>, Arc<Buffer>)>;

/// A queue with its memory.
pub(super) struct Lane {
    heap: Arc<Heap>,
    /// Bytes that a block may share.
    shared_bytes: u32,
    pub(super) queue: Box<dyn Queue>,
    spare: Spare,
    state: Mutex<State>,
    /// The thread that had the lane for itself has it no longer.
    is_shared: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) mode: Mode,
    /// Who records or replays and has the lane for itself.
    pub(super) owner: Option<ThreadId>,
    pub(super) kept: KeptTables,
    pub(super) known: Known,
}

/// Memory of a lane, which gets it back.
pub(super) struct Buffer {
    address: Address,
    memory: Option<Memory>,
    lane: Weak<Lane>,
    /// It was waited for, so that other lanes may read it.
    is_settled: AtomicBool,
    /// Other lanes that read it.
    readers: Mutex<Vec<Weak<Lane>>>,
    /// The memories of the recording that it is one of.
    recorded: Option<Arc<Vec<Memory>>>,
}

impl Buffer {
    pub(super) fn address(&self) -> Address {
        self.address
    }

    /// While the buffer lives, so do the memories that it is one of.
    pub(super) fn hold(&mut self, memories: &Arc<Vec<Memory>>) {
        self.recorded = Some(Arc::clone(memories));
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(memory) = self.memory.take() else {
            return;
        };
        let readers = self.readers.get_mut();
        for reader in readers.unwrap_or_else(PoisonError::into_inner) {
            let is_done = reader
                .upgrade()
                .is_none_or(|lane| lane.synchronize().is_ok());
            if !is_done {
                // Somebody may still read it: it is not handed out again.
                std::mem::forget(memory);
                return;
            }
        }
        if let Some(lane) = self.lane.upgrade() {
            lane.spare.put(memory);
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
            is_shared: Condvar::new(),
        }))
    }

    /// The state, when no other thread has the lane for itself. Whoever puts something into the queue holds it meanwhile.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let own = thread::current().id();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.owner.is_some_and(|owner| owner != own) {
            let waited = self.is_shared.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// The calling thread has the lane for itself. Tables that were kept are those of another mode: they are put aside.
    pub(super) fn enter(&self, mode: Mode) -> KeptTables {
        let mut state = self.state();
        state.mode = mode;
        state.owner = Some(thread::current().id());
        std::mem::take(&mut state.kept)
    }

    /// Ends what [`enter`](Self::enter) began.
    pub(super) fn leave(&self, before: KeptTables) -> Mode {
        let mut state = self.state();
        let of_mode = std::mem::replace(&mut state.kept, before);
        let mode = std::mem::take(&mut state.mode);
        state.owner = None;
        drop(state);
        self.is_shared.notify_all();
        drop(of_mode);
        mode
    }

    /// A buffer of so many bytes, with anything in it.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Result<Buffer> {
        let mut state = self.state();
        let (address, memory) = match &mut state.mode {
            Mode::Direct => {
                let memory = match self.spare.take(bytes) {
                    Err(error) if error.is_device_memory() => {
                        self.give_up(&mut state)?;
                        self.spare.take(bytes)?
                    }
                    result => result?,
                };
                (memory.address(), Some(memory))
            }
            Mode::Recording(memories, _) => {
                let memory = self.spare.take(bytes)?;
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
            lane: Arc::downgrade(self),
            is_settled: AtomicBool::new(false),
            readers: Mutex::default(),
            recorded: None,
        })
    }

    /// Gives the card back what nobody uses, and what was recorded: it can be recorded again.
    fn give_up(&self, state: &mut State) -> Result<()> {
        self.queue.synchronize()?;
        state.known = Known::default();
        self.spare.give_up();
        Ok(())
    }

    /// A buffer with these bytes.
    pub(super) fn upload(self: &Arc<Self>, bytes: &[u8]) -> Result<Buffer> {
        let buffer = self.take(bytes.len())?;
        let mut state = self.state();
        match &mut state.mode {
            Mode::Recording(_, uploads) => uploads.push((buffer.address, bytes.to_vec())),
            Mode::Direct | Mode::Replaying(_) => self.queue.upload(buffer.address, bytes)?,
        }
        Ok(buffer)
    }

    /// A buffer with these numbers, uploaded unless the last one of this kind had the same. It must be held until the work that reads it is in the queue.
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
        let _state = self.state();
        self.queue.upload(to, bytes)?;
        self.queue.synchronize()
    }

    /// Lets this lane's work read a buffer of any lane of the same card.
    pub(super) fn read(self: &Arc<Self>, buffer: &Buffer) -> Result<()> {
        if std::ptr::eq(buffer.lane.as_ptr(), Arc::as_ptr(self)) {
            return Ok(());
        }
        let Some(lane) = buffer.lane.upgrade() else {
            // The lane waited for its work before it went.
            return Ok(());
        };
        if !Arc::ptr_eq(&lane.heap, &self.heap) {
            return Err(Error::device(
                "expected a tensor of the same card, found one of another: bring its values over",
            ));
        }
        if !buffer.is_settled.load(Ordering::Acquire) {
            lane.synchronize()?;
            buffer.is_settled.store(true, Ordering::Release);
        }
        let mut readers = buffer
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let own = Arc::downgrade(self);
        if !readers.iter().any(|reader| reader.ptr_eq(&own)) {
            readers.push(own);
        }
        Ok(())
    }

    /// Runs a kernel.
    pub(super) fn launch<P: Parameters>(
        &self,
        kernel: &'static Kernel,
        grid: [usize; 3],
        shared_bytes: usize,
        parameters: &P,
    ) -> Result<()> {
        let state = self.state();
        if matches!(state.mode, Mode::Replaying(_)) {
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
        let state = self.state();
        match state.mode {
            Mode::Replaying(_) => Ok(()),
            Mode::Direct | Mode::Recording(..) => self.queue.fill(buffer.address, 0, bytes),
        }
    }

    /// So many bytes of a buffer, when all work before is done.
    pub(super) fn download(&self, buffer: &Buffer, bytes: usize) -> Result<Vec<u8>> {
        let state = self.state();
        if !matches!(state.mode, Mode::Direct) {
            return Err(other_work());
        }
        let mut found = vec![0; bytes];
        self.queue.download(buffer.address, &mut found)?;
        Ok(found)
    }

    pub(super) fn synchronize(&self) -> Result<()> {
        let _state = self.state();
        self.queue.synchronize()
    }
}
