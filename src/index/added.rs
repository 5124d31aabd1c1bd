//! Which documents of a segment were added since the last commit.
//!
//! A second document with the id of such a document is a duplicate within the load; a document of
//! an earlier commit is simply replaced. A merge may mix both, so this is tracked per document, not
//! per segment.

use std::sync::Arc;

use crate::format::DocId;
use crate::segment::DocumentMap;

/// Documents of a segment that were added since the last commit.
#[derive(Clone, Debug)]
pub(super) enum Added {
    Nothing,
    Everything,
    /// A bitmap with one bit per document.
    Some(Arc<[u64]>),
}

impl Added {
    pub fn contains(&self, document: DocId) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Some(words) => {
                let word = words.get((document / 64) as usize);
                word.is_some_and(|word| word >> (document % 64) & 1 == 1)
            }
        }
    }

    /// The added documents of a merged segment of `documents` documents. `sources` has, for each
    /// source, its added documents, its number of documents, and their new numbers.
    pub fn merged<'a>(
        documents: u32,
        sources: impl Iterator<Item = (&'a Self, u32, &'a DocumentMap)> + Clone,
    ) -> Self {
        let all = |matches: fn(&Self) -> bool| sources.clone().all(|(added, _, _)| matches(added));
        if all(|added| matches!(added, Self::Nothing)) {
            return Self::Nothing;
        }
        if all(|added| matches!(added, Self::Everything)) {
            return Self::Everything;
        }
        let mut words = vec![0u64; (documents as usize).div_ceil(64)];
        for (added, count, map) in sources {
            let here = (0..count).filter(|document| added.contains(*document));
            for document in here.filter_map(|document| map.get(document)) {
                if let Some(word) = words.get_mut((document / 64) as usize) {
                    *word |= 1 << (document % 64);
                }
            }
        }
        Self::Some(words.into())
    }
}
