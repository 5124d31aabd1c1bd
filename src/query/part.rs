//! Parts of segments, searched separately.
//!
//! The parts of a segment are about equally large. For algorithms that go through documents in
//! order, a part is a contiguous range of documents. Ranges are visited in descending order of
//! their bounds; there part i of n has every n-th group of ranges, so that each has its share of
//! the best ones.

use std::ops::Range;

use crate::format::DocId;
use crate::format::range_list::{GROUP_RANGES, RANGE_DOCUMENTS};

/// Documents of a unit, of which parts are made: a group of ranges, and a window of MaxScore.
pub(super) const UNIT_DOCUMENTS: u32 = RANGE_DOCUMENTS * GROUP_RANGES;

/// One of several parts of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    number: u32,
    parts: u32,
    unit: u32,
}

impl Part {
    /// The only part.
    pub const WHOLE: Self = Self {
        number: 0,
        parts: 1,
        unit: UNIT_DOCUMENTS,
    };

    /// All parts, in document order, of a segment that is cut into this many, each of whole units
    /// of `unit` documents.
    pub fn all(parts: u32, unit: u32) -> impl Iterator<Item = Self> {
        (0..parts).map(move |number| Self {
            number,
            parts,
            unit,
        })
    }

    /// True for the first part, which counts what is counted once for each segment.
    pub fn is_first(self) -> bool {
        self.number == 0
    }

    /// True when there is no other part.
    pub fn is_whole(self) -> bool {
        self.parts == 1
    }

    /// The part's documents, as one range, in a segment of `documents` documents.
    pub fn doc_range(self, documents: u32) -> Range<DocId> {
        let units = u64::from(documents.div_ceil(self.unit));
        let start_of = |number: u32| {
            let unit = units * u64::from(number) / u64::from(self.parts);
            let start = unit * u64::from(self.unit);
            // Not beyond `documents`, so it fits.
            start.min(u64::from(documents)) as DocId
        };
        start_of(self.number)..start_of(self.number + 1)
    }

    /// The part's groups of ranges, in a segment that has `groups`.
    pub fn groups(self, groups: u32) -> impl ExactSizeIterator<Item = usize> + Clone {
        (self.number as usize..groups as usize).step_by(self.parts as usize)
    }

    /// Where a range is among the part's ranges; `None` when it is in another part.
    pub fn place_of(self, range: u32) -> Option<usize> {
        if self.is_whole() {
            return Some(range as usize);
        }
        let (group, rest) = (range / GROUP_RANGES, range % GROUP_RANGES);
        let is_here = group % self.parts == self.number;
        is_here.then(|| (group / self.parts * GROUP_RANGES + rest) as usize)
    }

    /// The range at a place among the part's ranges.
    #[inline(always)]
    pub fn range_at(self, place: u32) -> u32 {
        let (group, rest) = (place / GROUP_RANGES, place % GROUP_RANGES);
        (group * self.parts + self.number) * GROUP_RANGES + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_document_is_in_one_part(
            documents in 0u32..50_000,
            parts in 1u32..20,
            unit in prop::sample::select(vec![1u32, 7, 64, UNIT_DOCUMENTS]),
        ) {
            let mut next = 0;
            for part in Part::all(parts, unit) {
                let range = part.doc_range(documents);
                prop_assert_eq!(range.start, next);
                prop_assert!(range.end % unit == 0 || range.end == documents);
                next = range.end;
            }
            prop_assert_eq!(next, documents);
        }

        #[test]
        fn every_range_is_in_one_part(groups in 0u32..40, parts in 1u32..20) {
            let mut seen = vec![0; (groups * GROUP_RANGES) as usize];
            for part in Part::all(parts, UNIT_DOCUMENTS) {
                let here = part.groups(groups).len() as u32 * GROUP_RANGES;
                for place in 0..here {
                    let range = part.range_at(place);
                    prop_assert_eq!(part.place_of(range), Some(place as usize));
                    prop_assert!(part.groups(groups).any(|group| group == (range / GROUP_RANGES) as usize));
                    seen[range as usize] += 1;
                }
            }
            prop_assert!(seen.iter().all(|count| *count == 1));
            for range in 0..groups * GROUP_RANGES {
                let parts = Part::all(parts, UNIT_DOCUMENTS);
                prop_assert_eq!(parts.filter(|part| part.place_of(range).is_some()).count(), 1);
            }
        }
    }

    #[test]
    fn the_whole_is_everything_in_its_order() {
        assert_eq!(Part::WHOLE.doc_range(u32::MAX), 0..u32::MAX);
        assert_eq!(Part::WHOLE.doc_range(0), 0..0);
        for range in [0, 63, 64, 100_000] {
            assert_eq!(Part::WHOLE.range_at(range), range);
            assert_eq!(Part::WHOLE.place_of(range), Some(range as usize));
        }
    }
}
