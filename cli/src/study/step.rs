//! One step, and the hash of all that it depends on.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use esparsa::{Error, Result};
use xxhash_rust::xxh3::Xxh3;

use super::config::Kind;

/// The place of a step in its plan.
pub(super) type StepId = usize;

/// A part of a command.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    Text(String),
    /// A file or folder that the study does not make.
    Path(PathBuf),
    /// A file or folder that another argument names.
    Read(PathBuf),
    /// A folder, of which the step reads only what `Read` arguments name.
    Place(PathBuf),
    /// The output of a step.
    Output(StepId),
    /// The model in the output of a training step.
    Model(StepId),
    /// The model that a step has chosen of several.
    ChosenModel(StepId),
    /// The step's own output.
    Own,
    /// A file beside the step's own output, which no other step reads.
    Beside(&'static str),
    /// The arguments of the candidate that a step has chosen.
    Chosen(StepId),
    /// The number of threads, on which no result depends.
    Threads(String),
    /// A file with these contents.
    Contents(String),
}

/// Parameters of which the best are chosen, and what they find.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub label: String,
    pub arguments: Vec<String>,
    pub run: StepId,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// A command of this program.
    Command(Vec<Argument>),
    /// The best of some candidates by a metric.
    Choose {
        candidates: Vec<Candidate>,
        qrels: Argument,
        metric: String,
    },
    /// The best of some trained models by their own evaluations.
    ChooseModel { candidates: Vec<(String, StepId)> },
    /// Judgements of a random sample of the queries.
    Sample { qrels: Argument, queries: usize },
    /// Vectors as texts, in which each term is repeated by its weight.
    Repeat { vectors: StepId, repeats: f32 },
    /// A run that needs no search.
    Floor { kind: Kind, of: StepId },
}

/// A step.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// What it does, for people.
    pub name: String,
    /// The name of its output in its folder.
    pub output: &'static str,
    pub work: Work,
    /// Of all that its output depends on.
    pub hash: String,
}

/// The name of the output of a training.
pub(super) const TRAINED: &str = "model";

impl Step {
    /// Whether its command trains a model, and goes on where it was interrupted.
    pub fn is_training(&self) -> bool {
        self.output == TRAINED
    }
}

/// Hashes of the files that steps read, each read once.
#[derive(Default)]
pub(super) struct Hashes {
    of_paths: HashMap<PathBuf, u128>,
    /// Lengths and times of change when they were read.
    stamps: HashMap<PathBuf, u64>,
}

impl Hashes {
    /// The hash of a step, given those of the steps before it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be read.
    pub fn of_step(&mut self, output: &str, work: &Work, before: &[Step]) -> Result<String> {
        let mut hash = Xxh3::new();
        // What this version does, another may do better.
        add(&mut hash, "version", env!("CARGO_PKG_VERSION"));
        add(&mut hash, "output", output);
        match work {
            Work::Command(arguments) => {
                for argument in arguments {
                    self.add_argument(&mut hash, argument, before)?;
                }
            }
            Work::Choose {
                candidates,
                qrels,
                metric,
            } => {
                for candidate in candidates {
                    add(&mut hash, "candidate", &candidate.label);
                    let texts = candidate.arguments.iter();
                    texts.for_each(|text| add(&mut hash, "text", text));
                    add(&mut hash, "step", hash_of(candidate.run, before));
                }
                self.add_argument(&mut hash, qrels, before)?;
                add(&mut hash, "metric", metric);
            }
            Work::ChooseModel { candidates } => {
                for (label, model) in candidates {
                    add(&mut hash, "candidate", label);
                    add(&mut hash, "step", hash_of(*model, before));
                }
            }
            Work::Sample { qrels, queries } => {
                add(&mut hash, "queries", &queries.to_string());
                self.add_argument(&mut hash, qrels, before)?;
            }
            Work::Repeat { vectors, repeats } => {
                add(&mut hash, "repeats", &repeats.to_string());
                add(&mut hash, "step", hash_of(*vectors, before));
            }
            Work::Floor { kind, of } => add(&mut hash, kind.name(), hash_of(*of, before)),
        }
        Ok(format!("{:032x}", hash.digest128())[..16].to_owned())
    }

    fn add_argument(
        &mut self,
        hash: &mut Xxh3,
        argument: &Argument,
        before: &[Step],
    ) -> Result<()> {
        match argument {
            Argument::Text(text) => add(hash, "text", text),
            Argument::Path(path) | Argument::Read(path) => {
                add(hash, "path", &format!("{:032x}", self.of_path(path)?));
            }
            Argument::Place(_) => add(hash, "place", ""),
            Argument::Output(step) => add(hash, "step", hash_of(*step, before)),
            Argument::Model(step) | Argument::ChosenModel(step) => {
                add(hash, "model", hash_of(*step, before));
            }
            Argument::Own => add(hash, "own", ""),
            Argument::Beside(name) => add(hash, "beside", name),
            Argument::Chosen(step) => add(hash, "chosen", hash_of(*step, before)),
            // No result depends on it.
            Argument::Threads(_) => {}
            Argument::Contents(text) => add(hash, "contents", text),
        }
        Ok(())
    }

    /// Refuses what has changed since it was hashed.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a file that is another one now.
    pub fn check_unchanged(&self, work: &Work) -> Result<()> {
        let arguments = match work {
            Work::Command(arguments) => &arguments[..],
            Work::Choose { qrels, .. } | Work::Sample { qrels, .. } => std::slice::from_ref(qrels),
            _ => &[],
        };
        let paths = arguments.iter().filter_map(|argument| match argument {
            Argument::Path(path) | Argument::Read(path) => Some(path),
            _ => None,
        });
        for path in paths {
            if self.stamps.get(path) != Some(&stamp(path)?) {
                return Err(Error::invalid(format!(
                    "expected {} to stay as it was when the study began, found that it has changed; start the study \
                     again",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    fn of_path(&mut self, path: &Path) -> Result<u128> {
        if let Some(hash) = self.of_paths.get(path) {
            return Ok(*hash);
        }
        self.stamps.insert(path.to_owned(), stamp(path)?);
        let mut hash = Xxh3::new();
        add_path(&mut hash, path)?;
        let digest = hash.digest128();
        self.of_paths.insert(path.to_owned(), digest);
        Ok(digest)
    }
}

/// The hash of a step that stands before.
fn hash_of(step: StepId, before: &[Step]) -> &str {
    before.get(step).map_or("", |step| &step.hash)
}

/// Adds a text, so that no two lists of texts look the same.
fn add(hash: &mut Xxh3, what: &str, text: &str) {
    for part in [what, text] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
}

/// What is in a folder, in the order of the names.
fn entries(path: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::io(path, "read", source);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    Ok(entries)
}

/// A hash of the lengths and times of change of a file, or of the files of a folder.
fn stamp(path: &Path) -> Result<u64> {
    let mut hash = Xxh3::new();
    add_stamp(&mut hash, path)?;
    Ok(hash.digest())
}

fn add_stamp(hash: &mut Xxh3, path: &Path) -> Result<()> {
    let failed = |source| Error::io(path, "read", source);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return entries(path)?
            .iter()
            .try_for_each(|entry| add_stamp(hash, entry));
    }
    let changed = metadata.modified().map_err(failed)?;
    add(
        hash,
        &path.to_string_lossy(),
        &format!("{} {changed:?}", metadata.len()),
    );
    Ok(())
}

/// Bytes of a file, or of the files of a folder.
///
/// # Errors
///
/// [`Error::Io`] when there is none.
pub(super) fn bytes_of(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).map_err(|source| Error::io(path, "read", source))?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let sizes = entries(path)?;
    sizes
        .iter()
        .try_fold(0, |sum, entry| Ok(sum + bytes_of(entry)?))
}

/// Adds what is in a file, or in the files of a folder.
fn add_path(hash: &mut Xxh3, path: &Path) -> Result<()> {
    let failed = |source| Error::io(path, "read", source);
    if path.is_dir() {
        for entry in entries(path)? {
            add(
                hash,
                "file",
                &entry.file_name().unwrap_or_default().to_string_lossy(),
            );
            add_path(hash, &entry)?;
        }
        return Ok(());
    }
    if !path.is_file() {
        let message = format!("expected a file, found something else: {}", path.display());
        return Err(Error::invalid(message));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return Ok(());
        }
        hash.update(&buffer[..read]);
    }
}
