//! Texts that a vocabulary is learned from or cut to.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use esparsa::{Error, Result};

/// The texts of a file: JSON lines with a `text`, or a text a line.
///
/// # Errors
///
/// [`Error::Io`], and [`Error::InvalidInput`] with file and line for JSON without `text`, as the texts
/// come.
pub(super) fn texts(path: &Path) -> Result<impl Iterator<Item = Result<String>> + '_> {
    let file = File::open(path).map_err(|source| Error::io(path, "open", source))?;
    let lines = BufReader::new(file).lines().enumerate();
    Ok(lines.map(move |(number, line)| {
        let line = line.map_err(|source| Error::io(path, "read", source))?;
        if !line.starts_with('{') {
            return Ok(line);
        }
        let value: Option<serde_json::Value> = serde_json::from_str(&line).ok();
        let text = value.as_ref().and_then(|value| value["text"].as_str());
        text.map(str::to_owned).ok_or_else(|| {
            Error::invalid("expected a JSON object with `text`, found something else")
                .at_line(path.display().to_string(), number as u64 + 1)
        })
    }))
}
