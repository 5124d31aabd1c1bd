//! Metrics of all systems on all collections, and tests against the baseline.

use esparsa::Result;
use esparsa::eval::{
    EvaluateOptions, Metric, PairedValues, Qrels, Report, Run, evaluate, holm_bonferroni,
    randomization_test,
};

use super::config::Config;
use super::folder::Folder;
use super::interval::interval;
use super::plan::Plan;

/// Random sign assignments of a test.
const PERMUTATIONS: u64 = 100_000;
/// A fixed seed: the same runs always give the same p values.
const SEED: u64 = 42;

/// What all systems reach.
pub(super) struct Results {
    pub metrics: Vec<Metric>,
    /// The place of the system that others are tested against.
    pub baseline: usize,
    pub collections: Vec<CollectionResults>,
}

/// What all systems reach on the test queries of a collection.
pub(super) struct CollectionResults {
    pub queries: Vec<String>,
    /// For each system and each metric.
    pub values: Vec<Vec<Value>>,
    /// The first metric of each query, for each system.
    pub of_queries: Vec<Vec<f64>>,
}

/// A mean over queries.
pub(super) struct Value {
    pub mean: f64,
    /// In which the mean of all such queries lies in 95 of 100 studies.
    pub interval: (f64, f64),
    /// Of the difference from the baseline, corrected for all tests on the collection; `None` for the
    /// baseline itself and for floors, of which nobody supposes that they are as good.
    pub p_value: Option<f64>,
}

impl Results {
    /// Evaluates the runs of all systems.
    ///
    /// # Errors
    ///
    /// What reading runs and judgements gives.
    pub fn new(config: &Config, plan: &Plan, folder: &Folder) -> Result<Self> {
        let study = &config.study;
        let metrics = study
            .metrics
            .get_ref()
            .iter()
            .map(|metric| metric.get_ref().parse());
        let metrics = metrics.collect::<Result<Vec<Metric>>>()?;
        let is_baseline = |system: &super::config::System| {
            let baseline = study.baseline.as_ref().map(|name| name.get_ref());
            Some(system.name.get_ref()) == baseline
        };
        let baseline = study
            .systems
            .get_ref()
            .iter()
            .position(is_baseline)
            .unwrap_or(0);
        let is_tested = study.systems.get_ref().iter().enumerate();
        let is_tested = is_tested.map(|(place, s)| place != baseline && !s.kind.is_floor());
        let is_tested: Vec<bool> = is_tested.collect();
        let mut collections = Vec::new();
        for (place, judgements) in plan.judgements.iter().enumerate() {
            let qrels = Qrels::open(folder.path_of(judgements, plan)?)?;
            let mut reports = Vec::new();
            for system in &plan.systems {
                let run = Run::open(folder.output(&plan.steps[system.runs[place]]))?;
                reports.push(evaluate(&qrels, &run, &metrics, EvaluateOptions::new())?);
            }
            collections.push(CollectionResults::new(
                &reports, &metrics, baseline, &is_tested,
            )?);
        }
        Ok(Self {
            metrics,
            baseline,
            collections,
        })
    }
}

impl CollectionResults {
    fn new(
        reports: &[Report],
        metrics: &[Metric],
        baseline: usize,
        is_tested: &[bool],
    ) -> Result<Self> {
        let mut p_values = Vec::new();
        for (report, _) in reports.iter().zip(is_tested).filter(|(_, tested)| **tested) {
            for metric in metrics {
                let pairs = PairedValues::from_reports(&reports[baseline], report, metric)?;
                p_values.push(randomization_test(&pairs, PERMUTATIONS, SEED)?.p_value);
            }
        }
        let mut p_values = holm_bonferroni(&p_values)?.into_iter();
        let mut values = Vec::new();
        for (report, is_tested) in reports.iter().zip(is_tested) {
            let of_metric = metrics.iter().map(|metric| {
                let mean = report.mean(metric).unwrap_or_default();
                let interval = report.values(metric).and_then(interval);
                Value {
                    mean,
                    interval: interval.unwrap_or((mean, mean)),
                    p_value: is_tested.then(|| p_values.next()).flatten(),
                }
            });
            values.push(of_metric.collect());
        }
        let first = |report: &Report| {
            let values = metrics.first().and_then(|metric| report.values(metric));
            values.unwrap_or_default().to_vec()
        };
        Ok(Self {
            queries: reports
                .first()
                .map_or(Vec::new(), |report| report.queries().to_vec()),
            values,
            of_queries: reports.iter().map(first).collect(),
        })
    }
}
