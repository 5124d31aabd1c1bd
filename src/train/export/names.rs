//! The names that `transformers` expects of tensors.
//!
//! A class with a head puts a prefix before the names of its transformer (`bert.`), the class of
//! the transformer alone does not. A file without prefixes is only loaded by a class with a head if
//! it has no tensor of the head; so files of models with heads get prefixes here.

use crate::neural::{Family, ModelConfig};

/// Prefixes of programs that wrapped the model.
const WRAPPERS: [&str; 6] = [
    "0.auto_model.",
    "0.model.",
    "auto_model.",
    "model.",
    "module.",
    "",
];
/// What the names of heads begin with.
const HEADS: [&str; 12] = [
    "classifier.",
    "cls.",
    "discriminator_predictions.",
    "generator_",
    "linear.",
    "lm_head.",
    "lm_predictions.",
    "logits_proj.",
    "mask_predictions.",
    "pre_classifier.",
    "qa_outputs.",
    "vocab_",
];

/// A tensor that `transformers` makes the same as another, and that other.
pub(super) struct Tie {
    pub(super) copy: &'static str,
    pub(super) of: &'static str,
}

const WORDS: &str = "embeddings.word_embeddings.weight";

/// The tensors that are the same in most models of a family.
pub(super) fn ties(family: Family) -> &'static [Tie] {
    const BERT: [Tie; 2] = [
        Tie {
            copy: "cls.predictions.decoder.weight",
            of: WORDS,
        },
        Tie {
            copy: "cls.predictions.decoder.bias",
            of: "cls.predictions.bias",
        },
    ];
    const ROBERTA: [Tie; 2] = [
        Tie {
            copy: "lm_head.decoder.weight",
            of: WORDS,
        },
        Tie {
            copy: "lm_head.decoder.bias",
            of: "lm_head.bias",
        },
    ];
    const DISTILBERT: [Tie; 1] = [Tie {
        copy: "vocab_projector.weight",
        of: WORDS,
    }];
    const ELECTRA: [Tie; 1] = [Tie {
        copy: "generator_lm_head.weight",
        of: WORDS,
    }];
    const T5: [Tie; 3] = [
        Tie {
            copy: "encoder.embed_tokens.weight",
            of: "shared.weight",
        },
        Tie {
            copy: "decoder.embed_tokens.weight",
            of: "shared.weight",
        },
        Tie {
            copy: "lm_head.weight",
            of: "shared.weight",
        },
    ];
    match family {
        Family::Bert | Family::DebertaV2 => &BERT,
        Family::Roberta | Family::XlmRoberta => &ROBERTA,
        Family::DistilBert => &DISTILBERT,
        Family::Electra => &ELECTRA,
        Family::T5 => &T5,
    }
}

/// The name without the prefixes of wrappers and of the family.
pub(super) fn bare(family: Family, published: &str) -> &str {
    let own = unwrapped(published);
    own.strip_prefix(prefix(family)).unwrap_or(own)
}

/// The name without the prefixes of wrappers.
pub(super) fn unwrapped(published: &str) -> &str {
    let found = WRAPPERS
        .iter()
        .find_map(|wrapper| published.strip_prefix(wrapper));
    found.unwrap_or(published)
}

/// The name with the prefix of the family, unless the tensor is a head's.
pub(super) fn prefixed(family: Family, bare: &str) -> String {
    match is_of_head(family, bare) {
        true => bare.to_owned(),
        false => format!("{}{bare}", prefix(family)),
    }
}

/// True if a name without prefix is that of a head's tensor.
pub(super) fn is_of_head(family: Family, bare: &str) -> bool {
    let has_own_pooler = family == Family::DebertaV2 && bare.starts_with("pooler.");
    has_own_pooler || HEADS.iter().any(|head| bare.starts_with(head))
}

/// True if a tensor with as many rows as the vocabulary has one for each of its pieces.
pub(in crate::train) fn is_of_vocabulary(family: Family, published: &str) -> bool {
    let bare = bare(family, published);
    bare == WORDS
        || bare == "shared.weight"
        || bare.ends_with("embed_tokens.weight")
        || is_of_head(family, bare)
}

fn prefix(family: Family) -> &'static str {
    match family {
        Family::Bert => "bert.",
        Family::DistilBert => "distilbert.",
        Family::Roberta | Family::XlmRoberta => "roberta.",
        Family::Electra => "electra.",
        Family::DebertaV2 => "deberta.",
        Family::T5 => "",
    }
}

/// The shape of a head's tensor with `len` values, which the base does not have; `None` if it is no
/// tensor of a head or has another number of values.
pub(super) fn head_shape(config: &ModelConfig, bare: &str, len: usize) -> Option<Vec<usize>> {
    let is_pooler = bare.starts_with("pooler.");
    if !is_pooler && !is_of_head(config.family, bare) {
        return None;
    }
    if bare.ends_with(".bias") || bare.to_lowercase().contains("norm") {
        return Some(vec![len]);
    }
    let is_decoder = ties(config.family).iter().any(|tie| tie.copy == bare);
    let (rows, columns) = match is_decoder {
        true => (config.vocabulary, len / config.vocabulary.max(1)),
        false => (len / config.hidden.max(1), config.hidden),
    };
    (rows * columns == len && len > 0).then(|| vec![rows, columns])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_removed_and_put_before_all_but_heads() {
        let name = "0.auto_model.bert.encoder.layer.0.output.dense.weight";
        let own = bare(Family::Bert, name);
        assert_eq!(own, "encoder.layer.0.output.dense.weight");
        assert_eq!(
            prefixed(Family::Roberta, own),
            "roberta.encoder.layer.0.output.dense.weight"
        );
        assert_eq!(
            prefixed(Family::Bert, "cls.predictions.bias"),
            "cls.predictions.bias"
        );
        let pooler = "pooler.dense.bias";
        assert_eq!(prefixed(Family::Bert, pooler), "bert.pooler.dense.bias");
        assert_eq!(prefixed(Family::DebertaV2, pooler), pooler);
    }
}
