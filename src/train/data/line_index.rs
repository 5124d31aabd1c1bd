//! The lines of a large file, in any order, in bounded memory.
//!
//! One pass over the file writes where each line begins to an index file of 8 bytes a line; a line is
//! then two positioned reads. The index is named by the file, its length and the time it was changed,
//! so a run that is resumed finds it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use xxhash_rust::xxh3::Xxh3;

use super::read_at::read_exact_at;
use crate::error::{Error, Result};

/// Bytes that are read first for a line; longer lines take more reads.
const FIRST_READ: usize = 1 << 12;
/// Max bytes of a line.
const MAX_LINE: usize = 64 << 20;
const ENTRY: u64 = 8;

/// A text file whose lines are read by number.
pub struct LineIndex {
    path: PathBuf,
    file: File,
    len: u64,
    index: File,
    lines: u64,
    fingerprint: u64,
}

impl LineIndex {
    /// Opens a file; its index is in `scratch`, where it is kept. `each` is called with the number (from
    /// 1) and the bytes of each line, in a single pass, whether the index is new or not: it checks them.
    /// Empty lines do not count.
    ///
    /// # Errors
    ///
    /// Those of `each`, with file and line; [`Error::InvalidInput`] for a file without lines;
    /// [`Error::Io`].
    pub fn open(
        path: &Path,
        scratch: &Path,
        mut each: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<Self> {
        let open = |source| Error::io(path, "open", source);
        let file = File::open(path).map_err(open)?;
        let about = file.metadata().map_err(open)?;
        let mut hash = Xxh3::new();
        hash.update(path.to_string_lossy().as_bytes());
        hash.update(&about.len().to_le_bytes());
        let changed = about.modified().ok();
        let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        hash.update(&changed.unwrap_or_default().as_nanos().to_le_bytes());
        let fingerprint = hash.digest();

        let index_path = scratch.join(format!("lines-{fingerprint:016x}"));
        let write = |source| Error::io(&index_path, "write", source);
        fs::create_dir_all(scratch).map_err(|source| Error::io(scratch, "create", source))?;
        // A name of its own until it is whole.
        let mut index = tempfile::NamedTempFile::new_in(scratch).map_err(write)?;
        let mut out = BufWriter::new(index.as_file_mut());
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let (mut line, mut offset, mut number, mut lines) = (Vec::new(), 0u64, 0u64, 0u64);
        loop {
            line.clear();
            let read = reader
                .read_until(b'\n', &mut line)
                .map_err(|source| Error::io(path, "read", source))?;
            if read == 0 {
                break;
            }
            number += 1;
            let content = line.trim_ascii_end();
            if !content.is_empty() {
                let at = |error: Error| error.at_line(path.display().to_string(), number);
                if content.len() > MAX_LINE {
                    return Err(at(Error::limit(
                        "bytes of a line",
                        content.len() as u64,
                        MAX_LINE as u64,
                    )));
                }
                each(number, content).map_err(at)?;
                out.write_all(&offset.to_le_bytes()).map_err(write)?;
                lines += 1;
            }
            offset += read as u64;
        }
        out.flush().map_err(write)?;
        drop(out);
        if lines == 0 {
            return Err(
                Error::invalid("expected lines, found none").at_line(path.display().to_string(), 0)
            );
        }
        let index = index
            .persist(&index_path)
            .map_err(|error| write(error.error))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            len: about.len(),
            index,
            lines,
            fingerprint,
        })
    }

    /// The number of lines.
    pub fn len(&self) -> u64 {
        self.lines
    }

    /// A hash of the file's name, length and time.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A line, from 0, without its end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::InvalidInput`] for a file that was changed meanwhile.
    pub fn line(&self, number: u64) -> Result<Vec<u8>> {
        let mut entry = [0; 8];
        read_exact_at(&self.index, &mut entry, number * ENTRY)
            .map_err(|source| Error::io(&self.path, "read the index of", source))?;
        read_line(&self.file, &self.path, self.len, u64::from_le_bytes(entry))
    }
}

/// The line that begins at an offset.
pub(super) fn read_line(file: &File, path: &Path, len: u64, offset: u64) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut want = FIRST_READ as u64;
    loop {
        let have = line.len() as u64;
        let take = want.min(len.saturating_sub(offset + have)) as usize;
        if take == 0 && line.is_empty() {
            return Err(Error::invalid(format!(
                "{}: expected a line at byte {offset}, found the end; the file was changed while it was in use",
                path.display()
            )));
        }
        line.resize(have as usize + take, 0);
        read_exact_at(file, &mut line[have as usize..], offset + have)
            .map_err(|source| Error::io(path, "read", source))?;
        let end = line[have as usize..].iter().position(|byte| *byte == b'\n');
        if let Some(end) = end {
            line.truncate(have as usize + end);
            break;
        }
        if take == 0 || offset + line.len() as u64 >= len {
            break;
        }
        want *= 2;
    }
    let kept = line.trim_ascii_end().len();
    line.truncate(kept);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.txt");
        let long = "x".repeat(20_000);
        let text = format!("one\n\n  \ntwo\r\n{long}\nlast");
        fs::write(&path, &text).unwrap();
        let scratch = folder.path().join("scratch");
        let mut seen = Vec::new();
        let open = |seen: &mut Vec<(u64, usize)>| {
            LineIndex::open(&path, &scratch, |number, line| {
                seen.push((number, line.len()));
                Ok(())
            })
        };
        let index = open(&mut seen).unwrap();
        assert_eq!(seen, [(1, 3), (4, 3), (5, 20_000), (6, 4)]);
        let line = |number| String::from_utf8(index.line(number).unwrap()).unwrap();
        assert_eq!([line(3), line(0), line(1)], ["last", "one", "two"]);
        assert_eq!(line(2), long);
        assert_eq!(index.len(), 4);
        // The index is found again, and there is one.
        let again = open(&mut Vec::new()).unwrap();
        assert_eq!(again.fingerprint(), index.fingerprint());
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 1);
    }

    #[test]
    fn files_that_are_missing_or_empty_and_lines_that_are_wrong_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.txt");
        let open = |is_right: bool| {
            LineIndex::open(&path, folder.path(), |_, _| match is_right {
                true => Ok(()),
                false => Err(Error::invalid("expected something else")),
            })
        };
        assert!(matches!(open(true), Err(Error::Io { .. })));
        fs::write(&path, "\n\n").unwrap();
        assert!(open(true).err().unwrap().to_string().contains("none"));
        fs::write(&path, "\nx\n").unwrap();
        let error = open(false).err().unwrap().to_string();
        assert!(error.contains("lines.txt:2"), "{error}");
    }
}
