//! Which charts a page has.

use super::axis::Scale;
use super::plot::{Chart, Series};
use crate::train::watch::curve::Curve;
use crate::train::watch::history::{History, Side};

/// The charts of a run, in order.
pub fn charts(history: &History) -> Vec<Chart> {
    let last_step = history.steps_done();
    let chart = |title: &str, unit, scale, series| Chart {
        title: title.to_owned(),
        unit,
        scale,
        series,
        best: None,
        last_step,
    };
    let sides = |curve: fn(&Side) -> &Curve, series: fn(&'static str, &Curve) -> Series| {
        let of = |name, side| series(name, curve(side));
        vec![
            of("documents", &history.documents),
            of("queries", &history.queries),
        ]
    };
    let mut losses = vec![noisy("loss", &history.loss)];
    if history.has_regularizer {
        losses.push(noisy("ranking loss", &history.ranking_loss));
    }
    let one = |series| vec![series];
    let all = vec![
        chart("Loss", "loss", loss_scale(history), losses),
        metric(history),
        chart(
            "Active terms of a vector",
            "terms",
            Scale::Log,
            sides(|side| &side.active_terms, noisy),
        ),
        chart(
            "Best document of the batch is relevant",
            "share of queries",
            Scale::FromZero,
            one(noisy("queries", &history.accuracy)),
        ),
        chart(
            "Regularizer before λ (FLOPS or L1)",
            "regularizer",
            Scale::Log,
            sides(|side| &side.regularizer, noisy),
        ),
        chart(
            "Factor λ of the regularizer",
            "λ",
            Scale::FromZero,
            sides(|side| &side.lambda, exact),
        ),
        chart(
            "Learning rate",
            "learning rate",
            Scale::FromZero,
            one(exact("encoder", &history.learning_rate)),
        ),
        chart(
            "Gradient norm before clipping",
            "norm",
            Scale::Log,
            one(noisy("all gradients", &history.gradient_norm)),
        ),
        chart(
            "Speed",
            "tokens a second",
            Scale::FromZero,
            one(noisy("tokens a second", &history.tokens_per_second)),
        ),
    ];
    all.into_iter().filter(|chart| !chart.is_empty()).collect()
}

/// The development metric, with the best evaluation marked.
fn metric(history: &History) -> Chart {
    let points = history
        .evaluations
        .iter()
        .map(|record| (record.step as f64, record.value));
    let best = history
        .best()
        .map(|record| (record.step as f64, record.value));
    Chart {
        title: match &*history.run.metric {
            "" => "Development metric".to_owned(),
            metric => format!("Development {metric}"),
        },
        unit: "metric",
        scale: Scale::Linear,
        series: vec![Series {
            name: "evaluations",
            raw: Vec::new(),
            line: points.filter(|(_, value)| value.is_finite()).collect(),
            is_marked: true,
        }],
        best,
        last_step: history.steps_done(),
    }
}

/// A curve with noise: its values, and a smoothed line.
fn noisy(name: &'static str, curve: &Curve) -> Series {
    Series {
        name,
        raw: curve.points(),
        line: curve.smooth(),
        is_marked: false,
    }
}

/// A curve without noise.
fn exact(name: &'static str, curve: &Curve) -> Series {
    Series {
        name,
        raw: Vec::new(),
        line: curve.points(),
        is_marked: false,
    }
}

/// Logarithmic where the loss has fallen to a small part of what it was.
fn loss_scale(history: &History) -> Scale {
    let values = || history.loss.buckets().iter().map(|bucket| bucket.smooth);
    let (min, max) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(0.0, f64::max),
    );
    match min > 0.0 && max > 20.0 * min {
        true => Scale::Log,
        false => Scale::Linear,
    }
}
