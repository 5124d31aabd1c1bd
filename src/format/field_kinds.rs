//! The one list of field kinds.
//!
//! Each row gives a kind's name, its number on disk, the module of its stages in `segment/fields/`,
//! the type of its options in `format/schema/`, the type of a document's value, and the type of an
//! opened field of a segment. [`for_each_field_kind`] hands all rows to another macro, which makes
//! an enum or a dispatch of them. A new kind is a row here, a module in each of the two folders,
//! and a chapter in `format-spec/`.

/// Calls the macro `$then` with the rows of all field kinds.
macro_rules! for_each_field_kind {
    ($then:ident) => {
        $then! {
            Text = 1, text, Text, String, TextField;
            Sparse = 2, sparse, Sparse, SparseVector, SparseField;
            Stored = 3, stored, StoredOptions, Vec<u8>, Stored;
            Dense = 4, dense, Dense, Vec<f32>, DenseVectors;
            Column = 5, column, Column, Value, Box<ColumnValues>;
            #[cfg(test)]
            Flag = 1_000, flag, Flag, bool, Flags;
        }
    };
}

pub(crate) use for_each_field_kind;
