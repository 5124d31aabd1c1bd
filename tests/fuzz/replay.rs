//! Runs a target on each file of its kept corpus.

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

pub fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = corpora().join(target);
    let files = names(&folder);
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        let bytes = fs::read(folder.join(&file)).unwrap();
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&bytes)));
        let time = start.elapsed();
        assert!(
            outcome.is_ok(),
            "{target}/{file}: the target panicked, see above"
        );
        assert!(time < MAX_TIME, "{target}/{file}: it took {time:?}");
    }
}
