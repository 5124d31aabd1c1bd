//! The commands that search and measure, from the outside: arguments, exit codes, and what is
//! printed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use esparsa::eval::Run;
use esparsa::store::FileSystem;
use esparsa::text::{Analyzer, Tokenizer, Word};
use esparsa::{Document, Index, IndexOptions, Schema, Sparse, Text};
use serde_json::Value;

/// A folder with an index, queries and judgements.
struct Fixture {
    folder: tempfile::TempDir,
}

const DOCUMENTS: [(&str, &str, &str); 6] = [
    (
        "etna",
        "Etna",
        "A volcano in Sicily. The volcano erupts often.",
    ),
    (
        "stromboli",
        "Stromboli",
        "An island volcano north of Sicily.",
    ),
    (
        "po",
        "Po",
        "The longest river of Italy flows through Turin.",
    ),
    (
        "arno",
        "Arno",
        "A river that flows through Florence and Pisa.",
    ),
    ("tie-a", "", "Twins look alike."),
    ("tie-b", "", "Twins look alike."),
];

const QUERIES: &str = "1\tvolcanoes of Sicily\n2\trivers of Italy\n3\ttwins\n4\tthe\n";
const QRELS: &str = "1 0 etna 2\n1 0 stromboli 1\n2 0 arno 1\n3 0 tie-b 1\n";

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let schema = Schema::builder()
            .text("contents", Text::new().analyzer("en"))
            .sparse("splade", Sparse::new())
            .stored("source")
            .build()
            .unwrap();
        let index = Index::create(folder.path().join("index"), schema).unwrap();
        let mut writer = index.writer().unwrap();
        for (number, (id, title, text)) in DOCUMENTS.into_iter().enumerate() {
            let stored = serde_json::json!({ "_id": id, "title": title, "text": text });
            let document = Document::new(id)
                .with_text("contents", format!("{title} {text}"))
                .with_sparse("splade", [("all", 1.0), (id, 0.5 + number as f32 / 4.0)])
                .with_stored("source", stored.to_string());
            writer.add(document).unwrap();
            // Two segments.
            if number == 2 {
                writer.commit().unwrap();
            }
        }
        writer.commit().unwrap();
        let fixture = Self { folder };
        fixture.write("queries.tsv", QUERIES);
        fixture.write("test.qrels", QRELS);
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run_in(self.folder.path(), arguments)
    }

    /// Standard output of a command that must succeed.
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a command that must end with `code`.
    fn failed(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        error
    }

    fn search(&self, arguments: &[&str]) -> String {
        self.done(&[&["search", "--index", "index"], arguments].concat())
    }
}

fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_esparsa"));
    command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn ids(report: &Value) -> Vec<&str> {
    let hits = report["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

#[test]
fn a_query_shows_ids_titles_and_marked_words() {
    let text = Fixture::new().search(&["sicilian volcanoes"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("1  ") && lines[0].ends_with("  etna       Etna"),
        "{text}"
    );
    assert_eq!(
        lines[1].trim(),
        "A [volcano] in Sicily. The [volcano] erupts often."
    );
    assert!(
        lines[2].starts_with("2  ") && lines[2].ends_with("  stromboli  Stromboli"),
        "{text}"
    );
    assert!(
        lines[4].starts_with("2 results of 6 documents in "),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "escapes in a pipe: {text:?}");
}

#[test]
fn a_query_without_words_of_the_index_finds_nothing() {
    let fixture = Fixture::new();
    for query in ["", "the", "zeppelin"] {
        assert!(
            fixture.search(&[query]).starts_with("No results"),
            "{query}"
        );
        let report = json(&fixture.search(&[query, "--json"]));
        assert!(ids(&report).is_empty());
    }
    assert!(
        fixture
            .search(&["{}", "--field", "splade"])
            .starts_with("No results")
    );
}

#[test]
fn json_of_one_query_has_scores_and_documents() {
    let fixture = Fixture::new();
    let report = json(&fixture.search(&["volcano river", "--json", "--k", "3"]));
    assert_eq!(ids(&report).len(), 3);
    assert_eq!(
        (&report["query"], &report["field"]),
        (&"volcano river".into(), &"contents".into())
    );
    let scores: Vec<f64> = (0..3)
        .map(|n| report["hits"][n]["score"].as_f64().unwrap())
        .collect();
    assert!(
        scores.is_sorted_by(|a, b| a >= b) && scores[2] > 0.0,
        "{scores:?}"
    );
    let etna = &report["hits"]
        .as_array()
        .unwrap()
        .iter()
        .find(|hit| hit["id"] == "etna")
        .unwrap();
    assert_eq!(etna["document"]["title"], "Etna");
}

#[test]
fn weights_search_a_sparse_field() {
    let fixture = Fixture::new();
    let query = r#"{"all": 1, "po": 2.0, "arno": 2}"#;
    for field in ["splade", "sparse"] {
        let report = json(&fixture.search(&[query, "--field", field, "--json"]));
        assert_eq!(ids(&report)[..2], ["arno", "po"]);
        assert_eq!(ids(&report).len(), 6);
    }
    fixture.write(
        "vectors.jsonl",
        format!("{{\"id\": \"q\", \"vector\": {query}}}\n"),
    );
    // A file of vectors needs no --field.
    let run = fixture.search(&["--queries", "vectors.jsonl", "--k", "2"]);
    let run = Run::read(run.as_bytes(), "run").unwrap();
    let found: Vec<&str> = run
        .ranked("q")
        .iter()
        .map(|hit| hit.document.as_str())
        .collect();
    assert_eq!(found, ["arno", "po"]);
}

#[test]
fn a_vector_searches_the_only_field_that_an_index_has() {
    let fixture = Fixture::new();
    let schema = Schema::builder()
        .sparse("splade", Sparse::new())
        .build()
        .unwrap();
    let index = Index::create(fixture.path("vectors"), schema).unwrap();
    let mut writer = index.writer().unwrap();
    let document = Document::new("hive").with_sparse("splade", [("honey", 1.0)]);
    writer.add(document).unwrap();
    writer.commit().unwrap();
    let search = ["search", "--index", "vectors"];
    let query = r#"{"honey": 1}"#;
    let report = json(&fixture.done(&[&search[..], &[query, "--json"]].concat()));
    assert_eq!(
        (ids(&report), &report["field"]),
        (vec!["hive"], &"splade".into())
    );
    let line = format!(r#"{{"id": "q", "text": "sweet", "vector": {query}}}"#);
    fixture.write("both.jsonl", line);
    let run = fixture.done(&[&search[..], &["--queries", "both.jsonl"]].concat());
    assert!(run.starts_with("q Q0 hive 1 "), "{run}");
    let error = fixture.failed(&["search", "--index", "vectors", "honey"], 1);
    assert!(
        error.contains("field `splade`: expected a JSON object"),
        "{error}"
    );
    // The text field that `esparsa index` creates is empty here, so it is not searched.
    fixture.write("vectors.jsonl", r#"{"id":"hive","vector":{"honey":1.0}}"#);
    fixture.done(&["index", "vectors.jsonl", "--index", "made"]);
    let run = fixture.done(&["search", "--index", "made", query, "--json"]);
    assert_eq!(ids(&json(&run)), ["hive"]);
    fixture.done(&["search", "--index", "made", "--field", "text", "honey"]);
}

#[test]
fn of_a_query_with_words_and_a_vector_the_field_takes_its_own() {
    let fixture = Fixture::new();
    let line = r#"{"id": "q", "text": "twins", "vector": {"arno": 1}}"#;
    fixture.write("both.jsonl", line);
    let search = ["search", "--index", "index", "--queries", "both.jsonl"];
    for (field, found) in [("splade", "arno"), ("contents", "tie-a")] {
        let run = fixture.done(&[&search[..], &["--field", field]].concat());
        assert!(run.starts_with(&format!("q Q0 {found} 1 ")), "{run}");
    }
    let error = fixture.failed(&search, 1);
    assert!(
        error.contains("`contents` (text), `splade` (sparse)"),
        "{error}"
    );
}

#[test]
fn an_index_with_an_analyzer_of_another_program_is_open_to_all_but_words() {
    struct Letters;
    impl Tokenizer for Letters {
        fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
            emit(Word::new(text, 0..text.len()));
        }
        fn terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
            emit(word);
        }
    }
    let fixture = Fixture::new();
    let schema = Schema::builder()
        .text("text", Text::new().analyzer("custom:letters"))
        .sparse("splade", Sparse::new())
        .stored("source")
        .build()
        .unwrap();
    let directory = FileSystem::create(fixture.path("own")).unwrap();
    let options = IndexOptions::new().analyzer(Analyzer::custom("letters", Letters));
    let index = Index::create_in(Arc::new(directory), schema, options).unwrap();
    let mut writer = index.writer().unwrap();
    for id in ["a", "b"] {
        let document = Document::new(id).with_text("text", "x");
        let document = document.with_sparse("splade", [("x", 1.0)]);
        writer.add(document.with_stored("source", "{}")).unwrap();
        writer.commit().unwrap();
    }
    drop(writer);
    for command in ["check", "inspect", "get b", "delete a", "merge"] {
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let arguments = [name, "--index", "own"].into_iter();
        let arguments = arguments.chain(rest.split_whitespace());
        fixture.done(&arguments.collect::<Vec<_>>());
    }
    let search = ["search", "--index", "own", "--field"];
    let found = fixture.done(&[&search[..], &["splade", r#"{"x": 1}"#, "--json"]].concat());
    assert_eq!(ids(&json(&found)), ["b"]);
    let error = fixture.failed(&[&search[..], &["text", "x"]].concat(), 1);
    assert!(
        error.contains("field `text`") && error.contains("`custom:letters`"),
        "{error}"
    );
}

#[test]
fn ids_and_texts_cannot_command_a_terminal_or_break_a_run() {
    let fixture = Fixture::new();
    let schema = Schema::builder()
        .text("text", Text::new())
        .stored("source")
        .build()
        .unwrap();
    let index = Index::create(fixture.path("odd"), schema).unwrap();
    let mut writer = index.writer().unwrap();
    let (spaces, escape) = ("lava lake\n", "\x1b[2J\u{202e}di");
    for id in [spaces, escape] {
        let stored = serde_json::json!({ "title": "\u{202e}ltit\x1b[31m", "text": "lava" });
        let document = Document::new(id).with_text("text", "lava");
        let document = document.with_stored("source", stored.to_string());
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
    let shown = fixture.done(&["search", "--index", "odd", "lava"]);
    assert!(
        shown.contains("lava lake\\n") && shown.contains("\\u001b[2J\\u202edi"),
        "{shown}"
    );
    let explain = ["search", "--index", "odd", "lava", "--explain", escape];
    let explained = fixture.done(&explain);
    let missing = fixture.failed(&["get", "--index", "odd", "\x1b[31mred"], 1);
    for text in [shown, explained, missing] {
        let obeyed = ['\x1b', '\u{202e}'];
        assert!(!text.contains(obeyed), "{text:?}");
    }

    fixture.write("odd.jsonl", r#"{"_id": "q 1", "text": "lava"}"#);
    let search = ["search", "--index", "odd", "--queries", "odd.jsonl"];
    let run = fixture.done(&search);
    assert!(run.starts_with("q%201 Q0 lava%20lake%0A 1 "), "{run}");
    let run = Run::read(run.as_bytes(), "run").unwrap();
    let found = run.results("q 1").unwrap().iter();
    let found: Vec<&str> = found.map(|hit| hit.document.as_str()).collect();
    assert_eq!(found, [spaces, escape]);
}

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
        message.contains("left out: query `long`: ") && message.contains("1 of 2 queries"),
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
fn bm25_parameters_change_scores_and_algorithms_do_not() {
    let fixture = Fixture::new();
    let default = json(&fixture.search(&["volcano", "--json"]));
    let flat = json(&fixture.search(&["volcano", "--json", "--k1", "0"]));
    assert_ne!(default["hits"], flat["hits"]);
    let score = |place: usize| flat["hits"][place]["score"].as_f64().unwrap();
    assert_eq!(
        score(0),
        score(1),
        "k1 = 0 makes every frequency count as 1"
    );
    for algorithm in ["exhaustive", "wand", "block-max-wand", "max-score"] {
        let named = json(&fixture.search(&["volcano", "--json", "--algorithm", algorithm]));
        assert_eq!(named["hits"], default["hits"]);
        assert_eq!(named["algorithms"], serde_json::json!([algorithm]));
    }
}

#[test]
fn all_terms_finds_documents_with_every_word() {
    let fixture = Fixture::new();
    let any = json(&fixture.search(&["the volcano erupts in sicily", "--json"]));
    let all = json(&fixture.search(&["the volcano erupts in sicily", "--all-terms", "--json"]));
    assert!(ids(&any).len() > ids(&all).len());
    assert_eq!(ids(&all), ["etna"]);
    assert_eq!(all["hits"][0]["score"], any["hits"][0]["score"]);
    assert_eq!(all["algorithms"], serde_json::json!(["conjunction"]));
    let others = ids(&any);
    let other = others.iter().find(|id| **id != "etna").unwrap();
    let arguments = ["volcano erupts sicily", "--all-terms", "--explain", other];
    assert!(fixture.search(&arguments).contains("lacks"));
    let explanation = fixture.search(&[&arguments[..], &["--json"]].concat());
    assert_eq!(json(&explanation)["missing"].as_array().unwrap().len(), 1);
    let file = [
        "search",
        "--index",
        "index",
        "--queries",
        "queries.tsv",
        "--json",
    ];
    let hits = |arguments: &[&str]| -> usize {
        let text = fixture.done(arguments);
        text.lines().map(|line| ids(&json(line)).len()).sum()
    };
    assert!(hits(&[&file[..], &["--all-terms"]].concat()) < hits(&file));
    let bench = [
        "bench",
        "--index",
        "index",
        "--queries",
        "queries.tsv",
        "--rounds",
        "1",
    ];
    let options = ["--all-terms", "--algorithm", "exhaustive,planner", "--json"];
    let lines = fixture.done(&[&bench[..], &options].concat());
    assert_eq!(lines.lines().count(), 2);
}

#[test]
fn an_explanation_adds_up_to_the_score() {
    let fixture = Fixture::new();
    let hits = json(&fixture.search(&["volcanoes sicily", "--json"]));
    let explanation = json(&fixture.search(&["volcanoes sicily", "--json", "--explain", "etna"]));
    assert_eq!(explanation["score"], hits["hits"][0]["score"]);
    let terms = explanation["terms"].as_array().unwrap();
    let sum: f64 = terms
        .iter()
        .map(|term| term["contribution"].as_f64().unwrap())
        .sum();
    assert!((sum - explanation["score"].as_f64().unwrap()).abs() < 1e-5);
    let text = fixture.search(&["volcanoes sicily", "--explain", "etna"]);
    assert!(
        text.contains("volcano") && text.contains("sicili"),
        "{text}"
    );
    let error = [
        "search",
        "--index",
        "index",
        "volcano",
        "--explain",
        "vesuvius",
    ];
    assert!(fixture.failed(&error, 1).contains("`vesuvius`"));
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
        .current_dir(fixture.folder.path())
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
fn runs_stand_side_by_side_and_are_tested() {
    let fixture = Fixture::new();
    fixture.write(
        "a.run",
        "1 Q0 etna 1 2 a\n2 Q0 po 1 2 a\n2 Q0 arno 2 1 a\n9 Q0 po 1 1 a\n",
    );
    fixture.write(
        "b.run",
        "1 Q0 po 1 2 b\n1 Q0 etna 2 1 b\n2 Q0 arno 1 2 b\n3 Q0 tie-b 1 1 b\n",
    );
    let arguments = [
        "eval",
        "--qrels",
        "test.qrels",
        "a.run",
        "b.run",
        "--metrics",
        "mrr@10",
    ];
    let text = fixture.done(&[&arguments[..], &["--test", "--per-query"]].concat());
    // a: 1, 1/2 and a missing query; b: 1/2, 1 and 1.
    assert!(
        text.contains("a.run  0.5000") && text.contains("b.run  0.8333"),
        "{text}"
    );
    assert!(
        text.contains("a.run: 1 judged query without results, counted as 0"),
        "{text}"
    );
    assert!(
        text.contains("a.run: 1 query without judgements, left out"),
        "{text}"
    );
    assert!(text.contains("+0.3333"), "{text}");

    let report =
        json(&fixture.done(&[&arguments[..], &["--test", "--per-query", "--json"]].concat()));
    assert_eq!(report["runs"][1]["per_query"]["1"]["mrr@10"], 0.5);
    let test = &report["tests"][0];
    // Differences -1/2, 1/2, 1: of the eight sign assignments, six are as far from 0 as theirs.
    assert_eq!(
        (&test["p_value"], &test["exact"]),
        (&0.75.into(), &true.into())
    );
    assert_eq!(test["p_value_holm"], test["p_value"]);
}

#[test]
fn calibrate_measures_and_a_recall_uses_it() {
    let fixture = Fixture::new();
    let words = |n: u32| format!(r#"{{"w{}": 2.0, "w{}": 1.0, "all": 0.1}}"#, n % 7, n % 5);
    let lines: Vec<String> = (0..40)
        .map(|n| format!(r#"{{"id": "{n}", "vector": {}}}"#, words(n)))
        .collect();
    fixture.write("vectors.jsonl", lines.join("\n"));
    fixture.done(&["index", "vectors.jsonl", "--index", "sparse"]);
    let calibrate = [
        "calibrate",
        "--index",
        "sparse",
        "--queries",
        "vectors.jsonl",
    ];
    let text = fixture.done(&[&calibrate[..], &["--dry-run"]].concat());
    assert!(text.starts_with("40 queries on 40 documents"), "{text}");
    let report = json(&fixture.done(&[&calibrate[..], &["--dry-run", "--json"]].concat()));
    assert_eq!(
        (&report["queries"], &report["commit"]),
        (&40.into(), &Value::Null)
    );
    assert!(report["points"][0]["recall"].is_number(), "{report}");
    let inspect = ["inspect", "--index", "sparse"];
    assert!(!fixture.done(&inspect).contains("calibrated"));
    let text = fixture.done(&calibrate);
    assert!(text.contains("stored with commit"), "{text}");
    let text = fixture.done(&inspect);
    assert!(
        text.contains("recall calibrated with 40 queries on 40 documents"),
        "{text}"
    );
    let index = ["--index", "sparse", "--field", "sparse"];
    let three = words(3);
    let query = [&["search", &three, "--json"], &index[..]].concat();
    let hits = |recall| {
        ids(&json(
            &fixture.done(&[&query[..], &["--recall", recall]].concat()),
        ))
        .len()
    };
    assert_eq!((hits("1"), hits("0.5")), (10, 10));
    let error = fixture.failed(&[&query[..], &["--recall", "0"]].concat(), 2);
    assert!(error.contains("above 0 and up to 1"), "{error}");
    let error = fixture.failed(
        &["calibrate", "--index", "index", "--queries", "queries.tsv"],
        1,
    );
    assert!(error.contains("expected a Sparse field"), "{error}");
    let bench = [
        "bench",
        "--index",
        "sparse",
        "--queries",
        "vectors.jsonl",
        "--recall",
        "0.9",
    ];
    fixture.done(&bench);
    let error = fixture.failed(&[&bench[..], &["--algorithm", "all"]].concat(), 1);
    assert!(error.contains("expected one algorithm"), "{error}");
}

#[test]
fn bench_gives_figures_for_each_algorithm() {
    let fixture = Fixture::new();
    let arguments = [
        "bench",
        "--index",
        "index",
        "--queries",
        "queries.tsv",
        "--rounds",
        "2",
    ];
    for (threads, query_threads) in [(1, 1), (2, 1), (1, 3)] {
        let options = [
            "--algorithm",
            "all",
            "--threads",
            &threads.to_string(),
            "--query-threads",
            &query_threads.to_string(),
            "--json",
            "--k",
            "3",
        ];
        let text = fixture.done(&[&arguments[..], &options].concat());
        let lines: Vec<Value> = text.lines().map(json).collect();
        let names: Vec<&str> = lines
            .iter()
            .map(|l| l["algorithm"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "planner",
                "exhaustive",
                "wand",
                "block-max-wand",
                "max-score"
            ]
        );
        for line in &lines {
            assert_eq!((&line["k"], &line["queries"]), (&3.into(), &4.into()));
            assert_eq!(line["threads"], threads);
            assert_eq!(line["query_threads"], query_threads);
            let figure = |name: &str| line[name].as_f64().unwrap();
            for name in [
                "mean_ms",
                "p50_ms",
                "p95_ms",
                "p99_ms",
                "queries_per_second",
            ] {
                assert!(figure(name) > 0.0, "{name}: {line}");
            }
            assert!(figure("p50_ms") <= figure("p95_ms") && figure("p95_ms") <= figure("p99_ms"));
            assert!(figure("postings_scored_per_query") <= figure("postings_per_query"));
        }
    }
    let table = fixture.done(&arguments);
    assert!(
        table.contains("planner") && !table.contains("exhaustive"),
        "{table}"
    );
    let table = fixture.done(
        &[
            &arguments[..],
            &["--algorithm", "wand,max-score", "--warm-up", "0"],
            &["--query-threads", "2"],
        ]
        .concat(),
    );
    assert!(table.contains("1 thread, up to 2 for each"), "{table}");
    assert!(
        table.contains("Same results from all, bit for bit."),
        "{table}"
    );
}

#[test]
fn wrong_usage_ends_with_code_2() {
    let fixture = Fixture::new();
    for (command, expected) in [
        ("search --index index", "QUERY"),
        ("search --index index a --queries queries.tsv", "--queries"),
        ("search --index index a --k 0", "--k"),
        ("search --index index a --k ten", "--k"),
        ("search --index index a --threads 0", "--threads"),
        (
            "search --index index a --query-threads 0",
            "--query-threads",
        ),
        (
            "bench --index index --queries q --query-threads x",
            "--query-threads",
        ),
        ("search --index index a --algorithm quantum", "max-score"),
        ("search --index index a --output a.run", "--output"),
        ("search --index index a --tag bm25", "--tag"),
        ("search --index index a --qrels test.qrels", "--qrels"),
        ("search --index index a --k1 -1", "at least 0, found -1"),
        ("search --index index a --b 1.5", "from 0 to 1, found 1.5"),
        ("search --index index a --k -1", "-1 is not in 1..="),
        (
            "search --index index a --recall -0.5",
            "up to 1, such as 0.97, found -0.5",
        ),
        (
            "bench --index index --queries q --rounds -1",
            "-1 is not in 1..=",
        ),
        (
            "search --index index --queries q --explain etna",
            "--explain",
        ),
        ("search --index index --queries q --json --tag t", "--tag"),
        (
            "search --index index --queries q --tag \x1b[2J",
            "control characters",
        ),
        ("eval --qrels test.qrels", "RUN"),
        (
            "eval --qrels test.qrels a --metrics mrr,beauty@5",
            "`beauty@5`",
        ),
        ("bench --index index --queries q --rounds 0", "--rounds"),
        ("bench --index index --queries q --algorithm a,b", "`a`"),
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let error = fixture.failed(&arguments, 2);
        assert!(error.contains(expected), "{command}: {error}");
    }
}

#[test]
fn work_that_fails_ends_with_code_1_and_says_why() {
    let fixture = Fixture::new();
    fixture.write("empty.tsv", "\n");
    fixture.write("bad.tsv", "1\tgood\n2 no tab\n");
    let good = r#"{"_id":"1","text":"volcano"}"#;
    let half = r#"{"_id":"2","text":"volcano \ud800"}"#;
    fixture.write("half.jsonl", format!("{good}\n{half}\n"));
    fixture.write(
        "nan.jsonl",
        format!("{good}\n{}\n", r#"{"_id":"2","text":NaN}"#),
    );
    fixture.write("other.run", "99 Q0 etna 1 2 a\n");
    fixture.write("other.qrels", "99 0 etna 1\n");
    fixture.write("a.run", "1 Q0 etna 1 2 a\n");
    for (command, expected) in [
        ("search --index nowhere a", "nowhere"),
        (
            "search --index index a --field headline",
            "`contents` (text), `splade` (sparse)",
        ),
        ("search --index index a --field source", "field `source`"),
        (
            "search --index index a --field splade",
            "expected a JSON object",
        ),
        (
            "search --index index {\"a\":-1} --field splade",
            "at least 0",
        ),
        ("search --index index {} --field splade --b 0.5", "k1 and b"),
        ("search --index index a --algorithm ranges", "found ranges"),
        (
            "search --index index a --recall 0.9",
            "expected a recall of 1",
        ),
        (
            "search --index index {\"po\":1}",
            "`contents` (text), `splade` (sparse)",
        ),
        (
            "search --index index --queries queries.tsv --qrels other.qrels",
            "no query is judged in other.qrels",
        ),
        (
            "search --index index --queries missing.tsv",
            "missing.tsv: cannot open",
        ),
        (
            "search --index index --queries empty.tsv",
            "empty.tsv: expected queries",
        ),
        ("search --index index --queries bad.tsv", "bad.tsv:2: "),
        (
            "search --index index --queries half.jsonl",
            "half.jsonl:2: expected one JSON object on the line",
        ),
        (
            "search --index index --queries nan.jsonl",
            "nan.jsonl:2: expected one JSON object on the line",
        ),
        (
            "search --index index --queries queries.tsv --field splade",
            "`vector` in query `1`",
        ),
        (
            "search --index index --queries queries.tsv --output no/where",
            "no/where: cannot create",
        ),
        ("eval --qrels index a.run", "found a folder"),
        (
            "eval --qrels missing.qrels a.run",
            "missing.qrels: cannot open",
        ),
        (
            "eval --qrels test.qrels missing.run",
            "missing.run: cannot open",
        ),
        (
            "eval --qrels test.qrels other.run",
            "other.run: no query of the run is in the qrels",
        ),
        ("eval --qrels test.qrels a.run --test", "at least two runs"),
        ("bench --index index --queries missing.tsv", "missing.tsv"),
        ("demo --keep a.run", "a.run"),
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let error = fixture.failed(&arguments, 1);
        assert!(
            error.starts_with("error: ") && error.contains(expected),
            "{command}: {error}"
        );
    }
}

#[test]
fn the_demo_searches_three_languages_and_measures_them() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_in(folder.path(), &["demo"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).unwrap();
    for language in ["English", "Portuguese", "Korean"] {
        assert!(text.lines().any(|line| line == language), "{text}");
    }
    let row = |name: &str| -> Vec<f64> {
        let line = text
            .lines()
            .find(|line| line.starts_with(name) && line.contains('.'));
        let cells = line.unwrap().split_whitespace().skip(1);
        cells.map(|cell| cell.parse().unwrap()).collect()
    };
    let languages = ["English ", "Portuguese ", "Korean "].map(row);
    let all = row("all ");
    assert_eq!(all[..2], [120.0, 60.0]);
    for (column, mean) in all.iter().enumerate().skip(2) {
        // As many queries in each language: the mean of all is the mean of the three.
        let expected = languages.iter().map(|values| values[column]).sum::<f64>() / 3.0;
        assert!((mean - expected).abs() < 2e-4, "{text}");
        assert!(
            languages.iter().all(|values| values[column] > 0.5),
            "{text}"
        );
    }
    assert!(text.contains("[조선"), "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn indexes_of_the_demo_can_be_kept_and_searched() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_in(folder.path(), &["demo", "--keep", "kept"]);
    assert_eq!(output.status.code(), Some(0));
    let output = run_in(
        folder.path(),
        &["search", "--index", "kept/ko", "세종대왕", "--json"],
    );
    let report = json(&String::from_utf8(output.stdout).unwrap());
    assert!(ids(&report).contains(&"ko-07"), "{report}");
    let again = run_in(folder.path(), &["demo", "--keep", "kept"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("already holds an index"));
}
