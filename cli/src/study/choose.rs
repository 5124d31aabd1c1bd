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

/// What both reports tell of a choice, and by which they name it.
pub(super) const HEADS: [&str; 7] = [
    "system or model",
    "chosen",
    "metric",
    "its mean",
    "lowest mean",
    "candidates",
    "the best under each value",
];

/// Values of a parameter that are compared with one another; more are a scale, not alternatives.
const VALUES: usize = 6;

impl Choice {
    /// The cells behind the name, under [`HEADS`].
    pub fn cells(&self) -> [String; HEADS.len() - 1] {
        let (best, lowest) = self.range();
        [
            self.shown(),
            self.metric.clone(),
            format!("{best:.4}"),
            format!("{lowest:.4}"),
            self.means.len().to_string(),
            self.by_value(),
        ]
    }

    /// The best mean under each value of each parameter that has a few: `normalization: min-max
    /// 0.8102, z-score 0.8200`.
    pub fn by_value(&self) -> String {
        let mut parameters: Vec<(&str, Vec<(&str, f64)>)> = Vec::new();
        for (label, mean) in &self.means {
            let parts = label.split(", ").filter_map(|part| part.split_once(' '));
            for (name, value) in parts {
                let place = parameters.iter().position(|(known, _)| *known == name);
                let place = place.unwrap_or_else(|| {
                    parameters.push((name, Vec::new()));
                    parameters.len() - 1
                });
                let values = &mut parameters[place].1;
                match values.iter_mut().find(|(known, _)| *known == value) {
                    Some((_, best)) => *best = best.max(*mean),
                    None => values.push((value, *mean)),
                }
            }
        }
        parameters.retain(|(_, values)| (2..=VALUES).contains(&values.len()));
        let shown = parameters.iter().map(|(name, values)| {
            let values = values
                .iter()
                .map(|(value, mean)| format!("{value} {mean:.4}"));
            format!("{name}: {}", values.collect::<Vec<_>>().join(", "))
        });
        shown.collect::<Vec<_>>().join("; ")
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
                "expected a model that was evaluated, found none for {label}; let `development-queries` be above 0"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_mean_of_each_value_is_told() {
        let means = [
            ("normalization min-max, weights 0.5,0.5", 0.5),
            ("normalization min-max, weights 0.9,0.1", 0.7),
            ("normalization rank, weights 0.5,0.5", 0.6),
            ("normalization rank, weights 0.9,0.1", 0.4),
        ];
        let choice = Choice {
            place: 1,
            label: means[1].0.into(),
            arguments: Vec::new(),
            metric: "ndcg@10".into(),
            means: means.map(|(label, mean)| (label.into(), mean)).to_vec(),
        };
        let expected = "normalization: min-max 0.7000, rank 0.6000; \
                        weights: 0.5,0.5 0.6000, 0.9,0.1 0.7000";
        assert_eq!(choice.by_value(), expected);
    }
}
