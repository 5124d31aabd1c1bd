//! `esparsa fuse`: fuses several runs into one.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use esparsa::eval::Run;
use esparsa::rank::{Fusion, Method, Missing, Normalization};
use esparsa::{Error, Result};
use serde::Serialize;

use crate::output;
use crate::output_file::{OutputFile, STANDARD, refuse_inputs};
use crate::queries::{k_parser, read_run};
use crate::search::report::line;
use crate::size::counted;

/// Default of the constant of reciprocal rank fusion.
const RRF_K: u32 = 60;

const EXAMPLES: &str = "\
Examples:
  Reciprocal rank fusion:
    esparsa fuse bm25.run dense.run --output fused.run

  A weighted sum of normalized scores:
    esparsa fuse bm25.run dense.run --method weighted-sum --normalization min-max --weights 0.3,0.7 --k 100 --output fused.run";

/// Fuse several runs into one.
///
/// A run that lacks a query has an empty list for it. Ranks and ties are those of evaluation: equal
/// scores go to the document with the higher name.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Fuse {
    /// Runs in TREC format, at least two; `-` for standard input, `.gz` and `.zst` too.
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// How the scores of a document are combined.
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    method: MethodName,
    /// What makes the scores of different runs comparable: none, min-max, sum, z-score, sigmoid
    /// (for logits) or rank [default: min-max; rrf has no use for one].
    #[arg(long, value_name = "NAME")]
    normalization: Option<Normalization>,
    /// What a weighted sum adds for a document that a run lacks: zero, or the lowest normalized
    /// score of that run for the query, which is zero where all are equal [default: zero].
    #[arg(long, value_name = "NAME")]
    missing: Option<Missing>,
    /// A weight for each run, separated by commas; a run of weight 0 is skipped [default: 1 for
    /// each].
    #[arg(
        long,
        value_name = "NUMBERS",
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_parser = weight_parser
    )]
    weights: Option<Vec<f64>>,
    /// What reciprocal rank fusion adds to each rank [default: 60].
    #[arg(long, value_name = "N")]
    rrf_k: Option<u32>,
    /// Number of results for each query.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = k_parser())]
    k: usize,
    /// File for the fused run [default: standard output].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write JSON instead of a TREC run: a line for each query.
    #[arg(long)]
    json: bool,
}

/// What is written for a query.
#[derive(Serialize)]
struct QueryReport<'a> {
    query_id: &'a str,
    hits: Vec<HitReport<'a>>,
}

#[derive(Serialize)]
struct HitReport<'a> {
    rank: usize,
    id: &'a str,
    score: f64,
}

/// Methods as they are given on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// Reciprocal rank fusion: the sum of 1 / (60 + rank).
    #[default]
    Rrf,
    /// The weighted sum of normalized scores.
    WeightedSum,
    /// The sum of normalized scores, times the weights of the runs that have the document.
    CombMnz,
    /// The max weighted normalized score.
    CombMax,
}

impl MethodName {
    /// The name of the system in the last column of the run.
    fn tag(self) -> &'static str {
        match self {
            Self::Rrf => "esparsa-rrf",
            Self::WeightedSum => "esparsa-weighted-sum",
            Self::CombMnz => "esparsa-comb-mnz",
            Self::CombMax => "esparsa-comb-max",
        }
    }
}

impl Fuse {
    /// Fuses the runs and writes the result.
    ///
    /// # Errors
    ///
    /// What reading and writing the files gives, and [`Error::InvalidInput`] for options that the
    /// method does not use and for invalid weights.
    pub fn run(self) -> Result<()> {
        let fusion = self.fusion()?;
        let is_standard = |path: &&PathBuf| path.as_os_str() == STANDARD;
        if self.runs.iter().filter(is_standard).count() > 1 {
            let message = "expected standard input for one run, found `-` more than once";
            return Err(Error::invalid(message));
        }
        let inputs = self.runs.iter().map(PathBuf::as_path);
        refuse_inputs(self.output.as_deref(), inputs)?;
        let runs = self
            .runs
            .iter()
            .map(|path| read_run(path).map(|(run, _)| run));
        let runs = runs.collect::<Result<Vec<Run>>>()?;
        let fused = fusion.fuse_runs(&runs)?;
        self.write(&fused)?;
        for note in self.notes(&runs, &fused) {
            output::message(&note);
        }
        Ok(())
    }

    fn fusion(&self) -> Result<Fusion> {
        let fusion = Fusion::new(self.method()?).k(self.k);
        Ok(match &self.weights {
            Some(weights) => fusion.weights(weights.iter().copied()),
            None => fusion,
        })
    }

    /// The method with its options; options without effect are refused.
    fn method(&self) -> Result<Method> {
        let is_rrf = self.method == MethodName::Rrf;
        if is_rrf && self.normalization.is_some() {
            return useless(
                "normalization",
                "any method but rrf, which looks at ranks only",
            );
        }
        if !is_rrf && self.rrf_k.is_some() {
            return useless("rrf-k", "rrf");
        }
        if self.method != MethodName::WeightedSum && self.missing.is_some() {
            return useless("missing", "weighted-sum");
        }
        let normalization = self.normalization.unwrap_or(Normalization::MinMax);
        Ok(match self.method {
            MethodName::Rrf => Method::ReciprocalRank {
                k: self.rrf_k.unwrap_or(RRF_K),
            },
            MethodName::WeightedSum => Method::WeightedSum {
                normalization,
                missing: self.missing.unwrap_or_default(),
            },
            MethodName::CombMnz => Method::CombMnz { normalization },
            MethodName::CombMax => Method::CombMax { normalization },
        })
    }

    fn write(&self, fused: &Run) -> Result<()> {
        let tag = self.method.tag();
        let mut output = OutputFile::create(self.output.as_deref())?;
        let name = output.name().to_owned();
        if !self.json {
            fused.write(&mut output, &name, tag)?;
            return output.finish();
        }
        for query_id in fused.queries() {
            let hits = fused.ranked(query_id).into_iter().zip(1..);
            let hits = hits.map(|(hit, rank)| HitReport {
                rank,
                id: &hit.document,
                score: hit.score,
            });
            let hits = hits.collect();
            let report = line(&QueryReport { query_id, hits })?;
            let written = writeln!(output, "{report}");
            written.map_err(|source| Error::io(&name, "write", source))?;
        }
        output.finish()
    }

    /// What was written, and which runs lack queries that it has.
    fn notes(&self, runs: &[Run], fused: &Run) -> Vec<String> {
        let results = |query| fused.results(query).map_or(0, <[_]>::len) as u64;
        let mut notes = vec![format!(
            "{}, {} from {}",
            counted(fused.len() as u64, "query"),
            counted(fused.queries().map(results).sum(), "result"),
            counted(runs.len() as u64, "run")
        )];
        for (path, run) in self.runs.iter().zip(runs) {
            let lacks = |query: &&str| run.results(query).is_none();
            let lacking = fused.queries().filter(lacks).count();
            if lacking > 0 {
                notes.push(format!(
                    "{}: lacks {lacking} of the queries; for them it has an empty list",
                    path.display()
                ));
            }
        }
        notes
    }
}

/// Parser of a weight; the library checks its range.
fn weight_parser(text: &str) -> std::result::Result<f64, String> {
    let weight = text.trim().parse().ok();
    weight.ok_or_else(|| {
        format!("expected a number of at least 0 for each run, such as 0.3,0.7, found {text}")
    })
}

/// The error for an option that the method does not use.
fn useless(option: &str, methods: &str) -> Result<Method> {
    Err(Error::invalid(format!(
        "expected --{option} with {methods}; leave it out, or choose another --method"
    )))
}
