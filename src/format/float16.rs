//! Half-precision numbers (IEEE 754 binary16) as their bits.

/// Bits of the least normal half, 2^-14, as a single.
const LEAST_NORMAL: u32 = 0x3880_0000;
/// Bits of 65,536 as a single: from here on there is no finite half.
const TOO_GREAT: u32 = 0x4780_0000;
/// Difference of the exponents' biases, 112, in its place.
const BIAS: u32 = 112 << 23;

/// The greatest finite half.
pub const MAX: f32 = 65_504.0;

/// The half nearest to a number, the even one of two; infinite from 65,520 on.
///
/// ```
/// use esparsa::format::float16::{from_f32, to_f32};
///
/// assert_eq!(from_f32(-2.0), 0xC000);
/// assert_eq!(to_f32(from_f32(0.1)), 0.099_975_586);
/// ```
pub fn from_f32(number: f32) -> u16 {
    let bits = number.to_bits();
    let (sign, magnitude) = ((bits >> 16) & 0x8000, bits & 0x7FFF_FFFF);
    let half = if magnitude > f32::INFINITY.to_bits() {
        0x7E00
    } else if magnitude >= TOO_GREAT {
        0x7C00
    } else if magnitude >= LEAST_NORMAL {
        // Half of the last bit that is kept, less one when that bit is even.
        let rounded = magnitude + 0x0FFF + ((magnitude >> 13) & 1);
        (rounded - BIAS) >> 13
    } else {
        subnormal(f32::from_bits(magnitude))
    };
    let [low, high, _, _] = (sign | half).to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// How many steps of 2^-24 are nearest to a number below 2^-14.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn subnormal(number: f32) -> u32 {
    // From 0 to 1,024, so the conversion is exact.
    (number * 16_777_216.0).round_ties_even() as u32
}

/// The number that a half stands for.
#[inline]
pub fn to_f32(half: u16) -> f32 {
    let (sign, rest) = (u32::from(half & 0x8000) << 16, u32::from(half & 0x7FFF));
    let magnitude = match rest {
        // Exact: at most 1,023 steps of 2^-24.
        0..0x0400 => (f32::from(half & 0x7FFF) / 16_777_216.0).to_bits(),
        0x0400..0x7C00 => (rest << 13) + BIAS,
        _ => 0x7F80_0000 | (rest << 13),
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_half_comes_back() {
        for half in 0..=u16::MAX {
            let number = to_f32(half);
            if number.is_nan() {
                assert!(to_f32(from_f32(number)).is_nan());
            } else {
                assert_eq!(from_f32(number), half, "{number}");
            }
        }
        assert_eq!(to_f32(0x7BFF), MAX);
        assert_eq!(to_f32(0x0001), 2f32.powi(-24));
        assert_eq!(to_f32(0x3C00), 1.0);
    }

    proptest! {
        #[test]
        fn numbers_become_the_nearest_half(number in prop_oneof![-70_000f32..70_000.0, -1e-3f32..1e-3]) {
            let half = from_f32(number);
            let off = |half: u16| (f64::from(to_f32(half)) - f64::from(number)).abs();
            if number.abs() >= 65_520.0 {
                prop_assert_eq!(half & 0x7FFF, 0x7C00);
            } else {
                for other in [half.wrapping_add(1), half.wrapping_sub(1)] {
                    let is_number = to_f32(other).is_finite() && (other ^ half) & 0x8000 == 0;
                    let further = off(other) > off(half);
                    prop_assert!(!is_number || further || (off(other) == off(half) && half & 1 == 0));
                }
            }
        }
    }

    #[test]
    fn ties_go_to_the_even_half() {
        assert_eq!(from_f32(1.0 + 2f32.powi(-11)), 0x3C00);
        assert_eq!(from_f32(1.0 + 3.0 * 2f32.powi(-11)), 0x3C02);
        assert_eq!(from_f32(2f32.powi(-25)), 0);
        assert_eq!(from_f32(3.0 * 2f32.powi(-25)), 2);
        assert_eq!(from_f32(65_519.0), 0x7BFF);
        assert_eq!(from_f32(f32::NEG_INFINITY), 0xFC00);
    }
}
