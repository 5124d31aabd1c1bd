//! The lists of a field over all segments of a snapshot, for other programs.

use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::format::{DocId, FieldKind};
use crate::segment::{DocumentMap, Source, visit_lists};

/// The documents of a term; see [`Snapshot::for_each_list`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TermList<'a> {
    /// The term as stored in the dictionary: UTF-8, or of a sparse field whose terms are numbers 4
    /// bytes, big-endian.
    pub term: &'a [u8],
    /// The documents that have it, rising: live documents are numbered from 0 in the order of
    /// [`Snapshot::for_each_id`].
    pub documents: &'a [DocId],
    /// For each of them the term's frequency in a text field, its quantized weight in a sparse one.
    pub weights: &'a [f32],
}

impl Snapshot {
    /// Calls `visit` with every term of a text or sparse field, in the order of their bytes, and the
    /// documents that have it. Deleted documents are left out.
    ///
    /// ```
    /// use esparsa::{Document, Index, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder().text("text", Text::new()).build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("a").with_text("text", "lava"))?;
    /// writer.add(Document::new("b").with_text("text", "ash lava lava"))?;
    /// writer.commit()?;
    ///
    /// let (snapshot, mut ids, mut lists) = (index.snapshot()?, Vec::new(), Vec::new());
    /// snapshot.for_each_id(|id| {
    ///     ids.push(id.to_owned());
    ///     Ok(())
    /// })?;
    /// snapshot.for_each_list("text", |list| {
    ///     lists.push((list.term.to_vec(), list.documents.to_vec(), list.weights.to_vec()));
    ///     Ok(())
    /// })?;
    /// assert_eq!(ids, ["a", "b"]);
    /// assert_eq!(lists[0], (b"ash".to_vec(), vec![1], vec![1.0]));
    /// assert_eq!(lists[1], (b"lava".to_vec(), vec![0, 1], vec![1.0, 2.0]));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `visit`; [`Error::InvalidInput`] when there is no such field, or it has no terms;
    /// [`Error::Corrupt`] when bytes that must be read are damaged.
    pub fn for_each_list(
        &self,
        field: &str,
        mut visit: impl FnMut(&TermList<'_>) -> Result<()>,
    ) -> Result<()> {
        let known = self.schema().field(field);
        let has_lists = |kind| matches!(kind, FieldKind::Text | FieldKind::Sparse);
        let Some(known) = known.filter(|known| has_lists(known.options.kind())) else {
            let message = "expected a text or sparse field, found none of this name";
            return Err(Error::invalid(message).in_field(field));
        };
        let mut base = 0;
        let (mut sources, mut maps) = (Vec::new(), Vec::new());
        for segment in self.segments() {
            let deleted = segment.deleted.as_deref();
            sources.push(Source::Segment(&segment.reader, deleted));
            let map = DocumentMap::new(base, segment.reader.documents(), deleted);
            base += map.kept();
            maps.push(map);
        }
        visit_lists(&sources, &maps, known, &mut |term, documents, weights| {
            visit(&TermList {
                term,
                documents,
                weights,
            })
        })
    }

    /// Calls `visit` with the external id of every live document, in the order in which
    /// [`for_each_list`](Self::for_each_list) numbers them.
    ///
    /// # Errors
    ///
    /// Those of `visit`, and [`Error::Corrupt`] when bytes that must be read are damaged.
    pub fn for_each_id(&self, mut visit: impl FnMut(&str) -> Result<()>) -> Result<()> {
        for segment in self.segments() {
            for document in 0..segment.reader.documents() {
                if segment.is_live(document) {
                    visit(&segment.reader.ids().id(document)?)?;
                }
            }
        }
        Ok(())
    }
}
