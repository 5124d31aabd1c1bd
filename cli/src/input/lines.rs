//! Cuts a chunk into lines, and checks that bytes are UTF-8.

use std::io::BufRead;

use esparsa::{Error, Result};

/// The lines of a chunk, each with its number in the file and without its line end (LF or CR LF).
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: u64,
}

impl<'a> Lines<'a> {
    /// Lines of `bytes`, numbered from `first_line`.
    pub(super) fn new(bytes: &'a [u8], first_line: u64) -> Self {
        Self {
            rest: bytes,
            number: first_line,
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = self.rest.split_at(length_through(self.rest, b'\n'));
        let number = self.number;
        self.rest = rest;
        self.number += 1;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Some((number, line.strip_suffix(b"\r").unwrap_or(line)))
    }
}

/// Number of bytes up to and including the first `delimiter`, or all of them where there is none.
pub(super) fn length_through(bytes: &[u8], delimiter: u8) -> usize {
    // The standard library's fast byte search is reached through `BufRead`; reading a slice cannot
    // fail.
    let mut rest = bytes;
    rest.skip_until(delimiter).unwrap_or(bytes.len())
}

/// Number of line feeds in `bytes`.
pub(super) fn count_line_feeds(bytes: &[u8]) -> u64 {
    // Sums of up to 255 bytes fit a byte, which lets the compiler count many bytes at once.
    bytes
        .chunks(255)
        .map(|block| {
            u64::from(
                block
                    .iter()
                    .map(|&byte| u8::from(byte == b'\n'))
                    .sum::<u8>(),
            )
        })
        .sum()
}

/// Reads `bytes`, which begin on line `first_line` of `file`, as UTF-8.
///
/// # Errors
///
/// [`Error::InvalidInput`] with the line of the first bad byte, and its position in that line, from
/// 1.
pub(super) fn utf8<'a>(bytes: &'a [u8], file: &str, first_line: u64) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (valid, bad) = bytes.split_at(error.valid_up_to());
        let line_start = valid
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |position| position + 1);
        Error::invalid(format!(
            "not valid UTF-8 at byte {} of the line (0x{:02x}); name the encoding of the inputs with --encoding, for example --encoding windows-1252",
            valid.len() - line_start + 1,
            bad.first().copied().unwrap_or(0),
        ))
        .at_line(file, first_line + count_line_feeds(valid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_line_ends_and_none_at_the_end_are_accepted() {
        let lines: Vec<_> = Lines::new(b"a\r\nb\n\nc", 5).collect();
        let expected: [(u64, &[u8]); 4] = [(5, b"a"), (6, b"b"), (7, b""), (8, b"c")];
        assert_eq!(lines, expected);
        assert_eq!(Lines::new(b"", 1).count(), 0);
    }

    #[test]
    fn line_feeds_are_counted_past_one_block() {
        let bytes = b"\n\na".repeat(1000);
        assert_eq!(count_line_feeds(&bytes), 2000);
        assert_eq!(count_line_feeds(&[b'\n'; 700]), 700);
        assert_eq!(count_line_feeds(b""), 0);
    }

    #[test]
    fn a_bad_byte_is_named_by_line_and_position() {
        let error = utf8(b"one\ntwo \xe9t\xe9\n", "a.txt", 3).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("a.txt:4: "), "{message}");
        assert!(message.contains("byte 5 of the line (0xe9)"), "{message}");
    }
}
