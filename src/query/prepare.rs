//! Terms, weights and statistics of a query on a snapshot.

use std::collections::BTreeMap;

use super::dense::PreparedDense;
use super::effort::Effort;
use super::request::{Query, QueryKind, SearchOptions};
use super::sparse_weights::{IntegerWeights, QueryWeight};
use crate::error::{Error, Result};
use crate::format::dictionary::{Dictionary, TermEntry};
use crate::format::limits::{MAX_QUERY_TERMS, MAX_SPARSE_TERM_BYTES, MAX_TEXT_TERM_BYTES};
use crate::format::{Bm25, FieldKind, FieldNumber, FieldOptions, SparseTerms};
use crate::index::Snapshot;
use crate::segment::check_sum;

/// A query made ready for one snapshot.
pub(super) enum Prepared {
    Text(PreparedText),
    Sparse(PreparedSparse),
    Dense(PreparedDense),
}

/// Words, with the statistics of the whole snapshot.
pub(super) struct PreparedText {
    pub field: FieldNumber,
    pub average_length: f32,
    /// The weightiest first: this is the query's term order.
    pub terms: Vec<TextTerm>,
    /// What length does, see [`Bm25::norms`].
    pub norms: Box<[f32; 256]>,
    pub required: Option<Required>,
}

/// What documents must have, for a query that asks for all terms.
pub(super) struct Required {
    /// Terms that no document has; with any, nothing is found.
    pub unknown: Vec<String>,
}

impl Required {
    /// Postings that must be looked at in the `place`-th segment: those of the rarest term, in every list; 0 when a
    /// term is not there.
    pub fn postings<'a>(
        &self,
        terms: impl Iterator<Item = &'a [Option<TermEntry>]>,
        place: usize,
    ) -> u64 {
        if !self.unknown.is_empty() {
            return 0;
        }
        let (mut rarest, mut lists) = (u64::MAX, 0);
        for entries in terms {
            let entry = entries.get(place).and_then(Option::as_ref);
            let postings = entry.map_or(0, |entry| u64::from(entry.document_frequency));
            rarest = rarest.min(postings);
            lists += 1;
        }
        if lists == 0 { 0 } else { rarest * lists }
    }
}

pub(super) struct TextTerm {
    pub term: String,
    pub document_frequency: u64,
    /// idf times how often the query has the term: the limit of the contribution.
    pub weight: f32,
    /// The term in each segment that has it.
    pub entries: Vec<Option<TermEntry>>,
}

/// Weights, made integers.
pub(super) struct PreparedSparse {
    pub field: FieldNumber,
    pub weights: IntegerWeights,
    /// What one unit of a score stands for.
    pub unit: f32,
    /// The weightiest first.
    pub terms: Vec<SparseTerm>,
    pub effort: Effort,
    pub required: Option<Required>,
}

pub(super) struct SparseTerm {
    pub key: Vec<u8>,
    /// For people.
    pub name: String,
    /// As the query gives it.
    pub exact_weight: f32,
    /// The integer weight at the largest exponent that the term's impacts have.
    pub weight: u32,
    pub document_frequency: u64,
    pub entries: Vec<Option<TermEntry>>,
}

impl Prepared {
    /// Finds the query's terms in every segment.
    pub fn new(snapshot: &Snapshot, query: &Query, options: &SearchOptions) -> Result<Self> {
        match &query.kind {
            QueryKind::Text { text, bm25 } => {
                prepare_text(snapshot, query, text, *bm25).map(Self::Text)
            }
            QueryKind::Sparse(vector) => {
                let field = sparse_field(snapshot, &query.field, SparseTerms::Strings)?;
                let terms = vector
                    .iter()
                    .map(|(term, weight)| (term.clone().into_bytes(), term.clone(), *weight));
                prepare_sparse(snapshot, query, field, terms, options).map(Self::Sparse)
            }
            QueryKind::SparseNumbered(vector) => {
                let field = sparse_field(snapshot, &query.field, SparseTerms::Numbers)?;
                let terms = vector
                    .iter()
                    .map(|(term, weight)| (term.to_be_bytes().to_vec(), term.to_string(), *weight));
                prepare_sparse(snapshot, query, field, terms, options).map(Self::Sparse)
            }
            QueryKind::Dense(vector) => {
                PreparedDense::new(snapshot, &query.field, vector).map(Self::Dense)
            }
        }
    }
}

/// The terms of a text under a field's analyzer, with how often each occurs.
pub(super) fn analyze(
    snapshot: &Snapshot,
    field: FieldNumber,
    text: &str,
) -> Result<BTreeMap<String, u32>> {
    let mut terms = BTreeMap::new();
    let analyzer = snapshot
        .analyzer(field)
        .ok_or_else(|| Error::invalid("the field has no analyzer"))?;
    analyzer.analyze(&analyzer.repair(text), &mut |term, _| {
        if !term.is_empty() && term.len() <= MAX_TEXT_TERM_BYTES {
            *terms.entry(term.to_owned()).or_default() += 1;
        }
    });
    check_count(terms.len())?;
    Ok(terms)
}

fn check_count(terms: usize) -> Result<()> {
    if terms <= MAX_QUERY_TERMS {
        return Ok(());
    }
    let (found, limit) = (terms as u64, MAX_QUERY_TERMS as u64);
    Err(Error::limit(
        "number of distinct terms of a query",
        found,
        limit,
    ))
}

fn prepare_text(
    snapshot: &Snapshot,
    query: &Query,
    text: &str,
    bm25: Option<Bm25>,
) -> Result<PreparedText> {
    let field = snapshot.schema().expect(&query.field, FieldKind::Text)?;
    let bm25 = match (bm25, &field.options) {
        (Some(bm25), _) => bm25,
        (None, FieldOptions::Text { bm25, .. }) => *bm25,
        (None, _) => Bm25::default(),
    };
    bm25.check()?;
    let field = field.number;
    let totals = snapshot.totals(field);
    let average_length = (totals.total as f64 / totals.documents.max(1) as f64) as f32;
    let (mut terms, mut unknown) = (Vec::new(), Vec::new());
    for (term, query_frequency) in analyze(snapshot, field, text)? {
        let entries = entries_of(snapshot, term.as_bytes(), |segment| {
            segment.text(field).map(|text| &text.terms)
        })?;
        let document_frequency = document_frequency(&entries);
        if document_frequency == 0 {
            unknown.push(term);
            continue;
        }
        let idf = idf(totals.documents, document_frequency);
        terms.push(TextTerm {
            weight: idf * query_frequency as f32,
            term,
            document_frequency,
            entries,
        });
    }
    terms.sort_by(|a, b| {
        b.weight
            .total_cmp(&a.weight)
            .then_with(|| a.term.cmp(&b.term))
    });
    Ok(PreparedText {
        field,
        average_length,
        terms,
        norms: Box::new(bm25.norms(average_length)),
        required: query.all_terms.then_some(Required { unknown }),
    })
}

/// Lucene's idf: ln(1 + (N - df + 0.5) / (df + 0.5)), above 0 for every df up to N.
fn idf(documents: u64, document_frequency: u64) -> f32 {
    let (documents, frequency) = (documents as f64, document_frequency as f64);
    (1.0 + (documents - frequency + 0.5) / (frequency + 0.5)).ln() as f32
}

fn document_frequency(entries: &[Option<TermEntry>]) -> u64 {
    let found = entries.iter().flatten();
    found.map(|entry| u64::from(entry.document_frequency)).sum()
}

fn entries_of<'a>(
    snapshot: &'a Snapshot,
    key: &[u8],
    dictionary: impl Fn(&'a crate::segment::SegmentReader) -> Option<&'a Dictionary>,
) -> Result<Vec<Option<TermEntry>>> {
    let segments = snapshot.segments().iter();
    segments
        .map(|segment| match dictionary(&segment.reader) {
            Some(terms) => terms.term(key),
            None => Ok(None),
        })
        .collect()
}

fn sparse_field(
    snapshot: &Snapshot,
    name: &str,
    expected: SparseTerms,
) -> Result<(FieldNumber, f32)> {
    let field = snapshot.schema().expect(name, FieldKind::Sparse)?;
    match field.options {
        FieldOptions::Sparse { scale, terms, .. } if terms == expected => Ok((field.number, scale)),
        FieldOptions::Sparse { terms, .. } => {
            let message = format!("terms of this field are {terms:?}, the query's {expected:?}");
            Err(Error::invalid(message).in_field(name))
        }
        _ => Err(Error::invalid("expected a sparse field").in_field(name)),
    }
}

fn prepare_sparse(
    snapshot: &Snapshot,
    query: &Query,
    (field, scale): (FieldNumber, f32),
    vector: impl Iterator<Item = (Vec<u8>, String, f32)>,
    options: &SearchOptions,
) -> Result<PreparedSparse> {
    let mut weights: BTreeMap<Vec<u8>, (String, f32)> = BTreeMap::new();
    let mut unknown = Vec::new();
    for (key, term, weight) in vector {
        if !(weight.is_finite() && weight >= 0.0) {
            let message = format!(
                "weight of query term `{term}` is {weight}; expected a finite number of at least 0"
            );
            return Err(Error::invalid(message).in_field(&query.field));
        }
        if key.len() <= MAX_SPARSE_TERM_BYTES {
            weights.entry(key).or_insert((term, 0.0)).1 += weight;
        } else if weight > 0.0 {
            unknown.push(term);
        }
    }
    check_count(weights.len())?;
    check_sum(&query.field, weights.values().map(|(_, weight)| *weight))?;
    let (mut found, mut given) = (Vec::new(), Vec::with_capacity(weights.len()));
    for (key, (name, exact_weight)) in weights {
        let entries = entries_of(snapshot, &key, |segment| {
            segment.sparse(field).map(|sparse| &sparse.terms)
        })?;
        let exponents = exponents_of(snapshot, field, &entries)?;
        given.push(QueryWeight {
            weight: exact_weight,
            exponents,
        });
        if exact_weight == 0.0 {
            continue;
        }
        let Some((_, exponent)) = exponents else {
            unknown.push(name);
            continue;
        };
        let term = SparseTerm {
            key,
            name,
            exact_weight,
            weight: 0,
            document_frequency: document_frequency(&entries),
            entries,
        };
        found.push((term, exponent));
    }
    let weights = IntegerWeights::new(&given);
    let terms = found.into_iter().map(|(term, exponent)| SparseTerm {
        weight: weights.integer(term.exact_weight, exponent),
        ..term
    });
    let mut terms: Vec<SparseTerm> = terms.collect();
    terms.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.key.cmp(&b.key)));
    let mut effort = Effort::EXACT;
    if !query.all_terms {
        effort = Effort::of(snapshot, field, options);
        terms.truncate(effort.kept(terms.iter().map(|term| term.weight)));
    }
    Ok(PreparedSparse {
        field,
        weights,
        unit: weights.unit(scale),
        terms,
        effort,
        required: query.all_terms.then_some(Required { unknown }),
    })
}

/// The smallest and the largest exponent of a term's impacts; `None` when no document has the term.
fn exponents_of(
    snapshot: &Snapshot,
    field: FieldNumber,
    entries: &[Option<TermEntry>],
) -> Result<Option<(i16, i16)>> {
    let mut all: Option<(i16, i16)> = None;
    for (segment, entry) in snapshot.segments().iter().zip(entries) {
        if let (Some(entry), Some(sparse)) = (entry, segment.reader.sparse(field)) {
            sparse.exponents(entry, |exponent| {
                let (min, max) = all.unwrap_or((exponent, exponent));
                all = Some((min.min(exponent), max.max(exponent)));
            })?;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idf_is_positive_up_to_every_document() {
        assert!(idf(10, 10) > 0.0);
        assert!(idf(10, 1) > idf(10, 2));
    }
}
