//! Methods of fusion: how the scores of a document in several lists become one.

use std::fmt;
use std::str::FromStr;

use super::normalize::{Normalization, check_scores};
use crate::error::{Error, Result};

/// What a weighted sum adds for a document that is missing from a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Missing {
    /// Zero.
    #[default]
    Zero,
    /// The lowest normalized score of the list. It is zero if the list is empty, and where all
    /// normalized scores are equal, so that a run's only hit still counts for more than what the
    /// run lacks.
    Lowest,
}

impl Missing {
    /// All ways.
    pub const ALL: &[Self] = &[Self::Zero, Self::Lowest];

    /// The name, as [`FromStr`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Lowest => "lowest",
        }
    }

    fn score(self, normalization: Normalization, normalized: &[f64]) -> f64 {
        let lowest = normalized.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = normalized.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Scores that are not normalized may be below 0: they have no lower end.
        let has_lower_end = normalization != Normalization::None;
        match self {
            Self::Zero => 0.0,
            Self::Lowest if normalized.is_empty() => 0.0,
            Self::Lowest if has_lower_end && lowest == highest => 0.0,
            Self::Lowest => lowest,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Missing {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|way| way.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|way| way.name()).collect();
            let names = names.join(" or ");
            Error::invalid(format!(
                "unknown score of missing documents `{name}`; expected {names}"
            ))
        })
    }
}

/// How the scores of a document in several lists become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// The sum of `1 / (k + rank)`: scores count only through the ranks that they give.
    ReciprocalRank {
        /// What is added to each rank; the higher, the less the first ranks matter.
        k: u32,
    },
    /// The weighted sum of normalized scores.
    WeightedSum {
        /// What makes the scores comparable.
        normalization: Normalization,
        /// The score of documents that a list lacks.
        missing: Missing,
    },
    /// The sum of normalized scores, times the weights of the lists that hold the document.
    CombMnz {
        /// What makes the scores comparable. Below 0, a score lowers more the more lists agree:
        /// z-score suits badly.
        normalization: Normalization,
    },
    /// The max weighted normalized score.
    CombMax {
        /// What makes the scores comparable.
        normalization: Normalization,
    },
}

impl Method {
    /// The scores of a list as this method adds them up.
    pub(super) fn normalize(self, scores: &[f64]) -> Result<Vec<f64>> {
        match self {
            Self::ReciprocalRank { k } => {
                check_scores(scores)?;
                let reciprocal = |index| 1.0 / (f64::from(k) + (index + 1) as f64);
                Ok((0..scores.len()).map(reciprocal).collect())
            }
            Self::WeightedSum { normalization, .. }
            | Self::CombMnz { normalization }
            | Self::CombMax { normalization } => normalization.apply(scores),
        }
    }

    /// What a list with these normalized scores adds for a document that it lacks.
    pub(super) fn missing(self, normalized: &[f64]) -> f64 {
        match self {
            Self::WeightedSum {
                normalization,
                missing,
            } => missing.score(normalization, normalized),
            _ => 0.0,
        }
    }

    /// One score of a document's scores in all lists.
    pub(super) fn combine(self, row: &[Option<f64>], lists: &[ListScale]) -> f64 {
        let row = row.iter().zip(lists);
        let found = row
            .clone()
            .filter_map(|(score, list)| Some(((*score)?, list.weight)));
        match self {
            Self::ReciprocalRank { .. } | Self::WeightedSum { .. } => row
                .map(|(score, list)| list.weight * score.unwrap_or(list.missing))
                .sum(),
            Self::CombMnz { .. } => {
                let scores: f64 = found.clone().map(|(score, _)| score).sum();
                scores * found.map(|(_, weight)| weight).sum::<f64>()
            }
            Self::CombMax { .. } => found
                .map(|(score, weight)| weight * score)
                .fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// What is the same for all documents of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListScale {
    /// Above 0.
    pub(super) weight: f64,
    /// What the list adds, before its weight, for a document that it lacks.
    pub(super) missing: f64,
}
