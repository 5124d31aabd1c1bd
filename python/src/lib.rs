//! The Python package `esparsa`, whose classes are those of the library.
//!
//! | module | concept |
//! | --- | --- |
//! | `error` | errors as exceptions |
//! | `interrupt` | work without the interpreter lock, ended by Ctrl-C |
//! | `value` | values of columns |
//! | `several` | iterables that are no strings |
//! | `vectors` | vectors from dicts, arrays, matrices and tensors |
//! | `schema` | fields |
//! | `document` | documents from dicts |
//! | `arrow` | documents from Arrow streams |
//! | `index`, `writer`, `snapshot` | storage |
//! | `query`, `options`, `facets` | what is searched for, and how |
//! | `hits`, `explain`, `snippets` | what was found |
//! | `model`, `train` | models |
//! | `rank`, `eval` | fusion and metrics |

// The documentation of this crate is that of the Python package: docstrings and type stubs.
#![allow(missing_docs)]

mod arrow;
mod document;
mod error;
mod eval;
mod explain;
mod facets;
mod hits;
mod index;
mod interrupt;
mod model;
mod options;
mod query;
mod rank;
mod schema;
mod several;
mod snapshot;
mod snippets;
mod train;
mod value;
mod vectors;
mod writer;

#[pyo3::pymodule]
mod _esparsa {
    #[allow(non_upper_case_globals)]
    #[pymodule_export]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use crate::eval::{compare, evaluate_run};
    #[pymodule_export]
    use crate::facets::PyFacet;
    #[pymodule_export]
    use crate::hits::{PyHit, PyHits, PyResults};
    #[pymodule_export]
    use crate::index::PyIndex;
    #[pymodule_export]
    use crate::model::PyModel;
    #[pymodule_export]
    use crate::query::PyQuery;
    #[pymodule_export]
    use crate::rank::fuse;
    #[pymodule_export]
    use crate::schema::{PyColumn, PyDense, PySchema, PySparse, PyStored, PyText};
    #[pymodule_export]
    use crate::snapshot::{PySnapshot, analyze, joined};
    #[pymodule_export]
    use crate::train::{train_model, train_option_names};
    #[pymodule_export]
    use crate::writer::PyWriter;
}
