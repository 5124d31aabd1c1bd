//! How long it takes from adding a document to finding it, in an index of 100,000 documents.
//!
//! `cargo run --release --example refresh_speed -- [DOCUMENTS]` builds an index on disk. It then adds
//! one document at a time and searches for it, first in a snapshot of what the writer holds
//! ([`IndexWriter::refresh`](esparsa::IndexWriter::refresh)), then in one of a new commit.

use std::time::{Duration, Instant};

use esparsa::{Document, Index, IndexWriter, Query, Schema, Snapshot, Text};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const ROUNDS: u32 = 200;

fn main() -> Result<()> {
    let documents = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 100_000u32,
    };
    let folder = tempfile::tempdir_in(".")?;
    let schema = Schema::builder().text("text", Text::new()).stored("source");
    let index = Index::create(folder.path(), schema.build()?)?;
    let mut writer = index.writer()?;
    for id in 0..documents {
        let text: String = (0..20)
            .map(|n| format!("w{} ", id * 31 % (97 + n)))
            .collect();
        writer.add(Document::new(id.to_string()).with_text("text", text))?;
    }
    writer.merge_to(1)?;
    writer.commit()?;
    println!("| way | median µs | p95 µs | max µs |");
    println!("| --- | ---: | ---: | ---: |");
    measure("refresh", &mut writer, |writer| Ok(writer.refresh()?))?;
    measure("commit and snapshot", &mut writer, |writer| {
        writer.commit()?;
        Ok(index.snapshot()?)
    })
}

fn measure(
    name: &str,
    writer: &mut IndexWriter,
    snapshot: impl Fn(&mut IndexWriter) -> Result<Snapshot>,
) -> Result<()> {
    let mut times: Vec<Duration> = Vec::new();
    for round in 0..ROUNDS {
        let word = format!("{}{round}", name.split(' ').next().unwrap_or_default());
        let start = Instant::now();
        writer.add(Document::new(&word).with_text("text", &word))?;
        let hits = snapshot(writer)?.search(&Query::text("text", &word), 10)?;
        times.push(start.elapsed());
        if hits.ids()? != [word.as_str()] {
            return Err(format!("expected to find the document `{word}`").into());
        }
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
    println!("| {name} | {} | {} | {} |", at(50), at(95), at(100));
    Ok(())
}
