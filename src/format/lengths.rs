//! Field lengths, one byte a document (`format-spec/lengths.md`).

/// Lengths below this are exact.
const EXACT: u32 = 128;

/// The code of a length: the max whose length is not above it.
///
/// ```
/// use esparsa::internals::format::lengths::{decode, encode};
///
/// assert_eq!(decode(encode(90)), 90);
/// assert_eq!(decode(encode(1_000)), 992);
/// ```
pub const fn encode(length: u32) -> u8 {
    if length < EXACT {
        return length.to_le_bytes()[0];
    }
    // Five significant bits: 1xxxx shifted left; the leading one is implied.
    let shift = (31 - length.leading_zeros()) - 4;
    let code = (shift + 5) * 16 + ((length >> shift) & 15);
    if code > 255 {
        255
    } else {
        code.to_le_bytes()[0]
    }
}

/// The length that a code stands for.
pub const fn decode(code: u8) -> u32 {
    let code = code as u32;
    if code < EXACT {
        code
    } else {
        (16 + code % 16) << (code / 16 - 5)
    }
}

/// The lengths of all 256 codes.
pub const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut rest: &mut [u32] = &mut table;
    let mut code = 0u8;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = decode(code);
        code = code.wrapping_add(1);
        rest = others;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_gets_the_max_code_not_above_it() {
        for length in 0..200_000 {
            let code = encode(length);
            assert!(decode(code) <= length);
            assert!(code == 255 || decode(code + 1) > length, "length {length}");
        }
    }

    #[test]
    fn lengths_rise_with_their_codes() {
        assert!(TABLE.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(TABLE[255], 31_744);
        assert_eq!(encode(130), 128);
        assert_eq!(encode(136), 129);
    }
}
