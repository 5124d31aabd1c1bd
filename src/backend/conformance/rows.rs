//! Row-wise operations: embedding, norms, sums, L2 normalization, im2col.

use super::Case;
use crate::backend::{Backend, Device, ForwardOps, Norm, Reference};
use crate::error::Result;

/// The norm behind an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NormKind {
    None,
    Layer,
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "a wide case"))]
    RootMeanSquare,
}

impl<B: Backend> Case<'_, B> {
    pub(super) fn embed(&mut self) -> Result<()> {
        let (rows, columns) = (self.random.size(), self.random.size());
        let count = 1 + self.random.below(3);
        let norm = self.random.choose(&[NormKind::None, NormKind::Layer]);
        self.embed_of(rows, columns, count, norm)
    }

    /// Sums of `count` tables.
    pub(super) fn embed_of(
        &mut self,
        rows: usize,
        columns: usize,
        count: usize,
        norm_kind: NormKind,
    ) -> Result<()> {
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
        let epsilon = 1e-5;
        // The variance of one value is 0.
        let (norm, ref_norm) = match norm_kind {
            NormKind::Layer if columns > 1 => (
                Some(Norm::Layer {
                    weight: &w,
                    bias: &b,
                    epsilon,
                }),
                Some(Norm::Layer {
                    weight: &weight,
                    bias: &bias,
                    epsilon,
                }),
            ),
            NormKind::RootMeanSquare => (
                Some(Norm::RootMeanSquare {
                    weight: &w,
                    epsilon,
                }),
                Some(Norm::RootMeanSquare {
                    weight: &weight,
                    epsilon,
                }),
            ),
            NormKind::None | NormKind::Layer => (None, None),
        };
        self.begin(
            format!("embed, {count} tables, norm {norm_kind:?}"),
            &format!("{rows} × {columns}"),
        );
        let found = self.backend.embed(&parts, norm.as_ref())?;
        let expected = Reference.embed(&ref_parts, ref_norm.as_ref())?;
        self.same(&found, &expected)
    }

    /// Norms, sums, L2 normalization, im2col.
    pub(super) fn rows(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let columns = self.random.size() + 1;
        self.rows_of(&starts, columns)
    }

    pub(super) fn rows_of(&mut self, starts: &[u32], columns: usize) -> Result<()> {
        let rows = starts[starts.len() - 1] as usize;
        let shape = format!("{rows} × {columns}, starts {starts:?}");
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
        self.begin("layer norm", &shape);
        let found = self.backend.norm(&ours_x, &layer)?;
        self.same(&found, &Reference.norm(&ref_x, &ref_layer)?)?;
        self.begin("root mean square norm", &shape);
        let found = self.backend.norm(&ours_x, &root)?;
        self.same(&found, &Reference.norm(&ref_x, &ref_root)?)?;
        self.begin("add", &shape);
        let found = self.backend.add(&ours_x, &ours_y, None)?;
        self.same(&found, &Reference.add(&ref_x, &ref_y, None)?)?;
        self.begin("add and norm", &shape);
        let found = self.backend.add(&ours_x, &ours_y, Some(&layer))?;
        self.same(&found, &Reference.add(&ref_x, &ref_y, Some(&ref_layer))?)?;
        self.begin("l2_normalize", &shape);
        let found = self.backend.l2_normalize(&ours_x)?;
        self.same(&found, &Reference.l2_normalize(&ref_x)?)?;
        let width = self.random.choose(&[1, 3, 5]);
        self.begin(format!("im2col, width {width}"), &shape);
        let found = self.backend.im2col(&ours_x, starts, width)?;
        self.same(&found, &Reference.im2col(&ref_x, starts, width)?)
    }
}
