//! The names and defaults of each family.

use crate::backend::Activation;
use crate::error::Result;

use super::super::settings::Settings;
use super::activation::{activation, activation_named};
use super::{
    Family, MAX_HEADS, MAX_LAYERS, MAX_POSITIONS, MAX_VOCABULARY, MAX_WIDTH, ModelConfig, deberta,
    t5,
};

const SUPPORTED: &str =
    "bert, distilbert, roberta, camembert, xlm-roberta, electra, t5, mt5, deberta-v2";

/// The defaults of a family for what `config.json` does not say.
struct Defaults {
    vocabulary: usize,
    hidden: usize,
    layers: usize,
    heads: usize,
    intermediate: usize,
    positions: usize,
    types: usize,
    pad: usize,
    norm_epsilon: f64,
}

/// The defaults of BERT; other families list only what differs.
const BERT: Defaults = Defaults {
    vocabulary: 30_522,
    hidden: 768,
    layers: 12,
    heads: 12,
    intermediate: 3_072,
    positions: 512,
    types: 2,
    pad: 0,
    norm_epsilon: 1e-12,
};

/// The keys of a family's settings.
struct Names {
    hidden: &'static str,
    layers: &'static str,
    heads: &'static str,
    intermediate: &'static str,
    activation: &'static str,
    norm_epsilon: &'static str,
}

const BERT_NAMES: Names = Names {
    hidden: "hidden_size",
    layers: "num_hidden_layers",
    heads: "num_attention_heads",
    intermediate: "intermediate_size",
    activation: "hidden_act",
    norm_epsilon: "layer_norm_eps",
};

pub(super) fn read(settings: &Settings) -> Result<ModelConfig> {
    refuse_unsupported(settings)?;
    match model_type(settings)?.as_str() {
        "bert" => bert(settings, Family::Bert, &BERT),
        "electra" => electra(settings),
        "roberta" | "camembert" => roberta(settings, Family::Roberta),
        "xlm-roberta" => roberta(settings, Family::XlmRoberta),
        "distilbert" => distilbert(settings),
        "t5" => read_t5(settings, false),
        "mt5" => read_t5(settings, true),
        "deberta-v2" => deberta_v2(settings),
        "deberta" => Err(settings.error(
            "this is DeBERTa version 1, whose layers differ from version 2 and 3; models with `model_type` `deberta-v2` are read",
        )),
        other => Err(settings.wrong(
            "model_type",
            &format!("one of {SUPPORTED}"),
            format!("`{other}`"),
        )),
    }
}

/// The model type; an old file has none, and its architecture's name begins with it.
fn model_type(settings: &Settings) -> Result<String> {
    if let Some(name) = settings.text("model_type")? {
        return Ok(name.to_owned());
    }
    let architectures = settings.texts("architectures")?.unwrap_or_default();
    let prefixes = [
        ("Bert", "bert"),
        ("DistilBert", "distilbert"),
        ("Roberta", "roberta"),
        ("Camembert", "camembert"),
        ("XLMRoberta", "xlm-roberta"),
        ("Electra", "electra"),
        ("T5", "t5"),
        ("MT5", "mt5"),
        ("DebertaV2", "deberta-v2"),
    ];
    let found = prefixes.iter().find(|(prefix, _)| {
        architectures.iter().any(|name| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with(['F', 'M', 'E']))
        })
    });
    found.map(|(_, name)| (*name).to_owned()).ok_or_else(|| {
        settings.error(format!(
            "expected `model_type` (one of {SUPPORTED}), found none; is this the folder of a model of `transformers`?"
        ))
    })
}

fn refuse_unsupported(settings: &Settings) -> Result<()> {
    if let Some(kind) = settings.text("position_embedding_type")?
        && kind != "absolute"
    {
        return Err(settings.wrong(
            "position_embedding_type",
            "`absolute`",
            format!("`{kind}`, which is not supported"),
        ));
    }
    if settings.flag("is_decoder")? == Some(true) {
        return Err(settings.error(
            "`is_decoder`: expected an encoder, found a decoder, whose attention is causal",
        ));
    }
    if settings.value("quantization_config").is_some() {
        return Err(settings.error("`quantization_config`: expected weights in f32, f16 or bf16, found quantized ones; use the model they were made from"));
    }
    let pruned = settings.object("pruned_heads")?;
    if pruned.is_some_and(|heads| !heads.keys().is_empty()) {
        return Err(settings.error("`pruned_heads`: models with pruned heads are not supported"));
    }
    Ok(())
}

fn bert(settings: &Settings, family: Family, defaults: &Defaults) -> Result<ModelConfig> {
    common(settings, family, defaults, &BERT_NAMES)
}

/// The settings that all families share.
fn common(
    settings: &Settings,
    family: Family,
    defaults: &Defaults,
    names: &Names,
) -> Result<ModelConfig> {
    let size = |key: &str, default: usize, max: usize| {
        settings
            .size(key, 1, max)
            .map(|size| size.unwrap_or(default))
    };
    let hidden = size(names.hidden, defaults.hidden, MAX_WIDTH)?;
    let vocabulary = size("vocab_size", defaults.vocabulary, MAX_VOCABULARY)?;
    let heads = size(names.heads, defaults.heads, MAX_HEADS)?;
    let pad = settings
        .size("pad_token_id", 0, vocabulary - 1)?
        .unwrap_or(defaults.pad);
    Ok(ModelConfig {
        family,
        vocabulary,
        hidden,
        layers: size(names.layers, defaults.layers, MAX_LAYERS)?,
        heads,
        head_size: hidden / heads,
        intermediate: size(names.intermediate, defaults.intermediate, MAX_WIDTH)?,
        activation: activation(settings, names.activation, Activation::Gelu)?,
        is_gated: false,
        norm_epsilon: epsilon(settings, names.norm_epsilon, defaults.norm_epsilon)?,
        embedding_size: hidden,
        max_positions: Some(size(
            "max_position_embeddings",
            defaults.positions,
            MAX_POSITIONS,
        )?),
        first_position: 0,
        has_positions: true,
        types: settings
            .size("type_vocab_size", 0, MAX_POSITIONS)?
            .unwrap_or(defaults.types),
        pad: u32::try_from(pad).map_err(|_| settings.wrong("pad_token_id", "a token", pad))?,
        t5: None,
        decoder: None,
        deberta: None,
        labels: labels(settings)?,
        pooler_activation: Activation::Tanh,
        ties_embeddings: settings.flag("tie_word_embeddings")?.unwrap_or(true),
        architectures: settings.texts("architectures")?.unwrap_or_default(),
    })
    .and_then(|config| whole_heads(settings, names, config))
}

/// Refuses a number of heads that does not divide the hidden state, except where heads have a size
/// of their own.
fn whole_heads(settings: &Settings, names: &Names, config: ModelConfig) -> Result<ModelConfig> {
    if config.family != Family::T5 && !config.hidden.is_multiple_of(config.heads) {
        return Err(settings.error(format!(
            "expected `{}` to divide `{}`, found {} heads and {} dimensions",
            names.heads, names.hidden, config.heads, config.hidden
        )));
    }
    Ok(config)
}

fn electra(settings: &Settings) -> Result<ModelConfig> {
    let defaults = Defaults {
        hidden: 256,
        heads: 4,
        intermediate: 1_024,
        ..BERT
    };
    let mut config = bert(settings, Family::Electra, &defaults)?;
    config.embedding_size = settings
        .size("embedding_size", 1, MAX_WIDTH)?
        .unwrap_or(128);
    Ok(config)
}

fn roberta(settings: &Settings, family: Family) -> Result<ModelConfig> {
    let defaults = Defaults {
        vocabulary: if family == Family::Roberta
            && settings.text("model_type")? != Some("camembert")
        {
            50_265
        } else {
            30_522
        },
        pad: 1,
        ..BERT
    };
    let mut config = bert(settings, family, &defaults)?;
    config.first_position = config.pad + 1;
    let rows = config.max_positions.unwrap_or_default();
    let usable = rows
        .checked_sub(config.first_position as usize)
        .filter(|usable| *usable > 0)
        .ok_or_else(|| {
            settings.wrong(
                "max_position_embeddings",
                &format!(
                    "more than {} rows, because positions begin after the padding's id",
                    config.first_position
                ),
                rows,
            )
        })?;
    config.max_positions = Some(usable);
    Ok(config)
}

fn distilbert(settings: &Settings) -> Result<ModelConfig> {
    // Some writers use the names of BERT, which `transformers` maps to these.
    let name = |own: &'static str, of_bert: &'static str| {
        if settings.has(own) || !settings.has(of_bert) {
            own
        } else {
            of_bert
        }
    };
    let names = Names {
        hidden: name("dim", BERT_NAMES.hidden),
        layers: name("n_layers", BERT_NAMES.layers),
        heads: name("n_heads", BERT_NAMES.heads),
        intermediate: "hidden_dim",
        activation: "activation",
        ..BERT_NAMES
    };
    let defaults = Defaults { layers: 6, ..BERT };
    let mut config = common(settings, Family::DistilBert, &defaults, &names)?;
    config.types = 0;
    // `transformers` has this number in the code of the layers and reads no setting for it.
    config.norm_epsilon = 1e-12;
    Ok(config)
}

fn read_t5(settings: &Settings, is_multilingual: bool) -> Result<ModelConfig> {
    let names = Names {
        hidden: "d_model",
        layers: "num_layers",
        heads: "num_heads",
        intermediate: "d_ff",
        activation: "",
        norm_epsilon: "layer_norm_epsilon",
    };
    let defaults = Defaults {
        vocabulary: if is_multilingual { 250_112 } else { 32_128 },
        hidden: 512,
        layers: if is_multilingual { 8 } else { 6 },
        heads: if is_multilingual { 6 } else { 8 },
        intermediate: if is_multilingual { 1_024 } else { 2_048 },
        norm_epsilon: 1e-6,
        ..BERT
    };
    let mut config = common(settings, Family::T5, &defaults, &names)?;
    config.head_size = settings.size("d_kv", 1, MAX_WIDTH)?.unwrap_or(64);
    config.max_positions = None;
    config.has_positions = false;
    config.types = 0;
    let projection = settings.text("feed_forward_proj")?;
    let projection = projection.unwrap_or(if is_multilingual {
        "gated-gelu"
    } else {
        "relu"
    });
    (config.is_gated, config.activation) = match projection {
        // As in `transformers`: in spite of its name this gate is the tanh approximation.
        "gated-gelu" => (true, Activation::GeluTanh),
        other => match other.strip_prefix("gated-") {
            Some(name) => (true, activation_named(settings, "feed_forward_proj", name)?),
            None => (
                false,
                activation_named(settings, "feed_forward_proj", other)?,
            ),
        },
    };
    config.t5 = Some(t5::positions(settings)?);
    if config.is_saved_as("ForConditionalGeneration") {
        config.decoder = Some(t5::decoder(settings, &config, is_multilingual)?);
    }
    Ok(config)
}

fn deberta_v2(settings: &Settings) -> Result<ModelConfig> {
    let defaults = Defaults {
        vocabulary: 128_100,
        hidden: 1_536,
        layers: 24,
        heads: 24,
        intermediate: 6_144,
        types: 0,
        norm_epsilon: 1e-7,
        ..BERT
    };
    let mut config = bert(settings, Family::DebertaV2, &defaults)?;
    if let Some(size) = settings.size("attention_head_size", 1, MAX_WIDTH)? {
        config.head_size = size;
    }
    if let Some(size) = settings.size("embedding_size", 1, MAX_WIDTH)? {
        config.embedding_size = size;
    }
    config.has_positions = settings.flag("position_biased_input")?.unwrap_or(true);
    config.pooler_activation = activation(settings, "pooler_hidden_act", Activation::Gelu)?;
    let pooler = settings.size("pooler_hidden_size", 1, MAX_WIDTH)?;
    if pooler.is_some_and(|size| size != config.hidden) {
        return Err(settings.error(format!(
            "`pooler_hidden_size`: expected {}, the hidden size, found {}",
            config.hidden,
            pooler.unwrap_or_default()
        )));
    }
    config.deberta =
        deberta::positions(settings, config.max_positions.unwrap_or(512), config.hidden)?;
    Ok(config)
}

fn epsilon(settings: &Settings, key: &str, default: f64) -> Result<f32> {
    let value = settings.number(key)?.unwrap_or(default);
    if !(0.0..=1.0).contains(&value) {
        return Err(settings.wrong(key, "a number from 0 to 1", value));
    }
    Ok(value as f32)
}

/// The number of labels: of the names in `id2label`, or else `num_labels`, or else two.
fn labels(settings: &Settings) -> Result<usize> {
    if let Some(names) = settings.object("id2label")? {
        let count = names.keys().len();
        if count == 0 || count > MAX_POSITIONS {
            return Err(settings.wrong("id2label", "at least one label", count));
        }
        return Ok(count);
    }
    Ok(settings.size("num_labels", 1, MAX_POSITIONS)?.unwrap_or(2))
}
