//! Operations over the tokens of a sequence: attention, pooling, late interaction; and nearest
//! neighbor search.

use super::Case;
use crate::backend::{
    Attention, Backend, Device, Distances, ForwardOps, Pooling, Positions, Reference,
};
use crate::error::Result;

impl<B: Backend> Case<'_, B> {
    pub(super) fn attention(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let rows = starts[starts.len() - 1] as usize;
        let (heads, head_size) = (
            1 + self.random.below(4),
            self.random.choose(&[8, 12, 16, 32, 40, 64, 80]),
        );
        let inner = heads * head_size;
        let x = self.stored(rows * 3 * inner);
        let (ours_x, ref_x) = (
            self.backend.tensor(rows, 3 * inner, &x)?,
            Reference.tensor(rows, 3 * inner, &x)?,
        );
        let scale = 1.0 / (head_size as f32).sqrt();
        let buckets = 1 + self.random.below(40);
        let distances =
            Distances::new(200, |distance| (distance.rem_euclid(buckets as i64)) as u32);
        let table = self.random.values(buckets * heads);
        let ours_table = self.backend.vector(&table)?;
        let (keys, queries) = (self.stored(buckets * inner), self.stored(buckets * inner));
        let (ours_k, ours_q) = (
            self.backend.tensor(buckets, inner, &keys)?,
            self.backend.tensor(buckets, inner, &queries)?,
        );
        let (ref_k, ref_q) = (
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
            let ref_positions = match kind {
                0 => Positions::Absolute,
                1 => Positions::Bias {
                    table: &table,
                    distances: &distances,
                },
                _ => Positions::Disentangled {
                    keys: has_keys.then_some(&ref_k),
                    queries: has_queries.then_some(&ref_q),
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
                projections: &ref_x,
                starts: &starts,
                heads,
                head_size,
                scale,
                positions: ref_positions,
            })?;
            self.same(&format!("attention with positions of kind {kind}, starts {starts:?}, {heads} heads of {head_size}"), &found, &expected)?;
        }
        Ok(())
    }

    pub(super) fn pooling(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let (rows, columns) = (starts[starts.len() - 1] as usize, self.random.size());
        let x = self.stored(rows * columns);
        let (ours, reference) = (
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
                &Reference.pool(&reference, &starts, pooling)?,
            )?;
        }
        Ok(())
    }

    pub(super) fn max_sim(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let (rows, columns, queries) = (
            starts[starts.len() - 1] as usize,
            self.random.size(),
            self.random.size(),
        );
        let (x, y) = (self.stored(rows * columns), self.stored(queries * columns));
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

    pub(super) fn nearest(&mut self) -> Result<()> {
        let (queries, columns) = (self.random.size().min(9), self.random.size());
        let count = self.random.choose(&[0, 1, 40, 700]);
        let (x, y) = (self.stored(queries * columns), self.stored(count * columns));
        let k = 1 + self.random.below(100);
        let found = self.backend.nearest(
            &self.backend.tensor(queries, columns, &x)?,
            &self.backend.tensor(count, columns, &y)?,
            k,
        )?;
        let expected = Reference.nearest(
            &Reference.tensor(queries, columns, &x)?,
            &Reference.tensor(count, columns, &y)?,
            k,
        )?;
        // Vectors whose scores differ by less than the rounding may swap places, so compare the
        // scores, and check that each score belongs to its vector.
        let of = |list: &[(u32, f32)]| list.iter().map(|(_, score)| *score).collect::<Vec<_>>();
        for (query, (found, expected)) in found.iter().zip(&expected).enumerate() {
            self.compare("nearest", &of(found), &of(expected))?;
            let score = |value: u32| {
                let row = &y[value as usize * columns..][..columns];
                let products = x[query * columns..].iter().zip(row);
                products.map(|(a, b)| f64::from(a * b)).sum::<f64>() as f32
            };
            let own: Vec<_> = found.iter().map(|(value, _)| score(*value)).collect();
            self.compare("scores of the nearest", &of(found), &own)?;
        }
        Ok(())
    }
}
