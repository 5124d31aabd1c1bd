//! Numbers of 0 to 64 bits one after another, from the lowest bit on.

mod groups;

use super::numbers::BLOCK_NUMBERS;
use crate::format::{Malformed, Parse, read_u64};

pub use groups::GROUP;

/// Numbers of a block.
pub const BLOCK: usize = BLOCK_NUMBERS as usize;
/// Bytes from the first of a number on that [`get`] and [`unpack`] may look at: in a section the
/// tables and the footer follow, which are longer.
pub const READ_BYTES: u64 = 16;

/// Bits needed to hold `number`: 0 for 0, 64 for `u64::MAX`.
pub const fn width(number: u64) -> u32 {
    64 - number.leading_zeros()
}

/// Bytes that `count` numbers of `width` bits take.
pub const fn packed_length(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends numbers that have at most `width` bits.
pub fn pack(numbers: impl IntoIterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let (mut pending, mut filled) = (0u128, 0);
    for number in numbers {
        pending |= u128::from(number) << filled;
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

/// The number of `width` bits that begins at bit `shift` (0 to 7) of `bytes`.
///
/// # Errors
///
/// When there are fewer than [`READ_BYTES`].
#[inline]
pub fn get(bytes: &[u8], width: u32, shift: u64) -> Parse<u64> {
    let low = read_u64(bytes, 0)? >> shift;
    if width <= 56 {
        return Ok(low & mask(width));
    }
    let high = match shift {
        0 => 0,
        shift => read_u64(bytes, 8)? << (64 - shift),
    };
    Ok((low | high) & mask(width))
}

#[inline]
const fn mask(width: u32) -> u64 {
    match width {
        0 => 0,
        width => u64::MAX >> (64 - width),
    }
}

/// Fills `out` with numbers of `width` bits. `bytes` go on for [`READ_BYTES`] after the numbers.
///
/// # Errors
///
/// When the numbers run past the end.
pub fn unpack(bytes: &[u8], width: u32, out: &mut [u64]) -> Parse<()> {
    if width == 0 {
        out.fill(0);
        return Ok(());
    }
    let (groups, rest) = out.as_chunks_mut::<GROUP>();
    let group_bytes = packed_length(GROUP, width);
    let rest_at = groups.len() * group_bytes;
    match groups::of_width(width) {
        Some(unpack) => {
            for (group, bytes) in groups.iter_mut().zip(bytes.chunks(group_bytes)) {
                if !unpack(bytes, group) {
                    return Err(Malformed("packed numbers run past the end"));
                }
            }
        }
        None => unpack_each(bytes, width, groups.as_flattened_mut())?,
    }
    let bytes = bytes.get(rest_at..);
    unpack_each(
        bytes.ok_or(Malformed("packed numbers run past the end"))?,
        width,
        rest,
    )
}

fn unpack_each(bytes: &[u8], width: u32, out: &mut [u64]) -> Parse<()> {
    let (step, mut bit) = (width as usize, 0);
    for number in out {
        let rest = bytes.get(bit / 8..).unwrap_or_default();
        *number = get(rest, width, (bit % 8) as u64)?;
        bit += step;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpacking_inverts_packing(
            width in 0u32..=64,
            raw in prop::collection::vec(any::<u64>(), 0..200),
        ) {
            let numbers: Vec<u64> = raw.iter().map(|n| n & mask(width)).collect();
            let mut bytes = Vec::new();
            pack(numbers.iter().copied(), width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_length(numbers.len(), width));
            bytes.resize(bytes.len() + READ_BYTES as usize, 0xFF);
            let mut out = vec![7; numbers.len()];
            unpack(&bytes, width, &mut out).unwrap();
            prop_assert_eq!(&out, &numbers);
            for (index, number) in numbers.iter().enumerate() {
                let bit = index * width as usize;
                let found = get(&bytes[bit / 8..], width, (bit % 8) as u64);
                prop_assert_eq!(found, Ok(*number));
            }
            if width > 0 && !numbers.is_empty() {
                let cut = packed_length(numbers.len(), width) - 1;
                prop_assert!(unpack(&bytes[..cut], width, &mut out).is_err());
            }
        }
    }
}
