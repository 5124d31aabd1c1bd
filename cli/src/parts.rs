//! The size of an index on disk by component.

use std::fmt::Write;

use esparsa::Snapshot;
use serde::Serialize;

use crate::size::Size;

/// Bytes on disk of the files that one commit names, without the manifest itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    /// Postings lists, with term frequencies or impacts.
    pub postings: u64,
    /// Positions of terms in texts.
    pub positions: u64,
    /// Dictionaries of terms.
    pub terms: u64,
    /// Lengths of documents.
    pub lengths: u64,
    /// External ids.
    pub ids: u64,
    /// Vectors of dense fields.
    pub vectors: u64,
    /// Columns.
    pub columns: u64,
    /// Stored documents.
    pub stored: u64,
    /// Headers, checksums, statistics and deletes.
    pub other: u64,
    /// All of it.
    pub total: u64,
}

impl Parts {
    /// Adds up the sections of a snapshot's segments.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut parts = Self::default();
        for segment in snapshot.segment_statistics() {
            for section in &segment.sections {
                let bytes = section.bytes;
                match section.name.as_str() {
                    "postings" | "impacts" => parts.postings += bytes,
                    "positions" => parts.positions += bytes,
                    "terms" => parts.terms += bytes,
                    "lengths" => parts.lengths += bytes,
                    "ids" | "id-order" => parts.ids += bytes,
                    "vectors" | "vector-scales" | "vector-documents" => parts.vectors += bytes,
                    name if name.starts_with("column-") => parts.columns += bytes,
                    "stored" | "stored-index" => parts.stored += bytes,
                    _ => {}
                }
            }
            parts.total += segment.bytes + segment.deletes_bytes;
        }
        let lists = parts.postings + parts.positions + parts.terms + parts.lengths + parts.vectors;
        let named = lists + parts.ids + parts.columns + parts.stored;
        parts.other = parts.total.saturating_sub(named);
        parts
    }

    /// The parts as text, such as `1.2 MB on disk: postings 900.0 kB, …`.
    pub fn describe(&self) -> String {
        let mut text = format!("{} on disk: ", Size(self.total));
        let parts = [
            ("postings", self.postings),
            ("positions", self.positions),
            ("terms", self.terms),
            ("lengths", self.lengths),
            ("ids", self.ids),
            ("vectors", self.vectors),
            ("columns", self.columns),
            ("stored documents", self.stored),
            ("other", self.other),
        ];
        // Few indexes have these.
        let is_rare = |name: &str| matches!(name, "positions" | "vectors" | "columns");
        let parts = parts.into_iter();
        let parts = parts.filter(|(name, bytes)| *bytes > 0 || !is_rare(name));
        for (place, (name, bytes)) in parts.enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}{name} {}", Size(bytes));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use esparsa::{Dense, Document, Index, Schema, Sparse, Text};

    #[test]
    fn parts_add_up_to_the_files() {
        let schema = Schema::builder()
            .text("text", Text::new().analyzer("en").positions())
            .sparse("sparse", Sparse::new().expected_max(2.0))
            .dense("dense", Dense::new(2))
            .stored("source")
            .build()
            .unwrap();
        let index = Index::in_memory(schema).unwrap();
        let mut writer = index.writer().unwrap();
        for id in ["a", "b", "c", "d"] {
            let document = Document::new(id).with_text("text", "lava and ash");
            let document = document.with_sparse("sparse", [("lava", 1.0)]);
            writer
                .add(document.with_dense("dense", [1.0, 2.0]))
                .unwrap();
        }
        writer.commit().unwrap();
        writer.delete("a").unwrap();
        writer.commit().unwrap();

        let parts = Parts::of(&index.snapshot().unwrap());
        let named = [
            parts.postings,
            parts.positions,
            parts.terms,
            parts.lengths,
            parts.ids,
            parts.vectors,
            parts.stored,
        ];
        assert!(named.iter().all(|bytes| *bytes > 0), "{parts:?}");
        assert_eq!(named.iter().sum::<u64>() + parts.other, parts.total);
        let snapshot = index.snapshot().unwrap();
        let segment = &snapshot.segment_statistics()[0];
        assert!(segment.deletes_bytes > 0);
        assert_eq!(parts.total, segment.bytes + segment.deletes_bytes);
        assert!(
            parts.describe().contains(" on disk: postings "),
            "{}",
            parts.describe()
        );
    }
}
