//! What all models have in common: a transformer with its tokenizer, prompts, and an identity.

use std::borrow::Cow;

use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::neural::encoder::Encoder;
use crate::neural::folder::{ModelFolder, ModelKind};
use crate::neural::tokenizer::Tokenizer;

use super::Role;

/// Text to hidden states.
pub(super) struct Transformer<B: Backend> {
    pub(super) encoder: Encoder<B>,
    pub(super) tokenizer: Tokenizer,
    /// Max tokens of a sequence.
    pub(super) max_tokens: usize,
}

/// The name and the fingerprint of a model.
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) fingerprint: u128,
}

impl Identity {
    /// Tensors that were loaded before are not read again.
    pub(super) fn of(folder: &ModelFolder) -> Result<Self> {
        // A path such as `.` has a last part only as an absolute path.
        let path = folder.path.canonicalize();
        let path = path.as_ref().unwrap_or(&folder.path);
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            fingerprint: folder.fingerprint()?,
        })
    }
}

/// The prompts of queries and documents.
pub(super) struct RolePrompts {
    pub(super) query: String,
    pub(super) document: String,
}

impl RolePrompts {
    pub(super) fn of(folder: &ModelFolder) -> Self {
        Self {
            query: folder.prompts.query().to_owned(),
            document: folder.prompts.document().to_owned(),
        }
    }

    pub(super) fn before(&self, role: Role) -> &str {
        match role {
            Role::Query => &self.query,
            Role::Document => &self.document,
        }
    }
}

/// A text with its prompt before it.
pub(super) fn prompted<'a>(prompt: &str, text: &'a str) -> Cow<'a, str> {
    match prompt.is_empty() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(format!("{prompt}{text}")),
    }
}

/// Refuses a folder that holds a model of another kind.
pub(super) fn expect_kind(folder: &ModelFolder, expected: ModelKind) -> Result<()> {
    if folder.kind == expected {
        return Ok(());
    }
    let message = format!(
        "expected a model of kind {expected:?}, found one of kind {:?}",
        folder.kind
    );
    Err(Error::model(&folder.path, message))
}

/// The row itself if all of its values are finite.
pub(super) fn finite(row: &[f32]) -> Option<Vec<f32>> {
    row.iter()
        .all(|value| value.is_finite())
        .then(|| row.to_vec())
}
