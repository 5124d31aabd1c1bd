//! Memory and speed of triplets by id that are streamed from disk in shuffled order.
//!
//! ```text
//! cargo run --release --features train --example triplet_speed -- [triplets] [documents] [folder]
//! ```
//!
//! It writes a corpus, queries and triplets of that size to the folder, unless they are there, then
//! opens them as a training run does and reads examples in the order of an epoch. Without a folder
//! it uses a temporary one. On Linux it prints the memory of the process: at most (`VmHWM`) and
//! at the end (`VmRSS`). What the operating system caches of files is not part of it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use esparsa::internals::train::{Batches, IdTriplets, Permutation, Source, Texts};

/// Examples that are read in shuffled order.
const READ: u64 = 1_000_000;
/// Triplets of a query.
const PER_QUERY: u64 = 80;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let triplets: u64 = arguments
        .next()
        .map_or(Ok(4_000_000), |text| text.parse())?;
    let documents: u64 = match arguments.next() {
        Some(text) => text.parse()?,
        None => (triplets / 5).max(1),
    };
    let temporary = tempfile::tempdir()?;
    let folder = arguments
        .next()
        .map_or(temporary.path().to_path_buf(), PathBuf::from);
    let [corpus, queries, ids] = write_files(&folder, triplets, documents)?;
    memory("after writing the files");

    let start = Instant::now();
    let queries = Arc::new(Texts::open(queries)?);
    let corpus = Arc::new(Texts::open(corpus)?);
    let texts = u64::from(queries.len()) + u64::from(corpus.len());
    rate("open texts", texts, start);
    memory("texts open");

    let start = Instant::now();
    let (of_queries, of_corpus) = (Arc::clone(&queries), Arc::clone(&corpus));
    let source = IdTriplets::open(&ids, of_queries, of_corpus, folder.join("scratch"))?;
    rate(
        "open triplets (scratch file made or found)",
        triplets,
        start,
    );
    memory("triplets open");

    let start = Instant::now();
    let source = IdTriplets::open(&ids, queries, corpus, folder.join("scratch"))
        .map(|again| (again.len() == source.len()).then_some(again))?
        .ok_or("the scratch file has other triplets")?;
    rate("open triplets again", triplets, start);

    let start = Instant::now();
    let order = Permutation::new(triplets, 42, 0);
    let mut sum = 0u64;
    for position in 0..triplets {
        sum = sum.wrapping_add(order.at(position));
    }
    rate("permute numbers alone", triplets, start);
    assert_eq!(sum, (0..triplets).fold(0, u64::wrapping_add));

    let start = Instant::now();
    let read = READ.min(triplets);
    let mut bytes = 0;
    for position in 0..read {
        let example = source.example(order.at(position), 0, 42)?;
        bytes += example.query.text.len();
        let documents = example.candidates.iter();
        bytes += documents.map(|one| one.document.text.len()).sum::<usize>();
    }
    rate("read triplets in shuffled order", read, start);
    println!("{:>12} bytes of text in them", bytes);

    let start = Instant::now();
    let batches = Batches::new(Arc::new(source), 32, 42)?;
    let steps = read / 32;
    for step in 0..steps {
        batches.batch(step)?;
    }
    rate("triplets as batches of 32 queries", steps * 32, start);
    memory("at the end");
    Ok(())
}

/// Writes the files that are not there yet, and returns their paths.
fn write_files(folder: &Path, triplets: u64, documents: u64) -> std::io::Result<[PathBuf; 3]> {
    fs::create_dir_all(folder)?;
    let queries = triplets.div_ceil(PER_QUERY);
    let paths = [
        ("collection", documents),
        ("queries", queries),
        ("qidpidtriples", triplets),
    ]
    .map(|(name, count)| folder.join(format!("{name}.{count}.{documents}.tsv")));
    let random = Permutation::new(1 << 40, 7, 0);
    write_lines(&paths[0], documents, |file, number| {
        write!(file, "{number}\tpassage {number}")?;
        for word in 0..40 {
            write!(file, " word{}", (number * 31 + word * 17) % 5_000)?;
        }
        writeln!(file)
    })?;
    write_lines(&paths[1], queries, |file, number| {
        writeln!(file, "{}\twhat is passage {number} about", number * 3)
    })?;
    write_lines(&paths[2], triplets, |file, number| {
        let document = |which: u64| random.at(number * 2 + which) % documents;
        let query = number / PER_QUERY * 3;
        writeln!(file, "{query}\t{}\t{}", document(0), document(1))
    })?;
    Ok(paths)
}

fn write_lines(
    path: &Path,
    count: u64,
    line: impl Fn(&mut dyn Write, u64) -> std::io::Result<()>,
) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut file = BufWriter::new(File::create(path)?);
    for number in 0..count {
        line(&mut file, number)?;
    }
    file.flush()
}

fn rate(what: &str, count: u64, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{:>12.0} a second: {what}, {count} in {seconds:.2} s",
        count as f64 / seconds
    );
}

/// Prints the memory of this process, where the system tells it.
fn memory(when: &str) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for name in ["VmHWM", "VmRSS"] {
        let line = status.lines().find(|line| line.starts_with(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        if let Some(kilobytes) = kilobytes.and_then(|text| text.parse::<f64>().ok()) {
            println!("{:>12.1} MB {name}, {when}", kilobytes / 1024.0);
        }
    }
}
