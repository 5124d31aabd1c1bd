//! Correctness on the GPU: every operation against the reference, and CUDA graphs against direct
//! launches.
//!
//! The kernel of a product depends on its number of tiles per multiprocessor: the small shapes of
//! the first check would never reach the kernels of large products. So the check is repeated as if
//! the GPU had very few multiprocessors.

use std::time::Instant;

use esparsa::backend::conformance::{self, Tolerance};
use esparsa::backend::{Cuda, Device};
use esparsa::neural::{Batch, Encoder, ModelFolder, Tokens};
use serde_json::{Value, json};

use crate::{Options, Result, print};

/// The maximum relative error of bf16 storage and another order of sums.
const MAX_ERROR: f32 = 0.01;

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

pub fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    drop(Cuda::new(0)?);
    let opened_s = start.elapsed().as_secs_f64();
    let tolerance = Tolerance {
        max_error: MAX_ERROR,
        rounds_products: true,
        rounds_storage: true,
    };
    for multiprocessors in &options.multiprocessors {
        let cuda = gpu(*multiprocessors)?;
        conformance::check(&cuda, tolerance, options.seed, options.rounds)
            .map_err(|error| format!("{}: {error}", describe(*multiprocessors)))?;
    }
    let graphs = match options.model.as_os_str().is_empty() {
        true => Value::Null,
        false => check_graphs(options)?,
    };
    let counts = options.multiprocessors.iter();
    let counts: Vec<Value> = counts
        .map(|count| count.map_or_else(|| json!("all"), Value::from))
        .collect();
    print(json!({
        "what": "conformance",
        "backend": Cuda::new(0)?.name(),
        "multiprocessors": counts,
        "rounds": options.rounds,
        "seed": options.seed,
        "graphs": graphs,
        "opened_s": opened_s,
        "seconds": start.elapsed().as_secs_f64(),
    }));
    Ok(())
}

/// The first GPU, as if it had this many multiprocessors.
fn gpu(multiprocessors: Option<usize>) -> Result<Cuda> {
    let cuda = Cuda::new(0)?;
    Ok(match multiprocessors {
        Some(count) => cuda.with_multiprocessors(count),
        None => cuda,
    })
}

fn describe(multiprocessors: Option<usize>) -> String {
    match multiprocessors {
        Some(count) => format!("as on {count} multiprocessors"),
        None => "on all multiprocessors".to_owned(),
    }
}

/// Runs batches through an encoder, on each stream several times: launched directly, captured, from
/// the graph, and with other ids. Each must equal, bit for bit, the result of an encoder that has
/// not seen the batch.
fn check_graphs(options: &Options) -> Result<Value> {
    let folder = ModelFolder::open(&options.model)?;
    let batches = batches(folder.config.vocabulary)?;
    let load = |cuda: &Cuda| Encoder::load(cuda, &folder.config, &folder.weights);
    let mut stream_count = 0;
    for multiprocessors in &options.multiprocessors {
        let described = describe(*multiprocessors);
        let fresh = gpu(*multiprocessors)?;
        let mut expected: Vec<Vec<Vec<f32>>> = Vec::with_capacity(SEEDS.len());
        for of_seed in &batches {
            // One encoder for each: it sees every shape once, so no graph is launched.
            let encoder = load(&fresh)?;
            let values = |batch: &Batch| fresh.values(&encoder.forward(&fresh, batch)?);
            expected.push(of_seed.iter().map(values).collect::<esparsa::Result<_>>()?);
        }
        let cuda = gpu(*multiprocessors)?;
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
fn batches(vocabulary: usize) -> Result<Vec<Vec<Batch>>> {
    let mut batches = Vec::with_capacity(SEEDS.len());
    for seed in SEEDS {
        let of_seed = SHAPES
            .iter()
            .map(|lengths| batch(lengths, seed, vocabulary));
        batches.push(of_seed.collect::<Result<_>>()?);
    }
    Ok(batches)
}

fn batch(lengths: &[usize], seed: u32, vocabulary: usize) -> Result<Batch> {
    let mut state = seed;
    let mut next = || {
        // A linear congruential generator, whose upper bits are the random ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % vocabulary as u32
    };
    let mut sequences = Vec::with_capacity(lengths.len());
    for length in lengths {
        sequences.push(Tokens {
            ids: (0..*length).map(|_| next()).collect(),
            types: vec![0; *length],
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
