//! Operations over the tokens of a sequence: attention, pooling, late interaction; and nearest
//! neighbor search.

use super::Case;
use crate::backend::{
    Attention, Backend, CrossAttention, Device, Distances, ForwardOps, Pooling, Positions,
    Reference,
};
use crate::error::Result;

/// The kinds of positions that attention is checked with.
const POSITIONS: [&str; 5] = [
    "absolute positions",
    "a bias",
    "keys and queries of buckets",
    "keys of buckets",
    "queries of buckets",
];

impl<B: Backend> Case<'_, B> {
    pub(super) fn attention(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let heads = 1 + self.random.below(4);
        let head_size = self.random.choose(&[8, 12, 16, 32, 40, 64, 80]);
        self.attention_of(&starts, heads, head_size)
    }

    /// Attention with every kind of positions.
    pub(super) fn attention_of(
        &mut self,
        starts: &[u32],
        heads: usize,
        head_size: usize,
    ) -> Result<()> {
        let rows = starts[starts.len() - 1] as usize;
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
        for (kind, name) in POSITIONS.into_iter().enumerate() {
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
            let operation = format!("attention with {name}");
            self.begin(
                operation,
                &format!("starts {starts:?}, {heads} heads of {head_size}"),
            );
            let found = self.backend.attention(&Attention {
                projections: &ours_x,
                starts,
                heads,
                head_size,
                scale,
                positions,
            })?;
            let expected = Reference.attention(&Attention {
                projections: &ref_x,
                starts,
                heads,
                head_size,
                scale,
                positions: ref_positions,
            })?;
            self.same(&found, &expected)?;
        }
        Ok(())
    }

    pub(super) fn cross_attention(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let heads = 1 + self.random.below(4);
        let head_size = self.random.choose(&[8, 12, 16, 32, 40, 64, 80]);
        self.cross_attention_of(&starts, heads, head_size)
    }

    pub(super) fn cross_attention_of(
        &mut self,
        starts: &[u32],
        heads: usize,
        head_size: usize,
    ) -> Result<()> {
        let (sequences, rows) = (starts.len() - 1, starts[starts.len() - 1] as usize);
        let inner = heads * head_size;
        self.begin(
            "cross-attention",
            &format!("starts {starts:?}, {heads} heads of {head_size}"),
        );
        let queries = self.stored(sequences * inner);
        let memory = self.stored(rows * 2 * inner);
        let scale = 1.0 / (head_size as f32).sqrt();
        let found = self.backend.cross_attention(&CrossAttention {
            queries: &self.backend.tensor(sequences, inner, &queries)?,
            memory: &self.backend.tensor(rows, 2 * inner, &memory)?,
            starts,
            heads,
            head_size,
            scale,
        })?;
        let expected = Reference.cross_attention(&CrossAttention {
            queries: &Reference.tensor(sequences, inner, &queries)?,
            memory: &Reference.tensor(rows, 2 * inner, &memory)?,
            starts,
            heads,
            head_size,
            scale,
        })?;
        self.same(&found, &expected)
    }

    pub(super) fn pooling(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let columns = self.random.size();
        self.pooling_of(&starts, columns)
    }

    pub(super) fn pooling_of(&mut self, starts: &[u32], columns: usize) -> Result<()> {
        let rows = starts[starts.len() - 1] as usize;
        let shape = format!("starts {starts:?}, {columns} columns");
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
            self.begin(format!("pool {pooling:?}"), &shape);
            let found = self.backend.pool(&ours, starts, pooling)?;
            self.same(&found, &Reference.pool(&reference, starts, pooling)?)?;
        }
        Ok(())
    }

    pub(super) fn max_sim(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let (columns, queries) = (self.random.size(), self.random.size());
        self.max_sim_of(&starts, columns, queries)
    }

    pub(super) fn max_sim_of(
        &mut self,
        starts: &[u32],
        columns: usize,
        queries: usize,
    ) -> Result<()> {
        let rows = starts[starts.len() - 1] as usize;
        self.begin(
            "max_sim",
            &format!("starts {starts:?}, {columns} columns, {queries} rows of the query"),
        );
        let (x, y) = (self.stored(rows * columns), self.stored(queries * columns));
        let found = self.backend.max_sim(
            &self.backend.tensor(queries, columns, &y)?,
            &self.backend.tensor(rows, columns, &x)?,
            starts,
        )?;
        let expected = Reference.max_sim(
            &Reference.tensor(queries, columns, &y)?,
            &Reference.tensor(rows, columns, &x)?,
            starts,
        )?;
        self.compare(&found, &expected)
    }

    pub(super) fn nearest(&mut self) -> Result<()> {
        let (queries, columns) = (self.random.size().min(9), self.random.size());
        let count = self.random.choose(&[0, 1, 40, 700]);
        let k = 1 + self.random.below(100);
        self.nearest_of([queries, columns, count], k, B::nearest)
    }

    /// The nearest vectors as `find` finds them, given a backend, queries, vectors and k.
    pub(super) fn nearest_of(
        &mut self,
        [queries, columns, count]: [usize; 3],
        k: usize,
        find: impl Fn(&B, &B::Tensor, &B::Tensor, usize) -> Result<Vec<Vec<(u32, f32)>>>,
    ) -> Result<()> {
        let (x, y) = (self.stored(queries * columns), self.stored(count * columns));
        self.begin(
            "nearest",
            &format!("{queries} queries, {count} vectors of {columns} columns, k {k}"),
        );
        let found = find(
            self.backend,
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
            self.compare(&of(found), &of(expected))?;
            let score = |value: u32| {
                let row = &y[value as usize * columns..][..columns];
                let products = x[query * columns..].iter().zip(row);
                products.map(|(a, b)| f64::from(a * b)).sum::<f64>() as f32
            };
            let own: Vec<_> = found.iter().map(|(value, _)| score(*value)).collect();
            self.compare(&of(found), &own)?;
        }
        Ok(())
    }
}
