//! esparsa's driver: the same command line and reports as those of the other engines.

mod build;
mod forms;
mod spaces;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use esparsa::store::FileSystem;
use esparsa::text::Analyzer;
use esparsa::{Algorithm, Bm25, DocAddress, Index, IndexOptions, Query, SearchOptions, Snapshot};
use peers::Result;
use peers::driver::{self, BuildOptions, Built, Engine};
use peers::forms::{Form, Task};
use peers::work::{Kind, Work, vector};

use crate::forms::Found;

/// Name of the only field.
const FIELD: &str = "field";
/// The mode that leaves the algorithm to the planner.
const AUTO: &str = "auto";
/// Modes that are approximate begin so.
const RECALL: &str = "recall=";
/// Their recalls.
const RECALLS: [&str; 4] = ["0.95", "0.97", "0.98", "0.99"];
const BM25: Bm25 = Bm25 { k1: 1.2, b: 0.75 };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["order", work, index] => write_order(Path::new(work), Path::new(index)),
        ["calibrate", work, index, first] => calibrate(Path::new(work), Path::new(index), first),
        _ => return driver::main::<Esparsa>(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what approximate searches lose, with the queries from number `first` on, and keeps it with the index.
fn calibrate(work: &Path, index: &Path, first: &str) -> Result<()> {
    let directory = Arc::new(FileSystem::open(index)?);
    let index = Index::open_in(directory, index_options())?;
    let work = Work::open(work)?;
    let mut records = work.read_queries(None)?;
    let first: usize = first.parse()?;
    let queries = records.split_off(first.min(records.len()));
    if queries.is_empty() {
        println!("no queries but those to be measured: not calibrated");
        return Ok(());
    }
    let queries: Vec<Query> = queries.iter().map(|record| sparse_query(record)).collect();
    let calibration = index.snapshot()?.calibrate(&queries)?;
    let mut writer = index.writer()?;
    writer.keep_calibration(calibration)?;
    writer.commit()?;
    println!("calibrated with {} queries", queries.len());
    Ok(())
}

fn sparse_query(record: &[u8]) -> Query {
    let terms = vector(record).map(|(t, w)| (u32::from(t), f32::from(w)));
    Query::sparse_numbered(FIELD, terms)
}

/// Writes `order.bin`: the documents of a work in the order that they have in an index of one segment.
fn write_order(work: &Path, index: &Path) -> Result<()> {
    let directory = Arc::new(FileSystem::open(index)?);
    let snapshot = Index::open_in(directory, index_options())?.snapshot()?;
    let mut order = Vec::new();
    for document in 0..u32::try_from(snapshot.documents())? {
        let address = DocAddress {
            segment: 0,
            document,
        };
        let number: u32 = snapshot.id(address)?.parse()?;
        order.extend(number.to_le_bytes());
    }
    Ok(std::fs::write(work.join("order.bin"), order)?)
}

struct Esparsa {
    snapshot: Snapshot,
    kind: Kind,
    task: Task,
    options: SearchOptions,
}

impl Engine for Esparsa {
    const NAME: &'static str = "esparsa";
    type Query = Query;
    type Found = Found;

    fn version() -> String {
        // Cargo tells a package its own version only.
        let manifest = include_str!("../../../../../../Cargo.toml");
        let version = manifest.lines().find_map(|l| l.strip_prefix("version = "));
        version.unwrap_or("unknown").trim_matches('"').to_owned()
    }

    fn modes() -> Vec<(Kind, String)> {
        let all = |kind| {
            // Queries ask for any of their terms, which a conjunction cannot do.
            let for_any = |algorithm: &Algorithm| *algorithm != Algorithm::Conjunction;
            let algorithms = Algorithm::ALL.into_iter().filter(for_any);
            let names = [AUTO].into_iter().chain(algorithms.map(Algorithm::name));
            names.map(move |name| (kind, name.to_owned()))
        };
        // Text has no lists that are cut at ranges.
        let of_text = all(Kind::Text).filter(|(_, name)| name != Algorithm::Ranges.name());
        let recalls = RECALLS.map(|recall| (Kind::Sparse, format!("{RECALL}{recall}")));
        let forms = peers::forms::modes().into_iter();
        let forms = forms.map(|mode| (Kind::Forms, mode));
        let generated = of_text.chain(all(Kind::Sparse)).chain(recalls);
        generated.chain(forms).collect()
    }

    fn build(work: &Work, index: &Path, options: &BuildOptions) -> Result<Built> {
        build::build(work, index, options)
    }

    fn open(index: &Path, kind: Kind, mode: &str, k: usize) -> Result<Self> {
        let directory = Arc::new(FileSystem::open(index)?);
        let snapshot = Index::open_in(directory, index_options())?.snapshot()?;
        let mut options = SearchOptions::new(k);
        let mut task = Task::Top;
        if kind == Kind::Forms {
            (task, options) = forms::task(mode, options)?;
        } else if let Some(recall) = mode.strip_prefix(RECALL) {
            options = options.recall(recall.parse()?);
        } else if mode != AUTO {
            options = options.algorithm(mode.parse()?);
        }
        Ok(Self {
            snapshot,
            kind,
            task,
            options,
        })
    }

    fn query(&self, record: &[u8]) -> Result<Query> {
        Ok(match self.kind {
            Kind::Text => Query::text(FIELD, std::str::from_utf8(record)?).with_bm25(BM25),
            Kind::Sparse => sparse_query(record),
            Kind::Forms => forms::query(&Form::parse(record)?),
        })
    }

    fn search(&self, query: &Query) -> Result<Self::Found> {
        forms::search(&self.snapshot, query, self.task, &self.options)
    }

    fn name(&self, found: Self::Found) -> Result<Vec<(u32, f32)>> {
        found.name()
    }

    fn note(&self) -> String {
        let segments = self.snapshot.segments().len();
        format!("{segments} segment(s), checksums on first touch")
    }
}

/// Text is split at spaces and left as it is.
fn analyzer() -> Analyzer {
    Analyzer::custom("spaces", spaces::Spaces)
}

fn index_options() -> IndexOptions {
    IndexOptions::new().analyzer(analyzer())
}
