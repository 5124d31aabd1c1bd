//! Valid inputs for the working corpora of `fuzz/`, so that fuzzing does not start from nothing:
//! sections of a small index and of the golden ones, and texts of each kind.
//!
//! ```sh
//! ESPARSA_WRITE_SEEDS=1 cargo test --release --features neural --test fuzz_corpus valid_inputs
//! ```

#[cfg(feature = "neural")]
mod models;
mod sections;
mod texts;

/// Larger seeds would make every case slow.
const MAX_BYTES: usize = 32 << 10;

/// Seeds of a target.
pub type Seeds = (&'static str, Vec<Vec<u8>>);

pub fn all() -> Vec<Seeds> {
    let mut all = sections::all();
    all.extend(texts::all());
    #[cfg(feature = "neural")]
    all.extend(models::all());
    for (_, seeds) in &mut all {
        seeds.retain(|seed| seed.len() <= MAX_BYTES);
    }
    all
}
