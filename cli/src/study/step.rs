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
    /// The output of a step.
    Output(StepId),
    /// The model in the output of a training step.
    Model(StepId),
    /// The step's own output.
    Own,
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
        qrels: PathBuf,
        metric: String,
    },
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
    /// Whether its command goes on where it was interrupted.
    pub is_resumed: bool,
    /// Of all that its output depends on.
    pub hash: String,
}

/// Hashes of the files that steps read, each read once.
#[derive(Default)]
pub(super) struct Hashes {
    of_paths: HashMap<PathBuf, u128>,
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
        let of = |step: StepId| before.get(step).map_or("", |step| &step.hash);
        match work {
            Work::Command(arguments) => {
                for argument in arguments {
                    match argument {
                        Argument::Text(text) => add(&mut hash, "text", text),
                        Argument::Path(path) => {
                            add(&mut hash, "path", &format!("{:032x}", self.of_path(path)?));
                        }
                        Argument::Output(step) => add(&mut hash, "step", of(*step)),
                        Argument::Model(step) => add(&mut hash, "model", of(*step)),
                        Argument::Own => add(&mut hash, "own", ""),
                        Argument::Chosen(step) => add(&mut hash, "chosen", of(*step)),
                        Argument::Threads(_) => add(&mut hash, "threads", ""),
                        Argument::Contents(text) => add(&mut hash, "contents", text),
                    }
                }
            }
            Work::Choose {
                candidates,
                qrels,
                metric,
            } => {
                for candidate in candidates {
                    add(&mut hash, "candidate", &candidate.label);
                    candidate
                        .arguments
                        .iter()
                        .for_each(|text| add(&mut hash, "text", text));
                    add(&mut hash, "step", of(candidate.run));
                }
                add(&mut hash, "path", &format!("{:032x}", self.of_path(qrels)?));
                add(&mut hash, "metric", metric);
            }
            Work::Floor { kind, of: run } => add(&mut hash, kind.name(), of(*run)),
        }
        Ok(format!("{:032x}", hash.digest128())[..16].to_owned())
    }

    fn of_path(&mut self, path: &Path) -> Result<u128> {
        if let Some(hash) = self.of_paths.get(path) {
            return Ok(*hash);
        }
        let mut hash = Xxh3::new();
        add_path(&mut hash, path)?;
        let digest = hash.digest128();
        self.of_paths.insert(path.to_owned(), digest);
        Ok(digest)
    }
}

/// Adds a text, so that no two lists of texts look the same.
fn add(hash: &mut Xxh3, what: &str, text: &str) {
    for part in [what, text] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
}

/// Adds what is in a file, or in the files of a folder.
fn add_path(hash: &mut Xxh3, path: &Path) -> Result<()> {
    let failed = |source| Error::io(path, "read", source);
    if path.is_dir() {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            entries.push(entry.map_err(failed)?.path());
        }
        entries.sort();
        for entry in entries {
            add(
                hash,
                "file",
                &entry.file_name().unwrap_or_default().to_string_lossy(),
            );
            add_path(hash, &entry)?;
        }
        return Ok(());
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
