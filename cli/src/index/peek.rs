//! The first records of the input, which determine the fields of a new index.

use std::collections::{BTreeMap, BTreeSet};

use esparsa::Origin;
use esparsa::Result;
use serde::de::IgnoredAny;

use crate::input::{Chunk, Reader, parse};

/// Number of documents that are encoded to estimate the weights of a model.
const SAMPLE: usize = 128;
/// Max number of keys named in a message.
const MAX_KEYS: usize = 16;
/// Bytes of input that are examined, rounded up to a whole chunk.
const PEEKED_BYTES: usize = 1 << 20;

/// The first chunks of the input, and what was seen in them.
#[derive(Default)]
pub struct Peeked {
    items: Vec<Result<Chunk>>,
    /// Where the first sparse vector is.
    first_vector: Option<Origin>,
    max_weight: f32,
    first_dense: Option<FirstDense>,
    /// The first texts.
    texts: Vec<String>,
    has_content: bool,
    /// True if a record, or an error in reading one, was seen.
    has_records: bool,
    /// The file whose first record looks like a header.
    header: Option<String>,
    /// Keys of the first records that have nothing to be searched.
    keys: BTreeSet<String>,
}

/// The first dense vector.
#[derive(Clone, Debug)]
pub struct FirstDense {
    /// Where it is.
    pub origin: Origin,
    /// Its number of dimensions.
    pub dimensions: usize,
    /// Whether cosine is the default metric of a new index.
    pub by_cosine: bool,
}

impl Peeked {
    /// Reads the first chunks. Errors are kept, to be reported in their turn.
    pub fn read(reader: &mut Reader) -> Self {
        let mut peeked = Self::default();
        let mut bytes = 0;
        while bytes < PEEKED_BYTES {
            let Some(item) = reader.next() else { break };
            match &item {
                Ok(chunk) => {
                    bytes += chunk.bytes.len();
                    peeked.look_at(chunk);
                }
                Err(_) => peeked.has_records = true,
            }
            peeked.items.push(item);
        }
        peeked
    }

    fn look_at(&mut self, chunk: &Chunk) {
        parse(chunk, &mut |result| {
            self.has_records = true;
            let Ok(record) = result else { return };
            if self.header.is_none() && record.looks_like_header() {
                self.header = Some(record.file.to_string());
            }
            let origin = || Origin::new(record.file.to_string(), record.line);
            if self.texts.len() < SAMPLE {
                self.texts.push(record.contents().into_owned());
            }
            if record.has_content() {
                self.has_content = true;
            } else if self.keys.len() < MAX_KEYS {
                self.keys.extend(keys_of(&record.source));
            }
            if let Some(numbers) = &record.dense {
                self.first_dense.get_or_insert_with(|| FirstDense {
                    origin: origin(),
                    dimensions: numbers.len(),
                    by_cosine: false,
                });
            }
            let Some(vector) = &record.vector else { return };
            self.first_vector.get_or_insert_with(origin);
            for (_, weight) in vector {
                self.max_weight = self.max_weight.max(*weight);
            }
        });
    }

    /// Where the first sparse vector is, if there is one among these records.
    pub fn first_vector(&self) -> Option<&Origin> {
        self.first_vector.as_ref()
    }

    /// The first dense vector, if there is one among these records.
    pub fn first_dense(&self) -> Option<&FirstDense> {
        self.first_dense.as_ref()
    }

    /// True if the inputs have no record, not even one that cannot be read.
    pub fn is_empty(&self) -> bool {
        !self.has_records
    }

    /// The first file whose first record looks like a header, if there is one.
    pub fn header(&self) -> Option<&str> {
        self.header.as_deref()
    }

    /// The max weight, or 0 when there is none.
    pub fn max_weight(&self) -> f32 {
        self.max_weight
    }

    /// The texts of the first documents.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Announces sparse vectors that a model will make.
    pub fn expect_sparse(&mut self, model: Origin, max_weight: f32) {
        self.first_vector.get_or_insert(model);
        self.max_weight = self.max_weight.max(max_weight);
    }

    /// Announces dense vectors that a model will make.
    pub fn expect_dense(&mut self, first: FirstDense) {
        self.first_dense = Some(first);
    }

    /// Keys of the first records, if none of these can be searched.
    pub fn keys_without_content(&self) -> Vec<String> {
        match self.has_content {
            true => Vec::new(),
            false => self.keys.iter().take(MAX_KEYS).cloned().collect(),
        }
    }

    /// The chunks and errors that were read.
    pub fn into_items(self) -> Vec<Result<Chunk>> {
        self.items
    }
}

/// The keys of a JSON object.
fn keys_of(object: &[u8]) -> impl Iterator<Item = String> + use<> {
    let object: Option<BTreeMap<String, IgnoredAny>> = serde_json::from_slice(object).ok();
    object.unwrap_or_default().into_keys()
}
