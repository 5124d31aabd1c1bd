//! What an answer has of a stored document: all of it, or some of its keys and columns.

use std::borrow::Cow;
use std::collections::HashMap;

use esparsa::{DocAddress, FieldKind, Snapshot};
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::error::ApiError;
use crate::search::facets;
use crate::search::report::StoredDocument;

/// Bytes of the stored documents of one answer.
const MAX_BYTES: usize = 64 << 20;

/// Which parts of the documents are returned.
pub struct Parts {
    /// Keys of the stored object and names of columns; `None` for all that is stored.
    fields: Option<Vec<String>>,
    /// Bytes that the answer may still have.
    left: usize,
}

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
    /// These keys and columns, or all that is stored.
    pub fn new(fields: Option<Vec<String>>) -> Self {
        Self {
            fields,
            left: MAX_BYTES,
        }
    }

    /// Whether documents are returned at all.
    pub fn is_empty(&self) -> bool {
        self.fields.as_ref().is_some_and(Vec::is_empty)
    }

    /// The parts of a document, of which `stored` is stored; `None` when there are none.
    ///
    /// # Errors
    ///
    /// 400 when the documents of the answer are too large together, 500 when a column cannot be
    /// read.
    pub fn of(
        &mut self,
        snapshot: &Snapshot,
        address: DocAddress,
        stored: &[u8],
    ) -> Result<Option<Document>, ApiError> {
        if self.is_empty() {
            return Ok(None);
        }
        let Some(left) = self.left.checked_sub(stored.len()) else {
            return Err(ApiError::invalid(format!(
                "expected documents of at most {MAX_BYTES} bytes together, found more; ask for fewer hits"
            )));
        };
        self.left = left;
        let Some(fields) = &self.fields else {
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
