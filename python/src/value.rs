//! Values of columns, to and from Python.

use esparsa::Value;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDate, PyFloat, PyInt, PyString};

use crate::error::{invalid, raise};

/// A value of a column from a Python object: a bool, a number, a string, a date, or a scalar of
/// NumPy.
pub fn value(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Some(value) = plain(object)? {
        return Ok(value);
    }
    // Scalars of NumPy and of PyTorch: `item` gives what Python has for them.
    if let Ok(item) = object.call_method0("item")
        && let Some(value) = plain(&item)?
    {
        return Ok(value);
    }
    let message = format!(
        "expected a number, a string, a bool or a date, found {} ({})",
        object.repr()?,
        object.get_type().name()?
    );
    Err(invalid(message))
}

fn plain(object: &Bound<'_, PyAny>) -> PyResult<Option<Value>> {
    Ok(Some(if let Ok(text) = object.cast::<PyString>() {
        Value::Keyword(text.to_str()?.to_owned())
    } else if let Ok(flag) = object.cast::<PyBool>() {
        Value::Bool(flag.is_true())
    } else if object.is_instance_of::<PyInt>() {
        match object.extract::<i64>() {
            Ok(number) => Value::I64(number),
            Err(_) => Value::U64(object.extract()?),
        }
    } else if object.is_instance_of::<PyFloat>() {
        Value::F64(object.extract()?)
    } else if object.is_instance_of::<PyDate>() {
        // A `datetime` is a date too.
        date(object)?
    } else {
        return Ok(None);
    }))
}

/// A date, or a point in time; without a time zone it is UTC.
fn date(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    let has_zone = object
        .call_method0("utcoffset")
        .is_ok_and(|offset| !offset.is_none());
    let mut written: String = object.call_method0("isoformat")?.extract()?;
    if !has_zone && written.contains('T') {
        written.push('Z');
    }
    Value::date(&written).map_err(raise)
}

/// The Python object for a value of a column. Dates are of class `datetime`, in UTC.
pub fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::I64(number) => number.into_bound_py_any(py),
        Value::U64(number) => number.into_bound_py_any(py),
        Value::F64(number) => number.into_bound_py_any(py),
        Value::Bool(flag) => flag.into_bound_py_any(py),
        Value::Keyword(text) => text.into_bound_py_any(py),
        Value::Date(milliseconds) => py
            .import("esparsa._dates")?
            .call_method1("of_milliseconds", (*milliseconds, value.to_string())),
        other => other.to_string().into_bound_py_any(py),
    }
}

/// The Python objects for the values of a column.
pub fn all_to_python<'py>(py: Python<'py>, values: &[Value]) -> PyResult<Vec<Bound<'py, PyAny>>> {
    values.iter().map(|value| to_python(py, value)).collect()
}
