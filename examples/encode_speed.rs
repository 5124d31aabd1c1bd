//! The speed of a bi-encoder on this CPU.
//!
//! `cargo run --release --example encode_speed -- --model FOLDER --texts FILE [--threads N]
//! [--precision f32|bf16] [--single FILE] [--out FILE] [--json]` encodes the texts of a JSON Lines
//! file, each with `text`: first a few of them, then all of them timed. With `--single` the texts
//! of that file are queries, encoded one by one with one thread and with all. With `--out` the
//! vectors are written, f32 and little-endian. With `--json` the measurements are printed as one
//! JSON object; `benches/encoders` reads it.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use esparsa::backend::{Cpu, CpuOptions, Precision};
use esparsa::neural::{DenseEncoder, ModelFolder, Role, TextEncoder};
use serde_json::{Map, Value, json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// One text in this many is encoded before anything is timed.
const WARMING_SHARE: usize = 64;
const WARMING_QUERIES: usize = 50;
/// Texts that a thread tokenizes at once.
const TEXTS_A_JOB: usize = 8;

const USAGE: &str = "usage: encode_speed --model FOLDER --texts FILE [--threads N] [--precision f32|bf16] [--single FILE] [--out FILE] [--json]";

#[derive(Default)]
struct Options {
    model: PathBuf,
    texts: PathBuf,
    single: Option<PathBuf>,
    out: Option<PathBuf>,
    threads: Option<usize>,
    precision: Precision,
    is_json: bool,
}

/// The measurements over all texts, in seconds.
struct Pass {
    texts: usize,
    tokens: u64,
    /// Tokenizing alone, on the same number of threads, outside the timed pass.
    tokenize_s: f64,
    /// The timed pass, tokenizing included.
    total_s: f64,
}

fn main() -> Result<()> {
    let options = read_options()?;
    let threads = match options.threads {
        Some(threads) => threads,
        None => thread::available_parallelism()?.get(),
    };
    let texts = read_texts(&options.texts)?;
    let encoder = open(&options, threads)?;
    let (pass, vectors) = encode_all(&options, &encoder, &texts, threads)?;
    // Before a second model is opened.
    let memory = peak_memory();
    if let Some(path) = &options.out {
        let mut out = BufWriter::new(File::create(path)?);
        for number in vectors.iter().flatten() {
            out.write_all(&number.to_le_bytes())?;
        }
        out.flush()?;
    }
    let mut latency = Map::new();
    if let Some(path) = &options.single {
        let queries = read_texts(path)?;
        if threads > 1 {
            let alone = open(&options, 1)?;
            latency.insert("1".to_owned(), time_singles(&alone, &queries)?);
        }
        latency.insert(threads.to_string(), time_singles(&encoder, &queries)?);
    }
    report(&options, threads, &pass, memory, latency);
    Ok(())
}

fn read_options() -> Result<Options> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--json" {
            options.is_json = true;
            continue;
        }
        let value = words.next().ok_or(USAGE)?;
        match word.as_str() {
            "--model" => options.model = value.into(),
            "--texts" => options.texts = value.into(),
            "--single" => options.single = Some(value.into()),
            "--out" => options.out = Some(value.into()),
            "--threads" => options.threads = Some(value.parse()?),
            "--precision" => {
                options.precision = match value.as_str() {
                    "f32" => Precision::F32,
                    "bf16" => Precision::Bf16,
                    _ => return Err(format!("expected f32 or bf16, found {value}").into()),
                }
            }
            _ => return Err(USAGE.into()),
        }
    }
    match options.model.as_os_str().is_empty() || options.texts.as_os_str().is_empty() {
        true => Err(USAGE.into()),
        false => Ok(options),
    }
}

fn read_texts(path: &PathBuf) -> Result<Vec<String>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut texts = Vec::new();
    for (line, number) in BufReader::new(file).lines().zip(1..) {
        let value: Value = serde_json::from_str(&line?)?;
        let text = value["text"].as_str();
        let text = text.ok_or_else(|| format!("{}: line {number} has no text", path.display()))?;
        texts.push(text.to_owned());
    }
    match texts.is_empty() {
        true => Err(format!("{}: expected texts, found none", path.display()).into()),
        false => Ok(texts),
    }
}

fn open(options: &Options, threads: usize) -> Result<DenseEncoder<Cpu>> {
    let precision = options.precision;
    let cpu = Cpu::new(CpuOptions { threads, precision })?;
    Ok(DenseEncoder::open(&options.model, cpu)?)
}

/// Warms up, then times one pass over all texts, and tokenizing by itself.
fn encode_all(
    options: &Options,
    encoder: &DenseEncoder<Cpu>,
    texts: &[String],
    threads: usize,
) -> Result<(Pass, Vec<Vec<f32>>)> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let every = (texts.len() / WARMING_SHARE).max(1);
    let warming: Vec<&str> = texts.iter().step_by(every).copied().collect();
    encoder.encode(&warming, Role::Document)?;
    let tokenize_s = time_tokenizing(options, &texts, threads)?;

    let start = Instant::now();
    let encoded = encoder.encode(&texts, Role::Document)?;
    let total_s = start.elapsed().as_secs_f64();
    let pass = Pass {
        texts: texts.len(),
        tokens: encoded.tokens,
        tokenize_s,
        total_s,
    };
    Ok((pass, encoded.all()?))
}

/// Seconds in which `threads` threads tokenize all texts.
fn time_tokenizing(options: &Options, texts: &[&str], threads: usize) -> Result<f64> {
    let folder = ModelFolder::open(&options.model)?;
    let (tokenizer, limit) = (&folder.tokenizer, folder.max_tokens);
    // The tokenizer caches words, as the encoder's has done by now.
    for text in texts.iter().step_by((texts.len() / WARMING_SHARE).max(1)) {
        tokenizer.truncated(text, limit)?;
    }
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let first = next.fetch_add(TEXTS_A_JOB, Ordering::Relaxed);
            if first >= texts.len() {
                return Ok::<(), esparsa::Error>(());
            }
            for text in &texts[first..texts.len().min(first + TEXTS_A_JOB)] {
                std::hint::black_box(tokenizer.truncated(text, limit)?);
            }
        }
    };
    let start = Instant::now();
    thread::scope(|scope| {
        let handles: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for handle in handles {
            let found = handle
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done = done.and(found);
        }
        done
    })?;
    Ok(start.elapsed().as_secs_f64())
}

/// The latency of one query at a time, in microseconds.
fn time_singles(encoder: &DenseEncoder<Cpu>, queries: &[String]) -> Result<Value> {
    for query in queries.iter().take(WARMING_QUERIES) {
        encoder.encode_queries(&[query])?;
    }
    let mut times = Vec::with_capacity(queries.len());
    for query in queries {
        let start = Instant::now();
        encoder.encode_queries(&[query])?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(json!({ "p50_us": quantile(&times, 0.50), "p99_us": quantile(&times, 0.99) }))
}

/// The smallest value that a share of the values does not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

/// The peak memory of the process in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1_024)
}

fn report(
    options: &Options,
    threads: usize,
    pass: &Pass,
    memory: Option<u64>,
    latency: Map<String, Value>,
) {
    let model_s = (pass.total_s - pass.tokenize_s).max(f64::MIN_POSITIVE);
    let texts_per_s = pass.texts as f64 / pass.total_s;
    let tokens_per_s = pass.tokens as f64 / pass.total_s;
    let model_tokens_per_s = pass.tokens as f64 / model_s;
    if options.is_json {
        let report = json!({
            "versions": { "esparsa": env!("CARGO_PKG_VERSION") },
            "threads": threads,
            "texts": pass.texts,
            "tokens": pass.tokens,
            "tokenize_s": pass.tokenize_s,
            "model_s": model_s,
            "total_s": pass.total_s,
            "texts_per_s": texts_per_s,
            "tokens_per_s": tokens_per_s,
            "model_tokens_per_s": model_tokens_per_s,
            "peak_rss_bytes": memory,
            "latency": latency,
        });
        println!("{report}");
        return;
    }
    println!(
        "{} texts, {} tokens, {threads} threads: {texts_per_s:.1} texts/s, {tokens_per_s:.0} tokens/s, {model_tokens_per_s:.0} without tokenizing, peak {:.0} MiB",
        pass.texts,
        pass.tokens,
        memory.unwrap_or(0) as f64 / 1_048_576.0
    );
    for (threads, times) in latency {
        println!(
            "one query at a time, {threads} threads: p50 {:.0} µs, p99 {:.0} µs",
            times["p50_us"].as_f64().unwrap_or(0.0),
            times["p99_us"].as_f64().unwrap_or(0.0)
        );
    }
}
