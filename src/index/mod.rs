//! The public face of storage: an [`Index`] on disk, its [`IndexWriter`], and [`Snapshot`]s to search.
//!
//! In come documents and deletes; out go commits, each a whole and unchanging state of the index. Nothing
//! here knows how postings are encoded (that is `format`), and nothing here scores.
//!
//! | file | concept |
//! | --- | --- |
//! | `open` | [`Index`]: create and open |
//! | `snapshot` | [`Snapshot`]: one commit, for reading |
//! | `statistics`, `terms` | what the files of a commit hold, for programs that show an index |
//! | `segment_cache` | the segments that snapshots and writers share |
//! | `commit` | the newest manifest, and writing the next |
//! | `writer` | [`IndexWriter`]: add, delete, commit, rollback |
//! | `options` | [`WriterOptions`] |
//! | `buffer` | documents that are not in a segment yet |
//! | `pool` | the writer's threads |
//! | `resolve` | which documents of older segments an id means |
//! | `segments` | the writer's view of the segments, and merges among them |
//! | `added` | which documents were added since the last commit |
//! | `merge_policy` | which segments to merge |

mod added;
mod buffer;
mod commit;
mod merge_policy;
mod open;
mod options;
mod pool;
mod resolve;
mod segment_cache;
mod segments;
mod snapshot;
mod statistics;
mod terms;
mod writer;

pub use merge_policy::MergePolicy;
pub use open::{Index, IndexOptions};
pub use options::{OnDuplicate, WriterOptions};
pub use pool::ParsedBatch;
pub use snapshot::{DocAddress, FieldTotals, Snapshot, SnapshotSegment};
pub use statistics::{SectionStatistics, SegmentStatistics};
pub use terms::TermCount;
pub use writer::{CommitReport, IndexWriter};
