//! Variable-length integers: seven bits a byte, lowest group first (`format-spec/README.md`).

use super::{Malformed, Parse};

/// Appends `value`.
pub fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// How many bytes [`write()`] appends for `value`.
#[cfg(test)]
const fn length(value: u64) -> u32 {
    let bits = 64 - (value | 1).leading_zeros();
    bits.div_ceil(7)
}

/// Reads a value at `*position` and moves past it.
///
/// # Errors
///
/// When the bytes end too early or the value does not fit 64 bits.
#[inline]
pub fn read(bytes: &[u8], position: &mut usize) -> Parse<u64> {
    let mut value = 0u64;
    let mut shift = 0;
    loop {
        let byte = *bytes
            .get(*position)
            .ok_or(Malformed("varint runs past the end"))?;
        *position += 1;
        if shift == 63 && byte > 1 {
            return Err(Malformed("varint does not fit 64 bits"));
        }
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
        shift += 7;
    }
}

/// Reads a value that must fit `u32`.
///
/// # Errors
///
/// As [`read`], and when the value is too great.
#[inline]
pub fn read_u32(bytes: &[u8], position: &mut usize) -> Parse<u32> {
    u32::try_from(read(bytes, position)?).map_err(|_| Malformed("varint does not fit 32 bits"))
}

/// Reads a varint and as many bytes as it says.
///
/// # Errors
///
/// As [`read`], and when there are fewer bytes.
#[inline]
pub fn read_bytes<'a>(bytes: &'a [u8], position: &mut usize) -> Parse<&'a [u8]> {
    let length = super::narrow(read(bytes, position)?)?;
    let end = position
        .checked_add(length)
        .ok_or(Malformed("length overflows"))?;
    let found = bytes
        .get(*position..end)
        .ok_or(Malformed("length runs past the end"))?;
    *position = end;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec(any::<u64>(), 0..50), shift in 0u32..64) {
            let mut bytes = Vec::new();
            for value in &values {
                let before = bytes.len();
                write(value >> shift, &mut bytes);
                prop_assert_eq!(bytes.len() - before, length(value >> shift) as usize);
            }
            let mut position = 0;
            for value in &values {
                prop_assert_eq!(read(&bytes, &mut position), Ok(value >> shift));
            }
            prop_assert_eq!(position, bytes.len());
        }
    }

    #[test]
    fn overlong_and_truncated_are_malformed() {
        assert!(read(&[0x80], &mut 0).is_err());
        assert!(read(&[0xFF; 11], &mut 0).is_err());
        assert_eq!(read(&[0xAC, 0x02], &mut 0), Ok(300));
    }
}
