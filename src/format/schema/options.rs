//! What a field holds: its kind, and the options of that kind.
//!
//! Everything here that names kinds is made from the one list in
//! [`field_kinds`](crate::format::field_kinds).

use super::column::Column;
use super::dense::Dense;
#[cfg(test)]
use super::flag::Flag;
use super::records::{OptionRecord, OptionRecords, encode_records};
use super::sparse::Sparse;
use super::stored::StoredOptions;
use super::text::Text;
use crate::error::{Error, Result};
use crate::format::dense::DenseShape;
use crate::format::field_kinds::for_each_field_kind;
use crate::format::{ModelIdentity, Parse};

/// The options of one kind of field, and their records.
pub(crate) trait KindOptions: Sized {
    /// The sections of a segment that a field of this kind may have.
    const SECTIONS: &'static [&'static str];

    /// The records of the options.
    fn encode(&self) -> Vec<OptionRecord>;

    /// Takes the options from the records of a field.
    fn decode(records: &mut OptionRecords) -> Parse<Self>;

    /// Checks options that an application gave.
    fn check(&self) -> Result<()>;

    /// The options in words, for messages.
    fn describe(&self) -> String;

    /// Which options can be changed while documents stay as they were written, in words.
    const CHANGEABLE: &'static str = "nothing";

    /// These options after a change to `to`; `None` if documents would have to be written anew.
    fn changed_to(&self, to: &Self) -> Option<Self>;

    /// Capability bits that a segment with such a field requires.
    fn required_capabilities(&self) -> u64 {
        0
    }

    /// Bytes of memory that merging such a field takes for each document, about, beside what
    /// merging the longest list of any field takes.
    fn merge_bytes_per_document(&self) -> u64 {
        0
    }

    /// The model that makes the field's vectors, if that is known.
    fn model(&self) -> Option<&ModelIdentity> {
        None
    }
}

macro_rules! define_options {
    ($($(#[$attribute:meta])* $Kind:ident = $code:literal, $module:ident, $Options:ty, $Value:ty, $Reader:ty;)*) => {
        /// What a field holds, with its options.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum FieldOptions {
            $(
                $(#[$attribute])*
                #[doc = concat!("See [`", stringify!($Options), "`].")]
                $Kind($Options),
            )*
            /// A kind that this build does not know: kept as it is, not searched.
            Unknown {
                /// The kind's number.
                kind: u64,
                /// The bytes of its options.
                options: Vec<u8>,
            },
        }

        /// The kinds of fields without their options.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum FieldKind {
            $(
                $(#[$attribute])*
                #[doc = concat!("See [`FieldOptions::", stringify!($Kind), "`].")]
                $Kind,
            )*
            /// See [`FieldOptions::Unknown`].
            Unknown,
        }

        impl FieldKind {
            /// All kinds that this build knows.
            pub const ALL: &'static [Self] = &[$($(#[$attribute])* Self::$Kind,)*];

            /// The kind's number on disk; 0 for a kind that this build does not know.
            pub fn code(self) -> u32 {
                match self {
                    $($(#[$attribute])* Self::$Kind => $code,)*
                    Self::Unknown => 0,
                }
            }

            /// The kind of a number on disk.
            pub fn of_code(code: u64) -> Self {
                match code {
                    $($(#[$attribute])* $code => Self::$Kind,)*
                    _ => Self::Unknown,
                }
            }

            /// The kind's name, such as `text`.
            pub fn name(self) -> &'static str {
                match self {
                    $($(#[$attribute])* Self::$Kind => stringify!($module),)*
                    Self::Unknown => "unknown",
                }
            }

            /// The sections of a segment that a field of this kind may have.
            pub(crate) fn sections(self) -> &'static [&'static str] {
                match self {
                    $($(#[$attribute])* Self::$Kind => <$Options as KindOptions>::SECTIONS,)*
                    Self::Unknown => &[],
                }
            }
        }

        impl FieldOptions {
            /// The kind.
            pub fn kind(&self) -> FieldKind {
                match self {
                    $($(#[$attribute])* Self::$Kind(_) => FieldKind::$Kind,)*
                    Self::Unknown { .. } => FieldKind::Unknown,
                }
            }

            /// The model that makes the field's vectors, if that is known.
            pub fn model(&self) -> Option<&ModelIdentity> {
                match self {
                    $($(#[$attribute])* Self::$Kind(options) => options.model(),)*
                    Self::Unknown { .. } => None,
                }
            }

            /// Checks options that an application gave.
            pub(super) fn check(&self) -> Result<()> {
                match self {
                    $($(#[$attribute])* Self::$Kind(options) => options.check(),)*
                    Self::Unknown { .. } => Ok(()),
                }
            }

            /// These options after a change to `to`.
            ///
            /// # Errors
            ///
            /// [`Error::InvalidInput`] when documents would have to be written anew.
            pub(super) fn changed_to(&self, to: &Self) -> Result<Self> {
                let (changed, changeable) = match (self, to) {
                    $(
                        $(#[$attribute])*
                        (Self::$Kind(options), Self::$Kind(to)) => (
                            options.changed_to(to).map(Self::$Kind),
                            <$Options as KindOptions>::CHANGEABLE,
                        ),
                    )*
                    _ => (None, "nothing"),
                };
                changed.ok_or_else(|| Error::invalid(format!(
                    "expected a change that leaves documents as they are ({changeable}), found one \
                     from {} to {}; the documents have to be indexed again, in an index that is \
                     created with the new options",
                    self.describe(),
                    to.describe()
                )))
            }

            /// Capability bits that a segment with such a field requires.
            pub(super) fn required_capabilities(&self) -> u64 {
                match self {
                    $($(#[$attribute])* Self::$Kind(options) => options.required_capabilities(),)*
                    Self::Unknown { .. } => 0,
                }
            }

            /// See [`KindOptions::merge_bytes_per_document`].
            pub(crate) fn merge_bytes_per_document(&self) -> u64 {
                match self {
                    $($(#[$attribute])* Self::$Kind(options) => options.merge_bytes_per_document(),)*
                    Self::Unknown { .. } => 0,
                }
            }

            /// The options in words, for messages.
            pub(super) fn describe(&self) -> String {
                match self {
                    $($(#[$attribute])* Self::$Kind(options) => options.describe(),)*
                    Self::Unknown { kind, .. } => format!("of the unknown kind {kind}"),
                }
            }

            /// The kind's number and the bytes of the options, with records that the kind does not
            /// know.
            pub(super) fn encode(&self, unknown: &[OptionRecord]) -> (u64, Vec<u8>) {
                let mut records = match self {
                    $($(#[$attribute])* Self::$Kind(options) => options.encode(),)*
                    Self::Unknown { kind, options } => return (*kind, options.clone()),
                };
                records.extend_from_slice(unknown);
                (u64::from(self.kind().code()), encode_records(records))
            }

            /// Reads the bytes of options; the records that the kind does not know come with them.
            pub(super) fn decode(kind: u64, bytes: &[u8]) -> Parse<(Self, Vec<OptionRecord>)> {
                Ok(match kind {
                    $(
                        $(#[$attribute])*
                        $code => {
                            let mut records = OptionRecords::read(bytes)?;
                            let options = <$Options>::decode(&mut records)?;
                            (Self::$Kind(options), records.into_rest())
                        }
                    )*
                    kind => {
                        let options = bytes.to_vec();
                        (Self::Unknown { kind, options }, Vec::new())
                    }
                })
            }
        }

        $(
            $(#[$attribute])*
            impl From<$Options> for FieldOptions {
                fn from(options: $Options) -> Self {
                    Self::$Kind(options)
                }
            }
        )*
    };
}

for_each_field_kind!(define_options);

impl FieldOptions {
    /// What all vectors of a dense field have in common; `None` for other kinds.
    pub fn dense_shape(&self) -> Option<DenseShape> {
        match self {
            Self::Dense(dense) => Some(dense.shape()),
            _ => None,
        }
    }
}
