//! Sorted keys, front-coded in blocks, with a payload for terms (`format-spec/dictionary.md`).

mod memo;
mod writer;

use std::cmp::Ordering;
use std::sync::Arc;

use memo::TermMemo;
pub use writer::DictionaryWriter;

use super::section::Section;
use super::{DocId, Malformed, Parse, narrow, read_u32, read_u64, varint};
use crate::error::{Error, Result};

/// Keys in every block but the last.
pub const KEYS_PER_BLOCK: u32 = 32;
const FOOTER_BYTES: u64 = 32;

/// What the keys of a dictionary stand for, and so what comes with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// None: external ids, and keywords of columns.
    None,
    /// Terms of a text field.
    TextTerms,
    /// Terms of a sparse field.
    SparseTerms,
    /// Terms of a text field with positions.
    TextTermsWithPositions,
}

impl Payload {
    const ALL: [Self; 4] = [
        Self::None,
        Self::TextTerms,
        Self::SparseTerms,
        Self::TextTermsWithPositions,
    ];

    /// The number in the footer.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::None => 0,
            Self::TextTerms => 1,
            Self::SparseTerms => 2,
            Self::TextTermsWithPositions => 3,
        }
    }
}

/// Where a term's postings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermPostings {
    /// The only posting, kept in the dictionary itself.
    Single {
        /// The document.
        document: DocId,
        /// Its value as a block would hold it: tf - 1, or 255 less the steps of an impact; above
        /// its low byte an impact's exponent, as it is [packed](super::impact::pack).
        value: u32,
    },
    /// A list in the postings section.
    List {
        /// Offset in bytes.
        offset: u64,
        /// Length in bytes.
        length: u64,
    },
}

/// Where a term's [positions](super::positions) are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TermPositions {
    /// Nowhere: the field has none.
    #[default]
    None,
    /// The only position of a term that occurs once, kept in the dictionary itself.
    Single(u32),
    /// A list in the positions section.
    List {
        /// Offset in bytes.
        offset: u64,
        /// Length in bytes.
        length: u64,
    },
}

/// What the dictionary says of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermEntry {
    /// Number of documents that have the term, deleted ones included.
    pub document_frequency: u32,
    /// Where they are.
    pub postings: TermPostings,
    /// Where the term is in their texts.
    pub positions: TermPositions,
}

/// Finds and lists the keys of a dictionary section.
#[derive(Clone, Debug)]
pub struct Dictionary {
    section: Section,
    keys: u64,
    blocks: u32,
    keys_per_block: u32,
    offsets: u64,
    payload: Payload,
    memo: Arc<TermMemo>,
}

impl Dictionary {
    /// Reads the footer of a dictionary of `payload`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when it does not describe the section or the payload is another one,
    /// [`Error::TooNew`] when this build does not know the payload.
    pub fn open(section: Section, payload: Payload) -> Result<Self> {
        let footer_at = section.len().saturating_sub(FOOTER_BYTES);
        let footer = section.slice(footer_at, FOOTER_BYTES)?;
        let parse = || -> Parse<Self> {
            Ok(Self {
                section: section.clone(),
                keys: read_u64(footer, 0)?,
                blocks: read_u32(footer, 8)?,
                keys_per_block: read_u32(footer, 12)?,
                offsets: read_u64(footer, 16)?
                    .checked_next_multiple_of(4)
                    .ok_or(Malformed("length of the blocks overflows"))?,
                payload,
                memo: Arc::default(),
            })
        };
        let dictionary = section.parsed(footer_at, parse())?;
        let found = section.parsed(footer_at, read_u32(footer, 24))?;
        expect_payload(&section, footer_at, found, payload)?;
        let blocks = u64::from(dictionary.blocks);
        let fits = dictionary.offsets.checked_add(4 * (blocks + 1)) == Some(footer_at);
        let per_block = u64::from(dictionary.keys_per_block);
        // Every key takes a byte at least: no count of documents outgrows the file that names them.
        let fits = fits && dictionary.keys <= dictionary.offsets;
        if !fits || per_block == 0 || dictionary.keys.div_ceil(per_block) != blocks {
            let message = Malformed("the footer does not describe this dictionary");
            return Err(section.malformed(footer_at, message));
        }
        Ok(dictionary)
    }

    /// Number of keys.
    pub fn len(&self) -> u64 {
        self.keys
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// The ordinal of a key, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block that must be read is damaged.
    pub fn ordinal(&self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.seek(key)?.map(|(ordinal, _)| ordinal))
    }

    /// What is known of a term, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block that must be read is damaged.
    pub fn term(&self, key: &[u8]) -> Result<Option<TermEntry>> {
        self.memo.get(key, self.keys, || {
            Ok(self.seek(key)?.and_then(|(_, entry)| entry))
        })
    }

    /// The ordinal of the first key that is not below `key`; the number of keys when all are.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block that must be read is damaged.
    pub fn ceiling(&self, key: &[u8]) -> Result<u64> {
        let Some(block) = self.block_of(key)? else {
            return Ok(0);
        };
        let mut scan = self.scan(block)?;
        while scan.next()?.is_some() {
            if scan.key() >= key {
                return Ok(scan.ordinal());
            }
        }
        let keys_before = (u64::from(block) + 1) * u64::from(self.keys_per_block);
        Ok(keys_before.min(self.keys))
    }

    /// The last block whose first key is not above `key`.
    fn block_of(&self, key: &[u8]) -> Result<Option<u32>> {
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.scan(middle)?.first_key()? <= key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.checked_sub(1))
    }

    fn seek(&self, key: &[u8]) -> Result<Option<(u64, Option<TermEntry>)>> {
        let Some(block) = self.block_of(key)? else {
            return Ok(None);
        };
        let mut scan = self.scan(block)?;
        while let Some(entry) = scan.next()? {
            match scan.key().cmp(key) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(Some((scan.ordinal(), entry))),
                Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    /// Appends the key of an ordinal to `key`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when there is no such ordinal or its block is damaged.
    pub fn key_of(&self, ordinal: u64, key: &mut Vec<u8>) -> Result<()> {
        let no_such = || {
            let message = Malformed("the dictionary has no key of this ordinal");
            self.section.malformed(0, message)
        };
        let block = ordinal / u64::from(self.keys_per_block);
        let mut scan = self.scan(u32::try_from(block).map_err(|_| no_such())?)?;
        while scan.next()?.is_some() {
            if scan.ordinal() == ordinal {
                key.extend_from_slice(scan.key());
                return Ok(());
            }
        }
        Err(no_such())
    }

    /// A key of this dictionary as text, which terms and keywords are.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when it is not UTF-8.
    pub fn text<'k>(&self, key: &'k [u8]) -> Result<&'k str> {
        std::str::from_utf8(key).map_err(|_| {
            let message = Malformed("a term or keyword is not UTF-8");
            self.section.malformed(0, message)
        })
    }

    /// All keys in order.
    pub fn iter(&self) -> DictionaryIter<'_> {
        DictionaryIter {
            dictionary: self,
            next_block: 0,
            scan: None,
        }
    }

    fn scan(&self, block: u32) -> Result<BlockScan<'_>> {
        if block >= self.blocks {
            let message = Malformed("the dictionary has no such block");
            return Err(self.section.malformed(self.offsets, message));
        }
        let at = self.offsets + 4 * u64::from(block);
        let pair = self.section.slice(at, 8)?;
        let start = self.section.parsed(at, read_u32(pair, 0))?;
        let end = self.section.parsed(at, read_u32(pair, 4))?;
        let Some(length) = end.checked_sub(start) else {
            let message = Malformed("block offsets of the dictionary do not rise");
            return Err(self.section.malformed(at, message));
        };
        let first_ordinal = u64::from(block) * u64::from(self.keys_per_block);
        let left = self.keys.saturating_sub(first_ordinal);
        let mut scan = BlockScan {
            section: &self.section,
            start: u64::from(start),
            bytes: self.section.slice(u64::from(start), u64::from(length))?,
            position: 0,
            key: Vec::new(),
            next_ordinal: first_ordinal,
            left: left.min(u64::from(self.keys_per_block)),
            list: 0,
            positions: 0,
            has_payload: self.payload != Payload::None,
            has_positions: self.payload == Payload::TextTermsWithPositions,
            at_first: true,
        };
        if scan.has_payload {
            let base = varint::read(scan.bytes, &mut scan.position);
            scan.list = self.section.parsed(scan.start, base)?;
        }
        if scan.has_positions {
            let base = varint::read(scan.bytes, &mut scan.position);
            scan.positions = self.section.parsed(scan.start, base)?;
        }
        Ok(scan)
    }
}

fn expect_payload(section: &Section, at: u64, found: u32, expected: Payload) -> Result<()> {
    if found == expected.code() {
        return Ok(());
    }
    if Payload::ALL.iter().any(|known| known.code() == found) {
        let message = Malformed("expected a dictionary of another kind of keys");
        return Err(section.malformed(at, message));
    }
    Err(Error::TooNew {
        file: section.file().to_owned(),
        found: format!("dictionary payload {found} in section {}", section.name()),
        supported: format!("dictionary payload {}", expected.code()),
    })
}

/// Walks the keys of one block.
struct BlockScan<'a> {
    section: &'a Section,
    start: u64,
    bytes: &'a [u8],
    position: usize,
    key: Vec<u8>,
    next_ordinal: u64,
    left: u64,
    /// Where the next term's list and positions are.
    list: u64,
    positions: u64,
    has_payload: bool,
    has_positions: bool,
    at_first: bool,
}

impl<'a> BlockScan<'a> {
    /// The first key, without moving.
    fn first_key(&self) -> Result<&'a [u8]> {
        let mut position = self.position;
        let key = varint::read_bytes(self.bytes, &mut position);
        self.section.parsed(self.start, key)
    }

    fn key(&self) -> &[u8] {
        &self.key
    }

    fn ordinal(&self) -> u64 {
        self.next_ordinal.saturating_sub(1)
    }

    /// Moves to the next key; the payload, if the dictionary has payloads, comes with it.
    #[inline]
    fn next(&mut self) -> Result<Option<Option<TermEntry>>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.next_ordinal += 1;
        let at = self.start;
        let entry = self.read_entry();
        self.section.parsed(at, entry).map(Some)
    }

    #[inline]
    fn read_entry(&mut self) -> Parse<Option<TermEntry>> {
        if self.at_first {
            self.at_first = false;
            let key = varint::read_bytes(self.bytes, &mut self.position)?;
            self.key.extend_from_slice(key);
        } else {
            self.read_rest_of_key()?;
        }
        if !self.has_payload {
            return Ok(None);
        }
        let frequency = varint::read_u32(self.bytes, &mut self.position)?;
        let document_frequency = frequency
            .checked_add(1)
            .ok_or(Malformed("document frequency overflows"))?;
        let postings = if document_frequency == 1 {
            let code = varint::read(self.bytes, &mut self.position)?;
            let document =
                DocId::try_from(code >> 1).map_err(|_| Malformed("document does not fit"))?;
            let value = if code & 1 == 0 {
                0
            } else {
                varint::read_u32(self.bytes, &mut self.position)?
            };
            TermPostings::Single { document, value }
        } else {
            let length = varint::read(self.bytes, &mut self.position)?;
            let offset = self.list;
            self.list = offset
                .checked_add(length)
                .ok_or(Malformed("list offset overflows"))?;
            TermPostings::List { offset, length }
        };
        let positions = match self.has_positions {
            false => TermPositions::None,
            true => self.read_positions(&postings)?,
        };
        Ok(Some(TermEntry {
            document_frequency,
            postings,
            positions,
        }))
    }

    fn read_positions(&mut self, postings: &TermPostings) -> Parse<TermPositions> {
        if let TermPostings::Single { value: 0, .. } = postings {
            let position = varint::read_u32(self.bytes, &mut self.position)?;
            return Ok(TermPositions::Single(position));
        }
        let length = varint::read(self.bytes, &mut self.position)?;
        let offset = self.positions;
        self.positions = offset
            .checked_add(length)
            .ok_or(Malformed("offset of positions overflows"))?;
        Ok(TermPositions::List { offset, length })
    }

    #[inline]
    fn read_rest_of_key(&mut self) -> Parse<()> {
        let byte = *self
            .bytes
            .get(self.position)
            .ok_or(Malformed("keys run past the block"))?;
        self.position += 1;
        let mut shared = usize::from(byte & 15);
        let mut rest = usize::from(byte >> 4);
        for length in [&mut shared, &mut rest] {
            if *length == 15 {
                let more = narrow(varint::read(self.bytes, &mut self.position)?)?;
                *length = length
                    .checked_add(more)
                    .ok_or(Malformed("key length overflows"))?;
            }
        }
        let end = self
            .position
            .checked_add(rest)
            .ok_or(Malformed("key length overflows"))?;
        let rest = self
            .bytes
            .get(self.position..end)
            .ok_or(Malformed("keys run past the block"))?;
        if shared > self.key.len() {
            return Err(Malformed("a key shares more than the key before it has"));
        }
        // `None` is less than any byte: a key that only grew rises.
        if rest.first() <= self.key.get(shared) {
            return Err(Malformed("keys do not rise"));
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(rest);
        self.position = end;
        Ok(())
    }
}

/// Walks all keys of a dictionary in order.
pub struct DictionaryIter<'a> {
    dictionary: &'a Dictionary,
    next_block: u32,
    scan: Option<BlockScan<'a>>,
}

impl DictionaryIter<'_> {
    /// Moves to the next key; false after the last.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block is damaged.
    pub fn advance(&mut self) -> Result<bool> {
        Ok(self.next_entry()?.is_some())
    }

    /// Moves to the next term; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block is damaged or has no payloads.
    pub fn next_term(&mut self) -> Result<Option<TermEntry>> {
        match self.next_entry()? {
            None => Ok(None),
            Some(Some(entry)) => Ok(Some(entry)),
            Some(None) => {
                let message =
                    Malformed("expected a dictionary of terms, found one without postings");
                Err(self.dictionary.section.malformed(0, message))
            }
        }
    }

    /// The current key.
    pub fn key(&self) -> &[u8] {
        self.scan.as_ref().map_or(&[], |scan| scan.key())
    }

    /// The current key's ordinal.
    pub fn ordinal(&self) -> u64 {
        self.scan.as_ref().map_or(0, BlockScan::ordinal)
    }

    /// Moves to the first term that is not below `key`, which is above the current one; `None` when
    /// there is none.
    ///
    /// # Errors
    ///
    /// As [`next_term`](Self::next_term), for terms; keys without postings have an entry of `None`.
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<Option<TermEntry>>> {
        if self.dictionary.is_empty() {
            return Ok(None);
        }
        let block = self.dictionary.block_of(key)?.unwrap_or(0);
        if self.scan.is_none() || block >= self.next_block {
            self.scan = Some(self.dictionary.scan(block)?);
            self.next_block = block + 1;
        }
        while let Some(entry) = self.next_entry()? {
            if self.key() >= key {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Moves to the next key, with its entry if it has one; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block is damaged.
    pub fn next_entry(&mut self) -> Result<Option<Option<TermEntry>>> {
        loop {
            if let Some(scan) = &mut self.scan
                && let Some(entry) = scan.next()?
            {
                return Ok(Some(entry));
            }
            if self.next_block >= self.dictionary.blocks {
                return Ok(None);
            }
            let next = self.dictionary.scan(self.next_block)?;
            if let Some(before) = &self.scan
                && next.first_key()? <= before.key()
            {
                return Err(next
                    .section
                    .malformed(next.start, Malformed("keys do not rise")));
            }
            self.scan = Some(next);
            self.next_block += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn seeking_forward_finds_what_is_not_below(
            keys in prop::collection::btree_set("[ab]{1,6}", 0..90),
            targets in prop::collection::btree_set("[abc]{0,7}", 0..20),
        ) {
            let dictionary = build_ids(keys.iter().map(|key| key.clone().into_bytes()));
            let mut iter = dictionary.iter();
            for target in targets {
                if iter.key() >= target.as_bytes() && !iter.key().is_empty() {
                    continue;
                }
                let expected = keys.range(target.clone()..).next();
                let found = iter.seek(target.as_bytes()).unwrap();
                prop_assert_eq!(found.is_some(), expected.is_some());
                let Some(expected) = expected else {
                    break;
                };
                prop_assert_eq!(iter.key(), expected.as_bytes());
            }
        }
    }

    fn build_ids(keys: impl IntoIterator<Item = Vec<u8>>) -> Dictionary {
        let mut writer = DictionaryWriter::of_keys();
        for key in keys {
            writer.add_id(&key).unwrap();
        }
        let section = Section::from_bytes("ids", writer.finish().unwrap());
        Dictionary::open(section, Payload::None).unwrap()
    }

    fn keys() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => prop::collection::vec(97u8..100, 1..6),
            1 => prop::collection::vec(any::<u8>(), 1..60),
        ]
    }

    proptest! {
        #[test]
        fn terms_are_found_as_in_a_tree_map(
            map in prop::collection::btree_map(keys(), (1u32..5, 0u32..1_000, 0u32..3), 0..150),
            probes in prop::collection::vec(keys(), 20),
        ) {
            let mut writer = DictionaryWriter::of_text_terms();
            let mut expected = BTreeMap::new();
            let mut list = 7;
            for (key, (df, document, value)) in &map {
                let postings = if *df == 1 {
                    TermPostings::Single { document: *document, value: *value }
                } else {
                    TermPostings::List { offset: list, length: u64::from(*document) }
                };
                let positions = TermPositions::None;
                let entry = TermEntry { document_frequency: *df, postings, positions };
                writer.add_term(key, &entry, list).unwrap();
                if let TermPostings::List { length, .. } = postings {
                    list += length;
                }
                expected.insert(key.clone(), entry);
            }
            let section = Section::from_bytes("terms", writer.finish().unwrap());
            let dictionary = Dictionary::open(section, Payload::TextTerms).unwrap();
            for key in expected.keys().chain(&probes) {
                prop_assert_eq!(dictionary.term(key).unwrap(), expected.get(key).copied());
            }
            let mut iter = dictionary.iter();
            for (key, entry) in &expected {
                prop_assert_eq!(iter.next_term().unwrap(), Some(*entry));
                prop_assert_eq!(iter.key(), &key[..]);
            }
            prop_assert_eq!(iter.next_term().unwrap(), None);
        }

        #[test]
        fn positions_are_found_with_their_terms(
            map in prop::collection::btree_map(keys(), (1u32..3, 0u32..3, 0u32..1_000), 0..150),
        ) {
            let mut writer = DictionaryWriter::of_text_terms_with_positions();
            let mut expected = Vec::new();
            let mut next = 0;
            for (key, (df, value, number)) in &map {
                let postings = match df {
                    1 => TermPostings::Single { document: *number, value: *value },
                    _ => TermPostings::List { offset: 7, length: 0 },
                };
                let positions = match (df, value) {
                    (1, 0) => TermPositions::Single(*number),
                    _ => {
                        let (offset, length) = (next, u64::from(*number));
                        next += length;
                        TermPositions::List { offset, length }
                    }
                };
                let entry = TermEntry { document_frequency: *df, postings, positions };
                writer.add_term(key, &entry, 7).unwrap();
                expected.push((key, entry));
            }
            let section = Section::from_bytes("terms", writer.finish().unwrap());
            let dictionary = Dictionary::open(section, Payload::TextTermsWithPositions).unwrap();
            for (key, entry) in expected {
                prop_assert_eq!(dictionary.term(key).unwrap(), Some(entry));
            }
        }

        #[test]
        fn ordinals_and_keys_are_inverse(
            set in prop::collection::btree_set(keys(), 0..150),
            probes in prop::collection::vec(keys(), 20),
        ) {
            let dictionary = build_ids(set.iter().cloned());
            prop_assert_eq!(dictionary.len(), set.len() as u64);
            for (ordinal, key) in (0u64..).zip(&set) {
                prop_assert_eq!(dictionary.ordinal(key).unwrap(), Some(ordinal));
                let mut found = Vec::new();
                dictionary.key_of(ordinal, &mut found).unwrap();
                prop_assert_eq!(&found, key);
            }
            prop_assert!(dictionary.key_of(set.len() as u64, &mut Vec::new()).is_err());
            for probe in probes.iter().chain(&set) {
                let below = set.iter().filter(|key| *key < probe).count() as u64;
                prop_assert_eq!(dictionary.ceiling(probe).unwrap(), below);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let section = Section::from_bytes("terms", bytes);
            for payload in [Payload::TextTerms, Payload::TextTermsWithPositions] {
                let Ok(dictionary) = Dictionary::open(section.clone(), payload) else {
                    continue;
                };
                let _ = dictionary.term(b"abc");
                let mut iter = dictionary.iter();
                for _ in 0..1_000 {
                    if !matches!(iter.advance(), Ok(true)) {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn a_dictionary_of_an_unknown_kind_is_refused() {
        let mut writer = DictionaryWriter::of_text_terms();
        let postings = TermPostings::Single {
            document: 0,
            value: 1,
        };
        let entry = TermEntry {
            document_frequency: 1,
            postings,
            positions: TermPositions::None,
        };
        writer.add_term(b"term", &entry, 0).unwrap();
        let bytes = writer.finish().unwrap();
        let open = |code: u8, payload| {
            let mut bytes = bytes.clone();
            let at = bytes.len() - 8;
            bytes[at] = code;
            Dictionary::open(Section::from_bytes("terms", bytes), payload)
        };
        open(1, Payload::TextTerms).unwrap();
        let unknown = open(4, Payload::TextTerms).unwrap_err();
        assert!(matches!(unknown, Error::TooNew { .. }), "{unknown}");
        for (code, payload) in [
            (0, Payload::TextTerms),
            (1, Payload::SparseTerms),
            (1, Payload::TextTermsWithPositions),
            (3, Payload::TextTerms),
        ] {
            let other = open(code, payload).unwrap_err();
            assert!(matches!(other, Error::Corrupt { .. }), "{other}");
        }
    }

    #[test]
    fn the_chapters_example_holds() {
        let mut writer = DictionaryWriter::of_keys();
        writer.add_id(b"sea").unwrap();
        writer.add_id(b"seal").unwrap();
        let bytes = writer.finish().unwrap();
        assert_eq!(&bytes[..6], [0x03, 0x73, 0x65, 0x61, 0x13, 0x6C]);
    }
}
