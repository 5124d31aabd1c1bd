//! Rows of numbers in a scratch file, read at any position.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use xxhash_rust::xxh3::xxh3_64;

use super::random_file::RandomFile;
use crate::error::{Error, Result};

/// Rows of 32-bit numbers, on disk. The file holds the rows one after the other, little-endian; for
/// rows of different lengths, where each starts and the last one ends, as 64-bit offsets; and a
/// footer.
#[derive(Debug)]
pub(super) struct Rows {
    file: RandomFile,
    footer: Footer,
}

/// The end of the file: what is needed to find a row.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Footer {
    rows: u64,
    /// Numbers of each row; 0 if rows differ.
    width: u64,
    /// Where the rows end.
    end: u64,
    /// A hash of what the rows were made of.
    content: u64,
}

/// The last word before the checksum: name and version of the layout.
const MAGIC: u64 = u64::from_le_bytes(*b"esprows1");
/// Four words, the magic number, and a checksum of these.
const FOOTER_BYTES: u64 = 48;
/// Numbers of a row at most: 256 MiB.
const MAX_WIDTH: u64 = 1 << 26;

impl Rows {
    /// Opens the rows of that name in a folder, or makes them. A file that is complete is used again;
    /// any other file of the name is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and those of `build`, which returns a hash of what the rows are made of.
    pub fn open_or_build(
        folder: &Path,
        name: &str,
        build: impl FnOnce(&mut RowsWriter) -> Result<u64>,
    ) -> Result<Self> {
        let path = folder.join(name);
        if path.exists()
            && let Some(rows) = Self::open(&path)?
        {
            return Ok(rows);
        }
        fs::create_dir_all(folder).map_err(|source| Error::io(folder, "create", source))?;
        let mut writer = RowsWriter::new(folder, &path)?;
        let content = build(&mut writer)?;
        writer.finish(content)?;
        Self::open(&path)?.ok_or_else(|| {
            Error::invalid(
                "expected the file of rows just written, found another; do not write to it",
            )
            .at_line(path.display().to_string(), 0)
        })
    }

    /// Opens a complete file of rows; `None` for anything else.
    fn open(path: &Path) -> Result<Option<Self>> {
        let file = RandomFile::open(path)?;
        let Some(start) = file.len().checked_sub(FOOTER_BYTES) else {
            return Ok(None);
        };
        let mut bytes = [0; FOOTER_BYTES as usize];
        file.read(start, &mut bytes)?;
        Ok(Footer::from_bytes(&bytes)
            .filter(|footer| footer.file_len() == Some(file.len()))
            .map(|footer| Self { file, footer }))
    }

    /// Number of rows.
    pub fn len(&self) -> u64 {
        self.footer.rows
    }

    /// The hash that the function returned which made the rows.
    pub fn content(&self) -> u64 {
        self.footer.content
    }

    /// A row.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] for a number that is not below [`Rows::len`] and
    /// for a file that changed.
    pub fn row(&self, number: u64) -> Result<Vec<u32>> {
        if number >= self.footer.rows {
            return Err(Error::invalid(format!(
                "expected the number of one of {} rows, found {number}",
                self.footer.rows
            ))
            .at_line(self.file.name(), 0));
        }
        let (start, end) = match self.footer.width {
            0 => {
                let mut bounds = [0; 16];
                self.file.read(self.footer.end + number * 8, &mut bounds)?;
                (word(&bounds, 0), word(&bounds, 1))
            }
            width => (number * width * 4, (number + 1) * width * 4),
        };
        if start > end || end > self.footer.end || end - start > MAX_WIDTH * 4 {
            return Err(self.changed());
        }
        // Below 256 MiB, as was just checked.
        let mut bytes = vec![0; (end - start) as usize];
        self.file.read(start, &mut bytes)?;
        let numbers = bytes.as_chunks::<4>().0.iter();
        Ok(numbers.map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }

    /// The error about rows that are not what was written.
    pub fn changed(&self) -> Error {
        Error::invalid(
            "this scratch file is not what was written; remove it, and it is made again from the \
             training data",
        )
        .at_line(self.file.name(), 0)
    }
}

impl Footer {
    fn to_bytes(self) -> Vec<u8> {
        let words = [self.rows, self.width, self.end, self.content, MAGIC];
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        let checksum = xxh3_64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let is_valid = word(bytes, 4) == MAGIC && word(bytes, 5) == xxh3_64(&bytes[..40]);
        is_valid.then(|| Self {
            rows: word(bytes, 0),
            width: word(bytes, 1),
            end: word(bytes, 2),
            content: word(bytes, 3),
        })
    }

    /// The length of the whole file; `None` if it is beyond 2^64.
    fn file_len(&self) -> Option<u64> {
        let index = match self.width {
            0 => self.rows.checked_add(1)?.checked_mul(8)?,
            _ => 0,
        };
        self.end.checked_add(index)?.checked_add(FOOTER_BYTES)
    }
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
    u64::from_le_bytes(word)
}

/// Writes rows front to back. The file gets its name when it is complete.
pub(super) struct RowsWriter {
    folder: PathBuf,
    path: PathBuf,
    data: BufWriter<NamedTempFile>,
    /// Where rows start, from the first row on that has another length than those before.
    index: Option<BufWriter<File>>,
    rows: u64,
    width: u64,
    end: u64,
}

impl RowsWriter {
    fn new(folder: &Path, path: &Path) -> Result<Self> {
        let file = NamedTempFile::new_in(folder)
            .map_err(|source| Error::io(folder, "create a file in", source))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            path: path.to_path_buf(),
            data: BufWriter::with_capacity(1 << 18, file),
            index: None,
            rows: 0,
            // Without rows any width will do; 0 would announce an index.
            width: 1,
            end: 0,
        })
    }

    /// Adds a row, the first of which has at least one number.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], such as for a disk that is full, and [`Error::Limit`] for a row of more than
    /// 67 million numbers.
    pub fn push(&mut self, row: &[u32]) -> Result<()> {
        let width = row.len() as u64;
        if width > MAX_WIDTH {
            return Err(Error::limit("number of texts of a line", width, MAX_WIDTH));
        }
        if self.rows == 0 {
            self.width = width;
        }
        let written = self.write(row);
        written.map_err(|source| Error::io(&self.path, "write", source))
    }

    fn write(&mut self, row: &[u32]) -> io::Result<()> {
        if self.index.is_none() && row.len() as u64 != self.width {
            let file = tempfile::tempfile_in(&self.folder)?;
            let mut index = BufWriter::with_capacity(1 << 18, file);
            for earlier in 0..self.rows {
                index.write_all(&(earlier * self.width * 4).to_le_bytes())?;
            }
            self.index = Some(index);
        }
        if let Some(index) = &mut self.index {
            index.write_all(&self.end.to_le_bytes())?;
        }
        for number in row {
            self.data.write_all(&number.to_le_bytes())?;
        }
        self.rows += 1;
        self.end += row.len() as u64 * 4;
        Ok(())
    }

    fn finish(self, content: u64) -> Result<()> {
        let path = self.path.clone();
        self.complete(content)
            .map_err(|source| Error::io(path, "write", source))
    }

    fn complete(mut self, content: u64) -> io::Result<()> {
        let mut footer = Footer {
            rows: self.rows,
            width: self.width,
            end: self.end,
            content,
        };
        if let Some(index) = self.index {
            footer.width = 0;
            let mut index = index.into_inner()?;
            index.rewind()?;
            io::copy(&mut index.take(self.rows * 8), &mut self.data)?;
            self.data.write_all(&self.end.to_le_bytes())?;
        }
        self.data.write_all(&footer.to_bytes())?;
        let file = self.data.into_inner()?;
        // The name must not become durable before the content.
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(folder: &Path, rows: &[Vec<u32>]) -> Rows {
        let fill = |writer: &mut RowsWriter| {
            for row in rows {
                writer.push(row)?;
            }
            Ok(5)
        };
        Rows::open_or_build(folder, "a.rows", fill).unwrap()
    }

    fn check(rows: &[Vec<u32>]) {
        let folder = tempfile::tempdir().unwrap();
        let file = build(&folder.path().join("made"), rows);
        assert_eq!((file.len(), file.content()), (rows.len() as u64, 5));
        for (number, row) in rows.iter().enumerate() {
            assert_eq!(&file.row(number as u64).unwrap(), row);
        }
        assert!(file.row(rows.len() as u64).is_err());
        let names = fs::read_dir(folder.path().join("made")).unwrap();
        assert_eq!(names.count(), 1, "no temporary file stays");
    }

    #[test]
    fn rows_of_one_length_come_back() {
        check(&[]);
        check(&[vec![1, u32::MAX, 3]]);
        check(&(0..1_000).map(|row| vec![row, row * 2]).collect::<Vec<_>>());
    }

    #[test]
    fn rows_of_different_lengths_come_back() {
        check(
            &(0..1_000)
                .map(|row| vec![row; 1 + row as usize % 7])
                .collect::<Vec<_>>(),
        );
        let late = (0..100).map(|row| vec![row; if row == 99 { 1 } else { 3 }]);
        check(&late.collect::<Vec<_>>());
    }

    #[test]
    fn complete_rows_are_used_again_and_others_made_again() {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), &[vec![1, 2], vec![3, 4]]);
        let unused = |_: &mut RowsWriter| -> Result<u64> { panic!("the rows are there") };
        Rows::open_or_build(folder.path(), "a.rows", unused).unwrap();

        let path = folder.path().join("a.rows");
        let whole = fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 1], &whole[4..], &[], &whole[..4]] {
            fs::write(&path, damaged).unwrap();
            let rows = build(folder.path(), &[vec![5]]);
            assert_eq!(rows.row(0).unwrap(), [5]);
        }
    }

    #[test]
    fn a_failed_build_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let fail = |writer: &mut RowsWriter| -> Result<u64> {
            writer.push(&[1])?;
            Err(Error::invalid("no"))
        };
        assert!(Rows::open_or_build(folder.path(), "a.rows", fail).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named() {
        let mut writer = RowsWriter::new(Path::new("/tmp"), Path::new("/tmp/a.rows")).unwrap();
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        writer.index = Some(BufWriter::with_capacity(1, full));
        let error = writer.push(&[1]).unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
    }
}
