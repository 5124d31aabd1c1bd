//! Documents of a batch become what a segment is made of: ids, and what each field kind makes of
//! them.
//!
//! This is where indexing spends its time, and it runs on as many threads as the writer was given:
//! each has an [`Inverter`] of its own, and a batch's result depends on its documents alone.

use super::document::Document;
use super::fields::{FieldInverter, InvertedField, id};
use crate::error::Result;
use crate::format::{DocId, FieldNumber, Schema, count32};
use crate::text::Analyzer;

/// The inverted documents of a batch.
pub struct InvertedBatch {
    /// Number of documents.
    pub documents: u32,
    pub(super) ids: id::Inverted,
    fields: Vec<(FieldNumber, InvertedField)>,
}

impl InvertedBatch {
    /// The external id of a document.
    pub fn id(&self, document: DocId) -> &[u8] {
        self.ids.get(document)
    }

    /// About how many bytes of memory the batch takes; depends on its documents alone, so that it
    /// may decide where segments end.
    pub fn memory(&self) -> usize {
        let fields = self.fields.iter().map(|(_, field)| field.memory());
        self.ids.memory() + fields.sum::<usize>()
    }

    /// What the batch holds of a field.
    pub(super) fn field(&self, field: FieldNumber) -> Option<&InvertedField> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(number, _)| *number == field);
        found.map(|(_, inverted)| inverted)
    }
}

/// Inverts batches, one after another, on one thread.
pub struct Inverter {
    fields: Vec<(FieldNumber, FieldInverter)>,
    /// Bytes of words and terms that a field remembers from batch to batch.
    max_memory: usize,
}

/// Remembering more words than this many bytes of them hardly helps.
const MAX_USEFUL_MEMORY: usize = 16 << 20;

impl Inverter {
    /// An inverter for a schema; `analyzers` holds one for each text field, in order. It remembers
    /// words in about `memory` bytes, which changes its speed and nothing else.
    pub fn new(schema: &Schema, analyzers: &[Analyzer], memory: usize) -> Self {
        let mut analyzers = analyzers.iter();
        let mut fields = Vec::new();
        for field in schema.fields() {
            let inverter = FieldInverter::new(field, &mut analyzers);
            fields.extend(inverter.map(|inverter| (field.number, inverter)));
        }
        let remembering = fields.iter().filter(|(_, field)| field.remembers_terms());
        let max_memory = (memory / remembering.count().max(1)).min(MAX_USEFUL_MEMORY);
        Self { fields, max_memory }
    }

    /// Inverts a batch of documents that were [checked](Document::check) against the schema.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`](crate::Error::Limit) when a stored document does not fit a block, or there
    /// are more documents than a `u32` counts.
    pub fn invert(&mut self, documents: &[Document]) -> Result<InvertedBatch> {
        let ids = id::invert(documents)?;
        let fields = self.fields.iter_mut().map(|(number, field)| {
            let inverted = field.invert(documents, self.max_memory)?;
            Ok((*number, inverted))
        });
        Ok(InvertedBatch {
            documents: count32("documents of a batch", documents.len())?,
            ids,
            fields: fields.collect::<Result<_>>()?,
        })
    }
}
