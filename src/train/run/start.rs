//! How a run begins: data and model are opened and checked before the first step.

use std::fs;
use std::hash::Hasher;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::data::Data;
use super::prepare::{DocumentFrequencies, objective, prepare_model, sparse_options};
use super::session::{Progress, Session, Summary};
use super::teacher::open_teacher;
use super::{Plan, TrainKind, store};
use crate::backend::BackwardOps;
use crate::error::{Error, Result};
use crate::executor::CancelToken;
use crate::neural::{Cpu, CpuOptions, Hardware, ModelFolder, Precision};
use crate::train::checkpoint::Checkpoint;
use crate::train::data::Batches;
use crate::train::health::{Health, HealthKind, HealthOptions, HealthState};
use crate::train::lambda::{Lambda, LambdaOptions};
use crate::train::model::limit_of;
use crate::train::optimizer::{Optimizer, OptimizerOptions};
use crate::train::options::{TrainDevice, TrainOptions, TrainPrecision};
use crate::train::rates::Rates;
use crate::train::recorder::Recorder;
use crate::train::task::{DenseTask, LateTask, MaskedTask, PairTask, SparseTask, Task};
use crate::train::watch::{Event, FolderWatcher, RunRecord, Watcher};

/// Trains a model.
///
/// The best model is in the folder `model` of the output at the end, checkpoints in `checkpoints`.
///
/// ```no_run
/// use esparsa::executor::CancelToken;
/// use esparsa::train::{Event, TrainKind, TrainOptions, Watcher, train};
///
/// struct Losses;
///
/// impl Watcher for Losses {
///     fn on(&mut self, event: &Event<'_>) -> esparsa::Result<()> {
///         if let Event::Step(step) = event {
///             println!("{}: {:.4}", step.step, step.loss);
///         }
///         Ok(())
///     }
/// }
///
/// let mut options = TrainOptions::default();
/// options.base = "models/splade".into();
/// options.collection = Some("collections/scifact".into());
/// options.output = "my-splade".into();
/// options.learning_rate = 3e-4;
/// let summary = train(TrainKind::Splade, &options, &mut Losses, &CancelToken::new())?;
/// println!("{} steps: {}", summary.steps, summary.model.display());
/// # Ok::<(), esparsa::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::InvalidInput`] for options or data that are wrong, before the first step, and for a run
/// that fails; [`Error::Model`] for a model that cannot be trained; [`Error::Io`];
/// [`Error::Device`] if there is no such GPU, or the device fails.
pub fn train(
    kind: TrainKind,
    options: &TrainOptions,
    watcher: &mut dyn Watcher,
    cancel: &CancelToken,
) -> Result<Summary> {
    options.check(kind)?;
    let cpu = Cpu::new(CpuOptions {
        threads: threads(options),
        precision: match options.precision {
            TrainPrecision::F32 => Precision::F32,
            TrainPrecision::Bf16 => Precision::Bf16,
        },
    })?;
    let hardware = hardware(options, &cpu)?;
    let run = Run {
        kind,
        options,
        cpu,
        hardware: hardware.clone(),
        watcher,
        cancel,
    };
    match hardware {
        Hardware::Cpu(cpu) => run.on(cpu),
        #[cfg(feature = "cuda")]
        Hardware::Cuda(cuda) => run.on(cuda),
    }
}

/// Where the model is trained.
fn hardware(options: &TrainOptions, cpu: &Cpu) -> Result<Hardware> {
    let number = match options.device {
        TrainDevice::Cpu => return Ok(cpu.clone().into()),
        TrainDevice::Cuda(number) => number,
        TrainDevice::Auto => 0,
    };
    let gpu = match Hardware::cuda(number) {
        Err(_) if options.device == TrainDevice::Auto => return Ok(cpu.clone().into()),
        gpu => gpu?,
    };
    match options.precision {
        TrainPrecision::Bf16 => Ok(gpu),
        TrainPrecision::F32 => Err(Error::invalid(
            "precision: expected bf16 on a GPU, found f32; train in f32 on the CPU",
        )),
    }
}

/// A run before its data and its model are opened.
pub(super) struct Run<'a> {
    pub(super) kind: TrainKind,
    pub(super) options: &'a TrainOptions,
    /// Prepares the model.
    pub(super) cpu: Cpu,
    /// Evaluates models.
    pub(super) hardware: Hardware,
    pub(super) watcher: &'a mut dyn Watcher,
    pub(super) cancel: &'a CancelToken,
}

impl Run<'_> {
    /// Trains on this backend.
    pub(super) fn on<B: BackwardOps + 'static>(self, backend: B) -> Result<Summary> {
        let Self {
            kind,
            options,
            cpu,
            hardware,
            watcher,
            cancel,
        } = self;
        let data = Data::open(kind, options, cancel)?;
        let texts: Vec<&str> = data.sample.iter().map(|text| &**text).collect();
        let folder = Arc::new(prepare_model(kind, options, &cpu, &texts)?);
        let max_tokens = limit_of(&folder, options.max_tokens, "max-tokens")?;
        let max_query_tokens = limit_of(&folder, options.max_query_tokens, "max-query-tokens")?;
        let begin = Begin {
            kind,
            options,
            data,
            hardware,
            watcher,
            cancel,
        };
        let tape_tokens = options.tape_tokens;
        match kind {
            TrainKind::Splade | TrainKind::Align => {
                // Tokens are counted only where the counts are used.
                let counted = match options.inference_free || options.frequency_weighted {
                    true => begin.texts(),
                    false => Vec::new(),
                };
                let vocabulary = folder.config.vocabulary;
                let frequencies = DocumentFrequencies::of(&folder.tokenizer, vocabulary, &counted)?;
                let mut of_task = sparse_options(options, &folder, &frequencies)?;
                (of_task.document_tokens, of_task.query_tokens) = (max_tokens, max_query_tokens);
                let mut task = SparseTask::load(backend, Arc::clone(&folder), of_task)?;
                if kind == TrainKind::Align {
                    task = task.aligned_with(open_teacher(options, &folder)?);
                }
                begin.run(task, folder)
            }
            TrainKind::Cross => {
                let objective = objective(kind, options)?;
                let task = PairTask::load(
                    backend,
                    Arc::clone(&folder),
                    options.labels,
                    max_tokens,
                    tape_tokens,
                    objective,
                )?;
                begin.run(task, folder)
            }
            TrainKind::Mlm => {
                let share = options.mask_share;
                let task =
                    MaskedTask::load(backend, Arc::clone(&folder), max_tokens, tape_tokens, share)?;
                begin.run(task, folder)
            }
            TrainKind::Bi => {
                let (limits, objective) =
                    ([max_query_tokens, max_tokens], objective(kind, options)?);
                if options.late_interaction {
                    let folder_of_task = Arc::clone(&folder);
                    let task =
                        LateTask::load(backend, folder_of_task, limits, tape_tokens, objective)?;
                    return begin.run(task, folder);
                }
                let task =
                    DenseTask::load(backend, Arc::clone(&folder), limits, tape_tokens, objective)?;
                begin.run(task, folder)
            }
        }
    }
}

/// The threads of a run.
pub(super) fn threads(options: &TrainOptions) -> usize {
    options.threads.unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
    })
}

/// Log and page of the run, and who watches it.
struct Watched<'a> {
    folder: FolderWatcher,
    user: &'a mut dyn Watcher,
}

impl Watcher for Watched<'_> {
    fn on(&mut self, event: &Event<'_>) -> Result<()> {
        self.folder.on(event)?;
        self.user.on(event)
    }
}

/// What a run of any kind begins with.
struct Begin<'a> {
    kind: TrainKind,
    options: &'a TrainOptions,
    data: Data,
    hardware: Hardware,
    watcher: &'a mut dyn Watcher,
    cancel: &'a CancelToken,
}

impl Begin<'_> {
    fn texts(&self) -> Vec<&str> {
        self.data.sample.iter().map(|text| &**text).collect()
    }

    fn run<B: BackwardOps, T: Task<B>>(
        self,
        mut task: T,
        folder: Arc<ModelFolder>,
    ) -> Result<Summary> {
        let options = self.options;
        let mut batches = Batches::new(self.data.source, options.batch, options.seed)?;
        let plan = Plan::new(options, batches.examples())?;
        let warm_up = (plan.steps as f64 * options.warm_up) as u64;
        let health_options = HealthOptions {
            warm_up,
            ramp: plan.lambda_steps,
            max_norm: options.max_norm,
            // A model that starts from random weights may take a while.
            stop_after: (plan.steps / 10).max(20),
            ..HealthOptions::new(match self.kind {
                TrainKind::Splade | TrainKind::Align => HealthKind::Sparse {
                    vocabulary: folder.config.vocabulary,
                },
                TrainKind::Cross => HealthKind::Cross,
                TrainKind::Bi | TrainKind::Mlm => HealthKind::Dense,
            })
        };
        let recorder = task.recorder().clone();
        let mut optimizer = Optimizer::new(
            recorder.backend(),
            &recorder.parameters(),
            OptimizerOptions {
                weight_decay: options.weight_decay,
                max_norm: options.max_norm,
                ..OptimizerOptions::default()
            },
        )?;
        let parameters = recorder.parameters();
        let values: usize = parameters.masters().iter().map(|master| master.len).sum();
        drop(parameters);
        let lambda_options = |lambda: f64, target: Option<f64>| LambdaOptions {
            lambda,
            ramp: plan.lambda_steps,
            target,
            ..LambdaOptions::default()
        };
        let [of_queries, of_documents] = [
            lambda_options(options.lambda_queries, options.target_query_terms),
            lambda_options(options.lambda_documents, options.target_document_terms),
        ];
        let mut progress = Progress {
            step: 0,
            seconds: 0.0,
            lambda_queries: Lambda::new(of_queries)?.state(),
            lambda_documents: Lambda::new(of_documents)?.state(),
            health: HealthState::default(),
            best: None,
            best_value: None,
            without_better: 0,
            data: batches.fingerprint(),
            options: fingerprint(options),
            mined: None,
        };
        if options.resume {
            progress = resumed(options, &recorder, &mut optimizer, &progress)?;
            task.after_step()?;
            if let (Some(miner), Some(step)) = (&self.data.miner, progress.mined) {
                batches.set_source(miner.read(step)?);
            }
        } else if let Some(path) = Checkpoint::newest(&options.output)? {
            return Err(Error::invalid(format!(
                "expected an output folder without checkpoints, found {}; set `resume` to go on from it, or choose another folder",
                path.display()
            )));
        }
        let lambdas = [
            Lambda::resume(of_queries, progress.lambda_queries)?,
            Lambda::resume(of_documents, progress.lambda_documents)?,
        ];
        let health = Health::resume(health_options, progress.health.clone());
        let output = &options.output;
        fs::create_dir_all(output).map_err(|source| Error::io(output, "create", source))?;
        let mut watcher = Watched {
            folder: match progress.step {
                0 => FolderWatcher::create(&options.output)?,
                step => FolderWatcher::resume(&options.output, step)?,
            },
            user: self.watcher,
        };
        watcher.on(&Event::Started(&RunRecord {
            kind: self.kind.name().to_owned(),
            base: options.base.display().to_string(),
            output: options.output.display().to_string(),
            device: recorder.backend().name(),
            steps: plan.steps,
            resumed_at: progress.step,
            examples: batches.examples(),
            queries: options.batch * options.accumulate as usize,
            parameters: values as u64,
            metric: match &self.data.development {
                Some(_) => options.metric.clone(),
                None => String::new(),
            },
        }))?;
        for warning in &self.data.warnings {
            watcher.on(&Event::Warning(warning))?;
        }
        Session {
            kind: self.kind,
            options,
            task,
            rates: Rates {
                encoder: options.learning_rate,
                head: options.head_learning_rate.unwrap_or(options.learning_rate),
                tables: options.table_learning_rate,
                layer_decay: options.layer_decay,
                layers: folder.config.layers,
            },
            folder,
            optimizer,
            plan,
            batches,
            miner: self.data.miner,
            development: self.data.development,
            hardware: self.hardware,
            lambdas,
            health,
            progress,
            watcher: &mut watcher,
            cancel: self.cancel,
        }
        .run()
    }
}

/// The state of the newest checkpoint, if it is of the same data and options.
fn resumed<B: BackwardOps>(
    options: &TrainOptions,
    recorder: &Recorder<B>,
    optimizer: &mut Optimizer<B>,
    begun: &Progress,
) -> Result<Progress> {
    let path = Checkpoint::newest(&options.output)?.ok_or_else(|| {
        Error::invalid(format!(
            "expected a checkpoint in {} to go on from, found none",
            options.output.display()
        ))
    })?;
    let progress = store::restore(&path, recorder, optimizer)?;
    for (what, found, expected) in [
        ("data", begun.data, progress.data),
        ("options", begun.options, progress.options),
    ] {
        if found != expected {
            return Err(Error::invalid(format!(
                "expected the {what} that the run of {} began with, found others; begin a new run in another folder",
                path.display()
            )));
        }
    }
    Ok(progress)
}

/// A hash of the options that decide what a step does: a run that is resumed has the same.
fn fingerprint(options: &TrainOptions) -> u64 {
    let mut kept = options.clone();
    // These may change from one part of a run to the next.
    kept.output = "".into();
    kept.threads = None;
    kept.resume = false;
    (kept.keep, kept.save_every) = (0, 0);
    let mut hash = Xxh3::new();
    let json = serde_json::to_vec(&kept).unwrap_or_default();
    hash.write(&json);
    hash.digest()
}
