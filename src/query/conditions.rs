//! Queries of conditions alone: every document that meets them has the same score.

use std::sync::Arc;

use super::explanation::{Explain, Explanation};
use super::leaf::{Found, Leaf, SegmentTask};
use super::matching::Matcher;
use super::plan::Algorithm;
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::index::{DocAddress, Snapshot};

/// Documents of which some are looked at before the search is found to be cancelled.
const UNTIL_CHECK: u32 = 1 << 16;

/// A condition.
pub(super) struct ConditionLeaf<'a> {
    snapshot: &'a Snapshot,
    matcher: Matcher<'a>,
    score: f32,
}

impl<'a> ConditionLeaf<'a> {
    /// Documents that match, with the score that each of them has.
    pub fn new(snapshot: &'a Snapshot, matcher: Matcher<'a>, score: f32) -> Self {
        Self {
            snapshot,
            matcher,
            score,
        }
    }
}

impl Leaf for ConditionLeaf<'_> {
    type Score = f32;
    type Lists = Arc<DocSet>;

    /// A word of 64 documents takes about as long as a posting.
    fn postings(&self, ordinal: usize) -> u64 {
        let documents = self.snapshot.segments()[ordinal].reader.documents();
        u64::from(documents.div_ceil(u64::BITS))
    }

    fn open(&self, ordinal: usize) -> Result<Arc<DocSet>> {
        self.matcher.documents(ordinal)
    }

    fn matching(&self, ordinal: usize) -> Result<Arc<DocSet>> {
        self.matcher.documents(ordinal)
    }

    fn score_of(&self, address: DocAddress) -> Result<Option<f32>> {
        let documents = self.matcher.documents(address.segment as usize)?;
        Ok(documents.contains(address.document).then_some(self.score))
    }

    fn search(
        &self,
        documents: &Arc<DocSet>,
        task: &SegmentTask<'_>,
        found: &mut Found<f32>,
    ) -> Result<()> {
        let part = task.doc_range();
        // All scores are the same, and ties go to the lower address.
        let is_full =
            |found: &Found<f32>| found.top.threshold().is_some_and(|min| self.score <= min);
        for start in part.clone().step_by(UNTIL_CHECK as usize) {
            task.check_cancelled()?;
            let end = part.end.min(start.saturating_add(UNTIL_CHECK));
            for document in documents.iter_in(start..end) {
                if is_full(found) {
                    break;
                }
                if task.accept.contains(document) {
                    found.top.offer(document, self.score);
                }
            }
            if is_full(found) {
                break;
            }
        }
        if task.part.is_first() {
            found.statistics.algorithms.push(Algorithm::Exhaustive);
        }
        Ok(())
    }
}

impl Explain for ConditionLeaf<'_> {
    fn explain(&self, address: DocAddress, _: usize, explanation: &mut Explanation) -> Result<()> {
        let documents = self.matcher.documents(address.segment as usize)?;
        let meets = documents.contains(address.document);
        explanation.score = if meets { self.score } else { 0.0 };
        explanation.why = match meets {
            true => "the document meets the conditions, which have no score of their own".into(),
            false => "the document does not meet the conditions".into(),
        };
        Ok(())
    }
}
