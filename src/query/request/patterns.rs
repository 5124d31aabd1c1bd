//! Conditions on terms: prefixes, wildcards, regular expressions, fuzzy terms.

use super::{Condition, Query};
use crate::query::patterns::{Fuzzy, Pattern};

/// Patterns of the terms of a text field, or of the keywords of a column. They are compared with
/// terms as the index has them: neither patterns nor what they are compared with is analyzed, so
/// those for a field whose analyzer folds case are in lower case.
impl Query {
    fn matching(field: impl Into<String>, pattern: Pattern) -> Self {
        Self::condition(field, Condition::Matching(pattern))
    }

    /// The documents with a term that begins with this.
    ///
    /// ```
    /// use esparsa::{Column, Document, Index, Query, Schema};
    ///
    /// let index = Index::in_memory(Schema::builder().column("name", Column::keyword()).build()?)?;
    /// let mut writer = index.writer()?;
    /// for name in ["firefox", "firebird", "chrome"] {
    ///     writer.add(Document::new(name).with("name", name))?;
    /// }
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// let count = |query: &Query| snapshot.count(query);
    /// assert_eq!(count(&Query::prefix("name", "fire"))?, 2);
    /// assert_eq!(count(&Query::wildcard("name", "*ir?f*"))?, 1);
    /// assert_eq!(count(&Query::regex("name", "fire(fox|wall)|c.*"))?, 2);
    /// assert_eq!(count(&Query::fuzzy("name", "chrom", 1))?, 1);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn prefix(field: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self::matching(field, Pattern::Prefix(prefix.into()))
    }

    /// The documents with a term that matches this as a whole: `*` is any number of characters, `?`
    /// is one character, and a backslash takes away the meaning of the character after it.
    pub fn wildcard(field: impl Into<String>, pattern: impl Into<String>) -> Self {
        Self::matching(field, Pattern::Wildcard(pattern.into()))
    }

    /// The documents with a term that matches a regular expression as a whole, in the syntax of the
    /// [`regex`](https://docs.rs/regex/latest/regex/#syntax) crate; `.` matches a line break too,
    /// and word boundaries are those of ASCII, `(?-u:\b)`. An expression that needs more than a
    /// megabyte is refused when it is searched.
    pub fn regex(field: impl Into<String>, expression: impl Into<String>) -> Self {
        Self::matching(field, Pattern::Regex(expression.into()))
    }

    /// The documents with a term within an edit distance, 0 to 2, of this one: characters inserted,
    /// deleted or replaced, and neighbors swapped. The fewer edits, the higher the score: 1 for the
    /// term itself, 1/2 for one edit, 1/3 for two.
    pub fn fuzzy(field: impl Into<String>, term: impl Into<String>, distance: u8) -> Self {
        Self::fuzzy_after(field, term, distance, 0)
    }

    /// As [`fuzzy`](Self::fuzzy), for terms that begin with the same `prefix` characters; they are
    /// found faster.
    pub fn fuzzy_after(
        field: impl Into<String>,
        term: impl Into<String>,
        distance: u8,
        prefix: usize,
    ) -> Self {
        let (field, term) = (field.into(), term.into());
        let within = |distance: u8| {
            let pattern = Pattern::Fuzzy(Fuzzy {
                term: term.clone(),
                distance,
                prefix,
                transpositions: true,
                prefix_match: false,
            });
            Self::matching(field.as_str(), pattern)
        };
        let scored =
            |distance: u8| within(distance).with_constant_score(1.0 / (1.0 + f32::from(distance)));
        match distance {
            0 => within(0),
            // More than there can be is refused when it is searched.
            1 | 2 => {
                let same = Self::term(field.as_str(), term.as_str());
                // The edited ones come first: their errors say which fields have terms.
                let edited = (1..=distance).map(scored);
                Self::best_of(edited.chain(std::iter::once(same)), 0.0)
            }
            _ => within(distance),
        }
    }
}
