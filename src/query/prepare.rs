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
    /// Terms above [`MAX_QUERY_TERMS`], which are not searched.
    pub left_out: u64,
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
    /// Terms above [`MAX_QUERY_TERMS`], which are not searched.
    pub left_out: u64,
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
            QueryKind::Text { text } => prepare_text(snapshot, query, text).map(Self::Text),
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

/// The terms of a text under a field's analyzer that documents can have, with how often each
/// occurs.
pub(super) fn analyze(
    snapshot: &Snapshot,
    field: FieldNumber,
    text: &str,
) -> Result<BTreeMap<String, u32>> {
    let mut terms = count_terms(snapshot, field, text)?;
    terms.retain(|term, _| can_be_indexed(term));
    Ok(terms)
}

/// All terms of a text under a field's analyzer, those that are too long for an index too.
fn count_terms(
    snapshot: &Snapshot,
    field: FieldNumber,
    text: &str,
) -> Result<BTreeMap<String, u32>> {
    let mut terms = BTreeMap::new();
    let analyzer = snapshot.expect_analyzer(field)?;
    analyzer.analyze_query(&analyzer.repair(text), &mut |term, _| {
        if !term.is_empty() {
            *terms.entry(term.to_owned()).or_default() += 1;
        }
    });
    Ok(terms)
}

fn can_be_indexed(term: &str) -> bool {
    term.len() <= MAX_TEXT_TERM_BYTES
}

/// How many of a query's terms are above the limit. Where documents must have all terms none can be
/// left out, so that is an error.
fn excess(terms: usize, all_terms: bool) -> Result<u64> {
    let excess = terms.saturating_sub(MAX_QUERY_TERMS) as u64;
    if excess > 0 && all_terms {
        let (found, limit) = (terms as u64, MAX_QUERY_TERMS as u64);
        let what = "number of distinct terms of a query that asks for all of them";
        return Err(Error::limit(what, found, limit));
    }
    Ok(excess)
}

fn prepare_text(snapshot: &Snapshot, query: &Query, text: &str) -> Result<PreparedText> {
    let field = snapshot.schema().expect(&query.field, FieldKind::Text)?;
    let bm25 = match (query.bm25, &field.options) {
        (Some(bm25), _) => bm25,
        (None, FieldOptions::Text(text)) => text.bm25,
        (None, _) => Bm25::default(),
    };
    bm25.check()?;
    let field = field.number;
    let totals = snapshot.totals(field);
    let average_length = (totals.total as f64 / totals.documents.max(1) as f64) as f32;
    let (mut terms, mut unknown) = (Vec::new(), Vec::new());
    for (term, query_frequency) in count_terms(snapshot, field, text)? {
        if !can_be_indexed(&term) {
            unknown.push(term);
            continue;
        }
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
    let left_out = excess(terms.len(), query.all_terms)?;
    terms.truncate(MAX_QUERY_TERMS);
    Ok(PreparedText {
        field,
        average_length,
        terms,
        norms: Box::new(bm25.norms(average_length)),
        required: query.all_terms.then_some(Required { unknown }),
        left_out,
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
    match &field.options {
        FieldOptions::Sparse(sparse) if sparse.terms == expected => {
            Ok((field.number, sparse.scale))
        }
        FieldOptions::Sparse(sparse) => {
            let terms = sparse.terms;
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
    check_sum(&query.field, weights.values().map(|(_, weight)| *weight))?;
    let left_out = keep_weightiest(&mut weights, query.all_terms)?;
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
        left_out,
    })
}

/// Drops terms without weight, then the lightest above the limit; returns how many those are.
fn keep_weightiest(weights: &mut BTreeMap<Vec<u8>, (String, f32)>, all_terms: bool) -> Result<u64> {
    weights.retain(|_, (_, weight)| *weight > 0.0);
    let left_out = excess(weights.len(), all_terms)?;
    if left_out > 0 {
        let mut terms: Vec<_> = std::mem::take(weights).into_iter().collect();
        // The sort is stable: of equal weights, the first terms in the order of their bytes stay.
        terms.sort_by(|(_, (_, a)), (_, (_, b))| b.total_cmp(a));
        terms.truncate(MAX_QUERY_TERMS);
        weights.extend(terms);
    }
    Ok(left_out)
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
    use crate::{Document, Index, Schema, Sparse, Text};

    /// 5,000 documents with one word and one sparse term each, of which the words with high numbers
    /// are rare.
    fn many_terms() -> Snapshot {
        let schema = Schema::builder()
            .text("text", Text::new())
            .sparse("sparse", Sparse::new())
            .build()
            .unwrap();
        let index = Index::in_memory(schema).unwrap();
        let mut writer = index.writer().unwrap();
        for number in 0..5_000 {
            let common = if number < 1_000 { "w0 w1 w2 w3" } else { "" };
            let document = Document::new(format!("d{number}"))
                .with_text("text", format!("w{number} {common}"))
                .with_sparse("sparse", [(format!("t{number}"), 1.0)]);
            writer.add(document).unwrap();
        }
        writer.commit().unwrap();
        index.snapshot().unwrap()
    }

    #[test]
    fn a_query_above_the_limit_of_terms_keeps_its_weightiest() {
        let snapshot = many_terms();
        let words = |count| (0..count).map(|n| format!("w{n}")).collect::<Vec<_>>();
        let weights = |count: u32| (0..count).map(|n| (format!("t{n}"), 1.0 + n as f32 / 1e3));
        let options = SearchOptions::new(5_000);
        let search = |query: &Query| {
            let found = snapshot.search_with(query, &options).unwrap();
            let ids: Vec<String> = found.hits.into_iter().map(|hit| hit.id).collect();
            (ids, found.statistics.terms_left_out)
        };
        // Words that no document has do not count.
        let text = words(4_096).join(" ") + " unknown words";
        assert_eq!(search(&Query::text("text", text)).1, 0);
        let (ids, left_out) = search(&Query::text("text", words(4_200).join(" ")));
        assert_eq!(left_out, 104);
        // The four words of many documents have the lowest idf.
        assert!(!ids.contains(&"d0".to_owned()) && ids.contains(&"d4".to_owned()));

        let (ids, left_out) = search(&Query::sparse("sparse", weights(4_200)));
        assert_eq!((ids.len(), left_out), (4_096, 104));
        assert!(!ids.contains(&"d103".to_owned()) && ids.contains(&"d104".to_owned()));
        assert_eq!(search(&Query::sparse("sparse", weights(4_096))).1, 0);
    }

    #[test]
    fn a_query_for_all_terms_above_the_limit_is_an_error() {
        let snapshot = many_terms();
        let weights = (0..4_097).map(|n| (format!("t{n}"), 1.0));
        let words: Vec<String> = (0..4_097).map(|n| format!("w{n}")).collect();
        for query in [
            Query::sparse("sparse", weights),
            Query::text("text", words.join(" ")),
        ] {
            let refused = snapshot.search(&query.with_all_terms(), 10);
            assert!(matches!(refused, Err(Error::Limit { found: 4_097, .. })));
        }
    }

    #[test]
    fn idf_is_positive_up_to_every_document() {
        assert!(idf(10, 10) > 0.0);
        assert!(idf(10, 1) > idf(10, 2));
    }
}
