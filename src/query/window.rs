//! One accumulator for each document of a window of documents.

use std::ops::Range;

use super::score::Score;
use super::simd::{self, Bm25Term, Level, SLACK};
use crate::format::DocId;

/// The sums of the documents from `start` on.
pub(super) struct Window<S> {
    start: DocId,
    sums: Vec<S>,
    level: Level,
}

impl<S: Score> Window<S> {
    /// Sums for up to `documents` documents, all zero.
    pub fn new(documents: u32) -> Self {
        Self::at(0..documents)
    }

    /// Sums for these documents, all zero.
    pub fn at(documents: Range<DocId>) -> Self {
        Self {
            start: documents.start,
            sums: vec![S::default(); documents.len()],
            level: Level::detect(),
        }
    }

    /// Clears the sums and moves to the documents from `start` on.
    pub fn move_to(&mut self, start: DocId) {
        self.start = start;
        self.sums.fill(S::default());
    }

    /// Adds a contribution.
    ///
    /// # Panics
    ///
    /// When the document is not in the window.
    #[inline(always)]
    pub fn add(&mut self, document: DocId, contribution: S) {
        let sum = &mut self.sums[(document - self.start) as usize];
        *sum = sum.plus(contribution);
    }

    /// The sum of a document.
    ///
    /// # Panics
    ///
    /// When the document is not in the window.
    #[inline(always)]
    pub fn sum(&self, document: DocId) -> S {
        self.sums[(document - self.start) as usize]
    }

    /// Writes the documents of all sums above `cut`, which is not negative, to `documents`, in
    /// order, and returns how many there are. `documents` is as long as [`room`](Self::room).
    pub fn above(&self, cut: S, documents: &mut [DocId]) -> usize {
        S::above(self.level, &self.sums, cut, self.start, documents)
    }

    /// Keeps those of `documents` whose sum is above `cut`, in order, at the front, and returns how
    /// many they are.
    pub fn keep_above(&self, cut: S, documents: &mut [DocId]) -> usize {
        S::keep(self.level, &self.sums, cut, self.start, documents)
    }

    /// Room for the results of [`above`](Self::above).
    pub fn room(&self) -> Vec<DocId> {
        vec![0; self.sums.len() + SLACK]
    }
}

impl Window<f32> {
    /// Adds the BM25 contributions of a term's postings.
    ///
    /// # Panics
    ///
    /// When a document is not in the window.
    #[inline]
    pub fn add_contributions(&mut self, term: Bm25Term<'_>, documents: &[DocId], values: &[u32]) {
        let postings = (documents, values);
        simd::add_contributions(self.level, term, postings, self.start, &mut self.sums);
    }
}
