//! Documents from dicts: their keys are the names of fields.

use esparsa::{Document, Field, FieldKind, FieldValue, Schema};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyOverflowError, PyRecursionError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFrozenSet, PyList, PyMapping, PyMemoryView, PySet,
    PyString, PyTuple,
};

use crate::error::invalid;
use crate::schema::choice;
use crate::value::{is_missing, value};
use crate::vectors::{SparseVector, floats, sparse};

/// What becomes of keys that are no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// They are errors.
    Error,
    /// They are left out.
    Ignore,
    /// They are stored with the document.
    Store,
}

impl Extra {
    pub fn of_name(name: &str) -> PyResult<Self> {
        let choices = [
            ("error", Self::Error),
            ("ignore", Self::Ignore),
            ("store", Self::Store),
        ];
        choice("extra", name, &choices)
    }
}

/// How the rows of a load become documents.
pub struct Rows<'a> {
    pub schema: &'a Schema,
    /// The key of the external id; without it, `_id`, or else `id`.
    pub id: Option<String>,
    pub extra: Extra,
}

impl Rows<'_> {
    /// The document of a row, which is a dict or another mapping.
    pub fn document(&self, row: &Bound<'_, PyAny>) -> PyResult<Document> {
        if let Ok(row) = row.cast::<PyDict>() {
            return self.of_dict(row);
        }
        let mapping = row.cast::<PyMapping>().map_err(|_| {
            let found = row.get_type().to_string();
            invalid(format!(
                "expected a document as a dict with its id and fields, found {found}"
            ))
        })?;
        let dict = PyDict::new(row.py());
        dict.update(mapping)?;
        self.of_dict(&dict)
    }

    fn of_dict(&self, row: &Bound<'_, PyDict>) -> PyResult<Document> {
        let key = self.id_key(row)?;
        let id = row.get_item(key)?.map(|id| external_id(&id)).transpose()?;
        let id = id.ok_or_else(|| {
            let key = self.id.as_deref().unwrap_or("_id");
            invalid(format!(
                "expected a document with an external id under the key {key:?}, found none; give its key as id"
            ))
        })?;
        self.with_fields(id, row, Some(key))
    }

    /// The document of this id with fields from a dict, in which the id is not looked for.
    pub fn with_id(&self, id: String, row: &Bound<'_, PyDict>) -> PyResult<Document> {
        self.with_fields(id, row, None)
    }

    fn id_key(&self, row: &Bound<'_, PyDict>) -> PyResult<&str> {
        if let Some(key) = &self.id {
            return Ok(key);
        }
        let has_other = !row.contains("_id")? && self.schema.field("id").is_none();
        Ok(if has_other { "id" } else { "_id" })
    }

    fn with_fields(
        &self,
        id: String,
        row: &Bound<'_, PyDict>,
        id_key: Option<&str>,
    ) -> PyResult<Document> {
        let mut document = Document::new(id);
        let mut has_stored = false;
        // A copy: conversion calls methods of the values, which may change the dict.
        let row = &row.copy()?;
        for (key, object) in row.iter() {
            let name = key_of(&key)?;
            if is_missing(&object)? {
                continue;
            }
            match self.schema.field(name) {
                Some(field) => {
                    has_stored |= field.options.kind() == FieldKind::Stored;
                    document = with_value(document, field, &object).map_err(|error| {
                        named(error, row.py(), &document_name(row, id_key), name)
                    })?;
                }
                None if Some(name) == id_key || self.extra != Extra::Error => {}
                None => return Err(self.unknown(name)),
            }
        }
        if self.extra == Extra::Store && has_stored {
            return Err(invalid(
                "expected documents without a value for the stored field with extra=\"store\", found one with it",
            ));
        }
        if self.extra == Extra::Store {
            let field = self.schema.stored_field().ok_or_else(|| {
                invalid("expected a Stored() field in the schema for extra=\"store\", found none")
            })?;
            let source = self.source(document.id(), row, id_key)?;
            document = document.with_stored(&field.name, source);
        }
        Ok(document)
    }

    /// A row as JSON, without its vectors, and with its id as `_id`.
    fn source(&self, id: &str, row: &Bound<'_, PyDict>, id_key: Option<&str>) -> PyResult<Vec<u8>> {
        let kept = PyDict::new(row.py());
        kept.set_item("_id", id)?;
        for (key, object) in row.iter() {
            let name = key_of(&key)?;
            if name == "_id" {
                continue;
            }
            let kind = self.schema.field(name).map(|field| field.options.kind());
            let is_vector = matches!(kind, Some(FieldKind::Sparse | FieldKind::Dense));
            if !is_vector && !is_missing(&object)? && Some(name) != id_key {
                kept.set_item(key, object)?;
            }
        }
        to_json(&kept)
    }

    fn unknown(&self, name: &str) -> PyErr {
        let fields = self.schema.fields().iter();
        let names: Vec<String> = fields.map(|field| format!("`{}`", field.name)).collect();
        invalid(format!(
            "expected keys that are fields of the index ({}), found `{name}`; give \
             extra=\"ignore\" or extra=\"store\" for documents with more",
            names.join(", ")
        ))
    }
}

/// An external id: a string, or a whole number, which is written in decimal.
pub fn external_id(object: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(text.to_str()?.to_owned());
    }
    let is_bool = object.is_instance_of::<PyBool>();
    // `__index__` is what whole numbers have, those of NumPy too.
    if let (false, Ok(number)) = (is_bool, object.call_method0("__index__")) {
        return Ok(number.str()?.to_str()?.to_owned());
    }
    Err(invalid(format!(
        "expected an external id that is a string or a whole number, found {}",
        object.repr()?
    )))
}

/// The key of a dict.
fn key_of<'a>(key: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    let text = key.cast::<PyString>().map_err(|_| {
        let found = key
            .repr()
            .map_or_else(|_| "?".into(), |repr| repr.to_string());
        invalid(format!("expected keys that are strings, found {found}"))
    })?;
    text.to_str()
}

/// The id of a row, for messages.
fn document_name(row: &Bound<'_, PyDict>, id_key: Option<&str>) -> String {
    let id = id_key.and_then(|key| row.get_item(key).ok().flatten());
    id.map_or_else(String::new, |id| format!("document `{id}`: "))
}

/// The error of a value, with the document and the field in its message. Others, such as
/// `KeyboardInterrupt`, stay what they are.
fn named(error: PyErr, py: Python<'_>, document: &str, field: &str) -> PyErr {
    let is_of_value = error.is_instance_of::<PyValueError>(py)
        || error.is_instance_of::<PyTypeError>(py)
        || error.is_instance_of::<PyOverflowError>(py);
    if !is_of_value {
        return error;
    }
    let named = invalid(format!("{document}field `{field}`: {}", error.value(py)));
    named.set_cause(py, Some(error));
    named
}

/// The document with the values that an object has for a field.
fn with_value(document: Document, field: &Field, object: &Bound<'_, PyAny>) -> PyResult<Document> {
    let name = field.name.as_str();
    Ok(match field.options.kind() {
        FieldKind::Text => each(object)?.iter().try_fold(document, |document, text| {
            Ok::<_, PyErr>(document.with_text(name, text_of(text)?))
        })?,
        FieldKind::Column => each(object)?
            .iter()
            .try_fold(document, |document, object| {
                Ok::<_, PyErr>(document.with(name, FieldValue::Column(value(object)?)))
            })?,
        FieldKind::Sparse => match sparse(object)? {
            SparseVector::Strings(vector) => document.with_sparse(name, vector),
            SparseVector::Numbers(vector) => document.with_sparse_numbered(name, vector),
            SparseVector::Empty => document,
        },
        FieldKind::Dense => document.with_dense(name, floats(object)?),
        _ => document.with_stored(name, stored(object)?),
    })
}

/// The values of a list, a tuple, a set or an array, or the one value; missing ones are left out.
fn each<'py>(object: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let is_several = object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyTuple>()
        || object.is_instance_of::<PySet>()
        || object.is_instance_of::<PyFrozenSet>()
        || object
            .cast::<PyUntypedArray>()
            .is_ok_and(|array| array.ndim() == 1);
    if !is_several {
        return Ok(vec![object.clone()]);
    }
    let mut values = Vec::new();
    for value in object.try_iter()? {
        let value = value?;
        if !is_missing(&value)? {
            values.push(value);
        }
    }
    Ok(values)
}

fn text_of<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    let text = object.cast::<PyString>().map_err(|_| {
        let found = object.get_type().to_string();
        invalid(format!("expected a string, found {found}"))
    })?;
    text.to_str()
}

/// What is kept of a document: bytes and strings as they are, anything else as JSON.
fn stored(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if let Ok(bytes) = object.cast::<PyByteArray>() {
        return Ok(bytes.to_vec());
    }
    if object.is_instance_of::<PyMemoryView>() {
        return stored(&object.call_method0("tobytes")?);
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(text.to_str()?.as_bytes().to_vec());
    }
    to_json(object)
}

/// An object as JSON in UTF-8.
pub fn to_json(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let py = object.py();
    let json = py.import("esparsa._json")?.call_method1("dumps", (object,));
    let json = json.map_err(|error| {
        let is_of_value = error.is_instance_of::<PyValueError>(py)
            || error.is_instance_of::<PyTypeError>(py)
            || error.is_instance_of::<PyRecursionError>(py);
        match is_of_value {
            true => invalid(format!("expected what JSON can hold: {}", error.value(py))),
            false => error,
        }
    })?;
    Ok(json.cast::<PyString>()?.to_str()?.as_bytes().to_vec())
}
