//! `esparsa study`, from the outside.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::command::Scratch;
use crate::small_models::model;

const SYSTEMS: &str = r#"
[[systems]]
name = "bm25"
kind = "bm25"
k1 = [0.6, 1.2]
b = [0.3, 0.75]

[[systems]]
name = "splade"
kind = "sparse"
model = "${MODELS}/splade-max"

[[systems]]
name = "fused"
kind = "fuse"
of = ["bm25", "splade"]
normalization = ["min-max", "rank"]
weights = [[0.5, 0.5], [0.9, 0.1]]

[[systems]]
name = "re-ranked"
kind = "rerank"
of = ["fused"]
top = 5
model = "${MODELS}/ce-bert"

[[systems]]
name = "rrf"
kind = "fuse"
of = ["bm25", "re-ranked"]
method = "rrf"

[[systems]]
name = "shuffled"
kind = "shuffled"
of = ["bm25"]

[[systems]]
name = "constant"
kind = "constant"
of = ["bm25"]

[[systems]]
name = "random"
kind = "random"
of = ["bm25"]
"#;

/// Two collections, of which documents have words that their queries have.
fn fixture() -> Scratch {
    let scratch = Scratch::new();
    for (name, count) in [("one", 60), ("two", 30)] {
        let words = |n: usize| format!("word{} topic{} shared{}", n % 7, n % 13, n % 3);
        let documents = (0..count).map(|n| {
            format!(
                "{{\"_id\": \"d{n}\", \"title\": \"\", \"text\": \"{} own{n}\"}}\n",
                words(n)
            )
        });
        let queries =
            (0..20).map(|n| format!("{{\"_id\": \"q{n}\", \"text\": \"{}\"}}\n", words(n)));
        scratch.write(
            &format!("{name}/corpus.jsonl"),
            documents.collect::<String>(),
        );
        scratch.write(
            &format!("{name}/queries.jsonl"),
            queries.collect::<String>(),
        );
        for (part, range) in [("dev", 0..10), ("test", 10..20)] {
            let lines = range
                .map(|n| format!("q{n}\td{n}\t1\n"))
                .collect::<String>();
            let text = format!("query-id\tcorpus-id\tscore\n{lines}");
            scratch.write(&format!("{name}/qrels/{part}.tsv"), text);
        }
    }
    let head = "title = \"Words\"\nmetrics = [\"ndcg@10\", \"recall@20\"]\ndepth = 20\n\n\
                [[collections]]\nname = \"one\"\npath = \"one\"\nlanguage = \"simple\"\n\n\
                [[collections]]\nname = \"two\"\npath = \"two\"\nlanguage = \"simple\"\n";
    scratch.write("words.toml", format!("{head}{SYSTEMS}"));
    scratch
}

fn study(scratch: &Scratch, more: &[&str]) -> Command {
    study_with(scratch, &[&["--threads", "1"], more].concat())
}

fn study_with(scratch: &Scratch, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_esparsa"));
    command.args(["study", "words.toml"]).args(more);
    command
        .current_dir(scratch.path(""))
        .env("MODELS", model(""));
    command.stdin(Stdio::null());
    command
}

#[track_caller]
fn done(mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|t| String::from_utf8(t).unwrap());
    assert!(output.status.success(), "{stdout}{stderr}");
    (stdout, stderr)
}

/// When each step was done.
fn times(folder: &Path) -> BTreeMap<String, SystemTime> {
    let steps = std::fs::read_dir(folder.join("steps")).unwrap();
    let noted = steps.map(|step| step.unwrap().path().join("step.json"));
    let noted = noted.filter_map(|path| Some((path.display().to_string(), path.metadata().ok()?)));
    noted
        .map(|(path, metadata)| (path, metadata.modified().unwrap()))
        .collect()
}

/// The report without times.
fn report(scratch: &Scratch) -> String {
    let report = std::fs::read_to_string(scratch.path("words/report.md")).unwrap();
    report.split("## Cost").next().unwrap().to_owned()
}

#[test]
fn a_study_compares_systems_and_does_only_what_has_changed() {
    let scratch = fixture();
    let (planned, _) = done(study(&scratch, &["--dry-run"]));
    assert!(
        planned.lines().all(|line| line.starts_with("to do")),
        "{planned}"
    );
    assert!(!scratch.path("words").exists());
    done(study(&scratch, &[]));
    let first = report(&scratch);
    for expected in [
        "# Words",
        "## one: 10 test queries",
        "## two: 10 test queries",
        "| bm25 | 1.0000 [1.000, 1.000] |",
        "| random | 0.",
        "| fused | normalization ",
        "Parameters, chosen by ndcg@10",
    ] {
        assert!(first.contains(expected), "{expected} is not in\n{first}");
    }
    let before = times(&scratch.path("words"));
    assert_eq!(before.len(), planned.lines().count());

    // Nothing is done again.
    let (planned, _) = done(study(&scratch, &["--dry-run"]));
    assert!(
        planned.lines().all(|line| line.starts_with("done")),
        "{planned}"
    );
    done(study(&scratch, &[]));
    assert_eq!(times(&scratch.path("words")), before);
    assert_eq!(report(&scratch), first);

    // What was cut is made again, and nothing depends on the number of threads.
    let steps = std::fs::read_dir(scratch.path("words/steps")).unwrap();
    let run = steps
        .map(|step| step.unwrap().path().join("run.txt"))
        .find(|run| run.is_file())
        .unwrap();
    std::fs::write(&run, "").unwrap();
    let (planned, _) = done(study(&scratch, &["--dry-run"]));
    let to_do = planned.lines().filter(|line| line.starts_with("to do"));
    assert_eq!(to_do.count(), 1, "{planned}");
    done(study_with(&scratch, &["--threads", "2"]));
    assert_eq!(report(&scratch), first);

    // Another document in the second collection: what depends on the first alone stays.
    let corpus = scratch.path("two/corpus.jsonl");
    let more =
        std::fs::read_to_string(&corpus).unwrap() + "{\"_id\": \"more\", \"text\": \"word1\"}\n";
    std::fs::write(&corpus, more).unwrap();
    let (planned, _) = done(study(&scratch, &["--dry-run"]));
    let to_do: Vec<&str> = planned
        .lines()
        .filter(|line| line.starts_with("to do"))
        .collect();
    assert!(
        !to_do.is_empty() && to_do.iter().all(|line| line.contains("two")),
        "{planned}"
    );
}

#[test]
fn a_study_that_is_killed_goes_on_and_reports_the_same() {
    let whole = fixture();
    done(study(&whole, &[]));
    let scratch = fixture();
    let (mut kills, mut wait) = (0, Duration::from_millis(20));
    loop {
        let mut child = study(&scratch, &[]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(wait);
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        (kills, wait) = (kills + 1, wait.mul_f32(1.3));
        // Its command may be at work still, and then holds the folder.
        std::thread::sleep(Duration::from_millis(300));
    }
    done(study(&scratch, &[]));
    assert!(kills > 0);
    assert_eq!(report(&scratch), report(&whole));
}

#[test]
fn one_study_at_a_time_works_in_a_folder() {
    let scratch = fixture();
    std::fs::create_dir(scratch.path("words")).unwrap();
    let lock = std::fs::File::create(scratch.path("words/lock")).unwrap();
    lock.lock().unwrap();
    let output = study(&scratch, &[]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && message.contains("no study is at work"),
        "{message}"
    );
}

#[test]
fn mistakes_are_refused_with_their_line_before_any_work() {
    for (from, to, line, expected) in [
        ("depth = 20", "depht = 20", 3, "unknown field `depht`"),
        ("\"ndcg@10\"", "\"ndgc@10\"", 2, "ndgc"),
        (
            "recall@20",
            "recall@21",
            2,
            "expected a metric of up to 20 results",
        ),
        ("recall@20", "ndcg@10", 2, "expected each metric once"),
        (
            "depth = 20",
            "depth = 0",
            3,
            "expected 1 to 10000000 results, found 0",
        ),
        (
            "path = \"two\"",
            "path = \"three\"",
            12,
            "expected a folder with corpus.jsonl",
        ),
        (
            "of = [\"bm25\", \"splade\"]",
            "of = [\"bm25\", \"spalde\"]",
            29,
            "expected a system that stands above, found `spalde`",
        ),
        (
            "kind = \"shuffled\"",
            "kind = \"shufled\"",
            48,
            "unknown variant `shufled`",
        ),
        (
            "k1 = [0.6, 1.2]",
            "top = 10",
            18,
            "expected no `top` for a system of kind bm25",
        ),
        ("[0.9, 0.1]", "[0.9]", 31, "expected lists of 2 weights"),
        ("\"rank\"", "\"rnak\"", 30, "rnak"),
        ("ce-bert", "no-such", 38, "expected the folder of a model"),
        (
            "${MODELS}/splade-max",
            "${NO_SUCH_VARIABLE}/splade",
            24,
            "NO_SUCH_VARIABLE",
        ),
        (
            "name = \"random\"",
            "name = \"bm25\"",
            57,
            "a second system `bm25`",
        ),
        ("title = \"Words\"", "title = ", 1, "expected"),
    ] {
        let scratch = fixture();
        let config = std::fs::read_to_string(scratch.path("words.toml")).unwrap();
        assert!(config.contains(from), "{from}");
        scratch.write("words.toml", config.replacen(from, to, 1));
        let output = study(&scratch, &[]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(expected), "{expected} is not in {message}");
        assert!(
            message.contains(&format!("words.toml:{line}: ")),
            "{line}: {message}"
        );
        assert!(!scratch.path("words").exists());
    }
}
