//! Collections of TREC: documents in SGML, topics and qrels; and translations of them in TSV files.

use std::path::PathBuf;

use esparsa::Result;

use super::Options;
use super::collection::Collection;
use super::items::Rows;
use super::judgements::{JudgementArguments, Judgements};
use super::report::Report;
use crate::index::input_format;
use crate::input::InputFormat;
use crate::queries::TopicPart;

const NOTES: &str = "\
Documents are in TREC's SGML (<DOC>, <DOCNO>), in TSV files of an id, a tab and the text, as those of
mRobust, or in JSON Lines. The title of a document is its TITLE or HEADLINE. Topics may be in SGML or
XML, and queries in TSV files or JSON Lines.

The folds of a cross-validation are files of qrels with the topics of each fold: name four of them with
--train and --dev, and the fifth with --test.

Examples:
  esparsa convert trec robust04/ --queries topics.robust04.txt --test qrels.robust04.txt --output robust04
  esparsa convert trec portuguese_collection.tsv --queries portuguese_queries.tsv \\
      --test qrels.robust04.txt --output mrobust-pt";

/// Arguments of `esparsa convert trec`.
#[derive(clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Trec {
    /// Files or folders of documents; `.gz` and `.zst` files are decompressed.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// File of topics or queries; may be given several times. Queries without judgements are left
    /// out.
    #[arg(long, value_name = "FILE", required = true)]
    queries: Vec<PathBuf>,
    /// Part of TREC topics that becomes the text of the query.
    #[arg(long, value_name = "PART", value_enum, default_value_t)]
    topic_part: TopicPart,
    /// Format of the documents; `auto` detects it for each file by name and content.
    #[arg(long, value_name = "F", default_value = "auto", value_parser = input_format())]
    format: InputFormat,
    #[command(flatten)]
    judgements: JudgementArguments,
    /// Keep documents with neither title nor text.
    #[arg(long)]
    keep_empty: bool,
    #[command(flatten)]
    options: Options,
}

impl Trec {
    /// Converts the files.
    ///
    /// # Errors
    ///
    /// Those of [`Collection::convert`].
    pub fn run(self) -> Result<()> {
        let collection = Collection {
            documents: &self.inputs,
            format: self.format,
            rows: Rows::Text,
            queries: &self.queries,
            topic_part: self.topic_part,
            judgements: Judgements::read(&self.judgements)?,
            keeps_empty: self.keep_empty,
        };
        collection.convert(&self.options, Report::new(&self.options))
    }
}
