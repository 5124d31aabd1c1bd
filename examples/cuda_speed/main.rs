//! Measures the CUDA backend on the first GPU: correctness, speed and memory. `benches/cuda` runs
//! it.
//!
//! `cargo run --release --features cuda --example cuda_speed -- SUBCOMMAND` prints one JSON object
//! per line:
//!
//! | subcommand | measures |
//! | --- | --- |
//! | `conformance --rounds N --seed S [--multiprocessors N,all] [--model DIR]` | nothing; checks every operation against the reference, and CUDA graphs against direct launches |
//! | `wide` | nothing; checks kernels at the sizes of published models against each other, and that every kernel is reached |
//! | `gemm` | products of the models' shapes, of which some values are checked |
//! | `encode --model DIR --corpus FILE [--documents N] [--passes P]` | documents from text to vectors, and the model alone |
//! | `pairs --model DIR --pairs FILE [--passes P]` | a cross-encoder on lines of `query` and `document` |
//! | `query --model DIR --texts FILE [--runs N]` | one text at a time |
//! | `accuracy --model DIR --corpus FILE [--documents N]` | cosines with the vectors of the CPU in f32 |
//! | `memory --model DIR [--length N]` | the memory of the SPLADE head beside that of its logits |
//!
//! The model's folder says whether its vectors are sparse or dense.
//!
//! A check that fails prints a JSON line with `"what": "failure"`, the operation, the kernels and the
//! shape, and goes on; the exit code is 1 in the end. What is launched next is printed to standard
//! error first, so that its last line names a launch that does not end. `ESPARSA_CUDA_KERNELS=mma`
//! runs products without wgmma; `--from N` leaves out the first N operations or groups.

mod checks;
mod encoding;
mod failures;
mod graphs;
mod latency;
mod memory;
mod models;
mod products;
mod wide;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: cuda_speed conformance|wide|gemm|encode|pairs|query|accuracy|memory [--model DIR] [--corpus FILE] [--pairs FILE] [--texts FILE] [--documents N] \
                     [--passes N] [--runs N] [--length N] [--rounds N] [--seed N] [--multiprocessors N,all] [--from N]";

struct Options {
    model: PathBuf,
    corpus: PathBuf,
    pairs: PathBuf,
    texts: PathBuf,
    documents: usize,
    passes: usize,
    runs: usize,
    length: usize,
    rounds: u64,
    seed: u64,
    /// Operations or groups that are left out.
    from: usize,
    /// The multiprocessor counts to pretend; `None` for the real number.
    multiprocessors: Vec<Option<usize>>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// False if a check has failed.
fn run() -> Result<bool> {
    let mut words = std::env::args().skip(1);
    let subcommand = words.next().ok_or(USAGE)?;
    let options = read_options(words)?;
    let measured = match subcommand.as_str() {
        "conformance" => return checks::run(&options),
        "wide" => return wide::run(&options),
        "gemm" => return products::measure(),
        "encode" => encoding::encode(&options),
        "pairs" => encoding::score_pairs(&options),
        "query" => latency::measure(&options),
        "accuracy" => encoding::compare(&options),
        "memory" => memory::measure(&options),
        _ => Err(USAGE.into()),
    };
    measured.map(|()| true)
}

fn read_options(mut words: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        model: PathBuf::new(),
        corpus: PathBuf::new(),
        pairs: PathBuf::new(),
        texts: PathBuf::new(),
        documents: usize::MAX,
        passes: 3,
        runs: 2_000,
        length: 128,
        rounds: 100,
        seed: 1,
        from: 0,
        multiprocessors: vec![Some(1), Some(2), Some(3), None],
    };
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        match word.as_str() {
            "--model" => options.model = value.into(),
            "--corpus" => options.corpus = value.into(),
            "--pairs" => options.pairs = value.into(),
            "--texts" => options.texts = value.into(),
            "--documents" => options.documents = value.parse()?,
            "--passes" => options.passes = value.parse::<usize>()?.max(1),
            "--runs" => options.runs = value.parse::<usize>()?.max(1),
            "--length" => options.length = value.parse::<usize>()?.max(1),
            "--rounds" => options.rounds = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            "--from" => options.from = value.parse()?,
            "--multiprocessors" => options.multiprocessors = read_multiprocessors(&value)?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(options)
}

fn read_multiprocessors(text: &str) -> Result<Vec<Option<usize>>> {
    let read = |word: &str| -> Result<Option<usize>> {
        match word {
            "all" => Ok(None),
            _ => Ok(Some(word.parse::<usize>()?.max(1))),
        }
    };
    text.split(',').map(read).collect()
}

/// Prints a line at once: whoever reads it has it when the program is ended later.
fn print(object: Value) {
    println!("{object}");
    // A reader that went away is noticed by the next `println`.
    drop(std::io::stdout().flush());
}

/// The objects of a JSON Lines file, at most `most`.
fn read_lines(path: &Path, most: usize) -> Result<Vec<Value>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = BufReader::new(file).lines().take(most);
    let objects: Vec<Value> = lines
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect::<Result<_>>()?;
    match objects.is_empty() {
        true => Err(format!("{}: expected lines, found none", path.display()).into()),
        false => Ok(objects),
    }
}

fn field<'a>(object: &'a Value, name: &str) -> Result<&'a str> {
    let found = object[name].as_str();
    found.ok_or_else(|| format!("expected a text named {name}, found {object}").into())
}

/// Title and text of documents in BEIR's layout, as `esparsa encode` joins them.
fn read_documents(options: &Options) -> Result<Vec<String>> {
    let documents = read_lines(&options.corpus, options.documents)?;
    let joined = documents.iter().map(|document| {
        let text = field(document, "text")?;
        Ok(match document["title"].as_str() {
            None | Some("") => text.to_owned(),
            Some(title) => format!("{title} {text}"),
        })
    });
    joined.collect()
}

/// The seconds that `run` takes.
fn time(run: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed().as_secs_f64())
}

/// The smallest value that a share of the values does not exceed.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// A pseudo-random generator (SplitMix64: Steele, Lea and Flood, 2014), from -1 to 1.
fn random_values(count: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}
