//! A drawing as an SVG element within a page.
//!
//! Lengths are pixels on a phone; elsewhere the style lets a drawing grow. Colors are those of classes.

use std::fmt::Write;

use super::axis::Axis;
use super::html::text;

/// Width of all drawings.
pub const WIDTH: f64 = 360.0;
/// About the width of a letter of a label.
pub const LETTER: f64 = 6.9;

/// Which part of a label lies at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing.
pub struct Svg {
    elements: String,
}

/// A length with one decimal.
fn px(length: f64) -> String {
    let rounded = format!("{length:.1}");
    rounded.trim_end_matches(".0").to_owned()
}

impl Svg {
    /// An empty drawing; `title` is what it is called and read out as.
    pub fn new(height: f64, title: &str) -> Self {
        let (width, height) = (px(WIDTH), px(height));
        Self {
            elements: format!(
                "<svg viewBox=\"0 0 {width} {height}\" role=\"img\"><title>{}</title>\n",
                text(title)
            ),
        }
    }

    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(px);
        let _ = writeln!(
            self.elements,
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"
        );
    }

    /// A dot; `title` is shown when it is pointed at.
    pub fn dot(&mut self, class: &str, at: (f64, f64), radius: f64, title: &str) {
        let [x, y, radius] = [at.0, at.1, radius].map(px);
        let _ = writeln!(
            self.elements,
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"><title>{}</title></circle>",
            text(title)
        );
    }

    pub fn label(&mut self, class: &str, at: (f64, f64), anchor: Anchor, label: &str) {
        let [x, y] = [at.0, at.1].map(px);
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ = writeln!(
            self.elements,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{anchor}>{}</text>",
            text(label)
        );
    }

    /// A line through points.
    pub fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{},{}", px(*x), px(*y)))
            .collect();
        let points = points.join(" ");
        let _ = writeln!(
            self.elements,
            "<polyline class=\"{class}\" points=\"{points}\"/>"
        );
    }

    /// An area of columns of equal width, from a base to heights of their own.
    pub fn columns(&mut self, class: &str, left: f64, width: f64, base: f64, tops: &[f64]) {
        let mut path = format!("M{} {}", px(left), px(base));
        for (place, top) in tops.iter().enumerate() {
            let right = left + width * (place + 1) as f64;
            let _ = write!(path, "V{}H{}", px(*top), px(right));
        }
        let _ = write!(path, "V{}Z", px(base));
        let _ = writeln!(self.elements, "<path class=\"{class}\" d=\"{path}\"/>");
    }

    /// An axis below a drawing, with lines up to the top.
    pub fn bottom_axis(&mut self, axis: &Axis, (top, bottom): (f64, f64), name: &str) {
        let mut last = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for tick in &axis.ticks {
            let Some(x) = axis.place(*tick) else { continue };
            self.line("grid", (x, top), (x, bottom));
            // A label that would touch the one before is left out.
            let label = axis.label(*tick);
            let half = label.chars().count() as f64 * LETTER / 2.0;
            if x - half > last.1 + 4.0 {
                self.label("tick", (x, bottom + 14.0), Anchor::Middle, &label);
                last = (x - half, x + half);
            }
        }
        self.label("tick", (WIDTH - 4.0, bottom + 29.0), Anchor::End, name);
    }

    /// An axis left of a drawing, with lines to the right end.
    pub fn left_axis(&mut self, axis: &Axis, (left, right): (f64, f64), name: &str) {
        for tick in &axis.ticks {
            let Some(y) = axis.place(*tick) else { continue };
            self.line("grid", (left, y), (right, y));
            self.label(
                "tick",
                (left - 5.0, y + 4.0),
                Anchor::End,
                &axis.label(*tick),
            );
        }
        self.label("tick", (4.0, 12.0), Anchor::Start, name);
    }

    /// The element.
    pub fn finish(self) -> String {
        self.elements + "</svg>\n"
    }
}

/// A name that is cut to a max number of letters.
pub fn shortened(name: &str, letters: usize) -> String {
    match name.chars().count() > letters {
        true => {
            name.chars()
                .take(letters.saturating_sub(1))
                .collect::<String>()
                + "…"
        }
        false => name.to_owned(),
    }
}
