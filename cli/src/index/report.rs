//! The report of a load, as text and as JSON.

use std::fmt;

use esparsa::FieldTotals;
use esparsa::{Error, FieldOptions, Result, Snapshot};
use serde::Serialize;

use super::load::Loaded;
use super::target::{SPARSE_FIELD, TEXT_FIELD, Target};
use crate::parts::Parts;
use crate::size::{Size, counted, grouped};

/// The report of a load.
#[derive(Debug, Serialize)]
pub struct Report {
    created: bool,
    /// Name of the analyzer of texts.
    analyzer: Option<String>,
    documents: u64,
    /// Documents that replaced others with the same id, of this load or of earlier ones.
    replaced: u64,
    resumed_after: u64,
    bad_records: u64,
    duplicates: u64,
    seconds: f64,
    documents_per_second: f64,
    input_bytes: u64,
    input_megabytes_per_second: f64,
    commit: u64,
    index_documents: u64,
    segments: usize,
    bytes_on_disk: Parts,
    /// Terms of texts too long to be indexed, in the whole index.
    terms_skipped: u64,
    /// Weights above the max weight, in the whole index.
    weights_clamped: u64,
    /// Weights below half of the smallest step, in the whole index.
    weights_rounded_up: u64,
    /// All weights of sparse vectors, in the whole index.
    weights: u64,
    /// Larger weights are clamped to it; `None` unless requested.
    max_weight: Option<f32>,
    peak_resident_bytes: Option<u64>,
}

impl Report {
    /// The report of a load that took `seconds`, before which the index had `before` documents, and
    /// after which it is `snapshot`.
    pub fn new(
        snapshot: &Snapshot,
        target: &Target,
        loaded: &Loaded,
        before: u64,
        seconds: f64,
    ) -> Self {
        let per_second = |count: f64| count / seconds.max(1e-9);
        let schema = snapshot.schema();
        let totals = |name| {
            let field = schema.field(name);
            field.map_or_else(FieldTotals::default, |field| snapshot.totals(field.number))
        };
        let sparse = schema.field(SPARSE_FIELD).map(|field| &field.options);
        let of_sparse = totals(SPARSE_FIELD);
        Self {
            created: target.created(),
            analyzer: match schema.field(TEXT_FIELD).map(|field| &field.options) {
                Some(FieldOptions::Text(text)) => Some(text.analyzer.clone()),
                _ => None,
            },
            documents: loaded.documents,
            replaced: (before + loaded.documents).saturating_sub(loaded.commit.documents),
            resumed_after: loaded.resumed_after,
            bad_records: loaded.bad_records,
            duplicates: loaded.duplicates,
            seconds,
            documents_per_second: per_second(loaded.documents as f64),
            input_bytes: loaded.input_bytes,
            input_megabytes_per_second: per_second(loaded.input_bytes as f64 / 1e6),
            commit: loaded.commit.commit,
            index_documents: loaded.commit.documents,
            segments: loaded.commit.segments,
            bytes_on_disk: Parts::of(snapshot),
            terms_skipped: totals(TEXT_FIELD).skipped,
            weights_clamped: of_sparse.skipped,
            weights_rounded_up: of_sparse.rounded_up,
            weights: of_sparse.postings,
            max_weight: match sparse {
                Some(FieldOptions::Sparse(sparse)) if sparse.clamps => Some(sparse.scale * 255.0),
                _ => None,
            },
            peak_resident_bytes: peak_resident_bytes(),
        }
    }

    /// One JSON object.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when a number has no JSON form, which does not happen.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::invalid(error.to_string()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} in {:.2} s: {} documents/s, {}/s",
            counted(self.documents, "document"),
            self.seconds,
            grouped(self.documents_per_second as u64),
            // With a model it is a few kB/s, which would be 0.0 in MB/s.
            Size((self.input_megabytes_per_second * 1e6) as u64)
        )?;
        if self.resumed_after > 0 {
            let before = counted(self.resumed_after, "document");
            writeln!(f, "{before} had been loaded before")?;
        }
        for (count, what) in [
            (self.bad_records, "bad record"),
            (self.duplicates, "duplicate"),
        ] {
            if count > 0 {
                writeln!(f, "{} skipped", counted(count, what))?;
            }
        }
        if self.replaced > 0 {
            let replaced = counted(self.replaced, "document");
            writeln!(f, "{replaced} replaced by a later one with the same id")?;
        }
        writeln!(
            f,
            "the index {} {} in {} (commit {})",
            if self.created {
                "is new, with"
            } else {
                "holds"
            },
            counted(self.index_documents, "document"),
            counted(self.segments as u64, "segment"),
            self.commit
        )?;
        write!(f, "{}", self.bytes_on_disk.describe())?;
        self.fmt_losses(f)?;
        if let Some(bytes) = self.peak_resident_bytes {
            let bytes = Size(bytes);
            write!(f, "\n{bytes} of memory at the peak, including mapped files")?;
        }
        Ok(())
    }
}

impl Report {
    /// The terms and weights that the index does not hold as they were given.
    fn fmt_losses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms_skipped > 0 {
            let terms = counted(self.terms_skipped, "term");
            write!(f, "\n{terms} too long, skipped")?;
        }
        if let Some(weight) = self.max_weight {
            let clamped = counted(self.weights_clamped, "weight");
            write!(f, "\nmax weight {weight:.4}, {clamped} clamped to it")?;
        }
        if self.weights_rounded_up > 0 {
            let (rounded, all) = (self.weights_rounded_up, self.weights);
            let (rounded, all) = (grouped(rounded), counted(all, "weight"));
            write!(f, "\n{rounded} of {all} rounded up to the smallest step")?;
        }
        Ok(())
    }
}

/// Peak resident memory of this process in bytes, with the pages of mapped files, where the system
/// reports it.
fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_of_memory_is_some_megabytes() {
        let bytes = super::peak_resident_bytes().unwrap();
        assert!(bytes > 100_000, "{bytes}");
    }
}
