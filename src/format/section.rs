//! One section of a file: bytes that are verified before they are used
//! (`format-spec/container.md`).

mod on_demand;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use self::on_demand::Chunks;
use super::{Malformed, Parse, narrow, read_u32, wide};
use crate::bytes::{Bytes, FileHandle, OnDemand};
use crate::error::{Error, Result};

/// Bytes that one checksum covers.
pub const CHUNK_BYTES: usize = 1 << CHUNK_SHIFT;
const CHUNK_SHIFT: u32 = 16;
/// Chunks that [`Section::verify`] reads at a time.
const CHUNKS_READ: usize = 16;

/// When the checksums of sections are compared with their bytes.
///
/// Header, section table and trailer are always checked when a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Every chunk, the first time that a search or a read touches it.
    #[default]
    OnFirstTouch,
    /// Every chunk, when the file is opened.
    AtOpen,
    /// Never: for files that something else protects.
    Never,
}

/// A section of a file; cloning shares the bytes and what has been verified.
///
/// Of a file that is filled on demand, the first use of a chunk reads it and some after it. Of
/// another file that is not mapped, the first use of any byte reads the whole section, which then
/// stays in memory as long as a clone of the section; [`Section::fetch`] reads a part alone.
#[derive(Clone)]
pub struct Section {
    source: Arc<dyn FileHandle>,
    content: OnceLock<Content>,
    /// What all clones use once one of them has read it, because they share `verified` too: bytes
    /// that were read anew could be damaged where a bit says they were found right. `None` when
    /// `content` is there from the start; then each clone has its own without this detour.
    shared: Option<Arc<OnceLock<Content>>>,
    file: Arc<str>,
    name: Arc<str>,
    /// Where the section and its checksums are in the file.
    place: SectionPlace,
    /// Length in bytes.
    length: usize,
    /// One bit a chunk: 1 when it was found right. `None` when nothing is to be verified.
    verified: Option<Arc<[AtomicU64]>>,
    /// How chunks without a bit are read, if the file is filled on demand.
    chunks: Option<Arc<Chunks>>,
    /// The first and the last bytes, if the file is filled on demand and says them at its end.
    edges: Option<[Bytes; 2]>,
}

/// Where a section is in its file, in bytes from the start.
#[derive(Clone, Debug)]
pub(super) struct SectionPlace {
    pub bytes: Range<u64>,
    pub checksums: Range<u64>,
}

/// What was read of a section.
#[derive(Clone)]
struct Content {
    bytes: Bytes,
    /// A CRC32C for each chunk.
    checksums: Bytes,
}

/// A part of a section; see [`Section::view`].
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    section: &'a Section,
    bytes: &'a [u8],
    start: usize,
}

impl<'a> View<'a> {
    /// The bytes from `start` until `end` of the part, verified.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when they lie outside the part or do not match their checksum.
    #[inline]
    pub fn get(&self, start: usize, end: usize) -> Result<&'a [u8]> {
        let Some(bytes) = self.bytes.get(start..end) else {
            return Err(self.malformed(Malformed("expected more bytes in this list")));
        };
        let extent = self.start + self.bytes.len();
        self.section
            .touch(self.start + start, self.start + end, extent)?;
        Ok(bytes)
    }

    /// The bytes of the part from `start` on, unverified: to be prefetched, not to be used.
    #[inline]
    pub fn unverified(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..).unwrap_or_default()
    }

    /// The error for bytes of this part that make no sense.
    #[cold]
    pub fn malformed(&self, malformed: Malformed) -> Error {
        self.section.malformed(wide(self.start), malformed)
    }
}

impl std::fmt::Debug for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} {:?}", self.file, self.name, self.place.bytes)
    }
}

impl Section {
    /// A section of `length` bytes at `place` of a file.
    pub(super) fn new(
        source: Arc<dyn FileHandle>,
        file: Arc<str>,
        name: &str,
        place: SectionPlace,
        length: usize,
        verify: Verify,
    ) -> Result<Self> {
        let verified = (verify != Verify::Never).then(|| unverified(length));
        let section = Self {
            shared: source.mapped().is_none().then(Arc::default),
            chunks: None,
            edges: None,
            source,
            content: OnceLock::new(),
            file,
            name: name.into(),
            place,
            length,
            verified,
        };
        if section.shared.is_none() {
            section.read()?;
        }
        Ok(section)
    }

    /// The same section of a file that is filled on demand, with the checksums of the file and where
    /// they start. Chunks are always verified, because the checksums tell what is there.
    pub(super) fn on_demand(
        mut self,
        file: Arc<dyn OnDemand>,
        copy: &Bytes,
        (checksums_start, checksums): (u64, &Bytes),
    ) -> Result<Self> {
        let at = |place: u64| narrow(place.saturating_sub(checksums_start));
        let range = &self.place.checksums;
        let (from, to) = (at(range.start), at(range.end));
        let checksums = from.and_then(|from| Ok(checksums.slice(from..to?)));
        let checksums = checksums.map_err(|m| self.malformed(0, m))?;
        let checksums = checksums.ok_or_else(|| self.outside(0, self.len()))?;
        let start = narrow(self.place.bytes.start).map_err(|m| self.malformed(0, m))?;
        let local = copy.slice(start..start + self.length);
        let local = local.ok_or_else(|| self.outside(0, self.len()))?;
        let verified = unverified(self.length);
        let content = Content {
            bytes: local.clone(),
            checksums: checksums.clone(),
        };
        self.chunks = Some(Chunks::new(
            file,
            (self.file.clone(), self.name.clone()),
            (self.place.bytes.start, self.length),
            (checksums, local),
            verified.clone(),
        ));
        self.content = OnceLock::from(content);
        (self.shared, self.verified) = (None, Some(verified));
        Ok(self)
    }

    /// The bytes of the section and its checksums.
    #[inline]
    fn content(&self) -> Result<&Content> {
        match self.content.get() {
            Some(content) => Ok(content),
            None => self.read(),
        }
    }

    #[cold]
    fn read(&self) -> Result<&Content> {
        let read = || -> Result<Content> {
            Ok(Content {
                bytes: self.source.read(self.place.bytes.clone())?,
                checksums: self.source.read(self.place.checksums.clone())?,
            })
        };
        let content = match &self.shared {
            None => read()?,
            Some(shared) => match shared.get() {
                Some(content) => content.clone(),
                None => {
                    let content = read()?;
                    // Another clone may have been faster: then its bytes are the ones.
                    shared.get_or_init(|| content).clone()
                }
            },
        };
        Ok(self.content.get_or_init(|| content))
    }

    /// A section over bytes in memory, with nothing to verify: for tests and scratch lists.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        let bytes = Bytes::from(bytes);
        let content = Content {
            bytes: bytes.clone(),
            checksums: Bytes::from(Vec::new()),
        };
        Self {
            source: Arc::new(bytes),
            content: OnceLock::from(content),
            shared: None,
            file: "memory".into(),
            name: name.into(),
            place: SectionPlace {
                bytes: 0..wide(length),
                checksums: 0..0,
            },
            length,
            verified: None,
            chunks: None,
            edges: None,
        }
    }

    /// The file that the section is of.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// The section's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        wide(self.length)
    }

    /// Whether the section has no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes from `offset`, `length` of them, verified.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when they lie outside the section or do not match their checksum.
    #[inline]
    pub fn slice(&self, offset: u64, length: u64) -> Result<&[u8]> {
        let end = offset.checked_add(length).filter(|end| *end <= self.len());
        let (Some(end), Ok(start)) = (end, narrow(offset)) else {
            return Err(self.outside(offset, length));
        };
        let end = narrow(end).map_err(|m| self.malformed(offset, m))?;
        if let Some(bytes) = self.in_edges(start, end) {
            return Ok(bytes);
        }
        self.touch(start, end, end)?;
        let bytes = self.content()?.bytes.get(start..end);
        bytes.ok_or_else(|| self.outside(offset, length))
    }

    /// The bytes from `offset`, `length` of them, verified: borrowed if the section is in memory or
    /// has a local copy. Otherwise only the chunks that hold them are read, and not kept. For large
    /// sections of which single places are used.
    ///
    /// # Errors
    ///
    /// As [`Section::slice`].
    pub fn fetch(&self, offset: u64, length: u64) -> Result<Cow<'_, [u8]>> {
        if self.is_in_memory() || self.chunks.is_some() || length == 0 {
            return self.slice(offset, length).map(Cow::Borrowed);
        }
        let end = offset.checked_add(length).filter(|end| *end <= self.len());
        let end = end.ok_or_else(|| self.outside(offset, length))?;
        let place = |at| narrow(at).map_err(|m| self.malformed(offset, m));
        let (start, end) = (place(offset)?, place(end)?);
        let first = start >> CHUNK_SHIFT;
        let chunks = first..((end - 1) >> CHUNK_SHIFT) + 1;
        let content = self.read_chunks(chunks.clone())?;
        if self.verified.is_some() {
            self.verify_read(&content, chunks)?;
        }
        let from = start - (first << CHUNK_SHIFT);
        let bytes = content.bytes.get(from..from + (end - start));
        let bytes = bytes.ok_or_else(|| self.outside(offset, length))?;
        Ok(Cow::Owned(bytes.to_vec()))
    }

    /// True if using the section reads nothing.
    fn is_in_memory(&self) -> bool {
        let shared = self.shared.as_ref();
        self.chunks.is_none() && shared.is_none_or(|shared| shared.get().is_some())
    }

    /// Remembers the first and the last bytes.
    pub(super) fn set_edges(&mut self, edges: Option<[Bytes; 2]>) {
        self.edges = edges;
    }

    #[inline]
    fn in_edges(&self, start: usize, end: usize) -> Option<&[u8]> {
        let [first, last] = self.edges.as_ref()?;
        let last_start = self.length - last.iter().len();
        first
            .get(start..end)
            .or_else(|| last.get(start.checked_sub(last_start)?..end - last_start))
    }

    /// Begins to read the bytes from `offset`, `length` of them, if the file is filled on demand and
    /// they are not in its local copy. It returns at once, and a later use waits for them. What lies
    /// outside the section is left out.
    pub fn prefetch(&self, offset: u64, length: u64) {
        if let Some(chunks) = &self.chunks
            && let (Ok(start), Ok(end)) = (
                narrow(offset.min(self.len())),
                narrow(offset.saturating_add(length).min(self.len())),
            )
        {
            chunks.prefetch(start >> CHUNK_SHIFT..end.div_ceil(CHUNK_BYTES));
        }
    }

    /// True if the file is filled on demand, so that [`prefetch`](Self::prefetch) saves time.
    pub fn is_on_demand(&self) -> bool {
        self.chunks.is_some()
    }

    /// Some chunks and their checksums, read anew.
    fn read_chunks(&self, chunks: Range<usize>) -> Result<Content> {
        let part = |whole: &Range<u64>, unit: usize| {
            let at = |chunk: usize| {
                whole
                    .start
                    .saturating_add(wide(chunk * unit))
                    .min(whole.end)
            };
            self.source.read(at(chunks.start)..at(chunks.end))
        };
        Ok(Content {
            bytes: part(&self.place.bytes, CHUNK_BYTES)?,
            checksums: part(&self.place.checksums, 4)?,
        })
    }

    /// A part of the section that is verified piece by piece, when pieces are read.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when it lies outside the section.
    pub fn view(&self, offset: u64, length: u64) -> Result<View<'_>> {
        let end = offset.checked_add(length).filter(|end| *end <= self.len());
        let (Some(end), Ok(start)) = (end, narrow(offset)) else {
            return Err(self.outside(offset, length));
        };
        let end = narrow(end).map_err(|m| self.malformed(offset, m))?;
        let bytes = self.content()?.bytes.get(start..end);
        Ok(View {
            section: self,
            bytes: bytes.ok_or_else(|| self.outside(offset, length))?,
            start,
        })
    }

    /// The whole section, verified.
    ///
    /// # Errors
    ///
    /// As [`Section::slice`].
    pub fn all(&self) -> Result<&[u8]> {
        self.slice(0, self.len())
    }

    /// Compares every chunk with its checksum, whatever was verified before. Of a file that is not
    /// mapped it reads what is not in memory a piece at a time and keeps nothing; such chunks do
    /// not count as verified, because they are read again when they are used.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] at the first chunk that differs.
    pub fn verify(&self) -> Result<()> {
        let chunks = self.length.div_ceil(CHUNK_BYTES);
        if self.is_in_memory() {
            return (0..chunks).try_for_each(|chunk| self.verify_chunk(chunk));
        }
        (0..chunks).step_by(CHUNKS_READ).try_for_each(|first| {
            let piece = first..chunks.min(first + CHUNKS_READ);
            self.verify_read(&self.read_chunks(piece.clone())?, piece)
        })
    }

    /// Verifies chunks that [`Section::read_chunks`] read.
    fn verify_read(&self, content: &Content, mut chunks: Range<usize>) -> Result<()> {
        let first = chunks.start;
        chunks.try_for_each(|chunk| self.verify_in(content, first, chunk))
    }

    /// Reads with a parser that knows nothing of files, and says where it failed.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] with `offset` and the parser's message.
    pub fn parsed<T>(&self, offset: u64, result: Parse<T>) -> Result<T> {
        result.map_err(|malformed| self.malformed(offset, malformed))
    }

    /// The error for bytes of this section that make no sense.
    #[cold]
    pub fn malformed(&self, offset: u64, malformed: Malformed) -> Error {
        Error::corrupt(&*self.file, &*self.name, offset, malformed.0)
    }

    #[cold]
    fn outside(&self, offset: u64, length: u64) -> Error {
        let message = format!(
            "expected {length} bytes here, but the section has {} in all",
            self.len()
        );
        Error::corrupt(&*self.file, &*self.name, offset, message)
    }

    /// Verifies the chunks of a range that were not verified before. `extent` is where the list or
    /// the record ends that the range belongs to.
    #[inline]
    fn touch(&self, start: usize, end: usize, extent: usize) -> Result<()> {
        let Some(verified) = &self.verified else {
            return Ok(());
        };
        if start == end {
            return Ok(());
        }
        for chunk in start >> CHUNK_SHIFT..=(end - 1) >> CHUNK_SHIFT {
            if !is_verified(verified, chunk) {
                self.first_touch(verified, chunk..((end - 1) >> CHUNK_SHIFT) + 1, extent)?;
            }
        }
        Ok(())
    }

    #[cold]
    fn first_touch(
        &self,
        verified: &[AtomicU64],
        chunks: Range<usize>,
        extent: usize,
    ) -> Result<()> {
        if let Some(on_demand) = &self.chunks {
            return on_demand.load(chunks, extent.div_ceil(CHUNK_BYTES));
        }
        let chunk = chunks.start;
        self.verify_chunk(chunk)?;
        if let Some(word) = verified.get(chunk / 64) {
            word.fetch_or(1 << (chunk % 64), Ordering::Relaxed);
        }
        Ok(())
    }

    #[cold]
    fn verify_chunk(&self, chunk: usize) -> Result<()> {
        self.verify_in(self.content()?, 0, chunk)
    }

    /// Verifies a chunk in content that begins with chunk `first`.
    fn verify_in(&self, content: &Content, first: usize, chunk: usize) -> Result<()> {
        let start = chunk * CHUNK_BYTES;
        let end = self.length.min(start + CHUNK_BYTES);
        let offset = wide(start);
        let expected = self.parsed(offset, read_u32(&content.checksums, (chunk - first) * 4))?;
        let before = first * CHUNK_BYTES;
        let bytes = content
            .bytes
            .get(start - before..end - before)
            .ok_or_else(|| self.outside(offset, wide(end - start)))?;
        let found = crc32c::crc32c(bytes);
        if found == expected {
            return Ok(());
        }
        let length = end - start;
        let message =
            format!("expected checksum {expected:08x} for these {length} bytes, found {found:08x}");
        Err(Error::corrupt(&*self.file, &*self.name, offset, message))
    }
}

/// A bit for each chunk of a section of this length, none set.
fn unverified(length: usize) -> Arc<[AtomicU64]> {
    let words = length.div_ceil(CHUNK_BYTES).div_ceil(64);
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

/// Whether the bit of a chunk is set; a chunk that there is none of counts as verified.
#[inline]
fn is_verified(verified: &[AtomicU64], chunk: usize) -> bool {
    // Acquire: the bytes of a chunk that arrived in the meantime were written before its bit.
    verified
        .get(chunk / 64)
        .is_none_or(|word| word.load(Ordering::Acquire) & (1 << (chunk % 64)) != 0)
}

#[cfg(test)]
mod tests;
