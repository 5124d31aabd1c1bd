//! Columns: the codes of documents' values, in the order of the documents of the segment that is
//! written.
//!
//! Writing goes over all values three times: which keywords are left, then how many values there
//! are and within which bounds, then the values. No more than a block of values is held, beside a
//! number for each keyword of each source and, when documents are put in another order, where each
//! comes from, four bytes a document.

mod merge;

use std::borrow::Cow;
use std::io::Write;

use super::Stages;
use crate::error::{Error, Result};
use crate::format::column::{ColumnSections, ColumnType, ColumnValues, Value};
use crate::format::dictionary::{Dictionary, Payload};
use crate::format::limits::{MAX_COLUMN_VALUES, MAX_KEYWORD_BYTES};
use crate::format::schema::{Column, Field};
use crate::format::segment_info::FieldStatistics;
use crate::format::{FieldKind, FieldNumber, count32, index32, wide};
use crate::segment::document::Document;
use crate::segment::interner::{Interner, Strings};
use crate::segment::reader::{FieldSections, SegmentReader};
use crate::segment::write::SegmentWriter;
use crate::text::Analyzer;

pub(in crate::segment) struct Kind;

/// Makes codes of the values of a batch.
pub(in crate::segment) struct Inverter {
    name: String,
    column: ColumnType,
}

/// A column of a batch.
pub(in crate::segment) struct Inverted {
    /// Where the codes of each document begin, and the end of the last's.
    starts: Vec<u32>,
    codes: Vec<u64>,
    /// The keywords of a column of keywords, in order: codes are their places.
    keywords: Strings,
}

impl Inverted {
    fn codes_of(&self, document: u32) -> &[u64] {
        let at = |place: usize| self.starts.get(place).map_or(0, |start| *start as usize);
        let place = document as usize;
        let codes = self.codes.get(at(place)..at(place + 1));
        codes.unwrap_or_default()
    }
}

impl Stages for Kind {
    type Options = Column;
    type Value = Value;
    type Inverter = Inverter;
    type Inverted = Inverted;
    type Reader = Box<ColumnValues>;

    fn value_bytes(value: &Value) -> usize {
        match value {
            Value::Keyword(keyword) => keyword.len(),
            _ => 8,
        }
    }

    fn check(document: &Document, field: &Field, options: &Column) -> Result<()> {
        let mut count = 0;
        for value in document.values_of::<Self>(&field.name) {
            let converted = options.column_type.convert(value);
            converted.map_err(|error| named(error, document, field))?;
            count += 1;
        }
        if count > 1 && !options.several {
            let message = format!(
                "expected at most one value for this column, found {count}; give the column the option `several`"
            );
            return Err(Error::invalid(message).in_field(&field.name));
        }
        let (found, limit) = (wide(count), wide(MAX_COLUMN_VALUES));
        match found > limit {
            true => {
                let error = Error::limit("number of values", found, limit);
                Err(named(error, document, field))
            }
            false => Ok(()),
        }
    }

    fn inverter(
        field: &Field,
        options: &Column,
        _: &mut std::slice::Iter<'_, Analyzer>,
    ) -> Option<Inverter> {
        Some(Inverter {
            name: field.name.clone(),
            column: options.column_type,
        })
    }

    fn invert(inverter: &mut Inverter, documents: &[Document], _: usize) -> Result<Inverted> {
        let mut keywords = Interner::default();
        let mut inverted = Inverted {
            starts: Vec::with_capacity(documents.len() + 1),
            codes: Vec::new(),
            keywords: Strings::default(),
        };
        inverted.starts.push(0);
        for document in documents {
            for value in document.values_of::<Self>(&inverter.name) {
                let value = match value {
                    Value::Keyword(_) if inverter.column == ColumnType::Keyword => {
                        Cow::Borrowed(value)
                    }
                    value => Cow::Owned(inverter.column.convert(value)?),
                };
                let code = match &*value {
                    Value::Keyword(keyword) => u64::from(keywords.intern(keyword.as_bytes()).0),
                    value => inverter.column.code_of(value).unwrap_or(0),
                };
                inverted.codes.push(code);
            }
            inverted.starts.push(index32(inverted.codes.len()));
        }
        count32("values of a column of a batch", inverted.codes.len())?;
        keywords.check()?;
        if inverter.column == ColumnType::Keyword {
            inverted.sort_keywords(&keywords);
        }
        inverted.sort_values(inverter.column == ColumnType::Keyword);
        Ok(inverted)
    }

    fn memory(inverted: &Inverted) -> usize {
        4 * inverted.starts.len() + 8 * inverted.codes.len() + inverted.keywords.memory()
    }

    fn write<W: Write>(
        writer: &mut SegmentWriter<'_, W>,
        field: &Field,
        options: &Column,
    ) -> Result<()> {
        writer.column(field.number, options.column_type)
    }

    fn open(sections: &FieldSections<'_>, options: &Column) -> Result<Box<ColumnValues>> {
        let keywords = sections.find("column-keywords");
        let keywords = keywords.map(|section| Dictionary::open(section, Payload::None));
        let opened = ColumnValues::open(
            options.column_type,
            sections.documents,
            ColumnSections {
                values: sections.section("column-values")?,
                documents: sections.find("column-documents"),
                starts: sections.find("column-starts"),
                keywords: keywords.transpose()?,
            },
        )?;
        if opened.has_several() && !options.several {
            let number = sections.field.number;
            let message = format!("column {number} has several values of a document, but may not");
            return Err(sections.corrupt(message));
        }
        Ok(Box::new(opened))
    }

    fn verify(
        segment: &SegmentReader,
        field: FieldNumber,
        reader: &Box<ColumnValues>,
    ) -> Result<FieldStatistics> {
        reader.verify()?;
        if let Some(keywords) = reader.keywords() {
            verify_keywords(segment, reader, keywords)?;
        }
        Ok(statistics(
            field,
            reader.keywords().map_or(0, Dictionary::len),
            reader.shape().count,
            reader.documents_with_value(),
        ))
    }
}

impl Inverted {
    /// Puts the keywords in order, and makes codes of their places.
    fn sort_keywords(&mut self, keywords: &Interner) {
        let count = self.codes.iter().max().map_or(0, |max| max + 1);
        let mut order: Vec<u32> = (0..count).map(index32).collect();
        order.sort_unstable_by_key(|number| keywords.get(*number));
        let mut places = vec![0u64; order.len()];
        for (place, number) in (0..).zip(&order) {
            self.keywords.push(keywords.get(*number));
            if let Some(slot) = places.get_mut(*number as usize) {
                *slot = place;
            }
        }
        for code in &mut self.codes {
            let place = usize::try_from(*code).ok();
            let place = place.and_then(|code| places.get(code));
            *code = place.copied().unwrap_or(0);
        }
    }

    /// Puts the codes of each document in order, each once if they are a set.
    fn sort_values(&mut self, is_set: bool) {
        let (mut kept, mut start) = (0, 0);
        for end in self.starts.iter_mut().skip(1) {
            let codes = self.codes.get_mut(start..*end as usize);
            codes.unwrap_or_default().sort_unstable();
            let mut last = None;
            for place in start..*end as usize {
                let code = self.codes.get(place).copied().unwrap_or(0);
                if is_set && last == Some(code) {
                    continue;
                }
                last = Some(code);
                if let Some(slot) = self.codes.get_mut(kept) {
                    *slot = code;
                }
                kept += 1;
            }
            start = *end as usize;
            *end = index32(kept);
        }
        self.codes.truncate(kept);
    }
}

/// The error, with the column and, for a limit, the document.
fn named(error: Error, document: &Document, field: &Field) -> Error {
    match error {
        Error::Limit {
            what, found, limit, ..
        } => {
            let (id, name) = (document.id(), &field.name);
            let what = format!("{what} in column `{name}` of document `{id}`");
            Error::limit(what, found, limit)
        }
        error => error.in_field(&field.name),
    }
}

fn statistics(field: FieldNumber, keywords: u64, values: u64, documents: u32) -> FieldStatistics {
    FieldStatistics {
        terms: keywords,
        postings: values,
        documents,
        ..FieldStatistics::new(field, FieldKind::Column)
    }
}

/// Checks that keywords rise, and that each is of some document.
fn verify_keywords(
    segment: &SegmentReader,
    reader: &ColumnValues,
    keywords: &Dictionary,
) -> Result<()> {
    let broken = |message: &str| Err(segment.broken("column-keywords", message));
    let mut iter = keywords.iter();
    let mut last: Option<Vec<u8>> = None;
    while iter.advance()? {
        if last.as_deref() >= Some(iter.key()) {
            return broken("keywords do not rise");
        }
        last = Some(iter.key().to_vec());
        if std::str::from_utf8(iter.key()).is_err() || iter.key().len() > MAX_KEYWORD_BYTES {
            return broken("a keyword is not UTF-8, or too long");
        }
    }
    let mut used = merge::Marks::new(keywords.len())?;
    reader.for_each(|_, codes| {
        codes.iter().for_each(|code| used.mark(*code));
        Ok(())
    })?;
    match used.count() == keywords.len() {
        true => Ok(()),
        false => broken("no document has one of the keywords"),
    }
}

#[cfg(test)]
mod tests;
