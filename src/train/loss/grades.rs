//! Cross-entropy over grades.

use super::Loss;
use super::list::softmax;
use crate::error::{Error, Result};

/// -ln of the share of a grade in the softmax of the logits, which has one for each grade from 0, and
/// the gradient of each logit.
///
/// # Errors
///
/// [`Error::InvalidInput`] when a logit is not finite, or there is none for the grade.
pub fn grade_loss(logits: &[f32], grade: usize) -> Result<Loss> {
    let values: Vec<f64> = logits.iter().map(|logit| f64::from(*logit)).collect();
    if grade >= values.len() || values.iter().any(|value| !value.is_finite()) {
        return Err(Error::invalid(format!(
            "expected a finite logit for each grade up to {grade}, found {values:?}; lower the learning rate if the logits of a \
             model in training grow without bound"
        )));
    }
    let mut gradient = softmax(&values);
    let share = gradient[grade].max(f64::MIN_POSITIVE);
    gradient[grade] -= 1.0;
    Ok(Loss {
        value: -share.ln(),
        gradient,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_share_evenly() {
        let found = grade_loss(&[1.5, 1.5, 1.5, 1.5], 2).unwrap();
        assert!((found.value - 4f64.ln()).abs() < 1e-12);
        assert_eq!(found.gradient, [0.25, 0.25, -0.75, 0.25]);
        // Far apart, the loss stays finite.
        assert!(grade_loss(&[-1e4, 1e4], 0).unwrap().value.is_finite());
        assert!(grade_loss(&[0.0, 0.0], 2).is_err());
    }
}
