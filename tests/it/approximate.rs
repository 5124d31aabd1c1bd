//! Approximate searches: what they may lose, what calibration keeps, and what is refused.

use std::collections::HashSet;

use esparsa::{
    Algorithm, Calibration, CalibrationPoint, Document, Error, Index, Query, Schema, SearchOptions,
    Sparse, Text,
};

const DOCUMENTS: u64 = 3_000;

/// A small generator of numbers; the constants are Knuth's.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// Terms of one of twenty topics and some of all, with weights of which few are great.
    fn vector(&mut self, terms: usize) -> Vec<(u32, f32)> {
        let topic = self.below(20) as u32;
        let mut vector = std::collections::BTreeMap::new();
        for place in 0..terms {
            let is_own = self.below(3) > 0;
            let term = self.below(40) as u32 + if is_own { 40 * topic } else { 800 };
            vector.insert(term, 2.5 / (1.0 + 0.4 * place as f32));
        }
        vector.into_iter().collect()
    }
}

fn index() -> (Index, Vec<Query>) {
    let schema = Schema::builder()
        .sparse("s", Sparse::new().numbered())
        .text("t", Text::new().analyzer("en"))
        .build()
        .unwrap();
    let index = Index::in_memory(schema).unwrap();
    let mut writer = index.writer().unwrap();
    let mut numbers = Numbers(7);
    for id in 0..DOCUMENTS {
        let vector = numbers.vector(20);
        let document = Document::new(id.to_string()).with_sparse_numbered("s", vector);
        writer.add(document.with_text("t", "a word")).unwrap();
        if id == DOCUMENTS / 2 {
            writer.commit().unwrap();
        }
    }
    for id in (0..DOCUMENTS).step_by(17) {
        writer.delete(&id.to_string()).unwrap();
    }
    writer.commit().unwrap();
    drop(writer);
    let query = |_| Query::sparse_numbered("s", numbers.vector(12));
    let queries = (0..60).map(query).collect();
    (index, queries)
}

fn mean_recall(index: &Index, queries: &[Query], options: &SearchOptions, k: usize) -> f64 {
    let snapshot = index.snapshot().unwrap();
    let mut recall = 0.0;
    for query in queries {
        let exact = snapshot.search(query, k).unwrap();
        let exact: HashSet<_> = exact.iter().map(|hit| hit.address).collect();
        let found = snapshot.search_with(query, options).unwrap().hits;
        let both = found
            .iter()
            .filter(|hit| exact.contains(&hit.address))
            .count();
        recall += both as f64 / exact.len() as f64;
    }
    recall / queries.len() as f64
}

#[test]
fn a_recall_of_one_is_exact_and_less_finds_no_better_scores() {
    let (index, queries) = index();
    let snapshot = index.snapshot().unwrap();
    for query in &queries {
        for k in [1, 10, 200] {
            let options = SearchOptions::new(k);
            let exact = snapshot.search_with(query, &options).unwrap();
            let whole = snapshot
                .search_with(query, &options.clone().recall(1.0))
                .unwrap();
            assert_eq!(exact.hits, whole.hits);
            let less = options.clone().recall(0.8);
            let found = snapshot.search_with(query, &less).unwrap();
            assert!(found.statistics.postings < exact.statistics.postings);
            assert!(found.hits.len() <= k);
            assert!(found.hits.iter().is_sorted_by(|a, b| a.score >= b.score));
            for (found, exact) in found.hits.iter().zip(&exact.hits) {
                assert!(found.score <= exact.score);
            }
            // Terms are left out whatever the algorithm; nothing is calibrated, so nothing else is.
            let other = less.clone().algorithm(Algorithm::Exhaustive);
            assert_eq!(
                found.hits,
                snapshot.search_with(query, &other).unwrap().hits
            );
        }
    }
}

#[test]
fn calibrated_searches_have_the_recall_that_was_asked_for() {
    let (index, queries) = index();
    let calibration = index.snapshot().unwrap().calibrate(&queries).unwrap();
    assert_eq!(calibration.queries, queries.len() as u64);
    let mut writer = index.writer().unwrap();
    writer.keep_calibration(calibration).unwrap();
    writer.commit().unwrap();
    for k in [10, 100, 1_000] {
        for recall in [0.8, 0.9, 0.97] {
            let found = mean_recall(&index, &queries, &SearchOptions::new(k).recall(recall), k);
            assert!(
                found + 1e-4 >= f64::from(recall),
                "{found} at k = {k}, asked for {recall}"
            );
        }
    }
    let asked = SearchOptions::new(10).recall(0.8);
    let found = mean_recall(&index, &queries, &asked, 10);
    assert!(found < 1.0, "nothing was left out");
    // Where bounds are lowered too, a min score drops hits below it, and no other ones.
    let snapshot = index.snapshot().unwrap();
    for query in &queries {
        let whole = snapshot.search_with(query, &asked).unwrap().hits;
        let min = whole.get(whole.len() / 2).map_or(1.0, |hit| hit.score);
        let found = snapshot.search_with(query, &asked.clone().min_score(min));
        let expected = whole.iter().filter(|hit| hit.score >= min);
        assert!(found.unwrap().hits.iter().eq(expected));
    }
}

#[test]
fn calibrations_are_kept_by_commits_and_forgotten_by_rollbacks() {
    let (index, _) = index();
    let of = |recall| Calibration {
        field: index.schema().fields()[0].number,
        documents: 9,
        queries: 4,
        points: vec![CalibrationPoint {
            k: 10,
            share: 0.5,
            slack: 0.9,
            recall,
            microseconds: 12.0,
        }],
    };
    let kept = || {
        let snapshot = index.snapshot().unwrap();
        snapshot
            .calibration(index.schema().fields()[0].number)
            .cloned()
    };
    let mut writer = index.writer().unwrap();
    writer.keep_calibration(of(0.9)).unwrap();
    assert_eq!(kept(), None);
    writer.rollback().unwrap();
    writer.commit().unwrap();
    assert_eq!(kept(), None);
    writer.keep_calibration(of(0.9)).unwrap();
    writer.keep_calibration(of(0.95)).unwrap();
    writer.commit().unwrap();
    assert_eq!(kept(), Some(of(0.95)));
    drop(writer);
    let mut writer = index.writer().unwrap();
    writer.delete("1").unwrap();
    writer.commit().unwrap();
    assert_eq!(kept(), Some(of(0.95)));
    assert_eq!(kept().unwrap().point(10, 0.95).unwrap().share, 0.5);
    assert_eq!(kept().unwrap().point(10, 0.96), None);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (index, queries) = index();
    let snapshot = index.snapshot().unwrap();
    for recall in [0.0, -1.0, 1.01, f32::NAN] {
        let options = SearchOptions::new(10).recall(recall);
        let error = snapshot.search_with(&queries[0], &options).unwrap_err();
        assert!(error.to_string().contains("recall above 0"), "{error}");
    }
    assert!(matches!(
        snapshot.calibrate(&[]),
        Err(Error::InvalidInput { .. })
    ));
    assert!(snapshot.calibrate(&[Query::text("t", "word")]).is_err());
    let two = [queries[0].clone(), Query::text("t", "word")];
    let error = snapshot.calibrate(&two).unwrap_err();
    assert!(error.to_string().contains("one field at a time"), "{error}");
    let mut writer = index.writer().unwrap();
    let mut calibration = snapshot.calibrate(&queries[..5]).unwrap();
    calibration.field = index.schema().fields()[1].number;
    assert!(writer.keep_calibration(calibration).is_err());
    let empty = Index::in_memory(
        Schema::builder()
            .sparse("s", Sparse::new().expected_max(1.0))
            .build()
            .unwrap(),
    )
    .unwrap();
    let query = [Query::sparse("s", [("a", 1.0)])];
    assert!(empty.snapshot().unwrap().calibrate(&query).is_err());
}
