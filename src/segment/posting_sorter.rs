//! Postings put in the order of their documents, after these were given new numbers.

use std::mem::{swap, take};
use std::ops::Range;

use crate::error::{Error, Result};
use crate::format::positions::skip_varints;
use crate::format::postings::Postings;
use crate::format::{Malformed, count32};

/// A list with a posting for one document in this many is sorted by laying it out over all
/// documents.
const DENSE_SHARE: usize = 16;

/// Sorts the postings of lists; kept between lists for its memory.
pub(super) struct PostingSorter {
    documents: usize,
    /// For each document its value in the list that is sorted; zero between lists.
    laid_out: Vec<u32>,
    pairs: Vec<u64>,
    /// Where the positions of each posting were before the list was sorted.
    ranges: Vec<Range<usize>>,
    /// The postings before they are sorted, if they have positions.
    before: Postings,
}

impl PostingSorter {
    /// Sorts lists of a segment of `documents` documents.
    pub fn new(documents: u32) -> Self {
        Self {
            documents: documents as usize,
            laid_out: Vec::new(),
            pairs: Vec::new(),
            ranges: Vec::new(),
            before: Postings::default(),
        }
    }

    /// Sorts a list by document; documents are distinct and values above zero.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there are positions, but not as many as the values say.
    pub fn sort(&mut self, postings: &mut Postings) -> Result<()> {
        if postings.documents.is_sorted() {
            return Ok(());
        }
        if postings.positions.is_empty() {
            self.sort_values(postings);
            return Ok(());
        }
        self.sort_positions(postings)
    }

    /// Sorts the numbers of the postings, counted from 1, in the place of values; values and
    /// positions follow.
    fn sort_positions(&mut self, postings: &mut Postings) -> Result<()> {
        self.ranges.clear();
        let mut end = 0;
        for value in &postings.values {
            let start = end;
            let skipped = skip_varints(&postings.positions, &mut end, *value);
            skipped.map_err(|Malformed(message)| Error::invalid(message))?;
            self.ranges.push(start..end);
        }
        let mut before = take(&mut self.before);
        swap(&mut before.values, &mut postings.values);
        swap(&mut before.positions, &mut postings.positions);
        let count = count32("postings of a term", before.values.len())?;
        postings.values.clear();
        postings.values.extend(1..=count);
        self.sort_values(postings);
        postings.positions.clear();
        for value in &mut postings.values {
            let number = value.saturating_sub(1) as usize;
            let positions = self.ranges.get(number).cloned();
            let positions = positions.and_then(|range| before.positions.get(range));
            postings
                .positions
                .extend_from_slice(positions.unwrap_or_default());
            *value = before.values.get(number).copied().unwrap_or(0);
        }
        self.before = before;
        Ok(())
    }

    fn sort_values(&mut self, postings: &mut Postings) {
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
    use crate::format::varint;
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
                sorter.sort(&mut found).unwrap();
                prop_assert!(found.iter().eq(postings.iter().map(|(d, v)| (*d, *v))));
            }
        }

        #[test]
        fn positions_stay_with_their_postings(
            postings in prop::collection::btree_map(0u32..400, (1u32..4, any::<u32>()), 1..60),
            documents in prop::sample::select(vec![400u32, 100_000]),
            turn in any::<u32>(),
        ) {
            let with_positions = |order: &[u32]| {
                let mut all = Postings::default();
                for document in order {
                    let (value, position) = postings[document];
                    all.push(*document, value);
                    for place in 0..value {
                        varint::write(u64::from(position >> place), &mut all.positions);
                    }
                }
                all
            };
            let mut order: Vec<u32> = postings.keys().copied().collect();
            let expected = with_positions(&order);
            order.sort_by_key(|document| document.wrapping_mul(turn | 1));
            let mut sorter = PostingSorter::new(documents);
            for _ in 0..2 {
                let mut found = with_positions(&order);
                sorter.sort(&mut found).unwrap();
                prop_assert_eq!(&found, &expected);
            }
            if expected.len() > 1 && !order.is_sorted() {
                let mut short = with_positions(&order);
                short.positions.pop();
                prop_assert!(short.positions.is_empty() || sorter.sort(&mut short).is_err());
            }
        }
    }
}
