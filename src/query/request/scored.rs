//! Queries that are made of others, and what scores are made of.

use super::{Clauses, Condition, Query, QueryKind};
use crate::format::Bm25;

/// Queries of several queries.
impl Query {
    /// A query to which others are added by [`must`](Self::must), [`should`](Self::should),
    /// [`with_filter`](Self::with_filter) and [`without`](Self::without).
    ///
    /// The score of a document is the sum of those of the `must` and `should` queries that it
    /// matches, in their order. Without a `must`, documents match at least one `should`; with
    /// neither, all documents match, with a score of 1.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("title", Text::new().analyzer("en"))
    ///     .text("body", Text::new().analyzer("en"))
    ///     .build()?)?;
    /// let mut writer = index.writer()?;
    /// let add = |id: &str, title: &str, body: &str| {
    ///     Document::new(id).with_text("title", title).with_text("body", body)
    /// };
    /// writer.add(add("etna", "Etna", "A volcano in Sicily, often active."))?;
    /// writer.add(add("vesuvius", "The volcano Vesuvius", "A volcano near Naples."))?;
    /// writer.add(add("naples", "Naples", "A city in Italy, with pizza."))?;
    /// writer.commit()?;
    ///
    /// let query = Query::bool()
    ///     .must(Query::text("body", "volcano"))
    ///     .should(Query::text("title", "volcano").with_boost(2.0))
    ///     .without(Query::text("body", "pizza"));
    /// let hits = index.snapshot()?.search(&query, 10)?;
    /// assert_eq!(hits.ids()?, ["vesuvius", "etna"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn bool() -> Self {
        Self::new(String::new(), QueryKind::Bool(Clauses::default()))
    }

    /// Adds a query that documents must match, and whose score counts. A query that is not
    /// [`bool`](Self::bool) becomes the first of such queries.
    #[must_use]
    pub fn must(self, query: Self) -> Self {
        self.with_clause(query, |clauses| &mut clauses.must)
    }

    /// Adds a query whose score counts for the documents that match it. A query that is not
    /// [`bool`](Self::bool) becomes one that documents must match.
    #[must_use]
    pub fn should(self, query: Self) -> Self {
        self.with_clause(query, |clauses| &mut clauses.should)
    }

    fn with_clause(self, query: Self, list: impl Fn(&mut Clauses) -> &mut Vec<Self>) -> Self {
        let mut all = self.into_bool();
        let depth = all.depth.max(query.depth + 1);
        if let QueryKind::Bool(clauses) = &mut all.kind {
            list(clauses).push(query);
        }
        all.deeper(depth)
    }

    /// The query itself if queries can be added to it, else one that it must match.
    fn into_bool(self) -> Self {
        // Scores of a boosted or constant query are not the sums of its parts.
        let is_open = self.boost == 1.0 && !self.is_constant;
        match self.kind {
            QueryKind::Bool(_) if is_open => self,
            QueryKind::Condition(Condition::TooDeep) => self,
            _ => {
                let depth = self.depth + 1;
                let clauses = Clauses {
                    must: vec![self],
                    ..Clauses::default()
                };
                Self::new(String::new(), QueryKind::Bool(clauses)).deeper(depth)
            }
        }
    }

    /// How many of the `should` queries of a [`bool`](Self::bool) query documents must match: where
    /// there is no `must` 1 by default, and at least 1; else 0. With more than there are, nothing is
    /// found.
    #[must_use]
    pub fn with_minimum_should(self, minimum: u32) -> Self {
        let mut all = self.into_bool();
        if let QueryKind::Bool(clauses) = &mut all.kind {
            clauses.minimum_should = Some(minimum);
        }
        all
    }

    /// Documents that match any of these queries, scored by the one that fits best: the highest
    /// score, and `tie_breaker`, from 0 to 1, times the sum of the others. For queries of the same
    /// words on several fields. Lucene calls it a disjunction maximum.
    ///
    /// ```
    /// use esparsa::Query;
    ///
    /// let query = Query::best_of(
    ///     ["title", "body"].map(|field| Query::text(field, "new york")),
    ///     0.3,
    /// );
    /// ```
    pub fn best_of(queries: impl IntoIterator<Item = Self>, tie_breaker: f32) -> Self {
        let queries: Vec<Self> = queries.into_iter().collect();
        let depth = queries.iter().map(|query| query.depth + 1).max();
        let query = Self::new(String::new(), QueryKind::Best(queries, tie_breaker));
        query.deeper(depth.unwrap_or(0))
    }

    /// Words in several text fields, as if these were one: BM25F. Each occurrence of a word counts
    /// as much as its field's weight and length say, and all of them together saturate; so the
    /// number of fields with a word does not count, as it does in a sum. The fields have the same
    /// analyzer, and weights from 0.001 to 1,000.
    ///
    /// Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009,
    /// section 3.4; the document frequency of a word is the max of those in the fields.
    ///
    /// ```
    /// use esparsa::Query;
    ///
    /// let query = Query::text_in([("title", 2.0), ("body", 1.0)], "volcanoes of Sicily");
    /// ```
    pub fn text_in<F: Into<String>>(
        fields: impl IntoIterator<Item = (F, f32)>,
        text: impl Into<String>,
    ) -> Self {
        let fields = fields
            .into_iter()
            .map(|(field, weight)| (field.into(), weight));
        let kind = QueryKind::Fields(fields.collect(), text.into());
        Self::new(String::new(), kind)
    }
}

/// Scores and terms.
impl Query {
    /// Multiplies scores by a number from 1e-9 to 1e9; called again, by both. The vector of a dense field
    /// has no boost.
    #[must_use]
    pub fn with_boost(mut self, boost: f32) -> Self {
        self.boost *= boost;
        self
    }

    /// Gives every document that matches the same score, from 1e-9 to 1e9.
    ///
    /// ```
    /// use esparsa::Query;
    ///
    /// let query = Query::text("body", "volcano").should(Query::text("title", "volcano").with_constant_score(0.5));
    /// ```
    #[must_use]
    pub fn with_constant_score(mut self, score: f32) -> Self {
        self.is_constant = true;
        self.boost = score;
        self
    }

    /// Asks for documents that have at least `minimum` of the query's distinct terms; scores stay what
    /// they are. For words; a number of at least 1.
    #[must_use]
    pub fn with_minimum_terms(mut self, minimum: u32) -> Self {
        self.minimum_terms = Some(minimum);
        self
    }

    /// Sets k1 and b of the words of one field that a query is made of, as those of synonyms are.
    pub(in crate::query) fn with_bm25_of_words(mut self, bm25: Bm25) -> Self {
        match &mut self.kind {
            QueryKind::Text(_) | QueryKind::Analyzed(_) => self.bm25 = Some(bm25),
            QueryKind::Bool(clauses) => {
                for list in [&mut clauses.must, &mut clauses.should] {
                    *list = std::mem::take(list)
                        .into_iter()
                        .map(|query| query.with_bm25_of_words(bm25))
                        .collect();
                }
            }
            QueryKind::Best(queries, _) => {
                let all = std::mem::take(queries).into_iter();
                *queries = all.map(|query| query.with_bm25_of_words(bm25)).collect();
            }
            _ => {}
        }
        self
    }

    /// Sets the tie breaker of a query of which the best counts; `None` for another.
    pub(in crate::query) fn with_tie_breaker(mut self, share: f32) -> Option<Self> {
        match &mut self.kind {
            QueryKind::Best(_, tie_breaker) => *tie_breaker = share,
            _ => return None,
        }
        Some(self)
    }

    /// Whether documents that match have one score, which is the boost.
    pub(in crate::query) fn is_condition(&self) -> bool {
        let is_empty = |clauses: &Clauses| clauses.must.is_empty() && clauses.should.is_empty();
        match &self.kind {
            QueryKind::Condition(_) => true,
            QueryKind::Bool(clauses) if is_empty(clauses) => true,
            _ => self.is_constant,
        }
    }

    /// Whether a document that the query excludes is best looked up when it would be found: words,
    /// which are hardly ever excluded a second time, so that a set of their documents is not worth
    /// its making.
    pub(in crate::query) fn is_looked_up(&self) -> bool {
        let of_words = matches!(
            self.kind,
            QueryKind::Text(_)
                | QueryKind::Analyzed(_)
                | QueryKind::Fields(..)
                | QueryKind::Phrase(_)
        );
        of_words && !self.has_filters() && !self.is_constant
    }

    /// The excluded queries that are looked up, which queries of words and of others do.
    pub(in crate::query) fn looked_up(&self) -> impl Iterator<Item = &Self> {
        let has_algorithms_of_its_own = matches!(
            self.kind,
            QueryKind::Dense(_) | QueryKind::Sparse(_) | QueryKind::SparseNumbered(_)
        );
        let is_able = !self.is_condition() && !has_algorithms_of_its_own;
        let excluded = self.excluded.iter();
        excluded.filter(move |query| is_able && query.is_looked_up())
    }

    /// Whether scores are computed from those of parts, or times a boost, or documents must have a
    /// number of terms or not have others.
    pub(in crate::query) fn is_tree(&self) -> bool {
        let has_parts = matches!(
            self.kind,
            QueryKind::Fields(..) | QueryKind::Phrase(_) | QueryKind::Bool(_) | QueryKind::Best(..)
        );
        let is_scored_alone = !has_parts && self.boost == 1.0 && self.minimum_terms.is_none();
        !is_scored_alone || self.looked_up().next().is_some()
    }

    /// What the query is, in a few words.
    pub(in crate::query) fn name(&self) -> String {
        let field = &self.field;
        let name = match &self.kind {
            QueryKind::Text(text) => format!("{field}: {text}"),
            QueryKind::Analyzed(terms) => format!("{field}: {}", terms.join(" ")),
            QueryKind::Sparse(_) | QueryKind::SparseNumbered(_) => format!("{field}: weights"),
            QueryKind::Dense(_) => format!("{field}: vector"),
            QueryKind::Fields(fields, text) => {
                let fields: Vec<&str> = fields.iter().map(|(field, _)| field.as_str()).collect();
                format!("{}: {text}", fields.join(", "))
            }
            QueryKind::Phrase(phrase) => format!("{field}: \"{}\"", phrase.text),
            QueryKind::Bool(_) => "sum".into(),
            QueryKind::Best(_, tie_breaker) => format!("best, and {tie_breaker} of the others"),
            QueryKind::Condition(_) if field.is_empty() => "condition".into(),
            QueryKind::Condition(_) => format!("{field}: condition"),
        };
        match self.boost {
            _ if self.is_constant => format!("{name} (constant {})", self.boost),
            1.0 => name,
            boost => format!("{name} (boost {boost})"),
        }
    }

    /// Calls `visit` with this query and every query that adds to its scores.
    pub(in crate::query) fn visit_scored<'q>(&'q self, visit: &mut dyn FnMut(&'q Self)) {
        visit(self);
        let parts: Box<dyn Iterator<Item = &Self>> = match &self.kind {
            QueryKind::Bool(clauses) => Box::new(clauses.must.iter().chain(&clauses.should)),
            QueryKind::Best(queries, _) => Box::new(queries.iter()),
            _ => Box::new(std::iter::empty()),
        };
        parts.for_each(|part| part.visit_scored(visit));
    }
}
