//! Queries with relevance judgements, which mark the hits of searches for the same text.

use std::collections::HashMap;
use std::path::Path;

use esparsa::eval::{Qrels, TopicPart, open_queries};
use esparsa::{Error, Result};
use serde::Serialize;

use super::indexes::Indexes;
use super::named::FileOfIndex;

/// The judged queries of one index.
#[derive(Default)]
pub struct JudgedQueries {
    queries: Vec<JudgedQuery>,
    by_text: HashMap<String, usize>,
}

/// A query that is judged.
pub struct JudgedQuery {
    /// Its id.
    pub id: String,
    /// Its text, with single blanks.
    pub text: String,
    /// Documents whose grade is above 0.
    pub relevant: u64,
    grades: HashMap<String, i32>,
}

/// A judged query, as suggestions list it.
#[derive(Serialize)]
pub struct QueryReport<'a> {
    text: &'a str,
    /// How many documents are relevant.
    relevant: u64,
}

/// The judged queries of all indexes, by the names of these.
#[derive(Default)]
pub struct Judgements {
    of_index: HashMap<String, JudgedQueries>,
}

impl Judgements {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when a file names no index or is one of two for the same, and when
    /// one index has only one of the two files; what reading gives.
    pub fn open(qrels: &[FileOfIndex], queries: &[FileOfIndex], indexes: &Indexes) -> Result<Self> {
        let qrels = by_index("--qrels", qrels, indexes)?;
        let queries = by_index("--queries", queries, indexes)?;
        let lacks = |some: &HashMap<String, &Path>, others: &HashMap<String, &Path>| {
            let lacking = some.keys().find(|name| !others.contains_key(*name));
            lacking.cloned()
        };
        for (some, others, option) in [
            (&qrels, &queries, "--queries"),
            (&queries, &qrels, "--qrels"),
        ] {
            if let Some(name) = lacks(some, others) {
                return Err(Error::invalid(format!(
                    "expected both --qrels and --queries for the index `{name}`, found one of them; add {option}"
                )));
            }
        }
        let mut of_index = HashMap::new();
        for (name, file) in queries {
            if let Some(judged) = qrels.get(&name) {
                let judged = Qrels::open(judged)?;
                of_index.insert(name, JudgedQueries::read(file, &judged)?);
            }
        }
        Ok(Self { of_index })
    }

    /// The judged queries of an index.
    pub fn of(&self, index: &str) -> Option<&JudgedQueries> {
        self.of_index.get(index)
    }
}

impl JudgedQueries {
    fn read(file: &Path, qrels: &Qrels) -> Result<Self> {
        let mut judged = Self::default();
        for query in open_queries(file, TopicPart::default())? {
            if let (Some(text), Some(grades)) = (query.text, qrels.judgments(&query.id)) {
                let grades = grades.iter().map(|(id, grade)| (id.clone(), *grade));
                judged.add(query.id, &text, grades.collect());
            }
        }
        if judged.queries.is_empty() {
            return Err(Error::invalid(format!(
                "{}: expected queries whose ids have judgements in the file of --qrels, found none; give the files of one \
                 collection",
                file.display()
            )));
        }
        Ok(judged)
    }

    fn add(&mut self, id: String, text: &str, grades: HashMap<String, i32>) {
        let text = normalized(text);
        // Of queries with one text the first counts.
        self.by_text
            .entry(text.clone())
            .or_insert(self.queries.len());
        self.queries.push(JudgedQuery {
            id,
            text,
            relevant: grades.values().filter(|grade| **grade > 0).count() as u64,
            grades,
        });
    }

    /// Number of queries.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// The query with this text, up to white space.
    pub fn find(&self, text: &str) -> Option<&JudgedQuery> {
        let place = self.by_text.get(&normalized(text))?;
        self.queries.get(*place)
    }

    /// The first `n` queries that have the text somewhere, in the order of their file.
    pub fn with(&self, text: &str, n: usize) -> Vec<QueryReport<'_>> {
        let text = normalized(text).to_lowercase();
        let queries = self.queries.iter();
        let found = queries.filter(|query| query.text.to_lowercase().contains(&text));
        let reports = found.take(n).map(|query| QueryReport {
            text: &query.text,
            relevant: query.relevant,
        });
        reports.collect()
    }
}

impl JudgedQuery {
    /// The grade of a document, if it was judged.
    pub fn grade(&self, document: &str) -> Option<i32> {
        self.grades.get(document).copied()
    }
}

/// A text without white space around it, and with single blanks within.
fn normalized(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// The files by the names of their indexes.
fn by_index<'a>(
    option: &str,
    files: &'a [FileOfIndex],
    indexes: &Indexes,
) -> Result<HashMap<String, &'a Path>> {
    let names: Vec<&str> = indexes.iter().map(|index| &*index.name).collect();
    let mut found = HashMap::new();
    for FileOfIndex { index, file } in files {
        let name = match (index.as_deref(), &*names) {
            (Some(name), _) if names.contains(&name) => name,
            (Some(name), _) => {
                return Err(Error::invalid(format!(
                    "expected the name of an index in {option} NAME=FILE, found `{name}`; the indexes are {}",
                    names.join(", ")
                )));
            }
            (None, [only]) => only,
            (None, _) => {
                return Err(Error::invalid(format!(
                    "expected {option} NAME=FILE, because there are several indexes, found a file without a name; put one of \
                     {} before it",
                    names.join(", ")
                )));
            }
        };
        if found.insert(name.to_owned(), &**file).is_some() {
            return Err(Error::invalid(format!(
                "expected one file of {option} for the index `{name}`, found two; leave one out"
            )));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_up_to_its_white_space() {
        let mut judged = JudgedQueries::default();
        let grades = [("a", 2), ("b", 0), ("c", 1)];
        let grades = grades.map(|(id, grade)| (id.to_owned(), grade));
        judged.add("q1".into(), " red  tea\n", grades.into());
        judged.add("q2".into(), "Green tea", HashMap::new());
        let found = judged.find("red tea ").unwrap();
        assert_eq!((&*found.id, found.relevant), ("q1", 2));
        assert_eq!(found.grade("b"), Some(0));
        assert_eq!(found.grade("d"), None);
        assert!(judged.find("Red tea").is_none() && judged.find("").is_none());
        let listed = |text, n| {
            judged
                .with(text, n)
                .iter()
                .map(|one| one.text)
                .collect::<Vec<_>>()
        };
        assert_eq!(listed("TEA", 9), ["red tea", "Green tea"]);
        assert_eq!(listed("green", 9), ["Green tea"]);
        assert_eq!(listed("", 1), ["red tea"]);
    }
}
