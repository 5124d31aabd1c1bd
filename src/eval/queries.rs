//! Queries from BEIR and TSV files, JSON Lines with vectors, and TREC topics.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use serde_json::Value;

use super::lines::{Lines, check_id, open, quote};
use super::topics::{Topic, TopicPart, TopicReader};
use crate::error::{Error, Result};

/// One query: an id, with a text, a sparse or dense vector, or both.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Query {
    /// Id of the query, as in the qrels; never empty.
    pub id: String,
    /// The words of the query, if the file has them.
    pub text: Option<String>,
    /// Terms with their weights, sorted by term, if the file has them; weights are finite and not
    /// negative.
    pub vector: Option<Vec<(String, f32)>>,
    /// Dense vector, if the file has one. Its components are finite.
    pub dense: Option<Vec<f32>>,
}

impl Query {
    /// A query of a text.
    pub fn of_text(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            text: Some(text.into()),
            ..Self::default()
        }
    }
}

/// The layouts of a query file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    JsonLines,
    Tsv,
    Topics,
}

/// Reads queries from a file; see [`read_queries`].
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read, and those of [`read_queries`].
pub fn open_queries(path: impl AsRef<Path>, part: TopicPart) -> Result<Vec<Query>> {
    let path = path.as_ref();
    read_queries(open(path)?, &path.display().to_string(), part)
}

/// Reads queries in the order of the file; `file` is the name used in errors.
///
/// The first character that is not white space decides the layout:
///
/// - `{`: JSON Lines. Each line is an object with `_id` or `id` (a string or an integer), and with
///   `text`, `vector`, or both; other keys are ignored. `vector` is an object from term to weight,
///   or an array of numbers. If a term occurs twice, its last weight counts.
/// - `<`: TREC topics. `part` selects the part of the topic that is the query; other layouts ignore
///   it.
/// - anything else: TSV, with `id`, a tab, and the text.
///
/// ```
/// use esparsa::eval::{TopicPart, read_queries};
///
/// let beir = r#"{"_id": "q1", "text": "airbus subsidies"}"#;
/// let queries = read_queries(beir.as_bytes(), "queries.jsonl", TopicPart::Title)?;
/// assert_eq!(queries[0].text.as_deref(), Some("airbus subsidies"));
///
/// let sparse = r#"{"id": "q1", "vector": {"airbus": 2.5, "subsidy": 1.25}}"#;
/// let queries = read_queries(sparse.as_bytes(), "splade.jsonl", TopicPart::Title)?;
/// assert_eq!(queries[0].vector.as_ref().map(Vec::len), Some(2));
/// # Ok::<(), esparsa::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::InvalidInput`] with file and line for a line that does not fit the layout, an id that
/// is empty or occurs twice, a weight that is negative or not finite, and a vector component that
/// is not finite.
pub fn read_queries(reader: impl BufRead, file: &str, part: TopicPart) -> Result<Vec<Query>> {
    let mut lines = Lines::new(reader, file);
    let mut list = QueryList::default();
    let mut topics = TopicReader::default();
    let mut layout = None;
    while let Some(line) = lines.next_line()? {
        if layout.is_none() {
            layout = detect_layout(line);
        }
        let read = match layout {
            None => continue,
            Some(_) if line.trim().is_empty() => continue,
            Some(Layout::JsonLines) => parse_json(line).map(Some),
            Some(Layout::Tsv) => parse_tsv(line).map(Some),
            Some(Layout::Topics) => topic_query(topics.line(line), part),
        };
        let added = match read {
            Ok(Some(query)) => list.push(query, lines.number()),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = added {
            return Err(lines.place(error));
        }
    }
    match topics.finish() {
        Ok(()) => Ok(list.queries),
        Err(error) => Err(lines.place(error)),
    }
}

/// The layout of a file with this first line; `None` for a blank line.
fn detect_layout(line: &str) -> Option<Layout> {
    match line.trim_start().chars().next()? {
        '{' => Some(Layout::JsonLines),
        '<' => Some(Layout::Topics),
        _ => Some(Layout::Tsv),
    }
}

/// Queries read so far, with their line numbers, to reject duplicate ids.
#[derive(Default)]
struct QueryList {
    queries: Vec<Query>,
    lines: HashMap<String, u64>,
}

impl QueryList {
    fn push(&mut self, query: Query, line: u64) -> Result<()> {
        check_id("query id", &query.id)?;
        if let Some(earlier) = self.lines.insert(query.id.clone(), line) {
            return Err(Error::invalid(format!(
                "query id {} was already used on line {earlier}; every query needs its own",
                quote(&query.id)
            )));
        }
        self.queries.push(query);
        Ok(())
    }
}

fn topic_query(topic: Result<Option<Topic>>, part: TopicPart) -> Result<Option<Query>> {
    match topic? {
        Some(topic) => topic.into_query(part).map(Some),
        None => Ok(None),
    }
}

fn parse_tsv(line: &str) -> Result<Query> {
    let Some((id, text)) = line.split_once('\t') else {
        return Err(Error::invalid(format!(
            "expected a query id, a tab, and the text of the query, found {} without a tab",
            quote(line)
        )));
    };
    Ok(Query::of_text(id.trim(), text.trim()))
}

fn parse_json(line: &str) -> Result<Query> {
    let value: Value = serde_json::from_str(line).map_err(|error| {
        // The parser reports a position within the line; the caller adds the line number.
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        Error::invalid(format!(
            "expected one JSON object on the line, found {} ({reason}, column {})",
            quote(line),
            error.column()
        ))
    })?;
    let Value::Object(object) = value else {
        return Err(Error::invalid(format!(
            "expected a JSON object, found {}",
            quote(line)
        )));
    };
    let id = match object.get("_id").or_else(|| object.get("id")) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) if id.is_u64() || id.is_i64() => id.to_string(),
        Some(other) => {
            return Err(wrong_type("a string or an integer", other).in_field("id"));
        }
        None => {
            return Err(Error::invalid(format!(
                "expected a query id under `_id` or `id`, found neither in {}",
                quote(line)
            )));
        }
    };
    let text = match object.get("text") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => return Err(wrong_type("a string", other).in_field("text")),
    };
    let (vector, dense) = match object.get("vector") {
        None | Some(Value::Null) => (None, None),
        Some(Value::Object(weights)) => (Some(parse_vector(weights)?), None),
        Some(Value::Array(numbers)) => (None, Some(parse_numbers(numbers)?)),
        Some(other) => {
            let expected = "an object from term to weight or an array of numbers";
            return Err(wrong_type(expected, other).in_field("vector"));
        }
    };
    if text.is_none() && vector.is_none() && dense.is_none() {
        return Err(Error::invalid(format!(
            "expected `text` or `vector` for query {}, found neither",
            quote(&id)
        )));
    }
    Ok(Query {
        id,
        text,
        vector,
        dense,
    })
}

fn parse_numbers(values: &[Value]) -> Result<Vec<f32>> {
    let number = |(index, value): (usize, &Value)| {
        let number = value.as_f64().map(|number| number as f32);
        number.filter(|number| number.is_finite()).ok_or_else(|| {
            let found = quote(&value.to_string());
            let message = format!("expected a number within the range of 32-bit floats at index {index}, found {found}");
            Error::invalid(message).in_field("vector")
        })
    };
    values.iter().enumerate().map(number).collect()
}

/// Terms with weights, sorted by term.
fn parse_vector(weights: &serde_json::Map<String, Value>) -> Result<Vec<(String, f32)>> {
    let mut vector = Vec::with_capacity(weights.len());
    for (term, value) in weights {
        // Narrow first: a number too large for `f32` becomes infinite and is rejected.
        let weight = value.as_f64().map(|weight| weight as f32);
        match weight {
            Some(weight) if weight.is_finite() && weight >= 0.0 => {
                vector.push((term.clone(), weight));
            }
            _ => {
                return Err(Error::invalid(format!(
                    "expected a weight of at least 0 and at most 3.4e38 for term {}, found {}",
                    quote(term),
                    quote(&value.to_string())
                ))
                .in_field("vector"));
            }
        }
    }
    vector.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(vector)
}

fn wrong_type(expected: &str, found: &Value) -> Error {
    Error::invalid(format!(
        "expected {expected}, found {}",
        quote(&found.to_string())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Query>> {
        read_queries(text.as_bytes(), "q.txt", TopicPart::Title)
    }

    fn message(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn beir_queries_are_read_and_other_keys_ignored() {
        let queries = read(
            "{\"_id\": \"a\", \"text\": \"one two\", \"metadata\": {\"x\": 1}}\n\n{\"id\": 7, \"text\": \"\"}\n",
        )
        .unwrap();
        assert_eq!(queries.len(), 2);
        assert_eq!(queries[0].id, "a");
        assert_eq!(queries[0].text.as_deref(), Some("one two"));
        assert_eq!(queries[1].id, "7");
        assert_eq!(queries[1].text.as_deref(), Some(""));
        assert_eq!(queries[1].vector, None);
    }

    #[test]
    fn sparse_vectors_come_sorted_by_term() {
        let queries = read("{\"id\":\"a\",\"vector\":{\"##b\":1,\"b\":0.5,\"a\":2e0}}").unwrap();
        let expected = [("##b", 1.0), ("a", 2.0), ("b", 0.5)];
        let expected: Vec<(String, f32)> = expected.map(|(t, w)| (t.to_owned(), w)).to_vec();
        assert_eq!(queries[0].vector.as_ref(), Some(&expected));
        assert_eq!(queries[0].text, None);
        let empty = read("{\"id\":\"a\",\"vector\":{}}").unwrap();
        assert_eq!(empty[0].vector, Some(Vec::new()));
    }

    #[test]
    fn arrays_are_dense_vectors() {
        let queries = read("{\"id\":\"a\",\"vector\":[1,-0.5,2e-3]}").unwrap();
        assert_eq!(queries[0].dense, Some(vec![1.0, -0.5, 0.002]));
        assert_eq!(queries[0].vector, None);
        for bad in ["1e39", "\"1\"", "null", "[1]"] {
            let text = format!("{{\"id\": 1, \"vector\": [1, {bad}]}}");
            assert!(message(&text).contains("at index 1"), "{bad}");
        }
    }

    #[test]
    fn ids_may_hold_white_space() {
        assert_eq!(read("a b\tc\n").unwrap()[0].id, "a b");
        assert_eq!(read(r#"{"_id": "a\n", "text": "b"}"#).unwrap()[0].id, "a\n");
    }

    #[test]
    fn tsv_keeps_everything_after_the_first_tab() {
        let queries = read("q1\thello\tworld\r\nq2\t\n").unwrap();
        assert_eq!(queries[0].text.as_deref(), Some("hello\tworld"));
        assert_eq!(queries[1].text.as_deref(), Some(""));
    }

    #[test]
    fn topics_are_recognized_by_their_first_tag() {
        let queries = read("\n<top>\n<num> Number: 1\n<title> a b\n</top>\n").unwrap();
        assert_eq!(queries[0].id, "1");
        assert_eq!(queries[0].text.as_deref(), Some("a b"));
    }

    #[test]
    fn errors_name_file_and_line() {
        assert!(message("q1\ta\nq2 b\n").starts_with("q.txt:2: expected a query id, a tab"));
        assert!(
            message("q1\ta\nq1\tb\n")
                .starts_with("q.txt:2: query id `q1` was already used on line 1")
        );
        assert!(message("\ta\n").starts_with("q.txt:1: expected a query id"));
        assert!(message("{\"id\": \"a\"").ends_with("(EOF while parsing an object, column 10)"));
        assert!(message("{\"text\": \"a\"}").contains("under `_id` or `id`"));
        assert!(message("{\"id\": 1.5, \"text\": \"a\"}").contains("field `id`"));
        assert!(message("{\"id\": 1, \"text\": 3}").contains("field `text`"));
        assert!(message("{\"id\": 1}").contains("found neither"));
        assert!(message("{\"id\": 1, \"vector\": 1}").contains("field `vector`"));
        assert!(message("<top>\n<num> 1\n<title> a\n").starts_with("q.txt:3: "));
    }

    #[test]
    fn weights_must_be_finite_and_not_negative() {
        for weight in ["-1", "1e39", "\"1\"", "null"] {
            let text = format!("{{\"id\": 1, \"vector\": {{\"a\": {weight}}}}}");
            assert!(message(&text).contains("for term `a`"), "{weight}");
        }
        assert!(read("{\"id\": 1, \"vector\": {\"a\": 0}}").is_ok());
    }

    #[test]
    fn an_empty_file_has_no_queries() {
        assert_eq!(read("\n\n").unwrap(), []);
    }
}
