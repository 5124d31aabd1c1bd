use super::*;
use crate::backend::SparseVector;
use crate::train::data::{Labelled, Text};

/// A power of two: values of vectors are moved by it without rounding.
const STEP: f32 = 1.0 / 1024.0;

fn labelled(document: usize, target: f64) -> Labelled {
    Labelled {
        document,
        target,
        is_relevant: target > 0.0,
    }
}

/// Two queries; the document 2 is relevant to both, though the second query did not bring it.
fn batch() -> TrainingBatch {
    TrainingBatch {
        queries: ["q0", "q1"].map(Text::new).to_vec(),
        documents: ["d0", "d1", "d2", "d3"].map(Text::new).to_vec(),
        lists: vec![
            vec![labelled(2, 1.0), labelled(0, 0.0)],
            vec![labelled(1, 1.0), labelled(3, 0.0)],
        ],
        forbidden: vec![vec![], vec![2]],
    }
}

fn vectors() -> (Vec<SparseVector>, Vec<SparseVector>) {
    let queries = vec![vec![(0, 1.0), (1, 0.5)], vec![(1, 1.0), (2, 2.0)]];
    let documents = vec![
        vec![(0, 0.5)],
        vec![(1, 1.0), (2, 1.0)],
        vec![(0, 2.0), (2, 1.0)],
        vec![(2, 0.25)],
    ];
    (queries, documents)
}

fn objective(terms: &[(ListLoss, Scope)]) -> Objective {
    let term = |(loss, scope): &(ListLoss, Scope)| RankingTerm {
        loss: *loss,
        scope: *scope,
        weight: 1.5,
    };
    Objective {
        terms: terms.iter().map(term).collect(),
        scale: 0.5,
    }
}

#[test]
fn in_batch_negatives_leave_out_what_is_relevant() {
    let batch = batch();
    let list = List::of(&batch, 1, true);
    assert_eq!(list.documents, [1, 3, 0]);
    assert_eq!(list.targets, [1.0, 0.0, 0.0]);
    assert_eq!(List::of(&batch, 0, true).documents, [2, 0, 1, 3]);
    assert_eq!(List::of(&batch, 0, false).documents, [2, 0]);
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    check_gradients(&objective(&[
        (ListLoss::Softmax, Scope::Batch),
        (ListLoss::MarginMse, Scope::Own),
    ]));
}

#[test]
fn margins_that_vectors_set_have_gradients_too() {
    let margin = ListLoss::AdaptiveMargin { margin: 0.75 };
    check_gradients(&objective(&[(margin, Scope::Own)]));
    check_gradients(&objective(&[(margin, Scope::Batch)]));
}

/// The relevant document leads by the margin over one that is equal to it, and by half of it over
/// one that has nothing in common with it.
#[test]
fn margins_follow_from_resemblance() {
    let margin = ListLoss::AdaptiveMargin { margin: 0.5 };
    let mut objective = objective(&[(margin, Scope::Own)]);
    (objective.scale, objective.terms[0].weight) = (1.0, 1.0);
    let batch = TrainingBatch {
        lists: vec![vec![labelled(0, 1.0), labelled(1, 0.0), labelled(2, 0.0)]],
        queries: vec![Text::new("q")],
        documents: ["d0", "d1", "d2"].map(Text::new).to_vec(),
        forbidden: vec![vec![]],
    };
    let queries: Vec<SparseVector> = vec![vec![(0, 1.0)]];
    let documents: Vec<SparseVector> = vec![vec![(0, 2.0)], vec![(0, 1.0)], vec![(5, 3.0)]];
    let found = objective.of_vectors(&queries[..], &documents[..], &batch);
    // The leads are 1 and 2, the margins 0.5 and 0.25.
    let expected = (0.5f64.powi(2) + 1.75f64.powi(2)) / 2.0;
    assert!((found.unwrap().outcome.loss - expected).abs() < 1e-9);
    let error = objective.of_scores(&batch, &vec![vec![1.0, 0.5, 0.0]]);
    assert!(error.unwrap_err().to_string().contains("adaptive-margin"));
}

/// Compares the gradients of all values with differences of the loss.
fn check_gradients(objective: &Objective) {
    let (queries, documents) = vectors();
    let loss = |queries: &[SparseVector], documents: &[SparseVector]| {
        let found = objective.of_vectors(queries, documents, &batch());
        found.unwrap().outcome.loss
    };
    let VectorCost {
        outcome,
        of_queries,
        of_documents,
    } = objective
        .of_vectors(&queries[..], &documents[..], &batch())
        .unwrap();
    assert_eq!(outcome.accuracy, 1.0);
    assert!(outcome.spread.within > 0.0);
    for (is_query, gradients) in [(true, of_queries), (false, of_documents)] {
        for (row, gradient) in gradients.iter().enumerate() {
            for (place, found) in gradient.iter().enumerate() {
                let at = |step: f32| {
                    let (mut queries, mut documents) = vectors();
                    match is_query {
                        true => queries[row][place].1 += step,
                        false => documents[row][place].1 += step,
                    }
                    loss(&queries, &documents)
                };
                let expected = (at(STEP) - at(-STEP)) / f64::from(2.0 * STEP);
                let error = (f64::from(*found) - expected).abs();
                assert!(error < 1e-4, "{is_query} {row} {place}: {expected} {found}");
            }
        }
    }
}

#[test]
fn scores_of_pairs_are_compared_within_their_lists() {
    let objective = objective(&[(ListLoss::Softmax, Scope::Own)]);
    let scores = vec![vec![2.0, 1.0], vec![0.0, 0.0]];
    let (outcome, slopes) = objective.of_scores(&batch(), &scores).unwrap();
    assert_eq!(outcome.accuracy, 0.5);
    let share = 1.0 / (1.0 + 0.5f64.exp());
    assert!((slopes[0][1] - 1.5 * 0.5 * share / 2.0).abs() < 1e-12);
    assert!((slopes[0][0] + slopes[0][1]).abs() < 1e-12);
    assert!(
        objective
            .of_scores(&batch(), &vec![vec![f64::NAN, 0.0]; 2])
            .is_err()
    );
}
