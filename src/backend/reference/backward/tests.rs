//! Gradients against central differences of the forward operations, all in f64.

use super::*;
use crate::backend::reference::{embed, pool as forward_pool, sparse as forward_sparse};
use crate::backend::{Device, Distances, ForwardOps, Positions};

/// The backend whose values are f64, so that differences have ten digits.
const WIDE: Scalar<f64> = Scalar(std::marker::PhantomData);
const STEP: f64 = 1e-6;
const TOLERANCE: f64 = 1e-6;

/// A reproducible sequence of values between -1 and 1.
struct Random(u64);

impl Random {
    fn value(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn values(&mut self, len: usize) -> Vec<f64> {
        (0..len).map(|_| self.value()).collect()
    }

    fn rows(&mut self, rows: usize, columns: usize) -> Rows<f64> {
        Rows::new(rows, columns, self.values(rows * columns)).unwrap()
    }
}

/// The sum of the products of two tensors: a loss whose gradient with respect to `y` is `dy`.
fn loss(y: &Rows<f64>, dy: &Rows<f64>) -> f64 {
    y.values()
        .iter()
        .zip(dy.values())
        .map(|(y, dy)| y * dy)
        .sum()
}

/// Compares a gradient with central differences of a loss of the values.
#[track_caller]
fn check(what: &str, gradient: &[f64], values: &[f64], loss: impl Fn(&[f64]) -> f64) {
    assert_eq!(gradient.len(), values.len(), "{what}");
    let mut moved = values.to_vec();
    for (place, found) in gradient.iter().enumerate() {
        moved[place] = values[place] + STEP;
        let above = loss(&moved);
        moved[place] = values[place] - STEP;
        let below = loss(&moved);
        moved[place] = values[place];
        let expected = (above - below) / (2.0 * STEP);
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(
            error < TOLERANCE,
            "{what}, value {place}: expected {expected}, found {found}"
        );
    }
}

#[track_caller]
fn check_rows(what: &str, gradient: &Rows<f64>, at: &Rows<f64>, loss: impl Fn(&Rows<f64>) -> f64) {
    check(what, gradient.values(), at.values(), |values| {
        loss(&Rows::new(at.rows(), at.columns(), values.to_vec()).unwrap())
    });
}

const ACTIVATIONS: [Activation; 6] = [
    Activation::Identity,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Silu,
    Activation::Tanh,
];

#[test]
fn activations_and_products_of_values() {
    let mut random = Random(1);
    let (x, y, dy) = (random.rows(3, 7), random.rows(3, 7), random.rows(3, 7));
    let x = x.map(|value| value * 4.0);
    for activation in ACTIVATIONS {
        let dx = WIDE.activate_backward(&x, activation, &dy).unwrap();
        check_rows(&format!("{activation:?}"), &dx, &x, |x| {
            loss(&WIDE.activate(x, activation).unwrap(), &dy)
        });
    }
    let dx = WIDE.multiply(&dy, &y).unwrap();
    check_rows("a factor", &dx, &x, |x| {
        loss(&WIDE.multiply(x, &y).unwrap(), &dy)
    });
    let dx = WIDE.dropout(&dy, 0.3, 5).unwrap();
    check_rows("dropout", &dx, &x, |x| {
        loss(&WIDE.dropout(x, 0.3, 5).unwrap(), &dy)
    });
}

#[test]
fn tables_add_the_rows_of_each_id() {
    let mut random = Random(2);
    let (one, other) = (random.rows(4, 3), random.rows(2, 3));
    let (ids, other_ids) = ([3, 0, 3, 1, 3], [1, 1, 0, 1, 0]);
    let dy = random.rows(5, 3);
    let (mut of_one, mut of_other) = (vec![0.0; 12], vec![0.0; 6]);
    WIDE.embed_backward(&mut [(&mut of_one, &ids), (&mut of_other, &other_ids)], &dy)
        .unwrap();
    let sum = |one: &Rows<f64>, other: &Rows<f64>| {
        loss(
            &embed::embed(&[(one, &ids[..]), (other, &other_ids)], None).unwrap(),
            &dy,
        )
    };
    let rows = |values: &[f64], like: &Rows<f64>| {
        Rows::new(like.rows(), like.columns(), values.to_vec()).unwrap()
    };
    check("a table", &of_one, one.values(), |v| {
        sum(&rows(v, &one), &other)
    });
    check("another", &of_other, other.values(), |v| {
        sum(&one, &rows(v, &other))
    });
    // Gradients are added to.
    WIDE.embed_backward(&mut [(&mut of_one, &ids)], &dy)
        .unwrap();
    check("twice", &of_one, one.values(), |v| {
        2.0 * sum(&rows(v, &one), &other)
    });
}

#[test]
fn linear_layers() {
    let mut random = Random(3);
    let (x, dy) = (random.rows(5, 4), random.rows(5, 6));
    let (weight, bias) = (random.rows(6, 4), random.values(6));
    let y = |x: &Rows<f64>, weight: &Rows<f64>, bias: &Vec<f64>| {
        let layer = Linear {
            weight,
            bias: Some(bias),
        };
        loss(&WIDE.linear(x, &layer, Activation::Identity).unwrap(), &dy)
    };
    let transposed = weight.transposed();
    let trained = TrainedLinear {
        layer: Linear {
            weight: &weight,
            bias: Some(&bias),
        },
        transposed: &transposed,
    };
    let dx = WIDE.linear_input_backward(&trained, &dy).unwrap();
    check_rows("inputs", &dx, &x, |x| y(x, &weight, &bias));

    // Two tensors stacked, of 2 and 4 outputs.
    let (mut first, mut second) = ((vec![0.0; 8], vec![0.0; 2]), (vec![0.0; 16], vec![0.0; 4]));
    let mut parts = [
        LinearPart {
            outputs: 2,
            weight: &mut first.0,
            bias: Some(&mut first.1),
        },
        LinearPart {
            outputs: 4,
            weight: &mut second.0,
            bias: Some(&mut second.1),
        },
    ];
    WIDE.linear_weight_backward(&x, &dy, &mut parts).unwrap();
    let stacked = [first.0, second.0].concat();
    check("weights", &stacked, weight.values(), |values| {
        y(&x, &Rows::new(6, 4, values.to_vec()).unwrap(), &bias)
    });
    let stacked = [first.1, second.1].concat();
    check("biases", &stacked, &bias, |values| {
        y(&x, &weight, &values.to_vec())
    });
}

#[test]
fn norms() {
    let mut random = Random(4);
    let (x, dy) = (random.rows(3, 5), random.rows(3, 5));
    let (weight, bias) = (random.values(5), random.values(5));
    for is_layer in [true, false] {
        let of = |x: &Rows<f64>, weight: &Vec<f64>, bias: &Vec<f64>| {
            let norm = match is_layer {
                true => Norm::Layer {
                    weight,
                    bias,
                    epsilon: 1e-3,
                },
                false => Norm::RootMeanSquare {
                    weight,
                    epsilon: 1e-3,
                },
            };
            loss(&WIDE.norm(x, &norm).unwrap(), &dy)
        };
        let norm = match is_layer {
            true => Norm::Layer {
                weight: &weight,
                bias: &bias,
                epsilon: 1e-3,
            },
            false => Norm::RootMeanSquare {
                weight: &weight,
                epsilon: 1e-3,
            },
        };
        let (mut of_weight, mut of_bias) = (vec![0.0; 5], vec![0.0; 5]);
        let gradients = NormGradients {
            weight: &mut of_weight,
            bias: is_layer.then_some(&mut of_bias),
        };
        let dx = WIDE.norm_backward(&x, &norm, &dy, gradients).unwrap();
        check_rows("inputs", &dx, &x, |x| of(x, &weight, &bias));
        check("weights", &of_weight, &weight, |w| {
            of(&x, &w.to_vec(), &bias)
        });
        if is_layer {
            check("biases", &of_bias, &bias, |b| of(&x, &weight, &b.to_vec()));
        }
    }
    let dx = WIDE.l2_normalize_backward(&x, &dy).unwrap();
    check_rows("L2", &dx, &x, |x| loss(&WIDE.l2_normalize(x).unwrap(), &dy));
}

#[test]
fn pooling_and_im2col() {
    let mut random = Random(5);
    let starts = [0, 3, 3, 4, 8];
    let x = random.rows(8, 3);
    let dy = random.rows(4, 3);
    for pooling in [
        Pooling::First,
        Pooling::Last,
        Pooling::Mean,
        Pooling::MeanSqrt,
        Pooling::Max,
        Pooling::WeightedMean,
    ] {
        let dx = WIDE.pool_backward(&x, &starts, pooling, &dy).unwrap();
        check_rows(&format!("{pooling:?}"), &dx, &x, |x| {
            loss(&forward_pool::pool(x, &starts, pooling).unwrap(), &dy)
        });
    }
    let dy = random.rows(8, 9);
    let dx = WIDE.im2col_backward(&dy, &starts, 3).unwrap();
    check_rows("im2col", &dx, &x, |x| {
        loss(&forward_pool::im2col(x, &starts, 3).unwrap(), &dy)
    });
}

#[test]
fn the_first_of_equal_maxima_gets_the_gradient() {
    let x = Rows::new(3, 1, vec![2.0, 2.0, 1.0]).unwrap();
    let dy = Rows::new(1, 1, vec![5.0]).unwrap();
    let dx = WIDE.pool_backward(&x, &[0, 3], Pooling::Max, &dy).unwrap();
    assert_eq!(dx.values(), [5.0, 0.0, 0.0]);
}

const STARTS: [u32; 5] = [0, 4, 4, 5, 8];
const HEADS: usize = 2;
const HEAD: usize = 3;

fn attend<'a>(
    projections: &'a Rows<f64>,
    positions: Positions<'a, Scalar<f64>>,
) -> Attention<'a, Scalar<f64>> {
    Attention {
        projections,
        starts: &STARTS,
        heads: HEADS,
        head_size: HEAD,
        scale: 0.625,
        positions,
    }
}

fn distances() -> Distances {
    Distances::new(4, |distance| (distance + 4) as u32 / 2)
}

#[test]
fn attention_without_positions() {
    let mut random = Random(6);
    let (x, dy) = (
        random.rows(8, 3 * HEADS * HEAD),
        random.rows(8, HEADS * HEAD),
    );
    let attention = attend(&x, Positions::Absolute);
    let found = WIDE
        .attention_backward(&attention, &dy, PositionGradients::Absolute)
        .unwrap();
    check_rows("projections", &found.projections, &x, |x| {
        loss(
            &WIDE.attention(&attend(x, Positions::Absolute)).unwrap(),
            &dy,
        )
    });
}

#[test]
fn attention_with_biases_of_distances() {
    let mut random = Random(7);
    let (x, dy) = (
        random.rows(8, 3 * HEADS * HEAD),
        random.rows(8, HEADS * HEAD),
    );
    let table = random.values(5 * HEADS);
    let distances = distances();
    let y = |x: &Rows<f64>, table: &Vec<f64>| {
        let positions = Positions::Bias {
            table,
            distances: &distances,
        };
        loss(&WIDE.attention(&attend(x, positions)).unwrap(), &dy)
    };
    let attention = attend(
        &x,
        Positions::Bias {
            table: &table,
            distances: &distances,
        },
    );
    let mut of_table = vec![0.0; table.len()];
    let found = WIDE
        .attention_backward(&attention, &dy, PositionGradients::Bias(&mut of_table))
        .unwrap();
    check_rows("projections", &found.projections, &x, |x| y(x, &table));
    check("biases", &of_table, &table, |values| {
        y(&x, &values.to_vec())
    });
}

#[test]
fn attention_with_vectors_of_distances() {
    let mut random = Random(8);
    let (x, dy) = (
        random.rows(8, 3 * HEADS * HEAD),
        random.rows(8, HEADS * HEAD),
    );
    let (keys, queries) = (random.rows(5, HEADS * HEAD), random.rows(5, HEADS * HEAD));
    let distances = distances();
    for (has_keys, has_queries) in [(true, true), (true, false), (false, true)] {
        let y = |x: &Rows<f64>, keys: &Rows<f64>, queries: &Rows<f64>| {
            let positions = Positions::Disentangled {
                keys: has_keys.then_some(keys),
                queries: has_queries.then_some(queries),
                distances: &distances,
            };
            loss(&WIDE.attention(&attend(x, positions)).unwrap(), &dy)
        };
        let positions = Positions::Disentangled {
            keys: has_keys.then_some(&keys),
            queries: has_queries.then_some(&queries),
            distances: &distances,
        };
        let attention = attend(&x, positions);
        let found = WIDE
            .attention_backward(&attention, &dy, PositionGradients::Disentangled)
            .unwrap();
        check_rows("projections", &found.projections, &x, |x| {
            y(x, &keys, &queries)
        });
        assert_eq!(found.position_keys.is_some(), has_keys);
        assert_eq!(found.position_queries.is_some(), has_queries);
        if let Some(of_keys) = found.position_keys {
            check_rows("keys of buckets", &of_keys, &keys, |keys| {
                y(&x, keys, &queries)
            });
        }
        if let Some(of_queries) = found.position_queries {
            check_rows("queries of buckets", &of_queries, &queries, |queries| {
                y(&x, &keys, queries)
            });
        }
    }
}

#[test]
fn gradients_of_other_positions_than_the_attention_has_are_refused() {
    let x = Rows::new(8, 18, vec![0.0; 144]).unwrap();
    let dy = Rows::new(8, 6, vec![0.0; 48]).unwrap();
    let attention = attend(&x, Positions::Absolute);
    let refused = WIDE.attention_backward(&attention, &dy, PositionGradients::Disentangled);
    assert!(refused.is_err());
}

#[test]
fn the_splade_head() {
    let mut random = Random(9);
    let (terms, columns) = (7, 3);
    let x = random.rows(8, columns).map(|value| value * 2.0);
    let (weight, bias) = (random.rows(terms, columns), random.values(terms));
    for activation in [
        SpladeActivation::Log1pRelu,
        SpladeActivation::Log1pLog1pRelu,
    ] {
        for pooling in [SpladePooling::Max, SpladePooling::Sum] {
            // Differences need weights in f64, which sparse vectors do not have.
            let dense = random.rows(STARTS.len() - 1, terms);
            let dense = dense.map(|value| f64::from(value as f32));
            let y = |x: &Rows<f64>, weight: &Rows<f64>, bias: &Vec<f64>| {
                let decoder = Linear {
                    weight,
                    bias: Some(bias),
                };
                let logits = WIDE.linear(x, &decoder, Activation::Identity).unwrap();
                let weights = logits.map(|logit| forward_sparse::weight(logit, activation));
                let mut total = 0.0;
                for (index, pair) in STARTS.windows(2).enumerate() {
                    for term in 0..terms {
                        let rows = pair[0] as usize..pair[1] as usize;
                        let of_term = rows.map(|row| weights.row(row)[term]);
                        let pooled: f64 = match pooling {
                            SpladePooling::Max => of_term.fold(0.0, f64::max),
                            SpladePooling::Sum => of_term.sum(),
                        };
                        total += pooled * dense.row(index)[term];
                    }
                }
                total
            };
            let transposed = weight.transposed();
            let decoder = Linear {
                weight: &weight,
                bias: Some(&bias),
            };
            let vectors = WIDE
                .splade_terms(&x, &STARTS, &decoder, activation, pooling)
                .unwrap();
            let plain = WIDE
                .splade(&x, &STARTS, &decoder, activation, pooling, usize::MAX)
                .unwrap();
            for (with_rows, pairs) in vectors.iter().zip(&plain) {
                let found: Vec<_> = with_rows.iter().map(|t| (t.term, t.weight)).collect();
                assert_eq!(&found, pairs);
            }
            let dy: Vec<Vec<f32>> = (vectors.iter().enumerate())
                .map(|(index, terms)| {
                    let of = |term: &TermWeight| dense.row(index)[term.term as usize] as f32;
                    terms.iter().map(of).collect()
                })
                .collect();
            let (mut of_weight, mut of_bias) = (vec![0.0; terms * columns], vec![0.0; terms]);
            let dx = WIDE
                .splade_backward(
                    &x,
                    &STARTS,
                    &TrainedLinear {
                        layer: decoder,
                        transposed: &transposed,
                    },
                    &weight.values().to_vec(),
                    activation,
                    pooling,
                    &vectors,
                    &dy,
                    LinearPart {
                        outputs: terms,
                        weight: &mut of_weight,
                        bias: Some(&mut of_bias),
                    },
                )
                .unwrap();
            let what = format!("{activation:?} {pooling:?}");
            check_rows(&what, &dx, &x, |x| y(x, &weight, &bias));
            check(&what, &of_weight, weight.values(), |values| {
                y(
                    &x,
                    &Rows::new(terms, columns, values.to_vec()).unwrap(),
                    &bias,
                )
            });
            check(&what, &of_bias, &bias, |values| {
                y(&x, &weight, &values.to_vec())
            });
        }
    }
}

#[test]
fn adamw_moves_against_the_gradient_and_decays_apart_from_it() {
    let step = |number, weight_decay| AdamW {
        learning_rate: 0.1,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 0.0,
        weight_decay,
        step: number,
        gradient_scale: 0.5,
    };
    // With bias correction the first step is the learning rate, whatever the gradient's size.
    let mut state = (vec![1.0, 1.0], vec![0.0; 2], vec![0.0; 2]);
    let gradient = vec![4.0, -0.01];
    WIDE.adamw(
        &step(1, 0.0),
        &mut state.0,
        &gradient,
        &mut state.1,
        &mut state.2,
    )
    .unwrap();
    assert!(
        (state.0[0] - 0.9).abs() < 1e-7 && (state.0[1] - 1.1).abs() < 1e-7,
        "{state:?}"
    );
    assert!(
        (state.1[0] - 0.2).abs() < 1e-7 && (state.2[0] - 0.004).abs() < 1e-7,
        "{state:?}"
    );
    // Without a gradient decay alone is left, after the mean of gradients has been used up.
    let mut state = (vec![1.0], vec![0.0], vec![1.0]);
    WIDE.adamw(
        &step(5, 0.5),
        &mut state.0,
        &vec![0.0],
        &mut state.1,
        &mut state.2,
    )
    .unwrap();
    assert!((state.0[0] - 0.95).abs() < 1e-7, "{state:?}");
}

#[test]
fn masters_are_packed_in_both_orientations() {
    let (one, two) = (vec![1.0, 2.0], vec![3.0, 4.0, 5.0, 6.0]);
    let mut matrix = WIDE.matrix(1, 1, &[0.0]).unwrap();
    WIDE.pack_matrix(&mut matrix, &[&one, &two], 2, Orientation::Forward)
        .unwrap();
    assert_eq!(matrix.values(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!((matrix.rows(), matrix.columns()), (3, 2));
    WIDE.pack_matrix(&mut matrix, &[&one, &two], 2, Orientation::Transposed)
        .unwrap();
    assert_eq!(matrix.values(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    assert_eq!((matrix.rows(), matrix.columns()), (2, 3));
}
