//! `esparsa eval`: metrics of runs side by side, and significance tests of their differences.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use esparsa::eval::{
    EvaluateOptions, Metric, PairedValues, Qrels, RandomizationTest, Report, comparison_table,
    evaluate, holm_bonferroni, randomization_test,
};
use esparsa::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::escape::escaped_lines;
use crate::output;
use crate::queries::{read_qrels, read_run};
use crate::search::report::print_line;
use crate::search::terminal::{Style, TextTable};
use crate::size::counted;

const DEFAULT_METRICS: &str = "ndcg@10,mrr@10,recall@1000";
/// Random sign assignments for tests with too many queries to enumerate all: the standard error of
/// a p value near 0.05 is then below 0.001.
const PERMUTATIONS: u64 = 100_000;
/// A fixed seed: the same runs always give the same p values.
const SEED: u64 = 42;

/// Evaluate runs with relevance judgements.
#[derive(clap::Args, Debug)]
pub struct Eval {
    /// Relevance judgements: TREC qrels, or a TSV file of BEIR.
    #[arg(long, value_name = "FILE")]
    qrels: PathBuf,
    /// Runs in TREC format; `-` for standard input, `.gz` and `.zst` too.
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Metrics, separated by commas: ndcg@k, ndcg'@k, mrr@k, recall@k, p@k, map@k, success@k,
    /// judged@k, bpref, rprec, set_p, set_recall, set_f, set_map; p(rel=2)@5 counts grades of at
    /// least 2. The names of trec_eval are known too: ndcg_cut_10, P_10, recall_100.
    #[arg(long, value_name = "NAMES", default_value = DEFAULT_METRICS)]
    metrics: MetricList,
    /// Ignore results whose id is that of their query, as in ArguAna, where queries are documents
    /// themselves.
    #[arg(long)]
    exclude_self: bool,
    /// Show the values of every query.
    #[arg(long)]
    per_query: bool,
    /// Test each further run against the first: paired randomization test, p values corrected by
    /// Holm's method for the number of tests made.
    #[arg(long)]
    test: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Metrics as they are given on the command line.
#[derive(Clone, Debug)]
struct MetricList(Vec<Metric>);

impl FromStr for MetricList {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Metric::parse_list(text).map(Self)
    }
}

/// A run and its metrics.
struct Measured {
    name: String,
    report: Report,
}

/// A run compared with the first on one metric.
struct Comparison<'a> {
    run: &'a str,
    metric: &'a Metric,
    test: RandomizationTest,
    p_value_holm: f64,
}

impl Eval {
    /// Measures the runs and prints.
    ///
    /// # Errors
    ///
    /// What reading the files gives, and [`Error::InvalidInput`] when a run and the judgements have
    /// no query in common.
    pub fn run(self) -> Result<()> {
        if self.test && self.runs.len() < 2 {
            let message = "expected at least two runs for --test, found one";
            return Err(Error::invalid(message));
        }
        let (qrels, _) = read_qrels(&self.qrels)?;
        let measured = self.runs.iter().map(|path| self.measure(path, &qrels));
        let measured = measured.collect::<Result<Vec<_>>>()?;
        let comparisons = if self.test {
            self.compare(&measured)?
        } else {
            Vec::new()
        };
        if self.json {
            return print_line(&self.json_report(&measured, &comparisons));
        }
        output::print(self.text_report(&measured, &comparisons)?.trim_end())
    }

    fn measure(&self, path: &Path, qrels: &Qrels) -> Result<Measured> {
        let (run, name) = read_run(path)?;
        let options = EvaluateOptions::new().exclude_self(self.exclude_self);
        let report = evaluate(qrels, &run, &self.metrics.0, options);
        let report = report.map_err(|error| error.at_line(name.clone(), 0))?;
        Ok(Measured { name, report })
    }

    /// Tests every run but the first on every metric.
    fn compare<'a>(&'a self, measured: &'a [Measured]) -> Result<Vec<Comparison<'a>>> {
        let Some((first, others)) = measured.split_first() else {
            return Ok(Vec::new());
        };
        let mut comparisons = Vec::new();
        for other in others {
            for metric in &self.metrics.0 {
                let pairs = PairedValues::from_reports(&first.report, &other.report, metric)?;
                comparisons.push(Comparison {
                    run: &other.name,
                    metric,
                    test: randomization_test(&pairs, PERMUTATIONS, SEED)?,
                    p_value_holm: 1.0,
                });
            }
        }
        let p_values: Vec<f64> = comparisons.iter().map(|c| c.test.p_value).collect();
        let corrected = holm_bonferroni(&p_values)?;
        for (comparison, p_value) in comparisons.iter_mut().zip(corrected) {
            comparison.p_value_holm = p_value;
        }
        Ok(comparisons)
    }

    fn text_report(&self, measured: &[Measured], comparisons: &[Comparison<'_>]) -> Result<String> {
        let style = Style::detect();
        let mut text = String::new();
        if self.per_query {
            for Measured { name, report } in measured {
                text += &format!(
                    "{}\n{}\n",
                    style.heading(name),
                    escaped_lines(&report.query_table().to_string())
                );
            }
        }
        let rows: Vec<(&str, &Report)> = measured.iter().map(|m| (&*m.name, &m.report)).collect();
        text += &comparison_table(&rows)?.to_string();
        text += &notes(measured);
        if self.exclude_self {
            text += "results whose id is that of their query are skipped\n";
        }
        if let Some(first) = measured.first()
            && !comparisons.is_empty()
        {
            text += &format!("\n{}\n", comparison_figures(comparisons));
            text += &format!(
                "Differences from {}; paired randomization test, two-sided, {} corrected by Holm's method.\n",
                first.name,
                counted(comparisons.len() as u64, "test")
            );
        }
        Ok(text)
    }

    fn json_report<'a>(
        &self,
        measured: &'a [Measured],
        comparisons: &'a [Comparison<'a>],
    ) -> JsonReport<'a> {
        let runs = measured.iter().map(|Measured { name, report }| RunJson {
            run: name,
            queries: report.queries().len(),
            missing: report.missing(),
            not_judged: report.not_judged(),
            metrics: metrics_json(report, |metric| report.mean(metric)),
            per_query: self.per_query.then(|| per_query_json(report)),
        });
        let tests = comparisons.iter().map(|comparison| TestJson {
            run: comparison.run,
            metric: comparison.metric.to_string(),
            difference: comparison.test.mean_difference,
            p_value: comparison.test.p_value,
            p_value_holm: comparison.p_value_holm,
            permutations: comparison.test.permutations,
            exact: comparison.test.exact,
        });
        JsonReport {
            qrels: self.qrels.display().to_string(),
            runs: runs.collect(),
            tests: self.test.then(|| tests.collect()),
        }
    }
}

/// How many queries the means cover, and how many are ignored or count as 0.
fn notes(measured: &[Measured]) -> String {
    let mut notes = String::new();
    if let Some(first) = measured.first() {
        notes += &format!("queries: {}\n", first.report.queries().len());
    }
    for Measured { name, report } in measured {
        let (missing, not_judged) = (report.missing(), report.not_judged());
        if missing > 0 {
            let missing = counted(missing as u64, "judged query");
            notes += &format!("{name}: {missing} without results, counted as 0\n");
        }
        if not_judged > 0 {
            let not_judged = counted(not_judged as u64, "query");
            notes += &format!("{name}: {not_judged} without judgements, skipped\n");
        }
    }
    notes
}

fn comparison_figures(comparisons: &[Comparison<'_>]) -> TextTable {
    let mut figures = TextTable::new(["run", "metric", "difference", "p", "p (Holm)"]);
    for comparison in comparisons {
        figures.push([
            comparison.run.to_owned(),
            comparison.metric.to_string(),
            format!("{:+.4}", comparison.test.mean_difference),
            format!("{:.4}", comparison.test.p_value),
            format!("{:.4}", comparison.p_value_holm),
        ]);
    }
    figures
}

#[derive(Serialize)]
struct JsonReport<'a> {
    qrels: String,
    runs: Vec<RunJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tests: Option<Vec<TestJson<'a>>>,
}

#[derive(Serialize)]
struct RunJson<'a> {
    run: &'a str,
    queries: usize,
    /// Judged queries that the run lacks; they count with 0.
    missing: usize,
    not_judged: usize,
    metrics: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_query: Option<Map<String, Value>>,
}

#[derive(Serialize)]
struct TestJson<'a> {
    run: &'a str,
    metric: String,
    difference: f64,
    p_value: f64,
    p_value_holm: f64,
    permutations: u64,
    exact: bool,
}

/// One value for each metric.
fn metrics_json(report: &Report, number: impl Fn(&Metric) -> Option<f64>) -> Map<String, Value> {
    let metrics = report.metrics().iter();
    metrics
        .filter_map(|metric| Some((metric.to_string(), number(metric)?.into())))
        .collect()
}

fn per_query_json(report: &Report) -> Map<String, Value> {
    let queries = report.queries().iter().enumerate();
    let values = |(place, query): (usize, &String)| {
        let value = |metric: &Metric| report.values(metric)?.get(place).copied();
        (query.clone(), Value::Object(metrics_json(report, value)))
    };
    queries.map(values).collect()
}
