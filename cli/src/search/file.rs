//! A search with the queries of a file.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use esparsa::eval::RunWriter;
use esparsa::limits::MAX_K;
use esparsa::{Error, Result, SearchResult, Snapshot};

use super::Search;
use super::batch::{Batch, Outcome};
use super::models::Models;
use super::progress::QueryProgress;
use super::report::{self, QueryReport};
use super::stopwatch::Stopwatch;
use crate::index::thread_count;
use crate::output;
use crate::output_file::OutputFile;
use crate::queries::{QueryFile, QuerySet};
use crate::size::{counted, grouped};

/// Default number of results for each query of a file.
const DEFAULT_K: usize = 1_000;
/// Default name of the system in the last column of a run.
const DEFAULT_TAG: &str = "esparsa";

impl Search {
    /// Searches with all queries of a file, and writes the results.
    ///
    /// # Errors
    ///
    /// What reading, encoding, searching and writing gives.
    pub(super) fn file(&self, snapshot: &Snapshot, models: &Models, file: &Path) -> Result<()> {
        // The time includes encoding, without which searches with a model would seem free.
        let started = Instant::now();
        let schema = snapshot.schema();
        let file = QueryFile {
            path: file,
            part: self.topic_part,
            qrels: self.qrels.as_deref(),
        };
        let kind = models.field_kind();
        let mut stopwatch = self.timings.as_ref().map(|_| Stopwatch::default());
        let mut set =
            QuerySet::open_encoded(&file, &self.field, snapshot, kind, |field, queries| {
                let encode = |queries: &mut [_]| models.encode(schema, field, queries);
                match &mut stopwatch {
                    Some(stopwatch) => stopwatch.encode(queries, encode),
                    None => encode(queries),
                }
            })?;
        set.change(|query| self.with_conditions(query, false));
        let mut output = OutputFile::create(self.output.as_deref())?;
        let name = output.name().to_owned();
        let searched = (&set, stopwatch.as_mut());
        let (outcome, hits) = self.write(snapshot, models, searched, &mut output, &name)?;
        output.finish()?;
        if let (Some(stopwatch), Some(file)) = (stopwatch, &self.timings) {
            stopwatch.write(file)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let searched = outcome.queries - outcome.failed;
        output::message(&format!(
            "{}, {} in {seconds:.2} s, {} queries/s",
            counted(searched, "query"),
            counted(hits, "result"),
            grouped((searched as f64 / seconds.max(1e-9)) as u64)
        ));
        outcome.check()
    }

    /// Searches with all queries and writes the results as a run or as JSON; returns their number
    /// too.
    fn write(
        &self,
        snapshot: &Snapshot,
        models: &Models,
        (set, stopwatch): (&QuerySet, Option<&mut Stopwatch>),
        mut to: impl Write,
        name: &str,
    ) -> Result<(Outcome, u64)> {
        if self.json {
            let written = self.each(snapshot, models, (set, stopwatch), |id, result| {
                let report = report::line(&QueryReport::new(id, result)?)?;
                writeln!(to, "{report}").map_err(|source| Error::io(name, "write", source))
            })?;
            return Ok(written);
        }
        let mut run = RunWriter::new(to, name, self.tag.as_deref().unwrap_or(DEFAULT_TAG))?;
        let written = self.each(snapshot, models, (set, stopwatch), |id, result| {
            let scores = result.hits.iter().map(|hit| hit.score);
            run.write_query(id, result.hits.ids()?.iter().zip(scores))
        })?;
        run.finish()?;
        Ok(written)
    }

    /// Searches with all queries and passes each result to `take`, in the order of the file;
    /// returns the outcome and the number of hits.
    fn each(
        &self,
        snapshot: &Snapshot,
        models: &Models,
        (set, stopwatch): (&QuerySet, Option<&mut Stopwatch>),
        mut take: impl FnMut(&str, &SearchResult) -> Result<()>,
    ) -> Result<(Outcome, u64)> {
        let k = self.k.unwrap_or(DEFAULT_K);
        let depth = models.depth(k);
        let to_terminal = self.output.is_none() && io::stdout().is_terminal();
        // One more, because the query itself may be among them.
        let options = self.options((depth + usize::from(self.exclude_self)).min(MAX_K));
        let mut hits = 0;
        let take = |place: usize, mut result: SearchResult| {
            if self.exclude_self {
                if let Some(itself) = snapshot.find(&set.ids[place])? {
                    result.hits.remove(itself);
                }
                result.hits.truncate(depth);
            }
            models.rerank(snapshot, set.texts[place].as_deref(), &mut result, k)?;
            hits += result.hits.len() as u64;
            take(&set.ids[place], &result)
        };
        let outcome = match stopwatch {
            Some(stopwatch) => stopwatch.search(snapshot, set, &options, take)?,
            None => {
                let batch = Batch {
                    snapshot,
                    options,
                    threads: thread_count(self.threads),
                    progress: QueryProgress::new(set.ids.len() as u64, self.quiet, to_terminal),
                    notes: 0,
                };
                batch.search(set, take)?
            }
        };
        Ok((outcome, hits))
    }
}
