//! The fields of an index.

use esparsa::{
    Bm25, ColumnType, DenseElement, DenseMetric, FieldOptions, Schema, SparseLayout, SparseTerms,
    StoredOptions,
};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};

use crate::error::{invalid, raise};
use crate::model::PyModel;

/// A text field, searched by BM25.
///
/// `analyzer` is a language, as a code or in English (`"en"`, `"portuguese"`), `"simple"` for lower
/// case without stemming, or a chain such as `"standard|lowercase|fold|edge-ngram:2-10"`.
/// `positions` keeps where words stand, for phrases. `k1` and `b` are BM25's parameters of queries
/// that name no others; 1.2 and 0.75 are what Lucene and tantivy have.
#[pyclass(name = "Text", module = "esparsa", frozen)]
pub struct PyText(esparsa::Text);

#[pymethods]
impl PyText {
    #[new]
    #[pyo3(signature = (analyzer = "simple", *, positions = false, k1 = 0.9, b = 0.4))]
    fn new(analyzer: &str, positions: bool, k1: f32, b: f32) -> Self {
        let text = esparsa::Text::new().analyzer(analyzer).bm25(Bm25 { k1, b });
        Self(if positions { text.positions() } else { text })
    }

    /// The name of the analyzer.
    #[getter]
    fn analyzer(&self) -> &str {
        &self.0.analyzer
    }

    /// Whether it is kept where words stand.
    #[getter]
    fn positions(&self) -> bool {
        self.0.positions
    }

    /// How soon further occurrences of a word stop to count.
    #[getter]
    fn k1(&self) -> f32 {
        self.0.bm25.k1
    }

    /// How much the length of a text counts, from 0 to 1.
    #[getter]
    fn b(&self) -> f32 {
        self.0.bm25.b
    }

    fn __repr__(&self) -> String {
        let positions = if self.0.positions {
            ", positions=True"
        } else {
            ""
        };
        let Bm25 { k1, b } = self.0.bm25;
        format!("Text({:?}{positions}, k1={k1}, b={b})", self.0.analyzer)
    }
}

/// A field of learned sparse vectors, searched by dot product.
///
/// `terms` says how terms are named, by `"strings"` or `"numbers"`. Weights are quantized to 255
/// steps up to about `expected_max`; `max_weight` is a limit to which larger ones are clamped.
/// `layout` is `"ranges"`, the fastest, or `"tiers"`, the smallest. `model`, a `Model`, is noted in
/// the index: queries that another model made are refused. Texts are not encoded by it: give what
/// `model.encode_documents` returns.
#[pyclass(name = "Sparse", module = "esparsa", frozen)]
pub struct PySparse(esparsa::Sparse);

#[pymethods]
impl PySparse {
    #[new]
    #[pyo3(signature = (
        *, terms = "strings", expected_max = None, max_weight = None, layout = "ranges", model = None
    ))]
    fn new(
        terms: &str,
        expected_max: Option<f32>,
        max_weight: Option<f32>,
        layout: &str,
        model: Option<&Bound<'_, PyModel>>,
    ) -> PyResult<Self> {
        let mut sparse = esparsa::Sparse::new()
            .terms(choice(
                "terms",
                terms,
                &[
                    ("strings", SparseTerms::Strings),
                    ("numbers", SparseTerms::Numbers),
                ],
            )?)
            .layout(choice(
                "layout",
                layout,
                &[
                    ("ranges", SparseLayout::Ranges),
                    ("tiers", SparseLayout::Tiers),
                ],
            )?);
        if let Some(weight) = expected_max {
            sparse = sparse.expected_max(weight);
        }
        if let Some(weight) = max_weight {
            sparse = sparse.max_weight(weight);
        }
        if let Some(model) = model {
            sparse = sparse.model(model.get().identity_as("sparse")?);
        }
        Ok(Self(sparse))
    }

    /// How terms are named: `"strings"` or `"numbers"`.
    #[getter]
    fn terms(&self) -> &'static str {
        match self.0.terms {
            SparseTerms::Numbers => "numbers",
            _ => "strings",
        }
    }

    /// The name of the model that is noted, if one is.
    #[getter]
    fn model(&self) -> Option<&str> {
        self.0.model.as_ref().map(|model| model.name.as_str())
    }

    fn __repr__(&self) -> String {
        format!("Sparse(terms={:?})", self.terms())
    }
}

/// A field of dense vectors, searched exactly.
///
/// `element` is the dtype in which vectors are kept: `"f32"`, `"f16"` or `"i8"`. `metric` is
/// `"inner-product"` or `"cosine"`. `model`, a `Model`, is noted in the index: queries that another
/// model made are refused.
#[pyclass(name = "Dense", module = "esparsa", frozen)]
pub struct PyDense(esparsa::Dense);

#[pymethods]
impl PyDense {
    #[new]
    #[pyo3(signature = (dimensions, *, element = "f32", metric = "inner-product", model = None))]
    fn new(
        dimensions: usize,
        element: &str,
        metric: &str,
        model: Option<&Bound<'_, PyModel>>,
    ) -> PyResult<Self> {
        let mut dense = esparsa::Dense::new(dimensions)
            .element(choice(
                "element",
                element,
                &[
                    ("f32", DenseElement::F32),
                    ("f16", DenseElement::F16),
                    ("i8", DenseElement::I8),
                ],
            )?)
            .metric(choice(
                "metric",
                metric,
                &[
                    ("inner-product", DenseMetric::InnerProduct),
                    ("cosine", DenseMetric::Cosine),
                ],
            )?);
        if let Some(model) = model {
            model.get().expect_dimensions(dimensions)?;
            dense = dense.model(model.get().identity_as("dense")?);
        }
        Ok(Self(dense))
    }

    /// Dimensions of a vector.
    #[getter]
    fn dimensions(&self) -> u32 {
        self.0.dimensions
    }

    /// The dtype in which vectors are kept.
    #[getter]
    fn element(&self) -> &'static str {
        match self.0.element {
            DenseElement::F16 => "f16",
            DenseElement::I8 => "i8",
            _ => "f32",
        }
    }

    /// How vectors are scored.
    #[getter]
    fn metric(&self) -> &'static str {
        match self.0.metric {
            DenseMetric::Cosine => "cosine",
            _ => "inner-product",
        }
    }

    /// The name of the model that is noted, if one is.
    #[getter]
    fn model(&self) -> Option<&str> {
        self.0.model.as_ref().map(|model| model.name.as_str())
    }

    fn __repr__(&self) -> String {
        let Self(dense) = self;
        format!(
            "Dense({}, element={:?}, metric={:?})",
            dense.dimensions,
            self.element(),
            self.metric()
        )
    }
}

/// A column of values to filter by, to sort by and to count.
///
/// `type` is `"i64"`, `"u64"`, `"f64"`, `"bool"`, `"date"` or `"keyword"`. With `several`, a
/// document may have more than one value, given as a list.
#[pyclass(name = "Column", module = "esparsa", frozen)]
pub struct PyColumn(esparsa::Column);

#[pymethods]
impl PyColumn {
    #[new]
    #[pyo3(signature = (r#type, *, several = false))]
    fn new(r#type: &str, several: bool) -> PyResult<Self> {
        let column_type = ColumnType::of_name(r#type).ok_or_else(|| {
            let names = ColumnType::ALL.map(|each| format!("\"{}\"", each.name()));
            invalid(format!(
                "expected a type of column, one of {}, found {type:?}",
                names.join(", ")
            ))
        })?;
        let column = esparsa::Column::new(column_type);
        Ok(Self(if several { column.several() } else { column }))
    }

    /// The type of the values.
    #[getter]
    fn r#type(&self) -> &'static str {
        self.0.column_type.name()
    }

    /// Whether a document may have more than one value.
    #[getter]
    fn several(&self) -> bool {
        self.0.several
    }

    fn __repr__(&self) -> String {
        let several = if self.0.several { ", several=True" } else { "" };
        format!("Column({:?}{several})", self.0.column_type.name())
    }
}

/// The field that keeps what is returned with hits; a schema has at most one.
///
/// A document may give a value for it: bytes and strings are kept as they are, anything else as
/// JSON. Of a document that gives none, a JSON object of its id, its texts and its columns is kept,
/// in which several texts are one, one value of a column stands without a list, and dates are
/// strings; `extra="store"` of `Writer.add` keeps all of the document as it was given instead.
#[pyclass(name = "Stored", module = "esparsa", frozen)]
pub struct PyStored;

#[pymethods]
impl PyStored {
    #[new]
    fn new() -> Self {
        Self
    }

    fn __repr__(&self) -> &'static str {
        "Stored()"
    }
}

/// What a name stands for.
pub fn choice<T: Copy>(what: &str, name: &str, choices: &[(&str, T)]) -> PyResult<T> {
    let found = choices.iter().find(|(known, _)| *known == name);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<String> = choices
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        invalid(format!(
            "expected {what} to be {}, found {name:?}",
            names.join(" or ")
        ))
    })
}

/// The options of a field that an application gave.
pub fn field_options(name: &str, object: &Bound<'_, PyAny>) -> PyResult<FieldOptions> {
    if let Ok(field) = object.cast::<PyText>() {
        return Ok(field.get().0.clone().into());
    }
    if let Ok(field) = object.cast::<PySparse>() {
        return Ok(field.get().0.clone().into());
    }
    if let Ok(field) = object.cast::<PyDense>() {
        return Ok(field.get().0.clone().into());
    }
    if let Ok(field) = object.cast::<PyColumn>() {
        return Ok(field.get().0.clone().into());
    }
    if object.is_instance_of::<PyStored>() {
        return Ok(StoredOptions::default().into());
    }
    Err(invalid(format!(
        "field `{name}`: expected Text(), Sparse(), Dense(), Column() or Stored(), found {}",
        object.repr()?
    )))
}

/// The fields of an index: a name and a kind for each, as keywords or as a dict.
///
/// >>> from esparsa import Column, Schema, Text
/// >>> schema = Schema(title=Text("en"), body=Text("en", positions=True), year=Column("i64"))
/// >>> schema.fields
/// {'title': 'text', 'body': 'text', 'year': 'column'}
#[pyclass(name = "Schema", module = "esparsa", frozen)]
pub struct PySchema(pub Schema);

#[pymethods]
impl PySchema {
    #[new]
    #[pyo3(signature = (fields = None, /, **more))]
    fn new(
        fields: Option<&Bound<'_, PyMapping>>,
        more: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut builder = Schema::builder();
        let more = more.map(|more| more.as_mapping());
        for fields in [fields, more].into_iter().flatten() {
            for item in fields.items()? {
                let (name, options): (String, Bound<'_, PyAny>) = item.extract()?;
                let options = field_options(&name, &options)?;
                builder = builder.field(name, options);
            }
        }
        Ok(Self(builder.build().map_err(raise)?))
    }

    /// The names of the fields, in their order, with what each is: `"text"`, `"sparse"`,
    /// `"dense"`, `"column"` or `"stored"`.
    #[getter]
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let fields = PyDict::new(py);
        for field in self.0.fields() {
            fields.set_item(&field.name, field.options.kind().name())?;
        }
        Ok(fields)
    }

    fn __len__(&self) -> usize {
        self.0.fields().len()
    }

    /// The field of a name: `Text`, `Sparse`, `Dense`, `Column` or `Stored`.
    fn __getitem__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let field = self
            .0
            .field(name)
            .ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
        field_of(py, &field.options)
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.field(name).is_some()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let each = self.0.fields().iter().map(|field| {
            let options = field_of(py, &field.options)?;
            Ok(format!("{}={}", field.name, options.repr()?))
        });
        Ok(format!(
            "Schema({})",
            each.collect::<PyResult<Vec<_>>>()?.join(", ")
        ))
    }
}

/// The class of Python for the options of a field.
fn field_of<'py>(py: Python<'py>, options: &FieldOptions) -> PyResult<Bound<'py, PyAny>> {
    Ok(match options {
        FieldOptions::Text(text) => Bound::new(py, PyText(text.clone()))?.into_any(),
        FieldOptions::Sparse(sparse) => Bound::new(py, PySparse(sparse.clone()))?.into_any(),
        FieldOptions::Dense(dense) => Bound::new(py, PyDense(dense.clone()))?.into_any(),
        FieldOptions::Column(column) => Bound::new(py, PyColumn(column.clone()))?.into_any(),
        _ => Bound::new(py, PyStored)?.into_any(),
    })
}
