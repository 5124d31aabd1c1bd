//! Searches whose hits are ordered by columns.
//!
//! Each segment keeps its best documents by codes, which are in the order of the values; codes of
//! keywords are compared within a segment, and the keywords themselves across segments. Where every
//! document has one value, blocks of documents whose bounds are not good enough are skipped.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::leaf::SearchContext;
use super::matching::Matcher;
use super::options::SearchOptions;
use super::part::Part;
use super::request::Query;
use super::result::{Hits, SearchResult, SearchStatistics};
use crate::doc_set::{DocSet, documents_of};
use crate::error::Result;
use crate::format::column::{ColumnCursor, ColumnValues};
use crate::format::{DocId, FieldKind, FieldNumber, Value};
use crate::index::{DocAddress, Snapshot};

/// An order of hits by a column.
///
/// ```
/// use esparsa::{Column, Document, Index, Query, Schema, SearchOptions, Sort};
///
/// let index = Index::in_memory(Schema::builder().column("price", Column::f64()).build()?)?;
/// let mut writer = index.writer()?;
/// writer.add(Document::new("pot").with("price", 20.0))?;
/// writer.add(Document::new("mat"))?;
/// writer.add(Document::new("cup").with("price", 4.5))?;
/// writer.commit()?;
///
/// let snapshot = index.snapshot()?;
/// let ids = |sort| {
///     let options = SearchOptions::new(10).sort(sort);
///     snapshot.search_with(&Query::all(), &options)?.hits.ids()
/// };
/// assert_eq!(ids(Sort::ascending("price"))?, ["cup", "pot", "mat"]);
/// assert_eq!(ids(Sort::descending("price").missing_first())?, ["mat", "pot", "cup"]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    column: String,
    is_descending: bool,
    is_missing_first: bool,
}

impl Sort {
    /// The lowest value first. Of a document with several values the lowest counts; documents
    /// without a value are last.
    pub fn ascending(column: impl Into<String>) -> Self {
        Self {
            column: column.into(),
            is_descending: false,
            is_missing_first: false,
        }
    }

    /// The highest value first. Of a document with several values the highest counts; documents
    /// without a value are last.
    pub fn descending(column: impl Into<String>) -> Self {
        Self {
            is_descending: true,
            ..Self::ascending(column)
        }
    }

    /// Puts documents without a value first.
    #[must_use]
    pub fn missing_first(mut self) -> Self {
        self.is_missing_first = true;
        self
    }

    /// The column.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// The place of documents without a value, before or behind those with one.
    fn missing(&self) -> Key {
        match self.is_missing_first {
            true => Key(0, 0),
            false => Key(2, 0),
        }
    }

    fn key(&self, code: u64) -> Key {
        match self.is_descending {
            true => Key(1, !code),
            false => Key(1, code),
        }
    }
}

/// What a document is ordered by within a segment: the lower is the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u8, u64);

impl Key {
    /// The code that it was made of; `None` for a document without a value.
    fn code(self, sort: &Sort) -> Option<u64> {
        match self {
            Self(1, code) if sort.is_descending => Some(!code),
            Self(1, code) => Some(code),
            _ => None,
        }
    }
}

/// A cursor for each column; `None` where the segment does not have it.
type Cursors<'a> = Vec<Option<ColumnCursor<'a>>>;

#[inline]
fn key_of(sort: &Sort, cursor: Option<&mut ColumnCursor<'_>>, document: DocId) -> Result<Key> {
    let code = match cursor {
        Some(cursor) => cursor.extreme(document, sort.is_descending)?,
        None => None,
    };
    Ok(code.map_or_else(|| sort.missing(), |code| sort.key(code)))
}

/// A document that is kept, with its keys in the order of the sorts.
type Kept = (Vec<Key>, DocId);

/// What a document is ordered by across segments.
#[derive(Debug)]
struct Found {
    keys: Vec<Key>,
    /// The keywords among the values.
    keywords: Vec<Option<String>>,
    address: DocAddress,
}

/// A sort, with the number of its column.
struct Column<'a> {
    sort: &'a Sort,
    field: FieldNumber,
}

/// The first documents that match a query, in the order that the options ask for.
pub(super) fn search(
    snapshot: &Snapshot,
    query: &Query,
    options: &SearchOptions,
) -> Result<SearchResult> {
    let columns = options.sorts.iter().map(|sort| {
        let field = snapshot.schema().expect(&sort.column, FieldKind::Column)?;
        let field = field.number;
        Ok(Column { sort, field })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let matcher = Matcher::new(snapshot, query, options)?;
    let context = SearchContext::new(snapshot, options, options.filter.as_ref())?;
    let after = match options.after {
        Some(address) => Some(found_at(snapshot, &columns, address, options)?),
        None => None,
    };
    let mut found = Vec::new();
    for ordinal in 0..snapshot.segments().len() {
        options.check_cancelled()?;
        let documents = matcher.documents(ordinal)?;
        let mut segment = Segment::new(snapshot, &columns, ordinal);
        if let Some(after) = &after {
            segment.begin_after(after)?;
        }
        let task = context.task(ordinal, Part::WHOLE);
        let is_accepted = |document| task.accept.contains(document);
        let kept = segment.best(&documents, is_accepted, options)?;
        for (keys, document) in kept {
            found.push(segment.found(keys, document)?);
        }
    }
    found.sort_by(|a, b| a.compare(b, &columns));
    found.truncate(options.k);
    let scored = found.into_iter().map(|found| (found.address, 0.0));
    let hits = Hits::new(snapshot.clone(), scored.collect());
    Ok(SearchResult::new(hits, SearchStatistics::default()))
}

/// What a document of the snapshot is ordered by.
fn found_at(
    snapshot: &Snapshot,
    columns: &[Column<'_>],
    address: DocAddress,
    options: &SearchOptions,
) -> Result<Found> {
    options.check_cancelled()?;
    snapshot.segment(address)?;
    let segment = Segment::new(snapshot, columns, address.segment as usize);
    let mut keys = Vec::new();
    for ((sort, _), cursor) in segment.columns.iter().zip(&mut segment.cursors()) {
        keys.push(key_of(sort, cursor.as_mut(), address.document)?);
    }
    segment.found(keys, address.document)
}

impl Found {
    fn compare(&self, other: &Self, columns: &[Column<'_>]) -> Ordering {
        let keys = self.keys.iter().zip(&other.keys);
        let keywords = self.keywords.iter().zip(&other.keywords);
        let orders =
            keys.zip(keywords)
                .zip(columns)
                .map(|((keys, keywords), column)| match keywords {
                    (Some(a), Some(b)) if column.sort.is_descending => {
                        b.as_bytes().cmp(a.as_bytes())
                    }
                    (Some(a), Some(b)) => a.as_bytes().cmp(b.as_bytes()),
                    _ => keys.0.cmp(keys.1),
                });
        orders
            .fold(Ordering::Equal, Ordering::then)
            .then(self.address.cmp(&other.address))
    }
}

/// The columns of a segment.
struct Segment<'a> {
    ordinal: usize,
    columns: Vec<(&'a Sort, Option<&'a ColumnValues>)>,
    /// Documents up to this one are left out.
    after: Option<After>,
}

/// A document, perhaps of another segment, by the keys that it would have here.
struct After {
    /// With where a document stands that has the same key: before or behind, where it stands for a
    /// keyword that the segment does not have.
    keys: Vec<(Key, Ordering)>,
    address: DocAddress,
}

impl After {
    /// Whether a document is behind.
    fn is_before(&self, keys: &[Key], address: DocAddress) -> bool {
        let orders = keys.iter().zip(&self.keys);
        let orders = orders.map(|(key, (after, if_equal))| key.cmp(after).then(*if_equal));
        let order = orders.fold(Ordering::Equal, Ordering::then);
        order.then(address.cmp(&self.address)).is_gt()
    }
}

impl<'a> Segment<'a> {
    fn new(snapshot: &'a Snapshot, columns: &[Column<'a>], ordinal: usize) -> Self {
        let reader = &snapshot.segments()[ordinal].reader;
        let columns = columns.iter();
        let columns = columns.map(|column| (column.sort, reader.column(column.field)));
        Self {
            ordinal,
            columns: columns.collect(),
            after: None,
        }
    }

    /// Leaves out the documents up to this one.
    fn begin_after(&mut self, after: &Found) -> Result<()> {
        let mut keys = Vec::with_capacity(after.keys.len());
        let found = after.keys.iter().zip(&after.keywords);
        for ((sort, column), (key, keyword)) in self.columns.iter().zip(found) {
            let dictionary = column.and_then(ColumnValues::keywords);
            keys.push(match (keyword, dictionary) {
                (Some(keyword), Some(dictionary)) => {
                    let keyword = keyword.as_bytes();
                    let key = sort.key(dictionary.ceiling(keyword)?);
                    match dictionary.ordinal(keyword)? {
                        Some(_) => (key, Ordering::Equal),
                        // The next higher keyword stands here.
                        None if sort.is_descending => (key, Ordering::Less),
                        None => (key, Ordering::Greater),
                    }
                }
                _ => (*key, Ordering::Equal),
            });
        }
        self.after = Some(After {
            keys,
            address: after.address,
        });
        Ok(())
    }

    fn address(&self, document: DocId) -> DocAddress {
        DocAddress {
            segment: u32::try_from(self.ordinal).unwrap_or(u32::MAX),
            document,
        }
    }

    fn cursors(&self) -> Cursors<'a> {
        let cursors = self.columns.iter();
        let cursors = cursors.map(|(_, column)| column.map(ColumnCursor::new));
        cursors.collect()
    }

    /// The best of these documents, in no order.
    fn best(
        &self,
        documents: &DocSet,
        is_accepted: impl Fn(DocId) -> bool,
        options: &SearchOptions,
    ) -> Result<Vec<Kept>> {
        let mut cursors = self.cursors();
        // The worst of those that are kept is on top; of equal ones the last document is.
        let mut kept: BinaryHeap<Kept> = BinaryHeap::new();
        // Its first key, when there are enough.
        let mut worst: Option<Key> = None;
        let step = ColumnValues::BOUNDED_DOCUMENTS;
        for first in (0..documents.documents()).step_by(step as usize) {
            options.check_cancelled()?;
            if self.is_behind(first)? {
                continue;
            }
            if !self.may_enter(first, worst)? {
                continue;
            }
            let words = documents.words_from(first, step);
            self.visit_block(&mut cursors, first, words, |cursors, document, key| {
                let is_good = worst.is_none_or(|worst| match self.columns.len() {
                    // Ties go to the lower document, which is kept.
                    1 => key < worst,
                    _ => key <= worst,
                });
                if is_good && is_accepted(document) {
                    let keys = self.keys(cursors, document, key)?;
                    self.keep(&mut kept, (keys, document), options.k);
                    let is_full = kept.len() >= options.k;
                    worst = kept.peek().filter(|_| is_full).map(|(keys, _)| keys[0]);
                }
                Ok(())
            })?;
        }
        Ok(kept.into_vec())
    }

    /// Whether a document of a block can be better than the worst that is kept. Ties go to the
    /// lower document, which is the one that is kept, unless there are other columns to look at.
    fn may_enter(&self, first: DocId, worst: Option<Key>) -> Result<bool> {
        let Some((sort, Some(column))) = self.columns.first() else {
            return Ok(true);
        };
        let Some(worst) = worst else {
            return Ok(true);
        };
        let Some((min, max)) = column.bounds_near(first)? else {
            return Ok(true);
        };
        let best = sort.key(if sort.is_descending { max } else { min });
        Ok(match self.columns.len() {
            1 => best < worst,
            _ => best <= worst,
        })
    }

    /// Whether all documents of a block stand before the one behind which the search begins.
    fn is_behind(&self, first: DocId) -> Result<bool> {
        let (Some(after), Some((sort, Some(column)))) = (&self.after, self.columns.first()) else {
            return Ok(false);
        };
        let (Some((min, max)), Some((key, _))) = (column.bounds_near(first)?, after.keys.first())
        else {
            return Ok(false);
        };
        Ok(sort.key(if sort.is_descending { min } else { max }) < *key)
    }

    /// Calls `visit` with the other cursors, and with documents of a block and their first keys.
    #[inline]
    fn visit_block(
        &self,
        cursors: &mut Cursors<'_>,
        first: DocId,
        words: &[u64],
        mut visit: impl FnMut(&mut [Option<ColumnCursor<'_>>], DocId, Key) -> Result<()>,
    ) -> Result<()> {
        let (Some((sort, _)), Some((cursor, others))) =
            (self.columns.first(), cursors.split_first_mut())
        else {
            return Ok(());
        };
        if let Some(cursor) = cursor
            && cursor.visit_block(first, words, |document, code| {
                visit(others, document, sort.key(code))
            })?
        {
            return Ok(());
        }
        for document in documents_of(first, words) {
            let key = key_of(sort, cursor.as_mut(), document)?;
            visit(others, document, key)?;
        }
        Ok(())
    }

    /// Adds a document, unless it is not behind the one at which the search begins, and drops the
    /// worst if there are more than `k` then.
    fn keep(&self, kept: &mut BinaryHeap<Kept>, (keys, document): Kept, k: usize) {
        let address = self.address(document);
        let after = self.after.as_ref();
        if after.is_none_or(|after| after.is_before(&keys, address)) {
            kept.push((keys, document));
            if kept.len() > k {
                kept.pop();
            }
        }
    }

    /// The keys of a document, of which the first is known.
    fn keys(
        &self,
        others: &mut [Option<ColumnCursor<'_>>],
        document: DocId,
        first: Key,
    ) -> Result<Vec<Key>> {
        let mut keys = vec![first];
        for ((sort, _), cursor) in self.columns.iter().skip(1).zip(others) {
            keys.push(key_of(sort, cursor.as_mut(), document)?);
        }
        Ok(keys)
    }

    /// What a document that is kept is compared by with those of other segments.
    fn found(&self, keys: Vec<Key>, document: DocId) -> Result<Found> {
        let keywords = self.columns.iter().zip(&keys).map(|((sort, column), key)| {
            match (column, key.code(sort)) {
                (Some(column), Some(code)) if column.keywords().is_some() => {
                    match column.value(code)? {
                        Value::Keyword(keyword) => Ok(Some(keyword)),
                        _ => Ok(None),
                    }
                }
                _ => Ok(None),
            }
        });
        Ok(Found {
            keywords: keywords.collect::<Result<_>>()?,
            keys,
            address: self.address(document),
        })
    }
}
