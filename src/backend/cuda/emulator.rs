//! A GPU emulated on the CPU for tests: the kernels compiled by g++ (`kernels/emulate`).

#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use libloading::Library;

use super::device::{Address, GpuDevice, GpuGraph, GpuStream, Kernel, TensorMap};
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
    library: &'static Library,
    architecture: u32,
    schedule: u64,
    taken: Arc<Mutex<Taken>>,
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
        static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
        let library = LIBRARY.get_or_init(|| {
            let path = built()?;
            // SAFETY: `built` built the library from kernels/emulate; loading it runs only
            // constructors of the C++ standard library.
            let library = unsafe { Library::new(&path) };
            Some(library.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        });
        Some(Self {
            library: library.as_ref()?,
            architecture,
            schedule,
            taken: Arc::new(Mutex::new(Taken {
                bytes: HashMap::new(),
                limit: 4 << 30,
            })),
        })
    }

    fn symbol<T: Copy>(&self, name: &str) -> T {
        let bytes = CString::new(name).unwrap();
        // SAFETY: callers name functions of kernels/emulate/library.cpp with their types, or a
        // kernel as a pointer that is only passed on.
        let symbol = unsafe { self.library.get::<T>(bytes.as_bytes_with_nul()) };
        *symbol.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The same GPU with another schedule.
    pub(super) fn with_schedule(&self, schedule: u64) -> Self {
        Self {
            schedule,
            ..self.clone()
        }
    }

    /// Disables the barrier or wait at this place in launches of this thread; an empty file enables
    /// it again.
    pub(super) fn ignore(&self, file: &str, line: i32, kind: &str) {
        let ignore: unsafe extern "C" fn(*const c_char, c_int, *const c_char) =
            self.symbol("emulate_ignore");
        let (file, kind) = (CString::new(file).unwrap(), CString::new(kind).unwrap());
        // SAFETY: both strings live through the call, which copies them.
        unsafe { ignore(file.as_ptr(), line, kind.as_ptr()) }
    }

    /// File, line and kind of each barrier and wait that launches of this thread have reached since
    /// the last call.
    pub(super) fn sites(&self) -> Vec<(String, i32, String)> {
        let sites: unsafe extern "C" fn(*mut c_char, u64) -> u64 = self.symbol("emulate_sites");
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

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The size of a structure of `parameters.cuh`.
    pub(super) fn size_of(&self, structure: &str) -> u64 {
        let size: unsafe extern "C" fn(*const c_char) -> u64 = self.symbol("emulate_size_of");
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
        let launch: Launch = self.symbol("emulate_launch");
        let function: *const c_void = self.symbol(kernel.name);
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
        Err(Error::device(format!("{}: {message}", kernel.name)))
    }
}

/// The emulator library, built unless one from the same sources exists.
fn built() -> Option<PathBuf> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut sources = Vec::new();
    for folder in [kernels.clone(), kernels.join("emulate")] {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        files
            .iter()
            .for_each(|file| sources.extend(std::fs::read(file).unwrap()));
    }
    let hash = xxhash_rust::xxh3::xxh3_64(&sources);
    // Next to the test binary, in cargo's build folder.
    let own = std::env::current_exe().unwrap();
    let path = own.with_file_name(format!("esparsa-kernels-{hash:016x}.so"));
    if path.exists() {
        return Some(path);
    }
    let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
    let output = Command::new("g++")
        .args([
            "-O3",
            "-std=c++20",
            "-DESPARSA_EMULATE",
            "-Wno-unknown-pragmas",
            "-shared",
            "-fPIC",
        ])
        .arg(kernels.join("emulate/library.cpp"))
        .arg("-o")
        .arg(&unfinished)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            eprintln!(
                "g++ cannot be run ({error}): tests of the CUDA kernels are skipped; install it to run them"
            );
            return None;
        }
    };
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "g++ refuses the kernels:\n{messages}"
    );
    std::fs::rename(&unfinished, &path).unwrap();
    Some(path)
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
        false
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        let mut taken = self.taken();
        let used: usize = taken.bytes.values().sum();
        let free = taken.limit.saturating_sub(used);
        if bytes > free {
            return Err(Error::device_memory(bytes as u64, free as u64));
        }
        let allocate: unsafe extern "C" fn(u64) -> *mut c_void = self.symbol("emulate_allocate");
        // SAFETY: the function takes any size.
        let address = unsafe { allocate(bytes as u64) } as Address;
        taken.bytes.insert(address, bytes);
        Ok(address)
    }

    fn free(&self, address: Address) {
        self.taken().bytes.remove(&address);
        let free: unsafe extern "C" fn(*mut c_void) -> c_int = self.symbol("emulate_free");
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
        Ok(Box::new(EmulatedStream {
            gpu: self.clone(),
            captured: Mutex::default(),
        }))
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

/// Captured work.
#[derive(Clone)]
enum Work {
    Launch(&'static Kernel, [u32; 3], u32, Vec<u8>),
    Fill(Address, u8, usize),
}

/// A stream that runs everything immediately, in order.
struct EmulatedStream {
    gpu: Emulator,
    captured: Mutex<Option<Vec<Work>>>,
}

impl EmulatedStream {
    /// True if the work was captured rather than to be run.
    fn capture(&self, work: impl FnOnce() -> Work) -> bool {
        let mut captured = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(list) = captured.as_mut() else {
            return false;
        };
        list.push(work());
        true
    }

    fn refuse_while_capturing(&self, what: &str) -> Result<()> {
        match self
            .captured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
        {
            true => Err(Error::device(format!("{what} during graph capture"))),
            false => Ok(()),
        }
    }
}

impl GpuStream for EmulatedStream {
    fn finishes_at_once(&self) -> bool {
        true
    }

    fn launch(
        &self,
        kernel: &'static Kernel,
        grid: [u32; 3],
        shared_bytes: u32,
        parameters: &[u8],
    ) -> Result<()> {
        let work = || Work::Launch(kernel, grid, shared_bytes, parameters.to_vec());
        if self.capture(work) || grid.contains(&0) {
            return Ok(());
        }
        self.gpu.launch(kernel, grid, shared_bytes, parameters)
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.refuse_while_capturing("an upload")?;
        // SAFETY: `to` has at least as many bytes: streams allocate what they upload.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) };
        Ok(())
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        self.refuse_while_capturing("a download")?;
        // SAFETY: as for uploads.
        unsafe {
            std::ptr::copy_nonoverlapping(from as *const u8, bytes.as_mut_ptr(), bytes.len())
        };
        Ok(())
    }

    fn fill(&self, to: Address, byte: u8, bytes: usize) -> Result<()> {
        if !self.capture(|| Work::Fill(to, byte, bytes)) {
            // SAFETY: as for uploads.
            unsafe { std::ptr::write_bytes(to as *mut u8, byte, bytes) };
        }
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        self.refuse_while_capturing("synchronization")
    }

    fn begin_capture(&self) -> Result<()> {
        *self.captured.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
        Ok(())
    }

    fn end_capture(&self) -> Result<Box<dyn GpuGraph>> {
        let captured = self
            .captured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Ok(Box::new(EmulatedGraph {
            gpu: self.gpu.clone(),
            work: captured
                .ok_or_else(|| Error::device("a graph capture ended that was not begun"))?,
        }))
    }
}

struct EmulatedGraph {
    gpu: Emulator,
    work: Vec<Work>,
}

impl GpuGraph for EmulatedGraph {
    fn launch(&self) -> Result<()> {
        for work in &self.work {
            match work {
                Work::Launch(_, grid, ..) if grid.contains(&0) => {}
                Work::Launch(kernel, grid, shared_bytes, parameters) => {
                    self.gpu.launch(kernel, *grid, *shared_bytes, parameters)?;
                }
                // SAFETY: as for uploads; the memory of a graph outlives it.
                Work::Fill(to, byte, bytes) => unsafe {
                    std::ptr::write_bytes(*to as *mut u8, *byte, *bytes);
                },
            }
        }
        Ok(())
    }
}
