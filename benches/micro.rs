//! Micro-benchmarks: decoding, scoring, dictionary lookup, and query latency by algorithm.
//!
//! `cargo bench --bench micro [-- FILTER]`. Everything is generated from fixed seeds and kept in memory; a run takes about a
//! minute.

#[path = "../examples/splade_shaped/generator.rs"]
mod generator;
#[path = "../examples/splade_shaped/random.rs"]
mod random;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use esparsa::internals::format::block::{self, BEFORE_FIRST, BLOCK_POSTINGS, DecodedBlock};
use esparsa::internals::format::dictionary::{
    Dictionary, DictionaryWriter, Payload, TermEntry, TermPositions, TermPostings,
};
use esparsa::internals::format::section::Section;
use esparsa::{Algorithm, Document, Index, Query, Schema, SearchOptions, Snapshot, Sparse, Text};
use generator::{Draft, Generator, MAX_WEIGHT};
use random::Random;

const TEXT_DOCUMENTS: usize = 50_000;
const SPARSE_DOCUMENTS: usize = 10_000;
const QUERIES: usize = 20;
const SEED: u64 = 7;

/// Documents with gaps of up to `gap_bits` bits and values of up to `value_bits`; every 40th of either is
/// much greater when `exceptions` are asked for.
fn postings(
    count: usize,
    gap_bits: u32,
    value_bits: u32,
    exceptions: bool,
) -> (Vec<u32>, Vec<u32>) {
    let mut random = Random::new(SEED, u64::from(gap_bits), u64::from(value_bits));
    let mut document = 0;
    let mut number = |place: usize, bits: u32| {
        let spike = if exceptions && place % 40 == 7 {
            1 << (bits + 6)
        } else {
            0
        };
        random.below(1 << bits) as u32 + spike
    };
    let pairs = (0..count).map(|place| {
        document += 1 + number(place, gap_bits);
        (document, number(place + 1, value_bits))
    });
    pairs.unzip()
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let cases = [
        (
            "full, gaps of 1 bit, values of 0",
            BLOCK_POSTINGS,
            1,
            0,
            false,
        ),
        (
            "full, gaps of 4 bits, values of 2",
            BLOCK_POSTINGS,
            4,
            2,
            false,
        ),
        (
            "full, gaps of 10 bits, values of 8",
            BLOCK_POSTINGS,
            10,
            8,
            false,
        ),
        (
            "full with exceptions, gaps of 4 bits, values of 2",
            BLOCK_POSTINGS,
            4,
            2,
            true,
        ),
        (
            "full with exceptions, gaps of 10 bits, values of 8",
            BLOCK_POSTINGS,
            10,
            8,
            true,
        ),
        ("tail of 100, gaps of 4 bits, values of 2", 100, 4, 2, false),
        ("tail of 20, gaps of 10 bits, values of 8", 20, 10, 8, false),
    ];
    for (name, count, gap_bits, value_bits, exceptions) in cases {
        let (documents, values) = postings(count, gap_bits, value_bits, exceptions);
        let mut bytes = Vec::new();
        block::encode(BEFORE_FIRST, &documents, &values, &mut bytes);
        // The head's highest bit says that there are exceptions.
        assert!(!exceptions || bytes[0] & 0x80 != 0);
        let mut decoded = DecodedBlock::default();
        block::decode(&bytes, BEFORE_FIRST, count, &mut decoded).expect("a block just encoded");
        assert_eq!(decoded.documents(), documents);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| block::decode(black_box(&bytes), BEFORE_FIRST, count, &mut decoded));
        });
    }
    group.finish();
}

fn dictionary(criterion: &mut Criterion) {
    let keys: Vec<String> = (0..200_000)
        .map(|number| format!("term{number:07}"))
        .collect();
    let mut writer = DictionaryWriter::of_text_terms();
    for (number, key) in (0u32..).zip(&keys) {
        let entry = TermEntry {
            document_frequency: 200,
            postings: TermPostings::List {
                offset: u64::from(number) * 300,
                length: 300,
            },
            positions: TermPositions::None,
        };
        let added = writer.add_term(key.as_bytes(), &entry, u64::from(number) * 300);
        added.expect("keys that rise");
    }
    let bytes = writer.finish().expect("a dictionary within the limits");
    let dictionary = Dictionary::open(Section::from_bytes("terms", bytes), Payload::TextTerms);
    let dictionary = dictionary.expect("a dictionary just written");
    assert!(matches!(dictionary.term(b"term0001234"), Ok(Some(_))));

    let mut group = criterion.benchmark_group("dictionary of 200,000 terms");
    let mut random = Random::new(SEED, 0, 0);
    group.bench_function("term that is there", |bencher| {
        bencher.iter(|| dictionary.term(keys[random.below(keys.len())].as_bytes()));
    });
    group.bench_function("term that is not", |bencher| {
        bencher.iter(|| {
            let absent = &keys[random.below(keys.len())];
            dictionary.term(&absent.as_bytes()[..10])
        });
    });
    group.finish();
}

/// A word whose rank in the vocabulary follows Zipf's law.
fn word(random: &mut Random) -> String {
    format!("w{}", random.rank(100_000, 3.0, 1.05))
}

/// Texts of 20 to 99 words.
fn text_snapshot() -> Snapshot {
    let schema = Schema::builder()
        .text("text", Text::new())
        .build()
        .expect("a schema");
    let index = Index::in_memory(schema).expect("an index in memory");
    let mut writer = index.writer().expect("the only writer");
    for number in 0..TEXT_DOCUMENTS {
        let mut random = Random::new(SEED, 1, number as u64);
        let words: Vec<String> = (0..20 + random.below(80))
            .map(|_| word(&mut random))
            .collect();
        let document = Document::new(number.to_string()).with_text("text", words.join(" "));
        writer
            .add(document)
            .expect("a document that fits the schema");
    }
    writer.merge_to(1).expect("one segment");
    writer.commit().expect("a commit in memory");
    index.snapshot().expect("a snapshot")
}

fn sparse_snapshot(generator: &Generator) -> Snapshot {
    let schema = Schema::builder()
        .sparse("splade", Sparse::new().expected_max(MAX_WEIGHT).numbered())
        .build();
    let index = Index::in_memory(schema.expect("a schema")).expect("an index in memory");
    let mut writer = index.writer().expect("the only writer");
    let mut draft = Draft::new();
    for number in 0..SPARSE_DOCUMENTS {
        let vector = generator.document(number, &mut draft);
        let document = Document::new(number.to_string()).with_sparse_numbered("splade", vector);
        writer
            .add(document)
            .expect("a document that fits the schema");
    }
    writer.merge_to(1).expect("one segment");
    writer.commit().expect("a commit in memory");
    index.snapshot().expect("a snapshot")
}

/// One iteration is all the queries.
fn latency(criterion: &mut Criterion, name: &str, snapshot: &Snapshot, queries: &[Query]) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(queries.len() as u64));
    for algorithm in snapshot.algorithms(&queries[0]).expect("a field") {
        let options = SearchOptions::new(10).algorithm(algorithm);
        for query in queries {
            let found = snapshot.search_with(query, &options).expect("a search");
            assert!(!found.hits.is_empty());
        }
        group.bench_function(algorithm.name(), |bencher| {
            bencher.iter(|| {
                for query in queries {
                    black_box(snapshot.search_with(query, &options).expect("a search"));
                }
            });
        });
    }
    group.finish();
}

fn text(criterion: &mut Criterion) {
    let snapshot = text_snapshot();

    // A word of nearly every document: scoring and little else.
    let long = Query::text("text", "w0");
    let options = SearchOptions::new(10).algorithm(Algorithm::Exhaustive);
    let scored = snapshot.search_with(&long, &options).expect("a search");
    let mut group = criterion.benchmark_group("score");
    group.throughput(Throughput::Elements(scored.statistics.postings_scored));
    group.bench_function("every posting of a long list", |bencher| {
        bencher.iter(|| snapshot.search_with(black_box(&long), &options));
    });
    group.finish();

    let query = |number| {
        let mut random = Random::new(SEED, 2, number);
        let words: Vec<String> = (0..2 + random.below(6))
            .map(|_| word(&mut random))
            .collect();
        Query::text("text", words.join(" "))
    };
    let queries: Vec<Query> = (0..QUERIES as u64).map(query).collect();
    latency(criterion, "text, 20 queries", &snapshot, &queries);
}

fn sparse(criterion: &mut Criterion) {
    let generator = Generator::new(SPARSE_DOCUMENTS, SEED);
    let snapshot = sparse_snapshot(&generator);
    let mut draft = Draft::new();
    let queries: Vec<Query> = (0..QUERIES)
        .map(|number| Query::sparse_numbered("splade", generator.query(number, &mut draft)))
        .collect();
    latency(criterion, "sparse, 20 queries", &snapshot, &queries);
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(1_500))
        .sample_size(20);
    targets = decoding, dictionary, text, sparse
}
criterion_main!(benches);
