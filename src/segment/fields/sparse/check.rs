//! Which sparse vectors a field takes.

use super::SparseVector;
use crate::error::{Error, Result};
use crate::format::limits::MAX_SPARSE_TERM_BYTES;
use crate::format::{Sparse, SparseTerms, wide};

/// Checks a vector of a document.
pub(super) fn check_vector(field: &str, options: &Sparse, vector: &SparseVector) -> Result<()> {
    match vector {
        SparseVector::Strings(terms) => {
            expect_terms(options.terms, SparseTerms::Strings, field)?;
            for (term, weight) in terms {
                check_weight(field, term, *weight)?;
            }
            check_sum(field, terms.iter().map(|(_, weight)| *weight))
        }
        SparseVector::Numbers(terms) => {
            expect_terms(options.terms, SparseTerms::Numbers, field)?;
            let mut bad = terms.iter().filter(|(_, weight)| !is_weight(*weight));
            if let Some((term, weight)) = bad.next() {
                check_weight(field, &term.to_string(), *weight)?;
            }
            check_sum(field, terms.iter().map(|(_, weight)| *weight))
        }
    }
}

fn is_weight(weight: f32) -> bool {
    weight.is_finite() && weight >= 0.0
}

fn check_weight(field: &str, term: &str, weight: f32) -> Result<()> {
    if !is_weight(weight) {
        let message =
            format!("weight of term `{term}` is {weight}; expected a finite number of at least 0");
        return Err(Error::invalid(message).in_field(field));
    }
    if term.is_empty() {
        return Err(Error::invalid("expected a term, found an empty one").in_field(field));
    }
    let (found, limit) = (term.len(), MAX_SPARSE_TERM_BYTES);
    match found > limit {
        true => Err(Error::limit(
            "bytes of a sparse term",
            wide(found),
            wide(limit),
        )),
        false => Ok(()),
    }
}

/// Refuses weights, all finite, that no score could hold the sum of.
pub(crate) fn check_sum(field: &str, weights: impl Iterator<Item = f32>) -> Result<()> {
    let sum: f32 = weights.sum();
    if sum.is_finite() {
        return Ok(());
    }
    let message = format!(
        "expected weights whose sum is at most {:e}, found a larger sum; divide all weights by the same number",
        f32::MAX
    );
    Err(Error::invalid(message).in_field(field))
}

fn expect_terms(found: SparseTerms, expected: SparseTerms, field: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let message = format!(
        "expected terms that are {}, as in the schema, found {}; convert them, or choose them with \
         `Sparse::terms` when the index is created",
        found.name(),
        expected.name()
    );
    Err(Error::invalid(message).in_field(field))
}
