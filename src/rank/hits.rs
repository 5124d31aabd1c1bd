//! Fusion of the results of several searches in one snapshot.

use hashbrown::HashMap;

use super::fusion::Fusion;
use crate::error::{Error, Result};
use crate::index::DocAddress;
use crate::query::Hit;

impl Fusion {
    /// Fuses results of several searches for one query in one snapshot, such as searches of two fields.
    ///
    /// Ties go to the lower address, as in search.
    ///
    /// ```
    /// use esparsa::rank::Fusion;
    /// use esparsa::{Document, Index, Query, Schema, Text};
    ///
    /// let schema = Schema::builder()
    ///     .text("title", Text::new().analyzer("english"))
    ///     .text("body", Text::new().analyzer("english"))
    ///     .build()?;
    /// let index = Index::in_memory(schema)?;
    /// let mut writer = index.writer()?;
    /// let document = |id, title, body| {
    ///     Document::new(id).with_text("title", title).with_text("body", body)
    /// };
    /// writer.add(document("etna", "Etna", "A volcano in Sicily."))?;
    /// writer.add(document("arc", "Volcanic arc", "A chain of volcanoes."))?;
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// let search = |field| snapshot.search(&Query::text(field, "volcano"), 100);
    /// let hits = Fusion::reciprocal_rank().k(10).fuse_hits(&[search("title")?, search("body")?])?;
    /// assert_eq!(hits.len(), 2);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Fusion::fuse`]; [`Error::InvalidInput`] when the lists give one address different ids, so that they are
    /// not of one snapshot, and when a fused score is beyond 32-bit numbers.
    pub fn fuse_hits<L: AsRef<[Hit]>>(&self, lists: &[L]) -> Result<Vec<Hit>> {
        let by_address = hits_by_address(lists)?;
        let scored = |hit: &Hit| (hit.address, f64::from(hit.score));
        let lists = lists
            .iter()
            .map(|list| list.as_ref().iter().map(scored).collect());
        let lists: Vec<Vec<(DocAddress, f64)>> = lists.collect();
        let fused = self.fuse(&lists)?.into_iter();
        fused
            .map(|(address, score)| with_score(by_address[&address], score))
            .collect()
    }
}

/// One of the hits of every address.
fn hits_by_address<L: AsRef<[Hit]>>(lists: &[L]) -> Result<HashMap<DocAddress, &Hit>> {
    let mut by_address: HashMap<DocAddress, &Hit> = HashMap::new();
    for hit in lists.iter().flat_map(AsRef::as_ref) {
        let first = by_address.entry(hit.address).or_insert(hit);
        if first.id != hit.id {
            return Err(Error::invalid(format!(
                "expected hits of one snapshot, found `{}` and `{}` at one address; search both fields in the same snapshot",
                first.id, hit.id
            )));
        }
    }
    Ok(by_address)
}

fn with_score(hit: &Hit, score: f64) -> Result<Hit> {
    let mut hit = hit.clone();
    hit.score = score as f32;
    if hit.score.is_finite() {
        return Ok(hit);
    }
    Err(Error::invalid(format!(
        "the fused score of `{}` is {score:e}, beyond 32-bit numbers; normalize the scores, or lower the weights",
        hit.id
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::Normalization;

    fn hit(document: u32, id: &str, score: f32) -> Hit {
        let address = DocAddress {
            segment: 0,
            document,
        };
        let id = id.to_owned();
        Hit { id, score, address }
    }

    #[test]
    fn hits_keep_their_documents_and_ties_go_to_the_lower_address() {
        let words = [hit(7, "a", 9.0), hit(3, "c", 2.0)];
        let vectors = [hit(3, "c", 0.7), hit(7, "a", 0.6), hit(5, "b", 0.5)];
        let lists: [&[Hit]; 2] = [&words, &vectors];
        let fused = Fusion::reciprocal_rank().fuse_hits(&lists).unwrap();
        let score = (1.0 / 61.0 + 1.0 / 62.0) as f32;
        let expected = [
            hit(3, "c", score),
            hit(7, "a", score),
            hit(5, "b", (1.0 / 63.0) as f32),
        ];
        assert_eq!(fused, expected);
    }

    #[test]
    fn hits_of_two_snapshots_are_refused() {
        let lists = [[hit(1, "a", 1.0)], [hit(1, "b", 1.0)]];
        let error = Fusion::default().fuse_hits(&lists).unwrap_err().to_string();
        assert!(
            error.contains("found `a` and `b` at one address"),
            "{error}"
        );
    }

    #[test]
    fn scores_beyond_32_bit_numbers_are_refused() {
        let lists = [[hit(1, "a", f32::MAX)], [hit(1, "a", f32::MAX)]];
        let fusion = Fusion::weighted_sum(Normalization::None);
        let error = fusion.fuse_hits(&lists).unwrap_err().to_string();
        assert!(error.contains("`a` is 6.8"), "{error}");
        assert!(Fusion::default().fuse_hits(&lists).is_ok());
    }
}
