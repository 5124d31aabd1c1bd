//! The weights of linear layers, and attention.

use crate::backend::conformance::Case;
use crate::backend::{
    Attention, BackwardOps, Distances, LinearPart, PositionGradients, Positions, Reference,
};
use crate::error::Result;

/// The kinds of positions of attention: which bucket vectors disentangled ones have.
const POSITIONS: [(&str, bool, bool); 5] = [
    ("absolute positions", false, false),
    ("a bias", false, false),
    ("keys and queries of buckets", true, true),
    ("keys of buckets", true, false),
    ("queries of buckets", false, true),
];

/// The bound on the error of a bias of distances, in multiples of the backend's: it is a sum over all
/// pairs of tokens of slopes with both signs, each of which is rounded like an activation.
const BIAS_ERRORS: f32 = 5.0;

impl<B: BackwardOps> Case<'_, B> {
    pub(super) fn weight_gradients(&mut self) -> Result<()> {
        let rows = self.random.size() + 300 * self.random.below(2);
        let inputs = self.random.size();
        let count = 1 + self.random.below(3);
        let outputs: Vec<usize> = (0..count).map(|_| self.random.size()).collect();
        self.weight_gradients_of(rows, inputs, &outputs)
    }

    /// The gradients of a layer that stacks the weights of parts of these outputs; every second part
    /// has a bias.
    pub(in crate::backend::conformance) fn weight_gradients_of(
        &mut self,
        rows: usize,
        inputs: usize,
        outputs: &[usize],
    ) -> Result<()> {
        let shape = format!("{rows} rows, {inputs} inputs, outputs {outputs:?}");
        self.begin("linear_weight_backward", &shape);
        let (x, dy) = (
            self.pair(rows, inputs)?,
            self.pair(rows, outputs.iter().sum())?,
        );
        let mut parts = Vec::new();
        for (place, outputs) in outputs.iter().enumerate() {
            let bias = match place % 2 {
                0 => Some(self.gradient(*outputs)?),
                _ => None,
            };
            parts.push((*outputs, self.gradient(outputs * inputs)?, bias));
        }
        let mut ours: Vec<_> = parts
            .iter_mut()
            .map(|(outputs, weight, bias)| LinearPart {
                outputs: *outputs,
                weight: &mut weight.ours,
                bias: bias.as_mut().map(|bias| &mut bias.ours),
            })
            .collect();
        self.backend
            .linear_weight_backward(&x.ours, &dy.ours, &mut ours)?;
        let mut reference: Vec<_> = parts
            .iter_mut()
            .map(|(outputs, weight, bias)| LinearPart {
                outputs: *outputs,
                weight: &mut weight.reference,
                bias: bias.as_mut().map(|bias| &mut bias.reference),
            })
            .collect();
        Reference.linear_weight_backward(&x.reference, &dy.reference, &mut reference)?;
        for (_, weight, bias) in &parts {
            self.same_gradient(weight)?;
            if let Some(bias) = bias {
                self.same_gradient(bias)?;
            }
        }
        Ok(())
    }

    pub(super) fn attention_gradients(&mut self) -> Result<()> {
        let mut starts = self.random.starts(true);
        starts.truncate(4);
        let heads = 1 + self.random.below(2);
        let head_size = self.random.choose(&[8, 12, 16, 32, 40, 64, 80]);
        self.attention_gradients_of(&starts, heads, head_size)
    }

    /// The gradients of attention with every kind of positions.
    pub(in crate::backend::conformance) fn attention_gradients_of(
        &mut self,
        starts: &[u32],
        heads: usize,
        head_size: usize,
    ) -> Result<()> {
        let rows = starts[starts.len() - 1] as usize;
        let inner = heads * head_size;
        let (x, dy) = (self.pair(rows, 3 * inner)?, self.pair(rows, inner)?);
        let buckets = 1 + self.random.below(40);
        let distances = Distances::new(200, |distance| distance.rem_euclid(buckets as i64) as u32);
        let table = self.random.values(buckets * heads);
        let ours_table = self.backend.vector(&table)?;
        let keys = self.pair(buckets, inner)?;
        let queries = self.pair(buckets, inner)?;
        for (kind, (name, has_keys, has_queries)) in POSITIONS.into_iter().enumerate() {
            let shape = format!("starts {starts:?}, {heads} heads of {head_size}");
            self.begin(format!("attention_backward with {name}"), &shape);
            let mut bias = self.gradient(table.len())?;
            let distances = &distances;
            let positions = match kind {
                0 => Positions::Absolute,
                1 => Positions::Bias {
                    table: &ours_table,
                    distances,
                },
                _ => Positions::Disentangled {
                    keys: has_keys.then_some(&keys.ours),
                    queries: has_queries.then_some(&queries.ours),
                    distances,
                },
            };
            let gradients = match kind {
                0 => PositionGradients::Absolute,
                1 => PositionGradients::Bias(&mut bias.ours),
                _ => PositionGradients::Disentangled,
            };
            let scale = 1.0 / (head_size as f32).sqrt();
            let attention = Attention {
                projections: &x.ours,
                starts,
                heads,
                head_size,
                scale,
                positions,
            };
            let found = self
                .backend
                .attention_backward(&attention, &dy.ours, gradients)?;
            let positions = match kind {
                0 => Positions::Absolute,
                1 => Positions::Bias {
                    table: &table,
                    distances,
                },
                _ => Positions::Disentangled {
                    keys: has_keys.then_some(&keys.reference),
                    queries: has_queries.then_some(&queries.reference),
                    distances,
                },
            };
            let gradients = match kind {
                0 => PositionGradients::Absolute,
                1 => PositionGradients::Bias(&mut bias.reference),
                _ => PositionGradients::Disentangled,
            };
            let attention = Attention {
                projections: &x.reference,
                starts,
                heads,
                head_size,
                scale,
                positions,
            };
            let expected = Reference.attention_backward(&attention, &dy.reference, gradients)?;
            self.same(&found.projections, &expected.projections)?;
            for (found, expected) in [
                (&found.position_keys, &expected.position_keys),
                (&found.position_queries, &expected.position_queries),
            ] {
                match (found, expected) {
                    (Some(found), Some(expected)) => self.same(found, expected)?,
                    (None, None) => {}
                    _ => self.fail("expected gradients of the vectors that there are")?,
                }
            }
            self.same_gradient_within(&bias, BIAS_ERRORS * self.tolerance.max_error)?;
        }
        Ok(())
    }
}
