//! `esparsa index`: loading documents.
//!
//! The main thread reads the inputs and cuts them into chunks; the writer's threads parse and
//! invert them. A load becomes visible in one commit at its end, or, when it fails, none of it;
//! with `--commit-every` what was committed stays, and an interrupted load can be resumed.
//!
//! Of records with the same id within one load the last is kept, as of documents of several loads,
//! or `--on-duplicate` says otherwise. Ids are then remembered here, so that the answer depends
//! neither on commits nor on threads.
//!
//! | file | concept |
//! | --- | --- |
//! | `peek` | what the first records say about the fields that are needed |
//! | `language` | the language of texts, where none is named |
//! | `dense` | the options for dense vectors |
//! | `target` | the index that is loaded, opened or created |
//! | `encoding` | models that make the vectors of documents |
//! | `load` | the way from chunks to commits |
//! | `problems` | what becomes of bad records and duplicates |
//! | `commit_every`, `commits` | when to commit |
//! | `checkpoint` | what of the inputs is committed, to resume a load |
//! | `report` | what was done |

mod checkpoint;
mod commit_every;
mod commits;
mod dense;
mod encoding;
mod language;
mod load;
mod peek;
mod problems;
mod report;
mod target;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use self::checkpoint::{Checkpoint, Done, Inputs};
use self::commit_every::CommitEvery;
use self::commits::Commits;
use self::dense::DenseArguments;
use self::encoding::{Encoders, EncodingArguments};
use self::language::Detected;
use self::load::{Load, Shape};
use self::peek::Peeked;
pub(super) use self::problems::Problem;
pub(super) use self::problems::{OnBadInput, Problems};
use self::report::Report;
use self::target::Target;
use super::input::{Ids, InputEncoding, InputFormat, OnDuplicate, Reader, Source};
use super::output;
use super::progress::Progress;
use super::size::{Size, counted};
use esparsa::error::{Error, Result};
use esparsa::text::Analyzer;
use esparsa::{MergePolicy, WriterOptions};

/// Segments of fewer documents gain nothing from another order.
pub(super) const REORDER_FROM: u32 = 1_024;

const EXAMPLES: &str = "\
Fields of JSON Lines:
  _id or id  the document's id, a string or an integer
  title      indexed before the text
  text, contents, content, body or passage
             the text: the first of these that is a string
  vector     a sparse vector (an object of term to weight) or a dense one (an array of numbers)
  Other fields are stored with the document, but not indexed.

Examples:
  A large collection with a model, committed every five minutes; after an interruption the same
  command continues:
    esparsa index docs.jsonl --index i --sparse-model splade-v3 --commit-every 5min --resume";

/// Arguments of `esparsa index`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Index {
    /// Files or folders of documents, or `-` for standard input; `.gz` and `.zst` files are decompressed.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// Folder of the index: a new or empty one, or one that holds an index, which is added to.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Language of the texts, as a code or an English name, or `simple` for none [default: what the
    /// index has, or for a new one what the first texts are in].
    #[arg(long, value_name = "LANG", value_parser = analyzer_name)]
    language: Option<String>,
    /// Memory that loading may take, about, such as 256MB or 2GiB; at least 32MiB. Each thread
    /// beyond the second takes some 14 MB besides.
    #[arg(long, value_name = "SIZE", default_value = "256MB", value_parser = writer_memory)]
    memory: Size,
    /// Number of threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Format of the inputs; `auto` tells it for each file by name and content, and takes standard input for `jsonl`.
    #[arg(long, value_name = "F", default_value = "auto", value_parser = input_format())]
    format: InputFormat,
    /// Character encoding of the inputs, such as latin1 or shift_jis; `auto` is UTF-8, or UTF-16
    /// where a file begins with a byte order mark, and detects the encoding of each document of
    /// TREC files that is not UTF-8.
    #[arg(long, value_name = "E", default_value = "auto")]
    encoding: InputEncoding,
    /// What to do with a record that cannot be read.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    on_bad_input: OnBadInput,
    /// What to do with a record whose id an earlier record of this load has. Documents of earlier
    /// loads are always replaced.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    on_duplicate: OnDuplicate,
    /// Commit after about this much: documents (100000), bytes of input (1GB), or time (5min).
    /// Commits lie between pieces of input of 1 MiB or 8,192 lines, so smaller amounts and slow
    /// streams wait for the end of such a piece [default: one commit at the end].
    #[arg(long, value_name = "N|SIZE|TIME")]
    commit_every: Option<CommitEvery>,
    /// Continue after the last commit of an interrupted load, with the same inputs and models. If
    /// there is none, say so and load from the beginning.
    #[arg(long)]
    resume: bool,
    /// Keep no documents in a new index, so that only ids can be returned.
    #[arg(long)]
    no_stored: bool,
    /// Max weight of sparse vectors in a new index: weights are quantized to 255 steps up to it,
    /// and larger ones are clamped to it and counted [default: none; each segment chooses steps
    /// that suit its weights].
    #[arg(long, value_name = "X", value_parser = positive)]
    max_weight: Option<f32>,
    #[command(flatten)]
    dense: DenseArguments,
    #[command(flatten)]
    models: EncodingArguments,
    /// Number of segments to merge to at the end, at most [default: as the merge policy leaves them].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    segments: Option<u32>,
    /// Put the documents of merged segments in an order in which those that share terms are close: searches take less
    /// time, loading takes more.
    #[arg(long)]
    reorder: bool,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

impl Index {
    /// Loads the inputs, and prints a report.
    ///
    /// # Errors
    ///
    /// What reading the inputs and writing the index give; the index is as it was at the last
    /// commit then.
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        let mut reader = Reader::open_encoded(&self.inputs, self.format, self.encoding)?;
        let inputs = self.inputs_to_note(&reader)?;
        let mut peeked = Peeked::read(&mut reader);
        let encoders = Encoders::open(&self.models, thread_count(self.threads))?;
        encoders.look_ahead(&mut peeked, self.max_weight.is_none())?;
        let inputs = inputs.map(|inputs| inputs.with_models(encoders.names()));
        let target = self.open_target(&peeked, &encoders)?;
        let mut writer = target.index().writer_with(self.writer_options())?;
        let before = target.index().snapshot()?;
        let start = self.start(inputs.as_ref(), before.commit())?;
        let mut progress = Progress::new(reader.total_bytes(), self.quiet);
        report_files_left_out(&reader, &progress);

        let mut commits = Commits::new(self.index.clone(), self.commit_every, inputs);
        let load = Load {
            writer: &mut writer,
            shape: Arc::new(Shape {
                fields: target.fields(),
                schema: before.schema().clone(),
            }),
            problems: Problems::new(self.on_bad_input, self.on_duplicate),
            commits: &mut commits,
            start,
            segments: self.segments,
            keys: peeked.keys_without_content(),
        };
        let source = Source::new(peeked.into_items(), reader);
        let ids = Ids::new(self.on_duplicate);
        let loaded = encoders.load(load, source, ids, &mut progress);
        drop(progress);
        let loaded = loaded.inspect_err(|_| {
            // The first error is the one to report: a writer that cannot roll back says no more.
            let _ = writer.rollback();
            target.undo();
            output::message(&what_stays(&commits));
        })?;
        drop(writer);
        let seconds = started.elapsed().as_secs_f64();
        let after = target.index().snapshot()?;
        let report = Report::new(&after, &target, &loaded, before.documents(), seconds);
        output::print(match self.json {
            true => report.to_json()?,
            false => report.to_string(),
        })
    }

    /// Opens the index, or creates it for texts in the language that is named or detected.
    fn open_target(&self, peeked: &Peeked, encoders: &Encoders) -> Result<Target> {
        if let Some(language) = &self.language {
            return Target::open_or_create(self, peeked, encoders, language);
        }
        let detected = Detected::of(peeked.texts());
        let target = Target::open_or_create(self, peeked, encoders, &detected.analyzer)?;
        if target.created() && !self.quiet {
            let reason = &detected.reason;
            output::message(&format!("{reason}; `--language` names another language"));
        }
        Ok(target)
    }

    /// What is noted of the inputs with each commit: nothing, unless the load may be resumed.
    fn inputs_to_note(&self, reader: &Reader) -> Result<Option<Inputs>> {
        if !self.resume && self.commit_every.is_none() {
            return Ok(None);
        }
        match Inputs::of(reader, self.format, self.encoding) {
            Ok(inputs) => Ok(Some(inputs)),
            Err(error) if self.resume => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Where the load begins, with an index whose last commit is `commit`.
    fn start(&self, inputs: Option<&Inputs>, commit: u64) -> Result<Done> {
        let Some(inputs) = inputs.filter(|_| self.resume) else {
            return Ok(Done::default());
        };
        let Some(checkpoint) = Checkpoint::read(&self.index)? else {
            if !self.quiet {
                output::message("no interrupted load to resume: loading from the beginning");
            }
            return Ok(Done::default());
        };
        checkpoint.check(inputs, commit)?;
        if !self.quiet {
            let documents = counted(checkpoint.done.documents, "document");
            output::message(&format!("resuming after {documents}"));
        }
        Ok(checkpoint.done)
    }

    fn writer_options(&self) -> WriterOptions {
        let threads = thread_count(self.threads);
        WriterOptions {
            threads,
            // Two merges at a time keep up with any number of threads; each has half of the memory.
            merge_threads: if threads < 4 { 1 } else { 2 },
            memory: usize::try_from(self.memory.0).unwrap_or(usize::MAX),
            // Segments that are merged at the end anyway need not be merged before.
            merge_policy: match (self.segments, self.commit_every) {
                (Some(_), None) => MergePolicy::never(),
                _ => MergePolicy::default(),
            },
            reorder_from: self.reorder.then_some(REORDER_FROM),
            ..WriterOptions::default()
        }
    }
}

/// What is in the index of a load that failed.
fn what_stays(commits: &Commits) -> String {
    let Some(done) = commits.last() else {
        return "nothing of this load is committed".to_owned();
    };
    let documents = counted(done.documents, "document");
    match commits.can_be_resumed() {
        true => format!("{documents} of this load are committed; `--resume` continues after them"),
        false => format!("{documents} of this load are committed"),
    }
}

pub(super) fn report_files_left_out(reader: &Reader, progress: &Progress) {
    if let Some(first) = reader.left_out().first() {
        progress.message(&format!(
            "left out {}, because neither name nor content tells a format; the first is {}",
            counted(reader.left_out().len() as u64, "file"),
            first.display()
        ));
    }
    if let Some(first) = reader.queries().first() {
        progress.message(&format!(
            "{} and the like are not read, because their names say that they are queries or judgements of the documents beside \
             them; name them as inputs to read them",
            first.display()
        ));
    }
}

/// The canonical name of an analyzer.
fn analyzer_name(name: &str) -> Result<String> {
    Ok(Analyzer::named(name)?.name().to_owned())
}

/// What was asked for, or as many threads as there are cores.
pub(super) fn thread_count(asked: Option<u32>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
    asked.map_or_else(cores, |threads| threads as usize)
}

pub(super) fn writer_memory(text: &str) -> Result<Size> {
    let size: Size = text.parse()?;
    if size.0 < WriterOptions::MIN_MEMORY as u64 {
        return Err(Error::invalid("expected at least 32MiB"));
    }
    Ok(size)
}

fn positive(text: &str) -> Result<f32> {
    let number = text.parse::<f32>().ok();
    number
        .filter(|number| number.is_finite() && *number > 0.0)
        .ok_or_else(|| Error::invalid(format!("expected a number above 0, found `{text}`")))
}

pub(super) fn input_format() -> impl TypedValueParser<Value = InputFormat> {
    PossibleValuesParser::new(InputFormat::NAMES).try_map(|name| name.parse::<InputFormat>())
}
