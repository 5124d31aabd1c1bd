//! A CUDA stream with the pinned memory of its copies, and captured CUDA graphs.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cudarc::driver::sys::{self, CUevent, CUgraphExec, CUresult, CUstream};

use super::context::{Context, Current, check};
use crate::backend::cuda::device::{
    Address, GpuDownload, GpuFence, GpuGraph, GpuStream, Kernel, MAX_DOWNLOAD_BYTES,
    MAX_PARAMETER_BYTES,
};
use crate::error::{Error, Result};

/// Bytes of one part of the upload ring, and the minimum for a download.
const PART_BYTES: usize = 1 << 20;
/// Parts of the ring: while the CPU fills one, the others are being copied.
const PARTS: usize = 4;
/// Uploads start at multiples of this in a part.
const ALIGNMENT: usize = 256;

/// A parameter structure, aligned as its tensor maps require.
#[repr(align(128))]
struct Parameters([u8; MAX_PARAMETER_BYTES]);

/// A CUDA stream.
pub(super) struct DriverStream {
    shared: Arc<Shared>,
    ring: Mutex<Ring>,
    is_capturing: AtomicBool,
}

/// What graphs and downloads hold as well.
struct Shared {
    context: Arc<Context>,
    stream: CUstream,
    /// Pinned memory that no download is using.
    landings: Mutex<Vec<Landing>>,
}

// SAFETY: driver handles may be used from any thread.
unsafe impl Send for Shared {}
// SAFETY: as above; the handle never changes.
unsafe impl Sync for Shared {}

impl DriverStream {
    pub(super) fn new(context: Arc<Context>) -> Result<Self> {
        let _current = context.enter()?;
        let mut stream = ptr::null_mut();
        // Non-blocking: synchronizing with the default stream would make capture fail.
        let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: the context is current, and the pointer is writable.
        check("cuStreamCreate", unsafe {
            sys::cuStreamCreate(&mut stream, flags)
        })?;
        Ok(Self {
            ring: Mutex::new(Ring::new(Arc::clone(&context))),
            shared: Arc::new(Shared {
                context: Arc::clone(&context),
                stream,
                landings: Mutex::default(),
            }),
            is_capturing: AtomicBool::new(false),
        })
    }

    /// Makes the context current, and refuses what is not allowed during capture.
    fn enter_outside_capture(&self, action: &str) -> Result<Current<'_>> {
        match self.is_capturing.load(Ordering::Acquire) {
            true => Err(Error::device(format!(
                "a stream cannot {action} during graph capture"
            ))),
            false => self.shared.context.enter(),
        }
    }
}

impl GpuStream for DriverStream {
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
        let _current = self.shared.context.enter()?;
        let function = self.shared.context.function(kernel)?;
        if parameters.len() != kernel.parameter_bytes {
            return Err(Error::device(format!(
                "kernel {}: expected {} bytes of parameters, found {}",
                kernel.name,
                kernel.parameter_bytes,
                parameters.len()
            )));
        }
        let mut aligned = Parameters([0; MAX_PARAMETER_BYTES]);
        aligned.0[..parameters.len()].copy_from_slice(parameters);
        let mut pointers = [(&raw mut aligned).cast::<c_void>()];
        let [x, y, z] = grid;
        // SAFETY: the function is loaded in the current context and has one parameter of this size,
        // whose bytes are copied before the call returns. Addresses are the caller's responsibility
        // (see `device`).
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
        let _current = self.enter_outside_capture("upload")?;
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut to = to;
        for piece in bytes.chunks(PART_BYTES) {
            let place = ring.take(piece.len(), self.shared.stream)?;
            // SAFETY: `take` returned this many bytes of pinned memory, which nothing else uses
            // until the event recorded after this copy.
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
        let mut from = from;
        for piece in bytes.chunks_mut(MAX_DOWNLOAD_BYTES) {
            self.start_download(from, piece.len())?.finish(piece)?;
            from += piece.len() as u64;
        }
        Ok(())
    }

    fn start_download(&self, from: Address, bytes: usize) -> Result<Box<dyn GpuDownload>> {
        let _current = self.enter_outside_capture("download")?;
        let mut download = Download {
            landing: Some(self.shared.landing(bytes)?),
            shared: Arc::clone(&self.shared),
        };
        let landing = download.landing()?;
        // SAFETY: the pinned memory has room for the bytes and is used by this download only, until
        // it is finished or, if it is dropped, until the event after the copy.
        let result = unsafe {
            let place = landing.memory.bytes.cast();
            sys::cuMemcpyDtoHAsync_v2(place, from, bytes, self.shared.stream)
        };
        check("cuMemcpyDtoHAsync", result)?;
        if let Err(error) = landing.event.record(self.shared.stream) {
            // Nothing says when the copy has ended, so its memory is not used again.
            std::mem::forget(download.landing.take());
            return Err(error);
        }
        Ok(Box::new(download))
    }

    fn fence(&self) -> Result<Box<dyn GpuFence>> {
        let _current = self.enter_outside_capture("be synchronized")?;
        let event = Event::new(&self.shared.context)?;
        event.record(self.shared.stream)?;
        Ok(Box::new(event))
    }

    fn release_pinned(&self) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        *ring = Ring::new(Arc::clone(&self.shared.context));
        drop(std::mem::take(&mut *self.shared.landings()));
    }

    fn fill(&self, to: Address, byte: u8, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let _current = self.shared.context.enter()?;
        // SAFETY: the context is current; the address is the caller's responsibility (see
        // `device`).
        check("cuMemsetD8Async", unsafe {
            sys::cuMemsetD8Async(to, byte, bytes, self.shared.stream)
        })
    }

    fn synchronize(&self) -> Result<()> {
        let _current = self.enter_outside_capture("be synchronized")?;
        self.shared.synchronize()
    }

    fn begin_capture(&self) -> Result<()> {
        let _current = self.enter_outside_capture("begin another capture")?;
        // Relaxed: memory may be allocated during capture, here and by other threads.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream is alive and is not the default stream.
        check("cuStreamBeginCapture", unsafe {
            sys::cuStreamBeginCapture_v2(self.shared.stream, mode)
        })?;
        self.is_capturing.store(true, Ordering::Release);
        Ok(())
    }

    fn end_capture(&self) -> Result<Box<dyn GpuGraph>> {
        if !self.is_capturing.swap(false, Ordering::AcqRel) {
            return Err(Error::device("a graph capture ended that was not begun"));
        }
        let _current = self.shared.context.enter()?;
        let mut graph = ptr::null_mut();
        // SAFETY: the stream is capturing, and the pointer is writable.
        check("cuStreamEndCapture", unsafe {
            sys::cuStreamEndCapture(self.shared.stream, &mut graph)
        })?;
        let mut executable = ptr::null_mut();
        // SAFETY: the graph was just created and is destroyed once; the executable graph does not
        // need it.
        let result = unsafe {
            let result = sys::cuGraphInstantiateWithFlags(&mut executable, graph, 0);
            let _ = sys::cuGraphDestroy(graph);
            result
        };
        check("cuGraphInstantiate", result)?;
        Ok(Box::new(DriverGraph {
            shared: Arc::clone(&self.shared),
            executable,
        }))
    }
}

impl Drop for DriverStream {
    fn drop(&mut self) {
        // The ring is freed with the stream, so copies must have finished.
        if self.is_capturing.load(Ordering::Acquire) {
            drop(self.end_capture());
        }
        drop(self.synchronize());
    }
}

impl Shared {
    fn landings(&self) -> MutexGuard<'_, Vec<Landing>> {
        self.landings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pinned memory for a download: one that is free, or a new one. The context is current.
    fn landing(&self, bytes: usize) -> Result<Landing> {
        let mut landings = self.landings();
        let fitting = landings
            .iter()
            .position(|landing| landing.capacity >= bytes);
        if let Some(place) = fitting {
            return Ok(landings.swap_remove(place));
        }
        drop(landings);
        let capacity = bytes.next_power_of_two().max(PART_BYTES);
        Ok(Landing {
            memory: Pinned::new(Arc::clone(&self.context), capacity)?,
            capacity,
            event: Event::new(&self.context)?,
        })
    }

    fn synchronize(&self) -> Result<()> {
        // SAFETY: the stream is alive.
        check("cuStreamSynchronize", unsafe {
            sys::cuStreamSynchronize(self.stream)
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Ok(_current) = self.context.enter() {
            // SAFETY: the stream was created in this context and is destroyed once; the driver
            // finishes its work.
            let _ = unsafe { sys::cuStreamDestroy_v2(self.stream) };
        }
    }
}

/// An executable CUDA graph.
struct DriverGraph {
    shared: Arc<Shared>,
    executable: CUgraphExec,
}

// SAFETY: driver handles may be used from any thread.
unsafe impl Send for DriverGraph {}
// SAFETY: as above. Two threads may not launch one graph at the same time, but the driver's lock on
// the stream serializes launches into it.
unsafe impl Sync for DriverGraph {}

impl GpuGraph for DriverGraph {
    fn launch(&self) -> Result<()> {
        let _current = self.shared.context.enter()?;
        // SAFETY: graph and stream are alive; addresses are the caller's responsibility (see
        // `device`).
        check("cuGraphLaunch", unsafe {
            sys::cuGraphLaunch(self.executable, self.shared.stream)
        })
    }
}

impl Drop for DriverGraph {
    fn drop(&mut self) {
        if let Ok(_current) = self.shared.context.enter() {
            // SAFETY: it was instantiated and is destroyed once; the driver keeps it until its
            // launches have finished.
            let _ = unsafe { sys::cuGraphExecDestroy(self.executable) };
        }
    }
}

/// Pinned host memory, which the GPU reads and writes by DMA.
struct Pinned {
    context: Arc<Context>,
    bytes: *mut u8,
}

// SAFETY: it is ordinary memory with one owner.
unsafe impl Send for Pinned {}

impl Pinned {
    fn new(context: Arc<Context>, bytes: usize) -> Result<Self> {
        let mut memory = ptr::null_mut();
        // SAFETY: the caller made the context current, and the pointer is writable.
        match unsafe { sys::cuMemHostAlloc(&mut memory, bytes, 0) } {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => return Err(Error::pinned_memory(bytes as u64)),
            result => check("cuMemHostAlloc", result)?,
        }
        Ok(Self {
            context,
            bytes: memory.cast(),
        })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Ok(_current) = self.context.enter() {
            // SAFETY: it was allocated by `cuMemHostAlloc` and is freed once; its owner waits for
            // copies first.
            let _ = unsafe { sys::cuMemFreeHost(self.bytes.cast()) };
        }
    }
}

/// Pinned staging memory for uploads. A part is filled from its start; when it is full, an event is
/// recorded behind its copies, and the part is filled again only after that event.
struct Ring {
    context: Arc<Context>,
    /// Empty until the first upload: pinned memory is slow to allocate.
    parts: Vec<Part>,
    current: usize,
    used: usize,
}

struct Part {
    memory: Pinned,
    /// Behind the copies from this part.
    event: Event,
}

impl Ring {
    fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            parts: Vec::new(),
            current: 0,
            used: 0,
        }
    }

    /// Room for at most `PART_BYTES` bytes, whose copy the caller then adds to the stream.
    fn take(&mut self, bytes: usize, stream: CUstream) -> Result<*mut u8> {
        while self.parts.len() < PARTS {
            self.parts.push(Part::new(&self.context)?);
        }
        if self.used + bytes > PART_BYTES {
            let next = (self.current + 1) % PARTS;
            self.parts[self.current].event.record(stream)?;
            // An event that was never recorded counts as complete. After an error this part stays
            // full, so the next call waits again.
            self.parts[next].event.wait()?;
            (self.current, self.used) = (next, 0);
        }
        // SAFETY: `used` and the `bytes` behind it are within the part.
        let place = unsafe { self.parts[self.current].memory.bytes.add(self.used) };
        self.used += bytes.next_multiple_of(ALIGNMENT);
        Ok(place)
    }
}

impl Part {
    fn new(context: &Arc<Context>) -> Result<Self> {
        Ok(Self {
            memory: Pinned::new(Arc::clone(context), PART_BYTES)?,
            event: Event::new(context)?,
        })
    }
}

/// Pinned memory for downloads.
struct Landing {
    memory: Pinned,
    capacity: usize,
    /// Behind the copy to this memory.
    event: Event,
}

/// A download that was started.
struct Download {
    shared: Arc<Shared>,
    landing: Option<Landing>,
}

impl Download {
    fn landing(&self) -> Result<&Landing> {
        let landing = self.landing.as_ref();
        landing.ok_or_else(|| Error::device("a download was finished twice"))
    }
}

impl GpuDownload for Download {
    fn finish(self: Box<Self>, bytes: &mut [u8]) -> Result<()> {
        let landing = self.landing()?;
        landing.event.wait()?;
        let count = bytes.len().min(landing.capacity);
        // SAFETY: the bytes have arrived, and nothing else uses the pinned memory, which has at least
        // `count` bytes; what the caller asks for beyond the download is what was there before.
        unsafe { ptr::copy_nonoverlapping(landing.memory.bytes, bytes.as_mut_ptr(), count) };
        Ok(())
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(landing) = self.landing.take() {
            match landing.event.wait() {
                Ok(()) => self.shared.landings().push(landing),
                // The copy may still arrive.
                Err(_) => std::mem::forget(landing),
            }
        }
    }
}

/// A point in the work of a stream.
struct Event {
    context: Arc<Context>,
    handle: CUevent,
}

// SAFETY: driver handles may be used from any thread.
unsafe impl Send for Event {}

impl Event {
    /// The context must be current.
    fn new(context: &Arc<Context>) -> Result<Self> {
        let mut handle = ptr::null_mut();
        let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
        // SAFETY: the context is current, and the pointer is writable.
        check("cuEventCreate", unsafe {
            sys::cuEventCreate(&mut handle, flags)
        })?;
        Ok(Self {
            context: Arc::clone(context),
            handle,
        })
    }

    /// Puts it behind all earlier work of the stream. The context must be current.
    fn record(&self, stream: CUstream) -> Result<()> {
        // SAFETY: event and stream are alive.
        check("cuEventRecord", unsafe {
            sys::cuEventRecord(self.handle, stream)
        })
    }
}

impl GpuFence for Event {
    fn wait(&self) -> Result<()> {
        let _current = self.context.enter()?;
        // SAFETY: the event is alive.
        check("cuEventSynchronize", unsafe {
            sys::cuEventSynchronize(self.handle)
        })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Ok(_current) = self.context.enter() {
            // SAFETY: it was created in this context and is destroyed once.
            let _ = unsafe { sys::cuEventDestroy_v2(self.handle) };
        }
    }
}
