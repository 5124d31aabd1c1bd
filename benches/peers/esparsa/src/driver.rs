//! The frame of a driver: its command line, its reports, and what an engine has to do.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::Result;
use crate::measure::{Latencies, peak_memory};
use crate::work::{Kind, Work};

/// An engine whose index is open.
pub trait Engine: Sized {
    /// The name in reports.
    const NAME: &'static str;
    /// A query as the engine likes it.
    type Query;
    /// Documents and scores in the engine's own numbers.
    type Found;

    /// The engine's version.
    fn version() -> String;

    /// Kinds and modes, the first of a kind being the engine's own choice.
    fn modes() -> Vec<(Kind, String)>;

    /// Builds an index into an empty folder.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong.
    fn build(work: &Work, index: &Path, options: &BuildOptions) -> Result<Built>;

    /// Opens an index to search it in one mode for `k` documents.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong.
    fn open(index: &Path, kind: Kind, mode: &str, k: usize) -> Result<Self>;

    /// Makes a query of a record of the file of queries.
    ///
    /// # Errors
    ///
    /// When the record is none.
    fn query(&self, record: &[u8]) -> Result<Self::Query>;

    /// Searches: this is what is timed.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong.
    fn search(&self, query: &Self::Query) -> Result<Self::Found>;

    /// The numbers that documents have in the work, with their scores, best first. A count is one line, with 0 for
    /// the document; facets are the numbers of keywords with their counts.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong.
    fn name(&self, found: Self::Found) -> Result<Vec<(u32, f32)>>;

    /// Settings of a search, for the report.
    fn note(&self) -> String {
        String::new()
    }
}

/// How to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Number of threads.
    pub threads: usize,
    /// The order in which to add documents: a file as `order.bin`.
    pub order: Option<PathBuf>,
    /// Whether the engine puts them in an order of its own.
    pub reorder: bool,
}

/// What a build says of itself.
#[derive(Clone, Debug)]
pub struct Built {
    /// Documents in the index.
    pub documents: u64,
    /// The part of the time that merged to one segment.
    pub merge_seconds: f64,
    /// Settings.
    pub note: String,
    /// Bytes of parts of the index that can be told apart, by name.
    pub parts: Vec<(&'static str, u64)>,
}

const USAGE: &str = "expected [--reorder] build WORK INDEX [--threads N] [--order FILE], search WORK INDEX --mode MODE --k K \
                     --rounds R --out PREFIX [--queries N] [--threads 1], or modes";

/// Runs the command that the program was called with and prints its report.
pub fn main<E: Engine>() -> std::process::ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let reorder = arguments.first().is_some_and(|first| first == "--reorder");
    if reorder {
        arguments.remove(0);
    }
    match run::<E>(&arguments, reorder) {
        Ok(report) => {
            println!("{report}");
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run<E: Engine>(arguments: &[String], reorder: bool) -> Result<String> {
    match arguments.split_first() {
        Some((command, [])) if command == "modes" => {
            let modes = E::modes().into_iter();
            let lines: Vec<String> = modes
                .map(|(kind, mode)| format!("{} {mode}", kind.name()))
                .collect();
            Ok(lines.join("\n"))
        }
        Some((command, [work, index, options @ ..])) => {
            let (work, index) = (Work::open(Path::new(work))?, Path::new(index));
            let mut options = Options::parse(options)?;
            options.reorder = reorder;
            let report = match command.as_str() {
                "build" => build::<E>(&work, index, &options)?,
                "search" => search::<E>(&work, index, &options)?,
                _ => return Err(USAGE.into()),
            };
            Ok(report.to_string())
        }
        _ => Err(USAGE.into()),
    }
}

#[derive(Default)]
struct Options {
    threads: Option<usize>,
    order: Option<PathBuf>,
    mode: Option<String>,
    k: Option<usize>,
    rounds: Option<usize>,
    out: Option<String>,
    queries: Option<usize>,
    reorder: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut parsed = Self::default();
        for pair in arguments.chunks(2) {
            let [name, value] = pair else {
                return Err(USAGE.into());
            };
            match name.as_str() {
                "--threads" => parsed.threads = Some(value.parse()?),
                "--order" => parsed.order = Some(PathBuf::from(value)),
                "--mode" => parsed.mode = Some(value.clone()),
                "--k" => parsed.k = Some(value.parse()?),
                "--rounds" => parsed.rounds = Some(value.parse()?),
                "--out" => parsed.out = Some(value.clone()),
                "--queries" => parsed.queries = Some(value.parse()?),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(parsed)
    }
}

fn build<E: Engine>(work: &Work, index: &Path, options: &Options) -> Result<Value> {
    if index.exists() {
        fs::remove_dir_all(index)?;
    }
    fs::create_dir_all(index)?;
    let options = BuildOptions {
        threads: options.threads.unwrap_or(1),
        order: options.order.clone(),
        reorder: options.reorder,
    };
    let start = Instant::now();
    let built = E::build(work, index, &options)?;
    let seconds = start.elapsed().as_secs_f64();
    if built.documents != u64::from(work.documents) {
        let (expected, found) = (work.documents, built.documents);
        return Err(format!("expected {expected} documents in the index, found {found}").into());
    }
    let parts = built.parts.into_iter();
    let parts: Value = parts
        .map(|(name, bytes)| (name, Value::from(bytes)))
        .collect();
    Ok(json!({
        "engine": E::NAME,
        "version": E::version(),
        "parts": parts,
        "documents": built.documents,
        "build_s": seconds,
        "merge_s": built.merge_seconds,
        "index_bytes": folder_bytes(index)?,
        "peak_rss_bytes": peak_memory(),
        "note": built.note,
    }))
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    bytes_of_files(folder, "")
}

/// Bytes of the files of a folder whose names end so.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn bytes_of_files(folder: &Path, suffix: &str) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(suffix) {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

fn search<E: Engine>(work: &Work, index: &Path, options: &Options) -> Result<Value> {
    let (Some(mode), Some(k), Some(rounds), Some(out)) =
        (&options.mode, options.k, options.rounds, &options.out)
    else {
        return Err(USAGE.into());
    };
    if options.threads.is_some_and(|threads| threads != 1) {
        return Err("queries are searched on one thread".into());
    }
    if rounds == 0 {
        return Err("expected at least one round".into());
    }
    if !E::modes().contains(&(work.kind, mode.clone())) {
        return Err(format!("no mode {mode} for {} work", work.kind.name()).into());
    }
    let start = Instant::now();
    let engine = E::open(index, work.kind, mode, k)?;
    let opened = start.elapsed().as_secs_f64() * 1e6;
    let records = work.read_queries_for(mode, options.queries)?;
    if records.is_empty() {
        return Err("there are no queries".into());
    }
    let queries = records.iter().map(|record| engine.query(record));
    let queries: Vec<E::Query> = queries.collect::<Result<_>>()?;

    let mut hits = BufWriter::new(File::create(format!("{out}.hits"))?);
    let keep = |place, found| -> Result<()> {
        for (document, score) in engine.name(found)? {
            writeln!(hits, "{place} {document} {score}")?;
        }
        Ok(())
    };
    let latencies = Latencies::measure(&queries, rounds, |query| engine.search(query), keep)?;
    hits.flush()?;
    let mut times = BufWriter::new(File::create(format!("{out}.times"))?);
    for time in &latencies.fastest {
        writeln!(times, "{time:.3}")?;
    }
    times.flush()?;

    let mut report = json!({
        "engine": E::NAME,
        "mode": mode,
        "k": k,
        "open_us": opened,
        "peak_rss_bytes": peak_memory(),
        "note": engine.note(),
    });
    if let (Value::Object(report), Value::Object(latencies)) = (&mut report, latencies.report()) {
        report.extend(latencies);
    }
    Ok(report)
}
