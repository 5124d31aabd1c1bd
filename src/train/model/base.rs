//! The model that training starts from: a published folder, with a head of the kind that is trained.

use std::path::Path;

use crate::error::{Error, Result};
use crate::neural::{ModelConfig, ModelFolder, ModelKind, Weights};

/// Opens the folder of a model to be trained as one of a `kind`, whatever kind it is.
///
/// A decoder that the file has as a copy of the word embeddings is tied to them, if the
/// configuration ties them.
///
/// # Errors
///
/// As [`ModelFolder::open`].
pub fn open_base(path: &Path, kind: ModelKind) -> Result<ModelFolder> {
    let mut folder = match ModelFolder::open_as(path, Some(kind)) {
        Ok(folder) => folder,
        // A folder that says it is of another kind: its encoder is what training starts from.
        Err(_) => ModelFolder::open(path)?,
    };
    tie(&folder.config, &mut folder.weights)?;
    Ok(folder)
}

/// Opens the folder of a model whose weights and tokenizer are used, whatever kind it is. One that
/// says it is a re-ranker with a decoder, but has no words to answer with, is opened as its encoder.
///
/// # Errors
///
/// As [`ModelFolder::open`].
pub fn open_any(path: &Path) -> Result<ModelFolder> {
    ModelFolder::open(path).or_else(|error| {
        match ModelFolder::open_as(path, Some(ModelKind::BiEncoder)) {
            Ok(encoder) if encoder.config.decoder.is_some() => Ok(encoder),
            // What is wrong is something else.
            _ => Err(error),
        }
    })
}

/// Names under which files keep copies of the word embeddings.
const COPIES: [&str; 5] = [
    "cls.predictions.decoder.weight",
    "vocab_projector.weight",
    "lm_head.decoder.weight",
    "generator_lm_head.weight",
    "lm_head.weight",
];

fn tie(config: &ModelConfig, weights: &mut Weights) -> Result<()> {
    if !config.ties_embeddings {
        return Ok(());
    }
    let embeddings = crate::neural::SpladeHead::<crate::backend::Cpu>::names(config).embeddings;
    for name in COPIES {
        let Some(shape) = weights.shape(name).map(<[usize]>::to_vec) else {
            continue;
        };
        if weights.shape(embeddings) == Some(&shape[..])
            && weights.tensor(name, &shape)? == weights.tensor(embeddings, &shape)?
        {
            weights.remove(name);
        }
    }
    Ok(())
}

/// Refuses a text limit that a model cannot have.
///
/// # Errors
///
/// [`Error::InvalidInput`] when special tokens alone take it.
pub fn limit_of(folder: &ModelFolder, asked: usize, name: &str) -> Result<usize> {
    let specials = folder.tokenizer.special_tokens_of_pair();
    if asked <= specials {
        return Err(Error::invalid(format!(
            "{name}: expected more than the {specials} special tokens of the model, found {asked}"
        )));
    }
    let limit = folder.config.max_positions.unwrap_or(usize::MAX);
    Ok(asked.min(limit))
}
