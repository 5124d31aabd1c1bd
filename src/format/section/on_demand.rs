//! The chunks of a section of a remote file: read when they are first touched, or before.
//!
//! A chunk goes into the local copy of its file only after its checksum was found right, so bytes
//! that somebody reads never change. The checksums also tell which chunks an earlier process left
//! in the copy: nothing else needs to be remembered between processes.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{CHUNK_BYTES, is_verified};
use crate::bytes::{Bytes, OnDemand};
use crate::error::{Error, Result};
use crate::format::{read_u32, wide};

/// Chunks of one request at most: 4 MiB.
const MAX_REQUEST: usize = 64;
/// Chunks that are read together, from a multiple of it: a request takes about as long as the bytes
/// of some chunks need, so reading less saves nothing.
const GROUP: usize = 8;
/// Chunks that are read after a touched one if the same list goes on in them.
const READ_AHEAD: usize = 16;

/// What the clones of a section share.
pub(super) struct Chunks {
    file: Arc<dyn OnDemand>,
    /// For messages.
    file_name: Arc<str>,
    section_name: Arc<str>,
    /// Where the section is in the file.
    start: u64,
    length: usize,
    checksums: Bytes,
    verified: Arc<[AtomicU64]>,
    /// The section in the local copy.
    local: Bytes,
    /// Chunks that were requested and have not arrived.
    requested: Mutex<HashSet<usize>>,
    arrived: Condvar,
}

/// How a request ended, for the thread that waits for it.
type Outcome = Arc<Mutex<Option<Error>>>;

impl Chunks {
    pub fn new(
        file: Arc<dyn OnDemand>,
        names: (Arc<str>, Arc<str>),
        (start, length): (u64, usize),
        (checksums, local): (Bytes, Bytes),
        verified: Arc<[AtomicU64]>,
    ) -> Arc<Self> {
        let (file_name, section_name) = names;
        Arc::new(Self {
            file,
            file_name,
            section_name,
            start,
            length,
            checksums,
            verified,
            local,
            requested: Mutex::default(),
            arrived: Condvar::new(),
        })
    }

    /// Waits until the chunks of a range are in the local copy and verified. Chunks of the same
    /// groups, and some until `extent`, are requested with them.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when they cannot be read; [`Error::Corrupt`] when they do not match their
    /// checksums, also when they are read a second time.
    #[cold]
    pub fn load(self: &Arc<Self>, chunks: Range<usize>, extent: usize) -> Result<()> {
        const TRIES: usize = 2;
        let mut outcome = Outcome::default();
        // What is on its way was prefetched: then whoever did it knew what is needed.
        if !self.is_on_its_way(chunks.clone()) {
            let ahead = extent.min(chunks.end.saturating_add(READ_AHEAD));
            let end = ahead.max(chunks.end.next_multiple_of(GROUP));
            outcome = self.start(chunks.start / GROUP * GROUP..end);
        }
        for tried in 0..=TRIES {
            self.wait(chunks.clone());
            let missing = chunks.clone().find(|chunk| !self.is_here(*chunk));
            let Some(missing) = missing else {
                return Ok(());
            };
            // Its request failed: this thread's own, or that of another, whose error is not known
            // here.
            let error = locked(&outcome).take();
            match error {
                Some(error) if tried == TRIES || !matches!(error, Error::Corrupt { .. }) => {
                    return Err(error);
                }
                _ => outcome = self.start(missing..chunks.end),
            }
        }
        let error = std::io::Error::other("the bytes could not be read in several tries");
        Err(Error::io(&*self.file_name, "read", error))
    }

    /// Requests the chunks of a range that are neither in the local copy nor on their way, and
    /// returns at once.
    pub fn prefetch(self: &Arc<Self>, chunks: Range<usize>) {
        if !chunks.clone().all(|chunk| self.is_here(chunk)) {
            self.start(chunks);
        }
    }

    fn start(self: &Arc<Self>, chunks: Range<usize>) -> Outcome {
        let outcome = Outcome::default();
        let missing = self.claim(chunks);
        let mut rest = missing.as_slice();
        while let Some(first) = rest.first().copied() {
            let run = rest.iter().zip(first..first + MAX_REQUEST);
            let length = run.take_while(|(chunk, next)| **chunk == *next).count();
            rest = rest.get(length..).unwrap_or_default();
            self.request(first..first + length, outcome.clone());
        }
        outcome
    }

    /// Marks the missing chunks of a range as requested, and returns them.
    fn claim(&self, chunks: Range<usize>) -> Vec<usize> {
        let chunks = chunks.start..chunks.end.min(self.length.div_ceil(CHUNK_BYTES));
        let new = |chunk: &usize| !self.is_here(*chunk) && !self.take_local(*chunk);
        let new: Vec<usize> = chunks.filter(new).collect();
        let mut requested = locked(&self.requested);
        // One that arrived since it was looked for is requested by nobody.
        let is_new = |chunk: &usize| !self.is_here(*chunk) && requested.insert(*chunk);
        new.into_iter().filter(is_new).collect()
    }

    fn request(self: &Arc<Self>, chunks: Range<usize>, outcome: Outcome) {
        let bytes = self.bytes_of(chunks.clone());
        let range = self.start + wide(bytes.start)..self.start + wide(bytes.end);
        let arrival = Arrival {
            of: self.clone(),
            chunks,
            outcome,
        };
        let done = move |read: Result<Bytes>| {
            let kept = read.and_then(|bytes| arrival.of.keep(arrival.chunks.clone(), &bytes));
            if let Err(error) = kept {
                locked(&arrival.outcome).get_or_insert(error);
            }
        };
        self.file.request(range, Box::new(done));
    }

    /// Verifies the chunks that arrived and copies them into the local file.
    fn keep(&self, chunks: Range<usize>, bytes: &[u8]) -> Result<()> {
        for (chunk, bytes) in chunks.zip(bytes.chunks(CHUNK_BYTES)) {
            self.verify(chunk, bytes)?;
            let start = self.start + wide(chunk * CHUNK_BYTES);
            self.file.keep(start, bytes)?;
            self.mark(chunk);
        }
        Ok(())
    }

    fn is_on_its_way(&self, mut chunks: Range<usize>) -> bool {
        let requested = locked(&self.requested);
        chunks.all(|chunk| requested.contains(&chunk) || self.is_here(chunk))
    }

    /// Waits until none of the chunks is on its way.
    fn wait(&self, chunks: Range<usize>) {
        let mut requested = locked(&self.requested);
        while chunks.clone().any(|chunk| requested.contains(&chunk)) {
            let waited = self.arrived.wait(requested);
            requested = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_here(&self, chunk: usize) -> bool {
        is_verified(&self.verified, chunk)
    }

    /// True if an earlier use of the local copy left the chunk there.
    fn take_local(&self, chunk: usize) -> bool {
        let local = self.local.get(self.bytes_of(chunk..chunk + 1));
        let found = local.is_some_and(|bytes| self.verify(chunk, bytes).is_ok());
        if found {
            self.mark(chunk);
        }
        found
    }

    fn mark(&self, chunk: usize) {
        if let Some(word) = self.verified.get(chunk / 64) {
            // After the bytes: whoever sees the bit sees them.
            word.fetch_or(1 << (chunk % 64), Ordering::Release);
        }
    }

    fn verify(&self, chunk: usize, bytes: &[u8]) -> Result<()> {
        let corrupt = |message: String| {
            let offset = wide(chunk * CHUNK_BYTES);
            Error::corrupt(&*self.file_name, &*self.section_name, offset, message)
        };
        let expected = read_u32(&self.checksums, chunk * 4).map_err(|m| corrupt(m.0.into()))?;
        let found = crc32c::crc32c(bytes);
        if found == expected && bytes.len() == self.bytes_of(chunk..chunk + 1).len() {
            return Ok(());
        }
        let length = bytes.len();
        Err(corrupt(format!(
            "expected checksum {expected:08x} for these {length} bytes, found {found:08x}"
        )))
    }

    /// The bytes of these chunks, from the start of the section.
    fn bytes_of(&self, chunks: Range<usize>) -> Range<usize> {
        let at = |chunk: usize| (chunk * CHUNK_BYTES).min(self.length);
        at(chunks.start)..at(chunks.end)
    }
}

/// Ends a request when it is dropped, also without an answer: nobody waits for its chunks then.
struct Arrival {
    of: Arc<Chunks>,
    chunks: Range<usize>,
    outcome: Outcome,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut requested = locked(&self.of.requested);
        for chunk in self.chunks.clone() {
            requested.remove(&chunk);
        }
        drop(requested);
        self.of.arrived.notify_all();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
