//! Queries that systems win and lose against the baseline, with their documents.

use super::super::wins::{Case, Comparison, Found};
use super::Study;
use super::html::{excerpt, push, signed, table, text};
use super::plot;

/// Letters of a query and of a document that are shown.
const QUERY_LETTERS: usize = 300;
const DOCUMENT_LETTERS: usize = 120;

/// How many queries each system wins and loses, and which most.
pub fn section(html: &mut String, study: &Study<'_>, comparisons: &[Comparison]) {
    if comparisons.is_empty() {
        return;
    }
    let (baseline, metric) = (study.baseline(), study.metric());
    push(
        html,
        format_args!("<h3>Queries won and lost against {baseline}</h3>\n"),
    );
    let rows = comparisons.iter().map(|comparison| {
        let mut cells: Vec<String> = comparison.counts().map(|count| count.to_string()).to_vec();
        let sum: f64 = comparison.differences.iter().sum();
        cells.push(signed(sum / comparison.differences.len().max(1) as f64));
        (study.name(comparison.system), cells)
    });
    let caption = format!("Queries by {metric}, compared with {baseline}");
    let heads = ["system", "won", "lost", "tied", "mean difference"];
    table(html, &caption, &heads, rows);
    for comparison in comparisons {
        details(html, study, comparison);
    }
}

fn details(html: &mut String, study: &Study<'_>, comparison: &Comparison) {
    let (name, baseline, metric) = (
        study.name(comparison.system),
        study.baseline(),
        study.metric(),
    );
    let [won, lost, tied] = comparison.counts();
    push(
        html,
        format_args!(
            "<details><summary>{name} <span class=\"soft\">{won} won, {lost} lost, {tied} tied</span></summary>\n"
        ),
    );
    let title = format!("Differences in {metric} between {name} and {baseline}, sorted by query");
    push(
        html,
        format_args!(
            "<figure><figcaption>{metric} of {name} minus {baseline}, one column a query</figcaption>\n{}</figure>\n",
            plot::differences(&title, &comparison.differences)
        ),
    );
    html.push_str("<div class=\"cases\">\n");
    for (head, cases) in [
        ("Largest wins", &comparison.wins),
        ("Largest losses", &comparison.losses),
    ] {
        push(html, format_args!("<div><h4>{head}</h4>\n"));
        if cases.is_empty() {
            html.push_str("<p class=\"soft\">None.</p>\n");
        }
        for case in cases {
            push_case(html, [baseline, name], case);
        }
        html.push_str("</div>\n");
    }
    html.push_str("</div></details>\n");
}

fn push_case(html: &mut String, names: [&str; 2], case: &Case) {
    let (before, after) = case.values;
    push(
        html,
        format_args!(
            "<div class=\"case\"><p class=\"query\"><bdi dir=\"auto\">{}</bdi></p>\n\
             <p class=\"small\">query <code>{}</code>: {before:.3} → {after:.3}, \
             <span class=\"delta {}\">{}</span></p>\n<dl>\n",
            excerpt(&case.text, QUERY_LETTERS),
            text(&case.query),
            if after > before { "up" } else { "down" },
            signed(after - before)
        ),
    );
    html.push_str("<dt>Relevant</dt><dd>");
    for found in &case.relevant {
        let ranks = found
            .ranks
            .map(|rank| rank.map_or("not found".to_owned(), |rank| format!("rank {rank}")));
        let note = format!("{}: {}, {}: {}", names[0], ranks[0], names[1], ranks[1]);
        push_document(html, found, &note);
    }
    match case.relevant_count - case.relevant.len() {
        0 if case.relevant.is_empty() => html.push_str("<span class=\"soft\">none</span>"),
        0 => {}
        more => push(html, format_args!("<p class=\"small\">and {more} more</p>")),
    }
    html.push_str("</dd>\n");
    for (name, first) in names.iter().zip(&case.first) {
        push(html, format_args!("<dt>First of {name}</dt><dd>"));
        match first {
            Some(found) => {
                let note = if found.is_relevant {
                    "relevant"
                } else {
                    "not judged relevant"
                };
                push_document(html, found, note);
            }
            None => html.push_str("<span class=\"soft\">nothing found</span>"),
        }
        html.push_str("</dd>\n");
    }
    html.push_str("</dl></div>\n");
}

fn push_document(html: &mut String, found: &Found, note: &str) {
    push(
        html,
        format_args!(
            "<p><bdi dir=\"auto\">{}</bdi> <span class=\"small\"><code>{}</code> ({note})</span></p>",
            excerpt(&found.text, DOCUMENT_LETTERS),
            text(&found.id)
        ),
    );
}
