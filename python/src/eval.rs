//! Metrics of runs, and whether two runs differ.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use esparsa::eval::{
    EvaluateOptions, Metric, PairedValues, Qrels, Report, Run, evaluate, randomization_test,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};

use crate::error::{invalid, raise};
use crate::interrupt::interruptible;
use crate::rank::run;

/// Metrics of a run against judgements, as trec_eval computes them: a dict of means, or with
/// `per_query` a dict of dicts.
///
/// `qrels` are a dict of grades of documents for each query, or a path of a TREC file; `run` is a dict of
/// scores of documents for each query, or a path. `metrics` are names such as `"ndcg@10"`, `"mrr@10"`,
/// `"recall@100"` or `"map"`.
///
/// >>> import esparsa
/// >>> esparsa.evaluate({"q": {"a": 1}}, {"q": {"b": 2.0, "a": 1.0}}, ["mrr@10"])
/// {'mrr@10': 0.5}
#[pyfunction]
#[pyo3(name = "evaluate", signature = (qrels, run, metrics, *, per_query = false))]
pub fn evaluate_run<'py>(
    py: Python<'py>,
    qrels: &Bound<'py, PyAny>,
    run: &Bound<'py, PyAny>,
    metrics: Vec<String>,
    per_query: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let metrics = Metric::parse_list(&metrics.join(",")).map_err(raise)?;
    let report = report(&read_qrels(qrels)?, &read_run(run)?, &metrics)?;
    let dict = PyDict::new(py);
    if !per_query {
        for (metric, mean) in metrics.iter().zip(report.means()) {
            dict.set_item(metric.to_string(), mean)?;
        }
        return Ok(dict);
    }
    for (place, query) in report.queries().iter().enumerate() {
        let values = PyDict::new(py);
        for metric in &metrics {
            let value = report.values(metric).and_then(|values| values.get(place));
            values.set_item(metric.to_string(), value.copied())?;
        }
        dict.set_item(query, values)?;
    }
    Ok(dict)
}

/// Whether two runs differ by a metric: a dict of `difference`, the mean of the second run minus that
/// of the first, and `p_value`, by a two-sided paired randomization test.
#[pyfunction]
#[pyo3(signature = (qrels, baseline, run, metric, *, permutations = 100_000, seed = 0))]
pub fn compare<'py>(
    py: Python<'py>,
    qrels: &Bound<'py, PyAny>,
    baseline: &Bound<'py, PyAny>,
    run: &Bound<'py, PyAny>,
    metric: &str,
    permutations: u64,
    seed: u64,
) -> PyResult<Bound<'py, PyDict>> {
    let metric: Metric = metric.parse().map_err(raise)?;
    let metrics = [metric];
    let qrels = read_qrels(qrels)?;
    let before = report(&qrels, &read_run(baseline)?, &metrics)?;
    let after = report(&qrels, &read_run(run)?, &metrics)?;
    let [metric] = &metrics;
    let pairs = PairedValues::from_reports(&before, &after, metric).map_err(raise)?;
    let test = interruptible(py, |_| randomization_test(&pairs, permutations, seed))?;
    let dict = PyDict::new(py);
    dict.set_item("difference", test.mean_difference)?;
    dict.set_item("p_value", test.p_value)?;
    Ok(dict)
}

fn report(qrels: &Qrels, run: &Run, metrics: &[Metric]) -> PyResult<Report> {
    evaluate(qrels, run, metrics, EvaluateOptions::new()).map_err(raise)
}

fn open(path: &PathBuf) -> PyResult<BufReader<File>> {
    Ok(BufReader::new(File::open(path)?))
}

fn read_run(object: &Bound<'_, PyAny>) -> PyResult<Run> {
    match object.extract::<PathBuf>() {
        Ok(path) => Run::read(open(&path)?, &path.display().to_string()).map_err(raise),
        Err(_) => run(object),
    }
}

fn read_qrels(object: &Bound<'_, PyAny>) -> PyResult<Qrels> {
    if let Ok(path) = object.extract::<PathBuf>() {
        return Qrels::read(open(&path)?, &path.display().to_string()).map_err(raise);
    }
    let queries = object.cast::<PyMapping>().map_err(|_| {
        invalid("expected qrels: a dict of grades of documents for each query, or a path; found something else")
    })?;
    let mut qrels = Qrels::new();
    for item in queries.items()? {
        let (query, grades): (String, Bound<'_, PyAny>) = item.extract()?;
        for item in grades.cast::<PyMapping>()?.items()? {
            let (document, grade): (String, i32) = item.extract()?;
            qrels.insert(&query, &document, grade).map_err(raise)?;
        }
    }
    Ok(qrels)
}
