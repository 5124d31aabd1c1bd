//! The words of queries' sparse vectors: those of the query, and those that the model adds.

use std::collections::{HashMap, HashSet};

use esparsa::neural::{ModelFolder, ModelKind, Tokenizer};
use esparsa::{Error, Result};

use super::super::step::{Argument, Step, Work};
use super::super::vectors::{self, Words};
use super::super::wins::extremes;
use super::Study;
use super::html::{excerpt, push, signed, text};

/// Queries that are shown, half of those won and half of those lost.
const QUERIES: usize = 8;
/// Words of a query that are shown.
const WORDS: usize = 40;
const QUERY_LETTERS: usize = 300;

/// The words of some queries, for each system of sparse vectors.
pub fn section(
    html: &mut String,
    study: &Study<'_>,
    place: usize,
    texts: &HashMap<String, String>,
) -> Result<()> {
    let mut is_first = true;
    for (system, planned) in study.plan.systems.iter().enumerate() {
        let Some(step) = planned.query_vectors.get(place) else {
            continue;
        };
        let step = &study.plan.steps[*step];
        if std::mem::take(&mut is_first) {
            html.push_str(
                "<h3>Words of queries</h3>\n<p class=\"small\">The terms of the highest weights in the vectors that \
                 models make of queries. Those marked with + and a dashed line are none of the query's own \
                 tokens: the model adds them.</p>\n",
            );
        }
        let queries = chosen(study, place, system);
        let found = &study.results.collections[place];
        let ids: HashSet<&str> = queries
            .iter()
            .map(|query| found.queries[*query].as_str())
            .collect();
        let vectors = vectors::read(&study.folder.output(step), &ids)?;
        let tokenizer = tokenizer(study, step)?;
        push(
            html,
            format_args!(
                "<details><summary>{} <span class=\"soft\">{} queries</span></summary>\n",
                study.name(system),
                queries.len()
            ),
        );
        for query in queries {
            let id = &found.queries[query];
            let difference =
                found.of_queries[system][query] - found.of_queries[study.results.baseline][query];
            let text = texts.get(id).map_or("", String::as_str);
            let own = own_tokens(&tokenizer, text)?;
            push_query(html, (id, text), signed(difference), vectors.get(id), &own);
        }
        html.push_str("</details>\n");
    }
    Ok(())
}

/// The queries with the largest wins and losses, and others if these are few.
fn chosen(study: &Study<'_>, place: usize, system: usize) -> Vec<usize> {
    let found = &study.results.collections[place];
    let [wins, mut losses] = extremes(found, study.results.baseline, system, QUERIES / 2);
    losses.reverse();
    let mut queries = [wins, losses].concat();
    for query in 0..found.queries.len() {
        if queries.len() >= QUERIES {
            break;
        }
        if !queries.contains(&query) {
            queries.push(query);
        }
    }
    queries
}

/// The tokenizer of the model that has encoded the queries.
fn tokenizer(study: &Study<'_>, step: &Step) -> Result<Tokenizer> {
    let named = match &step.work {
        Work::Command(arguments) => arguments.windows(2).find_map(|pair| match pair {
            [Argument::Text(option), model] if option == "--model" => Some(model),
            _ => None,
        }),
        _ => None,
    };
    let named = named.ok_or_else(|| Error::invalid("expected a step with a model"))?;
    let path = study.folder.path_of(named, study.plan)?;
    Ok(ModelFolder::open_as(&path, Some(ModelKind::SparseEncoder))?.tokenizer)
}

fn own_tokens(tokenizer: &Tokenizer, text: &str) -> Result<HashSet<String>> {
    let ids = tokenizer.encode_without_special_tokens(text)?;
    Ok(ids
        .into_iter()
        .filter_map(|id| tokenizer.token(id))
        .collect())
}

fn push_query(
    html: &mut String,
    (id, query): (&str, &str),
    difference: String,
    words: Option<&Words>,
    own: &HashSet<String>,
) {
    push(
        html,
        format_args!(
            "<div class=\"case\"><p class=\"query\"><bdi dir=\"auto\">{}</bdi></p>\n\
             <p class=\"small\">query <code>{}</code>, {difference} against the baseline</p>\n",
            excerpt(query, QUERY_LETTERS),
            text(id)
        ),
    );
    let words = words.map_or(&[][..], Vec::as_slice);
    let highest = words.first().map_or(1.0, |(_, weight)| *weight);
    html.push_str("<ul class=\"words\">\n");
    for (word, weight) in words.iter().take(WORDS) {
        let (class, mark) = match own.contains(word) {
            true => ("", ""),
            false => (" class=\"added\"", "+ "),
        };
        let share = (weight / highest).clamp(0.0, 1.0);
        push(
            html,
            format_args!(
                "<li{class} style=\"--w:{share:.2}\">{mark}<bdi>{}</bdi> <small>{}</small></li>\n",
                text(word),
                format_args!("{weight:.2}")
            ),
        );
    }
    html.push_str("</ul>\n");
    match words.len() {
        0 => html.push_str("<p class=\"small\">No active term.</p>\n"),
        count if count > WORDS => push(
            html,
            format_args!("<p class=\"small\">and {} more</p>\n", count - WORDS),
        ),
        _ => {}
    }
    html.push_str("</div>\n");
}
