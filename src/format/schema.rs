//! The fields of an index and their options (`format-spec/manifest.md`).

mod difference;
mod options;

use super::dense::{DenseElement, DenseMetric, DenseShape};
use super::limits::{MAX_FIELD_NAME_BYTES, MAX_FIELDS};
use super::model_identity::ModelIdentity;
use super::{Bm25, Malformed, Parse, varint, wide};
use crate::error::{Error, Result};

pub use options::{FieldKind, FieldOptions, SparseLayout, SparseTerms};
use options::{decode_options, encode_options};

/// A field's number, given when the index is created and never reused.
pub type FieldNumber = u32;

/// A field of a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The field's number.
    pub number: FieldNumber,
    /// The field's name, unique in its schema.
    pub name: String,
    /// What it holds.
    pub options: FieldOptions,
    /// The model that makes its vectors, if that is known.
    pub model: Option<ModelIdentity>,
}

/// The fields of an index, fixed when it is created.
///
/// ```
/// use esparsa::Schema;
///
/// let schema = Schema::new()
///     .text("text", "english")?
///     .sparse("splade", 3.0)?
///     .stored("source")?;
/// assert_eq!(schema.fields().len(), 3);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    fields: Vec<Field>,
}

impl Schema {
    /// A schema without fields: documents have an external id and nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text field; `analyzer` is a language (`en`, `portuguese`), see
    /// [`Analyzer::named`](crate::text::Analyzer::named), or the name of a custom one.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the name is empty, too long or taken.
    pub fn text(self, name: &str, analyzer: &str) -> Result<Self> {
        let options = FieldOptions::Text {
            analyzer: analyzer.to_owned(),
            revision: 0,
            bm25: Bm25::default(),
        };
        self.with(name, options)
    }

    /// Sets the parameters of BM25 that queries of a text field have unless they set others.
    ///
    /// ```
    /// use esparsa::{Bm25, Schema};
    ///
    /// let schema = Schema::new().text("text", "en")?.bm25("text", Bm25 { k1: 1.2, b: 0.75 })?;
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is no text field of this name, or the parameters make no sense.
    pub fn bm25(mut self, name: &str, parameters: Bm25) -> Result<Self> {
        parameters.check()?;
        if let FieldOptions::Text { bm25, .. } = self.options_of(name, FieldKind::Text)? {
            *bm25 = parameters;
        }
        Ok(self)
    }

    /// Adds a sparse field with string terms. `expected_max` is about the largest weight that
    /// documents will have.
    ///
    /// It is no limit. Weights are quantized to 255 steps up to it, in every segment whose weights
    /// these steps suit. A segment whose weights are larger, or all well below, takes steps larger
    /// or smaller by a power of two; so do single weights among others of another magnitude.
    /// Merging segments changes no quantized weight. [`Schema::sparse_max_weight`] sets a limit.
    ///
    /// # Errors
    ///
    /// As [`Schema::text`], and when the weight is not a positive number.
    pub fn sparse(self, name: &str, expected_max: f32) -> Result<Self> {
        self.sparse_with(name, expected_max, SparseTerms::Strings)
    }

    /// As [`Schema::sparse`], with terms named by numbers.
    ///
    /// # Errors
    ///
    /// As [`Schema::sparse`].
    pub fn sparse_numbered(self, name: &str, expected_max: f32) -> Result<Self> {
        self.sparse_with(name, expected_max, SparseTerms::Numbers)
    }

    fn sparse_with(self, name: &str, expected_max: f32, terms: SparseTerms) -> Result<Self> {
        let options = FieldOptions::Sparse {
            scale: scale_for(expected_max).map_err(|error| error.in_field(name))?,
            clamps: false,
            terms,
            layout: SparseLayout::default(),
        };
        self.with(name, options)
    }

    /// Sets the max weight of a sparse field: all segments quantize weights to 255 steps up to it,
    /// and larger weights are clamped to it and counted in
    /// [`FieldTotals::left_out`](crate::index::FieldTotals::left_out).
    ///
    /// ```
    /// use esparsa::Schema;
    ///
    /// let schema = Schema::new().sparse("splade", 3.0)?.sparse_max_weight("splade", 3.5)?;
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is no sparse field of this name, or the weight is not a
    /// positive number.
    pub fn sparse_max_weight(mut self, name: &str, max_weight: f32) -> Result<Self> {
        let chosen = scale_for(max_weight).map_err(|error| error.in_field(name))?;
        if let FieldOptions::Sparse { scale, clamps, .. } =
            self.options_of(name, FieldKind::Sparse)?
        {
            (*scale, *clamps) = (chosen, true);
        }
        Ok(self)
    }

    /// Sets how the lists of a sparse field are laid out.
    ///
    /// ```
    /// use esparsa::{Schema, SparseLayout};
    ///
    /// let schema = Schema::new().sparse("splade", 3.0)?.sparse_layout("splade", SparseLayout::Tiers)?;
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is no sparse field of this name.
    pub fn sparse_layout(mut self, name: &str, chosen: SparseLayout) -> Result<Self> {
        if let FieldOptions::Sparse { layout, .. } = self.options_of(name, FieldKind::Sparse)? {
            *layout = chosen;
        }
        Ok(self)
    }

    /// Adds a dense field for vectors of so many numbers, which are kept as they are and scored by their inner product with
    /// the query's.
    ///
    /// # Errors
    ///
    /// As [`Schema::text`], and [`Error::Limit`] when there are too many dimensions.
    pub fn dense(self, name: &str, dimensions: usize) -> Result<Self> {
        let shape = DenseShape {
            dimensions: u32::try_from(dimensions).unwrap_or(u32::MAX),
            element: DenseElement::default(),
            metric: DenseMetric::default(),
        };
        shape.check_dimensions().map_err(|e| e.in_field(name))?;
        self.with(name, shape.into())
    }

    /// Sets how the numbers of a dense field are kept.
    ///
    /// ```
    /// use esparsa::{DenseElement, DenseMetric, Schema};
    ///
    /// let schema = Schema::new()
    ///     .dense("passage", 384)?
    ///     .dense_element("passage", DenseElement::I8)?
    ///     .dense_metric("passage", DenseMetric::Cosine)?;
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is no dense field of this name.
    pub fn dense_element(mut self, name: &str, chosen: DenseElement) -> Result<Self> {
        if let FieldOptions::Dense { element, .. } = self.options_of(name, FieldKind::Dense)? {
            *element = chosen;
        }
        Ok(self)
    }

    /// Sets how the vectors of a dense field are scored.
    ///
    /// # Errors
    ///
    /// As [`Schema::dense_element`].
    pub fn dense_metric(mut self, name: &str, chosen: DenseMetric) -> Result<Self> {
        if let FieldOptions::Dense { metric, .. } = self.options_of(name, FieldKind::Dense)? {
            *metric = chosen;
        }
        Ok(self)
    }

    /// Notes which model makes the vectors of a sparse or dense field, so that queries are not made by another.
    ///
    /// ```
    /// use esparsa::{ModelIdentity, Schema};
    ///
    /// let model = ModelIdentity { name: "mini".into(), fingerprint: 0x51AB };
    /// let schema = Schema::new().dense("passage", 384)?.model("passage", model.clone())?;
    /// assert_eq!(schema.model_of("passage"), Some(&model));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is no sparse or dense field of this name or the model has no name,
    /// [`Error::Limit`] when its name is too long.
    pub fn model(mut self, name: &str, model: ModelIdentity) -> Result<Self> {
        model.check().map_err(|error| error.in_field(name))?;
        let kind = match self.field(name).map(|field| field.options.kind()) {
            Some(FieldKind::Sparse) => FieldKind::Sparse,
            _ => FieldKind::Dense,
        };
        let number = self.expect(name, kind)?.number;
        self.set_model(number, model);
        Ok(self)
    }

    /// The model that makes the vectors of a field, if it was noted.
    pub fn model_of(&self, name: &str) -> Option<&ModelIdentity> {
        self.field(name)?.model.as_ref()
    }

    /// Notes the model of the field with this number, if there is one.
    pub(super) fn set_model(&mut self, number: FieldNumber, model: ModelIdentity) {
        let mut fields = self.fields.iter_mut();
        if let Some(field) = fields.find(|field| field.number == number) {
            field.model = Some(model);
        }
    }

    /// Adds the field that keeps documents as they are; a schema has at most one.
    ///
    /// # Errors
    ///
    /// As [`Schema::text`], and when there is one.
    pub fn stored(self, name: &str) -> Result<Self> {
        if self.stored_field().is_some() {
            return Err(Error::invalid("a schema has at most one stored field").in_field(name));
        }
        self.with(name, FieldOptions::Stored)
    }

    fn with(mut self, name: &str, options: FieldOptions) -> Result<Self> {
        if name.is_empty() || name.len() > MAX_FIELD_NAME_BYTES {
            let message = format!(
                "expected a field name of 1 to {MAX_FIELD_NAME_BYTES} bytes, found {}",
                name.len()
            );
            return Err(Error::invalid(message));
        }
        if self.field(name).is_some() {
            return Err(Error::invalid("there is a field of this name").in_field(name));
        }
        if self.fields.len() == MAX_FIELDS {
            let found = wide(MAX_FIELDS) + 1;
            return Err(Error::limit("number of fields", found, wide(MAX_FIELDS)));
        }
        let number = self.fields.last().map_or(0, |field| field.number + 1);
        self.fields.push(Field {
            number,
            name: name.to_owned(),
            options,
            model: None,
        });
        Ok(self)
    }

    /// A schema of fields that another schema had, with other options.
    pub(crate) fn from_fields(fields: Vec<Field>) -> Self {
        Self { fields }
    }

    /// A schema of the fields that `keep` accepts, which keep their numbers.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&Field) -> bool) -> Self {
        let fields = self.fields.iter();
        Self {
            fields: fields.filter(|field| keep(field)).cloned().collect(),
        }
    }

    /// All fields, by rising number.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field of this name, which must be there and of this kind.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] that lists the fields there are.
    pub fn expect(&self, name: &str, kind: FieldKind) -> Result<&Field> {
        let field = self.field(name).filter(|f| f.options.kind() == kind);
        field.ok_or_else(|| {
            let all: Vec<String> = self
                .fields
                .iter()
                .map(|f| format!("{} ({:?})", f.name, f.options.kind()))
                .collect();
            let message = format!("expected a {kind:?} field of the index, which has: ");
            Error::invalid(message + &all.join(", ")).in_field(name)
        })
    }

    /// The options of the field of this name, which must be there and of this kind.
    fn options_of(&mut self, name: &str, kind: FieldKind) -> Result<&mut FieldOptions> {
        let number = self.expect(name, kind)?.number;
        let mut fields = self.fields.iter_mut();
        let field = fields.find(|field| field.number == number);
        field
            .map(|field| &mut field.options)
            .ok_or_else(|| Error::invalid("expected a field of the schema").in_field(name))
    }

    /// The field that keeps documents.
    pub fn stored_field(&self) -> Option<&Field> {
        self.fields
            .iter()
            .find(|field| field.options == FieldOptions::Stored)
    }

    /// The bytes of the manifest's `schema` section.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::write(wide(self.fields.len()), &mut bytes);
        for field in &self.fields {
            let (kind, options) = encode_options(&field.options);
            varint::write(u64::from(field.number), &mut bytes);
            varint::write(kind, &mut bytes);
            for part in [field.name.as_bytes(), &options] {
                varint::write(wide(part.len()), &mut bytes);
                bytes.extend_from_slice(part);
            }
        }
        bytes
    }

    /// Reads the manifest's `schema` section.
    ///
    /// # Errors
    ///
    /// When the bytes do not hold a schema.
    pub fn decode(bytes: &[u8]) -> Parse<Self> {
        let mut position = 0;
        let count = varint::read(bytes, &mut position)?;
        if count > wide(MAX_FIELDS) {
            return Err(Malformed("the schema has too many fields"));
        }
        let mut schema = Self::new();
        for _ in 0..count {
            let number = varint::read_u32(bytes, &mut position)?;
            let kind = varint::read(bytes, &mut position)?;
            let name = utf8(varint::read_bytes(bytes, &mut position)?)?;
            let options = varint::read_bytes(bytes, &mut position)?;
            let rises = schema.fields.last().is_none_or(|last| last.number < number);
            if !rises || schema.field(&name).is_some() {
                return Err(Malformed(
                    "field numbers do not rise or names are not unique",
                ));
            }
            schema.fields.push(Field {
                number,
                name,
                options: decode_options(kind, options)?,
                model: None,
            });
        }
        if position == bytes.len() {
            Ok(schema)
        } else {
            Err(Malformed("the schema has bytes left over"))
        }
    }
}

/// The scale whose 255th step is a weight.
fn scale_for(weight: f32) -> Result<f32> {
    let scale = weight / 255.0;
    if scale.is_normal() && scale > 0.0 {
        return Ok(scale);
    }
    let message = format!("expected a positive max weight, found {weight}");
    Err(Error::invalid(message))
}

fn utf8(bytes: &[u8]) -> Parse<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed("a name is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_read_as_written() {
        let mut schema = Schema::new()
            .text("text", "english")
            .unwrap()
            .sparse("splade", 3.0)
            .unwrap()
            .sparse_numbered("ids", 1.0)
            .unwrap()
            .sparse_layout("ids", SparseLayout::Tiers)
            .unwrap()
            .sparse_max_weight("ids", 2.0)
            .unwrap()
            .stored("source")
            .unwrap();
        for (name, element) in [
            ("single", DenseElement::F32),
            ("half", DenseElement::F16),
            ("byte", DenseElement::I8),
        ] {
            schema = schema.dense(name, 384).unwrap();
            schema = schema.dense_element(name, element).unwrap();
        }
        schema = schema.dense_metric("half", DenseMetric::Cosine).unwrap();
        schema.fields.push(Field {
            number: 9,
            name: "hologram".into(),
            options: FieldOptions::Unknown {
                kind: 77,
                options: vec![1, 2],
            },
            model: None,
        });
        let bytes = schema.encode();
        assert_eq!(Schema::decode(&bytes), Ok(schema));
        for length in 0..bytes.len() {
            assert!(Schema::decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn the_chapters_example_holds() {
        let mut schema = Schema::new().text("text", "english").unwrap();
        for field in &mut schema.fields {
            if let FieldOptions::Text { revision, .. } = &mut field.options {
                *revision = 1;
            }
        }
        assert_eq!(
            schema.encode(),
            b"\x01\x00\x01\x04text\x13fff\x3F\xCD\xCC\xCC\x3E\x01\0\0\0english"
        );
    }

    #[test]
    fn dense_options_are_as_the_chapter_says() {
        let schema = Schema::new().dense("d", 384).unwrap();
        let schema = schema.dense_element("d", DenseElement::I8).unwrap();
        let schema = schema.dense_metric("d", DenseMetric::Cosine).unwrap();
        assert_eq!(
            schema.encode(),
            b"\x01\x00\x04\x01d\x06\x80\x01\0\0\x02\x01"
        );
        assert!(Schema::new().dense("d", 0).is_err());
        assert!(Schema::new().dense("d", 65_536).is_ok());
        let error = Schema::new().dense("d", 65_537).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }));
        let text = Schema::new().text("d", "en").unwrap();
        assert!(text.dense_metric("d", DenseMetric::Cosine).is_err());
    }

    #[test]
    fn models_are_of_sparse_and_dense_fields() {
        let model = |name: &str| ModelIdentity {
            name: name.into(),
            fingerprint: 7,
        };
        let schema = Schema::new().text("t", "en").unwrap();
        let schema = schema.sparse("s", 3.0).unwrap().dense("d", 4).unwrap();
        for name in ["s", "d"] {
            let schema = schema.clone().model(name, model("mini")).unwrap();
            assert_eq!(schema.model_of(name), Some(&model("mini")));
            assert!(schema.clone().model(name, model("")).is_err());
            assert!(schema.model(name, model(&"x".repeat(1_025))).is_err());
        }
        assert!(schema.clone().model("t", model("mini")).is_err());
        assert!(schema.model("nowhere", model("mini")).is_err());
    }

    #[test]
    fn names_are_checked() {
        assert!(Schema::new().text("", "en").is_err());
        assert!(Schema::new().text("a", "en").unwrap().stored("a").is_err());
        assert!(Schema::new().stored("a").unwrap().stored("b").is_err());
        for weight in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(Schema::new().sparse("a", weight).is_err());
            let schema = Schema::new().sparse("a", 1.0).unwrap();
            assert!(schema.sparse_max_weight("a", weight).is_err());
        }
    }
}
