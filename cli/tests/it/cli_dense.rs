//! Dense vectors on the command line: loading, searching, measuring, inspecting.

use esparsa::Index;
use serde_json::Value;

use crate::command::Scratch;

const LINES: &str = r#"{"id":"etna","text":"a volcano","vector":[0.75,0.5,-0.25]}
{"id":"bees","text":"honey","vector":[0,-0.5,1]}
{"id":"none","text":"no vector"}
"#;
const QUERIES: &str = r#"{"id":"q1","vector":[1,0,0]}
{"id":"q2","text":"honey","vector":[0,-1,1]}
"#;

fn loaded(options: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", LINES);
    scratch.write("queries.jsonl", QUERIES);
    let command = format!("index documents.jsonl --index index {options}");
    scratch.run(&command).done();
    scratch
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn arrays_are_loaded_and_searched() {
    for element in ["f32", "f16", "i8"] {
        let scratch = loaded(&format!("--dense-element {element}"));
        let found = scratch.run("search --index index --field dense [1,0,0] --json");
        let found = json(&found.done());
        assert_eq!(found["hits"][0]["id"], "etna");
        assert_eq!(found["hits"].as_array().unwrap().len(), 2);
        let off = found["hits"][0]["score"].as_f64().unwrap() - 0.75;
        assert!(off.abs() < 0.01, "{element}: {off}");
        // What is stored has no vector.
        assert_eq!(found["hits"][0]["document"]["vector"], Value::Null);
        let shown = scratch
            .run("search --index index --field dense [0,0,1]")
            .done();
        assert!(shown.contains("2 of 2 vectors scored"), "{shown}");
        scratch.run("check --index index").done();
    }
}

#[test]
fn a_vector_of_the_command_line_chooses_its_field() {
    let scratch = loaded("");
    let found = json(&scratch.run("search --index index [1,0,0] --json").done());
    assert_eq!(found["field"], "dense");
    let error = scratch
        .run("search --index index --field dense {\"a\":1}")
        .failed();
    assert!(
        error.contains("field `dense`: expected a JSON array of numbers")
            && error.contains("`text` (text)")
            && error.contains("found `{\"a\":1}`"),
        "{error}"
    );
    // Nothing is offered that the index lacks.
    scratch.write("words.tsv", "q\ta volcano\n");
    let error = scratch
        .run("calibrate --index index --queries words.tsv")
        .failed();
    assert!(
        error.contains("expected an index with a sparse field, found one that has `text` (text), `dense` (dense)"),
        "{error}"
    );
}

#[test]
fn a_file_of_queries_is_a_run() {
    let scratch = loaded("");
    let run = scratch.run("search --index index --queries queries.jsonl --field dense --k 1");
    assert_eq!(
        run.done(),
        "q1 Q0 etna 1 0.75 esparsa\nq2 Q0 bees 1 1.5 esparsa\n"
    );
    // Queries of vectors alone need no field named.
    scratch.write("vectors.jsonl", QUERIES.lines().next().unwrap());
    let run = scratch
        .run("search --index index --queries vectors.jsonl --k 1")
        .done();
    assert_eq!(run, "q1 Q0 etna 1 0.75 esparsa\n");
    let command = "bench --index index --queries vectors.jsonl --rounds 1 --k 2 --json";
    let figures = json(&scratch.run(command).done());
    assert_eq!(
        (&figures["field"], &figures["k"]),
        (&"dense".into(), &2.into())
    );
    assert_eq!(figures["hits_per_query"], 2.0);
    let table = scratch
        .run("bench --index index --queries vectors.jsonl --rounds 1")
        .done();
    assert!(table.contains("2.0 vectors a query"), "{table}");
    let explained = scratch
        .run("search --index index --field dense [1,0,0] --explain etna")
        .done();
    assert!(explained.starts_with("etna  score 0.75\n"), "{explained}");
}

#[test]
fn inspect_shows_the_field() {
    let scratch = loaded("--dense-element f16 --dense-metric cosine");
    let shown = scratch.run("inspect --index index").done();
    assert!(
        shown.contains("field `dense`: dense, 3 dimensions, f16, cosine; 2 vectors"),
        "{shown}"
    );
    assert!(shown.contains("vector-documents"), "{shown}");
    let fields = json(&scratch.run("inspect --index index --json").done());
    let dense = &fields["fields"][1];
    assert_eq!(dense["dense"]["dimensions"], 3);
    assert_eq!(dense["documents"], 2);
    assert!(fields["bytes_on_disk"]["vectors"].as_u64().unwrap() > 128);
    let message = scratch.run("inspect --index index --terms dense").failed();
    assert!(message.contains("no text or sparse field"), "{message}");
}

#[test]
fn the_first_vector_tells_the_dimensions_unless_an_option_does() {
    let scratch = Scratch::new();
    scratch.write("texts.jsonl", "{\"id\":\"a\",\"text\":\"x\"}\n");
    scratch.write("more.jsonl", "{\"id\":\"b\",\"vector\":[1,2]}\n");
    let message = scratch
        .run("index texts.jsonl --index index --dense-element i8")
        .failed();
    assert!(message.contains("--dense-dimensions"), "{message}");
    scratch
        .run("index texts.jsonl --index index --dense-dimensions 2")
        .done();
    scratch.run("index more.jsonl --index index").done();
    let snapshot = Index::open(scratch.path("index"))
        .unwrap()
        .snapshot()
        .unwrap();
    assert_eq!(snapshot.documents(), 2);
    for options in [
        "--dense-dimensions 3",
        "--dense-element f16",
        "--dense-metric cosine",
    ] {
        let command = format!("index texts.jsonl --index index {options}");
        let message = scratch.run(&command).failed();
        assert!(message.contains("contradict the index"), "{message}");
    }
    let command = "index more.jsonl --index other --dense-dimensions 70000";
    let message = scratch.run(command).failed();
    assert!(
        message.contains("more than the limit of 65536"),
        "{message}"
    );
}

#[test]
fn bad_vectors_are_refused_at_their_lines() {
    for (bad, expected) in [
        (
            "[1,2]",
            "document `x`: expected a vector of 3 numbers, found 2",
        ),
        (
            "[1,2,\"3\"]",
            "number 2 of the vector must be one that fits 32 bits, found the string `3`",
        ),
        ("[1,1e39,0]", "number 1 of the vector"),
        ("[1e30,0,0]", "the norm of the vector"),
        ("{\"a\":1}", "no sparse field"),
        (
            "7",
            "expected an object of term to weight or an array of numbers",
        ),
    ] {
        let scratch = loaded("");
        let line =
            format!("{{\"id\":\"good\",\"text\":\"x\"}}\n{{\"id\":\"x\",\"vector\":{bad}}}\n");
        scratch.write("bad.jsonl", line);
        let message = scratch.run("index bad.jsonl --index index").failed();
        assert!(message.contains("bad.jsonl:2: "), "{message}");
        assert!(message.contains(expected), "{message}");
        if bad.starts_with('{') {
            continue;
        }
        let ran = scratch.run("index bad.jsonl --index index --on-bad-input skip --json");
        assert_eq!(json(&ran.done())["bad_records"], 1);
    }
    let scratch = loaded("");
    for (query, expected) in [
        ("[1,2]", "expected a vector of 3 numbers"),
        ("{\"a\":1}", "expected a JSON array of numbers"),
        ("words", "JSON array of numbers"),
    ] {
        let command = format!("search --index index --field dense {query}");
        let message = scratch.run(&command).failed();
        assert!(message.contains(expected), "{message}");
    }
    let scratch = Scratch::new();
    scratch.write("texts.jsonl", "{\"id\":\"a\",\"text\":\"x\"}\n");
    scratch.write("more.jsonl", "{\"id\":\"b\",\"vector\":[1,2]}\n");
    scratch.run("index texts.jsonl --index index").done();
    let message = scratch.run("index more.jsonl --index index").failed();
    assert!(
        message.contains("more.jsonl:1: field `vector`: the index has no dense field"),
        "{message}"
    );
}
