//! Scores of a teacher, from a TREC run.

use super::collection::{Collection, hash_of};
use super::unknown::UnknownIds;
use crate::error::{Error, Result};
use crate::eval::Run;

/// A teacher's scores of documents for the queries of a collection.
#[derive(Debug)]
pub struct TeacherScores {
    /// Where the scores of a query start, and after the last one, where they end.
    starts: Vec<usize>,
    /// Documents ascending for each query.
    scores: Vec<(u32, f64)>,
    collection: u64,
    fingerprint: u64,
}

impl TeacherScores {
    /// Takes the scores of the collection's queries from a run; `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a run without any of the queries, and for documents that the
    /// collection does not have.
    pub fn from_run(collection: &Collection, run: &Run, file: &str) -> Result<Self> {
        let mut unknown = [UnknownIds::new("document")];
        let mut starts = vec![0];
        let mut scores = Vec::new();
        let mut words = vec![collection.fingerprint()];
        for judged in collection.judged() {
            let id = collection.queries().id(judged.query)?;
            let start = scores.len();
            for hit in run.results(&id).unwrap_or(&[]) {
                if let Some(number) = unknown[0].number(collection.corpus(), &hit.document)? {
                    scores.push((number, hit.score));
                }
            }
            scores[start..].sort_unstable_by_key(|(number, _)| *number);
            for (number, score) in &scores[start..] {
                words.extend([u64::from(*number), score.to_bits()]);
            }
            words.push(scores.len() as u64);
            starts.push(scores.len());
        }
        if let Some(error) = UnknownIds::error(&unknown, [collection.corpus()]) {
            return Err(error.at_line(file, 0));
        }
        if scores.is_empty() {
            return Err(no_query(run, collection).at_line(file, 0));
        }
        Ok(Self {
            starts,
            scores,
            collection: collection.fingerprint(),
            fingerprint: hash_of(&words),
        })
    }

    /// The score of a document for a query, by the query's place in the collection.
    pub(super) fn score(&self, query: usize, document: u32) -> Option<f64> {
        let scores = &self.scores[self.starts[query]..self.starts[query + 1]];
        let place = scores.binary_search_by_key(&document, |(number, _)| *number);
        Some(scores[place.ok()?].1)
    }

    pub(super) fn check(&self, collection: &Collection) -> Result<()> {
        check_collection(self.collection, collection)
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

/// Refuses what was made for another collection.
pub(super) fn check_collection(made_for: u64, collection: &Collection) -> Result<()> {
    match made_for == collection.fingerprint() {
        true => Ok(()),
        false => Err(Error::invalid(
            "expected negatives and scores of the collection trained on, found those of another one",
        )),
    }
}

/// The error about a run that has none of a collection's queries.
pub(super) fn no_query(run: &Run, collection: &Collection) -> Error {
    Error::invalid(format!(
        "expected results for at least one of the {} training queries, found {} other queries; search \
         with the queries of the training split",
        collection.len(),
        run.len()
    ))
}
