//! The terms of a sparse query as they are given: checked, repeated ones added up, and limited in
//! number.

use std::collections::BTreeMap;

use super::request::{Query, excess};
use crate::error::{Error, Result};
use crate::format::limits::{MAX_QUERY_TERMS, MAX_SPARSE_TERM_BYTES};
use crate::segment::check_sum;

/// Terms with weights above 0, which documents may have.
pub(super) struct SparseTerms {
    /// By key: the term as text, and its weight.
    pub terms: BTreeMap<Vec<u8>, (String, f32)>,
    /// Terms that no index can have.
    pub unknown: Vec<String>,
    /// Terms above [`MAX_QUERY_TERMS`], which are not searched.
    pub skipped: u64,
}

impl SparseTerms {
    /// From keys, terms as text, and weights.
    pub fn new(
        query: &Query,
        vector: impl Iterator<Item = (Vec<u8>, String, f32)>,
    ) -> Result<Self> {
        let mut terms: BTreeMap<Vec<u8>, (String, f32)> = BTreeMap::new();
        let mut unknown = Vec::new();
        for (key, term, weight) in vector {
            if !(weight.is_finite() && weight >= 0.0) {
                let message = format!(
                    "weight of query term `{term}` is {weight}; expected a finite number of at least 0"
                );
                return Err(Error::invalid(message).in_field(&query.field));
            }
            if key.len() <= MAX_SPARSE_TERM_BYTES {
                terms.entry(key).or_insert((term, 0.0)).1 += weight;
            } else if weight > 0.0 {
                unknown.push(term);
            }
        }
        check_sum(&query.field, terms.values().map(|(_, weight)| *weight))?;
        let skipped = keep_highest(&mut terms, query.all_terms)?;
        Ok(Self {
            terms,
            unknown,
            skipped,
        })
    }
}

/// Drops terms without weight, then those with the lowest weights above the limit; returns how many
/// the latter are.
fn keep_highest(terms: &mut BTreeMap<Vec<u8>, (String, f32)>, all_terms: bool) -> Result<u64> {
    terms.retain(|_, (_, weight)| *weight > 0.0);
    let skipped = excess(terms.len(), all_terms)?;
    if skipped > 0 {
        let mut sorted: Vec<_> = std::mem::take(terms).into_iter().collect();
        // The sort is stable: of equal weights, the first terms in the order of their keys stay.
        sorted.sort_by(|(_, (_, a)), (_, (_, b))| b.total_cmp(a));
        sorted.truncate(MAX_QUERY_TERMS);
        terms.extend(sorted);
    }
    Ok(skipped)
}
