//! Gradients on the CPU.
//!
//! Both gradients of a linear layer are products like the forward one: dy · W with the weight packed
//! transposed, and dyᵀ · x with x packed as a weight, so they run on the same SIMD kernels in the
//! same dtype. Everything else is f32. Each value is summed by one thread in a fixed order.

mod attention;
mod linear;
mod rows;
mod splade;

use super::{Cpu, Matrix, Tensor, checked_layer};
use crate::backend::dropout::Dropout;
use crate::backend::shapes::{self, expect};
use crate::backend::{
    Activation, AdamW, Attention, AttentionGradients, BackwardOps, Linear, LinearPart, Norm,
    NormGradients, Orientation, Pooling, PositionGradients, SpladeActivation, SpladePooling,
    TermWeight, TrainedLinear,
};
use crate::error::Result;

/// Tensors of a step of training that are reused in the next.
const TAPE_BUFFERS: usize = 1_024;

impl Cpu {
    /// A tensor made value by value from one or two others of its shape.
    fn map2(&self, x: &Tensor, y: &Tensor, of: impl Fn(f32, f32) -> f32 + Sync) -> Tensor {
        let columns = x.columns();
        let mut out = self.buffers.tensor(x.rows(), columns);
        self.par_rows(out.values_mut(), columns, |rows, values| {
            let range = rows.start * columns..rows.end * columns;
            let pairs = x.values()[range.clone()].iter().zip(&y.values()[range]);
            for (out, (x, y)) in values.iter_mut().zip(pairs) {
                *out = of(*x, *y);
            }
        });
        out
    }
}

impl BackwardOps for Cpu {
    type Buffer = Vec<f32>;

    fn prepare_training(&self) {
        self.buffers.keep(TAPE_BUFFERS);
    }

    fn buffer(&self, values: &[f32]) -> Result<Vec<f32>> {
        Ok(values.to_vec())
    }

    fn zeros(&self, len: usize) -> Result<Vec<f32>> {
        Ok(vec![0.0; len])
    }

    fn read(&self, buffer: &Vec<f32>) -> Result<Vec<f32>> {
        Ok(buffer.clone())
    }

    fn write(&self, buffer: &mut Vec<f32>, values: &[f32]) -> Result<()> {
        expect("values of a buffer", values.len(), buffer.len())?;
        buffer.copy_from_slice(values);
        Ok(())
    }

    fn clear(&self, buffer: &mut Vec<f32>) -> Result<()> {
        self.par_rows(buffer, 1, |_, values| values.fill(0.0));
        Ok(())
    }

    fn pack_matrix(
        &self,
        matrix: &mut Matrix,
        masters: &[&Vec<f32>],
        inputs: usize,
        orientation: Orientation,
    ) -> Result<()> {
        let stacked: Vec<f32>;
        let values = match masters {
            [master] => &master[..],
            _ => {
                stacked = masters
                    .iter()
                    .flat_map(|master| &master[..])
                    .copied()
                    .collect();
                &stacked
            }
        };
        let outputs = values.len() / inputs.max(1);
        shapes::count("a matrix", outputs, inputs, values.len())?;
        *matrix = match orientation {
            Orientation::Forward => Matrix::pack_on(outputs, inputs, values, self.unit, self),
            Orientation::Transposed => self.packed_transposed(inputs, outputs, values),
        };
        Ok(())
    }

    fn pack_table(
        &self,
        table: &mut Tensor,
        master: &Vec<f32>,
        rows: usize,
        columns: usize,
    ) -> Result<()> {
        shapes::same("a table", table.shape(), (rows, columns))?;
        shapes::count("a table", rows, columns, master.len())?;
        self.par_rows(table.values_mut(), columns, |rows, values| {
            values.copy_from_slice(&master[rows.start * columns..rows.end * columns]);
        });
        Ok(())
    }

    fn pack_vector(&self, vector: &mut Vec<f32>, masters: &[&Vec<f32>]) -> Result<()> {
        vector.clear();
        masters
            .iter()
            .for_each(|master| vector.extend_from_slice(master));
        Ok(())
    }

    fn activate(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        Ok(self.activated(x, activation))
    }

    fn multiply(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        shapes::same("the second of a product", y.shape(), x.shape())?;
        Ok(self.map2(x, y, |x, y| x * y))
    }

    fn dropout(&self, x: &Tensor, rate: f32, seed: u64) -> Result<Tensor> {
        let dropout = Dropout::new(rate, seed)?;
        let columns = x.columns();
        let mut out = self.buffers.tensor(x.rows(), columns);
        self.par_rows(out.values_mut(), columns, |rows, values| {
            let first = rows.start * columns;
            for (place, out) in (first..).zip(values.iter_mut()) {
                *out = x.values()[place] * dropout.factor(place as u64);
            }
        });
        Ok(out)
    }

    fn splade_terms(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
    ) -> Result<Vec<Vec<TermWeight>>> {
        checked_layer(x, decoder)?;
        shapes::starts(starts, x.rows())?;
        Ok(self.terms_of(x, starts, decoder, activation, pooling))
    }

    fn embed_backward(&self, parts: &mut [(&mut Vec<f32>, &[u32])], dy: &Tensor) -> Result<()> {
        for (gradient, ids) in parts {
            expect("ids of a table", ids.len(), dy.rows())?;
            let rows = gradient.len() / dy.columns().max(1);
            shapes::embed(&[((rows, dy.columns()), ids)])?;
            self.add_rows(gradient, ids, dy);
        }
        Ok(())
    }

    fn activate_backward(&self, x: &Tensor, activation: Activation, dy: &Tensor) -> Result<Tensor> {
        shapes::same("a gradient", dy.shape(), x.shape())?;
        Ok(self.activation_slopes(x, activation, dy))
    }

    fn linear_weight_backward(
        &self,
        x: &Tensor,
        dy: &Tensor,
        parts: &mut [LinearPart<'_, Self>],
    ) -> Result<()> {
        expect("rows of a gradient", dy.rows(), x.rows())?;
        let outputs = parts.iter().map(|part| part.outputs).sum();
        expect("outputs of a linear layer", dy.columns(), outputs)?;
        for part in parts.iter() {
            shapes::count("a gradient", part.outputs, x.columns(), part.weight.len())?;
            if let Some(bias) = &part.bias {
                expect("gradients of a bias", bias.len(), part.outputs)?;
            }
        }
        self.add_weight_gradients(x, dy, parts);
        Ok(())
    }

    fn norm_backward(
        &self,
        x: &Tensor,
        norm: &Norm<'_, Self>,
        dy: &Tensor,
        gradients: NormGradients<'_, Self>,
    ) -> Result<Tensor> {
        shapes::same("a gradient", dy.shape(), x.shape())?;
        expect("gradients of a norm", gradients.weight.len(), x.columns())?;
        Ok(self.norm_gradient(x, norm, dy, gradients))
    }

    fn attention_backward(
        &self,
        attention: &Attention<'_, Self>,
        dy: &Tensor,
        positions: PositionGradients<'_, Self>,
    ) -> Result<AttentionGradients<Self>> {
        shapes::attention(self, attention, Vec::len)?;
        let width = attention.heads * attention.head_size;
        let rows = attention.projections.rows();
        shapes::same("a gradient", dy.shape(), (rows, width))?;
        self.attention_gradient(attention, dy, positions)
    }

    fn im2col_backward(&self, dy: &Tensor, starts: &[u32], width: usize) -> Result<Tensor> {
        shapes::starts(starts, dy.rows())?;
        shapes::odd(width)?;
        expect("columns of a gradient", dy.columns() % width, 0)?;
        Ok(self.im2col_gradient(dy, starts, width))
    }

    fn pool_backward(
        &self,
        x: &Tensor,
        starts: &[u32],
        pooling: Pooling,
        dy: &Tensor,
    ) -> Result<Tensor> {
        shapes::starts(starts, x.rows())?;
        shapes::same("a gradient", dy.shape(), (starts.len() - 1, x.columns()))?;
        Ok(self.pool_gradient(x, starts, pooling, dy))
    }

    fn l2_normalize_backward(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        shapes::same("a gradient", dy.shape(), x.shape())?;
        Ok(self.l2_gradient(x, dy))
    }

    fn splade_backward(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &TrainedLinear<'_, Self>,
        master: &Vec<f32>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        terms: &[Vec<TermWeight>],
        dy: &[Vec<f32>],
        gradients: LinearPart<'_, Self>,
    ) -> Result<Tensor> {
        checked_layer(x, &decoder.layer)?;
        shapes::starts(starts, x.rows())?;
        let (rows, columns) = (decoder.layer.weight.outputs(), x.columns());
        shapes::count("a decoder", rows, columns, master.len())?;
        shapes::count("a gradient", rows, columns, gradients.weight.len())?;
        expect("sparse vectors", terms.len(), starts.len() - 1)?;
        expect("gradients of sparse vectors", dy.len(), terms.len())?;
        for (terms, dy) in terms.iter().zip(dy) {
            expect("gradients of a sparse vector", dy.len(), terms.len())?;
        }
        let head = splade::HeadGradient {
            cpu: self,
            x,
            starts,
            decoder: &decoder.layer,
            master,
            activation,
        };
        Ok(match pooling {
            SpladePooling::Max => head.of_max(terms, dy, gradients),
            SpladePooling::Sum => head.of_sum(terms, dy, gradients),
        })
    }

    fn sum_of_squares(&self, buffer: &Vec<f32>) -> Result<f64> {
        // Sums of fixed blocks: the order does not depend on the number of threads.
        const BLOCK: usize = 4_096;
        let blocks = buffer.len().div_ceil(BLOCK);
        let parts = self.par_ranges(blocks, |blocks| {
            let values = &buffer[blocks.start * BLOCK..buffer.len().min(blocks.end * BLOCK)];
            let sums = values
                .chunks(BLOCK)
                .map(|block| f64::from(super::rows::sum(block, |value| value * value)));
            sums.collect::<Vec<_>>()
        });
        Ok(parts.into_iter().flatten().sum())
    }

    fn adamw(
        &self,
        step: &AdamW,
        master: &mut Vec<f32>,
        gradient: &Vec<f32>,
        mean: &mut Vec<f32>,
        mean_square: &mut Vec<f32>,
    ) -> Result<()> {
        for (what, len) in [
            ("values of a gradient", gradient.len()),
            ("values of a mean of gradients", mean.len()),
            ("values of a mean of squares", mean_square.len()),
        ] {
            expect(what, len, master.len())?;
        }
        self.adamw_step(step, master, gradient, [mean, mean_square]);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
