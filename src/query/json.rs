//! Queries as JSON, for the command line and other languages.

use std::fmt;
use std::ops::Bound;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use super::request::Query;
use crate::error::{Error, Result};
use crate::format::Value;

/// What a query may be, for messages.
const KINDS: &str = "`text`, `sparse`, `dense`, `term`, `terms`, `range`, `exists`, `ids`, `all`, `all_of` or `any_of`";

impl Query {
    /// A query from JSON: an object with one of these keys, and maybe `filter` and `without`.
    ///
    /// | JSON | query |
    /// | --- | --- |
    /// | `{"text": {"title": "new york"}}` | [`text`](Self::text) |
    /// | `{"text": {"title": "new york"}, "all_terms": true}` | [all terms](Self::with_all_terms) |
    /// | `{"sparse": {"splade": {"volcano": 2.5, "lava": 1}}}` | [`sparse`](Self::sparse) |
    /// | `{"dense": {"passage": [0.5, -1]}}` | [`dense`](Self::dense) |
    /// | `{"term": {"color": "red"}}` | [`term`](Self::term) |
    /// | `{"terms": {"year": [2023, 2024]}}` | [`terms`](Self::terms) |
    /// | `{"range": {"price": {"gte": 10, "lt": 20.5}}}` | [`range`](Self::range): `gt`, `gte`, `lt`, `lte` |
    /// | `{"exists": "price"}` | [`exists`](Self::exists) |
    /// | `{"ids": ["a", "b"]}` | [`ids`](Self::ids) |
    /// | `{"all": {}}` | [`all`](Self::all) |
    /// | `{"all_of": [QUERY, …]}`, `{"any_of": [QUERY, …]}` | [`all_of`](Self::all_of), [`any_of`](Self::any_of) |
    ///
    /// `filter` and `without` are a query or an array of queries:
    ///
    /// ```
    /// use esparsa::Query;
    ///
    /// let query = Query::from_json(
    ///     r#"{"text": {"name": "tea"}, "filter": {"range": {"price": {"gte": 10}}}}"#,
    /// )?;
    /// let expected = Query::text("name", "tea").with_filter(Query::range("price", 10..));
    /// assert_eq!(query, expected);
    /// assert!(Query::from_json(r#"{"range": {"price": {"from": 10}}}"#).is_err());
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the text is no JSON, or something else than a query is in it:
    /// the message says where and what was expected. Whether the query fits an index is found out
    /// when it is searched.
    pub fn from_json(text: &str) -> Result<Self> {
        let json: Unique = serde_json::from_str(text).map_err(|error| {
            Error::invalid(format!("expected a query as JSON, found none: {error}"))
        })?;
        Place::ROOT.query(&json.0)
    }
}

/// JSON in whose objects no key is there twice: the first of two would be lost without a word.
struct Unique(Json);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> std::result::Result<Json, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<Json, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> std::result::Result<Json, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> std::result::Result<Json, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, string: &str) -> std::result::Result<Json, E> {
        Ok(string.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> std::result::Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some((key, Unique(value))) = entries.next_entry::<String, Unique>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` is there twice")));
            }
            object.insert(key, value);
        }
        Ok(Json::Object(object))
    }
}

/// Where in the JSON something is, for messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Element(usize),
}

impl Place<'_> {
    const ROOT: Place<'static> = Place {
        parent: None,
        step: Step::Root,
    };

    fn key<'a>(&'a self, key: &'a str) -> Place<'a> {
        Place {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    fn element(&self, number: usize) -> Place<'_> {
        Place {
            parent: Some(self),
            step: Step::Element(number),
        }
    }

    fn path(&self) -> String {
        let before = self.parent.map(Place::path).unwrap_or_default();
        match self.step {
            Step::Root => before,
            Step::Key(key) if before.is_empty() => key.to_owned(),
            Step::Key(key) => format!("{before}.{key}"),
            Step::Element(number) => format!("{before}[{number}]"),
        }
    }

    fn error(&self, expected: &str, found: impl fmt::Display) -> Error {
        let path = match self.path() {
            path if path.is_empty() => String::new(),
            path => format!("at `{path}`: "),
        };
        Error::invalid(format!("{path}expected {expected}, found {found}"))
    }

    fn wrong(&self, expected: &str, found: &Json) -> Error {
        let mut found = found.to_string();
        if let Some((end, _)) = found.char_indices().nth(60) {
            found.truncate(end);
            found.push('…');
        }
        self.error(expected, found)
    }

    fn query(&self, json: &Json) -> Result<Query> {
        let object = self.object("a query, which is an object", json)?;
        let mut query = None;
        for (key, value) in object {
            let place = self.key(key);
            let kind = match key.as_str() {
                "filter" | "without" | "all_terms" => continue,
                key => place.kind(key, value)?,
            };
            if query.replace(kind).is_some() {
                return Err(self.error(&format!("one key of {KINDS}"), "two"));
            }
        }
        let mut query = query.ok_or_else(|| self.wrong(&format!("a key {KINDS}"), json))?;
        if let Some(all_terms) = object.get("all_terms") {
            let place = self.key("all_terms");
            match all_terms.as_bool() {
                Some(true) => query = query.with_all_terms(),
                Some(false) => {}
                None => return Err(place.wrong("true or false", all_terms)),
            }
        }
        for filter in self.one_or_more(object, "filter")? {
            query = query.with_filter(filter);
        }
        for excluded in self.one_or_more(object, "without")? {
            query = query.without(excluded);
        }
        Ok(query)
    }

    fn kind(&self, key: &str, json: &Json) -> Result<Query> {
        Ok(match key {
            "text" => {
                let (field, words) = self.field(json)?;
                Query::text(field, self.key(field).string("words", words)?)
            }
            "sparse" => {
                let (field, weights) = self.field(json)?;
                let place = self.key(field);
                let weights = place.object("an object of term to weight", weights)?;
                let weights = weights.iter().map(|(term, weight)| {
                    let weight = place.key(term).number("a weight", weight)?;
                    Ok((term.as_str(), weight))
                });
                Query::sparse(field, weights.collect::<Result<Vec<_>>>()?)
            }
            "dense" => {
                let (field, numbers) = self.field(json)?;
                let place = self.key(field);
                let numbers = place.array("an array of numbers", numbers)?.iter();
                let numbers = numbers.enumerate();
                let numbers =
                    numbers.map(|(n, number)| place.element(n).number("a number", number));
                Query::dense(field, numbers.collect::<Result<Vec<f32>>>()?)
            }
            "term" => {
                let (field, value) = self.field(json)?;
                Query::term(field, self.key(field).value(value)?)
            }
            "terms" => {
                let (field, values) = self.field(json)?;
                let place = self.key(field);
                let values = place
                    .array("an array of values", values)?
                    .iter()
                    .enumerate();
                let values = values.map(|(number, value)| place.element(number).value(value));
                Query::terms(field, values.collect::<Result<Vec<Value>>>()?)
            }
            "range" => {
                let (field, bounds) = self.field(json)?;
                Query::range(field, self.key(field).range(bounds)?)
            }
            "exists" => Query::exists(self.string("the name of a field", json)?),
            "ids" => {
                let ids = self.array("an array of ids", json)?.iter().enumerate();
                let ids = ids.map(|(number, id)| self.element(number).string("an id", id));
                Query::ids(ids.collect::<Result<Vec<&str>>>()?)
            }
            "all" => match self.object("an empty object", json)?.is_empty() {
                true => Query::all(),
                false => return Err(self.wrong("an empty object", json)),
            },
            "all_of" => Query::all_of(self.queries(json)?),
            "any_of" => Query::any_of(self.queries(json)?),
            key => {
                let expected = format!("{KINDS}, `filter`, `without` or `all_terms`");
                let parent = self.parent.copied().unwrap_or(Place::ROOT);
                return Err(parent.error(&expected, format_args!("the key `{key}`")));
            }
        })
    }

    /// The only entry of an object.
    fn field<'j>(&self, json: &'j Json) -> Result<(&'j str, &'j Json)> {
        let expected = "an object with the name of one field";
        let mut entries = self.object(expected, json)?.iter();
        match (entries.next(), entries.next()) {
            (Some((field, value)), None) => Ok((field, value)),
            _ => Err(self.wrong(expected, json)),
        }
    }

    fn range(&self, json: &Json) -> Result<(Bound<Value>, Bound<Value>)> {
        let mut range = (Bound::Unbounded, Bound::Unbounded);
        for (key, value) in self.object("an object of bounds", json)? {
            let place = self.key(key);
            let (end, bound) = match key.as_str() {
                "gt" => (&mut range.0, Bound::Excluded(place.value(value)?)),
                "gte" => (&mut range.0, Bound::Included(place.value(value)?)),
                "lt" => (&mut range.1, Bound::Excluded(place.value(value)?)),
                "lte" => (&mut range.1, Bound::Included(place.value(value)?)),
                key => {
                    let expected = "`gt`, `gte`, `lt` or `lte`";
                    return Err(self.error(expected, format_args!("the key `{key}`")));
                }
            };
            if *end != Bound::Unbounded {
                return Err(self.error("one bound for each end", "two for one end"));
            }
            *end = bound;
        }
        Ok(range)
    }

    fn one_or_more(&self, object: &Map<String, Json>, key: &str) -> Result<Vec<Query>> {
        let place = self.key(key);
        match object.get(key) {
            None => Ok(Vec::new()),
            Some(json @ Json::Array(_)) => place.queries(json),
            Some(json) => Ok(vec![place.query(json)?]),
        }
    }

    fn queries(&self, json: &Json) -> Result<Vec<Query>> {
        let queries = self.array("an array of queries", json)?.iter().enumerate();
        queries
            .map(|(number, query)| self.element(number).query(query))
            .collect()
    }

    fn object<'j>(&self, expected: &str, json: &'j Json) -> Result<&'j Map<String, Json>> {
        json.as_object().ok_or_else(|| self.wrong(expected, json))
    }

    fn array<'j>(&self, expected: &str, json: &'j Json) -> Result<&'j Vec<Json>> {
        json.as_array().ok_or_else(|| self.wrong(expected, json))
    }

    fn string<'j>(&self, expected: &str, json: &'j Json) -> Result<&'j str> {
        let expected = format!("{expected}, a string");
        json.as_str().ok_or_else(|| self.wrong(&expected, json))
    }

    fn number(&self, expected: &str, json: &Json) -> Result<f32> {
        let number = json.as_f64().map(|number| number as f32);
        let number = number.filter(|number| number.is_finite());
        number.ok_or_else(|| self.wrong(expected, json))
    }

    fn value(&self, json: &Json) -> Result<Value> {
        Value::from_json(json).ok_or_else(|| self.wrong("a string, a number, true or false", json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_query_is_read() {
        let any = Query::any_of([Query::term("color", "red"), Query::exists("size")]);
        let all = Query::all_of([Query::ids(["a", "b"]), Query::terms("year", [2023, 2024])]);
        for (json, query) in [
            (
                r#"{"text": {"title": "new york"}}"#,
                Query::text("title", "new york"),
            ),
            (
                r#"{"all_terms": true, "text": {"title": "new york"}}"#,
                Query::text("title", "new york").with_all_terms(),
            ),
            (
                r#"{"sparse": {"splade": {"lava": 1, "ash": 0.5}}}"#,
                // Terms are in the order of the alphabet.
                Query::sparse("splade", [("ash", 0.5), ("lava", 1.0)]),
            ),
            (
                r#"{"dense": {"p": [0.5, -1]}}"#,
                Query::dense("p", [0.5, -1.0]),
            ),
            (
                r#"{"any_of": [{"term": {"color": "red"}}, {"exists": "size"}]}"#,
                any.clone(),
            ),
            (
                r#"{"all_of": [{"ids": ["a", "b"]}, {"terms": {"year": [2023, 2024]}}]}"#,
                all.clone(),
            ),
            (
                r#"{"range": {"price": {"gt": 1.5, "lte": 3}}}"#,
                Query::range(
                    "price",
                    (
                        Bound::Excluded(Value::F64(1.5)),
                        Bound::Included(Value::I64(3)),
                    ),
                ),
            ),
            (
                r#"{"range": {"price": {}}}"#,
                Query::range::<Value>("price", ..),
            ),
            (r#"{"term": {"flag": true}}"#, Query::term("flag", true)),
            (
                r#"{"term": {"n": 18446744073709551615}}"#,
                Query::term("n", u64::MAX),
            ),
            (
                r#"{"all": {}, "filter": [{"exists": "a"}, {"exists": "b"}], "without": {"exists": "c"}}"#,
                Query::all()
                    .with_filter(Query::exists("a"))
                    .with_filter(Query::exists("b"))
                    .without(Query::exists("c")),
            ),
        ] {
            assert_eq!(Query::from_json(json).unwrap(), query, "{json}");
        }
    }

    #[test]
    fn what_is_no_query_is_refused_with_its_place() {
        for (json, message) in [
            ("{", "expected a query as JSON, found none: EOF"),
            ("[]", "expected a query, which is an object, found []"),
            ("{}", "expected a key `text`"),
            (r#"{"match": {"a": "b"}}"#, "found the key `match`"),
            (
                r#"{"all": {}, "exists": "a"}"#,
                "expected one key of `text`",
            ),
            (
                r#"{"range": {"price": {"from": 1}}}"#,
                "at `range.price`: expected `gt`, `gte`, `lt` or `lte`, found the key `from`",
            ),
            (
                r#"{"range": {"price": {"gt": 1, "gte": 2}}}"#,
                "two for one end",
            ),
            (
                r#"{"term": {"a": 1, "b": 2}}"#,
                "at `term`: expected an object with the name of one field",
            ),
            (
                r#"{"term": {"a": null}}"#,
                "at `term.a`: expected a string, a number, true or false, found null",
            ),
            (
                r#"{"all": {}, "filter": [{"exists": 3}]}"#,
                "at `filter[0].exists`: expected the name of a field, a string, found 3",
            ),
            (
                r#"{"any_of": [{"all": {}}, 7]}"#,
                "at `any_of[1]`: expected a query",
            ),
            (
                r#"{"dense": {"p": [1e300]}}"#,
                "at `dense.p[0]`: expected a number",
            ),
            (
                r#"{"text": {"a": "b"}, "all_terms": 1}"#,
                "at `all_terms`: expected true or false",
            ),
        ] {
            let error = Query::from_json(json).unwrap_err().to_string();
            assert!(error.contains(message), "{json}: {error}");
        }
        let deep = format!("{}{}", r#"{"any_of":["#.repeat(20_000), "]}".repeat(20_000));
        assert!(Query::from_json(&deep).is_err());
    }
}
