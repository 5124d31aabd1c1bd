//! A document, value by value.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use esparsa::{Document, Error, FieldValue, Result, Value};

use crate::arguments::{Text, array, leave, object};
use crate::status::{EsparsaStatus, free, run};

/// A document: an external id and values of fields. Whether these fit the schema is found out when it
/// is added.
pub struct EsparsaDocument(Option<Document>);

impl EsparsaDocument {
    fn set(&mut self, set: impl FnOnce(Document) -> Document) {
        self.0 = self.0.take().map(set);
    }

    pub fn into_document(self) -> Result<Document> {
        self.0
            .ok_or_else(|| Error::invalid("expected a document, found none"))
    }
}

/// A document with an external id. Adding it replaces a document with the same id.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_document_new(
    id: Text<'_>,
    document: Option<&mut MaybeUninit<*mut EsparsaDocument>>,
) -> EsparsaStatus {
    run(|| {
        leave(document, "document", || {
            let document = Document::new(id.get("id")?);
            Ok(EsparsaDocument(Some(document)))
        })
    })
}

/// Adds a text to a text field, which may have several.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_document_text(
    document: Option<&mut EsparsaDocument>,
    field: Text<'_>,
    text: Text<'_>,
) -> EsparsaStatus {
    run(|| {
        let (field, text) = (field.get("field")?, text.get("text")?);
        object(document, "document")?.set(|document| document.with_text(field, text));
        Ok(())
    })
}

/// Sets the vector of a sparse field: `length` terms and their weights. Both arrays are copied.
///
/// # Safety
///
/// `terms` leads to `length` strings, and `weights` to as many numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn esparsa_document_sparse(
    document: Option<&mut EsparsaDocument>,
    field: Text<'_>,
    terms: *const *const c_char,
    weights: *const f32,
    length: usize,
) -> EsparsaStatus {
    run(|| {
        let field = field.get("field")?;
        // SAFETY: the caller vouches for both arrays.
        let vector = unsafe { sparse_vector(terms, weights, length) }?;
        object(document, "document")?.set(|document| document.with_sparse(field, vector));
        Ok(())
    })
}

/// Terms and weights from two arrays of C.
///
/// # Safety
///
/// As of `esparsa_document_sparse`.
pub unsafe fn sparse_vector<'a>(
    terms: *const *const c_char,
    weights: *const f32,
    length: usize,
) -> Result<Vec<(&'a str, f32)>> {
    // SAFETY: `Text` has the layout of the pointer in it, and the caller vouches for the arrays.
    let (terms, weights) = unsafe {
        let terms: &[Text<'a>] = array(terms.cast(), length, "terms")?;
        (terms, array(weights, length, "weights")?)
    };
    let pairs = terms.iter().zip(weights);
    pairs
        .map(|(term, weight)| Ok((term.get("terms")?, *weight)))
        .collect()
}

/// Sets the vector of a dense field: `length` numbers, as many as the field has dimensions. The array
/// is copied.
///
/// # Safety
///
/// `vector` leads to `length` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn esparsa_document_dense(
    document: Option<&mut EsparsaDocument>,
    field: Text<'_>,
    vector: *const f32,
    length: usize,
) -> EsparsaStatus {
    run(|| {
        let field = field.get("field")?;
        // SAFETY: the caller vouches for the array.
        let vector = unsafe { array(vector, length, "vector") }?;
        object(document, "document")?.set(|document| document.with_dense(field, vector));
        Ok(())
    })
}

/// Sets the bytes that are returned with hits. They are copied.
///
/// # Safety
///
/// `bytes` leads to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn esparsa_document_stored(
    document: Option<&mut EsparsaDocument>,
    field: Text<'_>,
    bytes: *const u8,
    length: usize,
) -> EsparsaStatus {
    run(|| {
        let field = field.get("field")?;
        // SAFETY: the caller vouches for the array.
        let bytes = unsafe { array(bytes, length, "bytes") }?;
        object(document, "document")?.set(|document| document.with_stored(field, bytes));
        Ok(())
    })
}

/// Adds a value to a column of whole numbers from -2^63 to 2^63 - 1.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_document_i64(
    document: Option<&mut EsparsaDocument>,
    column: Text<'_>,
    value: i64,
) -> EsparsaStatus {
    add(document, column, || Ok(Value::I64(value)))
}

/// Adds a value to a column of whole numbers from 0 to 2^64 - 1.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_document_u64(
    document: Option<&mut EsparsaDocument>,
    column: Text<'_>,
    value: u64,
) -> EsparsaStatus {
    add(document, column, || Ok(Value::U64(value)))
}

/// Adds a value to a column of floating-point numbers.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_document_f64(
    document: Option<&mut EsparsaDocument>,
    column: Text<'_>,
    value: f64,
) -> EsparsaStatus {
    add(document, column, || Ok(Value::F64(value)))
}

/// Adds a value to a column of true or false.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_document_bool(
    document: Option<&mut EsparsaDocument>,
    column: Text<'_>,
    value: bool,
) -> EsparsaStatus {
    add(document, column, || Ok(Value::Bool(value)))
}

/// Adds a value to a column of dates: RFC 3339, such as `2024-06-19T15:22:45Z`, or a day alone.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_document_date(
    document: Option<&mut EsparsaDocument>,
    column: Text<'_>,
    date: Text<'_>,
) -> EsparsaStatus {
    add(document, column, || Value::date(date.get("date")?))
}

/// Adds a value to a column of keywords.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_document_keyword(
    document: Option<&mut EsparsaDocument>,
    column: Text<'_>,
    value: Text<'_>,
) -> EsparsaStatus {
    add(document, column, || {
        Ok(Value::Keyword(value.get("value")?.to_owned()))
    })
}

fn add(
    document: Option<&mut EsparsaDocument>,
    column: Text<'_>,
    value: impl FnOnce() -> Result<Value>,
) -> EsparsaStatus {
    run(|| {
        let (column, value) = (column.get("column")?, FieldValue::Column(value()?));
        object(document, "document")?.set(|document| document.with(column, value));
        Ok(())
    })
}

/// Frees a document that was not added.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_document_free(document: Option<Box<EsparsaDocument>>) {
    free(document);
}
