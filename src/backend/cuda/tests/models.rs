//! Whole models on the emulated GPU: close to the reference, equal with and without CUDA graphs,
//! and complete when GPU memory is short.

use std::path::{Path, PathBuf};

use super::*;
use crate::backend::Reference;
use crate::neural::{
    Batch, CrossEncoder, DenseEncoder, Encoder, ModelConfig, ModelFolder, ModelKind, SparseEncoder,
    Weights,
};

/// Folders with a model and its weights.
fn folders() -> Vec<PathBuf> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models");
    let mut folders: Vec<_> = std::fs::read_dir(models)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("config.json").exists() && path.join("model.safetensors").exists())
        .collect();
    folders.sort();
    folders
}

pub(super) fn model_folder(name: &str) -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models");
    models.join(name)
}

/// Sequences of the given lengths with ids below the vocabulary.
pub(super) fn batch(config: &ModelConfig, lengths: &[u32], seed: u32) -> Batch {
    let tokens: u32 = lengths.iter().sum();
    let vocabulary = config.vocabulary as u32;
    let mut starts = vec![0];
    for length in lengths {
        starts.push(starts.last().unwrap() + length);
    }
    Batch {
        ids: (0..tokens)
            .map(|token| (token * 37 + seed * 11) % vocabulary)
            .collect(),
        types: vec![0; tokens as usize],
        starts,
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn hidden_states_of_every_family_are_near_the_reference() {
    let folders = folders();
    assert!(folders.len() > 10);
    for (number, folder) in folders.iter().enumerate() {
        let Some(cuda) = cuda([80, 90][number % 2], number as u64) else {
            return;
        };
        let (config, weights) = (
            ModelConfig::open(folder).unwrap(),
            Weights::open(folder).unwrap(),
        );
        let batch = batch(&config, &[9, 1, 14], 3);
        let encoder = Encoder::load(&cuda, &config, &weights).unwrap();
        let reference = Encoder::load(&Reference, &config, &weights).unwrap();
        let found = cuda
            .values(&encoder.forward(&cuda, &batch).unwrap())
            .unwrap();
        let expected = Reference
            .values(&reference.forward(&Reference, &batch).unwrap())
            .unwrap();
        let near = cosine(&found, &expected);
        assert!(near > 0.9995, "{}: {near}", folder.display());
    }
}

#[test]
fn logits_of_a_decoder_are_near_the_reference() {
    let pairs = [
        ("what is lava", "Lava is molten rock."),
        ("magma", ""),
        ("", ""),
    ];
    for (number, name) in ["mono-t5", "mono-mt5"].into_iter().enumerate() {
        let Some(cuda) = cuda([80, 90][number], number as u64) else {
            return;
        };
        let folder = model_folder(name);
        let found = CrossEncoder::open(&folder, cuda).unwrap();
        let expected = CrossEncoder::open(&folder, Reference).unwrap();
        let expected = expected.logits(&pairs).unwrap().concat();
        let found = found.logits(&pairs).unwrap().concat();
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 0.05,
                "{name}: {found} {expected}"
            );
        }
    }
}

#[test]
fn graph_launches_equal_direct_launches() {
    for name in ["bert", "t5", "deberta"] {
        let folder = model_folder(name);
        let (config, weights) = (
            ModelConfig::open(&folder).unwrap(),
            Weights::open(&folder).unwrap(),
        );
        let (Some(graphed), Some(direct)) = (cuda(80, 1), cuda(80, 1)) else {
            return;
        };
        let encoder = Encoder::load(&graphed, &config, &weights).unwrap();
        let reference = Encoder::load(&direct, &config, &weights).unwrap();
        let mut held = Vec::new();
        for round in 0..6 {
            for lengths in [&[5][..], &[2, 7]] {
                let batch = batch(&config, lengths, round);
                let hidden = encoder.forward(&graphed, &batch).unwrap();
                let found = graphed.values(&hidden).unwrap();
                // A new encoder each time, so that no graph exists for it.
                let fresh = Encoder::load(&direct, &config, &weights).unwrap();
                let expected = fresh.forward(&direct, &batch).unwrap();
                assert_eq!(
                    found,
                    direct.values(&expected).unwrap(),
                    "{name}, round {round}"
                );
                if round == 3 {
                    // Keep a result of a graph launch: it must not change.
                    held.push((hidden, found));
                }
            }
        }
        for (hidden, values) in held {
            assert_eq!(graphed.values(&hidden).unwrap(), values, "{name}");
        }
        drop(reference);
    }
}

#[test]
fn vectors_of_texts_are_near_those_of_the_reference() {
    let texts: Vec<String> = (1..12)
        .map(|number| "Lava flows from the volcano while bees make honey. ".repeat(number % 4 + 1))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (number, folder) in folders().iter().enumerate() {
        let Ok(model) = ModelFolder::open(folder) else {
            continue;
        };
        let Some(cuda) = cuda([90, 80][number % 2], number as u64) else {
            return;
        };
        let pairs: Vec<(Vec<f32>, Vec<f32>)> = match model.kind {
            ModelKind::SparseEncoder => {
                let ours = SparseEncoder::load(model, cuda).unwrap();
                let reference = SparseEncoder::open(folder, Reference).unwrap();
                let to_i32 = |vector: Vec<(u32, f32)>| {
                    let mut weights = vec![0.0; ours.vocabulary()];
                    for (term, weight) in vector {
                        weights[term as usize] = weight;
                    }
                    weights
                };
                let found = ours
                    .encode_documents(&texts)
                    .unwrap()
                    .into_iter()
                    .map(to_i32);
                let expected = reference
                    .encode_documents(&texts)
                    .unwrap()
                    .into_iter()
                    .map(to_i32);
                found.zip(expected).collect()
            }
            ModelKind::BiEncoder => {
                let ours = DenseEncoder::load(model, cuda).unwrap();
                let reference = DenseEncoder::open(folder, Reference).unwrap();
                let found = ours.encode_documents(&texts).unwrap();
                found
                    .into_iter()
                    .zip(reference.encode_documents(&texts).unwrap())
                    .collect()
            }
            ModelKind::CrossEncoder | ModelKind::LateInteraction => continue,
        };
        for (found, expected) in pairs {
            let near = cosine(&found, &expected);
            assert!(near > 0.999, "{}: {near}", folder.display());
        }
    }
}

#[test]
fn batches_beyond_memory_run_in_parts() {
    let folder = model_folder("splade-max");
    let texts: Vec<String> = (0..24)
        .map(|number| format!("bees {number} make honey"))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let Some(gpu) = Emulator::new(80, 0) else {
        return;
    };
    let cuda = cuda_on(gpu.clone());
    let encoder = SparseEncoder::open(&folder, cuda.clone()).unwrap();
    let weights = cuda.memory_in_use().0;
    let expected = encoder.encode_documents(&texts).unwrap();
    let max = cuda.memory_in_use().1 - weights;

    // A third of the whole batch's peak: only parts of the batch fit.
    gpu.limit(weights + max / 3);
    assert_eq!(encoder.encode_documents(&texts).unwrap(), expected);
    // Not even one text fits.
    gpu.limit(weights + 64);
    let error = encoder.encode_documents(&texts[..1]).unwrap_err();
    assert!(error.is_device_memory(), "{error}");
    // The failure leaked no memory.
    gpu.limit(1 << 30);
    assert_eq!(encoder.encode_documents(&texts).unwrap(), expected);
}

#[test]
fn threads_share_a_stream_and_streams_share_a_model() {
    for name in ["bert", "deberta"] {
        let folder = model_folder(name);
        let Some(cuda) = cuda(80, 1) else { return };
        let (config, weights) = (
            ModelConfig::open(&folder).unwrap(),
            Weights::open(&folder).unwrap(),
        );
        let encoder = Encoder::load(&cuda, &config, &weights).unwrap();
        // A new encoder each time, so that no graph is launched.
        let expected: Vec<Vec<f32>> = (0..4)
            .map(|seed| {
                let reference = Encoder::load(&cuda, &config, &weights).unwrap();
                let batch = batch(&config, &[4], seed);
                cuda.values(&reference.forward(&cuda, &batch).unwrap())
                    .unwrap()
            })
            .collect();
        let streams = cuda.streams();
        assert_eq!(streams.len(), 2);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (stream, encoder, config, expected) =
                    (&streams[thread / 3], &encoder, &config, &expected);
                scope.spawn(move || {
                    for round in 0..12 {
                        let seed = (thread + round) % 4;
                        let batch = batch(config, &[4], seed as u32);
                        let hidden = encoder.forward(stream, &batch).unwrap();
                        let found = stream.values(&hidden).unwrap();
                        assert_eq!(found, expected[seed], "{name}, thread {thread}");
                    }
                });
            }
        });
    }
}

#[test]
fn many_texts_keep_their_order() {
    let folder = model_folder("st-mean");
    let Some(cuda) = cuda(80, 0) else { return };
    let words = ["lava", "bees", "honey", "flows", "volcano"];
    // More than one part, each encoded by its own thread.
    let text = |number: usize| words[number * number % 5].repeat(1 + number % 2);
    let texts: Vec<String> = (0..2_100).map(text).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let ours = DenseEncoder::open(&folder, cuda).unwrap();
    let reference = DenseEncoder::open(&folder, Reference).unwrap();
    let found = ours.encode_documents(&texts).unwrap();
    let expected = reference.encode_documents(&texts[..10]).unwrap();
    assert_eq!(found.len(), texts.len());
    for (number, found) in found.iter().enumerate() {
        // The texts repeat every ten.
        let near = cosine(found, &expected[number % 10]);
        assert!(near > 0.999, "{number}: {near}");
    }
}
