//! `esparsa index`: loading documents.
//!
//! The main thread reads the inputs and cuts them into chunks; the writer's threads parse and invert them. All of a
//! load becomes visible in one commit at its end, or, when it fails, none of it.
//!
//! | file | concept |
//! | --- | --- |
//! | `peek` | what the first records say about the fields that are needed |
//! | `dense` | the options for dense vectors |
//! | `target` | the index that is loaded, opened or created |
//! | `encoding` | models that make the vectors of documents |
//! | `load` | the way from chunks to the commit, and what becomes of bad records |
//! | `report` | what was done |

mod dense;
#[cfg(feature = "neural")]
mod encoding;
#[cfg(not(feature = "neural"))]
#[path = "index/without_encoding.rs"]
mod encoding;
mod load;
mod peek;
mod report;
mod target;

use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use self::dense::DenseArguments;
use self::encoding::{Encoders, EncodingArguments};
use self::load::{Load, Loaded};
use self::peek::Peeked;
use self::report::Report;
use self::target::Target;
use super::input::{InputFormat, Reader};
use super::output;
use super::progress::Progress;
use super::size::{Size, counted};
use crate::error::{Error, Result};
use crate::text::Analyzer;
use crate::{MergePolicy, OnDuplicate, WriterOptions};

/// Segments of fewer documents gain nothing from another order.
pub(super) const REORDER_FROM: u32 = 1_024;

/// Arguments of `esparsa index`.
#[derive(clap::Args)]
pub struct Index {
    /// Files or folders of documents, or `-` for standard input; `.gz` and `.zst` files are decompressed.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// Folder of the index; created if it holds none, else added to.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Language of the texts, as a code or an English name, or `simple` for none [default: en, or what the index has].
    #[arg(long, value_name = "LANG", value_parser = analyzer_name)]
    language: Option<String>,
    /// Memory that loading may take, about, such as 256MB or 2GiB; at least 32MiB.
    #[arg(long, value_name = "SIZE", default_value = "256MB", value_parser = writer_memory)]
    memory: Size,
    /// Number of threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Format of the inputs; `auto` tells it for each file by name and content, and takes standard input for `jsonl`.
    #[arg(long, value_name = "F", default_value = "auto", value_parser = input_format())]
    format: InputFormat,
    /// What to do with a record that cannot be read.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    on_bad_input: OnBadInput,
    /// Keep no documents in a new index, so that only ids can be returned.
    #[arg(long)]
    no_stored: bool,
    /// Max weight of sparse vectors in a new index: weights are quantized to 255 steps up to it, and larger ones are clamped to it
    /// and counted [default: none; each segment chooses steps that suit its weights].
    #[arg(long, value_name = "X", value_parser = positive)]
    max_weight: Option<f32>,
    #[command(flatten)]
    dense: DenseArguments,
    #[command(flatten)]
    encoding: EncodingArguments,
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

/// What a bad record does to the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OnBadInput {
    /// The first one ends the load, and nothing of the load is committed.
    #[default]
    Fail,
    /// It is reported and left out; after 20 they are only counted.
    Skip,
}

impl Index {
    /// Loads the inputs in one commit, and prints a report.
    ///
    /// # Errors
    ///
    /// What reading the inputs and writing the index give; the index is as it was before then.
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        let mut reader = Reader::open(&self.inputs, self.format)?;
        let mut peeked = Peeked::read(&mut reader);
        let encoders = Encoders::open(&self.encoding, thread_count(self.threads))?;
        encoders.look_ahead(&mut peeked, self.max_weight.is_none())?;
        let target = Target::open_or_create(&self, &peeked, &encoders)?;
        let mut writer = target.index().writer_with(self.writer_options())?;
        let mut progress = Progress::new(reader.total_bytes(), self.quiet);
        report_files_left_out(&reader, &progress);

        let load = Load::new(&mut writer, target.fields(), self.on_bad_input);
        let items = peeked.into_items();
        let loaded = encoders.load(load, items, reader, self.segments, &mut progress);
        drop(progress);
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                // The first error is the one to report: a writer that cannot roll back says no more than that.
                let _ = writer.rollback();
                target.undo();
                if error.is_input() && self.on_bad_input == OnBadInput::Fail {
                    output::message(
                        "nothing of this load is committed; `--on-bad-input skip` leaves out what cannot be read",
                    );
                }
                return Err(error);
            }
        };
        drop(writer);
        self.report(&target, &loaded, started)
    }

    fn report(&self, target: &Target, loaded: &Loaded, started: Instant) -> Result<()> {
        let seconds = started.elapsed().as_secs_f64();
        let report = Report::new(&target.index().snapshot()?, target, loaded, seconds);
        output::print(if self.json {
            report.to_json()?
        } else {
            report.to_string()
        })
    }

    fn writer_options(&self) -> WriterOptions {
        WriterOptions {
            threads: thread_count(self.threads),
            memory: usize::try_from(self.memory.0).unwrap_or(usize::MAX),
            // Segments that are merged at the end anyway need not be merged before.
            merge_policy: match self.segments {
                Some(_) => MergePolicy::never(),
                None => MergePolicy::default(),
            },
            reorder_from: self.reorder.then_some(REORDER_FROM),
            on_duplicate: OnDuplicate::Reject,
        }
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
