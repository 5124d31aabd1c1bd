//! `esparsa encode`: the vectors of documents, or of queries, as JSON Lines.
//!
//! | file | concept |
//! | --- | --- |
//! | `lines` | vectors as lines of JSON |
//! | `resume` | continuing the file that an interrupted process left behind |
//!
//! Memory is bounded for any input: it holds two windows of texts at a time, and the vectors of
//! one.

mod lines;
mod resume;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use esparsa::eval::Qrels;
use esparsa::neural::{Encoded, Role, TextEncoder, for_each_window};
use esparsa::{Error, Result};

use self::lines::{DenseFormat, Format, SparseFormat, line};
use self::resume::{ResumedOutput, are_close};
use crate::index::{
    OnBadInput, Problem, Problems, input_format, report_skipped_files, thread_count,
};
use crate::input::{
    Ids, InputEncoding, InputFormat, OnDuplicate, Reader, Record, Source, header_warning,
};
use crate::models::{AnyEncoder, KindName, ModelArguments};
use crate::output;
use crate::output_file::{OutputFile, STANDARD, refuse_inputs};
use crate::progress::Progress;
use crate::queries::read_qrels;
use crate::records::{Read, Records};
use crate::size::{counted, grouped};

const EXAMPLES: &str = "\
Examples:
  Vectors of a BEIR folder's documents, which `esparsa index` reads:
    esparsa encode scifact/ --model splade-v3 --output scifact.jsonl
    esparsa index scifact.jsonl --index scifact.index

  The same on 8 threads with bf16, going on where it was interrupted:
    esparsa encode scifact/ --model splade-v3 --output scifact.jsonl --threads 8 --precision bf16 --resume

  Vectors of queries, of those that are judged:
    esparsa encode scifact/queries.jsonl --model splade-v3 --query --output queries.jsonl \\
      --qrels scifact/qrels/test.tsv";

/// Arguments of `esparsa encode`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Encode {
    /// Files or folders of texts, or `-` for standard input; every format that `esparsa index`
    /// reads. A title is put before its text.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// Folder of the model: of Hugging Face or sentence-transformers, with `config.json` and
    /// `model.safetensors`.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Kind of vectors that the model makes.
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    kind: KindName,
    /// Encode the texts as queries, for models that distinguish queries from documents.
    #[arg(long)]
    query: bool,
    /// File for the vectors, `-` for standard output [default]. It is replaced at the end; until
    /// then the vectors are in FILE.partial, which is kept for --resume if the work fails.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Continue after the last complete line of FILE.partial, or else of the finished file; inputs,
    /// model and options must be as before. If there is neither, say so and encode from the
    /// beginning.
    #[arg(long, requires = "output")]
    resume: bool,
    /// Encode only the texts whose ids have relevance judgements in this file: TREC qrels, or a TSV
    /// file of BEIR.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    qrels: Option<PathBuf>,
    /// Number of threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    #[command(flatten)]
    options: ModelArguments,
    /// Format of the inputs; `auto` detects it for each file by name and content, and reads
    /// standard input as `jsonl`.
    #[arg(long, value_name = "F", default_value = "auto", value_parser = input_format())]
    format: InputFormat,
    /// Character encoding of the inputs, as for `esparsa index`.
    #[arg(long, value_name = "E", default_value = "auto")]
    encoding: InputEncoding,
    /// What to do with a record that has the id of an earlier record: fail, or skip it; `replace`
    /// writes both, and `esparsa index` keeps the later one.
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    on_duplicate: OnDuplicate,
    /// What to do with a record that cannot be read or encoded; one without any text is such a
    /// record: fail, which ends the work and keeps the vectors so far in FILE.partial, or skip it
    /// and report it.
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    on_bad_input: OnBadInput,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

/// What was done.
#[derive(Default)]
struct Counts {
    documents: u64,
    tokens: u64,
    full: u64,
}

impl Encode {
    /// Encodes the inputs and writes a line for each text, in order.
    ///
    /// # Errors
    ///
    /// What opening the model, reading the inputs and writing the output give; the first bad
    /// record, unless these are skipped.
    pub fn run(self) -> Result<()> {
        // Inputs before the model, which takes longer to open: a wrong path fails at once.
        let reader = Reader::open_encoded(&self.inputs, self.format, self.encoding)?;
        let inputs = reader.files();
        let inputs = inputs.map(|(path, _)| path.unwrap_or(Path::new(STANDARD)));
        refuse_inputs(self.output.as_deref(), inputs.chain(self.qrels.as_deref()))?;
        let judged = self.qrels.as_deref().map(read_qrels).transpose()?;
        let judged = judged.map(|(qrels, _)| qrels);
        let hardware = self.options.hardware(thread_count(self.threads))?;
        match AnyEncoder::open(&self.model, self.kind, hardware, &self.options)? {
            AnyEncoder::Sparse(encoder) => {
                let terms = SparseFormat::of(&*encoder);
                self.encode(reader, judged, &*encoder, &terms)
            }
            AnyEncoder::Dense(encoder) => self.encode(reader, judged, &*encoder, &DenseFormat),
        }
    }

    fn encode<E: TextEncoder + ?Sized>(
        &self,
        reader: Reader,
        judged: Option<Qrels>,
        encoder: &E,
        format: &impl Format<E::Vector>,
    ) -> Result<()> {
        let progress = Progress::new(reader.total_bytes(), self.quiet);
        report_skipped_files(&reader, &progress);
        let source = Source::new(Vec::new(), reader);
        let mut records = Records::of(source, Ids::new(self.on_duplicate));
        let out = self.open_output(&mut records, encoder, format, &progress)?;
        let mut sink = Sink {
            out,
            format,
            progress,
            problems: Problems::new(self.on_bad_input, self.on_duplicate),
            counts: Counts::default(),
        };
        let started = Instant::now();
        let role = self.role();
        let is_encoded = |read: &Read| match (&judged, &read.record) {
            (Some(judged), Ok(record)) => judged.contains(&record.id),
            _ => true,
        };
        let encoded = for_each_window(
            records.filter(is_encoded),
            |read| {
                read.record
                    .as_ref()
                    .map_or(0, |record| record.contents().len())
            },
            encoder.window_size(),
            encoder.is_threaded(),
            |window| encode_window(window, encoder, role),
            |window, encoded| sink.write(window, encoded?),
        );
        let Sink {
            out,
            progress,
            problems,
            counts,
            ..
        } = sink;
        if encoded.is_ok() {
            problems.finish(&progress);
        }
        // No bar may follow the report.
        drop(progress);
        if let (Err(_), Some(kept)) = (&encoded, out.kept_file()) {
            output::message(&format!(
                "the vectors so far are kept in {}; `--resume` continues after them",
                kept.display()
            ));
        }
        encoded?;
        out.finish()?;
        let seconds = started.elapsed().as_secs_f64();
        counts.report(&problems, encoder.max_tokens(), seconds);
        Ok(())
    }

    fn role(&self) -> Role {
        match self.query {
            true => Role::Query,
            false => Role::Document,
        }
    }

    fn open_output<E: TextEncoder + ?Sized>(
        &self,
        records: &mut Records,
        encoder: &E,
        format: &impl Format<E::Vector>,
        progress: &Progress,
    ) -> Result<OutputFile> {
        let path = self.output.as_deref();
        let Some(path) = path.filter(|_| self.resume) else {
            return Ok(OutputFile::create(path)?.kept());
        };
        let mut resumed = ResumedOutput::open(path)?;
        let found = resumed.pass_over(records, self.on_bad_input == OnBadInput::Skip)?;
        match found.first {
            Some((record, vector)) => {
                self.check_model(&record, &vector, encoder, format)
                    .map_err(|error| error.at_line(resumed.name(), 1))?;
                progress.message(&format!(
                    "resuming after {}, {} skipped",
                    counted(found.documents, "document"),
                    counted(found.skipped, "bad record")
                ));
            }
            None => progress.message("no vectors to resume after: encoding from the beginning"),
        }
        Ok(resumed.into_output()?.kept())
    }

    /// Encodes the first document again: another model, or other options, would give another
    /// vector.
    fn check_model<E: TextEncoder + ?Sized>(
        &self,
        record: &Record,
        vector: &serde_json::Value,
        encoder: &E,
        format: &impl Format<E::Vector>,
    ) -> Result<()> {
        let encoded = encoder.encode(&[&*record.contents()], self.role())?;
        let mut again = String::new();
        for vector in encoded.all()? {
            format.write(&vector, &mut again);
        }
        let again = serde_json::from_str(&again)
            .map_err(|error| Error::invalid(format!("a vector is no JSON: {error}")))?;
        if are_close(vector, &again) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the vector of `{}` is not what {} makes of it with these options; use the same model and options as before, or \
             omit --resume to start over",
            record.id,
            encoder.name()
        )))
    }
}

/// Where vectors are written, window by window.
struct Sink<'a, F> {
    out: OutputFile,
    format: &'a F,
    progress: Progress,
    problems: Problems,
    counts: Counts,
}

impl<F> Sink<'_, F> {
    /// Writes the vectors of a window, and counts the records that have none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and the first problem that ends the work.
    fn write<V>(&mut self, window: Vec<Read>, encoded: Encoded<Option<V>>) -> Result<()>
    where
        F: Format<V>,
    {
        self.counts.tokens += encoded.tokens;
        self.counts.full += encoded.full;
        let bytes_read = window.last().map_or(0, |read| read.bytes_read);
        if self.counts.documents == 0
            && let Some(Ok(first)) = window.first().map(|read| &read.record)
            && first.looks_like_header()
        {
            self.progress.message(&header_warning(&first.file, "text"));
        }
        for (read, result) in window.into_iter().zip(encoded.results) {
            let is_duplicate = read.is_duplicate;
            match result_of(read.record, result) {
                Ok((id, vector)) => {
                    let line = line(&id, &vector, self.format);
                    let written = self.out.write_all(line.as_bytes());
                    written.map_err(|source| Error::io(self.out.name(), "write", source))?;
                    self.counts.documents += 1;
                }
                Err(error) => {
                    let problem = Problem {
                        error,
                        is_duplicate,
                    };
                    self.problems.take(problem, &self.progress)?;
                }
            }
        }
        // A process that is killed later loses no window that was encoded.
        let flushed = self.out.flush();
        flushed.map_err(|source| Error::io(self.out.name(), "write", source))?;
        let Counts {
            documents, tokens, ..
        } = self.counts;
        self.progress
            .update_with_tokens(bytes_read, documents, tokens);
        Ok(())
    }
}

/// Encodes the valid records of a window. Every record has a result, which is `None` if it has no
/// text.
fn encode_window<E: TextEncoder + ?Sized>(
    window: &[Read],
    encoder: &E,
    role: Role,
) -> Result<Encoded<Option<E::Vector>>> {
    let texts: Vec<Option<_>> = window
        .iter()
        .map(|read| read.record.as_ref().ok().map(Record::contents))
        .map(|text| text.filter(|text| !text.trim().is_empty()))
        .collect();
    let good: Vec<&str> = texts.iter().flatten().map(AsRef::as_ref).collect();
    let encoded = encoder.encode(&good, role)?;
    let mut results = encoded.results.into_iter();
    let results = texts.iter().map(|text| match text {
        Some(_) => results.next().transpose(),
        None => Ok(None),
    });
    Ok(Encoded {
        results: results.collect(),
        tokens: encoded.tokens,
        full: encoded.full,
    })
}

/// Id and vector of a record, or what is wrong with it.
fn result_of<V>(record: Result<Record>, result: Result<Option<V>>) -> Result<(String, V)> {
    let record = record?;
    let problem = match result {
        Ok(Some(vector)) => return Ok((record.id, vector)),
        Ok(None) => "it has no text; leave it out, or give it one".to_owned(),
        Err(error) if error.is_input() => error.to_string(),
        Err(error) => return Err(error),
    };
    let message = format!("document `{}` cannot be encoded: {problem}", record.id);
    Err(Error::invalid(message).at_line(&*record.file, record.line))
}

impl Counts {
    fn report(&self, problems: &Problems, max_tokens: usize, seconds: f64) {
        let per_second = |count: u64| grouped((count as f64 / seconds.max(1e-9)) as u64);
        output::message(&format!(
            "{}, {} in {seconds:.2} s: {} documents/s, {} tokens/s",
            counted(self.documents, "document"),
            counted(self.tokens, "token"),
            per_second(self.documents),
            per_second(self.tokens)
        ));
        if self.full > 0 {
            output::message(&format!(
                "{} of {max_tokens} tokens, as many as the model takes at once: longer texts are cut or split as --long says",
                counted(self.full, "sequence")
            ));
        }
        for (count, what) in [
            (problems.bad_records, "bad record"),
            (problems.duplicates, "duplicate"),
        ] {
            if count > 0 {
                output::message(&format!("{} skipped", counted(count, what)));
            }
        }
    }
}
