//! How the postings of a field are encoded (`format-spec/segment.md`).

/// The codec of a field's postings, named by the field's record in the section `info`.
///
/// It is looked at once for a list, when it is opened, and never for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostingCodec {
    /// Lists of [blocks](super::block) of up to 128 postings, bit-packed with exceptions; lists of
    /// sparse fields may also be [cut at ranges](super::range_list).
    BitPacked,
}

impl PostingCodec {
    /// All codecs that this build reads.
    pub const ALL: [Self; 1] = [Self::BitPacked];

    /// The codec's number on disk.
    pub fn code(self) -> u8 {
        match self {
            Self::BitPacked => 1,
        }
    }

    /// The codec of a number on disk, if this build knows it.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_on_disk_are_distinct_and_never_zero() {
        assert_eq!(PostingCodec::of_code(0), None);
        assert_eq!(PostingCodec::of_code(1), Some(PostingCodec::BitPacked));
        assert_eq!(PostingCodec::of_code(2), None);
    }
}
