//! Contributions of the postings of a list that is cut at ranges, range by range.

use super::cursor::{Cursor, Matches};
use super::window::Window;
use crate::error::{Error, Result};
use crate::format::range_list::{GROUP_RANGES, RANGE_DOCUMENTS, RangeList, RangePostings};
use crate::format::{DocId, NO_MORE_DOCUMENTS};

/// The postings of a term, moved through in document order.
pub(super) struct RangeCursor<'a> {
    list: RangeList<'a>,
    term: usize,
    weight: u32,
    documents: Vec<DocId>,
    impacts: Vec<u8>,
    position: usize,
    document: DocId,
    /// The first range that was not read yet.
    next_range: u32,
    scored: u64,
    error: Option<Error>,
}

impl<'a> RangeCursor<'a> {
    /// A cursor on the list of the query's `term`-th term, with the term's weight in the query.
    pub fn new(list: RangeList<'a>, term: usize, weight: u32) -> Self {
        Self {
            list,
            term,
            weight,
            documents: Vec::with_capacity(RANGE_DOCUMENTS as usize),
            impacts: Vec::with_capacity(RANGE_DOCUMENTS as usize),
            position: 0,
            document: 0,
            next_range: 0,
            scored: 0,
            error: None,
        }
    }

    /// The first range at or after `range` that has postings.
    fn present_from(&self, range: u32) -> Option<u32> {
        let groups = self.list.groups();
        let (first, bit) = ((range / GROUP_RANGES) as usize, range % GROUP_RANGES);
        let mut mask = u64::MAX << bit;
        for (group, place) in groups.get(first..)?.iter().zip(range / GROUP_RANGES..) {
            let present = group.present() & mask;
            if present != 0 {
                return Some(place * GROUP_RANGES + present.trailing_zeros());
            }
            mask = u64::MAX;
        }
        None
    }

    /// Reads the first range at or after `range` that has postings, and stands on its first.
    fn load(&mut self, range: u32) {
        self.documents.clear();
        self.impacts.clear();
        let Some(range) = self.present_from(range) else {
            self.next_range = u32::MAX / RANGE_DOCUMENTS;
            return self.stand_at(0);
        };
        self.next_range = range + 1;
        let found = self.list.find(range);
        match found.map(|found| self.list.postings(found)) {
            Some(Ok(postings)) => {
                let first = range * RANGE_DOCUMENTS;
                postings.for_each(|offset, impact| {
                    self.documents.push(first + u32::from(offset));
                    self.impacts.push(impact);
                });
                let end = self.list.documents().min(first + RANGE_DOCUMENTS);
                let rises = self.documents.windows(2).all(|pair| pair[0] < pair[1]);
                if !rises || self.documents.last().is_none_or(|last| *last >= end) {
                    return self.fail(self.list.not_rising());
                }
                self.stand_at(0);
            }
            Some(Err(error)) => self.fail(error),
            None => self.stand_at(0),
        }
    }

    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
        self.documents.clear();
        self.impacts.clear();
        self.next_range = u32::MAX / RANGE_DOCUMENTS;
        self.document = NO_MORE_DOCUMENTS;
    }

    fn stand_at(&mut self, position: usize) {
        self.position = position;
        match self.documents.get(position) {
            Some(document) => self.document = *document,
            None if self.next_range == u32::MAX / RANGE_DOCUMENTS => {
                self.document = NO_MORE_DOCUMENTS;
            }
            None => self.load(self.next_range),
        }
    }

    /// The impact of a document; 0 when the list does not have it.
    fn impact_of(&self, document: DocId) -> Result<u8> {
        let Some(found) = self.list.find(document / RANGE_DOCUMENTS) else {
            return Ok(0);
        };
        let offset = document % RANGE_DOCUMENTS;
        let (place, impacts) = match self.list.postings(found)? {
            RangePostings::Offsets(offsets, impacts) => {
                if !offsets.is_sorted_by(|a, b| a < b) {
                    return Err(self.list.not_rising());
                }
                let place = offsets.iter().position(|here| u32::from(*here) == offset);
                (place, impacts)
            }
            RangePostings::Bits(bits, impacts) => {
                let before = bits & ((1 << offset) - 1);
                let is_there = bits >> offset & 1 == 1;
                (is_there.then_some(before.count_ones() as usize), impacts)
            }
        };
        let impact = place.and_then(|place| impacts.get(place));
        Ok(impact.copied().unwrap_or(0))
    }

    fn bound_of(&self, range: u32) -> u32 {
        let found = self.list.find(range);
        found.map_or(0, |found| self.weight * u32::from(self.list.max_of(found)))
    }
}

impl Cursor for RangeCursor<'_> {
    type Score = u32;

    fn term(&self) -> usize {
        self.term
    }

    fn len(&self) -> u32 {
        self.list.len()
    }

    fn bound(&self) -> u32 {
        self.weight * u32::from(self.list.max_impact())
    }

    #[inline]
    fn document(&self) -> DocId {
        self.document
    }

    fn seek(&mut self, target: DocId) {
        if self.next_range > 0 && self.document >= target {
            return;
        }
        let range = target / RANGE_DOCUMENTS;
        if range >= self.next_range {
            self.load(range);
        }
        let rest = self.documents.get(self.position..).unwrap_or_default();
        let skip = rest.partition_point(|document| *document < target);
        self.stand_at(self.position + skip);
    }

    fn advance(&mut self) {
        if self.document != NO_MORE_DOCUMENTS {
            self.stand_at(self.position + 1);
        }
    }

    fn value(&self) -> u32 {
        self.impacts
            .get(self.position)
            .copied()
            .map_or(0, u32::from)
    }

    fn score(&mut self) -> u32 {
        self.scored += 1;
        self.weight * self.value()
    }

    fn block_bound(&mut self, target: DocId) -> (u32, DocId) {
        let range = target / RANGE_DOCUMENTS;
        (
            self.bound_of(range),
            range * RANGE_DOCUMENTS + (RANGE_DOCUMENTS - 1),
        )
    }

    fn window_bound(&mut self, start: DocId, end: DocId) -> u32 {
        let ranges = start / RANGE_DOCUMENTS..end.div_ceil(RANGE_DOCUMENTS);
        let groups = self.list.groups().iter().zip(0u32..);
        let groups = groups.skip((ranges.start / GROUP_RANGES) as usize);
        let all = self.list.max_impacts();
        let mut max = 0;
        for (group, number) in groups {
            let first = number * GROUP_RANGES;
            if first >= ranges.end {
                break;
            }
            if first >= ranges.start && first + GROUP_RANGES <= ranges.end {
                let end = group.first() + group.present().count_ones() as usize;
                let of_group = all.get(group.first()..end).unwrap_or(&[u8::MAX]);
                max = max.max(of_group.iter().copied().max().unwrap_or(0));
                continue;
            }
            let part = first.max(ranges.start)..(first + GROUP_RANGES).min(ranges.end);
            let bounds = part.filter_map(|range| self.list.find(range));
            let bounds = bounds.map(|found| self.list.max_of(found));
            max = max.max(bounds.max().unwrap_or(0));
        }
        self.weight * u32::from(max)
    }

    fn add_window(&mut self, start: DocId, end: DocId, sums: &mut Window<u32>) {
        self.seek(start);
        while self.document < end {
            let documents = self.documents.get(self.position..).unwrap_or_default();
            let impacts = self.impacts.get(self.position..).unwrap_or_default();
            let count = documents.partition_point(|document| *document < end);
            for (document, impact) in documents.iter().zip(impacts).take(count) {
                sums.add(*document, self.weight * u32::from(*impact));
            }
            self.scored += count as u64;
            self.stand_at(self.position + count);
        }
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<u32>) {
        for (place, document) in documents.iter().enumerate() {
            match self.impact_of(*document) {
                Ok(0) => {}
                Ok(impact) => {
                    found.places.push(place);
                    found.contributions.push(self.weight * u32::from(impact));
                    self.scored += 1;
                }
                Err(error) => return self.fail(error),
            }
        }
    }

    fn scored(&self) -> u64 {
        self.scored
    }

    fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }
}
