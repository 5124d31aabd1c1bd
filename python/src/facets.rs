//! Counts over all documents that match.

use std::ops::Bound as End;

use esparsa::{Facet, FacetResult, Interval, Value};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyString};

use crate::error::invalid;
use crate::value::{all_to_python, to_python, value};

/// Values of a facet that is asked for by the name of its column alone, as `Facet.values` has it.
const DEFAULT_VALUES: usize = 10;

/// What is counted over all documents that match a query.
///
/// >>> from esparsa import Facet
/// >>> facets = {"colors": Facet.values("color"), "cheap": Facet.ranges("price", [(None, 10)])}
#[pyclass(name = "Facet", module = "esparsa", frozen)]
pub struct PyFacet(Facet);

#[pymethods]
impl PyFacet {
    /// The most frequent values of a column: a list of values and numbers of documents.
    #[staticmethod]
    #[pyo3(signature = (column, count = 10))]
    fn values(column: &str, count: usize) -> Self {
        Self(Facet::values(column, count))
    }

    /// How many documents have a value in each range: pairs of a first value and one behind the
    /// last, either of which may be None.
    #[staticmethod]
    fn ranges(column: &str, ranges: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut bounds = Vec::new();
        for range in ranges.try_iter()? {
            let (from, to): (Option<Bound<'_, PyAny>>, Option<Bound<'_, PyAny>>) =
                range?.extract()?;
            let from = from.map(|from| value(&from)).transpose()?;
            let to = to.map(|to| value(&to)).transpose()?;
            let from = from.map_or(End::Unbounded, End::Included);
            bounds.push((from, to.map_or(End::Unbounded, End::Excluded)));
        }
        Ok(Self(Facet::ranges::<Value, _>(column, bounds)))
    }

    /// Number, minimum, maximum, sum and mean of a column's values, as a dict.
    #[staticmethod]
    fn statistics(column: &str) -> Self {
        Self(Facet::statistics(column))
    }

    /// The values below which these shares of all values are, each from 0 to 1.
    #[staticmethod]
    fn percentiles(column: &str, shares: Vec<f64>) -> Self {
        Self(Facet::percentiles(column, shares))
    }

    /// Numbers of documents by intervals: `"minute"`, `"hour"`, `"day"`, `"week"`, `"month"`,
    /// `"year"`, or a width.
    #[staticmethod]
    fn histogram(column: &str, interval: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Facet::histogram(column, self::interval(interval)?)))
    }
}

fn interval(object: &Bound<'_, PyAny>) -> PyResult<Interval> {
    let Ok(name) = object.cast::<PyString>() else {
        return Ok(Interval::Width(object.extract()?));
    };
    Ok(match name.to_str()? {
        "minute" => Interval::Minute,
        "hour" => Interval::Hour,
        "day" => Interval::Day,
        "week" => Interval::Week,
        "month" => Interval::Month,
        "year" => Interval::Year,
        other => {
            return Err(invalid(format!(
                "expected an interval, one of \"minute\", \"hour\", \"day\", \"week\", \"month\" and \
                 \"year\", or a width, found {other:?}"
            )));
        }
    })
}

/// The facets of a search, and the names under which their results are returned.
#[derive(Default)]
pub struct Asked {
    pub facets: Vec<Facet>,
    names: Option<Vec<String>>,
    /// Whether any were asked for, be it none of a list.
    is_asked: bool,
}

impl Asked {
    /// Facets from one, a list, or a dict of names. A string is a column whose values are counted.
    pub fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(named) = object.cast::<PyMapping>() {
            let mut asked = Self {
                facets: Vec::new(),
                names: Some(Vec::new()),
                is_asked: true,
            };
            for item in named.items()? {
                let (name, object): (String, Bound<'_, PyAny>) = item.extract()?;
                asked.names.get_or_insert_default().push(name);
                asked.facets.push(facet(&object)?);
            }
            return Ok(asked);
        }
        if object.is_instance_of::<PyString>() || object.is_instance_of::<PyFacet>() {
            return Ok(Self {
                facets: vec![facet(object)?],
                names: None,
                is_asked: true,
            });
        }
        let facets = object.try_iter()?.map(|each| facet(&each?));
        Ok(Self {
            facets: facets.collect::<PyResult<_>>()?,
            names: None,
            is_asked: true,
        })
    }
}

fn facet(object: &Bound<'_, PyAny>) -> PyResult<Facet> {
    if let Ok(facet) = object.cast::<PyFacet>() {
        return Ok(facet.get().0.clone());
    }
    let column = object.extract::<String>().map_err(|_| {
        let found = object.get_type().to_string();
        invalid(format!(
            "expected a Facet or the name of a column, found {found}"
        ))
    })?;
    Ok(Facet::values(column, DEFAULT_VALUES))
}

/// The results of facets, in the form in which they were asked for; None if none were.
pub fn counted<'py>(
    py: Python<'py>,
    asked: &Asked,
    results: &[FacetResult],
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if !asked.is_asked {
        return Ok(None);
    }
    let results = results.iter().map(|result| of_result(py, result));
    if let Some(names) = &asked.names {
        let dict = PyDict::new(py);
        for (name, result) in names.iter().zip(results) {
            dict.set_item(name, result?)?;
        }
        return Ok(Some(dict.into_any()));
    }
    let results: Vec<_> = results.collect::<PyResult<_>>()?;
    Ok(Some(PyList::new(py, results)?.into_any()))
}

fn of_result<'py>(py: Python<'py>, result: &FacetResult) -> PyResult<Bound<'py, PyAny>> {
    match result {
        FacetResult::Values(counts) | FacetResult::Histogram(counts) => {
            let pairs = counts
                .iter()
                .map(|(value, count)| Ok((to_python(py, value)?, *count)));
            pairs.collect::<PyResult<Vec<_>>>()?.into_bound_py_any(py)
        }
        FacetResult::Ranges(counts) => counts.into_bound_py_any(py),
        FacetResult::Percentiles(values) => all_to_python(py, values)?.into_bound_py_any(py),
        FacetResult::Statistics(statistics) => {
            let dict = PyDict::new(py);
            dict.set_item("documents", statistics.documents)?;
            dict.set_item("values", statistics.values)?;
            dict.set_item("distinct", statistics.distinct)?;
            for (name, value) in [("min", &statistics.min), ("max", &statistics.max)] {
                let value = value
                    .as_ref()
                    .map(|value| to_python(py, value))
                    .transpose()?;
                dict.set_item(name, value)?;
            }
            dict.set_item("sum", statistics.sum)?;
            dict.set_item("mean", statistics.mean)?;
            Ok(dict.into_any())
        }
        other => Err(invalid(format!(
            "expected a known kind of facet, found {other:?}"
        ))),
    }
}
