//! An index in an object store: requests, bytes and time of opening and of the first query at
//! several latencies, and warm searches beside local ones.
//!
//! `CORPUS` names a `corpus.jsonl` in BEIR's layout and `QUERIES` a `queries.jsonl`; without them
//! `DOCUMENTS` documents, 50,000 by default, and queries are generated. The store is in memory and
//! each request waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use esparsa::store::{ObjectStore, ObjectStoreOptions, RequestCounts};
use esparsa::{
    Document, Index, IndexOptions, IndexWriter, MergePolicy, Query, Result, Schema, Snapshot, Text,
    WriterOptions,
};
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};

const QUERIES: usize = 200;
const K: usize = 10;

type Store = Arc<ThrottledStore<InMemory>>;

fn main() -> Result<()> {
    let (documents, queries) = match std::env::var("CORPUS") {
        Ok(corpus) => {
            let queries = std::env::var("QUERIES").expect("QUERIES beside CORPUS");
            (texts(&corpus), texts(&queries))
        }
        Err(_) => {
            let count =
                std::env::var("DOCUMENTS").map_or(50_000, |count| count.parse().expect("a number"));
            (generated(count, 60, 1), generated(QUERIES, 4, 2))
        }
    };
    let queries: Vec<Query> = queries
        .into_iter()
        .take(QUERIES)
        .map(|(_, text)| Query::text("text", text))
        .collect();
    println!("{} documents, {} queries", documents.len(), queries.len());
    for segments in [1, 64] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let local = build(folder.path(), &documents, segments)?;
        let store: Store = Arc::new(ThrottledStore::new(
            InMemory::new(),
            ThrottleConfig::default(),
        ));
        local.copy_to(Arc::new(directory(&store)?))?;
        println!("\n{segments} segments\n");
        cold(&store, &queries[0])?;
        warm(&local.snapshot()?, &store, &queries)?;
    }
    Ok(())
}

fn directory(store: &Store) -> Result<ObjectStore> {
    let options = ObjectStoreOptions::new().refresh(Duration::from_secs(3_600));
    ObjectStore::new(store.clone(), "index", options)
}

fn build(
    folder: &std::path::Path,
    documents: &[(String, String)],
    segments: usize,
) -> Result<Index> {
    let schema = Schema::builder()
        .text("text", Text::new().analyzer("english"))
        .build()?;
    let index = Index::create(folder, schema)?;
    let options = WriterOptions::new().merge_policy(MergePolicy::never());
    let mut writer: IndexWriter = index.writer_with(options)?;
    for part in documents.chunks(documents.len().div_ceil(segments)) {
        for (id, text) in part {
            writer.add(Document::new(id).with_text("text", text))?;
        }
        writer.commit()?;
    }
    if segments == 1 {
        writer.merge_to(1)?;
        writer.commit()?;
    }
    drop(writer);
    Ok(index)
}

/// Opening, the first query and its ids, with an empty cache.
fn cold(store: &Store, query: &Query) -> Result<()> {
    println!("| latency | step | requests | bytes | ms |\n| ---: | --- | ---: | ---: | ---: |");
    for latency in [0, 20, 100] {
        let wait = Duration::from_millis(latency);
        store.config_mut(|config| {
            config.wait_get_per_call = wait;
            config.wait_list_per_call = wait;
            config.wait_list_with_delimiter_per_call = wait;
        });
        let mut before = RequestCounts::default();
        let mut step = |directory: &ObjectStore, name: &str, started: Instant| {
            let counts = directory.requests();
            let new = counts.since(&before);
            before = counts;
            let ms = started.elapsed().as_secs_f64() * 1e3;
            let (requests, bytes) = (new.total(), new.bytes_read);
            println!("| {latency} ms | {name} | {requests} | {bytes} | {ms:.1} |");
        };
        let started = Instant::now();
        let directory = directory(store)?;
        let index = Index::open_in(Arc::new(directory.clone()), IndexOptions::new())?;
        let snapshot = index.snapshot()?;
        step(&directory, "open", started);
        let started = Instant::now();
        let hits = snapshot.search(query, K)?;
        step(&directory, "first query", started);
        let started = Instant::now();
        hits.ids()?;
        step(&directory, "its ids", started);
    }
    store.config_mut(|config| *config = ThrottleConfig::default());
    Ok(())
}

/// All queries when everything is there, in turns with a local index.
fn warm(local: &Snapshot, store: &Store, queries: &[Query]) -> Result<()> {
    let remote = Index::open_in(Arc::new(directory(store)?), IndexOptions::new())?.snapshot()?;
    let all = |snapshot: &Snapshot| -> Result<Vec<Vec<String>>> {
        queries
            .iter()
            .map(|query| snapshot.search(query, K)?.ids())
            .collect()
    };
    assert_eq!(all(local)?, all(&remote)?);
    let time = |snapshot: &Snapshot| -> Result<f64> {
        let started = Instant::now();
        for query in queries {
            std::hint::black_box(snapshot.search(query, K)?);
        }
        Ok(started.elapsed().as_secs_f64() * 1e6 / queries.len() as f64)
    };
    let mut pairs = Vec::new();
    for _ in 0..21 {
        pairs.push((time(local)?, time(&remote)?));
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let local = median(pairs.iter().map(|pair| pair.0).collect());
    let remote = median(pairs.iter().map(|pair| pair.1).collect());
    let ratio = median(pairs.iter().map(|pair| pair.1 / pair.0).collect());
    println!("\nwarm: local {local:.1} µs a query, cached {remote:.1} µs, ratio {ratio:.3}");
    Ok(())
}

/// Ids and texts of a file in BEIR's layout.
fn texts(path: &str) -> Vec<(String, String)> {
    let content = std::fs::read_to_string(path).expect("a readable file");
    let text = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let of = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        (of("_id"), format!("{} {}", of("title"), of("text")))
    };
    content.lines().map(text).collect()
}

/// Texts of words whose ranks are spread evenly over magnitudes.
fn generated(count: usize, words: usize, seed: u64) -> Vec<(String, String)> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut text = || {
        let words = (0..words).map(|_| {
            let spread = 2 << (next() % 17);
            format!("w{}", next() % spread)
        });
        words.collect::<Vec<_>>().join(" ")
    };
    (0..count)
        .map(|number| (number.to_string(), text()))
        .collect()
}
