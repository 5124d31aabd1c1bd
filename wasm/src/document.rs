//! A stored document, as an answer has it and as passages are taken from it.

use serde::Serialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

/// Keys of a stored object that may hold its text; the first that exists is used.
const TEXT_KEYS: [&str; 3] = ["text", "contents", "body"];
/// Keys that are not text.
const OTHER_KEYS: [&str; 3] = ["_id", "id", "title"];

/// A stored document in an answer.
#[derive(Serialize)]
#[serde(untagged)]
pub enum StoredDocument {
    /// JSON, as it was loaded.
    Json(Box<RawValue>),
    /// Other text.
    Text(String),
}

impl StoredDocument {
    /// What is stored; `None` if that is nothing or is not UTF-8.
    pub fn of(stored: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(stored).ok()?;
        if text.is_empty() {
            return None;
        }
        Some(match RawValue::from_string(text.to_owned()) {
            Ok(json) => Self::Json(json),
            Err(_) => Self::Text(text.to_owned()),
        })
    }
}

/// The title and the text of a stored document: from a JSON object, or else all of it as text.
pub fn title_and_text(stored: &[u8]) -> (String, String) {
    let Ok(Json::Object(object)) = serde_json::from_slice(stored) else {
        return (String::new(), on_one_line(&String::from_utf8_lossy(stored)));
    };
    let string = |key: &str| object.get(key).and_then(Json::as_str);
    let title = on_one_line(string("title").unwrap_or_default());
    if let Some(text) = TEXT_KEYS.into_iter().find_map(string) {
        return (title, on_one_line(text));
    }
    let others = object
        .iter()
        .filter(|(key, _)| !OTHER_KEYS.contains(&key.as_str()));
    let strings: Vec<&str> = others.filter_map(|(_, value)| value.as_str()).collect();
    (title, on_one_line(&strings.join(" ")))
}

fn on_one_line(text: &str) -> String {
    let is_between = |c: char| c.is_whitespace() || c.is_control();
    let words = text.split(is_between).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}
