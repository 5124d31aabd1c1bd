//! Gradients of pooling and im2col.

use super::add;
use crate::backend::reference::rows::{Rows, Value, sequences};
use crate::backend::{Pooling, shapes};
use crate::error::Result;

/// The gradient of a row is the sum of those of its copies beside its neighbors.
pub(super) fn im2col<T: Value>(dy: &Rows<T>, starts: &[u32], width: usize) -> Result<Rows<T>> {
    shapes::odd(width)?;
    let columns = dy.columns() / width;
    shapes::expect("columns of a gradient", dy.columns(), columns * width)?;
    let mut dx = Rows::zeros(dy.rows(), columns);
    for sequence in sequences(starts, dy.rows())? {
        for row in sequence.clone() {
            for (place, part) in dy.row(row).chunks(columns.max(1)).enumerate() {
                let neighbor = (row + place).checked_sub(width / 2);
                if let Some(neighbor) = neighbor.filter(|row| sequence.contains(row)) {
                    for (sum, value) in dx.row_mut(neighbor).iter_mut().zip(part) {
                        add(sum, value.wide());
                    }
                }
            }
        }
    }
    Ok(dx)
}

/// Each row gets its share of the sequence's gradient.
pub(super) fn pool<T: Value>(
    x: &Rows<T>,
    starts: &[u32],
    pooling: Pooling,
    dy: &Rows<T>,
) -> Result<Rows<T>> {
    let sequences = sequences(starts, x.rows())?;
    shapes::same(
        "a gradient",
        (dy.rows(), dy.columns()),
        (sequences.len(), x.columns()),
    )?;
    let mut dx = Rows::zeros(x.rows(), x.columns());
    for (index, sequence) in sequences.into_iter().enumerate() {
        let count = sequence.len() as f64;
        for (place, row) in sequence.clone().enumerate() {
            for column in 0..x.columns() {
                let share = match pooling {
                    Pooling::First => f64::from(u8::from(place == 0)),
                    Pooling::Last => f64::from(u8::from(place + 1 == sequence.len())),
                    Pooling::Mean => 1.0 / count,
                    Pooling::MeanSqrt => 1.0 / count.sqrt(),
                    Pooling::WeightedMean => (place + 1) as f64 / (count * (count + 1.0) / 2.0),
                    Pooling::Max => {
                        let value = |row: usize| x.row(row)[column].wide();
                        let is_above = |other: usize| match other < row {
                            true => value(other) >= value(row),
                            false => value(other) > value(row),
                        };
                        f64::from(u8::from(!sequence.clone().any(is_above)))
                    }
                };
                dx.row_mut(row)[column] = T::narrow(share * dy.row(index)[column].wide());
            }
        }
    }
    Ok(dx)
}
