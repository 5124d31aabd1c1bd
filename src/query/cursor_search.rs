//! Searching a part of a segment with cursors: the planner's choice, or the algorithm that was
//! asked for.

use super::cursor::Cursor;
use super::leaf::{Found, SegmentTask};
use super::plan::{Algorithm, Workload, choose};
use super::score::Score;
use super::top_k::TopK;
use super::{block_max_wand, conjunction, exhaustive, max_score, selective, single_list, wand};
use crate::error::Result;

impl<S: Score> Found<S> {
    /// Searches the part with the cursors of the query's terms, in term order. With `all_terms`,
    /// documents must have the terms of all cursors.
    pub fn search_cursors<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        task: &SegmentTask<'_>,
        all_terms: bool,
    ) -> Result<()> {
        if cursors.is_empty() {
            return Ok(());
        }
        let workload = workload(cursors, task.options.k, task.documents(), all_terms);
        let algorithm = match task.options.algorithm {
            None if !all_terms
                && task
                    .accept
                    .is_selective(workload.cursors, workload.postings) =>
            {
                Algorithm::Selective
            }
            None => choose(workload).algorithm,
            // No list of this segment is long enough to be cut at ranges.
            Some(Algorithm::Ranges) => Algorithm::MaxScore,
            Some(chosen) => chosen,
        };
        run(algorithm, cursors, task, all_terms, &mut self.top)?;
        if task.part.is_first() {
            self.statistics.algorithms.push(algorithm);
            self.statistics.postings += workload.postings;
        }
        for cursor in cursors {
            self.statistics.postings_scored += cursor.scored();
            if let Some(error) = cursor.take_error() {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What the planner needs to know of a query in a segment of `documents` documents.
pub(super) fn workload<C: Cursor>(
    cursors: &[C],
    k: usize,
    documents: u32,
    all_terms: bool,
) -> Workload {
    let rarest = || conjunction::postings_of_terms(cursors).into_iter().min();
    Workload {
        cursors: cursors.len(),
        postings: cursors.iter().map(|c| u64::from(c.len())).sum(),
        k,
        documents,
        rarest: if all_terms { rarest() } else { None },
    }
}

fn run<C: Cursor>(
    algorithm: Algorithm,
    cursors: &mut [C],
    task: &SegmentTask<'_>,
    all_terms: bool,
    top: &mut TopK<C::Score>,
) -> Result<()> {
    match algorithm {
        Algorithm::Exhaustive if all_terms => exhaustive::search_for_all_terms(cursors, task, top),
        Algorithm::Exhaustive => exhaustive::search(cursors, task, top),
        Algorithm::Conjunction => conjunction::search(cursors, task, top),
        // For these two a segment is never cut into parts.
        Algorithm::Wand => wand::search(cursors, task, top),
        Algorithm::BlockMaxWand => block_max_wand::search(cursors, task, top),
        Algorithm::Selective => selective::search(cursors, task, top),
        Algorithm::MaxScore | Algorithm::Ranges => match cursors {
            [cursor] => single_list::search(cursor, task, top),
            _ => max_score::search(cursors, task, top),
        },
    }
}
