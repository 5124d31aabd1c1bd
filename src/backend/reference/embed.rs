//! Sums of table rows or tensors, and norms.

use super::Scalar;
use super::rows::{Rows, Value};
use crate::backend::{Norm, shapes};
use crate::error::Result;

/// For each position the sum of one row of each table.
pub(super) fn embed<T: Value>(
    parts: &[(&Rows<T>, &[u32])],
    norm: Option<&Norm<'_, Scalar<T>>>,
) -> Result<Rows<T>> {
    let sizes: Vec<_> = parts
        .iter()
        .map(|(table, ids)| ((table.rows(), table.columns()), *ids))
        .collect();
    let (rows, columns) = shapes::embed(&sizes)?;
    let mut sums = Rows::<T>::zeros(rows, columns);
    for (table, ids) in parts {
        for (position, &number) in ids.iter().enumerate() {
            let row = table.row(number as usize);
            for (sum, value) in sums.row_mut(position).iter_mut().zip(row) {
                *sum = T::narrow(sum.wide() + value.wide());
            }
        }
    }
    normalized_if(sums, norm)
}

/// x + y, then the norm if there is one.
pub(super) fn add<T: Value>(
    x: &Rows<T>,
    y: &Rows<T>,
    norm: Option<&Norm<'_, Scalar<T>>>,
) -> Result<Rows<T>> {
    let size = (x.rows(), x.columns());
    shapes::same("the second of a sum", (y.rows(), y.columns()), size)?;
    let sums = x
        .values()
        .iter()
        .zip(y.values())
        .map(|(x, y)| T::narrow(x.wide() + y.wide()));
    let sums = Rows::new(x.rows(), x.columns(), sums.collect())?;
    normalized_if(sums, norm)
}

fn normalized_if<T: Value>(x: Rows<T>, norm: Option<&Norm<'_, Scalar<T>>>) -> Result<Rows<T>> {
    match norm {
        Some(norm) => normalized(x, norm),
        None => Ok(x),
    }
}

/// Normalizes every row over its columns.
pub(super) fn normalized<T: Value>(mut x: Rows<T>, norm: &Norm<'_, Scalar<T>>) -> Result<Rows<T>> {
    let columns = x.columns();
    match norm {
        Norm::Layer {
            weight,
            bias,
            epsilon,
        } => {
            shapes::expect("weights of a norm", weight.len(), columns)?;
            shapes::expect("biases of a norm", bias.len(), columns)?;
            for row in 0..x.rows() {
                layer_norm(x.row_mut(row), weight, bias, f64::from(*epsilon));
            }
        }
        Norm::RootMeanSquare { weight, epsilon } => {
            shapes::expect("weights of a norm", weight.len(), columns)?;
            for row in 0..x.rows() {
                root_mean_square_norm(x.row_mut(row), weight, f64::from(*epsilon));
            }
        }
    }
    Ok(x)
}

fn layer_norm<T: Value>(row: &mut [T], weight: &[T], bias: &[T], epsilon: f64) {
    let count = row.len() as f64;
    let mean = row.iter().map(|&x| x.wide()).sum::<f64>() / count;
    let squares = row.iter().map(|&x| (x.wide() - mean).powi(2));
    let variance = squares.sum::<f64>() / count;
    let factor = 1.0 / (variance + epsilon).sqrt();
    for ((x, &weight), &bias) in row.iter_mut().zip(weight).zip(bias) {
        let centred = (x.wide() - mean) * factor;
        *x = T::narrow(centred * weight.wide() + bias.wide());
    }
}

fn root_mean_square_norm<T: Value>(row: &mut [T], weight: &[T], epsilon: f64) {
    let squares = row.iter().map(|&x| x.wide().powi(2));
    let mean_square = squares.sum::<f64>() / row.len() as f64;
    let factor = 1.0 / (mean_square + epsilon).sqrt();
    for (x, &weight) in row.iter_mut().zip(weight) {
        *x = T::narrow(x.wide() * factor * weight.wide());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ForwardOps;
    use crate::backend::Reference;

    #[test]
    fn embeddings_are_sums_of_looked_up_rows() {
        let words = Rows::new(3, 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let places = Rows::new(2, 2, vec![10.0, 20.0, 30.0, 40.0]).unwrap();
        let sums = Reference
            .embed(&[(&words, &[2, 0]), (&places, &[0, 1])], None)
            .unwrap();
        assert_eq!(sums.values(), [15.0, 26.0, 31.0, 42.0]);
    }

    #[test]
    fn a_number_beyond_the_table_is_an_error_that_names_it() {
        let table = Rows::zeros(3, 2);
        let error = Reference.embed(&[(&table, &[3])], None).unwrap_err();
        assert!(error.to_string().contains("found 3"), "{error}");
        assert!(Reference.embed(&[], None).is_err());
        let short: (&Rows, &[u32]) = (&table, &[1]);
        assert!(Reference.embed(&[(&table, &[1, 2]), short], None).is_err());
    }

    #[test]
    fn layer_norm_equals_hand_computed_figures() {
        // Mean 2, variance 1 (4 with the epsilon 3), weights 2 and 4, biases 1 and -1.
        let x = Rows::new(1, 2, vec![1.0, 3.0]).unwrap();
        let norm = Norm::Layer {
            weight: &vec![2.0, 4.0],
            bias: &vec![1.0, -1.0],
            epsilon: 3.0,
        };
        let y = Reference.norm(&x, &norm).unwrap();
        assert_eq!(y.values(), [0.0, 1.0]);
    }

    #[test]
    fn root_mean_square_norm_equals_hand_computed_figures() {
        // Mean square (49 + 1) / 2 = 25; neither mean nor bias.
        let x = Rows::new(1, 2, vec![7.0, -1.0]).unwrap();
        let norm = Norm::RootMeanSquare {
            weight: &vec![1.0, 10.0],
            epsilon: 0.0,
        };
        let y = Reference.norm(&x, &norm).unwrap();
        assert_eq!(y.values(), [1.4, -2.0]);
    }

    #[test]
    fn sums_are_normalized_after_adding() {
        let x = Rows::new(1, 2, vec![1.0, 1.0]).unwrap();
        let y = Rows::new(1, 2, vec![0.0, 2.0]).unwrap();
        assert_eq!(Reference.add(&x, &y, None).unwrap().values(), [1.0, 3.0]);
        let norm = Norm::Layer {
            weight: &vec![1.0, 1.0],
            bias: &vec![0.0, 0.0],
            epsilon: 0.0,
        };
        let z = Reference.add(&x, &y, Some(&norm)).unwrap();
        assert_eq!(z.values(), [-1.0, 1.0]);
        assert!(Reference.add(&x, &Rows::zeros(2, 1), None).is_err());
    }

    #[test]
    fn norms_of_the_wrong_length_are_refused() {
        let norm = Norm::RootMeanSquare {
            weight: &vec![1.0; 3],
            epsilon: 0.0,
        };
        let error = Reference.norm(&Rows::zeros(1, 2), &norm).unwrap_err();
        assert!(error.to_string().contains("expected 2, found 3"), "{error}");
    }
}
