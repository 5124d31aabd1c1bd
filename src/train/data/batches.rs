//! Batches: examples in a shuffled order, with each text once.

use std::collections::HashMap;
use std::sync::Arc;

use super::example::{Source, Text};
use super::permutation::Permutation;
use crate::error::{Error, Result};

/// A document of a query's own list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labelled {
    /// The number of the document in the batch.
    pub document: usize,
    /// A grade of relevance (0 for a negative), or a teacher's score.
    pub target: f64,
    /// Whether it is known to be relevant.
    pub is_relevant: bool,
}

/// The texts of a step, and what is known of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingBatch {
    /// A query for each example.
    pub queries: Vec<Text>,
    /// Documents, no two of equal text.
    pub documents: Vec<Text>,
    /// For each query its own documents, a relevant one first.
    pub lists: Vec<Vec<Labelled>>,
    /// For each query the numbers of documents that are no negatives of it: they are known to be
    /// relevant to it, though other queries brought them.
    pub forbidden: Vec<Vec<usize>>,
}

/// The batches of a run. Each can be made at once, whatever came before.
#[derive(Clone)]
pub struct Batches {
    source: Arc<dyn Source>,
    queries: usize,
    seed: u64,
}

impl Batches {
    /// Batches of `queries` examples in an order that `seed` decides.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a source without examples or batches without queries.
    pub fn new(source: Arc<dyn Source>, queries: usize, seed: u64) -> Result<Self> {
        if source.is_empty() || queries == 0 {
            return Err(Error::invalid(format!(
                "batches: expected at least one example and one query, found {} and {queries}",
                source.len()
            )));
        }
        Ok(Self {
            source,
            queries,
            seed,
        })
    }

    /// Examples of an epoch.
    pub fn examples(&self) -> u64 {
        self.source.len()
    }

    /// A hash of the data and of the order.
    pub fn fingerprint(&self) -> u64 {
        let order = self.seed.wrapping_mul(31).wrapping_add(self.queries as u64);
        self.source.fingerprint() ^ super::permutation::mix(order)
    }

    /// Epochs that are gone through after some batches.
    pub fn epochs(&self, batches: u64) -> f64 {
        batches as f64 * self.queries as f64 / self.source.len() as f64
    }

    /// The batch of a number, from 0. Examples go on from batch to batch, over the end of an epoch
    /// into the next.
    ///
    /// # Errors
    ///
    /// Those of the [`Source`].
    pub fn batch(&self, number: u64) -> Result<TrainingBatch> {
        let len = self.source.len();
        let first = number * self.queries as u64;
        let mut builder = Builder::default();
        for place in first..first + self.queries as u64 {
            let epoch = place / len;
            let order = Permutation::new(len, self.seed, epoch);
            let example = order.at(place % len);
            builder.add(self.source.example(example, epoch, self.seed)?);
        }
        Ok(builder.finish())
    }
}

/// A batch that is put together.
#[derive(Default)]
struct Builder {
    batch: TrainingBatch,
    numbers: HashMap<u128, usize>,
    relevant: Vec<Vec<u128>>,
}

impl Builder {
    fn add(&mut self, example: super::example::Example) {
        let mut list: Vec<Labelled> = Vec::new();
        let mut relevant = example.relevant;
        for candidate in example.candidates {
            let documents = &mut self.batch.documents;
            let number = *self
                .numbers
                .entry(candidate.document.key)
                .or_insert_with(|| {
                    documents.push(candidate.document.clone());
                    documents.len() - 1
                });
            // A negative of the text of a relevant document is none.
            let is_known = relevant.contains(&candidate.document.key);
            if candidate.is_relevant {
                relevant.push(candidate.document.key);
            } else if is_known {
                continue;
            }
            if list.iter().all(|labelled| labelled.document != number) {
                list.push(Labelled {
                    document: number,
                    target: candidate.target,
                    is_relevant: candidate.is_relevant,
                });
            }
        }
        self.batch.queries.push(example.query);
        self.batch.lists.push(list);
        self.relevant.push(relevant);
    }

    fn finish(mut self) -> TrainingBatch {
        // Equal queries share what is relevant.
        let mut of_text: HashMap<u128, Vec<u128>> = HashMap::new();
        for (query, relevant) in self.batch.queries.iter().zip(&self.relevant) {
            of_text.entry(query.key).or_default().extend(relevant);
        }
        for (query, list) in self.batch.queries.iter().zip(&mut self.batch.lists) {
            let relevant = &of_text[&query.key];
            list.retain(|labelled| {
                let key = self.batch.documents[labelled.document].key;
                labelled.is_relevant || !relevant.contains(&key)
            });
            let is_own = |number: &usize| list.iter().any(|own| own.document == *number);
            let numbers = relevant.iter().filter_map(|key| self.numbers.get(key));
            let mut forbidden: Vec<usize> =
                numbers.copied().filter(|number| !is_own(number)).collect();
            forbidden.sort_unstable();
            forbidden.dedup();
            self.batch.forbidden.push(forbidden);
        }
        self.batch
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::example::{Candidate, Example};
    use super::*;

    /// Queries 0..n; query i has the document i / 2 (so that two queries share one), and negatives
    /// by a simple rule.
    struct Numbers(u64);

    fn document(number: u64) -> Text {
        Text::new(format!("document {number}"))
    }

    impl Source for Numbers {
        fn len(&self) -> u64 {
            self.0
        }

        fn example(&self, number: u64, epoch: u64, _seed: u64) -> Result<Example> {
            let relevant = number / 2;
            let candidate = |number: u64, target: f64| Candidate {
                document: document(number),
                target,
                is_relevant: target > 0.0,
            };
            Ok(Example {
                query: Text::new(format!("query {number}")),
                candidates: vec![
                    candidate(relevant, 1.0),
                    candidate((number * 7 + epoch) % 9, 0.0),
                ],
                relevant: vec![document(relevant).key],
            })
        }

        fn fingerprint(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn an_epoch_has_every_example_once_and_flows_into_the_next() {
        let batches = Batches::new(Arc::new(Numbers(10)), 4, 1).unwrap();
        let mut queries: Vec<u128> = Vec::new();
        for number in 0..5 {
            let batch = batches.batch(number).unwrap();
            assert_eq!(batch, batches.batch(number).unwrap());
            queries.extend(batch.queries.iter().map(|query| query.key));
        }
        for epoch in queries.chunks(10) {
            assert_eq!(epoch.iter().collect::<HashSet<_>>().len(), 10);
        }
        assert_ne!(queries[..10], queries[10..]);
        assert_eq!(batches.epochs(5), 2.0);
    }

    #[test]
    fn texts_come_once_and_no_relevant_one_is_a_negative() {
        let batches = Batches::new(Arc::new(Numbers(40)), 16, 3).unwrap();
        for number in 0..20 {
            let batch = batches.batch(number).unwrap();
            let keys: HashSet<u128> = batch.documents.iter().map(|text| text.key).collect();
            assert_eq!(keys.len(), batch.documents.len());
            for (place, query) in batch.queries.iter().enumerate() {
                let number: u64 = query.text[6..].parse().unwrap();
                let relevant = document(number / 2).key;
                for labelled in &batch.lists[place] {
                    let is_it = batch.documents[labelled.document].key == relevant;
                    assert_eq!(labelled.is_relevant, is_it);
                }
                assert!(batch.lists[place][0].is_relevant);
                for forbidden in &batch.forbidden[place] {
                    assert_eq!(batch.documents[*forbidden].key, relevant);
                }
            }
        }
    }

    #[test]
    fn a_document_that_is_relevant_to_an_equal_query_is_forbidden() {
        let example = |relevant: u64, negative: u64| Example {
            query: Text::new("same"),
            candidates: [(relevant, 1.0), (negative, 0.0)]
                .map(|(number, target)| Candidate {
                    document: document(number),
                    target,
                    is_relevant: target > 0.0,
                })
                .to_vec(),
            relevant: Vec::new(),
        };
        let mut builder = Builder::default();
        builder.add(example(1, 2));
        builder.add(example(2, 3));
        let batch = builder.finish();
        assert_eq!(batch.lists[0].len(), 1);
        assert_eq!(batch.forbidden, [vec![1], vec![0]]);
    }

    #[test]
    fn nothing_to_learn_from_is_refused() {
        assert!(Batches::new(Arc::new(Numbers(0)), 4, 1).is_err());
        assert!(Batches::new(Arc::new(Numbers(4)), 0, 1).is_err());
    }
}
