//! Value-wise operations, norms, pooling, im2col, tables.

use super::Pair;
use crate::backend::conformance::Case;
use crate::backend::{Activation, BackwardOps, Device, Norm, NormGradients, Pooling, Reference};
use crate::error::Result;

const ACTIVATIONS: [Activation; 6] = [
    Activation::Identity,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Silu,
    Activation::Tanh,
];
const POOLINGS: [Pooling; 6] = [
    Pooling::First,
    Pooling::Last,
    Pooling::Mean,
    Pooling::MeanSqrt,
    Pooling::Max,
    Pooling::WeightedMean,
];

impl<B: BackwardOps> Case<'_, B> {
    pub(super) fn elements(&mut self) -> Result<()> {
        let (rows, columns) = (self.random.size(), self.random.size());
        self.elements_of(rows, columns)
    }

    pub(in crate::backend::conformance) fn elements_of(
        &mut self,
        rows: usize,
        columns: usize,
    ) -> Result<()> {
        let [x, y] = [self.pair(rows, columns)?, self.pair(rows, columns)?];
        self.elements_of_pairs(&x, &y, &format!("{rows} × {columns}"))?;
        let rows = rows.min(20);
        let [x, y] = [self.pooled_pair(rows, columns)?, self.pair(rows, columns)?];
        self.elements_of_pairs(&x, &y, &format!("{rows} × {columns}, pooled"))
    }

    fn elements_of_pairs(&mut self, x: &Pair<B>, y: &Pair<B>, shape: &str) -> Result<()> {
        for activation in ACTIVATIONS {
            self.begin(format!("activate {activation:?}"), shape);
            let found = self.backend.activate(&x.ours, activation)?;
            self.same(&found, &Reference.activate(&x.reference, activation)?)?;
            self.begin(format!("activate_backward {activation:?}"), shape);
            let (ours, reference) = (&y.ours, &y.reference);
            let found = self.backend.activate_backward(&x.ours, activation, ours)?;
            let expected = Reference.activate_backward(&x.reference, activation, reference)?;
            self.same(&found, &expected)?;
        }
        self.begin("multiply", shape);
        let found = self.backend.multiply(&x.ours, &y.ours)?;
        self.same(&found, &Reference.multiply(&x.reference, &y.reference)?)?;
        let (rate, seed) = (self.random.choose(&[0.0, 0.1, 0.75]), self.random.next());
        self.begin(format!("dropout, rate {rate}, seed {seed}"), shape);
        let found = self.backend.dropout(&x.ours, rate, seed)?;
        let expected = Reference.dropout(&x.reference, rate, seed)?;
        self.same(&found, &expected)?;
        let zeros = |values: Vec<f32>| values.iter().map(|x| *x == 0.0).collect::<Vec<_>>();
        match zeros(self.backend.values(&found)?) == zeros(Reference.values(&expected)?) {
            true => Ok(()),
            false => self.fail("expected zeros in other places"),
        }
    }

    pub(super) fn norm_gradients(&mut self) -> Result<()> {
        // The variance of one value is 0.
        let columns = self.random.size() + 1;
        let rows = self.random.size();
        self.norm_gradients_of(rows, columns)
    }

    pub(in crate::backend::conformance) fn norm_gradients_of(
        &mut self,
        rows: usize,
        columns: usize,
    ) -> Result<()> {
        let shape = format!("{rows} × {columns}");
        let [x, dy] = [self.pair(rows, columns)?, self.pair(rows, columns)?];
        let (weight, bias) = (self.random.values(columns), self.random.values(columns));
        let (w, b) = (self.backend.vector(&weight)?, self.backend.vector(&bias)?);
        let epsilon = 1e-3;
        let (layer, root) = (
            Norm::Layer {
                weight: &w,
                bias: &b,
                epsilon,
            },
            Norm::RootMeanSquare {
                weight: &w,
                epsilon,
            },
        );
        let (ref_layer, ref_root) = (
            Norm::Layer {
                weight: &weight,
                bias: &bias,
                epsilon,
            },
            Norm::RootMeanSquare {
                weight: &weight,
                epsilon,
            },
        );
        for (what, ours, reference) in [
            ("layer norm", &layer, &ref_layer),
            ("root mean square norm", &root, &ref_root),
        ] {
            self.begin(format!("{what} backward"), &shape);
            let [mut of_weight, mut of_bias] = [self.gradient(columns)?, self.gradient(columns)?];
            let has_bias = what == "layer norm";
            let gradients = NormGradients {
                weight: &mut of_weight.ours,
                bias: has_bias.then_some(&mut of_bias.ours),
            };
            let found = self
                .backend
                .norm_backward(&x.ours, ours, &dy.ours, gradients)?;
            let gradients = NormGradients {
                weight: &mut of_weight.reference,
                bias: has_bias.then_some(&mut of_bias.reference),
            };
            let expected =
                Reference.norm_backward(&x.reference, reference, &dy.reference, gradients)?;
            self.same(&found, &expected)?;
            self.same_gradient(&of_weight)?;
            self.same_gradient(&of_bias)?;
        }
        self.begin("l2_normalize backward", &shape);
        let found = self.backend.l2_normalize_backward(&x.ours, &dy.ours)?;
        let expected = Reference.l2_normalize_backward(&x.reference, &dy.reference)?;
        self.same(&found, &expected)
    }

    pub(super) fn sequence_gradients(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let columns = self.random.size();
        self.sequence_gradients_of(&starts, columns)
    }

    pub(in crate::backend::conformance) fn sequence_gradients_of(
        &mut self,
        starts: &[u32],
        columns: usize,
    ) -> Result<()> {
        let rows = starts[starts.len() - 1] as usize;
        let shape = format!("starts {starts:?}, {columns} columns");
        let [x, dy] = [
            self.pair(rows, columns)?,
            self.pooled_pair(starts.len() - 1, columns)?,
        ];
        for pooling in POOLINGS {
            self.begin(format!("pool {pooling:?} backward"), &shape);
            let found = self
                .backend
                .pool_backward(&x.ours, starts, pooling, &dy.ours)?;
            let expected = Reference.pool_backward(&x.reference, starts, pooling, &dy.reference)?;
            self.same(&found, &expected)?;
        }
        let width = self.random.choose(&[1, 3, 5]);
        let dy = self.pair(rows, width * columns)?;
        self.begin(format!("im2col backward, width {width}"), &shape);
        let found = self.backend.im2col_backward(&dy.ours, starts, width)?;
        let expected = Reference.im2col_backward(&dy.reference, starts, width)?;
        self.same(&found, &expected)
    }

    pub(super) fn table_gradients(&mut self) -> Result<()> {
        let (rows, columns) = (self.random.size(), self.random.size());
        let rows = rows + 600 * self.random.below(2);
        self.table_gradients_of(rows, columns)
    }

    /// The gradients of two tables: of one few rows are frequent, of the other most rows are rare.
    pub(in crate::backend::conformance) fn table_gradients_of(
        &mut self,
        rows: usize,
        columns: usize,
    ) -> Result<()> {
        let shape = format!("{rows} × {columns}");
        let dy = self.pair(rows, columns)?;
        let sizes = [2, 1_000];
        let [first, second] = sizes.map(|size| {
            let id = |_| self.random.below(size) as u32;
            (0..rows).map(id).collect::<Vec<u32>>()
        });
        self.begin("embed backward", &shape);
        let [mut a, mut b] = [
            self.gradient(sizes[0] * columns)?,
            self.gradient(sizes[1] * columns)?,
        ];
        let mut parts = [(&mut a.ours, &first[..]), (&mut b.ours, &second[..])];
        self.backend.embed_backward(&mut parts, &dy.ours)?;
        let mut parts = [
            (&mut a.reference, &first[..]),
            (&mut b.reference, &second[..]),
        ];
        Reference.embed_backward(&mut parts, &dy.reference)?;
        self.same_gradient(&a)?;
        self.same_gradient(&b)
    }
}
