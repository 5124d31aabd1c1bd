//! Kernels by their names: products of every layout, and the SPLADE head with argmax; and sparse
//! vectors with more non-zeros than there was room for.

use super::*;
use crate::backend::cuda::parameters::{ABSENT, Product, Splade};
use crate::backend::cuda::sparse::{ARGMAX_TABLE, decode_u32};
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
fn rows_of_an_argmax_table_come_behind_the_pairs() {
    let Some(cuda) = cuda(80, 1) else { return };
    let (sequences, terms) = (3, 500);
    // Every third cell has a weight; the second sequence has none.
    let is_in = |cell: usize| cell.is_multiple_of(3) && cell / terms != 1;
    let cell = |cell: usize| match is_in(cell) {
        true => u64::from((cell as f32 + 1.0).to_bits()) << 32 | u64::from(!(cell as u32 % 17)),
        false => 0,
    };
    let cells = sequences * terms;
    let bytes: Vec<u8> = (0..cells).flat_map(|at| cell(at).to_le_bytes()).collect();
    let table = cuda.stream.upload(&bytes).unwrap();
    let found = || {
        let activation = crate::backend::SpladeActivation::Log1pRelu;
        cuda.compact(&table, sequences, terms, ARGMAX_TABLE, activation)
            .unwrap()
    };
    let rows: Vec<u32> = (0..cells)
        .filter(|at| is_in(*at))
        .map(|at| at as u32 % 17)
        .collect();
    // Too little room, exactly enough, and more.
    for room in [0, rows.len().div_ceil(sequences), terms] {
        cuda.stream.expect_pairs(room * sequences, sequences);
        let (vectors, found_rows) = found();
        assert_eq!(found_rows, rows, "room for {room}");
        for (sequence, vector) in vectors.iter().enumerate() {
            let own = (0..terms).filter(|term| is_in(sequence * terms + term));
            let expected: Vec<u32> = own.map(|term| term as u32).collect();
            let found: Vec<u32> = vector.iter().map(|(term, _)| *term).collect();
            assert_eq!(found, expected, "sequence {sequence}, room for {room}");
        }
    }
}
