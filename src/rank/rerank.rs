//! Re-ranking: the first hits of a search, scored again by something slower that reads the documents.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::query::Hits;

/// Something that scores documents for a query by reading both, such as a cross-encoder.
pub trait Scorer {
    /// A score for each document, the higher the better; scores of different queries need not be comparable.
    ///
    /// # Errors
    ///
    /// What scoring gives; every score that comes back is finite.
    fn scores(&self, query: &str, documents: &[&str]) -> Result<Vec<f32>>;
}

/// Scores hits again and puts them into the order of their new scores.
///
/// `texts` are the hits' documents, one for each, in the same order. Equal scores keep the order that the hits had: where the scorer
/// sees no difference, the search's opinion stays.
///
/// ```
/// use esparsa::rank::{Scorer, rerank};
/// use esparsa::{Document, Index, Query, Result, Schema};
///
/// /// Prefers short documents.
/// struct Brevity;
///
/// impl Scorer for Brevity {
///     fn scores(&self, _query: &str, documents: &[&str]) -> Result<Vec<f32>> {
///         Ok(documents.iter().map(|text| -(text.len() as f32)).collect())
///     }
/// }
///
/// let index = Index::in_memory(Schema::new().text("text", "english")?)?;
/// let mut writer = index.writer()?;
/// writer.add(Document::new("long").with_text("text", "A bee, another bee, and a third bee."))?;
/// writer.add(Document::new("short").with_text("text", "A bee."))?;
/// writer.commit()?;
///
/// let hits = index.snapshot()?.search(&Query::text("text", "bee"), 10)?;
/// let ids = hits.ids()?.into_iter();
/// let texts = ids.map(|id| if id == "long" { "A bee, another bee, and a third bee." } else { "A bee." });
/// let texts: Vec<&str> = texts.collect();
/// let hits = rerank(&Brevity, "bee", &hits, &texts)?;
/// assert_eq!(hits.ids()?, ["short", "long"]);
/// # Ok::<(), esparsa::Error>(())
/// ```
///
/// # Errors
///
/// What the scorer gives, and [`Error::InvalidInput`] when there are not as many texts as hits or the scorer gives another number of scores, or one
/// that is not finite.
pub fn rerank(
    scorer: &(impl Scorer + ?Sized),
    query: &str,
    hits: &Hits,
    texts: &[&str],
) -> Result<Hits> {
    if hits.len() != texts.len() {
        return Err(Error::invalid(format!(
            "expected a text for each of {} hits, found {}",
            hits.len(),
            texts.len()
        )));
    }
    let scores = scorer.scores(query, texts)?;
    if scores.len() != hits.len() || scores.iter().any(|score| !score.is_finite()) {
        return Err(Error::invalid(format!(
            "expected {} finite scores, found {scores:?}; the scorer is broken",
            hits.len()
        )));
    }
    let addresses = hits.iter().map(|hit| hit.address);
    let mut scored: Vec<_> = addresses.zip(scores).collect();
    // A stable sort of numbers that are all finite.
    scored.sort_by(|(_, a), (_, b)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    Ok(hits.with_scored(scored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Index, Query, Schema};

    /// Gives scores that were set.
    struct Set(Vec<f32>);

    impl Scorer for Set {
        fn scores(&self, _: &str, _: &[&str]) -> Result<Vec<f32>> {
            Ok(self.0.clone())
        }
    }

    /// Hits of equal scores, of documents with these ids.
    fn hits(ids: &[&str]) -> Hits {
        let index = Index::in_memory(Schema::new().text("text", "simple").unwrap()).unwrap();
        let mut writer = index.writer().unwrap();
        for id in ids {
            writer
                .add(Document::new(*id).with_text("text", "bee"))
                .unwrap();
        }
        writer.commit().unwrap();
        let query = Query::text("text", "bee");
        index.snapshot().unwrap().search(&query, 10).unwrap()
    }

    fn order(scores: &[f32]) -> Result<Vec<String>> {
        let hits = hits(&["a", "b", "c"]);
        rerank(&Set(scores.to_vec()), "q", &hits, &["", "", ""])?.ids()
    }

    #[test]
    fn hits_are_in_the_order_of_new_scores_and_ties_keep_the_old_one() {
        assert_eq!(order(&[0.1, 0.9, 0.5]).unwrap(), ["b", "c", "a"]);
        assert_eq!(order(&[0.5, -0.9, 0.5]).unwrap(), ["a", "c", "b"]);
        assert_eq!(order(&[0.0, -0.0, 0.0]).unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn a_broken_scorer_is_an_error() {
        assert!(order(&[0.5, 0.9]).is_err());
        assert!(order(&[0.5, 0.9, f32::NAN]).is_err());
        assert!(rerank(&Set(Vec::new()), "q", &hits(&["a"]), &[]).is_err());
    }
}
