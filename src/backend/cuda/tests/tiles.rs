//! Tiles of Hopper products: each is taken once from the counter, also after a launch that failed;
//! and tiles of parts of the depth.

use super::kernels::{bf16_values, close, scalar_product, transposed};
use super::*;
use crate::backend::Activation;
use crate::backend::cuda::parameters::{Epilogue, Product, activation};

/// The counter of tiles of the stream.
fn tiles_taken(cuda: &Cuda) -> u32 {
    let mut bytes = [1; 4];
    let counter = cuda.stream.tiles_taken().unwrap();
    cuda.stream.raw.download(counter, &mut bytes).unwrap();
    u32::from_le_bytes(bytes)
}

/// The product of m × k and n × k values by the Hopper kernel with this tile, compared.
fn check_hopper_product(cuda: &Cuda, tile: (usize, usize), [m, n, k]: [usize; 3], what: &str) {
    let (a, b) = (bf16_values(m * k, 1), bf16_values(n * k, 2));
    let (x, weight) = (
        cuda.tensor(m, k, &a).unwrap(),
        cuda.matrix(n, k, &b).unwrap(),
    );
    let out = cuda.empty(m, n, DType::Bf16).unwrap();
    let parameters = Product {
        m: m as i32,
        n: n as i32,
        k: k as i32,
        ..Product::NONE
    };
    cuda.launch_on_hopper(tile, &parameters, &x, &weight, None, &out)
        .unwrap();
    let expected = scalar_product(&a, &transposed(&b, n, k), [m, n, k]);
    close(&cuda.values(&out).unwrap(), &expected, 0.01).expect(what);
}

#[test]
fn tiles_are_taken_once_and_the_counter_is_reset() {
    // More tiles than blocks, as many, and fewer; 3 multiprocessors.
    for (schedule, (m, n)) in [(2, (300, 700)), (5, (129, 300)), (8, (1, 1))] {
        let Some(cuda) = cuda(90, schedule) else {
            return;
        };
        for tile in products::HOPPER_TILES {
            // The second launch finds the counter as the first left it.
            for launch in 0..2 {
                let what = format!("{m} × {n}, {tile:?}, launch {launch}");
                check_hopper_product(&cuda, tile, [m, n, 70], &what);
                assert_eq!(tiles_taken(&cuda), 0, "{what}");
            }
        }
    }
}

#[test]
fn after_a_failed_launch_all_tiles_are_computed() {
    let Some(cuda) = cuda(90, 3) else { return };
    let (tile, shape) = (products::HOPPER_TILES[0], [300, 700, 70]);
    check_hopper_product(&cuda, tile, shape, "before");
    // Some tiles are taken, and the launch fails.
    let counter = cuda.stream.tiles_taken().unwrap();
    cuda.stream.raw.upload(counter, &[3, 0, 0, 0]).unwrap();
    let kernel = const { sources::kernel("product_tn") };
    let failed = cuda
        .stream
        .launch(kernel, [1, 70_000, 1], 0, &Product::NONE);
    assert!(failed.unwrap_err().to_string().contains("65,535 blocks"));
    check_hopper_product(&cuda, tile, shape, "after");
    assert_eq!(tiles_taken(&cuda), 0);
}

#[test]
fn products_in_parts_equal_whole_ones() {
    for (schedule, ([m, n, k], part)) in [
        ([130, 131, 460], 128),
        ([1, 3, 330], 64),
        ([257, 60, 200], 192),
        ([70, 200, 64], 64),
    ]
    .into_iter()
    .enumerate()
    {
        let Some(cuda) = cuda(90, schedule as u64) else {
            return;
        };
        let (a, b) = (bf16_values(m * k, 1), bf16_values(n * k, 2));
        let (x, weight) = (
            cuda.tensor(m, k, &a).unwrap(),
            cuda.matrix(n, k, &b).unwrap(),
        );
        let (bias, other) = (bf16_values(n, 3), bf16_values(m * n, 4));
        let summand = cuda.tensor(m, n, &other).unwrap();
        let bias_row = cuda.vector(&bias).unwrap();
        let out = cuda.empty(m, n, DType::Bf16).unwrap();
        let parameters = Product {
            out: out.address(),
            bias: bias_row.memory.address(),
            other: summand.address(),
            m: m as i32,
            n: n as i32,
            k: k as i32,
            out_stride: out.stride() as i32,
            other_stride: summand.stride() as i32,
            epilogue: Epilogue::Add as i32,
            activation: activation(Activation::Relu),
            ..Product::NONE
        };
        cuda.launch_split(part, &parameters, &x, &weight).unwrap();
        let product = scalar_product(&a, &transposed(&b, n, k), [m, n, k]);
        let expected: Vec<f32> = product
            .iter()
            .zip(&other)
            .enumerate()
            .map(|(place, (sum, other))| (sum + bias[place % n]).max(0.0) + other)
            .collect();
        let what = format!("{m} × {n} × {k}, parts of {part}");
        close(&cuda.values(&out).unwrap(), &expected, 0.01).expect(&what);
    }
}
