//! From CUDA C++ to machine code by NVRTC, NVIDIA's run-time compiler library.
//!
//! NVRTC is loaded when a kernel is first needed: from the folder or file that `$ESPARSA_NVRTC`
//! names, otherwise by the system's loader. Compiled modules are cached on disk by source, options
//! and NVRTC version ([`Cache`]). Where NVRTC is missing, or where `$ESPARSA_CACHE_ANY` is set, a
//! module compiled by another version is used. [`ahead`] fills a cache for a GPU that need not be
//! there.
//!
//! | file | concept |
//! | --- | --- |
//! | `nvrtc` | the compiler library |
//! | `usage` | the compiler's log: registers, stack, spills, slow code |
#![allow(unsafe_code)]

mod nvrtc;
mod usage;

use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use xxhash_rust::xxh3::Xxh3;

pub use self::usage::KernelUsage;

use self::nvrtc::{Nvrtc, nvrtc};
use super::cache::Cache;
use super::sources;
use crate::error::{Error, Result};

/// The architecture of the Hopper sources, times ten.
const HOPPER: u32 = 90;
/// Architectures that kernels are compiled for, times ten.
const ARCHITECTURES: [u32; 6] = [80, 86, 89, 90, 100, 120];

/// A module of kernels that was compiled ahead of time: one source for one architecture.
#[derive(Clone, Debug)]
pub struct CompiledModule {
    /// The source, such as `rows.cu`.
    pub source: &'static str,
    /// What it was compiled for, such as `sm_90a`.
    pub architecture: String,
    /// Major and minor version of the NVRTC that compiled it.
    pub nvrtc: (i32, i32),
    /// Bytes of machine code.
    pub bytes: usize,
    /// Its kernels, by name.
    pub kernels: Vec<KernelUsage>,
    /// Messages of the compiler about code that is correct but slow.
    pub slow_code: Vec<String>,
}

/// The sources that run on an architecture.
fn files(architecture: u32) -> impl Iterator<Item = &'static str> {
    let files = sources::FILES.iter().map(|(file, _)| *file);
    files.filter(move |file| architecture == HOPPER || !sources::is_hopper(file))
}

/// Whether kernels are available for an architecture: NVRTC is installed, or the cache has every
/// module.
///
/// # Errors
///
/// [`Error::Device`], saying what to install.
pub(super) fn is_possible(cache: &Cache, architecture: u32) -> Result<()> {
    is_possible_with(nvrtc, cache, architecture)
}

fn is_possible_with<'a>(
    nvrtc: impl Fn() -> Result<&'a Nvrtc>,
    cache: &Cache,
    architecture: u32,
) -> Result<()> {
    let has_module = |file| {
        cache
            .find(&begin_of_name(file, architecture), ".cubin")
            .is_some()
    };
    let has_all = || files(architecture).all(has_module);
    if cache.takes_any_version && has_all() {
        return Ok(());
    }
    nvrtc().map(drop).or_else(|absent| match has_all() {
        true => Ok(()),
        false => Err(absent),
    })
}

/// The module of `file` for an architecture, from the cache or compiled.
///
/// # Errors
///
/// [`Error::Device`] with the compiler's log, or saying what to install if there is no compiler.
pub(super) fn module(cache: &Cache, file: &str, architecture: u32) -> Result<Vec<u8>> {
    module_with(nvrtc, cache, file, architecture)
}

fn module_with<'a>(
    nvrtc: impl Fn() -> Result<&'a Nvrtc>,
    cache: &Cache,
    file: &str,
    architecture: u32,
) -> Result<Vec<u8>> {
    let begin = begin_of_name(file, architecture);
    let of_any_version = || cache.find(&begin, ".cubin");
    // Before NVRTC is loaded, which takes longer than to read the cache.
    if cache.takes_any_version
        && let Some(cubin) = of_any_version()
    {
        return Ok(cubin);
    }
    let nvrtc = match nvrtc() {
        Ok(nvrtc) => nvrtc,
        Err(absent) => return of_any_version().ok_or(absent),
    };
    let name = name(file, architecture, nvrtc.version());
    if let Some(cubin) = cache.get(&name) {
        return Ok(cubin);
    }
    let (cubin, _) = compile(nvrtc, file, &sources::text(file), architecture)?;
    cache.put(&name, &cubin);
    Ok(cubin)
}

/// Compiles all kernels for an architecture into a folder that can then be the cache of a machine
/// with such a GPU, on this number of threads. What the folder already has is compiled again.
///
/// # Errors
///
/// [`Error::Device`] if there is no such architecture or no NVRTC, or with the compiler's log;
/// [`Error::Io`] if the folder cannot be written.
pub(super) fn ahead(
    architecture: &str,
    folder: &Path,
    threads: usize,
) -> Result<Vec<CompiledModule>> {
    let number = architecture_of(architecture)?;
    let files: Vec<_> = files(number).collect();
    let cache = Cache::at_root(folder);
    compile_files(nvrtc()?, number, &files, &cache, threads)
}

/// Compiles some sources, in their order, into a cache.
fn compile_files(
    nvrtc: &Nvrtc,
    architecture: u32,
    files: &[&'static str],
    cache: &Cache,
    threads: usize,
) -> Result<Vec<CompiledModule>> {
    let compiled = on_threads(threads, files.len(), |index| {
        let file = files[index];
        let (cubin, log) = compile(nvrtc, file, &sources::text(file), architecture)?;
        cache.write(&name(file, architecture, nvrtc.version()), &cubin)?;
        Ok(CompiledModule {
            source: file,
            architecture: suffixed(file, architecture),
            nvrtc: nvrtc.version(),
            bytes: cubin.len(),
            kernels: usage::usages(&log),
            slow_code: usage::slow_code(&log),
        })
    });
    compiled.into_iter().collect()
}

/// What `run` gives for each of `0..count`, in order, on this number of threads.
fn on_threads<T: Send>(threads: usize, count: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    let result = run(index);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// 90 of `sm_90` or `sm_90a`: a GPU of compute capability 9.0 runs what is compiled for either.
fn architecture_of(name: &str) -> Result<u32> {
    let known =
        |number: &u32| name == format!("sm_{number}") || *number == HOPPER && name == "sm_90a";
    ARCHITECTURES.into_iter().find(known).ok_or_else(|| {
        let names = ARCHITECTURES.map(|number| format!("sm_{number}"));
        Error::device(format!(
            "expected an architecture among {} and sm_90a, found {name}",
            names.join(", ")
        ))
    })
}

/// The name of a module in the cache: `rows-sm_90-50871d7824ed17a7188890db1715d01a-13.0.cubin`.
pub(super) fn name(file: &str, architecture: u32, (major, minor): (i32, i32)) -> String {
    format!("{}{major}.{minor}.cubin", begin_of_name(file, architecture))
}

/// The name of a module in the cache up to the NVRTC version, with a hash of source and options.
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

/// The architecture as the compiler's options name it. Hopper sources are compiled for sm_90a,
/// whose instructions no later architecture has.
fn suffixed(file: &str, architecture: u32) -> String {
    let suffix = if sources::is_hopper(file) { "a" } else { "" };
    format!("sm_{architecture}{suffix}")
}

/// The compiler options.
fn options(file: &str, architecture: u32) -> [String; 4] {
    [
        format!("--gpu-architecture={}", suffixed(file, architecture)),
        "--std=c++17".into(),
        "--device-as-default-execution-space".into(),
        // Print registers, stack and spills of each kernel to the log.
        "--ptxas-options=-v".into(),
    ]
}

/// The machine code and the log of a source, which messages call `file`.
fn compile(nvrtc: &Nvrtc, file: &str, text: &str, architecture: u32) -> Result<(Vec<u8>, String)> {
    let program = nvrtc.compile(file, text, &options(file, architecture))?;
    let failed = |error| Error::device(format!("{file}: {error}"));
    Ok((
        program.cubin().map_err(failed)?,
        program.log().map_err(failed)?,
    ))
}

#[cfg(test)]
mod tests;
