//! The candidate that is best on the development queries.

use std::path::{Path, PathBuf};

use esparsa::eval::{EvaluateOptions, Metric, Qrels, Run, evaluate};
use esparsa::{Error, Result};
use serde::{Deserialize, Serialize};

use super::step::{Candidate, StepId};

/// What was chosen, and from what.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Choice {
    pub label: String,
    pub arguments: Vec<String>,
    pub metric: String,
    /// The mean of each candidate.
    pub means: Vec<(String, f64)>,
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
    let mut best: Option<(&Candidate, f64)> = None;
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
        if best.is_none_or(|(_, highest)| mean > highest) {
            best = Some((candidate, mean));
        }
    }
    let (best, _) = best.ok_or_else(|| Error::invalid("expected candidates, found none"))?;
    Ok(Choice {
        label: best.label.clone(),
        arguments: best.arguments.clone(),
        metric: metric.to_owned(),
        means,
    })
}
