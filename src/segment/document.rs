//! What is indexed: an external id and values for the fields of the schema.

use serde_json::Value as Json;

use super::fields::{self, FieldValue, SparseVector, Variant};
use crate::error::{Error, Result};
use crate::format::limits::{MAX_DOCUMENT_BYTES, MAX_ID_BYTES};
use crate::format::stored::MAX_STORED_DOCUMENT_BYTES;
use crate::format::{Schema, Value};

/// A document to be indexed.
///
/// A text field given more than once is indexed as one text. A sparse term given more than once
/// counts with its max weight. If the schema has a stored field and the document no value for it, a
/// JSON object of the id (`_id`), the text fields and the columns is stored.
///
/// ```
/// use esparsa::Document;
///
/// let document = Document::new("volcano-7")
///     .with_text("text", "Etna is a volcano in Sicily.")
///     .with_sparse("splade", [("volcano", 2.1), ("italy", 0.8)]);
/// assert_eq!(document.id(), "volcano-7");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    id: String,
    values: Vec<(String, FieldValue)>,
}

impl Document {
    /// A document without values. `id` is the external id: adding a document whose id is live
    /// replaces the one that has it.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            values: Vec::new(),
        }
    }

    /// The external id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The values, in the order in which they were given.
    pub fn values(&self) -> &[(String, FieldValue)] {
        &self.values
    }

    /// Adds a text.
    #[must_use]
    pub fn with_text(self, field: impl Into<String>, text: impl Into<String>) -> Self {
        self.with(field, FieldValue::Text(text.into()))
    }

    /// Adds a sparse vector whose terms are strings; weights are finite and not negative.
    #[must_use]
    pub fn with_sparse<T: Into<String>>(
        self,
        field: impl Into<String>,
        vector: impl IntoIterator<Item = (T, f32)>,
    ) -> Self {
        let vector = vector
            .into_iter()
            .map(|(term, weight)| (term.into(), weight));
        let vector = SparseVector::Strings(vector.collect());
        self.with(field, FieldValue::Sparse(vector))
    }

    /// Adds a sparse vector whose terms are numbers.
    #[must_use]
    pub fn with_sparse_numbered(
        self,
        field: impl Into<String>,
        vector: impl IntoIterator<Item = (u32, f32)>,
    ) -> Self {
        let vector = SparseVector::Numbers(vector.into_iter().collect());
        self.with(field, FieldValue::Sparse(vector))
    }

    /// Sets the vector of a dense field: as many finite numbers as the field has dimensions, with a
    /// norm of at most 10^18. Under [`DenseMetric::Cosine`](crate::DenseMetric::Cosine) they are
    /// normalized, so not all may be 0.
    ///
    /// ```
    /// use esparsa::{Dense, Document, Schema};
    ///
    /// let schema = Schema::builder().dense("passage", Dense::new(3)).build()?;
    /// Document::new("etna").with_dense("passage", [0.9, 0.1, 0.0]).check(&schema)?;
    /// assert!(Document::new("etna").with_dense("passage", [0.9]).check(&schema).is_err());
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    #[must_use]
    pub fn with_dense(self, field: impl Into<String>, vector: impl Into<Vec<f32>>) -> Self {
        self.with(field, FieldValue::Dense(vector.into()))
    }

    /// Sets the bytes that are returned with a hit, often JSON.
    #[must_use]
    pub fn with_stored(self, field: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.with(field, FieldValue::Stored(bytes.into()))
    }

    /// Adds a value: of a column, or any that is made as a [`FieldValue`].
    ///
    /// ```
    /// use esparsa::{Column, Document, Schema, Value};
    ///
    /// let schema = Schema::builder()
    ///     .column("price", Column::f64())
    ///     .column("since", Column::date())
    ///     .column("color", Column::keyword().several())
    ///     .build()?;
    /// let shirt = Document::new("shirt")
    ///     .with("price", 12.5)
    ///     .with("since", Value::date("2024-06-19")?)
    ///     .with("color", "red")
    ///     .with("color", "blue");
    /// shirt.check(&schema)?;
    /// assert!(Document::new("shirt").with("price", "cheap").check(&schema).is_err());
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<FieldValue>) -> Self {
        self.values.push((field.into(), value.into()));
        self
    }

    /// About how many bytes the document takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let values = self.values.iter().map(|(_, value)| value.bytes());
        self.id.len() + values.sum::<usize>()
    }

    /// Checks the document against a schema.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the id is empty, a field is not in the schema or of another
    /// kind, a weight is not a finite number of at least 0, the sum of a vector's weights overflows
    /// `f32`, or a vector is not one for its field; [`Error::Limit`] when something is too long.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        if self.id.is_empty() {
            return Err(Error::invalid(
                "expected an external id, found an empty one",
            ));
        }
        limit("length of the id in bytes", self.id.len(), MAX_ID_BYTES)?;
        let what = || format!("bytes of document `{}`", self.id);
        if self.bytes() > MAX_DOCUMENT_BYTES {
            limit(&what(), self.bytes(), MAX_DOCUMENT_BYTES)?;
        }
        for (name, value) in &self.values {
            let expected = schema.expect(name, value.kind());
            expected.map_err(|error| self.named_in(error))?;
        }
        let mut fields = schema.fields().iter();
        fields
            .try_for_each(|field| fields::check(self, field))
            .map_err(|error| self.named_in(error))
    }

    /// The error, with the document's id in its message.
    fn named_in(&self, error: Error) -> Error {
        match error {
            Error::InvalidInput {
                origin,
                field,
                message,
            } => Error::InvalidInput {
                origin,
                field,
                message: format!("document `{}`: {message}", self.id),
            },
            error => error,
        }
    }

    /// The values of the field of this name, which is of kind `K`.
    pub(super) fn values_of<K: Variant>(&self, name: &str) -> impl Iterator<Item = &K::Value> {
        let values = self.values.iter().filter(move |(field, _)| field == name);
        values.filter_map(|(_, value)| K::value(value))
    }

    /// Checks the size of the JSON that is stored of a document without a stored value: quotes,
    /// line ends and control characters take up to 6 bytes there.
    pub(super) fn check_source(&self) -> Result<()> {
        const MAX_ESCAPED_BYTES: usize = 6;
        let names = self.values.iter().map(|(name, _)| name.len() + 4);
        let most = (self.bytes() + names.sum::<usize>() + 16).saturating_mul(MAX_ESCAPED_BYTES);
        if most <= MAX_STORED_DOCUMENT_BYTES {
            return Ok(());
        }
        let what = format!("bytes of the JSON that is stored of document `{}`", self.id);
        limit(&what, self.source()?.len(), MAX_STORED_DOCUMENT_BYTES)
    }

    /// What is stored of a document that brings no stored value: its id, texts and columns as JSON.
    pub(super) fn source(&self) -> Result<Vec<u8>> {
        let mut object = serde_json::Map::new();
        object.insert("_id".into(), self.id().into());
        for (name, value) in &self.values {
            match value {
                FieldValue::Text(text) => add_text(&mut object, name, text),
                FieldValue::Column(value) => add_value(&mut object, name, json_of(value)),
                _ => {}
            }
        }
        serde_json::to_vec(&object)
            .map_err(|e| Error::invalid(format!("cannot store document: {e}")))
    }
}

/// Adds a text; of a field that is given twice, one text is made.
fn add_text(object: &mut serde_json::Map<String, Json>, name: &str, text: &str) {
    match object.get_mut(name) {
        Some(Json::String(before)) => {
            before.push(' ');
            before.push_str(text);
        }
        _ => {
            object.insert(name.to_owned(), text.into());
        }
    }
}

/// Adds a value; of a column that is given twice, an array is made.
fn add_value(object: &mut serde_json::Map<String, Json>, name: &str, value: Json) {
    match object.get_mut(name) {
        Some(Json::Array(before)) => before.push(value),
        Some(before) => *before = Json::Array(vec![before.take(), value]),
        None => {
            object.insert(name.to_owned(), value);
        }
    }
}

/// A value as JSON has it: infinite numbers and dates as strings.
fn json_of(value: &Value) -> Json {
    match value {
        Value::I64(number) => (*number).into(),
        Value::U64(number) => (*number).into(),
        Value::F64(number) if number.is_finite() => (*number).into(),
        Value::Bool(flag) => (*flag).into(),
        other => other.to_string().into(),
    }
}

fn limit(what: &str, found: usize, limit: usize) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::limit(what, found as u64, limit as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Dense, Sparse, Text};
    use crate::format::{DenseElement, DenseMetric};

    fn schema() -> Schema {
        Schema::builder()
            .text("text", Text::new().analyzer("en"))
            .sparse("splade", Sparse::new())
            .stored("source")
            .build()
            .unwrap()
    }

    #[test]
    fn weights_must_be_finite_and_not_negative() {
        for weight in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.5] {
            let document = Document::new("a").with_sparse("splade", [("term", weight)]);
            let error = document.check(&schema()).unwrap_err().to_string();
            assert!(
                error.contains("`term`") && error.contains("finite"),
                "{error}"
            );
        }
        let document = Document::new("a").with_sparse("splade", [("term", 0.0)]);
        document.check(&schema()).unwrap();
    }

    #[test]
    fn errors_name_the_document_once() {
        let schema = Schema::builder()
            .sparse("splade", Sparse::new())
            .dense("dense", Dense::new(2))
            .build()
            .unwrap();
        for document in [
            Document::new("etna").with_text("title", "lava"),
            Document::new("etna").with_sparse("splade", [("term", -1.0)]),
            Document::new("etna").with_sparse_numbered("splade", [(7, 1.0)]),
            Document::new("etna").with_dense("dense", [1.0]),
        ] {
            let error = document.check(&schema).unwrap_err().to_string();
            assert_eq!(error.matches("document `etna`: ").count(), 1, "{error}");
        }
    }

    #[test]
    fn weights_whose_sum_overflows_are_refused() {
        let check = |weights: [f32; 2]| {
            let pairs = ["a", "b"].into_iter().zip(weights);
            Document::new("a")
                .with_sparse("splade", pairs)
                .check(&schema())
        };
        check([3e38, 3e37]).unwrap();
        let error = check([3e38, 3e38]).unwrap_err().to_string();
        assert!(
            error.contains("field `splade`") && error.contains("sum"),
            "{error}"
        );
        let twice = [(7, 3e38f32), (7, 3e38)];
        let schema = Schema::builder()
            .sparse("ids", Sparse::new().numbered())
            .build()
            .unwrap();
        assert!(
            Document::new("a")
                .with_sparse_numbered("ids", twice)
                .check(&schema)
                .is_err()
        );
    }

    #[test]
    fn vectors_must_fit_their_field() {
        let dense = |element, metric| {
            Schema::builder()
                .dense("d", Dense::new(3).element(element).metric(metric))
                .build()
                .unwrap()
        };
        let check = |schema: &Schema, vector: &[f32]| {
            Document::new("doc-7").with_dense("d", vector).check(schema)
        };
        let product = dense(DenseElement::F32, DenseMetric::InnerProduct);
        let cosine = dense(DenseElement::I8, DenseMetric::Cosine);
        let half = dense(DenseElement::F16, DenseMetric::InnerProduct);
        for schema in [&product, &cosine, &half] {
            check(schema, &[1.0, 0.0, -2.0]).unwrap();
            for bad in [
                &[][..],
                &[1.0; 2],
                &[1.0; 4],
                &[1.0, f32::NAN, 1.0],
                &[1.0, 2.0, f32::INFINITY],
            ] {
                let error = check(schema, bad).unwrap_err().to_string();
                let names_both = error.contains("field `d`") && error.contains("`doc-7`");
                assert!(names_both, "{error}");
            }
        }
        check(&product, &[0.0; 3]).unwrap();
        assert!(check(&cosine, &[0.0, -0.0, 0.0]).is_err());
        check(&product, &[1e17; 3]).unwrap();
        assert!(check(&product, &[1e18; 3]).is_err());
        check(&cosine, &[f32::MAX; 3]).unwrap();
        check(&half, &[65_504.0; 3]).unwrap();
        assert!(check(&half, &[1.0, 1.0, -65_505.0]).is_err());
        let twice = Document::new("a").with_dense("d", [1.0; 3]);
        let twice = twice.with_dense("d", [1.0; 3]).check(&product);
        assert!(twice.is_err());
    }

    #[test]
    fn a_document_whose_stored_json_outgrows_a_block_is_refused() {
        let lines = |bytes: usize| Document::new("a").with_text("text", "\n".repeat(bytes));
        lines(30 << 20).check(&schema()).unwrap();
        let error = lines(40 << 20).check(&schema()).unwrap_err();
        assert!(
            error.to_string().contains("stored of document `a`"),
            "{error}"
        );
        let without = Schema::builder()
            .text("text", Text::new().analyzer("en"))
            .build()
            .unwrap();
        lines(40 << 20).check(&without).unwrap();
    }

    #[test]
    fn ids_terms_and_documents_have_limits() {
        assert!(Document::new("").check(&schema()).is_err());
        assert!(Document::new("x".repeat(513)).check(&schema()).is_err());
        let long = Document::new("a").with_sparse("splade", [("x".repeat(100_000), 1.0)]);
        assert!(matches!(long.check(&schema()), Err(Error::Limit { .. })));
        let large = Document::new("a").with_text("text", "x".repeat(100 << 20));
        assert!(matches!(large.check(&schema()), Err(Error::Limit { .. })));
    }

    #[test]
    fn fields_must_be_in_the_schema_and_of_their_kind() {
        for document in [
            Document::new("a").with_text("title", "x"),
            Document::new("a").with_text("splade", "x"),
            Document::new("a").with_sparse_numbered("splade", [(1, 1.0)]),
            Document::new("a")
                .with_stored("source", "x")
                .with_stored("source", "y"),
        ] {
            assert!(document.check(&schema()).is_err());
        }
    }
}
