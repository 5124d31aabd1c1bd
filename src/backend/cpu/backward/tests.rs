//! The gradients against the reference, on random shapes.

use super::*;
use crate::backend::cpu::CpuOptions;
use crate::backend::{Device, Distances, Positions, Reference, Rows};

/// A reproducible sequence of values between -1 and 1.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: usize) -> usize {
        self.bits() as usize % limit
    }

    fn values(&mut self, len: usize) -> Vec<f32> {
        (0..len)
            .map(|_| self.bits() as f32 / (1u64 << 30) as f32 - 1.0)
            .collect()
    }

    /// Starts of sequences of up to 40 tokens, some of them empty.
    fn starts(&mut self) -> Vec<u32> {
        let mut starts = vec![0];
        for _ in 0..1 + self.below(5) {
            let length = [0, 1, self.below(9), self.below(40)][self.below(4)] as u32;
            starts.push(starts[starts.len() - 1] + length);
        }
        starts
    }
}

/// Both backends, and a comparison of their results.
struct Both {
    cpu: Cpu,
    random: Random,
}

impl Both {
    fn pair(&mut self, rows: usize, columns: usize) -> (Tensor, Rows) {
        let values = self.random.values(rows * columns);
        let cpu = self.cpu.tensor(rows, columns, &values).unwrap();
        (cpu, Reference.tensor(rows, columns, &values).unwrap())
    }
}

#[track_caller]
fn same(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected
        .iter()
        .fold(1e-2f32, |max, value| max.max(value.abs()));
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs() / size;
        assert!(
            error < 2e-5,
            "{what}, value {place}: expected {expected}, found {found}, max {size}"
        );
    }
}

#[track_caller]
fn same_tensors(what: &str, found: &Tensor, expected: &Rows) {
    assert_eq!(
        found.shape(),
        (expected.rows(), expected.columns()),
        "{what}"
    );
    same(what, found.values(), expected.values());
}

fn each_setting(check: impl Fn(&mut Both)) {
    for threads in [1, 3] {
        let cpu = Cpu::new(CpuOptions {
            threads,
            ..CpuOptions::default()
        });
        let mut both = Both {
            cpu: cpu.unwrap(),
            random: Random(7 + threads as u64),
        };
        for _ in 0..12 {
            check(&mut both);
        }
    }
}

#[test]
fn row_operations_equal_the_reference() {
    each_setting(|both| {
        let (rows, columns) = (1 + both.random.below(90), 1 + both.random.below(70));
        let ((x, rx), (dy, rdy)) = (both.pair(rows, columns), both.pair(rows, columns));
        let cpu = both.cpu.clone();
        for activation in [
            Activation::Identity,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Relu,
            Activation::Silu,
            Activation::Tanh,
        ] {
            let found = cpu.activate(&x, activation).unwrap();
            same_tensors(
                "activation",
                &found,
                &Reference.activate(&rx, activation).unwrap(),
            );
            let found = cpu.activate_backward(&x, activation, &dy).unwrap();
            let expected = Reference.activate_backward(&rx, activation, &rdy).unwrap();
            same_tensors(&format!("{activation:?}"), &found, &expected);
        }
        let found = cpu.multiply(&x, &dy).unwrap();
        same_tensors("product", &found, &Reference.multiply(&rx, &rdy).unwrap());
        let found = cpu.dropout(&x, 0.25, 9).unwrap();
        same_tensors("dropout", &found, &Reference.dropout(&rx, 0.25, 9).unwrap());
        let found = cpu.l2_normalize_backward(&x, &dy).unwrap();
        same_tensors(
            "L2",
            &found,
            &Reference.l2_normalize_backward(&rx, &rdy).unwrap(),
        );

        let (weight, bias) = (both.random.values(columns), both.random.values(columns));
        for is_layer in [true, false] {
            fn norm<'a, B: Device<Vector = Vec<f32>>>(
                is_layer: bool,
                weight: &'a Vec<f32>,
                bias: &'a Vec<f32>,
            ) -> Norm<'a, B> {
                match is_layer {
                    true => Norm::Layer {
                        weight,
                        bias,
                        epsilon: 1e-5,
                    },
                    false => Norm::RootMeanSquare {
                        weight,
                        epsilon: 1e-5,
                    },
                }
            }
            let mut sums = [vec![1.0; columns], vec![1.0; columns]];
            let mut expected_sums = sums.clone();
            let [of_weight, of_bias] = &mut sums;
            let gradients = NormGradients {
                weight: of_weight,
                bias: is_layer.then_some(of_bias),
            };
            let found = cpu.norm_backward(&x, &norm(is_layer, &weight, &bias), &dy, gradients);
            let [of_weight, of_bias] = &mut expected_sums;
            let gradients = NormGradients {
                weight: of_weight,
                bias: is_layer.then_some(of_bias),
            };
            let norm = norm(is_layer, &weight, &bias);
            let expected = Reference
                .norm_backward(&rx, &norm, &rdy, gradients)
                .unwrap();
            // Rows of one value have no deviation: their gradient is near 0 times a large factor.
            if columns > 1 {
                same_tensors("norm", &found.unwrap(), &expected);
            }
            same("norm weight", &sums[0], &expected_sums[0]);
            same("norm bias", &sums[1], &expected_sums[1]);
        }
    });
}

#[test]
fn tables_pooling_and_im2col_equal_the_reference() {
    each_setting(|both| {
        let (starts, columns) = (both.random.starts(), 1 + both.random.below(40));
        let (sequences, rows) = (starts.len() - 1, starts[starts.len() - 1] as usize);
        let (x, rx) = both.pair(rows, columns);
        let (dy, rdy) = both.pair(sequences, columns);
        for pooling in [
            Pooling::First,
            Pooling::Last,
            Pooling::Mean,
            Pooling::MeanSqrt,
            Pooling::Max,
            Pooling::WeightedMean,
        ] {
            let found = both.cpu.pool_backward(&x, &starts, pooling, &dy).unwrap();
            let expected = Reference
                .pool_backward(&rx, &starts, pooling, &rdy)
                .unwrap();
            same_tensors(&format!("{pooling:?}"), &found, &expected);
        }
        let (dy, rdy) = both.pair(rows, 3 * columns);
        let found = both.cpu.im2col_backward(&dy, &starts, 3).unwrap();
        let expected = Reference.im2col_backward(&rdy, &starts, 3).unwrap();
        same_tensors("im2col", &found, &expected);
        let ids: Vec<u32> = (0..rows).map(|_| both.random.below(7) as u32).collect();
        let (mut found, mut expected) = (vec![0.5; 7 * columns], vec![0.5; 7 * columns]);
        both.cpu
            .embed_backward(&mut [(&mut found, &ids)], &x)
            .unwrap();
        Reference
            .embed_backward(&mut [(&mut expected, &ids)], &rx)
            .unwrap();
        same("table", &found, &expected);
    });
}

#[test]
fn linear_layers_equal_the_reference() {
    each_setting(|both| {
        let rows = 1 + both.random.below(150);
        let (inputs, outputs) = (1 + both.random.below(80), 2 + both.random.below(80));
        let ((x, rx), (dy, rdy)) = (both.pair(rows, inputs), both.pair(rows, outputs));
        let split = 1 + both.random.below(outputs - 1);
        let sizes = [split, outputs - split];
        let zeros = || sizes.map(|outputs| (vec![0.25; outputs * inputs], vec![0.25; outputs]));
        let (mut found, mut expected) = (zeros(), zeros());
        fn parts<B: BackwardOps<Buffer = Vec<f32>>>(
            sums: &mut [(Vec<f32>, Vec<f32>); 2],
        ) -> Vec<LinearPart<'_, B>> {
            sums.iter_mut()
                .map(|(weight, bias)| LinearPart {
                    outputs: bias.len(),
                    weight,
                    bias: Some(bias),
                })
                .collect()
        }
        both.cpu
            .linear_weight_backward(&x, &dy, &mut parts(&mut found))
            .unwrap();
        Reference
            .linear_weight_backward(&rx, &rdy, &mut parts(&mut expected))
            .unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            same("weight", &found.0, &expected.0);
            same("bias", &found.1, &expected.1);
        }
        let weight = both.random.values(outputs * inputs);
        let (one, other) = weight.split_at(split * inputs);
        let masters = [one.to_vec(), other.to_vec()];
        let mut matrix = both.cpu.matrix(1, 1, &[0.0]).unwrap();
        let masters: Vec<_> = masters.iter().collect();
        both.cpu
            .pack_matrix(&mut matrix, &masters, inputs, Orientation::Transposed)
            .unwrap();
        let mut forward = both.cpu.matrix(1, 1, &[0.0]).unwrap();
        both.cpu
            .pack_matrix(&mut forward, &masters, inputs, Orientation::Forward)
            .unwrap();
        let layer = TrainedLinear {
            layer: Linear {
                weight: &forward,
                bias: None,
            },
            transposed: &matrix,
        };
        let found = both.cpu.linear_input_backward(&layer, &dy).unwrap();
        let expected_weight = Reference.matrix(outputs, inputs, &weight).unwrap();
        let mut transposed = expected_weight.clone();
        let master = weight.clone();
        Reference
            .pack_matrix(&mut transposed, &[&master], inputs, Orientation::Transposed)
            .unwrap();
        let layer = TrainedLinear {
            layer: Linear {
                weight: &expected_weight,
                bias: None,
            },
            transposed: &transposed,
        };
        let expected = Reference.linear_input_backward(&layer, &rdy).unwrap();
        same_tensors("inputs", &found, &expected);
    });
}

#[test]
fn attention_equals_the_reference() {
    each_setting(|both| {
        let starts = both.random.starts();
        let rows = starts[starts.len() - 1] as usize;
        let (heads, head_size) = (1 + both.random.below(4), 1 + both.random.below(40));
        let width = heads * head_size;
        let ((x, rx), (dy, rdy)) = (both.pair(rows, 3 * width), both.pair(rows, width));
        let distances = Distances::new(40, |distance| (distance + 40) as u32 / 9);
        let table = both.random.values(9 * heads);
        let ((keys, rkeys), (queries, rqueries)) = (both.pair(9, width), both.pair(9, width));
        for kind in 0..5 {
            let (has_keys, has_queries) = (kind != 3, kind != 4);
            let positions = match kind {
                0 => Positions::Absolute,
                1 => Positions::Bias {
                    table: &table,
                    distances: &distances,
                },
                _ => Positions::Disentangled {
                    keys: has_keys.then_some(&keys),
                    queries: has_queries.then_some(&queries),
                    distances: &distances,
                },
            };
            let reference_positions = match kind {
                0 => Positions::Absolute,
                1 => Positions::Bias {
                    table: &table,
                    distances: &distances,
                },
                _ => Positions::Disentangled {
                    keys: has_keys.then_some(&rkeys),
                    queries: has_queries.then_some(&rqueries),
                    distances: &distances,
                },
            };
            let (mut sums, mut expected_sums) = (vec![0.5; 9 * heads], vec![0.5; 9 * heads]);
            fn kind_of<B: BackwardOps<Buffer = Vec<f32>>>(
                kind: usize,
                sums: &mut Vec<f32>,
            ) -> PositionGradients<'_, B> {
                match kind {
                    0 => PositionGradients::Absolute,
                    1 => PositionGradients::Bias(sums),
                    _ => PositionGradients::Disentangled,
                }
            }
            let scale = 0.4;
            let attention = Attention {
                projections: &x,
                starts: &starts,
                heads,
                head_size,
                scale,
                positions,
            };
            let found = both
                .cpu
                .attention_backward(&attention, &dy, kind_of(kind, &mut sums))
                .unwrap();
            let attention = Attention {
                projections: &rx,
                starts: &starts,
                heads,
                head_size,
                scale,
                positions: reference_positions,
            };
            let expected = Reference
                .attention_backward(&attention, &rdy, kind_of(kind, &mut expected_sums))
                .unwrap();
            let what = format!("positions {kind}");
            same_tensors(&what, &found.projections, &expected.projections);
            same(&what, &sums, &expected_sums);
            for (found, expected) in [
                (found.position_keys, expected.position_keys),
                (found.position_queries, expected.position_queries),
            ] {
                assert_eq!(found.is_some(), expected.is_some());
                if let (Some(found), Some(expected)) = (found, expected) {
                    same_tensors(&what, &found, &expected);
                }
            }
        }
    });
}

#[test]
fn the_splade_head_equals_the_reference() {
    each_setting(|both| {
        let starts = both.random.starts();
        let rows = starts[starts.len() - 1] as usize;
        let (columns, terms) = (1 + both.random.below(40), 1 + both.random.below(2_500));
        let (x, rx) = both.pair(rows, columns);
        let master = both.random.values(terms * columns);
        let bias = both.random.values(terms);
        let matrix = both.cpu.matrix(terms, columns, &master).unwrap();
        let reference_matrix = Reference.matrix(terms, columns, &master).unwrap();
        for activation in [
            SpladeActivation::Log1pRelu,
            SpladeActivation::Log1pLog1pRelu,
        ] {
            for pooling in [SpladePooling::Max, SpladePooling::Sum] {
                let what = format!("{activation:?} {pooling:?}");
                let decoder = Linear {
                    weight: &matrix,
                    bias: Some(&bias),
                };
                let reference_decoder = Linear {
                    weight: &reference_matrix,
                    bias: Some(&bias),
                };
                let expected = Reference
                    .splade_terms(&rx, &starts, &reference_decoder, activation, pooling)
                    .unwrap();
                let found = both
                    .cpu
                    .splade_terms(&x, &starts, &decoder, activation, pooling)
                    .unwrap();
                for (found, expected) in found.iter().zip(&expected) {
                    // A logit near 0 may be on either side.
                    let common = expected
                        .iter()
                        .filter(|e| found.iter().any(|f| f.term == e.term && f.row == e.row));
                    assert!(
                        common.count() + 2 >= expected.len().max(found.len()),
                        "{what}"
                    );
                }
                // Gradients of the same terms.
                let dy: Vec<Vec<f32>> = expected
                    .iter()
                    .map(|terms| both.random.values(terms.len()))
                    .collect();
                let zeros = || (vec![0.0; terms * columns], vec![0.0; terms]);
                let (mut sums, mut expected_sums) = (zeros(), zeros());
                let trained = TrainedLinear {
                    layer: decoder,
                    transposed: &matrix,
                };
                let part = LinearPart {
                    outputs: terms,
                    weight: &mut sums.0,
                    bias: Some(&mut sums.1),
                };
                let found = both
                    .cpu
                    .splade_backward(
                        &x, &starts, &trained, &master, activation, pooling, &expected, &dy, part,
                    )
                    .unwrap();
                let trained = TrainedLinear {
                    layer: reference_decoder,
                    transposed: &reference_matrix,
                };
                let part = LinearPart {
                    outputs: terms,
                    weight: &mut expected_sums.0,
                    bias: Some(&mut expected_sums.1),
                };
                let wanted = Reference
                    .splade_backward(
                        &rx, &starts, &trained, &master, activation, pooling, &expected, &dy, part,
                    )
                    .unwrap();
                same_tensors(&what, &found, &wanted);
                same(&what, &sums.0, &expected_sums.0);
                same(&what, &sums.1, &expected_sums.1);
            }
        }
    });
}

#[test]
fn steps_of_adamw_equal_the_reference() {
    each_setting(|both| {
        let len = 1 + both.random.below(5_000);
        let (start, gradient) = (both.random.values(len), both.random.values(len));
        let zeros = vec![0.0; len];
        let mut found = (start.clone(), zeros.clone(), zeros.clone());
        let mut expected = found.clone();
        for number in 1..=3 {
            let step = AdamW {
                learning_rate: 0.01,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.1,
                step: number,
                gradient_scale: 0.3,
            };
            both.cpu
                .adamw(&step, &mut found.0, &gradient, &mut found.1, &mut found.2)
                .unwrap();
            Reference
                .adamw(
                    &step,
                    &mut expected.0,
                    &gradient,
                    &mut expected.1,
                    &mut expected.2,
                )
                .unwrap();
        }
        same("masters", &found.0, &expected.0);
        same("means", &found.1, &expected.1);
        same("squares", &found.2, &expected.2);
        let squares = both.cpu.sum_of_squares(&gradient).unwrap();
        let expected = Reference.sum_of_squares(&gradient).unwrap();
        assert!((squares / expected - 1.0).abs() < 1e-5);
    });
}
