//! Removes an index without commits.

use super::IndexWriter;
use crate::error::Result;
use crate::format::manifest::file_number;
use crate::index::Index;
use crate::store::Directory;

/// Number of the commit that creates an index.
const CREATION: u64 = 1;

impl Index {
    /// True if a directory holds an index, intact or damaged.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) when the directory cannot be listed.
    pub fn exists_in(directory: &dyn Directory) -> Result<bool> {
        let names = directory.list()?;
        Ok(names.iter().any(|name| is_manifest(name)))
    }
}

impl IndexWriter {
    /// Removes the index if nothing was committed since it was created, so that an index with other
    /// fields can be created in its directory. Otherwise it leaves the index and returns false.
    /// Uncommitted documents are lost in both cases.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) when a file cannot be removed.
    pub fn discard_new_index(self) -> Result<bool> {
        if self.last_commit != CREATION {
            return Ok(false);
        }
        let names = self.directory.list()?;
        for name in names.iter().filter(|name| is_manifest(name)) {
            self.directory.remove(name)?;
        }
        Ok(true)
    }
}

fn is_manifest(name: &str) -> bool {
    file_number(name, "manifest").is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::store::Memory;
    use crate::{Document, Index, IndexOptions, Schema, Text};

    #[test]
    fn only_an_index_without_commits_is_discarded() {
        let directory = Arc::new(Memory::new());
        let schema = || {
            Schema::builder()
                .text("text", Text::new().analyzer("english"))
                .build()
                .unwrap()
        };
        assert!(!Index::exists_in(&*directory).unwrap());
        let create = || Index::create_in(directory.clone(), schema(), IndexOptions::new());

        let index = create().unwrap();
        assert!(Index::exists_in(&*directory).unwrap());
        let mut writer = index.writer().unwrap();
        writer.add(Document::new("a")).unwrap();
        assert!(writer.discard_new_index().unwrap());
        assert!(!Index::exists_in(&*directory).unwrap());

        let index = create().unwrap();
        let mut writer = index.writer().unwrap();
        writer.add(Document::new("a")).unwrap();
        writer.commit().unwrap();
        assert!(!writer.discard_new_index().unwrap());
        assert_eq!(index.snapshot().unwrap().documents(), 1);
    }
}
