//! A run from its first step to its last.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::mining::{self, Miner};
use super::timer::Timer;
use super::{Plan, TrainKind, store};
use crate::backend::BackwardOps;
use crate::error::{Error, Result};
use crate::executor::CancelToken;
use crate::neural::{Hardware, ModelFolder};
use crate::train::checkpoint::Checkpoint;
use crate::train::data::{Batches, TrainingBatch};
use crate::train::evaluation::Development;
use crate::train::health::{Health, HealthState, Verdict};
use crate::train::lambda::{Lambda, LambdaState};
use crate::train::model::Dropout;
use crate::train::optimizer::Optimizer;
use crate::train::options::{Overfit, TrainOptions};
use crate::train::rates::Rates;
use crate::train::task::{BatchOutcome, BatchSettings, Task};
use crate::train::watch::{EvaluationRecord, Event, StepRecord, Watcher};

/// What a run is at the end.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Steps that were done.
    pub steps: u64,
    /// The folder of the best model, or of the last one without evaluations.
    pub model: PathBuf,
    /// The evaluation of that model, if there was one.
    pub best: Option<EvaluationRecord>,
    /// The last step.
    pub last: Option<StepRecord>,
    /// Why the run ended.
    pub reason: String,
    /// True if it was cancelled: it can be resumed.
    pub is_cancelled: bool,
}

/// What of a run a checkpoint keeps beside the tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub step: u64,
    /// Seconds of the run so far.
    pub seconds: f64,
    pub lambda_queries: LambdaState,
    pub lambda_documents: LambdaState,
    pub health: HealthState,
    pub best: Option<EvaluationRecord>,
    /// Its value, to the bit.
    #[serde(with = "crate::train::exact")]
    pub best_value: Option<f64>,
    /// Evaluations since the best one.
    pub without_better: u64,
    /// Of the data; a run goes on with the same only.
    pub data: u64,
    /// Of the options that decide what a step does.
    pub options: u64,
    /// The step after which negatives were mined last, if they were.
    #[serde(default)]
    pub mined: Option<u64>,
}

/// A run that is going on.
pub(super) struct Session<'a, B: BackwardOps, T> {
    pub kind: TrainKind,
    pub options: &'a TrainOptions,
    pub task: T,
    pub folder: Arc<ModelFolder>,
    pub optimizer: Optimizer<B>,
    pub plan: Plan,
    pub rates: Rates,
    pub batches: Batches,
    pub miner: Option<Miner>,
    pub development: Option<Development>,
    pub hardware: Hardware,
    pub lambdas: [Lambda; 2],
    pub health: Health,
    pub progress: Progress,
    pub watcher: &'a mut dyn Watcher,
    pub cancel: &'a CancelToken,
}

/// What an evaluation or a check decided.
enum Decision {
    GoOn,
    End(String),
}

impl<B: BackwardOps, T: Task<B>> Session<'_, B, T> {
    pub fn run(mut self) -> Result<Summary> {
        let outcome = self.steps();
        if let Err(error) = &outcome {
            let reason = error.to_string();
            let step = self.progress.step;
            // The error is what must be told; that the log cannot be written is not news then.
            let _ = self.watcher.on(&Event::Finished {
                step,
                reason: &reason,
            });
        }
        outcome
    }

    fn steps(&mut self) -> Result<Summary> {
        let started = Instant::now();
        let before = self.progress.seconds;
        let mut timer = Timer::new();
        let mut last = None;
        let mut is_cancelled = false;
        if self.progress.step == 0 {
            self.evaluate(0)?;
            timer.skip();
        }
        let reason = loop {
            let step = self.progress.step;
            self.progress.seconds = before + started.elapsed().as_secs_f64();
            if self.plan.is_done(step, self.progress.seconds) {
                break match step >= self.plan.steps {
                    true => "all steps are done".to_owned(),
                    false => "the time is up".to_owned(),
                };
            }
            if self.cancel.is_cancelled() {
                is_cancelled = true;
                break "cancelled".to_owned();
            }
            if self.mines_after(step) {
                self.mine(step)?;
                timer.skip();
                // It may have been cancelled meanwhile.
                continue;
            }
            let step = step + 1;
            let record = self.step(step, &mut timer)?;
            self.progress.step = step;
            self.watcher.on(&Event::Step(&record))?;
            last = Some(record);
            if self.plan.evaluates_after(step) && step < self.plan.steps {
                if let Decision::End(reason) = self.evaluate(step)? {
                    break reason;
                }
                timer.skip();
            }
            if self.plan.saves_after(step) && step < self.plan.steps {
                self.save()?;
                timer.skip();
            }
        };
        let step = self.progress.step;
        self.save()?;
        if !is_cancelled {
            self.evaluate(step)?;
        }
        self.watcher.on(&Event::Finished {
            step,
            reason: &reason,
        })?;
        let model = store::model_folder(&self.options.output);
        if self.progress.best.is_none() || !model.is_dir() {
            self.export(&model)?;
        }
        Ok(Summary {
            steps: step,
            model,
            best: self.progress.best.clone(),
            last,
            reason,
            is_cancelled,
        })
    }

    /// The batch of a number; a check of the trainer always has the first.
    fn batch(&self, number: u64) -> Result<TrainingBatch> {
        match self.options.overfit {
            None => self.batches.batch(number),
            Some(Overfit::Batch) => self.batches.batch(0),
            Some(Overfit::One) => Ok(first_example(self.batches.batch(0)?)),
        }
    }

    fn step(&mut self, step: u64, timer: &mut Timer) -> Result<StepRecord> {
        let scheduled = self.plan.scheduled_step(step, self.progress.seconds);
        let factor = self.plan.schedule.factor(scheduled);
        let accumulate = self.options.accumulate;
        let mut sum = BatchOutcome::default();
        for part in 0..accumulate {
            let number = (step - 1) * accumulate + part;
            let batch = self.batch(number)?;
            let settings = BatchSettings {
                dropout: Dropout {
                    rate: self.options.dropout,
                    seed: self.options.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                },
                lambda_queries: self.lambdas[0].at(scheduled),
                lambda_documents: self.lambdas[1].at(scheduled),
            };
            let outcome = self.task.batch(&batch, &settings);
            sum.add(&outcome.map_err(|error| self.advised(error))?, accumulate);
        }
        self.task.before_step()?;
        let recorder = self.task.recorder().clone();
        let rates = &self.rates;
        let norm = self.optimizer.step(
            recorder.backend(),
            &mut recorder.parameters_mut(),
            accumulate,
            |name| factor * rates.of(name),
        );
        let gradient_norm = norm.map_err(|error| self.advised(error))?;
        self.task.after_step()?;
        for (lambda, side) in self.lambdas.iter_mut().zip([sum.queries, sum.documents]) {
            if let Some(side) = side {
                lambda.observe(scheduled, side.active_terms);
            }
        }
        (self.progress.lambda_queries, self.progress.lambda_documents) =
            (self.lambdas[0].state(), self.lambdas[1].state());
        let seconds = timer.lap();
        let queries = (self.options.batch as u64 * accumulate) as f64;
        let share = self.plan.share(step, self.progress.seconds + seconds);
        let before = self.plan.share(step - 1, self.progress.seconds);
        let record = StepRecord {
            step,
            epoch: self.batches.epochs(step * accumulate),
            loss: sum.loss,
            ranking_loss: sum.ranking.loss,
            accuracy: sum.ranking.accuracy,
            queries: sum.queries,
            documents: sum.documents,
            learning_rate: factor * self.rates.encoder,
            gradient_norm,
            tokens: sum.tokens,
            tokens_per_second: sum.tokens as f64 / seconds.max(1e-9),
            queries_per_second: queries / seconds.max(1e-9),
            seconds: self.progress.seconds + seconds,
            seconds_left: timer.left(share, share - before),
        };
        match self.health.observe(&record, &sum.ranking.spread) {
            Verdict::Fine => {}
            Verdict::Warning(text) => self.watcher.on(&Event::Warning(&text))?,
            Verdict::Stop(text) => return Err(self.advised(Error::invalid(text))),
        }
        self.progress.health = self.health.state().clone();
        Ok(record)
    }

    /// An error with the place of the last good model.
    fn advised(&self, error: Error) -> Error {
        match error {
            Error::InvalidInput { .. } => {
                let kept = match Checkpoint::newest(&self.options.output) {
                    Ok(Some(path)) => format!("the last checkpoint is {}", path.display()),
                    _ => "no checkpoint was written before".to_owned(),
                };
                Error::invalid(format!("step {}: {error}; {kept}", self.progress.step + 1))
            }
            other => other,
        }
    }

    /// True if negatives are to be mined after a step, and were not yet.
    fn mines_after(&self, step: u64) -> bool {
        let every = self.options.mine_every;
        let is_due = self.miner.is_some() && step > 0 && step.is_multiple_of(every);
        is_due && self.progress.mined != Some(step) && !self.cancel.is_cancelled()
    }

    /// Mines negatives with the model as it is; the next batches have them.
    fn mine(&mut self, step: u64) -> Result<()> {
        let Some(miner) = &self.miner else {
            return Ok(());
        };
        let scratch = store::evaluated_folder(&self.options.output);
        self.export(&scratch)?;
        let mined = miner.mine(&scratch, self.hardware.clone(), step, self.cancel);
        store::remove(&scratch)?;
        match mined {
            // The run ends at the next step, with a checkpoint from which it is mined again.
            Err(Error::Cancelled { .. }) => return Ok(()),
            mined => self.batches.set_source(mined?),
        }
        self.progress.mined = Some(step);
        Ok(())
    }

    /// Evaluates the model and keeps it if it is the best.
    fn evaluate(&mut self, step: u64) -> Result<Decision> {
        let Some(development) = &self.development else {
            return Ok(Decision::GoOn);
        };
        let scratch = store::evaluated_folder(&self.options.output);
        self.export(&scratch)?;
        let found = development.evaluate(&scratch, self.hardware.clone(), step, self.cancel);
        let mut record = match found {
            // The run ends at the next step, with a checkpoint.
            Err(Error::Cancelled { .. }) => return Ok(Decision::GoOn),
            found => found?,
        };
        record.is_best = self
            .progress
            .best_value
            .is_none_or(|best| record.value > best);
        if record.is_best {
            self.progress.without_better = 0;
            self.progress.best = Some(record.clone());
            self.progress.best_value = Some(record.value);
            self.export(&store::model_folder(&self.options.output))?;
        } else {
            self.progress.without_better += 1;
        }
        store::remove(&scratch)?;
        self.watcher.on(&Event::Evaluated(&record))?;
        let patience = self.options.patience;
        Ok(
            match patience > 0 && self.progress.without_better >= patience {
                true => Decision::End(format!(
                    "{patience} evaluations were not better than the best"
                )),
                false => Decision::GoOn,
            },
        )
    }

    fn save(&mut self) -> Result<()> {
        let step = self.progress.step;
        let recorder = self.task.recorder();
        let path = store::save(
            &self.options.output,
            recorder,
            &self.optimizer,
            &self.progress,
            self.options.keep,
        )?;
        if let Some(mined) = self.progress.mined {
            mining::remove_before(&self.options.output, mined)?;
        }
        self.watcher.on(&Event::Saved { step, path: &path })
    }

    fn export(&self, path: &Path) -> Result<()> {
        store::export(
            path,
            self.kind,
            self.options,
            &self.folder,
            &self.task,
            self.progress.best.as_slice(),
        )
    }
}

/// One example of a batch, with its own documents alone.
fn first_example(batch: TrainingBatch) -> TrainingBatch {
    let mut one = TrainingBatch {
        queries: batch.queries[..1].to_vec(),
        forbidden: vec![Vec::new()],
        ..TrainingBatch::default()
    };
    let mut list = Vec::new();
    for labelled in &batch.lists[0] {
        let mut labelled = *labelled;
        one.documents
            .push(batch.documents[labelled.document].clone());
        labelled.document = one.documents.len() - 1;
        list.push(labelled);
    }
    // Without a negative of its own the example is compared with another document of the batch.
    if list.len() == 1 {
        one.documents.extend(batch.documents.get(1).cloned());
    }
    one.lists.push(list);
    one
}
