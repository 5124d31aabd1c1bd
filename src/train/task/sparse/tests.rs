use std::path::{Path, PathBuf};

use super::*;
use crate::backend::{Reference, Scalar};
use crate::neural::SparseEncoder;
use crate::train::data::Labelled;
use crate::train::export::{Card, Export, ExportKind, ExportedTensor};
use crate::train::loss::{ListLoss, Norm};
use crate::train::objective::{RankingTerm, Scope};

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/neural/models")
        .join(name)
}

fn batch() -> TrainingBatch {
    let labelled = |document, target| Labelled {
        document,
        target,
        is_relevant: target > 0.0,
    };
    TrainingBatch {
        queries: ["Lava flows.", "honey"].map(Text::new).to_vec(),
        documents: [
            "Lava flows from the volcano.",
            "Bees make honey.",
            "The volcano is quiet.",
        ]
        .map(Text::new)
        .to_vec(),
        lists: vec![
            vec![labelled(0, 1.0), labelled(2, 0.0)],
            vec![labelled(1, 1.0)],
        ],
        forbidden: vec![Vec::new(); 2],
    }
}

fn settings() -> BatchSettings {
    BatchSettings {
        lambda_queries: 0.01,
        lambda_documents: 0.02,
        ..BatchSettings::default()
    }
}

/// A table without a weight of special tokens, as a run makes it.
fn table(folder: &ModelFolder, factor: usize) -> Vec<f32> {
    let specials = folder.tokenizer.encode("").unwrap().ids;
    (0..folder.config.vocabulary)
        .map(|place| match specials.contains(&(place as u32)) {
            true => 0.0,
            false => 0.5 + (place * factor % 7) as f32 / 7.0,
        })
        .collect()
}

/// The tables of a model in training, by their names without `tables.`.
type Tables<'a> = [(&'a str, Vec<f32>)];

fn options(tables: &Tables<'_>) -> SparseTaskOptions {
    let flops = Sparsity {
        norm: Norm::Flops,
        term_factors: Vec::new(),
    };
    let table = |name: &str| {
        let found = tables.iter().find(|(other, _)| *other == name);
        found.map(|(_, values)| values.clone())
    };
    SparseTaskOptions {
        pooling: SpladePooling::Max,
        activation: SpladeActivation::Log1pRelu,
        query_table: table("query"),
        echo: table("echo"),
        query_echo: table("query-echo"),
        query_tokens: 16,
        document_tokens: 16,
        tape_tokens: 1_000,
        objective: Objective {
            terms: vec![RankingTerm {
                loss: ListLoss::Softmax,
                scope: Scope::Batch,
                weight: 1.0,
            }],
            scale: 0.2,
        },
        of_queries: flops.clone(),
        of_documents: flops,
    }
}

fn load(tables: &Tables<'_>, is_aligned: bool) -> SparseTask<Scalar<f64>> {
    let folder = Arc::new(ModelFolder::open(&model("splade-max")).unwrap());
    let task = SparseTask::load(Scalar::<f64>::default(), folder, options(tables)).unwrap();
    match is_aligned {
        true => {
            let teacher = SparseEncoder::open(model("splade-max"), Reference).unwrap();
            task.aligned_with(Box::new(teacher))
        }
        false => task,
    }
}

/// Compares the gradients of tables with differences of the loss; of both echoes and the
/// transformer's vectors beside them, or of a table of queries.
fn check_tables(tables: &Tables<'_>, is_aligned: bool) {
    let loss = |tables: &Tables<'_>| {
        let mut task = load(tables, is_aligned);
        task.batch(&batch(), &settings()).unwrap().loss
    };
    let mut task = load(tables, is_aligned);
    task.batch(&batch(), &settings()).unwrap();
    task.before_step().unwrap();
    let parameters = task.recorder().parameters();
    for (number, (name, values)) in tables.iter().enumerate() {
        let master = parameters.find(&format!("tables.{name}")).unwrap();
        let gradient = master.gradient.lock().unwrap();
        let places = (0..values.len()).filter(|place| gradient[*place] != 0.0);
        let places: Vec<usize> = places.collect();
        assert!(places.len() > 2, "{name}");
        for place in places {
            assert!(values[place] > 0.0, "{name}: a special token at {place}");
            let at = |step: f32| {
                let mut moved = tables.to_vec();
                moved[number].1[place] += step;
                loss(&moved)
            };
            let expected = (at(1e-2) - at(-1e-2)) / 2e-2;
            let error = (gradient[place] - expected).abs();
            assert!(
                error < 1e-4,
                "{name} {place}: {expected} {}",
                gradient[place]
            );
        }
    }
}

#[test]
fn tables_learn() {
    let folder = ModelFolder::open(&model("splade-max")).unwrap();
    let of = |name, factor| (name, table(&folder, factor));
    check_tables(&[of("query", 3), of("echo", 5)], false);
    check_tables(&[of("query-echo", 3), of("echo", 5)], false);
    check_tables(&[of("echo", 5)], true);
}

/// A model that is its own teacher has nothing to learn from equal texts, and something from others.
#[test]
fn documents_are_drawn_to_the_teachers_vectors() {
    let mut task = load(&[], true);
    let mut batch = batch();
    batch.documents[..2].clone_from_slice(&batch.queries);
    let settings = BatchSettings::default();
    let outcome = task.batch(&batch, &settings).unwrap();
    assert!(outcome.loss < 1e-9, "{}", outcome.loss);
    assert!(outcome.queries.unwrap().active_terms > 1.0);
    batch.documents.swap(0, 1);
    let outcome = task.batch(&batch, &settings).unwrap();
    assert!(outcome.loss > 1e-3, "{}", outcome.loss);
    assert_eq!(outcome.loss, outcome.ranking.loss);
}

/// What an exported model makes of texts costs what the texts cost in training.
#[test]
fn an_exported_echo_gives_the_vectors_of_training() {
    let folder = ModelFolder::open(&model("splade-max")).unwrap();
    let tables = [
        ("echo", table(&folder, 5)),
        ("query-echo", table(&folder, 3)),
    ];
    let mut task = load(&tables, false);
    let expected = task.batch(&batch(), &settings()).unwrap().loss;
    let tensors = {
        let recorder = task.recorder();
        ExportedTensor::of(&recorder.parameters(), recorder.backend()).unwrap()
    };
    let tensors: Vec<_> = tensors
        .into_iter()
        .filter(|tensor| !tensor.name.starts_with("tables."))
        .collect();
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("model");
    let base = model("splade-max");
    Export {
        base: &base,
        kind: ExportKind::Splade {
            pooling: SpladePooling::Max,
            activation: SpladeActivation::Log1pRelu,
        },
        tensors: &tensors,
        query_table: None,
        echo: [Some(&tables[0].1), Some(&tables[1].1)],
        max_tokens: Some(16),
        max_terms: None,
        prompts: None,
        card: Card::default(),
    }
    .write(&output)
    .unwrap();
    let card = std::fs::read_to_string(output.join("README.md")).unwrap();
    assert!(card.contains("echo"), "{card}");

    let cost = |encoder: &SparseEncoder<Reference>| {
        let batch = batch();
        let queries: Vec<&str> = batch.queries.iter().map(|text| &*text.text).collect();
        let documents: Vec<&str> = batch.documents.iter().map(|text| &*text.text).collect();
        let queries = encoder.encode_queries(&queries).unwrap();
        let documents = encoder.encode_documents(&documents).unwrap();
        let cost = options(&[]).ranked(&queries, &documents, &batch, &settings());
        cost.unwrap().outcome.loss
    };
    let found = cost(&SparseEncoder::open(&output, Reference).unwrap());
    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
    let without = cost(&SparseEncoder::open(&base, Reference).unwrap());
    assert!((without - expected).abs() > 1e-2, "{without} {expected}");

    // A model that is trained further keeps its echo, and the fingerprint knows of it.
    let again = ModelFolder::open(&output).unwrap();
    assert!(again.echo.is_some());
    std::fs::remove_dir_all(output.join("echo")).unwrap();
    let without = ModelFolder::open(&output).unwrap();
    assert!(without.echo.is_none());
    assert_ne!(again.fingerprint().unwrap(), without.fingerprint().unwrap());
}
