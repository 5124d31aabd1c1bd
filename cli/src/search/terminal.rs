//! Output for terminals: bold text, and widths that account for wide characters.

use std::fmt;

use console::{Term, colors_enabled, measure_text_width};

use crate::escape::escaped;

/// Columns when standard output is not a terminal.
const DEFAULT_COLUMNS: usize = 100;
/// Max columns, because longer lines are hard to read.
const MAX_COLUMNS: usize = 120;
/// Min columns; on a narrower terminal lines wrap.
const MIN_COLUMNS: usize = 40;

/// How text is highlighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    is_terminal: bool,
    /// Columns of a line.
    pub columns: usize,
}

impl Style {
    /// The style for standard output: bold text only on a terminal, and not when `NO_COLOR` is set.
    pub fn detect() -> Self {
        let columns = Term::stdout()
            .size_checked()
            .map(|(_, columns)| usize::from(columns));
        let columns = columns.unwrap_or(DEFAULT_COLUMNS);
        Self {
            is_terminal: colors_enabled(),
            columns: columns.clamp(MIN_COLUMNS, MAX_COLUMNS),
        }
    }

    /// Text without any escape sequence.
    #[cfg(test)]
    pub fn plain(columns: usize) -> Self {
        Self {
            is_terminal: false,
            columns,
        }
    }

    /// The marks before and after a match: bold on a terminal, brackets elsewhere.
    pub fn marks(self) -> (&'static str, &'static str) {
        if self.is_terminal {
            ("\x1b[1m", "\x1b[0m")
        } else {
            ("[", "]")
        }
    }

    /// A heading: bold on a terminal, unchanged elsewhere.
    pub fn heading(self, text: &str) -> String {
        let (start, end) = if self.is_terminal {
            self.marks()
        } else {
            ("", "")
        };
        format!("{start}{text}{end}")
    }

    /// A secondary remark: dim on a terminal, unchanged elsewhere.
    pub fn dim(self, text: &str) -> String {
        if self.is_terminal {
            format!("\x1b[2m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Columns that a text takes on a terminal: Hangul and other wide characters take two, escape
/// sequences none.
pub fn width(text: &str) -> usize {
    measure_text_width(text)
}

/// Columns that a character takes.
pub fn character_width(character: char) -> usize {
    if character.is_ascii() {
        return 1;
    }
    width(character.encode_utf8(&mut [0; 4]))
}

/// A text with spaces behind it, `columns` wide.
pub fn pad(text: &str, columns: usize) -> String {
    let spaces = columns.saturating_sub(width(text));
    format!("{text}{:spaces$}", "")
}

/// A table: the first column is left-aligned, the others, which hold numbers, are right-aligned.
#[derive(Clone, Debug)]
pub struct TextTable {
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table with a first line of headers.
    pub fn new<S: Into<String>>(headers: impl IntoIterator<Item = S>) -> Self {
        let mut figures = Self { rows: Vec::new() };
        figures.push(headers);
        figures
    }

    /// Adds a line.
    pub fn push<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells = cells.into_iter().map(Into::into);
        let cells = cells.map(|cell| escaped(&cell).into_owned());
        self.rows.push(cells.collect());
    }
}

impl fmt::Display for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (column, cell) in widths.iter_mut().zip(row) {
                *column = width(cell).max(*column);
            }
        }
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, &columns)) in row.iter().zip(&widths).enumerate() {
                if column == 0 {
                    line.push_str(&pad(cell, columns));
                } else {
                    let spaces = columns.saturating_sub(width(cell)) + 2;
                    line.push_str(&format!("{:spaces$}{cell}", ""));
                }
            }
            let end = if number + 1 < self.rows.len() {
                "\n"
            } else {
                ""
            };
            write!(f, "{}{end}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hangul_takes_two_columns_and_escapes_take_none() {
        assert_eq!(width("세종 a"), 6);
        assert_eq!(width("\x1b[1mé\x1b[0m"), 1);
        assert_eq!(character_width('한'), 2);
        assert_eq!(pad("한", 4), "한  ");
        assert_eq!(pad("한국", 3), "한국");
    }

    #[test]
    fn figures_stand_below_each_other() {
        let mut figures = TextTable::new(["언어", "k"]);
        figures.push(["a", "100"]);
        assert_eq!(figures.to_string(), "언어    k\na     100");
    }

    #[test]
    fn without_a_terminal_there_are_no_escapes() {
        let style = Style::plain(80);
        assert_eq!(style.marks(), ("[", "]"));
        assert_eq!(style.heading("a") + &style.dim("b"), "ab");
    }
}
