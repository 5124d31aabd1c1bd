//! Tokens a second in training, on batches of a collection in BEIR's layout.
//!
//! `cargo run --release --features train --example train_speed -- splade|cross|bi MODEL COLLECTION
//! [STEPS] [THREADS] [bf16|f32]`
//!
//! A batch has 32 queries with their relevant document and one other, the first of the training
//! judgements; texts are cut at 128 tokens, pairs too. `benches/train` has the same for PyTorch.

use std::collections::HashMap;
use std::time::Instant;

use esparsa::eval::BeirFolder;
use esparsa::internals::backend::{SpladeActivation, SpladePooling};
use esparsa::internals::train::{
    BatchSettings, DenseTask, Labelled, ListLoss, Norm, Objective, Optimizer, OptimizerOptions,
    PairTask, RankingTerm, Scope, SparseTask, SparseTaskOptions, Sparsity, Task, Text,
    TrainingBatch, add_classifier, open_base,
};
use esparsa::neural::{Cpu, CpuOptions, ModelKind, Precision};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const QUERIES: usize = 32;
const TOKENS: usize = 128;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |place: usize, default: &str| {
        let found = arguments.get(place);
        found.cloned().unwrap_or_else(|| default.to_owned())
    };
    let (kind, model, collection) = (argument(0, ""), argument(1, ""), argument(2, ""));
    let steps: usize = argument(3, "10").parse()?;
    let options = CpuOptions {
        threads: argument(4, "2").parse()?,
        precision: match argument(5, "bf16").as_str() {
            "f32" => Precision::F32,
            _ => Precision::Bf16,
        },
    };
    let cpu = Cpu::new(options)?;
    let batches = batches(&collection, steps + 1)?;
    let objective = |scope, scale| Objective {
        terms: vec![RankingTerm {
            loss: ListLoss::Softmax,
            scope,
            weight: 1.0,
        }],
        scale,
    };
    match kind.as_str() {
        "splade" => {
            let folder = open_base(model.as_ref(), ModelKind::SparseEncoder)?;
            let flops = Sparsity {
                norm: Norm::Flops,
                term_factors: Vec::new(),
            };
            let options = SparseTaskOptions {
                pooling: SpladePooling::Max,
                activation: SpladeActivation::Log1pRelu,
                query_table: None,
                echo: None,
                query_echo: None,
                query_tokens: TOKENS,
                document_tokens: TOKENS,
                tape_tokens: 1 << 16,
                objective: objective(Scope::Batch, 1.0),
                of_queries: flops.clone(),
                of_documents: flops,
            };
            measure(SparseTask::load(cpu, folder.into(), options)?, &batches)
        }
        "cross" => {
            let mut folder = open_base(model.as_ref(), ModelKind::CrossEncoder)?;
            // Any weights do: a step takes as long.
            add_classifier(&mut folder, 1, || 0.5)?;
            let objective = objective(Scope::Own, 1.0);
            measure(
                PairTask::load(cpu, folder.into(), 1, TOKENS, 1 << 16, objective)?,
                &batches,
            )
        }
        "bi" => {
            let folder = open_base(model.as_ref(), ModelKind::BiEncoder)?;
            let (limits, objective) = ([TOKENS; 2], objective(Scope::Batch, 20.0));
            measure(
                DenseTask::load(cpu, folder.into(), limits, 1 << 16, objective)?,
                &batches,
            )
        }
        other => Err(format!("expected splade, cross or bi, found `{other}`").into()),
    }
}

/// Trains on the batches, the first of which is not measured, and prints what it took.
fn measure(mut task: impl Task<Cpu>, batches: &[TrainingBatch]) -> Result<()> {
    let backend = task.recorder().backend().clone();
    let options = OptimizerOptions::default();
    let mut optimizer = Optimizer::new(&backend, &task.recorder().parameters(), options)?;
    let (mut tokens, mut seconds) = (0, Vec::new());
    for (number, batch) in batches.iter().enumerate() {
        let settings = BatchSettings {
            lambda_queries: 1e-4,
            lambda_documents: 1e-4,
            ..BatchSettings::default()
        };
        let start = Instant::now();
        let outcome = task.batch(batch, &settings)?;
        let gradients = start.elapsed();
        optimizer.step(&backend, &mut task.recorder().parameters_mut(), 1, |_| 1e-4)?;
        let took = start.elapsed();
        println!(
            "step {number}: loss {:.4}, {} tokens, {:.3} s ({:.3} s in the optimizer), {:.0} active terms",
            outcome.loss,
            outcome.tokens,
            took.as_secs_f64(),
            (took - gradients).as_secs_f64(),
            outcome.documents.unwrap_or_default().active_terms
        );
        if number > 0 {
            tokens += outcome.tokens;
            seconds.push(took.as_secs_f64());
        }
    }
    let all: f64 = seconds.iter().sum();
    seconds.sort_by(f64::total_cmp);
    println!(
        "{:.0} tokens a second, {:.1} batches a minute, median {:.3} s a batch",
        tokens as f64 / all,
        60.0 * seconds.len() as f64 / all,
        seconds[seconds.len() / 2]
    );
    Ok(())
}

fn batches(collection: &str, count: usize) -> Result<Vec<TrainingBatch>> {
    let folder = BeirFolder::open(collection)?;
    let qrels = folder.qrels("train")?;
    let queries = folder.queries_of(&qrels)?;
    let mut documents: HashMap<String, String> = HashMap::new();
    for line in std::fs::read_to_string(folder.corpus_path())?.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        documents.insert(
            text("_id"),
            format!("{} {}", text("title"), text("text"))
                .trim()
                .to_owned(),
        );
    }
    let mut all = Vec::new();
    for chunk in queries.chunks(QUERIES).take(count) {
        let mut batch = TrainingBatch::default();
        for query in chunk {
            let judged = qrels.judgments(&query.id).into_iter().flatten();
            let Some(id) = judged
                .filter(|(_, grade)| **grade > 0)
                .map(|(id, _)| id)
                .min()
            else {
                continue;
            };
            batch.lists.push(vec![Labelled {
                document: batch.documents.len(),
                target: 1.0,
                is_relevant: true,
            }]);
            batch.documents.push(Text::new(documents[id].as_str()));
            batch
                .queries
                .push(Text::new(query.text.clone().unwrap_or_default()));
        }
        all.push(batch);
    }
    for number in 0..all.len() {
        // The relevant documents of the next batch are the negatives of this one.
        let other: Vec<Text> = all[(number + 1) % all.len()].documents[..QUERIES].to_vec();
        let batch = &mut all[number];
        for (list, document) in batch.lists.iter_mut().zip(other) {
            list.push(Labelled {
                document: batch.documents.len(),
                target: 0.0,
                is_relevant: false,
            });
            batch.documents.push(document);
        }
        batch.forbidden = vec![Vec::new(); batch.queries.len()];
    }
    Ok(all)
}
