//! The cost of opening does not depend on the number of documents.
//!
//! `cargo run --release --example open_cost -- --index FOLDER WORDS` opens an existing index in a
//! fresh process and searches its field `text`. `cargo run --release --example open_cost -- [SMALL
//! LARGE]` builds two indexes of tiny documents, 10,000 and 1,000,000 by default, in a temporary
//! folder. Then, in a fresh process for each, it opens the index 50 times and searches once. The
//! files are in the page cache, so this measures the work of opening, not the disk.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use esparsa::{Document, Index, Query, Schema, Text, WriterOptions};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const OPENINGS: usize = 50;
/// Makes the process measure the index in the folder that follows, with the words after it.
const INDEX: &str = "--index";
/// One rare word of the generated documents, so that the query itself costs as little as possible.
const RARE_WORD: &str = "y4321";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, folder, words] = &arguments[..]
        && flag == INDEX
    {
        println!("{}", measure(Path::new(folder), words)?);
        return Ok(());
    }
    let sizes = match &arguments[..] {
        [] => [10_000, 1_000_000],
        [small, large] => [small.parse()?, large.parse()?],
        _ => return Err("expected no arguments, or two numbers of documents".into()),
    };
    let folder = tempfile::tempdir()?;
    println!(
        "| documents | index bytes | build s | first opening µs | median of {OPENINGS} openings µs | first query µs | same query again µs |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for size in sizes {
        let path = folder.path().join(size.to_string());
        let start = Instant::now();
        build(&path, size)?;
        let seconds = start.elapsed().as_secs_f64();
        let mut bytes = 0;
        for entry in std::fs::read_dir(&path)? {
            bytes += entry?.metadata()?.len();
        }
        let output = Command::new(std::env::current_exe()?)
            .arg(INDEX)
            .arg(&path)
            .arg(RARE_WORD)
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let measured = String::from_utf8(output.stdout)?;
        println!("| {size} | {bytes} | {seconds:.1} | {} |", measured.trim());
    }
    Ok(())
}

/// Documents of three words; the most common word is in every tenth.
fn build(path: &Path, documents: usize) -> Result<()> {
    let index = Index::create(path, Schema::builder().text("text", Text::new()).build()?)?;
    let mut writer = index.writer_with(WriterOptions::new())?;
    for number in 0..documents {
        let text = format!("w{} x{} y{}", number % 10, number % 997, number % 100_003);
        writer.add(Document::new(format!("d{number}")).with_text("text", text))?;
    }
    writer.merge_to(1)?;
    writer.commit()?;
    Ok(())
}

/// Opens and searches; returns the last four columns of the table.
fn measure(path: &Path, words: &str) -> Result<String> {
    let mut openings = Vec::with_capacity(OPENINGS);
    let mut snapshot = None;
    for _ in 0..OPENINGS {
        drop(snapshot.take());
        let start = Instant::now();
        let opened = Index::open(path)?.snapshot()?;
        openings.push(micros(start));
        snapshot = Some(opened);
    }
    let first_opening = openings[0];
    openings.sort_by(f64::total_cmp);
    let snapshot = snapshot.ok_or("expected at least one opening")?;

    let query = Query::text("text", words);
    let mut searches = [0.0; 2];
    for micros_taken in &mut searches {
        let start = Instant::now();
        let hits = snapshot.search(&query, 10)?;
        *micros_taken = micros(start);
        if hits.is_empty() {
            return Err(format!("expected a document with one of the words `{words}`").into());
        }
    }
    Ok(format!(
        "{first_opening:.0} | {:.0} | {:.0} | {:.0}",
        openings[OPENINGS / 2],
        searches[0],
        searches[1]
    ))
}

fn micros(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6
}
