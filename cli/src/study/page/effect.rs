//! Effectiveness and cost of all systems on a collection.

use super::super::cost::{self, Cost};
use super::super::notes;
use super::super::results::{CollectionResults, Value};
use super::Study;
use super::html::{push, table, text};
use super::plot::{self, Mean, Role};

/// The answer, the table of metrics, the plots and the table of costs.
///
/// What depends on costs stands behind the heading of these: all before it is the same whenever the
/// study is run.
pub fn section(html: &mut String, study: &Study<'_>, place: usize) {
    let (config, results) = (study.config, study.results);
    let found = &results.collections[place];
    let verdict = text(&notes::verdict(config, results, found));
    push(html, format_args!("<p class=\"verdict\">{verdict}</p>\n"));
    for note in notes::below_floors(config, results, found) {
        push(
            html,
            format_args!("<p class=\"warning\">{}</p>\n", text(&note)),
        );
    }
    metrics(html, study, place);
    let notes = notes::beyond_top(config, results);
    if !notes.is_empty() {
        html.push_str("<ul class=\"notes small\">\n");
        for note in notes {
            push(html, format_args!("<li>{}</li>\n", text(&note)));
        }
        html.push_str("</ul>\n");
    }
    let means = means(study, place);
    let (metric, collection) = (study.metric(), study.collection(place));
    let title = format!("{metric} of all systems on {collection}, with 95 % intervals");
    let caption = format!(
        "{metric} with its 95&nbsp;% interval; the dashed line is {}",
        study.baseline()
    );
    html.push_str("<div class=\"plots\">\n");
    figure(html, &caption, &plot::means(&title, &metric, &means));
    html.push_str("</div>\n");
    costs(html, study, place, &means);
}

fn metrics(html: &mut String, study: &Study<'_>, place: usize) {
    let found = &study.results.collections[place];
    let names: Vec<String> = study
        .results
        .metrics
        .iter()
        .map(ToString::to_string)
        .collect();
    let heads: Vec<&str> = std::iter::once("system")
        .chain(names.iter().map(String::as_str))
        .collect();
    let best: Vec<f64> = (0..names.len())
        .map(|metric| best(study, found, metric))
        .collect();
    let rows = found.values.iter().enumerate().map(|(system, values)| {
        let cells = values.iter().enumerate().map(|(metric, value)| {
            let is_best = role(study, system) != Role::Floor && value.mean == best[metric];
            let is_low = notes::floor_above(study.config, found, system, metric).is_some();
            cell(value, is_best, is_low)
        });
        (study.name(system), cells.collect())
    });
    let caption = format!("Effectiveness on {}", study.collection(place));
    table(html, &caption, &heads, rows);
    push(
        html,
        format_args!(
            "<p class=\"note\">Against {}: * p &lt; .05, ** p &lt; .01. Colored: the best of a column.</p>\n",
            study.baseline()
        ),
    );
}

/// The highest mean of the systems that are no floors.
fn best(study: &Study<'_>, found: &CollectionResults, metric: usize) -> f64 {
    let systems = found.values.iter().enumerate();
    let real = systems.filter(|(system, _)| role(study, *system) != Role::Floor);
    real.map(|(_, values)| values[metric].mean)
        .fold(f64::MIN, f64::max)
}

fn cell(value: &Value, is_best: bool, is_low: bool) -> String {
    let mean = match is_best {
        true => format!(
            "<strong class=\"best\">{:.4}</strong><span class=\"hidden\"> best</span>",
            value.mean
        ),
        false => format!("{:.4}", value.mean),
    };
    let stars = match notes::stars(value.p_value) {
        "" => String::new(),
        stars => format!("<sup>{stars}</sup>"),
    };
    let (low, high) = value.interval;
    let p_value = value.p_value.map_or(String::new(), |p| {
        format!("<small>{}</small>", text(&notes::p_value(p)))
    });
    let low_note = if is_low {
        "<small>below a floor</small>"
    } else {
        ""
    };
    format!("{mean}{stars}<small>{low:.3}–{high:.3}</small>{p_value}{low_note}")
}

/// What a system is.
fn role(study: &Study<'_>, system: usize) -> Role {
    let kind = study.config.study.systems.get_ref()[system].kind;
    match system == study.results.baseline {
        true => Role::Baseline,
        false if kind.is_floor() => Role::Floor,
        false => Role::System,
    }
}

/// The first metric of all systems.
fn means(study: &Study<'_>, place: usize) -> Vec<Mean> {
    let systems = study.results.collections[place].values.iter().enumerate();
    let means = systems.filter_map(|(system, values)| {
        let value = values.first()?;
        Some(Mean {
            name: study.name(system).to_owned(),
            role: role(study, system),
            mean: value.mean,
            interval: value.interval,
        })
    });
    means.collect()
}

fn figure(html: &mut String, caption: &str, svg: &str) {
    push(
        html,
        format_args!("<figure><figcaption>{caption}</figcaption>\n{svg}</figure>\n"),
    );
}

fn costs(html: &mut String, study: &Study<'_>, place: usize, means: &[Mean]) {
    let (columns, rows) = cost::table(&study.costs[place]);
    if columns.is_empty() {
        return;
    }
    html.push_str("<h3>Cost</h3>\n");
    trade_offs(html, study, place, means);
    let heads: Vec<&str> = std::iter::once("system").chain(columns).collect();
    let rows = rows.into_iter().enumerate();
    let rows = rows.map(|(system, cells)| (study.name(system), cells));
    let caption = format!("Cost on {}", study.collection(place));
    table(html, &caption, &heads, rows);
    html.push_str(
        "<p class=\"note\">What is counted: <a href=\"#method\">how to read this</a>.</p>\n",
    );
}

/// Plots of the first metric against what is known of costs.
fn trade_offs(html: &mut String, study: &Study<'_>, place: usize, means: &[Mean]) {
    type Plotted = (&'static str, &'static str, fn(&Cost) -> Option<f64>);
    const PLOTTED: [Plotted; 2] = [
        ("latency", "ms a query", |cost| Some(cost.latency?.mean_ms)),
        ("sparsity", "active terms of a document", |cost| {
            cost.document_terms
        }),
    ];
    let (metric, collection) = (study.metric(), study.collection(place));
    let mut figures = String::new();
    for (what, unit, of) in PLOTTED {
        let costs = study.costs[place].iter().map(of);
        let systems = means.iter().cloned().zip(costs);
        let real: Vec<(Mean, Option<f64>)> = systems
            .filter(|(mean, _)| mean.role != Role::Floor)
            .collect();
        if real.iter().all(|(_, cost)| cost.is_none()) {
            continue;
        }
        let title = format!("{metric} of systems on {collection} against {what}, {unit}");
        let caption = format!("{metric} against {what}");
        let svg = plot::trade_off(&title, (unit, &metric), &real);
        figure(&mut figures, &caption, &svg);
    }
    if !figures.is_empty() {
        push(
            html,
            format_args!("<div class=\"plots\">\n{figures}</div>\n"),
        );
    }
}
