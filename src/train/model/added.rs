//! The classifier that a published encoder lacks.

use crate::error::Result;
use crate::neural::{Cpu, ModelFolder};

/// Adds a classifier with some labels to an encoder, instead of one that it may have, and the layer
/// before it if that is missing too. `random` gives values of a normal distribution.
///
/// # Errors
///
/// [`Error::Model`] for a family that has no classifier.
pub fn add_classifier(
    folder: &mut ModelFolder,
    labels: usize,
    mut random: impl FnMut() -> f64,
) -> Result<()> {
    let hidden = folder.config.hidden;
    let names = crate::neural::CrossHead::<Cpu>::names(&folder.config)?;
    let mut small = |len: usize| (0..len).map(|_| (0.02 * random()) as f32).collect();
    let weights = &mut folder.weights;
    if !weights.has(&format!("{}.weight", names[0])) {
        let values = small(hidden * hidden);
        weights.add(&format!("{}.weight", names[0]), &[hidden, hidden], values);
        weights.add(&format!("{}.bias", names[0]), &[hidden], vec![0.0; hidden]);
    }
    let values = small(labels * hidden);
    weights.add(&format!("{}.weight", names[1]), &[labels, hidden], values);
    weights.add(&format!("{}.bias", names[1]), &[labels], vec![0.0; labels]);
    folder.config.labels = labels;
    Ok(())
}

/// Adds the projection of late interaction to an encoder, with random weights: directions between
/// hidden states are nearly kept by it. `random` gives values of a normal distribution.
pub fn add_projection(
    folder: &mut ModelFolder,
    dimensions: usize,
    mut random: impl FnMut() -> f64,
) {
    let hidden = folder.config.hidden;
    let deviation = 1.0 / (hidden.max(1) as f64).sqrt();
    let values = (0..dimensions * hidden).map(|_| (deviation * random()) as f32);
    let values = values.collect();
    let shape = [dimensions, hidden];
    folder.weights.add("linear.weight", &shape, values);
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
        add_classifier(&mut folder, 1, || {
            number += 1;
            f64::from(number % 7) - 3.0
        })
        .unwrap();
        let cpu = Cpu::new(CpuOptions::default()).unwrap();
        let head = crate::neural::CrossHead::load(&cpu, &folder.config, &folder.weights).unwrap();
        assert_eq!(head.labels(), 1);
    }
}
