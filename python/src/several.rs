//! Iterables of several values, which one string is not, although Python iterates its characters.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyString};

use crate::error::invalid;

/// Iterates over an object that is no string; `expected` says what it should be.
pub fn several<'py>(
    object: &Bound<'py, PyAny>,
    expected: &str,
) -> PyResult<Bound<'py, PyIterator>> {
    if object.is_instance_of::<PyString>() || object.is_instance_of::<PyBytes>() {
        let found = object.repr()?;
        return Err(invalid(format!(
            "expected {expected}, found one string: {found}"
        )));
    }
    object.try_iter()
}
