//! Texts of a batch become sorted terms with frequencies, and lengths.

use std::ops::Range;

use super::Kind;
use crate::error::{Error, Result};
use crate::format::limits::MAX_TEXT_TERM_BYTES;
use crate::format::positions::POSITION_GAP;
use crate::format::{DocId, index32, lengths, wide};
use crate::segment::document::Document;
use crate::segment::interner::Interner;
use crate::segment::term_table::{FieldPostings, TermTable};
use crate::text::Analyzer;

/// The terms of a text field of a batch.
pub(in crate::segment) struct Inverted {
    pub postings: FieldPostings,
    /// One length code for each document.
    pub lengths: Vec<u8>,
    /// Terms that are too long to be indexed.
    pub skipped: u64,
}

/// Inverts the texts of one field.
pub(in crate::segment) struct Inverter {
    name: String,
    table: TermTable,
    cache: WordCache,
    with_positions: bool,
}

impl Inverter {
    pub fn new(name: &str, analyzer: Analyzer, with_positions: bool) -> Self {
        Self {
            name: name.to_owned(),
            table: TermTable::default(),
            cache: WordCache::new(analyzer),
            with_positions,
        }
    }

    pub fn invert(&mut self, documents: &[Document], memory: usize) -> Result<Inverted> {
        if self.table.begin_batch(self.cache.memory(), memory) {
            self.cache.clear();
        }
        let mut codes = Vec::with_capacity(documents.len());
        let mut skipped = 0;
        for (number, document) in (0..).zip(documents) {
            let mut total = 0u32;
            // The position of a text's first word; that there are 32 bits was checked before.
            let mut first = 0u32;
            for text in document.values_of::<Kind>(&self.name) {
                let at = self.with_positions.then_some(first);
                let added = self.cache.add_text(&mut self.table, number, text, at);
                first = first.saturating_add(added.words);
                first = first.saturating_add(POSITION_GAP);
                // A document has at most 2^26 bytes; only words of many terms each come near 2^32.
                total = total.saturating_add(added.length);
                skipped += added.skipped;
            }
            codes.push(lengths::encode(total));
        }
        self.cache.check()?;
        Ok(Inverted {
            postings: self.table.finish_batch()?,
            lengths: codes,
            skipped,
        })
    }
}

/// The length of a text, and how many words it has and how many of its terms were skipped.
struct Added {
    length: u32,
    words: u32,
    skipped: u64,
}

/// Remembers the terms of each word, because analysis of a word costs more than looking it up.
struct WordCache {
    analyzer: Analyzer,
    words: Interner,
    /// For each word its term if it has one, as most do; or [`RANGE`] and the place of its range.
    meanings: Vec<u32>,
    /// Where the terms of other words are in `terms`.
    ranges: Vec<Range<u32>>,
    terms: Vec<u32>,
    /// The words of the text that is added, by their meanings.
    text: Vec<u32>,
}

/// Marks a meaning that is no term.
const RANGE: u32 = 1 << 31;
/// Marks a term that is too long to be indexed.
const TOO_LONG: u32 = u32::MAX;

impl WordCache {
    fn new(analyzer: Analyzer) -> Self {
        Self {
            analyzer,
            words: Interner::default(),
            meanings: Vec::new(),
            ranges: Vec::new(),
            terms: Vec::new(),
            text: Vec::new(),
        }
    }

    fn memory(&self) -> usize {
        let numbers = self.meanings.capacity() + 2 * self.ranges.capacity() + self.terms.capacity();
        self.words.memory() + 4 * numbers
    }

    /// Checks that no number of a word or term outgrew its bits.
    fn check(&self) -> Result<()> {
        self.words.check()?;
        for count in [self.terms.len(), self.ranges.len()] {
            if count >= RANGE as usize {
                let limit = u64::from(RANGE);
                return Err(Error::limit(
                    "terms of remembered words",
                    wide(count),
                    limit,
                ));
            }
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.words.clear();
        self.meanings.clear();
        self.ranges.clear();
        self.terms.clear();
    }

    /// Adds the terms of a text; with their positions, if the position of its first word is given.
    fn add_text(
        &mut self,
        table: &mut TermTable,
        document: DocId,
        text: &str,
        first: Option<u32>,
    ) -> Added {
        let analyzer = self.analyzer.clone();
        let text = analyzer.repair(text);
        // All words first and then all terms: what is looked up then waits for memory together.
        let mut meanings = std::mem::take(&mut self.text);
        meanings.clear();
        analyzer.words(&text, &mut |word| {
            meanings.push(self.meaning_of(&analyzer, table, word.text));
        });
        let (mut length, mut skipped) = (0, 0);
        let mut add = |term, position: Option<u32>| {
            if term == TOO_LONG {
                skipped += 1;
                return;
            }
            length += 1;
            let posting = table.add(term, document, 1, |old, new| old.saturating_add(new));
            if let Some(position) = position {
                table.add_position(posting, position);
            }
        };
        let mut position = first;
        for meaning in &meanings {
            if *meaning < RANGE {
                add(*meaning, position);
            } else {
                let range = self.ranges.get((meaning - RANGE) as usize);
                let range = range.map_or(0..0, |range| range.start as usize..range.end as usize);
                let terms = self.terms.get(range).unwrap_or_default();
                terms.iter().for_each(|term| add(*term, position));
            }
            // Every word counts, whatever it gave, as in `Analyzer::positions`.
            position = position.map(|position| position.saturating_add(1));
        }
        let words = index32(meanings.len());
        self.text = meanings;
        Added {
            length,
            words,
            skipped,
        }
    }

    #[inline]
    fn meaning_of(&mut self, analyzer: &Analyzer, table: &mut TermTable, word: &str) -> u32 {
        let (number, is_new) = self.words.intern(word.as_bytes());
        if is_new {
            let start = index32(self.terms.len());
            analyzer.terms(word, &mut |term| {
                self.terms
                    .push(if term.len() > MAX_TEXT_TERM_BYTES || term.is_empty() {
                        TOO_LONG
                    } else {
                        table.number(term.as_bytes())
                    });
            });
            let meaning = self.meaning_from(start);
            self.meanings.push(meaning);
        }
        self.meanings.get(number as usize).copied().unwrap_or(0)
    }

    /// The meaning of a word whose terms are those from `start` on.
    fn meaning_from(&mut self, start: u32) -> u32 {
        if let Some([term]) = self.terms.get(start as usize..)
            && *term < RANGE
        {
            let term = *term;
            self.terms.pop();
            return term;
        }
        let end = index32(self.terms.len());
        self.ranges.push(start..end);
        let place = index32(self.ranges.len() - 1);
        RANGE | place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Schema, Text};
    use crate::segment::fields::Part;
    use crate::segment::write::Source;
    use crate::segment::{InvertedBatch, Inverter};

    fn invert(documents: &[Document]) -> InvertedBatch {
        let schema = Schema::builder().text("t", Text::new()).build().unwrap();
        let analyzer = Analyzer::named("simple").unwrap();
        Inverter::new(&schema, &[analyzer], 1 << 20)
            .invert(documents)
            .unwrap()
    }

    fn field(batch: &InvertedBatch) -> &Inverted {
        match Source::Batch(batch, None).field::<Kind>(0) {
            Some(Part::Batch(field)) => field,
            _ => panic!("the batch has no text"),
        }
    }

    #[test]
    fn text_becomes_terms_with_frequencies_and_lengths() {
        let documents = [
            Document::new("b").with_text("t", "red fish blue fish"),
            Document::new("a")
                .with_text("t", "fish")
                .with_text("t", "one"),
            Document::new("c"),
        ];
        let batch = invert(&documents);
        let field = field(&batch);
        assert_eq!(field.lengths, [4, 2, 0]);
        assert_eq!(field.postings.terms.get(1), b"fish");
        assert_eq!(field.postings.postings.documents, [0, 0, 1, 1, 0]);
        assert_eq!(field.postings.postings.values, [1, 2, 1, 1, 1]);
    }

    #[test]
    fn terms_too_long_are_skipped_and_counted() {
        let text = format!("short {} word", "x".repeat(100_000));
        let batch = invert(&[Document::new("a").with_text("t", text)]);
        assert!(field(&batch).skipped > 0);
        assert_eq!(field(&batch).lengths, [2]);
    }
}
