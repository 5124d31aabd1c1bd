//! The path of documents: from the queue through the threads into the buffer, then into segments.
//!
//! Results arrive in any order and are accepted in the order of their sequence numbers, so the
//! output depends on the input alone.

use super::{BUFFER_SHARE, IndexWriter, MAX_ARRIVED, SegmentPlace, Step};
use crate::error::Result;
use crate::index::buffer::{Buffer, BufferedId};
use crate::index::options::OnDuplicate;
use crate::index::pool::{BatchInput, Done, Job, Task};
use crate::index::segments::LiveSegment;

impl IndexWriter {
    pub(super) fn submit_queue(&mut self) -> Result<()> {
        if self.queue.is_empty() {
            return Ok(());
        }
        self.queue_bytes = 0;
        let documents = std::mem::take(&mut self.queue);
        self.submit(BatchInput::Documents(documents))
    }

    pub(super) fn submit(&mut self, input: BatchInput) -> Result<()> {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.batches_in_flight += 1;
        self.pool.submit(Job::Invert { sequence, input });
        let taken = self.take_results();
        self.guard(taken)
    }

    /// Takes the available results, and waits while too many batches are in flight.
    pub(super) fn take_results(&mut self) -> Result<()> {
        loop {
            while let Some(done) = self.pool.try_next() {
                self.receive(done)?;
            }
            self.accept_arrived()?;
            let has_room = self.batches_in_flight < self.pool.batches_in_flight();
            // If many have arrived and none is accepted, an earlier batch is still in flight.
            if has_room && self.arrived.len() <= MAX_ARRIVED {
                return Ok(());
            }
            let done = self.pool.next()?;
            self.receive(done)?;
        }
    }

    /// Handles a result. Batches are stored until it is their turn; segments join the list.
    pub(super) fn receive(&mut self, done: Done) -> Result<()> {
        match done {
            Done::Inverted { sequence, result } => {
                self.batches_in_flight -= 1;
                self.arrived
                    .insert(sequence, Step::Batch(Box::new(result?)));
            }
            Done::Written(result) => {
                self.writing = false;
                self.segments.push(LiveSegment::new(result?));
                self.changed = true;
            }
            Done::Merged { number, result } => {
                self.end_merge(number, result);
            }
        }
        Ok(())
    }

    /// Moves arrived steps into the buffer, in order, and flushes the buffer when it is full.
    pub(super) fn accept_arrived(&mut self) -> Result<()> {
        while let Some(step) = self.arrived.remove(&self.next_to_accept) {
            self.next_to_accept += 1;
            match step {
                Step::Batch(ready) => {
                    let errors = self.buffer.add(*ready, self.options.on_duplicate);
                    self.report(errors);
                }
                Step::Delete(id) => self.buffer.delete(&id),
            }
            // Rounding does not matter, as long as it is deterministic.
            let full = self.options.memory as f64 * BUFFER_SHARE;
            if self.buffer.memory() as f64 >= full {
                self.flush(SegmentPlace::File)?;
            }
        }
        Ok(())
    }

    /// Starts to write the buffer as a segment, after the previous one was written.
    pub(super) fn flush(&mut self, place: SegmentPlace) -> Result<()> {
        self.finish_writing()?;
        self.plan_merges();
        self.limit_segments()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        self.resolve(&mut buffer)?;
        self.changed = true;
        if !buffer.has_documents() {
            return Ok(());
        }
        let number = self.take_number();
        let job = self.segment_job(number, None, place);
        let task: Task = Box::new(move || job.run(&buffer.sources()));
        self.writing = true;
        self.pool.submit(Job::Write(task));
        Ok(())
    }

    /// Deletes the ids of the buffer from older segments, or rejects its duplicates.
    pub(super) fn resolve(&mut self, buffer: &mut Buffer) -> Result<()> {
        if self.segments.is_empty() {
            return Ok(());
        }
        let mut rejected = Vec::new();
        {
            let (ids, sorted) = buffer.sorted_ids();
            let rejects = self.options.on_duplicate == OnDuplicate::Reject;
            self.segments.delete_ids(&ids, |place| {
                let document = match sorted.get(place) {
                    Some(BufferedId::Document(document)) if rejects => *document,
                    _ => return false,
                };
                rejected.push(document);
                true
            })?;
        }
        for document in rejected {
            let rejected = buffer.reject(document);
            self.report(rejected);
        }
        Ok(())
    }

    pub(super) fn take_number(&mut self) -> u64 {
        let number = self.next_file;
        self.next_file += 1;
        self.cache.number_used(self.next_file);
        number
    }

    pub(super) fn finish_writing(&mut self) -> Result<()> {
        while self.writing {
            let done = self.pool.next()?;
            self.receive(done)?;
        }
        Ok(())
    }

    /// Waits for all batches and writes them as segments, the last of them to `place`.
    pub(super) fn write_everything(&mut self, place: SegmentPlace) -> Result<()> {
        self.invert_everything()?;
        self.flush(place)?;
        self.finish_writing()?;
        self.segments.drop_empty();
        Ok(())
    }

    /// Waits until all batches are in the buffer or in segments.
    pub(super) fn invert_everything(&mut self) -> Result<()> {
        self.submit_queue()?;
        while self.batches_in_flight > 0 {
            let done = self.pool.next()?;
            self.receive(done)?;
            self.accept_arrived()?;
        }
        self.accept_arrived()
    }
}
