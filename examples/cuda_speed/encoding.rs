//! Documents to vectors, pairs to scores, and the accuracy of vectors against the CPU.

use std::thread;

use esparsa::backend::{Cpu, CpuOptions, Cuda, Device, Precision, SparseVector};
use esparsa::neural::{
    Batch, CrossEncoder, DenseEncoder, ModelFolder, ModelKind, PairScorer, Role, SparseEncoder,
    TextEncoder, Tokens, for_each_window,
};
use serde_json::{Value, json};

use crate::models::{Parts, batches, on_streams};
use crate::{Options, Result, field, median, print, read_documents, read_lines, time};

/// One text in this many is encoded before anything is timed.
const WARMING_SHARE: usize = 16;

/// Documents per second from text to vectors, as `esparsa encode` makes them, and of the model
/// alone.
pub fn encode(options: &Options) -> Result<()> {
    let texts = read_documents(options)?;
    let cuda = Cuda::new(0)?;
    let whole = match ModelFolder::open(&options.model)?.kind {
        ModelKind::SparseEncoder => {
            let encoder = SparseEncoder::open(&options.model, cuda.clone())?;
            whole_way(options, &encoder, &texts, |vector: &SparseVector| {
                vector.len()
            })?
        }
        _ => {
            let encoder = DenseEncoder::open(&options.model, cuda.clone())?;
            whole_way(options, &encoder, &texts, Vec::len)?
        }
    };
    let alone = model_alone(options, &cuda, &texts)?;
    print(json!({
        "what": "encode",
        "model": options.model,
        "backend": cuda.name(),
        "documents": texts.len(),
        "whole": whole,
        "alone": alone,
    }));
    Ok(())
}

/// From text to vectors in windows, several times.
fn whole_way<E: TextEncoder>(
    options: &Options,
    encoder: &E,
    texts: &[String],
    count: impl Fn(&E::Vector) -> usize,
) -> Result<Value> {
    let mut tokens = 0;
    let mut values = 0;
    let mut pass = |texts: Vec<&str>| {
        (tokens, values) = (0, 0);
        for_each_window(
            texts.into_iter(),
            |text| text.len(),
            encoder.window_size(),
            encoder.is_threaded(),
            |window| encoder.encode(window, Role::Document),
            |_, encoded| {
                let encoded = encoded?;
                tokens += encoded.tokens;
                values += encoded.all()?.iter().map(&count).sum::<usize>();
                Ok(())
            },
        )
    };
    pass(
        texts
            .iter()
            .step_by(WARMING_SHARE)
            .map(String::as_str)
            .collect(),
    )?;
    let mut seconds = Vec::with_capacity(options.passes);
    for _ in 0..options.passes {
        seconds.push(time(|| {
            Ok(pass(texts.iter().map(String::as_str).collect())?)
        })?);
    }
    let middle = median(&seconds);
    Ok(json!({
        "seconds": seconds,
        "tokens": tokens,
        "documents_per_s": texts.len() as f64 / middle,
        "tokens_per_s": tokens as f64 / middle,
        "values_per_vector": values as f64 / texts.len() as f64,
    }))
}

/// The same from prepared batches: the encoder alone, and the encoder with its head until vectors
/// have left the GPU.
fn model_alone(options: &Options, cuda: &Cuda, texts: &[String]) -> Result<Value> {
    let parts = Parts::open(&options.model, cuda)?;
    let threads = thread::available_parallelism()?.get();
    let mut sequences = Vec::new();
    let tokenize_s = time(|| {
        sequences = parts.tokenize(texts, threads)?;
        Ok(())
    })?;
    let tokens: usize = sequences.iter().map(Tokens::len).sum();
    let (batches, streams) = (batches(&sequences, cuda)?, cuda.streams());
    let encoder = |stream: &Cuda, batch: &Batch| -> Result<()> {
        parts.encoder.forward(stream, batch)?;
        Ok(())
    };
    let model = |stream: &Cuda, batch: &Batch| parts.finish(stream, batch).map(drop);
    on_streams(&streams, &batches, model)?;
    let (mut encoder_s, mut model_s) = (Vec::new(), Vec::new());
    for _ in 0..options.passes {
        encoder_s.push(time(|| on_streams(&streams, &batches, encoder))?);
        model_s.push(time(|| on_streams(&streams, &batches, model))?);
    }
    let operations = parts.operations(&sequences);
    let lengths = sequences.iter().map(Tokens::len);
    Ok(json!({
        "tokens": tokens,
        "longest": lengths.max(),
        "batches": batches.len(),
        "tokenize_s": tokenize_s,
        "tokenize_threads": threads,
        "encoder_s": encoder_s,
        "model_s": model_s,
        "encoder_operations": operations,
        "encoder_tflops": 1e-12 * operations / median(&encoder_s),
        "encoder_tokens_per_s": tokens as f64 / median(&encoder_s),
        "model_documents_per_s": texts.len() as f64 / median(&model_s),
        "model_tokens_per_s": tokens as f64 / median(&model_s),
    }))
}

/// Pairs per second of a cross-encoder, from text to scores.
pub fn score_pairs(options: &Options) -> Result<()> {
    let lines = read_lines(&options.pairs, options.documents)?;
    let pairs: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| Ok((field(line, "query")?, field(line, "document")?)))
        .collect::<Result<_>>()?;
    let cuda = Cuda::new(0)?;
    let encoder = CrossEncoder::open(&options.model, cuda.clone())?;
    let mut tokens = 0;
    let mut pass = |pairs: &[(&str, &str)]| {
        tokens = 0;
        for_each_window(
            pairs.iter().copied(),
            |(query, document)| query.len() + document.len(),
            encoder.window_size(),
            encoder.is_threaded(),
            |window| encoder.score_pairs(window),
            |_, encoded| {
                let encoded = encoded?;
                tokens += encoded.tokens;
                encoded.all().map(drop)
            },
        )
    };
    pass(&pairs[..pairs.len().div_ceil(WARMING_SHARE)])?;
    let mut seconds = Vec::with_capacity(options.passes);
    for _ in 0..options.passes {
        seconds.push(time(|| Ok(pass(&pairs)?))?);
    }
    print(json!({
        "what": "pairs",
        "model": options.model,
        "pairs": pairs.len(),
        "tokens": tokens,
        "seconds": seconds,
        "pairs_per_s": pairs.len() as f64 / median(&seconds),
        "tokens_per_s": tokens as f64 / median(&seconds),
    }));
    Ok(())
}

/// Cosines of the GPU's vectors with those of the CPU in f32.
pub fn compare(options: &Options) -> Result<()> {
    let texts = read_documents(options)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let cuda = Cuda::new(0)?;
    let cpu = Cpu::new(CpuOptions {
        threads: thread::available_parallelism()?.get(),
        precision: Precision::F32,
    })?;
    let (kind, cosines): (_, Vec<f64>) = match ModelFolder::open(&options.model)?.kind {
        ModelKind::SparseEncoder => {
            let found = SparseEncoder::open(&options.model, cuda)?.encode_documents(&texts)?;
            let expected = SparseEncoder::open(&options.model, cpu)?.encode_documents(&texts)?;
            let cosines = found.iter().zip(&expected).map(|(a, b)| {
                let square = |vector: &SparseVector| sparse_product(vector, vector);
                sparse_product(a, b) / (square(a) * square(b)).sqrt()
            });
            ("sparse", cosines.collect())
        }
        _ => {
            let found = DenseEncoder::open(&options.model, cuda)?.encode_documents(&texts)?;
            let expected = DenseEncoder::open(&options.model, cpu)?.encode_documents(&texts)?;
            let cosines = found.iter().zip(&expected).map(|(a, b)| {
                dense_product(a, b) / (dense_product(a, a) * dense_product(b, b)).sqrt()
            });
            ("dense", cosines.collect())
        }
    };
    // A vector of zeros has no cosine, and counts as the worst.
    let cosines: Vec<f64> = cosines
        .into_iter()
        .map(|one| if one.is_nan() { -1.0 } else { one })
        .collect();
    print(json!({
        "what": "accuracy",
        "model": options.model,
        "kind": kind,
        "documents": cosines.len(),
        "min": cosines.iter().copied().fold(1.0, f64::min),
        "mean": cosines.iter().sum::<f64>() / cosines.len() as f64,
    }));
    Ok(())
}

fn sparse_product(a: &[(u32, f32)], b: &[(u32, f32)]) -> f64 {
    let product = |(term, weight): &(u32, f32)| {
        let place = b.binary_search_by_key(term, |(term, _)| *term).ok()?;
        Some(f64::from(*weight) * f64::from(b[place].1))
    };
    a.iter().filter_map(product).sum()
}

fn dense_product(a: &[f32], b: &[f32]) -> f64 {
    let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
    products.sum()
}
