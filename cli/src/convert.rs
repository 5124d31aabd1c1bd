//! `esparsa convert`: published collections, turned into BEIR's layout.
//!
//! What comes in: the files of a collection as they are published. What goes out: a folder with
//! `corpus.jsonl`, `queries.jsonl` and `qrels/{train,dev,test}.tsv`, which the other subcommands
//! read, and a report of what was left out and why. Documents are streamed; in memory are their
//! ids, the judgements, and hashes of the queries.
//!
//! | file | concept |
//! | --- | --- |
//! | `ms_marco`, `trec`, `squad`, `miracl`, `beir` | one published format each |
//! | `collection` | from documents, queries and judgements to the layout |
//! | `items` | documents and queries of any format, one after another |
//! | `judgements` | relevance judgements of three parts |
//! | `layout` | the folder that is written |
//! | `report` | what was written, and what was left out |

mod beir;
mod collection;
mod items;
mod judgements;
mod layout;
mod miracl;
mod ms_marco;
mod report;
mod squad;
mod trec;

use std::path::PathBuf;

use clap::Subcommand;
use esparsa::Result;

use crate::index::OnBadInput;
use crate::input::InputEncoding;

const EXAMPLES: &str = "\
Examples:
  mMARCO in Portuguese, with judgements for training made of triplets:
    esparsa convert ms-marco portuguese_collection.tsv --queries portuguese_queries.train.tsv \\
        --queries portuguese_queries.dev.small.tsv --triplets triples.train.ids.small.tsv \\
        --dev-share 1 --test qrels.dev.small.tsv --output mmarco-pt
  Robust04, with its descriptions as queries:
    esparsa convert trec robust04/ --queries topics.robust04.txt --topic-part description \\
        --test qrels.robust04.txt --output robust04
  KorQuAD, whose training file is split by article:
    esparsa convert squad KorQuAD_v1.0_train.json --shares 90,10,0 --test KorQuAD_v1.0_dev.json \\
        --output korquad
  A folder in BEIR's layout, checked:
    esparsa convert beir scifact/ --strict --output checked

The output is a folder in BEIR's layout, which `esparsa index`, `search`, `eval`, `train` and `study`
read: corpus.jsonl, queries.jsonl, and qrels/train.tsv, qrels/dev.tsv and qrels/test.tsv.";

/// Arguments of `esparsa convert`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Convert {
    #[command(subcommand)]
    format: Format,
}

#[derive(Subcommand)]
enum Format {
    /// MS MARCO's passages and documents, and mMARCO in all its languages.
    MsMarco(ms_marco::MsMarco),
    /// Collections of TREC, such as Robust04, and translations of them, such as mRobust.
    Trec(trec::Trec),
    /// Questions about paragraphs in the JSON of SQuAD: SQuAD, KorQuAD 1.0, FaQuAD, KLUE-MRC.
    Squad(squad::Squad),
    /// MIRACL, in all its languages.
    Miracl(miracl::Miracl),
    /// A folder in BEIR's layout, or one that is close to it, with checks.
    Beir(beir::Beir),
}

impl Convert {
    /// Converts a collection, and prints a report.
    ///
    /// # Errors
    ///
    /// What reading the inputs and writing the folder give; nothing is written then.
    pub fn run(self) -> Result<()> {
        match self.format {
            Format::MsMarco(command) => command.run(),
            Format::Trec(command) => command.run(),
            Format::Squad(command) => command.run(),
            Format::Miracl(command) => command.run(),
            Format::Beir(command) => command.run(),
        }
    }
}

/// Options of every format.
#[derive(clap::Args, Debug)]
struct Options {
    /// Folder that is written, in BEIR's layout; a new or empty one.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Character encoding of the inputs, such as latin1 or shift_jis; `auto` is UTF-8, or UTF-16
    /// where a file begins with a byte order mark, and detects the encoding of each document of
    /// TREC files that is not UTF-8.
    #[arg(long, value_name = "E", default_value = "auto")]
    encoding: InputEncoding,
    /// What to do with a record that cannot be read.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    on_bad_input: OnBadInput,
    /// Refuse what is otherwise left out and counted: a second record with the same id, documents
    /// and queries without a text, and judgements of documents or queries that no input has.
    #[arg(long)]
    strict: bool,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Options without names of files.
    pub(super) fn options(strict: bool) -> Options {
        Options {
            output: PathBuf::from("out"),
            encoding: InputEncoding::default(),
            on_bad_input: OnBadInput::default(),
            strict,
            json: false,
            quiet: true,
        }
    }
}
