//! The door to the crate `tokenizers`: models come from anywhere, and some of its code panics at files
//! and texts that it does not expect. A panic becomes an error, and what it would read without looking
//! is looked at before.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};

/// What `run` returns; a message in place of a panic.
pub(super) fn guarded<T>(
    run: impl FnOnce() -> tokenizers::Result<T>,
) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!(
                "the crate `tokenizers` panicked: {}",
                text.unwrap_or("it gave no reason")
            ))
        }
    }
}

#[derive(Deserialize)]
struct File<'a, T> {
    #[serde(borrow)]
    model: Option<Model<'a, T>>,
}

#[derive(Deserialize)]
struct Model<'a, T> {
    #[serde(borrow)]
    continuing_subword_prefix: Option<Cow<'a, str>>,
    merges: Option<T>,
}

/// A pair of tokens, as newer files have it, or both in one string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(serde::de::IgnoredAny, String),
    Line(String),
}

/// Refuses byte pairs whose second token lacks the prefix that is taken off it: the crate cuts it by
/// its length alone, which may be in the middle of a character, and takes the rest for UTF-8.
pub(super) fn check_merges(path: &Path, bytes: &[u8]) -> Result<()> {
    let broken =
        |error: serde_json::Error| Error::model(path, format!("expected a tokenizer: {error}"));
    let file: File<'_, serde::de::IgnoredAny> = serde_json::from_slice(bytes).map_err(broken)?;
    let prefix = file.model.and_then(|model| model.continuing_subword_prefix);
    let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) else {
        return Ok(());
    };
    let file: File<'_, Vec<Merge>> = serde_json::from_slice(bytes).map_err(broken)?;
    for merge in file
        .model
        .and_then(|model| model.merges)
        .unwrap_or_default()
    {
        let second = match &merge {
            Merge::Pair(_, second) => second,
            Merge::Line(line) => line
                .split_once(' ')
                .map_or(line.as_str(), |(_, second)| second),
        };
        if !second.starts_with(&*prefix) {
            let message = format!(
                "expected the second token of each merge to begin with the prefix `{prefix}`, found `{second}`"
            );
            return Err(Error::model(path, message));
        }
    }
    Ok(())
}
