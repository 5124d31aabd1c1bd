//! Notes: what is written is found at once, before it is committed; phrases are found as phrases;
//! hits show the passage that matches.
//!
//! ```text
//! cargo run --release --example notes
//! ```

use esparsa::{
    Column, Document, Index, IndexWriter, Query, QueryParser, Result, Schema, SearchOptions,
    Snapshot, SnippetOptions, Sort, Text,
};

const NOTES: [(&str, &str, &str); 4] = [
    (
        "rome",
        "2024-05-02",
        "Train to Rome at 9:40. The hotel is near the old market. Ask for the quiet room.",
    ),
    (
        "tea",
        "2024-05-03",
        "Bought green tea at the market, and a book on the history of tea.",
    ),
    (
        "garden",
        "2024-05-07",
        "The roses need water. The market for old roses is on Sunday.",
    ),
    (
        "etna",
        "2024-06-11",
        "From the hotel in Catania one sees Etna. The volcano was quiet, the market was not.",
    ),
];

fn main() -> Result<()> {
    // Positions make phrases possible; columns sort and filter.
    let schema = Schema::builder()
        .text("note", Text::new().analyzer("english").positions())
        .column("day", Column::date())
        .stored("source")
        .build()?;
    let index = Index::in_memory(schema)?;
    let mut writer = index.writer()?;
    for (id, day, text) in NOTES {
        add(&mut writer, id, day, text)?;
    }
    writer.commit()?;

    // A note that is typed right now: a refresh finds it in less than a millisecond, without a
    // commit. It is durable only once it is committed.
    add(
        &mut writer,
        "idea",
        "2024-06-12",
        "A book on the old market hall of Rome.",
    )?;
    let snapshot = writer.refresh()?;
    assert!(!snapshot.is_committed());
    println!("{} notes\n", snapshot.documents());

    for text in [
        "\"old market\"",
        "mark* -roses day:>=2024-06-01",
        "\"market old\"~3",
        "hotl~1",
    ] {
        show(&snapshot, text)?;
    }

    // The same note again replaces the first.
    add(&mut writer, "idea", "2024-06-13", "Not a book, a walk.")?;
    writer.commit()?;
    let snapshot = index.snapshot()?;
    let latest = SearchOptions::new(2).sort(Sort::descending("day"));
    let hits = snapshot.search_with(&Query::all(), &latest)?.hits;
    println!("the latest: {}", hits.ids()?.join(", "));
    Ok(())
}

fn add(writer: &mut IndexWriter, id: &str, day: &str, text: &str) -> Result<()> {
    let note = Document::new(id).with_text("note", text).with("day", day);
    writer.add(note.with_stored("source", text))
}

/// Prints the hits of a query that a person typed, with the passages that match.
fn show(snapshot: &Snapshot, text: &str) -> Result<()> {
    println!("{text}");
    // A search box forgives mistakes: they are searched as words.
    let (query, mistakes) = QueryParser::new(["note"]).parse_lenient(snapshot, text);
    for mistake in mistakes {
        println!("  {mistake}");
    }
    let options = SnippetOptions::new(48);
    for hit in &snapshot.search(&query, 10)? {
        let note = String::from_utf8_lossy(&hit.stored()?).into_owned();
        let snippets = snapshot.snippets(&query, Some("note"), &note, &options)?;
        let passages: Vec<String> = snippets
            .iter()
            .map(|snippet| snippet.to_text("[", "]"))
            .collect();
        println!("  {:7} {}", hit.id()?, passages.join(" … "));
    }
    println!();
    Ok(())
}
