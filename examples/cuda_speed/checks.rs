//! Every operation on the GPU against the reference, on random shapes.
//!
//! The kernel of a product depends on its number of tiles per multiprocessor: the small shapes would
//! never reach the kernels of large products. So the check is repeated as if the GPU had very few
//! multiprocessors. Fixed shapes of models are in [`crate::wide`].

use std::time::Instant;

use esparsa::internals::backend::conformance::{OPERATIONS, Tolerance, observe_one};
#[cfg(feature = "train")]
use esparsa::internals::backend::conformance::{TRAINING_OPERATIONS, observe_training};
use esparsa::internals::backend::{Cuda, Device};
use serde_json::{Value, json};

use crate::failures::{Collector, go_on_in_new_process};
use crate::{Options, Result, graphs, print};

/// bf16 storage and another order of sums.
pub const TOLERANCE: Tolerance = Tolerance {
    max_error: 0.01,
    rounds_products: true,
    rounds_storage: true,
};

/// The operations of inference and, in a build that trains, those of training.
#[cfg(not(feature = "train"))]
const OPERATION_COUNT: usize = OPERATIONS.len();
#[cfg(feature = "train")]
const OPERATION_COUNT: usize = OPERATIONS.len() + TRAINING_OPERATIONS.len();

/// Checks the operation of this number.
fn observe(
    cuda: &Cuda,
    seed: u64,
    round: u64,
    operation: usize,
    collector: &mut Collector,
) -> esparsa::Result<()> {
    #[cfg(feature = "train")]
    if let Some(place) = operation.checked_sub(OPERATIONS.len()) {
        let operation = TRAINING_OPERATIONS[place];
        return observe_training(cuda, TOLERANCE, seed, round, operation, collector);
    }
    observe_one(
        cuda,
        TOLERANCE,
        seed,
        round,
        OPERATIONS[operation],
        collector,
    )
}

/// True if nothing differs.
pub fn run(options: &Options) -> Result<bool> {
    let start = Instant::now();
    let (cuda, log) = Cuda::inspected(0)?;
    let opened_s = start.elapsed().as_secs_f64();
    let mut collector = Collector::new("conformance", &cuda, &log);
    let mut next = options.from;
    while next < OPERATION_COUNT && !collector.is_lost {
        let operation = next;
        next += 1;
        for multiprocessors in &options.multiprocessors {
            let cuda = on(cuda.clone(), *multiprocessors);
            collector.context = format!(", {}", describe(*multiprocessors));
            for round in 0..options.rounds {
                let seed = options.seed;
                let ended = observe(&cuda, seed, round, operation, &mut collector);
                if collector.is_lost {
                    break;
                }
                ended?;
            }
            if collector.is_lost {
                break;
            }
        }
    }
    let mut checked_graphs = Value::Null;
    if !collector.is_lost && !options.model.as_os_str().is_empty() {
        collector.context = String::new();
        match graphs::check(options) {
            Ok(found) => checked_graphs = found,
            Err(error) => {
                let model = options.model.display().to_string();
                collector.add("CUDA graphs", &model, &error.to_string());
            }
        }
    }
    let counts = options.multiprocessors.iter();
    let counts: Vec<Value> = counts
        .map(|count| count.map_or_else(|| json!("all"), Value::from))
        .collect();
    let counted = log.counts();
    let kernels = counted
        .iter()
        .filter(|(_, property, _)| property.is_empty());
    let kernels: Vec<&str> = kernels.map(|(kernel, ..)| *kernel).collect();
    print(json!({
        "what": "conformance",
        "backend": cuda.name(),
        "multiprocessors": counts,
        "rounds": options.rounds,
        "seed": options.seed,
        "graphs": checked_graphs,
        "kernels": kernels,
        "failures": collector.count,
        "opened_s": opened_s,
        "seconds": start.elapsed().as_secs_f64(),
    }));
    let has_passed = collector.count == 0;
    let is_lost = collector.is_lost;
    drop((collector, cuda));
    if is_lost {
        // Without operations left, the CUDA graphs still are.
        go_on_in_new_process(next)?;
    }
    Ok(has_passed)
}

/// The GPU as if it had this many multiprocessors.
pub fn on(cuda: Cuda, multiprocessors: Option<usize>) -> Cuda {
    match multiprocessors {
        Some(count) => cuda.with_multiprocessors(count),
        None => cuda,
    }
}

pub fn describe(multiprocessors: Option<usize>) -> String {
    match multiprocessors {
        Some(count) => format!("as on {count} multiprocessors"),
        None => "on all multiprocessors".to_owned(),
    }
}
