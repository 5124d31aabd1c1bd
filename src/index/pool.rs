//! The writer's jobs, and the executor's threads that run them.
//!
//! With one thread, batches are inverted and segments written on the caller's, at once. With more,
//! the executor of the index runs these jobs. Results carry a sequence number, and the writer takes
//! them in that order, so that what is written does not depend on who finished first.
//!
//! Merges have a [`Lane`] of their own, so that neither adding nor committing waits for them.

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

/// A batch that was inverted, and where its documents came from.
pub(super) struct ReadyBatch {
    pub batch: InvertedBatch,
    pub file: Arc<str>,
    pub lines: Vec<u64>,
    pub errors: Vec<Error>,
}

/// A segment that was written and opened.
pub(super) struct ReadySegment {
    pub number: u64,
    pub written: WrittenSegment,
    pub reader: SegmentReader,
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
    threads: usize,
    batches: Lane,
    merges: Lane,
    workers: Arc<Workers>,
    results: Sender<Done>,
    done: Receiver<Done>,
}

/// What the threads remember words in; a job takes one and gives it back.
struct Workers {
    schema: Arc<Schema>,
    analyzers: Arc<WriterAnalyzers>,
    /// Bytes that each may take.
    memory: usize,
    idle: Mutex<Vec<Worker>>,
}

impl Workers {
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
    /// `memory` is what all threads together may take to remember words.
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

    /// How many batches may wait or be worked on before the caller should take results.
    pub fn batches_in_flight(&self) -> usize {
        match self.threads {
            1 => 1,
            threads => threads * 2,
        }
    }

    pub fn submit(&mut self, job: Job) {
        let (workers, results) = (self.workers.clone(), self.results.clone());
        let run = move || {
            let done = workers.with(|worker| worker.run(job));
            // Nobody listens any more when the writer was dropped.
            let _ = results.send(done);
        };
        match self.threads {
            1 => run(),
            _ => self.batches.submit(Box::new(run)),
        }
    }

    /// Submits a merge. If merges have no thread, it waits for [`Pool::run_merge`].
    pub fn submit_merge(&mut self, number: u64, task: Task) {
        let results = self.results.clone();
        self.merges.submit(Box::new(move || {
            let result = guarded(task);
            let _ = results.send(Done::Merged { number, result });
        }));
    }

    /// Runs a merge that did not begin on the calling thread, unless enough merges run; false when
    /// there is none to be run.
    pub fn run_merge(&mut self) -> bool {
        self.merges.run_one()
    }

    /// Throws away the merges that did not begin.
    pub fn clear_merges(&mut self) {
        self.merges.clear();
    }

    /// A result, if one is there.
    pub fn try_next(&mut self) -> Option<Done> {
        self.done.try_recv().ok()
    }

    /// The next result; there must be a job that was submitted and not answered, and that runs or
    /// is a batch.
    pub fn next(&mut self) -> Result<Done> {
        loop {
            if let Some(done) = self.try_next() {
                return Ok(done);
            }
            if !self.batches.run_one() {
                // This struct holds the other end too, so the channel is open.
                return self.done.recv().map_err(|_| Error::Poisoned {
                    message: "the writer's jobs are gone".into(),
                });
            }
        }
    }
}

impl Drop for Pool {
    /// Jobs that run go on without this: their results are thrown away.
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
    /// Runs a job. A panic, which a custom tokenizer may cause, becomes an error, so that the writer does
    /// not wait for an answer that never comes.
    fn run(&mut self, job: Job) -> Done {
        match job {
            Job::Invert { sequence, input } => Done::Inverted {
                sequence,
                result: guarded(|| self.invert(input)),
            },
            Job::Write(task) => Done::Written(guarded(task)),
        }
    }

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
