//! Values of columns, and their codes: numbers in the order of the values.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::Pieces;

use crate::error::{Error, Result};
use crate::format::limits::MAX_KEYWORD_BYTES;
use crate::format::{Malformed, Parse};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnType {
    /// Whole numbers with a sign, of 64 bits.
    I64,
    /// Whole numbers from 0 on, of 64 bits.
    U64,
    /// Finite or infinite numbers in double precision.
    F64,
    /// True or false.
    Bool,
    /// Points in time, in milliseconds since 1970 began in UTC.
    Date,
    /// Strings that are compared as a whole, byte by byte.
    Keyword,
}

/// A value of a column.
///
/// ```
/// use esparsa::Value;
///
/// assert_eq!(Value::from(3), Value::I64(3));
/// assert_eq!(Value::from("red"), Value::Keyword("red".into()));
/// assert_eq!(Value::date("2024-06-19T15:22:45Z")?.to_string(), "2024-06-19T15:22:45Z");
/// assert_eq!(Value::date("2024-06-19")?, Value::date("2024-06-19T00:00:00Z")?);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A whole number with a sign.
    I64(i64),
    /// A whole number from 0 on.
    U64(u64),
    /// A number in double precision.
    F64(f64),
    /// True or false.
    Bool(bool),
    /// Milliseconds since 1970 began in UTC.
    Date(i64),
    /// A string.
    Keyword(String),
}

impl Value {
    /// A point in time from RFC 3339, such as `2024-06-19T15:22:45.120+02:00`, or from a date alone,
    /// which is the beginning of that day in UTC. What is finer than a millisecond is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for anything else.
    pub fn date(text: &str) -> Result<Self> {
        let (milliseconds, _) = parse_date(text).ok_or_else(|| {
            Error::invalid(format!(
                "expected a date such as 2024-06-19T15:22:45Z or 2024-06-19, found {text:?}"
            ))
        })?;
        Ok(Self::Date(milliseconds))
    }
}

/// The milliseconds since 1970 of a date, and whether something finer was dropped.
fn parse_date(text: &str) -> Option<(i64, bool)> {
    let pieces = Pieces::parse(text).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let offset = pieces.to_numeric_offset();
    let (time, offset) = match (pieces.time(), offset) {
        (None, None) => (Time::midnight(), 0),
        (Some(time), Some(offset)) => (time, offset.seconds()),
        _ => return None,
    };
    let since = pieces.date().to_datetime(time).duration_since(EPOCH);
    let nanoseconds = since.as_nanos() - i128::from(offset) * 1_000_000_000;
    let milliseconds = i64::try_from(nanoseconds.div_euclid(1_000_000)).ok()?;
    Some((milliseconds, nanoseconds.rem_euclid(1_000_000) > 0))
}

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl Value {
    /// A value of JSON: a string, a number, true or false.
    pub(crate) fn from_json(json: &serde_json::Value) -> Option<Self> {
        match json {
            serde_json::Value::Bool(flag) => Some(Self::Bool(*flag)),
            serde_json::Value::String(string) => Some(Self::Keyword(string.clone())),
            serde_json::Value::Number(number) => {
                let whole = number.as_i64().map(Self::I64);
                let whole = whole.or_else(|| number.as_u64().map(Self::U64));
                whole.or_else(|| number.as_f64().map(Self::F64))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    /// Dates are written as RFC 3339, if they are of the years -9999 to 9999.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I64(number) => number.fmt(f),
            Self::U64(number) => number.fmt(f),
            Self::F64(number) => number.fmt(f),
            Self::Bool(flag) => flag.fmt(f),
            Self::Date(milliseconds) => {
                match EPOCH.checked_add(SignedDuration::from_millis(*milliseconds)) {
                    Ok(date) => write!(f, "{date}Z"),
                    Err(_) => write!(f, "{milliseconds} ms after 1970"),
                }
            }
            Self::Keyword(keyword) => keyword.fmt(f),
        }
    }
}

macro_rules! from {
    ($($From:ty => $Variant:ident;)*) => {
        $(impl From<$From> for Value {
            fn from(value: $From) -> Self {
                Self::$Variant(value.into())
            }
        })*
    };
}

from! {
    i32 => I64;
    i64 => I64;
    u32 => U64;
    u64 => U64;
    f32 => F64;
    f64 => F64;
    bool => Bool;
    &str => Keyword;
    String => Keyword;
    &String => Keyword;
}

impl ColumnType {
    /// All types.
    pub const ALL: [Self; 6] = [
        Self::I64,
        Self::U64,
        Self::F64,
        Self::Bool,
        Self::Date,
        Self::Keyword,
    ];

    /// The type's name, such as `i64`.
    pub fn name(self) -> &'static str {
        match self {
            Self::I64 => "i64",
            Self::U64 => "u64",
            Self::F64 => "f64",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::Keyword => "keyword",
        }
    }

    /// The type of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    pub(in crate::format) fn code(self) -> u8 {
        match self {
            Self::I64 => 0,
            Self::U64 => 1,
            Self::F64 => 2,
            Self::Bool => 3,
            Self::Date => 4,
            Self::Keyword => 5,
        }
    }

    pub(in crate::format) fn of_code(code: u8) -> Parse<Self> {
        let found = Self::ALL.into_iter().find(|column| column.code() == code);
        found.ok_or(Malformed("a column is of no known type"))
    }

    /// What a value of the type looks like, for messages.
    fn example(self) -> &'static str {
        match self {
            Self::I64 => "a whole number from -2^63 to 2^63 - 1",
            Self::U64 => "a whole number from 0 to 2^64 - 1",
            Self::F64 => "a number",
            Self::Bool => "true or false",
            Self::Date => "a date such as 2024-06-19T15:22:45Z, or milliseconds since 1970",
            Self::Keyword => "a string of at most 1,024 bytes",
        }
    }

    /// The value as one of this type; numbers in double precision become whole ones where nothing is
    /// lost, whole ones become the nearest in double precision, and strings and whole numbers become
    /// dates.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the value is none of this type, [`Error::Limit`] for a keyword
    /// that is too long.
    pub fn convert(self, value: &Value) -> Result<Value> {
        let converted = match (self, value) {
            (Self::I64, Value::I64(_))
            | (Self::U64, Value::U64(_))
            | (Self::Bool, Value::Bool(_))
            | (Self::Date, Value::Date(_)) => Some(value.clone()),
            (Self::F64, Value::F64(number)) => (!number.is_nan()).then(|| value.clone()),
            (Self::I64 | Self::U64 | Self::F64, value) => self.convert_number(value),
            (Self::Date, Value::F64(number)) => {
                let whole = whole(*number).and_then(|whole| i64::try_from(whole).ok());
                whole.map(Value::Date)
            }
            (Self::Date, Value::I64(number)) => Some(Value::Date(*number)),
            (Self::Date, Value::U64(number)) => i64::try_from(*number).ok().map(Value::Date),
            (Self::Date, Value::Keyword(text)) => return Value::date(text),
            (Self::Keyword, Value::Keyword(keyword)) => {
                let (found, limit) = (keyword.len() as u64, MAX_KEYWORD_BYTES as u64);
                if found > limit {
                    return Err(Error::limit("bytes of a keyword", found, limit));
                }
                Some(value.clone())
            }
            _ => None,
        };
        converted.ok_or_else(|| self.unfit(value))
    }

    fn convert_number(self, value: &Value) -> Option<Value> {
        let whole = match value {
            Value::I64(number) => i128::from(*number),
            Value::U64(number) => i128::from(*number),
            Value::F64(number) => whole(*number)?,
            _ => return None,
        };
        match self {
            Self::I64 => i64::try_from(whole).ok().map(Value::I64),
            Self::U64 => u64::try_from(whole).ok().map(Value::U64),
            _ => {
                #[allow(clippy::cast_precision_loss)]
                let double = whole as f64;
                Some(Value::F64(double))
            }
        }
    }

    /// The lowest code of the values that are at least `value`, or with `is_strict` above it; `None`
    /// when there are none. Numbers of all types are compared by what they are worth. Not for
    /// keywords.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the value cannot be compared with those of the column.
    pub(crate) fn lowest_code(self, value: &Value, is_strict: bool) -> Result<Option<u64>> {
        let step = u64::from(is_strict);
        match (self, value) {
            // The nearest number may be on either side.
            (Self::F64, Value::I64(whole)) => {
                return Ok(Some(f64_above(i128::from(*whole), is_strict)));
            }
            (Self::F64, Value::U64(whole)) => {
                return Ok(Some(f64_above(i128::from(*whole), is_strict)));
            }
            // Of a date that is between two milliseconds the next one is above it in any case.
            (Self::Date, Value::Keyword(text))
                if parse_date(text).is_some_and(|(_, rest)| rest) =>
            {
                return self.lowest_code(&Value::date(text)?, true);
            }
            _ => {}
        }
        if let Ok(converted) = self.convert(value)
            && let Some(code) = self.code_of(&converted)
        {
            return Ok(code.checked_add(step));
        }
        // Of a number that is no value of the column, the next one is above it in any case.
        let code = match (self, value) {
            (Self::I64, value) => number_above(value).map(|above| match above {
                above if above < i128::from(i64::MIN) => Some(0),
                above => i64::try_from(above)
                    .ok()
                    .map(|above| above.cast_unsigned() ^ SIGN),
            }),
            (Self::U64, value) => number_above(value).map(|above| match above {
                above if above < 0 => Some(0),
                above => u64::try_from(above).ok(),
            }),
            _ => None,
        };
        code.ok_or_else(|| self.unfit(value))
    }

    fn unfit(self, value: &Value) -> Error {
        let found = match value {
            Value::Keyword(keyword) => format!("{keyword:?}"),
            value => value.to_string(),
        };
        Error::invalid(format!("expected {}, found {found}", self.example()))
    }

    /// The code of a value of this type; `None` for a keyword, whose code is its place among the
    /// keywords of its segment, and for a value of another type.
    pub(crate) fn code_of(self, value: &Value) -> Option<u64> {
        match (self, value) {
            (Self::I64, Value::I64(number)) | (Self::Date, Value::Date(number)) => {
                Some(number.cast_unsigned() ^ SIGN)
            }
            (Self::U64, Value::U64(number)) => Some(*number),
            (Self::F64, Value::F64(number)) => Some(code_of_f64(*number)),
            (Self::Bool, Value::Bool(flag)) => Some(u64::from(*flag)),
            _ => None,
        }
    }

    /// Whether the numbers from `min` to `max` may be codes; there are others between them that are
    /// none, which are found out when the two are the same.
    pub(super) fn has_codes(self, min: u64, max: u64) -> bool {
        match self {
            Self::Bool => max <= 1,
            Self::F64 => {
                let (low, high) = (code_of_f64(f64::NEG_INFINITY), code_of_f64(f64::INFINITY));
                // The number before the code of 0 would be that of -0.
                let is_negative_zero = min == max && max == SIGN - 1;
                min >= low && max <= high && !is_negative_zero
            }
            _ => true,
        }
    }

    /// The value of a code; `None` for a keyword.
    pub(crate) fn value_of(self, code: u64) -> Option<Value> {
        Some(match self {
            Self::I64 => Value::I64((code ^ SIGN).cast_signed()),
            Self::Date => Value::Date((code ^ SIGN).cast_signed()),
            Self::U64 => Value::U64(code),
            Self::F64 => Value::F64(f64_of_code(code)),
            Self::Bool => Value::Bool(code != 0),
            Self::Keyword => return None,
        })
    }
}

/// A number in double precision that is whole and within 2^64.
fn whole(number: f64) -> Option<i128> {
    let is_whole = number.fract() == 0.0 && number.abs() <= 1.9e19;
    #[allow(clippy::cast_possible_truncation)]
    is_whole.then_some(number as i128)
}

/// The lowest whole number that is not below a number; `None` for what is no number. Numbers
/// beyond those of 64 bits are as good as any other such number.
fn number_above(value: &Value) -> Option<i128> {
    match value {
        Value::I64(whole) => Some(i128::from(*whole)),
        Value::U64(whole) => Some(i128::from(*whole)),
        Value::F64(number) if !number.is_nan() => {
            let above = number.ceil().clamp(-1e30, 1e30);
            #[allow(clippy::cast_possible_truncation)]
            let above = above as i128;
            Some(above)
        }
        _ => None,
    }
}

/// The code of the lowest number in double precision that is at least a whole number, or with
/// `is_strict` above it.
fn f64_above(whole: i128, is_strict: bool) -> u64 {
    #[allow(clippy::cast_precision_loss)]
    let nearest = whole as f64;
    #[allow(clippy::cast_possible_truncation)]
    let is_below = match is_strict {
        true => nearest as i128 <= whole,
        false => (nearest as i128) < whole,
    };
    code_of_f64(nearest) + u64::from(is_below)
}

const SIGN: u64 = 1 << 63;

/// Bits of numbers in double precision, in the order of the numbers; -0 is 0.
fn code_of_f64(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    match bits & SIGN {
        0 => bits | SIGN,
        _ => !bits,
    }
}

fn f64_of_code(code: u64) -> f64 {
    f64::from_bits(match code & SIGN {
        0 => !code,
        _ => code & !SIGN,
    })
}

#[cfg(test)]
mod tests;
