//! The SPLADE head.

use crate::backend::conformance::Case;
use crate::backend::{
    Activation, BackwardOps, Device, ForwardOps, Linear, LinearPart, Orientation, Reference,
    SpladeActivation, SpladePooling, TermWeight, TrainedLinear,
};
use crate::error::Result;

/// The arguments of the head, drawn once for all activations and poolings.
struct Head<B: BackwardOps> {
    starts: Vec<u32>,
    terms: usize,
    columns: usize,
    x: (B::Tensor, <Reference as Device>::Tensor),
    weight: (B::Matrix, <Reference as Device>::Matrix),
    transposed: (B::Matrix, <Reference as Device>::Matrix),
    master: (B::Buffer, Vec<f32>),
    bias: Option<(B::Vector, Vec<f32>)>,
    shape: String,
}

/// The layer for a backend.
macro_rules! decoder {
    ($head:expr, $side:tt) => {
        Linear {
            weight: &$head.weight.$side,
            bias: $head.bias.as_ref().map(|bias| &bias.$side),
        }
    };
}

impl<B: BackwardOps> Case<'_, B> {
    pub(super) fn splade_gradients(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let (columns, terms) = (self.random.size(), self.random.size() * 2);
        self.splade_gradients_of(starts, columns, terms)
    }

    pub(in crate::backend::conformance) fn splade_gradients_of(
        &mut self,
        starts: Vec<u32>,
        columns: usize,
        terms: usize,
    ) -> Result<()> {
        let head = self.head(starts, columns, terms)?;
        for activation in [
            SpladeActivation::Log1pRelu,
            SpladeActivation::Log1pLog1pRelu,
        ] {
            for pooling in [SpladePooling::Max, SpladePooling::Sum] {
                let what = format!("{activation:?} {pooling:?}");
                self.begin(format!("splade terms {what}"), &head.shape);
                let found = self.terms_of(&head, activation, pooling)?;
                self.begin(format!("splade backward {what}"), &head.shape);
                self.head_gradient(&head, activation, pooling, &found)?;
            }
        }
        Ok(())
    }

    fn head(&mut self, starts: Vec<u32>, columns: usize, terms: usize) -> Result<Head<B>> {
        let rows = starts[starts.len() - 1] as usize;
        let (x, seen_x) = self.factors(rows * columns, 1.0);
        let (weight, seen) = self.factors(terms * columns, 1.0 / (columns as f32).sqrt());
        let bias = (self.random.below(4) > 0).then(|| self.random.values(terms));
        let (backend, master) = (self.backend, self.backend.buffer(&weight)?);
        let mut transposed = backend.matrix(columns, terms, &vec![0.0; terms * columns])?;
        backend.pack_matrix(
            &mut transposed,
            &[&master],
            columns,
            Orientation::Transposed,
        )?;
        let mut ref_transposed = Reference.matrix(columns, terms, &vec![0.0; terms * columns])?;
        let orientation = Orientation::Transposed;
        Reference.pack_matrix(&mut ref_transposed, &[&seen], columns, orientation)?;
        Ok(Head {
            shape: format!("starts {starts:?}, {columns} columns, {terms} terms"),
            x: (
                backend.tensor(rows, columns, &x)?,
                Reference.tensor(rows, columns, &seen_x)?,
            ),
            weight: (
                backend.matrix(terms, columns, &weight)?,
                Reference.matrix(terms, columns, &seen)?,
            ),
            transposed: (transposed, ref_transposed),
            master: (master, seen),
            bias: match bias {
                Some(bias) => Some((backend.vector(&bias)?, bias)),
                None => None,
            },
            starts,
            terms,
            columns,
        })
    }

    /// The terms that the backend finds; their weights are compared, and the logits of their rows.
    fn terms_of(
        &mut self,
        head: &Head<B>,
        activation: SpladeActivation,
        pooling: SpladePooling,
    ) -> Result<Vec<Vec<TermWeight>>> {
        let (starts, decoder) = (&head.starts, decoder!(head, 0));
        let found = self
            .backend
            .splade_terms(&head.x.0, starts, &decoder, activation, pooling)?;
        let decoder = decoder!(head, 1);
        let expected = Reference.splade_terms(&head.x.1, starts, &decoder, activation, pooling)?;
        let dense = |vectors: &[Vec<TermWeight>]| {
            let mut values = vec![0.0; (starts.len() - 1) * head.terms];
            for (place, terms) in vectors.iter().enumerate() {
                for term in terms {
                    values[place * head.terms + term.term as usize] = term.weight;
                }
            }
            values
        };
        self.compare(&dense(&found), &dense(&expected))?;
        if pooling == SpladePooling::Sum {
            let has_rows = found.iter().flatten().any(|term| term.row != 0);
            return match has_rows {
                true => self.fail("expected row 0 for sums").map(|()| found),
                false => Ok(found),
            };
        }
        let logits = Reference.linear(&head.x.1, &decoder, Activation::Identity)?;
        let (logits, terms) = (Reference.values(&logits)?, head.terms);
        let logit = |row: usize, term: &TermWeight| logits[row * terms + term.term as usize];
        for (pair, terms) in starts.windows(2).zip(&found) {
            let rows = pair[0] as usize..pair[1] as usize;
            for term in terms {
                let row = term.row as usize;
                let max = rows.clone().map(|row| logit(row, term)).fold(0.0, f32::max);
                let bound = self.tolerance.max_error * max.max(1.0);
                if !rows.contains(&row) || logit(row, term) < max - bound {
                    self.fail(format!("expected the row of a max, {max}, found {term:?}"))?;
                }
            }
        }
        Ok(found)
    }

    /// The gradients, for these terms.
    fn head_gradient(
        &mut self,
        head: &Head<B>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        terms: &[Vec<TermWeight>],
    ) -> Result<()> {
        // Most vectors have some gradients of 0.
        let mut dy: Vec<Vec<f32>> = Vec::new();
        for vector in terms {
            let value = |_: &_| self.random.value() * self.random.choose(&[0.0, 1.0, 1.0]);
            dy.push(vector.iter().map(value).collect());
        }
        let [mut of_weight, mut of_bias] = [
            self.gradient(head.terms * head.columns)?,
            self.gradient(head.terms)?,
        ];
        let has_bias = head.bias.is_some();
        macro_rules! gradient {
            ($backend:expr, $side:tt, $of:ident) => {
                $backend.splade_backward(
                    &head.x.$side,
                    &head.starts,
                    &TrainedLinear {
                        layer: decoder!(head, $side),
                        transposed: &head.transposed.$side,
                    },
                    &head.master.$side,
                    activation,
                    pooling,
                    terms,
                    &dy,
                    LinearPart {
                        outputs: head.terms,
                        weight: &mut of_weight.$of,
                        bias: has_bias.then_some(&mut of_bias.$of),
                    },
                )?
            };
        }
        let found = gradient!(self.backend, 0, ours);
        let expected = gradient!(Reference, 1, reference);
        self.same(&found, &expected)?;
        self.same_gradient(&of_weight)?;
        self.same_gradient(&of_bias)
    }
}
