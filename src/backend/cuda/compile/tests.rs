//! Compiles the sources as for real GPUs, with each version of NVRTC that is found, and holds the
//! compiler's registers, stack and messages against bounds.
//!
//! `ESPARSA_NVRTC` names the folder of one NVRTC and `ESPARSA_NVRTC_OTHER` that of another
//! (`tests/cuda/fetch_nvrtc` downloads them). The first compiles each source once, those of Hopper
//! for sm_90a and the others for sm_80, and the other version those of Hopper alone; with
//! `ESPARSA_COMPILE_ALL` each compiles all of them for every architecture, which takes minutes
//! (`tests/cuda/compile_all`). No GPU is needed.

use std::collections::HashSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use super::super::device::TensorMap;
use super::super::sources::{FILES, HEADERS, KERNELS};
use super::nvrtc::library_in;
use super::usage::{slow_code, usages};
use super::*;

/// Registers per thread with which Hopper kernels start: 384 threads take all of a multiprocessor,
/// and warpgroups then trade them.
const HOPPER_REGISTERS: u32 = 168;

/// The versions of NVRTC to test. A wrong variable is a failure; without NVRTC there are none, with a
/// message.
fn versions() -> Vec<&'static Nvrtc> {
    static OTHER: OnceLock<Option<Nvrtc>> = OnceLock::new();
    let main = match nvrtc() {
        Ok(nvrtc) => Some(nvrtc),
        Err(error) if env::var_os("ESPARSA_NVRTC").is_some() => panic!("{error}"),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    };
    let other = OTHER.get_or_init(|| {
        let place = env::var_os("ESPARSA_NVRTC_OTHER")?;
        Some(Nvrtc::open(Path::new(&place)).unwrap_or_else(|error| panic!("{error}")))
    });
    main.into_iter().chain(other.as_ref()).collect()
}

/// What is wrong with the compiled kernels of a source.
fn faults(file: &str, kernels: &[KernelUsage], slow_code: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for kernel in kernels {
        if kernel.stack_bytes > 0 || kernel.spill_bytes > 0 {
            wrong.push(format!("expected no stack and no spills, found {kernel:?}"));
        }
        if sources::is_hopper(file) && kernel.registers != HOPPER_REGISTERS {
            wrong.push(format!(
                "expected {HOPPER_REGISTERS} registers, found {kernel:?}"
            ));
        }
    }
    wrong.extend_from_slice(slow_code);
    let found: HashSet<_> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    let rows = KERNELS.iter().filter(|kernel| kernel.file == file);
    let expected: HashSet<_> = rows.map(|kernel| kernel.name).collect();
    if found != expected {
        wrong.push(format!(
            "sources::KERNELS has {expected:?}, the compiler found {found:?}"
        ));
    }
    wrong
}

/// What is wrong with the kernels of a PTX text, by the rows of the table.
fn faults_of_ptx(file: &str, ptx: &str) -> Vec<String> {
    let entries = entries(ptx);
    let rows = KERNELS.iter().filter(|kernel| kernel.file == file).count();
    let mut wrong = Vec::new();
    if entries.len() != rows {
        wrong.push(format!("expected {rows} kernels, found {entries:?}"));
    }
    for entry in entries {
        let row = sources::kernel(&entry.name);
        // Tensor maps are first in the structures of Hopper, which CUDA 13 aligns to 128 bytes.
        let is_aligned = entry.alignment == align_of::<TensorMap>();
        let is_right = row.file == file
            && (entry.threads, entry.parameter_bytes) == (row.threads, row.parameter_bytes)
            && is_aligned == row.hopper;
        if !is_right {
            wrong.push(format!("expected {row:?}, found {entry:?}"));
        }
    }
    wrong
}

/// Compiles a source, prints the resources of its kernels, and returns what is wrong with them.
fn compile_and_check(nvrtc: &Nvrtc, architecture: u32, file: &str) -> Vec<String> {
    let options = options(file, architecture);
    let program = nvrtc.compile(file, &sources::text(file), &options).unwrap();
    let log = program.log().unwrap();
    let ptx = String::from_utf8(program.ptx().unwrap()).unwrap();
    assert!(!program.cubin().unwrap().is_empty());
    let (major, minor) = nvrtc.version();
    let what = format!(
        "NVRTC {major}.{minor}, {}, {file}",
        suffixed(file, architecture)
    );
    let kernels = usages(&log);
    for kernel in &kernels {
        println!("{what}: {kernel:?}");
    }
    let mut wrong = faults(file, &kernels, &slow_code(&log));
    wrong.extend(faults_of_ptx(file, &ptx));
    wrong
        .iter()
        .map(|fault| format!("{what}: {fault}"))
        .collect()
}

/// What the PTX of a source says of a kernel.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    /// The block size of `__launch_bounds__`.
    threads: u32,
    /// Bytes of its one parameter, a structure.
    parameter_bytes: usize,
    /// The alignment of that structure.
    alignment: usize,
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
                alignment: 0,
            });
        }
        let Some(entry) = entries.last_mut() else {
            continue;
        };
        if let Some(parameter) = line.strip_prefix(".param .align ") {
            let alignment = parameter.split(' ').next().unwrap();
            entry.alignment = alignment.parse().unwrap();
        }
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
        alignment: 8,
    };
    assert_eq!(entries(ptx), [expected]);
}

#[test]
fn sources_compile_as_the_table_says_without_spills_and_slow_code() {
    assert_eq!(align_of::<TensorMap>(), 128);
    let is_complete = env::var_os("ESPARSA_COMPILE_ALL").is_some();
    let mut compiled = Vec::new();
    for (number, nvrtc) in versions().into_iter().enumerate() {
        for architecture in ARCHITECTURES {
            for file in files(architecture) {
                // Versions differ in how they align the tensor maps of Hopper.
                let is_first = number == 0 && architecture == ARCHITECTURES[0];
                if is_complete || is_first || sources::is_hopper(file) {
                    compiled.push((nvrtc, architecture, file));
                }
            }
        }
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wrong = on_threads(threads, compiled.len(), |index| {
        let (nvrtc, architecture, file) = compiled[index];
        compile_and_check(nvrtc, architecture, file)
    });
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The log of a kernel for sm_90a of 128 threads: two dependent products of a warpgroup, with
/// `before` in front of them and `between` them.
fn log_of_products(nvrtc: &Nvrtc, bounds: &str, before: &str, between: &str) -> String {
    let header = |name: &str| {
        let (_, text) = HEADERS.iter().find(|(header, _)| *header == name).unwrap();
        let is_include = |line: &str| {
            let file = line.strip_prefix("#include \"");
            file.is_some_and(|file| !file.starts_with("emulate/"))
        };
        let lines = text.lines().filter(|line| !is_include(line));
        lines.collect::<Vec<_>>().join("\n")
    };
    let headers = ["prelude.cuh", "parameters.cuh", "guard.cuh", "hopper.cuh"]
        .map(header)
        .join("\n");
    let text = format!(
        "{headers}
        extern \"C\" __global__ void {bounds} products(float* out, u64 a, u64 b) {{
            float c[32];
            {before}
            group_fence();
            group_multiply<64>(c, a, b, false);
            {between}
            group_multiply<64>(c, a + 2, b + 2, true);
            group_commit();
            group_wait<0>();
            group_hold(c);
            for (int i = 0; i < 32; i++) out[threadIdx.x * 32 + i] = c[i];
        }}"
    );
    let (_, log) = compile(nvrtc, "products_hopper.cu", &text, HOPPER).unwrap();
    log
}

#[test]
fn ignored_registers_and_serialized_products_are_faults() {
    for nvrtc in versions() {
        let bounds = "__launch_bounds__(128, 1)";
        let as_it_should_be = log_of_products(nvrtc, bounds, "", "");
        assert_eq!(slow_code(&as_it_should_be), [""; 0], "{as_it_should_be}");

        // Without bounds, ptxas does not know the registers at entry.
        let unbounded = log_of_products(nvrtc, "", "decrease_registers<40>();", "");
        let found = slow_code(&unbounded);
        assert!(
            found.iter().any(|line| line.contains("(C7508)")),
            "{unbounded}"
        );

        // Accumulators of products in flight are changed.
        let serialized = log_of_products(nvrtc, bounds, "", "c[3] += 1.0f;");
        let found = slow_code(&serialized);
        let is_one = |line: &String| (7510..=7515).any(|code| line.contains(&format!("(C{code})")));
        assert!(found.iter().any(is_one), "{serialized}");

        for log in [unbounded, serialized] {
            let faults = faults("products_hopper.cu", &usages(&log), &slow_code(&log));
            let is_named = |what: &str| faults.iter().any(|fault| fault.contains(what));
            assert!(is_named("(C75"), "{faults:?}");
            assert!(is_named("expected 168 registers"), "{faults:?}");
        }
    }
}

#[test]
fn spilled_registers_are_faults() {
    for nvrtc in versions() {
        let text = "extern \"C\" __global__ void __launch_bounds__(1024, 2) spilling(float* x) {
            float y[64];
            for (int i = 0; i < 64; i++) y[i] = x[i * 1024 + threadIdx.x];
            __syncthreads();
            for (int i = 0; i < 64; i++) x[i * 1024 + threadIdx.x] = y[i] * y[63 - i];
        }";
        let (_, log) = compile(nvrtc, "spilling.cu", text, 80).unwrap();
        let faults = faults("spilling.cu", &usages(&log), &slow_code(&log));
        let is_found = faults
            .iter()
            .any(|fault| fault.contains("expected no stack and no spills"));
        assert!(is_found, "{log}\n{faults:?}");
    }
}

#[test]
fn errors_of_a_source_name_its_line() {
    for nvrtc in versions() {
        let text = format!(
            "{}\n#line 7 \"made_up.cu\"\nint x = nothing;\n",
            sources::text(FILES[0].0)
        );
        let error = compile(nvrtc, "made_up.cu", &text, 80)
            .unwrap_err()
            .to_string();
        assert!(error.contains("NVRTC_ERROR_COMPILATION"), "{error}");
        assert!(error.contains("made_up.cu(7): error"), "{error}");
    }
}

#[test]
fn a_module_is_compiled_once_and_anew_when_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    if versions().is_empty() {
        return;
    }
    let file = FILES[1].0;
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
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let absent = || Err(Error::device("no compiler"));
    let error = is_possible_with(absent, &cache, 80).unwrap_err();
    assert!(error.to_string().contains("no compiler"), "{error}");
    for file in files(80) {
        assert!(is_possible_with(absent, &cache, 80).is_err());
        cache.put(&name(file, 80, (13, 0)), file.as_bytes());
    }
    is_possible_with(absent, &cache, 80).unwrap();
    let file = FILES[0].0;
    assert_eq!(
        module_with(absent, &cache, file, 80).unwrap(),
        file.as_bytes()
    );
    assert!(
        is_possible_with(absent, &cache, 86).is_err(),
        "for another architecture"
    );
}

#[test]
fn modules_of_another_version_are_taken_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut cache = Cache::at(folder.path());
    let file = FILES[1].0;
    for file in files(80) {
        cache.put(&name(file, 80, (99, 9)), b"of version 99.9");
    }
    for nvrtc in versions() {
        let own = module_with(|| Ok(nvrtc), &cache, file, 80).unwrap();
        assert_ne!(own, b"of version 99.9");
    }
    cache.takes_any_version = true;
    let not_needed = || panic!("expected the cache to do without NVRTC");
    is_possible_with(not_needed, &cache, 80).unwrap();
    assert_eq!(
        module_with(not_needed, &cache, file, 80).unwrap(),
        b"of version 99.9"
    );
}

#[test]
fn modules_compiled_ahead_are_found_by_the_cache() {
    for nvrtc in versions() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at_root(folder.path());
        // Two that take little time.
        let files = ["pool.cu", "late.cu"];
        let modules = compile_files(nvrtc, 90, &files, &cache, 2).unwrap();
        let place = [("ESPARSA_CACHE", folder.path().as_os_str())];
        let variable = |name: &str| {
            let (_, value) = place.iter().find(|(variable, _)| *variable == name)?;
            Some(OsString::from(value))
        };
        let of_process = Cache::of(variable);
        for (file, module) in files.into_iter().zip(modules) {
            let found = module_with(|| Ok(nvrtc), &of_process, file, 90).unwrap();
            let described = (module.source, module.architecture.as_str(), module.bytes);
            assert_eq!(described, (file, "sm_90", found.len()));
            assert_eq!(found, cache.get(&name(file, 90, nvrtc.version())).unwrap());
        }
        let names = fs::read_dir(folder.path().join("kernels")).unwrap().count();
        assert_eq!(names, files.len(), "nothing is compiled again");
    }
}

#[test]
fn results_of_threads_are_in_order() {
    for (threads, count) in [(1, 3), (4, 3), (2, 100), (3, 0)] {
        let results = on_threads(threads, count, |index| index * index);
        assert_eq!(
            results,
            (0..count).map(|index| index * index).collect::<Vec<_>>()
        );
    }
}

#[test]
fn architectures_are_named_as_by_the_compiler() {
    for (name, number) in [
        ("sm_80", 80),
        ("sm_90", 90),
        ("sm_90a", 90),
        ("sm_120", 120),
    ] {
        assert_eq!(architecture_of(name).unwrap(), number);
    }
    for name in ["90", "sm_75", "sm_80a", "sm_90b", "compute_90"] {
        let error = architecture_of(name).unwrap_err().to_string();
        assert!(
            error.contains("sm_80, sm_86") && error.contains(name),
            "{error}"
        );
    }
}

#[test]
fn a_folder_without_nvrtc_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("libnvrtc-builtins.so.12.9"), b"").unwrap();
    let error = Nvrtc::open(folder.path()).err().unwrap();
    assert!(error.contains(&*folder.path().to_string_lossy()), "{error}");
    assert!(error.contains("nvidia-cuda-nvrtc"), "{error}");

    let file = folder.path().join("libnvrtc.so.12");
    fs::write(&file, b"no library").unwrap();
    assert_eq!(library_in(folder.path()).unwrap(), file);
    let error = Nvrtc::open(folder.path()).err().unwrap();
    assert!(error.contains("libnvrtc.so.12"), "{error}");
}

/// A library with the functions that `Nvrtc` looks up, of version 99.9.
const FAKE: &str = "
    extern \"C\" int nvrtcVersion(int* major, int* minor) { *major = 99; *minor = 9; return 0; }
    #define FUNCTION(name) extern \"C\" int name() { return 1; }
    FUNCTION(nvrtcCreateProgram) FUNCTION(nvrtcDestroyProgram) FUNCTION(nvrtcCompileProgram)
    FUNCTION(nvrtcGetErrorString) FUNCTION(nvrtcGetProgramLogSize) FUNCTION(nvrtcGetProgramLog)
    FUNCTION(nvrtcGetCUBINSize) FUNCTION(nvrtcGetCUBIN) FUNCTION(nvrtcGetPTXSize) FUNCTION(nvrtcGetPTX)";

#[test]
fn the_nvrtc_that_is_named_wins_over_the_loaders() {
    // In the child process: which version did it take, and does it compile?
    if env::var_os("ESPARSA_TEST_IS_CHILD").is_some() {
        let nvrtc = nvrtc().unwrap();
        let is_compiling = nvrtc.version().0 < 99 && compile(nvrtc, "a.cu", "", 80).is_ok();
        println!("child: {:?} {is_compiling}", nvrtc.version());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (
        folder.path().join("fake.cpp"),
        folder.path().join("libnvrtc.so"),
    );
    fs::write(&source, FAKE).unwrap();
    let built = Command::new("g++")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .output();
    let Ok(built) = built else {
        println!("skipped: no g++");
        return;
    };
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    for versioned in ["libnvrtc.so.12", "libnvrtc.so.13"] {
        fs::copy(&library, folder.path().join(versioned)).unwrap();
    }
    let taken = |named: Option<&OsStr>| {
        let mut child = Command::new(env::current_exe().unwrap());
        let test = "backend::cuda::compile::tests::the_nvrtc_that_is_named_wins_over_the_loaders";
        child.args(["--exact", test, "--nocapture"]);
        child
            .env("LD_LIBRARY_PATH", folder.path())
            .env("ESPARSA_TEST_IS_CHILD", "1");
        match named {
            Some(place) => child.env("ESPARSA_NVRTC", place),
            None => child.env_remove("ESPARSA_NVRTC"),
        };
        let output = child.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let (_, line) = text.split_once("child: ").unwrap();
        line.lines().next().unwrap().to_owned()
    };
    assert_eq!(taken(None), "(99, 9) false", "the loader finds the fake");
    for variable in ["ESPARSA_NVRTC", "ESPARSA_NVRTC_OTHER"] {
        let Some(place) = env::var_os(variable) else {
            continue;
        };
        let version = Nvrtc::open(Path::new(&place)).unwrap().version();
        assert_eq!(
            taken(Some(&place)),
            format!("{version:?} true"),
            "{variable}"
        );
    }
}
