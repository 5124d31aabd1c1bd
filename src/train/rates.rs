//! Learning rates of the groups of a model's tensors.

/// Learning rates by the name of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// Of the encoder's last layer.
    pub encoder: f64,
    /// Of the head.
    pub head: f64,
    /// Of tables of token weights.
    pub tables: f64,
    /// Each layer below another has this multiple of its rate; embeddings are below the first layer.
    pub layer_decay: f64,
    /// The layers of the encoder.
    pub layers: usize,
}

/// The beginnings of the names of heads' tensors, in all families.
const HEADS: [&str; 11] = [
    "linear.",
    "cls.",
    "lm_head.",
    "lm_predictions.",
    "vocab_transform",
    "vocab_layer_norm",
    "vocab_projector",
    "generator_",
    "classifier",
    "pre_classifier",
    "pooler.",
];

impl Rates {
    /// The rate of a tensor, before the schedule.
    pub fn of(&self, name: &str) -> f64 {
        if name.starts_with("tables.") {
            return self.tables;
        }
        if HEADS.iter().any(|head| name.starts_with(head)) {
            return self.head;
        }
        let above = match layer_of(name) {
            Some(layer) => self.layers.saturating_sub(layer + 1),
            None if name.contains("mbedding") || name.starts_with("shared") => self.layers,
            // Norms behind the last layer.
            None => 0,
        };
        let above = i32::try_from(above).unwrap_or(i32::MAX);
        self.encoder * self.layer_decay.powi(above)
    }
}

/// The number of the layer that a tensor belongs to: the first number in its name.
fn layer_of(name: &str) -> Option<usize> {
    name.split('.').find_map(|part| part.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_known_by_their_names() {
        let rates = Rates {
            encoder: 1.0,
            head: 3.0,
            tables: 7.0,
            layer_decay: 0.5,
            layers: 3,
        };
        for (name, expected) in [
            ("encoder.layer.2.output.dense.weight", 1.0),
            ("encoder.layer.0.output.dense.weight", 0.25),
            ("transformer.layer.1.ffn.lin1.weight", 0.5),
            ("encoder.block.2.layer.1.DenseReluDense.wi.weight", 1.0),
            ("embeddings.word_embeddings.weight", 0.125),
            ("shared.weight", 0.125),
            ("encoder.final_layer_norm.weight", 1.0),
            ("cls.predictions.bias", 3.0),
            ("classifier.weight", 3.0),
            ("tables.query", 7.0),
            ("linear.weight", 3.0),
        ] {
            assert_eq!(rates.of(name), expected, "{name}");
        }
    }
}
