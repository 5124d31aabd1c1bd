//! The classifier that a published encoder lacks.

use crate::error::Result;
use crate::neural::{Cpu, ModelFolder};

/// Adds a classifier with one label to an encoder without one, and the layer before it if that is
/// missing too. `random` gives values of a normal distribution.
///
/// # Errors
///
/// [`Error::Model`] for a family that has no classifier.
pub fn add_classifier(folder: &mut ModelFolder, mut random: impl FnMut() -> f64) -> Result<()> {
    let hidden = folder.config.hidden;
    let names = crate::neural::CrossHead::<Cpu>::names(&folder.config)?;
    let mut small = |len: usize| (0..len).map(|_| (0.02 * random()) as f32).collect();
    let weights = &mut folder.weights;
    if !weights.has(&format!("{}.weight", names[0])) {
        let values = small(hidden * hidden);
        weights.add(&format!("{}.weight", names[0]), &[hidden, hidden], values);
        weights.add(&format!("{}.bias", names[0]), &[hidden], vec![0.0; hidden]);
    }
    let values = small(hidden);
    weights.add(&format!("{}.weight", names[1]), &[1, hidden], values);
    weights.add(&format!("{}.bias", names[1]), &[1], vec![0.0]);
    folder.config.labels = 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::backend::CpuOptions;

    #[test]
    fn a_classifier_is_added() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models");
        let mut folder = ModelFolder::open(&models.join("st-mean")).unwrap();
        let mut number = 0;
        add_classifier(&mut folder, || {
            number += 1;
            f64::from(number % 7) - 3.0
        })
        .unwrap();
        let cpu = Cpu::new(CpuOptions::default()).unwrap();
        let head = crate::neural::CrossHead::load(&cpu, &folder.config, &folder.weights).unwrap();
        assert_eq!(head.labels(), 1);
    }
}
