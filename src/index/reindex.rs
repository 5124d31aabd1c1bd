//! Indexing the documents of an index again, in another one with another schema.

use super::snapshot::{DocAddress, Snapshot};
use super::writer::IndexWriter;
use crate::error::{Error, Result};
use crate::format::{DocId, FieldKind, Value};
use crate::segment::{Document, SegmentReader};

/// A live document as an index holds it, from which [`Snapshot::reindex`] makes a new one.
#[derive(Debug)]
pub struct HeldDocument<'a> {
    snapshot: &'a Snapshot,
    reader: &'a SegmentReader,
    address: DocAddress,
    id: String,
    stored: Vec<u8>,
}

impl HeldDocument<'_> {
    /// The external id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The stored bytes; empty when nothing was stored.
    pub fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// The values in a column, in order; none when the document has no value.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the index has no such column; [`Error::Corrupt`] when bytes that
    /// must be read are damaged.
    pub fn values(&self, column: &str) -> Result<Vec<Value>> {
        let schema = self.snapshot.schema();
        let field = schema.expect(column, FieldKind::Column)?.number;
        match self.reader.column(field) {
            Some(values) => values.values(self.address.document),
            None => Ok(Vec::new()),
        }
    }

    /// The vector of a dense field as the index keeps it: normalized under cosine, rounded in f16
    /// and i8; `None` when the document has none.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    pub fn vector(&self, field: &str) -> Result<Option<Vec<f32>>> {
        let schema = self.snapshot.schema();
        let field = schema.expect(field, FieldKind::Dense)?.number;
        let Some(vectors) = self.reader.dense(field) else {
            return Ok(None);
        };
        let row = vectors.row_of(self.address.document)?;
        row.map(|row| vectors.numbers(row)).transpose()
    }
}

impl Snapshot {
    /// Adds all live documents of this snapshot to another index, in order, for changes of the
    /// schema that [`Index::change_schema`](crate::Index::change_schema) refuses. `make` returns
    /// the new document for one that is there, or `None` to leave it out. Returns the number of
    /// documents that were added; the caller commits.
    ///
    /// An index does not keep all that a document was made of, so the application says where it
    /// takes what from:
    ///
    /// | field | what can be taken over |
    /// | --- | --- |
    /// | stored | the bytes |
    /// | column | the values |
    /// | dense | the vectors, exactly for f32 |
    /// | text | nothing: from the stored bytes if they hold the text, as the JSON does that is stored for a document without stored bytes |
    /// | sparse | nothing: weights were quantized; encode the text again |
    ///
    /// ```
    /// use esparsa::{Column, Document, Index, Schema, Text};
    ///
    /// let schema = |analyzer| {
    ///     Schema::builder()
    ///         .text("text", Text::new().analyzer(analyzer))
    ///         .column("year", Column::i64())
    ///         .stored("source")
    ///         .build()
    /// };
    /// let old = Index::in_memory(schema("simple")?)?;
    /// let mut writer = old.writer()?;
    /// writer.add(Document::new("etna").with_text("text", "Volcanoes").with("year", 2004))?;
    /// writer.commit()?;
    ///
    /// let new = Index::in_memory(schema("english")?)?;
    /// let mut target = new.writer()?;
    /// old.snapshot()?.reindex(&mut target, |held| {
    ///     let json: serde_json::Value = serde_json::from_slice(held.stored()).unwrap();
    ///     let mut document = Document::new(held.id()).with_stored("source", held.stored());
    ///     if let Some(text) = json["text"].as_str() {
    ///         document = document.with_text("text", text);
    ///     }
    ///     for year in held.values("year")? {
    ///         document = document.with("year", year);
    ///     }
    ///     Ok(Some(document))
    /// })?;
    /// target.commit()?;
    /// let query = esparsa::Query::text("text", "volcano");
    /// assert_eq!(new.snapshot()?.search(&query, 10)?.ids()?, ["etna"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `make` and of [`IndexWriter::add`], and [`Error::Corrupt`] when bytes that must be
    /// read are damaged. What was added before stays in the writer; roll it back, or drop it.
    pub fn reindex(
        &self,
        target: &mut IndexWriter,
        mut make: impl FnMut(&HeldDocument<'_>) -> Result<Option<Document>>,
    ) -> Result<u64> {
        let mut added = 0;
        for (number, segment) in (0..).zip(self.segments()) {
            for_each_stored(&segment.reader, |document, stored| {
                if !segment.is_live(document) {
                    return Ok(());
                }
                let held = HeldDocument {
                    snapshot: self,
                    reader: &segment.reader,
                    address: DocAddress {
                        segment: number,
                        document,
                    },
                    id: segment.reader.ids().id(document)?,
                    stored,
                };
                if let Some(document) = make(&held)? {
                    target.add(document)?;
                    added += 1;
                }
                Ok(())
            })?;
        }
        Ok(added)
    }
}

/// Calls `visit` with every document of a segment and its stored bytes, each block of which is
/// decompressed once.
fn for_each_stored(
    segment: &SegmentReader,
    mut visit: impl FnMut(DocId, Vec<u8>) -> Result<()>,
) -> Result<()> {
    let mut next = 0;
    if let Some(stored) = segment.stored() {
        for block in 0..stored.blocks() {
            for content in stored.documents_of(block)? {
                visit(next, content)?;
                next += 1;
            }
        }
        if next != segment.documents() {
            let expected = segment.documents();
            let message = format!("expected {expected} stored documents, found {next}");
            let file = segment.container().file();
            return Err(Error::corrupt(file, "stored-index", 0, message));
        }
    }
    (next..segment.documents()).try_for_each(|document| visit(document, Vec::new()))
}

#[cfg(test)]
mod tests {
    use crate::{
        Column, Dense, DenseElement, Document, Error, Index, MergePolicy, Query, Schema, Snapshot,
        Text, WriterOptions,
    };

    fn schema(analyzer: &str, size: Column) -> Schema {
        Schema::builder()
            .text("text", Text::new().analyzer(analyzer))
            .column("size", size)
            .dense("exact", Dense::new(2))
            .dense("rounded", Dense::new(2).element(DenseElement::F16))
            .stored("source")
            .build()
            .unwrap()
    }

    fn old() -> Snapshot {
        let index = Index::in_memory(schema("simple", Column::i64())).unwrap();
        let options = WriterOptions::new().merge_policy(MergePolicy::never());
        let mut writer = index.writer_with(options).unwrap();
        for id in 0..600i64 {
            let mut document = Document::new(id.to_string()).with("size", id);
            if id % 3 != 0 {
                document = document.with_text("text", format!("volcanoes w{id}"));
                document = document.with_dense("exact", [id as f32 / 7.0, -0.25]);
                document = document.with_dense("rounded", [id as f32, 0.5]);
            }
            writer.add(document).unwrap();
            if id % 250 == 249 {
                writer.commit().unwrap();
            }
        }
        (0..50).for_each(|id| writer.delete(&(id * 10).to_string()).unwrap());
        writer.commit().unwrap();
        index.snapshot().unwrap()
    }

    #[test]
    fn live_documents_are_indexed_again_with_all_that_is_held_of_them() {
        let old = old();
        assert!(old.segments().len() > 1);
        let new = Index::in_memory(schema("english", Column::f64())).unwrap();
        let mut writer = new.writer().unwrap();
        let added = old.reindex(&mut writer, |held| {
            if held.id() == "7" {
                return Ok(None);
            }
            let json: serde_json::Value = serde_json::from_slice(held.stored()).unwrap();
            assert_eq!(json["_id"], held.id());
            let mut document = Document::new(held.id()).with_stored("source", held.stored());
            for value in held.values("size")? {
                document = document.with("size", value);
            }
            if let Some(text) = json["text"].as_str() {
                document = document.with_text("text", text);
            }
            for field in ["exact", "rounded"] {
                if let Some(vector) = held.vector(field)? {
                    document = document.with_dense(field, vector);
                }
            }
            Ok(Some(document))
        });
        assert_eq!(added.unwrap(), 549);
        writer.commit().unwrap();
        let new = new.snapshot().unwrap();
        assert_eq!(new.documents(), 549);
        assert_eq!(new.count(&Query::text("text", "volcano")).unwrap(), 366);
        assert_eq!(new.count(&Query::range("size", 100.0..200.0)).unwrap(), 90);
        for id in ["1", "8", "599"] {
            assert_eq!(new.get(id).unwrap(), old.get(id).unwrap());
            let id: f32 = id.parse().unwrap();
            for field in ["exact", "rounded"] {
                let query = Query::dense(field, [id, 2.0]);
                let scores = |snapshot: &Snapshot| {
                    let hits = snapshot.search(&query, 10).unwrap();
                    hits.iter()
                        .map(|hit| (hit.id().unwrap(), hit.score))
                        .collect::<Vec<_>>()
                };
                assert_eq!(scores(&new), scores(&old));
            }
        }
    }

    #[test]
    fn an_error_of_a_document_ends_it() {
        let new = Index::in_memory(schema("english", Column::f64())).unwrap();
        let mut writer = new.writer().unwrap();
        let refused = old().reindex(&mut writer, |held| match held.id() {
            "5" => Err(Error::invalid("five")),
            id => Ok(Some(Document::new(id))),
        });
        assert!(refused.unwrap_err().to_string().contains("five"));
        let unknown = old().reindex(&mut writer, |held| {
            held.values("text")?;
            Ok(None)
        });
        assert!(unknown.unwrap_err().is_input());
        let unfit = old().reindex(&mut writer, |held| {
            Ok(Some(Document::new(held.id()).with("size", "large")))
        });
        assert!(unfit.unwrap_err().is_input());
        writer.rollback().unwrap();
        assert_eq!(writer.commit().unwrap().documents, 0);
    }
}
