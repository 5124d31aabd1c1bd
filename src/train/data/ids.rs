//! Files of ids that are allowed.

use std::collections::HashSet;
use std::path::Path;

use crate::error::{Error, Result};
use crate::eval::Qrels;
use crate::eval::lines::{Lines, open};

/// The ids of a file: one on each line, or the documents of judgements in BEIR's or TREC's layout.
///
/// # Errors
///
/// [`Error::Io`], and [`Error::InvalidInput`] with file and line for a file without ids and for
/// judgements that are wrong.
pub fn read_ids(path: &Path) -> Result<HashSet<String>> {
    let name = path.display().to_string();
    let mut lines = Lines::new(open(path)?, &name);
    let mut ids = HashSet::new();
    while let Some(line) = lines.next_line()? {
        let line = line.trim();
        if line.split_whitespace().nth(1).is_some() {
            return match ids.is_empty() {
                true => documents_of(path),
                false => Err(lines.error(
                    "expected one id as on the lines before, found several columns; judgements have them on all lines",
                )),
            };
        }
        if !line.is_empty() {
            ids.insert(line.to_owned());
        }
    }
    match ids.is_empty() {
        true => {
            Err(Error::invalid("expected ids or judgements, found an empty file").at_line(name, 0))
        }
        false => Ok(ids),
    }
}

fn documents_of(path: &Path) -> Result<HashSet<String>> {
    let qrels = Qrels::open(path)?;
    let judgements = qrels.queries().filter_map(|query| qrels.judgments(query));
    Ok(judgements
        .flat_map(|grades| grades.keys().cloned())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> std::result::Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        std::fs::write(&path, content).unwrap();
        let mut ids: Vec<String> = read_ids(&path)
            .map_err(|error| error.to_string())?
            .into_iter()
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    #[test]
    fn ids_come_from_lines_or_judgements() {
        assert_eq!(read("b\n\na\nb\n").unwrap(), ["a", "b"]);
        let beir = "query-id\tcorpus-id\tscore\nq\td2\t1\nr\td1\t2\n";
        assert_eq!(read(beir).unwrap(), ["d1", "d2"]);
        assert_eq!(read("q 0 d3 1\n").unwrap(), ["d3"]);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(read("").unwrap_err().contains("empty"));
        assert!(read("a\nb c\n").unwrap_err().contains(":2"));
        assert!(read("q d\nx y\n").is_err());
    }
}
