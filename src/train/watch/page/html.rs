//! The page as HTML.
//!
//! One file without scripts and without anything from the network. Texts come from files and models:
//! each goes through [`escaped`].

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

use super::charts::charts;
use super::plot::Chart;
use super::text::{duration, grouped, now, percent, short};
use crate::train::watch::history::History;
use crate::train::watch::{EvaluationRecord, ShownText};

const STYLE: &str = include_str!("style.css");
/// Seconds after which the page of a run that goes on loads itself again.
const REFRESH_SECONDS: u64 = 10;
/// Evaluations in the table at most, the latest.
const MAX_ROWS: usize = 60;
/// Letters of a shown text at most.
const MAX_LETTERS: usize = 400;

/// The page of a run.
///
/// # Errors
///
/// Those of the drawing library.
pub fn page(history: &History) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut html = String::with_capacity(1 << 17);
    html.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    if history.finished.is_none() {
        push(
            &mut html,
            format_args!("<meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">\n"),
        );
    }
    push(
        &mut html,
        format_args!("<title>{}</title>\n", escaped(&title(history))),
    );
    push(
        &mut html,
        format_args!("<style>\n{STYLE}</style>\n</head>\n<body>\n"),
    );
    header(&mut html, history);
    warnings(&mut html, history);
    html.push_str("<section class=\"charts\">\n");
    for chart in charts(history) {
        figure(&mut html, &chart)?;
    }
    html.push_str("</section>\n");
    evaluations(&mut html, history);
    shown(&mut html, history);
    html.push_str("</body>\n</html>\n");
    Ok(html)
}

/// Writing to a string cannot fail.
fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = html.write_fmt(text);
}

/// Text for an element's content.
fn escaped(text: &str) -> Cow<'_, str> {
    html_escape::encode_text(text)
}

/// The share of the steps that are done.
fn share(history: &History) -> f64 {
    history.steps_done() as f64 / history.run.steps.max(1) as f64
}

fn title(history: &History) -> String {
    let state = match &history.finished {
        Some(_) => "finished".to_owned(),
        None => percent(share(history)),
    };
    format!("{state} · training {}", history.run.kind)
}

fn header(html: &mut String, history: &History) {
    let run = &history.run;
    push(
        html,
        format_args!(
            "<header>\n<h1>Training {} from {}</h1>\n",
            escaped(&run.kind),
            escaped(&run.base)
        ),
    );
    push(
        html,
        format_args!(
            "<p class=\"soft\">to <code>{}</code> on {}; {} values, {} examples, {} queries a step</p>\n",
            escaped(&run.output),
            escaped(&run.device),
            grouped(run.parameters),
            grouped(run.examples),
            grouped(run.queries as u64),
        ),
    );
    push(
        html,
        format_args!(
            "<div class=\"bar\"><div style=\"width:{:.2}%\"></div></div>\n<p>{} <span class=\"soft\">drawn {}</span></p>\n",
            100.0 * share(history).min(1.0),
            state(history),
            now(),
        ),
    );
    html.push_str("<div class=\"facts\">\n");
    for (name, value) in facts(history) {
        push(
            html,
            format_args!(
                "<div><div class=\"name\">{name}</div><div class=\"value\">{}</div></div>\n",
                escaped(&value)
            ),
        );
    }
    html.push_str("</div>\n</header>\n");
}

fn state(history: &History) -> String {
    let steps = grouped(history.run.steps);
    match (&history.finished, &history.step) {
        (Some((step, reason)), _) => format!(
            "<span class=\"state finished\">Ended</span> after step {} of {steps}: {}.",
            grouped(*step),
            escaped(reason)
        ),
        (None, None) => "<span class=\"state running\">Starting</span>".to_owned(),
        (None, Some(step)) => format!(
            "<span class=\"state running\">Running</span>: step {} of {steps}, {}, {} left.",
            grouped(step.step),
            percent(share(history)),
            duration(step.seconds_left)
        ),
    }
}

/// What is told in the header, as name and value.
fn facts(history: &History) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(step) = &history.step {
        facts.push(("time", duration(step.seconds)));
        facts.push(("epoch", short(step.epoch)));
    }
    let mut latest = |name, curve: &crate::train::watch::curve::Curve| {
        if let Some(value) = curve.latest() {
            facts.push((name, short(value)));
        }
    };
    latest("loss", &history.loss);
    latest("terms of a query", &history.queries.active_terms);
    latest("terms of a document", &history.documents.active_terms);
    latest("tokens a second", &history.tokens_per_second);
    if let Some(best) = history.best() {
        facts.push((
            "best metric",
            format!("{} at step {}", short(best.value), grouped(best.step)),
        ));
    }
    if let Some((step, path)) = &history.saved {
        let name = std::path::Path::new(path).file_name();
        let name = name.map_or(path.clone(), |name| name.to_string_lossy().into_owned());
        facts.push(("checkpoint", format!("step {}: {name}", grouped(*step))));
    }
    facts
}

fn warnings(html: &mut String, history: &History) {
    if history.warnings.is_empty() {
        return;
    }
    html.push_str("<section class=\"warnings\"><strong>Warnings</strong>\n<ul>\n");
    for (step, warning) in history.warnings.iter().rev() {
        push(
            html,
            format_args!("<li>step {}: {}</li>\n", grouped(*step), escaped(warning)),
        );
    }
    html.push_str("</ul>\n</section>\n");
}

fn figure(
    html: &mut String,
    chart: &Chart,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    push(
        html,
        format_args!("<figure><figcaption>{}", escaped(&chart.title)),
    );
    if chart.series.len() > 1 {
        html.push_str("<span class=\"legend\">");
        for (series, variable) in chart.series.iter().zip(["blue", "orange"]) {
            push(
                html,
                format_args!(
                    "<span><i style=\"background:var(--{variable})\"></i>{}</span>",
                    series.name
                ),
            );
        }
        html.push_str("</span>");
    }
    html.push_str("</figcaption>\n");
    html.push_str(&chart.draw()?);
    html.push_str("</figure>\n");
    Ok(())
}

fn evaluations(html: &mut String, history: &History) {
    let all = &history.evaluations;
    if all.is_empty() {
        if !history.run.metric.is_empty() {
            html.push_str("<h2>Evaluations</h2>\n<p class=\"soft\">None yet.</p>\n");
        }
        return;
    }
    let latest = &all[all.len().saturating_sub(MAX_ROWS)..];
    let chosen = &history.run.metric;
    let names: BTreeSet<&String> = latest
        .iter()
        .flat_map(|record| record.metrics.keys())
        .collect();
    let others: Vec<&String> = names.into_iter().filter(|name| *name != chosen).collect();
    let has_terms = latest.iter().any(|record| record.active_terms.is_some());
    let best = history.best().map(|record| record.step);
    html.push_str("<h2>Evaluations</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>step</th>");
    let metric = if chosen.is_empty() { "metric" } else { chosen };
    push(html, format_args!("<th>{}</th>", escaped(metric)));
    for name in &others {
        push(html, format_args!("<th>{}</th>", escaped(name)));
    }
    if has_terms {
        html.push_str("<th>terms of a query</th><th>terms of a document</th>");
    }
    html.push_str("<th>seconds</th><th></th></tr></thead>\n<tbody>\n");
    for record in latest.iter().rev() {
        row(html, record, &others, has_terms, best == Some(record.step));
    }
    html.push_str("</tbody></table></div>\n");
}

fn row(
    html: &mut String,
    record: &EvaluationRecord,
    others: &[&String],
    has_terms: bool,
    is_best: bool,
) {
    let class = if is_best { " class=\"best\"" } else { "" };
    push(
        html,
        format_args!("<tr{class}><td>{}</td>", grouped(record.step)),
    );
    let metric = |value: f64| match value.is_finite() {
        true => format!("{value:.4}"),
        false => short(value),
    };
    push(html, format_args!("<td>{}</td>", metric(record.value)));
    for name in others {
        let value = record.metrics.get(*name).copied().unwrap_or(f64::NAN);
        push(html, format_args!("<td>{}</td>", metric(value)));
    }
    if has_terms {
        let (queries, documents) = record.active_terms.unwrap_or((f64::NAN, f64::NAN));
        push(
            html,
            format_args!("<td>{}</td><td>{}</td>", short(queries), short(documents)),
        );
    }
    let mark = if is_best { "best" } else { "" };
    push(
        html,
        format_args!("<td>{}</td><td>{mark}</td></tr>\n", short(record.seconds)),
    );
}

fn shown(html: &mut String, history: &History) {
    let Some(record) = history
        .evaluations
        .last()
        .filter(|record| !record.shown.is_empty())
    else {
        return;
    };
    push(
        html,
        format_args!(
            "<h2>Terms of the highest weights after step {}</h2>\n",
            grouped(record.step)
        ),
    );
    for text in &record.shown {
        shown_text(html, text);
    }
}

fn shown_text(html: &mut String, shown: &ShownText) {
    let mut start: String = shown.text.chars().take(MAX_LETTERS).collect();
    if start.len() < shown.text.len() {
        start.push('…');
    }
    push(
        html,
        format_args!(
            "<div class=\"shown\"><p dir=\"auto\">{}</p>\n",
            escaped(&start)
        ),
    );
    let max = shown
        .terms
        .iter()
        .map(|(_, weight)| *weight)
        .fold(0.0, f32::max);
    for (term, weight) in &shown.terms {
        let share = match max > 0.0 && weight.is_finite() {
            true => (weight / max).clamp(0.0, 1.0),
            false => 0.0,
        };
        push(
            html,
            format_args!(
                "<span class=\"term\" style=\"--w:{share:.2}\"><bdi>{}</bdi><b>{}</b></span>\n",
                escaped(term),
                short(f64::from(*weight))
            ),
        );
    }
    if shown.terms.is_empty() {
        html.push_str("<span class=\"soft\">no active term</span>\n");
    }
    html.push_str("</div>\n");
}

#[cfg(test)]
mod tests;
