//! BM25 latency of esparsa beside tantivy: the same terms, the same parameters, the same queries.
//!
//! `cargo run --release -- FOLDER [--rounds N] [--k N] [--algorithm NAME] [--ids fast|store] [--json]`

mod collection;
mod esparsa_side;
mod measure;
mod tantivy_side;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use esparsa::Algorithm;
use esparsa::text::Analyzer;
use serde_json::json;

use collection::Collection;
use esparsa_side::EsparsaSide;
use measure::{Latency, Row, pass, ratio};
use tantivy_side::{Ids, TantivySide};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Memory of either writer: enough that debian-en becomes one segment at once.
const MEMORY: usize = 256 << 20;
const USAGE: &str = "expected FOLDER [--rounds N] [--k N] [--algorithm NAME] [--analyzer NAME] \
                     [--ids fast|store] [--json]";

struct Arguments {
    folder: PathBuf,
    rounds: usize,
    k: usize,
    algorithm: Option<Algorithm>,
    analyzer: Analyzer,
    ids: Ids,
    json: bool,
}

impl Arguments {
    fn parse() -> Result<Self> {
        let mut arguments = std::env::args().skip(1);
        let mut parsed = Self {
            folder: PathBuf::from(arguments.next().ok_or(USAGE)?),
            rounds: 11,
            k: 10,
            algorithm: None,
            analyzer: Analyzer::named("english")?,
            ids: Ids::Store,
            json: false,
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(USAGE);
            match name.as_str() {
                "--rounds" => parsed.rounds = value()?.parse::<usize>()?.max(1),
                "--k" => parsed.k = value()?.parse()?,
                "--algorithm" => parsed.algorithm = Some(value()?.parse()?),
                "--analyzer" => parsed.analyzer = Analyzer::named(&value()?)?,
                "--ids" => {
                    parsed.ids = match value()?.as_str() {
                        "fast" => Ids::FastField,
                        "store" => Ids::Store,
                        _ => return Err(USAGE.into()),
                    };
                }
                "--json" => parsed.json = true,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(parsed)
    }
}

/// What building an index took.
struct Built {
    bytes: u64,
    seconds: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let collection = Collection::read(&arguments.folder)?;
    let folder = tempfile::tempdir()?;
    let (ours, theirs) = (folder.path().join("esparsa"), folder.path().join("tantivy"));
    let (analyzer, k) = (&arguments.analyzer, arguments.k);
    let (mut esparsa, esparsa_built) = build(&ours, |path| {
        EsparsaSide::build(path, &collection, analyzer, MEMORY, k)
    })?;
    let (tantivy, tantivy_built) = build(&theirs, |path| {
        TantivySide::build(path, &collection, analyzer, MEMORY, k, arguments.ids)
    })?;
    if let Some(algorithm) = arguments.algorithm {
        esparsa.force(algorithm);
    }
    if (esparsa.segments(), tantivy.segments()) != (1, 1) {
        return Err("expected one segment on either side".into());
    }
    let overlap = overlap(&esparsa, &tantivy, &collection.queries)?;
    let rows = measure(&arguments, &esparsa, &tantivy, &collection.queries)?;
    let built = [("esparsa", esparsa_built), ("tantivy", tantivy_built)];
    if arguments.json {
        print_json(&arguments, &collection, &rows, &built, overlap);
    } else {
        print_table(&arguments, &collection, &rows, &built, overlap);
    }
    Ok(())
}

fn build<T>(path: &Path, work: impl FnOnce(&Path) -> Result<T>) -> Result<(T, Built)> {
    let start = Instant::now();
    let side = work(path)?;
    let seconds = start.elapsed().as_secs_f64();
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        bytes += entry?.metadata()?.len();
    }
    Ok((side, Built { bytes, seconds }))
}

/// Mean share of tantivy's top k that esparsa returns too. Also a warm-up of both.
fn overlap(esparsa: &EsparsaSide, tantivy: &TantivySide, queries: &[String]) -> Result<f64> {
    let (mut sum, mut counted) = (0.0, 0.0);
    for query in queries {
        let ours: HashSet<String> = esparsa.search(query)?.0.into_iter().collect();
        let theirs = tantivy.ids(&tantivy.search(&tantivy.terms(query))?)?;
        if ours.len() != theirs.len() {
            let message = format!("{query}: {} and {} hits", ours.len(), theirs.len());
            return Err(message.into());
        }
        if !theirs.is_empty() {
            let shared = theirs.iter().filter(|id| ours.contains(*id)).count();
            sum += shared as f64 / theirs.len() as f64;
            counted += 1.0;
        }
    }
    Ok(sum / counted)
}

/// A warm-up round, then rounds in which every row has its turn; the first two are the engines.
fn measure(
    arguments: &Arguments,
    esparsa: &EsparsaSide,
    tantivy: &TantivySide,
    queries: &[String],
) -> Result<[Row; 6]> {
    let mut terms = Vec::new();
    let mut addresses = Vec::new();
    for query in queries {
        terms.push(tantivy.terms(query));
        addresses.push(esparsa.search(query)?.1);
    }
    let mut rows = [
        Row::new("esparsa"),
        Row::new("tantivy"),
        Row::new("tantivy, without ids"),
        Row::new("tantivy, terms given"),
        Row::new("esparsa, ids alone"),
        Row::new("analysis alone"),
    ];
    for round in 0..=arguments.rounds {
        let passes = [
            pass(queries, |query| esparsa.search(query))?,
            pass(queries, |query| {
                tantivy.ids(&tantivy.search(&tantivy.terms(query))?)
            })?,
            pass(queries, |query| tantivy.search(&tantivy.terms(query)))?,
            pass(&terms, |terms| tantivy.ids(&tantivy.search(terms)?))?,
            pass(&addresses, |addresses| esparsa.ids(addresses))?,
            pass(queries, |query| Ok(tantivy.terms(query)))?,
        ];
        if round > 0 {
            for (row, pass) in rows.iter_mut().zip(passes) {
                row.push(pass);
            }
        }
    }
    Ok(rows)
}

fn print_table(
    arguments: &Arguments,
    collection: &Collection,
    rows: &[Row],
    built: &[(&str, Built)],
    overlap: f64,
) {
    println!(
        "{} documents, {} queries, top {}, {} rounds; microseconds: medians over the rounds,\n\
         then of each query's fastest round\n",
        collection.documents.len(),
        collection.queries.len(),
        arguments.k,
        arguments.rounds
    );
    println!("| engine | mean | p50 | p95 | p99 | undisturbed mean | p50 | p95 | p99 |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for row in rows {
        let latencies = [row.typical(), row.undisturbed()];
        let cells = latencies
            .map(|l| format!("{:.1} | {:.1} | {:.1} | {:.1}", l.mean, l.p50, l.p95, l.p99));
        println!("| {} | {} |", row.name, cells.join(" | "));
    }
    let [least, median, greatest] = ratio(&rows[0], &rows[1]);
    println!(
        "\nesparsa / tantivy, means of each round: {least:.3} to {greatest:.3}, median {median:.3}"
    );
    let undisturbed = rows[0].undisturbed().mean / rows[1].undisturbed().mean;
    println!("esparsa / tantivy, undisturbed means: {undisturbed:.3}");
    println!("overlap@{}: {overlap:.4}\n", arguments.k);
    println!("| engine | index bytes | build seconds |\n| --- | ---: | ---: |");
    for (name, built) in built {
        println!("| {name} | {} | {:.2} |", built.bytes, built.seconds);
    }
}

fn print_json(
    arguments: &Arguments,
    collection: &Collection,
    rows: &[Row],
    built: &[(&str, Built)],
    overlap: f64,
) {
    let latency = |l: Latency| json!({ "mean_us": l.mean, "p50_us": l.p50, "p95_us": l.p95, "p99_us": l.p99 });
    let rows_json = rows.iter().map(|row| {
        json!({
            "name": row.name,
            "median_over_rounds": latency(row.typical()),
            "undisturbed": latency(row.undisturbed()),
        })
    });
    let built_json = built.iter().map(|(name, built)| {
        json!({ "name": name, "index_bytes": built.bytes, "build_seconds": built.seconds })
    });
    let [least, median, greatest] = ratio(&rows[0], &rows[1]);
    let report = json!({
        "documents": collection.documents.len(),
        "queries": collection.queries.len(),
        "k": arguments.k,
        "rounds": arguments.rounds,
        "latency": rows_json.collect::<Vec<_>>(),
        "ratio": { "least": least, "median": median, "greatest": greatest },
        "overlap": overlap,
        "indexes": built_json.collect::<Vec<_>>(),
    });
    println!("{report:#}");
}
