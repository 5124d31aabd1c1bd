//! Words with synonyms, and words in an order.

use super::{Phrase, Query, QueryKind};
use crate::text::FieldSynonyms;

/// Synonyms.
impl Query {
    /// Words for a text field, and their synonyms. A word or phrase with synonyms counts by the one
    /// of them that fits a document best; all the words of a phrase must be in the document.
    ///
    /// ```
    /// use esparsa::text::{Analyzer, Synonyms};
    /// use esparsa::{Document, Index, Query, Schema, Text};
    ///
    /// let text = Text::new().analyzer("en");
    /// let index = Index::in_memory(Schema::builder().text("text", text).build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("a").with_text("text", "A sofa in New York"))?;
    /// writer.add(Document::new("b").with_text("text", "A new couch"))?;
    /// writer.commit()?;
    ///
    /// let synonyms = Synonyms::parse("couch, sofa\nNY, New York")?;
    /// let synonyms = synonyms.for_analyzer(&Analyzer::named("en")?)?;
    /// let query = Query::text_with_synonyms("text", "couches in NY", &synonyms);
    /// assert_eq!(index.snapshot()?.search(&query, 10)?.ids()?, ["a", "b"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn text_with_synonyms(
        field: impl Into<String>,
        text: impl Into<String>,
        synonyms: &FieldSynonyms,
    ) -> Self {
        let (field, text) = (field.into(), text.into());
        let groups = synonyms.expand_text(&text);
        let (expanded, alone): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|group| group.alternatives.len() > 1 || group.is_replaced);
        if expanded.is_empty() {
            return Self::text(field, text);
        }
        let terms_of = |alternative: Vec<(String, u32)>| {
            let terms: Vec<String> = alternative.into_iter().map(|(term, _)| term).collect();
            terms
        };
        let alone = alone.into_iter().flat_map(|group| group.alternatives);
        let alone: Vec<String> = alone.flat_map(terms_of).collect();
        let mut query = Self::bool();
        if !alone.is_empty() {
            query = query.should(Self::analyzed(field.as_str(), alone));
        }
        for group in expanded {
            let alternatives = group.alternatives.into_iter().map(|alternative| {
                let terms = terms_of(alternative);
                match terms.len() {
                    1 => Self::analyzed(field.as_str(), terms),
                    _ => Self::analyzed(field.as_str(), terms).with_all_terms(),
                }
            });
            query = query.should(Self::best_of(alternatives, 0.0));
        }
        query
    }
}

/// Phrases.
impl Query {
    /// Words that stand in a text field next to each other, in this order. The field has
    /// [positions](crate::Text::positions).
    ///
    /// What the field's analyzer drops, such as a stop word, stands for any one word. The score is
    /// BM25 with the number of times that the phrase is in the document, and the sum of its words'
    /// idf. A single word needs no positions.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, Text};
    ///
    /// let text = Text::new().analyzer("en").positions();
    /// let index = Index::in_memory(Schema::builder().text("text", text).build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("a").with_text("text", "The new museum of New York."))?;
    /// writer.add(Document::new("b").with_text("text", "York has a new museum."))?;
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// let ids = |query: Query| snapshot.search(&query, 10)?.ids();
    /// assert_eq!(ids(Query::phrase("text", "new york"))?, ["a"]);
    /// assert_eq!(ids(Query::phrase("text", "museum of york").with_slop(1))?, ["a"]);
    /// assert_eq!(ids(Query::phrase("text", "york new").with_slop(4))?, ["a", "b"]);
    /// assert_eq!(ids(Query::phrase_prefix("text", "a new mus"))?, ["a", "b"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn phrase(field: impl Into<String>, text: impl Into<String>) -> Self {
        let phrase = Phrase {
            text: text.into(),
            slop: 0,
            is_prefix: false,
        };
        Self::new(field.into(), QueryKind::Phrase(phrase))
    }

    /// As [`phrase`](Self::phrase), where the last word is the beginning of one, or one with another
    /// ending. Its score is that of the words before it; of a beginning alone it is 1. A search is
    /// refused when more than 4,096 terms of a segment begin so, unless the beginning is all there
    /// is.
    pub fn phrase_prefix(field: impl Into<String>, text: impl Into<String>) -> Self {
        let phrase = Phrase {
            text: text.into(),
            slop: 0,
            is_prefix: true,
        };
        Self::new(field.into(), QueryKind::Phrase(phrase))
    }

    /// By how many positions the words of a phrase, of at most 64 terms, may be moved in total, at most
    /// 1,000:
    /// 1 allows
    /// one word between two, 2 allows two neighbors to be swapped. An occurrence that is moved by n
    /// counts as 1 / (1 + n) in the phrase's frequency.
    ///
    /// Each word of the document, less its place in the phrase, gives a shift; the movement of an
    /// occurrence is the difference of the largest and the smallest shift. Each position of the
    /// phrase's first word counts as one occurrence, with its smallest movement.
    #[must_use]
    pub fn with_slop(mut self, slop: u32) -> Self {
        if let QueryKind::Phrase(phrase) = &mut self.kind {
            phrase.slop = slop;
        }
        self
    }
}
