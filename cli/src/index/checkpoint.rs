//! How much of its inputs a load has committed, saved in the folder of the index so that an
//! interrupted load can be resumed.
//!
//! The file is written after each commit of a load with `--commit-every` or `--resume`, and names
//! that commit. So it never claims more than the index holds. If the process is killed between the
//! commit and the file, the documents of one interval are loaded again, which replaces them by
//! themselves. The file is written atomically (temporary file, fsync, rename).

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use esparsa::{Error, Result};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::input::{InputEncoding, InputFormat, Position, Reader};

/// Name of the file. The engine leaves files alone whose names it does not know.
pub const FILE: &str = "load-state.json";

/// Number of files whose path and length are saved.
const FILES_KEPT: usize = 100;

/// The inputs of a load and how they are read. A load that differs in any of it is a different
/// load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// The first files, for messages about differences; a folder may have millions.
    files: Vec<InputFile>,
    file_count: u64,
    /// Hash of the paths and lengths of all files.
    file_hash: u64,
    format: String,
    encoding: String,
    models: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct InputFile {
    path: String,
    bytes: u64,
}

/// How far a load was at a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// What was read of the inputs.
    pub position: Position,
    /// Documents that were added or replaced.
    pub documents: u64,
}

/// The last commit of a load.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Number of the commit.
    pub commit: u64,
    /// What is in it.
    pub done: Done,
    /// What was read.
    pub inputs: Inputs,
    /// True if the load ended with this commit, so that nothing is left to resume.
    #[serde(default)]
    pub is_complete: bool,
}

impl Inputs {
    /// The inputs of `reader`, before anything has been read from it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when one of them cannot be read a second time; [`Error::Io`].
    pub fn of(reader: &Reader, format: InputFormat, encoding: InputEncoding) -> Result<Self> {
        let (mut files, mut count, mut hash) = (Vec::new(), 0, Xxh3::new());
        for (path, bytes) in reader.files() {
            let Some((path, bytes)) = path.zip(bytes) else {
                let name = path.map_or("standard input".into(), Path::to_string_lossy);
                return Err(Error::invalid(format!(
                    "{name} cannot be read a second time, so a load of it cannot be resumed; write it to a file first"
                )));
            };
            let path = fs::canonicalize(path).map_err(|source| Error::io(path, "open", source))?;
            let path = path.to_string_lossy().into_owned();
            hash.update(path.as_bytes());
            hash.update(&bytes.to_le_bytes());
            count += 1;
            if files.len() < FILES_KEPT {
                files.push(InputFile { path, bytes });
            }
        }
        Ok(Self {
            files,
            file_count: count,
            file_hash: hash.digest(),
            format: format.to_string(),
            encoding: encoding.name().to_owned(),
            models: Vec::new(),
        })
    }

    /// Adds the models that make vectors of the documents.
    #[must_use]
    pub fn with_models(mut self, models: Vec<String>) -> Self {
        self.models = models;
        self
    }

    /// The first difference from the inputs of the load that is to be resumed.
    fn difference(&self, before: &Self) -> Option<String> {
        let files = self.files.iter().zip(&before.files);
        let mut changed = files.filter(|(now, before)| now != before);
        if let Some((now, before)) = changed.next() {
            return Some(format!(
                "expected {} of {} bytes, found {} of {} bytes",
                before.path, before.bytes, now.path, now.bytes
            ));
        }
        if self.file_count != before.file_count {
            let (before, now) = (before.file_count, self.file_count);
            return Some(format!("expected {before} input files, found {now}"));
        }
        if self.file_hash != before.file_hash {
            let count = self.file_count;
            return Some(format!(
                "expected {count} input files, found as many others"
            ));
        }
        let options = |inputs: &Self| {
            let models = match inputs.models.is_empty() {
                true => "none".to_owned(),
                false => inputs.models.join(" and "),
            };
            format!(
                "format {}, encoding {}, models: {models}",
                inputs.format, inputs.encoding
            )
        };
        let (before, now) = (options(before), options(self));
        (before != now).then(|| format!("expected {before}; found {now}"))
    }
}

impl Checkpoint {
    /// Reads the checkpoint of the index in `folder`, if it has one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] when the file is not one that is written here.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io(path, "read", source)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let message = format!(
                "expected the state of an interrupted load, found something else ({error}); remove the file, and load \
                 without --resume"
            );
            Error::invalid(message).at_line(path.to_string_lossy(), 0)
        })
    }

    /// Writes this in place of the checkpoint before.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; the one before is then still there.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let temporary = folder.join(format!("{FILE}.tmp"));
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|source| Error::io(&path, "write", source))
    }

    /// Removes the checkpoint of another load.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn remove(folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(Error::io(path, "remove", source))
            }
            _ => Ok(()),
        }
    }

    /// The first difference of these inputs from those of the load.
    pub fn difference(&self, inputs: &Inputs) -> Option<String> {
        inputs.difference(&self.inputs)
    }

    /// Checks that this is about a load of `inputs` into an index whose last commit is `commit`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when it is not.
    pub fn check(&self, inputs: &Inputs, commit: u64) -> Result<()> {
        if let Some(difference) = self.difference(inputs) {
            return Err(Error::invalid(format!(
                "the interrupted load was another one: {difference}; name the same inputs and options as before, or leave \
                 out --resume to load from the beginning"
            )));
        }
        if commit < self.commit {
            return Err(Error::invalid(format!(
                "the index is older than the interrupted load: expected commit {} or a later one, found {commit}; omit \
                 --resume to load from the beginning",
                self.commit
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn inputs(folder: &Path, content: &str, format: InputFormat) -> Inputs {
        let path = folder.join("in.tsv");
        fs::write(&path, content).unwrap();
        let reader = Reader::open(&[path], InputFormat::Auto).unwrap();
        Inputs::of(&reader, format, InputEncoding::default()).unwrap()
    }

    #[test]
    fn a_checkpoint_is_for_the_same_inputs_and_no_older_index() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(Checkpoint::read(folder).unwrap().is_none());
        let same = inputs(folder, "a\tb\n", InputFormat::Auto);
        let written = Checkpoint {
            commit: 7,
            done: Done::default(),
            inputs: same.clone(),
            is_complete: true,
        };
        written.write(folder).unwrap();
        written.write(folder).unwrap();
        let read = Checkpoint::read(folder).unwrap().unwrap();
        assert_eq!((read.commit, &read.inputs), (7, &same));
        assert!(read.is_complete);
        read.check(&same, 7).unwrap();
        read.check(&same, 9).unwrap();
        let message = |inputs: &Inputs, commit| read.check(inputs, commit).unwrap_err().to_string();
        assert!(message(&same, 6).contains("expected commit 7"));
        let longer = inputs(folder, "a\tbc\n", InputFormat::Auto);
        assert!(message(&longer, 7).contains("4 bytes, found"));
        let other = inputs(folder, "a\tb\n", InputFormat::Tsv);
        assert!(message(&other, 7).contains("found format tsv"));
        let encoded = same.with_models(vec!["dense x".to_owned()]);
        assert!(message(&encoded, 7).contains("models: dense x"));

        fs::write(folder.join(FILE), "{}").unwrap();
        let error = Checkpoint::read(folder).unwrap_err().to_string();
        assert!(
            error.contains("load-state.json: expected the state"),
            "{error}"
        );
        Checkpoint::remove(folder).unwrap();
        Checkpoint::remove(folder).unwrap();
        assert!(Checkpoint::read(folder).unwrap().is_none());
    }

    #[test]
    fn of_many_files_each_counts_but_few_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = || {
            let reader = Reader::open(&[folder.path().to_owned()], InputFormat::Auto).unwrap();
            Inputs::of(&reader, InputFormat::Auto, InputEncoding::default()).unwrap()
        };
        for number in 0..FILES_KEPT + 20 {
            fs::write(folder.path().join(format!("{number:03}.txt")), "x").unwrap();
        }
        let before = inputs();
        assert_eq!(before.files.len(), FILES_KEPT);
        assert_eq!(inputs().difference(&before), None);
        fs::write(folder.path().join("119.txt"), "xx").unwrap();
        assert!(
            inputs()
                .difference(&before)
                .unwrap()
                .contains("as many others")
        );
        fs::write(folder.path().join("999.txt"), "x").unwrap();
        assert!(
            inputs()
                .difference(&before)
                .unwrap()
                .contains("120 input files, found 121")
        );
    }

    #[test]
    fn standard_input_cannot_be_resumed() {
        let reader = Reader::open(&[PathBuf::from("-")], InputFormat::Auto).unwrap();
        let inputs = Inputs::of(&reader, InputFormat::Auto, InputEncoding::default());
        let message = inputs.unwrap_err().to_string();
        assert!(message.contains("standard input cannot be read a second time"));
    }
}
