//! Weights become impacts: 8-bit steps of a scale, with a power of two of its own where one scale
//! cannot hold them (`format-spec/sparse_postings.md`).
//!
//! A field has a scale, fixed in its schema. An impact is a number of steps of `scale ·
//! 2^exponent`. A segment has a *base* exponent, chosen from its weights when it is written, and
//! nearly all impacts have it. A weight above 255 such steps takes a larger exponent and a tiny one
//! the [fine](FINE) one, so that neither loses its place among its like. Impacts are fixed when a
//! document is first written: merging moves them and never rounds them again.

/// The most that an exponent may lie from 0; weights and scales are `f32`, so no writer gets near
/// it.
pub const MAX_EXPONENT: i16 = 512;
/// Tiny weights take steps smaller by this power of two. The two ranges together are as wide as 20
/// bits.
pub const FINE: i16 = -12;
/// Weights below this many base steps take fine ones, of which 255 are the max. Between this and
/// half a step they are rounded up to one step: learned models give some such weights to nearly
/// every term, and a second list for each term would cost more than they bring.
const TINY_STEPS: f64 = 255.5 / 4_096.0;
/// A base exponent above that of the schema's scale is taken when more than one weight in 32
/// is above its 255 steps.
const FEW_ABOVE: u64 = 32;
/// The base exponent is at most this much above the one that half of the weights fit, so that those
/// have 16 steps or more however large the others are.
const ABOVE_MEDIAN: i16 = 3;
/// A base exponent below that of the schema's scale is taken when all weights allow at least this
/// one: while a quarter of the steps is in use, lists that need not be split when segments are
/// merged are worth more than the bits.
const WELL_BELOW: i16 = -2;

/// A quantized weight: `steps` times `scale · 2^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impact {
    /// The power of two that the field's scale is multiplied with.
    pub exponent: i16,
    /// Number of steps, 1 to 255.
    pub steps: u8,
}

/// What quantization did to a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantized {
    /// The impact is within half a step of the weight.
    Near,
    /// The weight is below half of the smallest step and was rounded up to it.
    RoundedUp,
    /// The weight is above the field's max weight and was lowered to it.
    Clamped,
}

/// Turns the weights of a segment into impacts.
#[derive(Clone, Copy, Debug)]
pub struct ImpactScale {
    scale: f32,
    base: i16,
    base_step: f64,
    clamps: bool,
}

impl ImpactScale {
    /// For a field with this scale and a segment with this base exponent; with `clamps`, 255 base
    /// steps are the max weight.
    pub fn new(scale: f32, base: i16, clamps: bool) -> Self {
        Self {
            scale,
            base,
            base_step: step(scale, base),
            clamps,
        }
    }

    /// The base exponent.
    pub fn base(&self) -> i16 {
        self.base
    }

    /// The impact of a positive finite weight.
    #[inline]
    pub fn quantize(&self, weight: f32) -> (Impact, Quantized) {
        let in_steps = f64::from(weight) / self.base_step;
        let impact = |exponent, steps| Impact { exponent, steps };
        if (0.5..255.5).contains(&in_steps) {
            return (impact(self.base, round(in_steps)), Quantized::Near);
        }
        if in_steps >= 255.5 {
            if self.clamps {
                return (impact(self.base, u8::MAX), Quantized::Clamped);
            }
            let exponent = exponent_of(weight, self.scale).max(self.base);
            let in_steps = f64::from(weight) / step(self.scale, exponent);
            return (impact(exponent, round(in_steps)), Quantized::Near);
        }
        if in_steps >= TINY_STEPS {
            return (impact(self.base, 1), Quantized::RoundedUp);
        }
        let exponent = self.base + FINE;
        let in_steps = f64::from(weight) / step(self.scale, exponent);
        if in_steps >= 0.5 {
            return (impact(exponent, round(in_steps)), Quantized::Near);
        }
        (impact(exponent, 1), Quantized::RoundedUp)
    }
}

/// The weight that one step stands for.
pub fn step(scale: f32, exponent: i16) -> f64 {
    f64::from(scale) * power_of_two(exponent)
}

/// 2 to the power of an exponent, which is at most [`MAX_EXPONENT`] from 0.
pub fn power_of_two(exponent: i16) -> f64 {
    let exponent = exponent.clamp(-2 * MAX_EXPONENT + 2, 2 * MAX_EXPONENT - 1);
    f64::from_bits(u64::from((exponent + 1_023).cast_unsigned()) << 52)
}

/// The nearest whole number of steps, halves rounded up, from 0 to 255.
#[inline]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn round(in_steps: f64) -> u8 {
    // Casts of floating-point numbers saturate.
    (in_steps + 0.5) as u8
}

/// The smallest exponent at which a positive weight takes at most 255 steps.
#[inline]
pub fn exponent_of(weight: f32, scale: f32) -> i16 {
    // The product is exact; a quotient below 1 rounds to 255 steps at most.
    let share = f64::from(weight) / (f64::from(scale) * 255.5);
    let exponent_bits = (share.to_bits() >> 52) & 0x7FF;
    i16::try_from(exponent_bits).unwrap_or(0) - 1_022
}

/// How many weights need which exponent, to choose a segment's base exponent by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExponentCounts {
    /// By exponent plus [`MAX_EXPONENT`].
    counts: Vec<u64>,
}

impl ExponentCounts {
    /// Counts a positive weight.
    #[inline]
    pub fn count(&mut self, weight: f32, scale: f32) {
        if self.counts.is_empty() {
            self.counts
                .resize(2 * usize::from(MAX_EXPONENT.unsigned_abs()), 0);
        }
        let place = exponent_of(weight, scale) + MAX_EXPONENT;
        if let Some(count) = self.counts.get_mut(usize::from(place.unsigned_abs())) {
            *count += 1;
        }
    }

    /// Exponents that were needed, rising, and how often each was.
    pub fn needed(&self) -> Vec<(i16, u64)> {
        let counts = (-MAX_EXPONENT..).zip(&self.counts);
        let counted = counts.filter(|(_, count)| **count > 0);
        counted
            .map(|(exponent, count)| (exponent, *count))
            .collect()
    }

    /// Forgets all weights.
    pub fn clear(&mut self) {
        self.counts.fill(0);
    }
}

/// The base exponent of a segment whose weights need these exponents, each with the number of
/// weights that need it.
///
/// It is 0, the schema's scale, as long as that fits: segments that agree keep the lists of their
/// merged segment whole.
pub fn choose_base(needed: &[(i16, u64)]) -> i16 {
    let Some(max) = needed.iter().map(|(exponent, _)| *exponent).max() else {
        return 0;
    };
    if max <= WELL_BELOW {
        return max;
    }
    let total: u64 = needed.iter().map(|(_, count)| *count).sum();
    let above = |base: i16| -> u64 {
        let above = needed.iter().filter(|(exponent, _)| *exponent > base);
        above.map(|(_, count)| *count).sum()
    };
    let fits = |base: &i16| above(*base) <= total / FEW_ABOVE;
    let of_half = |base: &i16| above(*base) <= total / 2;
    let min = needed.iter().map(|(exponent, _)| *exponent).min();
    let median = (min.unwrap_or(max)..max).find(of_half).unwrap_or(max);
    let of_most = (0..max).find(fits).unwrap_or(max);
    of_most.min(median + ABOVE_MEDIAN).max(0)
}

/// An impact as one number, relative to a base exponent: those at the base are below 256.
pub fn pack(impact: Impact, base: i16) -> u32 {
    let offset = i32::from(impact.exponent) - i32::from(base);
    let zigzag = (offset << 1) ^ (offset >> 31);
    zigzag.cast_unsigned() << 8 | u32::from(impact.steps)
}

/// The opposite of [`pack`]; what no impact is packed as comes out as some impact.
pub fn unpack(packed: u32, base: i16) -> Impact {
    let zigzag = packed >> 8;
    let offset = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
    let exponent = i32::from(base).saturating_add(offset);
    let most = i32::from(MAX_EXPONENT);
    Impact {
        exponent: i16::try_from(exponent.clamp(-most, most)).unwrap_or(0),
        steps: packed.to_le_bytes()[0],
    }
}

/// A packed impact in steps of the base, at most 255 and at least 1: to compare weights roughly.
#[inline]
pub fn in_base_steps(packed: u32) -> u8 {
    if let Ok(steps) = u8::try_from(packed) {
        return steps;
    }
    let Impact { exponent, steps } = unpack(packed, 0);
    let exact = f64::from(steps) * power_of_two(exponent);
    round(exact).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weight_of(impact: Impact, scale: f32) -> f64 {
        f64::from(impact.steps) * step(scale, impact.exponent)
    }

    fn positive() -> impl Strategy<Value = f32> {
        // All magnitudes, down to the smallest subnormal number.
        (1u32..0x7F80_0000).prop_map(f32::from_bits)
    }

    fn normal() -> impl Strategy<Value = f32> {
        (0x0080_0000u32..0x7F00_0000).prop_map(f32::from_bits)
    }

    proptest! {
        #[test]
        fn impacts_are_near_their_weights_and_keep_their_order(
            scale in normal(),
            mut weights in prop::collection::vec(positive(), 1..40),
        ) {
            weights.sort_by(f32::total_cmp);
            let mut counts = ExponentCounts::default();
            weights.iter().for_each(|weight| counts.count(*weight, scale));
            let quantizer = ImpactScale::new(scale, choose_base(&counts.needed()), false);
            let base_step = step(scale, quantizer.base());
            let mut before = 0.0;
            for weight in weights {
                let (impact, quantized) = quantizer.quantize(weight);
                prop_assert!(impact.steps > 0 && impact.exponent.abs() <= MAX_EXPONENT);
                let kept = weight_of(impact, scale);
                prop_assert!(kept >= before, "{weight} is kept as {kept}, after {before}");
                before = kept;
                let error = (kept - f64::from(weight)).abs();
                let of_step = error / step(scale, impact.exponent);
                match quantized {
                    Quantized::Near => prop_assert!(of_step <= 0.5 + 1e-9),
                    Quantized::RoundedUp => prop_assert!(impact.steps == 1 && error < base_step),
                    Quantized::Clamped => prop_assert!(false),
                }
                if impact.exponent > quantizer.base() {
                    prop_assert!(impact.steps >= 128);
                }
                let packed = pack(impact, quantizer.base());
                prop_assert_eq!(unpack(packed, quantizer.base()), impact);
                prop_assert_eq!(packed < 256, impact.exponent == quantizer.base());
            }
        }

        #[test]
        fn exponents_are_the_smallest_that_fit(weight in positive(), scale in normal()) {
            let exponent = exponent_of(weight, scale);
            let in_steps = |exponent| f64::from(weight) / step(scale, exponent);
            prop_assert!(in_steps(exponent) <= 255.5 && in_steps(exponent - 1) >= 255.5);
        }
    }

    #[test]
    fn the_base_is_the_schemas_scale_unless_that_fits_badly() {
        assert_eq!(choose_base(&[]), 0);
        assert_eq!(choose_base(&[(-9, 5), (-1, 1)]), 0);
        assert_eq!(choose_base(&[(-9, 5), (-2, 1)]), -2);
        assert_eq!(choose_base(&[(0, 31), (1, 1)]), 0);
        assert_eq!(choose_base(&[(0, 30), (1, 1)]), 1);
        assert_eq!(choose_base(&[(0, 90), (1, 90), (7, 1)]), 1);
        assert_eq!(choose_base(&[(3, 2)]), 3);
        assert_eq!(choose_base(&[(2, 4), (9, 3)]), 5);
    }

    #[test]
    fn a_weight_just_below_a_sixteenth_of_a_step_is_not_off_by_more_than_half_a_fine_step() {
        let quantizer = ImpactScale::new(4_096.0, 0, false);
        let fine = |steps| Impact {
            exponent: FINE,
            steps,
        };
        assert_eq!(quantizer.quantize(255.4), (fine(255), Quantized::Near));
        let one = Impact {
            exponent: 0,
            steps: 1,
        };
        for weight in [255.5, 255.9, 256.0] {
            assert_eq!(quantizer.quantize(weight), (one, Quantized::RoundedUp));
        }
    }

    #[test]
    fn weights_above_the_max_weight_are_clamped() {
        let quantizer = ImpactScale::new(3.0 / 255.0, 0, true);
        let base = |steps| Impact { exponent: 0, steps };
        assert_eq!(quantizer.quantize(3.0), (base(255), Quantized::Near));
        assert_eq!(quantizer.quantize(3.1), (base(255), Quantized::Clamped));
        assert_eq!(quantizer.quantize(0.004), (base(1), Quantized::RoundedUp));
    }

    #[test]
    fn packed_impacts_compare_in_base_steps() {
        let packed = |exponent, steps| pack(Impact { exponent, steps }, 3);
        assert_eq!(in_base_steps(packed(3, 200)), 200);
        assert_eq!(in_base_steps(packed(4, 130)), 255);
        assert_eq!(in_base_steps(packed(-9, 255)), 1);
    }
}
