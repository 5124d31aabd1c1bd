//! Failures of checks: one JSON line each as they come, and then the next case.

use std::collections::BTreeMap;
use std::process::{Command, ExitStatus};

use esparsa::internals::backend::conformance::{Failure, Observer};
use esparsa::internals::backend::{Cuda, LaunchLog};
use serde_json::json;

use crate::{Result, print};

/// Lines of the same operation and kernels; further failures are only counted.
const MAX_LINES: usize = 6;

/// Prints what is launched next to standard error, and failures to standard output.
pub struct Collector {
    part: &'static str,
    cuda: Cuda,
    log: LaunchLog,
    /// Added to each shape, such as `as on 1 multiprocessors`.
    pub context: String,
    lines: BTreeMap<(String, Vec<&'static str>), usize>,
    /// All failures, printed or not.
    pub count: usize,
    /// After an error that broke the GPU's context this process can launch nothing more.
    pub is_lost: bool,
}

impl Collector {
    pub fn new(part: &'static str, cuda: &Cuda, log: &LaunchLog) -> Self {
        Self {
            part,
            cuda: cuda.clone(),
            log: log.clone(),
            context: String::new(),
            lines: BTreeMap::new(),
            count: 0,
            is_lost: false,
        }
    }

    /// Reports a failure of something other than an observed case.
    pub fn add(&mut self, operation: &str, shape: &str, message: &str) {
        let kernels = self.log.take_recent();
        self.count += 1;
        let lines = self
            .lines
            .entry((operation.to_owned(), kernels.clone()))
            .or_default();
        *lines += 1;
        if *lines <= MAX_LINES {
            print(json!({
                "what": "failure",
                "part": self.part,
                "operation": operation,
                "kernels": kernels,
                "shape": format!("{shape}{}", self.context),
                "message": message,
            }));
        }
    }
}

impl Observer for Collector {
    fn begin(&mut self, operation: &str, shape: &str) {
        drop(self.log.take_recent());
        eprintln!("{}: {operation}, {shape}{}", self.part, self.context);
    }

    fn fail(&mut self, failure: Failure) -> esparsa::Result<()> {
        self.add(&failure.operation, &failure.shape, &failure.message);
        // A difference leaves the context usable, an illegal address does not.
        self.cuda.synchronize().inspect_err(|_| self.is_lost = true)
    }
}

/// Runs this program again with the same arguments from the operation or group with this number on:
/// a new process has a new context.
pub fn go_on_in_new_process(from: usize) -> Result<ExitStatus> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(place) = words.iter().position(|word| word == "--from") {
        words.drain(place..(place + 2).min(words.len()));
    }
    words.extend(["--from".to_owned(), from.to_string()]);
    eprintln!(
        "the GPU's context is lost; a new process goes on: {}",
        words.join(" ")
    );
    Ok(Command::new(std::env::current_exe()?)
        .args(words)
        .status()?)
}
