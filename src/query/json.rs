//! Queries as JSON, for the command line and other languages.

mod place;
mod scored;
mod unique;

use std::ops::Bound;

use serde_json::{Map, Value as Json};

use self::place::Place;
use self::unique::Unique;
use super::request::Query;
use crate::error::{Error, Result};
use crate::format::Value;

/// What a query may be, for messages.
const KINDS: &str = "`text`, `text_in`, `phrase`, `sparse`, `sparse_numbered`, `dense`, `bool`, `best_of`, `term`, `terms`, \
                     `range`, `prefix`, `wildcard`, `regex`, `fuzzy`, `exists`, `ids`, `all`, `all_of` or `any_of`";
/// What any query may have beside, for messages.
const OPTIONS: &str =
    "`filter`, `without`, `all_terms`, `minimum_terms`, `boost` or `constant_score`";

impl Query {
    /// A query from JSON: an object with one of these keys, and maybe others that any query has.
    ///
    /// | JSON | query |
    /// | --- | --- |
    /// | `{"text": {"title": "new york"}}` | [`text`](Self::text) |
    /// | `{"text": {"title": "new york"}, "all_terms": true}` | [all terms](Self::with_all_terms) |
    /// | `{"text": {"title": "new york"}, "minimum_terms": 2}` | [a minimum of terms](Self::with_minimum_terms) |
    /// | `{"text_in": {"fields": {"title": 2, "body": 1}, "text": "new york"}}` | [`text_in`](Self::text_in) |
    /// | `{"phrase": {"title": {"text": "new york", "slop": 2}}}` | [`phrase`](Self::phrase), [`with_slop`](Self::with_slop) |
    /// | `{"phrase": {"title": {"text": "new yo", "prefix": true}}}` | [`phrase_prefix`](Self::phrase_prefix) |
    /// | `{"sparse": {"splade": {"volcano": 2.5, "lava": 1}}}` | [`sparse`](Self::sparse) |
    /// | `{"sparse_numbered": {"splade": {"2054": 2.5}}}` | [`sparse_numbered`](Self::sparse_numbered) |
    /// | `{"dense": {"passage": [0.5, -1]}}` | [`dense`](Self::dense) |
    /// | `{"bool": {"must": [QUERY, …], "should": [QUERY, …], "minimum_should": 1}}` | [`bool`](Self::bool) |
    /// | `{"best_of": [QUERY, …], "tie_breaker": 0.3}` | [`best_of`](Self::best_of); without a tie breaker only the best counts |
    /// | `{"term": {"color": "red"}}` | [`term`](Self::term) |
    /// | `{"terms": {"year": [2023, 2024]}}` | [`terms`](Self::terms) |
    /// | `{"range": {"price": {"gte": 10, "lt": 20.5}}}` | [`range`](Self::range): `gt`, `gte`, `lt`, `lte` |
    /// | `{"prefix": {"title": "fire"}}` | [`prefix`](Self::prefix) |
    /// | `{"wildcard": {"title": "f?re*"}}` | [`wildcard`](Self::wildcard) |
    /// | `{"regex": {"title": "fire(fox\|bird)"}}` | [`regex`](Self::regex) |
    /// | `{"fuzzy": {"title": {"term": "teh", "distance": 1, "prefix": 1}}}` | [`fuzzy`](Self::fuzzy), [`fuzzy_after`](Self::fuzzy_after) |
    /// | `{"exists": "price"}` | [`exists`](Self::exists) |
    /// | `{"ids": ["a", "b"]}` | [`ids`](Self::ids) |
    /// | `{"all": {}}` | [`all`](Self::all) |
    /// | `{"all_of": [QUERY, …]}`, `{"any_of": [QUERY, …]}` | [`all_of`](Self::all_of), [`any_of`](Self::any_of) |
    ///
    /// `filter` and `without` are a query or an array of queries, `boost` and `constant_score` are
    /// numbers above 0:
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
        let json: Unique = serde_json::from_str(text)
            .map_err(|error| Error::invalid(format!("expected a query as JSON: {error}")))?;
        Place::ROOT.query(&json.0)
    }
}

impl Place<'_> {
    pub(super) fn query(&self, json: &Json) -> Result<Query> {
        let object = self.object("a query, which is an object", json)?;
        let mut query = None;
        for (key, value) in object {
            let place = self.key(key);
            let kind = match key.as_str() {
                "filter" | "without" | "all_terms" | "minimum_terms" | "boost"
                | "constant_score" | "tie_breaker" => continue,
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
        if let Some(minimum) = object.get("minimum_terms") {
            query = query.with_minimum_terms(self.key("minimum_terms").count(minimum)?);
        }
        if let Some(tie_breaker) = object.get("tie_breaker") {
            let place = self.key("tie_breaker");
            let tie_breaker = place.number("a number from 0 to 1", tie_breaker)?;
            let is_best = object.contains_key("best_of");
            let with = query.with_tie_breaker(tie_breaker).filter(|_| is_best);
            query = with.ok_or_else(|| {
                self.error("a tie breaker in a query with `best_of`", "another query")
            })?;
        }
        if object.contains_key("boost") && object.contains_key("constant_score") {
            return Err(self.error("either `boost` or `constant_score`", "both"));
        }
        if let Some(boost) = object.get("boost") {
            query = query.with_boost(self.key("boost").number("a number above 0", boost)?);
        }
        if let Some(score) = object.get("constant_score") {
            let place = self.key("constant_score");
            query = query.with_constant_score(place.number("a number above 0", score)?);
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
            "text_in" => self.text_in(json)?,
            "phrase" => self.phrase(json)?,
            "bool" => self.bool(json)?,
            "best_of" => Query::best_of(self.queries(json)?, 0.0),
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
            "sparse_numbered" => {
                let (field, weights) = self.field(json)?;
                let place = self.key(field);
                let weights = place.object("an object of number to weight", weights)?;
                let weights = weights.iter().map(|(term, weight)| {
                    let place = place.key(term);
                    let number = term.parse();
                    let number =
                        number.map_err(|_| place.error("a whole number below 2^32", term))?;
                    Ok((number, place.number("a weight", weight)?))
                });
                Query::sparse_numbered(field, weights.collect::<Result<Vec<(u32, f32)>>>()?)
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
            "prefix" | "wildcard" | "regex" => {
                let (field, pattern) = self.field(json)?;
                let pattern = self.key(field).string("a pattern", pattern)?;
                match key {
                    "prefix" => Query::prefix(field, pattern),
                    "wildcard" => Query::wildcard(field, pattern),
                    _ => Query::regex(field, pattern),
                }
            }
            "fuzzy" => self.fuzzy(json)?,
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
                let expected = format!("{KINDS}, or {OPTIONS}");
                let parent = self.parent.copied().unwrap_or(Place::ROOT);
                return Err(parent.unknown(&expected, key));
            }
        })
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

    pub(super) fn one_or_more(&self, object: &Map<String, Json>, key: &str) -> Result<Vec<Query>> {
        let place = self.key(key);
        match object.get(key) {
            None => Ok(Vec::new()),
            Some(json @ Json::Array(_)) => place.queries(json),
            Some(json) => Ok(vec![place.query(json)?]),
        }
    }

    pub(super) fn queries(&self, json: &Json) -> Result<Vec<Query>> {
        let queries = self.array("an array of queries", json)?.iter().enumerate();
        queries
            .map(|(number, query)| self.element(number).query(query))
            .collect()
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
                r#"{"sparse_numbered": {"splade": {"2054": 1, "7": 0.5}}}"#,
                Query::sparse_numbered("splade", [(2_054, 1.0), (7, 0.5)]),
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
    fn queries_of_several_queries_are_read() {
        let tea = || Query::text("t", "tea");
        for (json, query) in [
            (
                r#"{"bool": {"must": {"text": {"t": "tea"}}, "should": [{"prefix": {"t": "cu"}}], "minimum_should": 1}}"#,
                Query::bool()
                    .with_minimum_should(1)
                    .must(tea())
                    .should(Query::prefix("t", "cu")),
            ),
            (
                r#"{"best_of": [{"text": {"t": "tea"}}, {"wildcard": {"t": "t?a"}}], "tie_breaker": 0.5}"#,
                Query::best_of([tea(), Query::wildcard("t", "t?a")], 0.5),
            ),
            (
                r#"{"text_in": {"fields": {"a": 2, "b": 1}, "text": "tea"}, "minimum_terms": 1}"#,
                Query::text_in([("a", 2.0), ("b", 1.0)], "tea").with_minimum_terms(1),
            ),
            (
                r#"{"phrase": {"t": "new york"}, "boost": 2}"#,
                Query::phrase("t", "new york").with_boost(2.0),
            ),
            (
                r#"{"phrase": {"t": {"text": "new york", "slop": 2}}}"#,
                Query::phrase("t", "new york").with_slop(2),
            ),
            (
                r#"{"phrase": {"t": {"text": "new yo", "prefix": true}}, "constant_score": 3}"#,
                Query::phrase_prefix("t", "new yo").with_constant_score(3.0),
            ),
            (
                r#"{"fuzzy": {"t": {"term": "teh", "distance": 1, "prefix": 1}}}"#,
                Query::fuzzy_after("t", "teh", 1, 1),
            ),
            (
                r#"{"regex": {"t": "t(e|a)+"}, "without": {"text": {"t": "tea"}}}"#,
                Query::regex("t", "t(e|a)+").without(tea()),
            ),
        ] {
            assert_eq!(Query::from_json(json).unwrap(), query, "{json}");
        }
    }

    #[test]
    fn what_is_no_query_is_refused_with_its_place() {
        for (json, message) in [
            ("{", "expected a query as JSON: EOF"),
            ("[]", "expected a query, which is an object, found []"),
            ("{}", "expected a key `text`"),
            (
                r#"{"match": {"a": "b"}}"#,
                "found the key `match`; write `{\"text\": {FIELD: WORDS}}`",
            ),
            (
                r#"{"bool": {"must_not": []}}"#,
                "at `bool`: expected `must`, `should` or `minimum_should`, found the key `must_not`; write \
                 `without` beside `bool`",
            ),
            (r#"{"matches": {"a": "b"}}"#, "found the key `matches`"),
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
                r#"{"sparse_numbered": {"s": {"lava": 1}}}"#,
                "at `sparse_numbered.s.lava`: expected a whole number below 2^32, found lava",
            ),
            (
                r#"{"dense": {"p": [1e300]}}"#,
                "at `dense.p[0]`: expected a number",
            ),
            (
                r#"{"text": {"a": "b"}, "all_terms": 1}"#,
                "at `all_terms`: expected true or false",
            ),
            (
                r#"{"bool": {"must": [], "filter": {"all": {}}}}"#,
                "at `bool`: expected `filter` beside `bool`, found it inside",
            ),
            (
                r#"{"bool": {"may": []}}"#,
                "expected `must`, `should` or `minimum_should`, found the key `may`",
            ),
            (
                r#"{"phrase": {"t": {"text": "a b", "slop": -1}}}"#,
                "at `phrase.t.slop`: expected a whole number, found -1",
            ),
            (
                r#"{"fuzzy": {"t": {"term": "a"}}}"#,
                "at `fuzzy.t`: expected an object with `term` and `distance`",
            ),
            (
                r#"{"text_in": {"fields": ["a"], "text": "b"}}"#,
                "at `text_in.fields`: expected an object of field to weight",
            ),
            (
                r#"{"all": {}, "tie_breaker": 0.5}"#,
                "expected a tie breaker in a query with `best_of`",
            ),
            (
                r#"{"all": {}, "boost": "2"}"#,
                "at `boost`: expected a number above 0, found \"2\"",
            ),
        ] {
            let error = Query::from_json(json).unwrap_err().to_string();
            assert!(error.contains(message), "{json}: {error}");
        }
        let deep = format!("{}{}", r#"{"any_of":["#.repeat(20_000), "]}".repeat(20_000));
        assert!(Query::from_json(&deep).is_err());
    }
}
