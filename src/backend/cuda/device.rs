//! What kernels run on: a card, or a processor that emulates one.
//!
//! The backend knows addresses, queues and kernels by name. [`Device`] gives memory and queues, a [`Queue`] runs kernels and copies in order, a
//! [`Recording`] runs again what a queue once ran. `Driver` is a card; the emulator of the tests is the other device.
//!
//! Invariant: a device knows nothing of tensors. Addresses, grids and parameters are taken as they are: a wrong one is a fault of the device or
//! a wrong result, as a wrong index in a kernel would be.

use zerocopy::{Immutable, IntoBytes};

use crate::error::Result;

/// A place in the device's memory; 0 is none.
pub(super) type Address = u64;

/// A kernel of `kernels/`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kernel {
    /// Its name in the source.
    pub(super) name: &'static str,
    /// The source that has it, such as `rows.cu`.
    pub(super) file: &'static str,
    /// Threads a block: as many as the source says in `KERNEL(name, threads, blocks)`.
    pub(super) threads: u32,
    /// It is written for sm_90 alone, with instructions that other architectures do not have.
    pub(super) hopper: bool,
}

/// What the tensor copies of sm_90 must know about rows in memory; part of a kernel's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C, align(64))]
pub(super) struct TensorMap(pub(super) [u64; 16]);

impl TensorMap {
    /// Describes nothing.
    pub(super) const ABSENT: Self = Self([0; 16]);
}

/// Memory and queues.
pub(super) trait Device: Send + Sync {
    /// What it is, for people: `NVIDIA H100 80GB HBM3, sm_90, driver 13.0`.
    fn name(&self) -> String;

    /// The compute capability times ten: 80, 86, 89, 90.
    fn architecture(&self) -> u32;

    /// How many multiprocessors it has.
    fn multiprocessors(&self) -> u32;

    /// The greatest number of bytes of shared memory that a block can have.
    fn shared_bytes(&self) -> u32;

    /// Memory is to be taken in multiples of this number of bytes.
    fn granularity(&self) -> usize;

    /// Whether buffers that are given back shall be kept for the next taker.
    fn keeps_buffers(&self) -> bool;

    /// Memory of at least `bytes` bytes, with anything in it; 16-byte boundaries are kept at least.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device); [`Error::is_device_memory`](crate::Error::is_device_memory) tells when there is no room.
    fn allocate(&self, bytes: usize) -> Result<Address>;

    /// Gives memory back, that no queue uses any more.
    fn free(&self, address: Address);

    /// Bytes that are free, and all.
    fn memory(&self) -> Result<(usize, usize)>;

    /// A new queue.
    fn queue(&self) -> Result<Box<dyn Queue>>;

    /// Describes `rows` × `columns` numbers of bf16 at `address`, `stride` numbers from row to row, to tensor copies of boxes of `box_rows` × 64
    /// columns, swizzled by 128 bytes. Where a box reaches beyond the last row or column, zeros are copied.
    ///
    /// # Errors
    ///
    /// For no rows, for addresses and strides that are no multiples of 16 bytes, and on devices that have no tensor copies.
    fn tensor_map(
        &self,
        address: Address,
        rows: usize,
        columns: usize,
        stride: usize,
        box_rows: usize,
    ) -> Result<TensorMap>;
}

/// Work that is done in order; several queues work side by side.
///
/// Errors of kernels come late: from whichever call of the queue next finds them, at the latest from `download` or `synchronize`.
///
/// # Recording
///
/// Between `begin_recording` and `end_recording` launches and fills are noted, not done; uploads, downloads and synchronization are refused. What
/// differs from replay to replay is therefore uploaded before each replay, in the same queue, to where the recorded kernels read it. Memory that a
/// recording uses must stay as long as the recording does. Kernels must have run once before they are recorded, so that they are
/// compiled and loaded. One thread at a time uses a queue that records.
pub(super) trait Queue: Send + Sync {
    /// Runs `kernel` with `grid` blocks of `kernel.threads` threads and `shared_bytes` of shared memory each. The kernel's parameter is the structure
    /// whose bytes these are. A grid with a 0 is nothing to do.
    fn launch(
        &self,
        kernel: &'static Kernel,
        grid: [u32; 3],
        shared_bytes: u32,
        parameters: &[u8],
    ) -> Result<()>;

    /// Copies `bytes` to the device in the queue's order; returns as soon as the slice is no longer needed.
    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()>;

    /// Waits for everything before, then fills `bytes` from the device.
    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()>;

    /// Sets `bytes` bytes to `byte`.
    fn fill(&self, to: Address, byte: u8, bytes: usize) -> Result<()>;

    /// Waits until everything is done.
    fn synchronize(&self) -> Result<()>;

    /// Notes what follows instead of doing it.
    fn begin_recording(&self) -> Result<()>;

    /// Ends what `begin_recording` began; must also be called after an error in between.
    fn end_recording(&self) -> Result<Box<dyn Recording>>;
}

/// Work of a queue that can be done again.
pub(super) trait Recording: Send + Sync {
    /// Does it again, in the queue that it was recorded from and in that queue's order.
    fn replay(&self) -> Result<()>;
}
