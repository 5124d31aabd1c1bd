//! Reading the `vector` field of a JSON record: an object of term to weight, or an array of
//! numbers.

use std::borrow::Cow;
use std::fmt;

use esparsa::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{MAX_TERM_BYTES, excerpt};

/// A vector of a record.
#[derive(Debug, PartialEq)]
pub(super) enum Vector {
    /// Terms with weights above 0, in the order of the file.
    Sparse(Vec<(String, f32)>),
    /// All numbers.
    Dense(Vec<f32>),
}

/// What the `vector` field holds, or what is wrong with it.
#[derive(Debug)]
pub(super) enum VectorField {
    /// `null`.
    Null,
    /// Terms with weights above 0, in the order of the file.
    Terms(Vec<(String, f32)>),
    /// Numbers.
    Numbers(Vec<f32>),
    /// A value that is not a finite f32, its position from 0, and what was found.
    BadNumber { place: usize, found: String },
    /// A value of another kind, in words.
    Other(&'static str),
    /// A term that is too long, and its length in bytes.
    LongTerm { start: String, bytes: usize },
    /// A term of no characters.
    EmptyTerm,
    /// A term with an invalid weight, and what was found.
    BadWeight { term: String, found: String },
}

impl VectorField {
    /// The vector, or the error that says what is bad.
    pub(super) fn into_vector(self) -> Result<Option<Vector>> {
        let message = match self {
            Self::Null => return Ok(None),
            Self::Terms(terms) => return Ok(Some(Vector::Sparse(terms))),
            Self::Numbers(numbers) => return Ok(Some(Vector::Dense(numbers))),
            Self::BadNumber { place, found } => bad_number(place, &found),
            Self::LongTerm { start, bytes } => {
                let what = format!("length in bytes of the vector's term `{start}`");
                return Err(Error::limit(what, bytes as u64, MAX_TERM_BYTES as u64));
            }
            Self::Other(found) => {
                format!(
                    "expected an object of term to weight or an array of numbers, found {found}"
                )
            }
            Self::EmptyTerm => "found an empty term; expected at least one character".to_owned(),
            Self::BadWeight { term, found } => bad_weight(&term, &found),
        };
        Err(Error::invalid(message).in_field("vector"))
    }

    /// True if a weight or a number is bad.
    pub(super) fn is_bad(&self) -> bool {
        matches!(self, Self::BadNumber { .. } | Self::BadWeight { .. })
    }

    /// Adds a term. The first bad term replaces the vector; what follows is ignored.
    fn add(&mut self, term: Cow<'_, str>, weight: Value) {
        let Self::Terms(terms) = self else { return };
        if term.is_empty() {
            *self = Self::EmptyTerm;
        } else if term.len() > MAX_TERM_BYTES {
            *self = Self::LongTerm {
                start: excerpt(&term, 0),
                bytes: term.len(),
            };
        } else {
            match weight.at_least(0.0) {
                Ok(0.0) => {}
                Ok(weight) => terms.push((term.into_owned(), weight)),
                Err(found) => {
                    let term = term.into_owned();
                    *self = Self::BadWeight { term, found };
                }
            }
        }
    }

    /// Adds a number. The first bad number replaces the vector; what follows is ignored.
    fn add_number(&mut self, number: Value) {
        let Self::Numbers(numbers) = self else { return };
        match number.at_least(f32::MIN) {
            Ok(number) => numbers.push(number),
            Err(found) => {
                let place = numbers.len();
                *self = Self::BadNumber { place, found };
            }
        }
    }
}

fn bad_number(place: usize, found: &str) -> String {
    format!("number {place} of the vector must be one that fits 32 bits, found {found}")
}

fn bad_weight(term: &str, found: &str) -> String {
    format!(
        "the weight of the term `{}` must be a number of at least 0 that fits 32 bits, found {found}",
        excerpt(term, 0)
    )
}

impl<'de> Deserialize<'de> for VectorField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = VectorField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of term to weight or an array of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut entries: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut field = VectorField::Terms(Vec::new());
        while let Some(Term(term)) = entries.next_key()? {
            // `NaN` is not JSON and `1e999` does not parse, so the parser fails here: name the
            // term.
            let weight = entries.next_value().map_err(|error| {
                let found = format!("no such number ({})", without_place(&error));
                A::Error::custom(bad_weight(&term, &found))
            })?;
            field.add(term, weight);
        }
        Ok(field)
    }

    fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(VectorField::Null)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Self::Value, E> {
        Ok(VectorField::Other("true or false"))
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Self::Value, E> {
        Ok(VectorField::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Self::Value, E> {
        Ok(VectorField::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Self::Value, E> {
        Ok(VectorField::Other("a number"))
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Self::Value, E> {
        Ok(VectorField::Other("a string"))
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut elements: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut field = VectorField::Numbers(Vec::new());
        let mut place = 0;
        loop {
            // As for weights: name the position where the parser fails.
            let number = elements.next_element().map_err(|error| {
                let found = format!("no such number ({})", without_place(&error));
                A::Error::custom(bad_number(place, &found))
            })?;
            let Some(number) = number else {
                return Ok(field);
            };
            field.add_number(number);
            place += 1;
        }
    }
}

/// The message of a JSON error without the place, which the whole line's error says again.
fn without_place(error: &impl fmt::Display) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

/// A term, borrowed from the line where it has no escapes.
struct Term<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Term<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct TermVisitor;

        impl<'de> Visitor<'de> for TermVisitor {
            type Value = Term<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a term")
            }

            fn visit_borrowed_str<E>(self, term: &'de str) -> std::result::Result<Term<'de>, E> {
                Ok(Term(Cow::Borrowed(term)))
            }

            fn visit_str<E>(self, term: &str) -> std::result::Result<Term<'de>, E> {
                Ok(Term(Cow::Owned(term.to_owned())))
            }
        }

        deserializer.deserialize_str(TermVisitor)
    }
}

/// A number, or what was found in its place.
enum Value {
    Number(f64),
    Other(String),
}

impl Value {
    /// The number, when it fits and is no less than `min`; else what was found.
    fn at_least(self, min: f32) -> std::result::Result<f32, String> {
        match self {
            Self::Number(value) => {
                let number = value as f32;
                let is_good = number.is_finite() && number >= min;
                is_good
                    .then_some(number)
                    .ok_or_else(|| format!("{value:?}"))
            }
            Self::Other(found) => Err(found),
        }
    }

    fn other(found: &str) -> Self {
        Self::Other(found.to_owned())
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = self::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::other("null"))
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Value, E> {
        Ok(Value::other("true or false"))
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Value, E> {
        Ok(Value::Other(format!("the string `{}`", excerpt(text, 0))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> std::result::Result<Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::other("an object"))
    }
}
