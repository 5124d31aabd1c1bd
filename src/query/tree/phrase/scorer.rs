//! A phrase in a segment: candidates have all words, then positions are read.
//!
//! The documents that have all words are found first. A document's phrase is at most as frequent as
//! its rarest word, so positions are read only where that could be enough.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::format::block_list::BlockList;
use crate::format::positions::PositionReader;
use crate::format::text_postings::TextBlockEntry;
use crate::format::{DocId, NO_MORE_DOCUMENTS};
use crate::query::cursor::{Collected, Cursor, Matches};
use crate::query::lists::find_all;
use crate::query::phrase_places::{Place, exact_shifts, least_movement};
use crate::query::text_cursor::TextCursor;
use crate::query::tree::scorer::{Scorer, is_rare};

/// One word at one position: its postings.
pub(super) struct Word<'a> {
    cursor: TextCursor<'a>,
    /// `None` where a phrase of one word needs none.
    positions: Option<PositionReader<'a>>,
}

impl<'a> Word<'a> {
    pub fn new(cursor: TextCursor<'a>, positions: Option<PositionReader<'a>>) -> Self {
        Self { cursor, positions }
    }
}

/// A place of the phrase, and what may stand there.
pub(super) struct Slot<'a> {
    words: Vec<Word<'a>>,
    /// The positions in the current document.
    place: Place,
    /// The first document at which one of the words stands.
    document: DocId,
    postings: u64,
    /// Memory for the positions of one word of several.
    of_word: Vec<u32>,
}

impl AsRef<Place> for Slot<'_> {
    fn as_ref(&self) -> &Place {
        &self.place
    }
}

impl<'a> Slot<'a> {
    pub fn new(words: Vec<Word<'a>>, number: usize, offset: u32) -> Self {
        Self {
            postings: words.iter().map(|word| u64::from(word.cursor.len())).sum(),
            words,
            place: Place::new(number, offset),
            document: 0,
            of_word: Vec::new(),
        }
    }

    #[inline]
    fn seek(&mut self, target: DocId) {
        if let [word] = &mut self.words[..] {
            word.cursor.seek(target);
            self.document = word.cursor.document();
            return;
        }
        let documents = self.words.iter_mut().map(|word| {
            word.cursor.seek(target);
            word.cursor.document()
        });
        self.document = documents.min().unwrap_or(NO_MORE_DOCUMENTS);
    }

    /// The frequency of the current document.
    fn frequency(&self) -> u32 {
        let here = self.words.iter();
        let here = here.filter(|word| word.cursor.document() == self.document);
        here.map(|word| word.cursor.value()).sum()
    }

    fn bound(&self) -> f32 {
        match &self.words[..] {
            [word] => word.cursor.bound(),
            _ => f32::INFINITY,
        }
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> f32 {
        match &mut self.words[..] {
            [word] => word.cursor.window_bound(window.start, window.end),
            _ => f32::INFINITY,
        }
    }

    /// Reads the positions of the current document.
    fn read(&mut self) -> Result<()> {
        let found = &mut self.place.found;
        if let [word] = &mut self.words[..] {
            let (block, values, posting) = word.cursor.place();
            if let Some(positions) = &mut word.positions {
                positions.read(block, values, posting, found)?;
            }
            // The parts of a word stand where it stands, and may be the same.
            found.dedup();
            return Ok(());
        }
        found.clear();
        for word in &mut self.words {
            if word.cursor.document() != self.document {
                continue;
            }
            let (block, values, posting) = word.cursor.place();
            if let Some(positions) = &mut word.positions {
                positions.read(block, values, posting, &mut self.of_word)?;
                found.extend_from_slice(&self.of_word);
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(())
    }
}

/// The documents that have all words of the slots with a single word: lists are intersected faster
/// without moving cursors, and many windows together, where none is skipped.
#[derive(Default)]
struct Together<'a> {
    /// By rising length.
    lists: Vec<BlockList<'a, TextBlockEntry>>,
    /// The range that was intersected last, and its documents that have all words.
    range: Range<DocId>,
    documents: Vec<DocId>,
}

/// The most documents of a segment that are intersected together: sixteen windows.
const TOGETHER: u32 = 1 << 16;

impl<'a> Together<'a> {
    fn new(mut lists: Vec<BlockList<'a, TextBlockEntry>>) -> Self {
        lists.sort_by_key(BlockList::len);
        Self {
            lists,
            ..Self::default()
        }
    }

    /// Those of a window.
    fn documents(&mut self, window: &Range<DocId>) -> Result<&[DocId]> {
        if window.start < self.range.start || window.end > self.range.end {
            let width = match window.start == self.range.end {
                true => (self.range.end - self.range.start)
                    .saturating_mul(2)
                    .min(TOGETHER),
                false => 0,
            };
            let end = window.start.saturating_add(width).max(window.end);
            self.range = window.start..end;
            find_all(&self.lists, self.range.clone(), &mut self.documents)?;
        }
        let place = |limit: DocId| self.documents.partition_point(|document| *document < limit);
        Ok(&self.documents[place(window.start)..place(window.end)])
    }
}

/// A phrase in a segment.
pub(super) struct PhraseScorer<'a> {
    /// In the order of the phrase.
    slots: Vec<Slot<'a>>,
    /// The same by rising number of postings.
    order: Vec<usize>,
    together: Together<'a>,
    slop: u32,
    documents: u32,
    /// Memory for the shifts of the current document.
    shifts: Vec<i64>,
    error: Option<Error>,
    scored: u64,
}

impl<'a> PhraseScorer<'a> {
    /// Slots in the order of the phrase, and the lists of those with a single word, of which there
    /// is at least one.
    pub fn new(
        slots: Vec<Slot<'a>>,
        lists: Vec<BlockList<'a, TextBlockEntry>>,
        slop: u32,
        documents: u32,
    ) -> Self {
        let mut order: Vec<usize> = (0..slots.len()).collect();
        order.sort_by_key(|slot| slots[*slot].postings);
        Self {
            slots,
            order,
            together: Together::new(lists),
            slop,
            documents,
            shifts: Vec::new(),
            error: None,
            scored: 0,
        }
    }

    /// Moves to a document, and says whether it has all words.
    #[inline]
    fn has_all(&mut self, document: DocId) -> bool {
        self.order.iter().all(|slot| {
            let slot = &mut self.slots[*slot];
            slot.seek(document);
            slot.document == document
        })
    }

    /// The score of the current document, which has all words; 0 when it does not have the phrase,
    /// or its score is not above `cut`.
    fn score(&mut self, cut: f32) -> f32 {
        if cut > 0.0 || self.slots.len() == 1 {
            // A phrase is counted at most once for each position of its first word and, without slop,
            // of any word.
            let frequency = match self.slop {
                0 => self.slots.iter().map(Slot::frequency).min(),
                _ => self.slots.first().map(Slot::frequency),
            };
            let most = self.contribution(frequency.unwrap_or(0) as f32);
            if most <= cut {
                return 0.0;
            }
            if self.slots.len() == 1 {
                return most;
            }
        }
        self.scored += 1;
        for slot in &mut self.slots {
            if let Err(error) = slot.read() {
                self.error.get_or_insert(error);
                return 0.0;
            }
        }
        let frequency = match self.slop {
            0 => {
                exact_shifts(&self.slots, &mut self.shifts);
                self.shifts.len() as f32
            }
            slop => self.sloppy(i64::from(slop)),
        };
        match frequency > 0.0 {
            true => self.contribution(frequency),
            false => 0.0,
        }
    }

    fn contribution(&self, frequency: f32) -> f32 {
        // All cursors have the weight of the phrase; a beginning may have several.
        let word = self.slots.first().and_then(|slot| slot.words.first());
        word.map_or(0.0, |word| word.cursor.contribution_of(frequency))
    }

    /// The frequency of the phrase with its words moved.
    fn sloppy(&self, slop: i64) -> f32 {
        let Some((first, others)) = self.slots.split_first() else {
            return 0.0;
        };
        let mut sum = 0.0;
        for position in &first.place.found {
            if let Some(movement) = least_movement(&first.place, *position, others, slop) {
                sum += 1.0 / (1.0 + movement.by as f32);
            }
        }
        sum
    }
}

impl Scorer for PhraseScorer<'_> {
    type Score = f32;

    /// Positions take longer than postings.
    fn cost(&self) -> u64 {
        let rarest = self.slots.iter().map(|slot| slot.postings).min();
        rarest
            .unwrap_or(0)
            .saturating_mul(4 * self.slots.len() as u64)
    }

    fn bound(&self) -> f32 {
        let bounds = self.slots.iter().map(Slot::bound);
        match self.slop {
            0 => bounds.fold(f32::MAX, f32::min),
            _ => self.slots.first().map_or(0.0, Slot::bound).min(f32::MAX),
        }
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> f32 {
        let mut bound = f32::MAX;
        for (place, slot) in self.slots.iter_mut().enumerate() {
            let of_slot = slot.window_bound(window);
            if of_slot == 0.0 {
                return 0.0;
            }
            if place == 0 || self.slop == 0 {
                bound = bound.min(of_slot);
            }
        }
        bound
    }

    fn next(&mut self, start: DocId) -> DocId {
        let rarest = self.order.first().map(|slot| &mut self.slots[*slot]);
        match rarest {
            Some(slot) if is_rare(slot.postings, self.documents) => {
                slot.seek(start);
                slot.document.max(start)
            }
            Some(_) => start,
            None => self.documents.max(start),
        }
    }

    fn collect(&mut self, window: &Range<DocId>, cut: Option<f32>, found: &mut Collected<f32>) {
        let cut = cut.unwrap_or(0.0);
        let mut together = std::mem::take(&mut self.together);
        match together.documents(window) {
            Ok(documents) => {
                for document in documents {
                    if !self.has_all(*document) {
                        continue;
                    }
                    let score = self.score(cut);
                    if score > cut {
                        found.documents.push(*document);
                        found.contributions.push(score);
                    }
                }
            }
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self.together = together;
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<f32>) {
        for (place, document) in documents.iter().enumerate() {
            let score = match self.has_all(*document) {
                true => self.score(0.0),
                false => 0.0,
            };
            if score > 0.0 {
                found.places.push(place);
                found.contributions.push(score);
            }
        }
    }

    fn scored(&self) -> u64 {
        self.scored
    }

    fn take_error(&mut self) -> Option<Error> {
        let words = self.slots.iter_mut().flat_map(|slot| &mut slot.words);
        let of_cursors = words.filter_map(|word| word.cursor.take_error()).next();
        self.error.take().or(of_cursors)
    }
}
