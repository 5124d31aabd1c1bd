//! Relevance judgments: TREC qrels and the TSV files of BEIR.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use super::lines::{Lines, open, quote};
use crate::error::{Error, Result};

/// Relevance judgments: for each query, the grade of each judged document.
///
/// A grade of 1 or more means relevant. A negative grade means that the document was seen but not
/// graded: as in trec_eval, it counts as not relevant, and measures over judged documents skip it.
/// Queries keep the order of their first line in the file.
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

/// The two layouts of a qrels file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// `query iteration document grade`, separated by white space.
    Trec,
    /// `query document grade`, separated by tabs.
    Beir,
}

impl Qrels {
    /// Judgments of no query.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads qrels from a file; see [`Qrels::read`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read, and those of [`Qrels::read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::read(open(path)?, &path.display().to_string())
    }

    /// Reads qrels; `file` is the name used in errors.
    ///
    /// Two layouts are told apart by the first line that is not blank. TREC: four columns `query
    /// iteration document grade` separated by white space; the iteration is ignored. BEIR: three
    /// columns `query document grade` separated by tabs, usually below a header.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with file and line for a wrong number of columns, a grade that is
    /// not an integer, and a document judged twice with different grades.
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
    /// Repeating a judgment with the same grade changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the document already has another grade for this query.
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

    /// True when no query is judged.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// True when the query has at least one judgment.
    pub fn contains(&self, query: &str) -> bool {
        self.grades.contains_key(query)
    }

    /// The grade of a document for a query, or `None` when it was not judged.
    pub fn grade(&self, query: &str, document: &str) -> Option<i32> {
        self.grades.get(query)?.get(document).copied()
    }

    /// Documents judged for a query, by id; `None` when the query is not judged.
    pub fn judgments(&self, query: &str) -> Option<&HashMap<String, i32>> {
        self.grades.get(query)
    }
}

/// The layout that a first line shows, and whether that line is a header.
fn detect_layout(line: &str) -> Option<(Layout, bool)> {
    let tabs: Vec<&str> = line.split('\t').collect();
    if tabs.len() == 3 {
        return Some((Layout::Beir, tabs[2].trim().parse::<i32>().is_err()));
    }
    (line.split_whitespace().count() == 4).then_some((Layout::Trec, false))
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
    match grade.parse() {
        Ok(grade) => Ok((query, document, grade)),
        Err(_) => Err(Error::invalid(format!(
            "expected an integer grade, found {}",
            quote(grade)
        ))),
    }
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
    fn trec_and_beir_layouts_are_told_apart() {
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
    fn beir_document_ids_may_hold_spaces() {
        let qrels = Qrels::read("1\tNew York\t1\n".as_bytes(), "b").unwrap();
        assert_eq!(qrels.grade("1", "New York"), Some(1));
    }

    #[test]
    fn errors_name_file_and_line() {
        assert!(message("1 0 a 1\n1 0 b\n").starts_with("q.txt:2: expected four columns"));
        assert!(message("1 0 a yes\n").starts_with("q.txt:1: expected an integer grade"));
        assert!(message("1 0\n").starts_with("q.txt:1: expected four columns"));
        assert!(message("1\ta\t1\n1\ta\n").starts_with("q.txt:2: expected three columns"));
        assert!(message("1\t\t1\n").contains("empty column"));
        assert!(message("1 0 a 99999999999\n").contains("integer grade"));
    }

    #[test]
    fn a_second_grade_is_refused_and_a_repeated_one_is_not() {
        assert!(message("1 0 a 1\n1 0 a 2\n").starts_with("q.txt:2: document `a` has grade 1"));
        let qrels = Qrels::read("1 0 a 1\n1 0 a 1\n".as_bytes(), "q").unwrap();
        assert_eq!(qrels.judgments("1").unwrap().len(), 1);
    }

    #[test]
    fn an_empty_file_judges_nothing() {
        assert!(Qrels::read("\n".as_bytes(), "q").unwrap().is_empty());
    }
}
