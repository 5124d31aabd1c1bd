//! Up to 128 postings, bit-packed with exceptions (`format-spec/block.md`).
//!
//! The idea: most gaps between documents are small, so they are packed at the width that fits most
//! of them, and the few that do not fit leave their high bits in a short list behind. A full block
//! is unpacked and summed with SIMD; exceptions are patched in before the sum.

use bitpacking::{BitPacker, BitPacker4x};

use super::patched::{best_width, exceptions, pack, patch, unpack, write_exceptions};
use super::{DocId, Malformed, Parse, bits};
use crate::simd::add_gaps;

/// Postings in a full block.
pub const BLOCK_POSTINGS: usize = 128;

/// "The document before the first": gaps count from it, wrapping, when a list begins.
pub const BEFORE_FIRST: DocId = DocId::MAX;

const WIDTH_MASK: u8 = 0x3F;
const HAS_VALUES: u8 = 0x40;
const HAS_EXCEPTIONS: u8 = 0x80;

/// A decoded block; only the first `len` entries of each array mean something.
#[derive(Clone)]
pub struct DecodedBlock {
    /// Documents, rising.
    pub documents: [DocId; BLOCK_POSTINGS],
    /// A value for each document.
    pub values: [u32; BLOCK_POSTINGS],
    /// Number of postings.
    pub len: usize,
}

impl Default for DecodedBlock {
    fn default() -> Self {
        Self {
            documents: [0; BLOCK_POSTINGS],
            values: [0; BLOCK_POSTINGS],
            len: 0,
        }
    }
}

impl DecodedBlock {
    /// The documents of the block.
    #[inline]
    pub fn documents(&self) -> &[DocId] {
        self.documents.get(..self.len).unwrap_or_default()
    }

    /// The values of the block.
    #[inline]
    pub fn values(&self) -> &[u32] {
        self.values.get(..self.len).unwrap_or_default()
    }
}

/// Appends a block of 1 to 128 postings; `previous` is the last document before it, or
/// [`BEFORE_FIRST`].
pub fn encode(previous: DocId, documents: &[DocId], values: &[u32], out: &mut Vec<u8>) {
    debug_assert!(!documents.is_empty() && documents.len() <= BLOCK_POSTINGS);
    debug_assert_eq!(documents.len(), values.len());
    let mut gaps = [0u32; BLOCK_POSTINGS];
    let mut last = previous;
    for (gap, document) in gaps.iter_mut().zip(documents) {
        *gap = document.wrapping_sub(last).wrapping_sub(1);
        last = *document;
    }
    let gaps = gaps.get(..documents.len()).unwrap_or_default();
    let gap_width = best_width(gaps);
    let value_width = best_width(values);
    let gap_exceptions = exceptions(gaps, gap_width);
    let value_exceptions = exceptions(values, value_width);

    let has_exceptions = gap_exceptions + value_exceptions > 0;
    let mut head = gap_width.to_le_bytes()[0] & WIDTH_MASK;
    head |= if value_width > 0 { HAS_VALUES } else { 0 };
    head |= if has_exceptions { HAS_EXCEPTIONS } else { 0 };
    out.push(head);
    if value_width > 0 {
        out.push(value_width.to_le_bytes()[0]);
    }
    if has_exceptions {
        out.push(gap_exceptions.to_le_bytes()[0]);
        out.push(value_exceptions.to_le_bytes()[0]);
    }
    pack(gaps, gap_width, out);
    pack(values, value_width, out);
    write_exceptions(gaps, gap_width, out);
    write_exceptions(values, value_width, out);
}

/// Decodes the block of `count` postings that fills `bytes` exactly.
///
/// # Errors
///
/// When the bytes do not hold such a block.
#[inline]
pub fn decode(bytes: &[u8], previous: DocId, count: usize, into: &mut DecodedBlock) -> Parse<()> {
    let packed = Packed::read(bytes, count)?;
    into.len = count;
    if count == BLOCK_POSTINGS && packed.patches == (0, 0) {
        packed.decode_full_documents(previous, into)?;
        let width = packed.value_width.to_le_bytes()[0];
        BitPacker4x::new().decompress(packed.values, &mut into.values, width);
        return end_reached(packed.rest, 0);
    }
    packed.decode_patched(previous, into)
}

/// As [`decode`], without the values, which are left as they were.
///
/// # Errors
///
/// When the bytes do not hold the documents of such a block.
#[inline]
pub fn decode_documents(
    bytes: &[u8],
    previous: DocId,
    count: usize,
    into: &mut DecodedBlock,
) -> Parse<()> {
    let packed = Packed::read(bytes, count)?;
    into.len = count;
    if count == BLOCK_POSTINGS && packed.patches.0 == 0 {
        return packed.decode_full_documents(previous, into);
    }
    packed.decode_patched_documents(previous, into).map(|_| ())
}

/// The parts of a block.
struct Packed<'a> {
    gaps: &'a [u8],
    gap_width: u32,
    values: &'a [u8],
    value_width: u32,
    /// How many of the gaps and of the values have exceptions, which are in `rest`.
    patches: (u8, u8),
    rest: &'a [u8],
}

impl<'a> Packed<'a> {
    #[inline]
    fn read(bytes: &'a [u8], count: usize) -> Parse<Self> {
        let (&head, mut rest) = bytes.split_first().ok_or(Malformed("block is empty"))?;
        let gap_width = u32::from(head & WIDTH_MASK);
        let mut value_width = 0;
        if head & HAS_VALUES != 0 {
            let (&width, after) = rest.split_first().ok_or(Malformed("block ends early"))?;
            (value_width, rest) = (u32::from(width), after);
        }
        if gap_width > 32 || value_width > 32 {
            return Err(Malformed("block has a width above 32 bits"));
        }
        let mut patches = (0, 0);
        if head & HAS_EXCEPTIONS != 0 {
            let (&[gaps, values], after) = rest
                .split_first_chunk::<2>()
                .ok_or(Malformed("block ends early"))?;
            (patches, rest) = ((gaps, values), after);
        }
        let (gaps, rest) = rest
            .split_at_checked(bits::packed_length(count, gap_width))
            .ok_or(Malformed("gaps run past the block"))?;
        let (values, rest) = rest
            .split_at_checked(bits::packed_length(count, value_width))
            .ok_or(Malformed("values run past the block"))?;
        Ok(Self {
            gaps,
            gap_width,
            values,
            value_width,
            patches,
            rest,
        })
    }

    /// The documents of a full block without exceptions.
    #[inline]
    fn decode_full_documents(&self, previous: DocId, into: &mut DecodedBlock) -> Parse<()> {
        let initial = (previous != BEFORE_FIRST).then_some(previous);
        let width = self.gap_width.to_le_bytes()[0];
        let documents = &mut into.documents;
        BitPacker4x::new().decompress_strictly_sorted(initial, self.gaps, documents, width);
        match self.gap_width > SAFE_WIDTH && !rises(previous, documents) {
            true => Err(Malformed("documents of a block do not rise")),
            false => Ok(()),
        }
    }

    /// The documents of a block of any length, and where in `rest` the exceptions of the values
    /// begin.
    fn decode_patched_documents(&self, previous: DocId, into: &mut DecodedBlock) -> Parse<usize> {
        let documents = into
            .documents
            .get_mut(..into.len)
            .ok_or(Malformed("block has more than 128 postings"))?;
        unpack(self.gaps, self.gap_width, documents)?;
        let mut position = 0;
        let (patches, _) = self.patches;
        patch(self.rest, &mut position, patches, self.gap_width, documents)?;
        let widest = add_gaps(previous, documents);
        match widest >> SAFE_WIDTH != 0 && !rises(previous, documents) {
            true => Err(Malformed("documents of a block do not rise")),
            false => Ok(position),
        }
    }

    fn decode_patched(&self, previous: DocId, into: &mut DecodedBlock) -> Parse<()> {
        let mut position = self.decode_patched_documents(previous, into)?;
        let values = into
            .values
            .get_mut(..into.len)
            .ok_or(Malformed("block has more than 128 postings"))?;
        unpack(self.values, self.value_width, values)?;
        let (_, patches) = self.patches;
        patch(self.rest, &mut position, patches, self.value_width, values)?;
        end_reached(self.rest, position)
    }
}

/// 128 gaps of this width add less than 2^31 to the document before, which is below 2^31 too:
/// documents that were added up from them rise.
const SAFE_WIDTH: u32 = 23;

fn rises(previous: DocId, documents: &[DocId]) -> bool {
    let first = documents.first().copied().unwrap_or(0);
    let follows = documents.iter().zip(documents.get(1..).unwrap_or_default());
    (previous == BEFORE_FIRST || first > previous)
        && follows.fold(true, |all, (a, b)| all & (a < b))
}

fn end_reached(rest: &[u8], position: usize) -> Parse<()> {
    if position == rest.len() {
        Ok(())
    } else {
        Err(Malformed("block has bytes left over"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn postings() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
        let gap = prop_oneof![8 => 0u32..6, 2 => 0u32..2_000, 1 => 0u32..10_000_000];
        let value = prop_oneof![8 => 0u32..3, 1 => 0u32..300, 1 => any::<u32>()];
        prop::collection::vec((gap, value), 1..=BLOCK_POSTINGS).prop_map(|pairs| {
            let mut document = 0;
            let documents = pairs
                .iter()
                .map(|(gap, _)| {
                    document += gap + 1;
                    document
                })
                .collect();
            (documents, pairs.iter().map(|(_, value)| *value).collect())
        })
    }

    proptest! {
        #[test]
        fn decode_inverts_encode((documents, values) in postings(), first in any::<bool>()) {
            let previous = if first { BEFORE_FIRST } else { 0 };
            let mut bytes = Vec::new();
            encode(previous, &documents, &values, &mut bytes);
            let mut block = DecodedBlock::default();
            decode(&bytes, previous, documents.len(), &mut block).unwrap();
            prop_assert_eq!(block.documents(), &documents[..]);
            prop_assert_eq!(block.values(), &values[..]);
            let mut block = DecodedBlock::default();
            decode_documents(&bytes, previous, documents.len(), &mut block).unwrap();
            prop_assert_eq!(block.documents(), &documents[..]);
            prop_assert!(block.values.iter().all(|value| *value == 0));
        }

        #[test]
        fn full_blocks_too(seed in prop::collection::vec((0u32..9, 0u32..4), BLOCK_POSTINGS), spike in 0usize..128, high in 1u32..1_000_000) {
            let mut document = 0;
            let mut documents = Vec::new();
            for (index, (gap, _)) in seed.iter().enumerate() {
                document += gap + 1 + if index == spike { high } else { 0 };
                documents.push(document);
            }
            let values: Vec<u32> = seed.iter().map(|(_, value)| *value).collect();
            let mut bytes = Vec::new();
            encode(BEFORE_FIRST, &documents, &values, &mut bytes);
            let mut block = DecodedBlock::default();
            decode(&bytes, BEFORE_FIRST, BLOCK_POSTINGS, &mut block).unwrap();
            prop_assert_eq!(block.documents(), &documents[..]);
            prop_assert_eq!(block.values(), &values[..]);
            let mut block = DecodedBlock::default();
            decode_documents(&bytes, BEFORE_FIRST, BLOCK_POSTINGS, &mut block).unwrap();
            prop_assert_eq!(block.documents(), &documents[..]);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), count in 1usize..=128) {
            let mut block = DecodedBlock::default();
            let _ = decode(&bytes, BEFORE_FIRST, count, &mut block);
            let _ = decode_documents(&bytes, BEFORE_FIRST, count, &mut block);
        }
    }

    #[test]
    fn the_chapters_example_holds() {
        let mut bytes = Vec::new();
        encode(BEFORE_FIRST, &[3, 4, 9], &[0, 0, 2], &mut bytes);
        assert_eq!(bytes, [0x43, 0x02, 0x03, 0x01, 0x20]);
    }
}
