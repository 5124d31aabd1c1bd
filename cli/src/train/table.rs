//! Rows of text in columns of equal width.

use console::{measure_text_width, truncate_str};

/// Columns between two cells.
const BETWEEN: usize = 2;

/// Rows as lines, indented; each column is as wide as its widest cell. Wide characters such as Hangul
/// take two columns of a terminal.
pub fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let of_column = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| measure_text_width(cell))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(of_column).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&" ".repeat(BETWEEN));
            line.push_str(cell);
            line.push_str(&" ".repeat(width - measure_text_width(cell)));
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// The start of a text in at most so many columns, on one line.
pub fn cut(text: &str, columns: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    truncate_str(&words.join(" "), columns, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a".into(), "bb".into()],
            vec!["한".into()],
            vec!["".into(), "c".into()],
        ];
        assert_eq!(aligned(&rows), ["  a   bb", "  한", "      c"]);
        assert!(aligned(&[]).is_empty());
    }

    #[test]
    fn a_long_text_is_cut_by_columns() {
        assert_eq!(cut("one\n two   three", 8), "one two…");
        assert_eq!(cut("한국어 문서", 5), "한국…");
        assert_eq!(cut("short", 9), "short");
    }
}
