//! The task of a transformer, and how a classifier's logits become scores.

use serde_json::Value;

use crate::error::Result;

use super::super::settings::Settings;
use super::Step;

/// Names of labels which say that a document answers the query.
const RELEVANT: [&str; 8] = [
    "relevant",
    "entailment",
    "yes",
    "true",
    "positive",
    "duplicate",
    "is_duplicate",
    "paraphrase",
];

/// The key of `config.json` with settings that only this library has.
pub(crate) const OWN_SETTINGS: &str = "esparsa";
/// The value of its `score` for labels that are grades.
pub(crate) const EXPECTED_GRADE: &str = "expected_grade";

/// The activation of a cross-encoder's logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoreActivation {
    /// None: the logit itself.
    Identity,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// The softmax over all labels.
    Softmax,
    /// The logarithm of the softmax over all labels: the log-probability of an answer.
    LogSoftmax,
    /// The expected grade, of labels that are grades from 0 on: its share of the highest grade as a
    /// logarithm of odds.
    ExpectedGrade,
}

/// The task of a transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Features,
    FillMask,
    Classification,
}

impl Task {
    pub(super) fn of(step: &Step, settings: Option<&Settings>) -> Result<Self> {
        let Some(settings) = settings.filter(|_| step.kind != "MLMTransformer") else {
            return Ok(match step.kind.as_str() {
                "MLMTransformer" => Self::FillMask,
                _ => Self::Features,
            });
        };
        match settings.text("transformer_task")? {
            None | Some("feature-extraction") => Ok(Self::Features),
            Some("fill-mask") => Ok(Self::FillMask),
            Some("sequence-classification") => Ok(Self::Classification),
            Some(other) => Err(settings.wrong(
                "transformer_task",
                "feature-extraction, fill-mask or sequence-classification",
                format!("`{other}`"),
            )),
        }
    }
}

/// The activation of a cross-encoder's logits, from one of two files. The default is a sigmoid for
/// one label and none for several.
pub(super) fn score_activation(
    config: &Settings,
    about: &Settings,
    labels: usize,
) -> Result<ScoreActivation> {
    if let Some(own) = config.object(OWN_SETTINGS)?
        && let Some(score) = own.text("score")?
    {
        return match score {
            EXPECTED_GRADE if labels > 1 => Ok(ScoreActivation::ExpectedGrade),
            other => Err(own.wrong(
                "score",
                &format!("`{EXPECTED_GRADE}` and several labels"),
                format!("`{other}` and {labels}"),
            )),
        };
    }
    let nested = config.object("sentence_transformers")?;
    let sources = [
        (Some(about), "activation_fn"),
        (nested.as_ref(), "activation_fn"),
        (Some(config), "sbert_ce_default_activation_function"),
        (Some(config), "default_activation_function"),
    ];
    for (settings, key) in sources {
        let Some(settings) = settings else { continue };
        let Some(class) = settings.text(key)? else {
            continue;
        };
        return match class.rsplit('.').next().unwrap_or(class) {
            "Identity" => Ok(ScoreActivation::Identity),
            "Sigmoid" => Ok(ScoreActivation::Sigmoid),
            "Tanh" => Ok(ScoreActivation::Tanh),
            "Softmax" => Ok(ScoreActivation::Softmax),
            _ => Err(settings.wrong(
                key,
                "Identity, Sigmoid, Tanh or Softmax of torch.nn",
                format!("`{class}`"),
            )),
        };
    }
    Ok(match labels {
        1 => ScoreActivation::Sigmoid,
        _ => ScoreActivation::Identity,
    })
}

/// Which of several labels says that a document answers the query: the only one of such a name, or
/// else the last, as in models with the labels 0 and 1.
pub(super) fn scored_label(config: &Settings, labels: usize) -> Result<usize> {
    let last = labels.saturating_sub(1);
    let Some(names) = config.object("id2label")? else {
        return Ok(last);
    };
    let mut relevant = (0..labels).filter(|label| {
        let name = names.value(&label.to_string()).and_then(Value::as_str);
        name.is_some_and(|name| RELEVANT.contains(&&*name.to_lowercase()))
    });
    Ok(match (relevant.next(), relevant.next()) {
        (Some(label), None) => label,
        _ => last,
    })
}
