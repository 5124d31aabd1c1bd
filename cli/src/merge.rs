//! `esparsa merge`: fewer segments, without deleted documents.

use std::path::PathBuf;

use esparsa::{Index, MergePolicy, Result, WriterOptions};
use serde::Serialize;

use crate::index::{REORDER_FROM, thread_count, writer_memory};
use crate::output;
use crate::parts::Parts;
use crate::search::report::print_line;
use crate::size::{Size, counted};

/// Arguments of `esparsa merge`.
#[derive(clap::Args)]
pub struct Merge {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Max number of segments afterwards; with 1, deleted documents are removed from disk too.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    segments: u32,
    /// Reorder the documents of merged segments, so that those with common terms are close
    /// together: searches are faster.
    #[arg(long)]
    reorder: bool,
    /// Number of threads that compute the order [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Approximate memory for computing the order; with too little memory documents are not
    /// reordered.
    #[arg(long, value_name = "SIZE", default_value = "1GB", value_parser = writer_memory)]
    memory: Size,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    commit: u64,
    documents: u64,
    segments_before: usize,
    segments: usize,
    bytes_before: u64,
    bytes: u64,
}

impl Merge {
    /// Merges in one commit, and prints what the index was before and is now.
    ///
    /// # Errors
    ///
    /// What writing the index gives; it is as before then.
    pub fn run(self) -> Result<()> {
        let index = Index::open(&self.index)?;
        let options = WriterOptions::new()
            .merge_policy(MergePolicy::never())
            .threads(thread_count(self.threads))
            .memory(usize::try_from(self.memory.0).unwrap_or(usize::MAX))
            .reorder_from(self.reorder.then_some(REORDER_FROM));
        let mut writer = index.writer_with(options)?;
        let before = index.snapshot()?;
        writer.merge_to(self.segments as usize)?;
        let report = writer.commit()?;
        let after = index.snapshot()?;
        let report = Report {
            commit: report.commit,
            documents: report.documents,
            segments_before: before.segment_count(),
            segments: report.segments,
            bytes_before: Parts::of(&before).total,
            bytes: Parts::of(&after).total,
        };
        if self.json {
            return print_line(&report);
        }
        output::print(format!(
            "{} before, {} after: {}, {} before, {} after",
            counted(report.segments_before as u64, "segment"),
            report.segments,
            counted(report.documents, "document"),
            Size(report.bytes_before),
            Size(report.bytes)
        ))
    }
}
