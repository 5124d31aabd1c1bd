//! Batches: examples of a shuffled epoch, put together with their documents.

use std::collections::HashMap;
use std::sync::Arc;

use super::example::{Example, Source, Text};
use super::permutation::Permutation;
use crate::error::{Error, Result};

/// A document of a query's own list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labelled {
    /// Its number among [`TrainingBatch::documents`].
    pub document: usize,
    /// A grade of relevance (0 for a negative), or a teacher's score.
    pub target: f64,
    /// Whether the document is known to be relevant for the query.
    pub is_relevant: bool,
}

/// The queries and documents of one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingBatch {
    /// The queries; two of them may be equal.
    pub queries: Vec<Text>,
    /// The documents, each text once.
    pub documents: Vec<Text>,
    /// For each query its own documents, in the order of its example, each document once. A document
    /// that is known to be relevant for the query and came as one of its negatives is left out.
    pub lists: Vec<Vec<Labelled>>,
    /// For each query the numbers of the documents that are known to be relevant for it and are not
    /// in its list, ascending. Documents of other queries serve as its negatives except these.
    pub forbidden: Vec<Vec<usize>>,
}

/// The batches of a source, by step.
///
/// Each epoch is a permutation of the source's examples, which follows from the seed and the epoch
/// alone, so any step can be made at once and a resumed run goes on where it stopped. All batches are
/// full: one that an epoch cannot fill goes on with the start of the next epoch.
#[derive(Clone)]
pub struct Batches {
    source: Arc<dyn Source>,
    queries: usize,
    seed: u64,
}

impl Batches {
    /// Batches of `queries` examples each.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a source without examples and for batches of 0 queries.
    pub fn new(source: Arc<dyn Source>, queries: usize, seed: u64) -> Result<Self> {
        if queries == 0 {
            return Err(Error::invalid(
                "expected batches of at least 1 query, found 0",
            ));
        }
        if source.is_empty() {
            return Err(Error::invalid(
                "expected at least one example to train on, found none",
            ));
        }
        Ok(Self {
            source,
            queries,
            seed,
        })
    }

    /// The batches of another source with as many examples, from the next one on.
    pub fn set_source(&mut self, source: Arc<dyn Source>) {
        self.source = source;
    }

    /// Queries of a batch.
    #[cfg(any(test, feature = "internals"))]
    pub fn queries(&self) -> usize {
        self.queries
    }

    /// Examples of an epoch.
    pub fn examples(&self) -> u64 {
        self.source.len()
    }

    /// Epochs that are gone through after some steps, with the fraction of the last one.
    pub fn epochs(&self, steps: u64) -> f64 {
        steps as f64 * self.queries as f64 / self.source.len() as f64
    }

    /// A hash of the source, the number of queries and the seed: batches with the same fingerprint
    /// are the same at every step.
    pub fn fingerprint(&self) -> u64 {
        let mut state = xxhash_rust::xxh3::Xxh3::with_seed(self.seed);
        state.update(&self.source.fingerprint().to_le_bytes());
        state.update(&(self.queries as u64).to_le_bytes());
        state.digest()
    }

    /// The batch of a step, from 0.
    ///
    /// # Errors
    ///
    /// Those of [`Source::example`], and [`Error::InvalidInput`] for a step beyond 2^64 examples.
    pub fn batch(&self, step: u64) -> Result<TrainingBatch> {
        let queries = self.queries as u64;
        let first = step
            .checked_mul(queries)
            .filter(|first| first.checked_add(queries).is_some());
        let first =
            first.ok_or_else(|| Error::invalid(format!("step {step} is beyond 2^64 examples")))?;
        let len = self.source.len();
        let mut examples = Vec::with_capacity(self.queries);
        let mut shuffled: Option<(u64, Permutation)> = None;
        for position in first..first + queries {
            let (epoch, within) = (position / len, position % len);
            let permutation = match &shuffled {
                Some((known, permutation)) if *known == epoch => permutation,
                _ => {
                    &shuffled
                        .insert((epoch, Permutation::new(len, self.seed, epoch)))
                        .1
                }
            };
            let number = permutation.at(within);
            examples.push(self.source.example(number, epoch, self.seed)?);
        }
        Ok(put_together(examples))
    }
}

/// One batch of some examples.
fn put_together(examples: Vec<Example>) -> TrainingBatch {
    let relevant = relevant_by_query(&examples);
    let mut batch = TrainingBatch::default();
    let mut numbers: HashMap<u128, usize> = HashMap::new();
    for example in examples {
        let known = &relevant[&example.query.key];
        let mut list: Vec<Labelled> = Vec::with_capacity(example.candidates.len());
        for candidate in example.candidates {
            let key = candidate.document.key;
            if !candidate.is_relevant && known.binary_search(&key).is_ok() {
                continue;
            }
            let document = *numbers.entry(key).or_insert_with(|| {
                batch.documents.push(candidate.document);
                batch.documents.len() - 1
            });
            // Lists are short, so looking through one costs less than a set.
            if list.iter().all(|labelled| labelled.document != document) {
                list.push(Labelled {
                    document,
                    target: candidate.target,
                    is_relevant: candidate.is_relevant,
                });
            }
        }
        batch.lists.push(list);
        batch.queries.push(example.query);
    }
    batch.forbidden = batch
        .queries
        .iter()
        .zip(&batch.lists)
        .map(|(query, list)| forbidden(&relevant[&query.key], list, &numbers))
        .collect();
    batch
}

/// The keys of the documents that are known to be relevant for each query text, ascending. Equal
/// queries share what is known of them.
fn relevant_by_query(examples: &[Example]) -> HashMap<u128, Vec<u128>> {
    let mut relevant: HashMap<u128, Vec<u128>> = HashMap::with_capacity(examples.len());
    for example in examples {
        let keys = relevant.entry(example.query.key).or_default();
        keys.extend_from_slice(&example.relevant);
        let own = example.candidates.iter();
        let own = own.filter(|candidate| candidate.is_relevant);
        keys.extend(own.map(|candidate| candidate.document.key));
    }
    for keys in relevant.values_mut() {
        keys.sort_unstable();
        keys.dedup();
    }
    relevant
}

/// The documents of the batch that are relevant for a query and not in its list.
fn forbidden(relevant: &[u128], list: &[Labelled], numbers: &HashMap<u128, usize>) -> Vec<usize> {
    let mut found: Vec<usize> = relevant
        .iter()
        .filter_map(|key| numbers.get(key).copied())
        .filter(|&document| list.iter().all(|labelled| labelled.document != document))
        .collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests;
