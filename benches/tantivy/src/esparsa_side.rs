//! The collection in esparsa: one text field, one segment, no stored documents.

use std::path::Path;

use esparsa::text::Analyzer;
use esparsa::{
    Algorithm, Bm25, DocAddress, Document, Index, Query, Schema, SearchOptions, Snapshot,
    WriterOptions,
};

use crate::Result;
use crate::collection::Collection;

/// The parameters that tantivy has built in.
const BM25: Bm25 = Bm25 { k1: 1.2, b: 0.75 };
const FIELD: &str = "text";

pub struct EsparsaSide {
    snapshot: Snapshot,
    options: SearchOptions,
}

impl EsparsaSide {
    pub fn build(
        folder: &Path,
        collection: &Collection,
        analyzer: &Analyzer,
        memory: usize,
        k: usize,
    ) -> Result<Self> {
        let index = Index::create(folder, Schema::new().text(FIELD, analyzer.name())?)?;
        let mut writer = index.writer_with(WriterOptions {
            threads: 1,
            memory,
            ..WriterOptions::default()
        })?;
        for document in &collection.documents {
            writer.add(Document::new(&document.id).with_text(FIELD, &document.text))?;
        }
        writer.merge_to(1)?;
        writer.commit()?;
        Ok(Self {
            snapshot: index.snapshot()?,
            options: SearchOptions::new(k),
        })
    }

    /// Leaves the choice of algorithm to the planner no more.
    pub fn force(&mut self, algorithm: Algorithm) {
        self.options = self.options.algorithm(algorithm);
    }

    pub fn segments(&self) -> usize {
        self.snapshot.segments().len()
    }

    /// External ids of the best documents, and where they are.
    pub fn search(&self, text: &str) -> Result<(Vec<String>, Vec<DocAddress>)> {
        let query = Query::text(FIELD, text).with_bm25(BM25);
        let hits = self.snapshot.search_with(&query, &self.options)?.hits;
        Ok(hits.into_iter().map(|hit| (hit.id, hit.address)).unzip())
    }

    /// External ids of documents found before.
    pub fn ids(&self, addresses: &[DocAddress]) -> Result<Vec<String>> {
        let ids = addresses.iter().map(|address| self.snapshot.id(*address));
        Ok(ids.collect::<esparsa::Result<_>>()?)
    }
}
