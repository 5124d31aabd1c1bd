//! esparsa's driver: the same command line and reports as those of the other engines.

mod build;
mod spaces;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use esparsa::store::FileSystem;
use esparsa::text::Analyzer;
use esparsa::{Algorithm, Bm25, DocAddress, Index, IndexOptions, Query, SearchOptions, Snapshot};
use peers::Result;
use peers::driver::{self, BuildOptions, Built, Engine};
use peers::work::{Kind, Work, vector};

/// Name of the only field.
const FIELD: &str = "field";
/// The mode that leaves the algorithm to the planner.
const AUTO: &str = "auto";
const BM25: Bm25 = Bm25 { k1: 1.2, b: 0.75 };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, work, index] = arguments.as_slice()
        && command == "order"
    {
        return match write_order(Path::new(work), Path::new(index)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        };
    }
    driver::main::<Esparsa>()
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
    options: SearchOptions,
}

impl Engine for Esparsa {
    const NAME: &'static str = "esparsa";
    type Query = Query;
    type Found = Vec<(DocAddress, f32)>;

    fn version() -> String {
        // Cargo tells a package its own version only.
        let manifest = include_str!("../../../../../../Cargo.toml");
        let version = manifest.lines().find_map(|l| l.strip_prefix("version = "));
        version.unwrap_or("unknown").trim_matches('"').to_owned()
    }

    fn modes() -> Vec<(Kind, String)> {
        let all = |kind| {
            let names = [AUTO]
                .into_iter()
                .chain(Algorithm::ALL.map(Algorithm::name));
            names.map(move |name| (kind, name.to_owned()))
        };
        // Text has no lists that are cut at ranges.
        let of_text = all(Kind::Text).filter(|(_, name)| name != Algorithm::Ranges.name());
        of_text.chain(all(Kind::Sparse)).collect()
    }

    fn build(work: &Work, index: &Path, options: &BuildOptions) -> Result<Built> {
        build::build(work, index, options)
    }

    fn open(index: &Path, kind: Kind, mode: &str, k: usize) -> Result<Self> {
        let directory = Arc::new(FileSystem::open(index)?);
        let snapshot = Index::open_in(directory, index_options())?.snapshot()?;
        let mut options = SearchOptions::new(k);
        if mode != AUTO {
            options = options.algorithm(mode.parse()?);
        }
        Ok(Self {
            snapshot,
            kind,
            options,
        })
    }

    fn query(&self, record: &[u8]) -> Result<Query> {
        Ok(match self.kind {
            Kind::Text => Query::text(FIELD, std::str::from_utf8(record)?).with_bm25(BM25),
            Kind::Sparse => {
                let terms = vector(record).map(|(t, w)| (u32::from(t), f32::from(w)));
                Query::sparse_numbered(FIELD, terms)
            }
        })
    }

    fn search(&self, query: &Query) -> Result<Self::Found> {
        Ok(self.snapshot.search_unnamed(query, &self.options)?)
    }

    fn name(&self, found: Self::Found) -> Result<Vec<(u32, f32)>> {
        let found = found.into_iter();
        found
            .map(|(address, score)| Ok((self.snapshot.id(address)?.parse()?, score)))
            .collect()
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
