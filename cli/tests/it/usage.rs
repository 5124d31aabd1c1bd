//! Arguments and exit codes that all subcommands share.

use std::process::{Command, Stdio};

use crate::command::Scratch;
use crate::two_documents::{LINES, indexed};

#[test]
fn completions_name_the_subcommands() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = scratch.run(&format!("completions {shell}")).done();
        assert!(script.contains("inspect"), "{shell}");
    }
    assert_eq!(scratch.run("completions tcsh").code, Some(2));
}

#[test]
fn wrong_usage_ends_with_code_2() {
    let scratch = Scratch::new();
    scratch.write("two.jsonl", LINES);
    for arguments in [
        "",
        "fly",
        "index two.jsonl",
        "index --index index",
        "index two.jsonl --index index --language klingon",
        "index two.jsonl --index index --memory 1MB",
        "index two.jsonl --index index --memory much",
        "index two.jsonl --index index --threads 0",
        "index two.jsonl --index index --format parquet",
        "index two.jsonl --index index --on-bad-input cry",
        "index two.jsonl --index index --on-duplicate cry",
        "index two.jsonl --index index --commit-every 5m",
        "index two.jsonl --index index --commit-every 0",
        "index two.jsonl --index index --max-weight -1",
        "index two.jsonl --index index --max-weight NaN",
        "index two.jsonl --index index --segments 0",
        "get --index index",
    ] {
        let ran = scratch.run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments}: {}", ran.stderr);
        assert!(
            !ran.stderr.is_empty() && ran.stdout.is_empty(),
            "{arguments}"
        );
    }
    assert!(!scratch.path("index").exists());
}

#[test]
fn help_and_version_end_with_code_0() {
    let scratch = Scratch::new();
    let help = scratch.run("--help").done();
    assert!(
        help.contains("Examples:") && help.contains("Exit codes:"),
        "{help}"
    );
    let version = scratch.run("--version").done();
    assert_eq!(
        version.trim(),
        format!("esparsa {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_closed_pipe_is_no_error() {
    let scratch = indexed(LINES);
    // More than a pipe holds, so that the process must notice.
    let mut child = Command::new(env!("CARGO_BIN_EXE_esparsa"))
        .args(["get", "--index"])
        .arg(scratch.path("index"))
        .args(std::iter::repeat_n("etna", 5_000))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
