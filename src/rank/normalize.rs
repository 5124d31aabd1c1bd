//! Score normalization: the scores of one list on a scale that other lists share.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Max absolute value of a score or a weight: sums and products of many of them stay finite.
pub const MAX_SCORE: f64 = 1e150;

/// How the scores of a list are made comparable with those of other lists.
///
/// The [module](crate::rank) has the formulas, and the scores of documents that a list lacks.
///
/// ```
/// use esparsa::rank::Normalization;
///
/// let normalization: Normalization = "min-max".parse()?;
/// assert_eq!(normalization.apply(&[8.0, 5.0, 4.0])?, [1.0, 0.25, 0.0]);
/// assert_eq!(Normalization::Rank.apply(&[8.0, 5.0, 4.0, 4.0])?, [1.0, 0.75, 0.5, 0.25]);
/// assert!(Normalization::MinMax.apply(&[8.0, f64::NAN]).is_err());
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Normalization {
    /// Scores as they are.
    None,
    /// The lowest score becomes 0 and the highest 1; where all are equal, they become 1.
    MinMax,
    /// The lowest score becomes 0, and all sum up to 1; where all are equal, each becomes 1 over
    /// their number.
    Sum,
    /// Mean 0 and standard deviation 1, that of the list as a whole population; where all are
    /// equal, they become 1.
    ZScore,
    /// The logistic function: logits become probabilities. From about 17 on, scores are equal in
    /// f32.
    Sigmoid,
    /// Scores are ignored: the first of n documents gets 1, the last 1/n, in equal steps.
    Rank,
}

impl Normalization {
    /// All normalizations.
    pub const ALL: &[Self] = &[
        Self::None,
        Self::MinMax,
        Self::Sum,
        Self::ZScore,
        Self::Sigmoid,
        Self::Rank,
    ];

    /// The name, as [`FromStr`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::MinMax => "min-max",
            Self::Sum => "sum",
            Self::ZScore => "z-score",
            Self::Sigmoid => "sigmoid",
            Self::Rank => "rank",
        }
    }

    /// Normalizes the scores of one list, best first; the result has the same length and order.
    ///
    /// Where all scores are equal, as for a run's only hit, min-max and z-score give 1 and sum
    /// gives 1 over their number: 0 would say that the documents were not found. The order of
    /// scores is kept.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when a score is not finite or beyond ±[`MAX_SCORE`], and when one is
    /// above the one before it, compared as f32.
    pub fn apply(self, scores: &[f64]) -> Result<Vec<f64>> {
        check_scores(scores)?;
        Ok(match self {
            Self::None => scores.to_vec(),
            Self::MinMax => min_max(scores),
            Self::Sum => sum(scores),
            Self::ZScore => z_score(scores),
            Self::Sigmoid => scores.iter().copied().map(sigmoid).collect(),
            Self::Rank => rank(scores.len()),
        })
    }
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Normalization {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|way| way.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|way| way.name()).collect();
            let names = names.join(", ");
            Error::invalid(format!(
                "unknown normalization `{name}`; expected one of {names}"
            ))
        })
    }
}

/// Refuses scores that are not finite or too large to add up, and lists that are not best first.
pub(super) fn check_scores(scores: &[f64]) -> Result<()> {
    for (index, &score) in scores.iter().enumerate() {
        let rank = index + 1;
        if score.is_nan() || score.abs() > MAX_SCORE {
            return Err(Error::invalid(format!(
                "expected a finite score between -{MAX_SCORE:e} and {MAX_SCORE:e}, found {score} at rank {rank}"
            )));
        }
        // Evaluation compares scores as f32: a run may have any order within equal ones.
        if index > 0 && score as f32 > scores[index - 1] as f32 {
            return Err(Error::invalid(format!(
                "expected the best document first, found score {score} after {} at rank {rank}; sort the list by score",
                scores[index - 1]
            )));
        }
    }
    Ok(())
}

/// The min and max score, `None` if they are equal. The list is sorted only as f32, so that its
/// first and last score need not be the max and min.
fn range(scores: &[f64]) -> Option<(f64, f64)> {
    let lowest = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (lowest < highest).then_some((lowest, highest))
}

fn min_max(scores: &[f64]) -> Vec<f64> {
    match range(scores) {
        Some((lowest, highest)) => {
            let range = highest - lowest;
            scores.iter().map(|x| (x - lowest) / range).collect()
        }
        None => vec![1.0; scores.len()],
    }
}

fn sum(scores: &[f64]) -> Vec<f64> {
    match range(scores) {
        Some((lowest, _)) => {
            let sum: f64 = scores.iter().map(|x| x - lowest).sum();
            scores.iter().map(|x| (x - lowest) / sum).collect()
        }
        None => vec![1.0 / scores.len() as f64; scores.len()],
    }
}

fn z_score(scores: &[f64]) -> Vec<f64> {
    let Some((lowest, highest)) = range(scores) else {
        return vec![1.0; scores.len()];
    };
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    // Relative to the range, squares of deviations neither underflow nor overflow.
    let range = highest - lowest;
    let deviations = scores.iter().map(|x| (x - mean) / range);
    let variance = deviations.clone().map(|d| d * d).sum::<f64>() / count;
    let deviation = variance.sqrt();
    deviations.map(|d| d / deviation).collect()
}

/// The exponent is never above 0: nothing overflows, and small results keep their precision.
fn sigmoid(x: f64) -> f64 {
    let small = (-x.abs()).exp();
    if x < 0.0 {
        small / (1.0 + small)
    } else {
        1.0 / (1.0 + small)
    }
}

fn rank(length: usize) -> Vec<f64> {
    let length_f64 = length as f64;
    (0..length)
        .map(|index| 1.0 - index as f64 / length_f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(normalization: Normalization, scores: &[f64]) -> Vec<f64> {
        normalization.apply(scores).unwrap()
    }

    fn close(found: &[f64], expected: &[f64]) -> bool {
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
        found.len() == expected.len() && found.iter().zip(expected).all(near)
    }

    #[test]
    fn names_are_read_back() {
        for &normalization in Normalization::ALL {
            assert_eq!(
                normalization.to_string().parse::<Normalization>().unwrap(),
                normalization
            );
        }
        let error = "minmax".parse::<Normalization>().unwrap_err().to_string();
        assert!(
            error.contains("expected one of none, min-max, sum, z-score, sigmoid, rank"),
            "{error}"
        );
    }

    #[test]
    fn each_formula_holds_on_a_list_with_negative_scores() {
        let scores = [3.0, 1.0, -1.0, -3.0];
        let of = |normalization| apply(normalization, &scores);
        assert_eq!(of(Normalization::None), scores);
        assert!(close(
            &of(Normalization::MinMax),
            &[1.0, 2.0 / 3.0, 1.0 / 3.0, 0.0]
        ));
        assert!(close(
            &of(Normalization::Sum),
            &[0.5, 1.0 / 3.0, 1.0 / 6.0, 0.0]
        ));
        let deviation = 5.0_f64.sqrt();
        let expected = scores.map(|x| x / deviation);
        assert!(close(&of(Normalization::ZScore), &expected));
        assert_eq!(of(Normalization::Rank), [1.0, 0.75, 0.5, 0.25]);
    }

    #[test]
    fn the_sigmoid_is_the_logistic_function_at_both_ends() {
        let found = apply(
            Normalization::Sigmoid,
            &[800.0, 2.0, 0.0, -2.0, -40.0, -800.0],
        );
        let expected = [1.0, 0.880_797_077_977_882_4, 0.5, 0.119_202_922_022_117_6];
        assert!(close(&found[..4], &expected), "{found:?}");
        // 1 / (1 + e^x) loses what is far below 1e-16.
        assert!((found[4] / (-40.0_f64).exp() - 1.0).abs() < 1e-12);
        assert_eq!(found[5], 0.0);
    }

    #[test]
    fn a_found_document_never_looks_as_not_found() {
        for scores in [vec![0.1; 4], vec![-7.5], vec![0.0]] {
            let share = 1.0 / scores.len() as f64;
            let of = |normalization| apply(normalization, &scores);
            assert_eq!(of(Normalization::MinMax), vec![1.0; scores.len()]);
            assert_eq!(of(Normalization::ZScore), vec![1.0; scores.len()]);
            assert_eq!(of(Normalization::Sum), vec![share; scores.len()]);
            assert_eq!(of(Normalization::None), scores);
            assert_eq!(of(Normalization::Rank)[0], 1.0);
        }
    }

    #[test]
    fn an_empty_list_stays_empty() {
        for &normalization in Normalization::ALL {
            assert!(apply(normalization, &[]).is_empty());
        }
    }

    #[test]
    fn the_largest_and_the_smallest_scores_do_not_overflow() {
        for scores in [[MAX_SCORE, 0.0, -MAX_SCORE], [3e-320, 2e-320, 1e-320]] {
            let third = 1.5_f64.sqrt();
            assert!(close(
                &apply(Normalization::MinMax, &scores),
                &[1.0, 0.5, 0.0]
            ));
            let found = apply(Normalization::Sum, &scores);
            let expected = [2.0 / 3.0, 1.0 / 3.0, 0.0];
            assert!(
                found
                    .iter()
                    .zip(expected)
                    .all(|(a, b)| (a - b).abs() < 1e-3),
                "{found:?}"
            );
            let found = apply(Normalization::ZScore, &scores);
            let expected = [third, 0.0, -third];
            assert!(
                found
                    .iter()
                    .zip(expected)
                    .all(|(a, b)| (a - b).abs() < 1e-3),
                "{found:?}"
            );
        }
    }

    #[test]
    fn scores_that_cannot_be_added_are_refused_with_their_rank() {
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e151] {
            for &normalization in Normalization::ALL {
                let error = normalization.apply(&[2.0, score]).unwrap_err().to_string();
                let expected = format!("found {score} at rank 2");
                assert!(
                    error.contains("finite score") && error.contains(&expected),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn lists_must_be_best_first_as_32_bit_numbers() {
        let error = Normalization::Rank
            .apply(&[1.0, 2.0])
            .unwrap_err()
            .to_string();
        assert!(error.contains("found score 2 after 1 at rank 2"), "{error}");
        // These two are equal as 32-bit numbers, and the lower stands first.
        let found = apply(Normalization::MinMax, &[1.0, 1.0 + 1e-9]);
        assert_eq!(found, [0.0, 1.0]);
    }
}
