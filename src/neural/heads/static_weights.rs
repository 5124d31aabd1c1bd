//! Inference-free queries: the weight of a token is looked up in a table, without a transformer
//! (Geng and others, 2024).

use std::path::Path;

use crate::backend::SparseVector;
use crate::error::{Error, Result};
use crate::neural::weights::Weights;

/// A weight for each token of a vocabulary.
///
/// ```
/// use esparsa::neural::StaticWeights;
///
/// let weights = StaticWeights::new(vec![0.0, 1.5, 2.5, 0.5]);
/// // A token counts once, even if it occurs several times; one of weight 0 is skipped.
/// assert_eq!(weights.encode(&[3, 1, 0, 3])?, [(1, 1.5), (3, 0.5)]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StaticWeights {
    weights: Vec<f32>,
}

impl StaticWeights {
    /// The weights of the tokens 0, 1, 2 …
    pub fn new(weights: Vec<f32>) -> Self {
        Self { weights }
    }

    /// Reads the tensor `weight` of a SparseStaticEmbedding module, one weight for each of
    /// `vocabulary` tokens.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if it is missing or of another length.
    pub fn load(weights: &Weights, vocabulary: usize) -> Result<Self> {
        let weights = weights.tensor("weight", &[vocabulary])?;
        Ok(Self { weights })
    }

    /// Reads a JSON object of tokens and their weights (`idf.json`); other tokens have none. `id`
    /// is the tokenizer's id of a token, `path` is for errors.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if `json` is no such object or names a token that the vocabulary of
    /// `vocabulary` tokens does not have.
    pub fn from_json(
        json: &str,
        path: &Path,
        vocabulary: usize,
        id: impl Fn(&str) -> Option<u32>,
    ) -> Result<Self> {
        let parsed: serde_json::Value = serde_json::from_str(json)
            .map_err(|error| Error::model(path, format!("not JSON: {error}")))?;
        let Some(object) = parsed.as_object() else {
            return Err(Error::model(
                path,
                "expected a JSON object of tokens and their weights, found something else",
            ));
        };
        let mut weights = vec![0.0; vocabulary];
        for (token, value) in object {
            let place = id(token).and_then(|id| weights.get_mut(id as usize));
            let Some(place) = place else {
                return Err(Error::model(
                    path,
                    format!("expected tokens of the model's vocabulary, found {token:?}"),
                ));
            };
            let weight = value.as_f64().map(|weight| weight as f32);
            let Some(weight) = weight.filter(|weight| weight.is_finite()) else {
                return Err(Error::model(
                    path,
                    format!("the weight of {token:?}: expected a number, found {value}"),
                ));
            };
            *place = weight;
        }
        Ok(Self { weights })
    }

    /// The vector of a query, of its token ids without special tokens: each token once, with its
    /// weight.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] for an id outside of the table.
    pub fn encode(&self, ids: &[u32]) -> Result<SparseVector> {
        let mut distinct = ids.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let mut vector = SparseVector::new();
        for id in distinct {
            let Some(&weight) = self.weights.get(id as usize) else {
                return Err(Error::model(
                    "",
                    format!(
                        "expected token ids below {}, the length of the table of weights, found {id}",
                        self.weights.len()
                    ),
                ));
            };
            if weight > 0.0 {
                vector.push((id, weight));
            }
        }
        Ok(vector)
    }

    /// The number of terms.
    pub fn vocabulary(&self) -> usize {
        self.weights.len()
    }

    /// The weight of each term.
    #[cfg(feature = "train")]
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }
}

/// The places of a term in both of two vectors.
pub(crate) type Places = (Option<usize>, Option<usize>);

/// The sum of two sparse vectors, and for each of its terms the places in both.
pub(crate) fn add_vectors(one: &SparseVector, other: &SparseVector) -> (SparseVector, Vec<Places>) {
    let (mut vector, mut places) = (SparseVector::new(), Vec::new());
    let (mut a, mut b) = (0, 0);
    while a < one.len() || b < other.len() {
        let of_one = one.get(a).map_or(u32::MAX, |(term, _)| *term);
        let of_other = other.get(b).map_or(u32::MAX, |(term, _)| *term);
        let term = of_one.min(of_other);
        let (mut weight, mut place) = (0.0, (None, None));
        if of_one == term && a < one.len() {
            weight += one[a].1;
            place.0 = Some(a);
            a += 1;
        }
        if of_other == term && b < other.len() {
            weight += other[b].1;
            place.1 = Some(b);
            b += 1;
        }
        vector.push((term, weight));
        places.push(place);
    }
    (vector, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<StaticWeights> {
        let id = |token: &str| match token {
            "a" => Some(0),
            "b" => Some(2),
            "far" => Some(9),
            _ => None,
        };
        StaticWeights::from_json(json, Path::new("idf.json"), 3, id)
    }

    #[test]
    fn tokens_without_an_entry_have_no_weight() {
        let weights = read(r#"{"b": 4.5, "a": 1}"#).unwrap();
        assert_eq!(weights, StaticWeights::new(vec![1.0, 0.0, 4.5]));
        assert_eq!(weights.encode(&[2, 1, 2]).unwrap(), [(2, 4.5)]);
        assert_eq!(weights.encode(&[]).unwrap(), []);
    }

    #[test]
    fn what_is_wrong_in_the_table_is_named() {
        for (json, named) in [
            (r#"{"c": 1}"#, "\"c\""),
            (r#"{"far": 1}"#, "\"far\""),
            (r#"{"a": "x"}"#, "\"a\""),
            (r#"{"a": 1e300}"#, "\"a\""),
            ("[1]", "object"),
            ("{", "not JSON"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(named), "{json}: {error}");
            assert!(error.contains("idf.json"), "{error}");
        }
    }

    #[test]
    fn an_id_beyond_the_table_is_an_error() {
        let error = StaticWeights::new(vec![1.0]).encode(&[1]).unwrap_err();
        assert!(error.to_string().contains("found 1"), "{error}");
    }

    #[test]
    fn sums_know_where_their_weights_come_from() {
        let (vector, places) = add_vectors(&vec![(1, 1.0), (4, 2.0)], &vec![(0, 0.5), (4, 1.0)]);
        assert_eq!(vector, [(0, 0.5), (1, 1.0), (4, 3.0)]);
        assert_eq!(
            places,
            [(None, Some(0)), (Some(0), None), (Some(1), Some(1))]
        );
        assert_eq!(add_vectors(&Vec::new(), &Vec::new()).0, []);
    }

    #[test]
    fn weights_below_zero_are_left_out_as_terms_need_weights_above_it() {
        let weights = StaticWeights::new(vec![-1.0, 2.0]);
        assert_eq!(weights.encode(&[0, 1]).unwrap(), [(1, 2.0)]);
    }
}
