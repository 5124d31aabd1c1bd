//! What kernels run on: a GPU, or an emulator on the CPU.
//!
//! A [`GpuDevice`] provides memory and streams, a [`GpuStream`] runs kernels and copies in order, a
//! [`GpuGraph`] launches captured work again. `Driver` is a real GPU; the tests have an emulator.
//!
//! Invariant: a device knows nothing of tensors. It does not check addresses, grids and parameters:
//! a wrong one causes a device fault or a wrong result, like a wrong index in a kernel.

use zerocopy::{Immutable, IntoBytes};

use crate::error::Result;

/// A device address; 0 is null.
pub(super) type Address = u64;

/// The maximum size of kernel parameters that every supported driver accepts.
pub(super) const MAX_PARAMETER_BYTES: usize = 4096;

/// A kernel of `kernels/`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kernel {
    /// Its name in the source.
    pub(super) name: &'static str,
    /// Its source file, such as `rows.cu`.
    pub(super) file: &'static str,
    /// Threads per block: the same as in `KERNEL(name, threads, blocks)`.
    pub(super) threads: u32,
    /// The size of its parameter structure.
    pub(super) parameter_bytes: usize,
    /// It is for sm_90 only and uses instructions that other architectures lack.
    pub(super) hopper: bool,
}

/// The tensor map (TMA descriptor) of a matrix in memory; part of a kernel's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C, align(128))]
pub(super) struct TensorMap(pub(super) [u64; 16]);

impl TensorMap {
    /// The map of no matrix.
    pub(super) const ABSENT: Self = Self([0; 16]);
}

/// A GPU: memory and streams.
pub(super) trait GpuDevice: Send + Sync {
    /// The name, for people: `NVIDIA H100 80GB HBM3, sm_90, driver 13.0`.
    fn name(&self) -> String;

    /// The compute capability times ten: 80, 86, 89, 90.
    fn architecture(&self) -> u32;

    /// The number of multiprocessors.
    fn multiprocessors(&self) -> u32;

    /// The maximum number of bytes of shared memory per block.
    fn shared_bytes(&self) -> u32;

    /// Allocation sizes are multiples of this number of bytes.
    fn granularity(&self) -> usize;

    /// Whether freed buffers are pooled and used again.
    fn reuses_buffers(&self) -> bool;

    /// Allocates at least `bytes` bytes of uninitialized memory, aligned to at least 16 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device);
    /// [`Error::is_device_memory`](crate::Error::is_device_memory) tells whether it ran out of
    /// memory.
    fn allocate(&self, bytes: usize) -> Result<Address>;

    /// Frees memory that no stream uses any more.
    fn free(&self, address: Address);

    /// Free and total memory in bytes.
    fn memory(&self) -> Result<(usize, usize)>;

    /// Creates a stream.
    fn stream(&self) -> Result<Box<dyn GpuStream>>;

    /// Encodes a tensor map of `rows` × `columns` bf16 values at `address`, `stride` elements from
    /// row to row, for boxes of `box_rows` × 64 columns with 128-byte swizzle. Loads beyond the
    /// last row or column are filled with zeros.
    ///
    /// # Errors
    ///
    /// If there are no rows, if address or stride is not a multiple of 16 bytes, and on devices
    /// without tensor maps.
    fn tensor_map(
        &self,
        address: Address,
        rows: usize,
        columns: usize,
        stride: usize,
        box_rows: usize,
    ) -> Result<TensorMap>;
}

/// Work that runs in order; several streams run concurrently.
///
/// Kernel errors are asynchronous: a later call of the stream reports them, `download` or
/// `synchronize` at the latest.
///
/// # Graph capture
///
/// Between `begin_capture` and `end_capture` launches and fills are captured rather than run;
/// uploads, downloads and synchronization are refused. Inputs that differ between launches of the
/// graph must therefore be uploaded before each launch, on the same stream, to the addresses that
/// the captured kernels read. Memory that the graph uses must outlive it. Every kernel must have
/// run once before capture, so that it is compiled and loaded. Only one thread may use a stream
/// during capture.
pub(super) trait GpuStream: Send + Sync {
    /// True if work has finished when the call that adds it returns, as on some emulators.
    fn finishes_at_once(&self) -> bool {
        false
    }

    /// Launches `kernel` with `grid` blocks of `kernel.threads` threads and `shared_bytes` of
    /// dynamic shared memory. `parameters` are the bytes of its parameter structure. A grid with a
    /// 0 launches nothing.
    fn launch(
        &self,
        kernel: &'static Kernel,
        grid: [u32; 3],
        shared_bytes: u32,
        parameters: &[u8],
    ) -> Result<()>;

    /// Copies `bytes` to the device in stream order; returns when the slice may be reused.
    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()>;

    /// Waits for all earlier work, then copies from the device to `bytes`.
    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()>;

    /// Adds a copy of at most [`MAX_DOWNLOAD_BYTES`] from the device, to wait for later, while other
    /// threads may add work.
    fn start_download(&self, from: Address, bytes: usize) -> Result<Box<dyn GpuDownload>> {
        let mut copy = vec![0; bytes];
        self.download(from, &mut copy)?;
        Ok(Box::new(Copied(copy)))
    }

    /// A point behind all earlier work, to wait for later, while other threads may add work.
    fn fence(&self) -> Result<Box<dyn GpuFence>> {
        self.synchronize()?;
        Ok(Box::new(Passed))
    }

    /// Frees the host memory that copies go through. All work has finished, and no download is
    /// under way.
    fn release_pinned(&self) {}

    /// Sets `bytes` bytes to `byte`.
    fn fill(&self, to: Address, byte: u8, bytes: usize) -> Result<()>;

    /// Waits until all work has finished.
    fn synchronize(&self) -> Result<()>;

    /// Starts capturing work instead of running it.
    fn begin_capture(&self) -> Result<()>;

    /// Ends the capture; must also be called after an error during the capture.
    fn end_capture(&self) -> Result<Box<dyn GpuGraph>>;
}

/// The maximum size of a download that is started.
pub(super) const MAX_DOWNLOAD_BYTES: usize = 8 << 20;

/// A download that was started.
pub(super) trait GpuDownload: Send {
    /// Waits for it, and gives as many bytes as were asked for.
    fn finish(self: Box<Self>, bytes: &mut [u8]) -> Result<()>;
}

/// A download that was finished when it was started.
struct Copied(Vec<u8>);

impl GpuDownload for Copied {
    fn finish(self: Box<Self>, bytes: &mut [u8]) -> Result<()> {
        bytes.copy_from_slice(&self.0);
        Ok(())
    }
}

/// A point in the work of a stream.
pub(super) trait GpuFence: Send {
    /// Waits until the work before it has finished.
    fn wait(&self) -> Result<()>;
}

/// A fence that was passed when it was made.
struct Passed;

impl GpuFence for Passed {
    fn wait(&self) -> Result<()> {
        Ok(())
    }
}

/// A captured graph.
pub(super) trait GpuGraph: Send + Sync {
    /// Launches the graph on the stream that it was captured from, in stream order.
    fn launch(&self) -> Result<()>;
}
