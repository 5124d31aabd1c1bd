//! Gradients on the GPU, and the optimizer.
//!
//! Tensors and their gradients are bf16 (f32 behind pooling); masters, gradients of parameters and
//! moments are f32. Every sum has a fixed order: rows are cut into parts of a fixed size, whose sums
//! are added in order, and no float is added atomically.
//!
//! | file | concept |
//! | --- | --- |
//! | `buffer` | masters, gradients and moments |
//! | `pack` | from masters to the forms that products read |
//! | `rows` | activations, dropout, norms, pooling, im2col |
//! | `gather` | sums of chosen rows: gradients of tables, and of the SPLADE head |
//! | `splade` | the SPLADE head |
//! | `weights` | weights of linear layers |
//! | `attention` | attention |
//! | `optimizer` | AdamW, and norms of gradients |

mod attention;
mod buffer;
mod gather;
mod optimizer;
mod pack;
pub(super) mod parameters;
mod rows;
mod splade;
mod weights;

pub use buffer::TrainingBuffer;

use self::gather::{Groups, Target};
use self::rows::Element;
use super::{Cuda, Matrix, Tensor, Vector, check_layer, norm_parameters};
use crate::backend::dropout::Dropout;
use crate::backend::shapes::{self, expect};
use crate::backend::{
    Activation, AdamW, Attention, AttentionGradients, BackwardOps, Linear, LinearPart, Norm,
    NormGradients, Orientation, Pooling, PositionGradients, SpladeActivation, SpladePooling,
    TermWeight, TrainedLinear,
};
use crate::error::{Error, Result};

impl BackwardOps for Cuda {
    type Buffer = TrainingBuffer;

    fn buffer(&self, values: &[f32]) -> Result<TrainingBuffer> {
        self.buffer_of(values)
    }

    fn zeros(&self, len: usize) -> Result<TrainingBuffer> {
        self.zeroed(len)
    }

    fn read(&self, buffer: &TrainingBuffer) -> Result<Vec<f32>> {
        self.values_of(buffer)
    }

    fn write(&self, buffer: &mut TrainingBuffer, values: &[f32]) -> Result<()> {
        self.overwrite(buffer, values)
    }

    fn clear(&self, buffer: &mut TrainingBuffer) -> Result<()> {
        self.zero(buffer)
    }

    fn pack_matrix(
        &self,
        matrix: &mut Matrix,
        masters: &[&TrainingBuffer],
        inputs: usize,
        orientation: Orientation,
    ) -> Result<()> {
        let outputs = masters.iter().map(|master| master.len / inputs.max(1));
        let outputs: Vec<usize> = outputs.collect();
        for (master, outputs) in masters.iter().zip(&outputs) {
            shapes::count("a matrix", *outputs, inputs, master.len)?;
        }
        let masters: Vec<_> = masters.iter().copied().zip(outputs).collect();
        self.pack(matrix, &masters, inputs, orientation)
    }

    fn pack_table(
        &self,
        table: &mut Matrix,
        master: &TrainingBuffer,
        rows: usize,
        columns: usize,
    ) -> Result<()> {
        shapes::count("a table", rows, columns, master.len)?;
        self.pack(table, &[(master, rows)], columns, Orientation::Forward)
    }

    fn pack_vector(&self, vector: &mut Vector, masters: &[&TrainingBuffer]) -> Result<()> {
        self.pack_row(vector, masters)
    }

    fn activate(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let element = Element::Activate(activation);
        self.with_inputs(&[x], || self.elements(element, x, None))
    }

    fn multiply(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        shapes::same("the second of a product", y.shape(), x.shape())?;
        self.with_inputs(&[x, y], || self.elements(Element::Multiply, x, Some(y)))
    }

    fn dropout(&self, x: &Tensor, rate: f32, seed: u64) -> Result<Tensor> {
        let element = Element::Dropout(Dropout::new(rate, seed)?);
        self.with_inputs(&[x], || self.elements(element, x, None))
    }

    fn splade_terms(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
    ) -> Result<Vec<Vec<TermWeight>>> {
        check_layer(x, decoder)?;
        shapes::starts(starts, x.rows)?;
        self.with_inputs(&[x], || {
            self.terms_of(x, starts, decoder, activation, pooling)
        })
    }

    fn embed_backward(
        &self,
        parts: &mut [(&mut TrainingBuffer, &[u32])],
        dy: &Tensor,
    ) -> Result<()> {
        self.with_inputs(&[dy], || {
            let dy = self.as_bf16(dy)?;
            for (gradient, ids) in parts {
                expect("ids of a table", ids.len(), dy.rows)?;
                let rows = gradient.len / dy.columns.max(1);
                shapes::embed(&[((rows, dy.columns), ids)])?;
                let entries = ids.iter().copied().zip(0..dy.rows as u32);
                let groups = Groups::new(rows, entries, &[])?;
                let target = Target::F32(self.address_of(gradient)?);
                self.gather(&groups, (dy.address(), dy.stride()), target, dy.columns)?;
            }
            Ok(())
        })
    }

    fn activate_backward(&self, x: &Tensor, activation: Activation, dy: &Tensor) -> Result<Tensor> {
        shapes::same("a gradient", dy.shape(), x.shape())?;
        let element = Element::ActivateBackward(activation);
        self.with_inputs(&[x, dy], || self.elements(element, x, Some(dy)))
    }

    fn linear_weight_backward(
        &self,
        x: &Tensor,
        dy: &Tensor,
        parts: &mut [LinearPart<'_, Self>],
    ) -> Result<()> {
        expect("rows of a gradient", dy.rows, x.rows)?;
        let outputs = parts.iter().map(|part| part.outputs).sum();
        expect("outputs of a linear layer", dy.columns, outputs)?;
        for part in parts.iter() {
            check_part(part, x.columns)?;
        }
        self.with_inputs(&[x, dy], || self.add_weight_gradients(x, dy, parts))
    }

    fn norm_backward(
        &self,
        x: &Tensor,
        norm: &Norm<'_, Self>,
        dy: &Tensor,
        gradients: NormGradients<'_, Self>,
    ) -> Result<Tensor> {
        shapes::same("a gradient", dy.shape(), x.shape())?;
        let bias = gradients.bias.as_ref().map(|bias| bias.len);
        for len in [Some(gradients.weight.len), bias].into_iter().flatten() {
            expect("gradients of a norm", len, x.columns)?;
        }
        let norm = norm_parameters(Some(norm), x.columns)?;
        let NormGradients { weight, bias } = gradients;
        self.with_inputs(&[x, dy], || {
            self.norm_gradient(x, norm, dy, weight, bias.as_deref())
        })
    }

    fn attention_backward(
        &self,
        attention: &Attention<'_, Self>,
        dy: &Tensor,
        positions: PositionGradients<'_, Self>,
    ) -> Result<AttentionGradients<Self>> {
        shapes::attention(self, attention, |vector| vector.len)?;
        let width = attention.heads * attention.head_size;
        let rows = attention.projections.rows;
        shapes::same("a gradient", dy.shape(), (rows, width))?;
        self.attention_gradient(attention, dy, positions)
    }

    fn im2col_backward(&self, dy: &Tensor, starts: &[u32], width: usize) -> Result<Tensor> {
        shapes::starts(starts, dy.rows)?;
        shapes::odd(width)?;
        expect("columns of a gradient", dy.columns % width, 0)?;
        self.with_inputs(&[dy], || self.im2col_gradient(dy, starts, width))
    }

    fn pool_backward(
        &self,
        x: &Tensor,
        starts: &[u32],
        pooling: Pooling,
        dy: &Tensor,
    ) -> Result<Tensor> {
        shapes::starts(starts, x.rows)?;
        shapes::same("a gradient", dy.shape(), (starts.len() - 1, x.columns))?;
        self.with_inputs(&[x, dy], || self.pool_gradient(x, starts, pooling, dy))
    }

    fn l2_normalize_backward(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        shapes::same("a gradient", dy.shape(), x.shape())?;
        self.with_inputs(&[x, dy], || self.l2_gradient(x, dy))
    }

    fn splade_backward(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &TrainedLinear<'_, Self>,
        master: &TrainingBuffer,
        activation: SpladeActivation,
        pooling: SpladePooling,
        terms: &[Vec<TermWeight>],
        dy: &[Vec<f32>],
        gradients: LinearPart<'_, Self>,
    ) -> Result<Tensor> {
        check_layer(x, &decoder.layer)?;
        shapes::starts(starts, x.rows)?;
        let (rows, columns) = (decoder.layer.weight.rows, x.columns);
        shapes::count("a decoder", rows, columns, master.len)?;
        expect("outputs of a decoder", gradients.outputs, rows)?;
        check_part(&gradients, columns)?;
        expect("sparse vectors", terms.len(), starts.len() - 1)?;
        expect("gradients of sparse vectors", dy.len(), terms.len())?;
        for (terms, dy) in terms.iter().zip(dy) {
            expect("gradients of a sparse vector", dy.len(), terms.len())?;
        }
        check_terms(terms, x.rows, rows)?;
        self.with_inputs(&[x], || {
            let head = splade::HeadGradient {
                cuda: self,
                x: &*self.as_bf16(x)?,
                starts,
                decoder: &decoder.layer,
                activation,
                terms,
                dy,
            };
            match pooling {
                SpladePooling::Max => head.of_max(gradients),
                SpladePooling::Sum => head.of_sum(gradients),
            }
        })
    }

    fn sum_of_squares(&self, buffer: &TrainingBuffer) -> Result<f64> {
        self.squares(buffer)
    }

    fn adamw(
        &self,
        step: &AdamW,
        master: &mut TrainingBuffer,
        gradient: &TrainingBuffer,
        mean: &mut TrainingBuffer,
        mean_square: &mut TrainingBuffer,
    ) -> Result<()> {
        for (what, len) in [
            ("values of a gradient", gradient.len),
            ("values of a mean of gradients", mean.len),
            ("values of a mean of squares", mean_square.len),
        ] {
            expect(what, len, master.len)?;
        }
        self.adamw_step(step, master, gradient, [mean, mean_square])
    }
}

/// An error unless all terms and rows exist.
fn check_terms(terms: &[Vec<TermWeight>], rows: usize, count: usize) -> Result<()> {
    let is_in = |term: &TermWeight| (term.term as usize) < count && (term.row as usize) < rows;
    match terms.iter().flatten().find(|term| !is_in(term)) {
        None => Ok(()),
        Some(term) => Err(Error::model(
            "",
            format!("expected a term below {count} of a row below {rows}, found {term:?}"),
        )),
    }
}

/// An error unless the gradients of a layer's part have its shape.
fn check_part(part: &LinearPart<'_, Cuda>, inputs: usize) -> Result<()> {
    shapes::count("a gradient", part.outputs, inputs, part.weight.len)?;
    match &part.bias {
        Some(bias) => expect("gradients of a bias", bias.len, part.outputs),
        None => Ok(()),
    }
}
