//! The postings of one term, before they are encoded.

use super::DocId;

/// The postings of one term: parallel arrays with an entry for each document.
///
/// What a value means depends on the field's kind: a term frequency, the bits of a weight, or a
/// [packed](super::impact::pack) impact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Postings {
    /// The documents.
    pub documents: Vec<DocId>,
    /// The value of each document.
    pub values: Vec<u32>,
    /// For a text field with positions those of each document, as many as its frequency: the
    /// first, and then the distance of each from the one before, as varints. Otherwise empty.
    pub positions: Vec<u8>,
}

impl Postings {
    /// Postings of parallel arrays of equal length, without positions.
    pub fn new(documents: Vec<DocId>, values: Vec<u32>) -> Self {
        debug_assert_eq!(documents.len(), values.len());
        Self {
            documents,
            values,
            positions: Vec::new(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// Removes all, and keeps the memory.
    pub fn clear(&mut self) {
        self.documents.clear();
        self.values.clear();
        self.positions.clear();
    }

    /// Appends one.
    #[inline]
    pub fn push(&mut self, document: DocId, value: u32) {
        self.documents.push(document);
        self.values.push(value);
    }

    /// Documents with their values.
    pub fn iter(&self) -> impl Iterator<Item = (DocId, u32)> {
        let documents = self.documents.iter().copied();
        documents.zip(self.values.iter().copied())
    }

    /// Whether documents rise, each of them once.
    pub fn rises(&self) -> bool {
        self.documents.is_sorted_by(|a, b| a < b)
    }

    /// Sorts the postings from `start` on by document.
    pub(crate) fn sort_from(&mut self, start: usize) {
        let documents = self.documents.get_mut(start..);
        let (Some(documents), Some(values)) = (documents, self.values.get_mut(start..)) else {
            return;
        };
        let pairs = documents.iter().copied().zip(values.iter().copied());
        let mut pairs: Vec<(DocId, u32)> = pairs.collect();
        pairs.sort_unstable();
        for ((document, value), pair) in documents.iter_mut().zip(values).zip(pairs) {
            (*document, *value) = pair;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_sorted_by_document_with_its_values() {
        let mut postings = Postings::new(vec![9, 5, 2, 7], vec![1, 2, 3, 4]);
        postings.sort_from(1);
        assert_eq!(postings, Postings::new(vec![9, 2, 5, 7], vec![1, 3, 2, 4]));
        assert!(!postings.rises());
        postings.sort_from(0);
        assert!(postings.rises());
        postings.push(9, 5);
        assert!(!postings.rises());
    }
}
