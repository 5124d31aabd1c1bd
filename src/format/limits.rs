//! Every limit of the format, with a name; `format-spec/limits.md` gives the reasons.

use crate::error::{Error, Result};

/// Documents in one segment.
pub const MAX_SEGMENT_DOCUMENTS: u32 = 0x7FFF_FFFF;
/// Numbers of commits and files: so far from the end of `u64` that counting never gets there.
pub const MAX_FILE_NUMBER: u64 = 1 << 62;
/// Sections in one file: more than those of [`MAX_FIELDS`] fields.
pub const MAX_SECTIONS: u32 = 16_384;
/// Fields in one schema.
pub const MAX_FIELDS: usize = 1_024;
/// Bytes of a field's name.
pub const MAX_FIELD_NAME_BYTES: usize = 255;
/// Bytes of an external id.
pub const MAX_ID_BYTES: usize = 512;
/// Bytes of a term of a text field; longer terms are skipped and counted.
pub const MAX_TEXT_TERM_BYTES: usize = 255;
/// Bytes of a string term of a sparse field; longer terms are refused.
pub const MAX_SPARSE_TERM_BYTES: usize = 1_024;
/// Bytes of one document: id, text, vectors, columns and stored bytes together.
pub const MAX_DOCUMENT_BYTES: usize = 64 << 20;
/// Raw bytes of a block of stored documents.
pub const MAX_STORED_BLOCK_BYTES: usize = 68 << 20;
/// Bytes of a keyword.
pub const MAX_KEYWORD_BYTES: usize = 1_024;
/// Values of one column that a document has.
pub const MAX_COLUMN_VALUES: usize = 65_536;
/// Numbers of a vector of a dense field.
pub const MAX_DENSE_DIMENSIONS: u32 = 65_536;
/// Norm of a vector of a dense field and of a query: the product of two is finite in single
/// precision.
pub const MAX_DENSE_NORM: f64 = 1e18;
/// Bytes of the name of a model that is kept with a field.
pub const MAX_MODEL_NAME_BYTES: usize = 1_024;
/// Tiers of a sparse list.
pub const MAX_TIERS: usize = 8;
/// Bytes of one list of postings.
pub const MAX_LIST_BYTES: u64 = u32::MAX as u64;
/// Bytes of the blocks of one dictionary.
pub const MAX_DICTIONARY_BYTES: u64 = u32::MAX as u64;
/// Distinct terms of a query.
pub const MAX_QUERY_TERMS: usize = 4_096;
/// Queries in a query whose scores are made of others.
pub const MAX_QUERY_CLAUSES: usize = 1_024;
/// Positions by which the words of a phrase may be moved.
pub const MAX_SLOP: u32 = 1_000;
/// How deep queries are nested in one another.
pub const MAX_QUERY_DEPTH: usize = 64;
/// Results asked of one search.
pub const MAX_K: usize = 10_000_000;

/// What one list takes: its length, and the ends of its blocks, are `u32`.
pub(super) fn list_length(what: &str, length: u64) -> Result<u32> {
    u32::try_from(length).map_err(|_| Error::limit(what, length, MAX_LIST_BYTES))
}

/// The number of documents of a segment that has `more` than `documents`.
pub(crate) fn add_documents(documents: u32, more: u32) -> Result<u32> {
    let sum = u64::from(documents) + u64::from(more);
    let allowed = u32::try_from(sum)
        .ok()
        .filter(|sum| *sum <= MAX_SEGMENT_DOCUMENTS);
    allowed.ok_or_else(|| {
        let limit = u64::from(MAX_SEGMENT_DOCUMENTS);
        Error::limit("number of documents of a segment", sum, limit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_segments_reach_their_limits_and_no_more() {
        assert_eq!(list_length("list", MAX_LIST_BYTES).unwrap(), u32::MAX);
        let error = list_length("list", MAX_LIST_BYTES + 1).unwrap_err();
        assert!(matches!(error, Error::Limit { found, .. } if found == 1 << 32));
        assert_eq!(
            add_documents(0x7FFF_FFF0, 15).unwrap(),
            MAX_SEGMENT_DOCUMENTS
        );
        for (documents, more) in [
            (0x7FFF_FFF0, 16),
            (1, MAX_SEGMENT_DOCUMENTS),
            (u32::MAX, u32::MAX),
        ] {
            let error = add_documents(documents, more).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Limit {
                        limit: 0x7FFF_FFFF,
                        ..
                    }
                ),
                "{error}"
            );
        }
    }
}
