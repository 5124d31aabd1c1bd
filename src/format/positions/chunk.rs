//! Up to 128 distances: packed at one width with exceptions, or a few of them as varints.

use crate::format::block::BLOCK_POSTINGS;
use crate::format::patched::{best_width, exceptions, pack, patch, unpack, write_exceptions};
use crate::format::{Malformed, Parse, bits, varint};

/// Distances of every chunk but the last of a block of postings.
pub(super) const CHUNK: usize = BLOCK_POSTINGS;
/// So few distances are varints, without a head: most terms occur once or twice.
const MIN_PACKED: usize = 6;

const WIDTH_MASK: u8 = 0x3F;
const HAS_EXCEPTIONS: u8 = 0x80;

/// Appends a chunk of 1 to 128 distances.
pub(super) fn encode(distances: &[u32], out: &mut Vec<u8>) {
    debug_assert!(!distances.is_empty() && distances.len() <= CHUNK);
    if distances.len() < MIN_PACKED {
        for distance in distances {
            varint::write(u64::from(*distance), out);
        }
        return;
    }
    let width = best_width(distances);
    let exceptions = exceptions(distances, width);
    let head = width.to_le_bytes()[0] & WIDTH_MASK;
    if exceptions > 0 {
        out.push(head | HAS_EXCEPTIONS);
        out.push(exceptions.to_le_bytes()[0]);
    } else {
        out.push(head);
    }
    pack(distances, width, out);
    write_exceptions(distances, width, out);
}

/// Reads the chunk that begins at `*at` and fills `out`, and moves past it.
///
/// # Errors
///
/// When the bytes do not hold such a chunk.
#[inline]
pub(super) fn decode(bytes: &[u8], at: &mut usize, out: &mut [u32]) -> Parse<()> {
    if out.len() < MIN_PACKED {
        for distance in out {
            *distance = varint::read_u32(bytes, at)?;
        }
        return Ok(());
    }
    let head = Head::read(bytes, at, out.len())?;
    let packed = bytes.get(*at..head.packed_end).unwrap_or_default();
    unpack(packed, head.width, out)?;
    *at = head.packed_end;
    patch(bytes, at, head.exceptions, head.width, out)
}

/// Moves past the chunk of `count` distances that begins at `*at`.
///
/// # Errors
///
/// As [`decode`], as far as the chunk is looked at.
#[inline]
pub(super) fn skip(bytes: &[u8], at: &mut usize, count: usize) -> Parse<()> {
    let head = Head::read(bytes, at, count)?;
    *at = head.packed_end;
    for _ in 0..head.exceptions {
        *at += 1;
        varint::read_u32(bytes, at)?;
    }
    Ok(())
}

/// What a chunk that is packed says of itself.
struct Head {
    width: u32,
    exceptions: u8,
    packed_end: usize,
}

impl Head {
    #[inline]
    fn read(bytes: &[u8], at: &mut usize, count: usize) -> Parse<Self> {
        let mut next = || {
            let byte = bytes.get(*at).copied();
            *at += 1;
            byte.ok_or(Malformed("positions end early"))
        };
        let head = next()?;
        let exceptions = match head & HAS_EXCEPTIONS {
            0 => 0,
            _ => next()?,
        };
        if head & !(WIDTH_MASK | HAS_EXCEPTIONS) != 0
            || (head & HAS_EXCEPTIONS != 0 && exceptions == 0)
        {
            return Err(Malformed("a chunk of positions has a head that is none"));
        }
        let width = u32::from(head & WIDTH_MASK);
        if width > 32 {
            return Err(Malformed("positions have a width above 32 bits"));
        }
        let packed_end = *at + bits::packed_length(count, width);
        if packed_end > bytes.len() {
            return Err(Malformed("positions run past their block"));
        }
        Ok(Self {
            width,
            exceptions,
            packed_end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distances() -> impl Strategy<Value = Vec<u32>> {
        let distance = prop_oneof![20 => 0u32..60, 2 => 0u32..2_000, 1 => any::<u32>()];
        prop::collection::vec(distance, 1..=CHUNK)
    }

    proptest! {
        #[test]
        fn chunks_are_read_as_written(chunks in prop::collection::vec(distances(), 1..4)) {
            let mut bytes = vec![0; 3];
            for chunk in &chunks {
                encode(chunk, &mut bytes);
            }
            let (mut at, mut skipped) = (3, 3);
            for chunk in &chunks {
                let mut found = vec![7; chunk.len()];
                decode(&bytes, &mut at, &mut found).unwrap();
                prop_assert_eq!(&found, chunk);
                if chunk.len() >= MIN_PACKED {
                    skip(&bytes, &mut skipped, chunk.len()).unwrap();
                } else {
                    skipped = at;
                }
                prop_assert_eq!(skipped, at);
            }
            prop_assert_eq!(at, bytes.len());
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            count in 1usize..=CHUNK,
        ) {
            let mut out = vec![0; count];
            let _ = decode(&bytes, &mut 0, &mut out);
            let _ = skip(&bytes, &mut 0, count);
        }
    }

    #[test]
    fn the_chapters_example_holds() {
        let mut bytes = Vec::new();
        encode(&[3, 200], &mut bytes);
        assert_eq!(bytes, [0x03, 0xC8, 0x01]);
        bytes.clear();
        encode(&[1, 2, 3, 4, 5, 6, 7, 1_000], &mut bytes);
        assert_eq!(bytes, [0x83, 0x01, 0xD1, 0x58, 0x1F, 0x07, 0x7D]);
    }
}
