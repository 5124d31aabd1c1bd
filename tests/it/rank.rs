//! Normalization and fusion against the figures of `ranx`, and what must hold for any lists.
//!
//! `tests/rank/make_reference.py` drew the runs, had `ranx` fuse them, and says how to write
//! `tests/rank/reference.json` again.

use std::collections::{BTreeMap, BTreeSet};

use esparsa::eval::{Run, ScoredDocument};
use esparsa::rank::{Fusion, Method, Missing, Normalization};
use proptest::prelude::*;
use serde_json::Value;

const TOLERANCE: f64 = 1e-6;

/// For each query, the score of each document.
type Scores = BTreeMap<String, BTreeMap<String, f64>>;

fn reference() -> Value {
    serde_json::from_str(include_str!("../rank/reference.json")).unwrap()
}

fn read_scores(value: &Value) -> Scores {
    serde_json::from_value(value.clone()).unwrap()
}

fn read_run(value: &Value) -> Run {
    let mut run = Run::new();
    for (query, scores) in read_scores(value) {
        let scored = |(document, score)| ScoredDocument { document, score };
        let results = scores.into_iter().map(scored).collect();
        run.insert(&query, results).unwrap();
    }
    run
}

fn runs(reference: &Value) -> Vec<Run> {
    let runs = reference["runs"].as_array().unwrap();
    runs.iter().map(read_run).collect()
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| read(value).unwrap()).collect()
}

/// The queries that have results, documents and scores equal; returns how many scores were
/// compared.
#[track_caller]
fn assert_scores(found: &Run, expected: &Scores, what: &str) -> usize {
    let with_results = found
        .queries()
        .filter(|query| !found.ranked(query).is_empty());
    let with_results: BTreeSet<&str> = with_results.collect();
    assert!(with_results.into_iter().eq(expected.keys()), "{what}");
    let mut compared = 0;
    for (query, expected) in expected {
        let results = found.results(query).unwrap();
        assert_eq!(results.len(), expected.len(), "{what}, query {query}");
        for ScoredDocument { document, score } in results {
            let wanted = expected[document];
            assert!(
                (score - wanted).abs() <= TOLERANCE,
                "{what}, query {query}, document {document}: found {score}, expected {wanted}"
            );
            compared += 1;
        }
    }
    compared
}

fn fusion(case: &Value) -> Fusion {
    let normalization: Normalization = case["normalization"].as_str().unwrap().parse().unwrap();
    let missing = Missing::Zero;
    let method = match case["method"].as_str().unwrap() {
        "rrf" => {
            let k = case["k"].as_u64().unwrap().try_into().unwrap();
            Method::ReciprocalRank { k }
        }
        "weighted-sum" => Method::WeightedSum {
            normalization,
            missing,
        },
        "comb-mnz" => Method::CombMnz { normalization },
        "comb-max" => Method::CombMax { normalization },
        other => panic!("unknown method {other}"),
    };
    match case["weights"].is_array() {
        true => Fusion::new(method).weights(list(&case["weights"], Value::as_f64)),
        false => Fusion::new(method),
    }
}

#[test]
fn normalized_runs_equal_ranx() {
    let reference = reference();
    let runs = runs(&reference);
    let cases = reference["normalized"].as_array().unwrap();
    let mut compared = 0;
    for case in cases {
        let name = case["normalization"].as_str().unwrap();
        let number = case["run"].as_u64().unwrap() as usize;
        let normalization: Normalization = name.parse().unwrap();
        let found = normalization.normalize_run(&runs[number]).unwrap();
        let what = format!("{name} of run {number}");
        compared += assert_scores(&found, &read_scores(&case["scores"]), &what);
    }
    assert_eq!(cases.len(), 4 * 3);
    assert!(compared > 400, "{compared}");
}

#[test]
fn fused_runs_equal_ranx() {
    let reference = reference();
    let runs = runs(&reference);
    let cases = reference["fused"].as_array().unwrap();
    let mut compared = 0;
    for case in cases {
        let numbers = list(&case["runs"], Value::as_u64);
        let chosen: Vec<&Run> = numbers.iter().map(|&n| &runs[n as usize]).collect();
        let found = fusion(case).fuse_runs(&chosen).unwrap();
        let what = format!(
            "{} of {} scores, runs {numbers:?}, weights {}",
            case["method"], case["normalization"], case["weights"]
        );
        compared += assert_scores(&found, &read_scores(&case["scores"]), &what);
    }
    assert_eq!(cases.len(), 2 + 6 * 5);
    assert!(compared > 2000, "{compared}");
}

#[test]
fn sigmoid_fusion_is_the_sum_of_its_definition() {
    let runs = runs(&reference());
    let sigmoid = |run: &Run, query: &str, document: &str| {
        let results = run.results(query).unwrap_or(&[]);
        let hit = results.iter().find(|hit| hit.document == document);
        hit.map_or(0.0, |hit| 1.0 / (1.0 + (-hit.score).exp()))
    };
    let fusion = Fusion::weighted_sum(Normalization::Sigmoid).weights([1.0, 0.5, 2.0]);
    let fused = fusion.fuse_runs(&runs).unwrap();
    assert_eq!(fused.len(), 5);
    for query in fused.queries() {
        for ScoredDocument { document, score } in fused.results(query).unwrap() {
            let of = |number: usize| sigmoid(&runs[number], query, document);
            let expected = of(0) + 0.5 * of(1) + 2.0 * of(2);
            assert!((score - expected).abs() < 1e-12, "{query} {document}");
        }
    }
}

/// A list as the library takes it: distinct documents, best first.
fn ranked_list() -> impl Strategy<Value = Vec<(u32, f64)>> {
    let score = prop_oneof![
        4 => -50.0..50.0_f32,
        // Ties.
        2 => (-2..3_i8).prop_map(f32::from),
        1 => prop_oneof![Just(-1e30_f32), Just(1e-30), Just(1e30)],
    ];
    let score = score.prop_map(f64::from);
    let documents = proptest::collection::btree_map(0..30_u32, score, 0..20);
    documents.prop_map(|scores| {
        let mut list: Vec<(u32, f64)> = scores.into_iter().collect();
        list.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
        list
    })
}

fn normalization() -> impl Strategy<Value = Normalization> {
    proptest::sample::select(Normalization::ALL)
}

fn method() -> impl Strategy<Value = Method> {
    let missing = proptest::sample::select(Missing::ALL);
    prop_oneof![
        (0..100_u32).prop_map(|k| Method::ReciprocalRank { k }),
        (normalization(), missing).prop_map(|(normalization, missing)| Method::WeightedSum {
            normalization,
            missing
        }),
        normalization().prop_map(|normalization| Method::CombMnz { normalization }),
        normalization().prop_map(|normalization| Method::CombMax { normalization }),
    ]
}

fn documents(list: &[(u32, f64)]) -> Vec<u32> {
    list.iter().map(|&(document, _)| document).collect()
}

fn scores(list: &[(u32, f64)]) -> Vec<f64> {
    list.iter().map(|&(_, score)| score).collect()
}

/// The definition of fusion, without tables: each document is looked up in each list.
fn fuse_by_definition(
    method: Method,
    weights: &[f64],
    lists: &[Vec<(u32, f64)>],
) -> Vec<(u32, f64)> {
    let normalize = |list: &Vec<(u32, f64)>| match method {
        Method::ReciprocalRank { k } => (0..list.len())
            .map(|place| 1.0 / (f64::from(k) + place as f64 + 1.0))
            .collect(),
        Method::WeightedSum { normalization, .. }
        | Method::CombMnz { normalization }
        | Method::CombMax { normalization } => normalization.apply(&scores(list)).unwrap(),
        other => panic!("no definition of {other:?}"),
    };
    let normalized: Vec<Vec<f64>> = lists.iter().map(normalize).collect();
    let all: BTreeSet<u32> = lists.iter().flat_map(|list| documents(list)).collect();
    let score = |document: u32| {
        let mut sum = 0.0;
        let (mut found, mut found_weights) = (Vec::new(), 0.0);
        for ((list, normalized), weight) in lists.iter().zip(&normalized).zip(weights) {
            match list.iter().position(|&(other, _)| other == document) {
                Some(place) => {
                    sum += weight * normalized[place];
                    found.push((*weight, normalized[place]));
                    found_weights += weight;
                }
                None => {
                    if let Method::WeightedSum {
                        missing: Missing::Lowest,
                        normalization,
                    } = method
                        && (normalization == Normalization::None
                            || normalized.first() != normalized.last())
                    {
                        sum += weight * normalized.iter().copied().reduce(f64::min).unwrap_or(0.0);
                    }
                }
            }
        }
        match method {
            Method::ReciprocalRank { .. } | Method::WeightedSum { .. } => sum,
            Method::CombMnz { .. } => found.iter().map(|f| f.1).sum::<f64>() * found_weights,
            Method::CombMax { .. } => found.iter().map(|f| f.0 * f.1).reduce(f64::max).unwrap(),
            other => panic!("no definition of {other:?}"),
        }
    };
    all.into_iter()
        .map(|document| (document, score(document)))
        .collect()
}

proptest! {
    #[test]
    fn normalization_keeps_the_order(list in ranked_list(), normalization in normalization()) {
        let normalized = normalization.apply(&scores(&list)).unwrap();
        prop_assert_eq!(normalized.len(), list.len());
        for (place, pair) in normalized.windows(2).enumerate() {
            prop_assert!(pair[0] >= pair[1] - 1e-12, "{:?} at {}", pair, place);
        }
        let has_spread = list.first().map(|first| first.1) > list.last().map(|last| last.1);
        if has_spread && normalization != Normalization::Sigmoid {
            prop_assert!(normalized[0] > normalized[list.len() - 1]);
        }
    }

    #[test]
    fn min_max_fills_its_range_and_sum_adds_up_to_one(list in ranked_list()) {
        let scores = scores(&list);
        let min_max = Normalization::MinMax.apply(&scores).unwrap();
        let sum = Normalization::Sum.apply(&scores).unwrap();
        if scores.first() > scores.last() {
            prop_assert_eq!((min_max[0], min_max[scores.len() - 1]), (1.0, 0.0));
            prop_assert!((sum.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        } else {
            let share = 1.0 / scores.len().max(1) as f64;
            prop_assert!(min_max.iter().all(|&score| score == 1.0));
            prop_assert!(sum.iter().all(|&score| score == share));
        }
    }

    #[test]
    fn z_scores_have_mean_zero_and_deviation_one(list in ranked_list()) {
        let z = Normalization::ZScore.apply(&scores(&list)).unwrap();
        let count = z.len().max(1) as f64;
        let square = z.iter().map(|z| z * z).sum::<f64>() / count;
        if scores(&list).first() == scores(&list).last() {
            prop_assert!(z.iter().all(|&score| score == 1.0));
        } else {
            prop_assert!((z.iter().sum::<f64>() / count).abs() < 1e-9);
            prop_assert!((square - 1.0).abs() < 1e-9, "{}", square);
        }
    }

    #[test]
    fn a_list_fused_with_itself_keeps_its_order(list in ranked_list(), method in method()) {
        // In f32 some scores may become equal: then the lower document comes first, as it does
        // here.
        let fused = Fusion::new(method).fuse(&[&list[..], &list[..]]).unwrap();
        let alone = Fusion::new(method).fuse(&[&list[..]]).unwrap();
        prop_assert_eq!(documents(&fused), documents(&alone));
        let ranks_only = matches!(method, Method::ReciprocalRank { .. })
            || matches!(method, Method::WeightedSum { normalization: Normalization::Rank | Normalization::None, .. });
        if ranks_only {
            prop_assert_eq!(documents(&fused), documents(&list));
        }
    }

    #[test]
    fn a_list_of_weight_zero_changes_nothing(
        lists in proptest::collection::vec(ranked_list(), 3),
        method in method(),
        dropped in 0..3_usize,
    ) {
        let mut weights = vec![0.5, 1.0, 2.0];
        let mut rest = lists.clone();
        rest.remove(dropped);
        let mut rest_weights = weights.clone();
        rest_weights.remove(dropped);
        weights[dropped] = 0.0;
        let with = Fusion::new(method).weights(weights).fuse(&lists).unwrap();
        let without = Fusion::new(method).weights(rest_weights).fuse(&rest).unwrap();
        prop_assert_eq!(with, without);
    }

    #[test]
    fn fusion_equals_its_definition(
        lists in proptest::collection::vec(ranked_list(), 1..4),
        weights in proptest::collection::vec(0.01..3.0, 3),
        method in method(),
        k in 1..40_usize,
    ) {
        let weights = &weights[..lists.len()];
        let fusion = Fusion::new(method).weights(weights.to_vec());
        let fused = fusion.fuse(&lists).unwrap();
        for pair in fused.windows(2) {
            let (a, b) = (pair[0].1 as f32, pair[1].1 as f32);
            prop_assert!(a > b || a == b && pair[0].0 < pair[1].0);
        }
        let cut = fusion.k(k).fuse(&lists).unwrap();
        prop_assert_eq!(&cut[..], &fused[..k.min(fused.len())]);
        let mut by_document = fused;
        by_document.sort_by_key(|&(document, _)| document);
        let expected = fuse_by_definition(method, weights, &lists);
        prop_assert_eq!(documents(&by_document), documents(&expected));
        for (found, expected) in by_document.iter().zip(&expected) {
            let size = expected.1.abs().max(1.0);
            prop_assert!((found.1 - expected.1).abs() <= 1e-9 * size, "{:?} {:?}", found, expected);
        }
    }

    #[test]
    fn the_lowest_score_for_missing_documents_is_that_of_completed_lists(
        lists in proptest::collection::vec(ranked_list(), 2),
    ) {
        let raw = Fusion::weighted_sum(Normalization::None);
        let all: BTreeSet<u32> = lists.iter().flat_map(|list| documents(list)).collect();
        let complete = |list: &Vec<(u32, f64)>| {
            let lowest = list.last().map_or(0.0, |last| last.1);
            let held = documents(list);
            let added = all.iter().filter(|document| !held.contains(document));
            list.iter().copied().chain(added.map(|&document| (document, lowest))).collect()
        };
        let completed: Vec<Vec<(u32, f64)>> = lists.iter().map(complete).collect();
        let found = raw.clone().missing(Missing::Lowest).fuse(&lists).unwrap();
        prop_assert_eq!(found, raw.fuse(&completed).unwrap());
    }
}
