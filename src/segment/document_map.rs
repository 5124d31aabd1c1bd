//! Where the documents of a source go in the segment that is written.

use crate::doc_set::DocSet;
use crate::format::DocId;

/// Renumbers the documents of one source: those that are kept follow one another, unless they are
/// put in another order.
#[derive(Clone, Debug)]
pub(crate) struct DocumentMap {
    base: DocId,
    kept: u32,
    /// For each document its new number, or `DROPPED`; `None` when all are kept in their order.
    table: Option<Vec<DocId>>,
    keeps_order: bool,
}

const DROPPED: DocId = DocId::MAX;

impl DocumentMap {
    /// The map of a source of `documents` documents whose first kept document becomes `base`.
    pub fn new(base: DocId, documents: u32, dropped: Option<&DocSet>) -> Self {
        let Some(dropped) = dropped.filter(|dropped| dropped.count() > 0) else {
            return Self {
                base,
                kept: documents,
                table: None,
                keeps_order: true,
            };
        };
        let mut next = base;
        let table = (0..documents).map(|document| {
            if dropped.contains(document) {
                return DROPPED;
            }
            next += 1;
            next - 1
        });
        let table: Vec<DocId> = table.collect();
        Self {
            base,
            kept: next - base,
            table: Some(table),
            keeps_order: true,
        }
    }

    /// The map that sends each kept document to `places[n]` where this one sends it to `n`.
    pub fn permuted(&self, documents: u32, places: &[DocId]) -> Self {
        let new = (0..documents).map(|document| {
            let place = self.get(document).and_then(|n| places.get(n as usize));
            place.copied().unwrap_or(DROPPED)
        });
        Self {
            base: self.base,
            kept: self.kept,
            table: Some(new.collect()),
            keeps_order: false,
        }
    }

    /// How many documents are kept.
    pub fn kept(&self) -> u32 {
        self.kept
    }

    /// Whether every document is kept, in its order.
    pub fn keeps_all(&self) -> bool {
        self.table.is_none()
    }

    /// Whether the kept documents follow one another as before.
    pub fn keeps_order(&self) -> bool {
        self.keeps_order
    }

    /// The new number of a document; `None` when it is dropped.
    #[inline]
    pub fn get(&self, document: DocId) -> Option<DocId> {
        match &self.table {
            None => Some(self.base + document),
            Some(table) => table
                .get(document as usize)
                .copied()
                .filter(|new| *new != DROPPED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_documents_follow_one_another() {
        let mut dropped = DocSet::empty(5);
        dropped.insert(0);
        dropped.insert(3);
        let map = DocumentMap::new(10, 5, Some(&dropped));
        let new: Vec<Option<DocId>> = (0..5).map(|d| map.get(d)).collect();
        assert_eq!(new, [None, Some(10), Some(11), None, Some(12)]);
        assert_eq!(map.kept(), 3);
        let permuted = DocumentMap::new(0, 5, Some(&dropped)).permuted(5, &[2, 0, 1]);
        let new: Vec<Option<DocId>> = (0..5).map(|d| permuted.get(d)).collect();
        assert_eq!(new, [None, Some(2), Some(0), None, Some(1)]);
        assert!(map.keeps_order() && !permuted.keeps_order());
        let all = DocumentMap::new(10, 5, None);
        assert_eq!((all.get(4), all.kept()), (Some(14), 5));
    }
}
