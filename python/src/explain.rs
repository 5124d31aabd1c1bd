//! Where a score comes from, as a dict.

use esparsa::{ClauseExplanation, Explanation, TermExplanation};
use pyo3::prelude::*;
use pyo3::types::PyDict;

pub fn explanation<'py>(
    py: Python<'py>,
    explanation: &Explanation,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("id", &explanation.id)?;
    dict.set_item("score", explanation.score)?;
    let terms = explanation.terms.iter().map(|each| term(py, each));
    dict.set_item("terms", terms.collect::<PyResult<Vec<_>>>()?)?;
    dict.set_item("clauses", clauses(py, &explanation.clauses)?)?;
    dict.set_item("missing", &explanation.missing)?;
    dict.set_item("is_filtered_out", explanation.is_filtered_out)?;
    dict.set_item("length", explanation.lengths.map(|(length, _)| length))?;
    dict.set_item(
        "average_length",
        explanation.lengths.map(|(_, average)| average),
    )?;
    dict.set_item("algorithm", explanation.algorithm.name())?;
    dict.set_item("why", &explanation.why)?;
    dict.set_item("text", explanation.to_string())?;
    Ok(dict)
}

fn term<'py>(py: Python<'py>, term: &TermExplanation) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("term", &term.term)?;
    dict.set_item("document_frequency", term.document_frequency)?;
    dict.set_item("query_weight", term.query_weight)?;
    dict.set_item("value", term.value)?;
    dict.set_item("contribution", term.contribution)?;
    dict.set_item("list_bound", term.list_bound)?;
    dict.set_item("block_bound", term.block_bound)?;
    Ok(dict)
}

fn clauses<'py>(
    py: Python<'py>,
    explained: &[ClauseExplanation],
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let each = explained.iter().map(|clause| {
        let dict = PyDict::new(py);
        dict.set_item("query", &clause.query)?;
        dict.set_item("score", clause.score)?;
        dict.set_item("clauses", clauses(py, &clause.clauses)?)?;
        Ok(dict)
    });
    each.collect()
}
