//! The terms of a text field, or the keywords of a column, over all segments.

use super::super::in_field::field_of_terms;
use super::super::matching_terms::TermPattern;
use super::Suggestion;
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::format::column::{ColumnCursor, ColumnValues};
use crate::format::{DocId, FieldKind, FieldNumber};
use crate::index::Snapshot;
use crate::segment::SegmentReader;
use crate::text::Analyzer;

/// Terms or keywords, which are sorted by their bytes in each segment.
pub(super) struct Vocabulary<'a> {
    snapshot: &'a Snapshot,
    field: FieldNumber,
    kind: FieldKind,
}

impl<'a> Vocabulary<'a> {
    /// The terms of a text field or the keywords of a column.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when there is no such field or it has
    /// neither.
    pub fn new(snapshot: &'a Snapshot, name: &str) -> Result<Self> {
        let field = field_of_terms(snapshot, name);
        let (field, options) = field.map_err(|error| error.in_field(name))?;
        Ok(Self {
            snapshot,
            field,
            kind: options.kind(),
        })
    }

    /// The analyzer of a text field; `None` of a column.
    pub fn analyzer(&self) -> Result<Option<&'a Analyzer>> {
        match self.kind {
            FieldKind::Text => self.snapshot.expect_analyzer(self.field).map(Some),
            _ => Ok(None),
        }
    }

    /// The beginning of a word as the terms have it; of a column, unchanged.
    pub fn normalize(&self, prefix: &str) -> Result<String> {
        let analyzer = self.analyzer()?;
        Ok(analyzer.map_or_else(|| prefix.to_owned(), |analyzer| analyzer.normalize(prefix)))
    }

    /// How many documents have a term, deleted ones included.
    pub fn documents(&self, term: &str) -> Result<u64> {
        let mut documents = 0;
        for segment in self.snapshot.segments() {
            let reader = &segment.reader;
            if let Some(text) = reader.text(self.field) {
                let entry = text.terms.term(term.as_bytes())?;
                documents += entry.map_or(0, |entry| u64::from(entry.document_frequency));
            } else if let Some(column) = reader.column(self.field)
                && let Some(keywords) = column.keywords()
                && let Some(code) = keywords.ordinal(term.as_bytes())?
            {
                documents += u64::from(column.in_set(&[code])?.count());
            }
        }
        Ok(documents)
    }

    /// The terms of a pattern, in the order of their bytes.
    pub fn matching(&self, pattern: &TermPattern) -> Result<Vec<Suggestion>> {
        let mut found = Vec::new();
        for segment in self.snapshot.segments() {
            self.of_segment(&segment.reader, pattern, &mut found)?;
        }
        if self.snapshot.segments().len() > 1 {
            merge(&mut found);
        }
        Ok(found)
    }

    /// Appends the terms of a pattern in one segment.
    fn of_segment(
        &self,
        reader: &SegmentReader,
        pattern: &TermPattern,
        found: &mut Vec<Suggestion>,
    ) -> Result<()> {
        if let Some(text) = reader.text(self.field) {
            return pattern.for_each(&text.terms, |term| {
                let documents = term.entry.map_or(0, |entry| entry.document_frequency);
                found.push(Suggestion {
                    text: text.terms.text(term.key)?.to_owned(),
                    documents: u64::from(documents),
                    weight: None,
                    edits: term.edits,
                });
                Ok(())
            });
        }
        let Some(column) = reader.column(self.field) else {
            return Ok(());
        };
        let Some(keywords) = column.keywords() else {
            return Ok(());
        };
        let (mut codes, first) = (Vec::new(), found.len());
        pattern.for_each(keywords, |keyword| {
            codes.push(keyword.ordinal);
            found.push(Suggestion {
                text: keywords.text(keyword.key)?.to_owned(),
                documents: 0,
                weight: None,
                edits: keyword.edits,
            });
            Ok(())
        })?;
        let with_keyword = column.in_set(&codes)?;
        each_code(column, &codes, &with_keyword, |_, index| {
            if let Some(suggestion) = found.get_mut(first + index) {
                suggestion.documents += 1;
            }
            Ok(())
        })
    }
}

/// Adds up what segments have of the same terms.
fn merge(found: &mut Vec<Suggestion>) {
    // The list of each segment is in order already, which this sort makes use of.
    found.sort_by(|a, b| a.text.cmp(&b.text));
    found.dedup_by(|next, kept| {
        let is_same = next.text == kept.text;
        if is_same {
            kept.documents += next.documents;
        }
        is_same
    });
}

/// Calls `visit` with each of these documents and each of the codes that it has, by its index among
/// `codes`, which rise.
pub(super) fn each_code(
    column: &ColumnValues,
    codes: &[u64],
    documents: &DocSet,
    mut visit: impl FnMut(DocId, usize) -> Result<()>,
) -> Result<()> {
    let mut cursor = ColumnCursor::new(column);
    for document in documents.iter() {
        for code in cursor.codes(document)? {
            if let Ok(index) = codes.binary_search(code) {
                visit(document, index)?;
            }
        }
    }
    Ok(())
}
