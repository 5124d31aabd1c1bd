//! Activations by the names that published settings use.

use crate::backend::Activation;
use crate::error::Result;

use super::super::settings::Settings;

const NAMES: &str = "gelu, gelu_python, gelu_new, gelu_fast, gelu_pytorch_tanh, gelu_python_tanh, gelu_accurate, \
                     relu, silu, swish, tanh";

/// The activation called `name`, which is the value of `key`.
pub(super) fn activation_named(settings: &Settings, key: &str, name: &str) -> Result<Activation> {
    match name {
        "gelu" | "gelu_python" => Ok(Activation::Gelu),
        // These are written differently and compute the same up to rounding.
        "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_accurate" => {
            Ok(Activation::GeluTanh)
        }
        "relu" => Ok(Activation::Relu),
        "silu" | "swish" => Ok(Activation::Silu),
        "tanh" => Ok(Activation::Tanh),
        _ => Err(settings.wrong(key, &format!("one of {NAMES}"), format!("`{name}`"))),
    }
}

/// The activation at `key`, or else `default`.
pub(super) fn activation(
    settings: &Settings,
    key: &str,
    default: Activation,
) -> Result<Activation> {
    match settings.text(key)? {
        Some(name) => activation_named(settings, key, name),
        None => Ok(default),
    }
}
