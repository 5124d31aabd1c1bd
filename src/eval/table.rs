//! Plain text tables.

use std::fmt;

use super::evaluate::Report;
use crate::error::{Error, Result};

/// A table of values: each row has a name and values with four decimals, in aligned columns.
///
/// ```
/// use esparsa::eval::Table;
///
/// let mut table = Table::new(["run", "ndcg@10"]);
/// table.push("bm25", [0.52891]);
/// assert_eq!(table.to_string(), "run   ndcg@10\nbm25   0.5289\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a header row.
    pub fn new<S: Into<String>>(headers: impl IntoIterator<Item = S>) -> Self {
        Self {
            rows: vec![headers.into_iter().map(Into::into).collect()],
        }
    }

    /// Adds a row with a name and values.
    pub fn push(&mut self, name: &str, values: impl IntoIterator<Item = f64>) {
        let mut row = vec![name.to_owned()];
        row.extend(values.into_iter().map(|value| format!("{value:.4}")));
        self.rows.push(row);
    }

    /// Width of each column, in characters.
    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    /// Names are left-aligned and values right-aligned, with two spaces between columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 {
                    line.push_str(&format!("{cell:<width$}"));
                } else {
                    line.push_str(&format!("  {cell:>width$}"));
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A table with one row for each run and one column for each metric.
///
/// # Errors
///
/// [`Error::InvalidInput`] if the reports do not have the same metrics in the same order.
pub fn comparison_table(runs: &[(&str, &Report)]) -> Result<Table> {
    let metrics = runs.first().map_or(&[][..], |(_, report)| report.metrics());
    let names = metrics.iter().map(ToString::to_string);
    let mut table = Table::new(["run".to_owned()].into_iter().chain(names));
    for (name, report) in runs {
        if report.metrics() != metrics {
            return Err(Error::invalid(format!(
                "expected the same metrics for every run, found different ones for `{name}`"
            )));
        }
        table.push(name, report.means());
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::super::{EvaluateOptions, Metric, Qrels, Run, evaluate};
    use super::*;

    fn report(metrics: &str) -> Report {
        let qrels = Qrels::read("1 0 a 1\n".as_bytes(), "q").unwrap();
        let run = Run::read("1 Q0 b 1 2 t\n1 Q0 a 2 1 t\n".as_bytes(), "r").unwrap();
        let metrics = Metric::parse_list(metrics).unwrap();
        evaluate(&qrels, &run, &metrics, EvaluateOptions::default()).unwrap()
    }

    #[test]
    fn columns_are_aligned_by_characters() {
        let mut table = Table::new(["run", "p@5"]);
        table.push("é", [0.5]);
        table.push("long name", [10.0]);
        assert_eq!(
            table.to_string(),
            "run            p@5\né           0.5000\nlong name  10.0000\n"
        );
    }

    #[test]
    fn each_run_is_a_row() {
        let report = report("mrr,p@1");
        let table = comparison_table(&[("a", &report), ("b", &report)]).unwrap();
        assert_eq!(
            table.to_string(),
            "run     mrr     p@1\na    0.5000  0.0000\nb    0.5000  0.0000\n"
        );
    }

    #[test]
    fn runs_with_different_metrics_are_rejected() {
        let (one, other) = (report("mrr"), report("p@1"));
        assert!(comparison_table(&[("a", &one), ("b", &other)]).is_err());
    }
}
