//! TREC runs: the results of a system for each query.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::Path;

use super::lines::{Lines, check_id, open, quote};
use super::names::{decoded, encoded};
use super::run_writer::{RunWriter, check_score};
use crate::error::{Error, Result};

/// A document returned for a query.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredDocument {
    /// External id of the document.
    pub document: String,
    /// Score of the system: higher is better. Never NaN.
    pub score: f64,
}

/// The results of one system: for each query, documents with their scores.
///
/// Queries are in the order of their first line in the file, documents in the order of their lines.
/// The rank column is ignored: [`Run::ranked`] returns the order in which documents are evaluated.
///
/// ```
/// use esparsa::eval::Run;
///
/// let text = "301 Q0 a 1 2.0 bm25\n301 Q0 b 2 3.5 bm25\n301 Q0 c 3 2.0 bm25\n";
/// let run = Run::read(text.as_bytes(), "bm25.run")?;
/// let order: Vec<&str> = run.ranked("301").iter().map(|hit| hit.document.as_str()).collect();
/// assert_eq!(order, ["b", "c", "a"]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    queries: Vec<QueryResults>,
    positions: HashMap<String, usize>,
    tag: Option<String>,
}

/// The results of one query.
#[derive(Clone, Debug, PartialEq)]
struct QueryResults {
    query: String,
    hits: Vec<ScoredDocument>,
}

impl Run {
    /// A run without queries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a run from a file; see [`Run::read`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read, and those of [`Run::read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::read(open(path)?, &path.display().to_string())
    }

    /// Reads a run in TREC format; `file` is the name used in errors.
    ///
    /// Each line has the columns `query Q0 document rank score tag`, separated by white space. The
    /// second and fourth columns are ignored, and so is anything after the tag. Blank lines are
    /// skipped. Ids that [`RunWriter`] percent-encodes are decoded.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with file and line for fewer than six columns, a score that is not
    /// a finite number, and a document returned twice for one query.
    pub fn read(reader: impl BufRead, file: &str) -> Result<Self> {
        let mut lines = Lines::new(reader, file);
        let mut run = Self::new();
        // Line numbers of the results of each query, for the error about a duplicate document.
        let mut numbers: Vec<Vec<u64>> = Vec::new();
        while let Some(line) = lines.next_line()? {
            if line.trim().is_empty() {
                continue;
            }
            let (query, hit, tag) = match parse_line(line) {
                Ok(parsed) => parsed,
                Err(error) => return Err(lines.place(error)),
            };
            if run.tag.as_deref() != Some(tag) {
                run.tag = Some(tag.to_owned());
            }
            let position = run.position_or_new(&decoded(query));
            run.queries[position].hits.push(hit);
            numbers.resize_with(run.queries.len(), Vec::new);
            numbers[position].push(lines.number());
        }
        run.refuse_repeats(&numbers, lines.file())?;
        Ok(run)
    }

    /// Adds the results of a query, in any order; an empty list is allowed.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the query already has results, an id is empty, a score is not
    /// finite, or a document occurs twice.
    pub fn insert(&mut self, query: &str, results: Vec<ScoredDocument>) -> Result<()> {
        check_id("query id", query)?;
        if self.positions.contains_key(query) {
            return Err(Error::invalid(format!(
                "query {} already has results in this run",
                quote(query)
            )));
        }
        for hit in &results {
            check_id("document id", &hit.document)?;
            check_score(query, &hit.document, hit.score)?;
        }
        if let Some((_, second)) = find_repeat(&results) {
            return Err(repeated(query, &results[second].document));
        }
        let position = self.position_or_new(query);
        self.queries[position].hits = results;
        Ok(())
    }

    /// Ids of the queries, in the order in which they were added.
    pub fn queries(&self) -> impl ExactSizeIterator<Item = &str> {
        self.queries.iter().map(|results| results.query.as_str())
    }

    /// Number of queries.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// True if the run has no query.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// Results of a query in the order in which they were added; `None` if it is not in the run.
    pub fn results(&self, query: &str) -> Option<&[ScoredDocument]> {
        let &position = self.positions.get(query)?;
        Some(&self.queries[position].hits)
    }

    /// Results of a query in the order in which trec_eval evaluates them; empty if there are none.
    ///
    /// The order is by descending score, and by descending document id (byte order) for equal
    /// scores. Scores are compared as `f32`, so scores that differ only beyond its precision are
    /// equal.
    pub fn ranked(&self, query: &str) -> Vec<&ScoredDocument> {
        let mut hits: Vec<&ScoredDocument> = self.results(query).unwrap_or(&[]).iter().collect();
        hits.sort_unstable_by(|a, b| compare_as_trec_eval(a, b));
        hits
    }

    /// Name of the system, from the last line of the file.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Writes the run in TREC format, each query in the order of [`Run::ranked`], ranks from 1.
    ///
    /// # Errors
    ///
    /// Those of [`RunWriter::write_query`].
    pub fn write(&self, writer: impl Write, file: &str, tag: &str) -> Result<()> {
        let mut writer = RunWriter::new(writer, file, tag)?;
        for query in self.queries() {
            for (index, hit) in self.ranked(query).into_iter().enumerate() {
                writer.write_line(query, &hit.document, index + 1, hit.score)?;
            }
        }
        writer.finish()?;
        Ok(())
    }

    /// The position of the results of a query; a new query gets an empty list.
    fn position_or_new(&mut self, query: &str) -> usize {
        if let Some(&position) = self.positions.get(query) {
            return position;
        }
        let position = self.queries.len();
        self.positions.insert(query.to_owned(), position);
        self.queries.push(QueryResults {
            query: query.to_owned(),
            hits: Vec::new(),
        });
        position
    }

    /// Rejects duplicate documents; `numbers` has the line of each result of each query.
    fn refuse_repeats(&self, numbers: &[Vec<u64>], file: &str) -> Result<()> {
        for (QueryResults { query, hits }, numbers) in self.queries.iter().zip(numbers) {
            if let Some((first, second)) = find_repeat(hits) {
                return Err(Error::invalid(format!(
                    "document {} was already returned for query {} on line {}; remove one of them",
                    quote(&hits[second].document),
                    quote(query),
                    numbers[first]
                ))
                .at_line(file, numbers[second]));
            }
        }
        Ok(())
    }
}

/// The order of trec_eval: descending score as `f32`, then descending document id.
fn compare_as_trec_eval(a: &ScoredDocument, b: &ScoredDocument) -> Ordering {
    // Scores are never NaN, so `partial_cmp` always returns an order. `total_cmp` would order 0.0
    // above -0.0, which are equal for trec_eval.
    (b.score as f32)
        .partial_cmp(&(a.score as f32))
        .unwrap_or(Ordering::Equal)
        // Compare the encoded ids: trec_eval sees only the file.
        .then_with(|| encoded(&b.document).cmp(&encoded(&a.document)))
}

/// The positions of the duplicate document whose second occurrence is earliest.
fn find_repeat(results: &[ScoredDocument]) -> Option<(usize, usize)> {
    let mut by_name: Vec<usize> = (0..results.len()).collect();
    by_name.sort_unstable_by(|&a, &b| {
        let names = results[a].document.cmp(&results[b].document);
        names.then(a.cmp(&b))
    });
    by_name
        .windows(2)
        .filter(|pair| results[pair[0]].document == results[pair[1]].document)
        .map(|pair| (pair[0], pair[1]))
        .min_by_key(|&(_, second)| second)
}

fn repeated(query: &str, document: &str) -> Error {
    Error::invalid(format!(
        "document {} is returned twice for query {}",
        quote(document),
        quote(query)
    ))
}

/// Splits one line into query, result and tag.
fn parse_line(line: &str) -> Result<(&str, ScoredDocument, &str)> {
    let mut columns = line.split_whitespace();
    let mut next = || columns.next();
    let (Some(query), Some(_), Some(document), Some(_), Some(score), Some(tag)) =
        (next(), next(), next(), next(), next(), next())
    else {
        return Err(Error::invalid(format!(
            "expected six columns `query Q0 document rank score tag`, found {}: {}",
            line.split_whitespace().count(),
            quote(line)
        )));
    };
    match score.parse::<f64>() {
        Ok(score) if score.is_finite() => {
            let document = decoded(document).into_owned();
            Ok((query, ScoredDocument { document, score }, tag))
        }
        _ => Err(Error::invalid(format!(
            "expected a finite score in the fifth column, found {}",
            quote(score)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(pairs: &[(&str, f64)]) -> Vec<ScoredDocument> {
        let hit = |&(document, score): &(&str, f64)| ScoredDocument {
            document: document.to_owned(),
            score,
        };
        pairs.iter().map(hit).collect()
    }

    fn order(pairs: &[(&str, f64)]) -> Vec<String> {
        let mut run = Run::new();
        run.insert("q", hits(pairs)).unwrap();
        let ranked = run.ranked("q").into_iter();
        ranked.map(|hit| hit.document.clone()).collect()
    }

    fn message(text: &str) -> String {
        Run::read(text.as_bytes(), "a.run").unwrap_err().to_string()
    }

    #[test]
    fn ties_go_to_the_higher_document_id() {
        assert_eq!(
            order(&[("d1", 1.0), ("d2", 2.0), ("d9", 1.0), ("d10", 1.0)]),
            ["d2", "d9", "d10", "d1"]
        );
        assert_eq!(
            order(&[("B", 1.0), ("a", 1.0), ("é", 1.0), ("z", 1.0)]),
            ["é", "z", "a", "B"]
        );
    }

    #[test]
    fn scores_equal_as_f32_are_ties() {
        assert_eq!(order(&[("a", 1.0 + 1e-9), ("b", 1.0)]), ["b", "a"]);
        assert_eq!(order(&[("a", 1.0 + 1e-6), ("b", 1.0)]), ["a", "b"]);
        assert_eq!(order(&[("a", 0.0), ("b", -0.0)]), ["b", "a"]);
        assert_eq!(order(&[("a", 2e40), ("b", 1e40)]), ["b", "a"]);
    }

    #[test]
    fn the_rank_column_is_ignored() {
        let run = Run::read("q Q0 a 1 0.5 t\n\nq Q0 b 2 1e0 t extra\n".as_bytes(), "r").unwrap();
        assert_eq!(run.ranked("q")[0].document, "b");
        assert_eq!(run.results("q").unwrap()[0].document, "a");
        assert_eq!(run.tag(), Some("t"));
        assert!(run.ranked("absent").is_empty());
    }

    #[test]
    fn errors_name_file_and_line() {
        assert!(
            message("q Q0 a 1 0.5 t\nq Q0 b 2 1.0\n").starts_with("a.run:2: expected six columns")
        );
        assert!(message("q Q0 a 1 NaN t\n").starts_with("a.run:1: expected a finite score"));
        assert!(message("q Q0 a 1 inf t\n").contains("finite score"));
        assert!(message("q Q0 a 1 x t\n").contains("finite score"));
        let twice =
            message("q Q0 a 1 3 t\nr Q0 a 1 3 t\nq Q0 b 1 2 t\nq Q0 b 2 2 t\nq Q0 a 2 1 t\n");
        assert!(twice.starts_with("a.run:4: document `b`"), "{twice}");
        assert!(twice.contains("on line 3"), "{twice}");
    }

    #[test]
    fn insert_rejects_what_a_file_cannot_contain() {
        let mut run = Run::new();
        run.insert("q", hits(&[])).unwrap();
        assert_eq!(run.results("q"), Some(&[][..]));
        assert!(run.insert("q", hits(&[])).is_err());
        assert!(run.insert("", hits(&[])).is_err());
        assert!(run.insert("r", hits(&[("", 1.0)])).is_err());
        assert!(run.insert("r", hits(&[("d", f64::NAN)])).is_err());
        assert!(run.insert("r", hits(&[("d", 1.0), ("d", 2.0)])).is_err());
        assert_eq!(run.len(), 1);
    }

    #[test]
    fn a_written_run_is_read_back_unchanged() {
        let mut run = Run::new();
        run.insert("q2", hits(&[("a", 0.1), ("b", 1e-300), ("c", -7.25)]))
            .unwrap();
        let special = ["é", "a b", "a%20b", "a\tb\u{85}", "%"];
        run.insert("q 1", hits(&special.map(|id| (id, 12_345.678_901_234))))
            .unwrap();
        let mut bytes = Vec::new();
        run.write(&mut bytes, "r", "tag").unwrap();
        let again = Run::read(bytes.as_slice(), "r").unwrap();
        assert_eq!(again.ranked("q2"), run.ranked("q2"));
        assert_eq!(again.ranked("q 1"), run.ranked("q 1"));
        assert_eq!(again.len(), 2);
    }
}
