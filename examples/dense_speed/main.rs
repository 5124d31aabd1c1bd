//! Dense search beside reading its bytes once, and the quality of 16-bit and 8-bit vectors.
//!
//! `cargo run --release --example dense_speed [-- speed [K] | quality]`. Vectors of 384 dimensions,
//! generated from fixed seeds: 60,000 of them, the top 500 unless K is given, one thread. The index
//! is in a temporary folder, memory-mapped, in the page cache; reading and searching alternate on
//! the same bytes, round by round, and the fastest of each counts, which excludes interruptions.

#[allow(dead_code)]
#[path = "../splade_shaped/random.rs"]
mod random;
mod reading;
mod vectors;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use esparsa::{
    Dense, DenseElement, Document, Index, MergePolicy, Query, Schema, SearchOptions, Snapshot,
    WriterOptions,
};
use reading::Way;
use vectors::{DIMENSIONS, Spread, vectors};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const DOCUMENTS: usize = 60_000;
const K: usize = 500;
const ROUNDS: usize = 30;
const TIMED_QUERIES: usize = 6;
const FIELDS: [(&str, DenseElement); 3] = [
    ("f32", DenseElement::F32),
    ("f16", DenseElement::F16),
    ("i8", DenseElement::I8),
];
const QUERIES: usize = 200;
const DOCUMENT: u64 = 0;
const QUERY: u64 = 1;

fn main() -> Result<()> {
    let k = std::env::args().nth(2).map_or(Ok(K), |k| k.parse())?;
    match std::env::args().nth(1).as_deref() {
        None => {
            speed(k)?;
            quality()
        }
        Some("speed") => speed(k),
        Some("quality") => quality(),
        Some(other) => Err(format!("expected `speed` or `quality`, found `{other}`").into()),
    }
}

/// One segment with the vectors in one field per element type.
fn build(folder: &std::path::Path, vectors: &[Vec<f32>]) -> Result<Snapshot> {
    let mut schema = Schema::builder();
    for (name, element) in FIELDS {
        schema = schema.dense(name, Dense::new(DIMENSIONS).element(element));
    }
    let index = Index::create(folder, schema.build()?)?;
    let mut writer = index.writer_with(WriterOptions::new().merge_policy(MergePolicy::never()))?;
    for (number, vector) in vectors.iter().enumerate() {
        let document = Document::new(format!("document-{number:06}"));
        let document = FIELDS.into_iter().fold(document, |document, (name, _)| {
            document.with_dense(name, vector.clone())
        });
        writer.add(document)?;
    }
    writer.merge_to(1)?;
    writer.commit()?;
    Ok(index.snapshot()?)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The time of a search that finds `k` documents.
fn time(k: usize, search: impl FnOnce() -> esparsa::Result<usize>) -> Result<Duration> {
    let start = Instant::now();
    let found = search()?;
    let took = start.elapsed();
    (found == k)
        .then_some(took)
        .ok_or_else(|| format!("expected {k} hits, found {found}").into())
}

fn speed(k: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let snapshot = build(
        folder.path(),
        &vectors(Spread::Clustered, DOCUMENT, DOCUMENTS),
    )?;
    let queries = vectors(Spread::Clustered, QUERY, TIMED_QUERIES);
    println!(
        "top {k} of {DOCUMENTS} vectors of {DIMENSIONS} dimensions, one thread; ms, the fastest of {ROUNDS} rounds of {TIMED_QUERIES}\n"
    );
    println!("| element | bytes | reading | GB/s | search | ratio | with ids | ratio |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (name, _) in FIELDS {
        let segment = &snapshot.segments()[0].reader;
        let field = snapshot.schema().field(name).ok_or("no such field")?.number;
        let rows = segment.dense(field).ok_or("no such vectors")?;
        let bytes = rows.row_bytes(0, rows.rows())?;
        let times = Times::measure(&snapshot, name, &queries, bytes, k)?;
        let (way, read) = times.fastest_read().ok_or("no way to read")?;
        let [search, named] = times.searches;
        println!(
            "| {name} | {} | {read:.2} | {:.1} | {search:.2} | {:.2} | {named:.2} | {:.2} |",
            bytes.len(),
            bytes.len() as f64 / read / 1e6,
            search / read,
            named / read
        );
        let all = times
            .reads
            .iter()
            .map(|(name, ms)| format!("{name} {ms:.2}"));
        let all: Vec<String> = all.collect();
        eprintln!("{name}: read fastest by {way}; {}", all.join(", "));
    }
    Ok(())
}

/// Milliseconds for one field.
struct Times {
    /// By way of reading.
    reads: Vec<(&'static str, f64)>,
    /// Without and with the lookup of ids.
    searches: [f64; 2],
}

impl Times {
    fn measure(
        snapshot: &Snapshot,
        field: &str,
        queries: &[Vec<f32>],
        bytes: &[u8],
        k: usize,
    ) -> Result<Self> {
        let options = SearchOptions::new(k);
        let ways = Way::all();
        let mut reads = vec![Duration::MAX; ways.len()];
        let [mut unnamed, mut named] = [Duration::MAX; 2];
        for _ in 0..ROUNDS {
            for vector in queries {
                let query = Query::dense(field, vector.as_slice());
                let took = time(k, || Ok(snapshot.search_with(&query, &options)?.hits.len()))?;
                unnamed = took.min(unnamed);
                let took = time(k, || {
                    Ok(snapshot.search_with(&query, &options)?.hits.ids()?.len())
                })?;
                named = took.min(named);
            }
            for (way, read) in ways.iter().zip(&mut reads) {
                *read = way.time(bytes).min(*read);
            }
        }
        let reads = ways.iter().zip(reads);
        Ok(Self {
            reads: reads
                .map(|(way, read)| (way.name, milliseconds(read)))
                .collect(),
            searches: [unnamed, named].map(milliseconds),
        })
    }

    fn fastest_read(&self) -> Option<(&'static str, f64)> {
        let reads = self.reads.iter().copied();
        reads.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// Recall of the exact top 10 and top 100.
fn quality() -> Result<()> {
    println!("\nrecall of the best of f32, {DOCUMENTS} vectors, {QUERIES} queries\n");
    println!("| vectors | k | f16 | i8 | i8, query of 8 bits too |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for spread in [Spread::Random, Spread::Clustered] {
        let folder = tempfile::tempdir()?;
        let documents = vectors(spread, DOCUMENT, DOCUMENTS);
        let queries = vectors(spread, QUERY, QUERIES);
        let snapshot = build(folder.path(), &documents)?;
        for k in [10, 100] {
            let options = SearchOptions::new(k);
            let find = |name: &str, vector: &[f32]| -> Result<HashSet<u32>> {
                let found = snapshot.search_with(&Query::dense(name, vector), &options)?;
                Ok(found.hits.iter().map(|hit| hit.address.document).collect())
            };
            let mut shared = [0; 3];
            for query in &queries {
                let exact = find("f32", query)?;
                let others = [
                    find("f16", query)?,
                    find("i8", query)?,
                    find("i8", &in_8_bits(query))?,
                ];
                for (shared, found) in shared.iter_mut().zip(others) {
                    *shared += exact.intersection(&found).count();
                }
            }
            let recall = shared.map(|shared| shared as f64 / (k * QUERIES) as f64);
            let [half, byte, both] = recall;
            println!("| {spread:?} | {k} | {half:.4} | {byte:.4} | {both:.4} |");
        }
    }
    Ok(())
}

/// Rounds to the nearest of 255 quantization codes, up to the maximum absolute value.
fn in_8_bits(vector: &[f32]) -> Vec<f32> {
    let max = vector.iter().fold(0f32, |max, x| max.max(x.abs()));
    let dequantized = |x: &f32| (x / max * 127.0).round() * max / 127.0;
    vector.iter().map(dequantized).collect()
}
