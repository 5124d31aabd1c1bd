//! The public API of storage: an [`Index`] in a directory, its [`IndexWriter`], and [`Snapshot`]s
//! to search.
//!
//! Documents and deletes come in; commits go out, each a complete and immutable state of the index.
//! Invariant: nothing here encodes postings (`format` does), and nothing here scores.
//!
//! | file | concept |
//! | --- | --- |
//! | `open` | [`Index`]: create and open |
//! | `snapshot` | [`Snapshot`]: one commit, for reading |
//! | `statistics`, `terms` | statistics of segments and terms, for programs that inspect an index |
//! | `alter` | changes of the schema |
//! | `copy` | copies and backups |
//! | `reindex` | indexing the documents of an index again |
//! | `segment_cache` | the segments that snapshots and writers share |
//! | `commit` | reads the newest manifest and writes the next |
//! | `writer` | [`IndexWriter`]: add, delete, commit, rollback |
//! | `options` | [`WriterOptions`] |
//! | `buffer` | documents that are not in a segment yet |
//! | `pool` | runs the writer's jobs on the executor |
//! | `resolve` | finds external ids in a segment |
//! | `segments` | the writer's list of segments, and the merges among them |
//! | `added` | which documents were added since the last commit |
//! | `merge_policy` | which segments to merge |

mod added;
mod alter;
mod buffer;
mod commit;
mod copy;
mod lists;
mod merge_policy;
mod open;
mod options;
mod pool;
mod reindex;
mod resolve;
mod segment_cache;
mod segments;
mod snapshot;
mod statistics;
mod terms;
mod writer;

pub use lists::TermList;
pub use merge_policy::MergePolicy;
pub use open::{Index, IndexOptions};
pub use options::{OnDuplicate, WriterOptions};
pub use pool::ParsedBatch;
pub use reindex::HeldDocument;
pub use snapshot::{DocAddress, FieldTotals, Snapshot, SnapshotSegment};
pub use statistics::{SectionStatistics, SegmentStatistics};
pub use terms::TermCount;
pub use writer::{CommitReport, IndexWriter};
