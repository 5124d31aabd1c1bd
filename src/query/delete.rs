//! Deleting the documents that match a query.

use super::matching::Matcher;
use super::options::SearchOptions;
use super::request::{Query, QueryKind};
use crate::error::{Error, Result};
use crate::index::IndexWriter;

impl IndexWriter {
    /// Deletes every document that matches a query with its filters, and returns how many there
    /// were. As with [`delete`](Self::delete), the change becomes visible with the next
    /// [`commit`](Self::commit).
    ///
    /// It deletes what matches now: documents of earlier commits, and those that this writer has
    /// added and not committed yet, but none that is added later. Scores do not matter, and a query
    /// of many terms matches like [`Snapshot::count`](crate::Snapshot::count) counts.
    ///
    /// ```
    /// use esparsa::{Column, Document, Index, Query, Schema};
    ///
    /// let index = Index::in_memory(Schema::builder().column("year", Column::i64()).build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("old").with("year", 1998))?;
    /// writer.commit()?;
    /// writer.add(Document::new("older").with("year", 1991))?;
    /// writer.add(Document::new("new").with("year", 2024))?;
    /// assert_eq!(writer.delete_matching(&Query::range("year", ..2000))?, 2);
    /// assert_eq!(writer.commit()?.documents, 1);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// Documents that wait to be written become a segment first, so a load that deletes by query
    /// after every few documents makes many small segments, which are merged in the background.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) or [`Error::Limit`](crate::Error::Limit)
    /// when the query does not fit the schema or is a vector, which all documents with one match, and [`Error::Corrupt`](crate::Error::Corrupt) when
    /// bytes that must be read are damaged; nothing is deleted then, and the writer stays usable.
    /// Otherwise as [`commit`](Self::commit).
    pub fn delete_matching(&mut self, query: &Query) -> Result<u64> {
        self.delete_found(|snapshot| {
            if matches!(query.kind, QueryKind::Dense(_)) {
                let message = "expected a query that some documents match, found a vector: every document with one \
                               matches it; ask for `exists` if all of them are meant";
                return Err(Error::invalid(message).in_field(&query.field));
            }
            let options = SearchOptions::new(1);
            snapshot.check_query(query, &options)?;
            let matcher = Matcher::new(snapshot, query, &options)?;
            let segments = 0..snapshot.segments().len();
            segments.map(|ordinal| matcher.documents(ordinal)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use crate::{
        Column, Document, Index, IndexWriter, MergePolicy, Query, Schema, Snapshot, Text,
        WriterOptions,
    };

    fn schema() -> Schema {
        Schema::builder()
            .text("text", Text::new())
            .column("size", Column::i64())
            .stored("source")
            .build()
            .unwrap()
    }

    fn document(id: u32, word: u32, size: i64) -> Document {
        Document::new(format!("id{id}"))
            .with_text("text", format!("all w{word}"))
            .with("size", size)
            .with_stored("source", format!("{word}/{size}"))
    }

    fn contents(snapshot: &Snapshot) -> BTreeMap<String, (u32, i64)> {
        let mut found = BTreeMap::new();
        for hit in snapshot.search(&Query::all(), 10_000).unwrap().iter() {
            let stored = String::from_utf8(hit.stored().unwrap()).unwrap();
            let (word, size) = stored.split_once('/').unwrap();
            let value = (word.parse().unwrap(), size.parse().unwrap());
            found.insert(hit.id().unwrap(), value);
        }
        assert_eq!(snapshot.documents(), found.len() as u64);
        found
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u32, u32, i64),
        DeleteWord(u32),
        DeleteSizes(i64),
        DeleteBoth(u32, i64),
        Commit,
        Rollback,
        Merge,
        Reopen,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => (0u32..30, 0u32..5, 0i64..10).prop_map(|(id, w, s)| Step::Add(id, w, s)),
            1 => (0u32..6).prop_map(Step::DeleteWord),
            1 => (0i64..4).prop_map(Step::DeleteSizes),
            1 => (0u32..6, 0i64..10).prop_map(|(w, s)| Step::DeleteBoth(w, s)),
            2 => Just(Step::Commit),
            1 => Just(Step::Rollback),
            1 => Just(Step::Merge),
            1 => Just(Step::Reopen),
        ]
    }

    fn writer(index: &Index, threads: usize) -> IndexWriter {
        let policy = MergePolicy::new().segments_per_tier(2);
        let options = WriterOptions::new().threads(threads).merge_policy(policy);
        index.writer_with(options).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn deleting_by_query_is_retaining_in_a_map(
            steps in prop::collection::vec(step(), 1..60),
            threads in 1usize..3,
        ) {
            let index = Index::in_memory(schema()).unwrap();
            let mut open = writer(&index, threads);
            let (mut committed, mut pending) = (BTreeMap::new(), BTreeMap::new());
            for step in steps {
                let (query, matches): (Query, Box<dyn Fn(u32, i64) -> bool>) = match step {
                    Step::DeleteWord(word) => {
                        (Query::text("text", format!("w{word}")), Box::new(move |w, _| w == word))
                    }
                    Step::DeleteSizes(below) => {
                        (Query::range("size", ..below), Box::new(move |_, s| s < below))
                    }
                    Step::DeleteBoth(word, from) => (
                        Query::text("text", format!("w{word}"))
                            .with_filter(Query::range("size", from..)),
                        Box::new(move |w, s| w == word && s >= from),
                    ),
                    Step::Add(id, word, size) => {
                        open.add(document(id, word, size)).unwrap();
                        pending.insert(format!("id{id}"), (word, size));
                        continue;
                    }
                    Step::Commit => {
                        open.commit().unwrap();
                        committed = pending.clone();
                        prop_assert_eq!(&contents(&index.snapshot().unwrap()), &committed);
                        continue;
                    }
                    Step::Rollback => {
                        open.rollback().unwrap();
                        pending = committed.clone();
                        continue;
                    }
                    Step::Merge => {
                        open.merge_to(1).unwrap();
                        continue;
                    }
                    Step::Reopen => {
                        drop(open);
                        open = writer(&index, threads);
                        pending = committed.clone();
                        continue;
                    }
                };
                let before = pending.len();
                pending.retain(|_, (word, size)| !matches(*word, *size));
                let deleted = open.delete_matching(&query).unwrap();
                prop_assert_eq!(deleted, (before - pending.len()) as u64);
                prop_assert_eq!(open.delete_matching(&query).unwrap(), 0);
                prop_assert_eq!(&contents(&index.snapshot().unwrap()), &committed);
                prop_assert_eq!(&contents(&open.refresh().unwrap()), &pending);
            }
            open.commit().unwrap();
            prop_assert_eq!(&contents(&index.snapshot().unwrap()), &pending);
        }
    }

    #[test]
    fn a_query_that_does_not_fit_deletes_nothing_and_leaves_the_writer_usable() {
        let index = Index::in_memory(schema()).unwrap();
        let mut writer = index.writer().unwrap();
        writer.add(document(1, 1, 1)).unwrap();
        for query in [
            Query::text("title", "w1"),
            Query::range("size", "small"..),
            Query::sparse("text", [("w1", 1.0)]),
        ] {
            assert!(writer.delete_matching(&query).unwrap_err().is_input());
        }
        assert_eq!(writer.commit().unwrap().documents, 1);
    }

    #[test]
    fn what_is_deleted_by_query_during_a_merge_stays_deleted() {
        let index = Index::in_memory(schema()).unwrap();
        let policy = MergePolicy::new().segments_per_tier(2);
        // The merges run when the test waits for them.
        let options = WriterOptions::new().merge_threads(0).merge_policy(policy);
        let mut writer = index.writer_with(options).unwrap();
        for id in 0..8 {
            writer.add(document(id, id % 2, i64::from(id))).unwrap();
            writer.commit().unwrap();
        }
        assert_eq!(
            writer.delete_matching(&Query::text("text", "w1")).unwrap(),
            4
        );
        writer.wait_for_merges().unwrap();
        assert_eq!(writer.commit().unwrap().documents, 4);
        assert_eq!(
            index
                .snapshot()
                .unwrap()
                .count(&Query::text("text", "w1"))
                .unwrap(),
            0
        );
    }
}
