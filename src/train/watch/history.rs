//! What happened in a run so far, as a page shows it.

use super::curve::Curve;
use super::{EvaluationRecord, Event, RunRecord, SparsityRecord, StepRecord};

/// Warnings that are kept; older ones are dropped.
const MAX_WARNINGS: usize = 20;
/// Values that a smoothed line is a mean of: a hundredth of the run, within these bounds.
const MIN_SMOOTHED: f64 = 5.0;
const MAX_SMOOTHED: f64 = 500.0;

/// Sparse vectors of one side.
#[derive(Clone, Debug)]
pub struct Side {
    /// Active terms of a vector.
    pub active_terms: Curve,
    /// The regularizer before λ.
    pub regularizer: Curve,
    /// λ.
    pub lambda: Curve,
}

impl Side {
    fn new(smoothed: f64) -> Self {
        Self {
            active_terms: Curve::new(smoothed),
            regularizer: Curve::new(smoothed),
            lambda: Curve::new(1.0),
        }
    }

    fn push(&mut self, step: u64, record: &SparsityRecord) {
        self.active_terms.push(step, record.active_terms);
        self.regularizer.push(step, record.regularizer);
        self.lambda.push(step, record.lambda);
    }
}

/// The state of a run and its curves, in bounded memory but for the evaluations, which are few.
#[derive(Clone, Debug)]
pub struct History {
    /// What the run is about.
    pub run: RunRecord,
    /// The last step.
    pub step: Option<StepRecord>,
    /// The loss with regularizers.
    pub loss: Curve,
    /// The loss of ranking alone.
    pub ranking_loss: Curve,
    /// True once both losses have differed.
    pub has_regularizer: bool,
    /// The share of queries whose best document is relevant.
    pub accuracy: Curve,
    /// Queries' vectors.
    pub queries: Side,
    /// Documents' vectors.
    pub documents: Side,
    /// The learning rate.
    pub learning_rate: Curve,
    /// The norm of the gradients.
    pub gradient_norm: Curve,
    /// Tokens a second.
    pub tokens_per_second: Curve,
    /// Evaluations in order of steps; only the last has shown texts.
    pub evaluations: Vec<EvaluationRecord>,
    /// The last warnings, with their steps.
    pub warnings: Vec<(u64, String)>,
    /// The last checkpoint.
    pub saved: Option<(u64, String)>,
    /// After which step the run ended, and why; `None` while it goes on.
    pub finished: Option<(u64, String)>,
}

impl Default for History {
    fn default() -> Self {
        Self::new(RunRecord::default())
    }
}

impl History {
    fn new(run: RunRecord) -> Self {
        let smoothed = (run.steps as f64 / 100.0).clamp(MIN_SMOOTHED, MAX_SMOOTHED);
        Self {
            run,
            step: None,
            loss: Curve::new(smoothed),
            ranking_loss: Curve::new(smoothed),
            has_regularizer: false,
            accuracy: Curve::new(smoothed),
            queries: Side::new(smoothed),
            documents: Side::new(smoothed),
            learning_rate: Curve::new(1.0),
            gradient_norm: Curve::new(smoothed),
            tokens_per_second: Curve::new(smoothed),
            evaluations: Vec::new(),
            warnings: Vec::new(),
            saved: None,
            finished: None,
        }
    }

    /// Takes what happened.
    pub fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Started(run) if self.step.is_none() && self.evaluations.is_empty() => {
                *self = Self::new((*run).clone());
            }
            Event::Started(run) => {
                self.run = (*run).clone();
                self.finished = None;
            }
            Event::Step(record) => self.on_step(record),
            Event::Evaluated(record) => self.on_evaluation(record),
            Event::Saved { step, path } => self.saved = Some((*step, path.display().to_string())),
            Event::Warning(message) => {
                self.warnings
                    .push((self.steps_done(), (*message).to_owned()));
                let surplus = self.warnings.len().saturating_sub(MAX_WARNINGS);
                self.warnings.drain(..surplus);
            }
            Event::Finished { step, reason } => self.finished = Some((*step, (*reason).to_owned())),
        }
    }

    fn on_step(&mut self, record: &StepRecord) {
        let step = record.step;
        self.loss.push(step, record.loss);
        self.ranking_loss.push(step, record.ranking_loss);
        self.has_regularizer |= (record.loss - record.ranking_loss).abs() > 0.0;
        self.accuracy.push(step, record.accuracy);
        self.learning_rate.push(step, record.learning_rate);
        self.gradient_norm.push(step, record.gradient_norm);
        self.tokens_per_second.push(step, record.tokens_per_second);
        for (side, record) in [
            (&mut self.queries, &record.queries),
            (&mut self.documents, &record.documents),
        ] {
            if let Some(record) = record {
                side.push(step, record);
            }
        }
        self.step = Some(record.clone());
    }

    fn on_evaluation(&mut self, record: &EvaluationRecord) {
        // A run that was resumed at an evaluation may have done it again.
        let is_again = |before: &EvaluationRecord| before.step == record.step;
        if self.evaluations.last().is_some_and(is_again) {
            self.evaluations.pop();
        }
        if let Some(before) = self.evaluations.last_mut() {
            before.shown = Vec::new();
        }
        self.evaluations.push(record.clone());
    }

    /// Steps that are done.
    pub fn steps_done(&self) -> u64 {
        let step = self.step.as_ref().map(|record| record.step);
        step.unwrap_or(self.run.resumed_at)
    }

    /// The evaluation that chose the best checkpoint.
    pub fn best(&self) -> Option<&EvaluationRecord> {
        self.evaluations.iter().rfind(|record| record.is_best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_run_goes_on_with_its_curves() {
        let mut history = History::default();
        let run = |resumed_at| RunRecord {
            steps: 10,
            resumed_at,
            ..RunRecord::default()
        };
        let step = |step| StepRecord {
            step,
            loss: 2.0,
            ..StepRecord::default()
        };
        history.on(&Event::Started(&run(0)));
        history.on(&Event::Step(&step(1)));
        let reason = "cancelled";
        history.on(&Event::Finished { step: 1, reason });
        assert!(history.finished.is_some());
        history.on(&Event::Started(&run(1)));
        history.on(&Event::Step(&step(2)));
        assert!(history.finished.is_none());
        assert_eq!(history.loss.points(), [(1.0, 2.0), (2.0, 2.0)]);
        assert_eq!(history.steps_done(), 2);
        assert!(history.has_regularizer);
    }

    #[test]
    fn an_evaluation_done_again_replaces_the_first() {
        let mut history = History::default();
        let evaluation = |step, value, is_best| EvaluationRecord {
            step,
            value,
            is_best,
            shown: vec![crate::train::ShownText::default()],
            ..EvaluationRecord::default()
        };
        for record in [
            evaluation(0, 0.5, true),
            evaluation(4, 0.7, true),
            evaluation(4, 0.75, true),
            evaluation(8, 0.6, false),
        ] {
            history.on(&Event::Evaluated(&record));
        }
        let values: Vec<f64> = history
            .evaluations
            .iter()
            .map(|record| record.value)
            .collect();
        assert_eq!(values, [0.5, 0.75, 0.6]);
        assert_eq!(history.best().unwrap().value, 0.75);
        let shown: Vec<usize> = history
            .evaluations
            .iter()
            .map(|record| record.shown.len())
            .collect();
        assert_eq!(shown, [0, 0, 1]);
    }
}
