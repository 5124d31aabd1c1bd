//! Where a text matches a query.

use std::ops::Range;

use super::request::{Query, QueryKind};
use super::text::analyze;
use crate::error::Result;
use crate::format::FieldKind;
use crate::index::Snapshot;

impl Snapshot {
    /// The words of `text` that have a term of a text query, as byte ranges in order; none for a query
    /// of a vector. The text is analyzed as the query's field is.
    ///
    /// ```
    /// use esparsa::{Index, Query, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("text", Text::new().analyzer("english"))
    ///     .build()?)?;
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
        let QueryKind::Text(words) = &query.kind else {
            return Ok(Vec::new());
        };
        let field = self.schema().expect(&query.field, FieldKind::Text)?.number;
        let terms = analyze(self, field, words)?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        if let Some(analyzer) = self.analyzer(field) {
            analyzer.analyze(text, &mut |term, range| {
                if !terms.contains_key(term) {
                    return;
                }
                // Words that overlap, as pairs of characters do, and a word with several terms are
                // marked as one.
                match ranges.last_mut() {
                    Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                    _ => ranges.push(range),
                }
            });
        }
        Ok(ranges)
    }

    /// Whether a text query has a term to search for; true for a query of vectors.
    ///
    /// # Errors
    ///
    /// As [`highlight`](Self::highlight).
    pub fn has_terms(&self, query: &Query) -> Result<bool> {
        let QueryKind::Text(text) = &query.kind else {
            return Ok(true);
        };
        let field = self.schema().expect(&query.field, FieldKind::Text)?.number;
        Ok(!analyze(self, field, text)?.is_empty())
    }

    /// The words of a text query that its field's analyzer turns into no term, such as stop words.
    /// A query of nothing else finds nothing, because documents are not indexed under these words
    /// either; the analyzer option `stopwords` keeps them. Empty for a query of vectors.
    ///
    /// ```
    /// use esparsa::{Index, Query, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("text", Text::new().analyzer("english"))
    ///     .build()?)?;
    /// let query = Query::text("text", "to be or not to be");
    /// let words = index.snapshot()?.words_without_terms(&query)?;
    /// assert_eq!(words, ["to", "be", "or", "not", "to", "be"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`highlight`](Self::highlight).
    pub fn words_without_terms(&self, query: &Query) -> Result<Vec<String>> {
        let QueryKind::Text(text) = &query.kind else {
            return Ok(Vec::new());
        };
        let field = self.schema().expect(&query.field, FieldKind::Text)?.number;
        let analyzer = self.expect_analyzer(field)?;
        let mut words = Vec::new();
        analyzer.query_words(&analyzer.repair(text), &mut |word| {
            let mut has_term = false;
            analyzer.query_terms(word.text, &mut |_| has_term = true);
            if !has_term {
                words.push(word.text.to_owned());
            }
        });
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Index, Schema, Text};

    fn marked(analyzer: &str, query: &str, text: &str) -> Vec<String> {
        let index = Index::in_memory(
            Schema::builder()
                .text("text", Text::new().analyzer(analyzer))
                .build()
                .unwrap(),
        )
        .unwrap();
        let query = Query::text("text", query);
        let ranges = index.snapshot().unwrap().highlight(&query, text).unwrap();
        ranges
            .into_iter()
            .map(|range| text[range].to_owned())
            .collect()
    }

    #[test]
    fn what_was_searched_is_marked_in_text_without_spaces() {
        for (analyzer, query, text, expected) in [
            ("japanese", "名前", "彼の名前は知らない", "名前"),
            ("japanese", "検索機能", "全文検索機能を使う", "検索機能"),
            ("japanese", "猫", "黒い猫が好き", "猫"),
            ("chinese", "北京", "我爱北京天安门", "北京"),
            ("korean", "검색", "전문 검색을 한다", "검색을"),
            ("korean", "책", "좋은 책을 읽다", "책을"),
            ("french", "ecole", "une école primaire", "école"),
            (
                "english+parts",
                "crm",
                "the stat_crm_data table",
                "stat_crm_data",
            ),
        ] {
            assert_eq!(marked(analyzer, query, text), [expected], "{query}");
        }
        assert!(marked("japanese", "名前", "前の名は").is_empty());
    }

    #[test]
    fn words_that_overlap_are_marked_as_one() {
        assert_eq!(marked("chinese", "京天", "北京天安门"), ["京天"]);
        assert_eq!(marked("chinese", "北京天安", "在北京天安门"), ["北京天安"]);
    }
}
