//! The fields of an index.

use esparsa::{
    Bm25, ColumnType, DenseElement, DenseMetric, FieldOptions, ModelIdentity, Schema, SparseLayout,
    SparseTerms, StoredOptions,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};

use crate::error::{invalid, raise};
use crate::model::PyModel;

/// A text field, searched by BM25.
///
/// `analyzer` is a language, as a code or in English (`"en"`, `"portuguese"`), `"simple"` for lower
/// case without stemming, or a chain such as `"standard|lowercase|fold|edge-ngram:2-10"`.
/// `positions` keeps where words stand, for phrases. `k1` and `b` are the defaults of queries.
#[pyclass(name = "Text", module = "esparsa", frozen)]
pub struct PyText(esparsa::Text);

#[pymethods]
impl PyText {
    #[new]
    #[pyo3(signature = (analyzer = "simple", *, positions = false, k1 = None, b = None))]
    fn new(analyzer: &str, positions: bool, k1: Option<f32>, b: Option<f32>) -> Self {
        let default = Bm25::default();
        let text = esparsa::Text::new().analyzer(analyzer).bm25(Bm25 {
            k1: k1.unwrap_or(default.k1),
            b: b.unwrap_or(default.b),
        });
        Self(if positions { text.positions() } else { text })
    }

    fn __repr__(&self) -> String {
        let positions = match self.0.positions {
            true => ", positions=True",
            false => "",
        };
        format!("Text({:?}{positions})", self.0.analyzer)
    }
}

/// A field of learned sparse vectors, searched by dot product.
///
/// `terms` says how terms are named, by `"strings"` or `"numbers"`. Weights are quantized to 255
/// steps up to about `expected_max`; `max_weight` is a limit to which larger ones are clamped.
/// `layout` is `"ranges"`, the fastest, or `"tiers"`, the smallest. `model`, a `Model`, is noted in
/// the index, so that vectors of another model are refused.
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
        if let Some(identity) = identity(model)? {
            sparse = sparse.model(identity);
        }
        Ok(Self(sparse))
    }

    fn __repr__(&self) -> String {
        match self.0.terms {
            SparseTerms::Numbers => "Sparse(terms=\"numbers\")".into(),
            _ => "Sparse()".into(),
        }
    }
}

/// A field of dense vectors, searched exactly.
///
/// `element` is the dtype in which vectors are kept: `"f32"`, `"f16"` or `"i8"`. `metric` is
/// `"inner-product"` or `"cosine"`. `model`, a `Model`, is noted in the index, so that vectors of
/// another model are refused.
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
        if let Some(identity) = identity(model)? {
            dense = dense.model(identity);
        }
        Ok(Self(dense))
    }

    fn __repr__(&self) -> String {
        format!("Dense({})", self.0.dimensions)
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

    fn __repr__(&self) -> String {
        let several = match self.0.several {
            true => ", several=True",
            false => "",
        };
        format!("Column({:?}{several})", self.0.column_type.name())
    }
}

/// The field that keeps documents as they are, to be returned with hits; a schema has at most one.
///
/// A document that gives no value for it is kept as a JSON object of its id, its texts and its
/// columns.
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

/// The model that an index notes with a field.
fn identity(model: Option<&Bound<'_, PyModel>>) -> PyResult<Option<ModelIdentity>> {
    model.map(|model| model.get().identity()).transpose()
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

    fn __contains__(&self, name: &str) -> bool {
        self.0.field(name).is_some()
    }

    fn __repr__(&self) -> String {
        let fields = self.0.fields().iter();
        let each: Vec<String> = fields
            .map(|field| format!("{}: {}", field.name, field.options.kind().name()))
            .collect();
        format!("Schema({})", each.join(", "))
    }
}
