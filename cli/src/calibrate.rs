//! `esparsa calibrate`: measures recall and cost of approximate searches of a sparse field.

use std::path::PathBuf;

use esparsa::{Calibration, Index, MergePolicy, Result, WriterOptions};
use serde::Serialize;

use crate::output;
use crate::queries::{FieldArguments, QuerySet, TopicPart};
use crate::search::report::print_line;
use crate::size::counted;

const COLUMNS: &str = "\
Columns of the result:
  k            number of documents searched for
  recall       share of the exact results that is found, the mean of the queries
  µs           microseconds a query takes, the mean
  weight kept  share of the query's weight in the terms that are searched; the terms with the
               lowest weights are skipped
  slack        factor of the upper bounds of ranges of documents: the lower it is, the more ranges
               are skipped; 1 skips none wrongly";

/// Arguments of `esparsa calibrate`.
#[derive(clap::Args, Debug)]
#[command(after_help = COLUMNS)]
pub struct Calibrate {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// File of queries, as for `esparsa search`: a hundred or more that are typical of the queries
    /// to come. Each is searched about 170 times.
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// Sparse field to measure: its name, or `sparse` for the first one [default: the index's only
    /// sparse field].
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// Print the measurements, and do not change the index.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    queries: u64,
    documents: u64,
    /// The commit that stores the calibration.
    commit: Option<u64>,
    points: Vec<PointReport>,
}

#[derive(Serialize)]
struct PointReport {
    k: u32,
    recall: f32,
    microseconds: f32,
    /// Share of the query's weight that is searched.
    weight_kept: f32,
    slack: f32,
}

impl Calibrate {
    /// Measures, stores the result in a commit, and prints it.
    ///
    /// # Errors
    ///
    /// What opening the index, reading the queries, searching or writing gives.
    pub fn run(self) -> Result<()> {
        let index = Index::open(&self.index)?;
        // The lock is held while measuring, so that the commit changes nothing but what was
        // measured.
        let options = WriterOptions::new().merge_policy(MergePolicy::never());
        let writer = match self.dry_run {
            true => None,
            false => Some(index.writer_with(options)?),
        };
        let snapshot = index.snapshot()?;
        let field = FieldArguments::sparse(self.field).find_sparse(&snapshot)?;
        let arguments = FieldArguments::sparse(Some(field.name));
        let part = TopicPart::default();
        let set = QuerySet::open(&self.queries, part, &arguments, &snapshot)?;
        let calibration = snapshot.calibrate(&set.queries)?;
        let mut report = Report::of(&calibration);
        let mut text = table(&calibration);
        if let Some(mut writer) = writer {
            writer.keep_calibration(calibration)?;
            let commit = writer.commit()?.commit;
            report.commit = Some(commit);
            text += &format!(
                "\nstored with commit {commit}: `esparsa search --recall 0.97` uses the first line of its k with that recall"
            );
        }
        match self.json {
            true => print_line(&report),
            false => output::print(text),
        }
    }
}

impl Report {
    fn of(calibration: &Calibration) -> Self {
        let points = calibration.points.iter().map(|point| PointReport {
            k: point.k,
            recall: point.recall,
            microseconds: point.microseconds,
            weight_kept: point.share,
            slack: point.slack,
        });
        Self {
            queries: calibration.queries,
            documents: calibration.documents,
            commit: None,
            points: points.collect(),
        }
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
