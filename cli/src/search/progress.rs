//! Progress of the queries of a file: a bar on a terminal, elsewhere a line every few seconds.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::output;
use crate::progress::{BETWEEN_LINES, Display, duration, style};
use crate::size::{counted, grouped};

const BAR: &str = "{wide_bar} {human_pos} of {human_len} queries, {per_sec}, {eta} left";

/// Shows how many queries are done.
pub struct QueryProgress {
    display: Display,
    queries: u64,
    started: Instant,
    last_shown: Instant,
}

impl QueryProgress {
    /// Begins before the first of `queries` queries. No bar is drawn while results go to the
    /// terminal.
    pub fn new(queries: u64, quiet: bool, to_terminal: bool) -> Self {
        // Results and a bar on the same terminal would overwrite each other.
        let quiet = quiet || (to_terminal && io::stderr().is_terminal());
        let now = Instant::now();
        Self {
            display: Display::new(quiet, || bar(queries)),
            queries,
            started: now,
            last_shown: now,
        }
    }

    /// Updates the number of queries done, and shows it if enough time has passed.
    pub fn update(&mut self, done: u64) {
        match &self.display {
            Display::Nothing => {}
            // The bar limits how often it is drawn.
            Display::Bar(bar) => bar.set_position(done),
            Display::Lines if self.last_shown.elapsed() >= BETWEEN_LINES => {
                self.last_shown = Instant::now();
                output::message(&line(done, self.queries, self.started.elapsed()));
            }
            Display::Lines => {}
        }
    }

    /// Prints a message on standard error without spoiling the bar; `--quiet` does not silence it.
    pub fn message(&self, line: &str) {
        self.display.message(line);
    }
}

fn bar(queries: u64) -> ProgressBar {
    ProgressBar::new(queries).with_style(style(BAR))
}

fn line(done: u64, queries: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let left = seconds * (queries - done.min(queries)) as f64 / done.max(1) as f64;
    format!(
        "{} of {}, {} queries/s, about {} left",
        grouped(done),
        counted(queries, "query"),
        grouped((done as f64 / seconds.max(1e-9)) as u64),
        duration(left)
    )
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressStyle;

    use super::*;

    #[test]
    fn lines_give_queries_rate_and_time_left() {
        assert_eq!(
            line(1_500, 6_000, Duration::from_secs(10)),
            "1,500 of 6,000 queries, 150 queries/s, about 30 s left"
        );
        assert!(ProgressStyle::with_template(BAR).is_ok());
    }
}
