//! Phrases: their words, and which positions of a text are an occurrence.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::matching_terms::TermPattern;
use super::patterns::Pattern;
use super::request::Phrase;
use super::text_documents::add_terms;
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::FieldNumber;
use crate::format::dictionary::{Dictionary, TermEntry};
use crate::format::limits::MAX_SLOP;
use crate::segment::SegmentReader;
use crate::text::Analyzer;

/// Words of a phrase: the positions of all of them are in memory for a document.
const MAX_WORDS: usize = 256;
/// Words of a phrase with slop: the ways to place them grow with their number.
const MAX_SLOPPY_WORDS: usize = 64;

/// The number of a word that is only the beginning of one.
pub(super) const BEGINNING: usize = usize::MAX;

/// The words of a phrase under an analyzer.
pub(super) struct PhraseWords {
    /// The terms, with their positions in the phrase, but for those of a beginning.
    pub terms: BTreeSet<(u32, String)>,
    /// The beginning of the last word, with its position.
    pub beginning: Option<(Beginning, u32)>,
}

impl PhraseWords {
    /// Analyzes a phrase.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when the beginning of a word is too
    /// long, [`Error::Limit`](crate::Error::Limit) when there are too many words.
    pub fn new(analyzer: &Analyzer, phrase: &Phrase) -> Result<Self> {
        let text = analyzer.repair(&phrase.text);
        let last = match phrase.is_prefix {
            true => LastWord::of(analyzer, &text),
            false => None,
        };
        let is_last = |position| last.as_ref().is_some_and(|last| last.position == position);
        let mut terms = BTreeSet::new();
        analyzer.query_positions(&text, &mut |term, position, _| {
            if !is_last(position) {
                terms.insert((position, term.to_owned()));
            }
        });
        check_places(terms.len(), phrase.slop)?;
        let beginning = match last {
            Some(last) => Some((last.beginning(analyzer)?, last.position)),
            None => None,
        };
        Ok(Self { terms, beginning })
    }
}

/// The last word of a phrase, of which the beginning is given.
struct LastWord {
    text: String,
    position: u32,
}

impl LastWord {
    fn of(analyzer: &Analyzer, text: &str) -> Option<Self> {
        let mut last: Option<Self> = None;
        analyzer.words(text, &mut |word| {
            let position = last
                .as_ref()
                .map_or(0, |last| last.position.saturating_add(1));
            last = Some(Self {
                text: word.text.to_owned(),
                position,
            });
        });
        last
    }

    fn beginning(&self, analyzer: &Analyzer) -> Result<Beginning> {
        let normalized = analyzer.normalize(&self.text);
        let mut terms = Vec::new();
        analyzer.query_terms(&self.text, &mut |term| terms.push(term.to_owned()));
        // A document must have all terms of a word, so one of several is not enough.
        if terms.len() > 1 {
            terms.clear();
        }
        terms.retain(|term| !term.starts_with(&normalized));
        Ok(Beginning {
            pattern: TermPattern::new(&Pattern::Prefix(normalized))?,
            terms,
        })
    }
}

/// Terms that begin so, and the terms of the word itself if it is whole: an analyzer that removes
/// endings may make them shorter than what was typed.
pub(super) struct Beginning {
    pattern: TermPattern,
    terms: Vec<String>,
}

impl Beginning {
    /// Whether a term is one of them.
    pub fn matches(&self, term: &str) -> bool {
        self.pattern.matches(term) || self.terms.iter().any(|other| other == term)
    }

    /// Calls `visit` with the entry of every term, in no order.
    pub fn for_each_entry(
        &self,
        dictionary: &Dictionary,
        mut visit: impl FnMut(&TermEntry) -> Result<()>,
    ) -> Result<()> {
        self.pattern.for_each_entry(dictionary, &mut visit)?;
        for term in &self.terms {
            if let Some(entry) = dictionary.term(term.as_bytes())? {
                visit(&entry)?;
            }
        }
        Ok(())
    }

    /// The documents of a segment with any of the terms.
    pub fn documents(&self, reader: &SegmentReader, field: FieldNumber) -> Result<Option<DocSet>> {
        let mut set = self.pattern.documents(reader, field)?;
        if let (Some(set), Some(text)) = (&mut set, reader.text(field)) {
            set.insert_lists(|set| add_terms(reader, text, &self.terms, set))?;
        }
        Ok(set)
    }
}

/// Refuses phrases that would take too long.
fn check_places(places: usize, slop: u32) -> Result<()> {
    let (what, limit) = match slop {
        0 => ("number of words of a phrase", MAX_WORDS),
        _ => ("number of words of a phrase with slop", MAX_SLOPPY_WORDS),
    };
    match places > limit {
        true => Err(Error::limit(what, places as u64, limit as u64)),
        false => Ok(()),
    }
}

/// Fails when words may be moved by more than the limit.
pub(super) fn check_slop(phrase: &Phrase) -> Result<()> {
    if phrase.slop > MAX_SLOP {
        let (found, limit) = (u64::from(phrase.slop), u64::from(MAX_SLOP));
        return Err(Error::limit("slop of a phrase", found, limit));
    }
    Ok(())
}

/// A place of a phrase: where its word may stand.
pub(super) struct Place {
    /// Which word it is; places with the same word need positions of their own.
    pub number: usize,
    /// The position in the phrase.
    pub offset: i64,
    /// The word's positions in a document, rising.
    pub found: Vec<u32>,
}

impl Place {
    /// A place whose word was not looked for yet.
    pub fn new(number: usize, offset: u32) -> Self {
        Self {
            number,
            offset: i64::from(offset),
            found: Vec::new(),
        }
    }
}

impl AsRef<Self> for Place {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Replaces `shifts` by those at which the words stand exactly as in the phrase: each word's position
/// is the shift plus its offset.
pub(super) fn exact_shifts<P: AsRef<Place>>(places: &[P], shifts: &mut Vec<i64>) {
    shifts.clear();
    let Some((first, others)) = places.split_first() else {
        return;
    };
    let first = first.as_ref();
    let positions = first.found.iter();
    shifts.extend(positions.map(|position| i64::from(*position) - first.offset));
    for place in others {
        let place = place.as_ref();
        // Most words stand in a document a few times.
        let (mut kept, mut positions) = (0, place.found.iter());
        let mut next = positions.next();
        for at in 0..shifts.len() {
            let shift = shifts[at];
            let target = shift + place.offset;
            while next.is_some_and(|position| i64::from(*position) < target) {
                next = positions.next();
            }
            shifts[kept] = shift;
            kept += usize::from(next.is_some_and(|position| i64::from(*position) == target));
        }
        shifts.truncate(kept);
        if shifts.is_empty() {
            return;
        }
    }
}

/// The words moved as little as possible when the first one stands at a position.
pub(super) struct Movement {
    /// By how much, in positions.
    pub by: i64,
    /// The smallest shift of a word.
    lowest: i64,
}

/// By how much the words must be moved when the first one stands at a position; `None` when that is
/// more than `slop`.
pub(super) fn least_movement<P: AsRef<Place>>(
    first: &Place,
    position: u32,
    others: &[P],
    slop: i64,
) -> Option<Movement> {
    let shift = i64::from(position) - first.offset;
    // Mostly a word is nowhere near.
    fits(first, position, others, shift - slop..=shift + slop)?;
    // The smallest shift is that of a word, and not above that of the first.
    let mut lows = vec![shift];
    for place in others {
        let place = place.as_ref();
        let from = place.offset + shift - slop;
        let skip = place
            .found
            .partition_point(|position| i64::from(*position) < from);
        let shifts = place.found.iter().skip(skip);
        let shifts = shifts.map(|position| i64::from(*position) - place.offset);
        lows.extend(shifts.take_while(|low| *low < shift));
    }
    lows.sort_unstable();
    lows.dedup();
    let mut best: Option<Movement> = None;
    for lowest in lows.into_iter().rev() {
        let most = best.as_ref().map_or(slop, |best| best.by - 1);
        if shift - lowest > most {
            break;
        }
        if let Some(found) = fits(first, position, others, lowest..=lowest + most) {
            let by = found.highest.max(shift) - lowest;
            best = Some(Movement { by, lowest });
        }
    }
    best
}

/// The positions of the words, the first one's first, when they are moved so.
pub(super) fn moved_positions<P: AsRef<Place>>(
    first: &Place,
    position: u32,
    others: &[P],
    movement: &Movement,
) -> Option<Vec<(usize, u32)>> {
    let shifts = movement.lowest..=movement.lowest + movement.by;
    let mut found = fits(first, position, others, shifts)?;
    found.positions.insert(0, (first.number, position));
    Some(found.positions)
}

/// A position for each word but the first.
struct Fit {
    /// With the words' numbers.
    positions: Vec<(usize, u32)>,
    /// The highest shift of them.
    highest: i64,
}

/// The smallest positions whose shifts are in the range; `None` when there are none. Places that may
/// hold the same word are in the order of their ranges of positions, which are equally long, so
/// taking the smallest that is free leaves most to those behind.
fn fits<P: AsRef<Place>>(
    first: &Place,
    position: u32,
    others: &[P],
    shifts: RangeInclusive<i64>,
) -> Option<Fit> {
    let mut fit = Fit {
        positions: Vec::with_capacity(others.len() + 1),
        highest: i64::MIN,
    };
    for place in others {
        let place = place.as_ref();
        // Those of the same word rise, so the last of them is enough to look at.
        let same = fit
            .positions
            .iter()
            .rev()
            .find(|(number, _)| *number == place.number);
        let above = same.map_or(i64::MIN, |(_, position)| i64::from(*position) + 1);
        let low = above.max(shifts.start() + place.offset);
        let from = place
            .found
            .partition_point(|position| i64::from(*position) < low);
        let mut free = place.found.iter().skip(from);
        let is_taken = |found: u32| {
            let of_first = place.number == first.number || place.number == BEGINNING;
            (of_first && found == position)
                || place.number == BEGINNING
                    && fit.positions.iter().any(|(_, taken)| *taken == found)
        };
        let found = *free.find(|found| !is_taken(**found))?;
        let shift = i64::from(found) - place.offset;
        if shift > *shifts.end() {
            return None;
        }
        fit.highest = fit.highest.max(shift);
        fit.positions.push((place.number, found));
    }
    Some(fit)
}
