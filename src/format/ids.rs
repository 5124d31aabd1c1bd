//! External ids and the documents they name (`format-spec/ids.md`).

use super::dictionary::{Dictionary, Payload};
use super::section::Section;
use super::{DocId, Malformed, bits, index32, narrow, read_u32, wide};
use crate::error::Result;

const HEAD_BYTES: u64 = 8;

/// How the two arrays of the `id-order` section are laid out.
#[derive(Clone, Copy, Debug)]
pub struct IdOrder {
    documents: u32,
    width: u32,
}

impl IdOrder {
    /// The order of `documents` ids; `is_identity` says that the document of each ordinal has its
    /// number, and then there are no arrays.
    pub fn new(documents: u32, is_identity: bool) -> Self {
        let width = match is_identity {
            true => 0,
            false => bits::width(documents.saturating_sub(1)),
        };
        Self { documents, width }
    }

    /// Whether the document of each ordinal, and then the ordinal of each document, follow the
    /// head.
    pub fn has_arrays(self) -> bool {
        self.width > 0
    }

    /// The first bytes of the section.
    pub fn head(self) -> Vec<u8> {
        [self.documents.to_le_bytes(), self.width.to_le_bytes()].concat()
    }

    /// The bytes of a part of an array, which must be a multiple of [`PART`](Self::PART) numbers
    /// long unless it is the last.
    pub fn pack(self, part: &[u32], out: &mut Vec<u8>) {
        bits::pack_array(part.iter().copied(), self.width, out);
    }

    /// Parts of this many numbers take whole words, whatever their width.
    pub const PART: usize = 64;
}

/// Finds documents by external id and external ids by document.
#[derive(Clone, Debug)]
pub struct Ids {
    dictionary: Dictionary,
    order: Section,
    documents: u32,
    width: u32,
}

impl Ids {
    /// Opens the two sections.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when they do not describe the same documents.
    pub fn open(ids: Section, order: Section) -> Result<Self> {
        let head = order.slice(0, HEAD_BYTES)?;
        let documents = order.parsed(0, read_u32(head, 0))?;
        let width = order.parsed(4, read_u32(head, 4))?;
        let dictionary = Dictionary::open(ids, Payload::None)?;
        let arrays = if width > 32 {
            None
        } else {
            let count = order.parsed(0, narrow(u64::from(documents)))?;
            Some(2 * wide(bits::array_length(count, width)))
        };
        let fits = arrays.and_then(|bytes| bytes.checked_add(HEAD_BYTES)) == Some(order.len());
        if !fits || dictionary.len() != u64::from(documents) {
            let message = Malformed("ids and their order do not describe the same documents");
            return Err(order.malformed(0, message));
        }
        Ok(Self {
            dictionary,
            order,
            documents,
            width,
        })
    }

    /// Number of documents.
    pub fn documents(&self) -> u32 {
        self.documents
    }

    /// The ids in order.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// The document with this id, deleted or not.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when bytes that must be read are damaged.
    pub fn document(&self, id: &str) -> Result<Option<DocId>> {
        match self.dictionary.ordinal(id.as_bytes())? {
            Some(ordinal) => self.document_of(ordinal).map(Some),
            None => Ok(None),
        }
    }

    /// The document of an ordinal.
    ///
    /// # Errors
    ///
    /// As [`Ids::document`].
    pub fn document_of(&self, ordinal: u64) -> Result<DocId> {
        self.lookup(ordinal, 0)
    }

    /// The id of a document.
    ///
    /// # Errors
    ///
    /// As [`Ids::document`].
    pub fn id(&self, document: DocId) -> Result<String> {
        let ordinal = self.lookup(u64::from(document), 1)?;
        let mut key = Vec::new();
        self.dictionary.key_of(u64::from(ordinal), &mut key)?;
        String::from_utf8(key).map_err(|_| {
            self.order
                .malformed(0, Malformed("an external id is not UTF-8"))
        })
    }

    /// Begins to read what [`id`](Self::id) of these documents needs, if the file is in an object
    /// store.
    pub fn prefetch(&self, documents: &[DocId]) {
        if !self.order.is_on_demand() {
            return;
        }
        self.dictionary.prefetch();
        let length = wide(bits::array_length(self.documents as usize, self.width));
        for document in documents {
            let bit = u64::from(*document) * u64::from(self.width);
            self.order.prefetch(HEAD_BYTES + length + bit / 64 * 8, 16);
        }
        // An error comes back when the id is read.
        for ordinal in documents.iter().flat_map(|d| self.lookup(u64::from(*d), 1)) {
            self.dictionary.prefetch_key(ordinal.into());
        }
    }

    /// Number `index` of the array at place `array`: 0 gives documents, 1 gives ordinals.
    fn lookup(&self, index: u64, array: u64) -> Result<u32> {
        if index >= u64::from(self.documents) {
            let message = Malformed("expected a document of this segment");
            return Err(self.order.malformed(0, message));
        }
        let index = self.order.parsed(0, narrow(index))?;
        if self.width == 0 {
            // Less than the number of documents, as checked above.
            return Ok(index32(index));
        }
        let length = wide(bits::array_length(self.documents as usize, self.width));
        let start = HEAD_BYTES + array * length;
        // Only the words that hold the number are touched, so only their chunks are verified.
        let bit = index.saturating_mul(self.width as usize);
        let word = wide(bit / 64 * 8);
        let words = self.order.slice(start + word, (length - word).min(16))?;
        let inside = bit % 64;
        let value = bits::get_bits(words, self.width, inside);
        let value = self.order.parsed(start + word, value)?;
        if value >= self.documents {
            let message = Malformed("id order names a document that is not there");
            return Err(self.order.malformed(start + word, message));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::dictionary::DictionaryWriter;
    use proptest::prelude::*;

    /// The section of the document of each ordinal.
    fn encode(document_of: &[u32]) -> Vec<u8> {
        let count = document_of.len() as u32;
        let order = IdOrder::new(count, document_of.iter().copied().eq(0..count));
        let mut bytes = order.head();
        if order.has_arrays() {
            let mut ordinal_of = vec![0; document_of.len()];
            for (ordinal, document) in (0..).zip(document_of) {
                ordinal_of[*document as usize] = ordinal;
            }
            for array in [document_of, &ordinal_of] {
                for part in array.chunks(IdOrder::PART) {
                    order.pack(part, &mut bytes);
                }
            }
        }
        bytes
    }

    fn open(names: &[String]) -> Ids {
        let mut sorted: Vec<(&String, u32)> = names.iter().zip(0..).collect();
        sorted.sort();
        let mut writer = DictionaryWriter::of_keys();
        for (name, _) in &sorted {
            writer.add_id(name.as_bytes()).unwrap();
        }
        let order: Vec<u32> = sorted.iter().map(|(_, document)| *document).collect();
        Ids::open(
            Section::from_bytes("ids", writer.finish().unwrap()),
            Section::from_bytes("id-order", encode(&order)),
        )
        .unwrap()
    }

    proptest! {
        #[test]
        fn ids_and_documents_find_each_other(
            set in prop::collection::hash_set("[a-d]{1,6}", 1..200),
            sorted in any::<bool>(),
        ) {
            let mut names: Vec<String> = set.into_iter().collect();
            if sorted {
                names.sort();
            }
            let ids = open(&names);
            for (document, name) in (0..).zip(&names) {
                prop_assert_eq!(ids.document(name).unwrap(), Some(document));
                prop_assert_eq!(&ids.id(document).unwrap(), name);
            }
            prop_assert_eq!(ids.document("e").unwrap(), None);
            prop_assert!(ids.id(names.len() as u32).is_err());
        }
    }

    #[test]
    fn the_chapters_example_holds() {
        let bytes = encode(&[1, 0]);
        assert_eq!(bytes[..8], [2, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(bytes[8..], [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(encode(&[0, 1]).len(), 8);
    }
}
