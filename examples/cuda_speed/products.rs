//! Products of the models' shapes, alone.
//!
//! The inputs are several sets of random values, larger together than the L2 cache, used in turn.
//! Products are launched back to back and awaited once, so that small ones measure launching; the
//! other side does the same. Afterwards some values of each shape are computed in f64 and compared.

use std::time::Instant;

use esparsa::internals::backend::{Activation, Cuda, Device, ForwardOps, Linear, Pooling};
use half::bf16;
use serde_json::json;

use crate::{Result, median, print, random_values};

/// Rows: tokens of a batch.
const ROWS: [usize; 3] = [512, 4_096, 16_384];
/// Outputs and inputs: queries, keys and values together; the output of attention; both layers of
/// the feed-forward network; the decoder of the SPLADE head.
const LAYERS: [(&str, usize, usize); 10] = [
    ("base", 2_304, 768),
    ("base", 768, 768),
    ("base", 3_072, 768),
    ("base", 768, 3_072),
    ("base", 30_522, 768),
    ("minilm", 1_152, 384),
    ("minilm", 384, 384),
    ("minilm", 1_536, 384),
    ("minilm", 384, 1_536),
    ("minilm", 30_522, 384),
];
/// Bytes of all sets together, more than caches hold.
const SETS_BYTES: usize = 128 << 20;
const MAX_SETS: usize = 64;
/// Sets start at different offsets of one random sequence.
const SET_STEP: usize = 4_099;
/// The approximate duration of a repetition.
const REPEAT_S: f64 = 0.02;
const REPEATS: usize = 7;
const MAX_LAUNCHES: usize = 10_000;

/// Rows and columns of each result whose values are checked.
const CHECKED: usize = 8;
/// The share of a value, and of the size that a sum of random signs has, by which it may be wrong.
const MAX_ERROR: (f64, f64) = (1.0 / 128.0, 0.003);

type Set = (<Cuda as Device>::Tensor, <Cuda as Device>::Matrix);

/// True if the checked values are right.
pub fn measure() -> Result<bool> {
    let mut has_passed = true;
    let cuda = Cuda::new(0)?;
    let max_rows = ROWS[ROWS.len() - 1];
    let inputs = LAYERS.iter().map(|(_, _, inputs)| inputs * max_rows);
    let weights = LAYERS.iter().map(|(_, outputs, inputs)| outputs * inputs);
    let most = inputs.chain(weights).max().unwrap_or(0);
    let values = random_values(most + MAX_SETS * SET_STEP);
    for (model, outputs, inputs) in LAYERS {
        for rows in ROWS {
            eprintln!("gemm: {rows} × {outputs} × {inputs}");
            let sets = sets_of(&cuda, &values, [rows, outputs, inputs])?;
            let (seconds, launches) = time_products(&cuda, &sets)?;
            let operations = 2.0 * rows as f64 * outputs as f64 * inputs as f64;
            let rates: Vec<f64> = seconds
                .iter()
                .map(|s| 1e-12 * operations * launches as f64 / s)
                .collect();
            print(json!({
                "what": "gemm",
                "model": model,
                "m": rows, "n": outputs, "k": inputs,
                "sets": sets.len(),
                "launches": launches,
                "us": 1e6 * median(&seconds) / launches as f64,
                "tflops": median(&rates),
                "all_tflops": rates,
            }));
            if let Err(difference) = check_values(&cuda, &sets[0], &values)? {
                has_passed = false;
                print(json!({
                    "what": "failure",
                    "part": "gemm",
                    "operation": "linear",
                    "shape": format!("{rows} × {outputs} × {inputs}"),
                    "message": format!("{}: {difference}", cuda.name()),
                }));
            }
        }
    }
    Ok(has_passed)
}

/// Computes the values at some rows and columns of the first set's product in f64.
fn check_values(
    cuda: &Cuda,
    (x, weight): &Set,
    values: &[f32],
) -> Result<std::result::Result<(), String>> {
    let layer = Linear { weight, bias: None };
    let out = cuda.linear(x, &layer, Activation::Identity)?;
    let ((rows, inputs), (_, outputs)) = (cuda.shape(x), cuda.shape(&out));
    let spread = |size: usize| (0..CHECKED).map(move |place| place * (size - 1) / (CHECKED - 1));
    // Only the checked rows are copied: each is the first of a sequence that ends at the next.
    let starts: Vec<u32> = spread(rows).chain([rows]).map(|row| row as u32).collect();
    let found = cuda.values(&cuda.pool(&out, &starts, Pooling::First)?)?;
    let round = |value: f32| bf16::from_f32(value).to_f64();
    for (place, row) in spread(rows).enumerate() {
        for column in spread(outputs) {
            let x = &values[row * inputs..][..inputs];
            let weight = &values[SET_STEP / 2 + column * inputs..][..inputs];
            let products = x.iter().zip(weight).map(|(x, w)| round(*x) * round(*w));
            let (sum, squares) = products.fold((0.0, 0.0), |(sum, squares), product| {
                (sum + product, squares + product * product)
            });
            let bound = MAX_ERROR.0 * sum.abs() + MAX_ERROR.1 * squares.sqrt();
            let value = f64::from(found[place * outputs + column]);
            if value.is_nan() || (value - sum).abs() > bound {
                return Ok(Err(format!(
                    "row {row}, column {column}: expected {sum} within {bound}, computed in f64, found {value}"
                )));
            }
        }
    }
    Ok(Ok(()))
}

fn sets_of(cuda: &Cuda, values: &[f32], [rows, outputs, inputs]: [usize; 3]) -> Result<Vec<Set>> {
    let bytes = 2 * inputs * (rows + outputs);
    let count = (SETS_BYTES / bytes).clamp(2, MAX_SETS);
    let sets = (0..count).map(|set| {
        let values = &values[set * SET_STEP..];
        let x = cuda.tensor(rows, inputs, &values[..rows * inputs])?;
        // Other values than those of x.
        let values = &values[SET_STEP / 2..];
        Ok((
            x,
            cuda.matrix(outputs, inputs, &values[..outputs * inputs])?,
        ))
    });
    sets.collect()
}

/// Seconds of each repetition, and the number of products in one.
fn time_products(cuda: &Cuda, sets: &[Set]) -> Result<(Vec<f64>, usize)> {
    let run = |launches: usize| -> Result<f64> {
        let start = Instant::now();
        for (x, weight) in sets.iter().cycle().take(launches) {
            let layer = Linear { weight, bias: None };
            cuda.linear(x, &layer, Activation::Identity)?;
        }
        cuda.synchronize()?;
        Ok(start.elapsed().as_secs_f64())
    };
    run(sets.len())?;
    let one_s = run(2 * sets.len())? / (2 * sets.len()) as f64;
    let launches = ((REPEAT_S / one_s) as usize).clamp(sets.len(), MAX_LAUNCHES);
    let seconds = (0..REPEATS).map(|_| run(launches)).collect::<Result<_>>()?;
    Ok((seconds, launches))
}
