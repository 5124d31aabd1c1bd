//! AdamW.

use crate::backend::reference::rows::Value;
use crate::backend::{AdamW, shapes};
use crate::error::Result;

/// One step of AdamW: moments with bias correction, weight decay apart from the gradient.
pub(super) fn adamw<T: Value>(
    step: &AdamW,
    master: &mut [T],
    gradient: &[T],
    mean: &mut [T],
    mean_square: &mut [T],
) -> Result<()> {
    for (what, len) in [
        ("values of a gradient", gradient.len()),
        ("values of a mean of gradients", mean.len()),
        ("values of a mean of squares", mean_square.len()),
    ] {
        shapes::expect(what, len, master.len())?;
    }
    let (beta1, beta2) = (f64::from(step.beta1), f64::from(step.beta2));
    let rate = f64::from(step.learning_rate);
    let number = step.step as f64;
    let (correction1, correction2) = (1.0 - beta1.powf(number), 1.0 - beta2.powf(number));
    let moments = mean.iter_mut().zip(mean_square);
    for ((value, gradient), (mean, square)) in master.iter_mut().zip(gradient).zip(moments) {
        let gradient = gradient.wide() * f64::from(step.gradient_scale);
        let new_mean = beta1 * mean.wide() + (1.0 - beta1) * gradient;
        let new_square = beta2 * square.wide() + (1.0 - beta2) * gradient * gradient;
        let root = (new_square / correction2).sqrt() + f64::from(step.epsilon);
        let decayed = value.wide() * (1.0 - rate * f64::from(step.weight_decay));
        *value = T::narrow(decayed - rate * (new_mean / correction1) / root);
        *mean = T::narrow(new_mean);
        *square = T::narrow(new_square);
    }
    Ok(())
}
