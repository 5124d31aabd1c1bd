//! Builds a sparse index of SPLADE's shape and searches it with every algorithm.
//!
//! `cargo run --release --example splade_shaped -- [--documents N] [--queries N] [--threads N]
//! [--rounds N] [--seed N] [--index FOLDER]`; without a folder the index is temporary.

mod generator;
mod quality;
mod random;
mod shape;

use std::path::{Path, PathBuf};
use std::time::Instant;

use esparsa::{
    Algorithm, Document, Hits, Index, Query, Schema, SearchOptions, Snapshot, Sparse, WriterOptions,
};
use generator::{Draft, Generator, MAX_WEIGHT, Vector};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const FIELD: &str = "splade";
/// Queries whose exact results are computed from unrounded weights.
const JUDGED: usize = 100;

struct Arguments {
    documents: usize,
    queries: usize,
    threads: usize,
    rounds: usize,
    seed: u64,
    index: Option<PathBuf>,
}

impl Arguments {
    fn parse() -> Result<Self> {
        let mut parsed = Self {
            documents: 20_000,
            queries: 200,
            threads: 1,
            rounds: 3,
            seed: 1,
            index: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("expected a value after {name}"))?;
            match name.as_str() {
                "--documents" => parsed.documents = value.parse::<usize>()?.max(100),
                "--queries" => parsed.queries = value.parse::<usize>()?.max(1),
                "--threads" => parsed.threads = value.parse()?,
                "--rounds" => parsed.rounds = value.parse::<usize>()?.max(1),
                "--seed" => parsed.seed = value.parse()?,
                "--index" => parsed.index = Some(PathBuf::from(value)),
                _ => return Err(format!("unknown argument {name}").into()),
            }
        }
        Ok(parsed)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let generator = Generator::new(arguments.documents, arguments.seed);
    let mut draft = Draft::new();
    let mut shape = shape::Shape::new(10);
    let queries: Vec<Vector> = (0..arguments.queries)
        .map(|number| generator.query(number, &mut draft))
        .inspect(|query| shape.add(query))
        .collect();

    let temporary = tempfile::tempdir()?;
    let folder = match &arguments.index {
        Some(folder) => folder.clone(),
        None => temporary.path().join("index"),
    };
    let snapshot = build(&arguments, &generator, &folder)?;
    shape.print("queries");
    println!();
    search_all(&arguments, &snapshot, &queries)?;
    println!();
    let judged = &queries[..JUDGED.min(queries.len())];
    rounding(&generator, arguments.documents, &snapshot, judged)
}

/// Builds the index and prints its cost.
fn build(arguments: &Arguments, generator: &Generator, folder: &Path) -> Result<Snapshot> {
    let schema = Schema::builder()
        .sparse(FIELD, Sparse::new().expected_max(MAX_WEIGHT).numbered())
        .build()?;
    let index = Index::create(folder, schema)?;
    let mut writer = index.writer_with(WriterOptions::new().threads(arguments.threads))?;
    let (mut draft, mut shape) = (Draft::new(), shape::Shape::new(50));
    let (start, mut generating) = (Instant::now(), 0.0);
    for number in 0..arguments.documents {
        let generated = Instant::now();
        let vector = generator.document(number, &mut draft);
        shape.add(&vector);
        let document = Document::new(number.to_string()).with_sparse_numbered(FIELD, vector);
        generating += generated.elapsed().as_secs_f64();
        writer.add(document)?;
    }
    writer.commit()?;
    let indexed = start.elapsed().as_secs_f64() - generating;
    let start = Instant::now();
    writer.merge_to(1)?;
    writer.commit()?;
    let merged = start.elapsed().as_secs_f64();
    drop(writer);

    shape.print("documents");
    shape.print_lists();
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    println!(
        "index: {:.1} MB, {:.2} bytes a posting; built by {} thread(s) in {indexed:.1} s ({:.0} documents a \
         second, generating them aside), merged to one segment in {merged:.1} s; peak memory {}",
        bytes as f64 / 1e6,
        bytes as f64 / shape.frequencies.iter().map(|f| f64::from(*f)).sum::<f64>(),
        arguments.threads,
        arguments.documents as f64 / indexed,
        peak_memory()
    );
    Ok(index.snapshot()?)
}

/// The peak memory of the process, where the system tells.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |value| value.trim().to_owned())
}

fn search_all(arguments: &Arguments, snapshot: &Snapshot, queries: &[Vector]) -> Result<()> {
    println!(
        "{} queries, each query's fastest of {} rounds, one thread, warm\n",
        queries.len(),
        arguments.rounds
    );
    println!(
        "| algorithm | k | mean ms | p50 ms | p99 ms | postings a query | scored | share scored |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for k in [10, 1_000] {
        let expected = hits(snapshot, queries, Some(Algorithm::Exhaustive), k)?;
        let algorithms = match queries.first() {
            Some(vector) => snapshot.algorithms(&query(vector))?,
            None => Vec::new(),
        };
        for algorithm in algorithms.into_iter().map(Some).chain([None]) {
            if hits(snapshot, queries, algorithm, k)? != expected {
                let message = format!("{algorithm:?} found other hits than Exhaustive, k = {k}");
                return Err(message.into());
            }
            time(arguments, snapshot, queries, algorithm, k)?;
        }
    }
    println!("\nall algorithms return the same hits with the same scores");
    Ok(())
}

fn options(algorithm: Option<Algorithm>, k: usize) -> SearchOptions {
    let options = SearchOptions::new(k);
    match algorithm {
        Some(algorithm) => options.algorithm(algorithm),
        None => options,
    }
}

fn query(vector: &Vector) -> Query {
    Query::sparse_numbered(FIELD, vector.iter().copied())
}

fn hits(
    snapshot: &Snapshot,
    queries: &[Vector],
    algorithm: Option<Algorithm>,
    k: usize,
) -> Result<Vec<Hits>> {
    let found = queries.iter().map(|vector| {
        let result = snapshot.search_with(&query(vector), &options(algorithm, k));
        result.map(|result| result.hits)
    });
    Ok(found.collect::<esparsa::Result<_>>()?)
}

/// Times every query and prints a row.
fn time(
    arguments: &Arguments,
    snapshot: &Snapshot,
    queries: &[Vector],
    algorithm: Option<Algorithm>,
    k: usize,
) -> Result<()> {
    let mut fastest = vec![f64::INFINITY; queries.len()];
    let (mut postings, mut scored) = (0, 0);
    for _ in 0..arguments.rounds {
        (postings, scored) = (0, 0);
        for (vector, best) in queries.iter().zip(&mut fastest) {
            let query = query(vector);
            let start = Instant::now();
            let result = snapshot.search_with(&query, &options(algorithm, k))?;
            *best = best.min(start.elapsed().as_secs_f64() * 1e3);
            postings += result.statistics.postings;
            scored += result.statistics.postings_scored;
        }
    }
    fastest.sort_by(f64::total_cmp);
    let count = fastest.len();
    let quantile = |share: f64| fastest[((share * count as f64).ceil() as usize).max(1) - 1];
    println!(
        "| {} | {k} | {:.3} | {:.3} | {:.3} | {} | {} | {:.1} % |",
        algorithm.map_or("planner", Algorithm::name),
        fastest.iter().sum::<f64>() / count as f64,
        quantile(0.5),
        quantile(0.99),
        postings / count as u64,
        scored / count as u64,
        100.0 * scored as f64 / postings as f64
    );
    Ok(())
}

/// The effect of rounding weights to 8 bits.
fn rounding(
    generator: &Generator,
    documents: usize,
    snapshot: &Snapshot,
    queries: &[Vector],
) -> Result<()> {
    let exact = quality::exact(generator, documents, queries);
    let (mut recall, mut ndcg, mut unchanged) = (0.0, 0.0, 0);
    for (vector, exact) in queries.iter().zip(&exact) {
        let hits = snapshot.search(&query(vector), quality::DEPTH)?;
        let found = hits.ids()?;
        let found = found.iter().map(|id| id.parse());
        let found: Vec<usize> = found.collect::<std::result::Result<_, _>>()?;
        let (r, n) = quality::judge(exact, &found);
        (recall, ndcg) = (recall + r, ndcg + n);
        unchanged += usize::from(found == *exact);
    }
    let count = queries.len() as f64;
    println!(
        "8-bit weights against unrounded ones, {count} queries: recall@10 {:.4}, nDCG@10 {:.4} (the document at \
         exact rank r has the grade 11 - r), the same ten in the same order for {:.0} %",
        recall / count,
        ndcg / count,
        100.0 * unchanged as f64 / count
    );
    Ok(())
}
