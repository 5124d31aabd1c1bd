//! Queries without a transformer: a table of token weights.

use std::path::Path;

use crate::error::{Error, Result};

use super::super::config::{MAX_VOCABULARY, ModelConfig};
use super::super::heads::StaticWeights;
use super::super::settings::{Settings, read_bytes};
use super::super::tokenizer::Tokenizer;
use super::super::weights::Weights;
use super::Step;
use super::fingerprint::Identity;

/// Max bytes of a table in JSON.
const MAX_TABLE_BYTES: u64 = 256 << 20;

/// Encodes the queries of a model whose transformer is for documents only.
#[derive(Debug)]
#[non_exhaustive]
pub struct StaticQueries {
    /// Tokenizes queries; special tokens do not count.
    pub tokenizer: Tokenizer,
    /// The weight of each token.
    pub weights: StaticWeights,
    /// Max tokens of a query, if there is a limit.
    pub max_tokens: Option<usize>,
}

impl StaticQueries {
    /// Opens the only module of a router's route for queries.
    pub(super) fn open(
        root: &Path,
        steps: &[Step],
        config: &ModelConfig,
        identity: &mut Identity,
    ) -> Result<Self> {
        let step = match steps {
            [step] if matches!(step.kind.as_str(), "SparseStaticEmbedding" | "IDF") => step,
            _ => {
                let kinds: Vec<&str> = steps.iter().map(|step| step.kind.as_str()).collect();
                return Err(Error::model(
                    root,
                    format!(
                        "expected a SparseStaticEmbedding for queries, or what documents have, found {}",
                        kinds.join(", ")
                    ),
                ));
            }
        };
        let table = match Settings::read_if_there(&step.folder.join("config.json"))? {
            Some(settings) => table_path(root, &step.folder, &settings)?,
            None => None,
        };
        let tokenizer = Tokenizer::open(&step.folder, config)?;
        let weights = match table {
            Some(table) => from_json(&table, &tokenizer, config, identity)?,
            None => from_tensor(&step.folder, &tokenizer, config, identity)?,
        };
        Ok(Self::new(tokenizer, weights, identity))
    }

    /// Opens the table `idf.json` in a folder without modules, if there is one.
    pub(super) fn beside(
        root: &Path,
        config: &ModelConfig,
        identity: &mut Identity,
    ) -> Result<Option<Self>> {
        let table = root.join("idf.json");
        if !table.is_file() {
            return Ok(None);
        }
        let tokenizer = Tokenizer::open(root, config)?;
        let weights = from_json(&table, &tokenizer, config, identity)?;
        Ok(Some(Self::new(tokenizer, weights, identity)))
    }

    fn new(tokenizer: Tokenizer, weights: StaticWeights, identity: &mut Identity) -> Self {
        identity.add_number(tokenizer.fingerprint());
        Self {
            max_tokens: tokenizer.max_tokens(),
            tokenizer,
            weights,
        }
    }

    /// The tokens of a query that have weights, in order.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn tokens(&self, query: &str) -> Result<Vec<u32>> {
        let mut ids = self.tokenizer.encode_without_special_tokens(query)?;
        ids.truncate(self.max_tokens.unwrap_or(ids.len()));
        Ok(ids)
    }
}

/// The file of weights that the module's settings name, if they name one: in its own folder or in
/// the model's.
fn table_path(
    root: &Path,
    folder: &Path,
    settings: &Settings,
) -> Result<Option<std::path::PathBuf>> {
    let Some(name) = settings.text("path")? else {
        return Ok(None);
    };
    // The setting is a path on the machine that made the model; only the file name is the same
    // here.
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let found = [folder.join(name), root.join(name), root.join("idf.json")]
        .into_iter()
        .find(|path| path.is_file());
    match found {
        Some(path) => Ok(Some(path)),
        None => Err(settings.error(format!(
            "expected the table {name} in the model's folder, found none"
        ))),
    }
}

fn from_json(
    table: &Path,
    tokenizer: &Tokenizer,
    config: &ModelConfig,
    identity: &mut Identity,
) -> Result<StaticWeights> {
    let bytes = read_bytes(table, MAX_TABLE_BYTES)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Error::model(table, format!("expected UTF-8: {error}")))?;
    identity.add_text(&text);
    StaticWeights::from_json(&text, table, config.vocabulary, |token| tokenizer.id(token))
}

fn from_tensor(
    folder: &Path,
    tokenizer: &Tokenizer,
    config: &ModelConfig,
    identity: &mut Identity,
) -> Result<StaticWeights> {
    let weights = Weights::open(folder)?;
    let terms = match weights.shape("weight") {
        Some([terms]) if (tokenizer.vocabulary()..=MAX_VOCABULARY).contains(terms) => *terms,
        Some(shape) => {
            return Err(Error::model(
                folder,
                format!(
                    "tensor `weight`: expected one weight for each of {} tokens, found the shape {shape:?}",
                    tokenizer.vocabulary()
                ),
            ));
        }
        None => tokenizer.vocabulary(),
    };
    if terms > config.vocabulary {
        return Err(Error::model(
            folder,
            format!(
                "expected a table of at most {} weights, the terms of documents, found {terms}",
                config.vocabulary
            ),
        ));
    }
    let table = StaticWeights::load(&weights, terms)?;
    identity.add_number(weights.fingerprint()?);
    Ok(table)
}
