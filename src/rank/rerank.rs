//! Re-ranking: the first hits of a search, scored again by something slower that reads the documents.

use std::cmp::Ordering;

use super::hits::check_snapshots;
use crate::error::{Error, Result};
use crate::index::DocAddress;
use crate::query::{Hit, Hits};
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
/// let with_texts = hits.iter().map(|hit| {
///     let text = match hit.id()?.as_str() {
///         "long" => "A bee, another bee, and a third bee.",
///         _ => "A bee.",
///     };
///     Ok((hit, text))
/// });
/// let hits = rerank(&Brevity, "bee", with_texts.collect::<Result<Vec<_>>>()?)?;
/// assert_eq!(hits.ids()?, ["short", "long"]);
/// # Ok::<(), esparsa::Error>(())
/// ```
///
/// # Errors
///
/// What the scorer gives, and [`Error::InvalidInput`] when it gives more or fewer scores than there
/// are hits, or one that is not finite, and when the hits are not of one snapshot.
pub fn rerank<'a, T: AsRef<str>>(
    scorer: &(impl Scorer + ?Sized),
    query: &str,
    hits: impl IntoIterator<Item = (Hit<'a>, T)>,
) -> Result<Hits> {
    let (hits, texts): (Vec<Hit<'a>>, Vec<T>) = hits.into_iter().unzip();
    check_snapshots(hits.iter().map(Hit::snapshot))?;
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let scores = scorer.scores(query, &texts)?;
    if scores.len() != hits.len() || scores.iter().any(|score| !score.is_finite()) {
        return Err(Error::invalid(format!(
            "expected {} finite scores, found {scores:?}; the scorer is broken",
            hits.len()
        )));
    }
    let Some(first) = hits.first() else {
        return Ok(Hits::default());
    };
    let addresses = hits.iter().map(|hit| hit.address);
    let mut scored: Vec<(DocAddress, f32)> = addresses.zip(scores).collect();
    // The sort is stable and all scores are finite: equal scores keep their order.
    scored.sort_by(|(_, a), (_, b)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    Ok(Hits::new(first.snapshot().clone(), scored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Index, Query, Schema, Text};

    /// Gives scores that were set.
    struct Set(Vec<f32>);

    impl Scorer for Set {
        fn scores(&self, _: &str, _: &[&str]) -> Result<Vec<f32>> {
            Ok(self.0.clone())
        }
    }

    /// Hits of equal scores, of documents with these ids.
    fn hits(ids: &[&str]) -> Hits {
        let schema = Schema::builder().text("text", Text::new()).build();
        let index = Index::in_memory(schema.unwrap()).unwrap();
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
        let with_texts = hits.iter().map(|hit| (hit, ""));
        rerank(&Set(scores.to_vec()), "q", with_texts)?.ids()
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
