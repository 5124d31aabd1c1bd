//! Guard builds of kernels: a wait at a barrier that never ends stops the kernel instead of hanging
//! the GPU (`kernels/guard.cuh`).

use std::env;

const VARIABLE: &str = "ESPARSA_CUDA_GUARD";

/// What the driver reports of a kernel that stopped itself.
#[cfg(any(test, feature = "internals"))]
const STOPPED: [&str; 2] = ["CUDA_ERROR_LAUNCH_FAILED", "CUDA_ERROR_ILLEGAL_INSTRUCTION"];

/// Whether kernels are compiled with guards: `$ESPARSA_CUDA_GUARD` is set, and not to 0.
pub(super) fn is_on() -> bool {
    env::var_os(VARIABLE).is_some_and(|value| !value.is_empty() && value != "0")
}

/// A source with guards. It differs from the one without, so both are kept in the cache.
pub(super) fn guarded(source: &str) -> String {
    format!("#define GUARD\n{source}")
}

/// What the error of a launch means in a guard build.
#[cfg(any(test, feature = "internals"))]
pub(super) fn hint(error: &str) -> &'static str {
    hint_of(error, is_on())
}

#[cfg(any(test, feature = "internals"))]
fn hint_of(error: &str, is_on: bool) -> &'static str {
    match is_on && STOPPED.iter().any(|stopped| error.contains(stopped)) {
        true => "; in a guard build: probably a wait at a barrier that did not end",
        false => "",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::super::sources::{self, FILES};
    use super::*;

    #[test]
    fn guards_are_another_source_with_the_same_lines() {
        for (file, _) in FILES {
            let text = sources::expanded(file);
            let guarded = guarded(&text);
            assert_eq!(
                guarded.strip_prefix("#define GUARD\n"),
                Some(&*text),
                "{file}"
            );
            assert!(text.starts_with("#line 1 "), "{file}");
        }
    }

    #[test]
    fn a_stopped_kernel_is_explained_in_a_guard_build() {
        let error =
            "kernel product_hopper_256: CUDA_ERROR_LAUNCH_FAILED (unspecified launch failure)";
        assert!(hint_of(error, true).contains("did not end"));
        assert_eq!(hint_of(error, false), "");
        assert_eq!(hint_of("CUDA_ERROR_ILLEGAL_ADDRESS", true), "");
    }

    /// Runs the loop of a guarded wait on the CPU.
    #[test]
    fn a_guarded_wait_ends_when_its_phase_does_or_stops_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let (source, program) = (folder.path().join("guard.cpp"), folder.path().join("guard"));
        let text = r#"
#define DEVICE inline
#define GUARD
#include "guard.cuh"
#include <cstdio>

int main() {
    const unsigned ends[] = {1, 3, GUARD_TRIES, 0};
    for (unsigned ends_at : ends) {
        unsigned tries = 0;
        bool is_stopped = false;
        wait_guarded([&] { return ++tries == ends_at; }, [&] { is_stopped = true; });
        std::printf("%u %d\n", tries, is_stopped);
    }
}
"#;
        fs::write(&source, text).unwrap();
        let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
        let compiled = Command::new("g++")
            .args(["-O2", "-std=c++17", "-I"])
            .arg(kernels)
            .arg(&source)
            .arg("-o")
            .arg(&program)
            .output();
        let Ok(compiled) = compiled else {
            eprintln!("skipped: g++ cannot be run");
            return;
        };
        let messages = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "{messages}");
        let output = Command::new(&program).output().unwrap();
        let all = 1_u32 << 26;
        let expected = format!("1 0\n3 0\n{all} 0\n{all} 1\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}
