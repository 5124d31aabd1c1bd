//! Gradients of every tensor against those of PyTorch's autograd, in f64: of the hidden states of
//! each family, and of what each head makes of them. `tests/train/make_fixtures.py` wrote them.

use serde::Deserialize;

use super::*;
use crate::backend::{Activation, Pooling, SpladeActivation, SpladePooling};
use crate::neural::{CrossHead, DenseWeights, LateHead, PooledHead, SpladeHead};

/// Max error of a value, relative to it or to a thousandth of its tensor's norm, whichever is
/// larger: some constants of models are f32 here (the scale of attention) and f64 in PyTorch.
const TOLERANCE: f64 = 1e-5;

/// What is kept constant: DeBERTa's convolution is reordered into a matrix, which is not a tensor of
/// the file.
const CONSTANT: [&str; 2] = ["encoder.conv.conv.weight", "encoder.conv.conv.bias"];

#[derive(Deserialize)]
struct Expected {
    loss: f64,
    tensors: Vec<Tensor>,
}

/// The gradient of a tensor.
#[derive(Deserialize)]
struct Tensor {
    /// A tied tensor has several.
    names: Vec<String>,
    norm: f64,
    places: Vec<usize>,
    values: Vec<f64>,
}

type F64 = Recorder<Scalar<f64>>;

/// A model on a recorder, before its forward pass.
struct Model {
    name: &'static str,
    recorder: F64,
    config: ModelConfig,
    weights: Weights,
    encoder: Encoder<F64>,
    batch: Batch,
}

impl Model {
    fn open(name: &'static str) -> Self {
        let folder = folder(name);
        let config = ModelConfig::open(&folder).unwrap();
        let weights = Weights::open(&folder).unwrap();
        let recorder = Recorder::new(Scalar::<f64>::default());
        let encoder = Encoder::load(&recorder, &config, &weights).unwrap();
        Self {
            name,
            batch: batch(config.vocabulary),
            recorder,
            config,
            weights,
            encoder,
        }
    }

    /// Runs the encoder; heads must be loaded.
    fn hidden(&self) -> Var<Scalar<f64>> {
        self.recorder.begin(true).unwrap();
        self.encoder.forward(&self.recorder, &self.batch).unwrap()
    }

    /// Compares the gradients of the weighted sum of a tensor.
    fn check_dense(&self, output: &Var<Scalar<f64>>) {
        self.check_values(&self.recorder.values(output).unwrap());
    }

    /// The same of values that were read back already.
    fn check_values(&self, values: &[f32]) {
        let factors = factors(values.len());
        let products = values
            .iter()
            .zip(&factors)
            .map(|(value, factor)| f64::from(*value) * factor);
        let loss = products.sum();
        let seed = factors.iter().map(|factor| *factor as f32).collect();
        self.check(loss, Seed::Dense(seed));
    }

    fn check(&self, loss: f64, seed: Seed) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/train/gradients")
            .join(format!("{}.json", self.name));
        let expected: Expected = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let error = (loss - expected.loss).abs() / expected.loss.abs().max(1.0);
        assert!(
            error < TOLERANCE,
            "{}: expected a loss of {}, found {loss}",
            self.name,
            expected.loss
        );
        self.recorder.backward(&[seed]).unwrap();
        self.compare(&expected.tensors);
    }

    /// Every tensor of the model has a gradient of PyTorch's, and the other way round.
    fn compare(&self, expected: &[Tensor]) {
        let parameters = self.recorder.parameters();
        for master in parameters.masters() {
            let is_named = |tensor: &&Tensor| tensor.names.contains(&master.name);
            let tensor = expected.iter().find(is_named).unwrap_or_else(|| {
                panic!("{}: PyTorch has no gradient of {}", self.name, master.name)
            });
            let gradient = master.gradient.lock().unwrap();
            self.compare_tensor(tensor, &gradient);
        }
        for tensor in expected {
            let is_trained = |name: &String| {
                CONSTANT.contains(&&name[..])
                    || parameters
                        .masters()
                        .iter()
                        .any(|master| master.name == *name)
            };
            assert!(
                tensor.names.iter().any(is_trained),
                "{}: {} is not trained",
                self.name,
                tensor.names.join(", ")
            );
        }
    }

    fn compare_tensor(&self, expected: &Tensor, gradient: &[f64]) {
        let norm = gradient
            .iter()
            .map(|value| value * value)
            .sum::<f64>()
            .sqrt();
        let smallest = (expected.norm * 1e-3).max(1e-6);
        let values = expected.places.iter().zip(&expected.values);
        let of_places = values.map(|(place, value)| (*value, gradient[*place]));
        for (expected_value, found) in of_places.chain([(expected.norm, norm)]) {
            let error = (found - expected_value).abs() / expected_value.abs().max(smallest);
            assert!(
                error < TOLERANCE,
                "{}, {}: expected {expected_value}, found {found}",
                self.name,
                expected.names[0]
            );
        }
    }
}

#[test]
fn hidden_states_of_each_family() {
    for name in [
        "bert",
        "distilbert",
        "roberta",
        "xlm-roberta",
        "electra",
        "t5",
        "mt5",
        "deberta",
        "deberta-convolution",
        "deberta-v3",
        "deberta-plain",
    ] {
        let model = Model::open(name);
        model.check_dense(&model.hidden());
    }
}

#[test]
fn sparse_vectors_of_max_and_sum() {
    use SpladeActivation::{Log1pLog1pRelu, Log1pRelu};
    for (name, pooling, activation) in [
        ("splade-max", SpladePooling::Max, Log1pRelu),
        ("splade-sum", SpladePooling::Sum, Log1pRelu),
        ("splade-log1p", SpladePooling::Max, Log1pLog1pRelu),
        ("splade-separate", SpladePooling::Sum, Log1pLog1pRelu),
    ] {
        let model = Model::open(name);
        let (config, weights) = (&model.config, &model.weights);
        let head = SpladeHead::load(&model.recorder, config, weights, activation, pooling).unwrap();
        let hidden = model.hidden();
        let vectors = head.forward(&model.recorder, &hidden, &model.batch.starts);
        let vectors = vectors.unwrap();
        let vocabulary = head.vocabulary();
        let factors = factors(vectors.len() * vocabulary);
        let (mut loss, mut seed) = (0.0, Vec::new());
        for (vector, factors) in vectors.iter().zip(factors.chunks(vocabulary)) {
            let factor = |term: u32| factors[term as usize];
            let products = vector
                .iter()
                .map(|(term, weight)| f64::from(*weight) * factor(*term));
            loss += products.sum::<f64>();
            seed.push(
                vector
                    .iter()
                    .map(|(term, _)| factor(*term) as f32)
                    .collect(),
            );
        }
        model.check(loss, Seed::Sparse(seed));
    }
}

#[test]
fn logits_of_classifiers() {
    for name in [
        "ce-bert",
        "ce-distilbert",
        "ce-roberta",
        "ce-electra",
        "ce-deberta",
    ] {
        let model = Model::open(name);
        let head = CrossHead::load(&model.recorder, &model.config, &model.weights).unwrap();
        let hidden = model.hidden();
        let logits = head.forward(&model.recorder, &hidden, &model.batch.starts);
        model.check_values(&logits.unwrap());
    }
}

/// A bi-encoder's head after a pooling; `finish` adds the rest.
fn check_pooled(
    name: &'static str,
    pooling: Pooling,
    finish: impl FnOnce(&Model, PooledHead<F64>) -> PooledHead<F64>,
) {
    let model = Model::open(name);
    let head = PooledHead::new(&[pooling], model.config.hidden).unwrap();
    let head = finish(&model, head);
    let hidden = model.hidden();
    let vectors = head.forward(&model.recorder, &hidden, &model.batch.starts);
    model.check_dense(&vectors.unwrap());
}

#[test]
fn pooled_vectors() {
    check_pooled("st-mean", Pooling::Mean, |_, head| head.normalized());
    check_pooled("st-cls", Pooling::First, |_, head| head.normalized());
    check_pooled("st-max", Pooling::Max, |_, head| head);
}

#[test]
fn pooled_vectors_through_a_linear_layer() {
    let with_dense = |model: &Model, head: PooledHead<F64>, outputs, has_bias, activation| {
        let weights = Weights::open(&folder(model.name).join("2_Dense")).unwrap();
        let dense = DenseWeights {
            inputs: model.config.hidden,
            outputs,
            has_bias,
            activation,
        };
        head.with_dense(&model.recorder, &weights, dense).unwrap()
    };
    check_pooled("st-dense", Pooling::Mean, |model, head| {
        with_dense(model, head, 18, false, Activation::Identity).normalized()
    });
    check_pooled("st-prompts", Pooling::Mean, |model, head| {
        with_dense(model, head, 20, true, Activation::Tanh)
    });
}

#[test]
fn vectors_of_tokens() {
    let model = Model::open("colbert");
    let weights = Weights::open(&folder("colbert").join("1_Dense")).unwrap();
    let head = LateHead::load(&model.recorder, &weights, model.config.hidden).unwrap();
    let vectors = head.token_vectors(&model.recorder, &model.hidden());
    model.check_dense(&vectors.unwrap());
}
