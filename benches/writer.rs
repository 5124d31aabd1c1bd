//! Commits, merges and the memory of a writer, measured: `cargo bench --bench writer`.
//!
//! | part | what is measured |
//! | --- | --- |
//! | `commits` | how long `commit` takes when each commit holds one document, and what merges rewrite |
//! | `tiny` | heap of a load of documents of two words, and of merging them into one segment |
//! | `order` | heap and time of a merge that puts stored documents in another order, at two sizes |
//!
//! Without an argument every part runs in a process of its own, since the heap's maximum is of a
//! process. Heap is what was allocated, without the pages of mapped files.

use std::process::Command;
use std::time::{Duration, Instant};

use esparsa::{Document, Index, MergePolicy, Schema, Text, WriterOptions};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let part = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"));
    match part.map(String::as_str) {
        Some("commits") => commits(),
        Some("tiny") => tiny(number(&arguments, 9_000_000)),
        Some("order") => order(number(&arguments, 400_000)),
        Some(other) => Err(format!("expected commits, tiny or order, found `{other}`").into()),
        None => {
            let this = std::env::current_exe()?;
            let calls = [
                &["commits"][..],
                &["tiny"],
                &["order", "200000"],
                &["order", "800000"],
            ];
            for call in calls {
                let status = Command::new(&this).args(call).status()?;
                if !status.success() {
                    return Err(format!("{call:?} failed: {status}").into());
                }
            }
            Ok(())
        }
    }
}

fn number(arguments: &[String], default: u32) -> u32 {
    let mut numbers = arguments
        .iter()
        .filter_map(|argument| argument.parse().ok());
    numbers.next().unwrap_or(default)
}

/// The maximum of the heap since the last call, in MiB.
fn heap_max_mib() -> f32 {
    let max = HEAP.peak_usage_as_mb();
    HEAP.reset_peak_usage();
    max
}

fn commits() -> Result<()> {
    const COMMITS: usize = 2_000;
    let schema = || {
        Schema::builder()
            .text("text", Text::new())
            .stored("source")
            .build()
    };
    let folder = tempfile::tempdir()?;
    let indexes = [
        ("in memory", Index::in_memory(schema()?)?),
        (
            "on disk",
            Index::create(folder.path().join("index"), schema()?)?,
        ),
    ];
    for (place, index) in indexes {
        // A segment of some megabytes, which tiny ones must not cause to be rewritten.
        let mut writer = index.writer()?;
        for id in 0..60_000 {
            writer.add(document(id, 20))?;
        }
        writer.commit()?;
        let mut times = Vec::with_capacity(COMMITS);
        for id in 0..COMMITS {
            writer.add(document(1_000_000 + id as u32, 20))?;
            let start = Instant::now();
            writer.commit()?;
            times.push(start.elapsed());
        }
        writer.wait_for_merges()?;
        let segments = writer.commit()?.segments;
        times.sort_unstable();
        let at = |share: f64| times[((COMMITS - 1) as f64 * share) as usize];
        println!(
            "{COMMITS} commits of one document {place}: p50 {:?}, p99 {:?}, max {:?}; {segments} segments in the end",
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
    Ok(())
}

fn document(id: u32, words: u32) -> Document {
    let mut text = String::new();
    for place in 0..words {
        let word = id
            .wrapping_mul(2_654_435_761)
            .wrapping_add(place * place * 7_919)
            % 50_000;
        text.push_str(&format!("w{word} "));
    }
    Document::new(format!("id{id}")).with_text("text", text)
}

/// Two words a document, under 64 MiB.
fn tiny(documents: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let index = Index::create(
        folder.path().join("index"),
        Schema::builder().text("text", Text::new()).build()?,
    )?;
    let options = WriterOptions::new().threads(2).memory(64 << 20);
    let mut writer = index.writer_with(options)?;
    let start = Instant::now();
    for id in 0..documents {
        writer.add(document(id, 2))?;
    }
    writer.wait_for_merges()?;
    let report = writer.commit()?;
    println!(
        "load of {documents} documents of two words under 64 MiB: heap {:.0} MiB, {:.1} s, {} segments",
        heap_max_mib(),
        start.elapsed().as_secs_f32(),
        report.segments
    );
    let start = Instant::now();
    writer.merge_to(1)?;
    println!(
        "merging them into one segment: heap {:.0} MiB, {:.1} s",
        heap_max_mib(),
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

/// A merge that puts documents with stored texts of 500 bytes or so in another order.
fn order(documents: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let schema = Schema::builder()
        .text("text", Text::new())
        .stored("source")
        .build()?;
    let index = Index::create(folder.path().join("index"), schema)?;
    let options = WriterOptions::new()
        .threads(2)
        .merge_policy(MergePolicy::never());
    let mut writer = index.writer_with(options.clone())?;
    for id in 0..documents {
        let words = document(id, 4);
        let filler = format!("{id} ").repeat(80);
        writer.add(words.with_stored("source", filler))?;
    }
    writer.merge_to(1)?;
    writer.commit()?;
    drop(writer);
    let mut times = [Duration::ZERO; 2];
    for (reorder_from, time) in [None, Some(1)].into_iter().zip(&mut times) {
        let options = options.clone().reorder_from(reorder_from);
        let mut writer = index.writer_with(options)?;
        // One more document, so that there is something to merge.
        writer.add(document(documents + u32::from(reorder_from.is_some()), 4))?;
        heap_max_mib();
        let start = Instant::now();
        writer.merge_to(1)?;
        *time = start.elapsed();
        writer.commit()?;
    }
    println!(
        "merge of {documents} stored documents of 500 bytes: in order {:.1} s, in another order {:.1} s, heap {:.0} MiB",
        times[0].as_secs_f32(),
        times[1].as_secs_f32(),
        heap_max_mib()
    );
    Ok(())
}
