//! Records of a field's options (`format-spec/manifest.md`): a tag, a bit that says whether the
//! record must be understood, and bytes.
//!
//! A reader takes the records that it knows. What is left over is either kept as it is, so that a
//! manifest that is written anew still has it, or refused if it must be understood.

use crate::format::{Malformed, Parse, varint, wide};

/// One option of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionRecord {
    /// What the record is about; tags are numbered for each kind of field.
    pub tag: u64,
    /// Whether a reader that does not know the tag must refuse the index.
    pub required: bool,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The largest tag: a tag and its bit share a varint.
const MAX_TAG: u64 = u64::MAX >> 1;

impl OptionRecord {
    /// A record that readers may skip.
    pub fn optional(tag: u64, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            tag,
            required: false,
            bytes: bytes.into(),
        }
    }

    /// A record that readers must understand.
    pub fn required(tag: u64, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            tag,
            required: true,
            bytes: bytes.into(),
        }
    }
}

/// The bytes of records, by rising tag.
pub(crate) fn encode_records(mut records: Vec<OptionRecord>) -> Vec<u8> {
    records.sort_by_key(|record| record.tag);
    let mut bytes = Vec::new();
    for record in records {
        varint::write(record.tag << 1 | u64::from(record.required), &mut bytes);
        varint::write(wide(record.bytes.len()), &mut bytes);
        bytes.extend_from_slice(&record.bytes);
    }
    bytes
}

/// The records of a field, from which a kind takes those that it knows.
pub(crate) struct OptionRecords {
    records: Vec<OptionRecord>,
}

impl OptionRecords {
    /// Reads all records.
    ///
    /// # Errors
    ///
    /// When the bytes are not whole records or their tags do not rise.
    pub fn read(bytes: &[u8]) -> Parse<Self> {
        let mut position = 0;
        let mut records: Vec<OptionRecord> = Vec::new();
        while position < bytes.len() {
            let head = varint::read(bytes, &mut position)?;
            let tag = head >> 1;
            if records.last().is_some_and(|last| last.tag >= tag) || tag > MAX_TAG {
                return Err(Malformed("tags of a field's options do not rise"));
            }
            records.push(OptionRecord {
                tag,
                required: head & 1 == 1,
                bytes: varint::read_bytes(bytes, &mut position)?.to_vec(),
            });
        }
        Ok(Self { records })
    }

    /// Takes the content of the record with this tag, if there is one.
    pub fn take(&mut self, tag: u64) -> Option<Vec<u8>> {
        let place = self.records.iter().position(|record| record.tag == tag)?;
        Some(self.records.remove(place).bytes)
    }

    /// Takes the record with this tag, which must be there and have `N` bytes.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is not so.
    pub fn take_array<const N: usize>(&mut self, tag: u64) -> Parse<[u8; N]> {
        let bytes = self.take(tag);
        let bytes = bytes.ok_or(Malformed("a field lacks an option of its kind"))?;
        let array = <[u8; N]>::try_from(bytes);
        array.map_err(|_| Malformed("an option of a field has another length than its tag says"))
    }

    /// The records that were not taken.
    pub fn into_rest(self) -> Vec<OptionRecord> {
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_are_read_as_written(
            records in prop::collection::btree_map(
                0u64..=MAX_TAG,
                (any::<bool>(), prop::collection::vec(any::<u8>(), 0..20)),
                0..10,
            ),
        ) {
            let records: Vec<OptionRecord> = records
                .into_iter()
                .map(|(tag, (required, bytes))| OptionRecord { tag, required, bytes })
                .collect();
            let mut shuffled = records.clone();
            shuffled.reverse();
            let bytes = encode_records(shuffled);
            let read = OptionRecords::read(&bytes).unwrap();
            prop_assert_eq!(read.into_rest(), records);
        }

        #[test]
        fn arbitrary_bytes_are_records_or_malformed(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(read) = OptionRecords::read(&bytes) {
                let rest = read.into_rest();
                let again = OptionRecords::read(&encode_records(rest.clone())).unwrap();
                prop_assert_eq!(again.into_rest(), rest);
            }
        }
    }

    #[test]
    fn a_tag_is_there_once() {
        let record = OptionRecord::optional(3, [1]);
        let twice = encode_records(vec![record.clone(), record]);
        assert!(OptionRecords::read(&twice).is_err());
    }

    #[test]
    fn an_option_has_the_length_of_its_tag() {
        let bytes = encode_records(vec![OptionRecord::required(1, [1, 2, 3])]);
        assert!(
            OptionRecords::read(&bytes)
                .unwrap()
                .take_array::<4>(1)
                .is_err()
        );
        assert!(
            OptionRecords::read(&bytes)
                .unwrap()
                .take_array::<3>(2)
                .is_err()
        );
        let mut records = OptionRecords::read(&bytes).unwrap();
        assert_eq!(records.take_array(1), Ok([1, 2, 3]));
        assert!(records.into_rest().is_empty());
    }
}
