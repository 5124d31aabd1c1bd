//! Columns: numbers, dates, flags and keywords of documents (`format-spec/column.md`).
//!
//! Every value has a *code*, a number of 64 bits in the order of the values. Codes are kept in the
//! order of documents, so that the codes of a document are found at once.
//!
//! | file | concept |
//! | --- | --- |
//! | `value` | values, their types, and their codes |
//! | `packing` | numbers of any width one after another |
//! | `numbers` | arrays of numbers in blocks with bounds |
//! | `documents` | which documents have a value |
//! | `starts` | where the values of each document begin, where some have several |
//! | `cursor` | reading the codes of many documents |
//! | `select` | the documents whose values are in a range or in a set |

mod cursor;
mod documents;
mod numbers;
mod packing;
mod select;
mod starts;
mod value;

use std::ops::Range;

use super::dictionary::Dictionary;
use super::limits::MAX_COLUMN_VALUES;
use super::section::Section;
use super::{DocId, Malformed, wide};
use crate::error::Result;

pub use cursor::ColumnCursor;
pub use documents::{ColumnDocuments, DocumentsWriter};
pub use numbers::{Numbers, NumbersShape, NumbersWriter};
pub use starts::{Starts, StartsWriter};
pub use value::{ColumnType, Value};

/// The sections of a column of a segment.
pub struct ColumnSections {
    /// The codes.
    pub values: Section,
    /// Which documents have a value, unless all have.
    pub documents: Option<Section>,
    /// Where the values of each document begin, if any has several.
    pub starts: Option<Section>,
    /// The keywords of a column of keywords.
    pub keywords: Option<Dictionary>,
}

/// A column of a segment.
#[derive(Clone, Debug)]
pub struct ColumnValues {
    column: ColumnType,
    /// Of the segment.
    documents: u32,
    values: Numbers,
    with_value: Option<ColumnDocuments>,
    starts: Option<Starts>,
    keywords: Option<Dictionary>,
    /// For errors about how sections go together.
    section: Section,
}

impl ColumnValues {
    /// Opens a column of a segment of `documents` documents.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when the sections do not go together.
    pub fn open(column: ColumnType, documents: u32, sections: ColumnSections) -> Result<Self> {
        let section = sections.values.clone();
        let values = Numbers::open(sections.values)?;
        let with_value = sections.documents;
        let with_value = with_value.map(|section| ColumnDocuments::open(section, documents));
        let with_value = with_value.transpose()?;
        let having = with_value
            .as_ref()
            .map_or(documents, ColumnDocuments::count);
        let shape = values.shape();
        let starts = sections.starts;
        let starts = starts.map(|section| Starts::open(section, having, shape.count));
        let opened = Self {
            column,
            documents,
            values,
            with_value,
            starts: starts.transpose()?,
            keywords: sections.keywords,
            section,
        };
        let is_single = opened.starts.is_none();
        if is_single && shape.count != u64::from(having) {
            return Err(opened.broken("a column has more or fewer values than documents"));
        }
        let has_keywords = column == ColumnType::Keyword;
        let keywords = opened.keywords.as_ref().map(Dictionary::len);
        let is_outside = match keywords {
            Some(keywords) => shape.max >= keywords,
            None => !column.has_codes(shape.min, shape.max),
        };
        if keywords.is_some() != has_keywords || shape.count > 0 && is_outside {
            return Err(opened.broken("a code of a column stands for no value"));
        }
        Ok(opened)
    }

    fn broken(&self, message: &'static str) -> crate::Error {
        self.section.malformed(0, Malformed(message))
    }

    /// What it holds.
    pub fn column_type(&self) -> ColumnType {
        self.column
    }

    /// How many values it has, their min and max codes.
    pub fn shape(&self) -> NumbersShape {
        self.values.shape()
    }

    /// How many documents have a value.
    pub fn documents_with_value(&self) -> u32 {
        let with_value = self.with_value.as_ref();
        with_value.map_or(self.documents, ColumnDocuments::count)
    }

    /// The keywords of a column of keywords, whose ordinals are the codes.
    pub fn keywords(&self) -> Option<&Dictionary> {
        self.keywords.as_ref()
    }

    /// Whether a document may have several values.
    pub fn has_several(&self) -> bool {
        self.starts.is_some()
    }

    /// Whether every document has one value.
    fn is_dense(&self) -> bool {
        self.with_value.is_none() && self.starts.is_none()
    }

    /// The places of a document's values among all values; empty when it has none.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when bytes that must be read are damaged.
    pub fn places(&self, document: DocId) -> Result<Range<u64>> {
        let rank = match &self.with_value {
            Some(with_value) => with_value.rank(document)?,
            None => (document < self.documents).then_some(document),
        };
        match (rank, &self.starts) {
            (None, _) => Ok(0..0),
            (Some(rank), _) => self.places_of(rank),
        }
    }

    /// The places of the values of the document that has this many documents with a value before
    /// it.
    fn places_of(&self, rank: u32) -> Result<Range<u64>> {
        let Some(starts) = &self.starts else {
            return Ok(u64::from(rank)..u64::from(rank) + 1);
        };
        let (start, end) = (starts.get(rank)?, starts.get(rank + 1)?);
        match start < end {
            true => Ok(start..end),
            false => Err(self.broken("the starts of a column do not rise")),
        }
    }

    /// The code at a place.
    ///
    /// # Errors
    ///
    /// As [`places`](Self::places).
    pub fn code(&self, place: u64) -> Result<u64> {
        self.values.get(place)
    }

    /// The min and max code of documents from `first` until the next multiple of
    /// [`BOUNDED_DOCUMENTS`](Self::BOUNDED_DOCUMENTS), where that is known: when every document has
    /// one value.
    ///
    /// # Errors
    ///
    /// As [`places`](Self::places).
    pub fn bounds_near(&self, first: DocId) -> Result<Option<(u64, u64)>> {
        match self.is_dense() && first < self.documents {
            true => self
                .values
                .block_bounds(first / Self::BOUNDED_DOCUMENTS)
                .map(Some),
            false => Ok(None),
        }
    }

    /// See [`bounds_near`](Self::bounds_near).
    pub const BOUNDED_DOCUMENTS: u32 = numbers::BLOCK_NUMBERS;

    /// The value of a code.
    ///
    /// # Errors
    ///
    /// As [`places`](Self::places).
    pub fn value(&self, code: u64) -> Result<Value> {
        if let Some(value) = self.column.value_of(code) {
            return Ok(value);
        }
        let mut keyword = Vec::new();
        if let Some(keywords) = &self.keywords {
            keywords.key_of(code, &mut keyword)?;
        }
        let keyword = String::from_utf8(keyword);
        keyword
            .map(Value::Keyword)
            .map_err(|_| self.broken("a keyword is not UTF-8"))
    }

    /// The values of a document, in order.
    ///
    /// # Errors
    ///
    /// As [`places`](Self::places).
    pub fn values(&self, document: DocId) -> Result<Vec<Value>> {
        let places = self.places(document)?;
        places.map(|place| self.value(self.code(place)?)).collect()
    }

    /// Calls `visit` with every document that has values, in order, and their codes.
    ///
    /// # Errors
    ///
    /// Those of `visit`, and as [`places`](Self::places).
    pub fn for_each(&self, mut visit: impl FnMut(DocId, &[u64]) -> Result<()>) -> Result<()> {
        let mut codes = Codes::new(&self.values);
        self.for_each_places(|document, places| visit(document, codes.get(places)?))
    }

    /// Calls `visit` with every document that has values, in order, and the places of its values.
    fn for_each_places(
        &self,
        mut visit: impl FnMut(DocId, Range<u64>) -> Result<()>,
    ) -> Result<()> {
        let (mut rank, mut end) = (0, 0);
        let mut each = |document: DocId| {
            let places = self.places_of(rank)?;
            if places.start < end {
                return Err(self.broken("the starts of a column do not rise"));
            }
            (rank, end) = (rank + 1, places.end);
            visit(document, places)
        };
        match &self.with_value {
            Some(with_value) => with_value.for_each(each),
            None => (0..self.documents).try_for_each(&mut each),
        }
    }

    /// Checks everything: blocks, bounds, documents, starts, and that each document's codes rise,
    /// strictly those of keywords.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) at the first that is not as `format-spec/` says.
    pub fn verify(&self) -> Result<()> {
        if let Some(with_value) = &self.with_value {
            with_value.verify()?;
        }
        if let Some(starts) = &self.starts {
            starts.verify()?;
        }
        let documents = self.documents_with_value();
        let has_idle_list = self.with_value.is_some() && documents == self.documents;
        if has_idle_list || self.starts.is_some() && self.shape().count == u64::from(documents) {
            return Err(self.broken("a column has a section that says nothing"));
        }
        self.values.verify(|_| Ok(()))?;
        let is_set = self.column == ColumnType::Keyword;
        self.for_each(|_, codes| {
            let rises = match is_set {
                true => codes.is_sorted_by(|a, b| a < b),
                false => codes.is_sorted(),
            };
            let are_codes = codes
                .iter()
                .all(|code| is_set || self.column.has_codes(*code, *code));
            match rises && are_codes && (1..=MAX_COLUMN_VALUES).contains(&codes.len()) {
                true => Ok(()),
                false => Err(self.broken(
                    "the values of a document are too many, in no order, or stand for nothing",
                )),
            }
        })
    }
}

/// Codes in order, decoded block by block.
struct Codes<'a> {
    values: &'a Numbers,
    /// Decoded, from the place `first` on.
    decoded: Vec<u64>,
    first: u64,
    block: u32,
    spare: Vec<u64>,
}

impl<'a> Codes<'a> {
    fn new(values: &'a Numbers) -> Self {
        Self {
            values,
            decoded: Vec::new(),
            first: 0,
            block: 0,
            spare: Vec::new(),
        }
    }

    /// The codes of the next places, which begin where those before ended or later.
    fn get(&mut self, places: Range<u64>) -> Result<&[u64]> {
        let at = |place: u64, first: u64| usize::try_from(place - first).unwrap_or(usize::MAX);
        while self.first + wide(self.decoded.len()) < places.end {
            // What is before the places is not needed again.
            let done = at(places.start, self.first).min(self.decoded.len());
            self.decoded.drain(..done);
            self.first += wide(done);
            self.values.decode(self.block, &mut self.spare)?;
            self.decoded.extend_from_slice(&self.spare);
            self.block += 1;
        }
        let range = at(places.start, self.first)..at(places.end, self.first);
        Ok(self.decoded.get(range).unwrap_or_default())
    }
}
