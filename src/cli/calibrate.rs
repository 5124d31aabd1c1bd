//! `esparsa calibrate`: what approximate searches of a field lose and take.

use std::path::PathBuf;

use super::output;
use super::queries::{FieldArguments, QuerySet, TopicPart};
use super::size::counted;
use crate::error::Result;
use crate::format::Calibration;
use crate::index::Index;
use crate::{MergePolicy, WriterOptions};

/// Arguments of `esparsa calibrate`.
#[derive(clap::Args, Debug)]
pub struct Calibrate {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// File of queries, as for `search`: a hundred or more like those that will come. Each is searched some 170 times.
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    #[command(flatten)]
    field: FieldArguments,
    /// Show what was measured, and leave the index as it is.
    #[arg(long)]
    dry_run: bool,
}

impl Calibrate {
    /// Measures, keeps the result in a commit, and prints it.
    ///
    /// # Errors
    ///
    /// What opening the index, reading the queries, searching or writing gives.
    pub fn run(self) -> Result<()> {
        let index = Index::open(&self.index)?;
        // Held while measuring, so that what is measured is what is committed to.
        let writer = match self.dry_run {
            true => None,
            false => Some(index.writer_with(WriterOptions {
                merge_policy: MergePolicy::never(),
                ..WriterOptions::default()
            })?),
        };
        let snapshot = index.snapshot()?;
        let part = TopicPart::default();
        let set = QuerySet::open(&self.queries, part, &self.field, snapshot.schema())?;
        let calibration = snapshot.calibrate(&set.queries)?;
        let mut text = table(&calibration);
        if let Some(mut writer) = writer {
            writer.keep_calibration(calibration)?;
            let report = writer.commit()?;
            text += &format!(
                "\nkept with commit {}: `search --recall 0.97` takes the first line of its k with that recall",
                report.commit
            );
        }
        output::print(text)
    }
}

fn table(calibration: &Calibration) -> String {
    let mut text = format!(
        "{} on {}\n\n     k  recall        µs  weight kept  slack",
        counted(calibration.queries, "query"),
        counted(calibration.documents, "document")
    );
    for point in &calibration.points {
        text += &format!(
            "\n{:>6}  {:.4}  {:>8.1}  {:>11.2}  {:>5.2}",
            point.k, point.recall, point.microseconds, point.share, point.slack
        );
    }
    text
}
