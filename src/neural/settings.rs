//! Typed access to the JSON files of model folders, with errors that name the file and the key.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Max bytes of a settings file. Published ones have a few thousand.
const MAX_SETTINGS_BYTES: u64 = 64 << 20;

/// Editors on Windows put it before UTF-8; the JSON parser refuses it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An object of settings, and the file that it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    path: PathBuf,
    keys: Map<String, Value>,
}

impl Settings {
    /// Reads a file that holds one object.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        match read_value(path)? {
            Value::Object(keys) => Ok(Self::new(path, keys)),
            other => Err(Error::model(
                path,
                format!("expected a JSON object, found {}", kind(&other)),
            )),
        }
    }

    /// Reads a file if it exists.
    pub(crate) fn read_if_there(path: &Path) -> Result<Option<Self>> {
        if path.is_file() {
            Self::read(path).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Settings that were read by other means; `path` is for errors.
    pub(crate) fn new(path: &Path, keys: Map<String, Value>) -> Self {
        Self {
            path: path.to_path_buf(),
            keys,
        }
    }

    /// The object at `key`, as settings of the same file.
    pub(crate) fn object(&self, key: &str) -> Result<Option<Self>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Object(keys)) => Ok(Some(Self::new(&self.path, keys.clone()))),
            Some(other) => Err(self.wrong(key, "an object", other)),
        }
    }

    /// The value at `key`; null counts as missing.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    /// True if the key exists, even if its value is null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    pub(crate) fn keys(&self) -> &Map<String, Value> {
        &self.keys
    }

    /// An error about this file.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        Error::model(&self.path, message)
    }

    /// An error about a value of another kind than expected.
    pub(crate) fn wrong(&self, key: &str, expected: &str, found: impl Display) -> Error {
        self.error(format!("`{key}`: expected {expected}, found {found}"))
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "a string", other)),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(key, "true or false", other)),
        }
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(self.wrong(key, "a number", value)),
            },
        }
    }

    /// A whole number from `min` to `max`.
    pub(crate) fn size(&self, key: &str, min: usize, max: usize) -> Result<Option<usize>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        value
            .as_u64()
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| (min..=max).contains(size))
            .map(Some)
            .ok_or_else(|| self.wrong(key, &format!("a whole number from {min} to {max}"), value))
    }

    /// A list of strings.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<String>>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let strings = value.as_array().and_then(|list| {
            list.iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        });
        strings
            .map(Some)
            .ok_or_else(|| self.wrong(key, "a list of strings", value))
    }
}

/// Reads a JSON file of bounded length.
pub(crate) fn read_value(path: &Path) -> Result<Value> {
    let bytes = read_bytes(path, MAX_SETTINGS_BYTES)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::model(path, format!("expected JSON: {error}")))
}

/// The bytes of a text file of at most `max_bytes`, without a byte order mark.
pub(crate) fn read_bytes(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let length = fs::metadata(path)
        .map_err(|error| Error::io(path, "open", error))?
        .len();
    if length > max_bytes {
        return Err(Error::model(
            path,
            format!("expected at most {max_bytes} bytes, found {length}"),
        ));
    }
    let mut bytes = fs::read(path).map_err(|error| Error::io(path, "read", error))?;
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(bytes)
}

/// Appends the canonical form of a value, from which fingerprints are computed: keys sorted,
/// `ignored` keys skipped.
pub(crate) fn canonical(value: &Value, ignored: &[&str], out: &mut String) {
    match value {
        Value::Object(keys) => {
            let mut sorted: Vec<_> = keys
                .iter()
                .filter(|(key, _)| !ignored.contains(&key.as_str()))
                .collect();
            sorted.sort_by(|a, b| a.0.cmp(b.0));
            out.push('{');
            for (key, value) in sorted {
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                canonical(value, ignored, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, ignored, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(value: Value) -> Settings {
        let Value::Object(keys) = value else {
            panic!("an object");
        };
        Settings::new(Path::new("config.json"), keys)
    }

    #[test]
    fn errors_name_file_key_and_what_was_found() {
        let settings = settings(json!({"hidden_size": "wide"}));
        let error = settings.size("hidden_size", 1, 9).unwrap_err().to_string();
        assert_eq!(
            error,
            "config.json: `hidden_size`: expected a whole number from 1 to 9, found \"wide\""
        );
    }

    #[test]
    fn null_counts_as_missing() {
        let settings = settings(json!({"a": null}));
        assert_eq!(settings.size("a", 1, 9).unwrap(), None);
        assert!(settings.has("a"));
    }

    #[test]
    fn sizes_outside_their_bounds_are_refused() {
        let settings = settings(json!({"zero": 0, "huge": 1e30, "negative": -1, "half": 1.5}));
        for key in ["zero", "huge", "negative", "half"] {
            assert!(settings.size(key, 1, 9).is_err(), "{key}");
        }
    }

    #[test]
    fn canonical_form_depends_neither_on_order_nor_on_ignored_keys() {
        let write = |text: &str| {
            let mut out = String::new();
            canonical(&serde_json::from_str(text).unwrap(), &["version"], &mut out);
            out
        };
        assert_eq!(
            write(r#"{"a":1,"b":[true,{"version":3}]}"#),
            write(r#"{"version":9,"b":[true,{}],"a":1}"#)
        );
        assert_ne!(write(r#"{"a":1}"#), write(r#"{"a":2}"#));
    }

    #[test]
    fn a_list_is_not_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "[1]").unwrap();
        let error = Settings::read(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("expected a JSON object, found a list"),
            "{error}"
        );
    }
}
