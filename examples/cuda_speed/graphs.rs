//! CUDA graphs against direct launches.

use esparsa::internals::backend::{Cuda, Device};
use esparsa::neural::{Batch, Encoder, ModelFolder, Tokens};
use serde_json::{Value, json};

use crate::checks::{describe, on};
use crate::{Options, Result};

/// Lengths of a batch's sequences. Short batches use CUDA graphs; the last two are too long for
/// that.
const SHAPES: [&[usize]; 6] = [
    &[1],
    &[9],
    &[5, 12, 3],
    &[64],
    &[80, 70],
    &[100, 7, 88, 128],
];
/// Seeds of the token ids.
const SEEDS: [u32; 2] = [1, 2];
/// The ids of a shape in each repetition: the first is launched directly, the second captured,
/// later ones launch the graph.
const TIMES: [usize; 5] = [0, 0, 0, 1, 0];

/// Runs batches through an encoder, on each stream several times: launched directly, captured, from
/// the graph, and with other ids. Each must equal, bit for bit, the result of an encoder that has
/// not seen the batch.
pub fn check(options: &Options) -> Result<Value> {
    let folder = ModelFolder::open(&options.model)?;
    let batches = batches(folder.config.vocabulary, folder.max_tokens)?;
    let load = |cuda: &Cuda| Encoder::load(cuda, &folder.config, &folder.weights);
    let mut stream_count = 0;
    for multiprocessors in &options.multiprocessors {
        let described = describe(*multiprocessors);
        eprintln!("graphs: {described}");
        let fresh = on(Cuda::new(0)?, *multiprocessors);
        let mut expected: Vec<Vec<Vec<f32>>> = Vec::with_capacity(SEEDS.len());
        for of_seed in &batches {
            // One encoder for each: it sees every shape once, so no graph is launched.
            let encoder = load(&fresh)?;
            let values = |batch: &Batch| fresh.values(&encoder.forward(&fresh, batch)?);
            expected.push(of_seed.iter().map(values).collect::<esparsa::Result<_>>()?);
        }
        let cuda = on(Cuda::new(0)?, *multiprocessors);
        let (encoder, streams) = (load(&cuda)?, cuda.streams());
        stream_count = streams.len();
        if stream_count < 2 {
            return Err(format!("{described}: expected two streams, found {stream_count}").into());
        }
        for (number, stream) in streams.iter().enumerate() {
            for (time, ids) in TIMES.into_iter().enumerate() {
                // All shapes in each repetition, so that other shapes run between two uses of one.
                for (place, batch) in batches[ids].iter().enumerate() {
                    let found = stream.values(&encoder.forward(stream, batch)?)?;
                    expect_equal(&found, &expected[ids][place]).map_err(|mismatch| {
                        let lengths = SHAPES[place];
                        format!("{described}: stream {number}, lengths {lengths:?}, time {time}, ids {ids}: {mismatch}")
                    })?;
                }
            }
        }
    }
    Ok(json!({
        "model": options.model,
        "batches": SHAPES.len(),
        "forwards": TIMES.len(),
        "streams": stream_count,
    }))
}

/// A batch of each shape for each seed.
fn batches(vocabulary: usize, max_tokens: usize) -> Result<Vec<Vec<Batch>>> {
    let mut batches = Vec::with_capacity(SEEDS.len());
    for seed in SEEDS {
        let of_seed = SHAPES
            .iter()
            .map(|lengths| batch(lengths, seed, vocabulary, max_tokens));
        batches.push(of_seed.collect::<Result<_>>()?);
    }
    Ok(batches)
}

fn batch(lengths: &[usize], seed: u32, vocabulary: usize, max_tokens: usize) -> Result<Batch> {
    let mut state = seed;
    let mut next = || {
        // A linear congruential generator, whose upper bits are the random ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % vocabulary as u32
    };
    let mut sequences = Vec::with_capacity(lengths.len());
    for length in lengths {
        let length = (*length).min(max_tokens);
        sequences.push(Tokens {
            ids: (0..length).map(|_| next()).collect(),
            types: vec![0; length],
        });
    }
    Ok(Batch::of(&sequences)?)
}

fn expect_equal(found: &[f32], expected: &[f32]) -> std::result::Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!(
            "expected {} values, found {}",
            expected.len(),
            found.len()
        ));
    }
    let mut pairs = found.iter().zip(expected).enumerate();
    match pairs.find(|(_, (found, expected))| found.to_bits() != expected.to_bits()) {
        None => Ok(()),
        Some((place, (found, expected))) => {
            Err(format!("value {place}: expected {expected}, found {found}"))
        }
    }
}
