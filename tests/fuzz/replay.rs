//! Runs a target on each file of its kept corpus, and on valid inputs.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What one file may take, also on a slow machine that does other work.
const MAX_TIME: Duration = Duration::from_secs(10);

/// The folder that has the corpora.
pub fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// The names of folders and files, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

/// The name of a target, and the target.
pub type Target = (&'static str, fn(&[u8]));

pub fn replay(target: Target) {
    let folder = corpora().join(target.0);
    let files = names(&folder);
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        run(target, &file, &fs::read(folder.join(&file)).unwrap());
    }
    // What a target once failed on stays, whatever the corpora become.
    let regressions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/regressions");
    let folder = regressions.join(target.0);
    if folder.is_dir() {
        for file in names(&folder) {
            run(target, &file, &fs::read(folder.join(&file)).unwrap());
        }
    }
}

fn run((name, target): Target, file: &str, bytes: &[u8]) {
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| target(bytes)));
    let time = start.elapsed();
    assert!(
        outcome.is_ok(),
        "{name}/{file}: the target panicked, see above"
    );
    assert!(time < MAX_TIME, "{name}/{file}: it took {time:?}");
}

/// Runs targets on valid inputs, and writes these to `working`, the folder of the working corpora,
/// where the environment says so.
pub fn seed(targets: &[Target], seeds: Vec<(&str, Vec<Vec<u8>>)>, working: &Path) {
    let is_written = std::env::var_os("ESPARSA_WRITE_SEEDS").is_some();
    for (name, seeds) in seeds {
        let target = targets.iter().find(|(known, _)| *known == name);
        let target = target.unwrap_or_else(|| panic!("no target has the name {name}"));
        for (number, seed) in seeds.iter().enumerate() {
            let file = format!("seed-{number:03}");
            run(*target, &file, seed);
            if is_written {
                let folder = working.join(name);
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join(file), seed).unwrap();
            }
        }
    }
}
