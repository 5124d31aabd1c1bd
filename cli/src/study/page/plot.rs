//! The plots of systems: means with intervals, what they cost, and differences of queries.

use super::axis::{Axis, Scale, short};
use super::html::signed;
use super::svg::{Anchor, LETTER, Svg, WIDTH, shortened};

/// Height of a row of the plot of means.
const ROW: f64 = 21.0;
/// Letters of a system's name that a row has room for.
const NAME_LETTERS: usize = 18;
/// Columns of the plot of differences, beyond which it shows quantiles.
const MAX_COLUMNS: usize = 320;

/// What a system is in a plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    System,
    Baseline,
    Floor,
}

impl Role {
    fn class(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Baseline => "baseline",
            Self::Floor => "floor",
        }
    }
}

/// A system, its mean and the interval of the mean.
#[derive(Clone, Debug)]
pub struct Mean {
    pub name: String,
    pub role: Role,
    pub mean: f64,
    pub interval: (f64, f64),
}

impl Mean {
    fn title(&self) -> String {
        let (low, high) = self.interval;
        format!("{}: {:.4} [{low:.3}, {high:.3}]", self.name, self.mean)
    }
}

/// The means of all systems, one in a row, with the baseline's as a line through all.
pub fn means(title: &str, metric: &str, rows: &[Mean]) -> String {
    let letters = rows
        .iter()
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or(0);
    let left = letters.min(NAME_LETTERS) as f64 * LETTER + 10.0;
    let (top, bottom) = (6.0, 6.0 + ROW * rows.len() as f64);
    let values = rows
        .iter()
        .flat_map(|row| [row.mean, row.interval.0, row.interval.1]);
    let axis = Axis::new(Scale::Linear, values, (left, WIDTH - 46.0));
    let mut svg = Svg::new(bottom + 36.0, title);
    svg.bottom_axis(&axis, (top, bottom), metric);
    let baseline = rows.iter().find(|row| row.role == Role::Baseline);
    if let Some(x) = baseline.and_then(|row| axis.place(row.mean)) {
        svg.line("reference", (x, top), (x, bottom));
    }
    for (number, row) in rows.iter().enumerate() {
        let y = top + ROW * (number as f64 + 0.5);
        let class = row.role.class();
        let name = shortened(&row.name, NAME_LETTERS);
        svg.label("name", (left - 8.0, y + 4.0), Anchor::End, &name);
        let ends = (axis.place(row.interval.0), axis.place(row.interval.1));
        if let (Some(low), Some(high)) = ends {
            svg.line(&format!("interval {class}"), (low, y), (high, y));
            for x in [low, high] {
                svg.line(&format!("interval {class}"), (x, y - 3.5), (x, y + 3.5));
            }
        }
        if let Some(x) = axis.place(row.mean) {
            svg.dot(&format!("dot {class}"), (x, y), 4.5, &row.title());
        }
        let value = match row.mean.is_finite() {
            true => format!("{:.3}", row.mean),
            false => "–".to_owned(),
        };
        svg.label("value", (WIDTH - 4.0, y + 4.0), Anchor::End, &value);
    }
    svg.finish()
}

/// A rectangle: left, top, right and bottom.
type Area = (f64, f64, f64, f64);

fn overlap(one: &Area, other: &Area) -> bool {
    one.0 < other.2 && other.0 < one.2 && one.1 < other.3 && other.1 < one.3
}

/// Means against what systems cost. Systems whose cost is not known are left out.
pub fn trade_off(
    title: &str,
    (cost, metric): (&str, &str),
    systems: &[(Mean, Option<f64>)],
) -> String {
    const FRAME: Area = (44.0, 22.0, WIDTH - 8.0, 206.0);
    let known = || {
        let known = systems
            .iter()
            .filter_map(|(mean, cost)| Some((mean, (*cost)?)));
        known.filter(|(_, cost)| cost.is_finite() && *cost > 0.0)
    };
    let (left, top, right, bottom) = FRAME;
    let x = Axis::new(
        Scale::Log,
        known().map(|(_, cost)| cost),
        (left + 6.0, right - 6.0),
    );
    let baseline = systems.iter().map(|(mean, _)| mean);
    let baseline = baseline.clone().find(|mean| mean.role == Role::Baseline);
    let values = known().flat_map(|(row, _)| [row.mean, row.interval.0, row.interval.1]);
    let y = Axis::new(
        Scale::Linear,
        values.chain(baseline.map(|row| row.mean)),
        (bottom, top),
    );
    let mut svg = Svg::new(bottom + 36.0, title);
    svg.bottom_axis(&x, (top, bottom), cost);
    svg.left_axis(&y, (left, right), metric);
    if let Some(place) = baseline.and_then(|row| y.place(row.mean)) {
        svg.line("reference", (left, place), (right, place));
    }
    let placed = known().filter_map(|(row, cost)| {
        let at = (x.place(cost)?, y.place(row.mean)?);
        Some((row, cost, at))
    });
    let placed: Vec<(&Mean, f64, (f64, f64))> = placed.collect();
    for (row, cost, at) in &placed {
        let class = row.role.class();
        if let (Some(low), Some(high)) = (y.place(row.interval.0), y.place(row.interval.1)) {
            let class = format!("interval faint {class}");
            svg.line(&class, (at.0, low), (at.0, high));
        }
        let title = format!("{}, {}", row.title(), short(*cost));
        svg.dot(&format!("dot {class}"), *at, 4.5, &title);
    }
    let dots = placed.iter().map(|(_, _, at)| around(*at));
    let line = baseline.and_then(|row| y.place(row.mean));
    let line = line.map(|place| (left, place - 1.0, right, place + 1.0));
    let taken = dots.chain(line).collect();
    let named = placed.iter().map(|(row, _, at)| (row.name.as_str(), *at));
    push_labels(&mut svg, FRAME, named, taken);
    svg.finish()
}

/// The area of a dot.
fn around((x, y): (f64, f64)) -> Area {
    (x - 6.0, y - 6.0, x + 6.0, y + 6.0)
}

/// Names beside their dots, where nothing else is.
fn push_labels<'a>(
    svg: &mut Svg,
    (left, _, right, bottom): Area,
    dots: impl Iterator<Item = (&'a str, (f64, f64))>,
    mut taken: Vec<Area>,
) {
    for (name, at) in dots {
        let name = shortened(name, NAME_LETTERS);
        let width = name.chars().count() as f64 * LETTER;
        let free = label_places(at, width).into_iter().find(|(_, _, area)| {
            let is_inside = area.0 >= left && area.2 <= right && area.1 >= 0.0 && area.3 <= bottom;
            is_inside && !taken.iter().any(|other| overlap(area, other))
        });
        // Without a free place the name is still in the title of its dot and in the table.
        if let Some((place, anchor, area)) = free {
            svg.label("name", place, anchor, &name);
            taken.push(area);
        }
    }
}

/// Where the label of a dot may stand, the best place first, and the area it then takes.
fn label_places(at: (f64, f64), width: f64) -> Vec<((f64, f64), Anchor, Area)> {
    const OFFSETS: [(f64, f64, Anchor); 10] = [
        (8.0, 4.0, Anchor::Start),
        (-8.0, 4.0, Anchor::End),
        (0.0, -9.0, Anchor::Middle),
        (0.0, 18.0, Anchor::Middle),
        (6.0, -7.0, Anchor::Start),
        (6.0, 16.0, Anchor::Start),
        (-6.0, -7.0, Anchor::End),
        (-6.0, 16.0, Anchor::End),
        (0.0, -22.0, Anchor::Middle),
        (0.0, 31.0, Anchor::Middle),
    ];
    let place = |(dx, dy, anchor): (f64, f64, Anchor)| {
        let (x, y) = (at.0 + dx, at.1 + dy);
        let left = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x - width,
        };
        ((x, y), anchor, (left, y - 9.0, left + width, y + 3.0))
    };
    OFFSETS.map(place).to_vec()
}

/// The differences of queries, which are sorted: won ones above the line, lost ones below.
pub fn differences(title: &str, sorted: &[f64]) -> String {
    const FRAME: Area = (44.0, 6.0, WIDTH - 4.0, 96.0);
    let (left, top, right, bottom) = FRAME;
    let sizes = sorted.iter().map(|difference| difference.abs());
    let largest = sizes.filter(|size| size.is_finite()).fold(0.0, f64::max);
    let largest = if largest > 0.0 { largest } else { 1.0 };
    let middle = (top + bottom) / 2.0;
    let place = |difference: f64| middle - difference / largest * (middle - top);
    let count = sorted.len().min(MAX_COLUMNS);
    let columns: Vec<f64> = (0..count)
        .map(|column| sorted[(2 * column + 1) * sorted.len() / (2 * count)])
        .collect();
    let width = (right - left) / count.max(1) as f64;
    let mut svg = Svg::new(bottom + 4.0, title);
    for (value, y) in [(largest, top), (0.0, middle), (-largest, bottom)] {
        svg.line("grid", (left, y), (right, y));
        let label = if value == 0.0 {
            "0".to_owned()
        } else {
            signed(value)
        };
        svg.label("tick", (left - 5.0, y + 4.0), Anchor::End, &label);
    }
    let won: Vec<f64> = columns
        .iter()
        .filter(|d| **d > 0.0)
        .map(|d| place(*d))
        .collect();
    let lost: Vec<f64> = columns
        .iter()
        .filter(|d| **d < 0.0)
        .map(|d| place(*d))
        .collect();
    if !won.is_empty() {
        svg.columns("won", left, width, middle, &won);
    }
    if !lost.is_empty() {
        let start = right - width * lost.len() as f64;
        svg.columns("lost", start, width, middle, &lost);
    }
    svg.finish()
}

/// A curve over steps.
#[derive(Clone, Debug, Default)]
pub struct Series {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
    /// Whether each point is marked.
    pub is_marked: bool,
}

/// Logarithmic for what falls to a small part of what it was, apart from noise.
fn scale(series: &[Series]) -> Scale {
    let (mut min, mut max) = (f64::INFINITY, 0.0_f64);
    for series in series {
        for part in series
            .points
            .chunks(series.points.len().div_ceil(20).max(1))
        {
            let sum: f64 = part.iter().map(|(_, value)| value).sum();
            let mean = sum / part.len() as f64;
            (min, max) = (min.min(mean), max.max(mean));
        }
    }
    match min > 0.0 && max > 20.0 * min {
        true => Scale::Log,
        false => Scale::Linear,
    }
}

/// Curves over steps, two at most, with a marked point.
pub fn curves(title: &str, unit: &str, series: &[Series], best: Option<(f64, f64)>) -> String {
    const FRAME: Area = (44.0, 22.0, WIDTH - 12.0, 176.0);
    let (left, top, right, bottom) = FRAME;
    let points = || {
        series
            .iter()
            .flat_map(|series| series.points.iter().copied())
    };
    let last = points().map(|(step, _)| step).fold(0.0, f64::max);
    let scale = scale(series);
    let x = Axis::of_steps(last, (left, right));
    let y = Axis::new(scale, points().map(|(_, value)| value), (bottom, top));
    let mut svg = Svg::new(bottom + 36.0, title);
    svg.bottom_axis(&x, (bottom, bottom), "step");
    svg.left_axis(&y, (left, right), unit);
    for (series, class) in series.iter().zip(["first", "second"]) {
        let placed = series.points.iter();
        let placed = placed.filter_map(|(step, value)| Some((x.place(*step)?, y.place(*value)?)));
        let placed: Vec<(f64, f64)> = placed.collect();
        svg.polyline(&format!("curve {class}"), &placed);
        if series.is_marked || placed.len() == 1 {
            for (at, (step, value)) in placed.iter().zip(&series.points) {
                let title = format!("step {step}: {}", short(*value));
                svg.dot(&format!("dot {class}"), *at, 2.5, &title);
            }
        }
    }
    if let Some((step, value)) = best
        && let (Some(at_x), Some(at_y)) = (x.place(step), y.place(value))
    {
        let title = format!("best: {value:.4} after step {step}");
        svg.dot("ring", (at_x, at_y), 6.0, &title);
        let (shift, anchor) = match at_x > WIDTH / 2.0 {
            true => (-10.0, Anchor::End),
            false => (10.0, Anchor::Start),
        };
        let below = at_y + 16.0;
        let label_y = if below < bottom { below } else { at_y - 9.0 };
        svg.label(
            "name",
            (at_x + shift, label_y),
            anchor,
            &format!("best {value:.4}"),
        );
    }
    svg.finish()
}

#[cfg(test)]
mod tests;
