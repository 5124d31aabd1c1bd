//! esparsa
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod error;
pub mod eval;
pub mod format;
pub mod index;
pub mod query;
pub mod segment;
pub mod store;
pub mod text;

pub use error::{Error, Result};
pub use format::{FieldOptions, Schema, Verify};
pub use index::{
    CommitReport, DocAddress, Index, IndexOptions, IndexWriter, MergePolicy, OnDuplicate,
    ParsedBatch, Snapshot, WriterOptions,
};
pub use query::{
    Algorithm, Bm25, Explanation, Hit, Query, SearchOptions, SearchResult, SearchStatistics,
};
pub use segment::Document;
