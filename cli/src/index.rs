//! `esparsa index`: loading documents.
//!
//! The main thread reads the inputs and cuts them into chunks; the writer's threads parse and
//! invert them. A load becomes visible in one commit at its end; if it fails, none of it does. With
//! `--commit-every` earlier commits of the load stay, and an interrupted load can be resumed.
//!
//! Of several records with the same id the last is kept, within one load as across loads, unless
//! `--on-duplicate` says otherwise. Then ids are remembered here, so that the result depends
//! neither on commits nor on threads.
//!
//! | file | concept |
//! | --- | --- |
//! | `peek` | the first records, which determine the fields of a new index |
//! | `analyzer` | names of analyzers, with lists of stop words in files |
//! | `language` | detection of the language of texts |
//! | `dense` | the options for dense vectors |
//! | `target` | the index that is loaded, opened or created |
//! | `encoding` | models that make the vectors of documents |
//! | `load` | from chunks to commits |
//! | `problems` | policies for bad records and duplicates |
//! | `commit_every`, `commits` | when to commit |
//! | `checkpoint` | how much of the inputs is committed, to resume a load |
//! | `report` | the report of a load |

mod analyzer;
mod checkpoint;
mod columns;
mod commit_every;
mod commits;
mod dense;
mod encoding;
pub(crate) mod language;
mod load;
mod peek;
mod problems;
mod report;
mod target;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use esparsa::{Error, MergePolicy, Result, WriterOptions};

pub(crate) use self::analyzer::analyzer_name;
use self::checkpoint::{Checkpoint, Done, Inputs};
use self::columns::ColumnArguments;
use self::commit_every::CommitEvery;
use self::commits::Commits;
use self::dense::DenseArguments;
use self::encoding::{Encoders, EncodingArguments};
use self::language::Detected;
use self::load::{Load, Mapping};
use self::peek::Peeked;
pub(super) use self::problems::{OnBadInput, Problem, Problems};
use self::report::Report;
use self::target::Target;
use crate::input::{Ids, InputEncoding, InputFormat, OnDuplicate, Reader, Source, header_warning};
use crate::output;
use crate::progress::Progress;
use crate::size::{Size, counted};

/// Smaller segments gain nothing from reordering.
pub(super) const REORDER_FROM: u32 = 1_024;

const EXAMPLES: &str = "\
Fields of JSON Lines:
  _id, id or docid
             the document's id, a string or an integer
  title      indexed before the text
  text, contents, content, body or passage
             the text: the first of these that is a string
  vector     a sparse vector (an object of term to weight) or a dense one (an array of numbers)
  Other fields are stored with the document; `--column` makes columns of them, to filter by.

Columns of TSV files, which have no header: id and text, or id, title and text. A header is read as
a document, with a warning; `tail -n +2 docs.tsv | esparsa index - --format tsv --index i` skips it.

Examples:
  A shop, whose products are filtered by price and color:
    esparsa index products.jsonl --index i --column price:f64 --column color:keyword:several
  A large collection with a model, committed every five minutes; after an interruption the same
  command continues:
    esparsa index docs.jsonl --index i --sparse-model splade-v3 --commit-every 5min --resume";

/// Arguments of `esparsa index`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Index {
    /// Files or folders of documents, or `-` for standard input; `.gz` and `.zst` files are
    /// decompressed.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// Folder of the index: a new or empty one, or one that holds an index, which is added to.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Language of the texts, as a code or an English name, such as `pt` or `portuguese`, or
    /// `simple` for none. Options may follow: `en+stopwords` keeps stop words, `de+fold` removes
    /// accents, `en+parts` finds the parts of words such as `browser.js`. Or a tokenizer and
    /// filters: `standard|lowercase|fold|stem:pt`, or `standard|lowercase|edge-ngram:2-10` to
    /// search as you type; the filter `stop:@FILE` drops the words of a file, one a line. The
    /// language of an index cannot be changed [default: that of the index or, for a new one, that
    /// of the first texts].
    #[arg(long, visible_alias = "analyzer", value_name = "LANG", value_parser = analyzer_name)]
    language: Option<String>,
    /// Keep the positions of words in texts, which searches for phrases need. An index that was
    /// built without them cannot get them later.
    #[arg(long)]
    positions: bool,
    /// Approximate memory for loading, such as 256MB or 2GiB; at least 32MiB. Each thread beyond
    /// the second takes about 14 MB more.
    #[arg(long, value_name = "SIZE", default_value = "256MB", value_parser = writer_memory)]
    memory: Size,
    /// Number of threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Format of the inputs; `auto` detects it for each file by name and content, and reads
    /// standard input as `jsonl`.
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
    /// What to do with a record that has the id of an earlier record of this load. Documents of
    /// earlier loads are always replaced.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    on_duplicate: OnDuplicate,
    /// Commit after about this much: documents (100000), bytes of input (1GB), or time (5min).
    /// Commits happen between chunks of input of 1 MiB or 8,192 lines, so smaller amounts and slow
    /// streams wait for the end of a chunk [default: one commit at the end].
    #[arg(long, value_name = "N|SIZE|TIME")]
    commit_every: Option<CommitEvery>,
    /// Continue after the last commit of an interrupted load, with the same inputs and models. If
    /// there is none, say so and load from the beginning; a load that was complete is not repeated.
    #[arg(long)]
    resume: bool,
    /// Store no documents in a new index, so that searches return only ids.
    #[arg(long)]
    no_stored: bool,
    /// Max weight of sparse vectors in a new index: weights are quantized to 255 steps up to it,
    /// and larger ones are clamped to it and counted [default: none; each segment chooses steps
    /// that suit its weights].
    #[arg(long, value_name = "X", value_parser = positive)]
    max_weight: Option<f32>,
    #[command(flatten)]
    columns: ColumnArguments,
    #[command(flatten)]
    dense: DenseArguments,
    #[command(flatten)]
    models: EncodingArguments,
    /// Merge to at most this number of segments at the end [default: as the merge policy decides].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    segments: Option<u32>,
    /// Reorder documents when segments are merged, so that those with common terms are close
    /// together: searches are faster, loading is slower.
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
        // The first records determine the fields of a new index, so they are read before it exists.
        let mut peeked = Peeked::read(&mut reader);
        let encoders = Encoders::open(&self.models, thread_count(self.threads))?;
        encoders.look_ahead(&mut peeked, self.max_weight.is_none())?;
        let inputs = inputs.map(|inputs| inputs.with_models(encoders.names()));
        let target = self.open_target(&peeked, &encoders)?;
        let mut writer = target.index().writer_with(self.writer_options())?;
        // Under the writer's lock, so that nobody else commits between the two.
        let before = target.index().snapshot()?;
        let start = self.start(inputs.as_ref(), before.commit())?;
        let mut progress = Progress::new(reader.total_bytes(), self.quiet);
        report_skipped_files(&reader, &progress);
        if let Some(file) = peeked.header() {
            progress.message(&header_warning(file, "document"));
        }

        let mut commits = Commits::new(self.index.clone(), self.commit_every, inputs);
        let load = Load {
            writer: &mut writer,
            mapping: Arc::new(Mapping {
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
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                // The load's error is the one to report; a failure to clean up adds nothing. A new
                // index goes too, so that the next attempt can choose other fields.
                let _ = writer.rollback();
                if target.created() {
                    let _ = writer.discard_new_index();
                }
                output::message(&what_stays(&commits));
                return Err(error);
            }
        };
        drop(writer);
        let seconds = started.elapsed().as_secs_f64();
        let after = target.index().snapshot()?;
        for warning in self.columns.warnings(&after) {
            output::message(&warning);
        }
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
        match target.analyzer() {
            Some(analyzer) if !target.created() => {
                if let Some(warning) = detected.warning(analyzer) {
                    output::message(&warning);
                }
            }
            _ if target.created() && !self.quiet => {
                let reason = &detected.reason;
                output::message(&format!("{reason}; `--language` names another language"));
            }
            _ => {}
        }
        Ok(target)
    }

    /// The description of the inputs that is saved with each commit, if the load may be resumed.
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
        if checkpoint.is_complete && checkpoint.difference(inputs).is_some() {
            if !self.quiet {
                output::message(
                    "no interrupted load to resume, the last one was complete and of other inputs: loading from the \
                     beginning",
                );
            }
            return Ok(Done::default());
        }
        checkpoint.check(inputs, commit)?;
        if !self.quiet && checkpoint.is_complete {
            let documents = counted(checkpoint.done.documents, "document");
            output::message(&format!(
                "that load was complete, with {documents}, and is not repeated; omit --resume to load the inputs again"
            ));
        } else if !self.quiet {
            let documents = counted(checkpoint.done.documents, "document");
            output::message(&format!("resuming after {documents}"));
        }
        Ok(checkpoint.done)
    }

    fn writer_options(&self) -> WriterOptions {
        let threads = thread_count(self.threads);
        WriterOptions::new()
            .threads(threads)
            // Two merges at a time keep up with any number of threads; each has half of the memory.
            .merge_threads(if threads < 4 { 1 } else { 2 })
            .memory(usize::try_from(self.memory.0).unwrap_or(usize::MAX))
            // Segments that are merged at the end anyway need not be merged before.
            .merge_policy(match (self.segments, self.commit_every) {
                (Some(_), None) => MergePolicy::never(),
                _ => MergePolicy::new(),
            })
            .reorder_from(self.reorder.then_some(REORDER_FROM))
    }
}

/// How much of a failed load is committed.
fn what_stays(commits: &Commits) -> String {
    let Some(done) = commits.last() else {
        return "nothing from this load was committed".to_owned();
    };
    let documents = counted(done.documents, "document");
    match commits.can_be_resumed() {
        true => format!("{documents} of this load are committed; `--resume` continues after them"),
        false => format!("{documents} of this load are committed"),
    }
}

pub(super) fn report_skipped_files(reader: &Reader, progress: &Progress) {
    if let Some(first) = reader.skipped().first() {
        progress.message(&format!(
            "skipped {}, because their format is detected neither by name nor by content; the first is {}",
            counted(reader.skipped().len() as u64, "file"),
            first.display()
        ));
    }
    if let Some(first) = reader.beside().first() {
        progress.message(&format!(
            "skipped {} beside the corpus of a folder, which holds all its documents, the first is {}; name them as inputs \
             to read them too",
            counted(reader.beside().len() as u64, "file"),
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

/// The requested number of threads, or one per core.
pub(super) fn thread_count(requested: Option<u32>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
    requested.map_or_else(cores, |threads| threads as usize)
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
