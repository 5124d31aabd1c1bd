//! One chart as SVG.
//!
//! Colors are those of the light theme; the style of the page replaces them in the dark one. The
//! canvas has twice the pixels of the intended size, because the backend rounds to whole pixels.

use std::error::Error as StdError;

use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{Circle, PathElement};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, IntoTextStyle, RGBColor, ShapeStyle};

use super::axis::{Axis, Scale};
use super::text::short;

/// Width and height of the canvas.
const SIZE: (u32, u32) = (1_120, 480);
const LABEL_SIZE: i32 = 32;
const TEXT: RGBColor = RGBColor(0x4a, 0x55, 0x60);
const LINES: RGBColor = RGBColor(0xe3, 0xe7, 0xec);
/// The colors of a chart's curves, which color-blind people can tell apart.
const COLORS: [RGBColor; 2] = [RGBColor(0x2a, 0x6f, 0xdb), RGBColor(0xd9, 0x6b, 0x0b)];

/// A curve.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: &'static str,
    /// Steps and values as measured, drawn faintly; may be empty.
    pub raw: Vec<(f64, f64)>,
    /// Steps and values of the line.
    pub line: Vec<(f64, f64)>,
    /// True if each point of the line is marked, where there are few.
    pub is_marked: bool,
}

/// A chart of some curves over steps.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What is shown.
    pub title: String,
    /// The label of the vertical axis, with its unit.
    pub unit: &'static str,
    /// How the vertical axis is divided.
    pub scale: Scale,
    /// The curves, two at most.
    pub series: Vec<Series>,
    /// A point that is marked.
    pub best: Option<(f64, f64)>,
    /// The end of the horizontal axis.
    pub last_step: u64,
}

impl Chart {
    /// True if no curve has a point.
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.line.is_empty())
    }

    /// The SVG element.
    ///
    /// # Errors
    ///
    /// Those of the drawing library; drawing to memory does not fail in practice.
    pub fn draw(&self) -> Result<String, Box<dyn StdError + Send + Sync>> {
        let mut svg = String::new();
        self.draw_to(&mut svg).map_err(|error| error.to_string())?;
        Ok(svg)
    }

    fn draw_to(&self, svg: &mut String) -> Result<(), Box<dyn StdError>> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let (x, y) = (Axis::of_steps(self.last_step), self.vertical());
        let mut chart = ChartBuilder::on(&area)
            .margin_top(22)
            // The label of the last step is centered below the end of the axis.
            .margin_right(48)
            .x_label_area_size(88)
            .y_label_area_size(156)
            .build_cartesian_2d(x, y.clone())?;
        let label = || ("sans-serif", LABEL_SIZE).into_font().color(&TEXT);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(LINES.mix(0.0))
            .bold_line_style(ShapeStyle::from(&LINES).stroke_width(2))
            .axis_style(ShapeStyle::from(&LINES).stroke_width(2))
            .label_style(label())
            .axis_desc_style(label())
            .x_desc("step")
            .y_desc(self.unit)
            .draw()?;
        for (series, color) in self.series.iter().zip(COLORS) {
            let place = |points: &[(f64, f64)]| {
                let placed = points
                    .iter()
                    .copied()
                    .filter(|(_, value)| y.has_place_for(*value));
                placed.collect::<Vec<_>>()
            };
            let faint = ShapeStyle::from(&color.mix(0.38)).stroke_width(2);
            chart.draw_series([PathElement::new(place(&series.raw), faint)])?;
            let line = place(&series.line);
            if line.len() == 1 || (series.is_marked && line.len() <= 60) {
                let dots = line
                    .iter()
                    .map(|point| Circle::new(*point, 6, color.filled()));
                chart.draw_series(dots)?;
            }
            let thick = ShapeStyle::from(&color).stroke_width(4);
            chart.draw_series([PathElement::new(line, thick)])?;
        }
        if let Some(best) = self.best.filter(|(_, value)| y.has_place_for(*value)) {
            let ring = ShapeStyle::from(&COLORS[1]).stroke_width(4);
            chart.draw_series([Circle::new(best, 12, ring)])?;
            // The label is on the side where there is room.
            let place = chart.backend_coord(&best);
            let (h_pos, shift) = match place.0 > SIZE.0 as i32 / 2 {
                true => (HPos::Right, -22),
                false => (HPos::Left, 22),
            };
            let style = label().pos(Pos::new(h_pos, VPos::Top));
            let text = format!("best {}", short(best.1));
            area.draw_text(
                &text,
                &style.into_text_style(&area),
                (place.0 + shift, place.1 + 14),
            )?;
        }
        area.present()?;
        Ok(())
    }

    /// The vertical axis: all of the lines, and of the raw values all but the outliers.
    fn vertical(&self) -> Axis {
        let is_placed =
            |value: &f64| value.is_finite() && (self.scale != Scale::Log || *value > 0.0);
        let of = |points: &[(f64, f64)]| {
            let values = points.iter().map(|(_, value)| *value);
            values.filter(is_placed).collect::<Vec<f64>>()
        };
        let mut bounds: Option<(f64, f64)> = None;
        for series in &self.series {
            let mut raw = of(&series.raw);
            raw.sort_unstable_by(f64::total_cmp);
            let cut = raw.len() / 50;
            let inner = raw.get(cut..raw.len() - cut).unwrap_or_default();
            let line = of(&series.line);
            for value in inner.iter().chain(&line) {
                let (min, max) = bounds.unwrap_or((*value, *value));
                bounds = Some((min.min(*value), max.max(*value)));
            }
        }
        let (min, max) = bounds.unwrap_or((0.0, 1.0));
        Axis::new(self.scale, min, max)
    }
}
