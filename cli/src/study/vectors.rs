//! The sparse vectors of queries, as `esparsa encode` has written them.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use esparsa::{Error, Result};
use serde::Deserialize;

/// Terms and weights, the highest first.
pub(super) type Words = Vec<(String, f64)>;

#[derive(Deserialize)]
struct Line {
    id: String,
    vector: HashMap<String, f64>,
}

/// The vectors of some queries.
///
/// # Errors
///
/// [`Error::Io`], and [`Error::InvalidInput`] for a line that is no sparse vector.
pub(super) fn read(path: &Path, wanted: &HashSet<&str>) -> Result<HashMap<String, Words>> {
    let mut found = HashMap::new();
    for_each(path, |line| {
        if wanted.contains(line.id.as_str()) {
            let mut words: Words = line.vector.into_iter().collect();
            words.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            found.insert(line.id, words);
        }
    })?;
    Ok(found)
}

/// The mean number of terms; `None` without vectors.
///
/// # Errors
///
/// As [`read`].
pub(super) fn mean_terms(path: &Path) -> Result<Option<f64>> {
    let (mut terms, mut vectors) = (0, 0);
    for_each(path, |line| {
        terms += line.vector.len();
        vectors += 1;
    })?;
    Ok((vectors > 0).then(|| terms as f64 / f64::from(vectors)))
}

fn for_each(path: &Path, mut each: impl FnMut(Line)) -> Result<()> {
    let failed = |source| Error::io(path, "read", source);
    let file = File::open(path).map_err(failed)?;
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = serde_json::from_str(&line.map_err(failed)?).map_err(|error| {
            let message = format!("expected a sparse vector with its id, found {error}");
            Error::invalid(message).at_line(path.display().to_string(), number)
        })?;
        each(line);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_by_weight() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.jsonl");
        let lines =
            "{\"id\":\"a\",\"vector\":{\"x\":1,\"z\":2.5,\"y\":1}}\n{\"id\":\"b\",\"vector\":{}}\n";
        std::fs::write(&path, lines).unwrap();
        let found = read(&path, &HashSet::from(["a"])).unwrap();
        let expected = [("z", 2.5), ("x", 1.0), ("y", 1.0)];
        assert_eq!(
            found["a"],
            expected.map(|(word, weight)| (word.to_owned(), weight))
        );
        assert_eq!(found.len(), 1);
        assert_eq!(mean_terms(&path).unwrap(), Some(1.5));
        std::fs::write(&path, "").unwrap();
        assert_eq!(mean_terms(&path).unwrap(), None);
        std::fs::write(&path, "{\"id\":\"a\",\"vector\":[1]}\n").unwrap();
        assert!(
            mean_terms(&path)
                .unwrap_err()
                .to_string()
                .contains("vectors.jsonl")
        );
    }
}
