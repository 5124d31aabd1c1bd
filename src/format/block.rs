//! Up to 128 postings, bit-packed with exceptions (`format-spec/block.md`).
//!
//! The idea: most gaps between documents are small, so they are packed at the width that fits most
//! of them, and the few that do not fit leave their high bits in a short list behind. A full block
//! is unpacked and summed with SIMD; exceptions are patched in before the sum.

use bitpacking::{BitPacker, BitPacker4x};

use super::patched::{best_width, exceptions, pack, patch, unpack, write_exceptions};
use super::{DocId, Malformed, Parse, bits};

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

    into.len = count;
    if count == BLOCK_POSTINGS && patches == (0, 0) {
        decode_full(gaps, gap_width, values, value_width, previous, into);
        if gap_width > SAFE_WIDTH && !rises(previous, &into.documents) {
            return Err(Malformed("documents of a block do not rise"));
        }
        return end_reached(rest, 0);
    }
    decode_patched(
        (gaps, gap_width),
        (values, value_width),
        (patches, rest),
        previous,
        into,
    )
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

fn decode_full(
    gaps: &[u8],
    gap_width: u32,
    values: &[u8],
    value_width: u32,
    previous: DocId,
    into: &mut DecodedBlock,
) {
    let packer = BitPacker4x::new();
    let initial = (previous != BEFORE_FIRST).then_some(previous);
    packer.decompress_strictly_sorted(
        initial,
        gaps,
        &mut into.documents,
        gap_width.to_le_bytes()[0],
    );
    packer.decompress(values, &mut into.values, value_width.to_le_bytes()[0]);
}

fn decode_patched(
    (gaps, gap_width): (&[u8], u32),
    (values, value_width): (&[u8], u32),
    (patches, rest): ((u8, u8), &[u8]),
    previous: DocId,
    into: &mut DecodedBlock,
) -> Parse<()> {
    let count = into.len;
    let documents = into
        .documents
        .get_mut(..count)
        .ok_or(Malformed("block has more than 128 postings"))?;
    let decoded_values = into
        .values
        .get_mut(..count)
        .ok_or(Malformed("block has more than 128 postings"))?;
    unpack(gaps, gap_width, documents)?;
    unpack(values, value_width, decoded_values)?;
    let mut position = 0;
    patch(rest, &mut position, patches.0, gap_width, documents)?;
    patch(rest, &mut position, patches.1, value_width, decoded_values)?;
    let widest = documents.iter().fold(0, |all, gap| all | gap);
    if widest >> SAFE_WIDTH != 0 {
        let gaps = documents.iter().map(|gap| u64::from(*gap) + 1);
        if u64::from(previous.wrapping_add(1)) + gaps.sum::<u64>() > u64::from(DocId::MAX) {
            return Err(Malformed("documents of a block do not rise"));
        }
    }
    add_up(previous, documents);
    end_reached(rest, position)
}

/// Makes documents of gaps, whose sum is no larger than a `DocId`.
#[inline]
fn add_up(previous: DocId, gaps: &mut [u32]) {
    let mut last = previous;
    let (fours, rest) = gaps.as_chunks_mut::<4>();
    for [a, b, c, d] in fours {
        // Only one addition of the four waits for the four before.
        let two = a.wrapping_add(*b).wrapping_add(2);
        let three = two.wrapping_add(*c).wrapping_add(1);
        let four = three.wrapping_add(*d).wrapping_add(1);
        *a = last.wrapping_add(*a).wrapping_add(1);
        *b = last.wrapping_add(two);
        *c = last.wrapping_add(three);
        *d = last.wrapping_add(four);
        last = last.wrapping_add(four);
    }
    for gap in rest {
        last = last.wrapping_add(*gap).wrapping_add(1);
        *gap = last;
    }
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
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), count in 1usize..=128) {
            let mut block = DecodedBlock::default();
            let _ = decode(&bytes, BEFORE_FIRST, count, &mut block);
        }
    }

    #[test]
    fn the_chapters_example_holds() {
        let mut bytes = Vec::new();
        encode(BEFORE_FIRST, &[3, 4, 9], &[0, 0, 2], &mut bytes);
        assert_eq!(bytes, [0x43, 0x02, 0x03, 0x01, 0x20]);
    }
}
