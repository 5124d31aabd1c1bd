//! `esparsa encode --resume`, and outputs that are whole or not there.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::command::Scratch;
use crate::small_models::{corpus, encode, model, vectors};

#[test]
fn an_output_that_was_cut_anywhere_is_continued_with_equal_result() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(40));
    for name in ["st-mean", "splade-sum"] {
        let folder = model(name);
        scratch.run(&encode(&folder, "--output whole.jsonl")).done();
        let whole = fs::read(scratch.path("whole.jsonl")).unwrap();
        let line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for kept in [
            0,
            1,
            line - 1,
            line,
            line + 1,
            whole.len() / 2,
            whole.len() - 1,
            whole.len(),
        ] {
            fs::write(scratch.path("cut.jsonl"), &whole[..kept]).unwrap();
            scratch
                .run(&encode(&folder, "--output cut.jsonl --resume --threads 2"))
                .done();
            let again = fs::read(scratch.path("cut.jsonl")).unwrap();
            assert!(again == whole, "{name}, cut at {kept} of {}", whole.len());
        }
    }
}

#[test]
fn a_killed_process_is_continued_with_equal_result() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(30_000));
    let folder = model("st-cls");
    let mut child = Command::new(env!("CARGO_BIN_EXE_esparsa"))
        .args(encode(&folder, "--output out.jsonl --threads 1 --quiet").split_whitespace())
        .current_dir(scratch.path(""))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (out, partial) = (scratch.path("out.jsonl"), scratch.path("out.jsonl.partial"));
    while fs::metadata(&partial).map_or(0, |metadata| metadata.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it is still at work");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.exists(), "what is not whole has no name yet");
    let before = fs::read(&partial).unwrap();
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    assert!(lines < 30_000, "it was killed before it was done");

    let ran = scratch.run(&encode(&folder, "--output out.jsonl --threads 2 --resume"));
    assert!(ran.stderr.contains("resuming after"), "{}", ran.stderr);
    ran.done();
    scratch
        .run(&encode(&folder, "--output whole.jsonl --threads 2 --quiet"))
        .done();
    let (found, expected) = (
        fs::read(&out).unwrap(),
        fs::read(scratch.path("whole.jsonl")).unwrap(),
    );
    assert!(found == expected);
    assert!(!partial.exists());
}

#[test]
fn vectors_of_yesterday_stay_until_the_new_ones_are_whole() {
    let scratch = Scratch::new();
    let folder = model("st-mean");
    scratch.write("out.jsonl", "yesterday");
    scratch.write("in.jsonl", format!("{}{{\n", corpus(3)));
    let error = scratch.run(&encode(&folder, "--output out.jsonl")).failed();
    assert!(error.contains("are kept in "), "{error}");
    assert_eq!(fs::read(scratch.path("out.jsonl")).unwrap(), b"yesterday");

    scratch.write("in.jsonl", corpus(5));
    let ran = scratch.run(&encode(&folder, "--output out.jsonl --resume"));
    assert!(ran.stderr.contains("resuming after 3"), "{}", ran.stderr);
    ran.done();
    let text = fs::read_to_string(scratch.path("out.jsonl")).unwrap();
    assert_eq!(vectors(&text).len(), 5);
    assert!(!scratch.path("out.jsonl.partial").exists());
}

#[test]
fn an_output_of_another_model_or_other_inputs_is_not_continued() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(9));
    let (first, second) = (model("st-mean"), model("st-cls"));
    scratch.run(&encode(&first, "--output out.jsonl")).done();
    let before = fs::read(scratch.path("out.jsonl")).unwrap();
    let error = scratch
        .run(&encode(&second, "--output out.jsonl --resume"))
        .failed();
    assert!(
        error.contains("out.jsonl:1: the vector of `d0` is not what st-cls makes of it"),
        "{error}"
    );
    scratch.write("in.jsonl", "{\"_id\":\"other\",\"text\":\"lava\"}\n");
    let error = scratch
        .run(&encode(&first, "--output out.jsonl --resume"))
        .failed();
    assert!(error.contains("expected the vector of `other`"), "{error}");
    assert_eq!(fs::read(scratch.path("out.jsonl")).unwrap(), before);
}
