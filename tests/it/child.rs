//! Tests that need another process run themselves again as a child, which learns its part and its
//! folder from an environment variable and says what it has done on its standard output.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The folder that a child works on; unset in the parent.
const CHILD_FOLDER: &str = "ESPARSA_CHILD_FOLDER";
/// What every line that a child says begins with: the test harness writes to standard output too.
const CHILD_SAYS: &str = "child says ";

/// A child that does not outlive a test that fails.
pub struct Part(pub Child);

impl Part {
    /// Kills the child as the operating system kills: without a word.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a test again, named with its module, as a child that works on `folder`.
pub fn spawn(test: &str, folder: &Path) -> Part {
    Part(command(test, folder).spawn().unwrap())
}

/// The command of a child.
pub fn command(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--test-threads=1", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// The folder that this process works on, if it is a child.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os(CHILD_FOLDER).map(PathBuf::from)
}

/// What a child says, line by line, up to its end.
pub fn sayings(child: &mut Part) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    lines.filter_map(|line| {
        let line = line.unwrap();
        let (_, said) = line.split_once(CHILD_SAYS)?;
        Some(said.to_owned())
    })
}

pub fn say(what: &str) {
    println!("{CHILD_SAYS}{what}");
}
