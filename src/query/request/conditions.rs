//! Conditions: what documents meet or do not meet, without regard to scores.

use std::ops::{Bound, RangeBounds};

use super::{Condition, Query, QueryKind};
use crate::format::Value;

impl Query {
    pub(super) fn condition(field: impl Into<String>, condition: Condition) -> Self {
        Self::new(field.into(), QueryKind::Condition(condition))
    }

    /// All documents.
    pub fn all() -> Self {
        Self::condition("", Condition::All)
    }

    /// The documents with these external ids.
    pub fn ids<T: Into<String>>(ids: impl IntoIterator<Item = T>) -> Self {
        let ids = ids.into_iter().map(Into::into);
        Self::condition("", Condition::Ids(ids.collect()))
    }

    /// The documents with this value in a column, or with this term in a text field: the term is
    /// not analyzed.
    pub fn term(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::terms(field, [value])
    }

    /// The documents with any of these values in a column, or any of these terms in a text field.
    pub fn terms<T: Into<Value>>(
        field: impl Into<String>,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        let values = values.into_iter().map(Into::into);
        Self::condition(field, Condition::Terms(values.collect()))
    }

    /// The documents with a value of a column in this range. Keywords are compared byte by byte;
    /// dates are given as [`Value::Date`], as RFC 3339, or in milliseconds since 1970.
    ///
    /// ```
    /// use esparsa::{Column, Document, Index, Query, Schema};
    ///
    /// let schema = Schema::builder()
    ///     .column("price", Column::f64())
    ///     .column("since", Column::date());
    /// let index = Index::in_memory(schema.build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("cup").with("price", 4.5).with("since", "2024-02-01"))?;
    /// writer.add(Document::new("pot").with("price", 20).with("since", "2023-11-30"))?;
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// let cheap = Query::range("price", ..10.0);
    /// assert_eq!(snapshot.search(&cheap, 10)?.ids()?, ["cup"]);
    /// let old = Query::range("since", "2023-01-01".."2024-01-01");
    /// assert_eq!(snapshot.search(&old, 10)?.ids()?, ["pot"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn range<T: Into<Value> + Clone>(
        field: impl Into<String>,
        range: impl RangeBounds<T>,
    ) -> Self {
        let bound = |bound: Bound<&T>| bound.map(|value| value.clone().into());
        let (start, end) = (bound(range.start_bound()), bound(range.end_bound()));
        Self::condition(field, Condition::Range(start, end))
    }

    /// The documents that have the field: a value of a column, a term of a text field, or a vector
    /// of a dense field.
    pub fn exists(field: impl Into<String>) -> Self {
        Self::condition(field, Condition::Exists)
    }

    /// The documents that match all of these queries; their scores do not count.
    pub fn all_of(queries: impl IntoIterator<Item = Self>) -> Self {
        Self::of(queries, Condition::AllOf)
    }

    /// The documents that match any of these queries; their scores do not count.
    pub fn any_of(queries: impl IntoIterator<Item = Self>) -> Self {
        Self::of(queries, Condition::AnyOf)
    }

    fn of(
        queries: impl IntoIterator<Item = Self>,
        condition: impl Fn(Vec<Self>) -> Condition,
    ) -> Self {
        let queries: Vec<Self> = queries.into_iter().collect();
        let depth = queries.iter().map(|query| query.depth).max();
        let query = Self::condition("", condition(queries));
        query.deeper(depth.map_or(0, |depth| depth + 1))
    }
}
