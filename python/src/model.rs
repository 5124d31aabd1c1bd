//! Models from folders as published: encoders of sparse and dense vectors, and re-rankers.

use std::path::PathBuf;

use esparsa::executor::CancelToken;
use esparsa::neural::{
    CpuOptions, Encoded, Hardware, LongText, Model, ModelFolder, ModelKind, PairScorer, Precision,
    Role, SparseTextEncoder, TextEncoder,
};
use esparsa::rank::{Scorer, rerank};
use esparsa::{Hit, ModelIdentity, Query, Result};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::error::invalid;
use crate::hits::{PyHits, from_json};
use crate::interrupt::interruptible;
use crate::query::PyQuery;
use crate::schema::choice;
use crate::several::several;
use crate::snapshot::cores;

/// The most threads of a model.
const MAX_THREADS: usize = 1_024;
/// A window of a long text overlaps the one before by this share of what a model takes.
const OVERLAP_SHARE: usize = 8;

/// A model from a folder as published for `transformers` or `sentence-transformers`: an encoder of
/// sparse vectors (SPLADE) or of dense ones, a cross-encoder, or a model of late interaction.
///
/// `device` is `"cpu"`, `"cuda"` or `"cuda:1"`, with a build that has CUDA. On the CPU, `precision`
/// is `"f32"` (the default) or `"bf16"`, and `threads` are all cores by default. `long` says what
/// becomes of texts that are longer than the model takes: `"truncate"`, `"windows"`, which overlap
/// by `overlap` tokens, or `"refuse"`. `kind` opens a folder as `"sparse"` or `"dense"`, whatever it
/// says.
#[pyclass(name = "Model", module = "esparsa", frozen)]
pub struct PyModel {
    model: Model,
    max_tokens: usize,
    /// The terms of a sparse model, as strings of Python.
    terms: PyOnceLock<Py<PyTuple>>,
}

#[pymethods]
impl PyModel {
    #[new]
    #[pyo3(signature = (
        path, *, device = "cpu", precision = None, threads = None, long = "truncate", overlap = None,
        kind = None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        device: &str,
        precision: Option<&str>,
        threads: Option<usize>,
        long: &str,
        overlap: Option<usize>,
        kind: Option<&str>,
    ) -> PyResult<Self> {
        let kinds = [
            ("sparse", ModelKind::SparseEncoder),
            ("dense", ModelKind::BiEncoder),
        ];
        let kind = kind.map(|kind| choice("kind", kind, &kinds)).transpose()?;
        let precisions = [("f32", Precision::F32), ("bf16", Precision::Bf16)];
        if threads.is_some_and(|threads| !(1..=MAX_THREADS).contains(&threads)) {
            return Err(invalid(format!(
                "expected 1 to {MAX_THREADS} threads, found {}",
                threads.unwrap_or_default()
            )));
        }
        let cpu = CpuOptions {
            threads: threads.unwrap_or_else(cores),
            precision: choice("precision", precision.unwrap_or("f32"), &precisions)?,
        };
        let gpu = gpu(device)?;
        if gpu.is_some() && (precision.is_some() || threads.is_some()) {
            return Err(invalid(
                "expected no precision and no threads on a GPU, which are of the CPU, found one of them",
            ));
        }
        if overlap.is_some() && long != "windows" {
            return Err(invalid(
                "expected overlap with long=\"windows\", found it without",
            ));
        }
        let long_texts = ["truncate", "windows", "refuse"].map(|name| (name, name));
        let long = choice("long", long, &long_texts)?;
        interruptible(py, |_| {
            let folder = ModelFolder::open_as(&path, kind)?;
            let max_tokens = folder.document_tokens();
            let long = match long {
                "windows" => LongText::Windows {
                    overlap: overlap.unwrap_or(max_tokens / OVERLAP_SHARE),
                },
                "refuse" => LongText::Refuse,
                _ => LongText::Truncate,
            };
            let hardware = match gpu {
                Some(number) => Hardware::cuda(number)?,
                None => Hardware::cpu(cpu)?,
            };
            let model = Model::load(folder, hardware, long)?;
            Ok(Self {
                model,
                max_tokens,
                terms: PyOnceLock::new(),
            })
        })
    }

    /// `"sparse"`, `"dense"`, `"cross"` or `"late"`.
    #[getter]
    fn kind(&self) -> &'static str {
        match self.model.kind() {
            ModelKind::SparseEncoder => "sparse",
            ModelKind::BiEncoder => "dense",
            ModelKind::CrossEncoder => "cross",
            _ => "late",
        }
    }

    /// The model's name, which is that of its folder.
    #[getter]
    fn name(&self) -> &str {
        self.model.name()
    }

    /// Tokens of a document that the model takes.
    #[getter]
    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Dimensions of a vector: of a sparse one, the size of the vocabulary. None of other models.
    #[getter]
    fn dimensions(&self) -> Option<usize> {
        match &self.model {
            Model::Dense(encoder) => Some(encoder.dimensions()),
            Model::Sparse(encoder) => Some(encoder.vocabulary()),
            _ => None,
        }
    }

    /// The terms of a sparse vector by number, as a tuple; None of other models.
    #[getter]
    fn terms<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Model::Sparse(encoder) = &self.model else {
            return Ok(None);
        };
        let terms = self.terms.get_or_try_init(py, || {
            let terms = PyTuple::new(py, encoder.terms())?;
            Ok::<_, PyErr>(terms.unbind())
        })?;
        Ok(Some(terms.bind(py).clone()))
    }

    /// The vectors of queries: an array with a row for each, or a list of dicts of terms and
    /// weights.
    fn encode_queries<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.encode(py, &strings(texts)?, Role::Query)
    }

    /// The vectors of documents, as `encode_queries` gives them.
    fn encode_documents<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.encode(py, &strings(texts)?, Role::Document)
    }

    /// The sparse vectors of texts as a `scipy.sparse.csr_matrix`, whose columns are numbers of
    /// terms: for a field `Sparse(terms="numbers")`.
    #[pyo3(signature = (texts, *, queries = false))]
    fn encode_csr<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        queries: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let encoder = self.sparse()?;
        let role = if queries { Role::Query } else { Role::Document };
        let vectors = encoded(py, encoder, &strings(texts)?, role)?;
        let mut offsets = vec![0_i64];
        let (mut terms, mut weights) = (Vec::new(), Vec::new());
        for vector in &vectors {
            for (term, weight) in vector {
                terms.push(i32::try_from(*term)?);
                weights.push(*weight);
            }
            offsets.push(i64::try_from(terms.len())?);
        }
        let parts = (
            PyArray1::from_vec(py, weights),
            PyArray1::from_vec(py, terms),
            PyArray1::from_vec(py, offsets),
        );
        let shape = PyDict::new(py);
        shape.set_item("shape", (vectors.len(), encoder.vocabulary()))?;
        py.import("scipy.sparse")?
            .call_method("csr_matrix", (parts,), Some(&shape))
    }

    /// The query of a text on a field of this model's vectors. A search refuses it where the index
    /// notes that another model made them. `terms` is as of the field: `"strings"` or `"numbers"`.
    #[pyo3(signature = (field, text, *, terms = "strings"))]
    fn query(&self, py: Python<'_>, field: &str, text: String, terms: &str) -> PyResult<PyQuery> {
        let texts = [text];
        let is_numbered = choice("terms", terms, &[("strings", false), ("numbers", true)])?;
        let query = match &self.model {
            Model::Sparse(encoder) => {
                let vector = encoded(py, &**encoder, &texts, Role::Query)?.pop();
                let vector = vector.into_iter().flatten();
                match is_numbered {
                    true => Query::sparse_numbered(field, vector),
                    false => {
                        let named = vector.map(|(term, weight)| (encoder.term(term), weight));
                        Query::sparse(field, named)
                    }
                }
            }
            Model::Dense(encoder) => {
                let vector = encoded(py, &**encoder, &texts, Role::Query)?.pop();
                Query::dense(field, vector.unwrap_or_default())
            }
            _ => return Err(self.unfit("a model of vectors")),
        };
        Ok(PyQuery::of_model(query, field, self.identity()?))
    }

    /// Scores of documents for a query, as an array, by a cross-encoder or a model of late
    /// interaction.
    fn score<'py>(
        &self,
        py: Python<'py>,
        query: &str,
        texts: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let texts = strings(texts)?;
        let scorer = self.scorer()?;
        let scores = interruptible(py, |cancel| {
            let pairs: Vec<(&str, &str)> = texts.iter().map(|text| (query, &**text)).collect();
            in_windows(&pairs, scorer.window_size().items, cancel, |pairs| {
                scorer.score_pairs(pairs)
            })
        })?;
        Ok(PyArray1::from_vec(py, scores))
    }

    /// Scores the documents of hits again, and returns the hits in the order of the new scores.
    ///
    /// `text` says what the model reads of a document: a key of the stored document, several keys,
    /// whose texts are joined by blanks, or a function of a hit. By default it is all strings of the
    /// stored document but its id. Only the first `top` hits are scored and returned.
    #[pyo3(signature = (query, hits, *, text = None, top = None))]
    fn rerank(
        &self,
        py: Python<'_>,
        query: &str,
        hits: &Bound<'_, PyHits>,
        text: Option<&Bound<'_, PyAny>>,
        top: Option<usize>,
    ) -> PyResult<PyHits> {
        let scorer = self.scorer()?;
        let count = hits.len()?.min(top.unwrap_or(usize::MAX));
        let texts = (0..count).map(|rank| text_of(&hits.get_item(rank)?, text));
        let texts: Vec<String> = texts.collect::<PyResult<_>>()?;
        let PyHits { hits, commit, .. } = hits.get();
        let ranked = interruptible(py, |cancel| {
            let pairs: Vec<(&str, &str)> = texts.iter().map(|text| (query, &**text)).collect();
            let scores = in_windows(&pairs, scorer.window_size().items, cancel, |pairs| {
                scorer.score_pairs(pairs)
            })?;
            let with_texts: Vec<(Hit<'_>, &str)> =
                hits.iter().zip(texts.iter().map(String::as_str)).collect();
            rerank(&Scores(scores), query, with_texts)
        })?;
        Ok(PyHits::of(ranked, *commit))
    }

    fn __repr__(&self) -> String {
        format!("<esparsa.Model {:?}, {}>", self.name(), self.kind())
    }
}

impl PyModel {
    /// What an index notes of the model that makes its vectors.
    pub fn identity(&self) -> PyResult<ModelIdentity> {
        let (name, fingerprint) = match &self.model {
            Model::Sparse(encoder) => (encoder.name(), encoder.fingerprint()),
            Model::Dense(encoder) => (encoder.name(), encoder.fingerprint()),
            _ => return Err(self.unfit("a model of vectors")),
        };
        Ok(ModelIdentity {
            name: name.to_owned(),
            fingerprint,
        })
    }

    /// The same of a model of this kind.
    pub fn identity_as(&self, kind: &str) -> PyResult<ModelIdentity> {
        match self.kind() == kind {
            true => self.identity(),
            false => Err(self.unfit(&format!("a model of {kind} vectors"))),
        }
    }

    /// Refuses another number of dimensions than that of the model's vectors.
    pub fn expect_dimensions(&self, dimensions: usize) -> PyResult<()> {
        match self.dimensions() {
            Some(found) if found != dimensions => Err(invalid(format!(
                "expected {found} dimensions, which vectors of `{}` have, found {dimensions}",
                self.name()
            ))),
            _ => Ok(()),
        }
    }

    fn encode<'py>(
        &self,
        py: Python<'py>,
        texts: &[String],
        role: Role,
    ) -> PyResult<Bound<'py, PyAny>> {
        match &self.model {
            Model::Dense(encoder) => {
                let vectors = encoded(py, &**encoder, texts, role)?;
                let shape = [vectors.len(), encoder.dimensions()];
                let flat = PyArray1::from_vec(py, vectors.concat());
                Ok(flat.reshape(shape)?.into_any())
            }
            Model::Sparse(encoder) => {
                let vectors = encoded(py, &**encoder, texts, role)?;
                let terms = self.terms(py)?.unwrap_or_else(|| PyTuple::empty(py));
                let dicts = vectors.into_iter().map(|vector| {
                    let dict = PyDict::new(py);
                    for (term, weight) in vector {
                        dict.set_item(terms.get_item(usize::try_from(term)?)?, weight)?;
                    }
                    Ok(dict)
                });
                let dicts: Vec<_> = dicts.collect::<PyResult<_>>()?;
                Ok(PyList::new(py, dicts)?.into_any())
            }
            _ => Err(self.unfit("a model of vectors")),
        }
    }

    fn sparse(&self) -> PyResult<&dyn SparseTextEncoder> {
        match &self.model {
            Model::Sparse(encoder) => Ok(&**encoder),
            _ => Err(self.unfit("a model of sparse vectors")),
        }
    }

    fn scorer(&self) -> PyResult<&dyn PairScorer> {
        match &self.model {
            Model::Cross(scorer) => Ok(&**scorer),
            Model::Late(scorer) => Ok(&**scorer),
            _ => Err(self.unfit("a cross-encoder or a model of late interaction")),
        }
    }

    fn unfit(&self, expected: &str) -> PyErr {
        invalid(format!(
            "expected {expected}, found `{}`, whose kind is \"{}\"",
            self.name(),
            self.kind()
        ))
    }
}

/// Scores that are there already.
struct Scores(Vec<f32>);

impl Scorer for Scores {
    fn scores(&self, _query: &str, _documents: &[&str]) -> Result<Vec<f32>> {
        Ok(self.0.clone())
    }
}

/// The number of a GPU; none for the CPU.
fn gpu(device: &str) -> PyResult<Option<usize>> {
    let number = match device {
        "cpu" => return Ok(None),
        "cuda" => Some(0),
        _ => device
            .strip_prefix("cuda:")
            .and_then(|number| number.parse().ok()),
    };
    let number = number.ok_or_else(|| {
        invalid(format!(
            "expected device to be \"cpu\", \"cuda\" or \"cuda:N\", found {device:?}"
        ))
    })?;
    Ok(Some(number))
}

/// The vectors of texts.
fn encoded<E: TextEncoder + ?Sized>(
    py: Python<'_>,
    encoder: &E,
    texts: &[String],
    role: Role,
) -> PyResult<Vec<E::Vector>> {
    interruptible(py, |cancel| {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        in_windows(&texts, encoder.window_size().items, cancel, |texts| {
            encoder.encode(texts, role)
        })
    })
}

/// Puts windows of inputs through a model, and looks between them whether the work is cancelled.
fn in_windows<I, V>(
    inputs: &[I],
    window: usize,
    cancel: &CancelToken,
    run: impl Fn(&[I]) -> Result<Encoded<V>>,
) -> Result<Vec<V>> {
    let mut outputs = Vec::with_capacity(inputs.len());
    for inputs in inputs.chunks(window.max(1)) {
        cancel.check("encoding")?;
        outputs.extend(run(inputs)?.all()?);
    }
    Ok(outputs)
}

/// Texts from an iterable.
fn strings(texts: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    several(texts, "a list of texts")?
        .map(|text| text?.extract())
        .collect()
}

/// The text of a hit's document.
fn text_of(hit: &Bound<'_, PyAny>, text: Option<&Bound<'_, PyAny>>) -> PyResult<String> {
    let keys: Option<Vec<String>> = match text {
        Some(text) if text.is_callable() => return text.call1((hit,))?.extract(),
        Some(text) => Some(match text.cast::<PyString>() {
            Ok(key) => vec![key.to_str()?.to_owned()],
            Err(_) => text.extract()?,
        }),
        None => None,
    };
    let stored = hit.getattr("stored")?.cast_into()?;
    let document = from_json(&stored)?;
    let document = document.cast::<PyDict>().map_err(|_| {
        invalid("expected stored documents that are JSON objects, found others; give a function as text")
    })?;
    let mut parts = Vec::new();
    match keys {
        Some(keys) => {
            for key in keys {
                let part = document.get_item(&key)?.ok_or_else(|| {
                    invalid(format!(
                        "expected documents with the key `{key}`, found one without"
                    ))
                })?;
                parts.push(part.extract::<String>()?);
            }
        }
        // All texts of the document but its id.
        None => {
            for (key, part) in document.iter() {
                let is_id = key.extract::<String>()? == "_id";
                if let (false, Ok(part)) = (is_id, part.cast::<PyString>()) {
                    parts.push(part.to_str()?.to_owned());
                }
            }
        }
    }
    Ok(parts.join(" "))
}
