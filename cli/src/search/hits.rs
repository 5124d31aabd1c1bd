//! Hits as text: rank, score, id, and a snippet of the stored document.

use std::borrow::Cow;

use esparsa::{Hits, Query, Result, Snapshot, Value};

use super::snippet::snippet;
use super::terminal::{Style, pad, width};
use crate::escape::escaped;

/// Min columns of a snippet, however long the ids are.
const MIN_SNIPPET_COLUMNS: usize = 30;

/// Two lines for each hit: rank, score, id and title; below, the best passage of the text.
///
/// Hits that are sorted by a column have their values of it in place of the score. `indent` spaces
/// stand before each line; `offset` hits were left out before the first. A hit without a title has
/// its text on the first line.
///
/// # Errors
///
/// [`Error::Corrupt`](esparsa::Error::Corrupt) when a stored document is damaged.
pub fn hit_lines(
    snapshot: &Snapshot,
    query: &Query,
    hits: &Hits,
    sorted: Option<&str>,
    (indent, offset): (usize, usize),
    style: Style,
) -> Result<Vec<String>> {
    let rank_width = (offset + hits.len()).to_string().len();
    let scores = hits.iter().map(|hit| match sorted {
        Some(column) => {
            let values: Vec<String> = hit.values(column)?.iter().map(Value::to_string).collect();
            Ok(escaped(&values.join(", ")).into_owned())
        }
        None => Ok(format!("{:.4}", hit.score)),
    });
    let scores = scores.collect::<Result<Vec<String>>>()?;
    let score_width = scores.iter().map(|score| width(score)).max().unwrap_or(0);
    let ids = hits.ids()?;
    let ids: Vec<Cow<'_, str>> = ids.iter().map(|id| escaped(id)).collect();
    let id_width = ids.iter().map(|id| width(id)).max().unwrap_or(0);
    let margin = indent + rank_width + score_width + id_width + 6;
    let columns = style
        .columns
        .saturating_sub(margin)
        .max(MIN_SNIPPET_COLUMNS);
    let mut lines = Vec::with_capacity(2 * hits.len());
    for (number, ((hit, id), score)) in hits.iter().zip(&ids).zip(&scores).enumerate() {
        let stored = snapshot.stored(hit.address)?;
        let found = snippet(snapshot, query, &stored, columns, style)?;
        let (first, second) = match (found.title, found.text) {
            (title, text) if title.is_empty() => (text, String::new()),
            parts => parts,
        };
        let rank = offset + number + 1;
        let id = pad(id, id_width);
        let score_padding = score_width - width(score);
        let line = format!(
            "{:indent$}{rank:rank_width$}  {:score_padding$}{score}  {id}  {first}",
            "", ""
        );
        lines.push(line.trim_end().to_owned());
        if !second.is_empty() {
            lines.push(format!("{:margin$}{second}", ""));
        }
    }
    Ok(lines)
}
