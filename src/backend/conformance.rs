//! Holds a backend against the [`Reference`], operation by operation, on random shapes and numbers.
//!
//! Shapes reach every tail: rows, columns and lengths are drawn around the sizes that kernels work in. For a backend that multiplies
//! rounded numbers, what goes into products is rounded for the reference too, so that only the order of sums and the rounding of sums differ.

use super::{
    Activation, Attention, Backend, Distances, Linear, Norm, Pooling, Positions, Reference,
    SparseVector, SpladeActivation, SpladePooling,
};
use crate::error::{Error, Result};

/// How close a backend must be.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Largest difference, as a part of the greatest number of the result or of 1.
    pub difference: f32,
    /// Numbers that go into products of linear layers are rounded to bf16 first.
    pub is_bf16: bool,
}

/// Runs `rounds` of every operation with numbers drawn from `seed`.
///
/// # Errors
///
/// [`Error::Device`] naming the operation, the shape and the numbers that differ; errors of the backend.
pub fn check<B: Backend>(backend: &B, tolerance: Tolerance, seed: u64, rounds: u64) -> Result<()> {
    for round in 0..rounds {
        let mut case = Case {
            backend,
            tolerance,
            random: Random(seed.wrapping_mul(0x9e37_79b9).wrapping_add(round + 1)),
            about: format!("seed {seed}, round {round}"),
        };
        case.embed()?;
        case.linear()?;
        case.gated()?;
        case.rows()?;
        case.attention()?;
        case.pooling()?;
        case.splade()?;
        case.max_sim()?;
    }
    Ok(())
}

/// A stream of random numbers (SplitMix64: Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// About normal, of variance 1.
    fn number(&mut self) -> f32 {
        let sum: f32 = (0..4)
            .map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32)
            .sum();
        (sum - 2.0) * 3.0_f32.sqrt()
    }

    fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number()).collect()
    }

    /// A size near those that kernels work in.
    fn size(&mut self) -> usize {
        let near = self.choose(&[1, 6, 14, 16, 32, 64, 96, 128]);
        (near + self.below(5)).saturating_sub(2).max(1)
    }

    fn starts(&mut self, allows_empty: bool) -> Vec<u32> {
        let mut starts = vec![0_u32];
        for _ in 0..=self.below(4) {
            let length = if allows_empty && self.below(6) == 0 {
                0
            } else {
                self.size()
            };
            let last = starts.last().copied().unwrap_or(0);
            starts.push(last + length as u32);
        }
        starts
    }
}

struct Case<'a, B: Backend> {
    backend: &'a B,
    tolerance: Tolerance,
    random: Random,
    about: String,
}

impl<B: Backend> Case<'_, B> {
    fn compare(&self, what: &str, found: &[f32], expected: &[f32]) -> Result<()> {
        let size = expected
            .iter()
            .fold(1.0_f32, |size, value| size.max(value.abs()));
        let bound = self.tolerance.difference * size;
        let fits = found.len() == expected.len();
        let worst = found.iter().zip(expected).position(|(found, expected)| {
            let difference = (found - expected).abs();
            difference.is_nan() || difference > bound
        });
        let message = match worst {
            None if fits => return Ok(()),
            None => format!("expected {} numbers, found {}", expected.len(), found.len()),
            Some(place) => format!(
                "number {place} of {}: expected {} within {bound}, found {}",
                found.len(),
                expected[place],
                found[place]
            ),
        };
        let name = self.backend.name();
        let message = format!("{name}: {what} ({}): {message}", self.about);
        Err(Error::device(message))
    }

    fn same(
        &self,
        what: &str,
        found: &B::Tensor,
        expected: &<Reference as Backend>::Tensor,
    ) -> Result<()> {
        let (found_shape, expected_shape) = (self.backend.shape(found), Reference.shape(expected));
        let what = format!("{what}, {expected_shape:?}");
        if found_shape != expected_shape {
            return Err(Error::device(format!(
                "{what}: found shape {found_shape:?}"
            )));
        }
        self.compare(
            &what,
            &self.backend.values(found)?,
            &Reference.values(expected)?,
        )
    }

    /// Numbers for a linear layer: those that the backend gets, and what its products see of them.
    fn factors(&mut self, count: usize, scale: f32) -> (Vec<f32>, Vec<f32>) {
        let given: Vec<f32> = self
            .random
            .numbers(count)
            .iter()
            .map(|x| x * scale)
            .collect();
        let seen = match self.tolerance.is_bf16 {
            true => given
                .iter()
                .map(|x| half::bf16::from_f32(*x).to_f32())
                .collect(),
            false => given.clone(),
        };
        (given, seen)
    }

    fn embed(&mut self) -> Result<()> {
        let (rows, columns) = (self.random.size(), self.random.size());
        let count = 1 + self.random.below(3);
        let tables: Vec<_> = (0..count)
            .map(|_| {
                let table_rows = self.random.size();
                let numbers = self.random.numbers(table_rows * columns);
                let ids: Vec<u32> = (0..rows)
                    .map(|_| self.random.below(table_rows) as u32)
                    .collect();
                (table_rows, numbers, ids)
            })
            .collect();
        let mut ours = Vec::new();
        let mut plain = Vec::new();
        for (rows, numbers, _) in &tables {
            ours.push(self.backend.table(*rows, columns, numbers)?);
            plain.push(Reference.table(*rows, columns, numbers)?);
        }
        let parts: Vec<_> = ours
            .iter()
            .zip(&tables)
            .map(|(table, (_, _, ids))| (table, &ids[..]))
            .collect();
        let plain_parts: Vec<_> = plain
            .iter()
            .zip(&tables)
            .map(|(table, (_, _, ids))| (table, &ids[..]))
            .collect();
        let (weight, bias) = (self.random.numbers(columns), self.random.numbers(columns));
        let (w, b) = (self.backend.vector(&weight)?, self.backend.vector(&bias)?);
        let norm = Norm::Layer {
            weight: &w,
            bias: &b,
            epsilon: 1e-5,
        };
        let plain_norm = Norm::Layer {
            weight: &weight,
            bias: &bias,
            epsilon: 1e-5,
        };
        let is_normed = self.random.below(2) == 0 && columns > 1;
        let found = self.backend.embed(&parts, is_normed.then_some(&norm))?;
        let expected = Reference.embed(&plain_parts, is_normed.then_some(&plain_norm))?;
        self.same("embed", &found, &expected)
    }

    fn linear(&mut self) -> Result<()> {
        let (rows, inputs, outputs) = (
            self.random.size() + self.random.below(2) * 300,
            self.random.size(),
            self.random.size(),
        );
        let (x, seen_x) = self.factors(rows * inputs, 1.0);
        let (weight, seen_weight) = self.factors(outputs * inputs, 1.0 / (inputs as f32).sqrt());
        let bias = self.random.numbers(outputs);
        let residual = self.random.numbers(rows * outputs);
        let scale = self.random.numbers(outputs);

        let (ours_x, plain_x) = (
            self.backend.tensor(rows, inputs, &x)?,
            Reference.tensor(rows, inputs, &seen_x)?,
        );
        let (ours_w, plain_w) = (
            self.backend.matrix(outputs, inputs, &weight)?,
            Reference.matrix(outputs, inputs, &seen_weight)?,
        );
        let ours_b = self.backend.vector(&bias)?;
        let has_bias = self.random.below(2) == 0;
        let ours = Linear {
            weight: &ours_w,
            bias: has_bias.then_some(&ours_b),
        };
        let plain = Linear {
            weight: &plain_w,
            bias: has_bias.then_some(&bias),
        };
        for activation in [
            Activation::Identity,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Relu,
            Activation::Silu,
            Activation::Tanh,
        ] {
            let found = self.backend.linear(&ours_x, &ours, activation)?;
            let expected = Reference.linear(&plain_x, &plain, activation)?;
            self.same(
                &format!("linear {activation:?} of {inputs} inputs"),
                &found,
                &expected,
            )?;
        }
        let (ours_r, plain_r) = (
            self.backend.tensor(rows, outputs, &residual)?,
            Reference.tensor(rows, outputs, &residual)?,
        );
        let ours_s = self.backend.vector(&scale)?;
        let norm = Norm::RootMeanSquare {
            weight: &ours_s,
            epsilon: 1e-4,
        };
        let plain_norm = Norm::RootMeanSquare {
            weight: &scale,
            epsilon: 1e-4,
        };
        let is_normed = self.random.below(2) == 0;
        let found = self
            .backend
            .linear_add(&ours_x, &ours, &ours_r, is_normed.then_some(&norm))?;
        let expected =
            Reference.linear_add(&plain_x, &plain, &plain_r, is_normed.then_some(&plain_norm))?;
        self.same("linear_add", &found, &expected)
    }

    fn gated(&mut self) -> Result<()> {
        let (rows, inputs, outputs) = (self.random.size(), self.random.size(), self.random.size());
        let (x, seen_x) = self.factors(rows * inputs, 1.0);
        let scale = 1.0 / (inputs as f32).sqrt();
        let (gate, seen_gate) = self.factors(outputs * inputs, scale);
        let (up, seen_up) = self.factors(outputs * inputs, scale);
        let ours = (
            self.backend.tensor(rows, inputs, &x)?,
            self.backend.matrix(outputs, inputs, &gate)?,
            self.backend.matrix(outputs, inputs, &up)?,
        );
        let plain = (
            Reference.tensor(rows, inputs, &seen_x)?,
            Reference.matrix(outputs, inputs, &seen_gate)?,
            Reference.matrix(outputs, inputs, &seen_up)?,
        );
        let activation =
            self.random
                .choose(&[Activation::GeluTanh, Activation::Relu, Activation::Silu]);
        let found = self.backend.gated(
            &ours.0,
            &Linear {
                weight: &ours.1,
                bias: None,
            },
            &Linear {
                weight: &ours.2,
                bias: None,
            },
            activation,
        )?;
        let expected = Reference.gated(
            &plain.0,
            &Linear {
                weight: &plain.1,
                bias: None,
            },
            &Linear {
                weight: &plain.2,
                bias: None,
            },
            activation,
        )?;
        self.same("gated", &found, &expected)
    }

    /// Norms, sums, unit rows, neighbours.
    fn rows(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let (rows, columns) = (starts[starts.len() - 1] as usize, self.random.size() + 1);
        let (x, y) = (
            self.random.numbers(rows * columns),
            self.random.numbers(rows * columns),
        );
        let (weight, bias) = (self.random.numbers(columns), self.random.numbers(columns));
        let (ours_x, ours_y) = (
            self.backend.tensor(rows, columns, &x)?,
            self.backend.tensor(rows, columns, &y)?,
        );
        let (plain_x, plain_y) = (
            Reference.tensor(rows, columns, &x)?,
            Reference.tensor(rows, columns, &y)?,
        );
        let (w, b) = (self.backend.vector(&weight)?, self.backend.vector(&bias)?);
        let layer = Norm::Layer {
            weight: &w,
            bias: &b,
            epsilon: 1e-3,
        };
        let plain_layer = Norm::Layer {
            weight: &weight,
            bias: &bias,
            epsilon: 1e-3,
        };
        let root = Norm::RootMeanSquare {
            weight: &w,
            epsilon: 1e-6,
        };
        let plain_root = Norm::RootMeanSquare {
            weight: &weight,
            epsilon: 1e-6,
        };
        self.same(
            "layer norm",
            &self.backend.norm(&ours_x, &layer)?,
            &Reference.norm(&plain_x, &plain_layer)?,
        )?;
        self.same(
            "root mean square norm",
            &self.backend.norm(&ours_x, &root)?,
            &Reference.norm(&plain_x, &plain_root)?,
        )?;
        self.same(
            "add",
            &self.backend.add(&ours_x, &ours_y, None)?,
            &Reference.add(&plain_x, &plain_y, None)?,
        )?;
        self.same(
            "add and norm",
            &self.backend.add(&ours_x, &ours_y, Some(&layer))?,
            &Reference.add(&plain_x, &plain_y, Some(&plain_layer))?,
        )?;
        self.same(
            "unit rows",
            &self.backend.unit_rows(&ours_x)?,
            &Reference.unit_rows(&plain_x)?,
        )?;
        let width = self.random.choose(&[1, 3, 5]);
        self.same(
            "neighbours",
            &self.backend.neighbours(&ours_x, &starts, width)?,
            &Reference.neighbours(&plain_x, &starts, width)?,
        )
    }

    fn attention(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let rows = starts[starts.len() - 1] as usize;
        let (heads, head_size) = (
            1 + self.random.below(4),
            self.random.choose(&[8, 12, 16, 32, 40, 64, 80]),
        );
        let inner = heads * head_size;
        let x = self.random.numbers(rows * 3 * inner);
        let (ours_x, plain_x) = (
            self.backend.tensor(rows, 3 * inner, &x)?,
            Reference.tensor(rows, 3 * inner, &x)?,
        );
        let scale = 1.0 / (head_size as f32).sqrt();
        let buckets = 1 + self.random.below(40);
        let distances =
            Distances::new(200, |distance| (distance.rem_euclid(buckets as i64)) as u32);
        let table = self.random.numbers(buckets * heads);
        let ours_table = self.backend.vector(&table)?;
        let (keys, queries) = (
            self.random.numbers(buckets * inner),
            self.random.numbers(buckets * inner),
        );
        let (ours_k, ours_q) = (
            self.backend.tensor(buckets, inner, &keys)?,
            self.backend.tensor(buckets, inner, &queries)?,
        );
        let (plain_k, plain_q) = (
            Reference.tensor(buckets, inner, &keys)?,
            Reference.tensor(buckets, inner, &queries)?,
        );
        for kind in 0..5 {
            let (has_keys, has_queries) = (kind != 4, kind != 3);
            let positions = match kind {
                0 => Positions::Absolute,
                1 => Positions::Bias {
                    table: &ours_table,
                    distances: &distances,
                },
                _ => Positions::Disentangled {
                    keys: has_keys.then_some(&ours_k),
                    queries: has_queries.then_some(&ours_q),
                    distances: &distances,
                },
            };
            let plain_positions = match kind {
                0 => Positions::Absolute,
                1 => Positions::Bias {
                    table: &table,
                    distances: &distances,
                },
                _ => Positions::Disentangled {
                    keys: has_keys.then_some(&plain_k),
                    queries: has_queries.then_some(&plain_q),
                    distances: &distances,
                },
            };
            let found = self.backend.attention(&Attention {
                projections: &ours_x,
                starts: &starts,
                heads,
                head_size,
                scale,
                positions,
            })?;
            let expected = Reference.attention(&Attention {
                projections: &plain_x,
                starts: &starts,
                heads,
                head_size,
                scale,
                positions: plain_positions,
            })?;
            self.same(&format!("attention with positions of kind {kind}, starts {starts:?}, {heads} heads of {head_size}"), &found, &expected)?;
        }
        Ok(())
    }

    fn pooling(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let (rows, columns) = (starts[starts.len() - 1] as usize, self.random.size());
        let x = self.random.numbers(rows * columns);
        let (ours, plain) = (
            self.backend.tensor(rows, columns, &x)?,
            Reference.tensor(rows, columns, &x)?,
        );
        for pooling in [
            Pooling::First,
            Pooling::Last,
            Pooling::Mean,
            Pooling::MeanSqrt,
            Pooling::Max,
            Pooling::WeightedMean,
        ] {
            let found = self.backend.pool(&ours, &starts, pooling)?;
            self.same(
                &format!("pool {pooling:?}"),
                &found,
                &Reference.pool(&plain, &starts, pooling)?,
            )?;
        }
        Ok(())
    }

    fn splade(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let rows = starts[starts.len() - 1] as usize;
        let (inputs, terms) = (
            self.random.size(),
            self.random.size() * self.random.choose(&[1, 20]),
        );
        let (x, seen_x) = self.factors(rows * inputs, 1.0);
        let (weight, seen_weight) = self.factors(terms * inputs, 1.0 / (inputs as f32).sqrt());
        let bias = self.random.numbers(terms);
        let (ours_x, plain_x) = (
            self.backend.tensor(rows, inputs, &x)?,
            Reference.tensor(rows, inputs, &seen_x)?,
        );
        let (ours_w, plain_w) = (
            self.backend.matrix(terms, inputs, &weight)?,
            Reference.matrix(terms, inputs, &seen_weight)?,
        );
        let ours_b = self.backend.vector(&bias)?;
        let has_bias = self.random.below(4) > 0;
        let ours = Linear {
            weight: &ours_w,
            bias: has_bias.then_some(&ours_b),
        };
        let plain = Linear {
            weight: &plain_w,
            bias: has_bias.then_some(&bias),
        };
        for activation in [
            SpladeActivation::Log1pRelu,
            SpladeActivation::Log1pLog1pRelu,
        ] {
            for pooling in [SpladePooling::Max, SpladePooling::Sum] {
                let found = self
                    .backend
                    .splade(&ours_x, &starts, &ours, activation, pooling)?;
                let expected = Reference.splade(&plain_x, &starts, &plain, activation, pooling)?;
                let what = format!(
                    "splade {activation:?} {pooling:?}, starts {starts:?}, {inputs} inputs, {terms} terms"
                );
                if let Some(vector) = found.iter().find(|vector| {
                    !vector.is_sorted_by(|a, b| a.0 < b.0)
                        || vector.iter().any(|(_, weight)| *weight <= 0.0)
                }) {
                    return Err(Error::device(format!(
                        "{what}: expected ascending terms with weights above 0, found {vector:?}"
                    )));
                }
                self.compare(&what, &whole(&found, terms), &whole(&expected, terms))?;
            }
        }
        Ok(())
    }

    fn max_sim(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let (rows, columns, queries) = (
            starts[starts.len() - 1] as usize,
            self.random.size(),
            self.random.size(),
        );
        let (x, y) = (
            self.random.numbers(rows * columns),
            self.random.numbers(queries * columns),
        );
        let found = self.backend.max_sim(
            &self.backend.tensor(queries, columns, &y)?,
            &self.backend.tensor(rows, columns, &x)?,
            &starts,
        )?;
        let expected = Reference.max_sim(
            &Reference.tensor(queries, columns, &y)?,
            &Reference.tensor(rows, columns, &x)?,
            &starts,
        )?;
        self.compare("max_sim", &found, &expected)
    }
}

/// Sparse vectors with all their zeros.
fn whole(vectors: &[SparseVector], terms: usize) -> Vec<f32> {
    let mut numbers = vec![0.0; vectors.len() * terms];
    for (vector, numbers) in vectors.iter().zip(numbers.chunks_exact_mut(terms)) {
        for (term, weight) in vector {
            numbers[*term as usize] = *weight;
        }
    }
    numbers
}
