//! `esparsa search`: one query, or a file of queries.

pub mod hits;
#[cfg(feature = "neural")]
mod models;
#[cfg(not(feature = "neural"))]
#[path = "search/without_models.rs"]
mod models;
pub mod report;
pub mod snippet;
pub mod terminal;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::output::{self, Output};
use super::output_file::OutputFile;
use super::queries::{
    FieldArguments, QuerySet, SearchedField, TopicPart, k_parser, recall_parser, threads_parser,
};
use super::size::grouped;
use crate::error::{Error, Result};
use crate::eval::{self, RunWriter};
use crate::format::{FieldKind, Schema};
use crate::index::{Index, Snapshot};
use crate::query::{Algorithm, Query, SearchOptions, SearchResult};
use models::{Models, SearchModels};
use report::{ExplanationReport, QueryReport, SingleReport};
use terminal::Style;

/// Number of results for one query, unless another is asked for.
const K_FOR_ONE: usize = 10;
/// Number of results for each query of a file, unless another is asked for.
const K_FOR_FILE: usize = 1_000;
/// Queries searched before their results are written: bounds memory, keeps threads busy.
const CHUNK: usize = 1_024;
/// Name of the system in the last column of a run.
const TAG: &str = "esparsa";

const EXAMPLES: &str = "\
Examples:
  esparsa search --index wiki.index \"volcanoes of Sicily\"
  esparsa search --index wiki.index --field splade '{\"volcano\": 2.5, \"sicily\": 1.9}'
  esparsa search --index wiki.index \"volcanoes of Sicily\" --all-terms
  esparsa search --index wiki.index \"volcanoes of Sicily\" --explain etna
  esparsa search --index wiki.index --queries topics.tsv.gz --k 100 --run bm25.run";

/// Search an index with one query or a file of queries.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["query", "queries"]))]
pub struct Search {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// What to search for: words, for a sparse field a JSON object of term to weight, for a dense field a JSON array of numbers.
    query: Option<String>,
    /// File of queries, `-` for standard input: BEIR or other JSON Lines, TSV (id, text), TREC topics; `.gz` and `.zst` too.
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    #[command(flatten)]
    field: FieldArguments,
    /// Find only documents that have every term of the query. Words that the field's analyzer drops are no terms.
    #[arg(long)]
    all_terms: bool,
    /// Number of results for each query [default: 10, and 1000 with --queries].
    #[arg(long, value_name = "N", value_parser = k_parser())]
    k: Option<usize>,
    /// File for the results of --queries, a TREC run [default: standard output].
    /// Scores are written in full. Tools that judge runs sort them by score and, where scores are equal, by document id:
    /// there their order may not be the one of the run.
    #[arg(long, value_name = "FILE", conflicts_with = "query")]
    run: Option<PathBuf>,
    /// Threads for the queries of a file.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads_parser())]
    threads: usize,
    /// Threads that each query may use, for one heavy query at a time; those of --threads times as many run at once.
    /// Light queries use fewer.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads_parser())]
    query_threads: usize,
    /// Algorithm: exhaustive, wand, block-max-wand or max-score; all give the same results [default: the planner's choice].
    #[arg(long, value_name = "NAME")]
    algorithm: Option<Algorithm>,
    /// Share of the exact results that should be found: below 1, a search of a sparse field is approximate and takes less
    /// time. `calibrate` measures how; scores lack the terms that were left out.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = recall_parser)]
    recall: f32,
    /// Show where the score of this document comes from, instead of results.
    #[arg(long, value_name = "ID", conflicts_with = "queries")]
    explain: Option<String>,
    /// Leave out the document whose id is that of the query, where queries are documents
    /// themselves, as in ArguAna; there are still K results.
    #[arg(long, conflicts_with = "query")]
    exclude_self: bool,
    #[command(flatten)]
    models: SearchModels,
    /// Part of TREC topics to search with.
    #[arg(
        long,
        value_name = "PART",
        value_enum,
        default_value_t,
        conflicts_with = "query"
    )]
    topic_part: TopicPart,
    /// Print JSON: an object for one query, a line for each query of a file.
    #[arg(long, conflicts_with = "run")]
    json: bool,
}

impl Search {
    /// Searches and prints.
    ///
    /// # Errors
    ///
    /// What opening the index, reading the queries, searching or writing gives.
    pub fn run(self) -> Result<()> {
        let snapshot = Index::open(&self.index)?.snapshot()?;
        let models = Models::open(&self.models, &snapshot)?;
        match (&self.query, &self.queries) {
            (Some(text), _) => self.one(&snapshot, &models, text),
            (None, Some(file)) => self.file(&snapshot, &models, file),
            (None, None) => Err(Error::invalid("expected a query or a file of queries")),
        }
    }

    fn options(&self, k: usize) -> SearchOptions {
        let options = SearchOptions::new(k)
            .recall(self.recall)
            .threads(self.query_threads);
        match self.algorithm {
            Some(algorithm) => options.algorithm(algorithm),
            None => options,
        }
    }

    fn with_terms(&self, query: Query) -> Query {
        if self.all_terms {
            query.with_all_terms()
        } else {
            query
        }
    }

    fn one(&self, snapshot: &Snapshot, models: &Models, text: &str) -> Result<()> {
        let started = Instant::now();
        let (field, query) = self.query(snapshot.schema(), models, text)?;
        let query = self.with_terms(query);
        if let Some(id) = &self.explain {
            return self.explain(snapshot, &query, id);
        }
        let k = self.k.unwrap_or(K_FOR_ONE);
        let mut result = snapshot.search_with(&query, &self.options(models.depth(k)))?;
        models.rerank(snapshot, Some(text), &mut result, k)?;
        let took_ms = started.elapsed().as_secs_f64() * 1e3;
        if self.json {
            let report = SingleReport::new(snapshot, text, &field.name, &result, took_ms)?;
            return report::print_line(&report);
        }
        print_hits(snapshot, &query, &result, took_ms, field.counted())
    }

    /// The field that is searched, and the query that `text` means for it.
    fn query(
        &self,
        schema: &Schema,
        models: &Models,
        text: &str,
    ) -> Result<(SearchedField, Query)> {
        let kind = models.field_kind();
        let field = self.field.find(schema, kind.unwrap_or(FieldKind::Text))?;
        if kind.is_none() {
            let query = field.parse(text)?;
            return Ok((field, query));
        }
        let mut asked = eval::Query {
            id: "QUERY".to_owned(),
            text: Some(text.to_owned()),
            ..eval::Query::default()
        };
        models.encode(schema, &field, std::slice::from_mut(&mut asked))?;
        let query = field.query(&asked)?;
        Ok((field, query))
    }

    fn explain(&self, snapshot: &Snapshot, query: &Query, id: &str) -> Result<()> {
        let k = self.k.unwrap_or(K_FOR_ONE);
        let explanation = snapshot.explain(query, id, k)?.ok_or_else(|| {
            let message = format!("the index has no document with the id `{id}`");
            Error::invalid(message)
        })?;
        if self.json {
            return report::print_line(&ExplanationReport::new(&explanation));
        }
        output::print(explanation.to_string().trim_end())
    }

    fn file(&self, snapshot: &Snapshot, models: &Models, file: &Path) -> Result<()> {
        // Encoding the queries counts: without it a model would seem to search for nothing.
        let started = Instant::now();
        let schema = snapshot.schema();
        let mut set = QuerySet::open_encoded(
            file,
            self.topic_part,
            &self.field,
            schema,
            models.field_kind(),
            |field, queries| models.encode(schema, field, queries),
        )?;
        if self.all_terms {
            set.ask_for_all_terms();
        }
        let hits = if self.json {
            let mut output = Output::new();
            let hits = self.each(snapshot, models, &set, |id, result| {
                output.line(report::line(&QueryReport::new(id, result))?)
            })?;
            output.finish()?;
            hits
        } else {
            let mut output = OutputFile::create(self.run.as_deref())?;
            let name = output.name().to_owned();
            let hits = self.write_run(snapshot, models, &set, &mut output, &name)?;
            output.finish()?;
            hits
        };
        let seconds = started.elapsed().as_secs_f64();
        output::message(&format!(
            "{} queries, {} results in {seconds:.2} s, {} queries per second",
            grouped(set.ids.len() as u64),
            grouped(hits),
            grouped((set.ids.len() as f64 / seconds) as u64)
        ));
        Ok(())
    }

    /// Searches with all queries and hands each result on, in the order of the file; returns the number of hits.
    fn each(
        &self,
        snapshot: &Snapshot,
        models: &Models,
        set: &QuerySet,
        mut take: impl FnMut(&str, &SearchResult) -> Result<()>,
    ) -> Result<u64> {
        let k = self.k.unwrap_or(K_FOR_FILE);
        let depth = models.depth(k);
        // One more takes the place of the query itself.
        let options = self.options(depth + usize::from(self.exclude_self));
        let mut hits = 0;
        let mut names = set.ids.iter().zip(&set.texts);
        for queries in set.queries.chunks(CHUNK) {
            let results = snapshot.search_batch(queries, &options, self.threads)?;
            for (mut result, (id, text)) in results.into_iter().zip(names.by_ref()) {
                if self.exclude_self {
                    result.hits.retain(|hit| hit.id != *id);
                    result.hits.truncate(depth);
                }
                models.rerank(snapshot, text.as_deref(), &mut result, k)?;
                hits += result.hits.len() as u64;
                take(id, &result)?;
            }
        }
        Ok(hits)
    }

    fn write_run(
        &self,
        snapshot: &Snapshot,
        models: &Models,
        set: &QuerySet,
        to: impl Write,
        name: &str,
    ) -> Result<u64> {
        let mut run = RunWriter::new(to, name, TAG)?;
        let hits = self.each(snapshot, models, set, |id, result| {
            run.write_query(id, result.hits.iter().map(|hit| (&hit.id, hit.score)))
        })?;
        run.finish()?;
        Ok(hits)
    }
}

fn print_hits(
    snapshot: &Snapshot,
    query: &Query,
    result: &SearchResult,
    took_ms: f64,
    counted: &str,
) -> Result<()> {
    let style = Style::detect();
    if result.hits.is_empty() {
        let documents = grouped(snapshot.documents());
        return output::print(format!(
            "No results: none of the {documents} documents matches."
        ));
    }
    let mut output = Output::new();
    for line in hits::hit_lines(snapshot, query, &result.hits, 0, style)? {
        output.line(line)?;
    }
    let statistics = &result.statistics;
    let shown = match result.hits.len() {
        1 => "1 result".to_owned(),
        count => format!("{} results", grouped(count as u64)),
    };
    output.line(style.aside(&format!(
        "{shown} of {} documents in {took_ms:.2} ms; {}; {} of {} {counted} scored",
        grouped(snapshot.documents()),
        report::names(&statistics.algorithms).join(", "),
        grouped(statistics.postings_scored),
        grouped(statistics.postings),
    )))?;
    output.finish()
}
