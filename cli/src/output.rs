//! Writing to standard output and standard error.
//!
//! The macros of the standard library panic when the reader has closed the pipe; these functions do
//! not.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use esparsa::{Error, Result};

use crate::escape::{escaped_lines, escaped_message};

/// Name of standard output in messages.
pub const STANDARD_OUTPUT: &str = "<stdout>";

/// Standard output, with a buffer; call [`Output::finish`] at the end.
pub struct Output {
    out: BufWriter<StdoutLock<'static>>,
    is_terminal: bool,
}

impl Output {
    /// Locks standard output.
    pub fn new() -> Self {
        let out = io::stdout().lock();
        Self {
            is_terminal: out.is_terminal(),
            out: BufWriter::with_capacity(1 << 16, out),
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; when the reader has closed the pipe, its kind is `BrokenPipe`, and the
    /// process ends with code 0.
    pub fn line(&mut self, line: impl AsRef<[u8]>) -> Result<()> {
        let written = self.out.write_all(line.as_ref());
        written
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(output_error)
    }

    /// Writes text from files, such as a stored document, unchanged; on a terminal, with
    /// [escapes](crate::escape) for control characters. In JSON they mean the same characters.
    ///
    /// # Errors
    ///
    /// As [`Output::line`].
    pub fn data(&mut self, line: impl AsRef<[u8]>) -> Result<()> {
        if !self.is_terminal {
            return self.line(line);
        }
        self.line(&*escaped_lines(&String::from_utf8_lossy(line.as_ref())))
    }

    /// Writes out what is in the buffer.
    ///
    /// # Errors
    ///
    /// As [`Output::line`].
    pub fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(output_error)
    }
}

/// Prints `text`, which is one line or several, and a line feed.
///
/// # Errors
///
/// As [`Output::line`].
pub fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut output = Output::new();
    output.line(text)?;
    output.finish()
}

/// Prints a message on standard error, with [escapes](crate::escape) for control characters. A
/// failure to write is ignored: there is nowhere to report it.
pub fn message(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", escaped_message(text));
}

/// The error for output that cannot be written.
pub fn output_error(source: io::Error) -> Error {
    Error::io(STANDARD_OUTPUT, "write", source)
}
