//! Fields, segments and sections of a snapshot, as text and as JSON.

use std::fmt;
use std::path::Path;

use esparsa::DenseShape;
use esparsa::Field;
use esparsa::FieldNumber;
use esparsa::SegmentStatistics;
use esparsa::{DenseElement, DenseMetric, FieldOptions, Schema, Snapshot};
use serde::Serialize;

use crate::parts::Parts;
use crate::size::{Size, counted, grouped};

/// What an index holds.
#[derive(Debug, Serialize)]
pub struct Summary {
    folder: String,
    manifest: String,
    commit: u64,
    documents: u64,
    deleted: u64,
    bytes_on_disk: Parts,
    fields: Vec<FieldSummary>,
    segments: Vec<SegmentSummary>,
}

/// A field, with statistics of all segments; deleted documents are counted.
#[derive(Debug, Serialize)]
struct FieldSummary {
    number: u32,
    name: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    analyzer: Option<String>,
    /// Whether the positions of terms are kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    positions: bool,
    /// Larger weights are clamped to it, if it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_weight: Option<f32>,
    /// The approximate max weight, as expected when the index was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_max_weight: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<ColumnSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dense: Option<DenseSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<ModelSummary>,
    /// Documents that have a term, a vector or a value of the field.
    documents: u64,
    postings: u64,
    /// Text: words. Sparse: sum of quantized impacts.
    total: u64,
    /// Text: terms too long. Sparse: weights clamped.
    skipped: u64,
    /// Sparse: weights below half of the smallest step, rounded up to it.
    rounded_up: u64,
    /// What `calibrate` measured with.
    #[serde(skip_serializing_if = "Option::is_none")]
    calibrated: Option<Calibrated>,
}

#[derive(Debug, Serialize)]
struct ColumnSummary {
    r#type: &'static str,
    /// Whether a document may have several values.
    several: bool,
}

#[derive(Debug, Serialize)]
struct DenseSummary {
    dimensions: u32,
    element: &'static str,
    metric: &'static str,
}

/// The model that makes the field's vectors.
#[derive(Debug, Serialize)]
struct ModelSummary {
    name: String,
    /// In hexadecimal.
    fingerprint: String,
}

#[derive(Debug, Serialize)]
struct Calibrated {
    queries: u64,
    documents: u64,
}

#[derive(Debug, Serialize)]
struct SegmentSummary {
    file: String,
    bytes: u64,
    documents: u32,
    deleted: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletes_file: Option<String>,
    sections: Vec<SectionSummary>,
}

#[derive(Debug, Serialize)]
struct SectionSummary {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    bytes: u64,
}

impl Summary {
    /// What `snapshot`, whose files are in `folder`, holds.
    pub fn of(snapshot: &Snapshot, folder: &Path) -> Self {
        let schema = snapshot.schema();
        let fields = schema.fields().iter();
        let segments = snapshot.segment_statistics().into_iter();
        let segments: Vec<_> = segments.map(|s| SegmentSummary::of(s, schema)).collect();
        Self {
            folder: folder.to_string_lossy().into_owned(),
            manifest: snapshot.manifest_file(),
            commit: snapshot.commit(),
            documents: snapshot.documents(),
            deleted: segments.iter().map(|s| u64::from(s.deleted)).sum(),
            bytes_on_disk: Parts::of(snapshot),
            fields: fields
                .map(|field| FieldSummary::of(field, snapshot))
                .collect(),
            segments,
        }
    }
}

impl FieldSummary {
    fn of(field: &Field, snapshot: &Snapshot) -> Self {
        let kind = match &field.options {
            FieldOptions::Unknown { kind, .. } => format!("unknown ({kind})"),
            options => options.kind().name().to_owned(),
        };
        let (analyzer, weights) = match &field.options {
            FieldOptions::Text(text) => (Some(text.analyzer.clone()), None),
            FieldOptions::Sparse(sparse) => (None, Some((sparse.scale * 255.0, sparse.clamps))),
            _ => (None, None),
        };
        let totals = snapshot.totals(field.number);
        Self {
            number: field.number,
            name: field.name.clone(),
            kind,
            analyzer,
            positions: matches!(&field.options, FieldOptions::Text(text) if text.positions),
            max_weight: weights.filter(|(_, clamps)| *clamps).map(|(max, _)| max),
            expected_max_weight: weights.filter(|(_, clamps)| !clamps).map(|(max, _)| max),
            column: match &field.options {
                FieldOptions::Column(column) => Some(ColumnSummary {
                    r#type: column.column_type.name(),
                    several: column.several,
                }),
                _ => None,
            },
            dense: field.options.dense_shape().map(DenseSummary::of),
            model: field.options.model().map(|model| ModelSummary {
                name: model.name.clone(),
                fingerprint: format!("{:032x}", model.fingerprint),
            }),
            documents: totals.documents,
            postings: totals.postings,
            total: totals.total,
            skipped: totals.skipped,
            rounded_up: totals.rounded_up,
            calibrated: snapshot.calibration(field.number).map(|kept| Calibrated {
                queries: kept.queries,
                documents: kept.documents,
            }),
        }
    }
}

impl DenseSummary {
    fn of(shape: DenseShape) -> Self {
        Self {
            dimensions: shape.dimensions,
            element: match shape.element {
                DenseElement::F32 => "f32",
                DenseElement::F16 => "f16",
                DenseElement::I8 => "i8",
                _ => "unknown",
            },
            metric: match shape.metric {
                DenseMetric::InnerProduct => "inner-product",
                DenseMetric::Cosine => "cosine",
                _ => "unknown",
            },
        }
    }
}

impl SegmentSummary {
    fn of(segment: SegmentStatistics, schema: &Schema) -> Self {
        let name_of = |number: FieldNumber| {
            let field = schema.fields().iter().find(|field| field.number == number);
            field.map_or_else(|| number.to_string(), |field| field.name.clone())
        };
        let sections = segment.sections.into_iter();
        Self {
            file: segment.file,
            bytes: segment.bytes,
            documents: segment.documents,
            deleted: segment.deleted,
            deletes_file: segment.deletes_file,
            sections: sections
                .map(|section| SectionSummary {
                    name: section.name,
                    field: section.field.map(name_of),
                    bytes: section.bytes,
                })
                .collect(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} ({} deleted) in {}, {}",
            self.folder,
            counted(self.documents, "document"),
            grouped(self.deleted),
            counted(self.segments.len() as u64, "segment"),
            self.manifest
        )?;
        writeln!(f, "{}", self.bytes_on_disk.describe())?;
        for field in &self.fields {
            write!(f, "\n{field}")?;
        }
        for segment in &self.segments {
            write!(f, "\n\n{segment}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FieldSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field `{}`: {}", self.name, self.kind)?;
        if let Some(analyzer) = &self.analyzer {
            write!(f, ", analyzer {analyzer}")?;
        }
        if self.positions {
            write!(f, ", with positions")?;
        }
        if let Some(weight) = self.max_weight {
            write!(f, ", max weight {weight:.4}")?;
        }
        if let Some(column) = &self.column {
            let several = if column.several {
                ", several values"
            } else {
                ""
            };
            write!(f, ", {}{several}", column.r#type)?;
        }
        if let Some(dense) = &self.dense {
            let (dimensions, element, metric) = (dense.dimensions, dense.element, dense.metric);
            let dimensions = counted(u64::from(dimensions), "dimension");
            write!(f, ", {dimensions}, {element}, {metric}")?;
        }
        if let Some(model) = &self.model {
            write!(f, ", model {} ({})", model.name, model.fingerprint)?;
        }
        let documents = counted(self.documents, "document");
        let postings = counted(self.postings, "posting");
        match &*self.kind {
            "text" => {
                let words = counted(self.total, "word");
                let skipped = counted(self.skipped, "term");
                write!(f, "; {documents}, {postings}, {words}, {skipped} skipped")
            }
            "sparse" => {
                let clamped = counted(self.skipped, "weight");
                let rounded = grouped(self.rounded_up);
                write!(
                    f,
                    "; {documents}, {postings}, {clamped} clamped, {rounded} rounded up"
                )?;
                let Some(calibrated) = &self.calibrated else {
                    return Ok(());
                };
                let queries = counted(calibrated.queries, "query");
                let documents = counted(calibrated.documents, "document");
                write!(f, "; recall calibrated with {queries} on {documents}")
            }
            "dense" => write!(f, "; {}", counted(self.postings, "vector")),
            "column" => write!(f, "; {documents}, {}", counted(self.postings, "value")),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for SegmentSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, {}",
            self.file,
            counted(u64::from(self.documents), "document"),
            Size(self.bytes)
        )?;
        if let Some(file) = &self.deletes_file {
            write!(
                f,
                "; {} deleted by {file}",
                grouped(u64::from(self.deleted))
            )?;
        }
        for section in &self.sections {
            let field = section.field.as_deref().unwrap_or("");
            let (name, bytes) = (&section.name, Size(section.bytes));
            write!(f, "\n  {name:<18}{field:<14}{bytes:>12}")?;
        }
        Ok(())
    }
}
