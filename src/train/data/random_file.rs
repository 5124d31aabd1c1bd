//! Files that are read at any position, by several threads at once.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::eval::lines::MAX_LINE_BYTES;

/// A file open for positioned reads. Nothing of it is kept in memory, and it is not mapped: mapped
/// pages would count as memory of the process.
#[derive(Debug)]
pub(super) struct RandomFile {
    file: File,
    path: PathBuf,
    len: u64,
}

impl RandomFile {
    /// Opens a file. What is appended later is not seen.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io(path, "open", source))?;
        let len = file
            .metadata()
            .map_err(|source| Error::io(path, "read the length of", source))?
            .len();
        Ok(Self {
            file,
            path: path.to_path_buf(),
            len,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path, for errors.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Length in bytes when the file was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Fills `buffer` from `offset` on.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file, offset, buffer)
            .map_err(|source| Error::io(&self.path, "read", source))
    }

    /// The line that starts at `start`, without its terminator; the next line that matters starts at
    /// `end` or later.
    pub fn line(&self, start: u64, end: u64) -> Result<String> {
        let longest = MAX_LINE_BYTES + 2;
        let len = end.min(self.len).saturating_sub(start).min(longest);
        // At most 16 MiB and two bytes, so it fits.
        let mut bytes = vec![0; len as usize];
        self.read(start, &mut bytes)?;
        if let Some(newline) = bytes.iter().position(|&byte| byte == b'\n') {
            bytes.truncate(newline);
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let line = String::from_utf8(bytes).map_err(|_| self.changed(start))?;
        match start {
            0 => Ok(line.trim_start_matches('\u{feff}').to_owned()),
            _ => Ok(line),
        }
    }

    /// The number of the line that starts at an offset, from 1. It reads the file up to there: for
    /// errors only.
    pub fn line_number(&self, offset: u64) -> Result<u64> {
        let mut lines = 1;
        let mut buffer = vec![0; 1 << 16];
        let mut start = 0;
        while start < offset.min(self.len) {
            let size = (offset.min(self.len) - start).min(buffer.len() as u64) as usize;
            self.read(start, &mut buffer[..size])?;
            lines += buffer[..size].iter().filter(|&&byte| byte == b'\n').count() as u64;
            start += size as u64;
        }
        Ok(lines)
    }

    /// The error about a line that is no longer what it was when the file was opened.
    pub fn changed(&self, offset: u64) -> Error {
        Error::invalid(format!(
            "the file changed after it was opened: the line at byte {offset} is not what it was; \
             start again with the files as they are now"
        ))
        .at_line(self.name(), 0)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Where lines start: 4 bytes each, and 8 for each block of 64.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    bases: Vec<u64>,
    relative: Vec<u32>,
}

/// Lines of a block. As a line has at most 16 MiB, a block spans less than 4 GiB.
const BLOCK: usize = 64;

impl Offsets {
    pub fn len(&self) -> usize {
        self.relative.len()
    }

    /// Adds an offset, which is not below the last one.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] for a block that spans 4 GiB, which takes gigabytes of blank lines.
    pub fn push(&mut self, offset: u64) -> Result<()> {
        if self.relative.len().is_multiple_of(BLOCK) {
            self.bases.push(offset);
        }
        let base = self.bases[self.bases.len() - 1];
        let relative = u32::try_from(offset - base).map_err(|_| {
            Error::limit(
                "bytes from a line to the 63rd line after it",
                offset - base,
                u64::from(u32::MAX),
            )
        })?;
        self.relative.push(relative);
        Ok(())
    }

    pub fn get(&self, index: usize) -> Option<u64> {
        let relative = self.relative.get(index)?;
        Some(self.bases[index / BLOCK] + u64::from(*relative))
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bases.capacity() * 8 + self.relative.capacity() * 4
    }

    pub fn shrink(&mut self) {
        self.bases.shrink_to_fit();
        self.relative.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_where_they_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "\u{feff}one\r\n\ntwo\nthree").unwrap();
        let file = RandomFile::open(&path).unwrap();
        assert_eq!(file.line(0, 9).unwrap(), "one");
        assert_eq!(file.line(9, 13).unwrap(), "two");
        assert_eq!(file.line(13, file.len()).unwrap(), "three");
        assert_eq!(file.line_number(9).unwrap(), 3);
        assert_eq!(file.line_number(0).unwrap(), 1);
    }

    #[test]
    fn offsets_come_back() {
        let mut offsets = Offsets::default();
        let all: Vec<u64> = (0..1_024u64).map(|index| (index * index) << 10).collect();
        for &offset in &all {
            offsets.push(offset).unwrap();
        }
        assert_eq!(offsets.len(), 1_024);
        for (index, &offset) in all.iter().enumerate() {
            assert_eq!(offsets.get(index), Some(offset));
        }
        assert_eq!(offsets.get(1_024), None);
        assert!(offsets.push(1 << 40).is_ok(), "a block may start anywhere");
    }

    #[test]
    fn a_block_of_more_than_4_gib_is_refused() {
        let mut offsets = Offsets::default();
        offsets.push(0).unwrap();
        assert!(matches!(offsets.push(1 << 32), Err(Error::Limit { .. })));
    }
}
