//! Faults of the directory that stand for steps a careless engine would leave out. The simulation
//! must find each of them, or it would not find the real ones.

/// A step that is left out, or done wrongly, although the directory says that it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The bytes of segments are not made durable.
    SegmentWithoutSync,
    /// The bytes of deletes files are not made durable.
    DeletesWithoutSync,
    /// The bytes of a manifest are not made durable before it gets its name.
    ManifestWithoutSync,
    /// The names of the folder are never made durable.
    FolderWithoutSync,
    /// A manifest is published although its number is taken, and replaces the other one.
    PublishReplaces,
    /// The lock of the writer excludes nobody.
    LockExcludesNobody,
    /// Listing leaves out the newest name.
    ListLacksTheNewest,
    /// What is written is not all there, although no error was returned.
    ShortWrite,
    /// A file of an object store may be removed as soon as it is replaced.
    RemovedAtOnce,
}

impl Planted {
    pub const ALL: [Self; 9] = [
        Self::SegmentWithoutSync,
        Self::DeletesWithoutSync,
        Self::ManifestWithoutSync,
        Self::FolderWithoutSync,
        Self::PublishReplaces,
        Self::LockExcludesNobody,
        Self::ListLacksTheNewest,
        Self::ShortWrite,
        Self::RemovedAtOnce,
    ];
}
