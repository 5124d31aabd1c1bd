//! Checks of a running training: numbers that are not finite, explosion, collapse.
//!
//! A run that failed goes on producing figures for hours. These checks look at what a step reports,
//! and say what was found, at which step, and what to change:
//!
//! | check | found when | verdict |
//! | --- | --- | --- |
//! | not finite | loss or gradient norm is NaN or infinite | stop at once |
//! | explosion | gradient norm or loss are far above their running medians | warning, then stop |
//! | dense vectors | documents have most of the vocabulary active after the ramp of λ | warning, then stop |
//! | empty vectors | documents or queries have less than one active term | warning, then stop |
//! | constant scores | all documents of a query have the same score | warning, then stop |
//!
//! A warning comes when a finding has lasted for some records in a row, and the stop when it has lasted
//! for more: single outliers are normal, and clipping takes care of them. Values found to be too high
//! do not enter the medians, which would otherwise follow them.

mod running;

use serde::{Deserialize, Serialize};

use self::running::Running;
use super::watch::StepRecord;

/// Records before which the median of a run that has just begun says nothing.
const MIN_RECORDS: usize = 20;

/// What kind of model is trained; checks differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthKind {
    /// Sparse vectors over this many terms.
    Sparse {
        /// The size of the vocabulary.
        vocabulary: usize,
    },
    /// Dense vectors, one of a text or one of a token.
    Dense,
    /// A score of a pair.
    Cross,
}

/// When a run counts as failed. Counts are of records, which are steps unless a run reports fewer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthOptions {
    /// What is trained.
    pub kind: HealthKind,
    /// Steps of the learning rate's warm-up: scores may be constant until then.
    pub warm_up: u64,
    /// Steps of λ's ramp: vectors may be dense until then.
    pub ramp: u64,
    /// The gradient norm that is clipped to: norms up to this explode nothing. 1.
    pub max_norm: f64,
    /// Records of a running median. 100: long enough for noise, short enough to follow a schedule.
    pub window: usize,
    /// How many times its median a value must be to count as an explosion. 10: batches of a healthy
    /// run differ by a factor of 2 to 5.
    pub factor: f64,
    /// The share of the vocabulary above which vectors are dense. 0.6: a head that was only added, not
    /// trained, has about half of it active.
    pub max_active_share: f64,
    /// Records in a row after which there is a warning. 5.
    pub warn_after: u64,
    /// Records in a row after which the run stops. 20.
    pub stop_after: u64,
}

impl HealthOptions {
    /// The defaults, for a kind of model.
    pub fn new(kind: HealthKind) -> Self {
        Self {
            kind,
            warm_up: 0,
            ramp: 0,
            max_norm: 1.0,
            window: 100,
            factor: 10.0,
            max_active_share: 0.6,
            warn_after: 5,
            stop_after: 20,
        }
    }
}

/// How far the scores of a batch are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScoreSpread {
    /// The largest difference between the scores of two documents of one query.
    pub within: f64,
    /// The largest score, without its sign.
    pub max: f64,
}

impl ScoreSpread {
    /// The spread of `scores[query][document]`. Where no query has two documents, as in a batch of
    /// single pairs, that of all scores.
    pub fn of(scores: &[Vec<f64>]) -> Self {
        let all: Vec<f64> = scores.iter().flatten().copied().collect();
        let lists = scores.iter().filter(|list| list.len() > 1);
        let within = lists.map(|list| difference(list)).reduce(f64::max);
        Self {
            within: within.unwrap_or_else(|| difference(&all)),
            max: all.iter().map(|score| score.abs()).fold(0.0, f64::max),
        }
    }

    /// True if a model of this kind tells no document from another.
    fn is_constant(self, kind: HealthKind) -> bool {
        let smallest = match kind {
            // Inner products of vectors that differ at all differ by more than rounding.
            HealthKind::Sparse { .. } | HealthKind::Dense => 1e-6 * self.max,
            // The head of a collapsed cross-encoder still passes some noise on.
            HealthKind::Cross => 1e-3 * self.max.max(1.0),
        };
        self.within <= smallest
    }
}

fn difference(scores: &[f64]) -> f64 {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let min = scores.iter().copied().fold(f64::INFINITY, f64::min);
    (max - min).max(0.0)
}

/// What the checks say about a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was found.
    Fine,
    /// Something to know; the run goes on.
    Warning(String),
    /// The run has failed: stop, and keep the last good checkpoint.
    Stop(String),
}

/// What a check found at a step, and what to do about it.
struct Finding {
    found: String,
    advice: &'static str,
}

/// The checks that need several records in a row, in the order in which they are reported.
#[derive(Clone, Copy)]
enum Check {
    Gradient,
    Loss,
    Empty,
    Dense,
    Constant,
}

const CHECKS: [Check; 5] = [
    Check::Gradient,
    Check::Loss,
    Check::Empty,
    Check::Dense,
    Check::Constant,
];

/// What [`Health`] remembers between steps, for checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HealthState {
    gradients: Running,
    losses: Running,
    /// For how many records in a row each check has found something.
    streaks: [u64; CHECKS.len()],
}

/// The checks of a run.
///
/// ```
/// use esparsa::internals::train::{
///     Health, HealthKind, HealthOptions, ScoreSpread, StepRecord, Verdict,
/// };
///
/// let mut health = Health::new(HealthOptions::new(HealthKind::Cross));
/// let spread = ScoreSpread::of(&[vec![0.5, -0.25]]);
/// let mut record = StepRecord { step: 1, loss: 0.7, gradient_norm: 2.0, ..StepRecord::default() };
/// assert_eq!(health.observe(&record, &spread), Verdict::Fine);
/// record.loss = f64::NAN;
/// assert!(matches!(health.observe(&record, &spread), Verdict::Stop(_)));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    options: HealthOptions,
    state: HealthState,
}

impl Health {
    /// Begins at the first step.
    pub fn new(options: HealthOptions) -> Self {
        Self::resume(options, HealthState::default())
    }

    /// Goes on from a checkpoint.
    pub fn resume(options: HealthOptions, state: HealthState) -> Self {
        Self { options, state }
    }

    /// What a checkpoint must keep, so that a resumed run decides the same.
    pub fn state(&self) -> &HealthState {
        &self.state
    }

    /// Takes the record of a step and the spread of its scores. Of several findings a stop counts
    /// before a warning, and then the first.
    pub fn observe(&mut self, record: &StepRecord, spread: &ScoreSpread) -> Verdict {
        if let Some(name) = not_finite(record) {
            return Verdict::Stop(format!(
                "at step {}, the {name} is not a finite number; lower the learning rate or lengthen \
                 its warm-up, check that gradients are clipped, and go on from the last checkpoint",
                record.step
            ));
        }
        let mut verdict = Verdict::Fine;
        for (place, check) in CHECKS.into_iter().enumerate() {
            let finding = self.find(check, record, spread);
            let streak = &mut self.state.streaks[place];
            *streak = if finding.is_some() { *streak + 1 } else { 0 };
            let (Some(Finding { found, advice }), streak) = (finding, *streak) else {
                continue;
            };
            let text = || {
                format!(
                    "at step {}, {found}, for {streak} records in a row; {advice}",
                    record.step
                )
            };
            match &verdict {
                Verdict::Fine | Verdict::Warning(_) if streak >= self.options.stop_after => {
                    verdict = Verdict::Stop(text());
                }
                Verdict::Fine if streak == self.options.warn_after => {
                    verdict = Verdict::Warning(text());
                }
                _ => {}
            }
        }
        verdict
    }

    fn find(&mut self, check: Check, record: &StepRecord, spread: &ScoreSpread) -> Option<Finding> {
        match check {
            Check::Gradient => self.gradient_explodes(record.gradient_norm),
            Check::Loss => self.loss_explodes(record.loss),
            Check::Empty => empty_vectors(record),
            Check::Dense => self.dense_vectors(record),
            Check::Constant => self.constant_scores(record, spread),
        }
    }

    fn gradient_explodes(&mut self, norm: f64) -> Option<Finding> {
        let HealthOptions {
            max_norm,
            window,
            factor,
            ..
        } = self.options;
        let floor = if max_norm.is_finite() { max_norm } else { 0.0 };
        let median = self
            .state
            .gradients
            .observe(norm, window, |median| (factor * median).max(floor))?;
        Some(Finding {
            found: format!("the gradient norm is {norm:.3e}, far above its median {median:.3e}"),
            advice: "lower the learning rate or lengthen its warm-up; if weights of active terms grow, \
                     raise lambda",
        })
    }

    fn loss_explodes(&mut self, loss: f64) -> Option<Finding> {
        let HealthOptions { window, factor, .. } = self.options;
        // A loss close to 0 may rise by any factor; one above that of the untrained model is a
        // failure.
        let start = self.state.losses.start();
        let median = self
            .state
            .losses
            .observe(loss, window, |median| (factor * median).max(start))?;
        Some(Finding {
            found: format!("the loss is {loss:.4}, far above its median {median:.4}"),
            advice: "lower the learning rate; for a sparse model, lower lambda or lengthen its ramp if \
                     the regularizer makes up most of the loss",
        })
    }

    fn dense_vectors(&self, record: &StepRecord) -> Option<Finding> {
        let HealthKind::Sparse { vocabulary } = self.options.kind else {
            return None;
        };
        let active = record.documents?.active_terms;
        let limit = self.options.max_active_share * vocabulary as f64;
        let is_early = record.step <= self.options.warm_up.max(self.options.ramp);
        (!is_early && active > limit).then(|| Finding {
            found: format!(
                "a document's vector has {active:.0} active terms of a vocabulary of {vocabulary}"
            ),
            advice: "raise lambda for documents or shorten its ramp; for a head that was added to an \
                     encoder, calibrate its scale so that fewer terms are active at the start",
        })
    }

    fn constant_scores(&self, record: &StepRecord, spread: &ScoreSpread) -> Option<Finding> {
        let is_early = record.step <= self.options.warm_up;
        (!is_early && spread.is_constant(self.options.kind)).then(|| Finding {
            found: format!(
                "all documents of a query have the same score, to within {:.1e}",
                spread.within
            ),
            advice: match self.options.kind {
                HealthKind::Cross => {
                    "lower the learning rate, lengthen its warm-up, or check that labels differ within \
                     a query"
                }
                HealthKind::Sparse { .. } => {
                    "lower lambda or lengthen its ramp, lower the learning rate, or raise the scale of \
                     the head"
                }
                HealthKind::Dense => {
                    "lower the learning rate, lengthen its warm-up, or check that the texts of a batch \
                     differ"
                }
            },
        })
    }
}

fn not_finite(record: &StepRecord) -> Option<&'static str> {
    let values = [
        ("loss", record.loss),
        ("loss of ranking", record.ranking_loss),
        ("gradient norm", record.gradient_norm),
    ];
    let found = values.into_iter().find(|(_, value)| !value.is_finite());
    found.map(|(name, _)| name)
}

fn empty_vectors(record: &StepRecord) -> Option<Finding> {
    let sides = [("document", record.documents), ("query", record.queries)];
    let of_side = |(name, side): (&str, Option<super::watch::SparsityRecord>)| {
        let active = side?.active_terms;
        (active < 1.0).then(|| Finding {
            found: format!("a {name}'s vector has {active:.2} active terms"),
            advice: "lower lambda or lengthen its ramp, lower the learning rate, or raise the scale of \
                     the head; terms that are inactive everywhere do not return, so go on from an \
                     earlier checkpoint",
        })
    };
    sides.into_iter().find_map(of_side)
}

#[cfg(test)]
mod tests;
