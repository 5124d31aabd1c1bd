//! An example of training data: a query with documents, and what is known of each.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::Result;

/// A text, with a key that is the same for equal texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// A hash of the text (XXH3, 128 bits).
    pub key: u128,
    /// The text.
    pub text: Arc<str>,
}

impl Text {
    /// A text with its key.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Self {
            key: xxh3_128(text.as_bytes()),
            text,
        }
    }
}

/// A document of an example.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The document.
    pub document: Text,
    /// A grade of relevance (0 for a negative), or a teacher's score.
    pub target: f64,
    /// Whether the document is known to be relevant for the query.
    pub is_relevant: bool,
}

/// A query and its own documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The query.
    pub query: Text,
    /// Its documents; a relevant one comes first.
    pub candidates: Vec<Candidate>,
    /// The keys of all texts that are known to be relevant for the query, ascending: none of them is
    /// a negative for it, whatever other query it came with.
    pub relevant: Vec<u128>,
}

/// Examples by number. The same number and epoch always give the same example, so that a run can be
/// resumed at any step.
pub trait Source: Send + Sync {
    /// The number of examples of an epoch.
    fn len(&self) -> u64;

    /// True without any.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An example. Sources that sample (which negatives, which relevant document) do so by `seed`,
    /// the number and the epoch alone.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) with file and line for data that are
    /// wrong; [`Error::Io`](crate::Error::Io).
    fn example(&self, number: u64, epoch: u64, seed: u64) -> Result<Example>;

    /// A hash of what the source was made of; a run is resumed only with the same data.
    fn fingerprint(&self) -> u64;
}
