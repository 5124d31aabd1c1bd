//! Linear layers.

use super::Scalar;
use super::activation::apply;
use super::rows::{Rows, Value, dot};
use crate::backend::{Activation, Linear, shapes};
use crate::error::Result;

/// An error unless the layer takes rows of `columns` values and its bias has one value per output.
pub(super) fn check<T: Value>(layer: &Linear<'_, Scalar<T>>, columns: usize) -> Result<()> {
    shapes::expect("inputs of a linear layer", columns, layer.weight.columns())?;
    match layer.bias {
        Some(bias) => shapes::expect("biases of a linear layer", bias.len(), layer.weight.rows()),
        None => Ok(()),
    }
}

/// One output of a layer for one row of inputs, before the activation.
pub(super) fn output<T: Value>(layer: &Linear<'_, Scalar<T>>, inputs: &[T], output: usize) -> T {
    let bias = layer.bias.map_or(0.0, |bias| bias[output].wide());
    T::narrow(dot(inputs, layer.weight.row(output)) + bias)
}

/// activation(x · weightᵀ + bias).
pub(super) fn linear<T: Value>(
    x: &Rows<T>,
    layer: &Linear<'_, Scalar<T>>,
    activation: Activation,
) -> Result<Rows<T>> {
    check(layer, x.columns())?;
    let outputs = layer.weight.rows();
    let mut y = Rows::zeros(x.rows(), outputs);
    for row in 0..x.rows() {
        for (index, value) in y.row_mut(row).iter_mut().enumerate() {
            *value = apply(activation, output(layer, x.row(row), index));
        }
    }
    Ok(y)
}

/// activation(x · gateᵀ) ∘ (x · upᵀ).
pub(super) fn gated<T: Value>(
    x: &Rows<T>,
    gate: &Linear<'_, Scalar<T>>,
    up: &Linear<'_, Scalar<T>>,
    activation: Activation,
) -> Result<Rows<T>> {
    shapes::expect(
        "outputs of a gated layer",
        up.weight.rows(),
        gate.weight.rows(),
    )?;
    let gates = linear(x, gate, activation)?;
    let values = linear(x, up, Activation::Identity)?;
    let products = gates.values().iter().zip(values.values());
    Rows::new(
        gates.rows(),
        gates.columns(),
        products
            .map(|(gate, value)| T::narrow(gate.wide() * value.wide()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ForwardOps;
    use crate::backend::Reference;

    fn x() -> Rows {
        Rows::new(2, 2, vec![1.0, 2.0, -3.0, 4.0]).unwrap()
    }

    #[test]
    fn a_linear_layer_is_inputs_times_rows_of_weights_plus_bias() {
        let weight = Rows::new(3, 2, vec![1.0, 1.0, 2.0, 0.0, 0.0, -1.0]).unwrap();
        let bias = vec![0.5, 0.0, 1.0];
        let layer = Linear {
            weight: &weight,
            bias: Some(&bias),
        };
        let y = Reference
            .linear(&x(), &layer, Activation::Identity)
            .unwrap();
        assert_eq!(y.values(), [3.5, 2.0, -1.0, 1.5, -6.0, -3.0]);
        let y = Reference.linear(&x(), &layer, Activation::Relu).unwrap();
        assert_eq!(y.values(), [3.5, 2.0, 0.0, 1.5, 0.0, 0.0]);
    }

    #[test]
    fn a_gated_layer_multiplies_what_the_gate_lets_through() {
        let gate = Rows::new(1, 2, vec![1.0, 0.0]).unwrap();
        let up = Rows::new(1, 2, vec![0.0, 1.0]).unwrap();
        let gate = Linear {
            weight: &gate,
            bias: None,
        };
        let up = Linear {
            weight: &up,
            bias: None,
        };
        let y = Reference.gated(&x(), &gate, &up, Activation::Relu).unwrap();
        assert_eq!(y.values(), [2.0, 0.0]);
    }

    #[test]
    fn a_residual_is_added_before_the_norm() {
        let identity = Rows::new(2, 2, vec![1.0, 0.0, 0.0, 1.0]).unwrap();
        let layer = Linear {
            weight: &identity,
            bias: None,
        };
        let residual = Rows::new(2, 2, vec![1.0, 2.0, 3.0, -4.0]).unwrap();
        let y = Reference.linear_add(&x(), &layer, &residual, None).unwrap();
        assert_eq!(y.values(), [2.0, 4.0, 0.0, 0.0]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let weight = Rows::zeros(2, 3);
        let layer = Linear {
            weight: &weight,
            bias: None,
        };
        let error = Reference.linear(&x(), &layer, Activation::Identity);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("expected 3, found 2"), "{error}");

        let weight = Rows::zeros(2, 2);
        let layer = Linear {
            weight: &weight,
            bias: Some(&vec![0.0; 3]),
        };
        assert!(
            Reference
                .linear(&x(), &layer, Activation::Identity)
                .is_err()
        );
    }
}
