//! Row-wise operations: embedding, norms, sums, L2 normalization, im2col.

use super::Case;
use crate::backend::{Backend, Device, ForwardOps, Norm, Reference};
use crate::error::Result;

impl<B: Backend> Case<'_, B> {
    pub(super) fn embed(&mut self) -> Result<()> {
        let (rows, columns) = (self.random.size(), self.random.size());
        let count = 1 + self.random.below(3);
        let tables: Vec<_> = (0..count)
            .map(|_| {
                let table_rows = self.random.size();
                let values = self.stored(table_rows * columns);
                let ids: Vec<u32> = (0..rows)
                    .map(|_| self.random.below(table_rows) as u32)
                    .collect();
                (table_rows, values, ids)
            })
            .collect();
        let mut ours = Vec::new();
        let mut reference = Vec::new();
        for (rows, values, _) in &tables {
            ours.push(self.backend.table(*rows, columns, values)?);
            reference.push(Reference.table(*rows, columns, values)?);
        }
        let parts: Vec<_> = ours
            .iter()
            .zip(&tables)
            .map(|(table, (_, _, ids))| (table, &ids[..]))
            .collect();
        let ref_parts: Vec<_> = reference
            .iter()
            .zip(&tables)
            .map(|(table, (_, _, ids))| (table, &ids[..]))
            .collect();
        let (weight, bias) = (self.random.values(columns), self.random.values(columns));
        let (w, b) = (self.backend.vector(&weight)?, self.backend.vector(&bias)?);
        let norm = Norm::Layer {
            weight: &w,
            bias: &b,
            epsilon: 1e-5,
        };
        let ref_norm = Norm::Layer {
            weight: &weight,
            bias: &bias,
            epsilon: 1e-5,
        };
        let is_normed = self.random.below(2) == 0 && columns > 1;
        let found = self.backend.embed(&parts, is_normed.then_some(&norm))?;
        let expected = Reference.embed(&ref_parts, is_normed.then_some(&ref_norm))?;
        self.same("embed", &found, &expected)
    }

    /// Norms, sums, L2 normalization, im2col.
    pub(super) fn rows(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let (rows, columns) = (starts[starts.len() - 1] as usize, self.random.size() + 1);
        let (x, y) = (self.stored(rows * columns), self.stored(rows * columns));
        let (weight, bias) = (self.random.values(columns), self.random.values(columns));
        let (ours_x, ours_y) = (
            self.backend.tensor(rows, columns, &x)?,
            self.backend.tensor(rows, columns, &y)?,
        );
        let (ref_x, ref_y) = (
            Reference.tensor(rows, columns, &x)?,
            Reference.tensor(rows, columns, &y)?,
        );
        let (w, b) = (self.backend.vector(&weight)?, self.backend.vector(&bias)?);
        let layer = Norm::Layer {
            weight: &w,
            bias: &b,
            epsilon: 1e-3,
        };
        let ref_layer = Norm::Layer {
            weight: &weight,
            bias: &bias,
            epsilon: 1e-3,
        };
        let root = Norm::RootMeanSquare {
            weight: &w,
            epsilon: 1e-6,
        };
        let ref_root = Norm::RootMeanSquare {
            weight: &weight,
            epsilon: 1e-6,
        };
        self.same(
            "layer norm",
            &self.backend.norm(&ours_x, &layer)?,
            &Reference.norm(&ref_x, &ref_layer)?,
        )?;
        self.same(
            "root mean square norm",
            &self.backend.norm(&ours_x, &root)?,
            &Reference.norm(&ref_x, &ref_root)?,
        )?;
        self.same(
            "add",
            &self.backend.add(&ours_x, &ours_y, None)?,
            &Reference.add(&ref_x, &ref_y, None)?,
        )?;
        self.same(
            "add and norm",
            &self.backend.add(&ours_x, &ours_y, Some(&layer))?,
            &Reference.add(&ref_x, &ref_y, Some(&ref_layer))?,
        )?;
        self.same(
            "unit rows",
            &self.backend.l2_normalize(&ours_x)?,
            &Reference.l2_normalize(&ref_x)?,
        )?;
        let width = self.random.choose(&[1, 3, 5]);
        self.same(
            "neighbours",
            &self.backend.im2col(&ours_x, &starts, width)?,
            &Reference.im2col(&ref_x, &starts, width)?,
        )
    }
}
