//! Gradients of every operation in scalar Rust: the specification in code of
//! [`BackwardOps`].
//!
//! Each function is the derivative of the forward function of the same name, written out; sums are in
//! f64. The tests hold them to differences of the forward functions on f64 values.

mod attention;
mod optimizer;
mod pool;
mod rows;
mod sparse;
#[cfg(test)]
mod tests;

use super::rows::{Rows, Value};
use super::{Scalar, activation, linear};
use crate::backend::{
    Activation, AdamW, Attention, AttentionGradients, BackwardOps, Linear, LinearPart, Norm,
    NormGradients, Orientation, Pooling, PositionGradients, SpladeActivation, SpladePooling,
    TermWeight, TrainedLinear, shapes,
};
use crate::error::Result;

/// Adds to a gradient.
fn add<T: Value>(sum: &mut T, value: f64) {
    *sum = T::narrow(sum.wide() + value);
}

/// An error unless two tensors have the same shape.
fn same<T: Value>(what: &str, found: &Rows<T>, expected: &Rows<T>) -> Result<()> {
    let shape = |rows: &Rows<T>| (rows.rows(), rows.columns());
    shapes::same(what, shape(found), shape(expected))
}

fn stacked<T: Copy>(masters: &[&Vec<T>]) -> Vec<T> {
    masters
        .iter()
        .flat_map(|master| master.iter().copied())
        .collect()
}

impl<T: Value> BackwardOps for Scalar<T> {
    type Buffer = Vec<T>;

    fn buffer(&self, values: &[f32]) -> Result<Vec<T>> {
        Ok(super::narrow(values))
    }

    fn zeros(&self, len: usize) -> Result<Vec<T>> {
        Ok(vec![T::default(); len])
    }

    fn read(&self, buffer: &Vec<T>) -> Result<Vec<f32>> {
        Ok(buffer.iter().map(|value| value.wide() as f32).collect())
    }

    fn write(&self, buffer: &mut Vec<T>, values: &[f32]) -> Result<()> {
        shapes::expect("values of a buffer", values.len(), buffer.len())?;
        *buffer = super::narrow(values);
        Ok(())
    }

    fn clear(&self, buffer: &mut Vec<T>) -> Result<()> {
        buffer.fill(T::default());
        Ok(())
    }

    fn pack_matrix(
        &self,
        matrix: &mut Rows<T>,
        masters: &[&Vec<T>],
        inputs: usize,
        orientation: Orientation,
    ) -> Result<()> {
        let values = stacked(masters);
        let packed = Rows::new(values.len() / inputs.max(1), inputs, values)?;
        *matrix = match orientation {
            Orientation::Forward => packed,
            Orientation::Transposed => packed.transposed(),
        };
        Ok(())
    }

    fn pack_table(
        &self,
        table: &mut Rows<T>,
        master: &Vec<T>,
        rows: usize,
        columns: usize,
    ) -> Result<()> {
        *table = Rows::new(rows, columns, master.clone())?;
        Ok(())
    }

    fn pack_vector(&self, vector: &mut Vec<T>, masters: &[&Vec<T>]) -> Result<()> {
        *vector = stacked(masters);
        Ok(())
    }

    fn activate(&self, x: &Rows<T>, activation: Activation) -> Result<Rows<T>> {
        Ok(x.map(|value| activation::apply(activation, value)))
    }

    fn multiply(&self, x: &Rows<T>, y: &Rows<T>) -> Result<Rows<T>> {
        same("the second of a product", y, x)?;
        Ok(x.zip(y, |x, y| T::narrow(x.wide() * y.wide())))
    }

    fn dropout(&self, x: &Rows<T>, rate: f32, seed: u64) -> Result<Rows<T>> {
        rows::dropout(x, rate, seed)
    }

    fn splade_terms(
        &self,
        x: &Rows<T>,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
    ) -> Result<Vec<Vec<TermWeight>>> {
        sparse::terms(x, starts, decoder, activation, pooling)
    }

    fn embed_backward(&self, parts: &mut [(&mut Vec<T>, &[u32])], dy: &Rows<T>) -> Result<()> {
        for (gradient, ids) in parts {
            shapes::expect("ids of a table", ids.len(), dy.rows())?;
            let rows = gradient.len() / dy.columns().max(1);
            shapes::embed(&[((rows, dy.columns()), ids)])?;
            for (row, id) in ids.iter().enumerate() {
                let first = *id as usize * dy.columns();
                let sums = &mut gradient[first..first + dy.columns()];
                for (sum, value) in sums.iter_mut().zip(dy.row(row)) {
                    add(sum, value.wide());
                }
            }
        }
        Ok(())
    }

    fn activate_backward(
        &self,
        x: &Rows<T>,
        activation: Activation,
        dy: &Rows<T>,
    ) -> Result<Rows<T>> {
        same("a gradient", dy, x)?;
        Ok(x.zip(dy, |x, dy| {
            T::narrow(activation::slope(activation, x.wide()) * dy.wide())
        }))
    }

    fn linear_weight_backward(
        &self,
        x: &Rows<T>,
        dy: &Rows<T>,
        parts: &mut [LinearPart<'_, Self>],
    ) -> Result<()> {
        shapes::expect("rows of a gradient", dy.rows(), x.rows())?;
        let outputs = parts.iter().map(|part| part.outputs).sum();
        shapes::expect("outputs of a linear layer", dy.columns(), outputs)?;
        let mut first = 0;
        for part in parts {
            let inputs = x.columns();
            shapes::count("a gradient", part.outputs, inputs, part.weight.len())?;
            for output in 0..part.outputs {
                let dy_of = |row: usize| dy.row(row)[first + output].wide();
                for input in 0..inputs {
                    let products = (0..x.rows()).map(|row| dy_of(row) * x.row(row)[input].wide());
                    add(&mut part.weight[output * inputs + input], products.sum());
                }
                if let Some(bias) = &mut part.bias {
                    add(&mut bias[output], (0..x.rows()).map(dy_of).sum());
                }
            }
            first += part.outputs;
        }
        Ok(())
    }

    fn norm_backward(
        &self,
        x: &Rows<T>,
        norm: &Norm<'_, Self>,
        dy: &Rows<T>,
        gradients: NormGradients<'_, Self>,
    ) -> Result<Rows<T>> {
        rows::norm(x, norm, dy, gradients)
    }

    fn attention_backward(
        &self,
        attention: &Attention<'_, Self>,
        dy: &Rows<T>,
        positions: PositionGradients<'_, Self>,
    ) -> Result<AttentionGradients<Self>> {
        attention::backward(attention, dy, positions)
    }

    fn im2col_backward(&self, dy: &Rows<T>, starts: &[u32], width: usize) -> Result<Rows<T>> {
        pool::im2col(dy, starts, width)
    }

    fn pool_backward(
        &self,
        x: &Rows<T>,
        starts: &[u32],
        pooling: Pooling,
        dy: &Rows<T>,
    ) -> Result<Rows<T>> {
        pool::pool(x, starts, pooling, dy)
    }

    fn l2_normalize_backward(&self, x: &Rows<T>, dy: &Rows<T>) -> Result<Rows<T>> {
        same("a gradient", dy, x)?;
        Ok(rows::l2_normalize(x, dy))
    }

    fn splade_backward(
        &self,
        x: &Rows<T>,
        starts: &[u32],
        decoder: &TrainedLinear<'_, Self>,
        _master: &Vec<T>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        terms: &[Vec<TermWeight>],
        dy: &[Vec<f32>],
        gradients: LinearPart<'_, Self>,
    ) -> Result<Rows<T>> {
        linear::check(&decoder.layer, x.columns())?;
        let head = sparse::Head {
            x,
            decoder: &decoder.layer,
            activation,
            pooling,
        };
        head.backward(starts, terms, dy, gradients)
    }

    fn sum_of_squares(&self, buffer: &Vec<T>) -> Result<f64> {
        Ok(buffer.iter().map(|value| value.wide().powi(2)).sum())
    }

    fn adamw(
        &self,
        step: &AdamW,
        master: &mut Vec<T>,
        gradient: &Vec<T>,
        mean: &mut Vec<T>,
        mean_square: &mut Vec<T>,
    ) -> Result<()> {
        optimizer::adamw(step, master, gradient, mean, mean_square)
    }
}
