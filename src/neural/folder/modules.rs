//! The modules after a transformer, each with its own settings.

use std::path::Path;

use serde_json::Value;

use crate::backend::{Activation, Pooling, SpladeActivation, SpladePooling};
use crate::error::{Error, Result};

use super::super::config::{MAX_WIDTH, ModelConfig};
use super::super::settings::Settings;
use super::super::weights::Weights;
use super::fingerprint::Identity;
use super::{ModelKind, ScoreActivation, Step};

/// The kinds of modules that may follow a transformer.
const SUPPORTED: [&str; 7] = [
    "Pooling",
    "Normalize",
    "Dense",
    "LayerNorm",
    "Dropout",
    "SpladePooling",
    "MultiVectorMask",
];

/// A module after the transformer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Module {
    /// One vector for the tokens of each text; those of several poolings are concatenated.
    Pooling {
        /// How tokens become one vector.
        poolings: Vec<Pooling>,
        /// The tokens of a prompt count too.
        has_prompt: bool,
    },
    /// L2 normalization of vectors.
    Normalize {
        /// It normalizes the vectors of tokens; otherwise those of texts.
        is_of_tokens: bool,
    },
    /// A linear layer.
    Dense(DenseModule),
    /// A layer norm over the vector of a text, with the tensors `norm.weight` and `norm.bias` and
    /// an epsilon of 1e-5.
    LayerNorm {
        /// The file of its tensors.
        weights: Weights,
        /// Dimensions of the vector.
        size: usize,
    },
    /// The sparse vector of each text, from the language model's logits.
    SpladePooling {
        /// How tokens become one vector.
        pooling: SpladePooling,
        /// How logits become weights.
        activation: SpladeActivation,
    },
    /// The scores of each pair.
    Classifier {
        /// The number of scores per pair.
        labels: usize,
        /// The label, from 0, whose logit makes the score.
        scored: usize,
        /// The activation of the score.
        activation: ScoreActivation,
    },
}

/// A linear layer after the transformer: activation(x · weightᵀ + bias).
#[derive(Debug)]
#[non_exhaustive]
pub struct DenseModule {
    /// The file of its tensors: `linear.weight` (outputs × inputs), `linear.bias`,
    /// `residual.weight`.
    pub weights: Weights,
    /// Dimensions of its input.
    pub inputs: usize,
    /// Dimensions of its output.
    pub outputs: usize,
    /// It has a bias.
    pub has_bias: bool,
    /// The activation of its output.
    pub activation: Activation,
    /// Its input is added to its output, through a linear layer of its own if their sizes differ.
    pub has_residual: bool,
    /// It is applied to tokens; otherwise to texts.
    pub is_of_tokens: bool,
}

impl Module {
    /// The name of the module in the file that lists it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pooling { .. } => "Pooling",
            Self::Normalize { .. } => "Normalize",
            Self::Dense(_) => "Dense",
            Self::LayerNorm { .. } => "LayerNorm",
            Self::SpladePooling { .. } => "SpladePooling",
            Self::Classifier { .. } => "Classifier",
        }
    }

    pub(super) fn weights(&self) -> Option<&Weights> {
        match self {
            Self::Dense(dense) => Some(&dense.weights),
            Self::LayerNorm { weights, .. } => Some(weights),
            _ => None,
        }
    }

    /// True if it makes vectors of texts from vectors of texts.
    pub(super) fn is_of_text(&self) -> bool {
        match self {
            Self::Normalize { is_of_tokens } => !is_of_tokens,
            Self::Dense(dense) => !dense.is_of_tokens,
            Self::LayerNorm { .. } => true,
            _ => false,
        }
    }

    /// True if it makes vectors of tokens from vectors of tokens.
    pub(super) fn is_of_tokens(&self) -> bool {
        match self {
            Self::Normalize { is_of_tokens } => *is_of_tokens,
            Self::Dense(dense) => dense.is_of_tokens,
            _ => false,
        }
    }
}

/// Reads the modules after the transformer.
pub(super) fn read(
    steps: &[Step],
    config: &ModelConfig,
    kind: ModelKind,
    identity: &mut Identity,
) -> Result<Vec<Module>> {
    let mut modules = Vec::new();
    let mut size = config.hidden;
    for step in steps {
        if !SUPPORTED.contains(&step.kind.as_str()) {
            return Err(Error::model(
                &step.folder,
                format!(
                    "expected a module of one of the kinds {} after the transformer, found {}",
                    SUPPORTED.join(", "),
                    step.kind
                ),
            ));
        }
        let path = step.folder.join("config.json");
        let settings = match step.kind.as_str() {
            // Older versions write no settings for these.
            "Normalize" | "Dropout" => Settings::read_if_there(&path)?
                .unwrap_or_else(|| Settings::new(&path, serde_json::Map::new())),
            _ => Settings::read(&path)?,
        };
        identity.add_text(&step.kind);
        identity.add_settings(&settings);
        let is_of_tokens = is_of_tokens(step, &settings, kind)?;
        match step.kind.as_str() {
            "Pooling" => modules.push(pooling(&settings, &mut size)?),
            "Normalize" => modules.push(Module::Normalize { is_of_tokens }),
            "Dense" => modules.push(dense(step, &settings, is_of_tokens, &mut size)?),
            "LayerNorm" => modules.push(layer_norm(step, &settings, size)?),
            "SpladePooling" => modules.push(splade_pooling(&settings, config)?),
            // Dropout does nothing in inference; MultiVectorMask is read with the lengths of
            // queries.
            _ => {}
        }
    }
    // Before version 5.7, PyLate normalized without a module that says so.
    let is_normalized = modules
        .iter()
        .any(|module| matches!(module, Module::Normalize { .. }));
    if kind == ModelKind::LateInteraction
        && !is_normalized
        && !steps.iter().any(|step| step.kind == "MultiVectorMask")
    {
        modules.push(Module::Normalize { is_of_tokens: true });
    }
    Ok(modules)
}

/// Whether a module works on tokens. Older files do not say: then it works on what the kind of
/// model outputs.
fn is_of_tokens(step: &Step, settings: &Settings, kind: ModelKind) -> Result<bool> {
    if !matches!(step.kind.as_str(), "Dense" | "Normalize") {
        return Ok(false);
    }
    let default = if step.is_of_pylate || kind == ModelKind::LateInteraction {
        "token_embeddings"
    } else {
        "sentence_embedding"
    };
    let input = settings.text("module_input_name")?.unwrap_or(default);
    let output = settings.text("module_output_name")?.unwrap_or(input);
    match (input, output) {
        ("token_embeddings", "token_embeddings") => Ok(true),
        ("sentence_embedding", "sentence_embedding") => Ok(false),
        _ => Err(settings.error(format!(
            "expected a module that changes `token_embeddings` or `sentence_embedding`, found one from `{input}` to `{output}`"
        ))),
    }
}

fn pooling(settings: &Settings, size: &mut usize) -> Result<Module> {
    expect_size(
        settings,
        &["embedding_dimension", "word_embedding_dimension"],
        *size,
    )?;
    let by_name = |name: &str| match name {
        "cls" => Some(Pooling::First),
        "max" => Some(Pooling::Max),
        "mean" => Some(Pooling::Mean),
        "mean_sqrt_len_tokens" => Some(Pooling::MeanSqrt),
        "weightedmean" => Some(Pooling::WeightedMean),
        "lasttoken" => Some(Pooling::Last),
        _ => None,
    };
    let names = match settings.value("pooling_mode") {
        Some(Value::String(name)) => vec![name.clone()],
        Some(_) => settings.texts("pooling_mode")?.unwrap_or_default(),
        None => flagged(settings)?,
    };
    let poolings: Option<Vec<Pooling>> = names.iter().map(|name| by_name(name)).collect();
    let poolings = poolings
        .filter(|poolings| !poolings.is_empty())
        .ok_or_else(|| {
            settings.wrong(
                "pooling_mode",
                "cls, max, mean, mean_sqrt_len_tokens, weightedmean or lasttoken",
                format!("{names:?}"),
            )
        })?;
    *size *= poolings.len();
    Ok(Module::Pooling {
        poolings,
        has_prompt: settings.flag("include_prompt")?.unwrap_or(true),
    })
}

/// The poolings that older files enable by flags, in the order in which vectors are concatenated;
/// the mean, if none is.
fn flagged(settings: &Settings) -> Result<Vec<String>> {
    let flags = [
        ("pooling_mode_cls_token", "cls"),
        ("pooling_mode_max_tokens", "max"),
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
        ("pooling_mode_weightedmean_tokens", "weightedmean"),
        ("pooling_mode_lasttoken", "lasttoken"),
    ];
    let mut names = Vec::new();
    for (key, name) in flags {
        if settings.flag(key)?.unwrap_or(false) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        names.push("mean".to_owned());
    }
    Ok(names)
}

fn dense(step: &Step, settings: &Settings, is_of_tokens: bool, size: &mut usize) -> Result<Module> {
    let required = |key: &str| {
        let size = settings.size(key, 1, MAX_WIDTH)?;
        size.ok_or_else(|| settings.error(format!("expected `{key}`, found none")))
    };
    let (inputs, outputs) = (required("in_features")?, required("out_features")?);
    expect_size(settings, &["in_features"], *size)?;
    *size = outputs;
    Ok(Module::Dense(DenseModule {
        weights: Weights::open(&step.folder)?,
        inputs,
        outputs,
        has_bias: settings.flag("bias")?.unwrap_or(true),
        activation: dense_activation(settings, step.is_of_pylate)?,
        has_residual: settings.flag("use_residual")?.unwrap_or(false),
        is_of_tokens,
    }))
}

/// The activation of a linear layer, a class of PyTorch.
fn dense_activation(settings: &Settings, is_of_pylate: bool) -> Result<Activation> {
    let key = "activation_function";
    let Some(class) = settings.text(key)? else {
        return Ok(if is_of_pylate {
            Activation::Identity
        } else {
            Activation::Tanh
        });
    };
    match class.rsplit('.').next().unwrap_or(class) {
        "Identity" => Ok(Activation::Identity),
        "Tanh" => Ok(Activation::Tanh),
        "ReLU" => Ok(Activation::Relu),
        "GELU" => Ok(Activation::Gelu),
        "SiLU" => Ok(Activation::Silu),
        _ => Err(settings.wrong(
            key,
            "Identity, Tanh, ReLU, GELU or SiLU of torch.nn",
            format!("`{class}`"),
        )),
    }
}

fn layer_norm(step: &Step, settings: &Settings, size: usize) -> Result<Module> {
    expect_size(settings, &["dimension"], size)?;
    Ok(Module::LayerNorm {
        weights: Weights::open(&step.folder)?,
        size,
    })
}

fn splade_pooling(settings: &Settings, config: &ModelConfig) -> Result<Module> {
    expect_size(
        settings,
        &["embedding_dimension", "word_embedding_dimension"],
        config.vocabulary,
    )?;
    let pooling = match settings.text("pooling_strategy")? {
        None | Some("max") => SpladePooling::Max,
        Some("sum") => SpladePooling::Sum,
        Some(other) => {
            return Err(settings.wrong("pooling_strategy", "max or sum", format!("`{other}`")));
        }
    };
    let activation = match settings.text("activation_function")? {
        None | Some("relu") => SpladeActivation::Log1pRelu,
        Some("log1p_relu") => SpladeActivation::Log1pLog1pRelu,
        Some(other) => {
            return Err(settings.wrong(
                "activation_function",
                "relu or log1p_relu",
                format!("`{other}`"),
            ));
        }
    };
    Ok(Module::SpladePooling {
        pooling,
        activation,
    })
}

/// Refuses a size other than the output of the module before.
fn expect_size(settings: &Settings, keys: &[&str], size: usize) -> Result<()> {
    for key in keys {
        if let Some(said) = settings.size(key, 1, MAX_WIDTH.max(size))?
            && said != size
        {
            return Err(settings.wrong(
                key,
                &format!("{size}, the output of the module before"),
                said,
            ));
        }
    }
    Ok(())
}

/// The modules of a ColBERT as Stanford's code saves it: a linear layer in the file of the
/// transformer's tensors, then normalization.
pub(super) fn stanford(path: &Path, config: &ModelConfig) -> Result<Vec<Module>> {
    let weights = Weights::open(path)?;
    let outputs = match weights.shape("linear.weight") {
        Some([outputs, inputs]) if *inputs == config.hidden && *outputs > 0 => *outputs,
        found => {
            return Err(Error::model(
                path,
                format!(
                    "expected the tensor `linear.weight` of a ColBERT with {} columns, found the shape {found:?}",
                    config.hidden
                ),
            ));
        }
    };
    let dense = DenseModule {
        weights,
        inputs: config.hidden,
        outputs,
        has_bias: false,
        activation: Activation::Identity,
        has_residual: false,
        is_of_tokens: true,
    };
    Ok(vec![
        Module::Dense(dense),
        Module::Normalize { is_of_tokens: true },
    ])
}
