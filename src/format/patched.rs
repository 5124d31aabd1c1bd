//! Up to 128 numbers packed at one width, and the high bits of the few that do not fit it.
//!
//! What gaps and values of a [block](super::block) and the positions of a term have in common.

use bitpacking::{BitPacker, BitPacker4x};

use super::block::BLOCK_POSTINGS;
use super::{Malformed, Parse, bits, varint};

/// The width at which packed numbers and exceptions together take the fewest bytes.
pub(super) fn best_width(numbers: &[u32]) -> u32 {
    let mut of_width = [0usize; 33];
    for number in numbers {
        if let Some(count) = of_width.get_mut(bits::width(*number) as usize) {
            *count += 1;
        }
    }
    let widest = (0..=32u32)
        .rev()
        .find(|w| of_width.get(*w as usize).is_some_and(|count| *count > 0))
        .unwrap_or(0);
    let mut best = widest;
    let mut best_bytes = bits::packed_length(numbers.len(), widest);
    // How many numbers are wider than each width, with room for sevens above the last.
    let mut wider = [0usize; 33 + 5 * 7];
    let mut sum = 0;
    for (wider, count) in wider.iter_mut().take(33).zip(of_width).rev() {
        *wider = sum;
        sum += count;
    }
    for width in (0..widest).rev() {
        // An exception takes its position, then seven bits a byte of what lies above the width.
        let above = wider.get(width as usize..).unwrap_or_default();
        let positions = above.first().copied().unwrap_or(0);
        let patches = positions + above.iter().step_by(7).take(5).sum::<usize>();
        if patches + 2 >= best_bytes {
            // Less width means more patches still.
            break;
        }
        let bytes = bits::packed_length(numbers.len(), width) + patches + 2;
        if bytes < best_bytes {
            (best, best_bytes) = (width, bytes);
        }
    }
    best
}

/// How many numbers do not fit a width.
pub(super) fn exceptions(numbers: &[u32], width: u32) -> usize {
    numbers.iter().filter(|n| bits::width(**n) > width).count()
}

/// Appends the low `width` bits of each number.
pub(super) fn pack(numbers: &[u32], width: u32, out: &mut Vec<u8>) {
    if numbers.len() < BLOCK_POSTINGS {
        bits::pack(numbers.iter().copied(), width, out);
        return;
    }
    let mask = if width == 0 {
        0
    } else {
        u32::MAX >> (32 - width)
    };
    let mut masked = [0u32; BLOCK_POSTINGS];
    for (to, from) in masked.iter_mut().zip(numbers) {
        *to = from & mask;
    }
    let width = width.to_le_bytes()[0];
    let mut packed = [0u8; BLOCK_POSTINGS * 4];
    let length = BitPacker4x::new().compress(&masked, &mut packed, width);
    out.extend_from_slice(packed.get(..length).unwrap_or_default());
}

/// Appends what does not fit the width: for each such number its place, and its high bits as a
/// varint.
pub(super) fn write_exceptions(numbers: &[u32], width: u32, out: &mut Vec<u8>) {
    for (position, number) in (0u8..).zip(numbers) {
        if bits::width(*number) > width {
            out.push(position);
            varint::write(u64::from(*number) >> width, out);
        }
    }
}

/// Fills `out` from [packed](pack) numbers.
///
/// # Errors
///
/// When `packed` is too short.
#[inline]
pub(super) fn unpack(packed: &[u8], width: u32, out: &mut [u32]) -> Parse<()> {
    if out.len() == BLOCK_POSTINGS {
        BitPacker4x::new().decompress(packed, out, width.to_le_bytes()[0]);
        return Ok(());
    }
    bits::unpack(packed, width, out)
}

/// Adds the high bits of `count` exceptions at `*position` to their numbers, and moves past them.
///
/// # Errors
///
/// When the bytes end too early or say another thing than exceptions of these numbers.
#[inline]
pub(super) fn patch(
    bytes: &[u8],
    position: &mut usize,
    count: u8,
    width: u32,
    numbers: &mut [u32],
) -> Parse<()> {
    let mut rest = bytes.get(*position..).unwrap_or_default();
    for _ in 0..count {
        let (&[index, byte], after) = rest
            .split_first_chunk::<2>()
            .ok_or(Malformed("exceptions run past the block"))?;
        let mut high = u32::from(byte);
        if byte < 0x80 {
            rest = after;
        } else {
            let mut read = 1;
            high = varint::read_u32(rest, &mut read)?;
            rest = rest.get(read..).unwrap_or_default();
        }
        let number = numbers
            .get_mut(usize::from(index))
            .ok_or(Malformed("exception for a posting that is not there"))?;
        *number |= high.checked_shl(width).unwrap_or(0);
    }
    *position = bytes.len() - rest.len();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: every width is tried.
    fn best_width_scalar(numbers: &[u32]) -> u32 {
        let bytes = |width: u32| {
            let wide = numbers
                .iter()
                .map(|n| bits::width(*n))
                .filter(|w| *w > width);
            let patches: u32 = wide.map(|w| 1 + (w - width).div_ceil(7)).sum();
            let counts = if patches > 0 { 2 } else { 0 };
            bits::packed_length(numbers.len(), width) + patches as usize + counts
        };
        (0..=32).rev().min_by_key(|width| bytes(*width)).unwrap()
    }

    fn numbers() -> impl Strategy<Value = Vec<u32>> {
        let number = prop_oneof![8 => 0u32..6, 2 => 0u32..2_000, 1 => any::<u32>()];
        let all = prop::collection::vec(number, 1..=BLOCK_POSTINGS);
        prop_oneof![8 => all, 1 => Just(vec![0; BLOCK_POSTINGS])]
    }

    proptest! {
        #[test]
        fn the_best_width_takes_the_fewest_bytes(numbers in numbers()) {
            let widest = numbers.iter().map(|n| bits::width(*n)).max().unwrap();
            // Of the widths that are wide enough for all, the smallest counts.
            let expected = best_width_scalar(&numbers).min(widest);
            prop_assert_eq!(best_width(&numbers), expected);
        }

        #[test]
        fn numbers_are_unpacked_as_packed_at_any_width(numbers in numbers(), width in 0u32..=32) {
            let (mut bytes, count) = (Vec::new(), exceptions(&numbers, width) as u8);
            pack(&numbers, width, &mut bytes);
            let mut position = bytes.len();
            prop_assert_eq!(position, bits::packed_length(numbers.len(), width));
            write_exceptions(&numbers, width, &mut bytes);
            let mut found = vec![7; numbers.len()];
            unpack(&bytes[..position], width, &mut found).unwrap();
            patch(&bytes, &mut position, count, width, &mut found).unwrap();
            prop_assert_eq!(found, numbers);
            prop_assert_eq!(position, bytes.len());
        }
    }
}
