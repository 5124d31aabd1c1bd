//! Where the score of a document comes from, node by node.

use super::node::{Node, NodeKind};
use super::scorer::Scorer;
use crate::error::Result;
use crate::index::DocAddress;
use crate::query::cursor::Matches;
use crate::query::explanation::{ClauseExplanation, Explain, Explanation};

impl Node<'_> {
    /// Fills in what the terms contribute, for words or weights alone.
    pub fn explain_terms(
        &self,
        address: DocAddress,
        k: usize,
        explanation: &mut Explanation,
    ) -> Result<()> {
        match &self.kind {
            NodeKind::Text(leaf, _) => leaf.explain(address, k, explanation),
            NodeKind::Sparse(leaf) => leaf.explain(address, k, explanation),
            _ => Ok(()),
        }
    }

    /// The score of a document, and those of the parts.
    pub fn explain(&self, address: DocAddress) -> Result<ClauseExplanation> {
        let mut scorer = self.scorer(address.segment as usize)?;
        let mut found = Matches::default();
        scorer.find(&[address.document], &mut found);
        if let Some(error) = scorer.take_error() {
            return Err(error);
        }
        let clauses = match &self.kind {
            NodeKind::Text(..) | NodeKind::Sparse(_) | NodeKind::Condition(_) => Vec::new(),
            _ => {
                let clauses = self.parts().into_iter().map(|part| part.explain(address));
                clauses.collect::<Result<_>>()?
            }
        };
        Ok(ClauseExplanation {
            query: self.name.clone(),
            score: found.contributions.first().copied(),
            clauses,
        })
    }
}
