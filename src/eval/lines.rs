//! A line reader that counts lines, so that every error can name its file and line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// Maximum length of a line in a run, qrels or query file, in bytes.
pub const MAX_LINE_BYTES: u64 = 16 << 20;

/// Opens a file for the readers of this module.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be opened.
pub(crate) fn open(path: &Path) -> Result<BufReader<File>> {
    match File::open(path) {
        Ok(file) => Ok(BufReader::with_capacity(1 << 16, file)),
        Err(source) => Err(Error::io(path, "open", source)),
    }
}

/// Reads one line at a time into its buffer and counts lines.
pub(crate) struct Lines<R> {
    reader: R,
    file: String,
    number: u64,
    buffer: Vec<u8>,
    /// Where the next line starts.
    next: u64,
}

impl<R: BufRead> Lines<R> {
    /// Starts before the first line; `file` is the name used in errors.
    pub(crate) fn new(reader: R, file: &str) -> Self {
        Self {
            reader,
            file: file.to_owned(),
            number: 0,
            buffer: Vec::new(),
            next: 0,
        }
    }

    /// The next line without its line terminator, or `None` at the end of the file.
    ///
    /// Drops a byte order mark before the first line, and the carriage return of `\r\n`.
    pub(crate) fn next_line(&mut self) -> Result<Option<&str>> {
        self.buffer.clear();
        // One byte above the limit: it distinguishes a line of maximum length from a longer one.
        let read = (&mut self.reader)
            .take(MAX_LINE_BYTES + 1)
            .read_until(b'\n', &mut self.buffer)
            .map_err(|source| Error::io(&self.file, "read", source))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.next += read as u64;
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
        } else if read as u64 > MAX_LINE_BYTES {
            let error = Error::limit("length of the line in bytes", read as u64, MAX_LINE_BYTES);
            return Err(self.place(error));
        }
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        match std::str::from_utf8(&self.buffer) {
            Ok(line) if self.number == 1 => Ok(Some(line.trim_start_matches('\u{feff}'))),
            Ok(line) => Ok(Some(line)),
            Err(error) => Err(self.error(format!(
                "expected UTF-8 text, found other bytes at column {}; convert the file to UTF-8",
                error.valid_up_to() + 1
            ))),
        }
    }

    /// Number of the last line read, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// As [`Lines::next_line`], with the place where the line starts, in bytes from the start of the
    /// file. A byte order mark is part of the first line there.
    #[cfg(feature = "train")]
    pub(crate) fn next_with_offset(&mut self) -> Result<Option<(u64, &str)>> {
        let start = self.next;
        Ok(self.next_line()?.map(|line| (start, line)))
    }

    /// An error about the last line read.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        self.place(Error::invalid(message))
    }

    /// Adds the position of the last line read to an error.
    pub(crate) fn place(&self, error: Error) -> Error {
        error.at_line(self.file.clone(), self.number)
    }

    /// The name given to [`Lines::new`].
    pub(crate) fn file(&self) -> &str {
        &self.file
    }
}

/// A piece of input, quoted and truncated for an error message.
pub(crate) fn quote(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN {
        return format!("`{text}`");
    }
    let start: String = text.chars().take(SHOWN).collect();
    format!("`{start}...`")
}

/// Checks that an id is not empty; `what` names it in the error, such as `query id`.
pub(crate) fn check_id(what: &str, id: &str) -> Result<()> {
    match id.is_empty() {
        true => Err(Error::invalid(format!("expected a {what}, found none"))),
        false => Ok(()),
    }
}

/// Checks that a name can be one column of a TREC file without encoding.
///
/// `what` names it in the error, such as `run tag`.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    check_id(what, name)?;
    if name.contains(char::is_whitespace) {
        return Err(Error::invalid(format!(
            "expected a {what} without white space, found {}; \
             the columns of a TREC run are separated by white space",
            quote(name)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<String>> {
        let mut lines = Lines::new(bytes, "a.txt");
        let mut found = Vec::new();
        while let Some(line) = lines.next_line()? {
            found.push(line.to_owned());
        }
        Ok(found)
    }

    #[test]
    fn line_terminators_and_byte_order_mark_are_dropped() {
        let found = all(b"\xef\xbb\xbfone\r\n\ntwo").unwrap();
        assert_eq!(found, ["one", "", "two"]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named_by_line_and_column() {
        let error = all(b"one\nab\xff").unwrap_err().to_string();
        assert!(error.starts_with("a.txt:2: "), "{error}");
        assert!(error.contains("column 3"), "{error}");
    }

    #[test]
    fn a_line_longer_than_the_limit_is_rejected() {
        let longest = vec![b'x'; MAX_LINE_BYTES as usize];
        assert_eq!(all(&longest).unwrap()[0].len(), longest.len());

        let too_long = vec![b'x'; MAX_LINE_BYTES as usize + 1];
        let error = all(&too_long).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
        assert!(error.to_string().starts_with("a.txt:1: "), "{error}");
    }

    #[test]
    fn long_pieces_are_truncated_in_messages() {
        assert_eq!(quote("short"), "`short`");
        assert_eq!(quote(&"é".repeat(100)), format!("`{}...`", "é".repeat(60)));
    }
}
