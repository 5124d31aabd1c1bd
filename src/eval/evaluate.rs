//! Evaluation of a run against qrels.

use std::fmt;

use super::measures::JudgedRanking;
use super::metric::Metric;
use super::qrels::Qrels;
use super::run::Run;
use super::table::Table;
use crate::error::{Error, Result};

/// How to treat queries that are judged but not in the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingQueries {
    /// They count with 0 in every measure, as in `ir_measures` and in `trec_eval -c`.
    #[default]
    Zero,
    /// They are excluded from the report and the means, as in trec_eval without `-c`.
    Skip,
}

/// Options of [`evaluate`].
///
/// ```
/// use esparsa::eval::{EvaluateOptions, MissingQueries};
///
/// let options = EvaluateOptions::new().missing(MissingQueries::Skip).exclude_self(true);
/// assert_ne!(options, EvaluateOptions::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvaluateOptions {
    missing: MissingQueries,
    exclude_self: bool,
}

impl EvaluateOptions {
    /// The rules of `trec_eval -c`: missing queries count with 0, no result is excluded.
    pub fn new() -> Self {
        Self::default()
    }

    /// How to treat queries that are judged but not in the run.
    #[must_use]
    pub fn missing(self, missing: MissingQueries) -> Self {
        Self { missing, ..self }
    }

    /// Whether to remove results with the id of their query, for collections whose queries are
    /// documents of the collection, such as ArguAna.
    #[must_use]
    pub fn exclude_self(self, exclude_self: bool) -> Self {
        Self {
            exclude_self,
            ..self
        }
    }
}

/// Evaluates a run: one value for each query of the qrels and each metric.
///
/// The rules are those of trec_eval. Documents are ranked as in [`Run::ranked`]. A document without
/// a judgment, or with a negative grade, counts as not relevant. Queries of the run without
/// judgments are ignored. A judged query without relevant documents counts with 0. All measures use
/// the same ranking; `ir_measures` computes `RR@k` and `Judged@k` on a ranking whose ties are
/// broken by ascending document id instead.
///
/// # Errors
///
/// [`Error::InvalidInput`] if there is nothing to average: no metric, no judged query, a run none
/// of whose queries is judged (the ids of the two files do not match), or an empty run with
/// [`MissingQueries::Skip`].
pub fn evaluate(
    qrels: &Qrels,
    run: &Run,
    metrics: &[Metric],
    options: EvaluateOptions,
) -> Result<Report> {
    if metrics.is_empty() {
        return Err(Error::invalid("expected at least one metric, found none"));
    }
    refuse_disjoint(qrels, run, options)?;
    let mut report = Report {
        metrics: metrics.to_vec(),
        queries: Vec::new(),
        values: vec![Vec::new(); metrics.len()],
        missing: 0,
        missing_counted: options.missing == MissingQueries::Zero,
        not_judged: run.queries().filter(|id| !qrels.contains(id)).count(),
    };
    for query in qrels.queries() {
        let Some(judgments) = qrels.judgments(query) else {
            continue;
        };
        if run.results(query).is_none() {
            report.missing += 1;
            if options.missing == MissingQueries::Skip {
                continue;
            }
        }
        let mut ranked = run.ranked(query);
        if options.exclude_self {
            ranked.retain(|hit| hit.document != query);
        }
        let ranking = JudgedRanking::new(&ranked, judgments);
        report.queries.push(query.to_owned());
        for (values, metric) in report.values.iter_mut().zip(metrics) {
            values.push(ranking.measure(metric));
        }
    }
    Ok(report)
}

fn refuse_disjoint(qrels: &Qrels, run: &Run, options: EvaluateOptions) -> Result<()> {
    let Some(judged) = qrels.queries().next() else {
        return Err(Error::invalid("expected judged queries, found empty qrels"));
    };
    if run.queries().any(|query| qrels.contains(query)) {
        return Ok(());
    }
    match run.queries().next() {
        None if options.missing == MissingQueries::Zero => Ok(()),
        None => Err(Error::invalid(
            "expected a run with queries, found an empty one",
        )),
        Some(query) => Err(Error::invalid(format!(
            "no query of the run is in the qrels: the run starts with `{query}`, the qrels with \
             `{judged}`; check that both belong to the same queries"
        ))),
    }
}

/// Values of each metric for each query, and their means.
///
/// [`Display`](fmt::Display) prints the means as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    metrics: Vec<Metric>,
    queries: Vec<String>,
    /// For each metric, one value for each query.
    values: Vec<Vec<f64>>,
    missing: usize,
    missing_counted: bool,
    not_judged: usize,
}

impl Report {
    /// The metrics, in the order of the call.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// Ids of the evaluated queries, in the order of the qrels.
    pub fn queries(&self) -> &[String] {
        &self.queries
    }

    /// Values of a metric, in the order of [`Report::queries`]; `None` if it was not computed.
    pub fn values(&self, metric: &Metric) -> Option<&[f64]> {
        let index = self.metrics.iter().position(|known| known == metric)?;
        Some(&self.values[index])
    }

    /// Mean of a metric over the queries; `None` if it was not computed.
    pub fn mean(&self, metric: &Metric) -> Option<f64> {
        self.values(metric).map(mean)
    }

    /// Means of all metrics, in the order of [`Report::metrics`].
    pub fn means(&self) -> Vec<f64> {
        self.values.iter().map(|values| mean(values)).collect()
    }

    /// Number of judged queries that are not in the run.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Number of queries of the run that are not judged.
    pub fn not_judged(&self) -> usize {
        self.not_judged
    }

    /// A table with one row for each query, and a last row of means.
    pub fn query_table(&self) -> Table {
        let mut table = Table::new(["query".to_owned()].into_iter().chain(self.metric_names()));
        for (index, query) in self.queries.iter().enumerate() {
            table.push(query, self.values.iter().map(|values| values[index]));
        }
        table.push("mean", self.means());
        table
    }

    fn metric_names(&self) -> impl Iterator<Item = String> + '_ {
        self.metrics.iter().map(Metric::to_string)
    }
}

/// The mean; a report always has at least one query.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["metric".to_owned(), "mean".to_owned()]);
        for (name, mean) in self.metric_names().zip(self.means()) {
            table.push(&name, [mean]);
        }
        write!(f, "{table}")?;
        writeln!(f, "queries: {}", self.queries.len())?;
        if self.missing > 0 {
            let counted = if self.missing_counted {
                "counted as 0"
            } else {
                "skipped"
            };
            writeln!(f, "judged, without results: {} ({counted})", self.missing)?;
        }
        if self.not_judged > 0 {
            writeln!(f, "not judged: {} (skipped)", self.not_judged)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qrels() -> Qrels {
        Qrels::read("1 0 a 1\n2 0 a 1\n3 0 a 0\n".as_bytes(), "q").unwrap()
    }

    fn run() -> Run {
        Run::read("1 Q0 a 1 1 t\n3 Q0 b 1 1 t\n9 Q0 a 1 1 t\n".as_bytes(), "r").unwrap()
    }

    fn report(missing: MissingQueries) -> Report {
        let metrics = Metric::parse_list("mrr,p@2").unwrap();
        let options = EvaluateOptions::new().missing(missing);
        evaluate(&qrels(), &run(), &metrics, options).unwrap()
    }

    #[test]
    fn missing_queries_count_zero_or_not_at_all() {
        let mrr = "mrr".parse().unwrap();
        let zero = report(MissingQueries::Zero);
        assert_eq!(zero.queries(), ["1", "2", "3"]);
        assert_eq!(zero.values(&mrr), Some(&[1.0, 0.0, 0.0][..]));
        assert_eq!(zero.mean(&mrr), Some(1.0 / 3.0));
        let skip = report(MissingQueries::Skip);
        assert_eq!(skip.queries(), ["1", "3"]);
        assert_eq!(skip.means(), [0.5, 0.25]);
        assert_eq!((skip.missing(), skip.not_judged()), (1, 1));
        assert_eq!(skip.mean(&"map".parse().unwrap()), None);
    }

    #[test]
    fn a_result_with_the_id_of_its_query_can_be_excluded() {
        let run = Run::read("1 Q0 1 1 9 t\n1 Q0 a 2 8 t\n".as_bytes(), "r").unwrap();
        let metrics = Metric::parse_list("mrr").unwrap();
        let mrr = |exclude_self| {
            let options = EvaluateOptions::new()
                .missing(MissingQueries::Skip)
                .exclude_self(exclude_self);
            evaluate(&qrels(), &run, &metrics, options).unwrap().means()[0]
        };
        assert_eq!((mrr(false), mrr(true)), (0.5, 1.0));
    }

    #[test]
    fn a_query_with_an_empty_ranking_is_not_missing() {
        let mut run = Run::new();
        run.insert("1", Vec::new()).unwrap();
        let metrics = Metric::parse_list("mrr").unwrap();
        let options = EvaluateOptions::new().missing(MissingQueries::Skip);
        let report = evaluate(&qrels(), &run, &metrics, options).unwrap();
        assert_eq!(report.queries(), ["1"]);
        assert_eq!(report.means(), [0.0]);
    }

    #[test]
    fn the_printed_report_says_what_was_skipped() {
        assert_eq!(
            report(MissingQueries::Zero).to_string(),
            "metric    mean\nmrr     0.3333\np@2     0.1667\nqueries: 3\n\
             judged, without results: 1 (counted as 0)\nnot judged: 1 (skipped)\n"
        );
        let text = report(MissingQueries::Skip).to_string();
        assert!(text.contains("without results: 1 (skipped)"), "{text}");
        assert_eq!(
            report(MissingQueries::Skip).query_table().to_string(),
            "query     mrr     p@2\n1      1.0000  0.5000\n3      0.0000  0.0000\n\
             mean   0.5000  0.2500\n"
        );
    }

    #[test]
    fn nothing_to_average_is_an_error() {
        let metrics = Metric::parse_list("mrr").unwrap();
        let zero = EvaluateOptions::default();
        let skip = EvaluateOptions::new().missing(MissingQueries::Skip);
        assert!(evaluate(&qrels(), &run(), &[], zero).is_err());
        assert!(evaluate(&Qrels::new(), &run(), &metrics, zero).is_err());
        assert!(evaluate(&qrels(), &Run::new(), &metrics, skip).is_err());
        assert!(evaluate(&qrels(), &Run::new(), &metrics, zero).is_ok());
        let other = Run::read("x1 Q0 a 1 1 t\n".as_bytes(), "r").unwrap();
        let error = evaluate(&qrels(), &other, &metrics, zero).unwrap_err();
        assert!(error.to_string().contains("`x1`"), "{error}");
    }
}
