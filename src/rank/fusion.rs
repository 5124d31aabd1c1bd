//! Fusion of ranked lists for one query.

use std::cmp::Ordering;
use std::hash::Hash;

use super::candidates::Candidates;
use super::method::{ListScale, Method, Missing};
use super::normalize::{MAX_SCORE, Normalization};
use crate::error::{Error, Result};

/// The constant of reciprocal rank fusion, as in the paper.
const RECIPROCAL_RANK_K: u32 = 60;

/// Fuses several ranked lists into one.
///
/// See the [module](crate::rank) for what each method computes, for missing documents and for ties.
///
/// ```
/// use esparsa::rank::{Fusion, Missing, Normalization};
///
/// let fusion = Fusion::weighted_sum(Normalization::ZScore)
///     .missing(Missing::Lowest)
///     .weights([2.0, 1.0])
///     .k(10);
/// let fused = fusion.fuse(&[vec![("a", 3.0), ("b", 1.0)], vec![("b", 0.5), ("c", 0.5)]])?;
/// assert_eq!(fused, [("a", 2.0), ("b", -1.0), ("c", -1.0)]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Fusion {
    method: Method,
    weights: Option<Vec<f64>>,
    k: Option<usize>,
}

impl Default for Fusion {
    /// Reciprocal rank fusion with `k` 60.
    fn default() -> Self {
        Self::reciprocal_rank()
    }
}

impl Fusion {
    /// A fusion by this method, all lists of weight 1, and all documents in the result.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            weights: None,
            k: None,
        }
    }

    /// Reciprocal rank fusion with `k` 60.
    pub fn reciprocal_rank() -> Self {
        let k = RECIPROCAL_RANK_K;
        Self::new(Method::ReciprocalRank { k })
    }

    /// A weighted sum; a document that a list lacks gets zero from it.
    pub fn weighted_sum(normalization: Normalization) -> Self {
        let missing = Missing::Zero;
        Self::new(Method::WeightedSum {
            normalization,
            missing,
        })
    }

    /// Sets what a weighted sum adds for documents that a list lacks; other methods ignore it.
    #[must_use]
    pub fn missing(mut self, score: Missing) -> Self {
        if let Method::WeightedSum { missing, .. } = &mut self.method {
            *missing = score;
        }
        self
    }

    /// Gives each list its weight, in the order of the lists; a list of weight 0 is ignored.
    ///
    /// Only their proportions matter for the order of the result.
    #[must_use]
    pub fn weights(mut self, weights: impl IntoIterator<Item = f64>) -> Self {
        self.weights = Some(weights.into_iter().collect());
        self
    }

    /// Keeps only the first `k` documents of each result.
    #[must_use]
    pub fn k(mut self, k: usize) -> Self {
        self.k = Some(k);
        self
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Fuses lists for one query: documents with their scores, best first.
    ///
    /// The result is ordered by descending score, compared as f32, and where these are equal by
    /// ascending document: wrap documents in [`std::cmp::Reverse`] for the opposite.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`], with the number of the list, when its scores are refused by
    /// [`Normalization::apply`] and when it holds a document twice; when there is no list, when the
    /// number of weights is not that of the lists, and when a weight is below 0, above
    /// [`MAX_SCORE`] or not a number, or none is above 0.
    pub fn fuse<K, L>(&self, lists: &[L]) -> Result<Vec<(K, f64)>>
    where
        K: Clone + Eq + Hash + Ord,
        L: AsRef<[(K, f64)]>,
    {
        let counted = self.counted(lists.len())?;
        let mut scales = Vec::with_capacity(counted.len());
        let mut candidates = Candidates::new(counted.len());
        for (place, &(number, weight)) in counted.iter().enumerate() {
            let list = lists[number].as_ref();
            let scale = self.add_list(&mut candidates, place, list, weight);
            scales.push(scale.map_err(|error| in_list(error, number))?);
        }
        let mut fused = candidates.combined(|row| self.method.combine(row, &scales));
        fused.sort_unstable_by(compare);
        fused.truncate(self.k.unwrap_or(usize::MAX));
        Ok(fused)
    }

    fn add_list<K: Clone + Eq + Hash>(
        &self,
        candidates: &mut Candidates<K>,
        place: usize,
        list: &[(K, f64)],
        weight: f64,
    ) -> Result<ListScale> {
        let scores: Vec<f64> = list.iter().map(|&(_, score)| score).collect();
        let normalized = self.method.normalize(&scores)?;
        let missing = self.method.missing(&normalized);
        let documents = list.iter().map(|(document, _)| document);
        candidates.add_list(place, documents.zip(normalized))?;
        Ok(ListScale { weight, missing })
    }

    /// The lists with a weight above 0, each with its index and its weight.
    pub(super) fn counted(&self, lists: usize) -> Result<Vec<(usize, f64)>> {
        if lists == 0 {
            return Err(Error::invalid(
                "expected at least one list to fuse, found none",
            ));
        }
        let Some(weights) = &self.weights else {
            return Ok((0..lists).map(|number| (number, 1.0)).collect());
        };
        if weights.len() != lists {
            return Err(Error::invalid(format!(
                "expected a weight for each of the {lists} lists, found {}",
                weights.len()
            )));
        }
        let allowed = 0.0..=MAX_SCORE;
        if let Some(weight) = weights.iter().find(|weight| !allowed.contains(*weight)) {
            return Err(Error::invalid(format!(
                "expected weights between 0 and {MAX_SCORE:e}, found {weight}"
            )));
        }
        let weights = weights.iter().copied().enumerate();
        let counted: Vec<(usize, f64)> = weights.filter(|&(_, weight)| weight > 0.0).collect();
        if counted.is_empty() {
            let message = "expected a weight above 0, found only 0; give one list a weight";
            return Err(Error::invalid(message));
        }
        Ok(counted)
    }
}

/// Descending score, then ascending document.
fn compare<K: Ord>(a: &(K, f64), b: &(K, f64)) -> Ordering {
    // No score is NaN: finite scores within `MAX_SCORE` went in. `total_cmp` would order -0.0
    // before 0.0.
    (b.1 as f32)
        .partial_cmp(&(a.1 as f32))
        .unwrap_or(Ordering::Equal)
        .then_with(|| a.0.cmp(&b.0))
}

/// Adds the number of the list, given from 0, to an error about its scores.
fn in_list(error: Error, number: usize) -> Error {
    match error {
        Error::InvalidInput { message, .. } => {
            Error::invalid(format!("list {}: {message}", number + 1))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type List = Vec<(&'static str, f64)>;

    fn message(fusion: &Fusion, lists: &[List]) -> String {
        fusion.fuse(lists).unwrap_err().to_string()
    }

    fn min_max() -> Fusion {
        Fusion::weighted_sum(Normalization::MinMax)
    }

    #[test]
    fn ranks_count_from_one_and_k_is_added() {
        let lists = [vec![("a", 9.0), ("b", 1.0)], vec![("b", -3.0)]];
        let fused = Fusion::new(Method::ReciprocalRank { k: 0 }).fuse(&lists);
        assert_eq!(fused.unwrap(), [("b", 1.5), ("a", 1.0)]);
        let fused = Fusion::default().weights([2.0, 0.5]).fuse(&lists).unwrap();
        assert_eq!(fused[0], ("b", 2.0 / 62.0 + 0.5 / 61.0));
    }

    #[test]
    fn ties_go_to_the_lower_document_and_are_made_by_32_bit_numbers() {
        let raw = Fusion::weighted_sum(Normalization::None);
        let list = vec![("b", 1.0 + 1e-9), ("c", 1.0), ("a", 1.0)];
        let fused = raw.fuse(&[list]).unwrap();
        let order: Vec<&str> = fused.into_iter().map(|(document, _)| document).collect();
        assert_eq!(order, ["a", "b", "c"]);
        let fused = raw.fuse(&[vec![("b", 0.0), ("a", -0.0)]]).unwrap();
        assert_eq!(fused[0].0, "a");
    }

    #[test]
    fn a_missing_document_gets_zero_or_the_lowest_score_of_the_list() {
        let lists = [vec![("a", -1.0), ("b", -3.0)], vec![("c", -10.0)], vec![]];
        let raw = Fusion::weighted_sum(Normalization::None);
        let fused = raw.fuse(&lists).unwrap();
        assert_eq!(fused, [("a", -1.0), ("b", -3.0), ("c", -10.0)]);
        let fused = raw.missing(Missing::Lowest).fuse(&lists).unwrap();
        assert_eq!(fused, [("a", -11.0), ("b", -13.0), ("c", -13.0)]);
        assert!(
            ["zero", "lowest"]
                .map(str::parse::<Missing>)
                .iter()
                .all(|m| m.is_ok())
        );
        assert!("mean".parse::<Missing>().is_err());
    }

    #[test]
    fn comb_mnz_multiplies_by_the_weights_of_the_lists_that_hold_the_document() {
        let normalization = Normalization::None;
        let lists = [vec![("a", 4.0), ("b", 2.0)], vec![("b", 3.0)]];
        let fusion = Fusion::new(Method::CombMnz { normalization });
        assert_eq!(fusion.fuse(&lists).unwrap(), [("b", 10.0), ("a", 4.0)]);
        let fused = fusion.weights([3.0, 0.5]).fuse(&lists).unwrap();
        assert_eq!(fused, [("b", 17.5), ("a", 12.0)]);
    }

    #[test]
    fn comb_max_takes_the_max_of_the_lists_that_hold_the_document() {
        let normalization = Normalization::None;
        let lists = [vec![("a", -4.0), ("b", -5.0)], vec![("b", -2.0)]];
        let fusion = Fusion::new(Method::CombMax { normalization });
        assert_eq!(fusion.fuse(&lists).unwrap(), [("b", -2.0), ("a", -4.0)]);
        let fused = fusion.weights([1.0, 3.0]).fuse(&lists).unwrap();
        assert_eq!(fused, [("a", -4.0), ("b", -5.0)]);
    }

    #[test]
    fn empty_lists_give_an_empty_result() {
        for fusion in [Fusion::default(), min_max()] {
            let lists: [List; 2] = [vec![], vec![]];
            assert_eq!(fusion.fuse(&lists).unwrap(), []);
        }
    }

    #[test]
    fn the_only_hit_of_a_list_counts_as_its_best() {
        let lists = [vec![("a", 5.0)], vec![("b", 7.0), ("a", 7.0)]];
        let fused = min_max().fuse(&lists).unwrap();
        assert_eq!(fused, [("a", 2.0), ("b", 1.0)]);
        let fused = Fusion::weighted_sum(Normalization::Rank).fuse(&lists);
        assert_eq!(fused.unwrap(), [("a", 1.5), ("b", 1.0)]);
    }

    #[test]
    fn a_document_that_one_list_alone_holds_is_above_one_that_it_lacks() {
        // In the second list both have the same score, and `a` has the better rank.
        let lists = [vec![("z", -2.0)], vec![("a", 3.0), ("z", 3.0)]];
        let normalizations = Normalization::ALL.iter().copied();
        for normalization in normalizations.filter(|n| *n != Normalization::None) {
            for &missing in Missing::ALL {
                for method in [
                    Method::WeightedSum {
                        normalization,
                        missing,
                    },
                    Method::CombMnz { normalization },
                ] {
                    let fused = Fusion::new(method).fuse(&lists).unwrap();
                    assert_eq!(fused[0].0, "z", "{method:?}: {fused:?}");
                }
            }
        }
    }

    #[test]
    fn a_list_of_weight_zero_is_as_if_it_had_not_been_given() {
        let (a, b) = (vec![("a", 2.0), ("b", 1.0)], vec![("c", 2.0), ("a", 1.0)]);
        let with = min_max().weights([0.5, 0.0]).fuse(&[a.clone(), b]).unwrap();
        assert_eq!(with, min_max().weights([0.5]).fuse(&[a]).unwrap());
    }

    #[test]
    fn the_result_is_cut_after_ties_are_ordered() {
        let lists = [vec![("c", 1.0), ("b", 1.0), ("a", 1.0)]];
        let fused = min_max().k(2).fuse(&lists).unwrap();
        assert_eq!(fused, [("a", 1.0), ("b", 1.0)]);
    }

    #[test]
    fn bad_lists_are_named_by_number() {
        let good = vec![("a", 1.0)];
        for fusion in [Fusion::default(), min_max()] {
            let found = message(&fusion, &[good.clone(), vec![("a", f64::NAN)]]);
            assert!(
                found.starts_with("list 2: expected a finite score"),
                "{found}"
            );
            let found = message(&fusion, &[vec![("a", 1.0), ("b", 2.0)], good.clone()]);
            assert!(found.starts_with("list 1: expected the best"), "{found}");
            let twice = vec![("a", 2.0), ("b", 1.0), ("a", 1.0)];
            let found = message(&fusion, &[good.clone(), twice]);
            assert!(
                found.contains("list 2: expected every document once, found that of rank 3"),
                "{found}"
            );
        }
    }

    #[test]
    fn weights_that_make_no_sense_are_refused() {
        let lists: [List; 2] = [vec![("a", 1.0)], vec![]];
        let found = |weights: &[f64]| message(&min_max().weights(weights.to_vec()), &lists);
        assert!(found(&[1.0]).contains("each of the 2 lists, found 1"));
        assert!(found(&[1.0, -0.5]).contains("found -0.5"));
        assert!(found(&[f64::NAN, 1.0]).contains("found NaN"));
        assert!(found(&[f64::INFINITY, 1.0]).contains("found inf"));
        assert!(found(&[0.0, 0.0]).contains("expected a weight above 0"));
        assert!(message(&min_max(), &[]).contains("at least one list"));
    }

    #[test]
    fn the_max_scores_and_weights_stay_finite() {
        let lists = [vec![("a", MAX_SCORE)], vec![("a", MAX_SCORE)]];
        for method in [
            Method::WeightedSum {
                normalization: Normalization::None,
                missing: Missing::Zero,
            },
            Method::CombMnz {
                normalization: Normalization::None,
            },
            Method::CombMax {
                normalization: Normalization::None,
            },
        ] {
            let fused = Fusion::new(method)
                .weights([MAX_SCORE; 2])
                .fuse(&lists)
                .unwrap();
            assert!(fused[0].1.is_finite());
        }
    }
}
