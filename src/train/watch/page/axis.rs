//! An axis: its range, its few round ticks, and their labels.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::text::scientific;

/// Intervals between ticks that an axis has about.
const INTERVALS: f64 = 4.0;
/// Ticks of a logarithmic axis at most.
const MAX_DECADES: usize = 5;

/// How values are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Evenly, from 0.
    FromZero,
    /// By their logarithm. Values that are not above 0 have no place.
    Log,
}

/// A range of values on a line of pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    scale: Scale,
    min: f64,
    max: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis of steps, up to the last.
    pub fn of_steps(last: u64) -> Self {
        let max = last.max(1) as f64;
        let ticks = round_ticks(0.0, max);
        Self {
            scale: Scale::Linear,
            min: 0.0,
            max,
            // There is no half step.
            ticks: ticks
                .into_iter()
                .filter(|tick| tick.fract() == 0.0)
                .collect(),
        }
    }

    /// An axis that shows values from `min` to `max`, with some room around them.
    pub fn new(scale: Scale, min: f64, max: f64) -> Self {
        match scale {
            Scale::Log if min > 0.0 => Self::logarithmic(min, max),
            Scale::FromZero => {
                let max = if max > 0.0 { 1.05 * max } else { 1.0 };
                Self::evenly(scale, min.min(0.0), max)
            }
            Scale::Log | Scale::Linear => {
                let room = match max - min {
                    0.0 if max == 0.0 => 1.0,
                    // Labels have few digits, which must tell the ticks apart.
                    span if span < 0.01 * max.abs().max(min.abs()) => 0.01 * max.abs(),
                    span => 0.06 * span,
                };
                Self::evenly(Scale::Linear, min - room, max + room)
            }
        }
    }

    fn evenly(scale: Scale, min: f64, max: f64) -> Self {
        Self {
            scale,
            min,
            max,
            ticks: round_ticks(min, max),
        }
    }

    fn logarithmic(min: f64, max: f64) -> Self {
        let room = (max / min).powf(0.06).max(1.1);
        let (min, max) = (min / room, max * room);
        let decades = |digits: &[f64]| {
            let exponents = min.log10().floor() as i32..=max.log10().ceil() as i32;
            let all = exponents.flat_map(|exponent| {
                let of_digit = move |digit: &f64| digit * 10f64.powi(exponent);
                digits.iter().map(of_digit).collect::<Vec<_>>()
            });
            all.filter(|tick| (min..=max).contains(tick))
                .collect::<Vec<f64>>()
        };
        let mut ticks = decades(&[1.0]);
        let every = ticks.len().div_ceil(MAX_DECADES).max(1);
        ticks = ticks.into_iter().step_by(every).collect();
        if ticks.len() < 3 {
            ticks = decades(&[1.0, 2.0, 5.0]);
        }
        if ticks.len() < 3 {
            ticks = round_ticks(min, max);
        }
        Self {
            scale: Scale::Log,
            min,
            max,
            ticks,
        }
    }

    /// True for a value that can be placed.
    pub fn has_place_for(&self, value: f64) -> bool {
        value.is_finite() && (self.scale != Scale::Log || value > 0.0)
    }

    /// Where a value lies, from 0 to 1; values outside lie at the ends.
    fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Log => (value / self.min).ln() / (self.max / self.min).ln(),
            Scale::Linear | Scale::FromZero => (value - self.min) / (self.max - self.min),
        };
        place.clamp(0.0, 1.0)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        start + (self.place(*value) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.min..self.max
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        label(*value, &self.ticks)
    }
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn round_ticks(min: f64, max: f64) -> Vec<f64> {
    let rough = (max - min) / INTERVALS;
    if !(rough.is_finite() && rough > 0.0) {
        return Vec::new();
    }
    let power = 10f64.powi(rough.log10().floor() as i32);
    let nice = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    let nearest = nice.into_iter().min_by(|one, other| {
        let distance = |step: &f64| (step / rough).ln().abs();
        distance(one).total_cmp(&distance(other))
    });
    let step = nearest.unwrap_or(power);
    let (first, last) = ((min / step).ceil() as i64, (max / step).floor() as i64);
    (first..=last).map(|tick| tick as f64 * step).collect()
}

/// The label of a tick, with as many decimals as tell the ticks apart.
fn label(value: f64, ticks: &[f64]) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let largest = ticks.iter().fold(0.0, |max: f64, tick| max.max(tick.abs()));
    let size = value.abs();
    match largest {
        _ if size >= 1e15 || largest < 1e-3 => scientific(value, 3),
        1e4.. => {
            let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
            let unit = units.into_iter().find(|(factor, _)| size >= *factor);
            let (factor, name) = unit.unwrap_or((1.0, ""));
            format!("{}{name}", decimal(value / factor))
        }
        _ if size < 1e-3 => scientific(value, 3),
        _ => decimal(value),
    }
}

/// The shortest decimal within a hundred-thousandth of a value.
fn decimal(value: f64) -> String {
    let decimals = |decimals: usize| format!("{value:.decimals$}");
    let is_close = |text: &String| {
        let shown = text.parse().unwrap_or(f64::NAN);
        (shown - value).abs() <= 1e-5 * value.abs()
    };
    (0..8)
        .map(decimals)
        .find(is_close)
        .unwrap_or_else(|| decimals(8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks
            .iter()
            .map(|tick| axis.format_ext(tick))
            .collect()
    }

    #[test]
    fn ticks_are_few_and_round() {
        let of = |scale, min, max| labels(&Axis::new(scale, min, max));
        assert_eq!(
            of(Scale::Linear, 0.61, 0.78),
            ["0.6", "0.65", "0.7", "0.75"]
        );
        assert_eq!(
            of(Scale::FromZero, 0.0, 2e-5),
            ["0", "5e-6", "1e-5", "1.5e-5", "2e-5"]
        );
        assert_eq!(
            of(Scale::FromZero, 9e3, 14_900.0),
            ["0", "5k", "10k", "15k"]
        );
        assert_eq!(of(Scale::Log, 30.0, 9_000.0), ["100", "1k", "10k"]);
        assert_eq!(of(Scale::Log, 50.0, 400.0), ["50", "100", "200"]);
        assert_eq!(of(Scale::Log, 1e-6, 4.0), ["1e-6", "1e-4", "0.01", "1"]);
        assert_eq!(
            of(Scale::Log, 97.0, 103.0),
            ["90", "95", "100", "105", "110"]
        );
        assert_eq!(of(Scale::Linear, 0.0, 0.0), ["-1", "-0.5", "0", "0.5", "1"]);
        assert_eq!(labels(&Axis::of_steps(1)), ["0", "1"]);
        assert_eq!(
            labels(&Axis::of_steps(5_000)),
            ["0", "1000", "2000", "3000", "4000", "5000"]
        );
    }

    #[test]
    fn values_outside_lie_at_the_ends() {
        let axis = Axis::new(Scale::Log, 1.0, 100.0);
        assert_eq!(axis.map(&1e9, (0, 500)), 500);
        assert_eq!(axis.map(&10.0, (0, 500)), 250);
        assert!(!axis.has_place_for(0.0) && !axis.has_place_for(f64::NAN));
        // Where a smallest value has no logarithm, the axis is linear.
        assert!(Axis::new(Scale::Log, 0.0, 100.0).has_place_for(0.0));
    }

    proptest! {
        #[test]
        fn any_values_have_an_axis(
            one in prop_oneof![-1e3..1e3, Just(0.0), 1e-12..1e-6, 1e6..1e14],
            other in prop_oneof![-1e3..1e3, Just(0.0), 1e-12..1e-6, 1e6..1e14],
            scale in prop_oneof![Just(Scale::Linear), Just(Scale::FromZero), Just(Scale::Log)],
        ) {
            let (min, max) = if one <= other { (one, other) } else { (other, one) };
            let axis = Axis::new(scale, min, max);
            let Range { start, end } = axis.range();
            prop_assert!(start < end, "{:?}", axis);
            let labels = labels(&axis);
            prop_assert!(labels.len() <= 9, "{labels:?}");
            prop_assert!(labels.iter().all(|label| label.len() <= 10), "{labels:?}");
            prop_assert!(labels.windows(2).all(|pair| pair[0] != pair[1]), "{labels:?}");
            prop_assert!(axis.ticks.iter().all(|tick| (start..=end).contains(tick)));
            for value in [min, max] {
                if axis.has_place_for(value) {
                    prop_assert!((0..=500).contains(&axis.map(&value, (0, 500))));
                }
            }
        }
    }
}
