//! Converts vectors from dicts, lists, arrays of NumPy, matrices of SciPy and tensors of PyTorch.

use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString};

use crate::error::invalid;

/// A sparse vector: terms are strings, or numbers.
pub enum SparseVector {
    Strings(Vec<(String, f32)>),
    Numbers(Vec<(u32, f32)>),
    /// One without terms, which fits either.
    Empty,
}

/// A sparse vector from a dict of weights, from a pair of arrays (terms and weights), or from a
/// matrix or tensor of one row.
pub fn sparse(object: &Bound<'_, PyAny>) -> PyResult<SparseVector> {
    if let Ok(weights) = object.cast::<PyDict>() {
        // A copy: conversion calls methods of the weights, which may change the dict.
        let weights = weights.copy()?;
        return of_pairs(weights.iter().map(Ok), weights.len());
    }
    if let Ok((terms, weights)) = object.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() {
        return of_arrays(&terms, &weights);
    }
    if let Ok(weights) = object.cast::<PyMapping>() {
        let items = weights.items()?;
        let pairs = items.iter().map(|item| item.extract());
        return of_pairs(pairs, items.len());
    }
    let row = object
        .py()
        .import("esparsa._vectors")?
        .call_method1("sparse_row", (object,))?;
    if row.is_none() {
        let message = format!(
            "expected a sparse vector: a dict of weights, a pair of terms and weights, or one row of a \
             SciPy matrix or PyTorch tensor, as a model's encode_documents makes of texts; found {}",
            object.get_type().name()?
        );
        return Err(invalid(message));
    }
    let (terms, weights): (Bound<'_, PyAny>, Bound<'_, PyAny>) = row.extract()?;
    of_arrays(&terms, &weights)
}

fn of_pairs<'py>(
    pairs: impl Iterator<Item = PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)>>,
    count: usize,
) -> PyResult<SparseVector> {
    let mut strings = Vec::with_capacity(count);
    let mut numbers = Vec::new();
    for pair in pairs {
        let (term, weight) = pair?;
        let weight: f32 = weight.extract()?;
        match term.cast::<PyString>() {
            Ok(term) => strings.push((term.to_str()?.to_owned(), weight)),
            Err(_) => numbers.push((term.extract().map_err(|_| wrong_term(&term))?, weight)),
        }
    }
    match (strings.is_empty(), numbers.is_empty()) {
        (false, false) => Err(invalid(
            "expected terms that are all strings or all numbers, found both",
        )),
        (true, false) => Ok(SparseVector::Numbers(numbers)),
        (false, true) => Ok(SparseVector::Strings(strings)),
        (true, true) => Ok(SparseVector::Empty),
    }
}

fn wrong_term(term: &Bound<'_, PyAny>) -> PyErr {
    let found = term
        .repr()
        .map_or_else(|_| "?".into(), |repr| repr.to_string());
    invalid(format!(
        "expected terms that are strings or numbers from 0 to 4,294,967,295, found {found}"
    ))
}

fn of_arrays(terms: &Bound<'_, PyAny>, weights: &Bound<'_, PyAny>) -> PyResult<SparseVector> {
    let weights = floats(weights)?;
    let count = terms.len()?;
    if count != weights.len() {
        return Err(invalid(format!(
            "expected as many weights as terms, found {} weights of {count} terms",
            weights.len()
        )));
    }
    if count == 0 {
        return Ok(SparseVector::Empty);
    }
    if terms.get_item(0)?.is_instance_of::<PyString>() {
        let terms: Vec<String> = terms.extract()?;
        return Ok(SparseVector::Strings(
            terms.into_iter().zip(weights).collect(),
        ));
    }
    let terms = unsigned(terms)?;
    Ok(SparseVector::Numbers(
        terms.into_iter().zip(weights).collect(),
    ))
}

/// Numbers of terms from an array of any integer dtype.
pub fn unsigned(object: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    if let Ok(array) = object.extract::<PyReadonlyArray1<'_, u32>>()
        && let Ok(numbers) = array.as_slice()
    {
        return Ok(numbers.to_vec());
    }
    let narrow = |number: i64| {
        u32::try_from(number).map_err(|_| {
            invalid(format!(
                "expected numbers of terms from 0 to 4,294,967,295, found {number}"
            ))
        })
    };
    if let Ok(array) = object.extract::<PyReadonlyArray1<'_, i32>>()
        && let Ok(numbers) = array.as_slice()
    {
        return numbers
            .iter()
            .map(|number| narrow(i64::from(*number)))
            .collect();
    }
    let wide = as_array(object, "int64")?;
    let wide = wide.extract::<PyReadonlyArray1<'_, i64>>()?;
    wide.as_array()
        .iter()
        .map(|number| narrow(*number))
        .collect()
}

/// Offsets of rows from an array of any integer dtype.
pub fn offsets(object: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    let wide = as_array(object, "int64")?;
    let wide = wide.extract::<PyReadonlyArray1<'_, i64>>()?;
    let offset = |number: &i64| {
        usize::try_from(*number)
            .map_err(|_| invalid(format!("expected offsets of rows, found {number}")))
    };
    wide.as_array().iter().map(offset).collect()
}

/// A vector of floats, from an array of any dtype of numbers or from a list.
///
/// Only contiguous arrays are read as they are: the others, such as a field of a structured array,
/// may have strides that are no multiple of the size of an element.
pub fn floats(object: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    if let Ok(array) = object.extract::<PyReadonlyArray1<'_, f32>>()
        && let Ok(numbers) = array.as_slice()
    {
        return Ok(numbers.to_vec());
    }
    let copy = as_array(object, "float32")?;
    let array = copy.extract::<PyReadonlyArray1<'_, f32>>();
    let array = array.map_err(|_| not_floats(object, "one dimension"))?;
    Ok(array.as_array().to_vec())
}

/// Rows of floats, from a matrix of any dtype of numbers.
pub fn rows<'py>(object: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArray2<'py, f32>> {
    if let Ok(array) = object.extract::<PyReadonlyArray2<'py, f32>>()
        && array.as_slice().is_ok()
    {
        return Ok(array);
    }
    as_array(object, "float32")?
        .extract()
        .map_err(|_| not_floats(object, "two dimensions"))
}

fn not_floats(object: &Bound<'_, PyAny>, expected: &str) -> PyErr {
    let shape = object.getattr("shape").map(|shape| shape.to_string());
    let found = match shape {
        Ok(shape) => format!("the shape {shape}"),
        Err(_) => object.get_type().to_string(),
    };
    invalid(format!(
        "expected an array of floats with {expected}, found {found}"
    ))
}

/// `numpy.asarray`, also of a tensor that is on a GPU or has a gradient.
fn as_array<'py>(object: &Bound<'py, PyAny>, dtype: &str) -> PyResult<Bound<'py, PyAny>> {
    object
        .py()
        .import("esparsa._vectors")?
        .call_method1("as_array", (object, dtype))
}
