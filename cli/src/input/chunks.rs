//! Cuts one decompressed file into chunks of complete records.
//!
//! The idea: fill a buffer up to the size of a chunk, cut it after the last record that ends in it,
//! and carry the rest over to the next chunk. If no record ends in the buffer, grow it, up to the
//! max size of a record; beyond that, drop the record, read on to its end, and report it.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use esparsa::{Error, Result};

use super::decompress::Stream;
use super::lines::{count_line_feeds, length_through};
use super::{CHUNK_BYTES, Chunk, MAX_RECORD_BYTES, RecordFormat, trec};

/// Sizes in bytes that determine where a file is cut; only tests change the defaults.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    chunk_bytes: usize,
    max_record_bytes: usize,
    /// Max lines of a chunk, because a parsed document takes hundreds of bytes, however short its
    /// line is.
    max_lines: u64,
}

/// Lines of 128 bytes or more fill a chunk before they reach this.
const MAX_LINES: u64 = 8_192;

impl Limits {
    /// A chunk is never larger than a record may be, so that every record that is too large is
    /// noticed.
    pub(super) fn new(chunk_bytes: usize, max_record_bytes: usize) -> Self {
        Self {
            chunk_bytes: chunk_bytes.clamp(1, max_record_bytes),
            max_record_bytes,
            max_lines: MAX_LINES,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(CHUNK_BYTES, MAX_RECORD_BYTES)
    }
}

/// Where a file may be cut.
#[derive(Clone, Copy, Debug)]
enum Boundary {
    /// After a line feed.
    Line,
    /// After `</DOC>` and before `<DOC>`.
    Document,
    /// Nowhere: the file is one record.
    EndOfFile,
}

impl Boundary {
    fn of(format: &RecordFormat) -> Self {
        match format {
            RecordFormat::JsonLines | RecordFormat::Tsv => Self::Line,
            RecordFormat::Trec => Self::Document,
            RecordFormat::Text { .. } => Self::EndOfFile,
        }
    }

    /// The last cut in `bytes`; there is known to be none in the first `searched` of them.
    fn last_cut(self, bytes: &[u8], searched: usize) -> Option<usize> {
        match self {
            Self::Line => bytes[searched..]
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map(|position| searched + position + 1),
            Self::Document => trec::last_cut(bytes, searched),
            Self::EndOfFile => None,
        }
    }

    /// The first cut in `bytes`.
    fn first_cut(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Line => {
                let length = length_through(bytes, b'\n');
                bytes[..length].ends_with(b"\n").then_some(length)
            }
            Self::Document => trec::first_cut(bytes),
            Self::EndOfFile => None,
        }
    }

    /// Number of bytes at the end of a block that may be the start of a boundary.
    fn overlap(self) -> usize {
        match self {
            Self::Document => trec::MAX_TAG_BYTES - 1,
            Self::Line | Self::EndOfFile => 0,
        }
    }
}

/// The chunks of one file, and an error for each record that is too large.
pub(super) struct FileChunks {
    file: Arc<str>,
    format: RecordFormat,
    boundary: Boundary,
    stream: Stream,
    limits: Limits,
    /// Size of the file in bytes, if it is known and the file is not compressed.
    expected_bytes: Option<u64>,
    /// Bytes that were read but not returned yet; starts at a record boundary.
    buffer: Vec<u8>,
    /// Line on which `buffer` begins.
    line: u64,
    at_end: bool,
    finished: bool,
}

impl FileChunks {
    /// The chunks of `stream`, which is called `file` in messages and holds about `expected_bytes`,
    /// if known.
    pub(super) fn new(
        file: Arc<str>,
        format: RecordFormat,
        stream: Stream,
        expected_bytes: Option<u64>,
        limits: Limits,
    ) -> Self {
        Self {
            file,
            boundary: Boundary::of(&format),
            format,
            stream,
            limits,
            expected_bytes,
            buffer: Vec::new(),
            line: 1,
            at_end: false,
            finished: false,
        }
    }

    fn next_chunk(&mut self) -> io::Result<Option<Result<Chunk>>> {
        let longest = self.limits.max_record_bytes.saturating_add(1);
        let mut goal = self.limits.chunk_bytes;
        let mut searched = 0;
        let cut = loop {
            self.fill(goal)?;
            if self.at_end {
                self.finished = true;
                break self.buffer.len();
            }
            if let Some(cut) = self.boundary.last_cut(&self.buffer, searched) {
                break cut;
            }
            if self.buffer.len() >= longest {
                return self.skip_record().map(|error| Some(Err(error)));
            }
            searched = self.buffer.len();
            goal = (goal + self.limits.chunk_bytes).min(longest);
        };
        let cut = self.cut_after_max_lines(cut);
        let has_record = cut > 0 || matches!(self.boundary, Boundary::EndOfFile);
        Ok(has_record.then(|| Ok(self.take_chunk(cut))))
    }

    /// `cut`, or an earlier one if there are too many lines before it.
    fn cut_after_max_lines(&mut self, cut: usize) -> usize {
        let lines = &self.buffer[..cut];
        let max_lines = self.limits.max_lines;
        if !matches!(self.boundary, Boundary::Line) || count_line_feeds(lines) <= max_lines {
            return cut;
        }
        let mut line_feeds = (1..).zip(lines).filter(|(_, byte)| **byte == b'\n');
        let last = line_feeds.nth(max_lines as usize - 1);
        let earlier = last.map_or(cut, |(end, _)| end);
        self.finished &= earlier == self.buffer.len();
        earlier
    }

    /// Reads until the buffer holds `goal` bytes or the stream ends.
    fn fill(&mut self, goal: usize) -> io::Result<()> {
        let missing = goal.saturating_sub(self.buffer.len());
        if missing == 0 || self.at_end {
            return Ok(());
        }
        if goal > self.buffer.capacity() {
            // Double the capacity, so that a large record is not copied repeatedly, but never
            // beyond the max size of a record.
            let longest = self.limits.max_record_bytes.saturating_add(1);
            let wanted = goal
                .max(self.buffer.len().saturating_mul(2))
                .min(longest.max(goal));
            let expected = self.expected_bytes.unwrap_or(u64::MAX);
            let expected = usize::try_from(expected)
                .unwrap_or(usize::MAX)
                .saturating_add(1);
            let length = self.buffer.len();
            self.buffer
                .reserve_exact(wanted.min(expected).saturating_sub(length));
        }
        let count = self
            .stream
            .bytes
            .by_ref()
            .take(missing as u64)
            .read_to_end(&mut self.buffer)?;
        self.at_end = count < missing;
        Ok(())
    }

    /// Returns the first `cut` bytes of the buffer as a chunk, and keeps the rest.
    fn take_chunk(&mut self, cut: usize) -> Chunk {
        let rest = self.buffer[cut..].to_vec();
        let mut bytes = std::mem::replace(&mut self.buffer, rest);
        bytes.truncate(cut);
        let first_line = self.line;
        self.line += count_line_feeds(&bytes);
        Chunk {
            file: Arc::clone(&self.file),
            first_line,
            format: self.format.clone(),
            bytes,
        }
    }

    /// Drops the record at the start of the buffer and reads on to its end, block by block; returns
    /// what to report.
    fn skip_record(&mut self) -> io::Result<Error> {
        let first_line = self.line;
        let overlap = self.boundary.overlap();
        let mut length = 0u64;
        loop {
            // No boundary lies in the buffer, but one may begin in its last bytes.
            length += self.discard(self.buffer.len().saturating_sub(overlap));
            self.fill(self.limits.chunk_bytes.max(overlap + 1))?;
            if let Some(cut) = self.boundary.first_cut(&self.buffer) {
                length += self.discard(cut);
                break;
            }
            if self.at_end {
                length += self.discard(self.buffer.len());
                self.finished = true;
                break;
            }
        }
        let limit = self.limits.max_record_bytes as u64;
        Ok(Error::limit("length of the record in bytes", length, limit)
            .at_line(&*self.file, first_line))
    }

    /// Drops the first `count` bytes of the buffer, and the memory of a large buffer with them.
    fn discard(&mut self, count: usize) -> u64 {
        self.line += count_line_feeds(&self.buffer[..count]);
        self.buffer = self.buffer[count..].to_vec();
        count as u64
    }
}

impl Iterator for FileChunks {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        self.next_chunk().unwrap_or_else(|source| {
            // Nothing is known about the data after a failed read.
            self.finished = true;
            let path = Path::new(&*self.file);
            Some(Err(self.stream.compression.read_error(path, source)))
        })
    }
}

#[cfg(test)]
mod tests;
