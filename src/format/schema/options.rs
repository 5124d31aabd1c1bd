//! What a field holds, and its bytes in the manifest (`format-spec/manifest.md`).

use super::utf8;
use crate::format::dense::{self, DenseElement, DenseMetric, DenseShape};
use crate::format::{Bm25, Malformed, Parse};

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
        /// The analyzer's [revision](crate::text::Analyzer::revision), set when the index is created.
        revision: u32,
        /// The parameters that queries have unless they set others.
        bm25: Bm25,
    },
    /// Learned sparse vectors, searched by dot product.
    Sparse {
        /// The weight that one step of an impact stands for, where a segment's weights ask for no
        /// other.
        scale: f32,
        /// Whether 255 such steps are the max weight, to which larger ones are clamped; else larger
        /// ones take larger steps.
        clamps: bool,
        /// How terms are named.
        terms: SparseTerms,
        /// How lists are laid out.
        layout: SparseLayout,
    },
    /// The document itself, returned with a hit.
    Stored,
    /// Vectors, searched by inner product or cosine.
    Dense {
        /// How many numbers a vector has.
        dimensions: u32,
        /// How they are kept.
        element: DenseElement,
        /// How vectors are scored.
        metric: DenseMetric,
    },
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
    /// See [`FieldOptions::Dense`].
    Dense,
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
            Self::Dense { .. } => FieldKind::Dense,
            Self::Unknown { .. } => FieldKind::Unknown,
        }
    }

    /// What all vectors of a dense field have in common; `None` for other kinds.
    pub fn dense_shape(&self) -> Option<DenseShape> {
        match self {
            Self::Dense {
                dimensions,
                element,
                metric,
            } => Some(DenseShape {
                dimensions: *dimensions,
                element: *element,
                metric: *metric,
            }),
            _ => None,
        }
    }
}

impl From<DenseShape> for FieldOptions {
    fn from(shape: DenseShape) -> Self {
        Self::Dense {
            dimensions: shape.dimensions,
            element: shape.element,
            metric: shape.metric,
        }
    }
}

pub(super) fn encode_options(options: &FieldOptions) -> (u64, Vec<u8>) {
    match options {
        FieldOptions::Text {
            analyzer,
            revision,
            bm25,
        } => {
            let mut bytes = bm25.k1.to_le_bytes().to_vec();
            bytes.extend(bm25.b.to_le_bytes());
            bytes.extend(revision.to_le_bytes());
            bytes.extend(analyzer.as_bytes());
            (1, bytes)
        }
        FieldOptions::Sparse {
            scale,
            clamps,
            terms,
            layout,
        } => {
            let mut bytes = scale.to_le_bytes().to_vec();
            bytes.push(u8::from(*terms == SparseTerms::Numbers));
            bytes.push(u8::from(*layout == SparseLayout::Tiers));
            bytes.push(u8::from(*clamps));
            (2, bytes)
        }
        FieldOptions::Stored => (3, Vec::new()),
        FieldOptions::Dense {
            dimensions,
            element,
            metric,
        } => {
            let shape = DenseShape {
                dimensions: *dimensions,
                element: *element,
                metric: *metric,
            };
            (4, dense::encode_shape(shape))
        }
        FieldOptions::Unknown { kind, options } => (*kind, options.clone()),
    }
}

pub(super) fn decode_options(kind: u64, bytes: &[u8]) -> Parse<FieldOptions> {
    Ok(match kind {
        1 => {
            let cut = Malformed("options of a text field end early");
            let (k1, rest) = bytes.split_first_chunk::<4>().ok_or(cut)?;
            let (b, rest) = rest.split_first_chunk::<4>().ok_or(cut)?;
            let (revision, analyzer) = rest.split_first_chunk::<4>().ok_or(cut)?;
            let (k1, b) = (f32::from_le_bytes(*k1), f32::from_le_bytes(*b));
            let bm25 = Bm25 { k1, b };
            if bm25.check().is_err() {
                return Err(Malformed("parameters of a text field make no sense"));
            }
            FieldOptions::Text {
                analyzer: utf8(analyzer)?,
                revision: u32::from_le_bytes(*revision),
                bm25,
            }
        }
        2 => {
            let &[a, b, c, d, terms, layout, clamps] = bytes else {
                return Err(Malformed("options of a sparse field have seven bytes"));
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
            if clamps > 1 {
                return Err(Malformed(
                    "a sparse field neither clamps weights nor keeps them",
                ));
            }
            FieldOptions::Sparse {
                scale,
                clamps: clamps == 1,
                terms,
                layout,
            }
        }
        3 => FieldOptions::Stored,
        4 => dense::decode_shape(bytes)?.into(),
        kind => FieldOptions::Unknown {
            kind,
            options: bytes.to_vec(),
        },
    })
}
