//! Explaining a score: the search for one document, term by term.

use super::capabilities::check_parameters;
use super::explanation::Explanation;
use super::options::SearchOptions;
use super::prepare::prepare;
use super::request::Query;
use crate::error::{Error, Result};
use crate::index::Snapshot;

impl Snapshot {
    /// Says where the score of the live document with this external id comes from, for a search of
    /// `k` documents; `None` when there is no such document. The score equals that of search, bit
    /// for bit; for a document that search does not find it is 0.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::search`].
    pub fn explain(&self, query: &Query, id: &str, k: usize) -> Result<Option<Explanation>> {
        check_parameters(query)?;
        let Some(address) = self.find(id)? else {
            return Ok(None);
        };
        if address.segment as usize >= self.segments().len() {
            return Err(Error::invalid(
                "the document's segment is not in the snapshot",
            ));
        }
        let mut explanation = Explanation::new(id, address);
        let prepared = prepare(self, query, &SearchOptions::new(k))?;
        prepared.explain(address, k, &mut explanation)?;
        if let Some(filter) = self.filter_of(query, &SearchOptions::new(k))?
            && !filter.has(address)
        {
            explanation.score = 0.0;
            explanation.is_filtered_out = true;
        }
        Ok(Some(explanation))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Document, Index, Query, Schema, Sparse};

    #[test]
    fn weights_of_a_sparse_query_are_explained_as_they_were_given() {
        let index = Index::in_memory(
            Schema::builder()
                .sparse("sparse", Sparse::new())
                .build()
                .unwrap(),
        )
        .unwrap();
        let mut writer = index.writer().unwrap();
        let document = Document::new("etna").with_sparse("sparse", [("lava", 2.0), ("ash", 0.5)]);
        writer.add(document).unwrap();
        writer.commit().unwrap();
        let snapshot = index.snapshot().unwrap();
        let query = Query::sparse("sparse", [("lava", 2.5), ("ash", 1.25)]);
        let explained = snapshot.explain(&query, "etna", 10).unwrap().unwrap();
        let weights = explained.terms.iter().map(|term| term.query_weight);
        assert_eq!(weights.collect::<Vec<_>>(), [2.5, 1.25]);
    }
}
