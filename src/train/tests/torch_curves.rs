//! 100 steps of AdamW in f32 against PyTorch's, from the same weights and batches: a SPLADE, a
//! cross-encoder and a bi-encoder. `tests/train/make_fixtures.py` wrote the batches and the losses.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::backend::{
    Cpu, CpuOptions, Pooling, Precision, SparseVector, SpladeActivation, SpladePooling,
};
use crate::neural::{CrossHead, PooledHead, SpladeHead};

/// Max error of a loss, relative to it or to 1, whichever is larger.
const TOLERANCE: f64 = 1e-4;

/// What all recipes have.
#[derive(Deserialize)]
struct Curve<T> {
    model: String,
    learning_rate: f64,
    steps: u64,
    warm_up: u64,
    batches: Vec<T>,
    losses: Vec<f64>,
    #[serde(flatten)]
    options: Options,
}

/// What some recipes have.
#[derive(Deserialize)]
struct Options {
    scale: Option<f64>,
    query_flops: Option<f64>,
    document_flops: Option<f64>,
    ramp: Option<u64>,
    candidates: Option<usize>,
}

/// Token ids of queries, and of documents: the relevant one of each query in order, then others.
#[derive(Deserialize)]
struct Retrieval {
    queries: Vec<Vec<u32>>,
    documents: Vec<Vec<u32>>,
}

/// Token ids of pairs, as many for each query, the relevant one first.
#[derive(Deserialize)]
struct Pairs {
    sequences: Vec<Vec<u32>>,
    types: Vec<Vec<u32>>,
}

fn read<T: DeserializeOwned>(name: &str) -> Curve<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/train/curves")
        .join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn packed(sequences: &[Vec<u32>], types: Option<&[Vec<u32>]>) -> Batch {
    let ids = sequences.concat();
    let mut starts = vec![0];
    for sequence in sequences {
        starts.push(starts[starts.len() - 1] + sequence.len() as u32);
    }
    Batch {
        types: types.map_or_else(|| vec![0; ids.len()], <[_]>::concat),
        ids,
        starts,
    }
}

/// A model in training.
struct Run<B: BackwardOps> {
    recorder: Recorder<B>,
    config: ModelConfig,
    weights: Weights,
    encoder: Encoder<Recorder<B>>,
}

impl<B: BackwardOps> Run<B> {
    fn open(backend: B, model: &str) -> Self {
        let folder = folder(model);
        let config = ModelConfig::open(&folder).unwrap();
        let weights = Weights::open(&folder).unwrap();
        let recorder = Recorder::new(backend);
        let encoder = Encoder::load(&recorder, &config, &weights).unwrap();
        Self {
            recorder,
            config,
            weights,
            encoder,
        }
    }

    /// Trains as `curve` says, and compares the loss of each step. `step` runs the forward pass on a
    /// batch, and returns the loss and the gradients of the outputs.
    fn compare<T>(&self, curve: &Curve<T>, step: impl Fn(&Self, &T, u64) -> (f64, Vec<Seed>)) {
        let recorder = &self.recorder;
        let backend = recorder.backend();
        let schedule = Schedule::new(curve.steps, curve.warm_up, Decay::Linear).unwrap();
        let options = OptimizerOptions::default();
        let mut optimizer = Optimizer::new(backend, &recorder.parameters(), options).unwrap();
        assert_eq!(curve.losses.len() as u64, curve.steps);
        for (number, expected) in (1..).zip(&curve.losses) {
            let batch = &curve.batches[(number as usize - 1) % curve.batches.len()];
            recorder.begin(true).unwrap();
            let (loss, seeds) = step(self, batch, number);
            let error = (loss - expected).abs() / expected.abs().max(1.0);
            assert!(
                error < TOLERANCE,
                "{}, {}, step {number}: expected a loss of {expected}, found {loss}",
                curve.model,
                backend.name()
            );
            recorder.backward(&seeds).unwrap();
            let rate = curve.learning_rate * schedule.factor(number);
            let mut parameters = recorder.parameters_mut();
            optimizer
                .step(backend, &mut parameters, 1, |_| rate)
                .unwrap();
        }
    }
}

/// The mean over queries of the cross-entropy of the relevant document among those that were scored,
/// and its gradient by the scores.
fn ranking(scores: &[Vec<f64>], relevant: impl Fn(usize) -> usize) -> (f64, Scores) {
    let share = 1.0 / scores.len() as f64;
    let losses = scores.iter().enumerate().map(|(query, scores)| {
        let mut targets = vec![0.0; scores.len()];
        targets[relevant(query)] = 1.0;
        ListLoss::Softmax.of(scores, &targets).unwrap()
    });
    let losses: Vec<Loss> = losses.collect();
    let scaled = |loss: &Loss| loss.gradient.iter().map(|slope| slope * share).collect();
    (
        losses.iter().map(|loss| loss.value * share).sum(),
        losses.iter().map(scaled).collect(),
    )
}

/// In-batch negatives: each query with all documents of the batch. The loss, and the gradients of
/// the vectors of queries and of documents.
fn in_batch<V: Vectors + ?Sized>(
    queries: &V,
    documents: &V,
    scale: f64,
) -> (f64, Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let pairs = vec![(0..documents.zeros().len()).collect(); queries.zeros().len()];
    let found = scores(queries, documents, &pairs, scale);
    let (loss, slopes) = ranking(&found, |query| query);
    let (of_queries, of_documents) = backward(queries, documents, &pairs, scale, &slopes);
    (loss, of_queries, of_documents)
}

/// Adds λ · FLOPS to a loss and to the gradients of vectors.
fn add_flops(lambda: f64, vectors: &[SparseVector], loss: &mut f64, gradients: &mut [Vec<f32>]) {
    let flops = Sparsity {
        norm: Norm::Flops,
        term_factors: Vec::new(),
    };
    let (value, slopes) = flops.of(vectors);
    *loss += lambda * value;
    for (gradient, slopes) in gradients.iter_mut().zip(slopes) {
        for (sum, slope) in gradient.iter_mut().zip(slopes) {
            *sum += (lambda * slope) as f32;
        }
    }
}

fn check_splade(backend: impl BackwardOps) {
    let curve: Curve<Retrieval> = read("splade");
    let run = Run::open(backend, &curve.model);
    let (activation, pooling) = (SpladeActivation::Log1pRelu, SpladePooling::Max);
    let (config, weights) = (&run.config, &run.weights);
    let head = SpladeHead::load(&run.recorder, config, weights, activation, pooling).unwrap();
    let options = &curve.options;
    run.compare(&curve, |run, batch, step| {
        let vectors = |sequences: &[Vec<u32>]| {
            let batch = packed(sequences, None);
            let hidden = run.encoder.forward(&run.recorder, &batch).unwrap();
            let vectors = head.forward(&run.recorder, &hidden, &batch.starts);
            vectors.unwrap()
        };
        let queries = vectors(&batch.queries);
        let documents = vectors(&batch.documents);
        let (mut loss, mut of_queries, mut of_documents) =
            in_batch(&queries[..], &documents[..], options.scale.unwrap());
        let lambda = |lambda: Option<f64>| lambda_at(lambda.unwrap(), step, options.ramp.unwrap());
        let (of_query, of_document) = (options.query_flops, options.document_flops);
        add_flops(lambda(of_query), &queries, &mut loss, &mut of_queries);
        add_flops(
            lambda(of_document),
            &documents,
            &mut loss,
            &mut of_documents,
        );
        (
            loss,
            vec![Seed::Sparse(of_queries), Seed::Sparse(of_documents)],
        )
    });
}

fn check_bi(backend: impl BackwardOps) {
    let curve: Curve<Retrieval> = read("bi");
    let run = Run::open(backend, &curve.model);
    let hidden = run.config.hidden;
    let head = PooledHead::new(&[Pooling::Mean], hidden)
        .unwrap()
        .normalized();
    let scale = curve.options.scale.unwrap();
    run.compare(&curve, |run, batch, _| {
        let vectors = |sequences: &[Vec<u32>]| {
            let batch = packed(sequences, None);
            let tokens = run.encoder.forward(&run.recorder, &batch).unwrap();
            let vectors = head.forward(&run.recorder, &tokens, &batch.starts);
            let values = run.recorder.values(&vectors.unwrap()).unwrap();
            DenseVectors::new(hidden, values).unwrap()
        };
        let queries = vectors(&batch.queries);
        let documents = vectors(&batch.documents);
        let (loss, of_queries, of_documents) = in_batch(&queries, &documents, scale);
        let seed = |gradients: Vec<Vec<f32>>| Seed::Dense(gradients.concat());
        (loss, vec![seed(of_queries), seed(of_documents)])
    });
}

fn check_cross(backend: impl BackwardOps) {
    let curve: Curve<Pairs> = read("cross");
    let run = Run::open(backend, &curve.model);
    let head = CrossHead::load(&run.recorder, &run.config, &run.weights).unwrap();
    let candidates = curve.options.candidates.unwrap();
    run.compare(&curve, |run, batch, _| {
        let batch = packed(&batch.sequences, Some(&batch.types));
        let hidden = run.encoder.forward(&run.recorder, &batch).unwrap();
        let logits = head.forward(&run.recorder, &hidden, &batch.starts);
        let logits: Vec<f64> = logits.unwrap().into_iter().map(f64::from).collect();
        let lists: Scores = logits.chunks(candidates).map(<[f64]>::to_vec).collect();
        let (loss, slopes) = ranking(&lists, |_| 0);
        let slopes = slopes.concat().into_iter().map(|slope| slope as f32);
        (loss, vec![Seed::Dense(slopes.collect())])
    });
}

fn cpu() -> Cpu {
    let options = CpuOptions {
        threads: 1,
        precision: Precision::F32,
    };
    Cpu::new(options).unwrap()
}

#[test]
fn splade_learns_as_in_pytorch() {
    check_splade(Scalar::<f32>::default());
    check_splade(cpu());
}

#[test]
fn bi_encoders_learn_as_in_pytorch() {
    check_bi(Scalar::<f32>::default());
    check_bi(cpu());
}

#[test]
fn cross_encoders_learn_as_in_pytorch() {
    check_cross(Scalar::<f32>::default());
    check_cross(cpu());
}
