//! What the logits of a cross-encoder cost whose labels are grades.

use super::{List, RankingOutcome};
use crate::error::{Error, Result};
use crate::neural::grade_odds;
use crate::train::data::TrainingBatch;
use crate::train::health::ScoreSpread;
use crate::train::loss::grade_loss;
use crate::train::similarity::Scores;

/// The mean over queries of the mean cross-entropy of their documents' grades, and its gradient for
/// each logit of each pair. `logits` has a row for each pair, list after list, with a value for each
/// grade from 0.
///
/// # Errors
///
/// [`Error::InvalidInput`] for a target that is no grade of the model, and logits that are not finite.
pub fn graded(
    batch: &TrainingBatch,
    logits: &[Vec<f32>],
) -> Result<(RankingOutcome, Vec<Vec<f32>>)> {
    let queries = batch.lists.len().max(1) as f64;
    let mut outcome = RankingOutcome::default();
    let mut gradients = Vec::with_capacity(logits.len());
    let mut rows = logits.iter();
    let mut scores = Scores::new();
    for (query, list) in batch.lists.iter().enumerate() {
        let count = queries * list.len().max(1) as f64;
        let rows: Vec<&Vec<f32>> = rows.by_ref().take(list.len()).collect();
        for (labelled, row) in list.iter().zip(&rows) {
            let grade = grade_of(labelled.target, row.len())?;
            let loss = grade_loss(row, grade)?;
            outcome.loss += loss.value / count;
            let slopes = loss.gradient.iter();
            gradients.push(slopes.map(|slope| (slope / count) as f32).collect());
        }
        let of_query: Vec<f64> = rows.iter().map(|row| f64::from(grade_odds(row))).collect();
        let is_best = List::of(batch, query, false).is_best_relevant(&of_query);
        outcome.accuracy += f64::from(u8::from(is_best)) / queries;
        scores.push(of_query);
    }
    outcome.spread = ScoreSpread::of(&scores);
    Ok((outcome, gradients))
}

fn grade_of(target: f64, labels: usize) -> Result<usize> {
    let grade = target as usize;
    match grade < labels && grade as f64 == target {
        true => Ok(grade),
        false => Err(Error::invalid(format!(
            "expected judgements with grades below {labels}, the number of labels, found {target}; raise `labels`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::{Labelled, Text};

    fn batch(grades: &[&[f64]]) -> TrainingBatch {
        let mut batch = TrainingBatch::default();
        for grades in grades {
            batch.queries.push(Text::new("query"));
            let mut list = Vec::new();
            for target in *grades {
                list.push(Labelled {
                    document: batch.documents.len(),
                    target: *target,
                    is_relevant: *target > 0.0,
                });
                batch
                    .documents
                    .push(Text::new(format!("document {target}")));
            }
            batch.lists.push(list);
            batch.forbidden.push(Vec::new());
        }
        batch
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let batch = batch(&[&[2.0, 0.0, 1.0], &[1.0]]);
        let logits = vec![
            vec![0.5, -1.0, 2.0],
            vec![1.0, 0.25, -0.5],
            vec![0.0, 0.5, 0.25],
            vec![-0.5, 0.0, 1.5],
        ];
        let (outcome, gradients) = graded(&batch, &logits).unwrap();
        // The second query has one document, which nothing is better than.
        assert_eq!(outcome.accuracy, 1.0);
        for row in 0..logits.len() {
            for place in 0..3 {
                let at = |step: f32| {
                    let mut moved = logits.clone();
                    moved[row][place] += step;
                    graded(&batch, &moved).unwrap().0.loss
                };
                let expected = (at(1e-2) - at(-1e-2)) / 2e-2;
                let found = f64::from(gradients[row][place]);
                assert!((found - expected).abs() < 1e-4, "{row} {place}");
            }
        }
    }

    #[test]
    fn targets_must_be_grades() {
        for wrong in [3.0, 0.5, -1.0, f64::NAN] {
            let error = graded(&batch(&[&[wrong]]), &[vec![0.0; 3]]).unwrap_err();
            assert!(error.to_string().contains("labels"), "{error}");
        }
        assert!(graded(&batch(&[&[1.0]]), &[vec![f32::NAN; 3]]).is_err());
    }
}
