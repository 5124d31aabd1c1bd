//! `esparsa check`: whether an index is whole.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::output::Output;
use super::size::{Size, counted, grouped};
use crate::error::Result;
use crate::index::SnapshotSegment;
use crate::store::FileSystem;
use crate::{Index, IndexOptions, Verify, segment};

/// Arguments of `esparsa check`.
#[derive(clap::Args)]
pub struct Check {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
}

impl Check {
    /// Verifies the newest commit, and prints what was verified.
    ///
    /// # Errors
    ///
    /// The first damage found, and what opening the index gives.
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        let directory = Arc::new(FileSystem::open(&self.index)?);
        let options = IndexOptions::new().verify(Verify::AtOpen);
        let snapshot = Index::open_in(directory, options)?.snapshot()?;
        let mut output = Output::new();
        output.line(format!(
            "commit {}: manifest and all checksums are right",
            snapshot.commit()
        ))?;
        let mut bytes = 0;
        for part in snapshot.segments() {
            segment::verify(&part.reader)?;
            bytes += part.entry.stamp.length;
            output.line(describe(part))?;
        }
        output.line(format!(
            "whole: {} in {}, {} in {:.1} s",
            counted(snapshot.documents(), "document"),
            counted(snapshot.segments().len() as u64, "segment"),
            Size(bytes),
            started.elapsed().as_secs_f64()
        ))?;
        output.finish()
    }
}

fn describe(segment: &SnapshotSegment) -> String {
    let container = segment.reader.container();
    let fields = &segment.reader.info().fields;
    format!(
        "{}: {} ({} deleted), {}, {}, {}, {}",
        container.file(),
        counted(u64::from(segment.entry.documents), "document"),
        grouped(u64::from(segment.deleted.as_ref().map_or(0, |d| d.count()))),
        counted(fields.iter().map(|field| field.terms).sum(), "term"),
        counted(fields.iter().map(|field| field.postings).sum(), "posting"),
        counted(container.sections().count() as u64, "section"),
        Size(segment.entry.stamp.length)
    )
}
