//! The documents of a segment that match.
//!
//! Where documents must match several queries, the one that few documents match is evaluated first,
//! and its documents are looked up in the others; where all of them match many, they are evaluated
//! as sets. Sets are kept with their segment, so that a filter that comes again costs next to
//! nothing.
//!
//! Deletes are not regarded unless it says so: a search looks at them anyway.

use std::sync::Arc;

use super::{Matcher, Node};
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::format::DocId;
use crate::query::accept::Filter;
use crate::query::prepare::Prepared;
use crate::segment::SegmentReader;

/// A list is kept, and its documents are looked up, where it has at most one in this many documents
/// of the segment.
const FEW: u32 = 16;

/// Documents of a segment.
enum Documents {
    Set(Arc<DocSet>),
    /// Few, which rise.
    List(Vec<DocId>),
}

impl Documents {
    fn count(&self) -> u32 {
        match self {
            Self::Set(set) => set.count(),
            Self::List(list) => list.len() as u32,
        }
    }

    fn into_set(self, documents: u32) -> Arc<DocSet> {
        match self {
            Self::Set(set) => set,
            Self::List(list) => {
                let mut set = DocSet::empty(documents);
                for document in list {
                    set.insert(document);
                }
                Arc::new(set)
            }
        }
    }

    fn into_list(self) -> Vec<DocId> {
        match self {
            Self::Set(set) => set.iter().collect(),
            Self::List(list) => list,
        }
    }

    /// Keeps those that are in a set, or those that are not.
    fn keep(&mut self, other: &DocSet, are_kept: bool) {
        match self {
            Self::Set(set) if are_kept => Arc::make_mut(set).intersect(other),
            Self::Set(set) => Arc::make_mut(set).subtract(other),
            Self::List(list) => list.retain(|document| other.contains(*document) == are_kept),
        }
    }
}

/// A query of several that documents must match.
#[derive(Clone, Copy)]
enum Part<'m, 'a> {
    /// A query without its filters.
    Node(&'m Node<'a>),
    Matcher(&'m Matcher<'a>),
}

impl<'a> Matcher<'a> {
    /// The documents of a segment that match, deleted ones included.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when bytes that must be read are damaged.
    pub fn documents(&self, ordinal: usize) -> Result<Arc<DocSet>> {
        Ok(self
            .find(ordinal)?
            .into_set(self.reader(ordinal).documents()))
    }

    /// The live documents of a segment that match, and that a filter accepts.
    ///
    /// # Errors
    ///
    /// As [`documents`](Self::documents).
    pub fn live_documents(&self, ordinal: usize, filter: Option<&Filter>) -> Result<Arc<DocSet>> {
        let live = self.find_live(ordinal, filter)?;
        Ok(live.into_set(self.reader(ordinal).documents()))
    }

    fn find_live(&self, ordinal: usize, filter: Option<&Filter>) -> Result<Documents> {
        let mut documents = self.find(ordinal)?;
        if let Some(deleted) = &self.snapshot.segments()[ordinal].deleted {
            documents.keep(deleted, false);
        }
        if let Some(accepted) = filter.and_then(|filter| filter.set(ordinal)) {
            documents.keep(accepted, true);
        }
        Ok(documents)
    }

    /// How many live documents of a segment match, and are accepted by a filter.
    ///
    /// # Errors
    ///
    /// As [`documents`](Self::documents).
    pub fn count(&self, ordinal: usize, filter: Option<&Filter>) -> Result<u32> {
        let is_deleted = self.snapshot.segments()[ordinal].deleted.is_some();
        if let Some(query) = self
            .scored_alone()
            .filter(|_| filter.is_none() && !is_deleted)
            && let Some(count) = query.count(ordinal)?
        {
            return Ok(count);
        }
        Ok(self.find_live(ordinal, filter)?.count())
    }

    /// A lower bound of [`count`](Self::count) without a filter, as far as one is known without
    /// looking at documents.
    pub fn min_count(&self, ordinal: usize) -> u32 {
        let known = self.scored_alone().map(|query| query.min_count(ordinal));
        let deleted = self.snapshot.segments()[ordinal].deleted_count();
        known.map_or(0, |known| known.saturating_sub(deleted))
    }

    /// The query of words or a vector that this is, without filters.
    fn scored_alone(&self) -> Option<&(dyn Prepared + 'a)> {
        let has_filters = !self.filters.is_empty() || !self.excluded.is_empty();
        match &self.node {
            Node::Scored(query, _) if !has_filters => Some(&**query),
            _ => None,
        }
    }

    fn reader(&self, ordinal: usize) -> &'a SegmentReader {
        &self.snapshot.segments()[ordinal].reader
    }

    /// The queries that documents must match.
    fn parts(&self) -> Vec<Part<'_, 'a>> {
        let own: Vec<Part<'_, 'a>> = match &self.node {
            Node::All => Vec::new(),
            Node::AllOf(matchers) => matchers.iter().map(Part::Matcher).collect(),
            node => vec![Part::Node(node)],
        };
        own.into_iter()
            .chain(self.filters.iter().map(Part::Matcher))
            .collect()
    }

    fn find(&self, ordinal: usize) -> Result<Documents> {
        let reader = self.reader(ordinal);
        let mut parts = self.parts();
        if parts.len() > 1 {
            parts.sort_by_cached_key(|part| part.estimate(reader, ordinal));
        }
        let mut parts = parts.into_iter();
        let mut found = match parts.next() {
            Some(first) => first.find(reader, ordinal)?,
            None => Documents::Set(Arc::new(DocSet::full(reader.documents()))),
        };
        for part in parts {
            found = part.narrow(found, reader, ordinal, true)?;
        }
        for excluded in &self.excluded {
            found = Part::Matcher(excluded).narrow(found, reader, ordinal, false)?;
        }
        Ok(found)
    }
}

impl Part<'_, '_> {
    fn documents(self, reader: &SegmentReader, ordinal: usize) -> Result<Arc<DocSet>> {
        Ok(self.find(reader, ordinal)?.into_set(reader.documents()))
    }

    fn find(self, reader: &SegmentReader, ordinal: usize) -> Result<Documents> {
        match self {
            Self::Matcher(matcher) => matcher.find(ordinal),
            Self::Node(node) => node.find(reader, ordinal),
        }
    }

    /// About how many documents match; the order in which parts are evaluated follows.
    fn estimate(self, reader: &SegmentReader, ordinal: usize) -> u32 {
        match self {
            Self::Node(node) => node.estimate(reader, ordinal),
            Self::Matcher(matcher) => {
                let parts = matcher.parts();
                let estimates = parts.iter().map(|part| part.estimate(reader, ordinal));
                estimates.min().unwrap_or(reader.documents())
            }
        }
    }

    /// Of the documents found, keeps those that match, or those that do not.
    fn narrow(
        self,
        mut found: Documents,
        reader: &SegmentReader,
        ordinal: usize,
        are_kept: bool,
    ) -> Result<Documents> {
        if found.count() > reader.documents() / FEW {
            found.keep(&*self.documents(reader, ordinal)?, are_kept);
            return Ok(found);
        }
        let mut list = found.into_list();
        if !list.is_empty() {
            self.retain(&mut list, reader, ordinal, are_kept)?;
        }
        Ok(Documents::List(list))
    }

    /// Of documents that rise, keeps those that match, or those that do not.
    fn retain(
        self,
        list: &mut Vec<DocId>,
        reader: &SegmentReader,
        ordinal: usize,
        are_kept: bool,
    ) -> Result<()> {
        match self {
            Self::Node(node) => node.retain(list, reader, ordinal, are_kept),
            Self::Matcher(matcher) => {
                let mut parts = matcher.parts();
                match &mut parts[..] {
                    [part] if matcher.excluded.is_empty() => {
                        part.retain(list, reader, ordinal, are_kept)
                    }
                    _ if are_kept => {
                        parts.sort_by_cached_key(|part| part.estimate(reader, ordinal));
                        let excluded = matcher.excluded.iter().map(Part::Matcher);
                        let excluded = excluded.map(|part| (part, false));
                        let parts = parts.into_iter().map(|part| (part, true));
                        for (part, are_kept) in parts.chain(excluded) {
                            if !list.is_empty() {
                                part.retain(list, reader, ordinal, are_kept)?;
                            }
                        }
                        Ok(())
                    }
                    _ => {
                        let documents = matcher.documents(ordinal)?;
                        list.retain(|document| !documents.contains(*document));
                        Ok(())
                    }
                }
            }
        }
    }
}

impl Node<'_> {
    fn estimate(&self, reader: &SegmentReader, ordinal: usize) -> u32 {
        let documents = reader.documents();
        if let Some(set) = self.known_set(reader) {
            return set.count();
        }
        match self {
            Self::Ids(ids) => u32::try_from(ids.len()).unwrap_or(u32::MAX),
            Self::Scored(query, _) => query.max_count(ordinal).min(documents),
            // What is not known yet takes less time than a query that many documents match, and more
            // than one that few do.
            Self::Field(..) => documents / FEW,
            Self::All | Self::AllOf(_) | Self::AnyOf(_) | Self::AtLeast(..) => documents,
        }
    }

    fn find(&self, reader: &SegmentReader, ordinal: usize) -> Result<Documents> {
        if let Self::Scored(query, _) = self
            && query.max_count(ordinal) <= reader.documents() / FEW
            && let Some(list) = query.listed(ordinal)?
        {
            return Ok(Documents::List(list));
        }
        Ok(Documents::Set(self.set(reader, ordinal)?))
    }

    fn retain(
        &self,
        list: &mut Vec<DocId>,
        reader: &SegmentReader,
        ordinal: usize,
        are_kept: bool,
    ) -> Result<()> {
        let is_done = match self {
            _ if self.known_set(reader).is_some() => false,
            Self::Scored(query, _) => query.retain(ordinal, list, are_kept)?,
            Self::Field(field, in_field, _) => in_field.retain(reader, *field, list, are_kept)?,
            _ => false,
        };
        if is_done {
            return Ok(());
        }
        let set = self.set(reader, ordinal)?;
        list.retain(|document| set.contains(*document) == are_kept);
        Ok(())
    }

    /// The set of the documents, where it was made before.
    fn known_set(&self, reader: &SegmentReader) -> Option<Arc<DocSet>> {
        match self {
            Self::Scored(_, key) | Self::Field(_, _, key) => reader.known_set(key),
            _ => None,
        }
    }

    fn set(&self, reader: &SegmentReader, ordinal: usize) -> Result<Arc<DocSet>> {
        match self {
            Self::All => Ok(Arc::new(DocSet::full(reader.documents()))),
            Self::Ids(ids) => {
                let mut set = DocSet::empty(reader.documents());
                for id in ids {
                    if let Some(document) = reader.ids().document(id)? {
                        set.insert(document);
                    }
                }
                Ok(Arc::new(set))
            }
            Self::AllOf(matchers) => {
                let mut set: Option<Arc<DocSet>> = None;
                for matcher in matchers {
                    let next = matcher.documents(ordinal)?;
                    match &mut set {
                        Some(set) => Arc::make_mut(set).intersect(&next),
                        None => set = Some(next),
                    }
                }
                Ok(set.unwrap_or_else(|| Arc::new(DocSet::full(reader.documents()))))
            }
            Self::AnyOf(matchers) => {
                let mut set = Arc::new(DocSet::empty(reader.documents()));
                for matcher in matchers {
                    let next = matcher.documents(ordinal)?;
                    match set.is_empty() {
                        true => set = next,
                        false => Arc::make_mut(&mut set).unite(&next),
                    }
                }
                Ok(set)
            }
            Self::AtLeast(matchers, minimum) => at_least(matchers, *minimum, reader, ordinal),
            Self::Scored(query, key) => reader.cached_set(key, || query.matching(ordinal)),
            Self::Field(field, in_field, key) => {
                reader.cached_set(key, || in_field.documents(reader, *field))
            }
        }
    }
}

/// The documents that match at least `minimum` of some queries.
fn at_least(
    matchers: &[Matcher<'_>],
    minimum: usize,
    reader: &SegmentReader,
    ordinal: usize,
) -> Result<Arc<DocSet>> {
    let mut counts = vec![0_u32; reader.documents() as usize];
    for matcher in matchers {
        for document in matcher.documents(ordinal)?.iter() {
            counts[document as usize] += 1;
        }
    }
    let mut set = DocSet::empty(reader.documents());
    for (document, count) in (0..).zip(counts) {
        if count as usize >= minimum {
            set.insert(document);
        }
    }
    Ok(Arc::new(set))
}
