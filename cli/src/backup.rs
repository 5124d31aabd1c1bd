//! `esparsa backup`: a copy of an index, while a writer may go on.

use std::path::PathBuf;

use esparsa::{Index, Result};
use serde::Serialize;

use crate::output;
use crate::search::report::print_line;
use crate::size::counted;

/// Arguments of `esparsa backup`.
#[derive(clap::Args)]
pub struct Backup {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Folder of the copy, which must not hold an index. On the file system of the index the copy
    /// shares its files (hard links).
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    commit: u64,
    documents: u64,
    segments: usize,
}

impl Backup {
    /// Copies the newest commit, and prints what the copy holds.
    ///
    /// # Errors
    ///
    /// What reading the index and writing the copy give; the folder then holds no index.
    pub fn run(self) -> Result<()> {
        let snapshot = Index::open(&self.index)?.snapshot()?;
        snapshot.backup(&self.output)?;
        let report = Report {
            commit: snapshot.commit(),
            documents: snapshot.documents(),
            segments: snapshot.segment_count(),
        };
        if self.json {
            return print_line(&report);
        }
        output::print(format!(
            "commit {} backed up: the copy holds {} in {}",
            report.commit,
            counted(report.documents, "document"),
            counted(report.segments as u64, "segment")
        ))
    }
}
