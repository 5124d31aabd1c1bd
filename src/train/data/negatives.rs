//! Negatives of training queries: documents of some ranks that are not relevant.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::collection::{Collection, Judged, hash_of};
use super::teacher::{TeacherScores, check_collection, no_query};
use super::unknown::UnknownIds;
use crate::error::{Error, Result};
use crate::eval::Run;
use crate::executor::CancelToken;
use crate::{
    Bm25, Document, Index, Query, Schema, SearchOptions, Text as TextField, WriterOptions,
};

/// Which ranks of a ranking are negatives, from 1. The documents of the first ranks are the hardest,
/// and the most likely to be relevant without anybody having judged them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranks {
    /// The first rank, from 1.
    pub from: usize,
    /// The last rank.
    pub to: usize,
}

/// How far below the relevant documents a teacher must score a negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Margin {
    /// By this difference.
    Absolute(f64),
    /// By this fraction of the relevant document's score (of its absolute value).
    Fraction(f64),
}

/// How negatives are mined with BM25.
#[derive(Clone, Debug)]
pub struct Bm25Mining {
    /// The analyzer of documents and queries, such as `english`.
    pub analyzer: String,
    /// The parameters of BM25.
    pub bm25: Bm25,
    /// Which ranks are negatives.
    pub ranks: Ranks,
    /// Threads that index and search.
    pub threads: usize,
}

/// Documents that are not relevant, for each query of a collection, in the order of a ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Negatives {
    /// Where the list of a query starts, and after the last one, where it ends.
    starts: Vec<usize>,
    documents: Vec<u32>,
    /// The collection that they are of.
    collection: u64,
}

/// The field of the index that mines.
const FIELD: &str = "text";
/// Queries that are searched between two looks at the cancellation.
const CHUNK: usize = 256;

impl Ranks {
    fn check(self) -> Result<()> {
        match self.from >= 1 && self.from <= self.to {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "expected ranks from 1 on, and the last not before the first, found {} to {}",
                self.from, self.to
            ))),
        }
    }
}

impl Margin {
    /// The score that a negative may have at most, next to a relevant document of this score.
    fn limit(self, relevant: f64) -> f64 {
        match self {
            Self::Absolute(difference) => relevant - difference,
            Self::Fraction(fraction) => relevant - fraction * relevant.abs(),
        }
    }
}

impl Default for Bm25Mining {
    /// Ranks 1 to 100 of an index without stemming, on one thread.
    fn default() -> Self {
        Self {
            analyzer: "simple".to_owned(),
            bm25: Bm25::default(),
            ranks: Ranks { from: 1, to: 100 },
            threads: 1,
        }
    }
}

/// Mines negatives with BM25: indexes the corpus in memory and searches with each query of the
/// collection. Relevant documents are left out, and documents whose text equals that of a relevant
/// one.
///
/// # Errors
///
/// [`Error::InvalidInput`] for an analyzer that does not exist, and ranks or parameters out of range;
/// [`Error::Cancelled`]; those of indexing and of the texts.
pub fn mine_bm25(
    collection: &Collection,
    options: &Bm25Mining,
    cancel: &CancelToken,
) -> Result<Negatives> {
    options.ranks.check()?;
    let field = TextField::new().analyzer(&options.analyzer);
    let index = Index::in_memory(Schema::builder().text(FIELD, field).build()?)?;
    let mut writer = index.writer_with(WriterOptions::new().threads(options.threads))?;
    for number in 0..collection.corpus().len() {
        if number % 1_024 == 0 {
            cancel.check("mining negatives")?;
        }
        let text = collection.corpus().text(number)?.text;
        writer.add(Document::new(number.to_string()).with_text(FIELD, &*text))?;
    }
    writer.commit()?;
    drop(writer);
    let snapshot = index.snapshot()?;
    let search = SearchOptions::new(options.ranks.to).cancel(cancel.clone());
    let mut builder = Builder::new(collection);
    for chunk in collection.judged().chunks(CHUNK) {
        let mut queries = Vec::with_capacity(chunk.len());
        for judged in chunk {
            let text = collection.queries().text(judged.query)?.text;
            queries.push(Query::text(FIELD, &*text).with_bm25(options.bm25));
        }
        let results = snapshot.search_batch(&queries, &search, options.threads)?;
        for (judged, result) in chunk.iter().zip(results) {
            let mut ranked = Vec::new();
            for hit in result.hits.iter().skip(options.ranks.from - 1) {
                // Ids are the numbers of documents.
                ranked.extend(hit.id()?.parse::<u32>().ok());
            }
            builder.push(judged, ranked)?;
        }
    }
    Ok(builder.finish())
}

impl Negatives {
    /// Takes negatives from a run, such as one of the model under training; `file` is its name in
    /// errors. Relevant documents are left out, and documents whose text equals that of a relevant
    /// one. A query that is not in the run has no negatives.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a run without any of the training queries, for documents that the
    /// collection does not have, and for ranks out of range.
    pub fn from_run(collection: &Collection, run: &Run, file: &str, ranks: Ranks) -> Result<Self> {
        ranks.check()?;
        let mut unknown = [UnknownIds::new("document")];
        let mut found = false;
        let mut builder = Builder::new(collection);
        for judged in collection.judged() {
            let id = collection.queries().id(judged.query)?;
            let hits = run.ranked(&id);
            found |= !hits.is_empty();
            let mut ranked = Vec::new();
            for hit in hits.iter().take(ranks.to).skip(ranks.from - 1) {
                ranked.extend(unknown[0].number(collection.corpus(), &hit.document)?);
            }
            builder.push(judged, ranked)?;
        }
        if let Some(error) = UnknownIds::error(&unknown, [collection.corpus()]) {
            return Err(error.at_line(file, 0));
        }
        match found {
            true => Ok(builder.finish()),
            false => Err(no_query(run, collection).at_line(file, 0)),
        }
    }

    /// Adds the negatives of another ranking: each document once, where it comes first.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for those of another collection.
    #[cfg(any(test, feature = "internals"))]
    pub fn join(&self, other: &Self) -> Result<Self> {
        if self.collection != other.collection {
            return Err(Error::invalid(
                "expected negatives of one collection, found those of two",
            ));
        }
        let mut joined = Self {
            starts: vec![0],
            documents: Vec::with_capacity(self.documents.len() + other.documents.len()),
            collection: self.collection,
        };
        for query in 0..self.queries() {
            let mut list = self.of(query).to_vec();
            for document in other.of(query) {
                if !self.of(query).contains(document) {
                    list.push(*document);
                }
            }
            joined.documents.extend(list);
            joined.starts.push(joined.documents.len());
        }
        Ok(joined)
    }

    /// Keeps the negatives that a teacher scores at least by `margin` below the relevant documents of
    /// the query, the lowest of those that it scored. Negatives without a score stay, and so do those
    /// of a query without a scored relevant document.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for those of another collection, or a margin that is not finite.
    pub fn filter_by_margin(
        &self,
        collection: &Collection,
        teacher: &TeacherScores,
        margin: Margin,
    ) -> Result<Self> {
        self.check(collection)?;
        teacher.check(collection)?;
        let (Margin::Absolute(value) | Margin::Fraction(value)) = margin;
        if !value.is_finite() {
            return Err(Error::invalid(format!(
                "expected a finite margin, found {value}"
            )));
        }
        let mut kept = Self {
            starts: vec![0],
            documents: Vec::new(),
            collection: self.collection,
        };
        for (query, judged) in collection.judged().iter().enumerate() {
            let relevant = judged.relevant.iter();
            let lowest = relevant
                .filter_map(|&(document, _)| teacher.score(query, document))
                .reduce(f64::min);
            let is_below = |document: &u32| match (lowest, teacher.score(query, *document)) {
                (Some(lowest), Some(score)) => score <= margin.limit(lowest),
                _ => true,
            };
            let list = self.of(query).iter().copied();
            kept.documents.extend(list.filter(|one| is_below(one)));
            kept.starts.push(kept.documents.len());
        }
        Ok(kept)
    }

    /// Number of all negatives.
    #[cfg(any(test, feature = "internals"))]
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// True if no query has any.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    #[cfg(any(test, feature = "internals"))]
    fn queries(&self) -> usize {
        self.starts.len() - 1
    }

    /// The negatives of a query, by its place in the collection.
    pub(super) fn of(&self, query: usize) -> &[u32] {
        &self.documents[self.starts[query]..self.starts[query + 1]]
    }

    pub(super) fn check(&self, collection: &Collection) -> Result<()> {
        check_collection(self.collection, collection)?;
        // Negatives may come from a file of an earlier part of the run.
        let is_whole = self.starts.len() == collection.len() + 1
            && self.starts.is_sorted()
            && self.starts.last() == Some(&self.documents.len())
            && self
                .documents
                .iter()
                .all(|document| *document < collection.corpus().len());
        match is_whole {
            true => Ok(()),
            false => Err(Error::invalid(
                "expected negatives for each query of the collection, found damaged ones",
            )),
        }
    }

    pub(super) fn fingerprint(&self) -> u64 {
        let starts = self.starts.iter().map(|&start| start as u64);
        let documents = self.documents.iter().map(|&document| u64::from(document));
        hash_of(&starts.chain(documents).collect::<Vec<u64>>())
    }
}

/// Negatives of one query after the other.
struct Builder<'a> {
    collection: &'a Collection,
    negatives: Negatives,
    /// Keys of the texts that were looked at: rankings share many documents.
    keys: HashMap<u32, u128>,
}

impl<'a> Builder<'a> {
    fn new(collection: &'a Collection) -> Self {
        Self {
            collection,
            negatives: Negatives {
                starts: vec![0],
                documents: Vec::new(),
                collection: collection.fingerprint(),
            },
            keys: HashMap::new(),
        }
    }

    /// Adds the list of the next query: those of a ranking that are not relevant.
    fn push(&mut self, judged: &Judged, ranked: Vec<u32>) -> Result<()> {
        for document in ranked {
            let key = match self.keys.get(&document) {
                Some(key) => *key,
                None => {
                    let key = self.collection.corpus().text(document)?.key;
                    self.keys.insert(document, key);
                    key
                }
            };
            if !judged.has_key(key) {
                self.negatives.documents.push(document);
            }
        }
        self.negatives.starts.push(self.negatives.documents.len());
        Ok(())
    }

    fn finish(self) -> Negatives {
        self.negatives
    }
}

#[cfg(test)]
mod tests;
