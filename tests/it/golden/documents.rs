//! The documents of the golden index, chosen so that every shape that the format knows is in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use esparsa::store::{Directory, Memory};
use esparsa::{
    Calibration, CalibrationPoint, Column, Dense, DenseElement, Document, FieldValue, Index,
    IndexOptions, IndexWriter, MergePolicy, ModelIdentity, Schema, Sparse, SparseLayout, Text,
    Value, WriterOptions,
};

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Documents of the first segment; a prime follows, so that multiples of any number visit all.
const DOCUMENTS: u32 = 520;
const PRIME: u32 = 521;
/// This document has an id and nothing else.
pub const BARE: u32 = 7;
/// Documents of the third segment, enough for three groups of ranges; the last one is short.
const MANY: u32 = 8_200;
/// Milliseconds.
const DAY: i64 = 86_400_000;

pub fn schema() -> Schema {
    let model = |name: &str, fingerprint| ModelIdentity {
        name: name.into(),
        fingerprint,
    };
    let impacts = Sparse::new().max_weight(2.55).layout(SparseLayout::Tiers);
    let half = Dense::new(33).element(DenseElement::F16).cosine();
    let half = half.model(model("médio", 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210));
    Schema::builder()
        .text("text", Text::new())
        .sparse("impacts", impacts.model(model("sparse", 1)))
        // Lists of numbered terms are cut at ranges.
        .sparse("numbered", Sparse::new().expected_max(1.0).numbered())
        .stored("source")
        .dense("single", Dense::new(5))
        .dense("half", half)
        .dense("byte", Dense::new(70).element(DenseElement::I8))
        .column("whole", Column::i64().several())
        .column("natural", Column::u64())
        .column("real", Column::f64())
        .column("flag", Column::bool().several())
        .column("date", Column::date())
        .column("keyword", Column::keyword().several())
        .build()
        .unwrap()
}

/// Numbers of many sizes, and one that is the max.
fn numbers(n: u32, dimensions: u32) -> Vec<f32> {
    let number = |place: u32| match place {
        2 => -2.0,
        3 => 0.0,
        _ => ((n + 1) * (place + 1) * 7_919 % 1_009) as f32 / 512.0 - 1.0,
    };
    (0..dimensions).map(number).collect()
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
        // The max length code; keys that share more than 15 bytes; a term too long; no ASCII.
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

/// A weight of 1 to 255 steps of the numbered field.
fn share(n: u32) -> f32 {
    (1 + n * 31 % 255) as f32 / 255.0
}

fn numbered_vector(n: u32) -> Vec<(u32, f32)> {
    let mut vector = Vec::new();
    vector.extend(n.is_multiple_of(2).then_some((7, share(n))));
    vector.extend((n % 90 == 1).then_some((65_536, 1.0 / (n as f32))));
    vector.extend((n == 300).then_some((u32::MAX, 1.0)));
    // Parts: most impacts at the base, a few far above and below it; some single ones; too small
    // for the smallest step.
    let among_many = match n % 50 {
        3 => 4.0 * share(n),
        7 => 1e-4,
        _ => share(n),
    };
    vector.extend((n < 300).then_some((11, among_many)));
    vector.extend((n == 301).then_some((12, 40.0)));
    vector.extend((n == 302).then_some((12, 2e-7)));
    vector.extend((n == 303).then_some((13, 1e-5)));
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

/// Adds all values of a column.
fn with_all<V: Into<FieldValue>>(
    document: Document,
    column: &str,
    values: impl IntoIterator<Item = V>,
) -> Document {
    let values = values.into_iter();
    values.fold(document, |document, value| document.with(column, value))
}

/// Columns in which few documents have a value, and some several.
fn with_few_values(document: Document, n: u32) -> Document {
    let number = i64::from(n);
    let whole = match n % 4 {
        0 => vec![],
        1 => vec![-number],
        2 => vec![7, -7],
        // Out of order; what is there twice stays so.
        _ => vec![number, 0, number],
    };
    let document = with_all(document, "whole", whole);
    let natural = (n >= 500).then_some(1_000_000 * u64::from(n));
    let document = with_all(document, "natural", natural);
    let real = match n {
        25 => -0.0,
        30 => f64::INFINITY,
        35 => f64::MIN_POSITIVE / 4.0,
        _ => 0.375 * f64::from(n) - 20.0,
    };
    let document = with_all(document, "real", n.is_multiple_of(5).then_some(real));
    let flag = (n < 150).then_some(n.is_multiple_of(3));
    let document = with_all(document, "flag", flag);
    // Whole days, a multiple of four apart.
    let date = (n % 4 == 1).then_some(Value::Date(DAY * (number * 7 % 100)));
    let document = with_all(document, "date", date);
    // More keywords than a block of a dictionary has; a document has the same one twice.
    let key = format!("key{n}");
    let keywords = match n {
        5 => vec![""],
        6 => vec!["né", ""],
        _ if n.is_multiple_of(4) => vec![key.as_str(), "red", key.as_str()],
        _ => vec![],
    };
    with_all(document, "keyword", keywords)
}

/// Columns in which half of the documents have a value, or all have one or several.
fn with_many_values(document: Document, n: u32) -> Document {
    // Enough for a bitmap.
    let natural = (n / 100).is_multiple_of(2);
    let natural = natural.then_some(5 + 3 * u64::from(n / 1_000));
    let document = with_all(document, "natural", natural);
    // Enough for two superblocks; the same number of each document, so that starts are a line.
    let is_set = (1_000..1_010).contains(&n) || n > 8_194;
    let flags = [is_set].into_iter().chain([false; 7]);
    let document = with_all(document, "flag", flags);
    let last = (n == MANY - 1).then_some("last");
    let document = with_all(document, "keyword", last);
    document.with("date", Value::Date(DAY * i64::from(n / 1_000)))
}

fn first_segment() -> impl Iterator<Item = Document> {
    (0..DOCUMENTS).map(|n| {
        let mut document = Document::new(id(n));
        if n == BARE {
            return document;
        }
        // Few: in the first document and in the last, deleted ones among them.
        if n % 173 == 0 {
            document = document.with_dense("half", numbers(n, 33));
        }
        if n % 130 == 64 || n == DOCUMENTS - 1 {
            document = document.with_dense("byte", numbers(n, 70));
        }
        with_few_values(document, n)
            .with_text("text", text(n))
            .with_sparse("impacts", vector(n))
            .with_sparse_numbered("numbered", numbered_vector(n))
            .with_stored("source", source(n))
    })
}

/// Ids in order, one of them of a document to be replaced, one document without text, and nothing
/// in the field of numbered terms. All have one vector, one has another of zeros. All have a value
/// of one column, the lowest and the highest among them. Columns are added in the order of their
/// names, so that the JSON that is stored of a document is the same with keys sorted or not.
fn second_segment() -> Vec<Document> {
    vec![
        Document::new(id(0))
            .with_text("text", "common again")
            .with_dense("single", [1.0, -0.0, f32::MIN_POSITIVE / 4.0, 1e17, 0.1])
            .with_stored("source", "replaced")
            .with("date", Value::Date(-1))
            .with("flag", true)
            .with("keyword", "x".repeat(1_024))
            .with("natural", u64::MAX)
            .with("real", f64::NEG_INFINITY)
            .with("whole", i64::MAX)
            .with("whole", -1)
            .with("whole", i64::MIN)
            .with("whole", 0),
        Document::new("e1")
            .with_sparse("impacts", [("few", 1.5), ("late", 0.25)])
            .with_dense("single", numbers(1, 5))
            .with("date", "2024-06-19T15:22:45.12Z")
            .with("flag", true)
            .with("flag", false)
            .with("keyword", "blue-green")
            .with("keyword", "blue")
            .with("natural", 0)
            .with("real", 0.5),
        Document::new("e2")
            .with("natural", 1u64 << 40)
            .with_text("text", "only a few common words")
            .with_dense("byte", vec![0.0; 70])
            .with_dense("single", numbers(2, 5)),
    ]
}

/// Three groups of ranges, whose lists have ranges and groups of every shape, and columns; nothing
/// else is in these documents. Ids are short, and in the order of the documents.
fn third_segment() -> impl Iterator<Item = Document> {
    let digit = |number: u32| char::from_digit(number % 36, 36).unwrap();
    (0..MANY).map(move |n| {
        let id: String = ['z', digit(n / 1_296), digit(n / 36), digit(n)]
            .iter()
            .collect();
        let terms = [
            // Postings in every range, as many as are written as offsets at most; every noted rank.
            (7, n.is_multiple_of(8)),
            // Whole ranges, in bits, with ends of two bytes; one posting in each of the other groups.
            (8, n < 300 || n == 4_200 || n == MANY - 1),
            // The most offsets and the fewest bits, with ends of one byte; nothing in the second group.
            (
                9,
                n < 8 || (64..73).contains(&n) || (960..1_100).contains(&n) || n == 8_192,
            ),
            // The second group alone.
            (10, (4_096..4_500).contains(&n)),
        ];
        let terms = terms.into_iter().filter(|(_, is_there)| *is_there);
        // Far above what the schema expects: the segment has a base exponent of its own.
        let weight = |term| 40.0 * share(n + term);
        let vector: Vec<(u32, f32)> = terms.map(|(term, _)| (term, weight(term))).collect();
        with_many_values(Document::new(id), n)
            .with_sparse_numbered("numbered", vector)
            .with_stored("source", "")
    })
}

fn add_all(writer: &mut IndexWriter, documents: impl IntoIterator<Item = Document>) {
    for document in documents {
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
}

/// The files of the index, built in memory.
pub fn build() -> Files {
    let memory = Memory::new();
    let directory = Arc::new(memory.clone());
    let index = Index::create_in(directory, schema(), IndexOptions::new()).unwrap();
    let options = WriterOptions::new()
        .merge_policy(MergePolicy::never())
        .reorder_from(Some(1));
    let mut writer = index.writer_with(options).unwrap();
    add_all(&mut writer, first_segment());
    for n in [1, 64, 519] {
        writer.delete(&id(n)).unwrap();
    }
    // The second segment is a merge of two small ones that puts documents in order; so few stay as they are.
    let second = second_segment();
    let (some, others) = second.split_at(2);
    add_all(&mut writer, some.to_vec());
    add_all(&mut writer, others.to_vec());
    writer.merge_to(2).unwrap();
    let points = [(10, 0.5, 0.75, 0.96875, 12.5), (100, 1.0, 1.0, 1.0, 80.25)];
    let point = |(k, share, slack, recall, microseconds)| CalibrationPoint {
        k,
        share,
        slack,
        recall,
        microseconds,
    };
    let calibration = Calibration {
        field: schema().fields()[2].number,
        documents: 521,
        queries: 3,
        points: points.map(point).to_vec(),
    };
    writer.keep_calibration(calibration).unwrap();
    add_all(&mut writer, third_segment());
    let names = memory.list().unwrap();
    names
        .into_iter()
        .map(|name| (name.clone(), memory.bytes(&name).unwrap().to_vec()))
        .collect()
}
