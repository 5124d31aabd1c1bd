//! The folder that is written: BEIR's layout.
//!
//! All files get their names at the end, `corpus.jsonl` last: a folder that has it is complete. If
//! the conversion fails, none of them appears, and a folder that was created is removed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use esparsa::{Error, Result};
use serde::Serialize;

use crate::output_file::OutputFile;

const CORPUS: &str = "corpus.jsonl";
const QUERIES: &str = "queries.jsonl";
const QRELS: &str = "qrels";
/// How the names of files end that a process which was killed has left behind.
const PARTIAL: &str = ".partial";
const QRELS_HEADER: &str = "query-id\tcorpus-id\tscore";

/// A part of a collection: what its queries are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Training of models.
    Train,
    /// Choice of models and parameters.
    Dev,
    /// Evaluation.
    Test,
}

impl Part {
    pub const ALL: [Self; 3] = [Self::Train, Self::Dev, Self::Test];

    /// The name of its file of judgements.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }
}

/// A folder in BEIR's layout that is being written.
pub(super) struct Layout {
    corpus: OutputFile,
    queries: OutputFile,
    qrels: [Option<OutputFile>; Part::ALL.len()],
    // Dropped after the files, which are in it.
    folder: Folder,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    title: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct Query<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    text: &'a str,
}

impl Layout {
    /// Begins to write a folder, which is created if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the folder holds other files or another process is writing it,
    /// and [`Error::Io`].
    pub fn create(path: &Path) -> Result<Self> {
        let folder = Folder::create(path)?;
        Ok(Self {
            corpus: OutputFile::create(Some(&path.join(CORPUS)))?,
            queries: OutputFile::create(Some(&path.join(QUERIES)))?,
            qrels: [None, None, None],
            folder,
        })
    }

    /// Writes a document.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn document(&mut self, id: &str, title: &str, text: &str) -> Result<()> {
        write_json(&mut self.corpus, &Document { id, title, text })
    }

    /// Writes a query.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn query(&mut self, id: &str, text: &str) -> Result<()> {
        write_json(&mut self.queries, &Query { id, text })
    }

    /// Writes a judgement.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn judgement(&mut self, part: Part, query: &str, document: &str, grade: i32) -> Result<()> {
        let place = &mut self.qrels[part as usize];
        if place.is_none() {
            let folder = self.folder.path.join(QRELS);
            let name = format!("{}.tsv", part.name());
            let mut file = OutputFile::create(Some(&folder.join(name)))?;
            write_line(&mut file, format_args!("{QRELS_HEADER}"))?;
            *place = Some(file);
        }
        match place {
            Some(file) => write_line(file, format_args!("{query}\t{document}\t{grade}")),
            None => Ok(()),
        }
    }

    /// Makes the files durable, and gives them their names.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn finish(self) -> Result<()> {
        for file in self.qrels.into_iter().flatten() {
            file.finish()?;
        }
        self.queries.finish()?;
        self.corpus.finish()
    }
}

/// Checks that an id can be a column of a file of judgements.
///
/// # Errors
///
/// [`Error::InvalidInput`] for an id with white space at its ends, a tab or a line end.
pub(super) fn check_column(id: &str) -> Result<()> {
    if id.trim() == id && !id.contains(['\t', '\n', '\r']) {
        return Ok(());
    }
    let id = id.escape_debug();
    Err(Error::invalid(format!(
        "expected an id without tabs, line ends, and white space at its ends, found `{id}`: it could not be a column of \
         qrels; change the id"
    )))
}

fn write_json(file: &mut OutputFile, value: &impl Serialize) -> Result<()> {
    let written = serde_json::to_writer(&mut *file, value).map_err(std::io::Error::from);
    let written = written.and_then(|()| file.write_all(b"\n"));
    written.map_err(|source| Error::io(file.name(), "write", source))
}

fn write_line(file: &mut OutputFile, line: std::fmt::Arguments<'_>) -> Result<()> {
    let written = writeln!(file, "{line}");
    written.map_err(|source| Error::io(file.name(), "write", source))
}

/// The folder and the one in it; dropped, they are removed if they are empty and were created here.
struct Folder {
    path: PathBuf,
    is_new: bool,
}

impl Folder {
    fn create(path: &Path) -> Result<Self> {
        let is_new = !path.exists();
        if !is_new {
            refuse_other_files(path)?;
        }
        let qrels = path.join(QRELS);
        fs::create_dir_all(&qrels).map_err(|source| Error::io(&qrels, "create", source))?;
        Ok(Self {
            path: path.to_owned(),
            is_new,
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Folders that hold files stay, because only empty ones can be removed in this way.
        let _ = fs::remove_dir(self.path.join(QRELS));
        if self.is_new {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Refuses a folder that holds other files than those that a killed process has left.
fn refuse_other_files(path: &Path) -> Result<()> {
    let refused = |found: &str| {
        let message = format!(
            "expected a new or empty folder for the output, found {found}; name another folder"
        );
        Err(Error::invalid(message).at_line(path.display().to_string(), 0))
    };
    if !path.is_dir() {
        return refused("a file");
    }
    for folder in [path.to_owned(), path.join(QRELS)] {
        if !folder.exists() {
            continue;
        }
        let failed = |source| Error::io(&folder, "list", source);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let is_qrels = folder == path && name == QRELS && entry.path().is_dir();
            let name = name.to_string_lossy();
            if !is_qrels && !name.ends_with(PARTIAL) {
                return refused(&format!("`{name}` in it"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_appear_at_the_end_or_not_at_all() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b");
        let mut layout = Layout::create(&path).unwrap();
        layout.document("d", "", "text").unwrap();
        layout.judgement(Part::Dev, "q", "d", 2).unwrap();
        drop(layout);
        assert!(!path.exists());
        let mut layout = Layout::create(&path).unwrap();
        layout.document("d", "a \"title\"", "text").unwrap();
        layout.query("q", "é").unwrap();
        layout.judgement(Part::Dev, "q", "d", 2).unwrap();
        assert!(!path.join(CORPUS).exists());
        layout.finish().unwrap();
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap();
        let corpus = "{\"_id\":\"d\",\"title\":\"a \\\"title\\\"\",\"text\":\"text\"}\n";
        assert_eq!(read(CORPUS), corpus);
        assert_eq!(read(QUERIES), "{\"_id\":\"q\",\"text\":\"é\"}\n");
        let qrels = "query-id\tcorpus-id\tscore\nq\td\t2\n";
        assert_eq!(read("qrels/dev.tsv"), qrels);
        assert!(!path.join("qrels/test.tsv").exists());
    }

    #[test]
    fn a_folder_with_other_files_is_refused_and_one_of_a_killed_process_is_not() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("corpus.jsonl.partial"), "{").unwrap();
        fs::create_dir(scratch.path().join(QRELS)).unwrap();
        fs::write(scratch.path().join("qrels/dev.tsv.partial"), "").unwrap();
        drop(Layout::create(scratch.path()).unwrap());
        fs::write(scratch.path().join("notes.txt"), "").unwrap();
        let message = Layout::create(scratch.path()).err().unwrap().to_string();
        assert!(message.contains("found `notes.txt` in it"), "{message}");
        let file = scratch.path().join("notes.txt");
        let message = Layout::create(&file).err().unwrap().to_string();
        assert!(message.contains("found a file"), "{message}");
    }

    #[test]
    fn ids_that_qrels_cannot_hold_are_refused() {
        for id in ["a", "New York", "é-1"] {
            assert!(check_column(id).is_ok(), "{id}");
        }
        for id in [" a", "a\tb", "a\n", "a\rb"] {
            assert!(check_column(id).is_err(), "{id:?}");
        }
    }
}
