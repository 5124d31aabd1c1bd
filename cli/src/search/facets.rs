//! Counts of the values of columns, over all documents that match a query.

use esparsa::{ColumnStatistics, Facet, FacetResult, Interval, Result, Value};
use serde::Serialize;
use serde_json::Value as Json;

use crate::escape::escaped;
use crate::output::Output;
use crate::size::grouped;

/// Values that are shown unless more are asked for.
const DEFAULT_VALUES: &str = "10";

/// What is counted, and in which column.
#[derive(Clone, Debug)]
pub struct FacetArgument {
    column: String,
    facet: Facet,
}

impl FacetArgument {
    /// What to count.
    pub fn facet(&self) -> Facet {
        self.facet.clone()
    }
}

/// Parser of what is counted.
pub fn parser(text: &str) -> std::result::Result<FacetArgument, String> {
    let (column, what) = match text.rsplit_once(':') {
        Some((column, what)) => (column, what),
        None => (text, DEFAULT_VALUES),
    };
    let interval = match what {
        "year" => Some(Interval::Year),
        "month" => Some(Interval::Month),
        "week" => Some(Interval::Week),
        "day" => Some(Interval::Day),
        "hour" => Some(Interval::Hour),
        "minute" => Some(Interval::Minute),
        _ => match what.strip_prefix("width=").map(str::parse) {
            Some(Ok(width)) => Some(Interval::Width(width)),
            Some(Err(_)) => {
                return Err(format!("expected a number after `width=`, found `{what}`"));
            }
            None => None,
        },
    };
    let facet = match (interval, what.parse::<usize>()) {
        (Some(interval), _) => Facet::histogram(column, interval),
        (None, Ok(count)) => Facet::values(column, count),
        (None, Err(_)) if what == "statistics" => Facet::statistics(column),
        _ => {
            return Err(format!(
                "expected a number of values, `statistics`, `width=X`, or an interval such as `month` after `:`, found `{what}`"
            ));
        }
    };
    Ok(FacetArgument {
        column: column.to_owned(),
        facet,
    })
}

/// What was counted in a column.
#[derive(Serialize)]
pub struct FacetReport {
    column: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Counts {
    Values(Vec<(Json, u64)>),
    Histogram(Vec<(Json, u64)>),
    Statistics(Statistics),
}

#[derive(Serialize)]
struct Statistics {
    documents: u64,
    values: u64,
    distinct: u64,
    min: Option<Json>,
    max: Option<Json>,
    sum: Option<f64>,
    mean: Option<f64>,
}

impl From<ColumnStatistics> for Statistics {
    fn from(found: ColumnStatistics) -> Self {
        Self {
            documents: found.documents,
            values: found.values,
            distinct: found.distinct,
            min: found.min.as_ref().map(json),
            max: found.max.as_ref().map(json),
            sum: found.sum,
            mean: found.mean,
        }
    }
}

/// A value as JSON: numbers and flags as such, dates and keywords as strings.
pub fn json(value: &Value) -> Json {
    match value {
        Value::I64(number) => (*number).into(),
        Value::U64(number) => (*number).into(),
        Value::F64(number) => (*number).into(),
        Value::Bool(flag) => (*flag).into(),
        value => value.to_string().into(),
    }
}

impl FacetReport {
    /// What was counted for each argument.
    pub fn of(counted: &[FacetResult], arguments: &[FacetArgument]) -> Vec<Self> {
        let counted = counted.iter().cloned();
        let reports = counted.zip(arguments).filter_map(|(counted, argument)| {
            let pairs = |counted: Vec<(Value, u64)>| -> Vec<(Json, u64)> {
                let counted = counted.into_iter();
                counted
                    .map(|(value, count)| (json(&value), count))
                    .collect()
            };
            let counts = match counted {
                FacetResult::Values(values) => Counts::Values(pairs(values)),
                FacetResult::Histogram(intervals) => Counts::Histogram(pairs(intervals)),
                FacetResult::Statistics(found) => Counts::Statistics(found.into()),
                _ => return None,
            };
            Some(Self {
                column: argument.column.clone(),
                counts,
            })
        });
        reports.collect()
    }
}

/// Prints what was counted, a line for each value.
///
/// # Errors
///
/// What writing gives.
pub fn print(reports: &[FacetReport]) -> Result<()> {
    let mut output = Output::new();
    for report in reports {
        output.line(format!("\n{}", escaped(&report.column)))?;
        match &report.counts {
            Counts::Values(counts) | Counts::Histogram(counts) => {
                let width = counts.iter().map(|(_, count)| grouped(*count).len()).max();
                let width = width.unwrap_or(0);
                for (value, count) in counts {
                    let value = text(value);
                    output.line(format!(
                        "  {:>width$}  {}",
                        grouped(*count),
                        escaped(&value)
                    ))?;
                }
            }
            Counts::Statistics(found) => {
                output.line(format!(
                    "  documents {}, values {}, distinct {}",
                    grouped(found.documents),
                    grouped(found.values),
                    grouped(found.distinct)
                ))?;
                let ends = [("min", &found.min), ("max", &found.max)];
                for (name, value) in ends {
                    if let Some(value) = value {
                        output.line(format!("  {name} {}", escaped(&text(value))))?;
                    }
                }
                if let (Some(sum), Some(mean)) = (found.sum, found.mean) {
                    output.line(format!("  sum {sum}, mean {mean}"))?;
                }
            }
        }
    }
    output.finish()
}

/// A value as people read it.
fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_read() {
        let facet = |text| parser(text).unwrap().facet;
        assert_eq!(facet("color"), Facet::values("color", 10));
        assert_eq!(facet("color:3"), Facet::values("color", 3));
        assert_eq!(facet("price:statistics"), Facet::statistics("price"));
        assert_eq!(facet("day:month"), Facet::histogram("day", Interval::Month));
        assert_eq!(
            facet("price:width=2.5"),
            Facet::histogram("price", Interval::Width(2.5))
        );
        assert!(parser("price:much").unwrap_err().contains("`much`"));
        assert!(parser("price:width=x").unwrap_err().contains("a number"));
    }
}
