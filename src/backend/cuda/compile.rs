//! From CUDA C++ to machine code by NVRTC, NVIDIA's run-time compiler library.
//!
//! NVRTC is loaded when a kernel is first needed: from the folder or file that `$ESPARSA_NVRTC`
//! names, otherwise by the system's loader. Compiled modules are cached on disk by source, options
//! and NVRTC version ([`Cache`]); where NVRTC is missing, a module compiled by another version is
//! used.
#![allow(unsafe_code)]

use std::env;
use std::ffi::{CStr, CString, c_char, c_int};
use std::fs;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::OnceLock;

use cudarc::nvrtc::sys::{self, nvrtcProgram, nvrtcResult};
use xxhash_rust::xxh3::Xxh3;

use super::cache::Cache;
use super::sources;
use crate::error::{Error, Result};

const ADVICE: &str = "install the CUDA toolkit, or the Python package nvidia-cuda-nvrtc-cu12, and name the folder of libnvrtc \
                      in LD_LIBRARY_PATH or ESPARSA_NVRTC";

/// The architecture of the Hopper sources, times ten.
const HOPPER: u32 = 90;

/// A compiled module.
pub(super) struct Compiled {
    /// The machine code.
    pub(super) cubin: Vec<u8>,
    /// The compiler's log.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "registers and spills are read by tests")
    )]
    pub(super) log: String,
}

/// Whether kernels are available for an architecture: NVRTC is installed, or the cache has every
/// module.
///
/// # Errors
///
/// [`Error::Device`], saying what to install.
pub(super) fn is_possible(cache: &Cache, architecture: u32) -> Result<()> {
    version().map(drop).or_else(|absent| {
        let mut files = sources::FILES
            .iter()
            .filter(|(file, _)| architecture == HOPPER || !sources::is_hopper(file));
        match files.all(|(file, _)| {
            cache
                .find(&begin_of_name(file, architecture), ".cubin")
                .is_some()
        }) {
            true => Ok(()),
            false => Err(absent),
        }
    })
}

/// The module of `file` for an architecture, from the cache or compiled.
///
/// # Errors
///
/// [`Error::Device`] with the compiler's log, or saying what to install if there is no compiler.
pub(super) fn module(cache: &Cache, file: &str, architecture: u32) -> Result<Vec<u8>> {
    let begin = begin_of_name(file, architecture);
    let (major, minor) = match version() {
        Ok(version) => version,
        Err(absent) => return cache.find(&begin, ".cubin").ok_or(absent),
    };
    let name = format!("{begin}{major}.{minor}.cubin");
    if let Some(cubin) = cache.get(&name) {
        return Ok(cubin);
    }
    let compiled = compile(file, &sources::text(file), &options(file, architecture))?;
    cache.put(&name, &compiled.cubin);
    Ok(compiled.cubin)
}

/// The name of a module in the cache, up to the NVRTC version:
/// `rows-sm_90-50871d7824ed17a7188890db1715d01a-`, with a hash of source and options.
fn begin_of_name(file: &str, architecture: u32) -> String {
    let mut hash = Xxh3::new();
    for part in options(file, architecture)
        .iter()
        .chain([&sources::text(file)])
    {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    let stem = file.trim_end_matches(".cu");
    format!("{stem}-sm_{architecture}-{:032x}-", hash.digest128())
}

/// The compiler options. Hopper sources are compiled for sm_90a, whose instructions no later
/// architecture has.
fn options(file: &str, architecture: u32) -> [String; 4] {
    let suffix = if sources::is_hopper(file) { "a" } else { "" };
    [
        format!("--gpu-architecture=sm_{architecture}{suffix}"),
        "--std=c++17".into(),
        "--device-as-default-execution-space".into(),
        // Print registers, stack and spills of each kernel to the log.
        "--ptxas-options=-v".into(),
    ]
}

/// The version of NVRTC; the library is loaded on the first call.
///
/// # Errors
///
/// [`Error::Device`], saying what to install if it is missing.
pub(super) fn version() -> Result<(i32, i32)> {
    static FOUND: OnceLock<std::result::Result<(i32, i32), String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        if let Some(place) = env::var_os("ESPARSA_NVRTC").filter(|place| !place.is_empty()) {
            preload(Path::new(&place))?;
        }
        // SAFETY: loading a library runs its initializers; NVRTC's only set up its own data.
        if !unsafe { sys::is_culib_present() } {
            return Err(format!(
                "kernels cannot be compiled: the library NVRTC is not found; {ADVICE}"
            ));
        }
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the library is loaded, and both pointers are writable.
        check("nvrtcVersion", unsafe {
            sys::nvrtcVersion(&mut major, &mut minor)
        })?;
        Ok((major, minor))
    });
    found.clone().map_err(Error::device)
}

/// Loads NVRTC from a folder or file, permanently. A later load by name (`libnvrtc.so.12`) then
/// returns this library. Setting LD_LIBRARY_PATH would have no effect: the loader reads it only
/// when the process starts.
fn preload(place: &Path) -> std::result::Result<(), String> {
    let file = match place.is_dir() {
        true => library_in(place),
        false => Some(place.to_path_buf()),
    };
    let Some(file) = file else {
        return Err(format!(
            "{}: expected a folder with libnvrtc, as ESPARSA_NVRTC says, found none in it; {ADVICE}",
            place.display()
        ));
    };
    // SAFETY: loading a library runs its initializers; whoever sets the variable vouches that it is
    // NVRTC, whose initializers only set up its own data.
    let library = unsafe { libloading::Library::new(&file) }.map_err(|error| {
        format!(
            "{}: cannot load NVRTC from ESPARSA_NVRTC: {error}",
            file.display()
        )
    })?;
    // Dropping the handle would unload the library.
    std::mem::forget(library);
    Ok(())
}

/// The NVRTC library in a folder: `libnvrtc.so.12`, `nvrtc64_120_0.dll`, but not its parts
/// (`libnvrtc-builtins.so.12.9`) or variants.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            name.starts_with("libnvrtc.so")
                || name.starts_with("nvrtc64_") && name.ends_with("_0.dll")
        })
        .collect();
    names.sort_unstable();
    Some(folder.join(names.pop()?))
}

fn check(call: &str, result: nvrtcResult) -> std::result::Result<(), String> {
    match result {
        nvrtcResult::NVRTC_SUCCESS => Ok(()),
        error => Err(format!("{call}: {error:?}")),
    }
}

/// An NVRTC program.
struct Program(nvrtcProgram);

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: the program was created and is destroyed only here.
        let _ = unsafe { sys::nvrtcDestroyProgram(&mut self.0) };
    }
}

impl Program {
    fn new(name: &CStr, text: &CStr) -> std::result::Result<Self, String> {
        let mut program = ptr::null_mut();
        // SAFETY: both strings are null-terminated and copied; there are no headers.
        let result = unsafe {
            let (text, name, none) = (text.as_ptr(), name.as_ptr(), ptr::null());
            sys::nvrtcCreateProgram(&mut program, text, name, 0, none, none)
        };
        check("nvrtcCreateProgram", result)?;
        Ok(Self(program))
    }

    fn compile(&self, options: &[CString]) -> std::result::Result<(), String> {
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let count = options.len() as c_int;
        // SAFETY: the program is alive, and `options` has `count` pointers to null-terminated
        // strings.
        let result = unsafe { sys::nvrtcCompileProgram(self.0, count, options.as_ptr()) };
        check("nvrtcCompileProgram", result)
    }

    fn log(&self) -> std::result::Result<String, String> {
        let mut bytes = 0;
        // SAFETY: the program is alive, and the pointer is writable.
        check("nvrtcGetProgramLogSize", unsafe {
            sys::nvrtcGetProgramLogSize(self.0, &mut bytes)
        })?;
        let mut log = vec![0u8; bytes];
        // SAFETY: the program is alive, and the buffer has the size that NVRTC returned.
        check("nvrtcGetProgramLog", unsafe {
            sys::nvrtcGetProgramLog(self.0, log.as_mut_ptr().cast())
        })?;
        let text = String::from_utf8_lossy(&log);
        Ok(text.trim_end_matches('\0').trim_end().to_owned())
    }

    fn cubin(&self) -> std::result::Result<Vec<u8>, String> {
        let mut bytes = 0;
        // SAFETY: the program is alive, and the pointer is writable.
        check("nvrtcGetCUBINSize", unsafe {
            sys::nvrtcGetCUBINSize(self.0, &mut bytes)
        })?;
        let mut cubin = vec![0u8; bytes];
        // SAFETY: the program is alive, and the buffer has the size that NVRTC returned.
        check("nvrtcGetCUBIN", unsafe {
            sys::nvrtcGetCUBIN(self.0, cubin.as_mut_ptr().cast())
        })?;
        Ok(cubin)
    }
}

/// Compiles a source, which messages call `file`.
fn compile(file: &str, text: &str, options: &[String]) -> Result<Compiled> {
    let (major, minor) = version()?;
    let whom = || format!("NVRTC {major}.{minor}, {file}, {}", options[0]);
    let c_string = |text: &str| {
        CString::new(text).map_err(|_| Error::device(format!("{file}: a source has a byte 0")))
    };
    let name = c_string(file)?;
    let text = c_string(text)?;
    let arguments = options
        .iter()
        .map(|option| c_string(option))
        .collect::<Result<Vec<_>>>()?;

    let failed = |error: String| Error::device(format!("{}: {error}", whom()));
    let program = Program::new(&name, &text).map_err(failed)?;
    let result = program.compile(&arguments);
    let log = program.log().map_err(failed)?;
    match result {
        Ok(()) => Ok(Compiled {
            cubin: program.cubin().map_err(failed)?,
            log,
        }),
        Err(error) => Err(Error::device(format!("{}: {error}\n{log}", whom()))),
    }
}

#[cfg(test)]
mod tests;
