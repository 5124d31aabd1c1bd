//! Where a text matches a query.

use std::ops::Range;

use super::prepare::analyze;
use super::request::{Query, QueryKind};
use crate::error::Result;
use crate::format::FieldKind;
use crate::index::Snapshot;

impl Snapshot {
    /// The words of `text` that have a term of a text query, as byte ranges in order; none for a sparse
    /// query. The text is analyzed as the query's field is.
    ///
    /// ```
    /// use esparsa::{Index, Query, Schema};
    ///
    /// let index = Index::in_memory(Schema::new().text("text", "english")?)?;
    /// let query = Query::text("text", "volcanic islands");
    /// let text = "An island of volcanic origin.";
    /// let ranges = index.snapshot()?.highlight(&query, text)?;
    /// let words: Vec<&str> = ranges.into_iter().map(|range| &text[range]).collect();
    /// assert_eq!(words, ["island", "volcanic"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when the query's field is not a text field of the index.
    pub fn highlight(&self, query: &Query, text: &str) -> Result<Vec<Range<usize>>> {
        let QueryKind::Text { text: words, .. } = &query.kind else {
            return Ok(Vec::new());
        };
        let field = self.schema().expect(&query.field, FieldKind::Text)?.number;
        let terms = analyze(self, field, words)?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        if let Some(analyzer) = self.analyzer(field) {
            analyzer.analyze(text, &mut |term, range| {
                // A word with several terms is marked once.
                let is_new = ranges.last().is_none_or(|last| last.end <= range.start);
                if is_new && terms.contains_key(term) {
                    ranges.push(range);
                }
            });
        }
        Ok(ranges)
    }
}
