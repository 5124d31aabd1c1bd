//! Re-rankers that answer with a word, as monoT5 does: the text that a pair is put into, and the two
//! words whose logits make the score.

use crate::error::{Error, Result};

use super::super::settings::Settings;
use super::super::tokenizer::Tokenizer;
use super::OWN_SETTINGS;
use super::fingerprint::Identity;

/// The text of monoT5 and of its multilingual relatives.
const TEMPLATE: &str = "Query: {query} Document: {document} Relevant:";

/// The words for a relevant and for an irrelevant document, of models whose vocabulary is of many
/// languages: mT5 trained on mMARCO.
const MULTILINGUAL: [[&str; 2]; 1] = [["▁yes", "▁no"]];
/// The same of models with the vocabulary of one language: those on PTT5, which are first because
/// only a Portuguese vocabulary has their words, then monoT5 and InRanker.
const OTHERS: [[&str; 2]; 2] = [["▁sim", "▁não"], ["▁true", "▁false"]];

/// The tokens of the two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    /// The document is relevant.
    pub(crate) relevant: u32,
    /// It is not.
    pub(crate) irrelevant: u32,
}

/// The answers of a model, and its text for pairs, which the tokenizer gets. Both are settings of
/// this library in config.json, with the defaults of published models.
pub(super) fn read(
    config: &Settings,
    tokenizer: &mut Tokenizer,
    identity: &mut Identity,
) -> Result<Answers> {
    let own = config.object(OWN_SETTINGS)?;
    let set = |key: &str| match &own {
        Some(own) => own.text(key).map(|text| text.map(str::to_owned)),
        None => Ok(None),
    };
    let template = set("template")?.unwrap_or_else(|| TEMPLATE.to_owned());
    let places = tokenizer.put_pairs_into(&template);
    places.map_err(|error| config.error(format!("`{OWN_SETTINGS}.template`: {error}")))?;
    let chosen = match (set("true")?, set("false")?) {
        (Some(relevant), Some(irrelevant)) => vec![[relevant, irrelevant]],
        (None, None) => usual(config)?,
        _ => {
            return Err(config.error(format!(
                "`{OWN_SETTINGS}`: expected both `true` and `false`, the tokens of the two answers, found one of them"
            )));
        }
    };
    let found = chosen.iter().find_map(|[relevant, irrelevant]| {
        Some(Answers {
            relevant: tokenizer.id(relevant)?,
            irrelevant: tokenizer.id(irrelevant)?,
        })
    });
    let answers = found.ok_or_else(|| missing(config, &chosen))?;
    if answers.relevant == answers.irrelevant {
        return Err(config.error(format!(
            "`{OWN_SETTINGS}`: expected different tokens for `true` and `false`, found the same one"
        )));
    }
    identity.add_text(&template);
    identity.add_number(answers.relevant.into());
    identity.add_number(answers.irrelevant.into());
    Ok(answers)
}

/// The pairs of words of published models, in the order in which they are looked up.
fn usual(config: &Settings) -> Result<Vec<[String; 2]>> {
    let architectures = config.texts("architectures")?.unwrap_or_default();
    let is_multilingual = config.text("model_type")? == Some("mt5")
        || architectures.iter().any(|name| name.starts_with("MT5"));
    let words: &[[&str; 2]] = match is_multilingual {
        true => &MULTILINGUAL,
        false => &OTHERS,
    };
    Ok(words.iter().map(|pair| pair.map(str::to_owned)).collect())
}

fn missing(config: &Settings, words: &[[String; 2]]) -> Error {
    let pairs: Vec<String> = words
        .iter()
        .map(|[relevant, irrelevant]| format!("`{relevant}` and `{irrelevant}`"))
        .collect();
    config.error(format!(
        "a re-ranker with a decoder: expected a vocabulary with the tokens {}, found one that lacks them; name the tokens of the model's answers: \"{OWN_SETTINGS}\": {{\"true\": …, \"false\": …}}, or open the folder as a model of another kind",
        pairs.join(" or ")
    ))
}
