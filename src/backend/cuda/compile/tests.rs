//! Compiles the sources as for real GPUs, and holds the compiler's registers and stack against
//! bounds.
//!
//! Runs where NVRTC is found; `ESPARSA_NVRTC` names its folder (`tests/cuda/fetch_nvrtc` downloads
//! it). No GPU is needed.

use std::collections::HashSet;
use std::fs;

use super::super::sources::{FILES, KERNELS};
use super::*;

/// Kernels that may use stack (which includes spilled registers): name, architecture, bytes.
const STACK_BYTES: &[(&str, u32, u32)] = &[
    ("attention_64_disentangled", 120, 8),
    ("splade_sum", 120, 8),
];

/// What the compiler's log says of a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Usage {
    name: String,
    registers: u32,
    stack_bytes: u32,
    /// Spill stores and loads together.
    spill_bytes: u32,
    /// Static shared memory, without the dynamic part of the launch.
    shared_bytes: u32,
}

impl Compiled {
    fn usage(&self) -> Vec<Usage> {
        let mut all: Vec<Usage> = Vec::new();
        for line in self.log.lines() {
            if let Some((_, rest)) = line.split_once("Compiling entry function '") {
                let name = rest.split('\'').next().unwrap().to_owned();
                all.push(Usage {
                    name,
                    ..Usage::default()
                });
            }
            let Some(usage) = all.last_mut() else {
                continue;
            };
            let number = |after: &str| number_before(line, after);
            if let Some(bytes) = number(" bytes stack frame") {
                usage.stack_bytes = bytes;
                usage.spill_bytes = number(" bytes spill stores").unwrap_or(0)
                    + number(" bytes spill loads").unwrap_or(0);
            }
            if let Some(registers) = number(" registers") {
                usage.registers = registers;
                usage.shared_bytes = number(" bytes smem").unwrap_or(0);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

fn number_before(line: &str, after: &str) -> Option<u32> {
    let (before, _) = line.split_once(after)?;
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// False, with a message, where NVRTC is missing. A wrong `ESPARSA_NVRTC` is a failure.
fn has_nvrtc() -> bool {
    match version() {
        Ok(_) => true,
        Err(error) if env::var_os("ESPARSA_NVRTC").is_some() => panic!("{error}"),
        Err(error) => {
            println!("skipped: {error}");
            false
        }
    }
}

#[test]
fn the_compiler_log_is_parsed() {
    let log = "ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'pool' for 'sm_80'
ptxas info    : Function properties for pool
ptxas         .     272 bytes stack frame, 544 bytes spill stores, 388 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 272 bytes cumulative stack size, 1024 bytes smem, 456 bytes cmem[0]
ptxas info    : Compile time = 43.352 ms
ptxas info    : Compiling entry function 'embed' for 'sm_80'
ptxas info    : Function properties for embed
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 11 registers";
    let compiled = Compiled {
        cubin: Vec::new(),
        log: log.into(),
    };
    let usage = |name: &str, numbers: [u32; 4]| Usage {
        name: name.into(),
        registers: numbers[0],
        stack_bytes: numbers[1],
        spill_bytes: numbers[2],
        shared_bytes: numbers[3],
    };
    let expected = [
        usage("embed", [11, 0, 0, 0]),
        usage("pool", [32, 272, 932, 1024]),
    ];
    assert_eq!(compiled.usage(), expected);
}

/// Compiles all sources for an architecture, prints resource usage, and checks it against the
/// bounds and the kernel table.
fn compile_all(architecture: u32, hopper: bool) {
    if !has_nvrtc() {
        return;
    }
    let mut wrong = Vec::new();
    for (file, _) in FILES
        .iter()
        .filter(|(file, _)| sources::is_hopper(file) == hopper)
    {
        let compiled = match compile(file, &sources::text(file), &options(file, architecture)) {
            Ok(compiled) => compiled,
            Err(error) => {
                wrong.push(error.to_string());
                continue;
            }
        };
        let usage = compiled.usage();
        for usage in &usage {
            println!("sm_{architecture} {file}: {usage:?}");
            let allowed = STACK_BYTES
                .iter()
                .find(|(name, on, _)| *name == usage.name && *on == architecture)
                .map_or(0, |(_, _, bytes)| *bytes);
            if usage.stack_bytes > allowed || (allowed == 0 && usage.spill_bytes > 0) {
                wrong.push(format!(
                    "{file}: {} has {} bytes of stack ({} spilled), {allowed} are allowed",
                    usage.name, usage.stack_bytes, usage.spill_bytes
                ));
            }
        }
        let found: HashSet<_> = usage.iter().map(|usage| usage.name.as_str()).collect();
        let rows = KERNELS.iter().filter(|kernel| kernel.file == *file);
        let expected: HashSet<_> = rows.map(|kernel| kernel.name).collect();
        if found != expected {
            wrong.push(format!(
                "{file}: sources::KERNELS has {expected:?}, the compiler found {found:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "sm_{architecture}:\n{}", wrong.join("\n"));
}

/// What the PTX of a source says of a kernel.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    /// The block size of `__launch_bounds__`.
    threads: u32,
    /// Bytes of its one parameter, a structure.
    parameter_bytes: usize,
}

/// The kernels of a PTX text: the directives `.entry`, `.param` and `.maxntid` of the PTX ISA.
fn entries(ptx: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in ptx.lines().map(str::trim) {
        if let Some((_, rest)) = line.split_once(".entry ") {
            entries.push(Entry {
                name: rest.trim_end_matches('(').to_owned(),
                threads: 0,
                parameter_bytes: 0,
            });
        }
        let Some(entry) = entries.last_mut() else {
            continue;
        };
        if line.starts_with(".param ") {
            let (_, size) = line.rsplit_once('[').unwrap();
            entry.parameter_bytes += size.split(']').next().unwrap().parse::<usize>().unwrap();
        }
        if let Some(threads) = line.strip_prefix(".maxntid ") {
            entry.threads = threads.split(',').next().unwrap().parse().unwrap();
        }
    }
    entries
}

#[test]
fn ptx_is_parsed() {
    let ptx = "
.visible .entry pool(
	.param .align 8 .b8 pool_param_0[40]
)
.maxntid 32, 1, 1
.minnctapersm 16
{
	ret;
}";
    let expected = Entry {
        name: "pool".into(),
        threads: 32,
        parameter_bytes: 40,
    };
    assert_eq!(entries(ptx), [expected]);
}

/// The PTX of a source, for a virtual architecture.
fn ptx(file: &str) -> String {
    let suffix = if sources::is_hopper(file) {
        "90a"
    } else {
        "80"
    };
    let options = [
        CString::new(format!("--gpu-architecture=compute_{suffix}")).unwrap(),
        CString::new("--std=c++17").unwrap(),
        CString::new("--device-as-default-execution-space").unwrap(),
    ];
    let (name, text) = (CString::new(file), CString::new(sources::text(file)));
    let program = Program::new(&name.unwrap(), &text.unwrap()).unwrap();
    program.compile(&options).unwrap();
    let mut bytes = 0;
    // SAFETY: the program lives, and the place is writable.
    check("nvrtcGetPTXSize", unsafe {
        sys::nvrtcGetPTXSize(program.0, &mut bytes)
    })
    .unwrap();
    let mut text = vec![0u8; bytes];
    // SAFETY: the program lives, and the buffer has the size that NVRTC gave.
    check("nvrtcGetPTX", unsafe {
        sys::nvrtcGetPTX(program.0, text.as_mut_ptr().cast())
    })
    .unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn kernels_have_the_threads_and_parameters_of_the_table() {
    if !has_nvrtc() {
        return;
    }
    for (file, _) in FILES {
        for entry in entries(&ptx(file)) {
            let row = sources::kernel(&entry.name);
            assert_eq!(row.file, *file, "{entry:?}");
            let expected = (row.threads, row.parameter_bytes);
            assert_eq!(
                (entry.threads, entry.parameter_bytes),
                expected,
                "{entry:?}"
            );
        }
    }
}

#[test]
fn sources_compile_for_sm_80() {
    compile_all(80, false);
}

#[test]
fn sources_compile_for_sm_86() {
    compile_all(86, false);
}

#[test]
fn sources_compile_for_sm_89() {
    compile_all(89, false);
}

#[test]
fn sources_compile_for_sm_90() {
    compile_all(90, false);
}

#[test]
fn sources_compile_for_sm_120() {
    compile_all(120, false);
}

#[test]
fn hopper_sources_compile_for_sm_90a() {
    compile_all(90, true);
}

#[test]
fn errors_of_a_source_name_its_line() {
    if !has_nvrtc() {
        return;
    }
    let text = format!(
        "{}\n#line 7 \"made_up.cu\"\nint x = nothing;\n",
        sources::text(FILES[0].0)
    );
    let error = compile("made_up.cu", &text, &options("made_up.cu", 80))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("NVRTC_ERROR_COMPILATION"), "{error}");
    assert!(error.contains("made_up.cu(7): error"), "{error}");
}

#[test]
fn a_module_is_compiled_once_and_anew_when_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    if !has_nvrtc() {
        return;
    }
    let file = FILES[0].0;
    let first = module(&cache, file, 80).unwrap();
    let path = fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(cache.get(&name).unwrap(), first);

    // A cache hit returns the file as it is.
    cache.put(&name, b"put there by the test");
    assert_eq!(module(&cache, file, 80).unwrap(), b"put there by the test");

    fs::write(&path, b"esparsa cubin 1\ncut short").unwrap();
    assert_eq!(module(&cache, file, 80).unwrap(), first);
    assert_eq!(cache.get(&name).unwrap(), first, "made anew");

    module(&cache, file, 90).unwrap();
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2,
        "one for each architecture"
    );
}

#[test]
fn a_cache_with_all_modules_needs_no_compiler() {
    if version().is_ok() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let error = is_possible(&cache, 80).unwrap_err().to_string();
    assert!(
        error.contains("NVRTC is not found") && error.contains("install"),
        "{error}"
    );
    for (file, _) in FILES {
        cache.put(
            &format!("{}13.0.cubin", begin_of_name(file, 80)),
            file.as_bytes(),
        );
    }
    is_possible(&cache, 80).unwrap();
    assert_eq!(
        module(&cache, FILES[0].0, 80).unwrap(),
        FILES[0].0.as_bytes()
    );
    assert!(is_possible(&cache, 86).is_err(), "for another architecture");
}

#[test]
fn a_folder_without_nvrtc_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("libnvrtc-builtins.so.12.9"), b"").unwrap();
    let error = preload(folder.path()).unwrap_err();
    assert!(error.contains(&*folder.path().to_string_lossy()), "{error}");
    assert!(error.contains("nvidia-cuda-nvrtc-cu12"), "{error}");

    let file = folder.path().join("libnvrtc.so.12");
    fs::write(&file, b"no library").unwrap();
    assert_eq!(library_in(folder.path()).unwrap(), file);
    assert!(
        preload(folder.path())
            .unwrap_err()
            .contains("libnvrtc.so.12")
    );
}
