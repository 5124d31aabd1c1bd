//! Queries of words on a text field, scored by BM25.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cursor_search::workload;
use super::exhaustive;
use super::explanation::{Explain, Explanation, TermScore};
use super::leaf::{Found, Leaf, SegmentTask};
use super::look_up::{Entries, Required, postings_of};
use super::options::SearchOptions;
use super::plan::choose;
use super::request::{Query, excess};
use super::simd::Bm25Term;
use super::text_cursor::TextCursor;
use super::text_documents::WordDocuments;
use super::text_terms::{count_terms, look_up};
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::format::dictionary::TermEntry;
use crate::format::limits::MAX_QUERY_TERMS;
use crate::format::text_postings::TextList;
use crate::format::{Bm25, DocId, FieldKind, FieldNumber, FieldOptions, lengths};
use crate::index::{DocAddress, Snapshot, SnapshotSegment};

/// A term frequency times this and more, added to 1 in single precision, is more than 1.
const MIN_NORM: f32 = 1e-6;

/// Words, with the statistics of the whole snapshot.
pub(super) struct TextLeaf<'a> {
    segments: &'a [SnapshotSegment],
    field: FieldNumber,
    average_length: f32,
    /// The highest weight first: this is the query's term order.
    terms: Vec<TextTerm>,
    entries: Entries,
    /// Length normalization by length code, see [`Bm25::norms`].
    norms: Box<[f32; 256]>,
    required: Option<Required>,
    /// Terms above [`MAX_QUERY_TERMS`], which are not searched.
    skipped_terms: u64,
}

struct TextTerm {
    term: String,
    document_frequency: u64,
    /// idf times the term's frequency in the query: the limit of the contribution.
    weight: f32,
    /// The term's place in [`TextLeaf::entries`].
    entry: usize,
}

/// Lucene's idf: ln(1 + (N - df + 0.5) / (df + 0.5)), above 0 for every df up to N.
pub(super) fn idf(documents: u64, document_frequency: u64) -> f32 {
    let (documents, frequency) = (documents as f64, document_frequency as f64);
    (1.0 + (documents - frequency + 0.5) / (frequency + 0.5)).ln() as f32
}

impl<'a> TextLeaf<'a> {
    /// Finds the query's terms in every segment, and weighs them.
    pub fn new(
        snapshot: &'a Snapshot,
        query: &Query,
        text: &str,
        options: &SearchOptions,
    ) -> Result<Self> {
        let field = snapshot.schema().expect(&query.field, FieldKind::Text)?;
        let counts = count_terms(snapshot, field.number, text)?;
        Self::with_counts(snapshot, query, counts, options)
    }

    /// As [`new`](Self::new), for terms that are not analyzed.
    pub fn of_terms(
        snapshot: &'a Snapshot,
        query: &Query,
        terms: &[String],
        options: &SearchOptions,
    ) -> Result<Self> {
        let mut counts = BTreeMap::new();
        for term in terms {
            *counts.entry(term.clone()).or_default() += 1;
        }
        Self::with_counts(snapshot, query, counts, options)
    }

    fn with_counts(
        snapshot: &'a Snapshot,
        query: &Query,
        counts: BTreeMap<String, u32>,
        options: &SearchOptions,
    ) -> Result<Self> {
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
        let entries = look_up(snapshot, options, field, &counts)?;
        let (mut terms, mut unknown) = (Vec::new(), Vec::new());
        for (entry, (term, query_frequency)) in counts.into_iter().enumerate() {
            let frequencies = entries
                .of_term(entry)
                .map(|e| u64::from(e.document_frequency));
            let document_frequency: u64 = frequencies.sum();
            if document_frequency == 0 {
                unknown.push(term);
                continue;
            }
            let idf = idf(totals.documents, document_frequency);
            terms.push(TextTerm {
                weight: idf * query_frequency as f32,
                term,
                document_frequency,
                entry,
            });
        }
        terms.sort_by(|a, b| {
            b.weight
                .total_cmp(&a.weight)
                .then_with(|| a.term.cmp(&b.term))
        });
        let skipped_terms = excess(terms.len(), query.all_terms)?;
        terms.truncate(MAX_QUERY_TERMS);
        Ok(Self {
            segments: snapshot.segments(),
            field,
            average_length,
            terms,
            entries,
            norms: Box::new(bm25.norms(average_length)),
            required: query.all_terms.then_some(Required { unknown }),
            skipped_terms,
        })
    }

    /// The field.
    pub fn field(&self) -> FieldNumber {
        self.field
    }

    /// The terms that documents have, in term order, and in how many.
    pub fn terms(&self) -> impl Iterator<Item = (&str, u64)> {
        let terms = self.terms.iter();
        terms.map(|term| (term.term.as_str(), term.document_frequency))
    }

    /// The limits of the terms' contributions, in term order.
    pub fn weights(&self) -> impl Iterator<Item = f32> {
        self.terms.iter().map(|term| term.weight)
    }

    /// What a segment has of the term of this number.
    pub fn entry(&self, ordinal: usize, number: usize) -> Option<&TermEntry> {
        self.entries.get(ordinal, self.terms.get(number)?.entry)
    }

    /// A cursor on a list in a segment, for contributions of this weight.
    pub fn cursor<'l>(
        &'l self,
        ordinal: usize,
        list: &TextList<'l>,
        number: usize,
        weight: f32,
    ) -> Result<TextCursor<'l>> {
        let field = self.segments[ordinal].reader.text(self.field);
        let lengths = field.map(|field| field.lengths.all()).transpose()?;
        let parts = Bm25Term {
            weight,
            norms: &self.norms,
            lengths: lengths.unwrap_or_default(),
        };
        TextCursor::new(list, number, parts)
    }

    /// Whether a term that documents must have is in none.
    pub fn has_unknown(&self) -> bool {
        let required = self.required.as_ref();
        required.is_some_and(|required| !required.unknown.is_empty())
    }

    /// Whether every posting has a score above 0: with a saturation that is far beyond use, scores may
    /// be rounded to 0.
    fn have_positive_scores(&self) -> bool {
        self.norms.iter().all(|norm| *norm > MIN_NORM)
    }

    /// In how many documents of a segment each term is.
    fn frequencies(&self, ordinal: usize) -> impl Iterator<Item = u32> {
        let entries = self
            .terms
            .iter()
            .map(move |term| self.entries.get(ordinal, term.entry));
        entries.map(|entry| entry.map_or(0, |entry| entry.document_frequency))
    }

    /// The documents that are found in a segment, without their scores; `None` where scores may be
    /// rounded to 0.
    fn documents(&self, ordinal: usize) -> Result<Option<WordDocuments<'_>>> {
        if !self.have_positive_scores() {
            return Ok(None);
        }
        let reader = &self.segments[ordinal].reader;
        let entries = self
            .terms
            .iter()
            .map(|term| self.entries.get(ordinal, term.entry));
        let must_have_all = self.required.is_some();
        if must_have_all && (self.lacks_required() || entries.clone().any(|e| e.is_none())) {
            return Ok(Some(WordDocuments::none(reader.documents())));
        }
        let mut lists = Vec::new();
        if let Some(field) = reader.text(self.field) {
            for entry in entries.flatten() {
                lists.push(field.list(reader.documents(), entry)?.blocks);
            }
        }
        Ok(Some(WordDocuments::new(
            lists,
            reader.documents(),
            must_have_all,
        )))
    }

    /// Whether documents must have a term that none has, or all of no terms.
    pub fn lacks_required(&self) -> bool {
        let required = self.required.as_ref();
        required.is_some_and(|required| !required.unknown.is_empty() || self.terms.is_empty())
    }

    /// How many of the terms documents must have, where a query says how many.
    pub fn minimum(&self, given: Option<u32>) -> usize {
        match self.required {
            Some(_) => self.terms.len(),
            None => given.unwrap_or(1) as usize,
        }
    }

    fn cursors(&self, ordinal: usize) -> Result<Vec<TextCursor<'_>>> {
        self.cursors_of_weight(ordinal, None)
    }

    /// The cursors in a segment, in term order, with the weights of their terms or one for all.
    pub fn cursors_of_weight(
        &self,
        ordinal: usize,
        weight: Option<f32>,
    ) -> Result<Vec<TextCursor<'_>>> {
        let segment = &self.segments[ordinal];
        let Some(field) = segment.reader.text(self.field) else {
            return Ok(Vec::new());
        };
        let lengths = field.lengths.all()?;
        let mut cursors = Vec::with_capacity(self.terms.len());
        for (number, term) in self.terms.iter().enumerate() {
            if let Some(entry) = self.entries.get(ordinal, term.entry) {
                let list = field.list(segment.reader.documents(), entry)?;
                let parts = Bm25Term {
                    weight: weight.unwrap_or(term.weight),
                    norms: &self.norms,
                    lengths,
                };
                cursors.push(TextCursor::new(&list, number, parts)?);
            }
        }
        Ok(cursors)
    }
}

impl Leaf for TextLeaf<'_> {
    type Score = f32;
    /// Cursors move, so every part has its own.
    type Lists = ();

    fn skipped_terms(&self) -> u64 {
        self.skipped_terms
    }

    fn postings(&self, ordinal: usize) -> u64 {
        let entry = |term: &TextTerm| self.entries.get(ordinal, term.entry);
        let frequencies = self
            .terms
            .iter()
            .map(|term| Some(entry(term)?.document_frequency));
        postings_of(self.required.as_ref(), frequencies)
    }

    fn open(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn matching(&self, ordinal: usize) -> Result<Arc<DocSet>> {
        if let Some(documents) = self.documents(ordinal)? {
            return documents.set();
        }
        // Scores may be rounded to 0, so they are computed.
        let documents = self.segments[ordinal].reader.documents();
        if self.postings(ordinal) == 0 {
            return Ok(Arc::new(DocSet::empty(documents)));
        }
        exhaustive::matching(self.cursors(ordinal)?, documents, self.required.is_some())
    }

    fn score_of(&self, address: DocAddress) -> Result<Option<f32>> {
        let mut cursors = self.cursors(address.segment as usize)?;
        let terms = self.terms.len();
        TermScore::sum(
            &mut cursors,
            terms,
            address.document,
            self.required.as_ref(),
        )
    }

    fn known_count(&self, ordinal: usize) -> Option<u32> {
        match &self.terms[..] {
            [term] if self.have_positive_scores() && !self.has_unknown() => {
                let entry = self.entries.get(ordinal, term.entry);
                Some(entry.map_or(0, |entry| entry.document_frequency))
            }
            _ => None,
        }
    }

    fn min_count(&self, ordinal: usize) -> u32 {
        match self.required.is_none() && self.have_positive_scores() {
            true => self.frequencies(ordinal).max().unwrap_or(0),
            false => 0,
        }
    }

    fn max_count(&self, ordinal: usize) -> u32 {
        match self.required {
            Some(_) => self.frequencies(ordinal).min().unwrap_or(0),
            None => self.frequencies(ordinal).fold(0, u32::saturating_add),
        }
    }

    fn count(&self, ordinal: usize) -> Result<Option<u32>> {
        match (self.known_count(ordinal), self.documents(ordinal)?) {
            (None, Some(documents)) => documents.count().map(Some),
            (count, _) => Ok(count),
        }
    }

    fn listed(&self, ordinal: usize) -> Result<Option<Vec<DocId>>> {
        let documents = self.documents(ordinal)?;
        documents.map(WordDocuments::listed).transpose()
    }

    fn retain(&self, ordinal: usize, documents: &mut Vec<DocId>, are_kept: bool) -> Result<bool> {
        match self.documents(ordinal)? {
            Some(words) => words.retain(documents, are_kept).map(|()| true),
            None => Ok(false),
        }
    }

    fn search(&self, (): &(), task: &SegmentTask<'_>, found: &mut Found<f32>) -> Result<()> {
        let all_terms = self.required.is_some();
        if all_terms && self.postings(task.ordinal) == 0 {
            return Ok(());
        }
        let mut cursors = self.cursors(task.ordinal)?;
        found.search_cursors(&mut cursors, task, all_terms)
    }
}

impl Explain for TextLeaf<'_> {
    fn explain(&self, address: DocAddress, k: usize, explanation: &mut Explanation) -> Result<()> {
        let ordinal = address.segment as usize;
        let reader = &self.segments[ordinal].reader;
        let mut cursors = self.cursors(ordinal)?;
        let all_terms = self.required.is_some();
        explanation.choose(choose(workload(&cursors, k, reader.documents(), all_terms)));
        let codes = reader.text(self.field).map(|f| f.lengths.all());
        let codes = codes.transpose()?;
        let code = codes.and_then(|codes| codes.get(address.document as usize));
        let length = lengths::decode(code.copied().unwrap_or(0));
        explanation.lengths = Some((length, self.average_length));
        for (number, term) in self.terms.iter().enumerate() {
            let score = TermScore::of(&mut cursors, number, address.document)?;
            explanation.score += score.contribution;
            let frequency = term.document_frequency;
            let term = score.explain(&term.term, frequency, term.weight, 1.0);
            explanation.terms.push(term);
        }
        explanation.require(self.required.as_ref());
        Ok(())
    }
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
