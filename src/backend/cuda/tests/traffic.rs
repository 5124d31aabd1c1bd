//! Bank conflicts of shared memory and sectors of global memory, counted for each line of the
//! kernels, stay within bounds.

use std::path::Path;

use super::*;
#[cfg(feature = "train")]
use crate::backend::conformance::{TRAINING_OPERATIONS, check_training};
use crate::backend::cuda::emulator::Traffic;

/// Other lines need at most this many wavefronts, or sectors, for each that their bytes fill. Some
/// is lost at the ends of rows.
const USUAL: f64 = 1.1;

/// Lines that conflict in banks: what they contain, their bound, and why.
const CONFLICTS: &[(&str, f64, &str)] = &[
    (
        "destination[i] = i < valid",
        4.0,
        "rows that are not aligned to 16 bytes",
    ),
    (
        "rows[i] = *reinterpret_cast<const Words4*>",
        1.6,
        "g++ splits a load of 16 bytes",
    ),
    ("upper = bins[top - 2 * lane]", 2.0, "a lane has two bins"),
    (
        "(to + place(row, piece)) = gather(",
        4.1,
        "g++ splits a store of 16 bytes",
    ),
    (
        "atomic_add(&shared[u32(number)], 1u)",
        1.4,
        "values of a histogram meet by chance",
    ),
    (
        "keys[left]",
        2.0,
        "a sorting network exchanges at every distance",
    ),
];

/// Lines that use parts of sectors.
const SECTORS: &[(&str, f64, &str)] = &[(
    "*reinterpret_cast<Words4*>(to) = words",
    2.6,
    "g++ splits a store of 16 bytes",
)];

/// Fails for each line beyond its bound.
fn assert_within(traffic: &[Traffic], exceptions: &[(&str, f64, &str)]) {
    assert!(!traffic.is_empty());
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut beyond = Vec::new();
    for line in traffic {
        let (file, number) = line.place.split_once(':').unwrap();
        // Some instructions have a line of another file.
        let text = std::fs::read_to_string(kernels.join(file)).unwrap_or_default();
        let number: usize = number.parse().unwrap_or_default();
        let Some(text) = text.lines().nth(number.saturating_sub(1)).map(str::trim) else {
            continue;
        };
        let known = exceptions.iter().find(|known| text.contains(known.0));
        let bound = known.map_or(USUAL, |known| known.1);
        let ratio = line.actual as f64 / line.least as f64;
        if ratio > bound {
            beyond.push(format!("{ratio:.2} at {}: {text}", line.place));
        }
    }
    assert!(beyond.is_empty(), "{beyond:#?}");
}

/// What work on both kinds of GPUs makes of one kind of memory.
fn traffic_of(is_shared: bool, work: impl Fn(&Emulator)) -> Option<Vec<Traffic>> {
    let mut traffic = Vec::new();
    for architecture in [80, 90] {
        let gpu = Emulator::new(architecture, 0)?;
        gpu.set_rules(Rule::Traffic as u32);
        gpu.traffic();
        work(&gpu);
        traffic.extend(gpu.traffic());
        gpu.set_rules(Rule::ALL);
    }
    traffic.retain(|line| line.is_shared == is_shared);
    Some(traffic)
}

#[test]
fn shared_memory_has_few_bank_conflicts() {
    let work = |gpu: &Emulator| {
        let cuda = cuda_on(gpu.clone());
        check(&cuda, TOLERANCE, 400, 2).unwrap();
        #[cfg(feature = "train")]
        for operation in TRAINING_OPERATIONS {
            check_training(&cuda, TOLERANCE, 400, 0, operation).unwrap();
        }
    };
    if let Some(traffic) = traffic_of(true, work) {
        assert_within(&traffic, CONFLICTS);
    }
}

#[test]
fn products_and_sums_use_whole_sectors() {
    let [rows, columns] = [256, 256];
    let work = |gpu: &Emulator| {
        let cuda = cuda_on(gpu.clone());
        let x = cuda.tensor(rows, columns, &vec![0.5; rows * columns]);
        let weight = cuda.matrix(columns, columns, &vec![0.5; columns * columns]);
        let (x, weight) = (x.unwrap(), weight.unwrap());
        let layer = Linear {
            weight: &weight,
            bias: None,
        };
        let product = cuda.linear(&x, &layer, Activation::Gelu).unwrap();
        cuda.add(&product, &x, None).unwrap();
    };
    if let Some(traffic) = traffic_of(false, work) {
        assert_within(&traffic, SECTORS);
    }
}

/// Accesses of 16 bytes that g++ splits into four of 4; of rows of f32 a lane has two, next to each
/// other.
#[cfg(feature = "train")]
const SPLIT: &[(&str, f64, &str)] = &[
    ("Words4*>(to) = words", 4.1, "stores of 16 bytes"),
    ("*>(from)", 4.1, "loads of 16 bytes"),
    ("(to + 4 * half) = words", 8.1, "stores of two halves"),
    ("Words4 words = *place", 8.1, "loads of two halves"),
    ("*place = words", 8.1, "stores of two halves"),
];

#[cfg(feature = "train")]
#[test]
fn gradients_and_the_optimizer_use_whole_sectors() {
    use crate::backend::{AdamW, BackwardOps, NormGradients, Orientation};

    let [rows, columns] = [256, 256];
    let values = vec![0.5; rows * columns];
    let work = |gpu: &Emulator| {
        let cuda = cuda_on(gpu.clone());
        let x = cuda.tensor(rows, columns, &values).unwrap();
        let weight = cuda.vector(&values[..columns]).unwrap();
        let norm = Norm::RootMeanSquare {
            weight: &weight,
            epsilon: 1e-3,
        };
        let [mut gradient, mut master, mut mean, mut square] =
            [(); 4].map(|()| cuda.buffer(&values).unwrap());
        let mut of_weight = cuda.zeros(columns).unwrap();
        let gradients = NormGradients {
            weight: &mut of_weight,
            bias: None,
        };
        let dx = cuda.norm_backward(&x, &norm, &x, gradients).unwrap();
        cuda.activate_backward(&x, Activation::Gelu, &dx).unwrap();
        let ids: Vec<u32> = (0..rows as u32).map(|row| row % 100).collect();
        cuda.embed_backward(&mut [(&mut gradient, &ids)], &dx)
            .unwrap();
        let step = AdamW {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-6,
            weight_decay: 0.0,
            step: 1,
            gradient_scale: 1.0,
        };
        cuda.adamw(&step, &mut master, &gradient, &mut mean, &mut square)
            .unwrap();
        cuda.sum_of_squares(&gradient).unwrap();
        let mut matrix = cuda.matrix(columns, rows, &values).unwrap();
        for orientation in [Orientation::Forward, Orientation::Transposed] {
            cuda.pack_matrix(&mut matrix, &[&master], columns, orientation)
                .unwrap();
        }
    };
    if let Some(traffic) = traffic_of(false, work) {
        assert_within(&traffic, SPLIT);
    }
}
