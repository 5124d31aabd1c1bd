//! Counts and statistics of columns, over all documents that match a query.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use hashbrown::HashMap;

use super::histogram::Interval;
use super::matching::Matcher;
use super::options::SearchOptions;
use super::request::Query;
use crate::doc_set::{DocSet, documents_of};
use crate::error::{Error, Result};
use crate::format::column::{ColumnCursor, ColumnType, ColumnValues};
use crate::format::{FieldKind, FieldNumber, FieldOptions, Value};
use crate::index::Snapshot;

/// What is counted in a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Facet {
    column: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Values(usize),
    Ranges(Vec<(Bound<Value>, Bound<Value>)>),
    Statistics,
    Percentiles(Vec<f64>),
    Histogram(Interval),
}

/// Keywords of a segment up to which there is a counter for each, found or not.
const MAX_COUNTERS: u64 = 1 << 22;

impl Facet {
    /// The `count` values that most documents have, and how many have each; values that as many
    /// documents have are in their order. Every different value is held in memory while it is
    /// counted.
    pub fn values(column: impl Into<String>, count: usize) -> Self {
        Self::new(column, Kind::Values(count))
    }

    /// How many documents have a value in each of these ranges.
    pub fn ranges<T: Into<Value> + Clone, R: RangeBounds<T>>(
        column: impl Into<String>,
        ranges: impl IntoIterator<Item = R>,
    ) -> Self {
        let bound = |bound: Bound<&T>| bound.map(|value| value.clone().into());
        let ranges = ranges.into_iter();
        let ranges = ranges.map(|range| (bound(range.start_bound()), bound(range.end_bound())));
        Self::new(column, Kind::Ranges(ranges.collect()))
    }

    /// How many values there are, how many different ones, and their min, max, sum and mean. Every
    /// different value is held in memory while it is counted.
    pub fn statistics(column: impl Into<String>) -> Self {
        Self::new(column, Kind::Statistics)
    }

    /// The values below which these shares of all values are, each from 0, the min, to 1, the max:
    /// .5 is the median. Of n values in order it is the one whose place, counted from 0, is nearest
    /// to the share times n - 1. All values are held in memory, 8 bytes each. Not for keywords.
    pub fn percentiles(column: impl Into<String>, shares: impl IntoIterator<Item = f64>) -> Self {
        Self::new(column, Kind::Percentiles(shares.into_iter().collect()))
    }

    /// How many documents have a value in each interval of this width, such as each month, for the
    /// intervals that have any. Not for keywords and flags.
    ///
    /// ```
    /// use esparsa::{Column, Document, Facet, FacetResult, Index, Interval, Query, Schema, Value};
    ///
    /// let index = Index::in_memory(Schema::builder().column("day", Column::date()).build()?)?;
    /// let mut writer = index.writer()?;
    /// for (id, day) in [("a", "2024-02-01"), ("b", "2024-02-29"), ("c", "2024-04-30")] {
    ///     writer.add(Document::new(id).with("day", day))?;
    /// }
    /// writer.commit()?;
    ///
    /// let facet = Facet::histogram("day", Interval::Month);
    /// let counted = index.snapshot()?.facets(&Query::all(), &[facet])?;
    /// let months = vec![(Value::date("2024-02-01")?, 2), (Value::date("2024-04-01")?, 1)];
    /// assert_eq!(counted[0], FacetResult::Histogram(months));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn histogram(column: impl Into<String>, interval: Interval) -> Self {
        Self::new(column, Kind::Histogram(interval))
    }

    fn new(column: impl Into<String>, kind: Kind) -> Self {
        Self {
            column: column.into(),
            kind,
        }
    }
}

/// What was counted, by the kind of the [`Facet`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FacetResult {
    /// Values and how many documents have each, the most frequent first.
    Values(Vec<(Value, u64)>),
    /// How many documents have a value in each range.
    Ranges(Vec<u64>),
    /// See [`ColumnStatistics`].
    Statistics(ColumnStatistics),
    /// Where each interval begins, rising, and how many documents have a value in it.
    Histogram(Vec<(Value, u64)>),
    /// A value for each share; none when no document has a value.
    Percentiles(Vec<Value>),
}

/// Statistics of the values of a column.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ColumnStatistics {
    /// Documents that have a value.
    pub documents: u64,
    /// Their values; a document may have several.
    pub values: u64,
    /// Values that differ.
    pub distinct: u64,
    /// The lowest.
    pub min: Option<Value>,
    /// The highest.
    pub max: Option<Value>,
    /// Of numbers, and of dates in milliseconds since 1970. Added up in the order of the values,
    /// in double precision.
    pub sum: Option<f64>,
    /// The sum over the number of values.
    pub mean: Option<f64>,
}

impl Snapshot {
    /// Counts what is asked for, over all documents that match a query, exactly.
    ///
    /// ```
    /// use esparsa::{Column, Document, Facet, FacetResult, Index, Query, Schema, Value};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .column("color", Column::keyword().several())
    ///     .column("price", Column::f64())
    ///     .build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("cup").with("color", "red").with("price", 4.5))?;
    /// writer.add(Document::new("pot").with("color", "red").with("color", "blue").with("price", 20))?;
    /// writer.commit()?;
    ///
    /// let facets = [
    ///     Facet::values("color", 10),
    ///     Facet::ranges("price", [0.0..10.0, 10.0..100.0]),
    ///     Facet::statistics("price"),
    /// ];
    /// let counted = index.snapshot()?.facets(&Query::all(), &facets)?;
    /// let colors = vec![(Value::from("red"), 2), (Value::from("blue"), 1)];
    /// assert_eq!(counted[0], FacetResult::Values(colors));
    /// assert_eq!(counted[1], FacetResult::Ranges(vec![1, 1]));
    /// let FacetResult::Statistics(price) = &counted[2] else { panic!() };
    /// assert_eq!((price.values, price.mean), (2, Some(12.25)));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search); [`Error::InvalidInput`] when a column is not there or a range
    /// or share does not fit it.
    pub fn facets(&self, query: &Query, facets: &[Facet]) -> Result<Vec<FacetResult>> {
        let options = SearchOptions::new(1);
        self.check_query(query, &options)?;
        self.count_facets(query, facets, &options)
    }

    /// As [`facets`](Self::facets), of the documents that a filter of the options accepts.
    pub(super) fn count_facets(
        &self,
        query: &Query,
        facets: &[Facet],
        options: &SearchOptions,
    ) -> Result<Vec<FacetResult>> {
        let matcher = Matcher::new(self, query, options)?;
        let filter = options.filter.as_ref();
        if let Some(filter) = filter {
            filter.check(self.segments())?;
        }
        let checked = facets
            .iter()
            .map(|facet| Counter::new(self, facet, options));
        let mut counters = checked.collect::<Result<Vec<_>>>()?;
        for (ordinal, segment) in self.segments().iter().enumerate() {
            options.check_cancelled()?;
            let documents = matcher.live_documents(ordinal, filter)?;
            for counter in &mut counters {
                let column = segment.reader.column(counter.field);
                counter.count(ordinal, column, &documents)?;
            }
        }
        counters.into_iter().map(Counter::finish).collect()
    }
}

/// Counts one facet over all segments.
struct Counter<'a> {
    field: FieldNumber,
    column: ColumnType,
    kind: &'a Kind,
    /// Documents by value: by code or by keyword.
    by_code: HashMap<u64, u64>,
    by_keyword: HashMap<String, u64>,
    /// One for each range.
    ranges: Vec<(Matcher<'a>, u64)>,
    codes: Vec<u64>,
    /// Documents by the code of the first value of an interval.
    by_interval: BTreeMap<u64, u64>,
    documents: u64,
    /// Whether there is one segment: of its keywords only those that are returned need be read.
    is_alone: bool,
}

impl<'a> Counter<'a> {
    fn new(snapshot: &'a Snapshot, facet: &'a Facet, options: &SearchOptions) -> Result<Self> {
        let field = snapshot.schema().expect(&facet.column, FieldKind::Column)?;
        let column = match &field.options {
            FieldOptions::Column(column) => column.column_type,
            _ => return Err(Error::invalid("expected a column").in_field(&facet.column)),
        };
        let mut ranges = Vec::new();
        match &facet.kind {
            Kind::Ranges(all) => {
                for range in all {
                    let query = Query::range(&facet.column, range.clone());
                    ranges.push((Matcher::new(snapshot, &query, options)?, 0));
                }
            }
            Kind::Percentiles(_) if column == ColumnType::Keyword => {
                let message = "expected a column of numbers or dates, found one of keywords";
                return Err(Error::invalid(message).in_field(&facet.column));
            }
            Kind::Percentiles(shares) => {
                if let Some(share) = shares.iter().find(|share| !(0.0..=1.0).contains(*share)) {
                    let message = format!("expected shares from 0 to 1, found {share}");
                    return Err(Error::invalid(message).in_field(&facet.column));
                }
            }
            Kind::Histogram(interval) => {
                let checked = interval.check(column);
                checked.map_err(|error| error.in_field(&facet.column))?;
            }
            Kind::Values(_) | Kind::Statistics => {}
        }
        Ok(Self {
            field: field.number,
            column,
            kind: &facet.kind,
            by_code: HashMap::new(),
            by_keyword: HashMap::new(),
            ranges,
            codes: Vec::new(),
            by_interval: BTreeMap::new(),
            is_alone: snapshot.segments().len() == 1,
            documents: 0,
        })
    }

    /// Counts the documents of a segment.
    fn count(
        &mut self,
        ordinal: usize,
        column: Option<&ColumnValues>,
        documents: &DocSet,
    ) -> Result<()> {
        for (range, count) in &mut self.ranges {
            let mut set = range.documents(ordinal)?;
            Arc::make_mut(&mut set).intersect(documents);
            *count += u64::from(set.count());
        }
        let Some(column) = column else {
            return Ok(());
        };
        match self.kind {
            Kind::Ranges(_) => Ok(()),
            Kind::Percentiles(_) => {
                let codes = &mut self.codes;
                for_each(column, documents, |of_document| {
                    codes.extend_from_slice(of_document)
                })
            }
            Kind::Histogram(interval) => {
                let (of, by_interval) = (self.column, &mut self.by_interval);
                for_each(column, documents, |codes| {
                    let mut last = None;
                    for code in codes {
                        let first = of.value_of(*code).map(|value| interval.start(&value));
                        let first = first.and_then(|first| of.code_of(&first));
                        if let Some(first) = first.filter(|first| last != Some(*first)) {
                            *by_interval.entry(first).or_default() += 1;
                            last = Some(first);
                        }
                    }
                })
            }
            Kind::Values(_) => self.count_values(column, documents, true),
            Kind::Statistics => self.count_values(column, documents, false),
        }
    }

    /// Counts how often each value is there, or in how many documents it is.
    fn count_values(
        &mut self,
        column: &ColumnValues,
        documents: &DocSet,
        once: bool,
    ) -> Result<()> {
        let Some(keywords) = column.keywords() else {
            let counts = &mut self.by_code;
            self.documents += count_codes(column, documents, once, |code| {
                *counts.entry(code).or_default() += 1;
            })?;
            return Ok(());
        };
        let mut by_code: Vec<(u64, u64)> = Vec::new();
        if keywords.len() <= MAX_COUNTERS {
            let mut counts = vec![0_u64; keywords.len() as usize];
            self.documents += count_codes(column, documents, once, |code| {
                if let Some(count) = counts.get_mut(code as usize) {
                    *count += 1;
                }
            })?;
            let counted = (0..).zip(counts).filter(|(_, count)| *count > 0);
            by_code.extend(counted);
        } else {
            let mut counts: HashMap<u64, u64> = HashMap::new();
            self.documents += count_codes(column, documents, once, |code| {
                *counts.entry(code).or_default() += 1;
            })?;
            by_code.extend(counts);
        }
        if let (Kind::Values(count), true) = (self.kind, self.is_alone)
            && by_code.len() > *count
            && *count > 0
        {
            // Codes are in the order of the keywords.
            by_code.select_nth_unstable_by_key(*count - 1, |(code, count)| {
                (std::cmp::Reverse(*count), *code)
            });
            by_code.truncate(*count);
        }
        for (code, count) in by_code {
            if let Value::Keyword(keyword) = column.value(code)? {
                *self.by_keyword.entry(keyword).or_default() += count;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<FacetResult> {
        match self.kind {
            Kind::Values(count) => {
                let mut values = self.values()?;
                // The order of the values is kept among equal counts.
                values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                values.truncate(*count);
                Ok(FacetResult::Values(values))
            }
            Kind::Ranges(_) => {
                let counts = self.ranges.iter().map(|(_, count)| *count);
                Ok(FacetResult::Ranges(counts.collect()))
            }
            Kind::Statistics => {
                let values = self.values()?;
                Ok(FacetResult::Statistics(statistics(values, self.documents)))
            }
            Kind::Histogram(_) => {
                let counted = self
                    .by_interval
                    .iter()
                    .filter_map(|(code, count)| Some((self.column.value_of(*code)?, *count)));
                Ok(FacetResult::Histogram(counted.collect()))
            }
            Kind::Percentiles(shares) => {
                self.codes.sort_unstable();
                let values = shares.iter().filter_map(|share| {
                    let last = self.codes.len().checked_sub(1)?;
                    let place = (share * last as f64).round() as usize;
                    self.column.value_of(*self.codes.get(place)?)
                });
                Ok(FacetResult::Percentiles(values.collect()))
            }
        }
    }

    /// All values in order, and how many there are of each.
    fn values(&mut self) -> Result<Vec<(Value, u64)>> {
        if self.column == ColumnType::Keyword {
            let mut values: Vec<_> = self.by_keyword.drain().collect();
            values.sort_unstable();
            let values = values.into_iter();
            return Ok(values
                .map(|(keyword, count)| (Value::Keyword(keyword), count))
                .collect());
        }
        let mut values: Vec<_> = self.by_code.drain().collect();
        values.sort_unstable();
        let values = values.into_iter().filter_map(|(code, count)| {
            let value = self.column.value_of(code)?;
            Some((value, count))
        });
        Ok(values.collect())
    }
}

fn statistics(values: Vec<(Value, u64)>, documents: u64) -> ColumnStatistics {
    let count: u64 = values.iter().map(|(_, count)| count).sum();
    let sum = values.iter().try_fold(0.0, |sum, (value, count)| {
        Some(sum + number(value)? * *count as f64)
    });
    let sum = sum.filter(|_| count > 0);
    ColumnStatistics {
        documents,
        values: count,
        distinct: values.len() as u64,
        min: values.first().map(|(value, _)| value.clone()),
        max: values.last().map(|(value, _)| value.clone()),
        sum,
        mean: sum.map(|sum| sum / count as f64),
    }
}

/// What a value is worth; `None` for what is no number.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::I64(number) | Value::Date(number) => Some(*number as f64),
        Value::U64(number) => Some(*number as f64),
        Value::F64(number) => Some(*number),
        Value::Bool(_) | Value::Keyword(_) => None,
    }
}

/// Calls `visit` with each code of these documents, or with each different one of a document, and
/// returns how many documents have any.
#[inline]
fn count_codes(
    column: &ColumnValues,
    documents: &DocSet,
    once: bool,
    mut visit: impl FnMut(u64),
) -> Result<u64> {
    let mut with_value = 0;
    for_each(column, documents, |codes| {
        with_value += u64::from(!codes.is_empty());
        let mut last = None;
        for code in codes {
            if !once || last != Some(code) {
                visit(*code);
            }
            last = Some(code);
        }
    })?;
    Ok(with_value)
}

/// Calls `visit` with the codes of each of these documents.
#[inline]
fn for_each(
    column: &ColumnValues,
    documents: &DocSet,
    mut visit: impl FnMut(&[u64]),
) -> Result<()> {
    let mut cursor = ColumnCursor::new(column);
    let step = ColumnValues::BOUNDED_DOCUMENTS;
    for first in (0..documents.documents()).step_by(step as usize) {
        let words = documents.words_from(first, step);
        let is_visited = cursor.visit_block(first, words, |_, code| {
            visit(&[code]);
            Ok(())
        })?;
        if !is_visited {
            for document in documents_of(first, words) {
                visit(cursor.codes(document)?);
            }
        }
    }
    Ok(())
}
