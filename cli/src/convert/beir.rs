//! Folders in BEIR's layout, or close to it.

use std::fs;
use std::path::{Path, PathBuf};

use esparsa::{Error, Result};

use super::Options;
use super::collection::Collection;
use super::items::Rows;
use super::judgements::{JudgementArguments, Judgements};
use super::layout::Part;
use super::report::Report;
use crate::input::InputFormat;
use crate::output;
use crate::queries::TopicPart;

/// Names of the file of queries, in order of preference.
const QUERIES: [&str; 4] = [
    "queries.jsonl",
    "queries.jsonl.gz",
    "queries.jsonl.zst",
    "queries.tsv",
];

const NOTES: &str = "\
Without options, judgements are read from the folder `qrels` and from files whose names begin with
`qrels`. A word of the name says the part: train; dev, valid, validation or val; test. Files with other
names are named by --train, --dev and --test. Of documents and queries only ids, titles and texts are
copied.

Example:
  esparsa convert beir nfcorpus/ --dev nfcorpus/judged-1.tsv --test nfcorpus/judged-2.tsv --output nf";

/// Arguments of `esparsa convert beir`.
#[derive(clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Beir {
    /// Folder with corpus.jsonl, which may end in `.gz` or `.zst`, or with a folder corpus.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// File of queries; may be given several times [default: queries.jsonl or queries.tsv in the
    /// folder]. Queries without judgements are left out.
    #[arg(long, value_name = "FILE")]
    queries: Vec<PathBuf>,
    #[command(flatten)]
    judgements: JudgementArguments,
    /// Keep documents with neither title nor text.
    #[arg(long)]
    keep_empty: bool,
    #[command(flatten)]
    options: Options,
}

impl Beir {
    /// Copies the folder.
    ///
    /// # Errors
    ///
    /// Those of [`Collection::convert`], and [`Error::InvalidInput`] for a folder without queries
    /// or judgements.
    pub fn run(mut self) -> Result<()> {
        if !self.folder.is_dir() {
            fs::metadata(&self.folder).map_err(|source| Error::io(&self.folder, "open", source))?;
            let message = "expected a folder in BEIR's layout, found a file";
            return Err(Error::invalid(message).at_line(self.folder.display().to_string(), 0));
        }
        if self.queries.is_empty() {
            self.queries.push(queries_of(&self.folder)?);
        }
        let mut judgements = Judgements::read(&self.judgements)?;
        if judgements.is_empty() {
            for (part, file) in qrels_of(&self.folder)? {
                judgements.add(part, &file)?;
            }
        }
        let folder = [self.folder];
        let collection = Collection {
            documents: &folder,
            format: InputFormat::Beir,
            rows: Rows::Text,
            queries: &self.queries,
            topic_part: TopicPart::default(),
            judgements,
            keeps_empty: self.keep_empty,
        };
        collection.convert(&self.options, Report::new(&self.options))
    }
}

/// The file of queries of a folder.
fn queries_of(folder: &Path) -> Result<PathBuf> {
    let mut files = QUERIES.iter().map(|name| folder.join(name));
    files.find(|file| file.is_file()).ok_or_else(|| {
        let message = format!(
            "expected a file of queries in the folder ({}), found none; name it with --queries",
            QUERIES.join(", ")
        );
        Error::invalid(message).at_line(folder.display().to_string(), 0)
    })
}

/// The files of judgements of a folder, each with its part. Those whose names say no part are
/// mentioned, and not read.
fn qrels_of(folder: &Path) -> Result<Vec<(Part, PathBuf)>> {
    let mut files = Vec::new();
    for (folder, prefix) in [(folder.join("qrels"), ""), (folder.to_owned(), "qrels")] {
        if !folder.is_dir() {
            continue;
        }
        let failed = |source| Error::io(&folder, "list", source);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_file() && name.starts_with(prefix) && !name.starts_with('.') {
                files.push(path);
            }
        }
    }
    files.sort_unstable();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for file in files {
        match part_of(&file) {
            Some(part) => known.push((part, file)),
            None => unknown.push(file.display().to_string()),
        }
    }
    if known.is_empty() {
        let found = match unknown.is_empty() {
            true => "none".to_owned(),
            false => unknown.join(", "),
        };
        let message = format!(
            "expected judgements such as qrels/test.tsv in the folder, found {found}; name them with --train, --dev or --test"
        );
        return Err(Error::invalid(message).at_line(folder.display().to_string(), 0));
    }
    for file in unknown {
        output::message(&format!(
            "skipped {file}, because its name says no part; name it with --train, --dev or --test"
        ));
    }
    Ok(known)
}

/// The part that a file's name says.
fn part_of(file: &Path) -> Option<Part> {
    let name = file.file_name()?.to_str()?.to_lowercase();
    let mut words = name.split(['.', '-', '_', ' ']);
    words.find_map(|word| match word {
        "train" | "training" => Some(Part::Train),
        "dev" | "devel" | "development" | "valid" | "validation" | "val" => Some(Part::Dev),
        "test" => Some(Part::Test),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_names_say_the_part() {
        for (name, part) in [
            ("qrels/train.tsv", Some(Part::Train)),
            ("qrels.validation.tsv.gz", Some(Part::Dev)),
            ("qrels-Dev_1.txt", Some(Part::Dev)),
            ("test.tsv", Some(Part::Test)),
            ("contest.tsv", None),
            ("train/fold1.tsv", None),
        ] {
            assert_eq!(part_of(Path::new(name)), part, "{name}");
        }
    }
}
