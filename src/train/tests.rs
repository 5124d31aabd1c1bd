//! Gradients of whole models against central differences, in f64, for every family of encoder.

mod torch_curves;
mod torch_gradients;

use std::path::{Path, PathBuf};

use super::*;
use crate::backend::{BackwardOps, Device, Scalar};
use crate::neural::{Batch, Encoder, ModelConfig, Weights};

const STEP: f64 = 1e-5;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/neural/models")
        .join(name)
}

/// Three sequences, one of a single token.
fn batch(vocabulary: usize) -> Batch {
    let ids: Vec<u32> = (0..11)
        .map(|n| 3 + (n * n * 5 + n) % (vocabulary as u32 - 3))
        .collect();
    Batch {
        types: vec![0; ids.len()],
        ids,
        starts: vec![0, 6, 7, 11],
    }
}

/// Weights of the sum of hidden states that is the loss.
fn factors(len: usize) -> Vec<f64> {
    (0..len)
        .map(|n| ((n * 37 + 11) % 23) as f64 / 23.0 - 0.5)
        .collect()
}

/// The loss of a forward pass: a weighted sum of the hidden states.
fn loss(
    recorder: &Recorder<Scalar<f64>>,
    encoder: &Encoder<Recorder<Scalar<f64>>>,
    batch: &Batch,
) -> f64 {
    recorder.begin(false).unwrap();
    let hidden = encoder.forward(recorder, batch).unwrap().value();
    let values = hidden.values().iter();
    values
        .zip(factors(hidden.values().len()))
        .map(|(value, factor)| value * factor)
        .sum()
}

/// Compares some gradients of every tensor of a model with differences of its loss.
fn check(name: &str) {
    let folder = folder(name);
    let config = ModelConfig::open(&folder).unwrap();
    let weights = Weights::open(&folder).unwrap();
    let recorder = Recorder::new(Scalar::<f64>::default());
    let encoder = Encoder::load(&recorder, &config, &weights).unwrap();
    let batch = batch(config.vocabulary);

    recorder.begin(true).unwrap();
    let hidden = encoder.forward(&recorder, &batch).unwrap();
    let len = recorder.values(&hidden).unwrap().len();
    let seed = factors(len).iter().map(|factor| *factor as f32).collect();
    recorder.backward(&[Seed::Dense(seed)]).unwrap();

    let backend = recorder.backend();
    let tensors = recorder.parameters().masters().len();
    assert!(tensors > 10, "{name}: {tensors} tensors");
    let mut seen = 0;
    for tensor in 0..tensors {
        let (title, gradient, values) = {
            let parameters = recorder.parameters();
            let master = &parameters.masters()[tensor];
            let gradient = master.gradient.lock().unwrap().clone();
            (master.name.clone(), gradient, master.value.clone())
        };
        // The largest gradient, and some others.
        let largest =
            (0..gradient.len()).max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs()));
        let places = [0, gradient.len() / 3, gradient.len() - 1, largest.unwrap()];
        for place in places {
            let at = |step: f64| {
                let mut parameters = recorder.parameters_mut();
                let mut moved = values.clone();
                moved[place] += step;
                parameters.masters_mut()[tensor].value = moved;
                parameters.pack(backend).unwrap();
                drop(parameters);
                loss(&recorder, &encoder, &batch)
            };
            let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            at(0.0);
            let found = gradient[place];
            let error = (found - expected).abs() / expected.abs().max(1e-2);
            assert!(
                error < 1e-5,
                "{name}, {title}, value {place}: expected {expected}, found {found}"
            );
            seen += usize::from(expected.abs() > 1e-6);
        }
    }
    assert!(
        seen > tensors,
        "{name}: only {seen} gradients above 0 in {tensors} tensors"
    );
}

#[test]
fn post_norm_encoders() {
    for name in ["bert", "distilbert", "roberta", "xlm-roberta", "electra"] {
        check(name);
    }
}

#[test]
fn t5_encoders() {
    for name in ["t5", "mt5"] {
        check(name);
    }
}

#[test]
fn deberta_encoders() {
    for name in [
        "deberta",
        "deberta-plain",
        "deberta-v3",
        "deberta-convolution",
    ] {
        check(name);
    }
}

#[test]
fn seeds_must_fit_the_outputs_of_the_step() {
    let folder = folder("bert");
    let (config, weights) = (
        ModelConfig::open(&folder).unwrap(),
        Weights::open(&folder).unwrap(),
    );
    let recorder = Recorder::new(Scalar::<f32>::default());
    let encoder = Encoder::load(&recorder, &config, &weights).unwrap();
    recorder.begin(true).unwrap();
    let hidden = encoder
        .forward(&recorder, &batch(config.vocabulary))
        .unwrap();
    assert!(recorder.backward(&[Seed::Dense(Vec::new())]).is_err());
    recorder.begin(true).unwrap();
    let hidden_again = encoder
        .forward(&recorder, &batch(config.vocabulary))
        .unwrap();
    assert_eq!(recorder.shape(&hidden), recorder.shape(&hidden_again));
    recorder.values(&hidden_again).unwrap();
    assert!(recorder.backward(&[Seed::Dense(vec![0.0; 3])]).is_err());
    recorder.begin(true).unwrap();
    let values = recorder.values(
        &encoder
            .forward(&recorder, &batch(config.vocabulary))
            .unwrap(),
    );
    let sparse = Seed::Sparse(vec![Vec::new(); values.unwrap().len()]);
    assert!(recorder.backward(&[sparse]).is_err());
}

#[test]
fn gradients_add_up_until_they_are_cleared() {
    let folder = folder("bert");
    let (config, weights) = (
        ModelConfig::open(&folder).unwrap(),
        Weights::open(&folder).unwrap(),
    );
    let backend = Scalar::<f64>::default();
    let recorder = Recorder::new(backend);
    let encoder = Encoder::load(&recorder, &config, &weights).unwrap();
    let sums = || {
        recorder.begin(true).unwrap();
        let hidden = encoder
            .forward(&recorder, &batch(config.vocabulary))
            .unwrap();
        let len = recorder.values(&hidden).unwrap().len();
        recorder.backward(&[Seed::Dense(vec![1.0; len])]).unwrap();
        let parameters = recorder.parameters();
        let squares = parameters.masters().iter().map(|master| {
            backend
                .sum_of_squares(&master.gradient.lock().unwrap())
                .unwrap()
        });
        squares.sum::<f64>()
    };
    let once = sums();
    assert!(once > 0.0);
    assert!((sums() / once - 4.0).abs() < 1e-9);
    recorder.parameters().clear_gradients(&backend).unwrap();
    assert!((sums() / once - 1.0).abs() < 1e-9);
}

#[test]
fn dropout_is_the_same_for_a_seed_and_off_in_evaluation() {
    let folder = folder("bert");
    let (config, weights) = (
        ModelConfig::open(&folder).unwrap(),
        Weights::open(&folder).unwrap(),
    );
    let recorder = Recorder::new(Scalar::<f32>::default());
    let encoder = Encoder::load(&recorder, &config, &weights).unwrap();
    let hidden = |is_noting: bool, rate: f32, seed: u64| {
        recorder.set_dropout(rate, seed).unwrap();
        recorder.begin(is_noting).unwrap();
        let hidden = encoder
            .forward(&recorder, &batch(config.vocabulary))
            .unwrap();
        hidden.value().values().to_vec()
    };
    let without = hidden(true, 0.0, 1);
    assert_eq!(hidden(false, 0.5, 1), without);
    assert_ne!(hidden(true, 0.5, 1), without);
    assert_eq!(hidden(true, 0.5, 1), hidden(true, 0.5, 1));
    assert_ne!(hidden(true, 0.5, 1), hidden(true, 0.5, 2));
    assert!(recorder.set_dropout(1.0, 0).is_err());
}
