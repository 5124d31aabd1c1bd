//! Losses of one query's list of documents.

use super::Loss;
use crate::error::{Error, Result};

/// A loss of the scores of one query's documents. `targets` has one value for each score: what it
/// means is said at each loss.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ListLoss {
    /// Cross-entropy of the softmax of the scores: -ln of the share of the relevant documents (targets
    /// above 0). With one relevant document and the other queries' documents as negatives this is the
    /// in-batch loss (InfoNCE: van den Oord and others, 2018).
    Softmax,
    /// Cross-entropy between the softmax of the targets and that of the scores (ListNet: Cao and
    /// others, 2007). Targets are graded relevance or a teacher's scores.
    ListNet,
    /// Kullback-Leibler divergence of the softmax of the scores from that of a teacher's scores.
    KlDivergence,
    /// Mean squared error between the margins of the first document over the others and a teacher's
    /// (MarginMSE: Hofstätter and others, 2020). Targets are the teacher's scores.
    MarginMse,
    /// ln(1 + e^(other - relevant)) for each pair of documents of different targets (RankNet: Burges
    /// and others, 2005), averaged over the pairs.
    RankNet,
    /// max(0, margin - (relevant - other)) for each pair of documents of different targets, averaged.
    TripletMargin {
        /// The difference of scores beyond which a pair costs nothing.
        margin: f64,
    },
    /// As [`RankNet`](Self::RankNet), each pair weighted by what exchanging its documents would change
    /// nDCG (LambdaRank: Burges, 2010; Wang and others, 2018). Gains are 2^target - 1.
    Lambda,
    /// Mean squared error between the margins of the first document over the others and targets, as
    /// with [`MarginMse`](Self::MarginMse). The targets are the model's own, not a teacher's: they are
    /// made of the documents' vectors, `margin` times (1 + cosine) / 2 for each document and the
    /// first (Gienapp and others, 2024, arXiv 2407.21515). A negative that resembles the relevant
    /// document must be told apart from it all the more.
    AdaptiveMargin {
        /// The margin over a document whose vector is that of the relevant one.
        margin: f64,
    },
    /// Binary cross-entropy of each score by itself; targets are probabilities.
    BinaryCrossEntropy,
}

impl ListLoss {
    /// The loss of a list and its gradient; 0 when the list has no pair to learn from.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when targets are not as many as scores, or a value is not finite.
    pub fn of(&self, scores: &[f64], targets: &[f64]) -> Result<Loss> {
        if scores.len() != targets.len() {
            return Err(Error::invalid(format!(
                "expected a target for each of {} scores, found {}",
                scores.len(),
                targets.len()
            )));
        }
        if let Some(value) = scores
            .iter()
            .chain(targets)
            .find(|value| !value.is_finite())
        {
            return Err(Error::invalid(format!(
                "expected finite scores and targets, found {value}; lower the learning rate if the scores of a model in training grow without bound"
            )));
        }
        Ok(match self {
            Self::Softmax => softmax_loss(scores, targets),
            Self::ListNet => cross_entropy(scores, &softmax(targets), false),
            Self::KlDivergence => cross_entropy(scores, &softmax(targets), true),
            Self::MarginMse | Self::AdaptiveMargin { .. } => margin_mse(scores, targets),
            Self::RankNet => pairwise(scores, targets, |_, _| 1.0, softplus),
            Self::TripletMargin { margin } => {
                pairwise(scores, targets, |_, _| 1.0, |lead| hinge(margin - lead))
            }
            Self::Lambda => lambda(scores, targets),
            Self::BinaryCrossEntropy => binary(scores, targets),
        })
    }
}

/// The softmax; subtracting the max first avoids overflow.
pub(super) fn softmax(scores: &[f64]) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// -ln Σ p over the relevant documents.
fn softmax_loss(scores: &[f64], targets: &[f64]) -> Loss {
    let shares = softmax(scores);
    let relevant: f64 = (shares.iter().zip(targets))
        .filter(|(_, target)| **target > 0.0)
        .map(|(share, _)| share)
        .sum();
    if relevant == 0.0 && !targets.iter().any(|target| *target > 0.0) {
        return nothing(scores.len());
    }
    // A share may underflow to 0: the loss is bounded, and the gradient is that of the limit.
    let relevant = relevant.max(f64::MIN_POSITIVE);
    let gradient = shares
        .iter()
        .zip(targets)
        .map(|(share, target)| match *target > 0.0 {
            true => share - share / relevant,
            false => *share,
        });
    Loss {
        value: -relevant.ln(),
        gradient: gradient.collect(),
    }
}

fn nothing(len: usize) -> Loss {
    Loss {
        value: 0.0,
        gradient: vec![0.0; len],
    }
}

/// -Σ target · ln p; with `is_divergence` minus the entropy of the targets, which has no gradient.
fn cross_entropy(scores: &[f64], targets: &[f64], is_divergence: bool) -> Loss {
    let shares = softmax(scores);
    let terms = shares.iter().zip(targets).map(|(share, target)| {
        let of_target = if is_divergence && *target > 0.0 {
            target * target.ln()
        } else {
            0.0
        };
        of_target - target * share.max(f64::MIN_POSITIVE).ln()
    });
    let differences = shares
        .iter()
        .zip(targets)
        .map(|(share, target)| share - target);
    Loss {
        value: terms.sum(),
        gradient: differences.collect(),
    }
}

fn margin_mse(scores: &[f64], targets: &[f64]) -> Loss {
    let mut loss = nothing(scores.len());
    let count = scores.len().saturating_sub(1) as f64;
    for other in 1..scores.len() {
        let error = (scores[0] - scores[other]) - (targets[0] - targets[other]);
        loss.value += error * error / count;
        loss.gradient[0] += 2.0 * error / count;
        loss.gradient[other] -= 2.0 * error / count;
    }
    loss
}

/// ln(1 + e^-lead) and its slope.
fn softplus(lead: f64) -> (f64, f64) {
    let value = (-lead.abs()).exp().ln_1p() + (-lead).max(0.0);
    (value, -1.0 / (1.0 + lead.exp()))
}

/// max(0, missing) and its slope by the lead, which lowers what is missing.
fn hinge(missing: f64) -> (f64, f64) {
    match missing > 0.0 {
        true => (missing, -1.0),
        false => (0.0, 0.0),
    }
}

/// The weighted mean over the pairs of different targets of a function of the lead of the better one.
fn pairwise(
    scores: &[f64],
    targets: &[f64],
    weight: impl Fn(usize, usize) -> f64,
    cost: impl Fn(f64) -> (f64, f64),
) -> Loss {
    let mut loss = nothing(scores.len());
    let mut pairs = 0.0;
    for better in 0..scores.len() {
        for worse in (0..scores.len()).filter(|worse| targets[better] > targets[*worse]) {
            let (value, slope) = cost(scores[better] - scores[worse]);
            let weight = weight(better, worse);
            loss.value += weight * value;
            loss.gradient[better] += weight * slope;
            loss.gradient[worse] -= weight * slope;
            pairs += 1.0;
        }
    }
    if pairs > 0.0 {
        loss.value /= pairs;
        loss.gradient
            .iter_mut()
            .for_each(|gradient| *gradient /= pairs);
    }
    loss
}

fn lambda(scores: &[f64], targets: &[f64]) -> Loss {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let discount = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let mut discounts = vec![0.0; scores.len()];
    for (rank, place) in order.into_iter().enumerate() {
        discounts[place] = discount(rank);
    }
    let gain = |target: f64| target.exp2() - 1.0;
    let mut ideal: Vec<f64> = targets.iter().map(|target| gain(*target)).collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let ideal: f64 = ideal
        .iter()
        .enumerate()
        .map(|(rank, gain)| gain * discount(rank))
        .sum();
    if ideal <= 0.0 {
        return nothing(scores.len());
    }
    // The change of nDCG is a constant of the pair: it has no gradient.
    let change = |one: usize, other: usize| {
        let gains = gain(targets[one]) - gain(targets[other]);
        (gains * (discounts[one] - discounts[other])).abs() / ideal
    };
    pairwise(scores, targets, change, softplus)
}

fn binary(scores: &[f64], targets: &[f64]) -> Loss {
    let count = scores.len().max(1) as f64;
    let of = |(score, target): (&f64, &f64)| {
        // -target · ln σ(s) - (1 - target) · ln(1 - σ(s)) = softplus(-s) + (1 - target) · s.
        let (value, slope) = softplus(*score);
        (
            (value + (1.0 - target) * score) / count,
            (slope + 1.0 - target) / count,
        )
    };
    let (values, gradient): (Vec<f64>, Vec<f64>) = scores.iter().zip(targets).map(of).unzip();
    Loss {
        value: values.iter().sum(),
        gradient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [ListLoss; 9] = [
        ListLoss::Softmax,
        ListLoss::ListNet,
        ListLoss::KlDivergence,
        ListLoss::MarginMse,
        ListLoss::RankNet,
        ListLoss::TripletMargin { margin: 1.0 },
        ListLoss::AdaptiveMargin { margin: 1.0 },
        ListLoss::Lambda,
        ListLoss::BinaryCrossEntropy,
    ];

    fn of(loss: ListLoss, scores: &[f64], targets: &[f64]) -> Loss {
        loss.of(scores, targets).unwrap()
    }

    fn is_near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-9
    }

    proptest! {
        #[test]
        fn gradients_are_the_slopes_of_losses(
            items in prop::collection::vec((-4.0f64..4.0, 0u32..3), 1..9),
        ) {
            let scores: Vec<f64> = items.iter().map(|(score, _)| *score).collect();
            for loss in ALL {
                let targets: Vec<f64> = items.iter().map(|(_, target)| match loss {
                    ListLoss::BinaryCrossEntropy => f64::from(*target) / 2.0,
                    _ => f64::from(*target),
                }).collect();
                let found = of(loss, &scores, &targets);
                prop_assert!(found.value >= -1e-12);
                for place in 0..scores.len() {
                    let at = |step: f64| {
                        let mut moved = scores.clone();
                        moved[place] += step;
                        of(loss, &moved, &targets).value
                    };
                    let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
                    // Hinges have corners, and equal scores exchange ranks.
                    let is_smooth = !matches!(loss, ListLoss::TripletMargin { .. } | ListLoss::Lambda)
                        || scores.iter().enumerate().all(|(other, score)| {
                            let gap = (score - scores[place]).abs();
                            other == place || gap > 1e-4 && (gap - 1.0).abs() > 1e-4
                        });
                    prop_assert!(
                        !is_smooth || (found.gradient[place] - expected).abs() < 1e-6,
                        "{loss:?}: expected {expected}, found {}", found.gradient[place]
                    );
                }
                // Only differences of scores count, but for single probabilities.
                if loss != ListLoss::BinaryCrossEntropy {
                    prop_assert!(found.gradient.iter().sum::<f64>().abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn losses_equal_hand_computed_figures() {
        let ln2 = 2f64.ln();
        // Two equal scores, of which one is relevant: its share is a half.
        assert!(is_near(
            of(ListLoss::Softmax, &[3.0, 3.0], &[1.0, 0.0]).value,
            ln2
        ));
        assert!(is_near(
            of(ListLoss::RankNet, &[3.0, 3.0], &[1.0, 0.0]).value,
            ln2
        ));
        assert!(is_near(
            of(ListLoss::BinaryCrossEntropy, &[0.0], &[1.0]).value,
            ln2
        ));
        assert!(is_near(
            of(ListLoss::KlDivergence, &[5.0, 2.0], &[4.0, 1.0]).value,
            0.0
        ));
        assert!(is_near(
            of(ListLoss::ListNet, &[1.0, 1.0], &[0.0, 0.0]).value,
            ln2
        ));
        // The student's margin is 1, the teacher's 3.
        assert!(is_near(
            of(ListLoss::MarginMse, &[2.0, 1.0], &[3.0, 0.0]).value,
            4.0
        ));
        let triplet = ListLoss::TripletMargin { margin: 1.0 };
        assert!(is_near(of(triplet, &[2.0, 1.5], &[1.0, 0.0]).value, 0.5));
        assert!(is_near(of(triplet, &[9.0, 1.5], &[1.0, 0.0]).value, 0.0));
        // The relevant document is second: exchanging changes nDCG from 1 / log2(3) to 1.
        let expected = (1.0 - 1.0 / 3f64.log2()) * softplus(-1.0).0;
        assert!(is_near(
            of(ListLoss::Lambda, &[0.0, 1.0], &[1.0, 0.0]).value,
            expected
        ));
    }

    #[test]
    fn lists_without_relevant_documents_teach_nothing() {
        for loss in [ListLoss::Softmax, ListLoss::RankNet, ListLoss::Lambda] {
            let found = of(loss, &[1.0, 2.0], &[0.0, 0.0]);
            assert_eq!(found, nothing(2));
        }
        for loss in ALL {
            assert_eq!(of(loss, &[], &[]).gradient.len(), 0);
        }
    }

    #[test]
    fn extreme_scores_stay_finite() {
        for loss in ALL {
            let found = of(loss, &[-1e4, 1e4], &[1.0, 0.0]);
            let values = found.gradient.iter().chain([&found.value]);
            assert!(
                values.into_iter().all(|value| value.is_finite()),
                "{loss:?} {found:?}"
            );
        }
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(ListLoss::Softmax.of(&[1.0], &[]).is_err());
        assert!(ListLoss::Softmax.of(&[f64::NAN], &[1.0]).is_err());
    }
}
