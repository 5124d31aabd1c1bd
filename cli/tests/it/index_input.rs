//! `esparsa index`: formats, languages, weights and replacement of documents.

use esparsa::{Index, Query};
use serde_json::Value;

use crate::command::{Scratch, found};
use crate::two_documents::{LINES, VECTORS, gzip, indexed, json};

/// Names and contents of files.
type Files<'a> = &'a [(&'a str, &'a [u8])];

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
    assert!(refused("--positions").contains("built without positions"));
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
fn an_analyzer_of_parts_is_named_like_a_language() {
    let scratch = Scratch::new();
    scratch.write("pt.tsv", "v\tOs vulcões da Itália\n");
    scratch.write("words.txt", "# places\nItália\n");
    let chain = "standard|lowercase|fold|stop:@words.txt|edge-ngram:2-10";
    scratch
        .run(&format!("index pt.tsv --index index --analyzer {chain}"))
        .done();
    assert_eq!(found(scratch.path("index"), "vulc"), ["v"]);
    assert!(found(scratch.path("index"), "italia").is_empty());
    let out = scratch.run("inspect --index index").done();
    let name = "standard|lowercase|fold|stop:Itália,|edge-ngram:2-10";
    assert!(out.contains(&format!("analyzer {name}")), "{out}");
    // The texts are in Portuguese, of which the analyzer of the index knows nothing.
    let ran = scratch.run("index pt.tsv --index index");
    assert!(!ran.stderr.contains("detected as"), "{}", ran.stderr);

    let ran = scratch.run("index pt.tsv --index other --language standard|lower");
    let message = "part 2, `lower`: unknown filter; expected one of";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
}

#[test]
fn positions_are_kept_when_they_are_asked_for() {
    let scratch = Scratch::new();
    // A word that occurs once has its position in the dictionary.
    scratch.write("fish.jsonl", r#"{"_id":"a","text":"red fish, blue fish"}"#);
    let command = "index fish.jsonl --index index --json --positions";
    let report = json(&scratch.run(command).done());
    assert!(report["bytes_on_disk"]["positions"].as_u64() > Some(0));
    let people = scratch.run("inspect --index index").done();
    assert!(people.contains(", with positions"), "{people}");
    let summary = json(&scratch.run("inspect --index index --json").done());
    assert_eq!(summary["fields"][0]["positions"], true);
    scratch.run("check --index index").done();
    // What the index has need not be said again.
    scratch.run("index fish.jsonl --index index").done();
    scratch.run(command).done();
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

#[test]
fn files_of_no_known_format_are_named() {
    let scratch = Scratch::new();
    scratch.write("folder/two.jsonl", LINES);
    scratch.write("folder/image.png", b"\x89PNG\x00");
    let ran = scratch.run("index folder --index index");
    assert!(ran.stderr.contains("image.png"), "{}", ran.stderr);
    ran.done();
}

const PORTUGUESE: &str = "As eleições municipais serão realizadas em outubro, e não há ainda candidatos definidos na cidade.";

#[test]
fn an_index_is_not_created_from_nothing() {
    let scratch = Scratch::new();
    scratch.write("empty.jsonl", "\n");
    let message = scratch.run("index empty.jsonl --index index").failed();
    assert!(
        message.contains("expected documents, found none") && message.contains("--language"),
        "{message}"
    );
    // So the first texts decide the language.
    scratch.write("pt.tsv", format!("v\t{PORTUGUESE}\n"));
    scratch.run("index pt.tsv --index index").done();
    assert_eq!(found(scratch.path("index"), "eleição"), ["v"]);
    // With a language, an empty index is what was asked for; an existing index may get nothing.
    scratch
        .run("index empty.jsonl --index en --language en")
        .done();
    scratch.run("index empty.jsonl --index index").done();
}

#[test]
fn texts_in_another_language_than_the_index_are_loaded_with_a_warning() {
    let scratch = Scratch::new();
    scratch.write("vectors.jsonl", r#"{"id":"a","vector":{"lava":1.0}}"#);
    let ran = scratch.run("index vectors.jsonl --index index");
    assert!(
        ran.stderr.contains("the first documents have no text"),
        "{}",
        ran.stderr
    );
    ran.done();
    scratch.write("pt.tsv", format!("v\t{PORTUGUESE}\n"));
    let ran = scratch.run("index pt.tsv --index index --quiet");
    assert!(
        ran.stderr
            .contains("detected as Portuguese, and the index analyzes texts as english"),
        "{}",
        ran.stderr
    );
    ran.done();
    // Who names the language knows it.
    let ran = scratch.run("index pt.tsv --index index --language en --quiet");
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_header_is_read_as_data_with_a_warning() {
    let scratch = Scratch::new();
    scratch.write(
        "c.tsv",
        "ID\ttitle\ttext\netna\tEtna\tA volcano in Sicily.\n",
    );
    let ran = scratch.run("index c.tsv --index index");
    assert!(
        ran.stderr
            .contains("c.tsv:1: the first row looks like a header")
            && ran.stderr.contains("tail -n +2 c.tsv"),
        "{}",
        ran.stderr
    );
    assert!(ran.done().starts_with("2 documents in "));
    scratch.write("q.tsv", "qid\tquery\n1\tvolcano\n");
    let ran = scratch.run("search --index index --queries q.tsv");
    let warning = "q.tsv:1: the first row looks like a header, and is read as a query";
    assert_eq!(ran.stderr.matches(warning).count(), 1, "{}", ran.stderr);
    assert!(ran.done().starts_with("1 Q0 etna 1 "));
    let rest = b"etna\tA volcano in Sicily.\n";
    let ran = scratch.run_with_input("index - --format tsv --index index", rest);
    assert!(!ran.stderr.contains("header"), "{}", ran.stderr);
    ran.done();
}

#[test]
fn files_beside_a_corpus_are_reported() {
    let scratch = Scratch::new();
    scratch.write("beir/corpus.jsonl", LINES);
    scratch.write("beir/queries.jsonl", LINES);
    scratch.write("beir/qrels/test.tsv", "1\t2\t1\n");
    let ran = scratch.run("index beir --index index");
    assert!(!ran.stderr.contains("skipped"), "{}", ran.stderr);
    ran.done();
    scratch.write("beir/c.tsv", "zebra\tA zebra.\n");
    let ran = scratch.run("index beir --index index");
    assert!(
        ran.stderr.contains("skipped 1 file beside the corpus") && ran.stderr.contains("c.tsv"),
        "{}",
        ran.stderr
    );
    assert!(ran.done().starts_with("2 documents in "));
}

#[test]
fn a_file_in_the_place_of_the_index_is_named() {
    let scratch = Scratch::new();
    scratch.write("two.jsonl", LINES);
    let message = scratch.run("index two.jsonl --index two.jsonl").failed();
    assert!(
        message.contains("two.jsonl: expected the folder of an index, found a file"),
        "{message}"
    );
}
