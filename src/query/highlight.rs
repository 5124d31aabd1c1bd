//! Where a text matches a query.

use std::ops::Range;

use super::marks::merged;
use super::request::{Query, QueryKind};
use super::text_terms::analyze;
use crate::error::Result;
use crate::format::FieldKind;
use crate::index::Snapshot;

impl Snapshot {
    /// The words of `text` that a query looks for, as byte ranges in order; none for a query of a
    /// vector. [`snippets`](Self::snippets) gives the best passages of a text, with its marks.
    ///
    /// The text is analyzed as the query's field is. Words are marked that have a term of the
    /// query's words, prefixes, wildcards, regular expressions, fuzzy terms or sets of terms; those
    /// of a phrase only where they stand as the phrase. Filters and excluded queries mark nothing.
    /// Of a query that is made of others, words on all fields count, each analyzed as its field is.
    /// Words that overlap are one range, and no range begins or ends inside of a grapheme cluster,
    /// which is a character as people see it.
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
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when the query's field is not a text
    /// field of the index.
    pub fn highlight(&self, query: &Query, text: &str) -> Result<Vec<Range<usize>>> {
        let found = self.occurrences(query, None, text)?;
        let ranges = found.all.into_iter().map(|one| one.range);
        Ok(merged(text, ranges))
    }

    /// Whether any words of a query have a term to search for; true for a query without words.
    ///
    /// # Errors
    ///
    /// As [`highlight`](Self::highlight).
    pub fn has_terms(&self, query: &Query) -> Result<bool> {
        let words = words_of(query);
        for (field, words) in &words {
            let field = self.schema().expect(field, FieldKind::Text)?.number;
            if !analyze(self, field, words)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(words.is_empty())
    }

    /// The words of a query that their fields' analyzers turn into no term, such as stop words.
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
        let mut without = Vec::new();
        for (field, words) in words_of(query) {
            let field = self.schema().expect(field, FieldKind::Text)?.number;
            let analyzer = self.expect_analyzer(field)?;
            analyzer.query_words(&analyzer.repair(words), &mut |word| {
                let mut has_term = false;
                analyzer.query_terms(word.text, &mut |_| has_term = true);
                if !has_term {
                    without.push(word.text.to_owned());
                }
            });
        }
        Ok(without)
    }
}

/// The words that add to the scores of a query, with their fields.
fn words_of(query: &Query) -> Vec<(&str, &str)> {
    let mut words = Vec::new();
    query.visit_scored(&mut |query| match &query.kind {
        QueryKind::Text(text) => words.push((query.field.as_str(), text.as_str())),
        QueryKind::Phrase(phrase) => words.push((query.field.as_str(), phrase.text.as_str())),
        QueryKind::Fields(fields, text) => {
            let fields = fields
                .iter()
                .map(|(field, _)| (field.as_str(), text.as_str()));
            words.extend(fields);
        }
        _ => {}
    });
    words
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
