//! Kernels that no operation of the backend uses yet: products for gradients, and the SPLADE head
//! with argmax.

use super::*;
use crate::backend::cuda::parameters::{ABSENT, Product, Splade};
use crate::backend::cuda::sparse::decode_u32;
use crate::backend::cuda::tensor::{self, decode_bf16, encode_bf16, stride_of};

/// Values without a pattern that bf16 represents exactly.
pub(super) fn bf16_values(count: usize, seed: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 7_919 + seed * 104_729) % 61) as f32 / 16.0 - 1.875;
    (0..count).map(number).collect()
}

/// Transposes rows × columns.
pub(super) fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let at = |place: usize| x[place % rows * columns + place / rows];
    (0..rows * columns).map(at).collect()
}

/// a · b, m × k by k × n.
pub(super) fn scalar_product(a: &[f32], b: &[f32], [m, n, k]: [usize; 3]) -> Vec<f32> {
    let mut out = vec![0.0; m * n];
    for (row, out) in out.chunks_exact_mut(n).enumerate() {
        for (a, b) in a[row * k..][..k].iter().zip(b.chunks_exact(n)) {
            for (out, b) in out.iter_mut().zip(b) {
                *out += a * b;
            }
        }
    }
    out
}

/// An error for the first value whose error exceeds `within` times the largest absolute value.
pub(super) fn close(
    found: &[f32],
    expected: &[f32],
    within: f32,
) -> std::result::Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!(
            "{} values instead of {}",
            found.len(),
            expected.len()
        ));
    }
    let size = expected.iter().fold(1.0_f32, |size, x| size.max(x.abs()));
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let max_error = (found - expected).abs();
        if max_error.is_nan() || max_error > within * size {
            return Err(format!("value {place}: {found} instead of {expected}"));
        }
    }
    Ok(())
}

#[test]
fn products_of_every_layout_equal_scalar_ones() {
    for (schedule, shape) in [[130, 70, 33], [1, 1, 1], [64, 128, 96], [37, 200, 129]]
        .into_iter()
        .enumerate()
    {
        let Some(cuda) = cuda(80, schedule as u64 + 2) else {
            return;
        };
        let [m, n, k] = shape;
        let (a, b) = (bf16_values(m * k, 1), bf16_values(k * n, 2));
        let expected = scalar_product(&a, &b, shape);
        for (kernel, wide, a, a_columns, b, b_columns) in [
            ("product_nn", "product_nn_f32", a.clone(), k, b.clone(), n),
            (
                "product_nt",
                "product_nt_f32",
                transposed(&a, m, k),
                m,
                b.clone(),
                n,
            ),
            (
                "product_tn",
                "product_tn_f32",
                a.clone(),
                k,
                transposed(&b, k, n),
                k,
            ),
        ] {
            let (a, b) = (
                cuda.stream.upload(&encode_bf16(&a, a_columns)).unwrap(),
                cuda.stream.upload(&encode_bf16(&b, b_columns)).unwrap(),
            );
            let run = |kernel: &str, out_stride: usize, size: usize| {
                let out = cuda.stream.allocate(m * out_stride * size).unwrap();
                let parameters = Product {
                    a: a.address(),
                    b: b.address(),
                    out: out.address(),
                    m: m as i32,
                    n: n as i32,
                    k: k as i32,
                    a_stride: stride_of(a_columns) as i32,
                    b_stride: stride_of(b_columns) as i32,
                    out_stride: out_stride as i32,
                    ..Product::NONE
                };
                let grid = [m.div_ceil(128) * n.div_ceil(128), 1, 1];
                let kernel = sources::kernel(kernel);
                cuda.stream
                    .launch(kernel, grid, 49_152, &parameters)
                    .unwrap();
                cuda.stream.download(&out, m * out_stride * size).unwrap()
            };
            let what = format!("{kernel} {shape:?}");
            let found = decode_bf16(&run(kernel, stride_of(n), 2), n);
            close(&found, &expected, 0.01).expect(&what);
            close(&tensor::decode_f32(&run(wide, n, 4)), &expected, 1e-5).expect(&what);
        }
    }
}

#[test]
fn argmax_is_the_first_row_of_the_maximum_logit() {
    let (rows, columns, terms) = (150, 24, 140);
    let starts = [0_u32, 3, 3, 90, 150];
    let (x, decoder) = (
        bf16_values(rows * columns, 3),
        bf16_values(terms * columns, 4),
    );
    let logits = scalar_product(
        &x,
        &transposed(&decoder, terms, columns),
        [rows, terms, columns],
    );
    for schedule in 0..8 {
        for architecture in [80, 90] {
            let Some(cuda) = cuda(architecture, schedule) else {
                return;
            };
            let found = argmax_table(&cuda, [rows, columns, terms], &x, &decoder, &starts);
            for (cell, found) in found.iter().enumerate() {
                let (sequence, term) = (cell / terms, cell % terms);
                let range = starts[sequence] as usize..starts[sequence + 1] as usize;
                let of = |row: &usize| logits[row * terms + term];
                let best = range.clone().map(|row| of(&row)).fold(0.0, f32::max);
                let first = range.clone().find(|row| of(row) == best && best > 0.0);
                let what = format!("sm_{architecture}, sequence {sequence}, term {term}");
                match first {
                    Some(row) => {
                        assert_eq!(f32::from_bits((found >> 32) as u32), best, "{what}");
                        assert_eq!(!(*found as u32), row as u32, "{what}");
                    }
                    None => assert_eq!(*found, 0, "{what}"),
                }
            }
        }
    }
}

/// The table of the argmax kernel.
fn argmax_table(
    cuda: &Cuda,
    [rows, columns, terms]: [usize; 3],
    x: &[f32],
    decoder: &[f32],
    starts: &[u32],
) -> Vec<u64> {
    let x = cuda.tensor(rows, columns, x).unwrap();
    let decoder = cuda.matrix(terms, columns, decoder).unwrap();
    let sequence_of = sparse::sequence_of_rows(starts);
    let sequence_of = cuda
        .stream
        .cached(stream::CachedTable::SequenceOfRow, &sequence_of);
    let bytes = (starts.len() - 1) * terms * 8;
    let table = cuda.stream.allocate(bytes).unwrap();
    cuda.stream.zero(&table, bytes).unwrap();
    let parameters = Splade {
        x: x.address(),
        decoder: decoder.memory.address(),
        bias: ABSENT,
        sequence_of: sequence_of.unwrap().address(),
        table: table.address(),
        rows: rows as i32,
        columns: columns as i32,
        terms: terms as i32,
        x_stride: x.stride() as i32,
        decoder_stride: decoder.stride() as i32,
        activation: 0,
    };
    if cuda.gpu.is_hopper {
        let kernel = sources::kernel("splade_hopper_argmax");
        cuda.launch_splade_on_hopper(kernel, &x, &decoder, parameters)
            .unwrap();
    } else {
        let grid = [rows.div_ceil(128) * terms.div_ceil(128), 1, 1];
        let kernel = sources::kernel("splade_argmax");
        cuda.stream
            .launch(kernel, grid, 49_152, &parameters)
            .unwrap();
    }
    let words = decode_u32(&cuda.stream.download(&table, bytes).unwrap());
    let pairs = words.chunks_exact(2);
    pairs
        .map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32)
        .collect()
}

#[test]
fn tiles_are_taken_once_and_the_counter_is_reset() {
    // More tiles than blocks, as many, and fewer; 3 multiprocessors.
    for (schedule, (m, n)) in [(2, (300, 700)), (5, (129, 300)), (8, (1, 1))] {
        let Some(cuda) = cuda(90, schedule) else {
            return;
        };
        let k = 70;
        let (a, b) = (bf16_values(m * k, 1), bf16_values(n * k, 2));
        let (x, weight) = (
            cuda.tensor(m, k, &a).unwrap(),
            cuda.matrix(n, k, &b).unwrap(),
        );
        let expected = scalar_product(&a, &transposed(&b, n, k), [m, n, k]);
        for tile in products::HOPPER_TILES {
            // The second launch finds the counter as the first left it.
            for launch in 0..2 {
                let out = cuda.empty(m, n, DType::Bf16).unwrap();
                let parameters = Product {
                    m: m as i32,
                    n: n as i32,
                    k: k as i32,
                    ..Product::NONE
                };
                cuda.launch_on_hopper(tile, &parameters, &x, &weight, None, &out)
                    .unwrap();
                let what = format!("{m} × {n}, {tile:?}, launch {launch}");
                close(&cuda.values(&out).unwrap(), &expected, 0.01).expect(&what);
                let counter = cuda.stream.tiles_taken();
                let mut bytes = [1; 4];
                cuda.stream.raw.download(counter, &mut bytes).unwrap();
                assert_eq!(bytes, [0; 4], "{what}");
            }
        }
    }
}

/// The probability that a standard normal variable is below x: the series of erf without
/// alternating signs.
fn normal_distribution(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    if z > 6.0 {
        return if x < 0.0 { 0.0 } else { 1.0 };
    }
    let (mut term, mut sum, mut n) = (z, z, 1.0);
    while term > 1e-18 * sum {
        term *= 2.0 * z * z / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    let erf = 2.0 / std::f64::consts::PI.sqrt() * (-z * z).exp() * sum;
    (1.0 + erf.copysign(x)) / 2.0
}

#[test]
fn activations_are_more_precise_than_bf16() {
    let Some(cuda) = cuda(80, 0) else { return };
    // All bf16 values but infinities and NaN, times 1.
    let x: Vec<f32> = (0..=u16::MAX)
        .map(|bits| f32::from_bits(u32::from(bits) << 16))
        .filter(|x| x.is_finite())
        .collect();
    let input = cuda.convert(&cuda.tensor(x.len(), 1, &x).unwrap(), DType::F32);
    let (input, one) = (input.unwrap(), cuda.matrix(1, 1, &[1.0]).unwrap());
    let layer = crate::backend::Linear {
        weight: &one,
        bias: None,
    };
    let cubic = |x: f64| 0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x);
    let gelu: fn(f64) -> f64 = |x| x * normal_distribution(x);
    type Exact<'a> = &'a dyn Fn(f64) -> f64;
    let cases: [(Activation, Exact, f64); 3] = [
        // Below -3, where the result is above -0.0041, only the absolute error is bounded.
        (Activation::Gelu, &gelu, -3.0),
        (
            Activation::GeluTanh,
            &|x| x / (1.0 + (-2.0 * cubic(x)).exp()),
            -3.0,
        ),
        (Activation::Silu, &|x| x / (1.0 + (-x).exp()), -30.0),
    ];
    for (activation, exact, relative_from) in cases {
        let found = cuda.product(&input, &layer, activation, None).unwrap();
        let found = cuda.values(&found).unwrap();
        for (x, found) in x.iter().zip(found) {
            let expected = exact(f64::from(*x));
            let error = (f64::from(found) - expected).abs();
            // Half of the rounding of bf16, 2^-9.
            let bound = match f64::from(*x) >= relative_from {
                true => expected.abs() / 1024.0,
                false => 1.2e-5,
            };
            assert!(
                error <= bound + 1e-30,
                "{activation:?}({x}): {found} instead of {expected}"
            );
        }
    }
}

#[test]
fn more_non_zeros_than_expected_are_downloaded_again() {
    let Some(cuda) = cuda(80, 0) else { return };
    let (rows, columns, terms) = (40, 8, 700);
    let x = cuda
        .tensor(rows, columns, &bf16_values(rows * columns, 3))
        .unwrap();
    let weight = cuda
        .matrix(terms, columns, &bf16_values(terms * columns, 4))
        .unwrap();
    let decoder = crate::backend::Linear {
        weight: &weight,
        bias: None,
    };
    let found = |cuda: &Cuda| {
        let (activation, pooling) = (
            crate::backend::SpladeActivation::Log1pRelu,
            crate::backend::SpladePooling::Max,
        );
        cuda.sparse_vectors(&x, &[0, 7, 7, 40], &decoder, activation, pooling, terms)
            .unwrap()
    };
    // Room for all, for one pair a vector, and for what the last batch had.
    cuda.stream.expect_pairs(3 * terms, 3);
    let expected = found(&cuda);
    let count: usize = expected.iter().map(Vec::len).sum();
    assert!(count > 100, "{count}");
    cuda.stream.expect_pairs(0, 3);
    assert!(cuda.stream.expected_pairs(3) < count);
    assert_eq!(found(&cuda), expected);
    assert!(cuda.stream.expected_pairs(3) >= count);
    assert_eq!(found(&cuda), expected);
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
            epilogue: parameters::Epilogue::Add as i32,
            activation: parameters::activation(Activation::Relu),
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
