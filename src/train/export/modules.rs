//! The files of sentence-transformers: the list of modules, their settings, prompts and limits; and
//! the tokenizer's files, which the base has.

use serde_json::{Value, json};

use crate::backend::{Activation, Pooling, SpladeActivation, SpladePooling};
use crate::error::{Error, Result};
use crate::neural::{
    ModelFolder, ModelKind, Module, Prompts, Settings, Similarity, transformer_settings,
};

use super::super::files::{NewFolder, TensorSource, write_tensors};
use super::config::pretty;
use super::tensors::WEIGHTS;
use super::{Export, ExportKind};

/// The version of sentence-transformers whose layout is written; newer ones read it.
pub(super) const LAYOUT_VERSION: &str = "5.0.0";

const TRANSFORMER: &str = "sentence_transformers.models.Transformer";
const MASKED: &str = "sentence_transformers.sparse_encoder.models.MLMTransformer";
const SPLADE: &str = "sentence_transformers.sparse_encoder.models.SpladePooling";
const STATIC: &str = "sentence_transformers.sparse_encoder.models.SparseStaticEmbedding";

/// The folder of the projection of late interaction that is added to an encoder.
pub(super) const PROJECTION_FOLDER: &str = "1_Dense";

/// The folder of the table of an inference-free model.
const QUERIES: &str = "query_0_SparseStaticEmbedding";
const DOCUMENTS: &str = "document_0_MLMTransformer";
const DOCUMENT_POOLING: &str = "document_1_SpladePooling";

/// The names of files that tokenizers have.
const TOKENIZER_FILES: [&str; 13] = [
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "tokenizer.model",
    "bpe.codes",
    "dict.txt",
    "chat_template.jinja",
];

/// Where the parts of a model are.
pub(super) struct Layout {
    /// What precedes the names of the transformer's files: empty, or a folder with a slash.
    pub(super) transformer: &'static str,
}

impl Layout {
    pub(super) fn of(kind: &ExportKind) -> Self {
        Self {
            transformer: match kind {
                ExportKind::InferenceFree { .. } => "document_0_MLMTransformer/",
                _ => "",
            },
        }
    }
}

/// The folder of a module of the base, `index` modules after the first that follows the
/// transformer.
pub(super) fn module_folder(index: usize, module: &Module) -> String {
    format!("{}_{}", index + 1, module.name())
}

/// Writes all settings but those of the transformer itself.
pub(super) fn write(
    folder: &NewFolder,
    layout: &Layout,
    base: &ModelFolder,
    export: &Export<'_>,
    max_tokens: usize,
) -> Result<()> {
    let source = base.weights.folder();
    copy_tokenizer(folder, source, layout.transformer, max_tokens)?;
    let settings = transformer_settings(source)?;
    let lowercases = match &settings {
        Some(settings) => settings.flag("do_lower_case")?.unwrap_or(false),
        None => false,
    };
    let limits = json!({"max_seq_length": max_tokens, "do_lower_case": lowercases});
    let write_limits = || {
        let name = format!("{}sentence_bert_config.json", layout.transformer);
        folder.write(&name, &pretty(&limits)).map(|_| ())
    };
    match &export.kind {
        ExportKind::CrossEncoder { .. } => {
            // The limit of a cross-encoder is the tokenizer's; there is no list of modules.
            return if lowercases { write_limits() } else { Ok(()) };
        }
        ExportKind::Splade {
            pooling,
            activation,
        } => {
            write_list(folder, &[("", MASKED), ("1_SpladePooling", SPLADE)])?;
            write_splade(folder, "1_SpladePooling", base, *pooling, *activation)?;
        }
        ExportKind::InferenceFree {
            pooling,
            activation,
        } => {
            write_list(folder, &[("", "sentence_transformers.models.Router")])?;
            write_routes(folder)?;
            write_splade(folder, DOCUMENT_POOLING, base, *pooling, *activation)?;
            write_table(folder, base, export, max_tokens)?;
        }
        ExportKind::BiEncoder {
            pooling,
            is_normalized,
            ..
        } => write_dense_modules(folder, base, *pooling, *is_normalized)?,
        ExportKind::LateInteraction { .. } => {
            return super::late::write(folder, base, export, lowercases);
        }
    }
    write_limits()?;
    folder.write(
        "config_sentence_transformers.json",
        &pretty(&about(base, export)),
    )?;
    Ok(())
}

/// Copies the tokenizer's files, with another limit.
fn copy_tokenizer(
    folder: &NewFolder,
    source: &std::path::Path,
    place: &str,
    max_tokens: usize,
) -> Result<()> {
    for name in TOKENIZER_FILES {
        let from = source.join(name);
        if from.is_file() {
            folder.copy(&from, &format!("{place}{name}"))?;
        }
    }
    let settings = Settings::read_if_there(&source.join("tokenizer_config.json"))?;
    let mut keys = settings.map_or_else(Default::default, |settings| settings.keys().clone());
    keys.insert("model_max_length".to_owned(), json!(max_tokens));
    let name = format!("{place}tokenizer_config.json");
    folder.write(&name, &pretty(&Value::Object(keys)))?;
    Ok(())
}

pub(super) fn write_list(folder: &NewFolder, modules: &[(&str, &str)]) -> Result<()> {
    let modules = modules.iter().enumerate().map(|(index, (path, kind))| {
        json!({"idx": index, "name": index.to_string(), "path": path, "type": kind})
    });
    folder.write("modules.json", &pretty(&Value::Array(modules.collect())))?;
    Ok(())
}

fn write_splade(
    folder: &NewFolder,
    place: &str,
    base: &ModelFolder,
    pooling: SpladePooling,
    activation: SpladeActivation,
) -> Result<()> {
    let pooling = match pooling {
        SpladePooling::Max => "max",
        SpladePooling::Sum => "sum",
    };
    let activation = match activation {
        SpladeActivation::Log1pRelu => "relu",
        SpladeActivation::Log1pLog1pRelu => "log1p_relu",
    };
    let settings = json!({
        "pooling_strategy": pooling,
        "activation_function": activation,
        "word_embedding_dimension": base.config.vocabulary,
    });
    folder.write(&format!("{place}/config.json"), &pretty(&settings))?;
    Ok(())
}

/// The routes of an inference-free model.
fn write_routes(folder: &NewFolder) -> Result<()> {
    let class = |module: &str| {
        let name = module.rsplit('.').next().unwrap_or(module);
        format!("{module}.{name}")
    };
    let router = json!({
        "types": {
            QUERIES: class(STATIC),
            DOCUMENTS: class(MASKED),
            DOCUMENT_POOLING: class(SPLADE),
        },
        "structure": {"query": [QUERIES], "document": [DOCUMENTS, DOCUMENT_POOLING]},
        "parameters": {"default_route": "document", "allow_empty_key": true},
    });
    folder.write("router_config.json", &pretty(&router))?;
    Ok(())
}

/// The table of query weights, with a tokenizer of its own.
fn write_table(
    folder: &NewFolder,
    base: &ModelFolder,
    export: &Export<'_>,
    max_tokens: usize,
) -> Result<()> {
    let of_base = base.static_queries.as_ref();
    let table = export
        .query_table
        .or_else(|| of_base.map(|queries| queries.weights.weights()))
        .ok_or_else(|| {
            Error::invalid("an inference-free model: expected a table of query weights, found none")
        })?;
    let (least, most) = (base.tokenizer.vocabulary(), base.config.vocabulary);
    let is_finite = table.iter().all(|weight| weight.is_finite());
    if !(least..=most).contains(&table.len()) || !is_finite {
        return Err(Error::invalid(format!(
            "the table of query weights: expected {least} to {most} finite weights, one for each token, found {}",
            table.len()
        )));
    }
    let limit = of_base.and_then(|queries| queries.max_tokens);
    let limit = limit.filter(|_| export.max_tokens.is_none());
    let place = format!("{QUERIES}/");
    copy_tokenizer(
        folder,
        base.weights.folder(),
        &place,
        limit.unwrap_or(max_tokens),
    )?;
    folder.write(
        &format!("{place}config.json"),
        &pretty(&json!({"frozen": false})),
    )?;
    let weight = TensorSource::of_values("weight", vec![table.len()], table);
    write_tensors(folder.file(&format!("{place}{WEIGHTS}"))?, vec![weight])?;
    Ok(())
}

/// The modules of a bi-encoder: the base's, or pooling alone.
fn write_dense_modules(
    folder: &NewFolder,
    base: &ModelFolder,
    pooling: Option<Pooling>,
    is_normalized: Option<bool>,
) -> Result<()> {
    let mut list = vec![(String::new(), TRANSFORMER)];
    let of_base = match base.kind {
        ModelKind::BiEncoder => base.modules.as_slice(),
        _ => &[],
    };
    let (mut poolings, mut has_prompt) = (vec![Pooling::Mean], true);
    if let Some(Module::Pooling {
        poolings: found,
        has_prompt: has,
    }) = of_base.first()
    {
        (poolings, has_prompt) = (found.clone(), *has);
    }
    if let Some(pooling) = pooling {
        poolings = vec![pooling];
    }
    write_pooling(folder, base, &poolings, has_prompt)?;
    list.push((
        "1_Pooling".to_owned(),
        "sentence_transformers.models.Pooling",
    ));
    for (index, module) in of_base.iter().enumerate().skip(1) {
        let is_last = index + 1 == of_base.len();
        if matches!(module, Module::Normalize { .. }) && is_last && is_normalized == Some(false) {
            continue;
        }
        let place = module_folder(index, module);
        list.push((place.clone(), write_module(folder, &place, module)?));
    }
    let normalizes = list.last().is_some_and(|(_, kind)| *kind == NORMALIZE);
    if is_normalized == Some(true) && !normalizes {
        list.push((format!("{}_Normalize", list.len()), NORMALIZE));
    }
    let list: Vec<_> = list
        .iter()
        .map(|(path, kind)| (path.as_str(), *kind))
        .collect();
    write_list(folder, &list)
}

/// The flag, the pooling, and its name.
const POOLINGS: [(&str, Pooling, &str); 6] = [
    ("pooling_mode_cls_token", Pooling::First, "cls"),
    ("pooling_mode_max_tokens", Pooling::Max, "max"),
    ("pooling_mode_mean_tokens", Pooling::Mean, "mean"),
    (
        "pooling_mode_mean_sqrt_len_tokens",
        Pooling::MeanSqrt,
        "mean_sqrt_len_tokens",
    ),
    (
        "pooling_mode_weightedmean_tokens",
        Pooling::WeightedMean,
        "weightedmean",
    ),
    ("pooling_mode_lasttoken", Pooling::Last, "lasttoken"),
];

const NORMALIZE: &str = "sentence_transformers.models.Normalize";

fn write_pooling(
    folder: &NewFolder,
    base: &ModelFolder,
    poolings: &[Pooling],
    has_prompt: bool,
) -> Result<()> {
    let mut settings = json!({
        "word_embedding_dimension": base.config.hidden,
        "include_prompt": has_prompt,
    });
    let named = |pooling: &Pooling| POOLINGS.iter().find(|(_, named, _)| named == pooling);
    match poolings {
        // Versions before 5.4 read one flag for each.
        [pooling] => {
            for (key, named, _) in POOLINGS {
                settings[key] = json!(*pooling == named);
            }
        }
        // The order matters.
        several => {
            let names = several.iter().filter_map(named).map(|(_, _, name)| *name);
            settings["pooling_mode"] = names.collect();
        }
    }
    folder.write("1_Pooling/config.json", &pretty(&settings))?;
    Ok(())
}

/// Writes the settings of a module after the pooling; returns its type. Its tensors are written
/// with all others.
fn write_module(folder: &NewFolder, place: &str, module: &Module) -> Result<&'static str> {
    let (settings, kind) = match module {
        Module::Dense(dense) => {
            let class = match dense.activation {
                Activation::Identity => "linear.Identity",
                Activation::Tanh => "activation.Tanh",
                Activation::Relu => "activation.ReLU",
                Activation::Gelu | Activation::GeluTanh => "activation.GELU",
                Activation::Silu => "activation.SiLU",
            };
            let mut settings = json!({
                "in_features": dense.inputs,
                "out_features": dense.outputs,
                "bias": dense.has_bias,
                "activation_function": format!("torch.nn.modules.{class}"),
            });
            if dense.has_residual {
                settings["use_residual"] = json!(true);
            }
            (settings, "sentence_transformers.models.Dense")
        }
        Module::LayerNorm { size, .. } => (
            json!({"dimension": size}),
            "sentence_transformers.models.LayerNorm",
        ),
        // Its folder is empty: it has no settings.
        Module::Normalize { .. } => return Ok(NORMALIZE),
        other => {
            return Err(Error::invalid(format!(
                "expected Dense, LayerNorm or Normalize after the pooling of the base, found {}",
                other.name()
            )));
        }
    };
    folder.write(&format!("{place}/config.json"), &pretty(&settings))?;
    Ok(kind)
}

/// `config_sentence_transformers.json`.
fn about(base: &ModelFolder, export: &Export<'_>) -> Value {
    let prompts: &Prompts = export.prompts.as_ref().unwrap_or(&base.prompts);
    let (model_type, similarity) = match export.kind {
        ExportKind::BiEncoder { similarity, .. } => {
            let similarity = similarity.or(base.similarity);
            (
                "SentenceTransformer",
                similarity.unwrap_or(Similarity::Cosine),
            )
        }
        _ => ("SparseEncoder", Similarity::Dot),
    };
    let similarity = match similarity {
        Similarity::Cosine => "cosine",
        Similarity::Dot => "dot",
        Similarity::Euclidean => "euclidean",
        Similarity::Manhattan => "manhattan",
    };
    let mut about = json!({
        "__version__": {
            "esparsa": env!("CARGO_PKG_VERSION"), "sentence_transformers": LAYOUT_VERSION
        },
        "model_type": model_type,
        "prompts": prompts.named,
        "default_prompt_name": prompts.default,
        "similarity_fn_name": similarity,
    });
    let is_dense = matches!(export.kind, ExportKind::BiEncoder { .. });
    if let Some(terms) = export.max_terms.or(base.max_terms).filter(|_| !is_dense) {
        about["max_active_dims"] = json!(terms);
    }
    if let Some(dimensions) = base.kept_dimensions.filter(|_| is_dense) {
        about["truncate_dim"] = json!(dimensions);
    }
    about
}
