//! The state that the threads of a load share: records are taken in the order of the input,
//! whichever thread parses them.
//!
//! The idea: chunks are parsed in parallel on the writer's threads, and wait for their turn only to
//! look up ids. The writer starts chunks in order, so the chunk whose turn it is has always been
//! started, and no thread waits forever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use esparsa::eval::names::is_escaped;
use esparsa::{Document, ParsedBatch, Result};

use crate::index::problems::Problem;
use crate::input::Ids;

/// A record that was parsed.
pub struct Parsed {
    /// The document, or what is wrong with the record.
    pub document: Result<Document>,
    /// Line of the record.
    pub line: u64,
    /// True if there is something in it to be searched.
    pub has_content: bool,
    /// The encoding that was detected.
    pub encoding: Option<&'static str>,
}

/// Counts so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Records, valid or not.
    pub records: u64,
    /// Documents.
    pub documents: u64,
    /// True if one of them has something to be searched.
    pub has_content: bool,
    /// Ids that runs have to escape.
    pub escaped_ids: u64,
    /// The first of these.
    pub first_escaped: Option<String>,
    /// Records in other encodings than UTF-8.
    pub encodings: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts a document.
    pub fn note(&mut self, id: &str, has_content: bool, encoding: Option<&'static str>) {
        self.documents += 1;
        self.has_content |= has_content;
        if let Some(encoding) = encoding {
            *self.encodings.entry(encoding).or_default() += 1;
        }
        if is_escaped(id) {
            self.escaped_ids += 1;
            self.first_escaped.get_or_insert_with(|| id.to_owned());
        }
    }
}

/// Takes the records of chunks in the order of the chunks.
pub struct Intake {
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    /// The chunk whose turn it is.
    next: u64,
    /// Later chunks whose tickets are gone already.
    done: BTreeSet<u64>,
    ids: Ids,
    problems: Vec<Problem>,
    tally: Tally,
}

impl Intake {
    /// An empty intake; `ids` has the ids of records that were loaded before.
    pub fn new(ids: Ids) -> Arc<Self> {
        let state = State {
            next: 0,
            done: BTreeSet::new(),
            ids,
            problems: Vec::new(),
            tally: Tally::default(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            moved: Condvar::new(),
        })
    }

    /// The ticket with which the chunk of this number, counted from 0, waits for its turn.
    pub fn ticket(self: &Arc<Self>, number: u64) -> Ticket {
        Ticket {
            intake: Arc::clone(self),
            number,
        }
    }

    /// Waits until the chunks below `number` are taken.
    pub fn wait_for(&self, number: u64) {
        drop(self.turn(number));
    }

    /// Calls `look` with the counts so far.
    pub fn with_tally<T>(&self, look: impl FnOnce(&mut Tally) -> T) -> T {
        look(&mut self.lock().tally)
    }

    /// The problems since the last call, in the order of the input.
    pub fn take_problems(&self) -> Vec<Problem> {
        std::mem::take(&mut self.lock().problems)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, number: u64) -> MutexGuard<'_, State> {
        let waited = self
            .moved
            .wait_while(self.lock(), |state| state.next < number);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Intake::ticket`]. A ticket that is dropped unused lets the next chunk pass.
pub struct Ticket {
    intake: Arc<Intake>,
    number: u64,
}

impl Ticket {
    /// Takes the records of the chunk when it is its turn; returns those that become documents.
    pub fn take(self, file: &Arc<str>, parsed: Vec<Parsed>) -> ParsedBatch {
        let mut batch = ParsedBatch::of_file(Arc::clone(file));
        let mut state = self.intake.turn(self.number);
        let State {
            ids,
            problems,
            tally,
            ..
        } = &mut *state;
        for record in parsed {
            tally.records += 1;
            let document = match record.document {
                Ok(document) => document,
                Err(error) => {
                    problems.push(Problem::bad(error));
                    continue;
                }
            };
            if let Err(error) = ids.add(document.id(), file, record.line) {
                problems.push(Problem {
                    error,
                    is_duplicate: true,
                });
                continue;
            }
            tally.note(document.id(), record.has_content, record.encoding);
            batch.add_line(document, record.line);
        }
        drop(state);
        batch
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.intake.lock();
        state.done.insert(self.number);
        while state.done.first() == Some(&state.next) {
            state.done.pop_first();
            state.next += 1;
        }
        drop(state);
        self.intake.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::input::OnDuplicate;

    #[test]
    fn the_first_of_two_records_is_kept_whichever_thread_is_first() {
        for _ in 0..50 {
            let intake = Intake::new(Ids::new(OnDuplicate::Skip));
            let kept = thread::scope(|scope| {
                let threads = [2, 1, 0].map(|number| {
                    let ticket = intake.ticket(number);
                    scope.spawn(move || {
                        let parsed = Parsed {
                            document: Ok(Document::new("same")),
                            line: number + 1,
                            has_content: true,
                            encoding: None,
                        };
                        let batch = ticket.take(&"a".into(), vec![parsed]);
                        (batch.lines().to_vec(), number)
                    })
                });
                threads.map(|thread| thread.join().unwrap())
            });
            intake.wait_for(3);
            assert_eq!(kept, [(vec![], 2), (vec![], 1), (vec![1], 0)]);
            let problems = intake.take_problems();
            let messages = problems.iter().map(|problem| problem.error.to_string());
            let starts: Vec<String> = messages.map(|message| message[..3].to_owned()).collect();
            assert_eq!(starts, ["a:2", "a:3"]);
        }
    }

    #[test]
    fn a_ticket_that_is_not_used_stops_nobody() {
        let intake = Intake::new(Ids::new(OnDuplicate::Fail));
        drop(intake.ticket(1));
        drop(intake.ticket(0));
        intake.wait_for(2);
    }
}
