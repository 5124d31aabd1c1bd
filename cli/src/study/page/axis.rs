//! An axis: where values lie, and few round ticks.

/// How values are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// By their logarithm. What is not above 0 has no place.
    Log,
}

/// A range of values on a line of a drawing.
#[derive(Clone, Debug)]
pub struct Axis {
    scale: Scale,
    range: (f64, f64),
    /// Where the ends of the range are drawn.
    ends: (f64, f64),
    pub ticks: Vec<f64>,
}

/// Ticks of an axis at most.
const MAX_TICKS: usize = 7;

impl Axis {
    /// An axis on which all these values have a place, as far as they can have one.
    pub fn new(scale: Scale, values: impl IntoIterator<Item = f64>, ends: (f64, f64)) -> Self {
        let has_place = |value: &f64| value.is_finite() && (scale == Scale::Linear || *value > 0.0);
        let bounds = values
            .into_iter()
            .filter(has_place)
            .fold(None, |bounds, value| {
                let (min, max): (f64, f64) = bounds.unwrap_or((value, value));
                Some((min.min(value), max.max(value)))
            });
        let (min, max) = bounds.unwrap_or((0.1, 1.0));
        let range = match scale {
            Scale::Linear => linear_range(min, max),
            Scale::Log => {
                let room = (max / min).powf(0.08).max(1.25);
                (min / room, max * room)
            }
        };
        let ticks = match scale {
            Scale::Linear => linear_ticks(range),
            Scale::Log => log_ticks(range),
        };
        Self {
            scale,
            range,
            ends,
            ticks,
        }
    }

    /// An axis of steps, from 0.
    pub fn of_steps(last: f64, ends: (f64, f64)) -> Self {
        let range = (0.0, last.max(1.0));
        let mut ticks = linear_ticks(range);
        // There is no half step.
        ticks.retain(|tick| tick.fract() == 0.0);
        Self {
            scale: Scale::Linear,
            range,
            ends,
            ticks,
        }
    }

    /// Where a value is drawn; `None` for one that has no place.
    pub fn place(&self, value: f64) -> Option<f64> {
        let (min, max) = self.range;
        let share = match self.scale {
            Scale::Linear => (value - min) / (max - min),
            Scale::Log => (value / min).ln() / (max / min).ln(),
        };
        let (start, end) = self.ends;
        share
            .is_finite()
            .then(|| start + share.clamp(0.0, 1.0) * (end - start))
    }

    /// The label of a tick.
    pub fn label(&self, tick: f64) -> String {
        let largest = self
            .ticks
            .iter()
            .fold(0.0, |max: f64, tick| max.max(tick.abs()));
        if largest >= 10_000.0 && self.scale == Scale::Linear {
            return short(tick / 1_000.0) + if tick == 0.0 { "" } else { "k" };
        }
        short(tick)
    }
}

fn linear_range(min: f64, max: f64) -> (f64, f64) {
    let room = match max - min {
        0.0 if max == 0.0 => return (0.0, 1.0),
        span if span < 1e-6 * max.abs().max(min.abs()) => 0.1 * max.abs(),
        span => 0.06 * span,
    };
    // Metrics and counts have no values below 0.
    let low = min - room;
    (if min >= 0.0 { low.max(0.0) } else { low }, max + room)
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks((min, max): (f64, f64)) -> Vec<f64> {
    let span = max - min;
    let power = 10f64.powf((span / MAX_TICKS as f64).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0].map(|digit| digit * power);
    let count = |step: f64| (max / step).floor() - (min / step).ceil() + 1.0;
    let step = steps
        .into_iter()
        .find(|step| count(*step) <= MAX_TICKS as f64);
    let step = step.unwrap_or(span);
    let (first, last) = ((min / step).ceil() as i64, (max / step).floor() as i64);
    (first..=last).map(|tick| tick as f64 * step).collect()
}

/// Powers of ten, and between few of these the digits 2 and 5.
fn log_ticks((min, max): (f64, f64)) -> Vec<f64> {
    let exponents = min.log10().floor() as i32..=max.log10().ceil() as i32;
    let of = |digits: &[f64]| -> Vec<f64> {
        let all = exponents.clone().flat_map(|exponent| {
            let power = 10f64.powi(exponent);
            digits
                .iter()
                .map(move |digit| digit * power)
                .collect::<Vec<_>>()
        });
        all.filter(|tick| (min..=max).contains(tick)).collect()
    };
    let decades = of(&[1.0]);
    match decades.len() {
        0..3 => of(&[1.0, 2.0, 5.0]),
        count => decades
            .into_iter()
            .step_by(count.div_ceil(MAX_TICKS))
            .collect(),
    }
}

/// A number with few digits.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".to_owned();
    }
    if size != 0.0 && !(1e-4..1e7).contains(&size) {
        return format!("{value:.1e}");
    }
    let decimals = match size {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.01.. => 3,
        _ => 5,
    };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|tick| axis.label(*tick)).collect()
    }

    #[test]
    fn ticks_are_few_and_round() {
        let of =
            |scale, values: &[f64]| labels(&Axis::new(scale, values.iter().copied(), (0.0, 100.0)));
        assert_eq!(
            of(Scale::Linear, &[0.31, 0.44]),
            ["0.32", "0.34", "0.36", "0.38", "0.4", "0.42", "0.44"]
        );
        assert_eq!(
            of(Scale::Linear, &[0.0, 1.0]),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(
            of(Scale::Linear, &[0.0]),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(of(Scale::Log, &[0.5, 900.0]), ["1", "10", "100", "1000"]);
        assert_eq!(of(Scale::Log, &[20.0]), ["20"]);
        assert_eq!(of(Scale::Log, &[30.0, 400.0]), ["50", "100", "200", "500"]);
        let steps = Axis::of_steps(20_000.0, (0.0, 100.0));
        assert_eq!(labels(&steps), ["0", "5k", "10k", "15k", "20k"]);
    }

    #[test]
    fn what_has_no_place_is_not_drawn() {
        let axis = Axis::new(Scale::Log, [0.0, -1.0, f64::NAN], (0.0, 100.0));
        assert_eq!(
            [0.0, -1.0, f64::NAN].map(|value| axis.place(value)),
            [None; 3]
        );
        assert!(axis.place(0.5).is_some());
    }

    proptest! {
        #[test]
        fn any_values_have_places_and_different_labels(
            values in proptest::collection::vec(prop_oneof![0.0..1.0, Just(0.0), -10.0..1e5, 1e-3..1e-2], 0..6),
            is_log: bool,
        ) {
            let scale = if is_log { Scale::Log } else { Scale::Linear };
            let axis = Axis::new(scale, values.iter().copied(), (10.0, 90.0));
            for value in values.iter().filter(|value| !is_log || **value > 0.0) {
                let place = axis.place(*value).unwrap();
                prop_assert!((10.0..=90.0).contains(&place));
            }
            prop_assert!(axis.ticks.len() <= 9, "{:?}", axis.ticks);
            prop_assert!(axis.ticks.iter().all(|tick| axis.place(*tick).is_some()));
            let mut labels = labels(&axis);
            let count = labels.len();
            labels.dedup();
            prop_assert_eq!(labels.len(), count, "{:?}", axis.ticks);
        }
    }
}
