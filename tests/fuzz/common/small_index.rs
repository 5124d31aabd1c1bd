//! A small index with a field of each kind, and what holds for every query on it.

use std::sync::OnceLock;

use esparsa::{
    Column, Dense, Document, Error, Index, Query, Schema, SearchOptions, Snapshot, SnippetOptions,
    Sparse, Text,
};

pub fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(|| build().expect("an index"))
}

fn build() -> esparsa::Result<Snapshot> {
    let schema = Schema::builder()
        .text("text", Text::new().analyzer("en").positions())
        .text("title", Text::new())
        .sparse("weights", Sparse::new())
        .dense("dense", Dense::new(2))
        .column("year", Column::i64().several())
        .column("price", Column::f64())
        .column("day", Column::date())
        .column("flag", Column::bool())
        .column("kind", Column::keyword().several());
    let index = Index::in_memory(schema.build()?)?;
    let mut writer = index.writer()?;
    for number in 0..200_i64 {
        let text = format!(
            "the old market of town {} near town {}",
            number % 7,
            number % 3
        );
        let document = Document::new(format!("d{number}"))
            .with_text("text", &*text)
            .with_text("title", format!("a{} b", number % 11))
            .with_sparse("weights", [("a", 1.0), ("b", number as f32)])
            .with_dense("dense", [1.0, number as f32])
            .with("year", number)
            .with("price", number as f64 / 3.0)
            .with("flag", number % 2 == 0)
            .with("kind", format!("k{}", number % 5));
        writer.add(document)?;
        if number == 90 {
            writer.commit()?;
        }
    }
    writer.commit()?;
    index.snapshot()
}

/// A query that can be searched is counted, paged, and shown in snippets.
pub fn search(snapshot: &Snapshot, query: &Query) {
    let hits = match snapshot.search(query, 5) {
        Ok(hits) => hits,
        Err(error) => {
            let is_refused = error.is_input() || matches!(error, Error::Limit { .. });
            assert!(is_refused, "{query:?}: {error}");
            return;
        }
    };
    let count = snapshot
        .count(query)
        .expect("a query that is searched is counted");
    assert_eq!(hits.len() as u64, count.min(5), "{query:?}");
    if let Some(last) = hits.iter().last() {
        let options = SearchOptions::new(5).after(last.address);
        let next = snapshot
            .search_with(query, &options)
            .expect("the next page")
            .hits;
        assert_eq!(
            next.len() as u64,
            (count - hits.len() as u64).min(5),
            "{query:?}"
        );
    }
    let text = "the old market of town 1";
    let _ = snapshot.snippets(query, None, text, &SnippetOptions::new(20));
}
