//! A stream of the driver's as a queue, with the pinned memory that its copies go through, and recordings as graphs.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys::{self, CUevent, CUgraphExec, CUstream};

use super::context::{Context, check};
use crate::backend::cuda::device::{Address, Kernel, Queue, Recording};
use crate::error::{Error, Result};

/// Bytes of one part of the ring, and of the memory that downloads go through.
const PART_BYTES: usize = 1 << 20;
/// Parts of the ring: while one is filled, the others are on their way.
const PARTS: usize = 4;
/// Uploads begin at multiples of this in a part.
const ALIGNMENT: usize = 256;
/// The most bytes of parameters: what the driver allows kernels that do not ask for more.
const PARAMETER_BYTES: usize = 4096;

/// A structure of parameters where the driver and tensor maps (which lie at multiples of 64 bytes in it) want it.
#[repr(align(128))]
struct Parameters([u8; PARAMETER_BYTES]);

/// A stream.
pub(super) struct Stream {
    shared: Arc<Shared>,
    ring: Mutex<Ring>,
    /// Where downloads arrive, from the first on.
    arrivals: Mutex<Option<Pinned>>,
    records: AtomicBool,
}

/// What recordings hold as well.
struct Shared {
    context: Arc<Context>,
    stream: CUstream,
}

// SAFETY: handles of the driver's may be used from any thread.
unsafe impl Send for Shared {}
// SAFETY: as above; the handle is never changed.
unsafe impl Sync for Shared {}

impl Stream {
    pub(super) fn new(context: Arc<Context>) -> Result<Self> {
        context.enter()?;
        let mut stream = ptr::null_mut();
        // It shall not wait for the default stream, which recording forbids.
        let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: the context is current, and the place is valid for writing.
        check("cuStreamCreate", unsafe {
            sys::cuStreamCreate(&mut stream, flags)
        })?;
        Ok(Self {
            ring: Mutex::new(Ring::new(Arc::clone(&context))),
            shared: Arc::new(Shared { context, stream }),
            arrivals: Mutex::default(),
            records: AtomicBool::new(false),
        })
    }

    /// Makes the context current, and refuses what cannot be done while recording.
    fn enter_outside_recordings(&self, action: &str) -> Result<()> {
        match self.records.load(Ordering::Acquire) {
            true => Err(Error::device(format!(
                "a queue that records cannot {action}"
            ))),
            false => self.shared.context.enter(),
        }
    }
}

impl Queue for Stream {
    fn launch(
        &self,
        kernel: &'static Kernel,
        grid: [u32; 3],
        shared_bytes: u32,
        parameters: &[u8],
    ) -> Result<()> {
        if grid.contains(&0) {
            return Ok(());
        }
        self.shared.context.enter()?;
        let function = self.shared.context.function(kernel)?;
        let wanted = function.parameter_bytes.unwrap_or(parameters.len());
        if parameters.len() != wanted || wanted > PARAMETER_BYTES {
            return Err(Error::device(format!(
                "kernel {}: expected {wanted} bytes of parameters ({PARAMETER_BYTES} at most), found {}",
                kernel.name,
                parameters.len()
            )));
        }
        let mut aligned = Parameters([0; PARAMETER_BYTES]);
        aligned.0[..parameters.len()].copy_from_slice(parameters);
        let mut pointers = [(&raw mut aligned).cast::<c_void>()];
        let [x, y, z] = grid;
        // SAFETY: the function is loaded in the current context and has one parameter, whose bytes are copied before the call returns; they are as many as the
        // module says, or where it does not say, the buffer has room for more. What the kernel does with addresses is the caller's (see `device`).
        let result = unsafe {
            let (threads, stream, none) = (kernel.threads, self.shared.stream, ptr::null_mut());
            sys::cuLaunchKernel(
                function.handle,
                x,
                y,
                z,
                threads,
                1,
                1,
                shared_bytes,
                stream,
                pointers.as_mut_ptr(),
                none,
            )
        };
        check("cuLaunchKernel", result).map_err(|error| {
            Error::device(format!(
                "kernel {}, grid {grid:?}, {shared_bytes} bytes of shared memory: {error}",
                kernel.name
            ))
        })
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.enter_outside_recordings("upload")?;
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut to = to;
        for piece in bytes.chunks(PART_BYTES) {
            let place = ring.take(piece.len(), self.shared.stream)?;
            // SAFETY: `take` gave so many bytes of pinned memory, which nothing else uses until the event that is recorded after this copy.
            let result = unsafe {
                ptr::copy_nonoverlapping(piece.as_ptr(), place, piece.len());
                sys::cuMemcpyHtoDAsync_v2(to, place.cast(), piece.len(), self.shared.stream)
            };
            check("cuMemcpyHtoDAsync", result)?;
            to += piece.len() as u64;
        }
        Ok(())
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        self.enter_outside_recordings("download")?;
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match &*arrivals {
            Some(pinned) => pinned.bytes,
            None => {
                arrivals
                    .insert(Pinned::new(Arc::clone(&self.shared.context), PART_BYTES)?)
                    .bytes
            }
        };
        let mut from = from;
        for piece in bytes.chunks_mut(PART_BYTES) {
            // SAFETY: the pinned memory has room for the piece and stays until the stream is through with it, which is waited for below and, should that
            // fail, when the stream is dropped.
            let result = unsafe {
                sys::cuMemcpyDtoHAsync_v2(place.cast(), from, piece.len(), self.shared.stream)
            };
            check("cuMemcpyDtoHAsync", result)?;
            self.shared.synchronize()?;
            // SAFETY: so many bytes have arrived, and the lock keeps others from them.
            unsafe { ptr::copy_nonoverlapping(place, piece.as_mut_ptr(), piece.len()) };
            from += piece.len() as u64;
        }
        Ok(())
    }

    fn fill(&self, to: Address, byte: u8, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.shared.context.enter()?;
        // SAFETY: the context is current; the address is the caller's (see `device`).
        check("cuMemsetD8Async", unsafe {
            sys::cuMemsetD8Async(to, byte, bytes, self.shared.stream)
        })
    }

    fn synchronize(&self) -> Result<()> {
        self.enter_outside_recordings("be waited for")?;
        self.shared.synchronize()
    }

    fn begin_recording(&self) -> Result<()> {
        self.enter_outside_recordings("record a second time")?;
        // Relaxed: memory may be taken meanwhile, here and by other threads.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream lives, and is not the default one.
        check("cuStreamBeginCapture", unsafe {
            sys::cuStreamBeginCapture_v2(self.shared.stream, mode)
        })?;
        self.records.store(true, Ordering::Release);
        Ok(())
    }

    fn end_recording(&self) -> Result<Box<dyn Recording>> {
        if !self.records.swap(false, Ordering::AcqRel) {
            return Err(Error::device(
                "a queue ended a recording that it did not begin",
            ));
        }
        self.shared.context.enter()?;
        let mut graph = ptr::null_mut();
        // SAFETY: the stream records, and the place is valid for writing.
        check("cuStreamEndCapture", unsafe {
            sys::cuStreamEndCapture(self.shared.stream, &mut graph)
        })?;
        let mut executable = ptr::null_mut();
        // SAFETY: the graph was just made and is destroyed once; the executable form does not need it.
        let result = unsafe {
            let result = sys::cuGraphInstantiateWithFlags(&mut executable, graph, 0);
            let _ = sys::cuGraphDestroy(graph);
            result
        };
        check("cuGraphInstantiate", result)?;
        Ok(Box::new(Graph {
            shared: Arc::clone(&self.shared),
            executable,
        }))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // The ring and the arrivals go with this; copies must be through with them.
        if self.records.load(Ordering::Acquire) {
            drop(self.end_recording());
        }
        drop(self.synchronize());
    }
}

impl Shared {
    fn synchronize(&self) -> Result<()> {
        // SAFETY: the stream lives.
        check("cuStreamSynchronize", unsafe {
            sys::cuStreamSynchronize(self.stream)
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: the stream was made in this context and is destroyed once; the driver finishes its work.
            let _ = unsafe { sys::cuStreamDestroy_v2(self.stream) };
        }
    }
}

/// A recorded graph.
struct Graph {
    shared: Arc<Shared>,
    executable: CUgraphExec,
}

// SAFETY: handles of the driver's may be used from any thread.
unsafe impl Send for Graph {}
// SAFETY: as above. Graphs may not be launched by two threads at a time, but launches into one stream are ordered by the driver's lock on the stream.
unsafe impl Sync for Graph {}

impl Recording for Graph {
    fn replay(&self) -> Result<()> {
        self.shared.context.enter()?;
        // SAFETY: graph and stream live; what the kernels do with addresses is the caller's (see `device`).
        check("cuGraphLaunch", unsafe {
            sys::cuGraphLaunch(self.executable, self.shared.stream)
        })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.shared.context.enter().is_ok() {
            // SAFETY: it was instantiated and is destroyed once; the driver keeps it until its replays are through.
            let _ = unsafe { sys::cuGraphExecDestroy(self.executable) };
        }
    }
}

/// Memory of the processor's that the card reads and writes by itself.
struct Pinned {
    context: Arc<Context>,
    bytes: *mut u8,
}

// SAFETY: it is memory like other memory, and has one owner.
unsafe impl Send for Pinned {}

impl Pinned {
    fn new(context: Arc<Context>, bytes: usize) -> Result<Self> {
        let mut memory = ptr::null_mut();
        // SAFETY: the caller made the context current, and the place is valid for writing.
        check("cuMemHostAlloc", unsafe {
            sys::cuMemHostAlloc(&mut memory, bytes, 0)
        })?;
        Ok(Self {
            context,
            bytes: memory.cast(),
        })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: it was allocated so and is freed once; whoever holds it waits for copies first.
            let _ = unsafe { sys::cuMemFreeHost(self.bytes.cast()) };
        }
    }
}

/// Pinned memory that uploads leave from. A part is filled from its beginning; when it is full, an event is recorded behind its copies, and the part is
/// filled again only when that event has come.
struct Ring {
    context: Arc<Context>,
    /// Empty until the first upload: pinned memory is slow to make.
    parts: Vec<Part>,
    current: usize,
    used: usize,
}

struct Part {
    memory: Pinned,
    event: CUevent,
}

// SAFETY: handles of the driver's may be used from any thread.
unsafe impl Send for Part {}

impl Ring {
    fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            parts: Vec::new(),
            current: 0,
            used: 0,
        }
    }

    /// Room for `bytes` bytes, `PART_BYTES` at most, whose copy the caller now adds to the stream.
    fn take(&mut self, bytes: usize, stream: CUstream) -> Result<*mut u8> {
        while self.parts.len() < PARTS {
            self.parts.push(Part::new(&self.context)?);
        }
        if self.used + bytes > PART_BYTES {
            let full = &self.parts[self.current];
            // SAFETY: event and stream live.
            check("cuEventRecord", unsafe {
                sys::cuEventRecord(full.event, stream)
            })?;
            self.current = (self.current + 1) % PARTS;
            self.used = 0;
            let next = &self.parts[self.current];
            // SAFETY: the event lives; one that was never recorded counts as come.
            check("cuEventSynchronize", unsafe {
                sys::cuEventSynchronize(next.event)
            })?;
        }
        // SAFETY: `used` and the `bytes` behind it are within the part.
        let place = unsafe { self.parts[self.current].memory.bytes.add(self.used) };
        self.used += bytes.next_multiple_of(ALIGNMENT);
        Ok(place)
    }
}

impl Part {
    fn new(context: &Arc<Context>) -> Result<Self> {
        let memory = Pinned::new(Arc::clone(context), PART_BYTES)?;
        let mut event = ptr::null_mut();
        let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
        // SAFETY: the context is current, and the place is valid for writing.
        check("cuEventCreate", unsafe {
            sys::cuEventCreate(&mut event, flags)
        })?;
        Ok(Self { memory, event })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.memory.context.enter().is_ok() {
            // SAFETY: it was made in this context and is destroyed once.
            let _ = unsafe { sys::cuEventDestroy_v2(self.event) };
        }
    }
}
