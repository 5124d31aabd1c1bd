//! Fusion of the results of several searches in one snapshot.

use std::borrow::Borrow;

use super::fusion::Fusion;
use crate::error::{Error, Result};
use crate::index::{DocAddress, Snapshot};
use crate::query::Hits;

impl Fusion {
    /// Fuses results of several searches for one query in one snapshot, such as searches of two
    /// fields.
    ///
    /// Ties go to the lower address, as in search.
    ///
    /// ```
    /// use esparsa::rank::Fusion;
    /// use esparsa::{Document, Index, Query, Schema, Text};
    ///
    /// let schema = Schema::builder()
    ///     .text("title", Text::new().analyzer("english"))
    ///     .text("body", Text::new().analyzer("english"))
    ///     .build()?;
    /// let index = Index::in_memory(schema)?;
    /// let mut writer = index.writer()?;
    /// let document = |id, title, body| {
    ///     Document::new(id).with_text("title", title).with_text("body", body)
    /// };
    /// writer.add(document("etna", "Etna", "A volcano in Sicily."))?;
    /// writer.add(document("arc", "Volcanic arc", "A chain of volcanoes."))?;
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// let search = |field| snapshot.search(&Query::text(field, "volcano"), 100);
    /// let hits = Fusion::reciprocal_rank().k(10).fuse_hits(&[search("title")?, search("body")?])?;
    /// assert_eq!(hits.len(), 2);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// Snapshots of the same segments count as one: a document that was deleted between two searches
    /// stays in the fused list if the first found it.
    ///
    /// # Errors
    ///
    /// Those of [`Fusion::fuse`]; [`Error::InvalidInput`] when the lists are not of one snapshot, and
    /// when a fused score is beyond the range of f32.
    pub fn fuse_hits<L: Borrow<Hits>>(&self, lists: &[L]) -> Result<Hits> {
        let hits = || lists.iter().map(Borrow::borrow);
        check_snapshots(hits().filter_map(Hits::snapshot))?;
        let scored = |(address, score): &(DocAddress, f32)| (*address, f64::from(*score));
        let scored = hits().map(|hits| hits.scored().iter().map(scored).collect());
        let fused = self.fuse(&scored.collect::<Vec<Vec<_>>>())?.into_iter();
        let Some(first) = hits().find(|hits| hits.snapshot().is_some()) else {
            return Ok(Hits::default());
        };
        let narrow = |(address, score): (DocAddress, f64)| {
            let narrow = score as f32;
            if narrow.is_finite() {
                return Ok((address, narrow));
            }
            let id = first.snapshot().map(|snapshot| snapshot.id(address));
            Err(Error::invalid(format!(
                "the fused score of `{}` is {score:e}, beyond the range of f32; normalize the scores, or lower the weights",
                id.transpose()?.unwrap_or_default()
            )))
        };
        Ok(first.with_scored(fused.map(narrow).collect::<Result<_>>()?))
    }
}

/// Refuses snapshots in which one address may mean different documents. Snapshots that differ only
/// in deletes have the same addresses.
pub(super) fn check_snapshots<'a>(mut snapshots: impl Iterator<Item = &'a Snapshot>) -> Result<()> {
    let files = |snapshot: &'a Snapshot| {
        let segments = snapshot.segments().iter();
        segments.map(|segment| (segment.entry.number, segment.entry.stamp))
    };
    let Some(first) = snapshots.next() else {
        return Ok(());
    };
    let is_other =
        |other: &&'a Snapshot| !std::ptr::eq(first, *other) && !files(first).eq(files(other));
    match snapshots.find(is_other) {
        None => Ok(()),
        Some(other) => Err(Error::invalid(format!(
            "expected hits of one snapshot, found hits of commits {} and {}; search both fields in the same snapshot",
            first.commit(),
            other.commit()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::Normalization;
    use crate::{Document, Index, Schema, Text};

    /// A snapshot of documents with these ids.
    fn snapshot(ids: &[&str]) -> Snapshot {
        let schema = Schema::builder().text("text", Text::new()).build();
        let index = Index::in_memory(schema.unwrap()).unwrap();
        let mut writer = index.writer().unwrap();
        for id in ids {
            writer.add(Document::new(*id)).unwrap();
        }
        writer.commit().unwrap();
        index.snapshot().unwrap()
    }

    fn hits(snapshot: &Snapshot, scored: &[(u32, f32)]) -> Hits {
        let scored = scored.iter().map(|(document, score)| {
            let address = DocAddress {
                segment: 0,
                document: *document,
            };
            (address, *score)
        });
        Hits::new(snapshot.clone(), scored.collect())
    }

    #[test]
    fn hits_keep_their_documents_and_ties_go_to_the_lower_address() {
        let snapshot = snapshot(&["a", "b", "c"]);
        let words = hits(&snapshot, &[(2, 9.0), (0, 2.0)]);
        let vectors = hits(&snapshot, &[(0, 0.7), (2, 0.6), (1, 0.5)]);
        let fused = Fusion::reciprocal_rank().fuse_hits(&[words, vectors]);
        let fused = fused.unwrap();
        let score = (1.0 / 61.0 + 1.0 / 62.0) as f32;
        let last = (1.0 / 63.0) as f32;
        assert_eq!(fused, hits(&snapshot, &[(0, score), (2, score), (1, last)]));
        assert_eq!(fused.ids().unwrap(), ["a", "c", "b"]);
    }

    #[test]
    fn hits_of_two_snapshots_are_refused() {
        let (one, other) = (snapshot(&["a"]), snapshot(&["b"]));
        let lists = [hits(&one, &[(0, 1.0)]), hits(&other, &[(0, 1.0)])];
        let error = Fusion::default().fuse_hits(&lists).unwrap_err().to_string();
        assert!(error.contains("expected hits of one snapshot"), "{error}");
        assert!(Fusion::default().fuse_hits(&lists[..1]).is_ok());
        let nothing = Fusion::default().fuse_hits(&[Hits::default()]);
        assert!(nothing.unwrap().is_empty());
    }

    #[test]
    fn scores_beyond_32_bit_numbers_are_refused() {
        let snapshot = snapshot(&["a"]);
        let lists = [f32::MAX; 2].map(|score| hits(&snapshot, &[(0, score)]));
        let fusion = Fusion::weighted_sum(Normalization::None);
        let error = fusion.fuse_hits(&lists).unwrap_err().to_string();
        assert!(error.contains("`a` is 6.8"), "{error}");
        assert!(Fusion::default().fuse_hits(&lists).is_ok());
    }

    #[test]
    fn snapshots_that_differ_in_deletes_alone_are_fused() {
        let schema = Schema::builder().text("text", Text::new()).build();
        let index = Index::in_memory(schema.unwrap()).unwrap();
        let mut writer = index.writer().unwrap();
        let ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
        for id in ids {
            writer
                .add(Document::new(id).with_text("text", "lava"))
                .unwrap();
        }
        writer.commit().unwrap();
        let search = || {
            let snapshot = index.snapshot().unwrap();
            snapshot
                .search(&crate::Query::text("text", "lava"), 10)
                .unwrap()
        };
        let before = search();
        writer.delete("a").unwrap();
        writer.commit().unwrap();
        let after = search();
        assert_eq!((before.len(), after.len()), (8, 7));
        let fused = Fusion::reciprocal_rank()
            .fuse_hits(&[before, after])
            .unwrap();
        let mut fused_ids = fused.ids().unwrap();
        fused_ids.sort_unstable();
        assert_eq!(fused_ids, ids);
        writer
            .add(Document::new("i").with_text("text", "lava"))
            .unwrap();
        writer.commit().unwrap();
        let refused = Fusion::reciprocal_rank().fuse_hits(&[fused, search()]);
        assert!(refused.is_err());
    }
}
