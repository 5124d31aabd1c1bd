//! Trees of queries find what a plain evaluator over documents finds, with bit-equal scores.
//!
//! A case is a random tree of words, weights, words in several fields, conditions, sums with
//! required and optional parts, disjunction maxima, boosts, constant scores and filters, nested in
//! one another. It is searched by every algorithm, on one and on several threads, counted, sorted,
//! and explained. `ESPARSA_ORACLE_CASES` sets the number of indexes, of [`CASES`] trees each.

mod tree;

use std::cell::RefCell;

use esparsa::{DocAddress, MatchCount, Query, SearchOptions, Snapshot};

use self::tree::{Leaves, scored};
use crate::conditions::documents::build;
use crate::random::{Random, check_seeds};

/// Indexes in CI.
const INDEXES: u64 = 120;
/// Trees of an index.
const CASES: u64 = 40;

fn hits(snapshot: &Snapshot, query: &Query, options: &SearchOptions) -> Vec<(DocAddress, u32)> {
    let hits = snapshot.search_with(query, options).unwrap().hits;
    let scored = hits.scored().iter();
    scored
        .map(|(address, score)| (*address, score.to_bits()))
        .collect()
}

fn check(seed: u64) {
    let mut random = Random(seed);
    let (snapshot, docs) = build(&mut random);
    let leaves = Leaves {
        snapshot: &snapshot,
        found: RefCell::default(),
    };
    for case in 0..CASES {
        let tree = scored(&mut random, 3);
        let query = tree.query();
        let what = || format!("seed {seed}, case {case}: {query:?}");
        let scores = docs.iter().filter_map(|doc| {
            let address = snapshot.find(&doc.id).unwrap().unwrap();
            Some((address, tree.score(doc, &leaves)?, doc))
        });
        let mut expected: Vec<_> = scores.collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let count = snapshot.count(&query).unwrap();
        assert_eq!(count, expected.len() as u64, "{}", what());
        let limit = random.below(1 + 2 * count);
        let options = SearchOptions::new(1).count_up_to(limit);
        match snapshot.search_with(&query, &options).unwrap().count {
            Some(MatchCount::Exact(found)) => assert_eq!(found, count, "{}", what()),
            Some(MatchCount::AtLeast(found)) => {
                assert!(
                    limit <= found && found <= count,
                    "{limit}, {found}, {}",
                    what()
                );
            }
            None => panic!("nothing was counted"),
        }
        let all: Vec<_> = expected
            .iter()
            .map(|(address, score, _)| (*address, score.to_bits()))
            .collect();
        for algorithm in snapshot.algorithms(&query).unwrap() {
            for k in [1 + random.below(9) as usize, 5_000] {
                let mut options = SearchOptions::new(k).algorithm(algorithm);
                if random.chance(2) {
                    let documents = 1 + random.below(40) as u32;
                    options = options.threads(3).part_documents(documents);
                }
                let found = hits(&snapshot, &query, &options);
                assert_eq!(
                    found,
                    all[..all.len().min(k)],
                    "{algorithm}, k {k}, {}",
                    what()
                );
            }
        }
        if let Some(last) = all.get(random.below(all.len().max(1) as u64) as usize) {
            let place = all.iter().position(|hit| hit == last).unwrap() + 1;
            for algorithm in snapshot.algorithms(&query).unwrap() {
                let options = SearchOptions::new(4).after(last.0).algorithm(algorithm);
                let expected: Vec<_> = all[place..].iter().take(4).copied().collect();
                assert_eq!(
                    hits(&snapshot, &query, &options),
                    expected,
                    "{algorithm}, {}",
                    what()
                );
            }
        }
        let found = hits(&snapshot, &query, &SearchOptions::new(3));
        assert_eq!(found, all[..all.len().min(3)], "{}", what());
        if let Some((_, score, doc)) = expected.first() {
            let explained = snapshot.explain(&query, &doc.id, 10).unwrap().unwrap();
            assert_eq!(explained.score.to_bits(), score.to_bits(), "{}", what());
        }
    }
}

/// The parts of a word stand where the word does, and two of them may be the same.
#[test]
fn a_position_counts_once_in_a_phrase() {
    let text = esparsa::Text::new().analyzer("simple+parts").positions();
    let schema = esparsa::Schema::builder().text("text", text);
    let index = esparsa::Index::in_memory(schema.build().unwrap()).unwrap();
    let mut writer = index.writer().unwrap();
    for number in 0..3_000 {
        let words = ["blah_blah x", "blah x y", "blah y y", "blah_blah y x"][number % 4];
        let document = esparsa::Document::new(format!("d{number}"));
        writer.add(document.with_text("text", words)).unwrap();
    }
    writer.commit().unwrap();
    let snapshot = index.snapshot().unwrap();
    for (slop, count) in [(0, 1_500), (1, 2_250)] {
        let query = Query::phrase("text", "blah x").with_slop(slop);
        assert_eq!(snapshot.count(&query).unwrap(), count);
        let all = hits(&snapshot, &query, &SearchOptions::new(5_000));
        assert_eq!(all.len() as u64, count);
        for algorithm in snapshot.algorithms(&query).unwrap() {
            for k in [1, 10, 800] {
                let options = SearchOptions::new(k).algorithm(algorithm);
                let found = hits(&snapshot, &query, &options);
                assert_eq!(found, all[..k], "{algorithm}, {k}");
            }
        }
        // The document is longer, and has the phrase no more often.
        let score = |id: &str| snapshot.explain(&query, id, 10).unwrap().unwrap().score;
        assert!(score("d0") <= score("d1"), "{slop}");
    }
}

/// A part with a large score hides nothing of those with small ones.
#[test]
fn large_boosts_lose_no_document() {
    let schema = esparsa::Schema::builder().column("kind", esparsa::Column::keyword());
    let index = esparsa::Index::in_memory(schema.build().unwrap()).unwrap();
    let mut writer = index.writer().unwrap();
    for number in 0..9_000 {
        let kinds: &[&str] = match number {
            1 | 2 => &["c"],
            8_000 => &["x"],
            8_100 => &["y"],
            _ => &[],
        };
        let document = esparsa::Document::new(format!("d{number}"));
        let document = kinds
            .iter()
            .fold(document, |document, kind| document.with("kind", *kind));
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
    let snapshot = index.snapshot().unwrap();
    let part = |kind: &str, score| Query::term("kind", kind).with_constant_score(score);
    let nested = Query::bool().should(Query::bool().should(part("x", 1e9)).should(part("y", 1.0)));
    let query = nested.should(part("y", 1.0)).should(part("c", 1.5));
    let hits = snapshot.search(&query, 3).unwrap();
    assert_eq!(hits.ids().unwrap(), ["d8000", "d8100", "d1"]);
}

#[test]
fn trees_find_what_a_plain_evaluator_finds() {
    check_seeds(INDEXES, check);
}

#[test]
fn what_does_not_fit_is_refused_with_what_was_expected() {
    let (snapshot, _) = build(&mut Random(3));
    let text = || Query::text("text", "w1");
    let deep = (0..200_000).fold(text(), |query, _| Query::bool().should(query));
    let deep_best = (0..200_000).fold(text(), |query, _| Query::best_of([query], 0.0));
    let wide = (0..10_000).fold(Query::bool(), |query, _| query.should(text()));
    let words = vec!["w1"; 5_000].join(" ");
    for (query, part) in [
        (Query::text("nothing", "a"), "nothing"),
        (Query::text("count", "a"), "field `count`"),
        (Query::phrase("text", "w1 w2"), "positions"),
        (Query::phrase("text", "w1 w2").with_slop(1), "positions"),
        (Query::phrase_prefix("text", "w1 w2"), "positions"),
        (Query::phrase("note", "w1 w2").with_slop(1_001), "slop"),
        (Query::phrase("note", words.as_str()), "words of a phrase"),
        (
            Query::phrase("note", &words[..300]).with_slop(1),
            "with slop",
        ),
        (Query::prefix("count", "a"), "keywords"),
        (Query::prefix("sparse", "a"), "a sparse field"),
        (Query::wildcard("text", "?".repeat(2_000)), "wildcard"),
        (Query::regex("text", "(a|b)*a(a|b){40}"), "expected"),
        (Query::regex("text", "("), "expected"),
        (Query::fuzzy("text", "w1", 3), "distance"),
        (Query::fuzzy("text", "w".repeat(200), 2), "expected"),
        (
            Query::range("price", 3.0..1.0).with_boost(2.0),
            "from 3 to 1",
        ),
        (
            text().should(Query::range("price", 3.0..1.0)),
            "from 3 to 1",
        ),
        (
            text().should(Query::dense("dense", [1.0, 0.0, 0.0])),
            "negative",
        ),
        (
            Query::dense("dense", [1.0, 0.0, 0.0]).with_boost(2.0),
            "boost",
        ),
        (text().with_boost(0.0), "boost"),
        (text().with_boost(f32::NAN), "boost"),
        (text().with_constant_score(-1.0), "constant score"),
        (text().with_minimum_terms(0), "at least 1"),
        (
            text().with_minimum_terms(2).with_all_terms(),
            "either all terms",
        ),
        (Query::all().with_minimum_terms(1), "condition"),
        (Query::phrase("note", "w1").with_all_terms(), "phrase"),
        (Query::bool().should(text()).with_all_terms(), "all terms"),
        (Query::best_of([text()], 1.5), "tie breaker"),
        (
            Query::text_in([("text", 1.0), ("nothing", 1.0)], "a"),
            "nothing",
        ),
        (Query::text_in([("text", 0.0)], "a"), "weight of a field"),
        (Query::text_in::<&str>([], "a"), "at least one field"),
        (deep, "depth of nested queries"),
        (deep_best, "depth of nested queries"),
        (wide, "terms and groups"),
    ] {
        for refused in [
            snapshot.search(&query, 10).map(|_| ()),
            snapshot
                .search(&text().should(query.clone()), 10)
                .map(|_| ()),
        ] {
            let message = refused.unwrap_err().to_string();
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}
