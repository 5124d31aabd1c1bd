//! That the card calculates what it should: every operation against the reference, and replayed batches against those that were never recorded.
//!
//! Kernels are chosen by how many tiles a product has for each of the card's multiprocessors: the small shapes of the first check would never reach those for
//! large products. So it is repeated as on cards of very few.

use std::time::Instant;

use esparsa::backend::conformance::{self, Tolerance};
use esparsa::backend::{Backend, Cuda};
use esparsa::neural::{Batch, Encoder, ModelFolder, Tokens};
use serde_json::{Value, json};

use crate::{Options, Result, print};

/// What bf16 storage and sums in another order may change, as a part of the greatest number.
const DIFFERENCE: f32 = 0.01;

/// Lengths of a batch's sequences. Those of few tokens together are recorded and replayed, the last two are too long for that.
const SHAPES: [&[usize]; 6] = [
    &[1],
    &[9],
    &[5, 12, 3],
    &[64],
    &[80, 70],
    &[100, 7, 88, 128],
];
/// What ids of tokens are drawn from.
const SEEDS: [u32; 2] = [1, 2];
/// Which ids a shape has, time after time: the first time it is launched directly, the second time recorded, from then on replayed.
const TIMES: [usize; 5] = [0, 0, 0, 1, 0];

pub fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    drop(Cuda::new(0)?);
    let opened_s = start.elapsed().as_secs_f64();
    let tolerance = Tolerance {
        difference: DIFFERENCE,
        is_bf16: true,
        stores_bf16: true,
    };
    for multiprocessors in &options.multiprocessors {
        let cuda = card(*multiprocessors)?;
        conformance::check(&cuda, tolerance, options.seed, options.rounds)
            .map_err(|error| format!("{}: {error}", told(*multiprocessors)))?;
    }
    let replay = match options.model.as_os_str().is_empty() {
        true => Value::Null,
        false => check_replay(options)?,
    };
    let cards = options.multiprocessors.iter();
    let cards: Vec<Value> = cards
        .map(|count| count.map_or_else(|| json!("all"), Value::from))
        .collect();
    print(json!({
        "what": "conformance",
        "backend": Cuda::new(0)?.name(),
        "multiprocessors": cards,
        "rounds": options.rounds,
        "seed": options.seed,
        "replay": replay,
        "opened_s": opened_s,
        "seconds": start.elapsed().as_secs_f64(),
    }));
    Ok(())
}

/// The first card, as if it had so many multiprocessors.
fn card(multiprocessors: Option<usize>) -> Result<Cuda> {
    let cuda = Cuda::new(0)?;
    Ok(match multiprocessors {
        Some(count) => cuda.with_multiprocessors(count),
        None => cuda,
    })
}

fn told(multiprocessors: Option<usize>) -> String {
    match multiprocessors {
        Some(count) => format!("as on {count} multiprocessors"),
        None => "on all multiprocessors".to_owned(),
    }
}

/// Batches through an encoder, on each lane several times: directly, recorded, replayed, and with other ids. All give bit for bit what an encoder gives that has
/// seen no such batch.
fn check_replay(options: &Options) -> Result<Value> {
    let folder = ModelFolder::open(&options.model)?;
    let batches = batches(folder.config.vocabulary)?;
    let load = |cuda: &Cuda| Encoder::load(cuda, &folder.config, &folder.weights);
    let mut lane_count = 0;
    for multiprocessors in &options.multiprocessors {
        let card_told = told(*multiprocessors);
        let fresh = card(*multiprocessors)?;
        let mut expected: Vec<Vec<Vec<f32>>> = Vec::with_capacity(SEEDS.len());
        for of_seed in &batches {
            // An encoder for each: it has every shape once, so that nothing is replayed.
            let encoder = load(&fresh)?;
            let values = |batch: &Batch| fresh.values(&encoder.forward(&fresh, batch)?);
            expected.push(of_seed.iter().map(values).collect::<esparsa::Result<_>>()?);
        }
        let cuda = card(*multiprocessors)?;
        let (encoder, lanes) = (load(&cuda)?, cuda.lanes());
        lane_count = lanes.len();
        if lane_count < 2 {
            return Err(format!("{card_told}: expected two lanes, found {lane_count}").into());
        }
        for (number, lane) in lanes.iter().enumerate() {
            for (time, ids) in TIMES.into_iter().enumerate() {
                // All shapes each time, so that others come between the times of one.
                for (place, batch) in batches[ids].iter().enumerate() {
                    let found = lane.values(&encoder.forward(lane, batch)?)?;
                    expect_equal(&found, &expected[ids][place]).map_err(|difference| {
                        let lengths = SHAPES[place];
                        format!("{card_told}: lane {number}, lengths {lengths:?}, time {time}, ids {ids}: {difference}")
                    })?;
                }
            }
        }
    }
    Ok(json!({
        "model": options.model,
        "batches": SHAPES.len(),
        "forwards": TIMES.len(),
        "lanes": lane_count,
    }))
}

/// For each seed a batch of each shape.
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
        // A linear congruence, whose upper bits are the random ones.
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
            "expected {} numbers, found {}",
            expected.len(),
            found.len()
        ));
    }
    let mut pairs = found.iter().zip(expected).enumerate();
    match pairs.find(|(_, (found, expected))| found.to_bits() != expected.to_bits()) {
        None => Ok(()),
        Some((place, (found, expected))) => Err(format!(
            "number {place}: expected {expected}, found {found}"
        )),
    }
}
