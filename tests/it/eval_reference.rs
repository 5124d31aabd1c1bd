//! Measures and significance tests, compared with the values of other programs.
//!
//! `tests/fixtures/eval` has the runs, the qrels and the values of `pytrec_eval`, `ir_measures`,
//! `scipy` and `statsmodels`; `make.py` there generates them and says how to run it.

use std::path::PathBuf;

use esparsa::eval::{
    EvaluateOptions, Metric, MissingQueries, PairedValues, Qrels, Report, Run, evaluate,
    holm_bonferroni, paired_t_test, randomization_test,
};
use serde_json::Value;

const TOLERANCE: f64 = 1e-6;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/eval")
        .join(name)
}

fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|number| number.as_f64().unwrap()).collect()
}

/// One case of the fixtures: the files, and the values of the other programs.
struct Case {
    name: String,
    qrels: Qrels,
    run: Run,
    queries: Vec<String>,
    /// For each metric, the values of each program.
    expected: Vec<(Metric, Value)>,
}

impl Case {
    fn report(&self, missing: MissingQueries) -> Report {
        let metrics: Vec<Metric> = self.expected.iter().map(|(metric, _)| *metric).collect();
        evaluate(
            &self.qrels,
            &self.run,
            &metrics,
            EvaluateOptions::new().missing(missing),
        )
        .unwrap()
    }
}

fn cases() -> Vec<Case> {
    let expected = json("expected.json");
    let read = |(name, figures): (&String, &Value)| {
        let trec = fixture(&format!("{name}.qrels"));
        let beir = fixture(&format!("{name}.tsv"));
        let metrics = figures["metrics"].as_object().unwrap();
        let queries = figures["queries"].as_array().unwrap();
        Case {
            name: name.clone(),
            qrels: Qrels::open(if trec.exists() { trec } else { beir }).unwrap(),
            run: Run::open(fixture(&format!("{name}.run"))).unwrap(),
            queries: queries
                .iter()
                .map(|id| id.as_str().unwrap().to_owned())
                .collect(),
            expected: metrics
                .iter()
                .map(|(name, figures)| (name.parse().unwrap(), figures.clone()))
                .collect(),
        }
    };
    expected.as_object().unwrap().iter().map(read).collect()
}

fn assert_close(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() <= TOLERANCE,
        "{what}: found {found}, expected {expected}"
    );
}

#[test]
fn the_fixtures_cover_every_case_and_metric() {
    let cases = cases();
    assert_eq!(cases.len(), 7);
    for case in &cases {
        assert_eq!(case.expected.len(), 34, "{}", case.name);
        assert_eq!(case.qrels.queries().collect::<Vec<_>>(), case.queries);
    }
}

#[test]
fn every_measure_equals_ir_measures() {
    for case in cases() {
        let report = case.report(MissingQueries::Zero);
        assert_eq!(report.queries(), case.queries);
        for (metric, expected) in &case.expected {
            let values = report.values(metric).unwrap();
            let wanted = numbers(&expected["ir_measures"]);
            assert_eq!(values.len(), wanted.len());
            for ((query, &value), wanted) in case.queries.iter().zip(values).zip(wanted) {
                assert_close(value, wanted, &format!("{} {query} {metric}", case.name));
            }
            let mean = expected["ir_measures_mean"].as_f64().unwrap();
            let what = format!("{} mean {metric}", case.name);
            assert_close(report.mean(metric).unwrap(), mean, &what);
        }
    }
}

#[test]
fn every_measure_of_trec_eval_equals_pytrec_eval() {
    let mut compared = 0;
    for case in cases() {
        let report = case.report(MissingQueries::Skip);
        for (metric, expected) in &case.expected {
            let Some(wanted) = expected["pytrec_eval"].as_array() else {
                continue;
            };
            // A query that trec_eval skips has no value.
            let wanted: Vec<(&String, f64)> = case
                .queries
                .iter()
                .zip(wanted)
                .filter_map(|(query, value)| Some((query, value.as_f64()?)))
                .collect();
            let counted: Vec<&String> = wanted.iter().map(|&(query, _)| query).collect();
            assert_eq!(report.queries().iter().collect::<Vec<_>>(), counted);
            let values = report.values(metric).unwrap();
            for ((query, wanted), &value) in wanted.into_iter().zip(values) {
                assert_close(value, wanted, &format!("{} {query} {metric}", case.name));
                compared += 1;
            }
            let mean = expected["pytrec_eval_mean"].as_f64().unwrap();
            let what = format!("{} mean {metric}", case.name);
            assert_close(report.mean(metric).unwrap(), mean, &what);
        }
    }
    assert!(compared > 1500, "{compared}");
}

#[test]
fn a_run_has_the_same_values_after_writing_and_reading() {
    for case in cases() {
        let mut bytes = Vec::new();
        case.run.write(&mut bytes, "again.run", "again").unwrap();
        let again = Run::read(bytes.as_slice(), "again.run").unwrap();
        let before = case.report(MissingQueries::Zero);
        let after = Case { run: again, ..case }.report(MissingQueries::Zero);
        assert_eq!(before, after);
    }
}

#[test]
fn the_t_test_equals_scipy() {
    for expected in json("significance.json")["pairs"].as_array().unwrap() {
        let (first, second) = (numbers(&expected["first"]), numbers(&expected["second"]));
        let pairs = PairedValues::new(&first, &second).unwrap();
        let test = paired_t_test(&pairs).unwrap();
        let t = expected["t"].as_f64().unwrap();
        let p = expected["t_p"].as_f64().unwrap();
        assert!(
            (test.statistic - t).abs() < 1e-9 * t.abs().max(1.0),
            "{test:?} {t}"
        );
        assert!((test.p_value / p - 1.0).abs() < 1e-9, "{test:?} {p}");
        assert_eq!(test.degrees_of_freedom, first.len() - 1);
    }
}

/// Differences with exactly the statistic `t`: their mean is 1, their deviation matches.
fn differences_with(t: f64, count: usize) -> Vec<f64> {
    // Values -1, 1, -1, 1, ... (and a 0 if the count is odd) have mean 0.
    let shape: Vec<f64> = (0..count)
        .map(|i| match i {
            i if count % 2 == 1 && i == count - 1 => 0.0,
            i if i % 2 == 0 => -1.0,
            _ => 1.0,
        })
        .collect();
    let squares: f64 = shape.iter().map(|value| value * value).sum();
    let deviation = (squares / (count as f64 - 1.0)).sqrt();
    let wanted = (count as f64).sqrt() / t;
    shape
        .iter()
        .map(|value| 1.0 + value * wanted / deviation)
        .collect()
}

#[test]
fn tails_of_student_equal_scipy_from_near_zero_to_far_out() {
    for expected in json("significance.json")["tails"].as_array().unwrap() {
        let t = expected["t"].as_f64().unwrap();
        let count = expected["pairs"].as_u64().unwrap() as usize;
        let p = expected["p"].as_f64().unwrap();
        let values = differences_with(t, count);
        let pairs = PairedValues::new(&vec![0.0; count], &values).unwrap();
        let test = paired_t_test(&pairs).unwrap();
        assert!((test.statistic / t - 1.0).abs() < 1e-9, "{test:?} {t}");
        // Far out, p falls so fast that rounding of t alone moves it.
        assert!((test.p_value / p - 1.0).abs() < 1e-8, "{test:?} {p}");
    }
}

#[test]
fn the_randomization_test_equals_scipy() {
    for expected in json("significance.json")["pairs"].as_array().unwrap() {
        let (first, second) = (numbers(&expected["first"]), numbers(&expected["second"]));
        let pairs = PairedValues::new(&first, &second).unwrap();
        let test = randomization_test(&pairs, 200_000, 7).unwrap();
        let p = expected["randomization_p"].as_f64().unwrap();
        assert_eq!(Value::Bool(test.exact), expected["exact"]);
        if test.exact {
            assert!((test.p_value - p).abs() < 1e-12, "{test:?} {p}");
        } else {
            // Two draws of 200,000: five standard deviations of their difference.
            let deviation = (2.0 * p * (1.0 - p) / 200_000.0).sqrt();
            assert!(
                (test.p_value - p).abs() < 5.0 * deviation + 1e-5,
                "{test:?} {p}"
            );
        }
    }
}

#[test]
fn holm_bonferroni_equals_statsmodels() {
    for expected in json("significance.json")["holm"].as_array().unwrap() {
        let corrected = holm_bonferroni(&numbers(&expected["p"])).unwrap();
        for (found, wanted) in corrected.iter().zip(numbers(&expected["corrected"])) {
            assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        }
    }
}
