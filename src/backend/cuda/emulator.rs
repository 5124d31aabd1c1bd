//! A GPU emulated on the CPU for tests: the kernels compiled by g++ (`kernels/emulate`).

#![allow(unsafe_code)]

mod library;
mod stream;

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use library::symbol;
use stream::{EmulatedStream, WorkList};

use super::device::{Address, GpuDevice, GpuStream, Kernel, TensorMap};
use crate::error::{Error, Result};

type Launch = unsafe extern "C" fn(
    *const c_void,
    *const [u32; 3],
    u32,
    u64,
    *const c_void,
    u64,
    *mut c_char,
    u64,
) -> c_int;

/// An emulated GPU. Its schedule decides in what order threads run and when copies complete.
#[derive(Clone)]
pub(super) struct Emulator {
    architecture: u32,
    schedule: u64,
    /// Streams work as late as they may, and freed buffers are used again.
    is_late: bool,
    taken: Arc<Mutex<Taken>>,
    streams: Arc<Mutex<Vec<Weak<WorkList>>>>,
}

/// What launches are checked by besides their results: the same as in machine.h.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Rule {
    Warpgroups = 1,
    Proxies = 2,
    Accumulators = 4,
    Races = 8,
    Phases = 16,
    Blocks = 32,
    Traffic = 64,
}

impl Rule {
    /// All but the count of traffic.
    pub(super) const ALL: u32 = 63;
}

/// The accesses of warps at a line of the sources: to shared memory in wavefronts of 128 bytes, to
/// global memory in sectors of 32 bytes.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    pub(super) place: String,
    pub(super) is_shared: bool,
    pub(super) accesses: u64,
    /// Without conflicts, or if all bytes of the sectors were used; what it was; the most of one
    /// access.
    pub(super) least: u64,
    pub(super) actual: u64,
    pub(super) worst: u64,
}

impl Traffic {
    fn of_line(line: &str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let number = |place: usize| words[place].parse().unwrap();
        Self {
            place: words[0].to_owned(),
            is_shared: words[1] == "1",
            accesses: number(2),
            least: number(3),
            actual: number(4),
            worst: number(5),
        }
    }

    fn add(&mut self, other: &Self) {
        self.accesses += other.accesses;
        self.least += other.least;
        self.actual += other.actual;
        self.worst = self.worst.max(other.worst);
    }
}

/// The allocations.
struct Taken {
    bytes: HashMap<Address, usize>,
    limit: usize,
}

/// Parameters, aligned as tensor maps require.
#[repr(align(128))]
struct Aligned([u8; 1024]);

impl Emulator {
    /// `None`, with a message on standard error, on a machine without g++.
    pub(super) fn new(architecture: u32, schedule: u64) -> Option<Self> {
        library::loaded()?;
        Some(Self {
            architecture,
            schedule,
            is_late: false,
            streams: Arc::default(),
            taken: Arc::new(Mutex::new(Taken {
                bytes: HashMap::new(),
                limit: 4 << 30,
            })),
        })
    }

    /// The same GPU with another schedule.
    pub(super) fn with_schedule(&self, schedule: u64) -> Self {
        Self {
            schedule,
            ..self.clone()
        }
    }

    /// The same GPU with streams that work only when somebody waits for them, as far ahead of each
    /// other as the schedule says, and with buffers that are used again.
    pub(super) fn with_late_streams(&self) -> Self {
        Self {
            is_late: true,
            ..self.clone()
        }
    }

    /// Disables the barrier or wait at this place in launches of this thread; an empty file enables
    /// it again.
    pub(super) fn ignore(&self, file: &str, line: i32, kind: &str) {
        let ignore: unsafe extern "C" fn(*const c_char, c_int, *const c_char) =
            symbol("emulate_ignore");
        let (file, kind) = (CString::new(file).unwrap(), CString::new(kind).unwrap());
        // SAFETY: both strings live through the call, which copies them.
        unsafe { ignore(file.as_ptr(), line, kind.as_ptr()) }
    }

    /// Which rules launches of this thread are checked by: a sum of [`Rule`]s.
    pub(super) fn set_rules(&self, rules: u32) {
        let set: unsafe extern "C" fn(u32) = symbol("emulate_rules");
        // SAFETY: any sum of rules is right.
        unsafe { set(rules) }
    }

    /// The accesses to memory that launches of this thread have made since the last call, by line,
    /// if [`Rule::Traffic`] is on.
    pub(super) fn traffic(&self) -> Vec<Traffic> {
        let lines: unsafe extern "C" fn(*mut c_char, u64) -> u64 = symbol("emulate_traffic");
        let mut text = vec![0_u8; 1 << 20];
        // SAFETY: at most `text.len()` bytes are written, including a terminating null.
        unsafe { lines(text.as_mut_ptr().cast(), text.len() as u64) };
        let text = CStr::from_bytes_until_nul(&text).unwrap();
        let text = library::resolved(text.to_str().unwrap());
        let mut found: Vec<Traffic> = Vec::new();
        for line in text.lines().map(Traffic::of_line) {
            let is_same = |known: &&mut Traffic| {
                known.place == line.place && known.is_shared == line.is_shared
            };
            match found.iter_mut().find(is_same) {
                Some(known) => known.add(&line),
                None => found.push(line),
            }
        }
        found
    }

    /// File, line and kind of each barrier and wait that launches of this thread have reached since
    /// the last call.
    pub(super) fn sites(&self) -> Vec<(String, i32, String)> {
        let sites: unsafe extern "C" fn(*mut c_char, u64) -> u64 = symbol("emulate_sites");
        let mut text = vec![0_u8; 1 << 20];
        // SAFETY: at most `text.len()` bytes are written, including a terminating null.
        unsafe { sites(text.as_mut_ptr().cast(), text.len() as u64) };
        let text = CStr::from_bytes_until_nul(&text).unwrap();
        let line = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            (
                words[0].to_owned(),
                words[1].parse().unwrap(),
                words[2].to_owned(),
            )
        };
        text.to_str().unwrap().lines().map(line).collect()
    }

    /// Sets the memory size of the GPU in bytes.
    pub(super) fn limit(&self, bytes: usize) {
        self.taken().limit = bytes;
    }

    /// An error unless these bytes are in an allocation.
    fn check_live(&self, address: Address, bytes: usize) -> Result<()> {
        let taken = self.taken();
        let is_in = |(start, size): (&Address, &usize)| {
            *start <= address && address + bytes as u64 <= start + *size as u64
        };
        match bytes == 0 || taken.bytes.iter().any(is_in) {
            true => Ok(()),
            false => Err(Error::device(format!(
                "a copy of {bytes} bytes at {address:#x}, which is not allocated"
            ))),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The size of a structure of `parameters.cuh`.
    pub(super) fn size_of(&self, structure: &str) -> u64 {
        let size: unsafe extern "C" fn(*const c_char) -> u64 = symbol("emulate_size_of");
        let name = CString::new(structure).unwrap();
        // SAFETY: the string lives through the call.
        unsafe { size(name.as_ptr()) }
    }

    fn launch(
        &self,
        kernel: &Kernel,
        grid: [u32; 3],
        shared_bytes: u32,
        parameters: &[u8],
    ) -> Result<()> {
        assert_eq!(parameters.len(), kernel.parameter_bytes, "{}", kernel.name);
        let launch: Launch = symbol("emulate_launch");
        let function: *const c_void = symbol(kernel.name);
        let mut place = Aligned([0xff; 1024]);
        place.0[..parameters.len()].copy_from_slice(parameters);
        let mut message = vec![0_u8; 1024];
        // SAFETY: the kernel takes a pointer to its one structure, whose size is that of the bytes
        // (`structures_are_those_of_the_kernels`); addresses in it belong to this GPU, and the
        // emulator catches any access beyond them. The message is null-terminated.
        let failed = unsafe {
            launch(
                function,
                &grid,
                kernel.threads,
                shared_bytes.into(),
                place.0.as_ptr().cast(),
                self.schedule,
                message.as_mut_ptr().cast(),
                message.len() as u64,
            )
        };
        if failed == 0 {
            return Ok(());
        }
        let message = CStr::from_bytes_until_nul(&message).unwrap_or_default();
        let message = message.to_string_lossy();
        Err(Error::device(format!(
            "{}: {}",
            kernel.name,
            library::resolved(&message)
        )))
    }
}

impl GpuDevice for Emulator {
    fn name(&self) -> String {
        format!(
            "emulated GPU, sm_{}, schedule {}",
            self.architecture, self.schedule
        )
    }

    fn architecture(&self) -> u32 {
        self.architecture
    }

    fn multiprocessors(&self) -> u32 {
        1 + u32::try_from(self.schedule % 3).unwrap()
    }

    fn shared_bytes(&self) -> u32 {
        227 * 1024
    }

    fn granularity(&self) -> usize {
        16
    }

    fn reuses_buffers(&self) -> bool {
        self.is_late
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        let mut taken = self.taken();
        let used: usize = taken.bytes.values().sum();
        let free = taken.limit.saturating_sub(used);
        if bytes > free {
            return Err(Error::device_memory(bytes as u64, free as u64));
        }
        let allocate: unsafe extern "C" fn(u64) -> *mut c_void = symbol("emulate_allocate");
        // SAFETY: the function takes any size.
        let address = unsafe { allocate(bytes as u64) } as Address;
        taken.bytes.insert(address, bytes);
        Ok(address)
    }

    fn free(&self, address: Address) {
        self.taken().bytes.remove(&address);
        let free: unsafe extern "C" fn(*mut c_void) -> c_int = symbol("emulate_free");
        // SAFETY: the function refuses memory that was not allocated.
        let was_there = unsafe { free(address as *mut c_void) };
        assert_ne!(
            was_there, 0,
            "{address:#x} was freed twice or never given out"
        );
    }

    fn memory(&self) -> Result<(usize, usize)> {
        let taken = self.taken();
        let used: usize = taken.bytes.values().sum();
        Ok((taken.limit.saturating_sub(used), taken.limit))
    }

    fn stream(&self) -> Result<Box<dyn GpuStream>> {
        let stream = EmulatedStream::new(self);
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|list| list.strong_count() > 0);
        streams.push(stream.list());
        Ok(Box::new(stream))
    }

    fn tensor_map(
        &self,
        address: Address,
        rows: usize,
        columns: usize,
        stride: usize,
        box_rows: usize,
    ) -> Result<TensorMap> {
        assert!(
            rows > 0 && address.is_multiple_of(16) && stride.is_multiple_of(8) && box_rows <= 256
        );
        let mut map = TensorMap([0; 16]);
        map.0[..5].copy_from_slice(&[
            address,
            columns as u64,
            rows as u64,
            2 * stride as u64,
            64 | (box_rows as u64) << 32,
        ]);
        Ok(map)
    }
}
