//! MS MARCO and mMARCO: TSV files of passages or documents and of queries, TREC qrels, and
//! triplets.

use std::path::PathBuf;

use esparsa::Result;

use super::Options;
use super::collection::Collection;
use super::items::Rows;
use super::judgements::{JudgementArguments, Judgements};
use super::report::Report;
use crate::input::InputFormat;
use crate::queries::TopicPart;

const NOTES: &str = "\
Forms of the inputs:
  passages   an id, a tab, and the text: collection.tsv, portuguese_collection.tsv
  documents  id, URL, title and body, with tabs between them: msmarco-docs.tsv; told by the URL of the
             first row. The URL is not kept.
  queries    an id, a tab, and the text: queries.train.tsv, msmarco-doctrain-queries.tsv
  qrels      four columns, separated by tabs or blanks: qrels.dev.small.tsv
  triplets   the ids of a query, a relevant passage and a negative, with tabs between them:
             qidpidtriples.train.full.2.tsv, triples.train.ids.small.tsv

A file of triplets of texts (triples.train.small.tsv: query, relevant passage and negative) has no ids
and needs no conversion: `esparsa train --triplets` reads it, and triplets of ids, as they are.

Example:
  esparsa convert ms-marco collection.tsv --queries queries.train.tsv --queries queries.dev.small.tsv \\
      --train qrels.train.tsv --dev-share 1 --test qrels.dev.small.tsv --output msmarco";

/// Arguments of `esparsa convert ms-marco`.
#[derive(clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct MsMarco {
    /// Files of passages or documents; `.gz` and `.zst` files are decompressed.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// File of queries; may be given several times, once for each part. Queries without judgements
    /// are left out.
    #[arg(long, value_name = "FILE", required = true)]
    queries: Vec<PathBuf>,
    #[command(flatten)]
    judgements: JudgementArguments,
    /// Triplets of ids, from which judgements for training are made: each pair of a query and a
    /// relevant passage once.
    #[arg(long, value_name = "FILE", conflicts_with = "train")]
    triplets: Option<PathBuf>,
    /// Keep passages and documents with neither title nor text.
    #[arg(long)]
    keep_empty: bool,
    #[command(flatten)]
    options: Options,
}

impl MsMarco {
    /// Converts the files.
    ///
    /// # Errors
    ///
    /// Those of [`Collection::convert`].
    pub fn run(self) -> Result<()> {
        let mut report = Report::new(&self.options);
        let mut judgements = Judgements::read(&self.judgements)?;
        if let Some(triplets) = &self.triplets {
            judgements.add_triplets(triplets, &self.options, &mut report)?;
        }
        let collection = Collection {
            documents: &self.inputs,
            format: InputFormat::Tsv,
            rows: Rows::TextOrDocument,
            queries: &self.queries,
            topic_part: TopicPart::default(),
            judgements,
            keeps_empty: self.keep_empty,
        };
        collection.convert(&self.options, report)
    }
}
