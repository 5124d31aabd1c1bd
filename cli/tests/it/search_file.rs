//! `esparsa search` with a file of queries, and the run it writes.

use std::fs;
use std::io::Write;
use std::process::Command;

use esparsa::eval::Run;
use serde_json::Value;

use crate::search_fixture::{Fixture, QRELS, QUERIES, ids, json};

#[test]
fn a_query_above_the_limit_of_terms_does_not_end_the_file() {
    let fixture = Fixture::new();
    let terms = (0..4_100).map(|number| (format!("t{number}"), 0.5.into()));
    let mut vector: serde_json::Map<String, Value> = terms.collect();
    vector.insert("po".to_owned(), 2.0.into());
    let long = serde_json::json!({ "id": "long", "vector": vector });
    let short = r#"{"id": "short", "vector": {"arno": 1.0}}"#;
    fixture.write("long.jsonl", format!("{long}\n{short}\n"));
    let search = ["search", "--index", "index", "--queries", "long.jsonl"];
    let output = fixture.run(&search);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{message}");
    assert!(
        message.contains("query `long`: ") && message.contains("5 terms skipped"),
        "{message}"
    );
    let run = Run::read(&*output.stdout, "run").unwrap();
    assert_eq!(run.results("long").unwrap()[0].document, "po");
    assert_eq!(run.results("short").unwrap()[0].document, "arno");

    // No term can be skipped if documents must have all: then only this query fails, and is named.
    let output = fixture.run(&[&search[..], &["--all-terms", "--output", "all.run"]].concat());
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("skipped: query `long`: ") && message.contains("1 of 2 queries"),
        "{message}"
    );
    let run = Run::open(fixture.path("all.run")).unwrap();
    assert_eq!(run.queries().collect::<Vec<_>>(), ["short"]);
}

#[test]
fn only_judged_queries_are_searched_and_the_run_has_a_tag() {
    let fixture = Fixture::new();
    fixture.write("one.qrels", "2 0 arno 1\n");
    let search = ["search", "--index", "index", "--queries", "queries.tsv"];
    let options = ["--qrels", "one.qrels", "--tag", "bm25", "--k", "1"];
    let output = fixture.run(&[&search[..], &options].concat());
    let run = String::from_utf8(output.stdout).unwrap();
    assert!(
        run.starts_with("2 Q0 po 1 ") && run.ends_with(" bm25\n"),
        "{run}"
    );
    assert_eq!(run.lines().count(), 1);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("1 query, 1 result in "), "{message}");
    // JSON goes to a file too.
    fixture.done(&[&search[..], &["--json", "--output", "hits.jsonl"]].concat());
    let lines = fs::read_to_string(fixture.path("hits.jsonl")).unwrap();
    assert_eq!(lines.lines().map(json).count(), 4);
}

#[test]
fn a_run_keeps_the_order_and_is_read_back_by_eval() {
    let fixture = Fixture::new();
    let printed = fixture.search(&["--queries", "queries.tsv"]);
    fixture.search(&[
        "--queries",
        "queries.tsv",
        "--output",
        "bm25.run",
        "--threads",
        "3",
        "--query-threads",
        "2",
    ]);
    assert_eq!(
        fs::read_to_string(fixture.path("bm25.run")).unwrap(),
        printed
    );
    assert!(printed.starts_with("1 Q0 etna 1 "), "{printed}");
    let run = Run::open(fixture.path("bm25.run")).unwrap();
    // The query of stop words has no line; equal scores stay equal in print.
    assert_eq!(run.queries().collect::<Vec<_>>(), ["1", "2", "3"]);
    let twins = run.results("3").unwrap();
    assert_eq!((twins.len(), twins[0].score), (2, twins[1].score));

    let metrics = ["--metrics", "mrr@10,recall@5", "--json"];
    let report = json(
        &fixture.done(&[&["eval", "--qrels", "test.qrels", "bm25.run"], &metrics[..]].concat()),
    );
    let run = &report["runs"][0];
    assert_eq!((&run["queries"], &run["missing"]), (&3.into(), &0.into()));
    assert_eq!(run["metrics"]["recall@5"], 1.0);
    // Query 2 ranks po above arno; of the twins, evaluation puts the greater name first.
    let mrr = run["metrics"]["mrr@10"].as_f64().unwrap();
    assert!((mrr - (1.0 + 0.5 + 1.0) / 3.0).abs() < 1e-12, "{mrr}");
}

#[test]
fn json_of_a_file_is_a_line_for_each_query() {
    let fixture = Fixture::new();
    let text = fixture.search(&["--queries", "queries.tsv", "--json", "--k", "1"]);
    let lines: Vec<Value> = text.lines().map(json).collect();
    let found: Vec<_> = lines
        .iter()
        .map(|line| (line["query_id"].as_str().unwrap(), ids(line).len()))
        .collect();
    assert_eq!(found, [("1", 1), ("2", 1), ("3", 1), ("4", 0)]);
}

#[test]
fn compressed_queries_and_parts_of_topics_are_read() {
    let fixture = Fixture::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(QUERIES.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    fixture.write("queries.tsv.gz", &gzip);
    let plain = fixture.search(&["--queries", "queries.tsv"]);
    assert_eq!(fixture.search(&["--queries", "queries.tsv.gz"]), plain);
    // From standard input, too, compressed or not.
    let input = std::fs::File::open(fixture.path("queries.tsv.gz")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_esparsa"));
    command.args(["search", "--index", "index", "--queries", "-"]);
    let output = command
        .current_dir(fixture.path("."))
        .stdin(input)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), plain);
    fixture.write("cut.tsv.gz", &gzip[..gzip.len() - 12]);
    let error = fixture.failed(
        &["search", "--index", "index", "--queries", "cut.tsv.gz"],
        1,
    );
    assert!(
        error.contains("cut.tsv.gz") && error.contains("truncated"),
        "{error}"
    );

    let topic = "<top>\n<num> Number: 7\n<title> volcano\n<desc> Description:\na river\n</top>\n";
    fixture.write("topics", topic);
    let first = |part: &str| {
        let run = fixture.search(&["--queries", "topics", "--topic-part", part]);
        run.split(' ').nth(2).unwrap().to_owned()
    };
    assert_eq!(
        (first("title").as_str(), first("description").as_str()),
        ("etna", "arno")
    );
}

#[test]
fn a_query_that_is_a_document_does_not_find_itself() {
    let fixture = Fixture::new();
    fixture.write("self.tsv", "etna\tvolcano\npo\triver\n");
    fixture.write("self.qrels", "etna 0 stromboli 1\npo 0 arno 1\n");
    let search = |more: &[&str]| {
        let arguments = ["--queries", "self.tsv", "--output", "self.run"];
        fixture.search(&[&arguments, more].concat());
        Run::open(fixture.path("self.run")).unwrap()
    };
    let top = |run: &Run, query: &str| run.ranked(query)[0].document.clone();
    let eval = |more: &[&str]| {
        let arguments = ["eval", "--qrels", "self.qrels", "self.run", "--json"];
        let metrics = ["--metrics", "P_1,ndcg_cut_10,bpref,Rprec,set_recall"];
        json(&fixture.done(&[&arguments[..], &metrics, more].concat()))
    };
    assert_eq!(top(&search(&["--k", "2"]), "etna"), "etna");
    let value = |report: &Value| report["runs"][0]["metrics"]["ndcg@10"].as_f64().unwrap();
    assert!(value(&eval(&[])) < 1.0);
    assert_eq!(value(&eval(&["--exclude-self"])), 1.0);

    let run = search(&["--exclude-self", "--k", "1"]);
    assert_eq!(
        (top(&run, "etna"), top(&run, "po")),
        ("stromboli".into(), "arno".into())
    );
    let report = eval(&[]);
    let metrics = report["runs"][0]["metrics"].as_object().unwrap();
    let names: Vec<&String> = metrics.keys().collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(metrics.values().all(|value| value == 1.0), "{report}");
}

#[test]
fn a_search_that_fails_late_leaves_the_run_of_yesterday() {
    let fixture = Fixture::new();
    fixture.write("a.run", "yesterday");
    // Damage that is noticed when terms are read, after the run was opened.
    let segment = "index/segment-0000000001";
    let mut bytes = fs::read(fixture.path(segment)).unwrap();
    let places: Vec<usize> = (0..bytes.len())
        .filter(|place| bytes[*place..].starts_with(b"etna"))
        .collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place] ^= 1;
    }
    fixture.write(segment, bytes);
    let queries = ["--queries", "queries.tsv", "--output", "a.run"];
    let error = fixture.failed(&[&["search", "--index", "index"], &queries[..]].concat(), 1);
    assert!(error.contains("segment-0000000001"), "{error}");
    assert_eq!(fs::read(fixture.path("a.run")).unwrap(), b"yesterday");
    assert!(!fixture.path("a.run.partial").exists());
}

#[test]
fn an_output_that_is_the_queries_or_the_judgements_is_refused() {
    let fixture = Fixture::new();
    let search = ["search", "--index", "index", "--queries", "queries.tsv"];
    let judged = ["--qrels", "test.qrels", "--output", "test.qrels"];
    for options in [&["--output", "queries.tsv"][..], &judged] {
        let error = fixture.failed(&[&search[..], options].concat(), 1);
        assert!(error.contains("none of the inputs"), "{error}");
    }
    let left = |name: &str| fs::read_to_string(fixture.path(name)).unwrap();
    assert_eq!(left("queries.tsv"), QUERIES);
    assert_eq!(left("test.qrels"), QRELS);
}
