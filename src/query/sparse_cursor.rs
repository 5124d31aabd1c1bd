//! The postings of a sparse term, however its list is laid out.

use super::cursor::{Cursor, Matches};
use super::range_cursor::RangeCursor;
use super::tier_cursor::TierCursor;
use super::window::Window;
use crate::error::Error;
use crate::format::DocId;

/// A tier of a list, or a list that is cut at ranges.
pub(super) enum SparseCursor<'a> {
    Tier(Box<TierCursor<'a>>),
    Ranges(Box<RangeCursor<'a>>),
}

/// Hands a call on to whichever cursor there is.
macro_rules! either {
    ($self:ident, $cursor:ident => $call:expr) => {
        match $self {
            SparseCursor::Tier($cursor) => $call,
            SparseCursor::Ranges($cursor) => $call,
        }
    };
}

impl Cursor for SparseCursor<'_> {
    type Score = u32;

    fn term(&self) -> usize {
        either!(self, cursor => cursor.term())
    }

    fn len(&self) -> u32 {
        either!(self, cursor => cursor.len())
    }

    #[inline]
    fn bound(&self) -> u32 {
        either!(self, cursor => cursor.bound())
    }

    #[inline]
    fn document(&self) -> DocId {
        either!(self, cursor => cursor.document())
    }

    #[inline]
    fn seek(&mut self, target: DocId) {
        either!(self, cursor => cursor.seek(target))
    }

    #[inline]
    fn advance(&mut self) {
        either!(self, cursor => cursor.advance())
    }

    fn value(&self) -> u32 {
        either!(self, cursor => cursor.value())
    }

    #[inline]
    fn score(&mut self) -> u32 {
        either!(self, cursor => cursor.score())
    }

    #[inline]
    fn block_bound(&mut self, target: DocId) -> (u32, DocId) {
        either!(self, cursor => cursor.block_bound(target))
    }

    #[inline]
    fn window_bound(&mut self, start: DocId, end: DocId) -> u32 {
        either!(self, cursor => cursor.window_bound(start, end))
    }

    #[inline]
    fn add_window(&mut self, start: DocId, end: DocId, sums: &mut Window<u32>) {
        either!(self, cursor => cursor.add_window(start, end, sums))
    }

    #[inline]
    fn find(&mut self, documents: &[DocId], found: &mut Matches<u32>) {
        either!(self, cursor => cursor.find(documents, found))
    }

    fn scored(&self) -> u64 {
        either!(self, cursor => cursor.scored())
    }

    fn take_error(&mut self) -> Option<Error> {
        either!(self, cursor => cursor.take_error())
    }
}
