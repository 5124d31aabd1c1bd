//! MIRACL: passages in JSON Lines, topics in TSV files, and TREC qrels.

use std::fs;
use std::path::{Path, PathBuf};

use esparsa::{Error, Result};

use super::Options;
use super::collection::Collection;
use super::items::Rows;
use super::judgements::{JudgementArguments, Judgements};
use super::report::Report;
use crate::input::InputFormat;
use crate::queries::TopicPart;

const NOTES: &str = "\
Forms of the inputs:
  passages  JSON Lines with `docid`, `title` and `text`: docs-0.jsonl.gz and so on
  topics    an id, a tab, and the text: topics.miracl-v1.0-ko-dev.tsv
  qrels     four columns: qrels.miracl-v1.0-ko-dev.tsv

Judgements of MIRACL's test sets are not published, so results are usually those on its development
set: name that with --test, and take development queries from those for training with --dev-share.

Example:
  esparsa convert miracl miracl-corpus-v1.0-ko/ --queries topics.miracl-v1.0-ko-train.tsv \\
      --queries topics.miracl-v1.0-ko-dev.tsv --train qrels.miracl-v1.0-ko-train.tsv \\
      --dev-share 20 --test qrels.miracl-v1.0-ko-dev.tsv --output miracl-ko";

/// Arguments of `esparsa convert miracl`.
#[derive(clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Miracl {
    /// Files of passages, or folders, of which files with `.jsonl` in their names are read; `.gz`
    /// and `.zst` files are decompressed.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// File of topics; may be given several times, once for each part. Topics without judgements
    /// are left out.
    #[arg(long, value_name = "FILE", required = true)]
    queries: Vec<PathBuf>,
    #[command(flatten)]
    judgements: JudgementArguments,
    /// Keep passages with neither title nor text.
    #[arg(long)]
    keep_empty: bool,
    #[command(flatten)]
    options: Options,
}

impl Miracl {
    /// Converts the files.
    ///
    /// # Errors
    ///
    /// Those of [`Collection::convert`].
    pub fn run(self) -> Result<()> {
        let mut documents = Vec::new();
        for input in &self.inputs {
            match input.is_dir() {
                true => documents.append(&mut files_of_passages(input)?),
                false => documents.push(input.clone()),
            }
        }
        let collection = Collection {
            documents: &documents,
            format: InputFormat::JsonLines,
            rows: Rows::Text,
            queries: &self.queries,
            topic_part: TopicPart::default(),
            judgements: Judgements::read(&self.judgements)?,
            keeps_empty: self.keep_empty,
        };
        collection.convert(&self.options, Report::new(&self.options))
    }
}

/// The files of passages in a folder, which also has a description of the collection.
fn files_of_passages(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::io(folder, "list", source);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains(".jsonl") && !name.starts_with('.') {
            files.push(path);
        }
    }
    if files.is_empty() {
        let message = "expected files of passages such as docs-0.jsonl.gz in the folder, found none; name the files";
        return Err(Error::invalid(message).at_line(folder.display().to_string(), 0));
    }
    files.sort_unstable();
    Ok(files)
}
