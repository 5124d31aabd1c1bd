//! Every barrier, wait and fence of the kernels is needed: without any one of them some result is
//! wrong or a launch fails.
//!
//! This shows that the emulator detects races, and that no barrier is redundant. Every fifth of
//! them is left out, and each one if `ESPARSA_ALL_BARRIERS` is set, which takes minutes.

use std::collections::BTreeSet;

use super::kernels::{bf16_values, close, scalar_product, transposed};
#[cfg(feature = "train")]
use super::layers::check_attention;
use super::*;
use crate::backend::Reference;
use crate::backend::conformance::{OPERATIONS, Operation, check_one};
#[cfg(feature = "train")]
use crate::backend::conformance::{TrainingOperation, check_training};
use crate::backend::cuda::parameters::{Epilogue, Product};
use crate::backend::cuda::products::HOPPER_TILES;

/// What runs with a barrier disabled.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// An operation at small sizes.
    Small(Operation),
    /// Hopper products that go around the ring of stages more than once, with more than one tile
    /// per block.
    Deep,
    /// Selections among thousands of keys.
    Many,
    /// An operation of training at small sizes.
    #[cfg(feature = "train")]
    Training(TrainingOperation),
    /// Gradients of attention over short sequences, with heads of all geometries.
    #[cfg(feature = "train")]
    Attention,
}

/// The operations of training whose own kernels have barriers.
#[cfg(feature = "train")]
const TRAINING: [TrainingOperation; 1] = [TrainingOperation::Packing];

impl Work {
    /// The number of runs, each with other shapes and another schedule, of which one must fail.
    fn attempts(self) -> u64 {
        match self {
            Self::Small(_) => 16,
            Self::Deep => 256,
            Self::Many => 64,
            #[cfg(feature = "train")]
            Self::Training(_) => 16,
            #[cfg(feature = "train")]
            Self::Attention => 6,
        }
    }

    fn run(self, gpu: &Emulator, attempt: u64) -> bool {
        let cuda = cuda_on(gpu.with_schedule(attempt));
        match self {
            Self::Small(operation) => check_one(&cuda, TOLERANCE, 300, attempt, operation).is_ok(),
            Self::Deep => deep(&cuda, attempt as usize),
            Self::Many => many(&cuda, attempt as usize),
            #[cfg(feature = "train")]
            Self::Training(operation) => {
                check_training(&cuda, TOLERANCE, 300, attempt, operation).is_ok()
            }
            #[cfg(feature = "train")]
            Self::Attention => {
                let (place, starts) = (attempt as usize, [0, 33, 110]);
                check_attention(&cuda, &starts, [16, 256, 64][place % 3], place % 2).is_ok()
            }
        }
    }
}

fn deep(cuda: &Cuda, attempt: usize) -> bool {
    if !cuda.gpu.is_hopper {
        return true;
    }
    let tile = HOPPER_TILES[attempt % 3];
    // Without a summand and with a short k, a tile takes one stage of the ring, and the producer is
    // several tiles ahead.
    let has_other = attempt % 4 != 3;
    let [m, n, k] = [
        130 + attempt * 53 % 150,
        200 + attempt * 71 % 400,
        1 + attempt * 97 % [460, 64][attempt / 24 % 2],
    ];
    let (a, b) = (bf16_values(m * k, attempt), bf16_values(n * k, attempt + 1));
    let x = cuda.tensor(m, k, &a).unwrap();
    let weight = cuda.matrix(n, k, &b).unwrap();
    let other = bf16_values(m * n, attempt + 2);
    let summand = cuda.tensor(m, n, &other).unwrap();
    let out = cuda.empty(m, n, DType::Bf16).unwrap();
    let parameters = Product {
        a: x.address(),
        b: weight.memory.address(),
        out: out.address(),
        other: summand.address(),
        m: m as i32,
        n: n as i32,
        k: k as i32,
        a_stride: x.stride() as i32,
        b_stride: weight.stride() as i32,
        out_stride: out.stride() as i32,
        other_stride: summand.stride() as i32,
        epilogue: match has_other {
            true => Epilogue::Add,
            false => Epilogue::Nothing,
        } as i32,
        ..Product::NONE
    };
    let summand = has_other.then_some(&summand);
    let launched = cuda.launch_on_hopper(tile, &parameters, &x, &weight, summand, &out);
    let mut expected = scalar_product(&a, &transposed(&b, n, k), [m, n, k]);
    if has_other {
        expected
            .iter_mut()
            .zip(other)
            .for_each(|(sum, other)| *sum += other);
    }
    launched.is_ok() && close(&cuda.values(&out).unwrap(), &expected, 0.01).is_ok()
}

fn many(cuda: &Cuda, attempt: usize) -> bool {
    let (columns, count, k) = (3, 3_000, 30 + 15 * attempt);
    let numbers = |count, seed| {
        let number = |i: usize| ((i * i + i * 7_919 + seed * 104_729) % 5_003) as f32 / 512.0 - 4.5;
        (0..count).map(number).collect::<Vec<_>>()
    };
    let (x, y) = (
        numbers(2 * columns, attempt),
        numbers(count * columns, attempt + 1),
    );
    let found = cuda.nearest(
        &cuda.tensor(2, columns, &x).unwrap(),
        &cuda.tensor(count, columns, &y).unwrap(),
        k.min(1_024),
    );
    let round =
        |numbers: &[f32]| tensor::decode_bf16(&tensor::encode_bf16(numbers, columns), columns);
    let expected = Reference.nearest(
        &Reference.tensor(2, columns, &round(&x)).unwrap(),
        &Reference.tensor(count, columns, &round(&y)).unwrap(),
        k.min(1_024),
    );
    let scores = |lists: &[Vec<(u32, f32)>]| -> Vec<f32> {
        lists.iter().flatten().map(|(_, score)| *score).collect()
    };
    found.is_ok_and(|found| close(&scores(&found), &scores(&expected.unwrap()), 1e-5).is_ok())
}

fn barriers_are_needed(architecture: u32) {
    let Some(gpu) = Emulator::new(architecture, 0) else {
        return;
    };
    gpu.set_rules(Rule::ALL);
    let (mut needed, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let step = match std::env::var_os("ESPARSA_ALL_BARRIERS") {
        Some(_) => 1,
        None => 5,
    };
    let mut tried = BTreeSet::new();
    let small = OPERATIONS.map(Work::Small);
    let works = [Work::Many].into_iter().chain(small).chain([Work::Deep]);
    #[cfg(feature = "train")]
    let works = works
        .chain(TRAINING.map(Work::Training))
        .chain([Work::Attention]);
    for work in works {
        gpu.sites();
        for attempt in 0..6 {
            assert!(work.run(&gpu, attempt), "{work:?}, attempt {attempt}");
        }
        for site in gpu.sites() {
            if seen.insert(site.clone()) && seen.len() % step == 0 {
                tried.insert(site.clone());
            }
            if !tried.contains(&site) || needed.contains(&site) {
                continue;
            }
            let (file, line, kind) = &site;
            gpu.ignore(file, *line, kind);
            if (0..work.attempts()).any(|attempt| !work.run(&gpu, attempt)) {
                needed.insert(site);
            }
            gpu.ignore("", 0, "");
        }
        gpu.sites();
    }
    let left: Vec<_> = tried.difference(&needed).collect();
    assert!(left.is_empty(), "not needed: {left:#?}");
    // A lower bound, which detects kernels that are no longer reached.
    let of_training = if cfg!(feature = "train") { 4 } else { 0 };
    let least = of_training + if architecture == HOPPER { 30 } else { 19 };
    assert!(seen.len() >= least, "{} are too few: {seen:#?}", seen.len());
}

#[test]
fn barriers_are_needed_on_sm_80() {
    barriers_are_needed(80);
}

#[test]
fn barriers_are_needed_on_sm_90() {
    barriers_are_needed(90);
}
