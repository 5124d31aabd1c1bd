//! The parameters of a request, from its query string and from a body of JSON: the same names, and
//! the same meaning wherever they stand.
//!
//! Each parameter is taken by its name; what is left at the end is unknown, and an error, because a
//! misspelled parameter that is ignored gives a wrong answer.

use std::fmt;

use esparsa::Query;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::ApiError;

type Result<T> = std::result::Result<T, ApiError>;

/// The parameters that are not taken yet.
#[derive(Default)]
pub struct Parameters {
    left: Vec<(String, Given)>,
    /// The names that were asked for, to list them when one is unknown.
    known: Vec<&'static str>,
}

/// A value as it was sent.
enum Given {
    /// In the query string.
    Text(String),
    /// In the body.
    Json(Box<RawValue>),
}

impl Parameters {
    /// Reads a query string, and a body unless it is empty.
    ///
    /// # Errors
    ///
    /// 400 for a body that is no JSON object.
    pub fn read(query: &str, body: &[u8]) -> Result<Self> {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let mut left: Vec<(String, Given)> = pairs
            .map(|(name, value)| (name.into_owned(), Given::Text(value.into_owned())))
            .collect();
        if !body.is_empty() {
            let Pairs(pairs) = serde_json::from_slice(body).map_err(|error| {
                ApiError::invalid(format!("expected a JSON object of parameters: {error}"))
            })?;
            left.extend(
                pairs
                    .into_iter()
                    .map(|(name, json)| (name, Given::Json(json))),
            );
        }
        Ok(Self {
            left,
            known: Vec::new(),
        })
    }

    /// Whether a parameter that is not taken yet asks for the work of a model. It is known before
    /// the request gets a thread, so that none waits for a model.
    pub fn need_model(&self) -> bool {
        self.left.iter().any(|(name, value)| match &**name {
            "rerank" => true,
            "system" => value.as_str().trim_matches('"') != "bm25",
            _ => false,
        })
    }

    /// Takes every value with this name.
    fn take(&mut self, name: &'static str) -> Vec<Given> {
        self.known.push(name);
        let given = self.left.extract_if(.., |(other, _)| other == name);
        given.map(|(_, value)| value).collect()
    }

    /// Takes the only value with this name.
    fn take_one(&mut self, name: &'static str) -> Result<Option<Given>> {
        let mut given = self.take(name);
        match given.len() {
            0 | 1 => Ok(given.pop()),
            count => Err(ApiError::invalid(format!(
                "expected `{name}` once, found it {count} times; leave one"
            ))),
        }
    }

    /// A text.
    ///
    /// # Errors
    ///
    /// 400 for another value.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>> {
        match self.take_one(name)? {
            None => Ok(None),
            Some(Given::Text(text)) => Ok(Some(text)),
            Some(Given::Json(json)) => parsed(name, "a string", &json).map(Some),
        }
    }

    /// A whole number, or `default`.
    ///
    /// # Errors
    ///
    /// 400 for another value.
    pub fn number(&mut self, name: &'static str, default: u64) -> Result<u64> {
        let expected = "a whole number";
        match self.take_one(name)? {
            None => Ok(default),
            Some(Given::Text(text)) => text.parse().map_err(|_| wrong(name, expected, &text)),
            Some(Given::Json(json)) => parsed(name, expected, &json),
        }
    }

    /// A whole number that memory can be sized by, or `default`.
    ///
    /// # Errors
    ///
    /// 400 for another value.
    pub fn size(&mut self, name: &'static str, default: usize) -> Result<usize> {
        let number = self.number(name, default as u64)?;
        usize::try_from(number)
            .map_err(|_| wrong(name, "a smaller whole number", &number.to_string()))
    }

    /// A finite number, if there is one.
    ///
    /// # Errors
    ///
    /// 400 for another value.
    pub fn score(&mut self, name: &'static str) -> Result<Option<f32>> {
        let expected = "a finite number";
        let (score, found) = match self.take_one(name)? {
            None => return Ok(None),
            Some(Given::Text(text)) => (text.parse::<f32>().ok(), text),
            Some(Given::Json(json)) => (
                serde_json::from_str::<f32>(json.get()).ok(),
                json.get().to_owned(),
            ),
        };
        let score = score.filter(|score| score.is_finite());
        score.map(Some).ok_or_else(|| wrong(name, expected, &found))
    }

    /// True or false; false by default.
    ///
    /// # Errors
    ///
    /// 400 for another value.
    pub fn flag(&mut self, name: &'static str) -> Result<bool> {
        let expected = "`true` or `false`";
        match self.take_one(name)? {
            None => Ok(false),
            Some(Given::Text(text)) => text.parse().map_err(|_| wrong(name, expected, &text)),
            Some(Given::Json(json)) => parsed(name, expected, &json),
        }
    }

    /// Up to `max` texts: a name that is repeated in the query string, or an array in the body;
    /// `None` when there is neither.
    ///
    /// # Errors
    ///
    /// 400 for another value, and for more texts.
    pub fn texts(&mut self, name: &'static str, max: usize) -> Result<Option<Vec<String>>> {
        let given = self.take(name);
        if given.is_empty() {
            return Ok(None);
        }
        let mut texts = Vec::new();
        for value in given {
            match value {
                Given::Text(text) => texts.push(text),
                Given::Json(json) => {
                    let more: Vec<String> = parsed(name, "an array of strings", &json)?;
                    texts.extend(more);
                }
            }
        }
        check_count(name, texts.len(), max)?;
        Ok(Some(texts))
    }

    /// A query in JSON.
    ///
    /// # Errors
    ///
    /// 400 for anything else, with the place of the mistake.
    pub fn query(&mut self, name: &'static str) -> Result<Option<Query>> {
        let given = self.take_one(name)?;
        given.map(|value| query(name, value.as_str())).transpose()
    }

    /// Up to `max` queries in JSON: a name that is repeated in the query string, or a query or an
    /// array of them in the body.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query), and 400 for more queries.
    pub fn queries(&mut self, name: &'static str, max: usize) -> Result<Vec<Query>> {
        let mut queries = Vec::new();
        for value in self.take(name) {
            match value {
                Given::Json(json) if json.get().starts_with('[') => {
                    let all: Vec<Box<RawValue>> = parsed(name, "an array of queries", &json)?;
                    for one in &all {
                        queries.push(query(name, one.get())?);
                    }
                }
                value => queries.push(query(name, value.as_str())?),
            }
        }
        check_count(name, queries.len(), max)?;
        Ok(queries)
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// 400 when a parameter is left that nothing asked for.
    pub fn finish(self) -> Result<()> {
        let Some((name, _)) = self.left.first() else {
            return Ok(());
        };
        let known = self.known.join("`, `");
        let expected = match self.known.is_empty() {
            true => "expected no parameter".to_owned(),
            false => format!("expected the parameters `{known}`"),
        };
        Err(ApiError::invalid(format!(
            "{expected}, found `{name}`; correct it or leave it out"
        )))
    }
}

impl Given {
    fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Json(json) => json.get(),
        }
    }
}

fn query(name: &str, json: &str) -> Result<Query> {
    Query::from_json(json).map_err(|error| ApiError::invalid(format!("`{name}`: {error}")))
}

fn parsed<'a, T: Deserialize<'a>>(name: &str, expected: &str, json: &'a RawValue) -> Result<T> {
    serde_json::from_str(json.get()).map_err(|_| wrong(name, expected, json.get()))
}

fn check_count(name: &str, count: usize, max: usize) -> Result<()> {
    match count <= max {
        true => Ok(()),
        false => Err(ApiError::invalid(format!(
            "expected at most {max} of `{name}`, found {count}; leave some out"
        ))),
    }
}

/// The error for a value of another kind, of which the beginning is shown.
fn wrong(name: &str, expected: &str, found: &str) -> ApiError {
    const SHOWN: usize = 60;
    let end = found.char_indices().nth(SHOWN).map(|(at, _)| at);
    let found = match end {
        Some(end) => format!("{}…", &found[..end]),
        None => found.to_owned(),
    };
    ApiError::invalid(format!(
        "expected {expected} for `{name}`, found `{found}`; correct it"
    ))
}

/// The keys and values of an object in their order, keys that occur twice included.
struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_parameter_mean_the_same() {
        let of_string =
            "q=a+b&k=5&strict=true&sort=x&sort=y:desc&filter=%7B%22exists%22:%22x%22%7D&s=-1.5";
        let body = r#"{"q":"a b","k":5,"strict":true,"sort":["x","y:desc"],"filter":{"exists":"x"},"s":-1.5}"#;
        for (string, body) in [(of_string, ""), ("", body)] {
            let mut read = Parameters::read(string, body.as_bytes()).unwrap();
            assert_eq!(read.text("q").unwrap().unwrap(), "a b");
            assert_eq!(read.size("k", 10).unwrap(), 5);
            assert!(read.flag("strict").unwrap());
            assert_eq!(read.score("s").unwrap(), Some(-1.5));
            assert_eq!(read.texts("sort", 2).unwrap().unwrap(), ["x", "y:desc"]);
            assert_eq!(read.queries("filter", 1).unwrap(), [Query::exists("x")]);
            read.finish().unwrap();
        }
    }

    #[test]
    fn mistakes_say_what_was_expected() {
        let read = |string: &str, body: &str| Parameters::read(string, body.as_bytes());
        let error = read("", "[1]").err().unwrap();
        assert!(error.message.contains("a JSON object"), "{}", error.message);
        let error = read("k=x", "").unwrap().number("k", 1).unwrap_err();
        assert_eq!(
            error.message,
            "expected a whole number for `k`, found `x`; correct it"
        );
        for (string, body) in [
            ("k=inf", ""),
            ("k=x", ""),
            ("", r#"{"k":1e300}"#),
            ("", r#"{"k":"1"}"#),
        ] {
            let error = read(string, body).unwrap().score("k").unwrap_err();
            assert!(
                error.message.contains("a finite number for `k`"),
                "{}",
                error.message
            );
        }
        let error = read("k=1", r#"{"k":2}"#)
            .unwrap()
            .number("k", 1)
            .unwrap_err();
        assert!(error.message.contains("found it 2 times"));
        let error = read("", r#"{"filter":[{"all":{}},{"al":{}}]}"#).unwrap();
        let error = { error }.queries("filter", 9).unwrap_err();
        assert!(error.message.starts_with("`filter`: "), "{}", error.message);
        let error = read("a=1&a=2", r#"{"a":["3"]}"#).unwrap().texts("a", 2);
        assert!(
            error
                .unwrap_err()
                .message
                .contains("at most 2 of `a`, found 3")
        );
        let mut left = read("kk=1", "").unwrap();
        left.number("k", 1).unwrap();
        let error = left.finish().unwrap_err();
        assert_eq!(
            error.message,
            "expected the parameters `k`, found `kk`; correct it or leave it out"
        );
    }
}
