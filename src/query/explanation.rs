//! Where the score of a document comes from, as data and as text.

use std::fmt;

use super::cursor::Cursor;
use super::look_up::Required;
use super::plan::{Algorithm, Choice};
use super::score::{Score, in_units};
use crate::error::Result;
use crate::format::DocId;
use crate::index::DocAddress;

/// What one term contributes to a document's score.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TermExplanation {
    /// The term, as analysis or the vector gave it.
    pub term: String,
    /// Documents of the snapshot that have it, deleted ones included.
    pub document_frequency: u64,
    /// Text: idf times the term's frequency in the query. Sparse: the weight as the query gives it.
    pub query_weight: f32,
    /// Text: the term's frequency in the document. Sparse: its impact. 0 when the document lacks
    /// it.
    pub value: u32,
    /// What the term adds to the score.
    pub contribution: f32,
    /// No document of the segment gets more from the term.
    pub list_bound: f32,
    /// No document of the document's block gets more from the term.
    pub block_bound: f32,
}

/// What one query of a query of several adds to a document's score.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClauseExplanation {
    /// What it is, in a few words.
    pub query: String,
    /// The document's score; `None` when the document does not match.
    pub score: Option<f32>,
    /// The queries that it is made of.
    pub clauses: Vec<ClauseExplanation>,
}

/// Where the score of a document comes from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The external id.
    pub id: String,
    /// Where the document is.
    pub address: DocAddress,
    /// The score, as search returns it.
    pub score: f32,
    /// The terms in the query's term order, in which contributions are summed; none for a vector.
    pub terms: Vec<TermExplanation>,
    /// For a query that is made of others, what they add.
    pub clauses: Vec<ClauseExplanation>,
    /// For a query that asks for [all terms](crate::Query::with_all_terms), those that the document
    /// lacks. If there are any, it is not found, and its score is 0.
    pub missing: Vec<String>,
    /// Whether a filter of the query rejects the document. Then it is not found, and its score is
    /// 0.
    pub is_filtered_out: bool,
    /// Text: the document's length as it is scored, and the average. Else `None`.
    pub lengths: Option<(u32, f32)>,
    /// The algorithm that the planner chooses in the document's segment.
    pub algorithm: Algorithm,
    /// Why it does, in words.
    pub why: String,
}

/// A query that can say where a document's score comes from.
pub(super) trait Explain {
    /// Fills in an explanation of the document's score, for a search of `k` documents.
    fn explain(&self, address: DocAddress, k: usize, explanation: &mut Explanation) -> Result<()>;
}

impl Explanation {
    /// An explanation that has no term yet.
    pub(super) fn new(id: &str, address: DocAddress) -> Self {
        Self {
            id: id.to_owned(),
            address,
            score: 0.0,
            terms: Vec::new(),
            clauses: Vec::new(),
            missing: Vec::new(),
            is_filtered_out: false,
            lengths: None,
            algorithm: Algorithm::Exhaustive,
            why: "no term of the query is in the document's segment".into(),
        }
    }

    /// Notes the planner's choice.
    pub(super) fn choose(&mut self, choice: Choice) {
        self.algorithm = choice.algorithm;
        self.why = choice.reason.to_string();
    }

    /// Notes which terms are missing, if all are required.
    pub(super) fn require(&mut self, required: Option<&Required>) {
        let Some(Required { unknown }) = required else {
            return;
        };
        let missing = self.terms.iter().filter(|term| term.value == 0);
        self.missing = missing.map(|term| term.term.clone()).collect();
        self.missing.extend_from_slice(unknown);
        if !self.missing.is_empty() {
            self.score = 0.0;
        }
    }
}

/// What a term contributes to a document's score.
#[derive(Default)]
pub(super) struct TermScore<S> {
    pub value: u32,
    pub contribution: S,
    list_bound: S,
    block_bound: S,
}

impl<S: Score> TermScore<S> {
    /// Looks the document up in the cursors of one term, of which at most one has it.
    pub fn of<C>(cursors: &mut [C], term: usize, document: DocId) -> Result<Self>
    where
        C: Cursor<Score = S>,
    {
        let mut found = Self::default();
        for cursor in cursors.iter_mut().filter(|cursor| cursor.term() == term) {
            found.list_bound = found.list_bound.larger(cursor.bound());
            let (block_bound, _) = cursor.block_bound(document);
            cursor.seek(document);
            if cursor.document() == document {
                found.value = cursor.value();
                found.contribution = cursor.score();
                found.block_bound = block_bound;
            }
            if let Some(error) = cursor.take_error() {
                return Err(error);
            }
        }
        Ok(found)
    }

    /// The sum of a document's contributions in term order, as a search computes it; `None` for a
    /// document that the query does not find.
    pub fn sum<C>(
        cursors: &mut [C],
        terms: usize,
        document: DocId,
        required: Option<&Required>,
    ) -> Result<Option<S>>
    where
        C: Cursor<Score = S>,
    {
        if required.is_some_and(|required| !required.unknown.is_empty()) {
            return Ok(None);
        }
        let mut sum = S::default();
        for term in 0..terms {
            let found = Self::of(cursors, term, document)?;
            if required.is_some() && found.value == 0 {
                return Ok(None);
            }
            sum = sum.plus(found.contribution);
        }
        Ok((sum > S::default()).then_some(sum))
    }

    pub fn explain(&self, term: &str, frequency: u64, weight: f32, unit: f32) -> TermExplanation {
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

impl ClauseExplanation {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = 2 * depth;
        match self.score {
            Some(score) => writeln!(f, "{:indent$}{score:>10.6}  {}", "", self.query)?,
            None => writeln!(f, "{:indent$}{:>10}  {}", "", "no match", self.query)?,
        }
        let mut clauses = self.clauses.iter();
        clauses.try_for_each(|clause| clause.write(f, depth + 1))
    }
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
        if self.is_filtered_out {
            writeln!(f, "not found: a filter of the query rejects the document")?;
        }
        for clause in &self.clauses {
            clause.write(f, 0)?;
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
