//! `config.json` of the trained model: the base's, with the class and the labels of its kind.

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::neural::{
    EXPECTED_GRADE, Family, ModelFolder, ModelKind, OWN_SETTINGS, ScoreActivation, Settings,
};

use super::super::files::NewFolder;
use super::ExportKind;
use super::modules::Layout;
use super::tensors::Plan;

/// Settings of another kind of model than the trained one.
const OF_SCORES: [&str; 7] = [
    OWN_SETTINGS,
    "sentence_transformers",
    "sbert_ce_default_activation_function",
    "default_activation_function",
    "problem_type",
    "num_labels",
    "_num_labels",
];

/// Writes `config.json` beside the transformer's tensors.
pub(super) fn write(
    folder: &NewFolder,
    layout: &Layout,
    base: &ModelFolder,
    kind: &ExportKind,
    plan: &Plan<'_>,
) -> Result<()> {
    let settings = Settings::read(&base.weights.folder().join("config.json"))?;
    let mut keys = settings.keys().clone();
    if settings.text("model_type")?.is_none() {
        keys.insert(
            "model_type".to_owned(),
            json!(model_type(base.config.family)),
        );
    }
    let is_same = match kind {
        ExportKind::BiEncoder { .. } => base.kind == ModelKind::BiEncoder,
        ExportKind::LateInteraction { .. } => base.kind == ModelKind::LateInteraction,
        _ => false,
    };
    if !is_same {
        let name = keys
            .get("model_type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let class = format!(
            "{}{}",
            class_prefix(name),
            class_suffix(kind, base.config.family)
        );
        keys.insert("architectures".to_owned(), json!([class]));
    }
    set_dtype(&mut keys);
    for key in OF_SCORES {
        keys.remove(key);
    }
    if let ExportKind::CrossEncoder { labels, activation } = kind {
        set_labels(&mut keys, labels, *activation);
    }
    if plan.has_own_decoder {
        keys.insert("tie_word_embeddings".to_owned(), json!(false));
    }
    if plan.has_new_deberta_head {
        keys.insert("legacy".to_owned(), json!(false));
    }
    folder.write(
        &format!("{}config.json", layout.transformer),
        &pretty(&Value::Object(keys)),
    )?;
    Ok(())
}

/// JSON as people read it.
pub(super) fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// Trained tensors are f32, in which `transformers` must load them.
fn set_dtype(keys: &mut Map<String, Value>) {
    let has_old = keys.contains_key("torch_dtype");
    if has_old {
        keys.insert("torch_dtype".to_owned(), json!("float32"));
    }
    if keys.contains_key("dtype") || !has_old {
        keys.insert("dtype".to_owned(), json!("float32"));
    }
}

fn set_labels(keys: &mut Map<String, Value>, labels: &[String], activation: ScoreActivation) {
    let by_id = labels.iter().enumerate();
    let by_id: Map<String, Value> = by_id
        .map(|(id, label)| (id.to_string(), json!(label)))
        .collect();
    let by_name = labels.iter().enumerate();
    let by_name: Map<String, Value> = by_name
        .map(|(id, label)| (label.clone(), json!(id)))
        .collect();
    keys.insert("id2label".to_owned(), Value::Object(by_id));
    keys.insert("label2id".to_owned(), Value::Object(by_name));
    let class = match activation {
        // Python has the logits; what this library makes of them is in a setting of its own.
        ScoreActivation::Identity
        | ScoreActivation::ExpectedGrade
        | ScoreActivation::LogSoftmax => "torch.nn.modules.linear.Identity",
        ScoreActivation::Sigmoid => "torch.nn.modules.activation.Sigmoid",
        ScoreActivation::Tanh => "torch.nn.modules.activation.Tanh",
        ScoreActivation::Softmax => "torch.nn.modules.activation.Softmax",
    };
    let settings = json!({"activation_fn": class, "version": super::modules::LAYOUT_VERSION});
    keys.insert("sentence_transformers".to_owned(), settings);
    if activation == ScoreActivation::ExpectedGrade {
        keys.insert(OWN_SETTINGS.to_owned(), json!({"score": EXPECTED_GRADE}));
    }
}

/// What the names of a family's classes begin with.
fn class_prefix(model_type: &str) -> &'static str {
    match model_type {
        "distilbert" => "DistilBert",
        "roberta" => "Roberta",
        "camembert" => "Camembert",
        "xlm-roberta" => "XLMRoberta",
        "electra" => "Electra",
        "t5" => "T5",
        "mt5" => "MT5",
        "deberta-v2" => "DebertaV2",
        _ => "Bert",
    }
}

fn class_suffix(kind: &ExportKind, family: Family) -> &'static str {
    match kind {
        ExportKind::Splade { .. } | ExportKind::InferenceFree { .. } => "ForMaskedLM",
        ExportKind::CrossEncoder { .. } => "ForSequenceClassification",
        ExportKind::BiEncoder { .. } | ExportKind::LateInteraction { .. } => match family {
            Family::T5 => "EncoderModel",
            _ => "Model",
        },
    }
}

fn model_type(family: Family) -> &'static str {
    match family {
        Family::Bert => "bert",
        Family::DistilBert => "distilbert",
        Family::Roberta => "roberta",
        Family::XlmRoberta => "xlm-roberta",
        Family::Electra => "electra",
        Family::T5 => "t5",
        Family::DebertaV2 => "deberta-v2",
    }
}
