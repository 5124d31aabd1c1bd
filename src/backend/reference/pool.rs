//! Pooling, im2col and L2 normalization.

use super::rows::{Rows, Value, dot, sequences};
use crate::backend::{Pooling, shapes};
use crate::error::Result;

/// For each row the row itself and its neighbors in the same sequence side by side.
pub(super) fn im2col<T: Value>(x: &Rows<T>, starts: &[u32], width: usize) -> Result<Rows<T>> {
    shapes::odd(width)?;
    let columns = x.columns();
    let mut output = Rows::zeros(x.rows(), width * columns);
    for sequence in sequences(starts, x.rows())? {
        for row in sequence.clone() {
            for (place, part) in output.row_mut(row).chunks_mut(columns.max(1)).enumerate() {
                // The neighbor `place - width / 2` rows away, if the sequence has it.
                let neighbour = (row + place).checked_sub(width / 2);
                if let Some(neighbour) = neighbour.filter(|row| sequence.contains(row)) {
                    part.copy_from_slice(x.row(neighbour));
                }
            }
        }
    }
    Ok(output)
}

/// One row for each sequence; zeros for an empty one.
pub(super) fn pool<T: Value>(x: &Rows<T>, starts: &[u32], pooling: Pooling) -> Result<Rows<T>> {
    let sequences = sequences(starts, x.rows())?;
    let mut output = Rows::zeros(sequences.len(), x.columns());
    for (index, sequence) in sequences.into_iter().enumerate() {
        if sequence.is_empty() {
            continue;
        }
        for column in 0..x.columns() {
            let column_values = sequence.clone().map(|row| x.row(row)[column].wide());
            output.row_mut(index)[column] = T::narrow(pooled(column_values, pooling));
        }
    }
    Ok(output)
}

/// One column of one sequence, which has at least one token.
fn pooled(values: impl ExactSizeIterator<Item = f64>, pooling: Pooling) -> f64 {
    let count = values.len() as f64;
    let mut values = values;
    match pooling {
        Pooling::First => values.next().unwrap_or(0.0),
        Pooling::Last => values.last().unwrap_or(0.0),
        Pooling::Mean => values.sum::<f64>() / count,
        Pooling::MeanSqrt => values.sum::<f64>() / count.sqrt(),
        Pooling::Max => values.fold(f64::NEG_INFINITY, f64::max),
        Pooling::WeightedMean => {
            let weights = count * (count + 1.0) / 2.0;
            let weighted = values
                .enumerate()
                .map(|(at, value)| (at + 1) as f64 * value);
            weighted.sum::<f64>() / weights
        }
    }
}

/// Divides every row by its Euclidean norm, or by 1e-12 if the norm is smaller.
pub(super) fn l2_normalize<T: Value>(x: &Rows<T>) -> Rows<T> {
    let mut output = x.clone();
    for index in 0..x.rows() {
        let row = x.row(index);
        let length = dot(row, row).sqrt().max(1e-12);
        for value in output.row_mut(index) {
            *value = T::narrow(value.wide() / length);
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{ForwardOps, Reference};

    /// Sequences of 3, 0 and 1 tokens.
    const STARTS: [u32; 4] = [0, 3, 3, 4];

    fn x() -> Rows {
        Rows::new(4, 2, vec![1.0, 9.0, 2.0, -3.0, 6.0, 0.0, 5.0, 7.0]).unwrap()
    }

    #[test]
    fn poolings_equal_hand_computed_figures() {
        for (pooling, expected) in [
            (Pooling::First, [1.0, 9.0]),
            (Pooling::Last, [6.0, 0.0]),
            (Pooling::Mean, [3.0, 2.0]),
            (Pooling::MeanSqrt, [5.196_152, 3.464_101_6]),
            (Pooling::Max, [6.0, 9.0]),
            (Pooling::WeightedMean, [23.0 / 6.0, 3.0 / 6.0]),
        ] {
            let y = Reference.pool(&x(), &STARTS, pooling).unwrap();
            assert_eq!(y.row(0), expected, "{pooling:?}");
            assert_eq!(y.row(1), [0.0, 0.0], "{pooling:?}: an empty sequence");
            assert_eq!(y.row(2), [5.0, 7.0], "{pooling:?}: one token is itself");
        }
    }

    #[test]
    fn neighbours_stop_where_the_sequence_does() {
        let x = Rows::new(4, 1, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let y = Reference.im2col(&x, &STARTS, 3).unwrap();
        assert_eq!(y.row(0), [0.0, 1.0, 2.0]);
        assert_eq!(y.row(1), [1.0, 2.0, 3.0]);
        assert_eq!(y.row(2), [2.0, 3.0, 0.0]);
        assert_eq!(y.row(3), [0.0, 4.0, 0.0]);
        assert_eq!(Reference.im2col(&x, &STARTS, 1).unwrap(), x);
        assert!(Reference.im2col(&x, &STARTS, 2).is_err());
    }

    #[test]
    fn unit_rows_have_length_one_and_zeros_stay_zeros() {
        let x = Rows::new(2, 2, vec![3.0, -4.0, 0.0, 0.0]).unwrap();
        let y = Reference.l2_normalize(&x).unwrap();
        assert_eq!(y.values(), [0.6, -0.8, 0.0, 0.0]);
    }
}
