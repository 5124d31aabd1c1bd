//! The candidate that is best on the development queries.

use std::path::{Path, PathBuf};

use esparsa::eval::{EvaluateOptions, Metric, Qrels, Run, evaluate};
use esparsa::train::{Entry, LOG_FILE, read_log};
use esparsa::{Error, Result};
use serde::{Deserialize, Serialize};

use super::step::{Candidate, StepId};

/// What was chosen, and from what.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Choice {
    /// Its place among the candidates.
    pub place: usize,
    pub label: String,
    pub arguments: Vec<String>,
    pub metric: String,
    /// The mean of each candidate.
    pub means: Vec<(String, f64)>,
}

impl Choice {
    /// The best and the lowest mean.
    pub fn range(&self) -> (f64, f64) {
        let means = self.means.iter().map(|(_, mean)| *mean);
        let best = means.clone().fold(f64::MIN, f64::max);
        (best, means.fold(f64::MAX, f64::min))
    }

    /// The number of candidates with the best mean.
    pub fn tied(&self) -> usize {
        let (best, _) = self.range();
        self.means.iter().filter(|(_, mean)| *mean == best).count()
    }

    /// What was chosen, and whether others are as good.
    pub fn shown(&self) -> String {
        match self.tied() {
            0 | 1 => self.label.clone(),
            tied => format!("{} (the first of {tied} with this mean)", self.label),
        }
    }
}

/// Chooses the candidate with the highest mean; of several the first.
///
/// # Errors
///
/// What reading the runs and judgements gives, and [`Error::InvalidInput`] without candidates.
pub(super) fn choose(
    candidates: &[Candidate],
    run: impl Fn(StepId) -> PathBuf,
    qrels: &Path,
    metric: &str,
) -> Result<Choice> {
    let qrels = Qrels::open(qrels)?;
    let parsed: Metric = metric.parse()?;
    let mut means = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let found = Run::open(run(candidate.run))?;
        let report = evaluate(
            &qrels,
            &found,
            std::slice::from_ref(&parsed),
            EvaluateOptions::new(),
        )?;
        let mean = report.mean(&parsed).unwrap_or_default();
        means.push((candidate.label.clone(), mean));
    }
    let (place, best) = highest(candidates, &means)?;
    Ok(Choice {
        place,
        label: best.label.clone(),
        arguments: best.arguments.clone(),
        metric: metric.to_owned(),
        means,
    })
}

/// Chooses the model with the highest metric of its own evaluations; of several the first.
///
/// # Errors
///
/// What reading the logs of training gives, and [`Error::InvalidInput`] when a model was not
/// evaluated.
pub(super) fn choose_model(
    candidates: &[(String, StepId)],
    trained: impl Fn(StepId) -> PathBuf,
) -> Result<Choice> {
    let (mut means, mut metric) = (Vec::with_capacity(candidates.len()), String::new());
    for (label, step) in candidates {
        let mut highest: Option<f64> = None;
        read_log(&trained(*step).join(LOG_FILE), |entry| match entry {
            Entry::Started(run) => metric = run.metric,
            Entry::Evaluated(found) => {
                highest = Some(highest.map_or(found.value, |value| value.max(found.value)));
            }
            _ => {}
        })?;
        let highest = highest.ok_or_else(|| {
            Error::invalid(format!(
                "expected a model that was evaluated, found none for {label}; let                  `development-queries` be above 0"
            ))
        })?;
        means.push((label.clone(), highest));
    }
    let (place, (label, _)) = highest(candidates, &means)?;
    Ok(Choice {
        place,
        label: label.clone(),
        arguments: Vec::new(),
        metric,
        means,
    })
}

/// The candidate with the highest mean; of several the first.
fn highest<'c, T>(candidates: &'c [T], means: &[(String, f64)]) -> Result<(usize, &'c T)> {
    let mut best: Option<(usize, &T, f64)> = None;
    for (place, (candidate, (_, mean))) in candidates.iter().zip(means).enumerate() {
        if best.is_none_or(|(_, _, highest)| *mean > highest) {
            best = Some((place, candidate, *mean));
        }
    }
    let best = best.map(|(place, candidate, _)| (place, candidate));
    best.ok_or_else(|| Error::invalid("expected candidates, found none"))
}
