//! The writer's threads.
//!
//! With one thread, batches are inverted and segments written on the caller's, at once. With more,
//! that many threads of the writer's own take these jobs from a channel. Results carry a sequence
//! number, and the writer takes them in that order, so that what is written does not depend on who
//! finished first.
//!
//! Merges have threads of their own (`merge_lane`), so that neither adding nor committing waits for
//! them.

mod merge_lane;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use merge_lane::MergeLane;

use super::open::WriterAnalyzers;
use crate::error::{Error, Result};
use crate::format::Schema;
use crate::segment::{Document, InvertedBatch, Inverter, SegmentReader, WrittenSegment};

/// Documents parsed from one piece of input, on one of the writer's threads.
#[derive(Default)]
pub struct ParsedBatch {
    /// The documents.
    pub documents: Vec<Document>,
    /// The file they came from, for messages.
    pub file: Arc<str>,
    /// The line of each document, from 1; empty when there are no lines.
    pub lines: Vec<u64>,
    /// Records that could not be parsed.
    pub errors: Vec<Error>,
}

/// Something that yields documents when a thread has time for it.
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
    /// Present when jobs run on the caller's thread.
    inline: Option<(Worker, VecDeque<Done>)>,
    jobs: Option<Sender<Job>>,
    done: Option<Receiver<Done>>,
    threads: Vec<JoinHandle<()>>,
    merges: MergeLane,
}

impl Pool {
    /// `memory` is what all threads together may take to remember words.
    pub fn new(
        threads: usize,
        merge_threads: usize,
        memory: usize,
        schema: &Arc<Schema>,
        analyzers: &Arc<WriterAnalyzers>,
    ) -> Result<Self> {
        let worker = || Worker {
            schema: schema.clone(),
            analyzers: analyzers.clone(),
            inverter: Inverter::new(schema, &analyzers.analyzers, memory / threads),
        };
        let (results, done) = unbounded();
        let merges = MergeLane::new(merge_threads, results.clone());
        if threads <= 1 {
            return Ok(Self {
                inline: Some((worker(), VecDeque::new())),
                jobs: None,
                done: Some(done),
                threads: Vec::new(),
                merges,
            });
        }
        let (jobs, next_job) = unbounded::<Job>();
        let mut handles = Vec::with_capacity(threads);
        for number in 0..threads {
            let (next_job, results) = (next_job.clone(), results.clone());
            let mut worker = worker();
            let run = move || {
                for job in next_job {
                    if results.send(worker.run(job)).is_err() {
                        break;
                    }
                }
            };
            let thread = std::thread::Builder::new().name(format!("esparsa-writer-{number}"));
            let handle = thread.spawn(run);
            handles.push(handle.map_err(|e| Error::io("thread", "start", e))?);
        }
        Ok(Self {
            inline: None,
            jobs: Some(jobs),
            done: Some(done),
            threads: handles,
            merges,
        })
    }

    /// How many batches may wait or be worked on before the caller should take results.
    pub fn batches_in_flight(&self) -> usize {
        if self.inline.is_some() {
            1
        } else {
            self.threads.len() * 2
        }
    }

    pub fn submit(&mut self, job: Job) {
        if let Some((worker, done)) = &mut self.inline {
            done.push_back(worker.run(job));
        } else if let Some(jobs) = &self.jobs {
            // The threads hold the other end until this pool is dropped.
            let _ = jobs.send(job);
        }
    }

    /// Runs a merge on a thread for merges or, if there is none, keeps it for [`Pool::run_merge`].
    pub fn submit_merge(&mut self, number: u64, task: Task) {
        self.merges.submit(number, task);
    }

    /// Runs a merge that was kept because there is no thread for it, on the caller's.
    pub fn run_merge(&mut self) -> Option<Done> {
        self.merges.run_kept()
    }

    /// A result, if one is there.
    pub fn try_next(&mut self) -> Option<Done> {
        let inline = self.inline.as_mut();
        inline
            .and_then(|(_, done)| done.pop_front())
            .or_else(|| self.done.as_ref()?.try_recv().ok())
    }

    /// The next result; there must be a job that was submitted and not answered.
    pub fn next(&mut self) -> Result<Done> {
        let inline = self.inline.as_mut();
        let next = inline
            .and_then(|(_, done)| done.pop_front())
            .or_else(|| self.done.as_ref()?.recv().ok());
        next.ok_or_else(|| Error::Poisoned {
            message: "the writer's threads are gone".into(),
        })
    }
}

impl Pool {
    /// Ends all threads. Jobs that nobody waits for are thrown away when their turn comes, because
    /// nobody listens.
    pub fn stop(&mut self) {
        self.jobs = None;
        self.done = None;
        self.merges.stop();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
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
        let mut parsed = match input {
            BatchInput::Documents(documents) => ParsedBatch {
                documents,
                ..ParsedBatch::default()
            },
            BatchInput::Parse(parse) => self.check(parse()),
        };
        let batch = self.inverter.invert(&parsed.documents)?;
        Ok(ReadyBatch {
            batch,
            file: parsed.file,
            lines: std::mem::take(&mut parsed.lines),
            errors: parsed.errors,
        })
    }

    /// Takes out the documents that do not fit the schema, with an error for each.
    fn check(&self, mut parsed: ParsedBatch) -> ParsedBatch {
        let mut lines = parsed.lines.iter().copied();
        let (mut documents, mut kept_lines) = (Vec::new(), Vec::new());
        for document in parsed.documents.drain(..) {
            let line = lines.next();
            match self.analyzers.check(&document, &self.schema) {
                Ok(()) => {
                    documents.push(document);
                    kept_lines.extend(line);
                }
                Err(error) => {
                    let error = error.at_line(&*parsed.file, line.unwrap_or(0));
                    parsed.errors.push(error);
                }
            }
        }
        parsed.documents = documents;
        parsed.lines = kept_lines;
        parsed
    }
}

fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(Error::Poisoned {
            message: "a thread of the writer panicked; its message is on standard error".into(),
        })
    })
}
