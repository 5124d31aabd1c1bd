//! Words in an order, with the statistics of the whole snapshot.

mod scorer;

use self::scorer::{PhraseScorer, Slot, Word};
use super::documents::{Documents, Nothing};
use super::scorer::AnyScorer;
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::limits::MAX_QUERY_TERMS;
use crate::format::{FieldKind, FieldNumber, FieldOptions};
use crate::index::{Snapshot, SnapshotSegment};
use crate::query::leaf::Leaf;
use crate::query::options::SearchOptions;
use crate::query::phrase_places::{BEGINNING, Beginning, PhraseWords};
use crate::query::request::{Phrase, Query};
use crate::query::text::TextLeaf;

/// A phrase, with the statistics of the whole snapshot.
pub(super) struct PhraseNode<'a> {
    segments: &'a [SnapshotSegment],
    field: FieldNumber,
    leaf: TextLeaf<'a>,
    /// The number of a word in the leaf, and its position in the phrase; in the order of the
    /// positions.
    words: Vec<(usize, u32)>,
    /// The beginning of the last word, with its position.
    beginning: Option<(Beginning, u32)>,
    slop: u32,
    weight: f32,
}

impl<'a> PhraseNode<'a> {
    /// Finds the words in every segment.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the field is no text field, or has no positions and the phrase
    /// has several words.
    pub fn new(
        snapshot: &'a Snapshot,
        query: &Query,
        phrase: &Phrase,
        options: &SearchOptions,
    ) -> Result<Self> {
        let field = snapshot.schema().expect(&query.field, FieldKind::Text)?;
        let number = field.number;
        let analyzer = snapshot.expect_analyzer(number)?;
        let words = PhraseWords::new(analyzer, phrase);
        let PhraseWords {
            terms: at,
            beginning,
        } = words.map_err(|error| error.in_field(&query.field))?;
        let terms: Vec<String> = at.iter().map(|(_, term)| term.clone()).collect();
        let mut words = Query::analyzed(query.field.as_str(), terms.iter()).with_all_terms();
        words.bm25 = query.bm25;
        let leaf = TextLeaf::of_terms(snapshot, &words, &terms, options)?;
        let has_positions = matches!(&field.options, FieldOptions::Text(text) if text.positions);
        if at.len() + usize::from(beginning.is_some()) > 1 && !has_positions {
            let message = "expected a field with positions for a phrase, found one without; index it with positions, or \
                           ask for all terms instead";
            return Err(Error::invalid(message).in_field(&query.field));
        }
        let names: Vec<&str> = leaf.terms().map(|(name, _)| name).collect();
        let numbers = at.into_iter().filter_map(|(position, term)| {
            let number = names.iter().position(|name| *name == term)?;
            Some((number, position))
        });
        let words = numbers.collect();
        let weight = leaf.weights().sum();
        Ok(Self {
            segments: snapshot.segments(),
            field: number,
            words,
            beginning,
            slop: phrase.slop,
            weight,
            leaf,
        })
    }

    pub fn size(&self) -> usize {
        self.words.len() + 1
    }

    pub fn postings(&self, ordinal: usize) -> u64 {
        match self.words.is_empty() {
            // Those of a beginning are not known before they are read.
            true => {
                let documents = self.segments[ordinal].reader.documents();
                u64::from(documents.div_ceil(u64::BITS).max(1))
            }
            false => self.leaf.postings(ordinal),
        }
    }

    pub fn scorer(&self, ordinal: usize) -> Result<AnyScorer<'_>> {
        if self.words.is_empty() {
            return self.beginning_alone(ordinal);
        }
        let reader = &self.segments[ordinal].reader;
        let Some(field) = reader.text(self.field) else {
            return Ok(Box::new(Nothing));
        };
        if self.leaf.lacks_required() {
            return Ok(Box::new(Nothing));
        }
        let mut slots = Vec::with_capacity(self.words.len() + 1);
        let mut lists = Vec::with_capacity(self.words.len());
        for (number, position) in &self.words {
            let Some(entry) = self.leaf.entry(ordinal, *number) else {
                return Ok(Box::new(Nothing));
            };
            let list = field.list(reader.documents(), entry)?;
            lists.push(list.blocks);
            let cursor = self.leaf.cursor(ordinal, &list, *number, self.weight)?;
            let positions = field.positions(entry)?.map(|positions| positions.reader());
            slots.push(Slot::new(
                vec![Word::new(cursor, positions)],
                *number,
                *position,
            ));
        }
        if let Some((pattern, position)) = &self.beginning {
            let mut words = Vec::new();
            pattern.for_each_entry(&field.terms, |entry| {
                if words.len() == MAX_QUERY_TERMS {
                    return Err(too_many_terms());
                }
                let list = field.list(reader.documents(), entry)?;
                let cursor = self.leaf.cursor(ordinal, &list, BEGINNING, self.weight)?;
                let positions = field.positions(entry)?.map(|positions| positions.reader());
                words.push(Word::new(cursor, positions));
                Ok(())
            })?;
            if words.is_empty() {
                return Ok(Box::new(Nothing));
            }
            slots.push(Slot::new(words, BEGINNING, *position));
        }
        Ok(Box::new(PhraseScorer::new(
            slots,
            lists,
            self.slop,
            reader.documents(),
        )))
    }

    /// The documents with any word of the beginning.
    fn beginning_alone(&self, ordinal: usize) -> Result<AnyScorer<'_>> {
        let reader = &self.segments[ordinal].reader;
        let set: Option<DocSet> = match &self.beginning {
            Some((beginning, _)) if !self.leaf.has_unknown() => {
                beginning.documents(reader, self.field)?
            }
            _ => None,
        };
        Ok(match set {
            Some(set) => Box::new(Documents::new(set.into(), 1.0)),
            None => Box::new(Nothing),
        })
    }
}

fn too_many_terms() -> Error {
    let limit = MAX_QUERY_TERMS as u64;
    Error::limit(
        "number of words that begin as the last one of a phrase",
        limit + 1,
        limit,
    )
}
