//! A search with a min score finds what the same search without it finds, up to the last hit that
//! reaches the score, bit for bit; and it does less work.
//!
//! The random indexes and queries are those of `filters`, besides queries that are made of others.

use std::collections::BTreeMap;

use esparsa::{
    Algorithm, Column, Document, Error, Facet, FacetResult, Hits, Index, MatchCount, MergePolicy,
    Query, Schema, SearchOptions, Snapshot, Sort, Sparse, SparseLayout, Text, Value, WriterOptions,
};

use crate::filters;
use crate::random::{Random, check_seeds};

/// Indexes, of each of which several queries are searched.
const CASES: u64 = 150;
const QUERIES_PER_INDEX: u64 = 8;
/// More than any index has.
const ALL: usize = 20_000;

/// A query of words or weights.
fn part(random: &mut Random, vocabulary: u64) -> Query {
    loop {
        let query = filters::query(random, vocabulary);
        if query.field() != "dense" {
            return query;
        }
    }
}

fn query(random: &mut Random, vocabulary: u64) -> Query {
    let kind = random.below(10);
    if kind > 4 {
        return filters::query(random, vocabulary);
    }
    let (one, other) = (part(random, vocabulary), part(random, vocabulary));
    match kind {
        0 => Query::bool().should(one).should(other),
        1 => Query::bool().must(one).should(other),
        2 => Query::best_of([one, other], 0.3),
        3 => one.with_boost(2.5).with_filter(other),
        _ => Query::all().with_boost(1.5).with_filter(one),
    }
}

/// Scores at which something may go wrong: those of hits, just above them, and beyond all.
fn min_score(random: &mut Random, hits: &Hits) -> f32 {
    let anywhere = random.below(hits.len().max(1) as u64) as usize;
    let place = random.pick(&[0, hits.len().saturating_sub(1), anywhere]);
    let score = hits.get(place).map_or(1.0, |hit| hit.score);
    match random.below(8) {
        0..=3 => score,
        4 => score.next_up(),
        5 => score.next_down(),
        6 => random.pick(&[-1.0, -0.0, 0.0, f32::from_bits(1)]),
        _ => random.pick(&[f32::MIN, f32::MAX]),
    }
}

fn bits(hits: &Hits) -> Vec<(u32, u32, u32)> {
    let hits = hits.iter().map(|hit| {
        let at = hit.address;
        (hit.score.to_bits(), at.segment, at.document)
    });
    hits.collect()
}

/// The options of a search for `k`: an algorithm, threads, a page, or a recall.
fn options(random: &mut Random, query: &Query, k: usize, all: &Hits) -> SearchOptions {
    let is_sparse = matches!(query.field(), "ranges" | "tiers");
    let options = SearchOptions::new(k);
    match random.below(5) {
        0 if !all.is_empty() => {
            let last = all.get(random.below(all.len() as u64) as usize).unwrap();
            options.after(last.address)
        }
        1 => options.offset(random.below(20) as usize),
        2 | 3 => {
            let parts = 1 + random.below(2_000) as u32;
            let threads = 2 + random.below(3) as usize;
            options.threads(threads).part_documents(parts)
        }
        _ if is_sparse => options.recall(0.9),
        _ => options,
    }
}

fn check(seed: u64) {
    let mut random = Random(seed);
    let (snapshot, vocabulary) = filters::build(&mut random);
    for _ in 0..QUERIES_PER_INDEX {
        let query = query(&mut random, vocabulary);
        let all = snapshot.search(&query, ALL).unwrap();
        let k = match random.below(3) {
            0 => 1 + random.below(10) as usize,
            1 => 1 + random.below(100) as usize,
            _ => 1 + random.below(2_000) as usize,
        };
        let algorithms = snapshot.algorithms(&query).unwrap().into_iter().map(Some);
        for algorithm in [None].into_iter().chain(algorithms) {
            let mut options = options(&mut random, &query, k, &all);
            if let Some(algorithm) = algorithm {
                options = options.algorithm(algorithm);
            }
            let Ok(whole) = snapshot.search_with(&query, &options) else {
                // Some queries are not searched approximately.
                continue;
            };
            let min = min_score(&mut random, &whole.hits);
            let mut expected = whole.hits;
            expected.truncate(expected.iter().filter(|hit| hit.score >= min).count());
            let options = options.min_score(min);
            let found = snapshot.search_with(&query, &options).unwrap().hits;
            assert_eq!(
                bits(&found),
                bits(&expected),
                "seed {seed}: {query:?} with {options:?}"
            );
        }
        check_counts(&mut random, &snapshot, &query, &all, seed);
    }
}

fn check_counts(random: &mut Random, snapshot: &Snapshot, query: &Query, all: &Hits, seed: u64) {
    let min = min_score(random, all);
    let expected = all.iter().filter(|hit| hit.score >= min).count() as u64;
    let limit = random.pick(&[0, 1, expected, expected + 1, 100, u64::MAX]);
    let options = SearchOptions::new(1).offset(2).min_score(min);
    let found = snapshot.search_with(query, &options.count_up_to(limit));
    match found.unwrap().count.unwrap() {
        MatchCount::Exact(count) => assert_eq!(count, expected, "seed {seed}: {query:?}"),
        MatchCount::AtLeast(count) => {
            let is_right = limit <= count && count <= expected;
            assert!(
                is_right,
                "seed {seed}: {count} of {expected}, up to {limit}"
            );
        }
    }
}

#[test]
fn a_min_score_leaves_the_hits_that_reach_it() {
    check_seeds(CASES, check);
}

fn words(random: &mut Random, count: u64) -> Vec<u64> {
    let word = |random: &mut Random| random.below(200).min(random.below(200));
    (0..count).map(|_| word(random)).collect()
}

/// Documents of which few are much better than most, in one segment.
fn large() -> Snapshot {
    let schema = Schema::builder()
        .text("text", Text::new())
        .sparse("ranges", Sparse::new())
        .sparse("tiers", Sparse::new().layout(SparseLayout::Tiers));
    let index = Index::in_memory(schema.build().unwrap()).unwrap();
    let options = WriterOptions::new().merge_policy(MergePolicy::never());
    let mut writer = index.writer_with(options).unwrap();
    let mut random = Random(7);
    for number in 0..12_000 {
        let weight = |random: &mut Random| random.below(100).min(random.below(100)) as f32 / 10.0;
        let length = 5 + random.below(20);
        let text: Vec<String> = words(&mut random, length)
            .iter()
            .map(|word| format!("w{word}"))
            .collect();
        let vector: BTreeMap<String, f32> = words(&mut random, 12)
            .iter()
            .map(|word| (format!("t{word}"), 0.1 + weight(&mut random)))
            .collect();
        let document = Document::new(number.to_string())
            .with_text("text", text.join(" "))
            .with_sparse("ranges", vector.clone())
            .with_sparse("tiers", vector);
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

#[test]
fn a_min_score_saves_work() {
    let snapshot = large();
    let vector = [("t3", 1.0), ("t20", 2.0), ("t60", 1.5), ("t110", 2.5)];
    let text = Query::text("text", "w3 w20 w60 w110");
    for query in [
        text.clone(),
        Query::text("text", "w0 w1 w2").with_all_terms(),
        Query::text("text", "w3"),
        Query::sparse("ranges", vector),
        Query::sparse("tiers", vector),
        Query::bool()
            .should(text)
            .should(Query::sparse("ranges", vector)),
    ] {
        let algorithms = snapshot.algorithms(&query).unwrap();
        let mut saved = 0;
        for algorithm in algorithms {
            let options = SearchOptions::new(10).algorithm(algorithm);
            let whole = snapshot.search_with(&query, &options).unwrap();
            let scored = |min| {
                let options = options.clone().min_score(min);
                let found = snapshot.search_with(&query, &options).unwrap();
                assert!(found.hits.len() == whole.hits.len() || min > 1e9);
                found.statistics.postings_scored
            };
            let last = whole.hits.iter().last().unwrap().score;
            let (bounded, none) = (scored(last), scored(1e10));
            let context = format!("{query:?} by {algorithm}: {bounded}, {none}");
            assert!(bounded <= whole.statistics.postings_scored, "{context}");
            if algorithm != Algorithm::Exhaustive {
                assert_eq!(none, 0, "{context}");
                saved += whole.statistics.postings_scored - bounded;
            }
        }
        assert!(saved > 0, "{query:?}");
    }
}

#[test]
fn documents_below_the_min_score_are_not_counted() {
    let schema = Schema::builder()
        .sparse("splade", Sparse::new())
        .column("color", Column::keyword());
    let index = Index::in_memory(schema.build().unwrap()).unwrap();
    let mut writer = index.writer().unwrap();
    for (number, color) in ["red", "red", "blue", "red", "green", "blue"]
        .iter()
        .enumerate()
    {
        let document = Document::new(number.to_string()).with("color", *color);
        let weight = 1.0 + number as f32;
        writer
            .add(document.with_sparse("splade", [("lava", weight)]))
            .unwrap();
        if number == 2 {
            writer.commit().unwrap();
        }
    }
    writer.delete("5").unwrap();
    writer.commit().unwrap();
    let snapshot = index.snapshot().unwrap();
    let query = Query::sparse("splade", [("lava", 1.0)]);
    let options = SearchOptions::new(1)
        .min_score(2.9)
        .facets([Facet::values("color", 10)])
        .count_up_to(u64::MAX);
    let last = snapshot.find("4").unwrap().unwrap();
    for options in [
        options.clone().offset(1),
        options.clone().after(last),
        options,
    ] {
        let found = snapshot.search_with(&query, &options).unwrap();
        assert_eq!(found.count, Some(MatchCount::Exact(3)));
        let colors = ["blue", "green", "red"].map(|color| (Value::from(color), 1));
        assert_eq!(found.facets, [FacetResult::Values(colors.to_vec())]);
    }
    let none = SearchOptions::new(1).min_score(99.0).count_up_to(5);
    let found = snapshot.search_with(&query, &none).unwrap();
    assert_eq!(
        (found.hits.len(), found.count),
        (0, Some(MatchCount::Exact(0)))
    );
}

#[test]
fn a_min_score_that_makes_no_sense_is_refused() {
    let (snapshot, _) = filters::build(&mut Random(3));
    let refusal = |options: &SearchOptions| {
        let refused = snapshot.search_with(&Query::all(), options).unwrap_err();
        assert!(matches!(refused, Error::InvalidInput { .. }), "{refused}");
        refused.to_string()
    };
    for score in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let message = refusal(&SearchOptions::new(1).min_score(score));
        assert!(message.contains("finite min score"), "{message}");
    }
    let sorted = SearchOptions::new(1).sort(Sort::ascending("year"));
    let message = refusal(&sorted.min_score(1.0));
    assert!(message.contains("no min score"), "{message}");
}
