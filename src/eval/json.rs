//! JSON objects of JSON Lines: documents and queries with their ids.

use serde_json::{Map, Value};

use super::lines::quote;
use crate::error::{Error, Result};

/// Parses a line that holds one JSON object.
///
/// # Errors
///
/// [`Error::InvalidInput`] without a position, for anything else.
pub(crate) fn parse_object(line: &str) -> Result<Map<String, Value>> {
    let value: Value = serde_json::from_str(line).map_err(|error| {
        // The parser reports a position within the line; the caller adds the line number.
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        Error::invalid(format!(
            "expected one JSON object on the line, found {} ({reason}, column {})",
            quote(line),
            error.column()
        ))
    })?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Error::invalid(format!(
            "expected a JSON object, found {}",
            quote(line)
        ))),
    }
}

/// The id under `_id` or `id`; `what` names it in the error, such as `query id`.
///
/// # Errors
///
/// [`Error::InvalidInput`] without a position, if there is none or it is neither a string nor an
/// integer.
pub(crate) fn id_of(object: &Map<String, Value>, line: &str, what: &str) -> Result<String> {
    match object.get("_id").or_else(|| object.get("id")) {
        Some(value) => id_from(value),
        None => Err(Error::invalid(format!(
            "expected a {what} under `_id` or `id`, found neither in {}",
            quote(line)
        ))),
    }
}

/// An id: a string or an integer.
///
/// # Errors
///
/// [`Error::InvalidInput`] without a position, for anything else.
pub(crate) fn id_from(value: &Value) -> Result<String> {
    match value {
        Value::String(id) => Ok(id.clone()),
        Value::Number(id) if id.is_u64() || id.is_i64() => Ok(id.to_string()),
        other => Err(wrong_type("a string or an integer", other).in_field("id")),
    }
}

/// The error about a value of another type than expected.
pub(crate) fn wrong_type(expected: &str, found: &Value) -> Error {
    Error::invalid(format!(
        "expected {expected}, found {}",
        quote(&found.to_string())
    ))
}
