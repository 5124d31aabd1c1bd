//! The outputs of steps, and which are complete.
//!
//! Each step has a folder, named by its hash. A step is done when its folder has `step.json`, which is
//! written last. What a killed study left of another step is removed, or continued where its command
//! can.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use esparsa::{Error, Result};
use serde::{Deserialize, Serialize};

use super::choose::{Choice, choose, choose_model};
use super::floor;
use super::memory;
use super::plan::Plan;
use super::repeat;
use super::sample;
use super::step::{Argument, Step, StepId, Work, bytes_of};
use crate::output;

const DONE: &str = "step.json";
const LOG: &str = "log.txt";
const CONTENTS: &str = "options.toml";
/// The folder of the best model in what training writes, and that of its checkpoints.
const MODEL: &str = "model";
const CHECKPOINTS: &str = "checkpoints";
/// Lines of a log that are shown when a step fails.
const SHOWN_LINES: usize = 8;

/// The folder of a study.
pub(super) struct Folder {
    path: PathBuf,
    /// Locked as long as a study, or a command that one has started, is at work here.
    lock: Option<File>,
}

/// What is noted of a step that is done.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub name: String,
    pub command: Vec<String>,
    pub seconds: f64,
    /// Bytes of the output.
    pub bytes: u64,
    /// The most memory that its command had, where the system says it.
    #[serde(default)]
    pub memory: Option<u64>,
}

impl Folder {
    /// A folder that is only looked at, and need not be there.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            lock: None,
        }
    }

    /// Creates the folder, and locks it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] when another study is at work in it.
    pub fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(|source| Error::io(path, "create", source))?;
        let lock_path = path.join("lock");
        let lock = File::options().create(true).append(true).open(&lock_path);
        let lock = lock.map_err(|source| Error::io(&lock_path, "create", source))?;
        match lock.try_lock() {
            Ok(()) => {
                let process = std::process::id().to_string();
                // Only for the message below.
                let noted = lock
                    .set_len(0)
                    .and_then(|()| (&lock).write_all(process.as_bytes()));
                noted.map_err(|source| Error::io(&lock_path, "write", source))?;
                Ok(Self {
                    path: path.to_owned(),
                    lock: Some(lock),
                })
            }
            Err(fs::TryLockError::WouldBlock) => Err(Error::invalid(format!(
                "expected a folder in which no study is at work, found one that process {} has locked: {}; \
                 wait for it, or for the command that it has started",
                fs::read_to_string(&lock_path).unwrap_or_default(),
                path.display()
            ))),
            Err(fs::TryLockError::Error(source)) => Err(Error::io(&lock_path, "lock", source)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn of(&self, step: &Step) -> PathBuf {
        self.path.join("steps").join(&step.hash)
    }

    /// The output of a step.
    pub fn output(&self, step: &Step) -> PathBuf {
        self.of(step).join(step.output)
    }

    /// Whether a step is done.
    pub fn is_done(&self, step: &Step) -> bool {
        // An output that was cut or removed is made again.
        let done = self.done(step);
        done.is_ok_and(|done| bytes_of(&self.output(step)).is_ok_and(|bytes| bytes == done.bytes))
    }

    /// What is noted of a step that is done.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it is not done.
    pub fn done(&self, step: &Step) -> Result<Done> {
        read_json(&self.of(step).join(DONE))
    }

    /// What a step has chosen.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it is not done.
    pub fn choice(&self, step: &Step) -> Result<Choice> {
        self.read(step)
    }

    /// The output of a step, which is JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it is not done, and [`Error::InvalidInput`] for another output.
    pub fn read<T: for<'a> Deserialize<'a>>(&self, step: &Step) -> Result<T> {
        read_json(&self.output(step))
    }

    /// Runs a step, whose inputs are there.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with the end of its log when its command fails.
    pub fn run(&self, step: &Step, plan: &Plan) -> Result<()> {
        let folder = self.of(step);
        let checkpoints = fs::read_dir(folder.join(step.output).join(CHECKPOINTS));
        let is_left = checkpoints.is_ok_and(|mut entries| entries.next().is_some());
        // A training that was done, and whose model was damaged since, has nothing to go on with.
        let is_resumed = step.is_training() && is_left && !folder.join(DONE).exists();
        if folder.exists() && !is_resumed {
            let removed = match folder.is_dir() {
                true => fs::remove_dir_all(&folder),
                false => fs::remove_file(&folder),
            };
            removed.map_err(|source| Error::io(&folder, "remove", source))?;
        }
        fs::create_dir_all(&folder).map_err(|source| Error::io(&folder, "create", source))?;
        let started = Instant::now();
        let (mut command, mut memory) = (Vec::new(), None);
        match &step.work {
            Work::Command(arguments) => {
                command = self.arguments(step, arguments, plan)?;
                if is_resumed {
                    command.push("--resume".into());
                }
                memory = self.execute(step, &command)?;
            }
            Work::Choose {
                candidates,
                qrels,
                metric,
            } => {
                let run = |id: StepId| self.output(&plan.steps[id]);
                let choice = choose(candidates, run, &self.path_of(qrels, plan)?, metric)?;
                write_json(&self.output(step), &choice)?;
            }
            Work::ChooseModel { candidates } => {
                let trained = |id: StepId| self.output(&plan.steps[id]);
                write_json(&self.output(step), &choose_model(candidates, trained)?)?;
            }
            Work::Sample { qrels, queries } => {
                sample::write(&self.path_of(qrels, plan)?, *queries, &self.output(step))?;
            }
            Work::Repeat { vectors, repeats } => {
                let vectors = self.output(&plan.steps[*vectors]);
                repeat::write(&vectors, *repeats, &self.output(step))?;
            }
            Work::Floor { kind, of } => {
                floor::write(*kind, &self.output(&plan.steps[*of]), &self.output(step))?;
            }
        }
        plan.hashes.check_unchanged(&step.work)?;
        let done = Done {
            name: step.name.clone(),
            command,
            seconds: started.elapsed().as_secs_f64(),
            bytes: bytes_of(&self.output(step))?,
            memory,
        };
        write_json(&folder.join(DONE), &done)
    }

    fn arguments(&self, step: &Step, arguments: &[Argument], plan: &Plan) -> Result<Vec<String>> {
        let mut words = Vec::new();
        for argument in arguments {
            match argument {
                Argument::Text(text) => words.push(text.clone()),
                Argument::Read(_) => {}
                Argument::Own => words.push(self.output(step).display().to_string()),
                Argument::Beside(name) => {
                    words.push(self.of(step).join(name).display().to_string());
                }
                Argument::Chosen(id) => words.extend(self.choice(&plan.steps[*id])?.arguments),
                Argument::Threads(threads) => {
                    words.extend(["--threads".to_owned(), threads.clone()]);
                }
                Argument::Contents(text) => {
                    let path = self.of(step).join(CONTENTS);
                    fs::write(&path, text).map_err(|source| Error::io(&path, "write", source))?;
                    words.push(path.display().to_string());
                }
                Argument::Path(_)
                | Argument::Place(_)
                | Argument::Output(_)
                | Argument::Model(_)
                | Argument::ChosenModel(_) => {
                    words.push(self.path_of(argument, plan)?.display().to_string());
                }
            }
        }
        Ok(words)
    }

    /// The file or folder that an argument names.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for an argument that names none.
    pub fn path_of(&self, argument: &Argument, plan: &Plan) -> Result<PathBuf> {
        match argument {
            Argument::Path(path) | Argument::Place(path) => Ok(path.clone()),
            Argument::Output(id) => Ok(self.output(&plan.steps[*id])),
            Argument::Model(id) => Ok(self.output(&plan.steps[*id]).join(MODEL)),
            Argument::ChosenModel(id) => {
                let choice = self.choice(&plan.steps[*id])?;
                let model = match &plan.steps[*id].work {
                    Work::ChooseModel { candidates } => candidates.get(choice.place),
                    _ => None,
                };
                let (_, model) =
                    model.ok_or_else(|| Error::invalid("expected a choice of models"))?;
                Ok(self.output(&plan.steps[*model]).join(MODEL))
            }
            _ => Err(Error::invalid("expected an argument that names a file")),
        }
    }

    /// Runs this program with other arguments, and keeps what it says. Returns the most memory that
    /// it had.
    fn execute(&self, step: &Step, arguments: &[String]) -> Result<Option<u64>> {
        let program = std::env::current_exe();
        let program = program.map_err(|source| Error::io("esparsa", "find", source))?;
        let log_path = self.of(step).join(LOG);
        let failed = |source| Error::io(&log_path, "create", source);
        let log = File::create(&log_path).map_err(failed)?;
        // A command goes on when the study is killed. As long as it has the locked file open, no
        // other study begins the same step.
        let stdin = match &self.lock {
            Some(lock) => Stdio::from(lock.try_clone().map_err(failed)?),
            None => Stdio::null(),
        };
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .stdin(stdin)
            .stderr(log.try_clone().map_err(failed)?);
        let child = command.stdout(log).spawn();
        let mut child = child.map_err(|source| Error::io(&program, "start", source))?;
        let watched = memory::wait(&mut child);
        let (status, memory) = watched.map_err(|source| Error::io(&program, "wait for", source))?;
        let made = match step.is_training() {
            // Checkpoints alone are no model.
            true => self.output(step).join(MODEL),
            false => self.output(step),
        };
        if status.success() && made.exists() {
            return Ok(memory);
        }
        let said = fs::read_to_string(&log_path).unwrap_or_default();
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let shown = lines.len().saturating_sub(SHOWN_LINES);
        lines[shown..].iter().for_each(|line| output::message(line));
        Err(Error::invalid(format!(
            "expected the step `{}` to succeed, found that it failed ({status}), as above; all it said is in {}",
            step.name,
            log_path.display()
        )))
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let text = fs::read(path).map_err(|source| Error::io(path, "read", source))?;
    serde_json::from_slice(&text).map_err(|error| {
        let message = format!("expected what a study has written, found {error}");
        Error::invalid(message).at_line(path.display().to_string(), 0)
    })
}

/// Writes a file that is complete or not there.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let failed = |source| Error::io(path, "write", source);
    let text = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    let partial = path.with_extension("partial");
    fs::write(&partial, text).map_err(failed)?;
    fs::rename(&partial, path).map_err(failed)
}
