//! One section of a file: bytes that are verified before they are used
//! (`format-spec/container.md`).

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::{Malformed, Parse, narrow, read_u32, wide};
use crate::bytes::{Bytes, FileHandle};
use crate::error::{Error, Result};

/// Bytes that one checksum covers.
pub const CHUNK_BYTES: usize = 1 << CHUNK_SHIFT;
const CHUNK_SHIFT: u32 = 16;

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

/// A section of a file; cloning shares the bytes and what has been verified. Unless the file is
/// mapped, its bytes are read when they are first used.
#[derive(Clone)]
pub struct Section {
    source: Arc<dyn FileHandle>,
    content: OnceLock<Content>,
    file: Arc<str>,
    name: Arc<str>,
    /// Where the section and its checksums are in the file.
    place: SectionPlace,
    /// Length in bytes.
    length: usize,
    /// One bit a chunk: 1 when it was found right. `None` when nothing is to be verified.
    verified: Option<Arc<[AtomicU64]>>,
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
        self.section.touch(self.start + start, self.start + end)?;
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
        let chunks = length.div_ceil(CHUNK_BYTES);
        let verified = (verify != Verify::Never).then(|| {
            (0..chunks.div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect()
        });
        let section = Self {
            source,
            content: OnceLock::new(),
            file,
            name: name.into(),
            place,
            length,
            verified,
        };
        if section.source.mapped().is_some() {
            section.read()?;
        }
        Ok(section)
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
        let read = |range: &Range<u64>| self.source.read(range.clone());
        let content = Content {
            bytes: read(&self.place.bytes)?,
            checksums: read(&self.place.checksums)?,
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
            file: "memory".into(),
            name: name.into(),
            place: SectionPlace {
                bytes: 0..wide(length),
                checksums: 0..0,
            },
            length,
            verified: None,
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
        self.touch(start, end)?;
        let bytes = self.content()?.bytes.get(start..end);
        bytes.ok_or_else(|| self.outside(offset, length))
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

    /// Compares every chunk with its checksum, whatever was verified before.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] at the first chunk that differs.
    pub fn verify(&self) -> Result<()> {
        let chunks = self.length.div_ceil(CHUNK_BYTES);
        (0..chunks).try_for_each(|chunk| self.verify_chunk(chunk))
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

    #[inline]
    fn touch(&self, start: usize, end: usize) -> Result<()> {
        let Some(verified) = &self.verified else {
            return Ok(());
        };
        if start == end {
            return Ok(());
        }
        for chunk in start >> CHUNK_SHIFT..=(end - 1) >> CHUNK_SHIFT {
            let bit = 1u64 << (chunk % 64);
            if let Some(word) = verified.get(chunk / 64)
                && word.load(Ordering::Relaxed) & bit == 0
            {
                self.verify_chunk(chunk)?;
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    #[cold]
    fn verify_chunk(&self, chunk: usize) -> Result<()> {
        let content = self.content()?;
        let start = chunk * CHUNK_BYTES;
        let end = self.length.min(start + CHUNK_BYTES);
        let offset = wide(start);
        let expected = self.parsed(offset, read_u32(&content.checksums, chunk * 4))?;
        let bytes = content
            .bytes
            .get(start..end)
            .ok_or_else(|| self.outside(offset, wide(end - start)))?;
        let found = crc32c::crc32c(bytes);
        if found == expected {
            return Ok(());
        }
        let message =
            format!("expected checksum {expected:08x} for these 64 KiB, found {found:08x}");
        Err(Error::corrupt(&*self.file, &*self.name, offset, message))
    }
}
