//! The whole backend on the emulated GPU: every kernel against the reference, at sizes that reach
//! every tail, under schedules that expose races.

mod activations;
mod barriers;
#[cfg(feature = "train")]
mod gradients;
mod kernels;
mod late;
#[cfg(feature = "train")]
mod layers;
mod memory;
mod models;
mod rules;
mod tiles;
mod traffic;
mod wide;

use std::sync::Arc;

use super::emulator::{Emulator, Rule};
use super::*;
use crate::backend::conformance::{Tolerance, check};

const TOLERANCE: Tolerance = Tolerance {
    max_error: 0.01,
    rounds_products: true,
    rounds_storage: true,
};

/// A backend on the emulated GPU, unless there is no compiler to build it.
fn cuda(architecture: u32, schedule: u64) -> Option<Cuda> {
    Cuda::emulated(architecture, schedule)
}

fn cuda_on(gpu: Emulator) -> Cuda {
    let is_hopper = gpu.architecture() == HOPPER;
    Cuda::on(Arc::new(gpu), is_hopper).unwrap()
}

#[test]
fn structures_are_those_of_the_kernels() {
    let Some(gpu) = Emulator::new(80, 0) else {
        return;
    };
    let sizes = parameters::sizes().into_iter();
    #[cfg(feature = "train")]
    let sizes = sizes.chain(backward::parameters::sizes());
    for (name, bytes) in sizes {
        assert_eq!(gpu.size_of(name), bytes as u64, "{name}");
    }
}

/// The rules find races under any schedule; of two schedules one completes copies at once and runs
/// one block at a time, the other completes them late and interleaves blocks.
fn every_operation_equals_the_reference(architecture: u32, schedules: [u64; 2]) {
    for schedule in schedules {
        let Some(gpu) = Emulator::new(architecture, schedule) else {
            return;
        };
        gpu.set_rules(Rule::ALL);
        let seed = u64::from(architecture) + schedule;
        check(&cuda_on(gpu), TOLERANCE, seed, 3).unwrap();
    }
}

#[test]
fn every_operation_equals_the_reference_on_sm_80() {
    every_operation_equals_the_reference(80, [0, 5]);
}

#[test]
fn every_operation_equals_the_reference_on_sm_90() {
    every_operation_equals_the_reference(90, [6, 5]);
}

#[test]
fn gpus_before_8_0_are_refused() {
    let Some(gpu) = Emulator::new(75, 0) else {
        return;
    };
    let error = Cuda::on(Arc::new(gpu), false).unwrap_err();
    assert!(
        error.to_string().contains("compute capability 8.0"),
        "{error}"
    );
}

#[test]
fn memory_is_counted_and_given_back() {
    let Some(cuda) = cuda(80, 0) else { return };
    let before = cuda.memory_in_use().0;
    let tensor = cuda.tensor(5, 9, &[1.0; 45]).unwrap();
    // 5 rows of 16 bf16 values.
    assert_eq!(cuda.memory_in_use().0, before + 160);
    drop(tensor);
    assert_eq!(cuda.memory_in_use(), (before, before + 160));
}

#[test]
fn tensors_of_other_streams_are_read() {
    let Some(cuda) = cuda(80, 0) else { return };
    let streams = cuda.streams();
    let x = streams[0].tensor(2, 2, &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let sum = streams[1].add(&x, &x, None).unwrap();
    assert_eq!(streams[0].values(&sum).unwrap(), [2.0, 4.0, 6.0, 8.0]);
}
