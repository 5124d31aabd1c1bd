//! Where a score comes from.

use std::fmt;

use super::capabilities::check_parameters;
use super::cursor::Cursor;
use super::plan::{Algorithm, choose, choose_sparse};
use super::prepare::{Prepared, Required};
use super::request::{Query, SearchOptions};
use super::score::Score;
use super::segment_search::{
    in_units, is_cut_at_ranges, sparse_cursors, sparse_lists, text_cursors, workload,
};
use crate::error::{Error, Result};
use crate::format::{DocId, lengths};
use crate::index::{DocAddress, Snapshot};

/// What one term contributes to a document's score.
#[derive(Clone, Debug, PartialEq)]
pub struct TermExplanation {
    /// The term, as analysis or the vector gave it.
    pub term: String,
    /// Documents of the snapshot that have it, deleted ones included.
    pub document_frequency: u64,
    /// Text: idf times how often the query has the term. Sparse: the weight as the query gives it.
    pub query_weight: f32,
    /// Text: the term's frequency in the document. Sparse: its impact. 0 when the document lacks it.
    pub value: u32,
    /// What the term adds to the score.
    pub contribution: f32,
    /// No document of the segment gets more from the term.
    pub list_bound: f32,
    /// No document of the document's block gets more from the term.
    pub block_bound: f32,
}

/// Where the score of a document comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The external id.
    pub id: String,
    /// Where the document is.
    pub address: DocAddress,
    /// The score, as search returns it.
    pub score: f32,
    /// The terms in the query's term order, in which contributions are summed; none for a vector.
    pub terms: Vec<TermExplanation>,
    /// For a query that asks for [all terms](Query::with_all_terms), those that the document lacks. With any it is not
    /// found, and its score is 0.
    pub missing: Vec<String>,
    /// Text: the document's length as it is scored, and the average. Else `None`.
    pub lengths: Option<(u32, f32)>,
    /// The algorithm that the planner chooses in the document's segment.
    pub algorithm: Algorithm,
    /// Why it does.
    pub why: String,
}

impl Snapshot {
    /// Says where the score of the live document with this external id comes from, for a search of `k`
    /// documents; `None` when there is no such document. The score is bit-equal to that of search; for a document that
    /// search does not find it is 0.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::search`].
    pub fn explain(&self, query: &Query, id: &str, k: usize) -> Result<Option<Explanation>> {
        check_parameters(query)?;
        let Some(address) = self.find(id)? else {
            return Ok(None);
        };
        let place = address.segment as usize;
        let Some(segment) = self.segments().get(place) else {
            return Err(Error::invalid(
                "the document's segment is not in the snapshot",
            ));
        };
        let mut explanation = Explanation {
            id: id.to_owned(),
            address,
            score: 0.0,
            terms: Vec::new(),
            missing: Vec::new(),
            lengths: None,
            algorithm: Algorithm::Exhaustive,
            why: "no term of the query is in the document's segment".into(),
        };
        match Prepared::new(self, query, &SearchOptions::new(k))? {
            Prepared::Text(text) => {
                let mut cursors = text_cursors(&text, segment, place)?;
                let workload = workload(&cursors, k, segment, text.required.is_some());
                (explanation.algorithm, explanation.why) = choose(workload);
                let codes = segment.reader.text(text.field).map(|f| f.lengths.all());
                let code = codes
                    .transpose()?
                    .and_then(|l| l.get(address.document as usize));
                let length = lengths::decode(code.copied().unwrap_or(0));
                explanation.lengths = Some((length, text.average_length));
                for (number, term) in text.terms.iter().enumerate() {
                    let part = part_of(&mut cursors, number, address.document)?;
                    explanation.score += part.contribution;
                    let frequency = term.document_frequency;
                    let part = part.explain(&term.term, frequency, term.weight, 1.0);
                    explanation.terms.push(part);
                }
                explanation.require(text.required);
            }
            Prepared::Sparse(sparse) => {
                let lists = sparse_lists(&sparse, segment, place)?;
                let is_cut = is_cut_at_ranges(&lists);
                let mut cursors = sparse_cursors(&lists);
                let workload = workload(&cursors, k, segment, sparse.required.is_some());
                (explanation.algorithm, explanation.why) = choose_sparse(workload, is_cut);
                let mut sum = 0;
                for (number, term) in sparse.terms.iter().enumerate() {
                    let part = part_of(&mut cursors, number, address.document)?;
                    sum += part.contribution;
                    let (frequency, weight) = (term.document_frequency, term.exact_weight);
                    let part = part.explain(&term.name, frequency, weight, sparse.unit);
                    explanation.terms.push(part);
                }
                explanation.score = in_units(sum, sparse.unit);
                explanation.require(sparse.required);
            }
            Prepared::Dense(dense) => {
                explanation.why = "the document has no vector in this field".into();
                if let Some(vectors) = segment.reader.dense(dense.field)
                    && let Some(row) = vectors.row_of(address.document)?
                {
                    explanation.score = dense.score_of(vectors, row)?;
                    explanation.why = format!("all {} vectors are scored", vectors.rows());
                }
            }
        }
        Ok(Some(explanation))
    }
}

impl Explanation {
    /// Notes which terms are missing, if all are required.
    fn require(&mut self, required: Option<Required>) {
        let Some(Required { unknown }) = required else {
            return;
        };
        let lacking = self.terms.iter().filter(|term| term.value == 0);
        self.missing = lacking.map(|term| term.term.clone()).collect();
        self.missing.extend(unknown);
        if !self.missing.is_empty() {
            self.score = 0.0;
        }
    }
}

/// What the cursors of one term say of a document.
#[derive(Default)]
struct Part<S> {
    value: u32,
    contribution: S,
    list_bound: S,
    block_bound: S,
}

impl<S: Score> Part<S> {
    fn explain(&self, term: &str, frequency: u64, weight: f32, unit: f32) -> TermExplanation {
        TermExplanation {
            term: term.to_owned(),
            document_frequency: frequency,
            query_weight: weight,
            value: self.value,
            contribution: in_units(self.contribution, unit),
            list_bound: in_units(self.list_bound, unit),
            block_bound: in_units(self.block_bound, unit),
        }
    }
}

/// Looks a document up in the cursors of one term, of which at most one has it.
fn part_of<C: Cursor>(cursors: &mut [C], term: usize, document: DocId) -> Result<Part<C::Score>> {
    let mut part: Part<C::Score> = Part::default();
    for cursor in cursors.iter_mut().filter(|cursor| cursor.term() == term) {
        part.list_bound = part.list_bound.greater(cursor.bound());
        let (block_bound, _) = cursor.block_bound(document);
        cursor.seek(document);
        if cursor.document() == document {
            part.value = cursor.value();
            part.contribution = cursor.score();
            part.block_bound = block_bound;
        }
        if let Some(error) = cursor.take_error() {
            return Err(error);
        }
    }
    Ok(part)
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  score {}", self.id, self.score)?;
        if let Some((length, average)) = self.lengths {
            writeln!(f, "length {length}, average {average:.2}")?;
        }
        writeln!(f, "{} in this segment: {}", self.algorithm, self.why)?;
        if !self.missing.is_empty() {
            let missing = self.missing.join(", ");
            writeln!(
                f,
                "not found: all terms are asked for, and the document lacks {missing}"
            )?;
        }
        if self.terms.is_empty() {
            return Ok(());
        }
        let width = self.terms.iter().map(|t| t.term.chars().count()).max();
        let width = width.unwrap_or(0).max(4);
        writeln!(
            f,
            "{:width$}  {:>9}  {:>9}  {:>6}  {:>12}  {:>11}  {:>10}",
            "term", "documents", "weight", "value", "contribution", "block bound", "list bound"
        )?;
        for term in &self.terms {
            writeln!(
                f,
                "{:width$}  {:>9}  {:>9.4}  {:>6}  {:>12.6}  {:>11.6}  {:>10.6}",
                term.term,
                term.document_frequency,
                term.query_weight,
                term.value,
                term.contribution,
                term.block_bound,
                term.list_bound
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Document, Index, Query, Schema, Sparse};

    #[test]
    fn weights_of_a_sparse_query_are_explained_as_they_were_given() {
        let index = Index::in_memory(
            Schema::builder()
                .sparse("sparse", Sparse::new())
                .build()
                .unwrap(),
        )
        .unwrap();
        let mut writer = index.writer().unwrap();
        let document = Document::new("etna").with_sparse("sparse", [("lava", 2.0), ("ash", 0.5)]);
        writer.add(document).unwrap();
        writer.commit().unwrap();
        let snapshot = index.snapshot().unwrap();
        let query = Query::sparse("sparse", [("lava", 2.5), ("ash", 1.25)]);
        let explained = snapshot.explain(&query, "etna", 10).unwrap().unwrap();
        let weights = explained.terms.iter().map(|term| term.query_weight);
        assert_eq!(weights.collect::<Vec<_>>(), [2.5, 1.25]);
    }
}
