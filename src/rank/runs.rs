//! Normalization and fusion of whole runs.

use std::borrow::Borrow;
use std::cmp::Reverse;

use hashbrown::HashSet;

use super::fusion::Fusion;
use super::normalize::Normalization;
use crate::error::Result;
use crate::eval::{Run, ScoredDocument};

impl Fusion {
    /// Fuses runs, query by query.
    ///
    /// The result has every query of every run that counts, in the order in which they first occur;
    /// a run that lacks a query has an empty list for it. Documents are ranked as evaluation does,
    /// [`Run::ranked`], before and after.
    ///
    /// ```
    /// use esparsa::eval::Run;
    /// use esparsa::rank::Fusion;
    ///
    /// let words = Run::read("1 Q0 etna 1 12.5 bm25\n1 Q0 po 2 9.0 bm25\n".as_bytes(), "bm25.run")?;
    /// let vectors = Run::read("1 Q0 po 1 0.83 dense\n2 Q0 po 1 0.7 dense\n".as_bytes(), "dense.run")?;
    /// let fused = Fusion::reciprocal_rank().fuse_runs(&[words, vectors])?;
    /// assert_eq!(fused.ranked("1")[0].document, "po");
    /// assert_eq!(fused.queries().collect::<Vec<_>>(), ["1", "2"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Fusion::fuse`]; a list is a run.
    pub fn fuse_runs<R: Borrow<Run>>(&self, runs: &[R]) -> Result<Run> {
        let counted = self.counted(runs.len())?;
        let mut seen = HashSet::new();
        let mut fused = Run::new();
        for (number, _) in counted {
            for query in runs[number].borrow().queries() {
                if seen.insert(query) {
                    fused.insert(query, self.fuse_query(runs, query)?)?;
                }
            }
        }
        Ok(fused)
    }

    fn fuse_query<R: Borrow<Run>>(&self, runs: &[R], query: &str) -> Result<Vec<ScoredDocument>> {
        // Among equal scores evaluation puts the higher name first.
        let mut lists = Vec::with_capacity(runs.len());
        for run in runs {
            let ranked = run.borrow().ranked(query).into_iter();
            let scored = ranked.map(|hit| (Reverse(hit.document.as_str()), hit.score));
            lists.push(scored.collect::<Vec<_>>());
        }
        let fused = self.fuse(&lists)?.into_iter();
        let scored = fused.map(|(Reverse(document), score)| ScoredDocument {
            document: document.to_owned(),
            score,
        });
        Ok(scored.collect())
    }
}

impl Normalization {
    /// Normalizes the scores of a run, query by query; documents come in the order of
    /// [`Run::ranked`].
    ///
    /// ```
    /// use esparsa::eval::Run;
    /// use esparsa::rank::Normalization;
    ///
    /// let run = Run::read("1 Q0 po 1 9.5 t\n1 Q0 etna 2 9.0 t\n".as_bytes(), "bm25.run")?;
    /// let run = Normalization::MinMax.normalize_run(&run)?;
    /// assert_eq!(run.ranked("1")[0].score, 1.0);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when a score is beyond
    /// ±[`MAX_SCORE`](super::MAX_SCORE).
    pub fn normalize_run(self, run: &Run) -> Result<Run> {
        let mut normalized = Run::new();
        for query in run.queries() {
            let ranked = run.ranked(query);
            let scores: Vec<f64> = ranked.iter().map(|hit| hit.score).collect();
            let scores = self.apply(&scores)?;
            let scored = ranked
                .iter()
                .zip(scores)
                .map(|(hit, score)| ScoredDocument {
                    document: hit.document.clone(),
                    score,
                });
            normalized.insert(query, scored.collect())?;
        }
        Ok(normalized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Run {
        Run::read(text.as_bytes(), "r").unwrap()
    }

    fn order<'a>(run: &'a Run, query: &str) -> Vec<&'a str> {
        let ranked = run.ranked(query).into_iter();
        ranked.map(|hit| hit.document.as_str()).collect()
    }

    #[test]
    fn ties_go_to_the_higher_document_name_before_and_after() {
        let tied = run("q Q0 a 1 1 t\nq Q0 b 2 1 t\nq Q0 c 3 1 t\n");
        let fused = Fusion::reciprocal_rank().fuse_runs(&[&tied]).unwrap();
        assert_eq!(order(&fused, "q"), ["c", "b", "a"]);
        assert_eq!(fused.results("q").unwrap()[0].score, 1.0 / 61.0);
        let sum = Fusion::weighted_sum(Normalization::MinMax).k(2);
        let fused = sum.fuse_runs(&[&tied]).unwrap();
        assert_eq!(order(&fused, "q"), ["c", "b"]);
    }

    #[test]
    fn queries_of_all_runs_that_count_are_in_the_order_of_first_occurrence() {
        let runs = [
            run("2 Q0 a 1 1 t\n"),
            run("9 Q0 a 1 1 t\n"),
            run("1 Q0 a 1 1 t\n2 Q0 b 1 1 t\n"),
        ];
        let fusion = Fusion::reciprocal_rank().weights([1.0, 0.0, 1.0]);
        let fused = fusion.fuse_runs(&runs).unwrap();
        assert_eq!(fused.queries().collect::<Vec<_>>(), ["2", "1"]);
        assert_eq!(order(&fused, "2"), ["b", "a"]);
    }

    #[test]
    fn a_query_without_results_stays() {
        let mut empty = Run::new();
        empty.insert("q", Vec::new()).unwrap();
        let fused = Fusion::default().fuse_runs(&[empty.clone()]).unwrap();
        assert_eq!(fused, empty);
        for &normalization in Normalization::ALL {
            assert_eq!(normalization.normalize_run(&empty).unwrap(), empty);
        }
    }

    #[test]
    fn scores_equal_in_f32_may_be_unsorted() {
        let close = run("q Q0 b 1 1.0 t\nq Q0 a 2 1.000000001 t\n");
        let normalized = Normalization::MinMax.normalize_run(&close).unwrap();
        assert_eq!(order(&normalized, "q"), ["a", "b"]);
        assert!(Fusion::reciprocal_rank().fuse_runs(&[close]).is_ok());
    }
}
