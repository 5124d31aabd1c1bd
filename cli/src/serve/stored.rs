//! What an answer has of a stored document: all of it, or some of its keys and columns.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use esparsa::{DocAddress, FieldKind, Snapshot};
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::error::ApiError;
use super::parameters::Parameters;
use super::reply::escaped_bytes;
use crate::search::facets;
use crate::search::report::StoredDocument;

/// Parts of a document that can be chosen.
const MAX_FIELDS: usize = 256;

/// Which parts of the documents are returned: keys of the stored object and names of columns;
/// `None` for all that is stored.
pub struct Parts(Option<Vec<String>>);

/// A document in an answer.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Document {
    /// As it is stored.
    Whole(StoredDocument),
    /// The chosen parts.
    Some(Chosen),
}

/// Chosen parts, in the order in which they were asked for.
pub struct Chosen(Vec<(String, Part)>);

#[derive(Serialize)]
#[serde(untagged)]
enum Part {
    /// As it is stored.
    Stored(Box<RawValue>),
    /// The values of a column.
    Values(Vec<Json>),
}

impl Document {
    /// Bytes that it takes in an answer, of which `stored` is stored.
    pub fn bytes(&self, stored: &[u8]) -> usize {
        match self {
            Self::Whole(StoredDocument::Json(_)) => stored.len(),
            Self::Whole(StoredDocument::Text(text)) => escaped_bytes(text),
            Self::Some(Chosen(parts)) => {
                let parts = parts.iter();
                parts
                    .map(|(name, part)| escaped_bytes(name) + part.bytes())
                    .sum()
            }
        }
    }
}

impl Part {
    fn bytes(&self) -> usize {
        // As much as a number may take.
        const VALUE: usize = 24;
        match self {
            Self::Stored(value) => value.get().len(),
            Self::Values(values) => values
                .iter()
                .map(|value| VALUE + value.as_str().map_or(0, escaped_bytes))
                .sum(),
        }
    }
}

impl Serialize for Chosen {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, part) in &self.0 {
            map.serialize_entry(name, part)?;
        }
        map.end()
    }
}

impl Parts {
    /// Takes `fields`. An empty name stands for none, because a query string has no empty lists; a
    /// name that is repeated for one, because an object has each key once.
    ///
    /// # Errors
    ///
    /// 400 for too many.
    pub fn take(parameters: &mut Parameters) -> Result<Self, ApiError> {
        let mut fields = parameters.texts("fields", MAX_FIELDS)?;
        if let Some(fields) = &mut fields {
            let mut seen = HashSet::new();
            fields.retain(|name| !name.is_empty() && seen.insert(name.clone()));
        }
        Ok(Self(fields))
    }

    /// Whether documents are returned at all.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    /// The parts of a document, of which `stored` is stored; `None` when there are none.
    ///
    /// # Errors
    ///
    /// 500 when a column cannot be read.
    pub fn of(
        &self,
        snapshot: &Snapshot,
        address: DocAddress,
        stored: &[u8],
    ) -> Result<Option<Document>, ApiError> {
        if self.is_empty() {
            return Ok(None);
        }
        let Some(fields) = &self.0 else {
            return Ok(StoredDocument::of(stored).map(Document::Whole));
        };
        let object: HashMap<Cow<'_, str>, &RawValue> =
            serde_json::from_slice(stored).unwrap_or_default();
        let mut chosen = Vec::with_capacity(fields.len());
        for name in fields {
            if let Some(value) = object.get(name.as_str()) {
                chosen.push((name.clone(), Part::Stored((*value).to_owned())));
            } else if snapshot.schema().expect(name, FieldKind::Column).is_ok() {
                let values = snapshot.values(name, address)?;
                let values = values.iter().map(facets::json).collect();
                chosen.push((name.clone(), Part::Values(values)));
            }
        }
        Ok(Some(Document::Some(Chosen(chosen))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_counts_as_long_as_it_is_sent() {
        let text = "\u{1}\"\\".repeat(1_000);
        let stored = text.as_bytes();
        let whole = Document::Whole(StoredDocument::of(stored).unwrap());
        let values = Part::Values(vec![Json::from(&*text)]);
        let chosen = Document::Some(Chosen(vec![(text.clone(), values)]));
        for document in [whole, chosen] {
            let sent = serde_json::to_vec(&document).unwrap().len();
            let counted = document.bytes(stored);
            assert!(sent.abs_diff(counted) < 100, "{sent} {counted}");
        }
    }
}
