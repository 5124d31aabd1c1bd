//! Dense search beside reading its bytes once, and what rows of 16 and 8 bits cost in quality.
//!
//! `cargo run --release --example dense_speed [-- speed | quality]`. Vectors of 384 numbers, generated from fixed seeds: 60,000 of
//! them, the top 500, one thread. The index is in a temporary folder, memory-mapped, in the page cache; reading and searching
//! take turns on the same bytes, round by round, and the medians count.

#[allow(dead_code)]
#[path = "../splade_shaped/random.rs"]
mod random;
mod reading;
mod vectors;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use esparsa::{
    DenseElement, Document, Index, MergePolicy, Query, Schema, SearchOptions, Snapshot,
    WriterOptions,
};
use reading::Way;
use vectors::{DIMENSIONS, Spread, vectors};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const DOCUMENTS: usize = 60_000;
const K: usize = 500;
const ROUNDS: usize = 41;
const FIELDS: [(&str, DenseElement); 3] = [
    ("f32", DenseElement::F32),
    ("f16", DenseElement::F16),
    ("i8", DenseElement::I8),
];
const QUERIES: usize = 200;
const DOCUMENT: u64 = 0;
const QUERY: u64 = 1;

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => {
            speed()?;
            quality()
        }
        Some("speed") => speed(),
        Some("quality") => quality(),
        Some(other) => Err(format!("expected `speed` or `quality`, found `{other}`").into()),
    }
}

/// One segment with the vectors in a field of each element.
fn build(folder: &std::path::Path, vectors: &[Vec<f32>]) -> Result<Snapshot> {
    let mut schema = Schema::new();
    for (name, element) in FIELDS {
        schema = schema
            .dense(name, DIMENSIONS)?
            .dense_element(name, element)?;
    }
    let index = Index::create(folder, schema)?;
    let mut writer = index.writer_with(WriterOptions {
        merge_policy: MergePolicy::never(),
        ..WriterOptions::default()
    })?;
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

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn time(work: impl FnOnce() -> esparsa::Result<usize>) -> Result<Duration> {
    let start = Instant::now();
    let found = work()?;
    let took = start.elapsed();
    (found == K)
        .then_some(took)
        .ok_or_else(|| format!("expected {K} hits, found {found}").into())
}

fn speed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let snapshot = build(
        folder.path(),
        &vectors(Spread::Clustered, DOCUMENT, DOCUMENTS),
    )?;
    let queries = vectors(Spread::Clustered, QUERY, ROUNDS + 1);
    println!(
        "top {K} of {DOCUMENTS} vectors of {DIMENSIONS} numbers, one thread; ms, medians of {ROUNDS} rounds\n"
    );
    println!("| element | bytes | reading | GB/s | search | ratio | with ids | ratio |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let options = SearchOptions::new(K);
    for (name, _) in FIELDS {
        let segment = &snapshot.segments()[0].reader;
        let field = snapshot.schema().field(name).ok_or("no such field")?.number;
        let rows = segment.dense(field).ok_or("no such vectors")?;
        let bytes = rows.row_bytes(0, rows.rows())?;
        let ways = Way::all();
        let mut reads = vec![Vec::new(); ways.len()];
        let (mut searches, mut named) = (Vec::new(), Vec::new());
        for (round, vector) in queries.iter().enumerate() {
            let query = Query::dense(name, vector.as_slice());
            let search = time(|| Ok(snapshot.search_unnamed(&query, &options)?.len()))?;
            let with_ids = time(|| Ok(snapshot.search_with(&query, &options)?.hits.len()))?;
            let of_ways: Vec<Duration> = ways.iter().map(|way| way.time(bytes)).collect();
            // The first round brings everything into memory.
            if round > 0 {
                searches.push(search);
                named.push(with_ids);
                reads
                    .iter_mut()
                    .zip(of_ways)
                    .for_each(|(all, one)| all.push(one));
            }
        }
        let reads = ways.iter().zip(reads.into_iter().map(median));
        let all: Vec<(&str, f64)> = reads.map(|(way, read)| (way.name, read)).collect();
        let fastest = all.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
        let (way, read) = fastest.ok_or("no way to read")?;
        let (search, named) = (median(searches), median(named));
        let rate = bytes.len() as f64 / read / 1e6;
        println!(
            "| {name} | {} | {read:.2} | {rate:.1} | {search:.2} | {:.2} | {named:.2} | {:.2} |",
            bytes.len(),
            search / read,
            named / read
        );
        let all: Vec<String> = all
            .iter()
            .map(|(name, ms)| format!("{name} {ms:.2}"))
            .collect();
        eprintln!("{name}: read fastest by {way}; {}", all.join(", "));
    }
    Ok(())
}

/// Recall of the exact best 10 and 100.
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
                let found = snapshot.search_unnamed(&Query::dense(name, vector), &options)?;
                Ok(found
                    .into_iter()
                    .map(|(address, _)| address.document)
                    .collect())
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

/// The nearest of 255 levels up to the greatest number.
fn in_8_bits(vector: &[f32]) -> Vec<f32> {
    let greatest = vector
        .iter()
        .fold(0f32, |most, number| most.max(number.abs()));
    let level = |number: &f32| (number / greatest * 127.0).round() * greatest / 127.0;
    vector.iter().map(level).collect()
}
