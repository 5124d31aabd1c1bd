//! One short text at a time: batches of few tokens use CUDA graphs, each length from its second use
//! on.

use std::time::Instant;

use esparsa::internals::backend::{Cuda, Device};
use esparsa::neural::{Batch, DenseEncoder, ModelFolder, ModelKind, SparseEncoder};
use serde_json::{Value, json};

use crate::models::Parts;
use crate::{Options, Result, field, print, quantile, read_lines};

/// How often each text is encoded before anything is timed: once directly, once captured, once from
/// the graph.
const WARMING_ROUNDS: usize = 3;

pub fn measure(options: &Options) -> Result<()> {
    let lines = read_lines(&options.texts, usize::MAX)?;
    let texts: Vec<&str> = lines
        .iter()
        .map(|line| field(line, "text"))
        .collect::<Result<_>>()?;
    let cuda = Cuda::new(0)?;
    let whole = match ModelFolder::open(&options.model)?.kind {
        ModelKind::SparseEncoder => {
            let encoder = SparseEncoder::open(&options.model, cuda.clone())?;
            times(options, &texts, |text| {
                Ok(encoder.encode_queries(&[*text]).map(drop)?)
            })?
        }
        _ => {
            let encoder = DenseEncoder::open(&options.model, cuda.clone())?;
            times(options, &texts, |text| {
                Ok(encoder.encode_queries(&[*text]).map(drop)?)
            })?
        }
    };
    // A backend of its own, with room for its own graphs.
    let cuda = Cuda::new(0)?;
    let parts = Parts::open(&options.model, &cuda)?;
    let owned: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let sequences = parts.tokenize(&owned, 1)?;
    let batches = sequences.iter().map(|tokens| Batch::of([tokens]));
    let batches: Vec<Batch> = batches.collect::<esparsa::Result<_>>()?;
    let alone = times(options, &batches, |batch| {
        parts.finish(&cuda, batch).map(drop)
    })?;
    let lengths: Vec<f64> = sequences.iter().map(|one| one.len() as f64).collect();
    print(json!({
        "what": "query",
        "model": options.model,
        "backend": cuda.name(),
        "texts": texts.len(),
        "runs": options.runs,
        "median_tokens": quantile(&lengths, 0.5),
        "whole": whole,
        "without_tokenizing": alone,
    }));
    Ok(())
}

/// Microseconds of `encode`, one text after another.
fn times<T>(options: &Options, texts: &[T], encode: impl Fn(&T) -> Result<()>) -> Result<Value> {
    for text in texts.iter().cycle().take(WARMING_ROUNDS * texts.len()) {
        encode(text)?;
    }
    let mut times = Vec::with_capacity(options.runs);
    for text in texts.iter().cycle().take(options.runs) {
        let start = Instant::now();
        encode(text)?;
        times.push(1e6 * start.elapsed().as_secs_f64());
    }
    Ok(json!({
        "p50_us": quantile(&times, 0.50),
        "p99_us": quantile(&times, 0.99),
    }))
}
