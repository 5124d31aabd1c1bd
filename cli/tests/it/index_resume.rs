//! `esparsa index --resume`, and what a load reports and leaves on disk.

use std::path::Path;
use std::process::{Command, Stdio};

use esparsa::{Index, Query};
use serde_json::Value;

use crate::command::{Scratch, found};
use crate::two_documents::{LINES, gzip, indexed, json};

/// 20,000 lines of 1.8 MB, of which each twentieth has the id of another.
fn many_lines() -> String {
    let words = ["volcano", "lava", "lake", "alps", "honey", "bees", "snow"];
    let line = |number: usize| {
        let id = match number % 20 {
            19 => number - 11,
            _ => number,
        };
        let text: Vec<&str> = (0..14)
            .map(|place| words[(number * 31 + place * place * (number % 5 + 1)) % words.len()])
            .collect();
        format!("{id}\tn{} {}\n", number % 997, text.join(" "))
    };
    (0..20_000).map(line).collect()
}

/// All hits of some queries, with their scores.
fn hits(index: impl AsRef<Path>) -> Vec<(String, f32)> {
    let snapshot = Index::open(index).unwrap().snapshot().unwrap();
    let mut all = Vec::new();
    for words in ["volcano n7", "n12 n996 honey", "n500"] {
        let hits = snapshot.search(&Query::text("text", words), 500).unwrap();
        all.extend(hits.iter().map(|hit| (hit.id().unwrap(), hit.score)));
    }
    all
}

#[test]
fn a_killed_load_keeps_its_commits_and_resumed_equals_one_that_was_not_interrupted() {
    // Killed before what was committed is noted, mostly, and after.
    for (policy, awaited) in [
        ("replace", "index/manifest-0000000002"),
        ("skip", "index/load-state.json"),
    ] {
        let scratch = Scratch::new();
        let lines = many_lines();
        let half = lines[..1_200_000].rfind('\n').unwrap() + 1;
        scratch.write("a.tsv", &lines[..half]);
        scratch.write("b.tsv.gz", gzip(&lines.as_bytes()[half..]));
        let load = |index: &str, options: &str| {
            format!("index a.tsv b.tsv.gz --index {index} --on-duplicate {policy} {options}")
        };
        scratch.run(&load("whole", "--segments 1")).done();

        let options = "--commit-every 1000 --resume";
        let mut child = Command::new(env!("CARGO_BIN_EXE_esparsa"))
            .args(load("index", options).split_whitespace())
            .current_dir(scratch.path(""))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Should this process be slow, the load is whole already, and all holds as well.
        let awaited = scratch.path(awaited);
        while !awaited.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let _ = child.kill();
        child.wait().unwrap();
        let index = scratch.path("index");
        let snapshot = Index::open(&index).unwrap().snapshot().unwrap();
        assert!(snapshot.documents() > 7_000, "{}", snapshot.documents());

        let ran = scratch.run(&load("index", &format!("{options} --segments 1 --json")));
        let resumes = ["resuming after ", "that load was complete"]
            .iter()
            .any(|message| ran.stderr.contains(message));
        assert!(resumes || policy == "replace", "{}", ran.stderr);
        let report = json(&ran.done());
        assert_eq!(report["resumed_after"].as_u64().unwrap() > 7_000, resumes);
        assert_eq!(report["index_documents"], 19_000, "{policy}");
        assert!(hits(&index) == hits(scratch.path("whole")), "{policy}");
        scratch.run("check --index index").done();
        // It is done: nothing is loaded again.
        let report = json(
            &scratch
                .run(&load("index", &format!("{options} --json")))
                .done(),
        );
        assert_eq!(
            (&report["documents"], &report["index_documents"]),
            (&0.into(), &19_000.into())
        );
    }
}

#[test]
fn a_load_that_ends_with_an_error_can_be_resumed() {
    let scratch = Scratch::new();
    let lines = many_lines();
    scratch.write("a.tsv", format!("{lines}no tab here\nlast\tvolcano\n"));
    let load = "index a.tsv --index index --commit-every 1MB --json";
    let message = scratch.run(load).failed();
    assert!(message.contains("error: a.tsv:20001: "), "{message}");
    assert!(
        message.contains("of this load are committed; `--resume` continues"),
        "{message}"
    );
    let committed = Index::open(scratch.path("index"))
        .unwrap()
        .snapshot()
        .unwrap();
    assert!(committed.documents() > 7_000);

    // Another load, and an input that has changed.
    scratch.write("b.tsv", "x\tvolcano\n");
    let message = scratch.run("index b.tsv --index index --resume").failed();
    assert!(
        message.contains("the interrupted load was another one"),
        "{message}"
    );
    let whole = std::fs::read(scratch.path("a.tsv")).unwrap();
    scratch.write(
        "a.tsv",
        format!(
            "{}no tab here\nlast\tvolcano\n",
            lines.replacen("lava", "LAVA", 1)
        ),
    );
    let message = scratch.run(&format!("{load} --resume")).failed();
    assert!(message.contains("not what they were"), "{message}");
    scratch.write("a.tsv", whole);
    let ran = scratch.run_with_input("index - --index index --resume", b"");
    assert!(
        ran.failed()
            .contains("standard input cannot be read a second time")
    );

    let report = scratch.run(&format!("{load} --resume --on-bad-input skip"));
    let report = json(&report.done());
    assert_eq!(report["bad_records"], 1);
    assert!(report["documents"].as_u64().unwrap() < 10_000);
    assert_eq!(report["index_documents"], 19_001);
    // Any other load ends what can be resumed.
    scratch.run("index b.tsv --index index").done();
    assert!(!scratch.path("index/load-state.json").exists());
}

#[test]
fn a_load_that_finds_nothing_to_resume_says_so() {
    let scratch = Scratch::new();
    scratch.write("two.jsonl", LINES);
    let load = "index two.jsonl --index index --resume";
    let ran = scratch.run(load);
    let message = "no interrupted load to resume: loading from the beginning";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    ran.done();
    // A load that was complete is not repeated, and not called interrupted.
    let ran = scratch.run(load);
    assert!(
        ran.stderr
            .contains("that load was complete, with 2 documents"),
        "{}",
        ran.stderr
    );
    let out = ran.done();
    assert!(
        out.contains("2 documents had been loaded before\n"),
        "{out}"
    );
    // An input that has grown since is another load, from the beginning.
    scratch.write(
        "two.jsonl",
        format!("{LINES}{{\"id\":\"po\",\"text\":\"A river.\"}}\n"),
    );
    let ran = scratch.run(load);
    assert!(
        ran.stderr
            .contains("the last one was complete and of other inputs"),
        "{}",
        ran.stderr
    );
    assert!(ran.done().starts_with("3 documents in "));
    assert_eq!(found(scratch.path("index"), "river"), ["po"]);
}

#[test]
fn a_folder_that_holds_other_files_does_not_become_an_index() {
    let scratch = Scratch::new();
    scratch.write("two.jsonl", LINES);
    scratch.write("notes/a.txt", "not an index");
    let message = scratch.run("index two.jsonl --index notes").failed();
    assert!(
        message.contains("notes: expected an index or an empty folder")
            && message.contains("`a.txt`"),
        "{message}"
    );
    assert_eq!(std::fs::read_dir(scratch.path("notes")).unwrap().count(), 1);
    // Hidden files, and what is left of an index whose creation was interrupted, are no obstacle.
    scratch.write("new/.gitignore", "*");
    scratch.write("new/manifest-0000000001.tmp", "half");
    scratch.run("index two.jsonl --index new").done();
    assert_eq!(found(scratch.path("new"), "volcano"), ["etna"]);
    // Other files beside an index are left alone.
    scratch.write("new/notes.txt", "mine");
    scratch.run("index two.jsonl --index new").done();
    assert!(scratch.path("new/notes.txt").exists());
    // The segments of an index that lost its manifest are not deleted.
    std::fs::remove_file(scratch.path("new/notes.txt")).unwrap();
    for entry in std::fs::read_dir(scratch.path("new")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("manifest-") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let message = scratch.run("index two.jsonl --index new").failed();
    assert!(message.contains("`segment-"), "{message}");
}

#[test]
fn segments_are_merged_at_the_end_when_asked() {
    let scratch = indexed(LINES);
    scratch.write("three.tsv", "baikal\tA lake.\n");
    scratch.run("index three.tsv --index index").done();
    let summary = || json(&scratch.run("inspect --index index --json").done());
    assert_eq!(summary()["segments"].as_array().unwrap().len(), 2);
    scratch
        .run("index three.tsv --index index --segments 1")
        .done();
    assert_eq!(summary()["segments"].as_array().unwrap().len(), 1);
    assert_eq!(summary()["documents"], 3);
    assert_eq!(summary()["deleted"], 0);
}

#[test]
fn the_report_gives_rates_and_sizes() {
    let scratch = Scratch::new();
    scratch.write("two.jsonl", LINES);
    let report = json(&scratch.run("index two.jsonl --index index --json").done());
    assert_eq!(report["input_bytes"], LINES.len());
    assert_eq!(report["bad_records"], 0);
    assert_eq!(report["terms_skipped"], 0);
    assert_eq!(report["max_weight"], Value::Null);
    for rate in [
        "seconds",
        "documents_per_second",
        "input_megabytes_per_second",
    ] {
        assert!(report[rate].as_f64().unwrap() > 0.0, "{rate}");
    }
    let parts = report["bytes_on_disk"].as_object().unwrap();
    let bytes = |name: &str| parts[name].as_u64().unwrap();
    let named = [
        "postings",
        "positions",
        "terms",
        "lengths",
        "ids",
        "stored",
        "other",
    ];
    assert_eq!(named.map(bytes).iter().sum::<u64>(), bytes("total"));
    let segment = std::fs::metadata(scratch.path("index/segment-0000000001"));
    assert_eq!(segment.unwrap().len(), bytes("total"));
    if cfg!(target_os = "linux") {
        assert!(report["peak_resident_bytes"].as_u64().unwrap() > 100_000);
    }
}

#[test]
fn quiet_prints_nothing_on_standard_error() {
    let scratch = Scratch::new();
    scratch.write("two.jsonl", LINES);
    let ran = scratch.run("index two.jsonl --index index --quiet");
    assert_eq!(ran.stderr, "");
    assert!(ran.done().contains("B/s"));
}

#[test]
fn a_slow_load_has_a_rate_above_zero() {
    let scratch = Scratch::new();
    scratch.write("two.jsonl", LINES);
    let out = scratch.run("index two.jsonl --index index").done();
    let rate = out.lines().next().unwrap().rsplit(", ").next().unwrap();
    let number: f64 = rate.split(' ').next().unwrap().parse().unwrap();
    assert!(rate.ends_with("B/s") && number > 0.0, "{out}");
}
