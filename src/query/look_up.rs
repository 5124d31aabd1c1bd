//! The terms of a query in the dictionaries of all segments.
//!
//! Segments are independent, so with many terms in many segments the dictionaries are searched on
//! several threads. Both kinds of term queries need the entries of every segment before the first
//! list is scored: BM25 for the document frequency in the whole snapshot, sparse vectors for the
//! exponents of the impacts, which decide how weights become integers; and the work is cut into
//! parts by the lengths of the lists.

use super::options::SearchOptions;
use crate::error::Result;
use crate::executor::run_each;
use crate::format::dictionary::TermEntry;
use crate::index::{Snapshot, SnapshotSegment};

/// Look-ups that are worth a thread.
const LOOK_UPS_PER_THREAD: usize = 256;

/// What each segment has of each term: `entries[segment][term]`.
pub(super) struct Entries<T = TermEntry> {
    of_segments: Vec<Vec<Option<T>>>,
}

impl<T: Copy + Send + Sync> Entries<T> {
    /// Looks `terms` terms up in every segment; `find` fills in those of one segment.
    pub fn look_up(
        snapshot: &Snapshot,
        options: &SearchOptions,
        terms: usize,
        find: impl Fn(&SnapshotSegment) -> Result<Vec<Option<T>>> + Sync,
    ) -> Result<Self> {
        let segments = snapshot.segments();
        let executor = &**snapshot.executor();
        let worth = match options.part_documents {
            None => terms * segments.len() / LOOK_UPS_PER_THREAD,
            Some(_) => usize::MAX,
        };
        let threads = options.threads_on(executor).min(worth);
        let found = run_each(executor, threads, segments.len(), |ordinal| {
            options.check_cancelled()?;
            segments.get(ordinal).map_or_else(|| Ok(Vec::new()), &find)
        });
        // The first error in the order of the segments, as with one thread.
        let of_segments = found.into_iter().collect::<Result<_>>()?;
        Ok(Self { of_segments })
    }

    /// More of what the segments have of the terms.
    pub fn map<U>(
        self,
        snapshot: &Snapshot,
        find: impl Fn(&SnapshotSegment, T) -> Result<Option<U>>,
    ) -> Result<Entries<U>> {
        let of_segment = |(entries, segment): (Vec<Option<T>>, _)| {
            let entries = entries.into_iter();
            let entries = entries.map(|entry| entry.map_or(Ok(None), |entry| find(segment, entry)));
            entries.collect::<Result<Vec<_>>>()
        };
        let segments = self.of_segments.into_iter().zip(snapshot.segments());
        let of_segments = segments.map(of_segment).collect::<Result<_>>()?;
        Ok(Entries { of_segments })
    }

    /// What a segment has of a term.
    #[inline]
    pub fn get(&self, ordinal: usize, term: usize) -> Option<&T> {
        self.of_segments.get(ordinal)?.get(term)?.as_ref()
    }

    /// What a segment has of the terms that it has.
    pub fn of_segment(&self, ordinal: usize) -> impl Iterator<Item = &T> {
        self.of_segments
            .get(ordinal)
            .into_iter()
            .flatten()
            .flatten()
    }

    /// What the segments that have a term have of it.
    pub fn of_term(&self, term: usize) -> impl Iterator<Item = &T> {
        let of_segments = self.of_segments.iter();
        of_segments.filter_map(move |entries| entries.get(term)?.as_ref())
    }
}

/// What documents must have, for a query that asks for all terms.
pub(super) struct Required {
    /// Terms that no document has; with any, nothing is found.
    pub unknown: Vec<String>,
}

/// Postings of terms in a segment that must be read; `None` stands for a term that is not there.
///
/// Where all terms are required, those are the postings of the rarest term in every list: 0 when a
/// term is not there.
pub(super) fn postings_of(
    required: Option<&Required>,
    terms: impl Iterator<Item = Option<u32>>,
) -> u64 {
    let frequencies = terms.map(|frequency| u64::from(frequency.unwrap_or(0)));
    let Some(required) = required else {
        return frequencies.sum();
    };
    let (mut rarest, mut lists) = (u64::MAX, 0);
    for frequency in frequencies {
        rarest = rarest.min(frequency);
        lists += 1;
    }
    if lists == 0 || !required.unknown.is_empty() {
        return 0;
    }
    rarest * lists
}
