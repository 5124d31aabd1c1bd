//! The package `esparsa-cli`: the command line of the search engine [`esparsa`], with a module for
//! each subcommand.
//!
//! What comes in: the arguments of the process. What goes out: results on standard output, and
//! messages, warnings and progress on standard error. The subcommands only read arguments, call the
//! library and print: nothing here knows how an index is written or searched. The binary `esparsa`
//! calls [`main`]; the rest is public only for tests and fuzzing.
//!
//! | file | concept |
//! | --- | --- |
//! | `input` | documents of many formats, read as records |
//! | `index` | loading documents into an index |
//! | `search`, `bench` | queries against an index: results, and how long they take |
//! | `suggest` | completions of prefixes, and corrections of misspelled words |
//! | `serve` | a server of HTTP, with an API and a page |
//! | `calibrate` | recall and cost of approximate searches |
//! | `get`, `delete`, `merge`, `attach`, `backup` | operations on an existing index |
//! | `check`, `inspect` | verification and statistics of an index |
//! | `eval` | metrics of runs, and significance tests |
//! | `fuse` | fusion of runs |
//! | `fuzz` | what the fuzz targets call |
//! | `encode` | vectors of texts, by a model |
//! | `rerank` | re-ranking of a run by a model |
//! | `train` | models of one's own |
//! | `study` | systems compared on collections |
//! | `convert` | published collections, turned into BEIR's layout |
//! | `models`, `records` | shared by the subcommands with models |
//! | `cuda` | kernels for NVIDIA GPUs, compiled ahead of time |
//! | `demo` | a built-in collection, to try the program without files |
//! | `completions` | completion scripts for shells |
//! | `queries`, `size`, `parts` | query files, sizes in bytes, and the size of an index by component |
//! | `timings` | how long single queries take |
//! | `progress`, `output` | progress on standard error, results on standard output |
//! | `output_file` | output files that appear complete or not at all |
//! | `escape` | escapes for control characters |
//!
//! An option means the same in every subcommand: `--index` is the folder of an index, `--queries` a
//! file of queries, `--qrels` relevance judgements, `--run` a run that is read, `--output` the file
//! that is written, `--k` the number of results for each query, `--threads` how many threads share
//! the work (all cores, except for `bench`, which measures single queries), `--json` output for
//! programs.

mod attach;
mod backup;
mod bench;
mod calibrate;
mod check;
mod ciff;
mod completions;
mod convert;
#[cfg(feature = "cuda")]
mod cuda;
mod delete;
mod demo;
mod encode;
mod escape;
mod eval;
mod fuse;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod fuzz;
mod get;
mod index;
pub mod input;
mod inspect;
mod merge;
mod models;
mod output;
mod output_file;
mod parts;
mod progress;
mod queries;
mod records;
mod rerank;
mod search;
mod serve;
mod size;
mod study;
mod suggest;
mod timings;
mod train;

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};
use esparsa::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  Index a BEIR folder, and search it:
    esparsa index scifact/ --index scifact.index
    esparsa search --index scifact.index \"do vitamins prevent colds\"

  Index compressed JSON Lines in Portuguese, on 8 threads, into one segment:
    esparsa index noticias.jsonl.gz --index noticias.index --language pt --threads 8 --segments 1

  Add documents from another program, skipping what cannot be read:
    zcat pages.jsonl.gz | esparsa index - --index pages.index --on-bad-input skip

  Run a file of queries, and evaluate the run:
    esparsa search --index scifact.index --queries scifact/queries.jsonl --k 100 --output bm25.run
    esparsa eval --qrels scifact/qrels/test.tsv bm25.run --metrics ndcg@10,recall@100

Exit codes: 0 done, 1 the work failed, 2 wrong usage.";

/// The arguments of the process.
#[derive(Parser)]
#[command(name = "esparsa", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load documents into an index, which is created if there is none.
    Index(index::Index),
    /// Search an index with one query or a file of queries.
    Search(Box<search::Search>),
    /// Complete the beginning of a word or a title, or correct misspelled words.
    Suggest(suggest::Suggest),
    /// Serve indexes over HTTP: a JSON API, and a page to search them with.
    Serve(serve::Serve),
    /// Print stored documents, one JSON line each.
    Get(get::Get),
    /// Delete documents by id, or all that match a query.
    Delete(delete::Delete),
    /// Merge the segments of an index into fewer.
    Merge(merge::Merge),
    /// Add the segments of other indexes to an index, without rewriting them.
    Attach(attach::Attach),
    /// Copy an index to another folder, while a writer may go on.
    Backup(backup::Backup),
    /// Verify every checksum and every invariant of an index.
    Check(check::Check),
    /// Show what an index holds: fields, segments, sections, terms, one document.
    Inspect(inspect::Inspect),
    /// Evaluate runs with relevance judgements.
    Eval(eval::Eval),
    /// Fuse several runs into one.
    Fuse(fuse::Fuse),
    /// Encode documents or queries with a model, as JSON Lines.
    Encode(encode::Encode),
    /// Re-rank the first documents of a run with a cross-encoder or a late-interaction model.
    Rerank(rerank::Rerank),
    /// Train a model on your own data.
    Train(train::Train),
    /// Compare systems on collections, as a configuration says, and report.
    Study(study::Study),
    /// Convert a published collection (MS MARCO, TREC, SQuAD, MIRACL, BEIR) to BEIR's layout.
    Convert(convert::Convert),
    /// Exchange lists with other engines, in the Common Index File Format.
    Ciff(ciff::Ciff),
    /// Measure how long queries take.
    Bench(bench::Bench),
    /// Index and search a small built-in collection.
    Demo(demo::Demo),
    /// Measure recall and cost of approximate searches of a sparse field, and store them with the
    /// index.
    Calibrate(calibrate::Calibrate),
    /// Prepare the kernels for NVIDIA GPUs.
    #[cfg(feature = "cuda")]
    Cuda(cuda::Cuda),
    /// Print a completion script for a shell.
    Completions(completions::Completions),
}

impl Command {
    fn run(self) -> Result<()> {
        match self {
            Self::Index(command) => command.run(),
            Self::Search(command) => command.run(),
            Self::Suggest(command) => command.run(),
            Self::Serve(command) => command.run(),
            Self::Calibrate(command) => command.run(),
            Self::Get(command) => command.run(),
            Self::Delete(command) => command.run(),
            Self::Merge(command) => command.run(),
            Self::Attach(command) => command.run(),
            Self::Backup(command) => command.run(),
            Self::Check(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Eval(command) => command.run(),
            Self::Fuse(command) => command.run(),
            Self::Encode(command) => command.run(),
            Self::Rerank(command) => command.run(),
            Self::Train(command) => command.run(),
            Self::Study(command) => command.run(),
            Self::Convert(command) => command.run(),
            Self::Ciff(command) => command.run(),
            Self::Bench(command) => command.run(),
            Self::Demo(command) => command.run(),
            #[cfg(feature = "cuda")]
            Self::Cuda(command) => command.run(),
            Self::Completions(command) => command.run(),
        }
    }
}

/// Runs the command that the process was started with.
///
/// Wrong usage ends the process with code 2 before anything is done, and `--help` and `--version`
/// with code 0.
pub fn main() -> ExitCode {
    let arguments = command().get_matches();
    let parsed = Cli::from_arg_matches(&arguments).unwrap_or_else(|error| error.exit());
    let check = Checked::of(&parsed.command);
    match parsed.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        // The reader, such as `head`, has closed the pipe because it has read enough.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            let text = format!("error: {error}");
            match &error {
                // The message may quote several lines of compiler output.
                Error::Device { .. } => text.lines().for_each(output::message),
                _ => output::message(&text),
            }
            if let Some(advice) = advice(&error, check) {
                output::message(advice);
            }
            ExitCode::FAILURE
        }
    }
}

/// What `esparsa check` was asked for, if it is the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checked {
    /// Another command.
    Nothing,
    /// The newest commit.
    Newest,
    /// The newest commit or else an older one.
    NewestOrOlder,
}

impl Checked {
    fn of(command: &Command) -> Self {
        match command {
            Command::Check(check) if check.accepts_older_commit() => Self::NewestOrOlder,
            Command::Check(_) => Self::Newest,
            _ => Self::Nothing,
        }
    }
}

/// True for the path of a file that a commit of an index names.
fn is_of_index(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let parts = name.and_then(|name| name.split_once('-'));
    parts.is_some_and(|(kind, number)| {
        ["segment", "deletes"].contains(&kind)
            && number.len() == 10
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The command that helps after an error; errors of the library name no command.
fn advice(error: &Error, check: Checked) -> Option<&'static str> {
    match error {
        Error::Io { path, source, .. }
            if source.kind() == ErrorKind::NotFound && is_of_index(path) =>
        {
            Some(
                "the index lacks one of its files: restore the file from a copy, or build the index again",
            )
        }
        Error::Corrupt {
            older_commit: Some(_),
            ..
        } => Some("`esparsa check --accept-older-commit` makes the older commit the index"),
        Error::Corrupt { file, .. }
            if check == Checked::NewestOrOlder && file.starts_with("manifest-") =>
        {
            Some("no older commit is whole, so there is none to go back to")
        }
        Error::Corrupt { .. } if check == Checked::Nothing => {
            Some("`esparsa check` verifies the whole index and names the damage")
        }
        _ => None,
    }
}

/// The arguments. Negative numbers are values, so that the error for one out of range names the
/// range.
fn command() -> clap::Command {
    fn accept_negative_numbers(command: clap::Command) -> clap::Command {
        let takes_value = |argument: &Arg| argument.get_action().takes_values();
        let command = command.mut_args(|argument| match takes_value(&argument) {
            true => argument.allow_negative_numbers(true),
            false => argument,
        });
        command.mut_subcommands(accept_negative_numbers)
    }
    accept_negative_numbers(Cli::command())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_every_subcommand_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn files_of_an_index_are_told_from_others() {
        for (path, expected) in [
            ("i/segment-0000000001", true),
            ("deletes-0000000012", true),
            ("i/segment-1.jsonl", false),
            ("i/manifest-0000000001", false),
            ("i", false),
        ] {
            assert_eq!(is_of_index(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn every_option_has_a_help_text() {
        let mut command = command();
        command.build();
        for subcommand in command.get_subcommands() {
            assert!(
                subcommand.get_about().is_some(),
                "{}",
                subcommand.get_name()
            );
            for argument in subcommand.get_arguments() {
                let name = (subcommand.get_name(), argument.get_id());
                assert!(argument.get_help().is_some(), "{name:?} has no help text");
            }
        }
    }
}
