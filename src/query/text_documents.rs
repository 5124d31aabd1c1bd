//! Which documents have the words of a query, without scores.

use std::sync::Arc;

use super::lists::{documents_of, for_each_block, for_each_in_all, remove_all, retain};
use crate::doc_set::{DocSet, Inserter};
use crate::error::Result;
use crate::format::DocId;
use crate::format::block_list::BlockList;
use crate::format::dictionary::TermEntry;
use crate::format::text_postings::TextBlockEntry;
use crate::segment::{SegmentReader, TextField};

type TextBlocks<'a> = BlockList<'a, TextBlockEntry>;

/// Looking a document up in a list takes about as long as adding this many postings to a set.
const LOOK_UP_COST: u64 = 8;

/// The lists of some words in a segment, of which documents must have any or all.
pub(super) struct WordDocuments<'a> {
    /// By rising length.
    lists: Vec<TextBlocks<'a>>,
    /// Documents of the segment.
    documents: u32,
    must_have_all: bool,
}

impl<'a> WordDocuments<'a> {
    pub fn new(mut lists: Vec<TextBlocks<'a>>, documents: u32, must_have_all: bool) -> Self {
        lists.sort_by_key(BlockList::len);
        Self {
            lists,
            documents,
            must_have_all,
        }
    }

    /// No documents.
    pub fn none(documents: u32) -> Self {
        Self::new(Vec::new(), documents, false)
    }

    /// The documents as a set.
    pub fn set(self) -> Result<Arc<DocSet>> {
        let mut set = DocSet::empty(self.documents);
        set.insert_lists(|set| match self.must_have_all {
            true => for_each_in_all(&self.lists, self.documents, |all| set.insert(all)),
            false => self.lists.iter().try_for_each(|list| add_list(list, set)),
        })?;
        Ok(Arc::new(set))
    }

    /// The documents as a list that rises.
    pub fn listed(self) -> Result<Vec<DocId>> {
        match &self.lists[..] {
            [] => Ok(Vec::new()),
            [list] => documents_of(list),
            lists if self.must_have_all => {
                let mut documents = Vec::new();
                for_each_in_all(lists, self.documents, |all| {
                    documents.extend_from_slice(all)
                })?;
                Ok(documents)
            }
            _ => Ok(self.set()?.iter().collect()),
        }
    }

    /// How many documents there are.
    pub fn count(mut self) -> Result<u32> {
        if self.must_have_all {
            let mut count = 0;
            for_each_in_all(&self.lists, self.documents, |all| count += all.len() as u32)?;
            return Ok(count);
        }
        let Some(longest) = self.lists.pop() else {
            return Ok(0);
        };
        let others = self.lists.iter().map(|list| u64::from(list.len()));
        if others.sum::<u64>() * LOOK_UP_COST > u64::from(longest.len()) {
            self.lists.push(longest);
            return Ok(self.set()?.count());
        }
        // The documents of the longest list need not be looked at, but for those of the others.
        let mut others = self.listed()?;
        retain(&longest, &mut others, false)?;
        Ok(longest.len() + others.len() as u32)
    }

    /// Of documents that rise, keeps those that are among these, or those that are not.
    pub fn retain(self, documents: &mut Vec<DocId>, are_kept: bool) -> Result<()> {
        match &self.lists[..] {
            [] => {
                documents.retain(|_| !are_kept);
                return Ok(());
            }
            [list] => return retain(list, documents, are_kept),
            lists if self.must_have_all => {
                let mut found = documents.clone();
                for list in lists {
                    retain(list, &mut found, true)?;
                }
                match are_kept {
                    true => *documents = found,
                    false => remove_all(documents, &found),
                }
                return Ok(());
            }
            _ => {}
        }
        let postings: u64 = self.lists.iter().map(|list| u64::from(list.len())).sum();
        let look_ups = documents.len() as u64 * self.lists.len() as u64;
        if look_ups * LOOK_UP_COST > postings {
            let set = self.set()?;
            documents.retain(|document| set.contains(*document) == are_kept);
            return Ok(());
        }
        let mut others = documents.clone();
        for list in &self.lists {
            retain(list, &mut others, false)?;
        }
        match are_kept {
            true => remove_all(documents, &others),
            false => *documents = others,
        }
        Ok(())
    }
}

/// Adds the documents of a list to a set.
fn add_list(list: &TextBlocks<'_>, set: &mut Inserter<'_>) -> Result<()> {
    if !set.is_dense(list.len()) {
        return for_each_block(list, |documents| set.insert(documents));
    }
    let mut flags = set.flags();
    let added = for_each_block(list, |documents| flags.insert(documents));
    flags.finish();
    added
}

/// Adds the documents that have a term to a set.
pub(super) fn add_documents(
    reader: &SegmentReader,
    field: &TextField,
    entry: &TermEntry,
    set: &mut Inserter<'_>,
) -> Result<()> {
    add_list(&field.list(reader.documents(), entry)?.blocks, set)
}

/// Adds the documents that have any of these terms to a set.
pub(super) fn add_terms(
    reader: &SegmentReader,
    field: &TextField,
    terms: &[String],
    set: &mut Inserter<'_>,
) -> Result<()> {
    let mut terms = terms.iter();
    terms.try_for_each(|term| match field.terms.term(term.as_bytes())? {
        Some(entry) => add_documents(reader, field, &entry, set),
        None => Ok(()),
    })
}
