//! `esparsa search`: one query, or a file of queries.

pub mod batch;
pub mod facets;
mod file;
pub mod hits;
mod models;
mod nothing;
mod progress;
pub mod report;
pub mod snippet;
mod stopwatch;
pub mod terminal;

use std::path::PathBuf;
use std::time::Instant;

use esparsa::eval;
use esparsa::eval::names::is_control;
use esparsa::{
    Algorithm, Error, Explanation, Index, MatchCount, Query, Result, SearchOptions, SearchResult,
    Snapshot, Sort,
};

use self::facets::{FacetArgument, FacetReport};
use self::models::{Models, SearchModels};
use self::report::{ExplanationReport, SingleReport};
use self::terminal::Style;
use crate::escape::escaped;
use crate::output::{self, Output};
use crate::output_file::refuse_inputs;
use crate::queries::{
    FieldArguments, SearchedField, TopicPart, k_parser, kind_of, recall_parser, score_parser,
    threads_parser,
};
use crate::size::{counted, grouped};

/// Default number of results for one query.
const DEFAULT_K: usize = 10;

const EXAMPLES: &str = "\
Examples:
  esparsa search --index wiki.index \"volcanoes of Sicily\"
  esparsa search --index wiki.index --field splade '{\"volcano\": 2.5, \"sicily\": 1.9}'
  esparsa search --index wiki.index \"volcanoes of Sicily\" --all-terms
  esparsa search --index wiki.index \"volcanoes of Sicily\" --explain etna
  esparsa search --index shop.index \"tea cup\" --filter '{\"range\": {\"price\": {\"lt\": 20}}}'
  esparsa search --index wiki.index '+sicily \"active volcano\" -vesuvius year:>=1990 (lava OR ash)^2 erupt*'
  esparsa search --index wiki.index --queries topics.tsv.gz --k 100 --output bm25.run
  esparsa search --index wiki.index --queries topics.tsv.gz --qrels wiki.qrels --tag bm25 --output bm25.run

In a run, white space and control characters of ids are percent-encoded: `lava lake` is written as `lava%20lake`;
`esparsa eval`, `esparsa fuse` and `esparsa rerank` decode them. All other ids are written unchanged.";

/// Search an index with one query or a file of queries.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["query", "queries"]))]
pub struct Search {
    /// Folder of the index; several, whose fields are the same and whose ids differ, are searched as
    /// one, without their calibrations of approximate searches.
    #[arg(long, value_name = "DIR", required = true)]
    index: Vec<PathBuf>,
    /// What to search for: words, with or without operators (`+must -not \"a phrase\" text:word
    /// year:[2020 TO 2024] pre* fuzzy~1 (a OR b)^2`; what begins with `-` comes after `--`), for a
    /// sparse field a JSON object of term to
    /// weight, for a dense field a JSON array of numbers.
    query: Option<String>,
    /// How QUERY is read: in the query language, where mistakes are searched as words; in the query
    /// language, where they are errors; as plain words; or as a query in JSON, such as `{"bool":
    /// {"must": [{"text": {"text": "tea"}}], "should": [{"term": {"color": "red"}}]}}`. Queries of
    /// a file are always plain words.
    #[arg(
        long,
        value_name = "SYNTAX",
        value_enum,
        default_value_t,
        conflicts_with = "queries"
    )]
    syntax: Syntax,
    /// File of queries, `-` for standard input: BEIR or other JSON Lines, TSV (id, text; without a
    /// header, which `tail -n +2` removes), TREC topics; `.gz` and `.zst` too.
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    #[command(flatten)]
    field: FieldArguments,
    /// Find only documents that have every term of the query. Words that the field's analyzer drops
    /// do not count.
    #[arg(long)]
    all_terms: bool,
    /// Find only documents that match this query as well, in JSON, such as `{"range": {"price":
    /// {"gte": 10, "lt": 20}}}`, `{"term": {"color": "red"}}`, `{"exists": "price"}`, `{"ids":
    /// ["a", "b"]}`, or several of them under `all_of` or `any_of`. May be given more than once.
    #[arg(long, value_name = "JSON", value_parser = Query::from_json)]
    filter: Vec<Query>,
    /// Find no documents that match this query, in JSON as for --filter.
    #[arg(long, value_name = "JSON", value_parser = Query::from_json)]
    without: Vec<Query>,
    /// Order results by a column instead of by score: the lowest value first or, with `NAME:desc`,
    /// the highest; documents without a value are last. Given again, it orders ties.
    #[arg(long, value_name = "NAME[:desc]", value_parser = sort_parser, conflicts_with_all = ["queries", "rerank", "explain"])]
    sort: Vec<Sort>,
    /// Count the values of a column over all documents that match one query: `NAME` for the 10 most
    /// frequent values, `NAME:N` for N of them, `NAME:statistics`, `NAME:width=X` for intervals of
    /// numbers, or `NAME:year`, `month`, `week`, `day`, `hour` or `minute` for those of dates. May be
    /// given more than once.
    #[arg(long, value_name = "NAME[:WHAT]", value_parser = facets::parser, conflicts_with_all = ["queries", "rerank", "explain"])]
    facet: Vec<FacetArgument>,
    /// Count all documents that match one query.
    #[arg(long, conflicts_with_all = ["queries", "rerank", "explain"])]
    count: bool,
    /// Leave out this number of the first results of one query, for pages.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with_all = ["queries", "rerank", "explain"])]
    offset: usize,
    /// Show, and count, only results whose score is at least this.
    #[arg(long, value_name = "SCORE", value_parser = score_parser, allow_negative_numbers = true, conflicts_with_all = ["sort", "rerank", "explain"])]
    min_score: Option<f32>,
    /// Number of results for each query [default: 10, and 1000 with --queries].
    #[arg(long, value_name = "N", value_parser = k_parser())]
    k: Option<usize>,
    /// File for the results of --queries, a TREC run or, with --json, JSON Lines [default: standard
    /// output]. Scores are written in full precision. Evaluation tools sort runs by score and break
    /// ties by document id, so their order of tied documents may differ from that of the run.
    #[arg(long, value_name = "FILE", conflicts_with = "query")]
    output: Option<PathBuf>,
    /// Relevance judgements: of --queries, search only with queries that have some.
    #[arg(long, value_name = "FILE", conflicts_with = "query")]
    qrels: Option<PathBuf>,
    /// Name of the system in the last column of the run, without white space and control characters
    /// [default: esparsa].
    #[arg(long, value_name = "NAME", conflicts_with_all = ["query", "json"], value_parser = tag_parser)]
    tag: Option<String>,
    /// Number of threads that share the queries of a file [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Threads that each query may use, for single heavy queries; up to --threads times as many run
    /// at once. Light queries use fewer.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads_parser())]
    query_threads: usize,
    /// Algorithm: exhaustive, wand, block-max-wand, max-score or ranges (block-max pruning by ranges
    /// of documents, sparse fields only), or with --filter selective (accepted documents are looked
    /// up); with --all-terms, exhaustive or conjunction. All return
    /// the same results [default: chosen for each query by expected cost].
    #[arg(long, value_name = "NAME")]
    algorithm: Option<Algorithm>,
    /// Recall to aim at, the share of the exact results that is found: below 1, searches of a
    /// sparse field are approximate and faster. `esparsa calibrate` measures how much; scores lack
    /// the terms that are skipped, and a query may find fewer than K documents.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = recall_parser)]
    recall: f32,
    /// Explain the score of this document, instead of showing results.
    #[arg(long, value_name = "ID", conflicts_with = "queries")]
    explain: Option<String>,
    /// Skip the document that has the id of the query, for collections whose queries are
    /// documents, as in ArguAna; there are still K results.
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
    /// Search with the queries of a file one after another, each on its own, and write how long they
    /// took to this file: the mean and percentiles in milliseconds, in JSON.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["query", "threads"])]
    timings: Option<PathBuf>,
    /// Print JSON: an object for one query, a line for each query of a file.
    #[arg(long)]
    json: bool,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

/// How a query is read.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Syntax {
    /// The query language; mistakes are searched as words, and noted.
    #[default]
    Lenient,
    /// The query language; mistakes are errors.
    Strict,
    /// Plain words.
    Words,
    /// A query in JSON.
    Json,
}

/// Parser of an order by a column.
pub fn sort_parser(text: &str) -> std::result::Result<Sort, String> {
    let sort = match text.rsplit_once(':') {
        Some((name, order)) if order.eq_ignore_ascii_case("desc") => Sort::descending(name),
        Some((name, order)) if order.eq_ignore_ascii_case("asc") => Sort::ascending(name),
        _ => Sort::ascending(text),
    };
    Ok(sort)
}

/// Parser of the tag of a run.
fn tag_parser(text: &str) -> std::result::Result<String, String> {
    let is_refused = |character: char| character.is_whitespace() || is_control(character);
    match text.is_empty() || text.contains(is_refused) {
        true => Err("expected a name without white space and control characters".to_owned()),
        false => Ok(text.to_owned()),
    }
}

impl Search {
    /// Searches and prints.
    ///
    /// # Errors
    ///
    /// What opening the index, reading the queries, searching or writing gives.
    pub fn run(self) -> Result<()> {
        for output in [&self.output, &self.timings] {
            let inputs = self.queries.iter().chain(&self.qrels);
            let other = self.timings.iter().filter(|_| output == &self.output);
            let inputs = inputs.chain(other);
            refuse_inputs(output.as_deref(), inputs.map(PathBuf::as_path))?;
        }
        let snapshot = self.snapshot()?;
        let models = Models::open(&self.models, &snapshot)?;
        match (&self.query, &self.queries) {
            (Some(text), _) => self.one(&snapshot, &models, text),
            (None, Some(file)) => self.file(&snapshot, &models, file),
            (None, None) => Err(Error::invalid("expected a query or a file of queries")),
        }
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let folders = self.index.iter();
        let snapshots = folders.map(|folder| Index::open(folder)?.snapshot());
        Snapshot::joined(&snapshots.collect::<Result<Vec<_>>>()?)
    }

    fn options(&self, k: usize) -> SearchOptions {
        let options = SearchOptions::new(k)
            .recall(self.recall)
            .offset(self.offset)
            .facets(self.facet.iter().map(FacetArgument::facet))
            .threads(self.query_threads);
        let options = match self.count {
            true => options.count_up_to(u64::MAX),
            false => options,
        };
        let options = match self.min_score {
            Some(score) => options.min_score(score),
            None => options,
        };
        let options = self.sort.iter().cloned().fold(options, SearchOptions::sort);
        match self.algorithm {
            Some(algorithm) => options.algorithm(algorithm),
            None => options,
        }
    }

    /// The query with the conditions that the options ask for.
    fn with_conditions(&self, mut query: Query, is_language: bool) -> Query {
        // The query language asks for all terms itself, of words among operators too.
        if self.all_terms && !is_language {
            query = query.with_all_terms();
        }
        let query = self.filter.iter().cloned().fold(query, Query::with_filter);
        self.without.iter().cloned().fold(query, Query::without)
    }

    fn one(&self, snapshot: &Snapshot, models: &Models, text: &str) -> Result<()> {
        let started = Instant::now();
        let (field, query) = self.query(snapshot, models, text)?;
        let is_language = matches!(self.syntax, Syntax::Lenient | Syntax::Strict)
            && models.field_kind().is_none()
            && field.is_text();
        let query = self.with_conditions(query, is_language);
        if let Some(id) = &self.explain {
            return self.explain(snapshot, &query, id);
        }
        let k = self.k.unwrap_or(DEFAULT_K);
        let mut result = snapshot.search_with(&query, &self.options(models.depth(k)))?;
        models.rerank(snapshot, Some(text), &mut result, k)?;
        let took_ms = started.elapsed().as_secs_f64() * 1e3;
        let facets = FacetReport::of(&result.facets, &self.facet);
        if self.json {
            let report =
                SingleReport::new(snapshot, text, &field.name, &result, self.offset, took_ms)?;
            return report::print_line(&report.with_facets(facets));
        }
        self.print_hits(snapshot, &query, &result, took_ms, field.unit())?;
        facets::print(&facets)?;
        if let Some(note) = batch::terms_skipped(&result) {
            output::message(&note);
        }
        if result.hits.is_empty() && !self.leaves_hits_out() && self.syntax != Syntax::Json {
            self.say_why_nothing_was_found(snapshot, &field, &query, text)?;
        }
        Ok(())
    }

    /// Whether there may be no results although documents match the query.
    fn leaves_hits_out(&self) -> bool {
        let is_filtered = !self.filter.is_empty() || !self.without.is_empty();
        is_filtered || self.offset > 0 || self.min_score.is_some()
    }

    fn print_hits(
        &self,
        snapshot: &Snapshot,
        query: &Query,
        result: &SearchResult,
        took_ms: f64,
        unit: &str,
    ) -> Result<()> {
        let style = Style::detect();
        if result.hits.is_empty() {
            let documents = counted(snapshot.documents(), "document");
            let what = match self.leaves_hits_out() {
                false => "matches",
                true => "matches with these filters, this offset and this min score",
            };
            return output::print(format!("No results: nothing in {documents} {what}."));
        }
        let sorted = self.sort.first().map(Sort::column);
        let mut output = Output::new();
        for line in hits::hit_lines(
            snapshot,
            query,
            &result.hits,
            sorted,
            (0, self.offset),
            style,
        )? {
            output.line(line)?;
        }
        let shown = result.hits.len() as u64;
        let hits = match result.count {
            Some(MatchCount::Exact(count)) => {
                format!("{} of {}", grouped(shown), counted(count, "result"))
            }
            _ => counted(shown, "result"),
        };
        if !self.sort.is_empty() {
            output.line(style.dim(&format!("{hits} in {took_ms:.2} ms, sorted")))?;
            return output.finish();
        }
        let statistics = &result.statistics;
        output.line(style.dim(&format!(
            "{hits} of {} in {took_ms:.2} ms; {}; {} of {} scored",
            counted(snapshot.documents(), "document"),
            report::names(&statistics.algorithms).join(", "),
            grouped(statistics.postings_scored),
            counted(statistics.postings, unit),
        )))?;
        output.finish()
    }

    /// Tells the user why nothing was found, where the words of the query are the reason.
    fn say_why_nothing_was_found(
        &self,
        snapshot: &Snapshot,
        field: &SearchedField,
        query: &Query,
        text: &str,
    ) -> Result<()> {
        if let Some(reason) = nothing::without_terms(snapshot, query, text)? {
            output::message(&reason);
        } else if self.all_terms && field.is_text() {
            output::message(&nothing::missing_words(snapshot, field, text)?);
        }
        Ok(())
    }

    /// The field that is searched, and the query that `text` means for it.
    fn query(
        &self,
        snapshot: &Snapshot,
        models: &Models,
        text: &str,
    ) -> Result<(SearchedField, Query)> {
        let Some(kind) = models.field_kind() else {
            if self.syntax == Syntax::Json {
                let query = Query::from_json(text)?;
                return Ok((SearchedField::of(&query), query));
            }
            let field = self.field.find_in(snapshot, &[kind_of(text)])?;
            let query = match field.is_text() {
                true => self.words(snapshot, &field, text)?,
                false => field.parse(text)?,
            };
            return Ok((field, query));
        };
        let field = self.field.find_in(snapshot, &[kind])?;
        let mut encoded = eval::Query::of_text("QUERY", text);
        models.encode(
            snapshot.schema(),
            &field,
            std::slice::from_mut(&mut encoded),
        )?;
        let query = field.query(&encoded)?;
        Ok((field, query))
    }

    /// The query that words, with or without operators, mean.
    fn words(&self, snapshot: &Snapshot, field: &SearchedField, text: &str) -> Result<Query> {
        let parser = match self.syntax {
            Syntax::Words => return field.parse(text),
            _ if self.all_terms => field.parser().all_terms(),
            _ => field.parser(),
        };
        if self.syntax == Syntax::Strict {
            return parser.parse(snapshot, text);
        }
        let (query, mistakes) = parser.parse_lenient(snapshot, text);
        for mistake in mistakes {
            output::message(&format!("note, searched as words: {mistake}"));
        }
        Ok(query)
    }

    fn explain(&self, snapshot: &Snapshot, query: &Query, id: &str) -> Result<()> {
        let k = self.k.unwrap_or(DEFAULT_K);
        let explanation = snapshot.explain(query, id, k)?.ok_or_else(|| {
            let message = format!("the index has no document with the id `{id}`");
            Error::invalid(message)
        })?;
        if self.json {
            return report::print_line(&ExplanationReport::new(&explanation));
        }
        output::print(printable(explanation).to_string().trim_end())
    }
}

/// An explanation with control characters escaped.
fn printable(mut explanation: Explanation) -> Explanation {
    let names = explanation.terms.iter_mut().map(|term| &mut term.term);
    let names = names.chain(&mut explanation.missing);
    for name in names.chain([&mut explanation.id]) {
        *name = escaped(name).into_owned();
    }
    explanation
}
