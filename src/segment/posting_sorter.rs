//! Postings put in the order of their documents, after these were given new numbers.

use crate::format::postings::Postings;

/// A list with a posting for one document in this many is sorted by laying it out over all
/// documents.
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
    pub fn sort(&mut self, postings: &mut Postings) {
        if postings.documents.is_sorted() {
            return;
        }
        if postings.len() * DENSE_SHARE < self.documents {
            self.sort_pairs(postings);
        } else {
            self.lay_out(postings);
        }
    }

    fn sort_pairs(&mut self, postings: &mut Postings) {
        self.pairs.clear();
        let pairs = postings.iter();
        self.pairs
            .extend(pairs.map(|(document, value)| u64::from(document) << 32 | u64::from(value)));
        self.pairs.sort_unstable();
        let slots = postings.documents.iter_mut().zip(&mut postings.values);
        for ((document, value), pair) in slots.zip(&self.pairs) {
            let [a, b, c, d, e, f, g, h] = pair.to_le_bytes();
            *value = u32::from_le_bytes([a, b, c, d]);
            *document = u32::from_le_bytes([e, f, g, h]);
        }
    }

    fn lay_out(&mut self, postings: &mut Postings) {
        self.laid_out.resize(self.documents, 0);
        for (document, value) in postings.iter() {
            if let Some(slot) = self.laid_out.get_mut(document as usize) {
                *slot = value;
            }
        }
        postings.clear();
        for (slot, document) in self.laid_out.iter_mut().zip(0..) {
            if *slot > 0 {
                postings.push(document, std::mem::take(slot));
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
            let (found, values) = shuffled.into_iter().unzip();
            let mut found = Postings::new(found, values);
            let mut sorter = PostingSorter::new(documents);
            for _ in 0..2 {
                sorter.sort(&mut found);
                prop_assert!(found.iter().eq(postings.iter().map(|(d, v)| (*d, *v))));
            }
        }
    }
}
