//! The fields of an index and their options (`format-spec/manifest.md`).

use super::limits::{MAX_FIELD_NAME_BYTES, MAX_FIELDS};
use super::{Bm25, Malformed, Parse, varint, wide};
use crate::error::{Error, Result};

/// A field's number, given when the index is created and never reused.
pub type FieldNumber = u32;

/// How the terms of a sparse field are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SparseTerms {
    /// By strings, such as the tokens of a model's vocabulary.
    Strings,
    /// By numbers, such as their places in it.
    Numbers,
}

/// How the lists of a sparse field are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SparseLayout {
    /// Cut at ranges of documents, with the greatest impact of each: the fastest with many terms, as learned models give.
    #[default]
    Ranges,
    /// In tiers of falling impact, bit-packed: smaller.
    Tiers,
}

/// What a field holds, with its options.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FieldOptions {
    /// Text, searched by BM25.
    Text {
        /// Name of the analyzer, for documents and queries alike.
        analyzer: String,
        /// The parameters that queries have unless they set others.
        bm25: Bm25,
    },
    /// Learned sparse vectors, searched by dot product.
    Sparse {
        /// The weight that one step of impact stands for; 255 steps are the greatest weight.
        scale: f32,
        /// How terms are named.
        terms: SparseTerms,
        /// How lists are laid out.
        layout: SparseLayout,
    },
    /// The document itself, returned with a hit.
    Stored,
    /// A kind that this build does not know: kept as it is, not searched.
    Unknown {
        /// The kind's number.
        kind: u64,
        /// Its options.
        options: Vec<u8>,
    },
}

/// The kinds of fields without their options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// See [`FieldOptions::Text`].
    Text,
    /// See [`FieldOptions::Sparse`].
    Sparse,
    /// See [`FieldOptions::Stored`].
    Stored,
    /// See [`FieldOptions::Unknown`].
    Unknown,
}

impl FieldOptions {
    /// The kind.
    pub fn kind(&self) -> FieldKind {
        match self {
            Self::Text { .. } => FieldKind::Text,
            Self::Sparse { .. } => FieldKind::Sparse,
            Self::Stored => FieldKind::Stored,
            Self::Unknown { .. } => FieldKind::Unknown,
        }
    }
}

/// A field of a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The field's number.
    pub number: FieldNumber,
    /// The field's name, unique in its schema.
    pub name: String,
    /// What it holds.
    pub options: FieldOptions,
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
        self.expect(name, FieldKind::Text)?;
        for field in &mut self.fields {
            if let FieldOptions::Text { bm25, .. } = &mut field.options
                && field.name == name
            {
                *bm25 = parameters;
            }
        }
        Ok(self)
    }

    /// Adds a sparse field with string terms, whose greatest weight is `greatest_weight`: weights are kept
    /// in 255 steps up to it, and greater ones are clamped and counted.
    ///
    /// # Errors
    ///
    /// As [`Schema::text`], and when the weight is not a positive number.
    pub fn sparse(self, name: &str, greatest_weight: f32) -> Result<Self> {
        self.sparse_with(name, greatest_weight, SparseTerms::Strings)
    }

    /// As [`Schema::sparse`], with terms named by numbers.
    ///
    /// # Errors
    ///
    /// As [`Schema::sparse`].
    pub fn sparse_numbered(self, name: &str, greatest_weight: f32) -> Result<Self> {
        self.sparse_with(name, greatest_weight, SparseTerms::Numbers)
    }

    fn sparse_with(self, name: &str, greatest_weight: f32, terms: SparseTerms) -> Result<Self> {
        let scale = greatest_weight / 255.0;
        if !(scale.is_normal() && scale > 0.0) {
            let message = format!("expected a positive greatest weight, found {greatest_weight}");
            return Err(Error::invalid(message).in_field(name));
        }
        let layout = SparseLayout::default();
        let options = FieldOptions::Sparse {
            scale,
            terms,
            layout,
        };
        self.with(name, options)
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
        self.expect(name, FieldKind::Sparse)?;
        for field in &mut self.fields {
            if let FieldOptions::Sparse { layout, .. } = &mut field.options
                && field.name == name
            {
                *layout = chosen;
            }
        }
        Ok(self)
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
        });
        Ok(self)
    }

    /// A schema of fields that another schema had, with other options.
    pub(crate) fn from_fields(fields: Vec<Field>) -> Self {
        Self { fields }
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
            });
        }
        if position == bytes.len() {
            Ok(schema)
        } else {
            Err(Malformed("the schema has bytes left over"))
        }
    }
}

fn encode_options(options: &FieldOptions) -> (u64, Vec<u8>) {
    match options {
        FieldOptions::Text { analyzer, bm25 } => {
            let mut bytes = bm25.k1.to_le_bytes().to_vec();
            bytes.extend(bm25.b.to_le_bytes());
            bytes.extend(analyzer.as_bytes());
            (1, bytes)
        }
        FieldOptions::Sparse {
            scale,
            terms,
            layout,
        } => {
            let mut bytes = scale.to_le_bytes().to_vec();
            bytes.push(u8::from(*terms == SparseTerms::Numbers));
            bytes.push(u8::from(*layout == SparseLayout::Tiers));
            (2, bytes)
        }
        FieldOptions::Stored => (3, Vec::new()),
        FieldOptions::Unknown { kind, options } => (*kind, options.clone()),
    }
}

fn decode_options(kind: u64, bytes: &[u8]) -> Parse<FieldOptions> {
    Ok(match kind {
        1 => {
            let cut = Malformed("options of a text field end early");
            let (k1, rest) = bytes.split_first_chunk::<4>().ok_or(cut)?;
            let (b, analyzer) = rest.split_first_chunk::<4>().ok_or(cut)?;
            let (k1, b) = (f32::from_le_bytes(*k1), f32::from_le_bytes(*b));
            let bm25 = Bm25 { k1, b };
            if bm25.check().is_err() {
                return Err(Malformed("parameters of a text field make no sense"));
            }
            FieldOptions::Text {
                analyzer: utf8(analyzer)?,
                bm25,
            }
        }
        2 => {
            let &[a, b, c, d, terms, layout] = bytes else {
                return Err(Malformed("options of a sparse field have six bytes"));
            };
            let scale = f32::from_le_bytes([a, b, c, d]);
            if !(scale.is_normal() && scale > 0.0) {
                return Err(Malformed("scale of a sparse field is not positive"));
            }
            let terms = match terms {
                0 => SparseTerms::Strings,
                1 => SparseTerms::Numbers,
                _ => return Err(Malformed("terms of a sparse field are of no known kind")),
            };
            let layout = match layout {
                0 => SparseLayout::Ranges,
                1 => SparseLayout::Tiers,
                _ => return Err(Malformed("layout of a sparse field is of no known kind")),
            };
            FieldOptions::Sparse {
                scale,
                terms,
                layout,
            }
        }
        3 => FieldOptions::Stored,
        kind => FieldOptions::Unknown {
            kind,
            options: bytes.to_vec(),
        },
    })
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
            .stored("source")
            .unwrap();
        schema.fields.push(Field {
            number: 9,
            name: "hologram".into(),
            options: FieldOptions::Unknown {
                kind: 77,
                options: vec![1, 2],
            },
        });
        let bytes = schema.encode();
        assert_eq!(Schema::decode(&bytes), Ok(schema));
        for length in 0..bytes.len() {
            assert!(Schema::decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn the_chapters_example_holds() {
        let schema = Schema::new().text("text", "english").unwrap();
        assert_eq!(
            schema.encode(),
            b"\x01\x00\x01\x04text\x0Ffff\x3F\xCD\xCC\xCC\x3Eenglish"
        );
    }

    #[test]
    fn names_are_checked() {
        assert!(Schema::new().text("", "en").is_err());
        assert!(Schema::new().text("a", "en").unwrap().stored("a").is_err());
        assert!(Schema::new().stored("a").unwrap().stored("b").is_err());
        for weight in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(Schema::new().sparse("a", weight).is_err());
        }
    }
}
