//! Gradients of what works row by row: norms, L2 normalization, dropout.

use super::{add, same};
use crate::backend::reference::Scalar;
use crate::backend::reference::rows::{Rows, Value, dot};
use crate::backend::{Norm, NormGradients, dropout, shapes};
use crate::error::Result;

/// For y = n(x) ∘ weight + bias, where n divides by the deviation (after subtracting the mean, in a
/// layer norm): with g = dy ∘ weight and n = n(x), dx = (g - mean(g) - n · mean(g ∘ n)) / deviation;
/// an RMS norm subtracts no mean.
pub(super) fn norm<T: Value>(
    x: &Rows<T>,
    norm: &Norm<'_, Scalar<T>>,
    dy: &Rows<T>,
    mut gradients: NormGradients<'_, Scalar<T>>,
) -> Result<Rows<T>> {
    same("a gradient", dy, x)?;
    let (weight, epsilon, centers) = match norm {
        Norm::Layer {
            weight, epsilon, ..
        } => (weight, *epsilon, true),
        Norm::RootMeanSquare { weight, epsilon } => (weight, *epsilon, false),
    };
    let columns = x.columns();
    shapes::expect("weights of a norm", weight.len(), columns)?;
    shapes::expect("gradients of a norm", gradients.weight.len(), columns)?;
    let mut dx = Rows::zeros(x.rows(), columns);
    for row in 0..x.rows() {
        let values: Vec<f64> = x.row(row).iter().map(|value| value.wide()).collect();
        let center = if centers { mean(&values) } else { 0.0 };
        let squares: Vec<f64> = values.iter().map(|x| (x - center).powi(2)).collect();
        let factor = 1.0 / (mean(&squares) + f64::from(epsilon)).sqrt();
        let normal: Vec<f64> = values.iter().map(|x| (x - center) * factor).collect();
        let inner: Vec<f64> = (dy.row(row).iter().zip(weight.iter()))
            .map(|(dy, weight)| dy.wide() * weight.wide())
            .collect();
        let products: Vec<f64> = inner.iter().zip(&normal).map(|(g, n)| g * n).collect();
        let shift = if centers { mean(&inner) } else { 0.0 };
        let slope = mean(&products);
        for (column, dx) in dx.row_mut(row).iter_mut().enumerate() {
            let dy = dy.row(row)[column].wide();
            *dx = T::narrow((inner[column] - shift - normal[column] * slope) * factor);
            add(&mut gradients.weight[column], dy * normal[column]);
            if let Some(bias) = &mut gradients.bias {
                add(&mut bias[column], dy);
            }
        }
    }
    Ok(dx)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// For y = x / |x|: dx = (dy - y · (y · dy)) / |x|. Below a norm of 1e-12 the divisor is constant.
pub(super) fn l2_normalize<T: Value>(x: &Rows<T>, dy: &Rows<T>) -> Rows<T> {
    let mut dx = Rows::zeros(x.rows(), x.columns());
    for row in 0..x.rows() {
        let (x, dy) = (x.row(row), dy.row(row));
        let length = dot(x, x).sqrt();
        let along = if length > 1e-12 {
            dot(x, dy) / (length * length)
        } else {
            0.0
        };
        for ((dx, x), dy) in dx.row_mut(row).iter_mut().zip(x).zip(dy) {
            *dx = T::narrow((dy.wide() - x.wide() * along) / length.max(1e-12));
        }
    }
    dx
}

/// Zeros some values and divides the others by the probability of staying.
pub(super) fn dropout<T: Value>(x: &Rows<T>, rate: f32, seed: u64) -> Result<Rows<T>> {
    let dropout = dropout::Dropout::new(rate, seed)?;
    let mut place = 0;
    Ok(x.map(|value| {
        let factor = dropout.factor(place);
        place += 1;
        T::narrow(value.wide() * f64::from(factor))
    }))
}
