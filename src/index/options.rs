//! Options of a writer.

use super::merge_policy::MergePolicy;

/// What to do with a document whose id an earlier document of the same load has. A document of an
/// earlier commit is always replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDuplicate {
    /// The later document replaces the earlier one.
    #[default]
    Replace,
    /// The later document is dropped and reported by
    /// [`IndexWriter::take_errors`](crate::IndexWriter::take_errors), not by the call that adds it:
    /// documents are compared batch by batch, at the latest by
    /// [`commit`](crate::IndexWriter::commit), for any number of threads.
    Reject,
}

/// Options of an [`IndexWriter`](crate::IndexWriter): threads, memory and merges.
///
/// ```
/// use esparsa::{MergePolicy, WriterOptions};
///
/// let options = WriterOptions::new()
///     .threads(2)
///     .memory(512 << 20)
///     .merge_policy(MergePolicy::never());
/// ```
#[derive(Clone, Debug)]
pub struct WriterOptions {
    pub(super) threads: usize,
    pub(super) merge_threads: usize,
    pub(super) memory: usize,
    pub(super) merge_policy: MergePolicy,
    pub(super) reorder_from: Option<u32>,
    pub(super) on_duplicate: OnDuplicate,
}

impl WriterOptions {
    /// The minimum of [`memory`](Self::memory), in bytes.
    pub const MIN_MEMORY: usize = 32 << 20;

    /// One thread, one merge thread, 256 MiB of memory, the default merge policy, no reordering;
    /// a later duplicate replaces the earlier document.
    pub fn new() -> Self {
        Self {
            threads: 1,
            merge_threads: 1,
            memory: 256 << 20,
            merge_policy: MergePolicy::new(),
            reorder_from: None,
            on_duplicate: OnDuplicate::default(),
        }
    }

    /// Number of threads that invert documents and write segments, 1 to 1024. With 1, the default,
    /// the calling thread does this work; with more, the [executor](crate::executor) of the index
    /// does.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Number of threads for background merges, 0 to 1024; 1 by default.
    ///
    /// Adding and committing wait for a merge only while there are more than 32 segments for each
    /// of [`MergePolicy::segments_per_tier`]. With 0, merges run on the calling thread when it
    /// waits for them: in that case, and in
    /// [`wait_for_merges`](crate::IndexWriter::wait_for_merges) and
    /// [`merge_to`](crate::IndexWriter::merge_to). Merges that are running when the writer is
    /// dropped are cancelled, so a program that drops its writer after each commit should call
    /// `wait_for_merges` from time to time. A cancelled merge keeps its memory, its files open and its
    /// scratch space until it next looks at the cancellation, which is a matter of milliseconds; the
    /// next writer has its own full [`memory`](Self::memory) meanwhile.
    #[must_use]
    pub fn merge_threads(mut self, threads: usize) -> Self {
        self.merge_threads = threads;
        self
    }

    /// Approximate limit of the writer's memory in bytes, at least
    /// [`MIN_MEMORY`](Self::MIN_MEMORY); 256 MiB by default.
    ///
    /// When the documents that wait to be written reach a quarter of it, they become a segment.
    /// Pages of mapped files that a merge reads are not counted: the operating system reclaims them
    /// when memory is short. Neither is what the process needs in any case, so small limits are
    /// exceeded: at the minimum of 32 MiB, loads with two threads took 90 to 120 MB of anonymous
    /// memory.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Which segments are merged in the background.
    #[must_use]
    pub fn merge_policy(mut self, policy: MergePolicy) -> Self {
        self.merge_policy = policy;
        self
    }

    /// Reorders the documents of merged segments with at least this many documents, so that
    /// documents that share terms get close numbers (recursive graph bisection). `None`, the
    /// default, never reorders.
    ///
    /// Searches become faster and sparse fields smaller. The merge takes several times as long, and
    /// up to [`memory`](Self::memory) in addition.
    #[must_use]
    pub fn reorder_from(mut self, min_documents: Option<u32>) -> Self {
        self.reorder_from = min_documents;
        self
    }

    /// What to do with duplicates within a load.
    #[must_use]
    pub fn on_duplicate(mut self, on_duplicate: OnDuplicate) -> Self {
        self.on_duplicate = on_duplicate;
        self
    }
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self::new()
    }
}
