//! esparsa
#[cfg(feature = "cli")]
pub mod cli;
pub mod error;
pub mod eval;
pub mod format;
pub mod index;
pub mod segment;
pub mod store;
pub mod text;
pub use error::{Error, Result};
pub use format::{Schema, Verify};
pub use index::{
    DocAddress, Index, IndexOptions, IndexWriter, MergePolicy, OnDuplicate, Snapshot, WriterOptions,
};
pub use segment::Document;
