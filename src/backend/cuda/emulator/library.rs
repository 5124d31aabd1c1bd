//! The library of the emulated GPU: the kernels compiled by g++ (`kernels/emulate`), and the places
//! in the sources that its messages name.

use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use libloading::Library;

/// The two parts: the kernels with a call at each access to memory, and the emulator.
const PARTS: [(&str, &[&str]); 2] = [
    (
        "kernels",
        &[
            "-O3",
            "-fsanitize=thread",
            "--param=tsan-instrument-func-entry-exit=0",
        ],
    ),
    ("emulator", &["-O2"]),
];

/// The loaded library and its path; `None`, with a message on standard error, on a machine without
/// g++.
pub(super) fn loaded() -> Option<&'static (Library, PathBuf)> {
    static LIBRARY: OnceLock<Option<(Library, PathBuf)>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let path = built()?;
        // SAFETY: `built` built the library from kernels/emulate; loading it runs only
        // constructors of the C++ standard library.
        let library = unsafe { Library::new(&path) };
        let library = library.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Some((library, path))
    });
    library.as_ref()
}

pub(super) fn symbol<T: Copy>(name: &str) -> T {
    let (library, _) = loaded().unwrap();
    let bytes = CString::new(name).unwrap();
    // SAFETY: callers name functions of kernels/emulate/library.cpp with their types, or a kernel
    // as a pointer that is only passed on.
    let symbol = unsafe { library.get::<T>(bytes.as_bytes_with_nul()) };
    *symbol.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Replaces the places `<0x12ab>` of a text by files and lines.
pub(super) fn resolved(text: &str) -> String {
    static KNOWN: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    let mut parts = text.split("<0x");
    let mut found = parts.next().unwrap_or_default().to_owned();
    let parts: Vec<_> = parts.filter_map(|part| part.split_once('>')).collect();
    let unknown: BTreeSet<_> = parts
        .iter()
        .map(|(offset, _)| *offset)
        .filter(|offset| !known.contains_key(*offset))
        .collect();
    if !unknown.is_empty() {
        let places = places(&unknown);
        known.extend(
            unknown
                .iter()
                .map(|offset| (*offset).to_owned())
                .zip(places),
        );
    }
    for (offset, rest) in parts {
        found += known.get(offset).map_or(offset, String::as_str);
        found += rest;
    }
    found
}

/// The files and lines of instructions of the library, by binutils, which g++ needs anyway.
fn places(offsets: &BTreeSet<&str>) -> Vec<String> {
    let (_, path) = loaded().unwrap();
    let mut command = Command::new("addr2line");
    command.arg("-e").arg(path).args(offsets);
    let output = command.output().map(|output| output.stdout);
    let lines = output.unwrap_or_default();
    let place = |line: &str| {
        let line = line.split(' ').next().unwrap_or_default();
        line.rsplit('/').next().unwrap_or_default().to_owned()
    };
    String::from_utf8_lossy(&lines).lines().map(place).collect()
}

/// The library, built unless one from the same sources exists.
fn built() -> Option<PathBuf> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut sources = include_bytes!("library.rs").to_vec();
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
    let folder = path.with_extension(format!("{}.unfinished", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let object = |name: &str| folder.join(format!("{name}.o"));
    let compile = |name: &str, options: &[&str]| {
        start(
            Command::new("g++")
                .args(["-std=c++20", "-g1", "-fPIC", "-DESPARSA_EMULATE"])
                .args(["-Wno-unknown-pragmas", "-c"])
                .args(options)
                .arg(kernels.join("emulate").join(format!("{name}.cpp")))
                .arg("-o")
                .arg(object(name)),
        )
    };
    let mut running = Vec::new();
    for (name, options) in PARTS {
        running.push(compile(name, options)?);
    }
    running.into_iter().for_each(finish);
    let unfinished = folder.join("library.so");
    let mut link = Command::new("g++");
    link.arg("-shared").arg("-o").arg(&unfinished);
    link.args(PARTS.map(|(name, _)| object(name)));
    finish(start(&mut link)?);
    std::fs::rename(&unfinished, &path).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    Some(path)
}

fn start(command: &mut Command) -> Option<Child> {
    match command.stderr(Stdio::piped()).spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            eprintln!(
                "g++ cannot be run ({error}): tests of the CUDA kernels are skipped; install it to run them"
            );
            None
        }
    }
}

fn finish(child: Child) {
    let output = child.wait_with_output().unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "g++ refuses the kernels:\n{messages}"
    );
}
