//! `esparsa merge`: fewer segments, without deleted documents.

use std::path::PathBuf;

use super::output;
use super::parts::Parts;
use super::size::{Size, counted};
use crate::error::Result;
use crate::{Index, MergePolicy, WriterOptions};

/// Arguments of `esparsa merge`.
#[derive(clap::Args)]
pub struct Merge {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Number of segments to have at most; with 1, deleted documents are dropped from disk too.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    segments: u32,
}

impl Merge {
    /// Merges in one commit, and prints what the index was before and is now.
    ///
    /// # Errors
    ///
    /// What writing the index gives; it is as before then.
    pub fn run(self) -> Result<()> {
        let index = Index::open(&self.index)?;
        let options = WriterOptions {
            merge_policy: MergePolicy::never(),
            ..WriterOptions::default()
        };
        let mut writer = index.writer_with(options)?;
        let before = index.snapshot()?;
        writer.merge_to(self.segments as usize)?;
        let report = writer.commit()?;
        let after = index.snapshot()?;
        output::print(format!(
            "{} before, {} after: {}, {} before, {} after",
            counted(before.segments().len() as u64, "segment"),
            report.segments,
            counted(report.documents, "document"),
            Size(Parts::of(&before).total),
            Size(Parts::of(&after).total)
        ))
    }
}
