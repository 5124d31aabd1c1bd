//! Capability bits of a file: what its readers must know, and what they may make use of.

use super::FileKind;

/// The capability bits in the header of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Bits that a reader must know, or else refuse the file.
    pub required: u64,
    /// Bits that a reader may leave alone.
    pub optional: u64,
}

impl Capabilities {
    /// Required, of a segment: impacts of sparse fields may have exponents. A reader that took all
    /// impacts for steps of the field's scale would rank wrongly.
    pub const IMPACT_EXPONENTS: u64 = 1 << 0;
    /// Optional, of a segment: documents were put in an order by their terms, as far as there was
    /// one to be found.
    pub const REORDERED: u64 = 1 << 0;

    /// The required bits that this build knows for files of a kind.
    pub(super) fn known(kind: FileKind) -> u64 {
        match kind {
            FileKind::Segment => Self::IMPACT_EXPONENTS,
            FileKind::Deletes | FileKind::Manifest => 0,
        }
    }
}
