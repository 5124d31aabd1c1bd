//! Exports of the fixture models, read back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::super::files::{Fault, with_fault};
use super::super::{EvaluationRecord, Recorder};
use super::*;
use crate::backend::{Reference, Scalar};
use crate::neural::{
    CrossEncoder, CrossHead, DenseEncoder, Encoder, LateEncoder, LateHead, ModelKind, Module,
    SparseEncoder, SpladeHead,
};

mod atomic;
mod changed;
mod refused;

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/neural/models")
        .join(name)
}

const TEXTS: [&str; 4] = [
    "Lava flows from the volcano.",
    "",
    "Bees make honey, and the keeper takes some of it.",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t u v w x y z",
];

const SPLADE: ExportKind = ExportKind::Splade {
    pooling: SpladePooling::Max,
    activation: SpladeActivation::Log1pRelu,
};

const DENSE: ExportKind = ExportKind::BiEncoder {
    pooling: None,
    is_normalized: None,
    similarity: None,
};

fn export<'a>(base: &'a Path, kind: ExportKind, tensors: &'a [ExportedTensor<'a>]) -> Export<'a> {
    Export {
        base,
        kind,
        tensors,
        query_table: None,
        echo: [None, None],
        max_tokens: None,
        max_terms: None,
        prompts: None,
        card: Card::default(),
    }
}

/// The masters of a model as the trainer has them.
fn masters(folder: &ModelFolder, kind: &ExportKind) -> Vec<ExportedTensor<'static>> {
    let recorder = Recorder::new(Scalar::<f32>::default());
    Encoder::load(&recorder, &folder.config, &folder.weights).unwrap();
    match kind {
        ExportKind::Splade {
            pooling,
            activation,
        }
        | ExportKind::InferenceFree {
            pooling,
            activation,
        } => {
            let (config, weights) = (&folder.config, &folder.weights);
            SpladeHead::load(&recorder, config, weights, *activation, *pooling).unwrap();
        }
        ExportKind::CrossEncoder { .. } => {
            CrossHead::load(&recorder, &folder.config, &folder.weights).unwrap();
        }
        ExportKind::BiEncoder { .. } => {}
        ExportKind::LateInteraction { .. } => {
            LateHead::of_folder(&recorder, folder).unwrap();
        }
    }
    ExportedTensor::of(&recorder.parameters(), recorder.backend()).unwrap()
}

/// Exports a model with its own masters; returns where.
fn exported(base: &Path, kind: ExportKind) -> TempDir {
    let output = tempfile::tempdir().unwrap();
    let folder = match kind {
        ExportKind::BiEncoder { .. } => ModelFolder::open_as(base, Some(ModelKind::BiEncoder)),
        _ => ModelFolder::open(base),
    };
    let masters = masters(&folder.unwrap(), &kind);
    assert!(masters.len() > 8);
    let path = output.path().join("model");
    export(base, kind.clone(), &masters).write(&path).unwrap();
    // For tests/train/check_export.py, which compares them with Python.
    if let Some(place) = std::env::var_os("ESPARSA_KEEP_EXPORTS") {
        let mut name = base.file_name().unwrap().to_os_string();
        let debug = format!("{kind:?}");
        name.push(format!("-{}", debug.split([' ', '{']).next().unwrap()));
        export(base, kind, &masters)
            .write(&PathBuf::from(place).join(name))
            .unwrap();
    }
    output
}

fn splade_kind(folder: &ModelFolder) -> ExportKind {
    let [
        Module::SpladePooling {
            pooling,
            activation,
        },
    ] = folder.modules[..]
    else {
        panic!("a SPLADE");
    };
    match folder.static_queries {
        Some(_) => ExportKind::InferenceFree {
            pooling,
            activation,
        },
        None => ExportKind::Splade {
            pooling,
            activation,
        },
    }
}

#[test]
fn sparse_models_give_the_same_vectors() {
    for name in [
        "splade-max",
        "splade-sum",
        "splade-log1p",
        "splade-separate",
        "splade-inference-free",
        "splade-inference-free-published",
        "bert-masked",
        "bert-old",
        "distilbert",
        "roberta",
        "deberta-v3",
    ] {
        let base = model(name);
        let folder = ModelFolder::open(&base).unwrap();
        let kind = if folder.kind == ModelKind::SparseEncoder {
            splade_kind(&folder)
        } else {
            SPLADE
        };
        let folder = ModelFolder::open_as(&base, None).unwrap();
        let output = exported(&base, kind);
        let is_free = folder.static_queries.is_some();
        let before = match folder.kind {
            ModelKind::SparseEncoder => SparseEncoder::load(folder, Reference).unwrap(),
            _ => {
                let folder = ModelFolder::open_as(&base, Some(ModelKind::SparseEncoder)).unwrap();
                SparseEncoder::load(folder, Reference).unwrap()
            }
        };
        let after = SparseEncoder::open(output.path().join("model"), Reference).unwrap();
        assert_eq!(after.is_inference_free(), is_free, "{name}");
        let of = |encoder: &SparseEncoder<Reference>| {
            let documents = encoder.encode_documents(&TEXTS).unwrap();
            (documents, encoder.encode_queries(&TEXTS).unwrap())
        };
        assert_eq!(of(&after), of(&before), "{name}");
        assert!(
            of(&after).0.iter().any(|vector| !vector.is_empty()),
            "{name}"
        );
    }
}

#[test]
fn cross_encoders_give_the_same_scores() {
    for name in [
        "ce-bert",
        "ce-bert-old",
        "ce-electra",
        "ce-roberta",
        "ce-distilbert",
        "ce-deberta",
    ] {
        let base = model(name);
        let folder = ModelFolder::open(&base).unwrap();
        let [
            Module::Classifier {
                labels, activation, ..
            },
        ] = folder.modules[..]
        else {
            panic!("{name}");
        };
        let labels = (0..labels).map(|label| format!("LABEL_{label}")).collect();
        let output = exported(&base, ExportKind::CrossEncoder { labels, activation });
        let before = CrossEncoder::load(folder, Reference).unwrap();
        let after = CrossEncoder::open(output.path().join("model"), Reference).unwrap();
        let pairs: Vec<(String, String)> =
            serde_json::from_slice(&fs::read(base.join("pairs.json")).unwrap()).unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(
            after.logits(&pairs).unwrap(),
            before.logits(&pairs).unwrap()
        );
        use crate::neural::PairScorer;
        let scores = |encoder: &CrossEncoder<Reference>| {
            let scores = encoder.score_pairs(&pairs).unwrap().results;
            scores.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        };
        assert_eq!(scores(&after), scores(&before), "{name}");
    }
}

const LATE: ExportKind = ExportKind::LateInteraction {
    query_tokens: 12,
    document_tokens: 30,
};

#[test]
fn models_of_late_interaction_give_the_same_vectors() {
    for name in ["colbert", "colbert-pylate"] {
        let base = model(name);
        let output = exported(&base, LATE);
        let of = |folder: &Path| {
            let encoder = LateEncoder::open(folder, Reference).unwrap();
            let documents = encoder.encode_documents(&TEXTS).unwrap();
            (documents, encoder.encode_queries(&TEXTS).unwrap())
        };
        assert_eq!(of(&output.path().join("model")), of(&base), "{name}");
    }
}

#[test]
fn late_interaction_is_added_to_an_encoder() {
    let base = model("bert");
    let folder = ModelFolder::open(&base).unwrap();
    let mut tensors = masters(&folder, &DENSE);
    let values = (0..4 * folder.config.hidden).map(|n| (n * 7 % 11) as f32 / 11.0 - 0.5);
    tensors.push(ExportedTensor {
        name: "linear.weight".into(),
        values: values.collect(),
    });
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("model");
    export(&base, LATE, &tensors).write(&output).unwrap();
    let folder = ModelFolder::open(&output).unwrap();
    assert_eq!(folder.kind, ModelKind::LateInteraction);
    let late = folder.late.as_ref().unwrap();
    assert_eq!((late.query_tokens, late.document_tokens), (12, 30));
    assert!(late.expansion.is_none() && late.query_prefix.is_none());
    assert!(!late.skipped.is_empty() && !late.skips_in_queries);
    let encoder = LateEncoder::load(folder, Reference).unwrap();
    assert_eq!(encoder.dimensions(), 4);
    let vectors = encoder
        .encode_documents(&["Bees make honey, they say."])
        .unwrap();
    assert!(vectors[0].tokens() > 4);
}

#[test]
fn dense_models_give_the_same_vectors() {
    for name in [
        "st-mean",
        "st-cls",
        "st-max",
        "st-dense",
        "st-prompts",
        "bert",
        "bert-f16",
        "bert-bf16",
        "bert-sharded",
        "bert-masked",
        "bert-old",
        "distilbert",
        "roberta",
        "xlm-roberta",
        "electra",
        "t5",
        "mt5",
        "deberta",
        "deberta-convolution",
        "deberta-plain",
        "deberta-v3",
    ] {
        let base = model(name);
        let output = exported(&base, DENSE);
        let folder = ModelFolder::open_as(&base, Some(ModelKind::BiEncoder)).unwrap();
        let before = DenseEncoder::load(folder, Reference).unwrap();
        let after = DenseEncoder::open(output.path().join("model"), Reference).unwrap();
        let of = |encoder: &DenseEncoder<Reference>| {
            let documents = encoder.encode_documents(&TEXTS).unwrap();
            (documents, encoder.encode_queries(&TEXTS).unwrap())
        };
        assert_eq!(of(&after), of(&before), "{name}");
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
