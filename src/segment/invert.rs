//! Documents of a batch become sorted terms with postings, and rows of numbers.
//!
//! This is where indexing spends its time, and it runs on as many threads as the writer was given: each
//! has an [`Inverter`] of its own, and a batch's result depends on its documents alone.

use std::ops::Range;

use super::document::{Document, FieldValue};
use super::head::Head;
use super::interner::{Interner, Strings};
use super::term_table::{FieldPostings, TermTable};
use crate::error::Result;
use crate::format::dense::{DenseRows, DenseShape};
use crate::format::impact::ExponentCounts;
use crate::format::limits::MAX_TEXT_TERM_BYTES;
use crate::format::stored::{StoredBlock, StoredPacker};
use crate::format::{DocId, FieldNumber, FieldOptions, Schema, lengths};
use crate::text::Analyzer;

/// What became of the documents of a batch.
pub struct InvertedBatch {
    /// Number of documents.
    pub documents: u32,
    pub(super) ids: Strings,
    /// Documents by rising id; of equal ids the last document added is last.
    pub(super) by_id: Vec<DocId>,
    pub(super) fields: Vec<InvertedField>,
    /// The rows of each dense field.
    pub(super) dense: Vec<(FieldNumber, DenseRows)>,
    pub(super) stored: Option<Vec<StoredBlock>>,
}

/// One field of a batch.
pub(super) struct InvertedField {
    pub number: FieldNumber,
    pub postings: FieldPostings,
    /// Length codes, for a text field.
    pub lengths: Option<Vec<u8>>,
    /// Terms too long.
    pub left_out: u64,
    /// Which exponents the weights of a sparse field need, see
    /// [`ExponentCounts::needed`](crate::format::impact::ExponentCounts::needed).
    pub exponents: Option<Vec<(i16, u64)>>,
}

impl InvertedBatch {
    /// The external id of a document.
    pub fn id(&self, document: DocId) -> &[u8] {
        self.ids.get(document)
    }

    /// About how many bytes of memory the batch takes; depends on its documents alone, so that it may
    /// decide where segments end.
    pub fn memory(&self) -> usize {
        let fields = self
            .fields
            .iter()
            .map(|field| field.postings.memory() + field.lengths.as_ref().map_or(0, Vec::len));
        let stored = self.stored.iter().flatten().map(|b| b.frame.len() + 32);
        let dense = self.dense.iter().map(|(_, rows)| rows.memory());
        let lists = fields.sum::<usize>() + dense.sum::<usize>();
        self.ids.memory() + 4 * self.by_id.len() + lists + stored.sum::<usize>()
    }
}

/// Inverts batches, one after another, on one thread.
pub struct Inverter {
    fields: Vec<FieldInverter>,
    dense: Vec<DenseField>,
    stores: bool,
    /// Bytes of words and terms that a field remembers from batch to batch.
    most_memory: usize,
}

/// Remembering more words than this many bytes of them hardly helps.
const MOST_USEFUL_MEMORY: usize = 16 << 20;

struct FieldInverter {
    number: FieldNumber,
    name: String,
    table: TermTable,
    kind: FieldInverterKind,
}

struct DenseField {
    number: FieldNumber,
    name: String,
    shape: DenseShape,
}

enum FieldInverterKind {
    Text(Box<WordCache>),
    Sparse {
        scale: f32,
        exponents: ExponentCounts,
    },
}

impl Inverter {
    /// An inverter for a schema; `analyzers` holds one for each text field, in order. It remembers words
    /// in about `memory` bytes, which changes its speed and nothing else.
    pub fn new(schema: &Schema, analyzers: &[Analyzer], memory: usize) -> Self {
        let mut analyzers = analyzers.iter();
        let mut fields = Vec::new();
        for field in schema.fields() {
            let kind = match &field.options {
                FieldOptions::Text(_) => analyzers
                    .next()
                    .map(|a| FieldInverterKind::Text(Box::new(WordCache::new(a.clone())))),
                FieldOptions::Sparse(sparse) => Some(FieldInverterKind::Sparse {
                    scale: sparse.scale,
                    exponents: ExponentCounts::default(),
                }),
                FieldOptions::Dense(_) | FieldOptions::Stored(_) | FieldOptions::Unknown { .. } => {
                    None
                }
            };
            fields.extend(kind.map(|kind| FieldInverter {
                number: field.number,
                name: field.name.clone(),
                table: TermTable::default(),
                kind,
            }));
        }
        let dense = schema.fields().iter().filter_map(|field| {
            Some(DenseField {
                number: field.number,
                name: field.name.clone(),
                shape: field.options.dense_shape()?,
            })
        });
        let most_memory = (memory / fields.len().max(1)).min(MOST_USEFUL_MEMORY);
        Self {
            fields,
            dense: dense.collect(),
            stores: schema.stored_field().is_some(),
            most_memory,
        }
    }

    /// Inverts a batch of documents that were [checked](Document::check) against the schema.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`](crate::Error::Limit) when a stored document does not fit a block.
    pub fn invert(&mut self, documents: &[Document]) -> Result<InvertedBatch> {
        let mut ids = Strings::default();
        for document in documents {
            ids.push(document.id().as_bytes());
        }
        let count = u32::try_from(documents.len()).unwrap_or(u32::MAX);
        let by_id = order_by_id(&ids, count);
        let fields = self
            .fields
            .iter_mut()
            .map(|field| field.invert(documents, self.most_memory))
            .collect();
        let stored = self.stores.then(|| store(documents)).transpose()?;
        Ok(InvertedBatch {
            documents: count,
            ids,
            by_id,
            fields,
            dense: self.dense.iter().map(|f| f.rows(documents)).collect(),
            stored,
        })
    }
}

impl DenseField {
    /// The rows of a batch's documents.
    fn rows(&self, documents: &[Document]) -> (FieldNumber, DenseRows) {
        let mut rows = DenseRows::default();
        for (number, document) in (0..).zip(documents) {
            let mut values = document.values().iter();
            let found = values.find_map(|(field, value)| match value {
                FieldValue::Dense(vector) if *field == self.name => Some(vector),
                _ => None,
            });
            if let Some(vector) = found {
                rows.push(self.shape, number, vector);
            }
        }
        (self.number, rows)
    }
}

/// Documents by rising id; those with equal ids stay in the order in which they came.
fn order_by_id(ids: &Strings, documents: u32) -> Vec<DocId> {
    let heads = (0..documents).map(|document| (Head::of(ids.get(document)), document));
    let mut by_id: Vec<(Head, DocId)> = heads.collect();
    by_id.sort_unstable_by(|(head_a, a), (head_b, b)| {
        let by_head = head_a.cmp(head_b);
        let is_decided = by_head.is_ne() || head_a.is_whole();
        let by_bytes = || ids.get(*a).cmp(ids.get(*b));
        let by_id = if is_decided { by_head } else { by_bytes() };
        by_id.then(a.cmp(b))
    });
    by_id.into_iter().map(|(_, document)| document).collect()
}

impl FieldInverter {
    fn invert(&mut self, documents: &[Document], most_memory: usize) -> InvertedField {
        let extra_memory = match &self.kind {
            FieldInverterKind::Text(cache) => cache.memory(),
            FieldInverterKind::Sparse { .. } => 0,
        };
        let is_new_table = self.table.begin_batch(extra_memory, most_memory);
        match &mut self.kind {
            FieldInverterKind::Text(cache) if is_new_table => cache.clear(),
            FieldInverterKind::Text(_) => {}
            FieldInverterKind::Sparse { exponents, .. } => exponents.clear(),
        }
        let mut totals = vec![0u32; documents.len()];
        let mut left_out = 0;
        let name = self.name.clone();
        for ((document, values), total) in (0..).zip(documents).zip(&mut totals) {
            let values = values.values().iter();
            for (_, value) in values.filter(|(field, _)| *field == name) {
                let (more, lost) = self.add(document, value);
                *total = total.saturating_add(more);
                left_out += lost;
            }
        }
        let (lengths, exponents) = match &self.kind {
            FieldInverterKind::Text(_) => {
                let codes = totals.iter().map(|total| lengths::encode(*total));
                (Some(codes.collect()), None)
            }
            FieldInverterKind::Sparse { exponents, .. } => (None, Some(exponents.needed())),
        };
        InvertedField {
            number: self.number,
            postings: self.table.finish_batch(),
            lengths,
            left_out,
            exponents,
        }
    }

    /// Adds a value; returns the length of a text, and how many of its terms were left out.
    fn add(&mut self, document: DocId, value: &FieldValue) -> (u32, u64) {
        match (&mut self.kind, value) {
            (FieldInverterKind::Text(cache), FieldValue::Text(text)) => {
                return cache.add_text(&mut self.table, document, text);
            }
            (FieldInverterKind::Sparse { scale, exponents }, FieldValue::Sparse(vector)) => {
                for (term, weight) in vector.iter().filter(|(_, weight)| *weight > 0.0) {
                    exponents.count(*weight, *scale);
                    add_weight(&mut self.table, document, term.as_bytes(), *weight);
                }
            }
            (
                FieldInverterKind::Sparse { scale, exponents },
                FieldValue::SparseNumbered(vector),
            ) => {
                for (term, weight) in vector.iter().filter(|(_, weight)| *weight > 0.0) {
                    exponents.count(*weight, *scale);
                    // Big-endian, so that keys sort as numbers.
                    add_weight(&mut self.table, document, &term.to_be_bytes(), *weight);
                }
            }
            _ => {}
        }
        (0, 0)
    }
}

/// Adds the bits of a weight, which are in the order of positive weights. They are quantized when a
/// segment is written, by all of its weights.
fn add_weight(table: &mut TermTable, document: DocId, term: &[u8], weight: f32) {
    let term = table.number(term);
    table.add(term, document, weight.to_bits(), u32::max);
}

/// Remembers the terms of each word, because analysis of a word costs more than looking it up.
struct WordCache {
    analyzer: Analyzer,
    words: Interner,
    /// For each word its term if it has one, as most do; or [`RANGE`] and the place of its range.
    meanings: Vec<u32>,
    /// Where the terms of other words are in `terms`.
    ranges: Vec<Range<u32>>,
    terms: Vec<u32>,
    /// The words of the text that is added, by their meanings.
    text: Vec<u32>,
}

/// Marks a meaning that is no term.
const RANGE: u32 = 1 << 31;
/// Marks a term that is too long to be indexed.
const TOO_LONG: u32 = u32::MAX;

impl WordCache {
    fn new(analyzer: Analyzer) -> Self {
        Self {
            analyzer,
            words: Interner::default(),
            meanings: Vec::new(),
            ranges: Vec::new(),
            terms: Vec::new(),
            text: Vec::new(),
        }
    }

    fn memory(&self) -> usize {
        let numbers = self.meanings.capacity() + 2 * self.ranges.capacity() + self.terms.capacity();
        self.words.memory() + 4 * numbers
    }

    fn clear(&mut self) {
        self.words.clear();
        self.meanings.clear();
        self.ranges.clear();
        self.terms.clear();
    }

    fn add_text(&mut self, table: &mut TermTable, document: DocId, text: &str) -> (u32, u64) {
        let analyzer = self.analyzer.clone();
        let text = analyzer.repair(text);
        // All words first and then all terms: what is looked up then waits for memory together.
        let mut meanings = std::mem::take(&mut self.text);
        meanings.clear();
        analyzer.words(&text, &mut |word| {
            meanings.push(self.meaning_of(&analyzer, table, word.text));
        });
        let (mut length, mut left_out) = (0, 0);
        let mut add = |term| {
            if term == TOO_LONG {
                left_out += 1;
                return;
            }
            length += 1;
            table.add(term, document, 1, |old, new| old.saturating_add(new));
        };
        for meaning in &meanings {
            if *meaning < RANGE {
                add(*meaning);
                continue;
            }
            let range = self.ranges.get((meaning - RANGE) as usize);
            let range = range.map_or(0..0, |range| range.start as usize..range.end as usize);
            let terms = self.terms.get(range).unwrap_or_default();
            terms.iter().copied().for_each(&mut add);
        }
        self.text = meanings;
        (length, left_out)
    }

    #[inline]
    fn meaning_of(&mut self, analyzer: &Analyzer, table: &mut TermTable, word: &str) -> u32 {
        let (number, is_new) = self.words.intern(word.as_bytes());
        if is_new {
            let start = u32::try_from(self.terms.len()).unwrap_or(u32::MAX);
            analyzer.terms(word, &mut |term| {
                self.terms
                    .push(if term.len() > MAX_TEXT_TERM_BYTES || term.is_empty() {
                        TOO_LONG
                    } else {
                        table.number(term.as_bytes())
                    });
            });
            let meaning = self.meaning_from(start);
            self.meanings.push(meaning);
        }
        self.meanings.get(number as usize).copied().unwrap_or(0)
    }

    /// The meaning of a word whose terms are those from `start` on.
    fn meaning_from(&mut self, start: u32) -> u32 {
        if let Some([term]) = self.terms.get(start as usize..)
            && *term < RANGE
        {
            let term = *term;
            self.terms.pop();
            return term;
        }
        let end = u32::try_from(self.terms.len()).unwrap_or(u32::MAX);
        self.ranges.push(start..end);
        let place = u32::try_from(self.ranges.len() - 1).unwrap_or(u32::MAX);
        RANGE | place
    }
}

fn store(documents: &[Document]) -> Result<Vec<StoredBlock>> {
    let mut packer = StoredPacker::default();
    for document in documents {
        let given = document.values().iter().find_map(|(_, value)| match value {
            FieldValue::Stored(bytes) => Some(bytes),
            _ => None,
        });
        match given {
            Some(bytes) => packer.add(bytes)?,
            None => packer.add(&document.source()?)?,
        }
    }
    packer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Sparse, Text};

    fn invert(schema: &Schema, documents: &[Document]) -> InvertedBatch {
        let analyzer = Analyzer::named("simple").unwrap();
        Inverter::new(schema, &[analyzer], 1 << 20)
            .invert(documents)
            .unwrap()
    }

    #[test]
    fn text_becomes_terms_with_frequencies_and_lengths() {
        let schema = Schema::builder().text("t", Text::new()).build().unwrap();
        let documents = [
            Document::new("b").with_text("t", "red fish blue fish"),
            Document::new("a")
                .with_text("t", "fish")
                .with_text("t", "one"),
            Document::new("c"),
        ];
        let batch = invert(&schema, &documents);
        assert_eq!(batch.by_id, [1, 0, 2]);
        let field = &batch.fields[0];
        assert_eq!(field.lengths.as_deref(), Some(&[4, 2, 0][..]));
        assert_eq!(field.postings.terms.get(1), b"fish");
        assert_eq!(field.postings.documents, [0, 0, 1, 1, 0]);
        assert_eq!(field.postings.values, [1, 2, 1, 1, 1]);
    }

    #[test]
    fn terms_too_long_are_left_out_and_counted() {
        let schema = Schema::builder().text("t", Text::new()).build().unwrap();
        let text = format!("short {} word", "x".repeat(100_000));
        let batch = invert(&schema, &[Document::new("a").with_text("t", text)]);
        let field = &batch.fields[0];
        assert!(field.left_out > 0);
        assert_eq!(field.lengths.as_deref(), Some(&[2][..]));
    }

    #[test]
    fn weights_are_kept_until_a_segment_is_written() {
        let schema = Schema::builder()
            .sparse("s", Sparse::new().expected_max(2.55))
            .build()
            .unwrap();
        let document = Document::new("a").with_sparse("s", [("x", 1.0), ("y", 0.0), ("x", 3.0)]);
        let batch = Inverter::new(&schema, &[], 1 << 20)
            .invert(&[document])
            .unwrap();
        let field = &batch.fields[0];
        let weights = [3f32.to_bits()];
        assert_eq!(
            (field.postings.terms.len(), &field.postings.values[..]),
            (1, &weights[..])
        );
        assert_eq!(field.exponents.as_deref(), Some(&[(-1, 1), (1, 1)][..]));
    }
}
