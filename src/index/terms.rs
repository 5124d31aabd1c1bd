//! The terms of a field over all segments of a snapshot.

use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::format::FieldKind;
use crate::format::dictionary::{Dictionary, DictionaryIter};

/// A term, and the number of documents that have it; see [`Snapshot::terms`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TermCount {
    /// The term as stored in the dictionary.
    pub term: Vec<u8>,
    /// Number of documents that have it, deleted ones included.
    pub documents: u64,
}

impl Snapshot {
    /// The first `limit` terms of `field` that begin with `prefix`, in the order of their bytes.
    ///
    /// ```
    /// use esparsa::{Document, Index, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder().text("text", Text::new()).build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("1").with_text("text", "lava lake"))?;
    /// writer.add(Document::new("2").with_text("text", "lava dome"))?;
    /// writer.commit()?;
    /// let terms = index.snapshot()?.terms("text", b"la", 10)?;
    /// assert_eq!((terms[1].term.as_slice(), terms[1].documents), (&b"lava"[..], 2));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is no such field or it has no terms; [`Error::Corrupt`]
    /// when a dictionary is damaged.
    pub fn terms(&self, field: &str, prefix: &[u8], limit: usize) -> Result<Vec<TermCount>> {
        let schema = self.schema();
        let known = schema
            .expect(field, FieldKind::Text)
            .or_else(|_| schema.expect(field, FieldKind::Sparse));
        let Ok(known) = known else {
            let names = schema.fields().iter().map(|field| field.name.as_str());
            let names: Vec<&str> = names.collect();
            let message = format!(
                "no text or sparse field has this name; the index has the fields {}",
                names.join(", ")
            );
            return Err(Error::invalid(message).in_field(field));
        };
        let mut streams = Vec::new();
        for segment in self.segments() {
            if let Some(reader) = segment.reader.field(known.number)
                && let Some(terms) = reader.terms()
            {
                streams.extend(TermStream::start(terms, prefix)?);
            }
        }
        merge(streams, prefix, limit)
    }
}

/// A cursor over the terms of one dictionary.
struct TermStream<'a> {
    terms: DictionaryIter<'a>,
    documents: u64,
}

impl<'a> TermStream<'a> {
    /// A stream positioned on the first term that is not below `prefix`, if there is one.
    fn start(dictionary: &'a Dictionary, prefix: &[u8]) -> Result<Option<Self>> {
        let mut stream = Self {
            terms: dictionary.iter(),
            documents: 0,
        };
        while stream.advance()? {
            if stream.terms.key() >= prefix {
                return Ok(Some(stream));
            }
        }
        Ok(None)
    }

    fn advance(&mut self) -> Result<bool> {
        let entry = self.terms.next_term()?;
        self.documents = entry
            .as_ref()
            .map_or(0, |entry| u64::from(entry.document_frequency));
        Ok(entry.is_some())
    }
}

/// Merges the streams. There are few of them, so a linear scan for the min term beats a heap.
fn merge(mut streams: Vec<TermStream<'_>>, prefix: &[u8], limit: usize) -> Result<Vec<TermCount>> {
    let mut found = Vec::new();
    while found.len() < limit {
        let min = streams.iter().map(|stream| stream.terms.key()).min();
        let Some(term) = min.filter(|term| term.starts_with(prefix)) else {
            break;
        };
        let term = term.to_vec();
        let mut documents = 0;
        let mut rest = Vec::with_capacity(streams.len());
        for mut stream in streams {
            if stream.terms.key() != term {
                rest.push(stream);
                continue;
            }
            documents += stream.documents;
            if stream.advance()? {
                rest.push(stream);
            }
        }
        streams = rest;
        found.push(TermCount { term, documents });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Index, Schema, Sparse, Text};

    fn snapshot() -> Snapshot {
        let schema = Schema::builder()
            .text("text", Text::new())
            .sparse("sparse", Sparse::new().expected_max(2.0))
            .stored("source")
            .build()
            .unwrap();
        let index = Index::in_memory(schema).unwrap();
        let mut writer = index.writer().unwrap();
        for (id, text) in [("1", "ash lava"), ("2", "lava lake"), ("3", "lava basalt")] {
            let document = Document::new(id).with_text("text", text);
            writer
                .add(document.with_sparse("sparse", [(text, 1.0)]))
                .unwrap();
            writer.commit().unwrap();
        }
        index.snapshot().unwrap()
    }

    fn listed(field: &str, prefix: &str, limit: usize) -> Vec<(String, u64)> {
        let terms = snapshot().terms(field, prefix.as_bytes(), limit).unwrap();
        let shown = |entry: TermCount| (String::from_utf8(entry.term).unwrap(), entry.documents);
        terms.into_iter().map(shown).collect()
    }

    #[test]
    fn terms_of_all_segments_are_one_sorted_list() {
        let all = listed("text", "", 50);
        let expected = [("ash", 1), ("basalt", 1), ("lake", 1), ("lava", 3)];
        let expected: Vec<_> = expected.map(|(t, n)| (t.to_owned(), n)).into();
        assert_eq!(all, expected);
        assert_eq!(listed("text", "", 2), expected[..2]);
        assert_eq!(listed("text", "la", 50), expected[2..]);
        assert!(listed("text", "zebra", 50).is_empty());
        assert_eq!(listed("sparse", "lava ", 50).len(), 2);
    }

    #[test]
    fn only_fields_with_terms_can_be_listed() {
        for field in ["source", "title"] {
            let error = snapshot().terms(field, b"", 1).unwrap_err();
            assert!(
                error.to_string().contains("text, sparse, source"),
                "{error}"
            );
        }
    }
}
