//! Progress of a load on standard error.
//!
//! On a terminal it is a bar with bytes, documents per second and time left; elsewhere, such as in
//! a log file, a line every few seconds.

mod display;

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

pub use self::display::{BETWEEN_LINES, Display, style};
use crate::output;
use crate::size::{Size, counted, grouped};

const BETWEEN_DRAWINGS: Duration = Duration::from_millis(200);
const BAR: &str = "{wide_bar} {decimal_bytes} of {decimal_total_bytes}, {msg}, {eta} left";
const SPINNER: &str = "{spinner} {decimal_bytes}, {msg}";
const PHASE: &str = "{spinner} {msg}, {elapsed}";

/// Shows the progress of a load.
pub struct Progress {
    /// What is counted, such as `document`.
    noun: &'static str,
    display: Display,
    total_bytes: Option<u64>,
    started: Instant,
    last_shown: Instant,
}

impl Progress {
    /// Begins with nothing loaded; `total_bytes` is the size of the input, if it is known.
    pub fn new(total_bytes: Option<u64>, quiet: bool) -> Self {
        Self::counting("document", total_bytes, quiet)
    }

    /// The same for something other than documents, in the singular.
    pub fn counting(noun: &'static str, total_bytes: Option<u64>, quiet: bool) -> Self {
        let now = Instant::now();
        Self {
            noun,
            display: Display::new(quiet, || bar(total_bytes)),
            total_bytes,
            started: now,
            last_shown: now,
        }
    }

    /// Updates the counts, and shows them if enough time has passed.
    pub fn update(&mut self, bytes: u64, documents: u64) {
        self.show(bytes, documents, None);
    }

    /// The same, with the number of tokens that went through a model.
    pub fn update_with_tokens(&mut self, bytes: u64, documents: u64, tokens: u64) {
        self.show(bytes, documents, Some(tokens));
    }

    fn show(&mut self, bytes: u64, documents: u64, tokens: Option<u64>) {
        let between = match self.display {
            Display::Nothing => return,
            Display::Bar(_) => BETWEEN_DRAWINGS,
            Display::Lines => BETWEEN_LINES,
        };
        if self.last_shown.elapsed() < between {
            return;
        }
        self.last_shown = Instant::now();
        let elapsed = self.started.elapsed();
        match &self.display {
            Display::Nothing => {}
            Display::Bar(bar) => {
                bar.set_position(bytes);
                bar.set_message(counts_and_rates(self.noun, documents, tokens, elapsed));
            }
            Display::Lines => {
                let counts = counts_and_rates(self.noun, documents, tokens, elapsed);
                output::message(&line(bytes, self.total_bytes, counts, elapsed));
            }
        }
    }

    /// Shows what is being done after everything has been read.
    pub fn phase(&mut self, name: &'static str) {
        match &self.display {
            Display::Lines if self.started.elapsed() >= BETWEEN_LINES => output::message(name),
            Display::Nothing | Display::Lines => {}
            Display::Bar(bar) => {
                bar.set_style(style(PHASE));
                bar.set_message(name);
                bar.enable_steady_tick(BETWEEN_DRAWINGS);
            }
        }
    }

    /// Prints a message on standard error without spoiling the bar; `--quiet` does not silence it.
    pub fn message(&self, line: &str) {
        self.display.message(line);
    }
}

fn bar(total_bytes: Option<u64>) -> ProgressBar {
    match total_bytes {
        Some(bytes) => ProgressBar::new(bytes).with_style(style(BAR)),
        None => ProgressBar::new_spinner().with_style(style(SPINNER)),
    }
}

fn counts_and_rates(noun: &str, count: u64, tokens: Option<u64>, elapsed: Duration) -> String {
    let rate = |count: u64| grouped((count as f64 / elapsed.as_secs_f64().max(1e-9)) as u64);
    let (all, rate_of_all) = (counted(count, noun), rate(count));
    match tokens.map(rate) {
        None => format!("{all}, {rate_of_all} {noun}s/s"),
        Some(tokens) => format!("{all}, {rate_of_all} {noun}s/s, {tokens} tokens/s"),
    }
}

fn line(bytes: u64, total_bytes: Option<u64>, counts: String, elapsed: Duration) -> String {
    let mut line = counts;
    line.push_str(", ");
    line.push_str(&Size(bytes).to_string());
    if let Some(total) = total_bytes.filter(|total| *total > 0) {
        let share = (bytes as f64 / total as f64).min(1.0);
        // Rounded down, so that 100 % is shown only when everything is read. Then no time is shown,
        // because the remaining work is not reading.
        let percent = (100.0 * share).floor();
        line.push_str(&format!(" of {} ({percent:.0} %)", Size(total)));
        if share > 0.0 && share < 1.0 {
            let left = elapsed.as_secs_f64() * (1.0 - share) / share;
            line.push_str(&format!(", about {} left", duration(left)));
        }
    }
    line
}

/// A duration as text, such as `2 min 5 s`.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressStyle;

    use super::*;

    #[test]
    fn lines_give_documents_rate_share_and_time_left() {
        let elapsed = Duration::from_secs(10);
        let line = |bytes, total, documents| {
            line(
                bytes,
                total,
                counts_and_rates("document", documents, None, elapsed),
                elapsed,
            )
        };
        assert_eq!(
            line(25_000_000, Some(100_000_000), 12_000),
            "12,000 documents, 1,200 documents/s, 25.0 MB of 100.0 MB (25 %), about 30 s left"
        );
        assert_eq!(
            line(99_900_000, Some(100_000_000), 12_000),
            "12,000 documents, 1,200 documents/s, 99.9 MB of 100.0 MB (99 %), about 1 s left"
        );
        assert_eq!(
            line(100_000_000, Some(100_000_000), 12_000),
            "12,000 documents, 1,200 documents/s, 100.0 MB of 100.0 MB (100 %)"
        );
        assert_eq!(line(1_000, None, 5), "5 documents, 0 documents/s, 1.0 kB");
        assert_eq!(
            counts_and_rates("document", 50, Some(40_000), elapsed),
            "50 documents, 5 documents/s, 4,000 tokens/s"
        );
    }

    #[test]
    fn durations_have_two_units_at_most() {
        assert_eq!(duration(0.0), "0 s");
        assert_eq!(duration(59.2), "1 min 0 s");
        assert_eq!(duration(3_725.0), "1 h 2 min");
    }

    #[test]
    fn templates_are_valid() {
        for template in [BAR, SPINNER, PHASE] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
