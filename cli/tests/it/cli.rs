//! Every subcommand that loads and keeps an index, from end to end.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use esparsa::{Index, Query};
use serde_json::Value;

use crate::command::{Scratch, found};

const LINES: &str = r#"{"_id":"etna","title":"Etna","text":"A volcano in Sicily."}
{"_id":"garda","title":"Garda","text":"A lake below the Alps."}
"#;

const VECTORS: &str = r#"{"id":"etna","contents":"A volcano in Sicily.","vector":{"lava":3.0,"ash":1.5}}
{"id":"garda","contents":"A lake below the Alps.","vector":{"water":2.0}}
"#;

/// Names and contents of files.
type Files<'a> = &'a [(&'a str, &'a [u8])];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A folder with an index `index` of the two documents, and their file `two.jsonl`.
fn indexed(lines: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("two.jsonl", lines);
    scratch.run("index two.jsonl --index index").done();
    scratch
}

#[test]
fn every_format_is_loaded_and_its_documents_are_found() {
    let trec = "<DOC>\n<DOCNO> etna </DOCNO>\n<TEXT>A volcano in Sicily.</TEXT>\n</DOC>\n\
                <DOC>\n<DOCNO>garda</DOCNO>\n<TEXT>A lake.</TEXT>\n</DOC>\n";
    let tsv = "etna\tEtna\tA volcano in Sicily.\ngarda\tA lake.\n";
    let cases: [(&str, Files<'_>); 8] = [
        ("lines.jsonl", &[("lines.jsonl", LINES.as_bytes())]),
        ("rows.tsv", &[("rows.tsv", tsv.as_bytes())]),
        ("news.sgml", &[("news.sgml", trec.as_bytes())]),
        (
            "lines.jsonl.gz",
            &[("lines.jsonl.gz", &gzip(LINES.as_bytes()))],
        ),
        ("rows.tsv.gz", &[("rows.tsv.gz", &gzip(tsv.as_bytes()))]),
        (
            "news.sgml.zst",
            &[(
                "news.sgml.zst",
                &zstd::encode_all(trec.as_bytes(), 1).unwrap(),
            )],
        ),
        (
            "beir",
            &[
                ("beir/corpus.jsonl", LINES.as_bytes()),
                (
                    "beir/queries.jsonl",
                    b"{\"_id\":\"q\",\"text\":\"volcano\"}\n",
                ),
                (
                    "beir/qrels/test.tsv",
                    b"query-id\tcorpus-id\tscore\nq\tetna\t1\n",
                ),
            ],
        ),
        (
            "texts",
            &[
                ("texts/etna", b"A volcano\tin Sicily."),
                ("texts/etna.txt", b"A volcano in Sicily."),
                ("texts/lakes/garda.md", b"A lake."),
            ],
        ),
    ];
    for (input, files) in cases {
        let scratch = Scratch::new();
        for (name, content) in files {
            scratch.write(name, content);
        }
        let is_text = input == "texts";
        let format = if is_text { "--format text" } else { "" };
        let report = scratch.run(&format!("index {input} --index index --json {format}"));
        let documents = if is_text { 3 } else { 2 };
        let report = json(&report.done());
        assert_eq!(report["documents"], documents, "{input}");
        let expected: &[&str] = if is_text {
            &["etna", "etna.txt"]
        } else {
            &["etna"]
        };
        assert_eq!(
            found(scratch.path("index"), "volcanoes"),
            expected,
            "{input}"
        );
    }
}

#[test]
fn several_inputs_are_one_load() {
    let scratch = Scratch::new();
    scratch.write("a.jsonl", LINES);
    scratch.write("b.tsv", "baikal\tA deep lake.\n");
    let report = scratch.run("index a.jsonl b.tsv --index index --json --threads 1");
    let report = json(&report.done());
    assert_eq!(report["documents"], 3);
    assert_eq!(report["commit"], 2);
    assert_eq!(found(scratch.path("index"), "lake"), ["baikal", "garda"]);
}

#[test]
fn queries_beside_a_folder_of_documents_are_not_indexed() {
    let scratch = Scratch::new();
    scratch.write("c/corpus/1.jsonl", LINES);
    scratch.write("c/queries.jsonl", "{\"_id\":\"q\",\"text\":\"volcano\"}\n");
    scratch.write(
        "c/qrels/test.tsv",
        "query-id\tcorpus-id\tscore\nq\tetna\t1\n",
    );
    let report = json(&scratch.run("index c --index index --json").done());
    assert_eq!(report["documents"], 2);
    scratch.write("d/collection.tsv", "etna\tA volcano in Sicily.\n");
    scratch.write("d/queries.dev.tsv", "q\tvolcano\n");
    scratch.write("d/qrels.dev.tsv", "q\tetna\n");
    let ran = scratch.run("index d --index d.index --json");
    assert!(ran.stderr.contains("qrels.dev.tsv"), "{}", ran.stderr);
    assert_eq!(json(&ran.done())["documents"], 1);
}

#[test]
fn the_language_of_a_new_index_is_detected_and_said() {
    let scratch = Scratch::new();
    let text = "As eleições municipais serão realizadas em outubro, e não há ainda candidatos definidos na cidade.";
    scratch.write("pt.tsv", format!("v\t{text}\n"));
    let ran = scratch.run("index pt.tsv --index index");
    let message = "the texts are detected as Portuguese; `--language` names another language";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    ran.done();
    assert_eq!(found(scratch.path("index"), "eleição"), ["v"]);
    // What the index has holds for later loads.
    let ran = scratch.run("index pt.tsv --index index");
    assert!(!ran.stderr.contains("language"), "{}", ran.stderr);
    ran.done();
    let ran = scratch.run("index pt.tsv --index en --language en");
    assert!(!ran.stderr.contains("language"), "{}", ran.stderr);
    assert_eq!(found(scratch.path("en"), "eleição"), [""; 0]);
}

#[test]
fn standard_input_is_read() {
    let scratch = Scratch::new();
    let ran = scratch.run_with_input("index - --index index", LINES.as_bytes());
    assert!(ran.done().starts_with("2 documents in "));
    let ran = scratch.run_with_input("index - --format tsv --index index", b"baikal\tA lake.\n");
    ran.done();
    assert_eq!(found(scratch.path("index"), "lake"), ["baikal", "garda"]);
}

#[test]
fn vectors_make_a_sparse_field_that_takes_larger_weights_later() {
    let scratch = indexed(VECTORS);
    let snapshot = Index::open(scratch.path("index")).unwrap().snapshot();
    let query = Query::sparse("sparse", [("lava", 1.0)]);
    let hits = snapshot.unwrap().search(&query, 10).unwrap();
    let best = hits.first().unwrap();
    assert_eq!(best.id().unwrap(), "etna");
    assert!((best.score - 3.0).abs() < 0.02, "{}", best.score);

    let line = r#"{"id":"hot","vector":{"lava":9}}"#;
    scratch.write("more.jsonl", line);
    let report = json(&scratch.run("index more.jsonl --index index --json").done());
    assert_eq!(report["weights_clamped"], 0);
    assert_eq!(report["max_weight"], Value::Null);
    let snapshot = Index::open(scratch.path("index")).unwrap().snapshot();
    let hits = snapshot.unwrap().search(&query, 10).unwrap();
    let best = hits.first().unwrap();
    assert_eq!(best.id().unwrap(), "hot");
    assert!((best.score - 9.0).abs() < 0.05, "{}", best.score);
    // What is stored leaves the vector out.
    let stored = json(&scratch.run("get --index index hot").done());
    assert_eq!(stored, json(r#"{"id":"hot"}"#));
}

/// The best documents for a weight of 1 of the term `x`.
fn found_by_x(scratch: &Scratch) -> Vec<(String, f32)> {
    let snapshot = Index::open(scratch.path("index")).unwrap().snapshot();
    let query = Query::sparse("sparse", [("x", 1.0)]);
    let hits = snapshot.unwrap().search(&query, 10).unwrap();
    let hits = hits.iter();
    hits.map(|hit| (hit.id().unwrap(), hit.score)).collect()
}

#[test]
fn a_second_load_of_larger_weights_does_not_tie_at_the_top() {
    let scratch = indexed(r#"{"id":"a","vector":{"x":0.3}}"#);
    let larger = "{\"id\":\"b\",\"vector\":{\"x\":2.5}}\n{\"id\":\"c\",\"vector\":{\"x\":0.9}}\n";
    scratch.write("larger.jsonl", larger);
    scratch.run("index larger.jsonl --index index").done();
    let before = found_by_x(&scratch);
    for ((id, score), expected) in before.iter().zip([("b", 2.5), ("c", 0.9), ("a", 0.3)]) {
        assert_eq!(id, expected.0);
        assert!((score / expected.1 - 1.0).abs() < 0.01, "{before:?}");
    }
    scratch.run("merge --index index --segments 1").done();
    assert_eq!(found_by_x(&scratch), before);
}

#[test]
fn tiny_weights_beside_a_huge_one_keep_their_order_and_are_reported() {
    let scratch = Scratch::new();
    let weights = [
        ("tiny", 0.001),
        ("small", 0.002),
        ("some", 0.2),
        ("huge", 100.0),
    ];
    let lines = weights.map(|(id, x)| format!("{{\"id\":\"{id}\",\"vector\":{{\"x\":{x}}}}}"));
    scratch.write("in.jsonl", lines.join("\n"));
    let report = scratch.run("index in.jsonl --index index").done();
    assert!(
        report.contains("1 of 4 weights rounded up to the smallest step"),
        "{report}"
    );
    let found = found_by_x(&scratch);
    let ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["huge", "some", "small", "tiny"]);
    assert!((found[3].1 - 0.001).abs() < 0.0001, "{found:?}");
}

#[test]
fn weights_whose_sum_overflows_are_refused_in_documents_and_queries() {
    let scratch = indexed(VECTORS);
    let line = r#"{"id":"hot","vector":{"lava":3e38,"ash":3e38}}"#;
    scratch.write("more.jsonl", line);
    let message = scratch.run("index more.jsonl --index index").failed();
    assert!(message.contains("sum"), "{message}");
    let snapshot = Index::open(scratch.path("index")).unwrap().snapshot();
    let query = Query::sparse("sparse", [("lava", 3e38), ("lava", 3e38)]);
    let error = snapshot.unwrap().search(&query, 10).unwrap_err();
    assert!(error.to_string().contains("sum"), "{error}");
}

#[test]
fn the_max_weight_can_be_given() {
    let scratch = Scratch::new();
    scratch.write("two.jsonl", VECTORS);
    let command = "index two.jsonl --index index --json --max-weight";
    let report = json(&scratch.run(&format!("{command} 2")).done());
    assert_eq!(report["max_weight"], 2.0);
    assert_eq!(report["weights_clamped"], 1);
    scratch.run(&format!("{command} 2")).done();
    let message = scratch.run(&format!("{command} 5")).failed();
    assert!(message.contains("contradicts"), "{message}");
}

#[test]
fn a_document_that_is_there_is_replaced() {
    let scratch = indexed(LINES);
    scratch.write("new.jsonl", r#"{"_id":"etna","text":"A mountain."}"#);
    let report = json(&scratch.run("index new.jsonl --index index --json").done());
    assert_eq!(report["documents"], 1);
    assert_eq!(report["index_documents"], 2);
    assert_eq!(report["created"], false);
    let index = scratch.path("index");
    assert_eq!(found(&index, "volcano"), [""; 0]);
    assert_eq!(found(&index, "mountain"), ["etna"]);
}

#[test]
fn options_that_contradict_the_index_are_refused() {
    let scratch = indexed(LINES);
    let refused = |options: &str| {
        let command = format!("index two.jsonl --index index {options}");
        scratch.run(&command).failed()
    };
    assert!(refused("--language pt").contains("analyzed as `english`"));
    assert!(refused("--no-stored").contains("stores documents"));
    assert!(refused("--max-weight 3").contains("build a new index"));
    for language in ["en", "English", "en-GB"] {
        let command = format!("index two.jsonl --index index --language {language}");
        scratch.run(&command).done();
    }
    scratch.write("vectors.jsonl", VECTORS);
    let command = "index vectors.jsonl --index index --on-bad-input skip";
    let message = scratch.run(command).failed();
    assert!(message.contains("vectors.jsonl:1: "), "{message}");
    assert!(message.contains("build a new index"), "{message}");
}

#[test]
fn languages_stem_their_own_words() {
    let scratch = Scratch::new();
    scratch.write("pt.tsv", "v\tOs vulcões da Itália\n");
    scratch
        .run("index pt.tsv --index index --language pt-BR")
        .done();
    assert_eq!(found(scratch.path("index"), "vulcão"), ["v"]);
}

#[test]
fn an_index_without_stored_documents_says_so() {
    let scratch = Scratch::new();
    scratch.write("two.jsonl", LINES);
    scratch
        .run("index two.jsonl --index index --no-stored")
        .done();
    assert_eq!(found(scratch.path("index"), "volcano"), ["etna"]);
    let message = scratch.run("get --index index etna").failed();
    assert!(message.contains("stores no documents"), "{message}");
    scratch.run("index two.jsonl --index index").done();
}

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
        let resumes = ran.stderr.contains("resuming after ");
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

    let report = scratch.run(&format!("{load} --resume --on-bad-input skip"));
    let report = json(&report.done());
    assert_eq!(report["bad_records"], 1);
    assert!(report["documents"].as_u64().unwrap() < 10_000);
    assert_eq!(report["index_documents"], 19_001);

    // Another load, and an input that has changed.
    scratch.write("b.tsv", "x\tvolcano\n");
    let message = scratch.run("index b.tsv --index index --resume").failed();
    assert!(
        message.contains("the interrupted load was another one"),
        "{message}"
    );
    scratch.write(
        "a.tsv",
        format!(
            "{}no tab here\nlast\tvolcano\n",
            lines.replacen("lava", "LAVA", 1)
        ),
    );
    let message = scratch.run(&format!("{load} --resume")).failed();
    assert!(message.contains("not what they were"), "{message}");
    let ran = scratch.run_with_input("index - --index index --resume", b"");
    assert!(
        ran.failed()
            .contains("standard input cannot be read a second time")
    );
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
    let ran = scratch.run(load);
    assert!(!ran.stderr.contains(message), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("resuming after 2 documents"),
        "{}",
        ran.stderr
    );
    ran.done();
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
fn stored_json_is_printed_as_it_was_loaded() {
    let scratch = Scratch::new();
    let line = r#"{"_id":"a","text":"lava","n":1e999,"half":"\ud800"}"#;
    scratch.write("odd.jsonl", line);
    scratch.run("index odd.jsonl --index index").done();
    let report = scratch.run("search --index index lava --json").done();
    assert!(
        report.contains(&format!(r#""document":{line}"#)),
        "{report}"
    );
    let report = scratch
        .run("inspect --index index --document a --json")
        .done();
    assert!(report.contains(&format!(r#""stored":{line}"#)), "{report}");
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
    let named = ["postings", "terms", "lengths", "ids", "stored", "other"];
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
fn files_of_no_known_format_are_named() {
    let scratch = Scratch::new();
    scratch.write("folder/two.jsonl", LINES);
    scratch.write("folder/image.png", b"\x89PNG\x00");
    let ran = scratch.run("index folder --index index");
    assert!(ran.stderr.contains("image.png"), "{}", ran.stderr);
    ran.done();
}

#[test]
fn get_prints_one_line_for_each_document() {
    let scratch = indexed(LINES);
    let both = scratch.run("get --index index garda etna").done();
    let lines: Vec<&str> = both.lines().collect();
    let originals: Vec<&str> = LINES.lines().collect();
    assert_eq!(lines, [originals[1], originals[0]]);

    let ran = scratch.run("get --index index etna nowhere nothing");
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), [originals[0]]);
    let message = ran.failed();
    assert!(message.contains("`nowhere`, `nothing`"), "{message}");
}

#[test]
fn delete_counts_what_was_there() {
    let scratch = indexed(LINES);
    let out = scratch.run("delete --index index etna etna nowhere").done();
    assert!(
        out.starts_with("1 document deleted of 2 ids given"),
        "{out}"
    );
    assert_eq!(found(scratch.path("index"), "volcano lake"), ["garda"]);
    scratch.write("ids.txt", "garda\r\n\netna\n");
    let out = scratch.run("delete --index index --from ids.txt").done();
    assert!(out.contains("the index holds 0 documents"), "{out}");
    scratch.run("get --index index garda").failed();

    scratch.write("bad.txt", b"garda\n\xff\n");
    let message = scratch.run("delete --index index --from bad.txt").failed();
    assert!(message.contains("bad.txt:2: "), "{message}");
    assert_eq!(scratch.run("delete --index index").code, Some(2));
}

#[test]
fn merge_drops_deleted_documents_from_disk() {
    let scratch = indexed(LINES);
    scratch.write("three.tsv", "baikal\tA lake.\n");
    scratch.run("index three.tsv --index index").done();
    scratch.run("delete --index index garda").done();
    let out = scratch.run("merge --index index").done();
    assert!(
        out.starts_with("2 segments before, 1 after: 2 documents"),
        "{out}"
    );
    let summary = json(&scratch.run("inspect --index index --json").done());
    assert_eq!(summary["segments"][0]["documents"], 2);
    assert_eq!(summary["deleted"], 0);
    assert_eq!(
        found(scratch.path("index"), "volcano lake"),
        ["baikal", "etna"]
    );
    assert_eq!(
        scratch.run("merge --index index --segments 0").code,
        Some(2)
    );
}

#[test]
fn attach_brings_in_all_folders_in_one_commit() {
    let scratch = indexed(LINES);
    scratch.write("b.tsv", "baikal\tA lake.\n");
    scratch.write("c.tsv", "etna\tA mountain.\n");
    scratch.run("index b.tsv --index b").done();
    scratch.run("index c.tsv --index c").done();
    let out = scratch.run("attach --index index b c").done();
    assert!(out.contains("3 documents in 3 segments"), "{out}");
    let index = scratch.path("index");
    assert_eq!(found(&index, "lake"), ["baikal", "garda"]);
    assert_eq!(found(&index, "mountain"), ["etna"]);
    assert_eq!(found(&index, "volcano"), [""; 0]);
    let snapshot = Index::open(&index).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.commit(), 3);
    scratch.run("check --index index").done();
}

#[test]
fn attach_refuses_other_fields_damage_and_itself() {
    let scratch = indexed(LINES);
    scratch.write("pt.tsv", "v\tO vulcão\n");
    scratch.run("index pt.tsv --index pt --language pt").done();
    scratch.run("index two.jsonl --index damaged").done();
    let segment = scratch.path("damaged/segment-0000000001");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    scratch.run("index two.jsonl --index good").done();
    let cases = [
        (
            "good pt",
            "pt has another schema than this index: the field `text`: expected text, analyzer en",
        ),
        ("good damaged", "damaged/segment-0000000001"),
        ("good ./index", "cannot be attached to itself"),
        ("good nowhere", "nowhere: cannot open"),
    ];
    for (folders, expected) in cases {
        let message = scratch
            .run(&format!("attach --index index {folders}"))
            .failed();
        assert!(message.contains(expected), "{message}");
        let snapshot = Index::open(scratch.path("index")).unwrap().snapshot();
        assert_eq!(snapshot.unwrap().commit(), 2, "nothing is attached");
    }
    scratch.run("attach --index nowhere good").failed();
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

#[test]
fn work_on_an_index_is_reported_as_json() {
    let scratch = indexed(VECTORS);
    let report_of = |arguments: &str| {
        let out = scratch.run(&format!("{arguments} --json")).done();
        assert_eq!(out.trim_end().lines().count(), 1, "{out}");
        json(&out)
    };
    scratch.write("b.jsonl", VECTORS.replace("etna", "vulcano"));
    scratch.run("index b.jsonl --index b").done();
    let report = report_of("attach --index index b");
    assert_eq!(
        (&report["attached"], &report["documents"]),
        (&1.into(), &3.into())
    );
    let report = report_of("delete --index index garda nowhere");
    assert_eq!(
        (&report["given"], &report["deleted"]),
        (&2.into(), &1.into())
    );
    assert_eq!(report["documents"], 2);
    let report = report_of("merge --index index");
    assert_eq!(
        (&report["segments_before"], &report["segments"]),
        (&2.into(), &1.into())
    );
    assert!(report["bytes"].as_u64().unwrap() < report["bytes_before"].as_u64().unwrap());
    let report = report_of("check --index index");
    assert_eq!(
        (&report["documents"], &report["commit"]),
        (&2.into(), &5.into())
    );
    assert_eq!(report["segments"][0]["documents"], 2);
    assert_eq!(report["bytes"], report["segments"][0]["bytes"]);
}

#[test]
fn check_says_what_it_checked_and_finds_damage() {
    // With more deletes the segment would be rewritten.
    let scratch = indexed(&format!("{VECTORS}{{\"id\":\"x\"}}\n{{\"id\":\"y\"}}\n"));
    scratch.run("delete --index index garda").done();
    let out = scratch.run("check --index index").done();
    assert!(
        out.contains("segment-0000000001: 4 documents (1 deleted)"),
        "{out}"
    );
    assert!(out.contains("intact: 3 documents in 1 segment"), "{out}");

    let segment = scratch.path("index/segment-0000000001");
    let whole = std::fs::read(&segment).unwrap();
    // In the header, in the first section, and in the trailer; zeros between sections mean nothing.
    for place in [40, 70, 130, whole.len() - 10] {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        std::fs::write(&segment, bytes).unwrap();
        let message = scratch.run("check --index index").failed();
        assert!(
            message.contains("segment-0000000001: section "),
            "{message}"
        );
    }
    std::fs::write(&segment, &whole[..whole.len() / 2]).unwrap();
    scratch.run("check --index index").failed();
    std::fs::write(&segment, whole).unwrap();
    scratch.run("check --index index").done();
}

#[test]
fn a_damaged_newest_commit_is_reported_and_an_older_one_is_taken_only_when_asked_for() {
    let scratch = indexed(LINES);
    let older = scratch.path("index/manifest-0000000002");
    let kept = std::fs::read(&older).unwrap();
    scratch.run("delete --index index garda").done();
    let newest = scratch.path("index/manifest-0000000003");
    let mut damaged = std::fs::read(&newest).unwrap();
    damaged[70] ^= 1;
    std::fs::write(&newest, damaged).unwrap();
    // Without an older commit there is nothing to go back to.
    let message = scratch
        .run("check --index index --accept-older-commit")
        .failed();
    assert!(message.contains("manifest-0000000003"), "{message}");
    std::fs::write(&older, kept).unwrap();
    for command in [
        "check --index index",
        "delete --index index etna",
        "get --index index etna",
    ] {
        let message = scratch.run(command).failed();
        assert!(
            message.contains("manifest-0000000003"),
            "{command}: {message}"
        );
    }
    let message = scratch.run("check --index index").failed();
    assert!(message.contains("check --accept-older-commit"), "{message}");
    let report = scratch
        .run("check --index index --accept-older-commit --json")
        .done();
    assert_eq!(json(&report)["documents"], 2);
    assert_eq!(json(&report)["commit"], 4);
    let report = scratch.run("check --index index --json").done();
    assert_eq!(json(&report)["commit"], 4);
}

#[test]
fn inspect_shows_fields_segments_terms_and_documents() {
    let scratch = indexed(VECTORS);
    let people = scratch.run("inspect --index index").done();
    for part in [
        "field `sparse`",
        "analyzer english",
        "segment-0000000001",
        "impacts",
    ] {
        assert!(people.contains(part), "{part}: {people}");
    }
    let summary = json(&scratch.run("inspect --index index --json").done());
    assert_eq!(summary["documents"], 2);
    assert_eq!(summary["manifest"], "manifest-0000000002");
    assert_eq!(summary["fields"][0]["analyzer"], "english");
    assert_eq!(summary["fields"][1]["postings"], 3);
    assert_eq!(summary["segments"][0]["file"], "segment-0000000001");

    let terms = |options: &str| {
        let out = scratch.run(&format!("inspect --index index --json --terms {options}"));
        let terms = out.done();
        let of_line = |line: &str| {
            let entry = json(line);
            (
                entry["term"].as_str().unwrap().to_owned(),
                entry["documents"].as_u64().unwrap(),
            )
        };
        terms.lines().map(of_line).collect::<Vec<_>>()
    };
    let of_sparse = [
        ("ash".to_owned(), 1),
        ("lava".to_owned(), 1),
        ("water".to_owned(), 1),
    ];
    assert_eq!(terms("sparse"), of_sparse);
    assert_eq!(terms("sparse --prefix l"), of_sparse[1..2]);
    assert_eq!(terms("sparse --limit 1"), of_sparse[..1]);
    let plain = scratch
        .run("inspect --index index --terms text --prefix volc")
        .done();
    assert_eq!(plain.trim(), "1  volcano");
    let message = scratch.run("inspect --index index --terms title").failed();
    assert!(message.contains("text, sparse, source"), "{message}");

    let document = json(
        &scratch
            .run("inspect --index index --document garda --json")
            .done(),
    );
    assert_eq!(document["segment"], "segment-0000000001");
    assert_eq!(document["stored"]["contents"], "A lake below the Alps.");
    let people = scratch.run("inspect --index index --document garda").done();
    assert!(people.starts_with("document "), "{people}");
    scratch
        .run("inspect --index index --document nowhere")
        .failed();
    assert_eq!(
        scratch.run("inspect --index index --prefix x").code,
        Some(2)
    );
}

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
