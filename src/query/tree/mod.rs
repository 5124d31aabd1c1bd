//! Trees of queries: queries whose scores are made of those of others.
//!
//! | file | concept |
//! | --- | --- |
//! | `scorer` | what a node does in a segment, window by window |
//! | `terms` | the leaves: any of some terms of a field |
//! | `required`, `any` | inner nodes: documents that have all of some parts, or any of them |
//! | `fields` | terms in several fields as if these were one |
//! | `phrase` | words in an order, with positions |
//! | `wrap` | nodes around one other, in other units or boosted |
//! | `accepted` | nodes around one other, among some documents only |
//! | `documents` | sets of documents with one score |
//! | `node` | from a query to its nodes, with the statistics of the whole snapshot |
//! | `explain` | where the score of a document comes from, node by node |
//!
//! The algorithm is that of [`max_score`](super::max_score), one level up: documents are cut into
//! windows, a window whose bound does not exceed the threshold is skipped, and in the others only
//! documents that can exceed it are looked up in all parts.

mod accepted;
mod any;
mod documents;
mod explain;
mod fields;
mod node;
mod phrase;
mod required;
mod scorer;
mod terms;
mod wrap;

use std::ops::Range;
use std::sync::Arc;

use super::accept::Accept;
use super::cursor::{Collected, Matches};
use super::explanation::{Explain, Explanation};
use super::leaf::{Found, Leaf, SegmentTask};
use super::options::SearchOptions;
use super::plan::Algorithm;
use super::request::Query;
use super::score::Score;
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::format::DocId;
use crate::index::{DocAddress, Snapshot};
use node::Node;
use scorer::{AnyScorer, FIRST_WINDOW, Scorer, WINDOW};

/// A tree of queries.
pub(super) struct TreeLeaf<'a> {
    snapshot: &'a Snapshot,
    root: Node<'a>,
    /// Nodes and terms, which sums are made of.
    terms: usize,
}

impl<'a> TreeLeaf<'a> {
    /// Prepares a query, of which the filters are another matter.
    pub fn new(snapshot: &'a Snapshot, query: &Query, options: &SearchOptions) -> Result<Self> {
        let root = Node::new(snapshot, query, &options.exact())?;
        Ok(Self {
            snapshot,
            terms: root.size(),
            root,
        })
    }

    fn documents(&self, ordinal: usize) -> u32 {
        self.snapshot.segments()[ordinal].reader.documents()
    }
}

impl Leaf for TreeLeaf<'_> {
    type Score = f32;
    /// Cursors move, so every part has its own.
    type Lists = ();

    fn skipped_terms(&self) -> u64 {
        self.root.skipped_terms()
    }

    fn postings(&self, ordinal: usize) -> u64 {
        self.root.postings(ordinal)
    }

    fn open(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn matching(&self, ordinal: usize) -> Result<Arc<DocSet>> {
        let documents = self.documents(ordinal);
        let mut set = DocSet::empty(documents);
        let (mut root, mut collected) = (self.root.scorer(ordinal)?, Collected::default());
        let mut start = root.next(0);
        while start < documents {
            let window = start..documents.min(start.saturating_add(WINDOW));
            collected.documents.clear();
            collected.contributions.clear();
            root.collect(&window, None, &mut collected);
            for document in &collected.documents {
                set.insert(*document);
            }
            start = root.next(window.end);
        }
        match root.take_error() {
            Some(error) => Err(error),
            None => Ok(Arc::new(set)),
        }
    }

    fn retain(&self, ordinal: usize, documents: &mut Vec<DocId>, are_kept: bool) -> Result<bool> {
        let (mut root, mut found) = (self.root.scorer(ordinal)?, Matches::default());
        let mut kept = Vec::with_capacity(documents.len());
        for window in documents.chunk_by(|a, b| a / WINDOW == b / WINDOW) {
            found.places.clear();
            found.contributions.clear();
            root.find(window, &mut found);
            let mut places = found.places.iter().peekable();
            for (place, document) in window.iter().enumerate() {
                if places.next_if(|found| **found == place).is_some() == are_kept {
                    kept.push(*document);
                }
            }
        }
        *documents = kept;
        match root.take_error() {
            Some(error) => Err(error),
            None => Ok(true),
        }
    }

    fn score_of(&self, address: DocAddress) -> Result<Option<f32>> {
        let mut root = self.root.scorer(address.segment as usize)?;
        let mut found = Matches::default();
        root.find(&[address.document], &mut found);
        match root.take_error() {
            Some(error) => Err(error),
            None => Ok(found.contributions.first().copied()),
        }
    }

    fn search(&self, (): &(), task: &SegmentTask<'_>, found: &mut Found<f32>) -> Result<()> {
        let mut root = self.root.scorer(task.ordinal)?;
        let algorithm = match task.options.algorithm {
            Some(algorithm) => algorithm,
            None if task.accept.is_selective(self.terms, root.cost()) => Algorithm::Selective,
            None => Algorithm::MaxScore,
        };
        let mut walk = Walk {
            terms: self.terms,
            algorithm,
            collected: Collected::default(),
            found: Matches::default(),
            accepted: Vec::new(),
        };
        walk.search(&mut root, task, found)?;
        if task.part.is_first() {
            found.statistics.algorithms.push(algorithm);
            found.statistics.postings += self.postings(task.ordinal);
        }
        found.statistics.postings_scored += root.scored();
        match root.take_error() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Going through the windows of a part.
struct Walk {
    terms: usize,
    algorithm: Algorithm,
    collected: Collected<f32>,
    found: Matches<f32>,
    accepted: Vec<DocId>,
}

impl Walk {
    fn search(
        &mut self,
        root: &mut AnyScorer<'_>,
        task: &SegmentTask<'_>,
        found: &mut Found<f32>,
    ) -> Result<()> {
        let part = task.doc_range();
        let mut start = part.start;
        loop {
            task.check_cancelled()?;
            found.top.exchange();
            start = root.next(start);
            if start >= part.end {
                return Ok(());
            }
            let threshold = match self.algorithm {
                Algorithm::Exhaustive => None,
                _ => found.top.threshold(),
            };
            let width = if threshold.is_none() {
                FIRST_WINDOW
            } else {
                WINDOW
            };
            let window = start..start.saturating_add(width).min(part.end);
            start = window.end;
            let cut = threshold.map(|threshold| f32::cut(threshold, 0.0, self.terms));
            if task.accept.any_near(window.clone()) && !is_below(root, &window, cut) {
                self.search_window(root, task.accept, &window, cut, found);
            }
        }
    }

    fn search_window(
        &mut self,
        root: &mut AnyScorer<'_>,
        accept: Accept<'_>,
        window: &Range<DocId>,
        cut: Option<f32>,
        found: &mut Found<f32>,
    ) {
        if self.algorithm == Algorithm::Selective {
            self.accepted.clear();
            self.accepted.extend(accept.documents(window.clone()));
            self.found.places.clear();
            self.found.contributions.clear();
            root.find(&self.accepted, &mut self.found);
            for (place, score) in self.found.places.iter().zip(&self.found.contributions) {
                found.top.offer(self.accepted[*place], *score);
            }
            return;
        }
        self.collected.documents.clear();
        self.collected.contributions.clear();
        root.collect(window, cut, &mut self.collected);
        let pairs = self
            .collected
            .documents
            .iter()
            .zip(&self.collected.contributions);
        for (document, score) in pairs {
            if accept.contains(*document) {
                found.top.offer(*document, *score);
            }
        }
    }
}

/// Whether no document of a window can exceed the cut.
fn is_below(root: &mut AnyScorer<'_>, window: &Range<DocId>, cut: Option<f32>) -> bool {
    cut.is_some_and(|cut| root.window_bound(window) <= cut)
}

impl Explain for TreeLeaf<'_> {
    fn explain(&self, address: DocAddress, k: usize, explanation: &mut Explanation) -> Result<()> {
        self.root.explain_terms(address, k, explanation)?;
        explanation.algorithm = Algorithm::MaxScore;
        explanation.why = "the query is made of others".into();
        let clause = self.root.explain(address)?;
        explanation.score = clause.score.unwrap_or(0.0);
        if clause.score.is_none() {
            explanation.why = "the document does not match".into();
        }
        explanation.clauses = clause.clauses;
        Ok(())
    }
}
