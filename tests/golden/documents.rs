//! The documents of the golden index, chosen so that every shape that the format knows is in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use esparsa::store::{Directory, Memory};
use esparsa::{Document, Index, IndexOptions, MergePolicy, Schema, WriterOptions};

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Documents of the first segment; a prime follows, so that multiples of any number visit all.
const DOCUMENTS: u32 = 520;
const PRIME: u32 = 521;
/// This document has an id and nothing else.
const BARE: u32 = 7;

pub fn schema() -> Schema {
    let schema = Schema::new().text("text", "simple").unwrap();
    let schema = schema.sparse("impacts", 2.55).unwrap();
    let schema = schema.sparse_numbered("numbered", 1.0).unwrap();
    schema.stored("source").unwrap()
}

/// Ids are in another order than documents.
fn id(n: u32) -> String {
    format!("d{:03}", (n * 37 + 11) % PRIME)
}

fn text(n: u32) -> String {
    let long_word = "x".repeat(300);
    let only = format!("only{n}");
    let common = match n {
        100 => 300,
        _ if n % 50 == 3 => 4,
        _ => 1,
    };
    let endless = match n {
        200 => 40_000,
        201 => 1,
        _ => 0,
    };
    let once = usize::from;
    let words = [
        // Long lists: in nearly all documents, with a frequency above what a bound can say; at gaps of
        // many widths; with one great gap among small ones.
        ("common", common),
        (
            "scattered",
            once(n * 97 % PRIME < 300) * (1 + n as usize % 5),
        ),
        ("gaps", once(n < 90 || (300..340).contains(&n) || n == 519)),
        // A short list with an exception, exactly a full block, lists of two and seven, single postings.
        (
            "uneven",
            once((230..300).contains(&n)) * if n == 250 { 120 } else { 1 + n as usize % 4 },
        ),
        ("full", once((100..228).contains(&n))),
        ("pair", once(n == 5 || n == 515)),
        ("seven", once(n.is_multiple_of(77))),
        (&only, once(n.is_multiple_of(16))),
        ("twice", 2 * once(n == 13)),
        // The greatest length code; keys that share more than 15 bytes; a term too long; no ASCII.
        ("endless", endless),
        ("incomprehensibilities", once(n == 3)),
        ("incomprehensibility", once(n == 4)),
        (&long_word, once(n == 9)),
        ("Ω", once(n == 11)),
    ];
    let words = words
        .iter()
        .flat_map(|(word, times)| std::iter::repeat_n(*word, *times));
    words.collect::<Vec<&str>>().join(" ")
}

/// Weights of so many steps; the scale of the field is 0.01.
fn steps(impact: u32) -> f32 {
    impact as f32 * 0.01
}

fn vector(n: u32) -> Vec<(&'static str, f32)> {
    // 128 documents above 200, 172 above 100, the rest small: three tiers, the first one full block.
    let rank = n * 211 % PRIME;
    let everywhere = match rank {
        0..128 => 200 + rank % 56,
        128..300 => 100 + rank % 50,
        _ => 1 + rank % 40,
    };
    let mut vector = vec![("everywhere", steps(everywhere))];
    vector.extend((n < 200).then_some(("flat", steps(50))));
    vector.extend(n.is_multiple_of(100).then_some(("few", steps(n / 4 + 1))));
    vector.extend((n == 42).then_some(("greatest", steps(255))));
    vector.extend((n == 43).then_some(("one", steps(17))));
    vector.extend((n == 44).then_some(("clamped", 9.0)));
    vector.extend((n == 45).then_some(("nothing", 0.0)));
    vector
}

fn numbered_vector(n: u32) -> Vec<(u32, f32)> {
    let mut vector = Vec::new();
    vector.extend(n.is_multiple_of(2).then_some((7, 0.5)));
    vector.extend((n % 90 == 1).then_some((65_536, 1.0 / (n as f32))));
    vector.extend((n == 300).then_some((u32::MAX, 1.0)));
    vector
}

fn source(n: u32) -> Vec<u8> {
    match n {
        21 => vec![0xFF, 0x00, 0x80],
        _ if n.is_multiple_of(20) => Vec::new(),
        _ => format!(
            r#"{{"number":{n},"square":{},"parity":"{}"}}"#,
            n * n,
            ["even", "odd"][n as usize % 2]
        )
        .into_bytes(),
    }
}

fn first_segment() -> impl Iterator<Item = Document> {
    (0..DOCUMENTS).map(|n| {
        let document = Document::new(id(n));
        if n == BARE {
            return document;
        }
        document
            .with_text("text", text(n))
            .with_sparse("impacts", vector(n))
            .with_sparse_numbered("numbered", numbered_vector(n))
            .with_stored("source", source(n))
    })
}

/// Ids in order, one of them of a document to be replaced, one document without text, and nothing in the field
/// of numbered terms.
fn second_segment() -> Vec<Document> {
    vec![
        Document::new(id(0))
            .with_text("text", "common again")
            .with_stored("source", "replaced"),
        Document::new("e1").with_sparse("impacts", [("few", 1.5), ("late", 0.25)]),
        Document::new("e2").with_text("text", "only a few common words"),
    ]
}

/// The files of the index, built in memory.
pub fn build() -> Files {
    let memory = Memory::new();
    let directory = Arc::new(memory.clone());
    let index = Index::create_in(directory, schema(), IndexOptions::new()).unwrap();
    let options = WriterOptions {
        merge_policy: MergePolicy::never(),
        ..WriterOptions::default()
    };
    let mut writer = index.writer_with(options).unwrap();
    for document in first_segment() {
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
    for n in [1, 64, 519] {
        writer.delete(&id(n)).unwrap();
    }
    for document in second_segment() {
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
    let names = memory.list().unwrap();
    names
        .into_iter()
        .map(|name| (name.clone(), memory.bytes(&name).unwrap().to_vec()))
        .collect()
}
