//! Documents, all of whose content follows from a number and a version, and what is asked of them.

use std::collections::BTreeMap;

use esparsa::{
    Algorithm, Column, Document, Query, Result, Schema, SearchOptions, Snapshot, Sparse, Text,
};

use crate::random::Random;

/// How many external ids there are.
pub const NUMBERS: u64 = 48;

/// The numbers of live documents, with the version of each.
pub type Contents = BTreeMap<u64, u64>;

pub fn schema() -> Schema {
    Schema::builder()
        .text("text", Text::new())
        .sparse("sparse", Sparse::new().expected_max(2.0))
        .column("rank", Column::i64())
        .stored("source")
        .build()
        .expect("a schema")
}

pub fn id(number: u64) -> String {
    format!("id{number:03}")
}

fn word(number: u64, version: u64) -> u64 {
    (number * 7 + version) % 5
}

fn rank(number: u64, version: u64) -> i64 {
    ((number * 13 + version * 5) % 17) as i64
}

fn weight(number: u64, version: u64) -> f32 {
    (1 + (number * 31 + version * 17) % 200) as f32 / 100.0
}

pub fn document(number: u64, version: u64) -> Document {
    let common = "common ".repeat(1 + (number % 4) as usize);
    let word = word(number, version);
    let weight = weight(number, version);
    Document::new(id(number))
        .with_text("text", format!("{common}w{word} v{version} w{word}"))
        .with_sparse(
            "sparse",
            [("all".to_owned(), weight), (format!("s{word}"), 1.0)],
        )
        .with("rank", rank(number, version))
        .with_stored("source", format!("{number}/{version}"))
}

/// What is stored for each live document.
pub fn contents(snapshot: &Snapshot, verifies: bool) -> Result<Contents> {
    let mut found = Contents::new();
    for segment in snapshot.segments() {
        if verifies {
            esparsa::internals::segment::verify(&segment.reader)?;
        }
        for document in (0..segment.reader.documents()).filter(|d| segment.is_live(*d)) {
            let stored = segment.reader.stored_document(document)?;
            let stored = String::from_utf8_lossy(&stored).into_owned();
            let (number, version) = stored.split_once('/').expect("a number and a version");
            let number: u64 = number.parse().expect("a number");
            assert_eq!(segment.reader.ids().id(document)?, id(number), "an id");
            let before = found.insert(number, version.parse().expect("a version"));
            assert_eq!(before, None, "two live documents of one id");
        }
    }
    assert_eq!(snapshot.documents(), found.len() as u64, "live documents");
    Ok(found)
}

/// Asks questions of a snapshot and compares the answers with those of the model.
pub fn ask(snapshot: &Snapshot, expected: &Contents, random: &mut Random) -> Result<()> {
    let asked = random.below(5);
    let with_word: Vec<String> = matching(expected, |n, v| word(n, v) == asked);
    let query = Query::text("text", format!("w{asked}"));
    assert_eq!(found(snapshot, &query)?, with_word, "documents of a word");
    let query = Query::sparse("sparse", [(format!("s{asked}"), 1.0)]);
    assert_eq!(
        found(snapshot, &query)?,
        with_word,
        "documents of a sparse term"
    );
    let low = random.below(17) as i64;
    let in_range = matching(expected, |n, v| rank(n, v) >= low);
    assert_eq!(
        found(snapshot, &Query::range("rank", low..))?,
        in_range,
        "a range"
    );
    let number = random.below(NUMBERS);
    let stored = snapshot.get(&id(number))?;
    let version = expected.get(&number);
    let source = version.map(|version| format!("{number}/{version}").into_bytes());
    assert_eq!(stored, source, "what is stored for {number}");
    best(snapshot, expected, random)
}

/// The best documents by every algorithm, which must be those by the slow one; for a single sparse
/// term, those of the model.
fn best(snapshot: &Snapshot, expected: &Contents, random: &mut Random) -> Result<()> {
    let k = random.pick(&[1, 2, 3, 10]);
    let words = [random.below(5), random.below(5)];
    let queries = [
        Query::text("text", format!("common w{} w{}", words[0], words[1])),
        Query::sparse(
            "sparse",
            [
                ("all".to_owned(), 1.0),
                (format!("s{}", words[0]), 0.5),
                (format!("s{}", words[1]), 0.7),
            ],
        ),
    ];
    for query in &queries {
        let search = |algorithm| {
            let options = SearchOptions::new(k).algorithm(algorithm);
            let hits = snapshot.search_with(query, &options)?.hits;
            let hits = hits.iter().map(|hit| (hit.address, hit.score.to_bits()));
            Ok::<_, esparsa::Error>(hits.collect::<Vec<_>>())
        };
        let exact = search(Algorithm::Exhaustive)?;
        assert_eq!(exact.len(), k.min(expected.len()), "number of hits");
        for algorithm in snapshot.algorithms(query)? {
            assert_eq!(search(algorithm)?, exact, "{algorithm:?} for {query:?}");
        }
    }
    let heaviest = expected.iter().map(|(n, v)| weight(*n, *v));
    let heaviest = heaviest.fold(0.0, f32::max);
    let query = Query::sparse("sparse", [("all", 1.0)]);
    if let Some(hit) = snapshot.search(&query, 1)?.iter().next() {
        // Weights are rounded to steps of 1/255 of the max.
        assert!((hit.score - heaviest).abs() <= 2.0 / 255.0, "the heaviest");
    }
    Ok(())
}

fn matching(expected: &Contents, matches: impl Fn(u64, u64) -> bool) -> Vec<String> {
    let numbers = expected.iter().filter(|(n, v)| matches(**n, **v));
    numbers.map(|(number, _)| id(*number)).collect()
}

fn found(snapshot: &Snapshot, query: &Query) -> Result<Vec<String>> {
    let mut ids = snapshot.search(query, NUMBERS as usize)?.ids()?;
    ids.sort();
    Ok(ids)
}
