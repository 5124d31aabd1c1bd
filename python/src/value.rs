//! Values of columns, to and from Python.

use esparsa::Value;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDate, PyFloat, PyInt, PyString};

use crate::error::{invalid, raise};

/// Whether an object stands for a missing value: None, NaN, and what pandas and NumPy have for it.
pub fn is_missing(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    if object.is_none() {
        return Ok(true);
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(number.extract::<f64>()?.is_nan());
    }
    let class = object.get_type();
    let name = class.name()?;
    Ok(match name.to_str()? {
        "NAType" | "NaTType" => true,
        "datetime64" => object.str()?.to_str()? == "NaT",
        "float16" | "float32" => object.extract::<f64>()?.is_nan(),
        _ => false,
    })
}

/// A value of a column from a Python object: a bool, a number, a string, a date, or a scalar of
/// NumPy or PyTorch.
pub fn value(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Some(value) = plain(object)? {
        return Ok(value);
    }
    // `item` gives the Python object of a scalar; of a date only if that has milliseconds.
    let scalar = match object.get_type().name()?.to_str()? == "datetime64" {
        true => object.call_method1("astype", ("datetime64[ms]",))?,
        false => object.clone(),
    };
    match scalar.call_method0("item") {
        Ok(item) => {
            if let Some(value) = plain(&item)? {
                return Ok(value);
            }
        }
        Err(error) if !has_no_item(&error, object.py()) => return Err(error),
        Err(_) => {}
    }
    let message = format!(
        "expected a number, a string, a bool or a date, found {} ({})",
        object.repr()?,
        object.get_type().name()?
    );
    Err(invalid(message))
}

/// Whether an error says that an object is no scalar; others, such as `KeyboardInterrupt`, are raised.
fn has_no_item(error: &PyErr, py: Python<'_>) -> bool {
    error.is_instance_of::<PyAttributeError>(py)
        || error.is_instance_of::<PyTypeError>(py)
        || error.is_instance_of::<PyValueError>(py)
}

fn plain(object: &Bound<'_, PyAny>) -> PyResult<Option<Value>> {
    Ok(Some(if let Ok(text) = object.cast::<PyString>() {
        Value::Keyword(text.to_str()?.to_owned())
    } else if let Ok(flag) = object.cast::<PyBool>() {
        Value::Bool(flag.is_true())
    } else if object.is_instance_of::<PyInt>() {
        whole(object)?
    } else if object.is_instance_of::<PyFloat>() {
        Value::F64(object.extract()?)
    } else if object.is_instance_of::<PyDate>() {
        // A `datetime` is a date too.
        date(object)?
    } else {
        return Ok(None);
    }))
}

fn whole(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(number) = object.extract::<i64>() {
        return Ok(Value::I64(number));
    }
    let number = object.extract::<u64>().map_err(|_| {
        invalid(format!(
            "expected a whole number from -2^63 to 2^64 - 1, found {object}"
        ))
    })?;
    Ok(Value::U64(number))
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
