//! `esparsa train`: models of one's own.
//!
//! A run is described by a configuration in TOML. Every key of it is also an option, which has
//! precedence.

mod arguments;
mod cut;
mod new;
mod progress;
mod table;
mod texts;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use esparsa::executor::CancelToken;
use esparsa::train::{TrainKind, TrainOptions, train};
use esparsa::{Error, Result};

use crate::index::language::Detected;
use crate::output;
use arguments::Keys;
use progress::TrainProgress;

/// Documents by which the language is detected.
const DETECTED: usize = 200;

/// Arguments of `esparsa train`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  Train a SPLADE model on the training part of a collection, for a quarter of an hour:
    esparsa train splade --base models/splade --collection scifact/ --output my-splade \\
        --learning-rate 3e-4 --seconds 900

  A cross-encoder, as a file says, with another seed:
    esparsa train cross cross.toml --seed 2

  Check that the loss goes to zero on one batch:
    esparsa train splade splade.toml --overfit batch --steps 100

  Align a model to an English one on the documents that two collections share:
    esparsa train align --base student --teacher splade --documents pt/ --parallel-documents en/ \\
        --parallel-ids pt/qrels/train.tsv --collection pt/ --output aligned

  Go on after an interruption:
    esparsa train splade splade.toml --resume

  Make a small model of one's own, and train it from random weights:
    esparsa train new --texts scifact/corpus.jsonl --output tiny --layers 2 --hidden 128
    esparsa train splade --base tiny --collection scifact/ --output tiny-splade --learning-rate 1e-3

Ctrl-C ends a run with a checkpoint.")]
pub struct Train {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// A model of sparse vectors: SPLADE.
    Splade(RunArguments),
    /// A cross-encoder, which scores a query and a document together.
    Cross(RunArguments),
    /// A bi-encoder, which makes dense vectors.
    Bi(RunArguments),
    /// A sparse model that learns another language from parallel texts: its vector of a text is
    /// drawn to the one that a teacher has of the text's translation.
    Align(RunArguments),
    /// A masked language model of the documents of a collection, from which the others can start.
    Mlm(RunArguments),
    /// Make a model with random weights and a vocabulary learned from texts, to train from.
    New(new::New),
    /// Cut the vocabulary of a model to the pieces that a collection uses: a multilingual model
    /// becomes several times smaller, and SPLADE over its vocabulary feasible.
    Cut(cut::Cut),
}

/// A configuration, and options that have precedence over it.
struct RunArguments {
    config: Option<PathBuf>,
    keys: Keys,
}

impl FromArgMatches for RunArguments {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        Ok(Self {
            config: matches.get_one::<PathBuf>("config").cloned(),
            keys: Keys::of(matches),
        })
    }

    fn update_from_arg_matches(
        &mut self,
        matches: &ArgMatches,
    ) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for RunArguments {
    fn augment_args(command: Command) -> Command {
        arguments::augment(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        arguments::augment(command)
    }
}

impl Train {
    /// Trains a model.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a configuration or data that are wrong, and those of training.
    pub fn run(self) -> Result<()> {
        let (kind, arguments) = match self.kind {
            Kind::Splade(arguments) => (TrainKind::Splade, arguments),
            Kind::Cross(arguments) => (TrainKind::Cross, arguments),
            Kind::Bi(arguments) => (TrainKind::Bi, arguments),
            Kind::Align(arguments) => (TrainKind::Align, arguments),
            Kind::Mlm(arguments) => (TrainKind::Mlm, arguments),
            Kind::Cut(cut) => return cut.run(),
            Kind::New(new) => return new.run(),
        };
        let mut options: TrainOptions = arguments.keys.options(arguments.config.as_deref())?;
        if let (None, Some(collection)) = (&options.language, &options.collection) {
            options.language = Some(detected(&collection.join("corpus.jsonl"))?);
        }
        let cancel = CancelToken::new();
        let of_handler = cancel.clone();
        ctrlc::set_handler(move || {
            // The second one ends the process as usual.
            if of_handler.is_cancelled() {
                std::process::exit(130);
            }
            of_handler.cancel();
        })
        .map_err(|error| Error::invalid(format!("cannot handle Ctrl-C: {error}")))?;
        let summary = train(kind, &options, &mut TrainProgress::new(false), &cancel)?;
        if summary.is_cancelled {
            output::message(&format!(
                "cancelled after step {}; `--resume` goes on from its checkpoint",
                summary.steps
            ));
            // Programs must not take what there is for the finished model.
            return cancel.check("training");
        }
        Ok(())
    }
}

/// The analyzer for the first documents of a collection.
fn detected(corpus: &Path) -> Result<String> {
    let file = File::open(corpus).map_err(|source| Error::io(corpus, "open", source))?;
    let mut texts = Vec::new();
    for line in BufReader::new(file).lines().take(DETECTED) {
        let line = line.map_err(|source| Error::io(corpus, "read", source))?;
        // What is no document is an error of the library, which names its line.
        let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        texts.extend(value["text"].as_str().map(str::to_owned));
    }
    let detected = Detected::of(&texts);
    output::message(&detected.reason);
    Ok(detected.analyzer)
}
