//! How a writer works.

use super::merge_policy::MergePolicy;

/// What to do with a document whose id an earlier document of the same load has. Documents that were
/// committed before are replaced in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// The later document replaces the earlier one.
    #[default]
    Replace,
    /// The later document is dropped and reported by [`IndexWriter::take_errors`](crate::IndexWriter::take_errors).
    Reject,
}

/// How a writer works.
///
/// ```
/// use esparsa::WriterOptions;
///
/// let options = WriterOptions { threads: 2, memory: 512 << 20, ..WriterOptions::default() };
/// ```
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Number of threads that invert documents and write segments. With 1, the default, the
    /// caller's does it; with more, the writer starts that many of its own.
    pub threads: usize,
    /// Number of threads for merges, started with the first merge: adding and committing
    /// wait for one only while there are more than 32 segments for each of
    /// [`segments_per_tier`](MergePolicy::segments_per_tier). With 0 no thread is started, and merges
    /// run on the caller's when it waits for them, in that case or in
    /// [`wait_for_merges`](crate::IndexWriter::wait_for_merges) and
    /// [`merge_to`](crate::IndexWriter::merge_to). Merges that run when the writer is dropped are
    /// thrown away, so a writer that is dropped after each commit should wait for them now and then.
    pub merge_threads: usize,
    /// Bytes of memory that the writer may take, about; at least [`MIN_MEMORY`](Self::MIN_MEMORY). When
    /// documents waiting to be written take their share of it, they become a segment.
    /// Pages of files that a merge reads are not counted: the system takes them back when it needs them.
    pub memory: usize,
    /// Which segments are merged in the background.
    pub merge_policy: MergePolicy,
    /// Merged segments of at least so many documents have their documents put in an order in which those that
    /// share terms are close (recursive graph bisection). Searches take less time and sparse
    /// fields less room; a merge takes a multiple of its time, and up to `memory` besides. `None`, the default: never.
    pub reorder_from: Option<u32>,
    /// What to do with duplicates within a load.
    pub on_duplicate: OnDuplicate,
}

impl WriterOptions {
    /// The least memory that a writer works with.
    pub const MIN_MEMORY: usize = 32 << 20;
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            merge_threads: 1,
            memory: 256 << 20,
            merge_policy: MergePolicy::default(),
            reorder_from: None,
            on_duplicate: OnDuplicate::default(),
        }
    }
}
