//! The tensors of the reference backend, and the checks that every operation starts with.

use std::ops::Range;

use crate::backend::shapes;
use crate::error::Result;

/// What the reference backend stores: f32, or f64 where derivatives are taken by differences.
pub trait Value: Copy + Default + Send + Sync + PartialEq + 'static {
    /// The value as f64.
    fn wide(self) -> f64;

    /// The nearest value of this type.
    fn narrow(wide: f64) -> Self;
}

impl Value for f32 {
    fn wide(self) -> f64 {
        f64::from(self)
    }

    fn narrow(wide: f64) -> Self {
        wide as Self
    }
}

impl Value for f64 {
    fn wide(self) -> f64 {
        self
    }

    fn narrow(wide: f64) -> Self {
        wide
    }
}

/// Rows × columns values, row after row: the tensors, matrices and tables of the reference backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<T = f32> {
    rows: usize,
    columns: usize,
    values: Vec<T>,
}

impl<T: Value> Rows<T> {
    /// Takes `rows` × `columns` values.
    ///
    /// # Errors
    ///
    /// [`Error::Model`](crate::Error::Model) if there are more or fewer.
    pub fn new(rows: usize, columns: usize, values: Vec<T>) -> Result<Self> {
        shapes::count("rows", rows, columns, values.len())?;
        Ok(Self {
            rows,
            columns,
            values,
        })
    }

    /// `rows` × `columns` zeros.
    pub(super) fn zeros(rows: usize, columns: usize) -> Self {
        Self {
            rows,
            columns,
            values: vec![T::default(); rows * columns],
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values per row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row after row.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[T] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// Columns × rows values: the transpose.
    #[cfg(feature = "train")]
    pub(super) fn transposed(&self) -> Self {
        let columns = (0..self.columns).flat_map(|column| {
            let of_row = move |row| self.values[row * self.columns + column];
            (0..self.rows).map(of_row)
        });
        Self {
            rows: self.columns,
            columns: self.rows,
            values: columns.collect(),
        }
    }

    /// The function of each value, in order.
    #[cfg(feature = "train")]
    pub(super) fn map(&self, function: impl FnMut(T) -> T) -> Self {
        Self {
            rows: self.rows,
            columns: self.columns,
            values: self.values.iter().copied().map(function).collect(),
        }
    }

    /// The function of each pair of values of two tensors of one shape.
    #[cfg(feature = "train")]
    pub(super) fn zip(&self, other: &Self, function: impl Fn(T, T) -> T) -> Self {
        let pairs = self.values.iter().zip(&other.values);
        Self {
            rows: self.rows,
            columns: self.columns,
            values: pairs.map(|(one, other)| function(*one, *other)).collect(),
        }
    }

    /// One row, mutable.
    pub(super) fn row_mut(&mut self, row: usize) -> &mut [T] {
        &mut self.values[row * self.columns..(row + 1) * self.columns]
    }
}

/// The rows of each sequence.
///
/// # Errors
///
/// [`Error::Model`](crate::Error::Model) unless `starts` begins with 0, never decreases and ends
/// with `rows`.
pub(super) fn sequences(starts: &[u32], rows: usize) -> Result<Vec<Range<usize>>> {
    shapes::starts(starts, rows)?;
    Ok(starts
        .windows(2)
        .map(|pair| pair[0] as usize..pair[1] as usize)
        .collect())
}

/// The inner product, summed in f64.
pub(super) fn dot<T: Value>(a: &[T], b: &[T]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| a.wide() * b.wide()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_of_values_is_an_error_that_says_both_numbers() {
        let error = Rows::new(2, 3, vec![0.0; 5]).unwrap_err().to_string();
        assert!(error.contains("2 × 3") && error.contains('5'), "{error}");
    }

    #[test]
    fn starts_must_cover_the_rows_in_order() {
        assert_eq!(sequences(&[0, 2, 2, 3], 3).unwrap(), [0..2, 2..2, 2..3]);
        assert!(sequences(&[0], 0).unwrap().is_empty());
        for wrong in [&[][..], &[1, 3], &[0, 2], &[0, 3, 2, 3], &[0, 4]] {
            assert!(sequences(wrong, 3).is_err(), "{wrong:?}");
        }
    }
}
