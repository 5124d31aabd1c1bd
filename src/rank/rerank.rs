//! Re-ranking: the first hits of a search, scored again by something slower that reads the documents.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::query::Hit;
use crate::scorer::Scorer;

/// Scores hits again and puts them into the order of their new scores.
///
/// `hits` are pairs of a hit and the text of its document. Equal scores keep the order in which the hits came: where the
/// scorer sees no difference, the order of the search stays.
///
/// ```
/// use esparsa::rank::{Scorer, rerank};
/// use esparsa::{Document, Index, Query, Result, Schema, Text};
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
/// let index = Index::in_memory(Schema::builder()
///     .text("text", Text::new().analyzer("english"))
///     .build()?)?;
/// let mut writer = index.writer()?;
/// writer.add(Document::new("long").with_text("text", "A bee, another bee, and a third bee."))?;
/// writer.add(Document::new("short").with_text("text", "A bee."))?;
/// writer.commit()?;
///
/// let hits = index.snapshot()?.search(&Query::text("text", "bee"), 10)?;
/// let with_texts = hits.into_iter().map(|hit| {
///     let text = if hit.id == "long" { "A bee, another bee, and a third bee." } else { "A bee." };
///     (hit, text)
/// });
/// let hits = rerank(&Brevity, "bee", with_texts)?;
/// assert_eq!((hits[0].id.as_str(), hits[0].score), ("short", -6.0));
/// # Ok::<(), esparsa::Error>(())
/// ```
///
/// # Errors
///
/// What the scorer gives, and [`Error::InvalidInput`] when it gives more or fewer scores than there are hits, or one that
/// is not finite.
pub fn rerank<T: AsRef<str>>(
    scorer: &(impl Scorer + ?Sized),
    query: &str,
    hits: impl IntoIterator<Item = (Hit, T)>,
) -> Result<Vec<Hit>> {
    let (mut hits, texts): (Vec<Hit>, Vec<T>) = hits.into_iter().unzip();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let scores = scorer.scores(query, &texts)?;
    if scores.len() != hits.len() || scores.iter().any(|score| !score.is_finite()) {
        return Err(Error::invalid(format!(
            "expected {} finite scores, found {scores:?}; the scorer is broken",
            hits.len()
        )));
    }
    for (hit, score) in hits.iter_mut().zip(scores) {
        hit.score = score;
    }
    // The sort is stable and all scores are finite: equal scores keep their order.
    hits.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
    Ok(hits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::DocAddress;

    /// Gives scores that were set.
    struct Set(Vec<f32>);

    impl Scorer for Set {
        fn scores(&self, _: &str, _: &[&str]) -> Result<Vec<f32>> {
            Ok(self.0.clone())
        }
    }

    fn hits(ids: &[&str]) -> Vec<Hit> {
        let hits = ids.iter().zip(0..).map(|(id, number)| Hit {
            id: (*id).to_owned(),
            score: 9.0,
            address: DocAddress {
                segment: 0,
                document: 100 - number,
            },
        });
        hits.collect()
    }

    fn order(scores: &[f32]) -> Result<Vec<String>> {
        let hits = hits(&["a", "b", "c"]).into_iter().map(|hit| (hit, ""));
        let reranked = rerank(&Set(scores.to_vec()), "q", hits)?;
        Ok(reranked.into_iter().map(|hit| hit.id).collect())
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
        assert!(order(&[]).is_err());
    }
}
