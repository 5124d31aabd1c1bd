//! `esparsa bench`: how long queries take, by one algorithm or several.

mod clock;

use std::path::PathBuf;
use std::str::FromStr;

use esparsa::{
    Algorithm, DocAddress, Error, Index, Query, Result, SearchOptions, SearchResult, Snapshot,
};
use serde::Serialize;

use self::clock::{Timing, median, time_round};
use crate::escape::escaped;
use crate::output::{self, Output};
use crate::queries::{
    FieldArguments, QuerySet, TopicPart, k_parser, recall_parser, threads_parser,
};
use crate::search::report::line;
use crate::search::terminal::{Style, TextTable};
use crate::size::{counted, grouped};

/// Queries compared at a time: bounds memory, keeps threads busy.
const CHUNK: usize = 1_024;

/// Measure how long queries take.
#[derive(clap::Args, Debug)]
pub struct Bench {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// File of queries, as for `esparsa search`.
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    #[command(flatten)]
    field: FieldArguments,
    /// Find only documents that have every term of the query. Words that the field's analyzer drops
    /// do not count.
    #[arg(long)]
    all_terms: bool,
    /// Number of results for each query.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = k_parser())]
    k: usize,
    /// Threads that share the queries. The default is one, because with more a query's time
    /// includes the slowdown by the others.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads_parser())]
    threads: usize,
    /// Threads that each query may use; up to --threads times as many run at once. Light queries
    /// use fewer.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads_parser())]
    query_threads: usize,
    /// Algorithms, separated by commas: exhaustive, wand, block-max-wand, max-score, ranges
    /// (block-max pruning by ranges of documents, sparse fields only), conjunction (--all-terms
    /// only, with exhaustive as the only alternative), `planner` for the one that is chosen for
    /// each query by expected cost, `all` for `planner` and all that can search the field. They
    /// take turns, round by round, and must give the same results, bit for bit.
    #[arg(long, value_name = "NAMES", default_value = "planner")]
    algorithm: Named,
    /// Recall to aim at, the share of the exact results that is found: below 1, searches of a
    /// sparse field are approximate and faster. Needs a single algorithm.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = recall_parser)]
    recall: f32,
    /// Rounds measured; each figure is the median over the rounds.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Warm-up rounds before those, not measured. One more round, before all others, compares the
    /// results.
    #[arg(long, value_name = "N", default_value_t = 1)]
    warm_up: u32,
    /// Part of TREC topics to search with.
    #[arg(long, value_name = "PART", value_enum, default_value_t)]
    topic_part: TopicPart,
    /// Print JSON, one line for each algorithm.
    #[arg(long)]
    json: bool,
}

/// What is measured: the planner's choice, or one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Contender(Option<Algorithm>);

/// Contenders as given on the command line; `None` stands for `all`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named(Vec<Option<Contender>>);

impl Contender {
    fn name(self) -> &'static str {
        self.0.map_or("planner", Algorithm::name)
    }

    fn choose(self, options: SearchOptions) -> SearchOptions {
        match self.0 {
            None => options,
            Some(algorithm) => options.algorithm(algorithm),
        }
    }
}

impl FromStr for Named {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = text.split(',').map(|name| match name.trim() {
            "all" => Ok(None),
            "planner" => Ok(Some(Contender(None))),
            name => Ok(Some(Contender(Some(name.parse()?)))),
        });
        named.collect::<Result<_>>().map(Self)
    }
}

impl Named {
    /// The contenders without repetition; `supported` are the algorithms that can search the field.
    fn contenders(&self, supported: &[Algorithm]) -> Vec<Contender> {
        let all = [None]
            .into_iter()
            .chain(supported.iter().copied().map(Some));
        let all: Vec<Contender> = all.map(Contender).collect();
        let mut contenders = Vec::new();
        for named in &self.0 {
            let named = named.as_ref().map_or(&*all, std::slice::from_ref);
            for contender in named {
                if !contenders.contains(contender) {
                    contenders.push(*contender);
                }
            }
        }
        contenders
    }
}

/// The work of a contender for all queries in the comparing round. With one thread per query it is
/// the same in every round.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    postings: u64,
    postings_scored: u64,
    hits: u64,
}

/// The figures of one contender.
#[derive(Serialize)]
struct Line {
    algorithm: &'static str,
    field: String,
    k: usize,
    threads: usize,
    query_threads: usize,
    queries: usize,
    rounds: u32,
    mean_ms: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    queries_per_second: f64,
    postings_per_query: f64,
    postings_scored_per_query: f64,
    hits_per_query: f64,
    documents: u64,
    segments: usize,
}

impl Bench {
    /// Measures and prints.
    ///
    /// # Errors
    ///
    /// What opening the index, reading the queries or searching gives, and [`Error::InvalidInput`]
    /// when two algorithms give different results.
    pub fn run(self) -> Result<()> {
        let snapshot = Index::open(&self.index)?.snapshot()?;
        let mut set = QuerySet::open(&self.queries, self.topic_part, &self.field, &snapshot)?;
        if self.all_terms {
            set.change(Query::with_all_terms);
        }
        let supported = match set.queries.first() {
            Some(query) => snapshot.algorithms(query)?,
            None => Vec::new(),
        };
        let contenders = self.algorithm.contenders(&supported);
        if self.recall < 1.0 && contenders.len() > 1 {
            let message = "expected one algorithm with --recall below 1: approximate results need not be the same";
            return Err(Error::invalid(message));
        }
        let work = self.compare(&snapshot, &set, &contenders)?;
        let rounds = self.measure(&snapshot, &set, &contenders)?;
        let lines = contenders.iter().zip(rounds).zip(work);
        let lines: Vec<Line> = lines
            .map(|((contender, rounds), work)| {
                self.line(*contender, &rounds, work, &snapshot, &set)
            })
            .collect();
        if self.json {
            let mut output = Output::new();
            for figures in &lines {
                output.line(line(figures)?)?;
            }
            return output.finish();
        }
        output::print(self.table(&lines, set.field.unit()))
    }

    fn options(&self, contender: Contender) -> SearchOptions {
        let options = SearchOptions::new(self.k).recall(self.recall);
        contender.choose(options.threads(self.query_threads))
    }

    /// Searches with every contender once and compares the hits with those of the first.
    fn compare(
        &self,
        snapshot: &Snapshot,
        set: &QuerySet,
        contenders: &[Contender],
    ) -> Result<Vec<Work>> {
        let mut work = vec![Work::default(); contenders.len()];
        for (ids, queries) in set.ids.chunks(CHUNK).zip(set.queries.chunks(CHUNK)) {
            let mut first: Option<(Contender, Vec<SearchResult>)> = None;
            for (contender, work) in contenders.iter().zip(&mut work) {
                let options = self.options(*contender);
                let results = snapshot.search_batch(queries, &options, self.threads)?;
                for result in &results {
                    work.postings += result.statistics.postings;
                    work.postings_scored += result.statistics.postings_scored;
                    work.hits += result.hits.len() as u64;
                }
                match &first {
                    None => first = Some((*contender, results)),
                    Some((reference, first)) => {
                        expect_same((*reference, *contender), ids, first, &results)?;
                    }
                }
            }
        }
        Ok(work)
    }

    /// The timings of all rounds of each contender. Contenders take turns, so that a disturbance
    /// affects all of them alike.
    fn measure(
        &self,
        snapshot: &Snapshot,
        set: &QuerySet,
        contenders: &[Contender],
    ) -> Result<Vec<Vec<Timing>>> {
        let mut rounds = vec![Vec::new(); contenders.len()];
        for number in 0..u64::from(self.warm_up) + u64::from(self.rounds) {
            for (contender, timings) in contenders.iter().zip(&mut rounds) {
                let options = self.options(*contender);
                let timing = time_round(snapshot, &set.queries, &options, self.threads)?;
                if number >= u64::from(self.warm_up) {
                    timings.push(timing);
                }
            }
        }
        Ok(rounds)
    }

    fn line(
        &self,
        contender: Contender,
        rounds: &[Timing],
        work: Work,
        snapshot: &Snapshot,
        set: &QuerySet,
    ) -> Line {
        let middle = |figure: fn(&Timing) -> f64| median(rounds.iter().map(figure).collect());
        let per_query = |count: u64| count as f64 / set.ids.len() as f64;
        Line {
            algorithm: contender.name(),
            field: set.field.name.clone(),
            k: self.k,
            threads: self.threads,
            query_threads: self.query_threads,
            queries: set.ids.len(),
            rounds: self.rounds,
            mean_ms: middle(|timing| timing.mean_ms),
            p50_ms: middle(|timing| timing.p50_ms),
            p95_ms: middle(|timing| timing.p95_ms),
            p99_ms: middle(|timing| timing.p99_ms),
            queries_per_second: middle(|timing| timing.queries_per_second),
            postings_per_query: per_query(work.postings),
            postings_scored_per_query: per_query(work.postings_scored),
            hits_per_query: per_query(work.hits),
            documents: snapshot.documents(),
            segments: snapshot.segment_count(),
        }
    }

    fn all_threads(&self) -> String {
        let threads = counted(self.threads as u64, "thread");
        match self.query_threads {
            1 => threads,
            more => format!("{threads}, up to {more} for each query"),
        }
    }

    fn table(&self, lines: &[Line], what: &str) -> String {
        let headers = [
            "algorithm",
            "mean ms",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "queries/s",
            "postings scored",
        ];
        let mut figures = TextTable::new(headers);
        for line in lines {
            let times = [line.mean_ms, line.p50_ms, line.p95_ms, line.p99_ms];
            let mut cells = vec![line.algorithm.to_owned()];
            cells.extend(times.map(|time| format!("{time:.4}")));
            cells.push(grouped(line.queries_per_second.round() as u64));
            cells.push(format!("{:.1}", line.postings_scored_per_query));
            figures.push(cells);
        }
        let mut text = format!("{figures}\n");
        if let Some(line) = lines.first() {
            text += &Style::detect().dim(&format!(
                "{} on field {}, k = {}, {:.1} {what}s a query; median of {}, {}; {} in {}",
                counted(line.queries as u64, "query"),
                escaped(&line.field),
                line.k,
                line.postings_per_query,
                counted(u64::from(self.rounds), "round"),
                self.all_threads(),
                counted(line.documents, "document"),
                counted(line.segments as u64, "segment"),
            ));
        }
        let best = lines.iter().min_by(|a, b| a.mean_ms.total_cmp(&b.mean_ms));
        if let Some(best) = best.filter(|_| lines.len() > 1) {
            text += &format!(
                "\nSame results from all, bit for bit. Fastest on average: {}.",
                best.algorithm
            );
        }
        text
    }
}

/// Compares the results of two contenders for the queries with these ids.
fn expect_same(
    (reference, contender): (Contender, Contender),
    ids: &[String],
    first: &[SearchResult],
    results: &[SearchResult],
) -> Result<()> {
    let mut pairs = ids.iter().zip(first).zip(results);
    let Some(((id, _), _)) = pairs.find(|((_, a), b)| !same_hits(a.hits.scored(), b.hits.scored()))
    else {
        return Ok(());
    };
    let (reference, name) = (reference.name(), contender.name());
    Err(Error::invalid(format!(
        "{name} gives other results than {reference} for query `{id}`; all algorithms must give the same: \
         run `esparsa check`, and report this if the index is intact"
    )))
}

/// Whether two lists hold the same documents with the same scores, bit for bit.
fn same_hits(a: &[(DocAddress, f32)], b: &[(DocAddress, f32)]) -> bool {
    let bits = |(address, score): &(DocAddress, f32)| (*address, score.to_bits());
    a.iter().map(bits).eq(b.iter().map(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_named_once_each() {
        let supported = [Algorithm::Exhaustive, Algorithm::Wand, Algorithm::MaxScore];
        let names = |text: &str| -> Vec<&'static str> {
            let named: Named = text.parse().unwrap();
            let contenders = named.contenders(&supported).into_iter();
            contenders.map(Contender::name).collect()
        };
        assert_eq!(names("planner"), ["planner"]);
        assert_eq!(names("wand, exhaustive,wand"), ["wand", "exhaustive"]);
        // Only those that can search the field are meant by all.
        let all = ["max-score", "planner", "exhaustive", "wand"];
        assert_eq!(names("max-score,all"), all);
        assert_eq!(names("ranges"), ["ranges"]);
        for text in ["", "wand,", "quantum"] {
            assert!(text.parse::<Named>().is_err(), "{text}");
        }
    }

    #[test]
    fn hits_that_differ_in_one_bit_are_not_the_same() {
        let hit = |score: f32, document: u32| {
            let address = DocAddress {
                segment: 0,
                document,
            };
            (address, score)
        };
        let next = f32::from_bits(1.5f32.to_bits() + 1);
        assert!(same_hits(&[hit(1.5, 1)], &[hit(1.5, 1)]));
        assert!(!same_hits(&[hit(1.5, 1)], &[hit(next, 1)]));
        assert!(!same_hits(&[hit(1.5, 1)], &[hit(1.5, 2)]));
        assert!(!same_hits(&[hit(1.5, 1)], &[]));
    }
}
