//! The names of each family's tensors. They have no base prefix (`bert.`, `roberta.` …):
//! [`Weights`](crate::neural::weights::Weights) finds them with and without.

use crate::neural::config::Family;

/// The tensors of one layer of a post-norm encoder: without the `.weight` or `.bias` that follows
/// each name.
pub(super) struct LayerNames {
    /// Queries, keys, values.
    pub(super) projections: [String; 3],
    pub(super) attention_output: String,
    pub(super) attention_norm: String,
    pub(super) up: String,
    pub(super) down: String,
    pub(super) output_norm: String,
}

/// The names of layer `index` of a post-norm encoder.
pub(super) fn layer(family: Family, index: usize) -> LayerNames {
    let (start, names) = match family {
        Family::DistilBert => (format!("transformer.layer.{index}"), DISTILBERT),
        Family::DebertaV2 => (format!("encoder.layer.{index}"), DEBERTA),
        _ => (format!("encoder.layer.{index}"), BERT),
    };
    let [query, key, value, rest @ ..] = names.map(|name| format!("{start}.{name}"));
    let [attention_output, attention_norm, up, down, output_norm] = rest;
    LayerNames {
        projections: [query, key, value],
        attention_output,
        attention_norm,
        up,
        down,
        output_norm,
    }
}

const BERT: [&str; 8] = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
];

const DISTILBERT: [&str; 8] = [
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
];

const DEBERTA: [&str; 8] = [
    "attention.self.query_proj",
    "attention.self.key_proj",
    "attention.self.value_proj",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
];

/// The table of word embeddings, which heads share with the encoder.
pub(in crate::neural) fn word_embeddings(family: Family) -> &'static str {
    match family {
        Family::T5 => "shared.weight",
        _ => "embeddings.word_embeddings.weight",
    }
}
