//! Metrics of runs, and whether two runs differ.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use esparsa::eval::{
    EvaluateOptions, Metric, MissingQueries, PairedValues, Qrels, Report, Run, evaluate,
    randomization_test,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};

use crate::error::{invalid, raise, storage};
use crate::interrupt::{detached, interruptible};
use crate::options::names;
use crate::rank::run;
use crate::schema::choice;

/// Metrics of a run against judgements, as trec_eval computes them: a dict of means, or with
/// `per_query` a dict of dicts.
///
/// `qrels` are a dict of grades of documents for each query, or a path of a TREC file; `run` is a
/// dict of scores of documents for each query, or a path. `metrics` is a name or several, such as
/// `"ndcg@10"`, `"mrr@10"`, `"recall@100"` or `"map"`. Means are over the queries of the qrels: those
/// that the run lacks count 0, unless `missing` is `"skip"`.
///
/// >>> import esparsa
/// >>> esparsa.evaluate({"q": {"a": 1}}, {"q": {"b": 2.0, "a": 1.0}}, ["mrr@10"])
/// {'mrr@10': 0.5}
#[pyfunction]
#[pyo3(name = "evaluate", signature = (qrels, run, metrics, *, per_query = false, missing = "zero"))]
pub fn evaluate_run<'py>(
    py: Python<'py>,
    qrels: &Bound<'py, PyAny>,
    run: &Bound<'py, PyAny>,
    metrics: &Bound<'py, PyAny>,
    per_query: bool,
    missing: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let choices = [
        ("zero", MissingQueries::Zero),
        ("skip", MissingQueries::Skip),
    ];
    let options = EvaluateOptions::new().missing(choice("missing", missing, &choices)?);
    let names = names(metrics)?;
    let metrics = names.iter().map(|name| name.parse().map_err(raise));
    let metrics: Vec<Metric> = metrics.collect::<PyResult<_>>()?;
    let (qrels, run) = (read_qrels(qrels)?, read_run(run)?);
    let report = detached(py, || evaluate(&qrels, &run, &metrics, options))?;
    let dict = PyDict::new(py);
    if !per_query {
        for (name, mean) in names.iter().zip(report.means()) {
            dict.set_item(name, mean)?;
        }
        return Ok(dict);
    }
    for (place, query) in report.queries().iter().enumerate() {
        let values = PyDict::new(py);
        for (name, metric) in names.iter().zip(&metrics) {
            let value = report.values(metric).and_then(|values| values.get(place));
            values.set_item(name, value.copied())?;
        }
        dict.set_item(query, values)?;
    }
    Ok(dict)
}

/// Whether two runs differ by a metric: a dict of `difference`, the mean of the second run minus
/// that of the first, and `p_value`, by a two-sided paired randomization test.
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

fn open(path: &Path) -> PyResult<BufReader<File>> {
    let file = File::open(path).map_err(|error| {
        storage(format!(
            "expected a file that can be read, found {}: {error}",
            path.display()
        ))
    })?;
    Ok(BufReader::new(file))
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
            let (document, grade): (String, f64) = item.extract()?;
            let grade = whole(grade).ok_or_else(|| {
                invalid(format!(
                    "expected grades that are whole numbers, found {grade}"
                ))
            })?;
            qrels.insert(&query, &document, grade).map_err(raise)?;
        }
    }
    Ok(qrels)
}

/// A grade, which packages may have as a float.
#[allow(clippy::cast_possible_truncation)]
fn whole(grade: f64) -> Option<i32> {
    let is_whole = grade.fract() == 0.0 && grade.abs() <= f64::from(i32::MAX);
    is_whole.then_some(grade as i32)
}
