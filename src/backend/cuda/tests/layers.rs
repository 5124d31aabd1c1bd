//! Gradients of linear layers and of attention: at every length around a tile, their bits, and what
//! is refused.

use super::*;
use crate::backend::{
    AttentionGradients, BackwardOps, Distances, LinearPart, PositionGradients, Positions, Reference,
};
use kernels::close;

/// Sequences of each head size: those of 64 dimensions have every length around a tile.
const LENGTHS: [(usize, &[u32]); 7] = [
    (16, &[1, 129]),
    (32, &[15, 0, 65]),
    (64, &[1, 15, 16, 17, 63, 64, 65, 129]),
    (96, &[17, 63]),
    (128, &[16, 64]),
    (256, &[1, 65]),
    // Heads that begin between multiples of 16 bytes.
    (12, &[1, 63, 17]),
];
/// The number of buckets.
const BUCKETS: usize = 9;
/// The kinds of positions: absolute, a bias, and which bucket vectors there are.
const KINDS: [(bool, bool); 5] = [
    (false, false),
    (false, false),
    (true, true),
    (true, false),
    (false, true),
];

/// Pseudo-random values that bf16 represents exactly.
fn values_of(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        half::bf16::from_f32((state >> 40) as f32 / 4_793_490.0 - 1.75).to_f32()
    };
    (0..count).map(next).collect()
}

fn distances() -> Distances {
    Distances::new(140, |distance| distance.rem_euclid(BUCKETS as i64) as u32)
}

fn starts_of(lengths: &[u32]) -> Vec<u32> {
    let mut starts = vec![0];
    starts.extend(lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end)
    }));
    starts
}

/// The gradients of attention with a kind of positions: of projections, of the bucket vectors that
/// there are, and of a bias, which is 1 before.
fn attention_gradients<B: BackwardOps>(
    backend: &B,
    starts: &[u32],
    head_size: usize,
    kind: usize,
) -> Result<[Vec<f32>; 4]> {
    let heads = 2;
    let (tokens, inner) = (starts[starts.len() - 1] as usize, heads * head_size);
    let tensor = |rows: usize, columns: usize, seed: u64| {
        backend.tensor(rows, columns, &values_of(rows * columns, seed))
    };
    let (x, dy) = (tensor(tokens, 3 * inner, 1)?, tensor(tokens, inner, 2)?);
    let (keys, queries) = (tensor(BUCKETS, inner, 3)?, tensor(BUCKETS, inner, 4)?);
    let table = backend.vector(&values_of(BUCKETS * heads, 5))?;
    let mut bias = backend.buffer(&[1.0; 2 * BUCKETS])?;
    let (has_keys, has_queries) = KINDS[kind];
    let distances = &distances();
    let (positions, gradients) = match kind {
        0 => (Positions::Absolute, PositionGradients::Absolute),
        1 => {
            let table = &table;
            (
                Positions::Bias { table, distances },
                PositionGradients::Bias(&mut bias),
            )
        }
        _ => (
            Positions::Disentangled {
                keys: has_keys.then_some(&keys),
                queries: has_queries.then_some(&queries),
                distances,
            },
            PositionGradients::Disentangled,
        ),
    };
    let attention = Attention {
        projections: &x,
        starts,
        heads,
        head_size,
        scale: 0.3 / (head_size as f32).sqrt(),
        positions,
    };
    let AttentionGradients {
        projections,
        position_keys,
        position_queries,
    } = backend.attention_backward(&attention, &dy, gradients)?;
    let values = |tensor: Option<B::Tensor>| match tensor {
        Some(tensor) => backend.values(&tensor),
        None => Ok(Vec::new()),
    };
    Ok([
        backend.values(&projections)?,
        values(position_keys)?,
        values(position_queries)?,
        backend.read(&bias)?,
    ])
}

/// Compares the gradients of attention with the reference.
pub(super) fn check_attention(
    cuda: &Cuda,
    starts: &[u32],
    head_size: usize,
    kind: usize,
) -> std::result::Result<(), String> {
    let found = attention_gradients(cuda, starts, head_size, kind);
    let found = found.map_err(|error| error.to_string())?;
    let expected = attention_gradients(&Reference, starts, head_size, kind).unwrap();
    for (part, (found, expected)) in found.iter().zip(&expected).enumerate() {
        // A bias sums the rounded slopes of all pairs of tokens, which have both signs.
        let within = if part == 3 { 0.1 } else { 0.01 };
        close(found, expected, within).map_err(|difference| {
            format!("heads of {head_size}, kind {kind}, gradient {part}: {difference}")
        })?;
    }
    Ok(())
}

#[test]
fn attention_of_every_length_and_head_size_has_gradients() {
    for (schedule, (head_size, lengths)) in LENGTHS.into_iter().enumerate() {
        let Some(gpu) = Emulator::new(80, schedule as u64) else {
            return;
        };
        gpu.set_rules(Rule::ALL);
        let (cuda, starts) = (cuda_on(gpu), starts_of(lengths));
        for kind in 0..KINDS.len() {
            check_attention(&cuda, &starts, head_size, kind).unwrap();
        }
    }
}

/// The gradients of a layer of two parts, the second of which starts between multiples of 16 bytes.
fn layer_gradients(cuda: &Cuda, rows: usize) -> Vec<f32> {
    let (inputs, outputs) = (37, [5, 140]);
    let all = outputs[0] + outputs[1];
    let tensor = |columns: usize, seed: u64| {
        let values = values_of(rows * columns, seed);
        cuda.tensor(rows, columns, &values).unwrap()
    };
    let (x, dy) = (tensor(inputs, 1), tensor(all, 2));
    let [mut first, mut second] =
        outputs.map(|outputs| cuda.buffer(&values_of(outputs * inputs, 3)).unwrap());
    let mut bias = cuda.buffer(&values_of(outputs[1], 4)).unwrap();
    let mut parts = [
        LinearPart {
            outputs: outputs[0],
            weight: &mut first,
            bias: None,
        },
        LinearPart {
            outputs: outputs[1],
            weight: &mut second,
            bias: Some(&mut bias),
        },
    ];
    cuda.linear_weight_backward(&x, &dy, &mut parts).unwrap();
    let values = [&first, &second, &bias].map(|buffer| cuda.read(buffer).unwrap());
    values.concat()
}

#[test]
fn gradients_of_layers_have_the_same_bits_in_every_run() {
    let mut expected: Option<Vec<u32>> = None;
    // As many multiprocessors, and other orders of blocks.
    for (architecture, schedule) in [(80, 1), (80, 4), (80, 7), (90, 10)] {
        let Some(cuda) = cuda(architecture, schedule) else {
            return;
        };
        let mut all = layer_gradients(&cuda, 200);
        for kind in [1, 2] {
            let found = attention_gradients(&cuda, &[0, 3, 70], 24, kind);
            all.extend(found.unwrap().concat());
        }
        let bits: Vec<u32> = all.into_iter().map(f32::to_bits).collect();
        let expected = expected.get_or_insert_with(|| bits.clone());
        assert!(*expected == bits, "sm_{architecture}, schedule {schedule}");
    }
}

#[test]
fn layers_without_rows_add_nothing() {
    let Some(cuda) = cuda(80, 0) else { return };
    let found = layer_gradients(&cuda, 0);
    let before = [5 * 37, 140 * 37].map(|count| values_of(count, 3));
    assert_eq!(found, [&before.concat()[..], &values_of(140, 4)].concat());
    let [x, keys, queries, bias] = attention_gradients(&cuda, &[0, 0], 16, 2).unwrap();
    assert!(x.is_empty());
    assert_eq!(keys, [0.0; BUCKETS * 32]);
    assert_eq!(queries, keys);
    assert_eq!(bias, [1.0; 2 * BUCKETS]);
}

#[test]
fn other_gradients_of_positions_and_wide_heads_are_refused() {
    let Some(cuda) = cuda(80, 0) else { return };
    let mut bias = cuda.buffer(&[0.0; 2]).unwrap();
    let refused = |head_size: usize, gradients: PositionGradients<'_, Cuda>| {
        let x = cuda.tensor(1, 3 * head_size, &vec![1.0; 3 * head_size]);
        let dy = cuda.tensor(1, head_size, &vec![1.0; head_size]);
        let attention = Attention {
            projections: &x.unwrap(),
            starts: &[0, 1],
            heads: 1,
            head_size,
            scale: 1.0,
            positions: Positions::Absolute,
        };
        let found = cuda.attention_backward(&attention, &dy.unwrap(), gradients);
        found.map(drop).unwrap_err().to_string()
    };
    let error = refused(8, PositionGradients::Bias(&mut bias));
    assert!(error.contains("the kind of positions"), "{error}");
    let error = refused(257, PositionGradients::Absolute);
    assert!(error.contains("at most 256 dimensions"), "{error}");
}
