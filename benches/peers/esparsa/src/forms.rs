//! Forms of queries that applications ask: what a line of a file of queries says, the modes by which drivers are
//! measured, and the columns of documents.

use std::fs;
use std::path::Path;

use crate::Result;

/// The file of columns.
pub const COLUMNS_FILE: &str = "columns.bin";
/// Numbers of the first column are below.
pub const NUMBERS: u32 = 1_000_000;
/// Different keywords of the second column.
pub const KEYWORDS: u32 = 1_000;
/// Shares of the documents that filters keep, as they are named.
pub const SELECTIVITIES: [&str; 4] = ["0.001", "0.01", "0.1", "0.5"];
/// Forms without filters: those of unions, sorted and counted by columns too, come first.
pub const FORMS: [&str; 9] = [
    "union",
    "intersection",
    "must-should",
    "negation",
    "phrase-2",
    "phrase-3",
    "prefix",
    "fuzzy-1",
    "fuzzy-2",
];

/// The form of unions with a filter: each has its own range, or all have the same.
pub fn filter_form(selectivity: &str, is_same: bool) -> String {
    let range = if is_same { "same" } else { "new" };
    format!("filter-{selectivity}-{range}")
}

/// What is wanted of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The best documents.
    Top,
    /// How many documents match.
    Count,
    /// The documents with the lowest numbers.
    Sort,
    /// The keywords that most of the matching documents have.
    Facets,
}

/// The modes of all forms: a form and a task.
pub fn modes() -> Vec<String> {
    let filters = SELECTIVITIES
        .iter()
        .flat_map(|selectivity| [false, true].map(|is_same| filter_form(selectivity, is_same)));
    let forms = FORMS.iter().map(|form| (*form).to_owned()).chain(filters);
    let ranked = forms.flat_map(|form| [format!("{form}/top"), format!("{form}/count")]);
    let of_columns = ["union/sort", "union/facets"].map(str::to_owned);
    ranked.chain(of_columns).collect()
}

/// The form of a mode.
pub fn form_of(mode: &str) -> &str {
    mode.split('/').next().unwrap_or(mode)
}

/// The task of a mode.
///
/// # Errors
///
/// When the mode has none.
pub fn task_of(mode: &str) -> Result<Task> {
    match mode.split('/').nth(1) {
        Some("top") => Ok(Task::Top),
        Some("count") => Ok(Task::Count),
        Some("sort") => Ok(Task::Sort),
        Some("facets") => Ok(Task::Facets),
        _ => Err(format!("expected a form and a task, as union/top, found {mode}").into()),
    }
}

/// What a line asks for; its grammar stands in the README beside the drivers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Terms of which documents must have one, where there are no others that they must have.
    pub should: Vec<String>,
    /// Terms that documents must have.
    pub must: Vec<String>,
    /// Terms that documents must not have.
    pub must_not: Vec<String>,
    /// Terms that follow one another.
    pub phrase: Vec<String>,
    /// What a term begins with.
    pub prefix: Option<String>,
    /// A term, and how many edits others may be away from it.
    pub fuzzy: Option<(String, u8)>,
    /// The lowest and the highest number that documents may have.
    pub range: Option<(u32, u32)>,
}

impl Form {
    /// Reads a line of a file of queries.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8, or numbers are none.
    pub fn parse(line: &[u8]) -> Result<Self> {
        let line = std::str::from_utf8(line)?;
        let mut form = Self::default();
        if let Some(phrase) = line.strip_prefix('"') {
            let words = phrase.trim_end_matches('"').split(' ');
            form.phrase = words.map(str::to_owned).collect();
            return Ok(form);
        }
        for part in line.split(' ').filter(|part| !part.is_empty()) {
            if let Some(term) = part.strip_prefix('+') {
                form.must.push(term.to_owned());
            } else if let Some(term) = part.strip_prefix('-') {
                form.must_not.push(term.to_owned());
            } else if let Some(range) = part.strip_prefix('#') {
                let (low, high) = range.split_once("..").ok_or("expected a range as #1..2")?;
                form.range = Some((low.parse()?, high.parse()?));
            } else if let Some(prefix) = part.strip_suffix('*') {
                form.prefix = Some(prefix.to_owned());
            } else if let Some((term, distance)) = part.split_once('~') {
                form.fuzzy = Some((term.to_owned(), distance.parse()?));
            } else {
                form.should.push(part.to_owned());
            }
        }
        Ok(form)
    }
}

/// Columns of all documents: a number, and the number of a keyword.
#[derive(Clone, Debug, Default)]
pub struct Columns(Vec<(u32, u32)>);

impl Columns {
    /// Reads the file of a folder of work.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or has another number of documents.
    pub fn read(folder: &Path, documents: u32) -> Result<Self> {
        let bytes = fs::read(folder.join(COLUMNS_FILE))?;
        let columns = bytes.chunks_exact(8).map(|bytes| {
            let number = |at: usize| {
                u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            };
            (number(0), number(4))
        });
        if bytes.len() != 8 * documents as usize {
            let found = bytes.len();
            return Err(
                format!("expected columns of {documents} documents, found {found} bytes").into(),
            );
        }
        Ok(Self(columns.collect()))
    }

    /// The number of a document.
    pub fn number(&self, document: u32) -> u32 {
        self.0[document as usize].0
    }

    /// The keyword of a document.
    pub fn keyword(&self, document: u32) -> String {
        keyword(self.0[document as usize].1)
    }
}

/// The keyword of a number.
pub fn keyword(number: u32) -> String {
    format!("k{number:03}")
}

/// The number of a keyword.
///
/// # Errors
///
/// When it is none of [`keyword`].
pub fn keyword_number(keyword: &str) -> Result<u32> {
    let number = keyword
        .strip_prefix('k')
        .ok_or("expected a keyword as k000")?;
    Ok(number.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_is_asked() {
        let form = Form::parse(b"a b +c -d #3..40").unwrap();
        assert_eq!(form.should, ["a", "b"]);
        assert_eq!(
            (form.must, form.must_not),
            (vec!["c".into()], vec!["d".into()])
        );
        assert_eq!(form.range, Some((3, 40)));
        assert_eq!(Form::parse(b"\"a b c\"").unwrap().phrase, ["a", "b", "c"]);
        assert_eq!(Form::parse(b"abc*").unwrap().prefix.as_deref(), Some("abc"));
        assert_eq!(
            Form::parse(b"abcde~2").unwrap().fuzzy,
            Some(("abcde".into(), 2))
        );
        assert!(Form::parse(b"#1").is_err());
    }

    #[test]
    fn every_mode_has_a_form_and_a_task() {
        let modes = modes();
        assert_eq!(modes.len(), 2 * (FORMS.len() + 8) + 2);
        assert!(modes.iter().all(|mode| task_of(mode).is_ok()));
        assert_eq!(form_of("filter-0.1-new/count"), "filter-0.1-new");
        assert!(task_of("union").is_err());
    }

    #[test]
    fn keywords_have_numbers() {
        assert_eq!(keyword_number(&keyword(7)).unwrap(), 7);
        assert!(keyword_number("7").is_err());
    }
}
