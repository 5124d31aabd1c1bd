//! Postings put in the order of their documents, after these were given new numbers.

use crate::format::DocId;

/// A list with a posting for one document in so many is sorted by laying it out over all documents.
const DENSE_SHARE: usize = 16;

/// Sorts the postings of lists; kept between lists for its memory.
pub(super) struct PostingSorter {
    documents: usize,
    /// For each document its value in the list that is sorted; zero between lists.
    laid_out: Vec<u32>,
    pairs: Vec<u64>,
}

impl PostingSorter {
    /// Sorts lists of a segment of `documents` documents.
    pub fn new(documents: u32) -> Self {
        Self {
            documents: documents as usize,
            laid_out: Vec::new(),
            pairs: Vec::new(),
        }
    }

    /// Sorts a list by document; documents are distinct and values above zero.
    pub fn sort(&mut self, documents: &mut Vec<DocId>, values: &mut Vec<u32>) {
        if documents.is_sorted() {
            return;
        }
        if documents.len() * DENSE_SHARE < self.documents {
            self.sort_pairs(documents, values);
        } else {
            self.lay_out(documents, values);
        }
    }

    fn sort_pairs(&mut self, documents: &mut [DocId], values: &mut [u32]) {
        self.pairs.clear();
        let pairs = documents.iter().zip(&*values);
        self.pairs
            .extend(pairs.map(|(document, value)| u64::from(*document) << 32 | u64::from(*value)));
        self.pairs.sort_unstable();
        for ((document, value), pair) in documents.iter_mut().zip(values).zip(&self.pairs) {
            let [a, b, c, d, e, f, g, h] = pair.to_le_bytes();
            *value = u32::from_le_bytes([a, b, c, d]);
            *document = u32::from_le_bytes([e, f, g, h]);
        }
    }

    fn lay_out(&mut self, documents: &mut Vec<DocId>, values: &mut Vec<u32>) {
        self.laid_out.resize(self.documents, 0);
        for (document, value) in documents.iter().zip(&*values) {
            if let Some(slot) = self.laid_out.get_mut(*document as usize) {
                *slot = *value;
            }
        }
        documents.clear();
        values.clear();
        for (slot, document) in self.laid_out.iter_mut().zip(0..) {
            if *slot > 0 {
                documents.push(document);
                values.push(std::mem::take(slot));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_ways_sort(
            postings in prop::collection::btree_map(0u32..400, 1u32..=u32::MAX, 1..60),
            documents in prop::sample::select(vec![400u32, 100_000]),
            turn in any::<u32>(),
        ) {
            let mut shuffled: Vec<(u32, u32)> = postings.iter().map(|(d, v)| (*d, *v)).collect();
            shuffled.sort_by_key(|(document, _)| document.wrapping_mul(turn | 1));
            let (mut found, mut values): (Vec<u32>, Vec<u32>) = shuffled.into_iter().unzip();
            let mut sorter = PostingSorter::new(documents);
            for _ in 0..2 {
                sorter.sort(&mut found, &mut values);
                prop_assert!(found.iter().zip(&values).eq(postings.iter()));
            }
        }
    }
}
