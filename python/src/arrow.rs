//! Documents from Arrow's C stream interface, by which pyarrow, polars, DuckDB and pandas export
//! tables.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use esparsa::{Document, Field, FieldKind, FieldValue, Value};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::document::{Extra, Rows};
use crate::error::invalid;

const DAY_MILLISECONDS: i64 = 86_400_000;

/// Documents that are added at once.
const BATCH: usize = 512;

/// Calls `add` with the documents of a stream, some at a time. Those before a row that is refused
/// are added.
pub fn each_batch(
    object: &Bound<'_, PyAny>,
    rows: &Rows<'_>,
    mut add: impl FnMut(Vec<Document>) -> PyResult<()>,
) -> PyResult<()> {
    if rows.extra == Extra::Store {
        return Err(invalid(
            "expected extra=\"error\" or extra=\"ignore\" with an Arrow stream, found \"store\"; give dicts",
        ));
    }
    let py = object.py();
    let mut reader = reader(object)?;
    let mut before = 0;
    // The producer of a stream may need other threads of Python: they run while it works.
    while let Some(batch) = py.detach(|| reader.next()) {
        let batch =
            batch.map_err(|error| invalid(format!("cannot read the Arrow stream: {error}")))?;
        // Producers do not check what they export: invalid UTF-8 would be undefined behavior.
        for column in batch.columns() {
            let valid = py.detach(|| column.to_data().validate_full());
            valid.map_err(|error| invalid(format!("expected a valid Arrow stream: {error}")))?;
        }
        let columns = Columns::new(rows, &batch)?;
        for begin in (0..batch.num_rows()).step_by(BATCH) {
            let end = batch.num_rows().min(begin + BATCH);
            let (documents, refused) = py.detach(|| columns.documents(begin..end, before));
            add(documents)?;
            if let Some(message) = refused {
                return Err(invalid(message));
            }
        }
        before += batch.num_rows();
    }
    Ok(())
}

/// Takes over the stream that an object exports.
fn reader(object: &Bound<'_, PyAny>) -> PyResult<RecordBatchStreamReader> {
    let exported = object.call_method0("__arrow_c_stream__")?;
    let capsule = exported
        .cast::<PyCapsule>()
        .map_err(|_| invalid("expected a capsule from __arrow_c_stream__, found something else"))?;
    let pointer = capsule.pointer_checked(Some(c"arrow_array_stream"))?;
    // SAFETY: by the protocol, a capsule of this name holds a valid stream, which the first consumer
    // takes over: `from_raw` leaves an empty one behind, so the capsule's destructor does nothing.
    #[allow(unsafe_code)]
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.cast().as_ptr()) };
    RecordBatchStreamReader::try_new(stream)
        .map_err(|error| invalid(format!("cannot read the Arrow stream: {error}")))
}

/// The columns of a batch that documents are made of.
struct Columns<'a> {
    id: ArrayRef,
    fields: Vec<(&'a Field, ArrayRef)>,
}

impl<'a> Columns<'a> {
    fn new(rows: &Rows<'a>, batch: &RecordBatch) -> PyResult<Self> {
        let has = |name: &str| batch.column_by_name(name).is_some();
        let id_name = match &rows.id {
            Some(name) => name.as_str(),
            None if !has("_id") && rows.schema.field("id").is_none() => "id",
            None => "_id",
        };
        let id = batch.column_by_name(id_name).cloned().ok_or_else(|| {
            invalid(format!(
                "expected a column `{id_name}` of external ids, found none"
            ))
        })?;
        let mut fields = Vec::new();
        for (column, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            match rows.schema.field(column.name()) {
                Some(field) => fields.push((field, array.clone())),
                None if column.name() == id_name || rows.extra == Extra::Ignore => {}
                None => {
                    return Err(invalid(format!(
                        "expected columns that are fields of the index, found `{}`; give extra=\"ignore\" to \
                         leave it out",
                        column.name()
                    )));
                }
            }
        }
        Ok(Self { id, fields })
    }

    /// The documents of some rows, up to one that is refused, and why it is; `before` rows came
    /// before those of this batch.
    fn documents(&self, rows: Range<usize>, before: usize) -> (Vec<Document>, Option<String>) {
        let mut documents = Vec::with_capacity(rows.len());
        for row in rows {
            match self.document(row) {
                Ok(document) => documents.push(document),
                Err(message) => {
                    return (documents, Some(format!("row {}: {message}", before + row)));
                }
            }
        }
        (documents, None)
    }

    fn document(&self, row: usize) -> Result<Document, String> {
        let mut document = Document::new(external_id(&*self.id, row)?);
        for (field, array) in &self.fields {
            if !is_missing(&**array, row) {
                document = with_value(document, field, &**array, row)
                    .map_err(|message| format!("field `{}`: {message}", field.name))?;
            }
        }
        Ok(document)
    }
}

fn external_id(array: &dyn Array, row: usize) -> Result<String, String> {
    if let Some(id) = text(array, row) {
        return Ok(id.to_owned());
    }
    match value(array, row) {
        Ok(Some(Value::I64(id))) => Ok(id.to_string()),
        Ok(Some(Value::U64(id))) => Ok(id.to_string()),
        Ok(None) => Err("expected an external id, found null".into()),
        _ => Err(format!(
            "expected an external id that is a string or a whole number, found {}",
            array.data_type()
        )),
    }
}

/// Whether a cell is null, also by the value that it has in a dictionary.
fn is_missing(array: &dyn Array, row: usize) -> bool {
    match array.data_type() {
        DataType::Null => true,
        DataType::Dictionary(..) if array.is_valid(row) => {
            let dictionary = array.as_any_dictionary();
            let key = key(dictionary.keys(), row);
            key.is_none_or(|key| is_missing(&**dictionary.values(), key))
        }
        _ => array.is_null(row),
    }
}

/// The document with the value of a cell.
fn with_value(
    document: Document,
    field: &Field,
    array: &dyn Array,
    row: usize,
) -> Result<Document, String> {
    let name = field.name.as_str();
    let unfit = |expected: &str| format!("expected {expected}, found {}", array.data_type());
    match field.options.kind() {
        FieldKind::Text => {
            let cells = list(array, row);
            let (cells, range) = match &cells {
                Some(cells) => (&**cells, 0..cells.len()),
                None => (array, row..row + 1),
            };
            let mut document = document;
            for cell in range.filter(|cell| !is_missing(cells, *cell)) {
                let text =
                    text(cells, cell).ok_or_else(|| unfit("a string or a list of strings"))?;
                document = document.with_text(name, text);
            }
            Ok(document)
        }
        FieldKind::Column => {
            let cells = list(array, row);
            let (cells, range) = match &cells {
                Some(cells) => (&**cells, 0..cells.len()),
                None => (array, row..row + 1),
            };
            let mut document = document;
            for cell in range {
                if let Some(value) = value(cells, cell)? {
                    document = document.with(name, FieldValue::Column(value));
                }
            }
            Ok(document)
        }
        FieldKind::Dense => {
            let cells = list(array, row).ok_or_else(|| unfit("a list of floats"))?;
            let vector = floats(&*cells).ok_or_else(|| unfit("a list of floats"))?;
            Ok(document.with_dense(name, vector))
        }
        FieldKind::Sparse => sparse(document, name, array, row)
            .ok_or_else(|| unfit("a map of terms and weights, or a struct of two lists")),
        _ => match text(array, row) {
            Some(text) => Ok(document.with_stored(name, text)),
            None => bytes(array, row)
                .map(|bytes| document.with_stored(name, bytes))
                .ok_or_else(|| unfit("a string or bytes")),
        },
    }
}

/// A sparse vector: a map, or a struct of a list of terms and one of weights.
fn sparse(document: Document, name: &str, array: &dyn Array, row: usize) -> Option<Document> {
    let (terms, weights) = match array.data_type() {
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            (entries.column(0).clone(), entries.column(1).clone())
        }
        DataType::Struct(fields) if fields.len() == 2 => {
            let pair = array.as_struct();
            let (terms, weights) = (pair.column(0), pair.column(1));
            if is_missing(terms, row) || is_missing(weights, row) {
                return None;
            }
            (list(terms, row)?, list(weights, row)?)
        }
        _ => return None,
    };
    let weights = floats(&*weights)?;
    if terms.len() != weights.len() {
        return None;
    }
    if terms.is_empty() {
        return Some(document);
    }
    if (0..terms.len()).all(|cell| text(&*terms, cell).is_some()) {
        let each = (0..terms.len()).filter_map(|cell| text(&*terms, cell));
        let pairs: Vec<(&str, f32)> = each.zip(weights).collect();
        return Some(document.with_sparse(name, pairs));
    }
    let numbers = (0..terms.len()).map(|cell| match value(&*terms, cell) {
        Ok(Some(Value::I64(number))) => u32::try_from(number).ok(),
        Ok(Some(Value::U64(number))) => u32::try_from(number).ok(),
        _ => None,
    });
    let numbers: Vec<u32> = numbers.collect::<Option<_>>()?;
    Some(document.with_sparse_numbered(name, numbers.into_iter().zip(weights)))
}

/// A cell that is a string.
fn text(array: &dyn Array, row: usize) -> Option<&str> {
    if is_missing(array, row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            text(&**dictionary.values(), key(dictionary.keys(), row)?)
        }
        _ => None,
    }
}

/// The place of a value in a dictionary.
fn key(keys: &dyn Array, row: usize) -> Option<usize> {
    match value(keys, row).ok()?? {
        Value::I64(key) => usize::try_from(key).ok(),
        Value::U64(key) => usize::try_from(key).ok(),
        _ => None,
    }
}

/// A cell that is bytes.
fn bytes(array: &dyn Array, row: usize) -> Option<&[u8]> {
    match array.data_type() {
        DataType::Binary => Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Some(array.as_binary_view().value(row)),
        _ => None,
    }
}

/// A cell that is a list.
fn list(array: &dyn Array, row: usize) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::List(_) => Some(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().value(row)),
        _ => None,
    }
}

/// A vector of floats or whole numbers, none of which is missing.
fn floats(array: &dyn Array) -> Option<Vec<f32>> {
    if array.null_count() > 0 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    match array.data_type() {
        DataType::Float32 => Some(array.as_primitive::<Float32Type>().values().to_vec()),
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values().iter();
            Some(values.map(|value| *value as f32).collect())
        }
        DataType::Float16 => {
            let values = array.as_primitive::<Float16Type>().values().iter();
            Some(values.map(|value| value.to_f32()).collect())
        }
        kind if kind.is_integer() => {
            let number = |cell| match value(array, cell) {
                Ok(Some(Value::I64(number))) => Some(number as f32),
                Ok(Some(Value::U64(number))) => Some(number as f32),
                _ => None,
            };
            (0..array.len()).map(number).collect()
        }
        _ => None,
    }
}

/// A cell as a value of a column; `None` where it is missing.
fn value(array: &dyn Array, row: usize) -> Result<Option<Value>, String> {
    if is_missing(array, row) {
        return Ok(None);
    }
    if let Some(text) = text(array, row) {
        return Ok(Some(Value::Keyword(text.to_owned())));
    }
    if let DataType::Dictionary(..) = array.data_type() {
        let dictionary = array.as_any_dictionary();
        let key = key(dictionary.keys(), row);
        return key.map_or(Ok(None), |key| value(&**dictionary.values(), key));
    }
    macro_rules! cell {
        ($kind:ty) => {
            array.as_primitive::<$kind>().value(row)
        };
    }
    let scaled = |number: i64, factor: i64| {
        let milliseconds = number.checked_mul(factor);
        milliseconds
            .ok_or_else(|| format!("expected a date in the range of milliseconds, found {number}"))
    };
    Ok(Some(match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Value::I64(cell!(Int8Type).into()),
        DataType::Int16 => Value::I64(cell!(Int16Type).into()),
        DataType::Int32 => Value::I64(cell!(Int32Type).into()),
        DataType::Int64 => Value::I64(cell!(Int64Type)),
        DataType::UInt8 => Value::U64(cell!(UInt8Type).into()),
        DataType::UInt16 => Value::U64(cell!(UInt16Type).into()),
        DataType::UInt32 => Value::U64(cell!(UInt32Type).into()),
        DataType::UInt64 => Value::U64(cell!(UInt64Type)),
        DataType::Float16 => Value::F64(cell!(Float16Type).to_f64()),
        DataType::Float32 => Value::F64(cell!(Float32Type).into()),
        DataType::Float64 => Value::F64(cell!(Float64Type)),
        #[allow(clippy::cast_precision_loss)]
        DataType::Decimal128(_, scale) => {
            Value::F64(cell!(Decimal128Type) as f64 / 10f64.powi((*scale).into()))
        }
        DataType::Date32 => Value::Date(scaled(cell!(Date32Type).into(), DAY_MILLISECONDS)?),
        DataType::Date64 => Value::Date(cell!(Date64Type)),
        DataType::Timestamp(unit, _) => Value::Date(match unit {
            TimeUnit::Second => scaled(cell!(TimestampSecondType), 1_000)?,
            TimeUnit::Millisecond => cell!(TimestampMillisecondType),
            TimeUnit::Microsecond => cell!(TimestampMicrosecondType).div_euclid(1_000),
            TimeUnit::Nanosecond => cell!(TimestampNanosecondType).div_euclid(1_000_000),
        }),
        other => {
            return Err(format!(
                "expected a number, a string, a bool or a date, found {other}"
            ));
        }
    }))
}
