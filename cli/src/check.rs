//! `esparsa check`: verifies an index.

use std::path::PathBuf;
use std::time::Instant;

use esparsa::SegmentStatistics;
use esparsa::{Index, IndexOptions, Result, Verify};
use serde::Serialize;

use crate::output::Output;
use crate::search::report::line;
use crate::size::{Size, counted, grouped};

/// Arguments of `esparsa check`.
#[derive(clap::Args)]
pub struct Check {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// If the newest commit is damaged and an older one still exists and is intact, go back to the
    /// older one. Everything committed since is lost.
    #[arg(long)]
    accept_older_commit: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What was verified; damage is an error and has no report.
#[derive(Serialize)]
struct Report {
    commit: u64,
    documents: u64,
    bytes: u64,
    seconds: f64,
    segments: Vec<SegmentReport>,
}

#[derive(Serialize)]
struct SegmentReport {
    file: String,
    documents: u64,
    deleted: u64,
    terms: u64,
    postings: u64,
    sections: u64,
    bytes: u64,
}

impl Check {
    /// Whether an older commit may become the index.
    pub fn accepts_older_commit(&self) -> bool {
        self.accept_older_commit
    }

    /// Verifies the newest commit, and prints what was verified.
    ///
    /// # Errors
    ///
    /// The first damage found, and what opening the index gives.
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        let mut options = IndexOptions::new().verify(Verify::AtOpen);
        if self.accept_older_commit {
            options = options.accept_older_commit();
        }
        let index = Index::open_with(&self.index, options)?;
        let snapshot = index.snapshot()?;
        let mut output = Output::new();
        if !self.json {
            output.line(format!(
                "commit {}: manifest and checksums verified",
                snapshot.commit()
            ))?;
        }
        let mut segments = Vec::new();
        for (number, statistics) in snapshot.segment_statistics().into_iter().enumerate() {
            snapshot.verify_segment(number)?;
            let report = SegmentReport::from(statistics);
            if !self.json {
                output.line(report.describe())?;
            }
            segments.push(report);
        }
        // All of it is intact. Committing makes an older commit the newest one.
        let commit = match self.accept_older_commit {
            true => index.writer()?.commit()?.commit,
            false => snapshot.commit(),
        };
        let report = Report {
            commit,
            documents: snapshot.documents(),
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            seconds: started.elapsed().as_secs_f64(),
            segments,
        };
        output.line(match self.json {
            true => line(&report)?,
            false => report.describe(),
        })?;
        output.finish()
    }
}

impl Report {
    fn describe(&self) -> String {
        format!(
            "intact: {} in {}, {} in {:.1} s",
            counted(self.documents, "document"),
            counted(self.segments.len() as u64, "segment"),
            Size(self.bytes),
            self.seconds
        )
    }
}

impl From<SegmentStatistics> for SegmentReport {
    fn from(segment: SegmentStatistics) -> Self {
        Self {
            documents: u64::from(segment.documents),
            deleted: u64::from(segment.deleted),
            terms: segment.terms,
            postings: segment.postings,
            sections: segment.sections.len() as u64,
            bytes: segment.bytes,
            file: segment.file,
        }
    }
}

impl SegmentReport {
    fn describe(&self) -> String {
        format!(
            "{}: {} ({} deleted), {}, {}, {}, {}",
            self.file,
            counted(self.documents, "document"),
            grouped(self.deleted),
            counted(self.terms, "term"),
            counted(self.postings, "posting"),
            counted(self.sections, "section"),
            Size(self.bytes)
        )
    }
}
