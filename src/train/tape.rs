//! The operations that a forward pass noted, to be gone through backward.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::parameters::{LinearMasters, Packed, Parameters, lock};
use crate::backend::{
    Activation, Attention, BackwardOps, Distances, Linear, LinearPart, Norm, NormGradients,
    Pooling, PositionGradients, Positions, SpladeActivation, SpladePooling, TermWeight,
    TrainedLinear,
};
use crate::error::{Error, Result};

/// The place of a tensor on the tape, and its value. The value of a tensor that depends on parameters
/// alone is computed anew in each step.
pub(super) struct Slot<B: BackwardOps> {
    /// The number of the operation whose result it is.
    pub number: usize,
    value: RwLock<Arc<B::Tensor>>,
}

impl<B: BackwardOps> Slot<B> {
    pub fn new(number: usize, value: B::Tensor) -> Arc<Self> {
        Arc::new(Self {
            number,
            value: RwLock::new(Arc::new(value)),
        })
    }

    pub fn value(&self) -> Arc<B::Tensor> {
        let guard: RwLockReadGuard<'_, _> =
            self.value.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&guard)
    }

    pub fn set(&self, value: B::Tensor) {
        *self.value.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

/// A tensor of the tape.
pub(super) type Input<B> = Arc<Slot<B>>;

/// The parameters of a norm.
#[derive(Clone, Copy)]
pub(super) struct NormForm {
    pub weight: Packed,
    /// A layer norm has one, an RMS norm none.
    pub bias: Option<Packed>,
    pub epsilon: f32,
}

/// What positions contribute to attention.
pub(super) enum PositionForm<B: BackwardOps> {
    Absolute,
    Bias {
        table: Packed,
        distances: Arc<Distances>,
    },
    Disentangled {
        keys: Option<Input<B>>,
        queries: Option<Input<B>>,
        distances: Arc<Distances>,
    },
}

/// An operation and its arguments.
pub(super) enum Op<B: BackwardOps> {
    /// Values that came from outside.
    Constant,
    Embed {
        parts: Vec<(Packed, Arc<[u32]>)>,
    },
    Linear {
        x: Input<B>,
        weight: Packed,
        bias: Option<Packed>,
    },
    /// A linear layer whose result is added to a residual.
    LinearAdd {
        x: Input<B>,
        weight: Packed,
        bias: Option<Packed>,
        residual: Input<B>,
    },
    Activate {
        x: Input<B>,
        activation: Activation,
    },
    Multiply {
        x: Input<B>,
        y: Input<B>,
    },
    Add {
        x: Input<B>,
        y: Input<B>,
    },
    Norm {
        x: Input<B>,
        norm: NormForm,
    },
    Attention {
        projections: Input<B>,
        starts: Arc<[u32]>,
        heads: usize,
        head_size: usize,
        scale: f32,
        positions: PositionForm<B>,
    },
    Im2col {
        x: Input<B>,
        starts: Arc<[u32]>,
        width: usize,
    },
    Pool {
        x: Input<B>,
        starts: Arc<[u32]>,
        pooling: Pooling,
    },
    L2Normalize {
        x: Input<B>,
    },
    Dropout {
        x: Input<B>,
        rate: f32,
        seed: u64,
    },
}

/// The SPLADE head: the last operation of a forward pass, whose result is not a tensor.
pub(super) struct SpladeOp<B: BackwardOps> {
    pub x: Input<B>,
    pub starts: Arc<[u32]>,
    pub weight: Packed,
    pub bias: Option<Packed>,
    pub activation: SpladeActivation,
    pub pooling: SpladePooling,
    pub terms: Vec<Vec<TermWeight>>,
}

/// Runs operations and their gradients.
pub(super) struct Runner<'a, B: BackwardOps> {
    pub backend: &'a B,
    pub parameters: &'a Parameters<B>,
}

impl<B: BackwardOps> Runner<'_, B> {
    pub fn linear(&self, weight: Packed, bias: Option<Packed>) -> TrainedLinear<'_, B> {
        let (forward, transposed) = self.parameters.matrix(weight);
        TrainedLinear {
            layer: Linear {
                weight: forward,
                bias: bias.map(|bias| self.parameters.vector(bias)),
            },
            transposed,
        }
    }

    fn norm(&self, norm: NormForm) -> Norm<'_, B> {
        let weight = self.parameters.vector(norm.weight);
        match norm.bias {
            Some(bias) => Norm::Layer {
                weight,
                bias: self.parameters.vector(bias),
                epsilon: norm.epsilon,
            },
            None => Norm::RootMeanSquare {
                weight,
                epsilon: norm.epsilon,
            },
        }
    }

    /// Runs an operation; constants have no operation to run.
    pub fn forward(&self, op: &Op<B>) -> Result<Option<B::Tensor>> {
        let backend = self.backend;
        let result = match op {
            Op::Constant => return Ok(None),
            Op::Embed { parts } => {
                let parts: Vec<_> = (parts.iter())
                    .map(|(table, ids)| (self.parameters.table(*table), &ids[..]))
                    .collect();
                backend.embed(&parts, None)
            }
            Op::Linear { x, weight, bias } => {
                let layer = self.linear(*weight, *bias).layer;
                backend.linear(&x.value(), &layer, Activation::Identity)
            }
            Op::LinearAdd {
                x,
                weight,
                bias,
                residual,
            } => {
                let layer = self.linear(*weight, *bias).layer;
                backend.linear_add(&x.value(), &layer, &residual.value(), None)
            }
            Op::Activate { x, activation } => backend.activate(&x.value(), *activation),
            Op::Multiply { x, y } => backend.multiply(&x.value(), &y.value()),
            Op::Add { x, y } => backend.add(&x.value(), &y.value(), None),
            Op::Norm { x, norm } => backend.norm(&x.value(), &self.norm(*norm)),
            Op::Attention { .. } => {
                self.with_attention(op, |attention| backend.attention(attention))
            }
            Op::Im2col { x, starts, width } => backend.im2col(&x.value(), starts, *width),
            Op::Pool { x, starts, pooling } => backend.pool(&x.value(), starts, *pooling),
            Op::L2Normalize { x } => backend.l2_normalize(&x.value()),
            Op::Dropout { x, rate, seed } => backend.dropout(&x.value(), *rate, *seed),
        };
        result.map(Some)
    }

    /// Calls a function with the arguments of attention.
    fn with_attention<T>(
        &self,
        op: &Op<B>,
        call: impl FnOnce(&Attention<'_, B>) -> Result<T>,
    ) -> Result<T> {
        let Op::Attention {
            projections,
            starts,
            heads,
            head_size,
            scale,
            positions,
        } = op
        else {
            unreachable!("the caller matched attention")
        };
        let projections = projections.value();
        let value = |slot: &Option<Input<B>>| slot.as_ref().map(|slot| slot.value());
        let (keys, queries) = match positions {
            PositionForm::Disentangled { keys, queries, .. } => (value(keys), value(queries)),
            _ => (None, None),
        };
        call(&Attention {
            projections: &projections,
            starts,
            heads: *heads,
            head_size: *head_size,
            scale: *scale,
            positions: match positions {
                PositionForm::Absolute => Positions::Absolute,
                PositionForm::Bias { table, distances } => Positions::Bias {
                    table: self.parameters.vector(*table),
                    distances,
                },
                PositionForm::Disentangled { distances, .. } => Positions::Disentangled {
                    keys: keys.as_deref(),
                    queries: queries.as_deref(),
                    distances,
                },
            },
        })
    }

    /// Adds an operation's gradients to those of its inputs and of its parameters.
    pub fn backward(
        &self,
        op: &Op<B>,
        dy: &Arc<B::Tensor>,
        gradients: &mut Gradients<'_, B>,
    ) -> Result<()> {
        let backend = self.backend;
        match op {
            Op::Constant => Ok(()),
            Op::Embed { parts } => self.embed_backward(parts, dy),
            Op::Linear { x, weight, bias } => {
                self.linear_backward(x, *weight, *bias, dy, gradients)
            }
            Op::LinearAdd {
                x,
                weight,
                bias,
                residual,
            } => {
                gradients.add_shared(residual, dy)?;
                self.linear_backward(x, *weight, *bias, dy, gradients)
            }
            Op::Activate { x, activation } => {
                gradients.add(x, backend.activate_backward(&x.value(), *activation, dy)?)
            }
            Op::Multiply { x, y } => {
                gradients.add(x, backend.multiply(dy, &y.value())?)?;
                gradients.add(y, backend.multiply(dy, &x.value())?)
            }
            Op::Add { x, y } => {
                gradients.add_shared(x, dy)?;
                gradients.add_shared(y, dy)
            }
            Op::Norm { x, norm } => gradients.add(x, self.norm_backward(x, *norm, dy)?),
            Op::Attention {
                projections,
                positions,
                ..
            } => self.attention_backward(op, projections, positions, dy, gradients),
            Op::Im2col { x, starts, width } => {
                gradients.add(x, backend.im2col_backward(dy, starts, *width)?)
            }
            Op::Pool { x, starts, pooling } => {
                gradients.add(x, backend.pool_backward(&x.value(), starts, *pooling, dy)?)
            }
            Op::L2Normalize { x } => {
                gradients.add(x, backend.l2_normalize_backward(&x.value(), dy)?)
            }
            Op::Dropout { x, rate, seed } => gradients.add(x, backend.dropout(dy, *rate, *seed)?),
        }
    }

    fn embed_backward(&self, parts: &[(Packed, Arc<[u32]>)], dy: &B::Tensor) -> Result<()> {
        for (table, ids) in parts {
            if let Some(master) = self.parameters.single_master(*table) {
                let mut gradient = lock(&master.gradient);
                self.backend
                    .embed_backward(&mut [(&mut *gradient, &ids[..])], dy)?;
            }
        }
        Ok(())
    }

    fn linear_backward(
        &self,
        x: &Input<B>,
        weight: Packed,
        bias: Option<Packed>,
        dy: &B::Tensor,
        gradients: &mut Gradients<'_, B>,
    ) -> Result<()> {
        self.linear_weight_backward(&x.value(), dy, weight, bias)?;
        let layer = self.linear(weight, bias);
        let dx = match gradients.take(x.number) {
            None => self.backend.linear_input_backward(&layer, dy)?,
            // The product adds to what is there, which saves reading and writing a tensor.
            Some(before) => {
                let transposed = Linear {
                    weight: layer.transposed,
                    bias: None,
                };
                self.backend.linear_add(dy, &transposed, &before, None)?
            }
        };
        gradients.add(x, dx)
    }

    fn linear_weight_backward(
        &self,
        x: &B::Tensor,
        dy: &B::Tensor,
        weight: Packed,
        bias: Option<Packed>,
    ) -> Result<()> {
        let masters = self.parameters.linear_masters(weight, bias);
        if masters.is_empty() {
            return Ok(());
        }
        let mut locked: Vec<_> = (masters.into_iter())
            .map(|part| {
                let bias = part.bias.map(|bias| lock(&bias.gradient));
                (part.outputs, lock(&part.weight.gradient), bias)
            })
            .collect();
        let mut parts: Vec<_> = (locked.iter_mut())
            .map(|(outputs, weight, bias)| LinearPart {
                outputs: *outputs,
                weight: &mut **weight,
                bias: bias.as_deref_mut(),
            })
            .collect();
        self.backend.linear_weight_backward(x, dy, &mut parts)
    }

    fn norm_backward(&self, x: &Input<B>, norm: NormForm, dy: &B::Tensor) -> Result<B::Tensor> {
        let master = |packed| {
            let master = self.parameters.single_master(packed);
            master.ok_or_else(|| {
                Error::model("", "a norm: expected trained weights, found constants")
            })
        };
        let mut weight = lock(&master(norm.weight)?.gradient);
        let bias = norm.bias.map(master).transpose()?;
        let mut bias = bias.map(|bias| lock(&bias.gradient));
        let gradients = NormGradients {
            weight: &mut *weight,
            bias: bias.as_deref_mut(),
        };
        self.backend
            .norm_backward(&x.value(), &self.norm(norm), dy, gradients)
    }

    fn attention_backward(
        &self,
        op: &Op<B>,
        projections: &Input<B>,
        positions: &PositionForm<B>,
        dy: &B::Tensor,
        gradients: &mut Gradients<'_, B>,
    ) -> Result<()> {
        let table = match positions {
            PositionForm::Bias { table, .. } => self.parameters.single_master(*table),
            _ => None,
        };
        let mut table = table.map(|table| lock(&table.gradient));
        let found = self.with_attention(op, |attention| {
            let kind = match (positions, table.as_deref_mut()) {
                (PositionForm::Bias { .. }, Some(table)) => PositionGradients::Bias(table),
                (PositionForm::Disentangled { .. }, _) => PositionGradients::Disentangled,
                _ => PositionGradients::Absolute,
            };
            self.backend.attention_backward(attention, dy, kind)
        })?;
        gradients.add(projections, found.projections)?;
        let PositionForm::Disentangled { keys, queries, .. } = positions else {
            return Ok(());
        };
        for (slot, gradient) in [
            (keys, found.position_keys),
            (queries, found.position_queries),
        ] {
            if let (Some(slot), Some(gradient)) = (slot, gradient) {
                gradients.add(slot, gradient)?;
            }
        }
        Ok(())
    }

    /// The gradient of the SPLADE head; `dy` has one value for each weight of each vector.
    pub fn splade_backward(
        &self,
        op: &SpladeOp<B>,
        dy: &[Vec<f32>],
        gradients: &mut Gradients<'_, B>,
    ) -> Result<()> {
        let masters = self.parameters.linear_masters(op.weight, op.bias);
        let [
            LinearMasters {
                outputs,
                weight,
                bias,
            },
        ] = masters[..]
        else {
            return Err(Error::model(
                "",
                format!(
                    "a SPLADE decoder: expected one trained tensor, found {}",
                    masters.len()
                ),
            ));
        };
        let mut of_weight = lock(&weight.gradient);
        let mut of_bias = bias.map(|bias| lock(&bias.gradient));
        let dx = self.backend.splade_backward(
            &op.x.value(),
            &op.starts,
            &self.linear(op.weight, op.bias),
            &weight.value,
            op.activation,
            op.pooling,
            &op.terms,
            dy,
            LinearPart {
                outputs,
                weight: &mut *of_weight,
                bias: of_bias.as_deref_mut(),
            },
        )?;
        gradients.add(&op.x, dx)
    }
}

/// The gradients of the tensors of a tape, by their numbers.
pub(super) struct Gradients<'a, B: BackwardOps> {
    backend: &'a B,
    of_tensors: Vec<Option<Arc<B::Tensor>>>,
}

impl<'a, B: BackwardOps> Gradients<'a, B> {
    pub fn new(backend: &'a B, tensors: usize) -> Self {
        Self {
            backend,
            of_tensors: (0..tensors).map(|_| None).collect(),
        }
    }

    pub fn add(&mut self, slot: &Input<B>, gradient: B::Tensor) -> Result<()> {
        self.add_shared(slot, &Arc::new(gradient))
    }

    /// Adds a gradient that other tensors have too.
    pub fn add_shared(&mut self, slot: &Input<B>, gradient: &Arc<B::Tensor>) -> Result<()> {
        let Some(sum) = self.of_tensors.get_mut(slot.number) else {
            return Err(Error::model(
                "",
                "a tensor of an earlier step: expected one of this step's forward pass",
            ));
        };
        *sum = Some(match sum.take() {
            None => Arc::clone(gradient),
            Some(before) => Arc::new(self.backend.add(&before, gradient, None)?),
        });
        Ok(())
    }

    /// The gradient of a tensor, which nothing adds to any more.
    pub fn take(&mut self, number: usize) -> Option<Arc<B::Tensor>> {
        self.of_tensors.get_mut(number)?.take()
    }
}
