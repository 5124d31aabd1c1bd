//! Whole runs of tiny models.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::error::{Error, Result};
use crate::executor::CancelToken;
use crate::neural::{CpuOptions, Hardware, Model};
use crate::train::options::{Overfit, TrainOptions};
use crate::train::watch::{Event, Watcher};
use crate::train::{NewModel, VocabularyKind};

const SUBJECTS: [&str; 12] = [
    "lava", "honey", "ocean", "piano", "bread", "river", "comet", "tiger", "paper", "clock",
    "cheese", "bridge",
];
const PLACES: [&str; 3] = ["in the north", "by the sea", "of the old town"];

/// A folder with a tiny model and a collection of 36 documents, each with a query.
fn world() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (mut corpus, mut queries, mut texts) = (String::new(), String::new(), Vec::new());
    let mut qrels = "query-id\tcorpus-id\tscore\n".to_owned();
    for (number, subject) in SUBJECTS.iter().enumerate() {
        for (place, where_) in PLACES.iter().enumerate() {
            let id = format!("{number}-{place}");
            let text =
                format!("A text about {subject} {where_}, and what people say of {subject}.");
            corpus += &format!("{}\n", json!({"_id": id, "text": text}));
            queries += &format!(
                "{}\n",
                json!({"_id": id, "text": format!("{subject} {where_}")})
            );
            qrels += &format!("{id}\t{id}\t1\n");
            texts.push(text);
        }
    }
    fs::create_dir_all(path.join("collection/qrels")).unwrap();
    fs::write(path.join("collection/corpus.jsonl"), corpus).unwrap();
    fs::write(path.join("collection/queries.jsonl"), queries).unwrap();
    for split in ["train", "dev"] {
        fs::write(path.join(format!("collection/qrels/{split}.tsv")), &qrels).unwrap();
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let model = NewModel {
        vocabulary: VocabularyKind::WordPiece,
        tokens: 120,
        layers: 1,
        hidden: 32,
        intermediate: 64,
        max_tokens: 48,
        ..NewModel::default()
    };
    model.write(&texts, &path.join("base")).unwrap();
    folder
}

fn options(world: &Path, output: &str) -> TrainOptions {
    TrainOptions {
        base: world.join("base"),
        collection: Some(world.join("collection")),
        output: world.join(output),
        batch: 6,
        negatives: 2,
        max_tokens: 40,
        learning_rate: 3e-3,
        initial_terms: 20,
        steps: Some(12),
        evaluate_every: 6,
        save_every: 4,
        development_queries: 10,
        development_documents: 0,
        threads: Some(1),
        precision: crate::train::TrainPrecision::F32,
        ..TrainOptions::default()
    }
}

/// Keeps what happened, and cancels after a step.
#[derive(Default)]
struct Notes {
    losses: Vec<f64>,
    evaluations: Vec<f64>,
    saved: Vec<PathBuf>,
    finished: Option<String>,
    cancel_after: Option<(u64, CancelToken)>,
}

impl Watcher for Notes {
    fn on(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Step(step) => {
                self.losses.push(step.ranking_loss);
                if let Some((after, cancel)) = &self.cancel_after
                    && step.step == *after
                {
                    cancel.cancel();
                }
            }
            Event::Evaluated(record) => self.evaluations.push(record.value),
            Event::Saved { path, .. } => self.saved.push(path.to_path_buf()),
            Event::Finished { reason, .. } => self.finished = Some((*reason).to_owned()),
            _ => {}
        }
        Ok(())
    }
}

fn run(kind: TrainKind, options: &TrainOptions) -> (Summary, Notes) {
    let mut notes = Notes::default();
    let summary = train(kind, options, &mut notes, &CancelToken::new()).unwrap();
    (summary, notes)
}

fn refused(options: &TrainOptions) -> String {
    let found = train(
        TrainKind::Splade,
        options,
        &mut Notes::default(),
        &CancelToken::new(),
    );
    found.unwrap_err().to_string()
}

#[test]
fn the_loss_of_one_batch_goes_to_zero() {
    let world = world();
    for (kind, late_interaction, labels) in [
        (TrainKind::Splade, false, 1),
        (TrainKind::Cross, false, 1),
        (TrainKind::Cross, false, 3),
        (TrainKind::Bi, false, 1),
        (TrainKind::Bi, true, 1),
    ] {
        let options = TrainOptions {
            late_interaction,
            labels,
            overfit: Some(Overfit::Batch),
            steps: Some(400),
            schedule: crate::train::Decay::Constant,
            evaluate_every: 1_000,
            save_every: 1_000,
            development_queries: 0,
            lambda_queries: 0.0,
            lambda_documents: 0.0,
            ..options(
                world.path(),
                &format!("{}-{late_interaction}-{labels}", kind.name()),
            )
        };
        let (_, notes) = run(kind, &options);
        let last = notes.losses.last().unwrap();
        // The vocabulary that is learned differs a little from run to run, and so do losses.
        assert!(*last < 0.15, "{kind:?}: {} to {last}", notes.losses[0]);
    }
}

#[test]
fn a_run_is_evaluated_and_its_best_model_opens() {
    let world = world();
    for (kind, inference_free, late_interaction) in [
        (TrainKind::Splade, false, false),
        (TrainKind::Splade, true, false),
        (TrainKind::Bi, false, false),
        (TrainKind::Bi, false, true),
        (TrainKind::Cross, false, false),
    ] {
        let output = format!("{}-{inference_free}-{late_interaction}", kind.name());
        let options = TrainOptions {
            inference_free,
            late_interaction,
            dimensions: 16,
            ..options(world.path(), &output)
        };
        let (summary, notes) = run(kind, &options);
        assert_eq!(summary.steps, 12);
        assert_eq!(notes.evaluations.len(), 3, "{kind:?}");
        let max = notes.evaluations.iter().copied().fold(0.0, f64::max);
        assert_eq!(summary.best.unwrap().value, max);
        let hardware = Hardware::cpu(CpuOptions::default()).unwrap();
        match (kind, Model::open(&summary.model, hardware).unwrap()) {
            (TrainKind::Splade, Model::Sparse(encoder)) => {
                assert_eq!(encoder.is_inference_free(), inference_free);
                assert!(!encoder.encode_queries(&["lava"]).unwrap()[0].is_empty());
            }
            (TrainKind::Cross, Model::Cross(_)) => {}
            (TrainKind::Bi, Model::Dense(_)) if !late_interaction => {}
            (TrainKind::Bi, Model::Late(encoder)) if late_interaction => {
                assert_eq!(encoder.dimensions(), 16);
            }
            (kind, model) => panic!("{kind:?} became {model:?}"),
        }
    }
}

fn weights(summary: &Summary) -> Vec<u8> {
    fs::read(summary.model.join("model.safetensors")).unwrap()
}

#[test]
fn a_run_that_is_resumed_has_the_bits_of_one_that_was_not_interrupted() {
    let world = world();
    let whole = TrainOptions {
        dropout: 0.1,
        accumulate: 2,
        target_document_terms: Some(15.0),
        ..options(world.path(), "whole")
    };
    let (expected, of_whole) = run(TrainKind::Splade, &whole);
    for after in [1, 4, 5, 11] {
        let mut parts = whole.clone();
        parts.output = world.path().join(format!("parts-{after}"));
        let cancel = CancelToken::new();
        let mut first = Notes {
            cancel_after: Some((after, cancel.clone())),
            ..Notes::default()
        };
        let summary = train(TrainKind::Splade, &parts, &mut first, &cancel).unwrap();
        assert!(summary.is_cancelled && summary.steps == after);
        parts.resume = true;
        let (summary, second) = run(TrainKind::Splade, &parts);
        assert_eq!(summary.steps, 12);
        let losses: Vec<f64> = first.losses.into_iter().chain(second.losses).collect();
        assert_eq!(losses, of_whole.losses, "after {after}");
        assert!(weights(&summary) == weights(&expected), "after {after}");
    }
}

#[test]
fn a_run_goes_on_only_as_it_began() {
    let world = world();
    let begun = options(world.path(), "begun");
    let (_, notes) = run(TrainKind::Splade, &begun);
    assert!(!notes.saved.is_empty());
    // Without being asked to, a run does not go on, nor begin over another.
    assert!(refused(&begun).contains("resume"));
    let other = TrainOptions {
        resume: true,
        learning_rate: 1e-3,
        ..begun.clone()
    };
    assert!(refused(&other).contains("options"));
    let nothing = TrainOptions {
        resume: true,
        output: world.path().join("nothing"),
        ..begun
    };
    assert!(refused(&nothing).contains("checkpoint"));
}

#[test]
fn what_is_wrong_is_refused_before_the_first_step() {
    let world = world();
    let good = options(world.path(), "refused");
    let with = |change: &dyn Fn(&mut TrainOptions)| {
        let mut options = good.clone();
        change(&mut options);
        refused(&options)
    };
    let missing = world.path().join("missing");
    assert!(with(&|o| o.base.clone_from(&missing)).contains("missing"));
    assert!(with(&|o| o.collection = Some(missing.clone())).contains("missing"));
    assert!(with(&|o| o.split = "nowhere".into()).contains("nowhere"));
    assert!(with(&|o| o.metric = "goodness@10".into()).contains("goodness"));
    assert!(with(&|o| o.max_tokens = 2).contains("max-tokens"));
    assert!(with(&|o| o.teacher_run = Some(missing.clone())).contains("missing"));
    fs::write(
        world.path().join("collection/qrels/wrong.tsv"),
        "query-id\tcorpus-id\tscore\n0-0\tnowhere\t1\n",
    )
    .unwrap();
    assert!(with(&|o| o.split = "wrong".into()).contains("nowhere"));
    assert!(!world.path().join("refused/model").exists());
}

#[test]
fn a_run_of_triplets_needs_no_collection() {
    let world = world();
    let path = world.path().join("triplets.tsv");
    fs::write(
        &path,
        "lava north\tA text about lava in the north.\tA text about honey.\n\
         honey\tA text about honey.\tA text about lava by the sea.\n",
    )
    .unwrap();
    let options = TrainOptions {
        collection: None,
        triplets: Some(path),
        batch: 2,
        ..options(world.path(), "triplets")
    };
    let (summary, notes) = run(TrainKind::Splade, &options);
    assert_eq!(summary.best, None);
    assert_eq!(notes.losses.len(), 12);
    let hardware = Hardware::cpu(CpuOptions::default()).unwrap();
    assert!(matches!(
        Model::open(&summary.model, hardware).unwrap(),
        Model::Sparse(_)
    ));
}

#[test]
fn a_masked_language_model_learns_a_collection_and_ranking_starts_from_it() {
    let world = world();
    let masked = TrainOptions {
        steps: Some(120),
        evaluate_every: 1_000,
        save_every: 1_000,
        mask_share: 0.3,
        ..options(world.path(), "mlm")
    };
    let (summary, notes) = run(TrainKind::Mlm, &masked);
    let (first, last) = (notes.losses[0], notes.losses[119]);
    assert!(last < 0.7 * first, "{first} to {last}");
    let next = TrainOptions {
        base: summary.model,
        ..options(world.path(), "from-mlm")
    };
    let (_, notes) = run(TrainKind::Splade, &next);
    assert_eq!(notes.losses.len(), 12);
}

#[test]
fn values_that_are_not_finite_end_a_run_with_advice() {
    let world = world();
    let wild = TrainOptions {
        learning_rate: 1e30,
        warm_up: 0.0,
        ..options(world.path(), "wild")
    };
    let mut notes = Notes::default();
    let error = train(TrainKind::Splade, &wild, &mut notes, &CancelToken::new());
    let error = error.unwrap_err();
    // Who watches learns of it too.
    assert!(notes.finished.unwrap().contains("learning rate"));
    assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("learning rate") && text.contains("step"),
        "{text}"
    );
}

/// The losses of some steps on a backend.
#[cfg(feature = "cuda")]
fn losses_on<B: crate::backend::BackwardOps + 'static>(
    kind: TrainKind,
    options: &TrainOptions,
    backend: B,
) -> Vec<f64> {
    let mut notes = Notes::default();
    let run = start::Run {
        kind,
        options,
        cpu: crate::neural::Cpu::new(CpuOptions::default()).unwrap(),
        hardware: Hardware::cpu(CpuOptions::default()).unwrap(),
        watcher: &mut notes,
        cancel: &CancelToken::new(),
    };
    run.on(backend).unwrap();
    notes.losses
}

/// A GPU has activations and products in bf16, so a loss may differ by this much, relative to the
/// larger of 1 and the loss.
#[cfg(feature = "cuda")]
const GPU_TOLERANCE: f64 = 0.1;

#[test]
#[cfg(feature = "cuda")]
fn a_gpu_learns_as_the_reference_does() {
    const STEPS: usize = 6;
    let world = world();
    // The new head of a cross-encoder gives all pairs the same score at first.
    for (kind, learning_rate) in [
        (TrainKind::Splade, 1e-3),
        (TrainKind::Cross, 4e-3),
        (TrainKind::Bi, 1e-3),
    ] {
        let of = |name: &str| TrainOptions {
            batch: 3,
            negatives: 1,
            overfit: Some(Overfit::Batch),
            steps: Some(STEPS as u64),
            warm_up: 0.0,
            schedule: crate::train::Decay::Constant,
            learning_rate,
            evaluate_every: 1_000,
            save_every: 1_000,
            development_queries: 0,
            ..options(world.path(), &format!("{}-{name}", kind.name()))
        };
        let Some(cuda) = crate::neural::Cuda::emulated(80, 0) else {
            return;
        };
        let found = losses_on(kind, &of("gpu"), cuda);
        let expected = losses_on(kind, &of("reference"), crate::backend::Reference);
        assert_eq!([found.len(), expected.len()], [STEPS; 2]);
        for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
            println!("{kind:?}, step {step}: {found:.4} on the GPU, {expected:.4}");
        }
        for (found, loss) in found.iter().zip(&expected) {
            let error = (found - loss).abs() / loss.max(1.0);
            assert!(error < GPU_TOLERANCE, "{kind:?}: {found} instead of {loss}");
        }
        for losses in [found, expected] {
            assert!(losses[STEPS - 1] < 0.98 * losses[0], "{kind:?}: {losses:?}");
        }
    }
}

#[test]
fn a_device_that_is_not_there_is_refused_before_anything_is_read() {
    let world = world();
    let options = TrainOptions {
        device: crate::train::TrainDevice::Cuda(1_000),
        ..options(world.path(), "none")
    };
    let error = train(
        TrainKind::Cross,
        &options,
        &mut Notes::default(),
        &CancelToken::new(),
    );
    assert!(matches!(error.unwrap_err(), Error::Device { .. }));
    assert!(!world.path().join("none").exists());
}

/// The texts of a world in another language: each word has its own translation.
fn translated(world: &Path) {
    let collection = world.join("collection");
    fs::create_dir_all(world.join("other/qrels")).unwrap();
    for name in ["corpus.jsonl", "queries.jsonl"] {
        let mut text = fs::read_to_string(collection.join(name)).unwrap();
        for (number, subject) in SUBJECTS.iter().enumerate() {
            // Other subjects' names stand for the words of the other language.
            let word = SUBJECTS[(number + 1) % SUBJECTS.len()].to_uppercase();
            text = text.replace(subject, &word);
        }
        fs::write(world.join("other").join(name), text.to_lowercase()).unwrap();
    }
    let qrels = collection.join("qrels/dev.tsv");
    fs::copy(qrels, world.join("other/qrels/dev.tsv")).unwrap();
}

#[test]
fn a_model_learns_another_language_from_a_teacher() {
    let world = world();
    translated(world.path());
    let teacher = TrainOptions {
        steps: Some(60),
        development_queries: 0,
        ..options(world.path(), "teacher")
    };
    let (teacher, _) = run(TrainKind::Splade, &teacher);
    let aligned = TrainOptions {
        base: teacher.model.clone(),
        teacher: Some(teacher.model.clone()),
        collection: Some(world.path().join("other")),
        documents: Some(world.path().join("other")),
        parallel_documents: Some(world.path().join("collection")),
        parallel_ids: Some(world.path().join("collection/qrels/train.tsv")),
        steps: Some(160),
        // Losses of one batch can be compared.
        overfit: Some(Overfit::Batch),
        evaluate_every: 1_000,
        save_every: 1_000,
        lambda_documents: 0.0,
        ..options(world.path(), "aligned")
    };
    let (summary, notes) = run(TrainKind::Align, &aligned);
    assert_eq!(notes.evaluations.len(), 2);
    let (first, last) = (notes.losses[0], notes.losses[159]);
    assert!(last < 0.9 * first, "{first} to {last}");
    let hardware = Hardware::cpu(CpuOptions::default()).unwrap();
    let Model::Sparse(encoder) = Model::open(&summary.model, hardware).unwrap() else {
        panic!("a model of sparse vectors");
    };
    assert!(!encoder.encode_documents(&["lava"]).unwrap()[0].is_empty());

    // Pairs of one file are the same, without ids.
    let pairs = world.path().join("pairs.tsv");
    fs::write(&pairs, "lava\tlava\nhoney\thoney\nocean\tocean\n").unwrap();
    let same = TrainOptions {
        collection: None,
        documents: None,
        parallel_documents: None,
        parallel_ids: None,
        parallel: Some(pairs),
        batch: 3,
        steps: Some(1),
        output: world.path().join("same"),
        ..aligned.clone()
    };
    let (summary, notes) = run(TrainKind::Align, &same);
    assert_eq!(summary.best, None);
    // The teacher is in bf16, the student in f32.
    assert!(notes.losses[0] < 1e-2, "{}", notes.losses[0]);

    let refused = |teacher: PathBuf| {
        let options = TrainOptions {
            teacher: Some(teacher),
            output: world.path().join("refused"),
            ..same.clone()
        };
        let mut notes = Notes::default();
        let found = train(TrainKind::Align, &options, &mut notes, &CancelToken::new());
        found.unwrap_err().to_string()
    };
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models");
    let error = refused(models.join("splade-max"));
    assert!(
        error.contains("vocabulary") && error.contains("teacher/model"),
        "{error}"
    );
    assert!(error.contains("splade-max"), "{error}");
}

#[test]
fn an_echo_is_trained_and_kept_by_further_training() {
    let world = world();
    let echoed = TrainOptions {
        echo: Some(0.5),
        query_echo: Some(0.25),
        development_queries: 0,
        ..options(world.path(), "echo")
    };
    let (summary, _) = run(TrainKind::Splade, &echoed);
    let read = |model: &Path| {
        let folder = crate::neural::ModelFolder::open(model).unwrap();
        crate::train::export::echo_of(&folder).map(|table| table.unwrap().to_vec())
    };
    let [of_documents, of_queries] = read(&summary.model);
    let id = |token: &str| {
        let folder = crate::neural::ModelFolder::open(&summary.model).unwrap();
        folder.tokenizer.id(token).unwrap() as usize
    };
    for special in ["[CLS]", "[SEP]", "[UNK]"] {
        assert_eq!(of_documents[id(special)], 0.0, "{special}");
    }
    for (table, initial) in [(&of_documents, 0.5), (&of_queries, 0.25)] {
        assert!(table.contains(&initial));
        assert!(
            table
                .iter()
                .any(|weight| *weight != initial && *weight > 0.0)
        );
    }
    let next = TrainOptions {
        base: summary.model.clone(),
        steps: Some(1),
        evaluate_every: 1_000,
        table_learning_rate: 1e-12,
        ..options(world.path(), "next")
    };
    let (summary, _) = run(TrainKind::Splade, &next);
    assert_eq!(read(&summary.model), [of_documents, of_queries]);
}

#[test]
fn negatives_are_mined_by_the_model_in_training() {
    let world = world();
    let whole = TrainOptions {
        mine_every: 4,
        mine_documents: 20,
        negatives_to: 5,
        save_every: 3,
        ..options(world.path(), "mined")
    };
    let (expected, of_whole) = run(TrainKind::Splade, &whole);
    let without = TrainOptions {
        mine_every: 0,
        output: world.path().join("not-mined"),
        ..whole.clone()
    };
    let (_, of_other) = run(TrainKind::Splade, &without);
    // Up to the first mining both runs are the same; a batch has six queries with two negatives each.
    assert_eq!(of_whole.losses[..4], of_other.losses[..4]);
    assert_ne!(of_whole.losses[4..], of_other.losses[4..]);
    // Those of earlier steps are not kept.
    let names = |output: &str| {
        let entries = fs::read_dir(world.path().join(output).join("mined")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names("mined"), ["step-0000000008.json"]);
    for after in [4, 6, 8] {
        let mut parts = whole.clone();
        parts.output = world.path().join(format!("mined-{after}"));
        let cancel = CancelToken::new();
        let mut first = Notes {
            cancel_after: Some((after, cancel.clone())),
            ..Notes::default()
        };
        train(TrainKind::Splade, &parts, &mut first, &cancel).unwrap();
        parts.resume = true;
        let (summary, second) = run(TrainKind::Splade, &parts);
        let losses: Vec<f64> = first.losses.into_iter().chain(second.losses).collect();
        assert_eq!(losses, of_whole.losses, "after {after}");
        assert!(weights(&summary) == weights(&expected), "after {after}");
    }
    let dense = TrainOptions {
        output: world.path().join("dense"),
        ..whole
    };
    let (_, notes) = run(TrainKind::Bi, &dense);
    assert_eq!(notes.losses.len(), 12);
    assert_eq!(names("dense"), ["step-0000000008.json"]);
}
