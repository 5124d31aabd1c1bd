//! The writer's jobs, and the executor's threads that run them.
//!
//! With one thread, the calling thread inverts batches and writes segments immediately. With more,
//! the executor of the index runs these jobs. Results carry a sequence number, and the writer
//! consumes them in that order: the output does not depend on which thread finishes first.
//!
//! Merges have a separate [`Lane`], so adding and committing do not wait for them.

mod lane;
mod parsed;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, unbounded};

use lane::Lane;
pub use parsed::ParsedBatch;

use super::open::WriterAnalyzers;
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::format::Schema;
use crate::segment::{Document, InvertedBatch, Inverter, SegmentReader, WrittenSegment};

/// The input of a batch: documents, or a function that parses them on one of the threads.
pub(super) enum BatchInput {
    Documents(Vec<Document>),
    Parse(Box<dyn FnOnce() -> ParsedBatch + Send>),
}

/// An inverted batch, and where its documents came from.
pub(super) struct ReadyBatch {
    pub batch: InvertedBatch,
    pub file: Arc<str>,
    pub lines: Vec<u64>,
    pub errors: Vec<Error>,
}

/// A segment, written and opened.
pub(super) struct ReadySegment {
    pub number: u64,
    pub written: WrittenSegment,
    pub reader: SegmentReader,
    /// True when it is in memory alone and has no file yet.
    pub is_unsaved: bool,
}

pub(super) type Task = Box<dyn FnOnce() -> Result<ReadySegment> + Send>;

pub(super) enum Job {
    Invert {
        sequence: u64,
        input: BatchInput,
    },
    /// Write a new segment.
    Write(Task),
}

pub(super) enum Done {
    Inverted {
        sequence: u64,
        result: Result<ReadyBatch>,
    },
    Written(Result<ReadySegment>),
    Merged {
        number: u64,
        result: Result<ReadySegment>,
    },
}

pub(super) struct Pool {
    executor: Arc<dyn Executor>,
    threads: usize,
    batches: Lane,
    merges: Lane,
    workers: Arc<Workers>,
    results: Sender<Done>,
    done: Receiver<Done>,
}

/// Workers that are idle. A job takes one and returns it, so their term tables are reused.
struct Workers {
    schema: Arc<Schema>,
    analyzers: Arc<WriterAnalyzers>,
    /// Memory of each worker's term tables, in bytes.
    memory: usize,
    idle: Mutex<Vec<Worker>>,
}

impl Workers {
    /// Runs a job. A panic, which a custom tokenizer may cause, becomes an error: otherwise the
    /// writer would wait for ever for the result.
    fn run(&self, job: Job) -> Done {
        match job {
            Job::Invert { sequence, input } => Done::Inverted {
                sequence,
                result: guarded(|| self.with(|worker| worker.invert(input))),
            },
            Job::Write(task) => Done::Written(guarded(task)),
        }
    }

    /// A worker that panics is not used again.
    fn with<T>(&self, run: impl FnOnce(&mut Worker) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let worker = idle().pop();
        let mut worker = worker.unwrap_or_else(|| Worker {
            schema: self.schema.clone(),
            analyzers: self.analyzers.clone(),
            inverter: Inverter::new(&self.schema, &self.analyzers.analyzers, self.memory),
        });
        let result = run(&mut worker);
        idle().push(worker);
        result
    }
}

impl Pool {
    /// `memory` is the limit of all term tables together, in bytes.
    pub fn new(
        executor: &Arc<dyn Executor>,
        threads: usize,
        merge_threads: usize,
        memory: usize,
        schema: &Arc<Schema>,
        analyzers: &Arc<WriterAnalyzers>,
    ) -> Self {
        let (results, done) = unbounded();
        Self {
            executor: executor.clone(),
            threads,
            batches: Lane::new(executor.clone(), threads),
            merges: Lane::new(executor.clone(), merge_threads),
            workers: Arc::new(Workers {
                schema: schema.clone(),
                analyzers: analyzers.clone(),
                memory: memory / threads,
                idle: Mutex::default(),
            }),
            results,
            done,
        }
    }

    /// Maximum number of unfinished batches before the caller should wait for results.
    pub fn batches_in_flight(&self) -> usize {
        match self.threads {
            1 => 1,
            threads => threads * 2,
        }
    }

    pub fn submit(&mut self, job: Job) {
        let (workers, results) = (self.workers.clone(), self.results.clone());
        let run = move || {
            // The receiver is gone when the writer was dropped.
            let _ = results.send(workers.run(job));
        };
        match self.threads {
            1 => run(),
            _ => self.batches.submit(Box::new(run)),
        }
    }

    /// Submits a merge. Without merge threads it runs in [`Pool::run_merge`].
    pub fn submit_merge(&mut self, number: u64, task: Task) {
        let results = self.results.clone();
        self.merges.submit(Box::new(move || {
            let result = guarded(task);
            let _ = results.send(Done::Merged { number, result });
        }));
    }

    /// Runs a waiting merge on the calling thread, unless the maximum number of merges is running.
    /// Returns false when it ran none.
    pub fn run_merge(&mut self) -> bool {
        self.merges.run_one()
    }

    /// Drops the merges that have not started.
    pub fn clear_merges(&mut self) {
        self.merges.clear();
    }

    /// A result, if one is available.
    pub fn try_next(&mut self) -> Option<Done> {
        self.done.try_recv().ok()
    }

    /// Waits for the next result. There must be an unfinished job, and it must be running or be a
    /// batch: a merge that has not started would never answer.
    pub fn next(&mut self) -> Result<Done> {
        loop {
            if let Some(done) = self.try_next() {
                return Ok(done);
            }
            if !self.batches.run_one() && !self.executor.run_others() {
                // This struct holds a sender too, so the channel is open.
                return self.done.recv().map_err(|_| Error::Poisoned {
                    message: "the channel of the writer's jobs is closed".into(),
                });
            }
        }
    }
}

impl Drop for Pool {
    /// Running jobs go on without the pool; their results are discarded.
    fn drop(&mut self) {
        self.batches.clear();
        self.merges.clear();
    }
}

struct Worker {
    schema: Arc<Schema>,
    analyzers: Arc<WriterAnalyzers>,
    inverter: Inverter,
}

impl Worker {
    fn invert(&mut self, input: BatchInput) -> Result<ReadyBatch> {
        let parsed = match input {
            BatchInput::Documents(documents) => ParsedBatch::of_documents(documents),
            BatchInput::Parse(parse) => {
                let mut parsed = parse();
                parsed.retain(|document| self.analyzers.check(document, &self.schema));
                parsed
            }
        };
        let batch = self.inverter.invert(&parsed.documents)?;
        Ok(ReadyBatch {
            batch,
            file: parsed.file,
            lines: parsed.lines,
            errors: parsed.errors,
        })
    }
}

fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(Error::Poisoned {
            message: "a thread of the writer panicked; its message is on standard error".into(),
        })
    })
}
