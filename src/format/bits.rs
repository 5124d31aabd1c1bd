//! Numbers of a fixed width as one stream of bits, filled from the lowest bit.
//!
//! Blocks of fewer than 128 postings and the permutations of [`ids`](super::ids) use it.

use super::{Malformed, Parse, read_u64};

/// Bits needed to hold `value`: 0 for 0, 32 for `u32::MAX`.
pub const fn width(value: u32) -> u32 {
    32 - value.leading_zeros()
}

/// Bytes that `count` numbers of `width` bits take.
pub const fn packed_length(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends the low `width` bits (0 to 32) of each number.
pub fn pack(numbers: impl IntoIterator<Item = u32>, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let mask = u64::MAX >> (64 - width);
    let mut pending = 0u64;
    let mut filled = 0;
    for number in numbers {
        pending |= (u64::from(number) & mask) << filled;
        filled += width;
        while filled >= 8 {
            out.push(pending.to_le_bytes()[0]);
            pending >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(pending.to_le_bytes()[0]);
    }
}

/// Fills `out` from the stream in `bytes`, `width` bits (0 to 32) a number.
///
/// # Errors
///
/// When `bytes` is shorter than [`packed_length`].
pub fn unpack(bytes: &[u8], width: u32, out: &mut [u32]) -> Parse<()> {
    let length = packed_length(out.len(), width);
    let packed = bytes
        .get(..length)
        .ok_or(Malformed("packed numbers run past the end"))?;
    let mask = if width == 0 {
        0
    } else {
        u64::MAX >> (64 - width)
    };
    let mut rest = packed;
    let mut pending = 0u64;
    let mut filled = 0;
    for number in out {
        if filled < width {
            if let Some((four, after)) = rest.split_first_chunk::<4>() {
                pending |= u64::from(u32::from_le_bytes(*four)) << filled;
                filled += 32;
                rest = after;
            } else {
                for byte in rest {
                    pending |= u64::from(*byte) << filled;
                    filled += 8;
                }
                rest = &[];
            }
        }
        *number = low32(pending & mask);
        pending >>= width;
        filled = filled.saturating_sub(width);
    }
    Ok(())
}

/// The low 32 bits.
#[inline]
fn low32(bits: u64) -> u32 {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Bytes of an array of `count` numbers made for random access: whole words of 8 bytes.
pub const fn array_length(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(64) * 8
}

/// Appends an array for random access.
pub fn pack_array(numbers: impl IntoIterator<Item = u32>, width: u32, out: &mut Vec<u8>) {
    pack(numbers, width, out);
    out.resize(out.len().next_multiple_of(8), 0);
}

/// Number `index` of an array, `width` bits (1 to 32) a number: the obvious version, for tests.
#[cfg(test)]
pub fn array_get(words: &[u8], width: u32, index: usize) -> Parse<u32> {
    let bit = index
        .checked_mul(width as usize)
        .ok_or(Malformed("index overflows"))?;
    let words = words
        .get(bit / 64 * 8..)
        .ok_or(Malformed("packed numbers run past the end"))?;
    get_bits(words, width, bit % 64)
}

/// The `width` bits (1 to 32) from bit `shift` (0 to 63) of the first word on.
///
/// # Errors
///
/// When they run past the end of `words`.
pub fn get_bits(words: &[u8], width: u32, shift: usize) -> Parse<u32> {
    let low = read_u64(words, 0)? >> shift;
    let value = if shift + width as usize > 64 {
        low | read_u64(words, 8)? << (64 - shift)
    } else {
        low
    };
    Ok(low32(value & (u64::MAX >> (64 - width.clamp(1, 32)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpack_inverts_pack(width in 0u32..=32, raw in prop::collection::vec(any::<u32>(), 0..200)) {
            let numbers: Vec<u32> = raw
                .iter()
                .map(|n| if width == 0 { 0 } else { n >> (32 - width) })
                .collect();
            let mut bytes = Vec::new();
            pack(numbers.iter().copied(), width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_length(numbers.len(), width));
            let mut out = vec![7; numbers.len()];
            unpack(&bytes, width, &mut out).unwrap();
            prop_assert_eq!(&out, &numbers);
            if !bytes.is_empty() {
                prop_assert!(unpack(&bytes[1..], width, &mut out).is_err());
            }
        }

        #[test]
        fn array_get_inverts_pack_array(width in 1u32..=32, raw in prop::collection::vec(any::<u32>(), 1..200)) {
            let numbers: Vec<u32> = raw.iter().map(|n| n >> (32 - width)).collect();
            let mut bytes = Vec::new();
            pack_array(numbers.iter().copied(), width, &mut bytes);
            prop_assert_eq!(bytes.len(), array_length(numbers.len(), width));
            for (index, number) in numbers.iter().enumerate() {
                prop_assert_eq!(array_get(&bytes, width, index), Ok(*number));
            }
        }
    }
}
