//! Queries that ask for all terms: what counts as a term, and what is said of documents that lack one.
//!
//! That results equal the exhaustive ones is tested in `oracle.rs`.

use esparsa::{
    Algorithm, Document, Index, MergePolicy, Query, Schema, SearchOptions, Snapshot, Sparse, Text,
    WriterOptions,
};

/// Two segments: the second has no `lava`.
fn snapshot() -> Snapshot {
    let schema = Schema::builder()
        .text("text", Text::new().analyzer("english"))
        .sparse("sparse", Sparse::new())
        .build()
        .unwrap();
    let index = Index::in_memory(schema).unwrap();
    let options = WriterOptions::new().merge_policy(MergePolicy::never());
    let mut writer = index.writer_with(options).unwrap();
    for (id, text, vector) in [
        ("etna", "lava of the volcano", &[("lava", 2.0), ("a", 0.01)]),
        ("hekla", "a lava field", &[("lava", 1.0), ("b", 3.0)]),
    ] {
        let document = Document::new(id).with_text("text", text);
        let vector = vector.iter().copied();
        writer.add(document.with_sparse("sparse", vector)).unwrap();
    }
    writer.commit().unwrap();
    let document = Document::new("ararat").with_text("text", "a dormant volcano");
    writer
        .add(document.with_sparse("sparse", [("a", 1.0)]))
        .unwrap();
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

fn ids(snapshot: &Snapshot, query: Query) -> Vec<String> {
    let query = query.with_all_terms();
    let exhaustive = SearchOptions::new(10).algorithm(Algorithm::Exhaustive);
    let hits = snapshot.search(&query, 10).unwrap();
    let expected = snapshot.search_with(&query, &exhaustive).unwrap();
    assert_eq!(hits, expected.hits);
    hits.ids().unwrap()
}

#[test]
fn words_that_the_analyzer_drops_need_not_be_there() {
    let snapshot = snapshot();
    let found = |text: &str| ids(&snapshot, Query::text("text", text));
    assert_eq!(found("volcano lava"), ["etna"]);
    assert_eq!(found("the volcanoes and the lava"), ["etna"]);
    assert_eq!(found("volcano volcano"), ["etna", "ararat"]);
}

#[test]
fn a_word_that_no_document_has_finds_nothing_and_so_do_no_words() {
    let snapshot = snapshot();
    for text in ["volcano glacier", "glacier", "", "the of"] {
        let none: [&str; 0] = [];
        assert_eq!(ids(&snapshot, Query::text("text", text)), none, "{text}");
    }
    let of_segments = Query::text("text", "lava dormant").with_all_terms();
    let result = snapshot.search_with(&of_segments, &SearchOptions::new(10));
    let result = result.unwrap();
    assert!(result.hits.is_empty());
    assert!(result.statistics.algorithms.is_empty());
}

#[test]
fn terms_of_a_sparse_query_count_while_their_weight_is_above_zero() {
    let snapshot = snapshot();
    let found = |vector: &[(&str, f32)]| {
        let vector = vector.iter().copied();
        ids(&snapshot, Query::sparse("sparse", vector))
    };
    assert_eq!(found(&[("lava", 1.0)]), ["etna", "hekla"]);
    assert_eq!(found(&[("lava", 1.0), ("b", 0.0)]), ["etna", "hekla"]);
    assert_eq!(found(&[("lava", 1.0), ("b", 0.5)]), ["hekla"]);
    // So small beside the other that it adds nothing to a score.
    assert_eq!(found(&[("lava", 1.0), ("b", 1e-9)]), ["hekla"]);
    let none: [&str; 0] = [];
    assert_eq!(found(&[("lava", 1.0), ("nowhere", 1e-9)]), none);
    let long = "x".repeat(70_000);
    assert_eq!(found(&[("lava", 1.0), (&long, 1.0)]), none);
    assert_eq!(found(&[("lava", 0.0)]), none);
}

#[test]
fn scores_are_those_of_the_same_query_without_the_demand() {
    let snapshot = snapshot();
    let any = Query::text("text", "volcano lava");
    let best = snapshot.search(&any, 10).unwrap();
    let found = snapshot.search(&any.with_all_terms(), 10).unwrap();
    assert_eq!(best.len(), 3);
    assert_eq!(found.scored(), &best.scored()[..1]);
}

#[test]
fn an_explanation_names_the_terms_that_a_document_lacks() {
    let snapshot = snapshot();
    let query = Query::text("text", "the volcano and lava").with_all_terms();
    let explain = |query: &Query, id| snapshot.explain(query, id, 10).unwrap().unwrap();
    let found = explain(&query, "etna");
    assert_eq!(
        found.score,
        snapshot.search(&query, 10).unwrap().first().unwrap().score
    );
    assert_eq!(found.algorithm, Algorithm::Conjunction);
    assert!(found.missing.is_empty());
    let lacking = explain(&query, "ararat");
    assert_eq!(
        (lacking.score, &*lacking.missing),
        (0.0, &["lava".to_owned()][..])
    );
    assert!(lacking.to_string().contains("lacks lava"));
    // What it has is still shown.
    assert!(lacking.terms.iter().any(|term| term.contribution > 0.0));
    let query = Query::text("text", "lava glacier").with_all_terms();
    assert_eq!(explain(&query, "etna").missing, ["glacier"]);
    let query = Query::sparse("sparse", [("lava", 1.0), ("b", 1e-9)]).with_all_terms();
    assert_eq!(explain(&query, "etna").missing, ["b"]);
    assert!(explain(&query, "hekla").missing.is_empty());
}

#[test]
fn a_word_too_long_for_an_index_finds_nothing_when_all_are_asked_for() {
    let snapshot = snapshot();
    let text = format!("volcano {}", "x".repeat(256));
    let query = Query::text("text", &text);
    assert_eq!(snapshot.search(&query, 10).unwrap().len(), 2);
    let none: [&str; 0] = [];
    assert_eq!(ids(&snapshot, query.clone()), none);
    let explained = snapshot.explain(&query.with_all_terms(), "etna", 10);
    assert_eq!(explained.unwrap().unwrap().missing, ["x".repeat(256)]);
}

#[test]
fn algorithms_for_any_term_are_refused_for_all_terms_and_the_other_way_round() {
    let snapshot = snapshot();
    for query in [
        Query::text("text", "volcano lava"),
        Query::sparse("sparse", [("lava", 1.0)]),
    ] {
        let all = query.clone().with_all_terms();
        let of_all = [Algorithm::Exhaustive, Algorithm::Conjunction];
        assert_eq!(snapshot.algorithms(&all).unwrap(), of_all);
        let of_any = snapshot.algorithms(&query).unwrap();
        assert!(!of_any.contains(&Algorithm::Conjunction));
        for (query, able) in [(&all, &of_all[..]), (&query, &of_any)] {
            for algorithm in Algorithm::ALL {
                let options = SearchOptions::new(10).algorithm(algorithm);
                let found = snapshot.search_with(query, &options);
                assert_eq!(found.is_ok(), able.contains(&algorithm), "{algorithm}");
            }
        }
    }
}
