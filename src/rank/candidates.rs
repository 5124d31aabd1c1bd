//! The scores of each document in all lists.

use std::hash::Hash;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::error::{Error, Result};

/// The documents of several lists, with a row of scores for each.
#[derive(Debug)]
pub(super) struct Candidates<K> {
    lists: usize,
    rows: HashMap<K, usize>,
    /// Documents in the order in which they first occur.
    documents: Vec<K>,
    /// For each document, its score in each list; `None` where the list lacks it.
    scores: Vec<Option<f64>>,
}

impl<K: Clone + Eq + Hash> Candidates<K> {
    /// No documents yet; `lists` is the number of lists to come.
    pub(super) fn new(lists: usize) -> Self {
        Self {
            lists,
            rows: HashMap::new(),
            documents: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// Adds the documents of the list with this index, with their scores in it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the list holds a document twice.
    pub(super) fn add_list<'a>(
        &mut self,
        list: usize,
        scored: impl Iterator<Item = (&'a K, f64)>,
    ) -> Result<()>
    where
        K: 'a,
    {
        for (index, (document, score)) in scored.enumerate() {
            let row = self.row_or_new(document);
            let place = &mut self.scores[row * self.lists + list];
            if place.replace(score).is_some() {
                return Err(Error::invalid(format!(
                    "expected every document once, found that of rank {} before; remove one of them",
                    index + 1
                )));
            }
        }
        Ok(())
    }

    /// The documents, each with the score that `combine` makes of its row.
    pub(super) fn combined(self, combine: impl Fn(&[Option<f64>]) -> f64) -> Vec<(K, f64)> {
        let rows = self.scores.chunks_exact(self.lists.max(1));
        let documents = self.documents.into_iter();
        documents.zip(rows.map(combine)).collect()
    }

    fn row_or_new(&mut self, document: &K) -> usize {
        match self.rows.entry(document.clone()) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let row = self.documents.len();
                entry.insert(row);
                self.documents.push(document.clone());
                self.scores.resize((row + 1) * self.lists, None);
                row
            }
        }
    }
}
