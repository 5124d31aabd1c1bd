//! The cost of filters: top 10 of queries of 2 to 8 words on generated documents, without a filter
//! and with filters that accept a half to a thousandth of the documents.
//!
//! ```text
//! cargo run --release --example filter_speed -- [DOCUMENTS] [QUERIES]
//! ```
//!
//! Each row gives medians over the queries: a filter that was used before, the same with the
//! algorithm that looks documents up and with the one that an unfiltered search takes, and a filter
//! that is new each time, whose set of documents is made from the column first.

use std::time::Instant;

use esparsa::{
    Algorithm, Column, Document, Facet, Index, Query, Result, Schema, SearchOptions, Snapshot,
    Sort, Text, WriterOptions,
};

/// Words of the vocabulary; the n-th is about 1/n as frequent as the first.
const VOCABULARY: f64 = 200_000.0;
const WORDS: u64 = 40;
/// Values of the column `uniform`.
const VALUES: u64 = 1_000_000;

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn word(&mut self) -> u64 {
        let uniform = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        VOCABULARY.powf(uniform) as u64
    }
}

fn build(documents: u64) -> Result<Snapshot> {
    let index = Index::in_memory(
        Schema::builder()
            .text("text", Text::new())
            .column("uniform", Column::u64())
            .column("kind", Column::keyword())
            .build()?,
    )?;
    let mut writer = index.writer_with(WriterOptions::new().threads(2).memory(1 << 30))?;
    let mut random = Random(1);
    for number in 0..documents {
        let words: Vec<String> = (0..WORDS).map(|_| format!("w{}", random.word())).collect();
        let document = Document::new(number.to_string())
            .with_text("text", words.join(" "))
            .with("uniform", random.next() % VALUES)
            .with("kind", format!("k{}", random.word() % 1_000));
        writer.add(document)?;
    }
    writer.merge_to(1)?;
    writer.commit()?;
    index.snapshot()
}

/// The median time of a search with each query, in microseconds.
fn median(
    snapshot: &Snapshot,
    queries: &[Query],
    options: impl Fn(usize) -> SearchOptions,
) -> Result<f64> {
    let mut times = Vec::with_capacity(queries.len());
    for (number, query) in queries.iter().enumerate() {
        let options = options(number);
        let started = Instant::now();
        snapshot.search_with(query, &options)?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| {
        let given = arguments.next().map(|text| text.parse());
        given.map_or(default, |number| number.expect("a number"))
    };
    let (documents, count) = (number(1_000_000), number(200));
    let started = Instant::now();
    let snapshot = build(documents)?;
    println!(
        "{documents} documents in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    let mut random = Random(7);
    let queries: Vec<Query> = (0..count)
        .map(|number| {
            let words: Vec<String> = (0..2 + number % 7)
                .map(|_| format!("w{}", random.word()))
                .collect();
            Query::text("text", words.join(" "))
        })
        .collect();
    let top = |_| SearchOptions::new(10);
    median(&snapshot, &queries, top)?;
    let unfiltered = median(&snapshot, &queries, top)?;
    println!("top 10 without a filter: {unfiltered:.0} µs");
    println!("accepted   used before   looked up   max-score   new each time (µs)");
    for share in [0.5, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001] {
        let end = (VALUES as f64 * share) as u64;
        let filtered = |start: u64| {
            let filter = Query::range("uniform", start..start + end);
            let queries = queries.iter().cloned();
            queries.map(move |query| query.with_filter(filter.clone()))
        };
        let same: Vec<Query> = filtered(0).collect();
        median(&snapshot, &same, top)?;
        let used = median(&snapshot, &same, top)?;
        let with = |algorithm| move |_| SearchOptions::new(10).algorithm(algorithm);
        let looked_up = median(&snapshot, &same, with(Algorithm::Selective))?;
        let max_score = median(&snapshot, &same, with(Algorithm::MaxScore))?;
        let new: Vec<Query> = (0..queries.len() as u64)
            .map(|number| {
                let start = number * 37 + 1;
                let filter = Query::range("uniform", start..start + end);
                queries[number as usize].clone().with_filter(filter)
            })
            .collect();
        let new = median(&snapshot, &new, top)?;
        println!("{share:>8}   {used:>11.0}   {looked_up:>9.0}   {max_score:>9.0}   {new:>13.0}");
    }
    let started = Instant::now();
    let all = snapshot.count(&Query::any_of(queries.clone()))?;
    println!(
        "{all} documents match a query: {:.0} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    let sorted = |_| SearchOptions::new(10).sort(Sort::ascending("uniform"));
    let everything = vec![Query::all(); 20];
    println!(
        "top 10 of all by a column: {:.0} µs",
        median(&snapshot, &everything, sorted)?
    );
    println!(
        "top 10 of a query by a column: {:.0} µs",
        median(&snapshot, &queries, sorted)?
    );
    let started = Instant::now();
    snapshot.facets(&Query::all(), &[Facet::values("kind", 10)])?;
    println!(
        "keywords of all documents counted: {:.0} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}
