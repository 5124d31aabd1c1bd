//! Snapshots and stored documents, measured: `cargo bench --bench snapshot`.
//!
//! | line | what is measured |
//! | --- | --- |
//! | first snapshot | opening an index of 100 segments and taking a snapshot |
//! | second snapshot | taking another one while nothing was committed |
//! | after a commit | taking one when one segment is new |
//! | stored | the stored documents of 1,000 hits, in the order of their scores |

use std::time::{Duration, Instant};

use esparsa::{Document, Index, MergePolicy, Query, Schema, Text, WriterOptions};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const SEGMENTS: u32 = 100;
const DOCUMENTS_PER_SEGMENT: u32 = 1_000;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("index");
    let schema = Schema::builder()
        .text("text", Text::new())
        .stored("source")
        .build()?;
    let index = Index::create(&path, schema)?;
    let options = WriterOptions::new().merge_policy(MergePolicy::never());
    let mut writer = index.writer_with(options)?;
    for segment in 0..SEGMENTS {
        for number in 0..DOCUMENTS_PER_SEGMENT {
            writer.add(document(segment * DOCUMENTS_PER_SEGMENT + number))?;
        }
        writer.commit()?;
    }

    let first = median(21, || {
        let index = Index::open(&path)?;
        Ok(index.snapshot()?.segments().len())
    })?;
    println!("first snapshot of {SEGMENTS} segments: {first:?}");
    let snapshot = index.snapshot()?;
    let second = median(1_001, || Ok(index.snapshot()?.segments().len()))?;
    println!("second snapshot of {SEGMENTS} segments: {second:?}");

    let hits = snapshot.search(&Query::text("text", "common rare7"), 1_000)?;
    let stored = median(21, || {
        let mut bytes = 0;
        for hit in &hits {
            bytes += snapshot.stored(hit.address)?.len();
        }
        Ok(bytes)
    })?;
    println!("stored documents of {} hits: {stored:?}", hits.len());

    writer.add(document(SEGMENTS * DOCUMENTS_PER_SEGMENT))?;
    writer.commit()?;
    let started = Instant::now();
    let after = index.snapshot()?;
    println!("snapshot after a commit: {:?}", started.elapsed());
    assert_eq!(after.segments().len(), SEGMENTS as usize + 1);
    Ok(())
}

/// Words that differ from document to document, about 400 bytes.
fn document(number: u32) -> Document {
    let mut text = format!("common rare{} ", number % 100);
    let mut state = number.wrapping_mul(2_654_435_769) | 1;
    for _ in 0..60 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text += &format!("w{} ", (state >> 16) % 5_000);
    }
    Document::new(format!("id{number}")).with_text("text", text)
}

/// The median time of some runs.
fn median(runs: usize, mut run: impl FnMut() -> Result<usize>) -> Result<Duration> {
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let started = Instant::now();
        std::hint::black_box(run()?);
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[runs / 2])
}
