//! A backend that notes what it computes, so that gradients can be taken.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::parameters::{Packed, Parameters, lock};
use super::tape::{Gradients, Input, NormForm, Op, PositionForm, Runner, Slot, SpladeOp};
use crate::backend::{
    Activation, Attention, BackwardOps, CrossAttention, Device, ForwardOps, Linear, Norm, Pooling,
    Positions, SparseVector, SpladeActivation, SpladePooling, top_terms,
};
use crate::error::{Error, Result};

/// A backend for training. Models are loaded onto it as onto any other, and then:
///
/// 1. [`begin`](Recorder::begin) starts a step;
/// 2. the model's forward pass notes its operations; each result that it reads back, or sparse
///    vectors that it makes, are an *output* of the step;
/// 3. [`backward`](Recorder::backward) takes the gradient of a loss with respect to each output, and
///    adds to the gradients of the [`Parameters`].
///
/// Operations while a model is loaded (DeBERTa projects its relative positions then) depend on
/// parameters alone: they are kept for all steps, and each step computes them anew.
pub struct Recorder<B: BackwardOps> {
    shared: Arc<Shared<B>>,
}

struct Shared<B: BackwardOps> {
    backend: B,
    parameters: RwLock<Parameters<B>>,
    tape: Mutex<Tape<B>>,
}

struct Tape<B: BackwardOps> {
    /// The first `prologue` of these are of loading, the others of the step.
    operations: Vec<(Op<B>, Input<B>)>,
    prologue: usize,
    outputs: Vec<Output<B>>,
    /// Tensors of the step so far, noted or not: each operation of a step drops other places.
    count: u64,
    is_loading: bool,
    is_noting: bool,
    /// Whether this is a pass of training, in which values are dropped.
    is_training: bool,
    dropout: f32,
    seed: u64,
}

enum Output<B: BackwardOps> {
    Dense(Input<B>),
    Sparse(SpladeOp<B>),
}

/// The gradient of a loss with respect to an output of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Seed {
    /// Of a tensor that was read back, row after row.
    Dense(Vec<f32>),
    /// Of the weights of sparse vectors, in the order of their terms.
    Sparse(Vec<Vec<f32>>),
}

/// A tensor of a [`Recorder`].
pub struct Var<B: BackwardOps>(Input<B>);

#[cfg(any(test, feature = "internals"))]
impl<B: BackwardOps> Var<B> {
    /// The tensor that the backend computed.
    pub fn value(&self) -> Arc<B::Tensor> {
        self.0.value()
    }
}

impl<B: BackwardOps> Clone for Recorder<B> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<B: BackwardOps> Recorder<B> {
    /// A recorder of what `backend` computes, ready for a model to be loaded.
    pub fn new(backend: B) -> Self {
        backend.prepare_training();
        Self {
            shared: Arc::new(Shared {
                backend,
                parameters: RwLock::default(),
                tape: Mutex::new(Tape {
                    operations: Vec::new(),
                    prologue: 0,
                    outputs: Vec::new(),
                    count: 0,
                    is_loading: true,
                    is_noting: true,
                    is_training: false,
                    dropout: 0.0,
                    seed: 0,
                }),
            }),
        }
    }

    /// The backend that computes.
    pub fn backend(&self) -> &B {
        &self.shared.backend
    }

    /// The parameters of the models that were loaded.
    pub fn parameters(&self) -> RwLockReadGuard<'_, Parameters<B>> {
        let parameters = self.shared.parameters.read();
        parameters.unwrap_or_else(PoisonError::into_inner)
    }

    /// The parameters, for an optimizer. After it has changed masters,
    /// [`Parameters::pack`] must be called.
    pub fn parameters_mut(&self) -> RwLockWriteGuard<'_, Parameters<B>> {
        let parameters = self.shared.parameters.write();
        parameters.unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a step: forgets the one before. With `is_noting` false the forward pass notes nothing,
    /// for evaluation.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device fails.
    pub fn begin(&self, is_noting: bool) -> Result<()> {
        self.begin_pass(is_noting, is_noting)
    }

    /// Starts a pass that notes nothing, but is else that of a step: the same values are dropped, and
    /// sparse vectors have all their terms. It gives the values of a batch whose tape would not fit
    /// in memory (gradient caching: Gao and others, 2021).
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device fails.
    pub fn begin_values(&self) -> Result<()> {
        self.begin_pass(false, true)
    }

    fn begin_pass(&self, is_noting: bool, is_training: bool) -> Result<()> {
        let parameters = self.parameters();
        let mut tape = lock(&self.shared.tape);
        if tape.is_loading {
            tape.is_loading = false;
            tape.prologue = tape.operations.len();
        }
        let prologue = tape.prologue;
        tape.operations.truncate(prologue);
        tape.outputs.clear();
        tape.is_noting = is_noting;
        tape.is_training = is_training;
        tape.count = 0;
        let runner = self.runner(&parameters);
        for (op, slot) in &tape.operations {
            if let Some(value) = runner.forward(op)? {
                slot.set(value);
            }
        }
        Ok(())
    }

    /// Drops values of embeddings and of each layer's two results before they are added, with
    /// probability `rate`, in steps that are noted. `seed` must differ from step to step, and decides
    /// which values.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] unless the rate is at least 0 and less than 1.
    pub fn set_dropout(&self, rate: f32, seed: u64) -> Result<()> {
        if !(0.0..1.0).contains(&rate) {
            return Err(Error::invalid(format!(
                "the dropout rate: expected a value of at least 0 and less than 1, found {rate}"
            )));
        }
        let mut tape = lock(&self.shared.tape);
        (tape.dropout, tape.seed) = (rate, seed);
        Ok(())
    }

    /// Adds the gradients of a loss to those of the parameters. There is one seed for each output of
    /// the step, in the order in which the forward pass made them. Ends the step.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when seeds are not as many, or of other shapes, than outputs;
    /// [`Error::Device`] if the device fails.
    pub fn backward(&self, seeds: &[Seed]) -> Result<()> {
        let parameters = self.parameters();
        let runner = self.runner(&parameters);
        let mut tape = lock(&self.shared.tape);
        let outputs = std::mem::take(&mut tape.outputs);
        if outputs.len() != seeds.len() {
            return Err(Error::model(
                "",
                format!(
                    "gradients of a step: expected one for each of its {} outputs, found {}",
                    outputs.len(),
                    seeds.len()
                ),
            ));
        }
        let mut gradients = Gradients::new(self.backend(), tape.operations.len());
        for (output, seed) in outputs.iter().zip(seeds) {
            match (output, seed) {
                (Output::Dense(slot), Seed::Dense(dy)) => {
                    let (rows, columns) = self.backend().shape(&slot.value());
                    let dy = self.backend().tensor(rows, columns, dy)?;
                    gradients.add(slot, dy)?;
                }
                (Output::Sparse(op), Seed::Sparse(dy)) => {
                    runner.splade_backward(op, dy, &mut gradients)?;
                }
                _ => {
                    return Err(Error::model(
                        "",
                        "the gradient of an output: expected values of a tensor or of sparse vectors, as the output is, found the other",
                    ));
                }
            }
        }
        let prologue = tape.prologue;
        // The results of an operation are dropped once they have been used: others need the memory.
        while tape.operations.len() > prologue
            && let Some((op, slot)) = tape.operations.pop()
        {
            if let Some(dy) = gradients.take(slot.number) {
                runner.backward(&op, &dy, &mut gradients)?;
            }
        }
        for (op, slot) in tape.operations.iter().rev() {
            if let Some(dy) = gradients.take(slot.number) {
                runner.backward(op, &dy, &mut gradients)?;
            }
        }
        Ok(())
    }

    fn runner<'a>(&'a self, parameters: &'a Parameters<B>) -> Runner<'a, B> {
        Runner {
            backend: &self.shared.backend,
            parameters,
        }
    }

    /// Runs an operation and notes it.
    fn run(&self, op: Op<B>) -> Result<Var<B>> {
        let value = self.runner(&self.parameters()).forward(&op)?;
        let Some(value) = value else {
            return Err(Error::model("", "an operation without a result"));
        };
        Ok(self.note(op, value))
    }

    fn note(&self, op: Op<B>, value: B::Tensor) -> Var<B> {
        let mut tape = lock(&self.shared.tape);
        let slot = Slot::new(tape.operations.len(), value);
        tape.count += 1;
        if tape.is_noting {
            tape.operations.push((op, Arc::clone(&slot)));
        }
        Var(slot)
    }

    /// Runs the norm of a fused operation, if it has one.
    fn normalized(&self, x: Var<B>, norm: Option<&Norm<'_, Self>>) -> Result<Var<B>> {
        match norm {
            Some(norm) => self.norm(&x, norm),
            None => Ok(x),
        }
    }

    /// The rate of dropout and the seed of the next operation.
    fn dropout(&self) -> (f32, u64) {
        let tape = lock(&self.shared.tape);
        let is_dropping = tape.is_training && !tape.is_loading;
        let rate = if is_dropping { tape.dropout } else { 0.0 };
        let number = tape.count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (rate, tape.seed.wrapping_add(number))
    }

    fn dropped(&self, x: Var<B>) -> Result<Var<B>> {
        let (rate, seed) = self.dropout();
        if rate == 0.0 {
            return Ok(x);
        }
        self.run(Op::Dropout { x: x.0, rate, seed })
    }

    fn activated(&self, x: Var<B>, activation: Activation) -> Result<Var<B>> {
        match activation {
            Activation::Identity => Ok(x),
            activation => self.run(Op::Activate { x: x.0, activation }),
        }
    }
}

impl<B: BackwardOps> Device for Recorder<B> {
    type Tensor = Var<B>;
    type Matrix = Packed;
    type Table = Packed;
    type Vector = Packed;

    fn name(&self) -> String {
        format!("{}, training", self.shared.backend.name())
    }

    /// One: the operations of a step are one sequence.
    fn streams(&self) -> Vec<Self> {
        vec![self.clone()]
    }

    fn batch_tokens(&self) -> usize {
        self.shared.backend.batch_tokens()
    }

    fn matrix(&self, outputs: usize, inputs: usize, values: &[f32]) -> Result<Packed> {
        self.named_matrix(&[], outputs, inputs, values)
    }

    fn named_matrix(
        &self,
        tensors: &[String],
        outputs: usize,
        inputs: usize,
        values: &[f32],
    ) -> Result<Packed> {
        let backend = self.backend();
        self.parameters_mut()
            .add_matrix(backend, tensors, (outputs, inputs), values)
    }

    fn table(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Packed> {
        let backend = self.backend();
        self.parameters_mut()
            .add_table(backend, None, (rows, columns), values)
    }

    fn named_table(
        &self,
        tensor: &str,
        rows: usize,
        columns: usize,
        values: &[f32],
    ) -> Result<Packed> {
        let backend = self.backend();
        self.parameters_mut()
            .add_table(backend, Some(tensor), (rows, columns), values)
    }

    fn vector(&self, values: &[f32]) -> Result<Packed> {
        self.named_vector(&[], values)
    }

    fn named_vector(&self, tensors: &[String], values: &[f32]) -> Result<Packed> {
        let backend = self.backend();
        self.parameters_mut().add_vector(backend, tensors, values)
    }

    fn tensor(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Var<B>> {
        let value = self.backend().tensor(rows, columns, values)?;
        Ok(self.note(Op::Constant, value))
    }

    /// All rows of a table, in order.
    fn named_tensor(
        &self,
        tensor: &str,
        rows: usize,
        columns: usize,
        values: &[f32],
    ) -> Result<Var<B>> {
        let table = self.named_table(tensor, rows, columns, values)?;
        let ids: Vec<u32> = (0..).take(rows).collect();
        self.embed(&[(&table, &ids)], None)
    }

    /// The values, which become an output of the step.
    fn values(&self, tensor: &Var<B>) -> Result<Vec<f32>> {
        let values = self.backend().values(&tensor.0.value())?;
        let mut tape = lock(&self.shared.tape);
        if tape.is_noting {
            tape.outputs.push(Output::Dense(Arc::clone(&tensor.0)));
        }
        Ok(values)
    }

    fn shape(&self, tensor: &Var<B>) -> (usize, usize) {
        self.backend().shape(&tensor.0.value())
    }
}

impl<B: BackwardOps> ForwardOps for Recorder<B> {
    fn embed(&self, parts: &[(&Packed, &[u32])], norm: Option<&Norm<'_, Self>>) -> Result<Var<B>> {
        let parts = parts.iter().map(|(table, ids)| (**table, Arc::from(*ids)));
        let sum = self.run(Op::Embed {
            parts: parts.collect(),
        })?;
        let sum = self.normalized(sum, norm)?;
        self.dropped(sum)
    }

    fn linear(
        &self,
        x: &Var<B>,
        layer: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Var<B>> {
        let y = self.run(Op::Linear {
            x: Arc::clone(&x.0),
            weight: *layer.weight,
            bias: layer.bias.copied(),
        })?;
        self.activated(y, activation)
    }

    fn gated(
        &self,
        x: &Var<B>,
        gate: &Linear<'_, Self>,
        up: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Var<B>> {
        let gate = self.linear(x, gate, activation)?;
        let up = self.linear(x, up, Activation::Identity)?;
        self.run(Op::Multiply { x: gate.0, y: up.0 })
    }

    fn linear_add(
        &self,
        x: &Var<B>,
        layer: &Linear<'_, Self>,
        residual: &Var<B>,
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Var<B>> {
        let (rate, _) = self.dropout();
        let sum = if rate == 0.0 {
            self.run(Op::LinearAdd {
                x: Arc::clone(&x.0),
                weight: *layer.weight,
                bias: layer.bias.copied(),
                residual: Arc::clone(&residual.0),
            })?
        } else {
            let y = self.linear(x, layer, Activation::Identity)?;
            let y = self.dropped(y)?;
            self.add(&y, residual, None)?
        };
        self.normalized(sum, norm)
    }

    fn add(&self, x: &Var<B>, y: &Var<B>, norm: Option<&Norm<'_, Self>>) -> Result<Var<B>> {
        let (x, y) = (Arc::clone(&x.0), Arc::clone(&y.0));
        let sum = self.run(Op::Add { x, y })?;
        self.normalized(sum, norm)
    }

    fn norm(&self, x: &Var<B>, norm: &Norm<'_, Self>) -> Result<Var<B>> {
        let norm = match norm {
            Norm::Layer {
                weight,
                bias,
                epsilon,
            } => NormForm {
                weight: **weight,
                bias: Some(**bias),
                epsilon: *epsilon,
            },
            Norm::RootMeanSquare { weight, epsilon } => NormForm {
                weight: **weight,
                bias: None,
                epsilon: *epsilon,
            },
        };
        let x = Arc::clone(&x.0);
        self.run(Op::Norm { x, norm })
    }

    fn attention(&self, attention: &Attention<'_, Self>) -> Result<Var<B>> {
        let slot = |var: &Option<&Var<B>>| var.map(|var| Arc::clone(&var.0));
        let positions = match &attention.positions {
            Positions::Absolute => PositionForm::Absolute,
            Positions::Bias { table, distances } => PositionForm::Bias {
                table: **table,
                distances: Arc::new((*distances).clone()),
            },
            Positions::Disentangled {
                keys,
                queries,
                distances,
            } => PositionForm::Disentangled {
                keys: slot(keys),
                queries: slot(queries),
                distances: Arc::new((*distances).clone()),
            },
        };
        self.run(Op::Attention {
            projections: Arc::clone(&attention.projections.0),
            starts: Arc::from(attention.starts),
            heads: attention.heads,
            head_size: attention.head_size,
            scale: attention.scale,
            positions,
        })
    }

    /// Refused: decoders are not trained, and their cross-attention has no gradient.
    fn cross_attention(&self, _: &CrossAttention<'_, Self>) -> Result<Var<B>> {
        Err(Error::invalid(
            "expected an encoder to train, found a decoder, whose cross-attention has no gradient; train the encoder alone",
        ))
    }

    fn im2col(&self, x: &Var<B>, starts: &[u32], width: usize) -> Result<Var<B>> {
        self.run(Op::Im2col {
            x: Arc::clone(&x.0),
            starts: Arc::from(starts),
            width,
        })
    }

    fn pool(&self, x: &Var<B>, starts: &[u32], pooling: Pooling) -> Result<Var<B>> {
        self.run(Op::Pool {
            x: Arc::clone(&x.0),
            starts: Arc::from(starts),
            pooling,
        })
    }

    fn l2_normalize(&self, x: &Var<B>) -> Result<Var<B>> {
        let x = Arc::clone(&x.0);
        self.run(Op::L2Normalize { x })
    }

    /// The sparse vectors, which become an output of the step. In a pass of training they have all
    /// their terms, whatever `max_terms` says: what a cut term would have learned is not lost.
    fn splade(
        &self,
        x: &Var<B>,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        max_terms: usize,
    ) -> Result<Vec<SparseVector>> {
        let (weight, bias) = (*decoder.weight, decoder.bias.copied());
        let parameters = self.parameters();
        let runner = self.runner(&parameters);
        let layer = runner.linear(weight, bias).layer;
        let value = x.0.value();
        let terms = self
            .backend()
            .splade_terms(&value, starts, &layer, activation, pooling)?;
        let vectors = terms.iter().map(|terms| {
            let pairs = terms.iter().map(|term| (term.term, term.weight));
            pairs.collect::<SparseVector>()
        });
        let vectors: Vec<_> = vectors.collect();
        let mut tape = lock(&self.shared.tape);
        if !tape.is_training {
            let cut = vectors
                .into_iter()
                .map(|vector| top_terms(vector, max_terms));
            return Ok(cut.collect());
        }
        if !tape.is_noting {
            return Ok(vectors);
        }
        tape.outputs.push(Output::Sparse(SpladeOp {
            x: Arc::clone(&x.0),
            starts: Arc::from(starts),
            weight,
            bias,
            activation,
            pooling,
            terms,
        }));
        Ok(vectors)
    }

    /// Scores alone: MaxSim has no gradient here.
    fn max_sim(&self, query: &Var<B>, documents: &Var<B>, starts: &[u32]) -> Result<Vec<f32>> {
        self.backend()
            .max_sim(&query.0.value(), &documents.0.value(), starts)
    }
}
