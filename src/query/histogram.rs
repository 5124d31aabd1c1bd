//! Intervals of numbers and of the calendar, into which values are counted.

use crate::error::{Error, Result};
use crate::format::Value;
use crate::format::column::ColumnType;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Days from 0000-03-01 to 1970-01-01 in the Gregorian calendar. Years that begin in March have
/// their leap day at the end.
const DAYS_TO_EPOCH: i64 = 719_468;
/// Days of 400 years.
const DAYS_OF_ERA: i64 = 146_097;

/// A width of intervals. Those of dates are in UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Interval {
    /// Numbers of this width, from 0 in both directions.
    Width(f64),
    /// From the first of January.
    Year,
    /// From the first of the month.
    Month,
    /// From Monday.
    Week,
    /// From midnight.
    Day,
    /// From the full hour.
    Hour,
    /// From the full minute.
    Minute,
}

impl Interval {
    /// Refuses an interval that does not fit a column, or is none.
    pub(super) fn check(self, column: ColumnType) -> Result<()> {
        let is_number = matches!(column, ColumnType::I64 | ColumnType::U64 | ColumnType::F64);
        match self {
            Self::Width(width) if !(width.is_finite() && width > 0.0) => Err(Error::invalid(
                format!("expected a width of intervals above 0, found {width}"),
            )),
            Self::Width(width)
                if column != ColumnType::F64 && is_number && width.fract() != 0.0 =>
            {
                Err(Error::invalid(format!(
                    "expected a width of intervals that is a whole number, as the column's values are, found {width}"
                )))
            }
            Self::Width(_) if is_number => Ok(()),
            Self::Width(_) => Err(Error::invalid(format!(
                "expected a column of numbers for intervals of a width, found one of type {}",
                column.name()
            ))),
            _ if column == ColumnType::Date => Ok(()),
            _ => Err(Error::invalid(format!(
                "expected a column of dates for intervals of the calendar, found one of type {}",
                column.name()
            ))),
        }
    }

    /// Where the interval of a value begins: the value itself, where that is not in its type.
    pub(super) fn start(self, value: &Value) -> Value {
        match (self, value) {
            (Self::Width(width), Value::F64(number)) => {
                Value::F64((number / width).floor() * width)
            }
            // The width is a whole number.
            (Self::Width(width), Value::I64(number)) => {
                let start = start_of(i128::from(*number), width as i128);
                Value::I64(i64::try_from(start).unwrap_or(i64::MIN))
            }
            (Self::Width(width), Value::U64(number)) => {
                let start = start_of(i128::from(*number), width as i128);
                Value::U64(u64::try_from(start).unwrap_or(0))
            }
            (_, Value::Date(milliseconds)) => Value::Date(self.start_of_date(*milliseconds)),
            (_, value) => value.clone(),
        }
    }

    fn start_of_date(self, milliseconds: i64) -> i64 {
        let floor = |unit: i64| milliseconds.div_euclid(unit).saturating_mul(unit);
        let days = milliseconds.div_euclid(DAY);
        let of_days = |days: i64| days.saturating_mul(DAY);
        match self {
            Self::Minute => floor(MINUTE),
            Self::Hour => floor(HOUR),
            Self::Day | Self::Width(_) => floor(DAY),
            // 1970-01-01 was a Thursday.
            Self::Week => of_days(days - (days + 3).rem_euclid(7)),
            Self::Month | Self::Year => {
                let (year, month) = year_and_month(days);
                let month = if self == Self::Month { month } else { 1 };
                of_days(days_to(year, month))
            }
        }
    }
}

fn start_of(number: i128, width: i128) -> i128 {
    number.div_euclid(width.max(1)).saturating_mul(width)
}

/// The year and the month, from 1, of a day since 1970.
fn year_and_month(days: i64) -> (i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    let (era, day) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    // Leap days lie at the ends of 4, 100 and 400 years.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, again and again.
    let month = (5 * day + 2) / 153;
    let year = era * 400 + year;
    match month < 10 {
        true => (year, month + 3),
        false => (year + 1, month - 9),
    }
}

/// Days from 1970 to the first of a month.
fn days_to(year: i64, month: i64) -> i64 {
    let (year, month) = match month > 2 {
        true => (year, month - 3),
        false => (year - 1, month + 9),
    };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * month + 2) / 5;
    era * DAYS_OF_ERA + 365 * year + year / 4 - year / 100 + day - DAYS_TO_EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start(interval: Interval, date: &str) -> String {
        interval.start(&Value::date(date).unwrap()).to_string()
    }

    #[test]
    fn intervals_of_the_calendar_begin_where_they_should() {
        let date = "2024-02-29T15:22:45.5Z";
        for (interval, expected) in [
            (Interval::Year, "2024-01-01"),
            (Interval::Month, "2024-02-01"),
            (Interval::Week, "2024-02-26"),
            (Interval::Day, "2024-02-29"),
            (Interval::Hour, "2024-02-29T15:00:00Z"),
            (Interval::Minute, "2024-02-29T15:22:00Z"),
        ] {
            let expected = Value::date(expected).unwrap().to_string();
            assert_eq!(start(interval, date), expected);
        }
        assert!(start(Interval::Month, "1900-03-01").starts_with("1900-03-01"));
        assert!(start(Interval::Year, "1969-12-31").starts_with("1969-01-01"));
    }

    #[test]
    fn large_whole_numbers_are_counted_exactly() {
        let start = |value| Interval::Width(1.0).start(&value);
        let large = 9_007_199_254_740_993;
        assert_eq!(start(Value::I64(large)), Value::I64(large));
        assert_eq!(start(Value::U64(u64::MAX)), Value::U64(u64::MAX));
        assert_eq!(
            Interval::Width(10.0).start(&Value::I64(-1)),
            Value::I64(-10)
        );
        assert_eq!(
            Interval::Width(10.0).start(&Value::I64(i64::MIN)),
            Value::I64(i64::MIN)
        );
    }

    proptest! {
        #[test]
        fn months_are_those_of_the_calendar(days in -1_000_000i64..1_000_000) {
            let found = start(Interval::Month, &Value::Date(days * DAY).to_string());
            let date = Value::Date(days * DAY).to_string();
            prop_assert_eq!(&found[..found.len() - 12], &date[..date.len() - 12], "{} {}", found, date);
        }

        #[test]
        fn a_value_is_not_below_the_start_of_its_interval(
            milliseconds in any::<i64>(),
            number in -1e9f64..1e9,
            width in 1e-3f64..1e6,
        ) {
            for interval in [Interval::Week, Interval::Day, Interval::Hour, Interval::Minute] {
                let first = interval.start_of_date(milliseconds);
                prop_assert!(first <= milliseconds || first == i64::MIN);
                prop_assert_eq!(interval.start_of_date(first), first);
            }
            let Value::F64(first) = Interval::Width(width).start(&Value::F64(number)) else {
                panic!();
            };
            prop_assert!(first <= number + 1e-6 && number - first <= width * (1.0 + 1e-6) + 1e-6);
        }
    }
}
