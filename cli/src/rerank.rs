//! `esparsa rerank`: re-ranks the first documents of a run with a model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use esparsa::eval::{Run, ScoredDocument, read_queries};
use esparsa::neural::{PairScorer, for_each_window};
use esparsa::{Error, Index, Result};

use crate::index::{input_format, thread_count};
use crate::input::{InputFormat, Reader};
use crate::models::{ModelArguments, open_scorer};
use crate::output;
use crate::output_file::{OutputFile, STANDARD, refuse_inputs};
use crate::progress::Progress;
use crate::queries::{TopicPart, k_parser, read_file, read_qrels, read_run, warn_of_header};
use crate::records::{Records, stored_contents};
use crate::size::{counted, grouped};
use crate::timings::Timings;

/// The name of the system in the last column of the run.
const TAG: &str = "esparsa-rerank";

const EXAMPLES: &str = "\
Examples:
  esparsa search --index scifact.index --queries scifact/queries.jsonl --k 100 --output bm25.run
  esparsa rerank --model ms-marco-MiniLM-L6-v2 --run bm25.run --queries scifact/queries.jsonl --index scifact.index --output reranked.run";

/// Arguments of `esparsa rerank`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("documents").required(true).args(["corpus", "index"]))]
pub struct Rerank {
    /// Folder of a cross-encoder, monoT5 among them, or of a model of late interaction such as
    /// ColBERT.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The run, in TREC format; `-` for standard input, `.gz` and `.zst` too.
    #[arg(long, value_name = "FILE")]
    run: PathBuf,
    /// The queries: BEIR or other JSON Lines, TSV (id, text), TREC topics; `.gz` and `.zst` too.
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// Files or folders of the documents; every format that `esparsa index` reads.
    #[arg(long, value_name = "INPUT", num_args = 1..)]
    corpus: Vec<PathBuf>,
    /// Folder of an index that stores the documents.
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
    /// Number of documents of each query that are re-ranked; the new run has only these.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = k_parser())]
    k: usize,
    /// Relevance judgements: re-rank only the results of queries that have some.
    #[arg(long, value_name = "FILE")]
    qrels: Option<PathBuf>,
    /// Re-rank the results of one query after another, and write how long they took to this file:
    /// the mean and percentiles in milliseconds, in JSON.
    #[arg(long, value_name = "FILE")]
    timings: Option<PathBuf>,
    /// File for the new run [default: standard output].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Number of threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    #[command(flatten)]
    options: ModelArguments,
    /// Part of TREC topics to score with.
    #[arg(long, value_name = "PART", value_enum, default_value_t)]
    topic_part: TopicPart,
    /// Format of the corpus; `auto` detects it for each file by name and content.
    #[arg(long, value_name = "F", default_value = "auto", value_parser = input_format())]
    format: InputFormat,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

/// A query with a document that was returned for it.
struct Pair<'a> {
    query: &'a str,
    query_text: &'a str,
    document: &'a str,
    text: &'a str,
}

impl Rerank {
    /// Scores the first documents of each query and writes the new run.
    ///
    /// # Errors
    ///
    /// What opening the model and reading and writing the files give; [`Error::InvalidInput`] for a
    /// query or a document of the run that is not among the texts.
    pub fn run(self) -> Result<()> {
        let run = self.judged(read_run(&self.run)?.0)?;
        let corpus = match &self.index {
            Some(_) => None,
            None => Some(Reader::open(&self.corpus, self.format)?),
        };
        self.refuse_inputs(corpus.as_ref())?;
        // Opened first, so that an unwritable folder is reported before the scoring, not after it.
        let mut output = OutputFile::create(self.output.as_deref())?;
        let queries = self.query_texts(&run)?;
        let documents = self.document_texts(&run, corpus)?;
        let pairs = self.pairs(&run, &queries, &documents)?;
        let hardware = self.options.hardware(thread_count(self.threads))?;
        let scorer = open_scorer(&self.model, hardware, &self.options)?;
        let started = Instant::now();
        let (scored, tokens) = match &self.timings {
            Some(file) => self.score_timed(&pairs, &*scorer, file)?,
            None => self.score(&pairs, &*scorer)?,
        };
        let seconds = started.elapsed().as_secs_f64();
        let mut reranked = Run::new();
        for query in run.queries() {
            let hits = scored.get(query).cloned().unwrap_or_default();
            reranked.insert(query, hits)?;
        }
        let name = output.name().to_owned();
        reranked.write(&mut output, &name, TAG)?;
        output.finish()?;
        let per_second = |count: u64| grouped((count as f64 / seconds.max(1e-9)) as u64);
        output::message(&format!(
            "{}, {} in {seconds:.2} s: {} documents/s, {} tokens/s",
            counted(run.len() as u64, "query"),
            counted(pairs.len() as u64, "document"),
            per_second(pairs.len() as u64),
            per_second(tokens)
        ));
        Ok(())
    }

    /// The results of the queries that have judgements, if any are named.
    fn judged(&self, run: Run) -> Result<Run> {
        let Some(qrels) = &self.qrels else {
            return Ok(run);
        };
        let (qrels, name) = read_qrels(qrels)?;
        let mut judged = Run::new();
        for query in run.queries().filter(|query| qrels.contains(query)) {
            let results = run.results(query).unwrap_or_default();
            judged.insert(query, results.to_vec())?;
        }
        match judged.is_empty() {
            false => Ok(judged),
            true => {
                let message = "expected judgements of queries of the run, found none; do both belong together?";
                Err(Error::invalid(message).at_line(name, 0))
            }
        }
    }

    /// Refuses an output that is one of the files that are read.
    fn refuse_inputs(&self, corpus: Option<&Reader>) -> Result<()> {
        let files = corpus.into_iter().flat_map(Reader::files);
        let files = files.map(|(path, _)| path.unwrap_or(Path::new(STANDARD)));
        let named = [Some(&self.run), Some(&self.queries), self.qrels.as_ref()];
        let named = named.into_iter().flatten().map(PathBuf::as_path);
        let files: Vec<_> = named.chain(files).collect();
        refuse_inputs(self.timings.as_deref(), files.iter().copied())?;
        let timings = self.timings.iter().map(PathBuf::as_path);
        refuse_inputs(self.output.as_deref(), files.into_iter().chain(timings))
    }

    /// The text of each query of the run.
    fn query_texts(&self, run: &Run) -> Result<HashMap<String, String>> {
        let (text, name) = read_file(&self.queries)?;
        let read = read_queries(&*text, &name, self.topic_part.into())?;
        warn_of_header(&read, &name);
        let texts = read
            .into_iter()
            .filter_map(|query| Some((query.id, query.text?)));
        let texts: HashMap<String, String> = texts.collect();
        match run.queries().find(|query| !texts.contains_key(*query)) {
            None => Ok(texts),
            Some(query) => {
                let message =
                    format!("expected the text of query `{query}` of the run, found none");
                Err(Error::invalid(message).at_line(name, 0))
            }
        }
    }

    /// The text of each document that will be scored, from the corpus or else from the index.
    fn document_texts(&self, run: &Run, corpus: Option<Reader>) -> Result<HashMap<String, String>> {
        let ranked = |query| run.ranked(query).into_iter().take(self.k);
        let wanted = run.queries().flat_map(ranked);
        let mut texts: HashMap<String, String> = wanted
            .map(|hit| (hit.document.clone(), String::new()))
            .collect();
        let missing = match (corpus, &self.index) {
            (Some(reader), _) => self.fill_from_corpus(reader, &mut texts)?,
            (None, Some(folder)) => fill_from_index(folder, &mut texts)?,
            (None, None) => return Err(Error::invalid("expected a corpus or an index")),
        };
        match missing {
            None => Ok(texts),
            Some(id) => Err(Error::invalid(format!(
                "expected the text of document `{id}` of the run, found none; is this the collection that was searched?"
            ))),
        }
    }

    /// Fills in texts; returns the id of a document without one.
    fn fill_from_corpus(
        &self,
        reader: Reader,
        texts: &mut HashMap<String, String>,
    ) -> Result<Option<String>> {
        let mut progress = Progress::new(reader.total_bytes(), self.quiet);
        let mut found: HashMap<String, String> = HashMap::with_capacity(texts.len());
        for (read, number) in Records::new(reader).zip(1..) {
            let record = read.record?;
            if texts.contains_key(&record.id) {
                let text = record.contents().into_owned();
                found.insert(record.id, text);
            }
            progress.update(read.bytes_read, number);
        }
        let missing = texts.keys().find(|id| !found.contains_key(*id)).cloned();
        *texts = found;
        Ok(missing)
    }

    fn pairs<'a>(
        &self,
        run: &'a Run,
        queries: &'a HashMap<String, String>,
        documents: &'a HashMap<String, String>,
    ) -> Result<Vec<Pair<'a>>> {
        let mut pairs = Vec::new();
        for query in run.queries() {
            for hit in run.ranked(query).into_iter().take(self.k) {
                pairs.push(Pair {
                    query,
                    // Both exist: this was checked before.
                    query_text: queries.get(query).map_or("", String::as_str),
                    document: &hit.document,
                    text: documents.get(&hit.document).map_or("", String::as_str),
                });
            }
        }
        Ok(pairs)
    }

    /// As [`score`](Self::score), one query after another.
    fn score_timed(
        &self,
        pairs: &[Pair<'_>],
        scorer: &dyn PairScorer,
        file: &Path,
    ) -> Result<(HashMap<String, Vec<ScoredDocument>>, u64)> {
        let queries = || pairs.chunk_by(|a, b| a.query == b.query);
        if let Some(first) = queries().next() {
            // Caches are warm and threads have started then.
            self.score(first, scorer)?;
        }
        let (mut scored, mut tokens, mut times) = (HashMap::new(), 0, Vec::new());
        for of_query in queries() {
            let started = Instant::now();
            let (documents, read) = self.score(of_query, scorer)?;
            times.push(started.elapsed());
            scored.extend(documents);
            tokens += read;
        }
        Timings::new(&times, None).write(file)?;
        Ok((scored, tokens))
    }

    /// The scored documents of each query, and how many tokens were read for them.
    fn score(
        &self,
        pairs: &[Pair<'_>],
        scorer: &dyn PairScorer,
    ) -> Result<(HashMap<String, Vec<ScoredDocument>>, u64)> {
        let mut progress = Progress::new(
            Some(pairs.iter().map(bytes).sum::<usize>() as u64),
            self.quiet || self.timings.is_some(),
        );
        let mut scored: HashMap<String, Vec<ScoredDocument>> = HashMap::new();
        let (mut documents, mut tokens, mut read) = (0, 0, 0);
        for_each_window(
            pairs.iter(),
            |pair| bytes(pair),
            scorer.window_size(),
            scorer.is_threaded(),
            |window| {
                let texts: Vec<(&str, &str)> = window
                    .iter()
                    .map(|pair| (pair.query_text, pair.text))
                    .collect();
                scorer.score_pairs(&texts)
            },
            |window, encoded| {
                let encoded = encoded?;
                for (pair, result) in window.into_iter().zip(encoded.results) {
                    let score = result.map_err(|error| {
                        let (query, document) = (pair.query, pair.document);
                        Error::invalid(format!("query `{query}`, document `{document}`: {error}"))
                    })?;
                    let hits = scored.entry(pair.query.to_owned()).or_default();
                    hits.push(ScoredDocument {
                        document: pair.document.to_owned(),
                        score: score.into(),
                    });
                    documents += 1;
                    read += bytes(pair) as u64;
                }
                tokens += encoded.tokens;
                progress.update_with_tokens(read, documents, tokens);
                Ok(())
            },
        )?;
        Ok((scored, tokens))
    }
}

fn bytes(pair: &Pair<'_>) -> usize {
    pair.query_text.len() + pair.text.len()
}

/// Fills in texts from stored documents; returns the id of a document that the index lacks.
fn fill_from_index(folder: &Path, texts: &mut HashMap<String, String>) -> Result<Option<String>> {
    let snapshot = Index::open(folder)?.snapshot()?;
    if snapshot.schema().stored_field().is_none() {
        return Err(Error::invalid(format!(
            "{}: the index stores no documents; name their files with --corpus instead",
            folder.display()
        )));
    }
    for (id, text) in texts {
        match snapshot.get(id)? {
            Some(stored) => *text = stored_contents(&stored),
            None => return Ok(Some(id.clone())),
        }
    }
    Ok(None)
}
