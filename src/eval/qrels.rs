//! Relevance judgments: TREC qrels and the TSV files of BEIR.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use super::lines::{Lines, open, quote};
use crate::error::{Error, Result};

/// Relevance judgments: for each query, the grade of each judged document.
///
/// A grade of 1 or more means relevant. A negative grade means that the document was not graded: as
/// in trec_eval, it counts as not relevant, and measures over judged documents skip it. Queries are
/// in the order of their first line in the file.
///
/// ```
/// use esparsa::eval::Qrels;
///
/// let trec = Qrels::read("301 0 d1 2\n301 0 d2 0\n".as_bytes(), "a.qrels")?;
/// let beir = Qrels::read("query-id\tcorpus-id\tscore\n301\td1\t2\n301\td2\t0\n".as_bytes(), "a.tsv")?;
/// assert_eq!(trec.grade("301", "d1"), Some(2));
/// assert_eq!(trec, beir);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qrels {
    order: Vec<String>,
    grades: HashMap<String, HashMap<String, i32>>,
}

/// Names of the grade column in headers, or the last words of such names.
const GRADE_NAMES: [&str; 9] = [
    "score",
    "grade",
    "rel",
    "relevance",
    "relevancy",
    "label",
    "judgment",
    "judgement",
    "rating",
];

/// The two layouts of a qrels file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// `query iteration document grade`, separated by white space.
    Trec,
    /// `query document grade`, separated by tabs.
    Beir,
}

impl Qrels {
    /// Empty qrels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads qrels from a file; see [`Qrels::read`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read, and those of [`Qrels::read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::read(open(path)?, &path.display().to_string())
    }

    /// Reads qrels; `file` is the name used in errors.
    ///
    /// The first line that is not blank decides between two layouts. TREC: four columns `query
    /// iteration document grade` separated by white space; the iteration is ignored. BEIR: three
    /// columns `query document grade` separated by tabs, usually after a header. The first line is
    /// a header only if its last column is a name of grades, such as `score` or `relevance`.
    ///
    /// Grades are integers; `1.0` is accepted as 1.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with file and line for a wrong number of columns, a grade that is
    /// not an integer, such as `1.5`, and a document with two different grades for a query.
    pub fn read(reader: impl BufRead, file: &str) -> Result<Self> {
        let mut lines = Lines::new(reader, file);
        let mut qrels = Self::new();
        let mut layout = None;
        while let Some(line) = lines.next_line()? {
            if line.trim().is_empty() {
                continue;
            }
            let known = match layout {
                Some(known) => known,
                None => {
                    let Some((found, is_header)) = detect_layout(line) else {
                        let message = unknown_layout(line);
                        return Err(lines.error(message));
                    };
                    layout = Some(found);
                    if is_header {
                        continue;
                    }
                    found
                }
            };
            let judged = parse_line(line, known)
                .and_then(|(query, document, grade)| qrels.insert(query, document, grade));
            if let Err(error) = judged {
                return Err(lines.place(error));
            }
        }
        Ok(qrels)
    }

    /// Adds one judgment.
    ///
    /// A repeated judgment with the same grade has no effect.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the document already has another grade for this query.
    pub fn insert(&mut self, query: &str, document: &str, grade: i32) -> Result<()> {
        let grades = match self.grades.get_mut(query) {
            Some(grades) => grades,
            None => {
                self.order.push(query.to_owned());
                self.grades.entry(query.to_owned()).or_default()
            }
        };
        match grades.get(document) {
            None => {
                grades.insert(document.to_owned(), grade);
                Ok(())
            }
            Some(&earlier) if earlier == grade => Ok(()),
            Some(&earlier) => Err(Error::invalid(format!(
                "document {} has grade {earlier} for query {}, and here grade {grade}; \
                 keep one of the two lines",
                quote(document),
                quote(query)
            ))),
        }
    }

    /// Ids of the judged queries, in the order of their first line.
    pub fn queries(&self) -> impl ExactSizeIterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// Number of judged queries.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// True if no query is judged.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// True if the query has at least one judgment.
    pub fn contains(&self, query: &str) -> bool {
        self.grades.contains_key(query)
    }

    /// The grade of a document for a query, or `None` if it was not judged.
    pub fn grade(&self, query: &str, document: &str) -> Option<i32> {
        self.grades.get(query)?.get(document).copied()
    }

    /// Documents judged for a query, by id; `None` if the query is not judged.
    pub fn judgments(&self, query: &str) -> Option<&HashMap<String, i32>> {
        self.grades.get(query)
    }
}

/// The layout of a file with this first line, and whether the line is a header.
fn detect_layout(line: &str) -> Option<(Layout, bool)> {
    let tabs: Vec<&str> = line.split('\t').collect();
    if let [_, _, grade] = tabs[..] {
        return Some((Layout::Beir, is_header(grade)));
    }
    let columns: Vec<&str> = line.split_whitespace().collect();
    match columns[..] {
        [_, _, _, grade] => Some((Layout::Trec, is_header(grade))),
        _ => None,
    }
}

/// True if a first line with this last column is a header. Anything else that is not a grade is an
/// error and not a header, because the judgment of the first line would be lost silently.
fn is_header(column: &str) -> bool {
    let name = column.trim().to_lowercase();
    let word = name.rsplit(['-', '_', ' ']).next();
    word.is_some_and(|word| GRADE_NAMES.contains(&word))
}

fn unknown_layout(line: &str) -> String {
    format!(
        "expected four columns `query iteration document grade` (TREC), or three columns \
         `query document grade` separated by tabs (BEIR), found {}",
        quote(line)
    )
}

/// Splits one line into query, document and grade.
fn parse_line(line: &str, layout: Layout) -> Result<(&str, &str, i32)> {
    let columns: Vec<&str> = match layout {
        Layout::Trec => line.split_whitespace().collect(),
        Layout::Beir => line.split('\t').map(str::trim).collect(),
    };
    let (query, document, grade) = match (layout, columns.as_slice()) {
        (Layout::Trec, &[query, _, document, grade]) => (query, document, grade),
        (Layout::Beir, &[query, document, grade]) => (query, document, grade),
        (Layout::Trec, found) => return Err(wrong_columns("four", "white space", found.len())),
        (Layout::Beir, found) => return Err(wrong_columns("three", "tabs", found.len())),
    };
    if query.is_empty() || document.is_empty() {
        return Err(Error::invalid(
            "expected a query id and a document id, found an empty column",
        ));
    }
    match parse_grade(grade) {
        Some(grade) => Ok((query, document, grade)),
        None => Err(Error::invalid(format!(
            "expected an integer as grade, such as 1 or 1.0, found {}",
            quote(grade)
        ))),
    }
}

/// Parses an integer, also in the form `1.0` that some programs write.
fn parse_grade(text: &str) -> Option<i32> {
    if let Ok(grade) = text.parse() {
        return Some(grade);
    }
    let number: f64 = text.parse().ok()?;
    let grade = number as i32;
    (f64::from(grade) == number).then_some(grade)
}

fn wrong_columns(expected: &str, separator: &str, found: usize) -> Error {
    Error::invalid(format!(
        "expected {expected} columns separated by {separator} as on the first line, found {found}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Qrels::read(text.as_bytes(), "q.txt")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn trec_and_beir_layouts_are_detected() {
        let trec = Qrels::read("\n1 0 a 1\r\n1\t0\tb\t-1\n2 Q0 a 0\n".as_bytes(), "t").unwrap();
        let beir = Qrels::read(
            "query-id\tcorpus-id\tscore\n1\ta\t1\n1\tb\t-1\n2\ta\t0\n".as_bytes(),
            "b",
        )
        .unwrap();
        let headless = Qrels::read("1\ta\t1\n1\tb\t-1\n2\ta\t0".as_bytes(), "h").unwrap();
        assert_eq!(trec, beir);
        assert_eq!(trec, headless);
        assert_eq!(trec.queries().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(trec.grade("1", "b"), Some(-1));
        assert_eq!(trec.grade("2", "b"), None);
    }

    #[test]
    fn beir_document_ids_may_contain_spaces() {
        let qrels = Qrels::read("1\tNew York\t1\n".as_bytes(), "b").unwrap();
        assert_eq!(qrels.grade("1", "New York"), Some(1));
    }

    #[test]
    fn errors_name_file_and_line() {
        assert!(message("1 0 a 1\n1 0 b\n").starts_with("q.txt:2: expected four columns"));
        assert!(message("1 0 a yes\n").starts_with("q.txt:1: expected an integer as grade"));
        assert!(message("1 0\n").starts_with("q.txt:1: expected four columns"));
        assert!(message("1\ta\t1\n1\ta\n").starts_with("q.txt:2: expected three columns"));
        assert!(message("1\t\t1\n").contains("empty column"));
        assert!(message("1 0 a 99999999999\n").contains("an integer"));
    }

    #[test]
    fn a_grade_written_with_a_decimal_point_is_read_and_half_a_grade_is_not() {
        let qrels = Qrels::read("1 0 a 1.0\n1 0 b -2.00\n1 0 c 3e0\n".as_bytes(), "q").unwrap();
        let grades = ["a", "b", "c"].map(|document| qrels.grade("1", document));
        assert_eq!(grades, [Some(1), Some(-2), Some(3)]);
        let headless = Qrels::read("1\ta\t1.0\n1\tb\t0.0\n".as_bytes(), "q").unwrap();
        assert_eq!(headless.grade("1", "a"), Some(1));
        for grade in ["1.5", "nan", "inf", "1e99", ""] {
            let found = message(&format!("1\ta\t1\n1\tb\t{grade}\n"));
            assert!(found.starts_with("q.txt:2: expected"), "{found}");
        }
    }

    #[test]
    fn the_first_line_without_a_header_is_never_lost() {
        for (text, line) in [
            ("1\ta\t1.5\n", "1"),
            ("1\ta\tyes\n1\tb\t1\n", "1"),
            ("q\td\t\n", "1"),
            ("q\td\tsquirrel\n", "1"),
        ] {
            let found = message(text);
            assert!(found.starts_with(&format!("q.txt:{line}: ")), "{found}");
        }
        for header in [
            "query-id\tcorpus-id\tscore",
            "qid\tdocid\tRelevance",
            "query_id iter doc_id relevance_label",
            "query-id\tq0\tcorpus-id\tscore",
        ] {
            let columns = header.split_whitespace().count();
            let line = match columns {
                3 => "1\ta\t2",
                _ => "1 0 a 2",
            };
            let qrels = Qrels::read(format!("{header}\n{line}\n").as_bytes(), "q").unwrap();
            assert_eq!(
                (qrels.len(), qrels.grade("1", "a")),
                (1, Some(2)),
                "{header}"
            );
        }
    }

    #[test]
    fn a_second_grade_is_rejected_and_a_repeated_one_is_not() {
        assert!(message("1 0 a 1\n1 0 a 2\n").starts_with("q.txt:2: document `a` has grade 1"));
        let qrels = Qrels::read("1 0 a 1\n1 0 a 1\n".as_bytes(), "q").unwrap();
        assert_eq!(qrels.judgments("1").unwrap().len(), 1);
    }

    #[test]
    fn an_empty_file_has_no_judgments() {
        assert!(Qrels::read("\n".as_bytes(), "q").unwrap().is_empty());
    }
}
