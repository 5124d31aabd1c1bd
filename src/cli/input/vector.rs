//! Reading the `vector` field of a JSON record: an object of term to weight.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{MAX_TERM_BYTES, excerpt};
use crate::error::{Error, Result};

/// What the `vector` field holds, or what is wrong with it.
#[derive(Debug)]
pub(super) enum VectorField {
    /// `null`.
    Null,
    /// Terms with weights above 0, in the order of the file.
    Terms(Vec<(String, f32)>),
    /// A value of another kind, in words.
    Other(&'static str),
    /// A term that is too long, and its length in bytes.
    LongTerm { start: String, bytes: usize },
    /// A term of no characters.
    EmptyTerm,
    /// A term whose weight is no weight, and why.
    BadWeight { term: String, found: String },
}

impl VectorField {
    /// The terms, or the error that says which is bad.
    pub(super) fn into_terms(self) -> Result<Option<Vec<(String, f32)>>> {
        let message = match self {
            Self::Null => return Ok(None),
            Self::Terms(terms) => return Ok(Some(terms)),
            Self::LongTerm { start, bytes } => {
                let what = format!("length in bytes of the vector's term `{start}`");
                return Err(Error::limit(what, bytes as u64, MAX_TERM_BYTES as u64));
            }
            Self::Other(found) => format!("expected an object of term to weight, found {found}"),
            Self::EmptyTerm => "found an empty term; expected at least one character".to_owned(),
            Self::BadWeight { term, found } => bad_weight(&term, &found),
        };
        Err(Error::invalid(message).in_field("vector"))
    }

    /// Adds a term to the vector, which from the first bad term on is that bad term.
    fn add(&mut self, term: Cow<'_, str>, weight: Weight) {
        let Self::Terms(terms) = self else { return };
        if term.is_empty() {
            *self = Self::EmptyTerm;
        } else if term.len() > MAX_TERM_BYTES {
            *self = Self::LongTerm {
                start: excerpt(&term, 0),
                bytes: term.len(),
            };
        } else {
            match weight {
                Weight::Good(0.0) => {}
                Weight::Good(weight) => terms.push((term.into_owned(), weight)),
                Weight::Bad(found) => {
                    let term = term.into_owned();
                    *self = Self::BadWeight { term, found };
                }
            }
        }
    }
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
        f.write_str("an object of term to weight")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut entries: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut field = VectorField::Terms(Vec::new());
        while let Some(Term(term)) = entries.next_key()? {
            // Words such as `NaN` and numbers such as `1e999` are no JSON; the message still names the term.
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
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(VectorField::Other(
            "an array; dense vectors are not read from this field",
        ))
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

/// A weight, or what was found in its place.
enum Weight {
    Good(f32),
    Bad(String),
}

impl Weight {
    fn of(value: f64) -> Self {
        let weight = value as f32;
        if weight.is_finite() && weight >= 0.0 {
            Self::Good(weight)
        } else {
            Self::Bad(format!("{value:?}"))
        }
    }

    fn bad(found: &str) -> Self {
        Self::Bad(found.to_owned())
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(WeightVisitor)
    }
}

struct WeightVisitor;

impl<'de> Visitor<'de> for WeightVisitor {
    type Value = Weight;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Weight, E> {
        Ok(Weight::of(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Weight, E> {
        Ok(Weight::of(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Weight, E> {
        Ok(Weight::of(value as f64))
    }

    fn visit_unit<E>(self) -> std::result::Result<Weight, E> {
        Ok(Weight::bad("null"))
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Weight, E> {
        Ok(Weight::bad("true or false"))
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Weight, E> {
        Ok(Weight::Bad(format!("the string `{}`", excerpt(text, 0))))
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut elements: A,
    ) -> std::result::Result<Weight, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Weight::bad("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Weight, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Weight::bad("an object"))
    }
}
