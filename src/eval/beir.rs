//! Collections in BEIR layout.

use std::fs;
use std::path::{Path, PathBuf};

use super::qrels::Qrels;
use super::queries::{Query, open_queries};
use super::topics::TopicPart;
use crate::error::{Error, Result};

/// A collection in BEIR layout: `corpus.jsonl`, `queries.jsonl`, and `qrels/<split>.tsv`.
///
/// ```no_run
/// use esparsa::eval::BeirFolder;
///
/// let folder = BeirFolder::open("collections/scifact")?;
/// let qrels = folder.qrels("test")?;
/// let queries = folder.queries_of(&qrels)?;
/// assert!(queries.len() <= qrels.len());
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BeirFolder {
    path: PathBuf,
}

impl BeirFolder {
    /// Opens a folder. Its files are read by the methods below.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the folder has no `queries.jsonl`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if !path.join("queries.jsonl").is_file() {
            return Err(Error::invalid(
                "expected a BEIR folder with the file `queries.jsonl`, found no such file",
            )
            .at_line(path.display().to_string(), 0));
        }
        Ok(Self {
            path: path.to_path_buf(),
        })
    }

    /// Path of the documents, `corpus.jsonl`; the file may be absent.
    pub fn corpus_path(&self) -> PathBuf {
        self.path.join("corpus.jsonl")
    }

    /// Names of the splits that have qrels, such as `test`, sorted.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the folder `qrels` cannot be read.
    pub fn splits(&self) -> Result<Vec<String>> {
        let folder = self.path.join("qrels");
        let failed = |source| Error::io(&folder, "list", source);
        let mut splits = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "tsv")
                && let Some(name) = path.file_stem().and_then(|name| name.to_str())
            {
                splits.push(name.to_owned());
            }
        }
        splits.sort_unstable();
        Ok(splits)
    }

    /// Judgments of a split, from `qrels/<split>.tsv`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if there is no such split, and those of [`Qrels::open`].
    pub fn qrels(&self, split: &str) -> Result<Qrels> {
        let splits = self.splits()?;
        if !splits.iter().any(|known| known == split) {
            return Err(Error::invalid(format!(
                "expected one of the splits {}, found `{split}`",
                splits.join(", ")
            ))
            .at_line(self.path.join("qrels").display().to_string(), 0));
        }
        Qrels::open(self.path.join("qrels").join(format!("{split}.tsv")))
    }

    /// All queries of the folder, of every split.
    ///
    /// # Errors
    ///
    /// Those of [`open_queries`].
    pub fn queries(&self) -> Result<Vec<Query>> {
        open_queries(self.path.join("queries.jsonl"), TopicPart::default())
    }

    /// The queries with judgments in `qrels`: those to search for a split.
    ///
    /// # Errors
    ///
    /// Those of [`BeirFolder::queries`].
    pub fn queries_of(&self, qrels: &Qrels) -> Result<Vec<Query>> {
        let mut queries = self.queries()?;
        queries.retain(|query| qrels.contains(&query.id));
        Ok(queries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("qrels")).unwrap();
        write(
            "queries.jsonl",
            "{\"_id\":\"1\",\"text\":\"a\"}\n{\"_id\":\"2\",\"text\":\"b\"}\n",
        );
        write("qrels/test.tsv", "query-id\tcorpus-id\tscore\n2\td\t1\n");
        write("qrels/dev.tsv", "query-id\tcorpus-id\tscore\n1\td\t1\n");
        write("qrels/notes.txt", "not qrels");
        folder
    }

    #[test]
    fn a_split_selects_its_queries() {
        let folder = folder();
        let beir = BeirFolder::open(folder.path()).unwrap();
        assert_eq!(beir.splits().unwrap(), ["dev", "test"]);
        assert_eq!(beir.queries().unwrap().len(), 2);
        let queries = beir.queries_of(&beir.qrels("test").unwrap()).unwrap();
        assert_eq!(queries.len(), 1);
        assert_eq!(queries[0].id, "2");
        assert!(beir.corpus_path().ends_with("corpus.jsonl"));
    }

    #[test]
    fn an_unknown_split_is_answered_with_the_known_ones() {
        let folder = folder();
        let beir = BeirFolder::open(folder.path()).unwrap();
        let error = beir.qrels("../test").unwrap_err().to_string();
        assert!(error.contains("one of the splits dev, test"), "{error}");
    }

    #[test]
    fn a_folder_without_queries_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let error = BeirFolder::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("queries.jsonl"), "{error}");
    }
}
