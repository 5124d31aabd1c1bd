//! Valid inputs for the working corpora of `fuzz/`, so that fuzzing does not start from nothing:
//! sections of a small index and of the golden ones, and texts of each kind.
//!
//! ```sh
//! cargo test --release --features neural --test fuzz_corpus -- --ignored
//! ```

#[cfg(feature = "neural")]
mod models;
mod sections;
mod texts;

use std::fs;
use std::path::Path;

/// Larger seeds would make every case slow.
const MAX_BYTES: usize = 32 << 10;

/// Seeds of a target.
pub type Seeds = (&'static str, Vec<Vec<u8>>);

#[test]
#[ignore = "writes files"]
fn write_seeds() {
    let mut all = sections::all();
    all.extend(texts::all());
    #[cfg(feature = "neural")]
    all.extend(models::all());
    for (target, seeds) in all {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        fs::create_dir_all(&folder).unwrap();
        let seeds = seeds.into_iter().filter(|seed| seed.len() <= MAX_BYTES);
        for (number, seed) in seeds.enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed).unwrap();
        }
    }
}
