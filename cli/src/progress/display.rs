//! Where progress is shown: a bar on a terminal, elsewhere lines from time to time.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// Time between two lines of progress where there is no terminal.
pub const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// How progress is shown on standard error. A bar is removed when this is dropped, whether the work
/// succeeded or not.
pub enum Display {
    /// Not at all; messages are printed all the same.
    Nothing,
    /// A bar that is drawn again and again.
    Bar(ProgressBar),
    /// A line from time to time, as suits a log file.
    Lines,
}

impl Display {
    /// Nothing if `quiet`, the bar on a terminal, lines elsewhere.
    pub fn new(quiet: bool, bar: impl FnOnce() -> ProgressBar) -> Self {
        match () {
            () if quiet => Self::Nothing,
            () if io::stderr().is_terminal() => Self::Bar(bar()),
            () => Self::Lines,
        }
    }

    /// Prints a message on standard error without spoiling the bar; `--quiet` does not silence it.
    pub fn message(&self, line: &str) {
        match self {
            Self::Nothing | Self::Lines => output::message(line),
            Self::Bar(bar) => bar.suspend(|| output::message(line)),
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// The style of a bar. Templates are constants that tests check, and one that does not parse gives
/// a plain bar.
pub fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
