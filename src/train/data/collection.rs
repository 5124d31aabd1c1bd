//! Collections in BEIR's layout as training data: queries with judged documents and negatives.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::example::{Candidate, Example, Source};
use super::negatives::Negatives;
use super::permutation::sample;
use super::teacher::TeacherScores;
use super::texts::Texts;
use super::unknown::UnknownIds;
use crate::error::{Error, Result};
use crate::eval::lines::{Lines, open};
use crate::eval::{BeirFolder, Qrels};

/// The documents and queries of a BEIR folder, and the queries of one split with their relevant
/// documents.
#[derive(Debug)]
pub struct Collection {
    corpus: Arc<Texts>,
    queries: Arc<Texts>,
    judged: Vec<Judged>,
    fingerprint: u64,
}

/// A query with relevant documents.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    /// The number of the query among the queries.
    pub query: u32,
    /// The numbers of the relevant documents, with their grades, ascending.
    pub relevant: Vec<(u32, i32)>,
    /// The keys of their texts, ascending.
    pub keys: Vec<u128>,
}

impl Judged {
    /// True for a text that is relevant.
    pub fn has_key(&self, key: u128) -> bool {
        self.keys.binary_search(&key).is_ok()
    }
}

impl Collection {
    /// Opens a folder with the files `corpus.jsonl`, `queries.jsonl` and `qrels/<split>.tsv`. Texts
    /// stay on disk.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] with file and line for files that are wrong, a split
    /// that is not there, qrels of queries or documents that are not there (their number and some of
    /// them), and qrels without a relevant document.
    pub fn open(folder: impl AsRef<Path>, split: &str) -> Result<Self> {
        let folder = folder.as_ref();
        let beir = BeirFolder::open(folder)?;
        let qrels = beir.qrels(split)?;
        let queries = Texts::open(folder.join("queries.jsonl"))?;
        let corpus = Texts::open(beir.corpus_path())?;
        let path = folder.join("qrels").join(format!("{split}.tsv"));
        Self::new(Arc::new(queries), Arc::new(corpus), &qrels, &path)
    }

    /// A collection of some texts; `file` is the name of the qrels in errors.
    ///
    /// # Errors
    ///
    /// As those of [`Collection::open`] about qrels.
    pub fn new(
        queries: Arc<Texts>,
        corpus: Arc<Texts>,
        qrels: &Qrels,
        file: impl AsRef<Path>,
    ) -> Result<Self> {
        let file = file.as_ref();
        let mut unknown = [UnknownIds::new("query"), UnknownIds::new("document")];
        let mut judged = Vec::new();
        let mut hash = Xxh3::new();
        hash.update(&queries.fingerprint().to_le_bytes());
        hash.update(&corpus.fingerprint().to_le_bytes());
        for id in qrels.queries() {
            let Some(query) = unknown[0].number(&queries, id)? else {
                continue;
            };
            let grades = qrels.judgments(id).into_iter().flatten();
            let mut grades: Vec<_> = grades.filter(|(_, grade)| **grade > 0).collect();
            // A map has no order, and the error quotes the first unknown ids.
            grades.sort_unstable();
            let mut relevant = Vec::new();
            for (document, &grade) in grades {
                if let Some(number) = unknown[1].number(&corpus, document)? {
                    relevant.push((number, grade));
                }
            }
            if relevant.is_empty() {
                continue;
            }
            relevant.sort_unstable();
            let mut keys = Vec::with_capacity(relevant.len());
            hash.update(&query.to_le_bytes());
            for &(number, grade) in &relevant {
                hash.update(&number.to_le_bytes());
                hash.update(&grade.to_le_bytes());
                keys.push(corpus.text(number)?.key);
            }
            keys.sort_unstable();
            keys.dedup();
            judged.push(Judged {
                query,
                relevant,
                keys,
            });
        }
        let name = file.display().to_string();
        if let Some(error) = UnknownIds::error(&unknown, [&queries, &corpus]) {
            let line = first_line(file, &unknown).unwrap_or(0);
            return Err(error.at_line(name, line));
        }
        if judged.is_empty() {
            let error = Error::invalid(
                "expected at least one document with a grade of 1 or more, found none to train on",
            );
            return Err(error.at_line(name, 0));
        }
        Ok(Self {
            corpus,
            queries,
            judged,
            fingerprint: hash.digest(),
        })
    }

    /// The documents.
    pub fn corpus(&self) -> &Arc<Texts> {
        &self.corpus
    }

    /// The queries of all splits.
    pub fn queries(&self) -> &Arc<Texts> {
        &self.queries
    }

    /// Number of queries with relevant documents.
    pub fn len(&self) -> usize {
        self.judged.len()
    }

    /// Never true: a collection without relevant documents is refused.
    #[cfg(any(test, feature = "internals"))]
    pub fn is_empty(&self) -> bool {
        self.judged.is_empty()
    }

    /// The numbers of the queries with relevant documents.
    pub fn judged_queries(&self) -> impl Iterator<Item = u32> {
        self.judged.iter().map(|judged| judged.query)
    }

    /// The numbers of documents that represent the collection, ascending: all that are relevant to a
    /// query, and of the others every n-th, `most` in all (0 for all documents).
    pub fn sample(&self, most: usize) -> Vec<u32> {
        let relevant = self.judged.iter().flat_map(|judged| &judged.relevant);
        let relevant: HashSet<u32> = relevant.map(|(number, _)| *number).collect();
        let all = self.corpus.len();
        let others = (all as usize).saturating_sub(relevant.len());
        let room = match most {
            0 => others,
            most => most.saturating_sub(relevant.len()),
        };
        let every = others.div_ceil(room.max(1)).max(1);
        let (mut passed, mut taken) = (0, 0);
        let is_chosen = |number: &u32| {
            if relevant.contains(number) {
                return true;
            }
            let is_taken = passed % every == 0 && taken < room;
            passed += 1;
            taken += usize::from(is_taken);
            is_taken
        };
        (0..all).filter(is_chosen).collect()
    }

    /// A hash of all texts and judgments.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(super) fn judged(&self) -> &[Judged] {
        &self.judged
    }
}

/// The first line that has an unknown id as a column.
fn first_line(file: &Path, unknown: &[UnknownIds]) -> Option<u64> {
    let mut lines = Lines::new(open(file).ok()?, "");
    while let Ok(Some(line)) = lines.next_line() {
        let mut columns = line.split('\t').flat_map(|column| {
            // BEIR's columns are separated by tabs, those of TREC by any white space.
            std::iter::once(column.trim()).chain(column.split_whitespace())
        });
        if columns.any(|column| unknown.iter().any(|ids| ids.has_shown(column))) {
            return Some(lines.number());
        }
    }
    None
}

/// Examples of a collection: a query, one of its relevant documents, and negatives from rankings.
///
/// The relevant documents of a query take turns from epoch to epoch, and so do its negatives.
#[derive(Debug)]
pub struct CollectionExamples {
    collection: Arc<Collection>,
    /// The queries that have examples, by their place in the collection.
    examples: Vec<u32>,
    /// For each query of the collection its relevant documents that can be shown.
    relevant: Lists,
    negatives: Lists,
    count: usize,
    fingerprint: u64,
}

/// What examples of a collection have besides a query and a relevant document.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExampleOptions<'a> {
    /// Negatives of the queries. Without any, the documents of other queries serve.
    pub negatives: Option<&'a Negatives>,
    /// Negatives of an example; a query with fewer has all of them.
    pub count: usize,
    /// A teacher, whose scores are the targets of all candidates instead of grades. Documents that it
    /// did not score are left out, and queries of which it scored no relevant document.
    pub teacher: Option<&'a TeacherScores>,
}

/// A list of documents for each query, with targets.
#[derive(Debug, Default)]
struct Lists {
    /// Where the list of a query starts, and after the last one, where it ends.
    starts: Vec<usize>,
    documents: Vec<u32>,
    targets: Vec<f64>,
}

impl Lists {
    fn new() -> Self {
        Self {
            starts: vec![0],
            ..Self::default()
        }
    }

    fn push(&mut self, list: impl Iterator<Item = (u32, f64)>) {
        for (document, target) in list {
            self.documents.push(document);
            self.targets.push(target);
        }
        self.starts.push(self.documents.len());
    }

    fn len_of(&self, query: usize) -> usize {
        self.starts[query + 1] - self.starts[query]
    }

    fn get(&self, query: usize, index: usize) -> (u32, f64) {
        let place = self.starts[query] + index;
        (self.documents[place], self.targets[place])
    }
}

impl CollectionExamples {
    /// Examples of a collection.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for negatives or scores of another collection, if negatives are wanted
    /// and no query has any, and if the teacher scored no relevant document.
    pub fn new(collection: Arc<Collection>, options: ExampleOptions<'_>) -> Result<Self> {
        let mut parts = vec![collection.fingerprint(), options.count as u64];
        if let Some(negatives) = options.negatives {
            negatives.check(&collection)?;
            if options.count > 0 && negatives.is_empty() {
                return Err(no_negatives());
            }
            parts.push(negatives.fingerprint());
        }
        if let Some(teacher) = options.teacher {
            teacher.check(&collection)?;
            parts.push(teacher.fingerprint());
        }
        let mut lists = [Lists::new(), Lists::new()];
        for (query, judged) in collection.judged().iter().enumerate() {
            let target = |document: u32, grade: i32| match options.teacher {
                None => Some((document, f64::from(grade))),
                Some(teacher) => Some((document, teacher.score(query, document)?)),
            };
            let relevant = judged.relevant.iter();
            lists[0].push(relevant.filter_map(|&(document, grade)| target(document, grade)));
            let negatives = options.negatives.map_or(&[][..], |all| all.of(query));
            lists[1].push(negatives.iter().filter_map(|&document| target(document, 0)));
        }
        let [relevant, negatives] = lists;
        // A collection has fewer than 2^32 queries.
        let mut examples: Vec<u32> = (0..collection.len() as u32).collect();
        examples.retain(|&query| relevant.len_of(query as usize) > 0);
        if examples.is_empty() {
            return Err(Error::invalid(
                "expected a teacher's score of a relevant document for at least one training query, \
                 found none; score the relevant documents too, not only the negatives",
            ));
        }
        Ok(Self {
            collection,
            examples,
            relevant,
            negatives,
            count: options.count,
            fingerprint: hash_of(&parts),
        })
    }

    /// The collection.
    #[cfg(any(test, feature = "internals"))]
    pub fn collection(&self) -> &Arc<Collection> {
        &self.collection
    }

    /// Queries of the collection that have no example, because a teacher scored none of their
    /// relevant documents.
    pub fn queries_left_out(&self) -> usize {
        self.collection.len() - self.examples.len()
    }

    /// Examples with fewer negatives than were asked for.
    pub fn short_of_negatives(&self) -> usize {
        let lists = self.examples.iter();
        let short = lists.filter(|&&query| self.negatives.len_of(query as usize) < self.count);
        short.count()
    }

    fn candidate(&self, (number, target): (u32, f64), is_relevant: bool) -> Result<Candidate> {
        Ok(Candidate {
            document: self.collection.corpus.text(number)?,
            target,
            is_relevant,
        })
    }
}

impl Source for CollectionExamples {
    fn len(&self) -> u64 {
        self.examples.len() as u64
    }

    fn example(&self, number: u64, epoch: u64, seed: u64) -> Result<Example> {
        let place = usize::try_from(number).ok();
        let Some(&query) = place.and_then(|place| self.examples.get(place)) else {
            return Err(Error::invalid(format!(
                "expected the number of one of {} examples, found {number}",
                self.examples.len()
            )));
        };
        let query = query as usize;
        let judged = &self.collection.judged()[query];
        let mut candidates = Vec::with_capacity(1 + self.count);
        for index in sample(self.relevant.len_of(query), 1, number, epoch, seed) {
            candidates.push(self.candidate(self.relevant.get(query, index), true)?);
        }
        let len = self.negatives.len_of(query);
        for index in sample(len, self.count.min(len), number, epoch, seed) {
            candidates.push(self.candidate(self.negatives.get(query, index), false)?);
        }
        Ok(Example {
            query: self.collection.queries.text(judged.query)?,
            candidates,
            relevant: judged.keys.clone(),
        })
    }

    fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

fn no_negatives() -> Error {
    Error::invalid(
        "expected negatives for at least one training query, found none: the rankings have only relevant \
         documents, or none of the training queries; take lower ranks or another run, or train without \
         negatives",
    )
}

/// A hash of some words, in their order.
pub(super) fn hash_of(words: &[u64]) -> u64 {
    let mut hash = Xxh3::new();
    for word in words {
        hash.update(&word.to_le_bytes());
    }
    hash.digest()
}

#[cfg(test)]
pub(super) mod tests;
