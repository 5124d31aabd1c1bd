//! Columns from the keys of records, and searches that filter by them.

use std::process::Command;

use crate::command::{Ran, Scratch};
use crate::two_documents::json;

const PRODUCTS: &str = r#"{"_id":"cup","text":"A red tea cup.","price":4.5,"color":["red","white"],"since":"2024-02-01"}
{"_id":"pot","text":"A tea pot.","price":20,"color":["red"],"since":"2023-11-30T12:00:00+01:00"}
{"_id":"mat","text":"A tea mat."}
"#;

const COLUMNS: &str = "--column price:f64 --column color:keyword:several --column since:date";

fn indexed() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("products.jsonl", PRODUCTS);
    scratch
        .run(&format!(
            "index products.jsonl --index shop {COLUMNS} --language en"
        ))
        .done();
    scratch
}

/// Searches with arguments that have blanks.
fn search(scratch: &Scratch, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_esparsa"))
        .args(["search", "--index", "shop", "tea"])
        .args(arguments)
        .current_dir(scratch.path(""))
        .output()
        .unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn ids(scratch: &Scratch, arguments: &[&str]) -> Vec<String> {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let report = json(&search(scratch, &arguments).done());
    let hits = report["hits"].as_array().unwrap();
    let mut ids: Vec<String> = hits
        .iter()
        .map(|hit| hit["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn searches_are_filtered_by_columns() {
    let scratch = indexed();
    let cheap = r#"{"range": {"price": {"lt": 10}}}"#;
    let red = r#"{"term": {"color": "red"}}"#;
    let white = r#"{"term": {"color": "white"}}"#;
    let old = r#"{"range": {"since": {"lt": "2024-01-01"}}}"#;
    assert_eq!(ids(&scratch, &[]), ["cup", "mat", "pot"]);
    assert_eq!(ids(&scratch, &["--filter", cheap]), ["cup"]);
    assert_eq!(
        ids(&scratch, &["--filter", red, "--without", white]),
        ["pot"]
    );
    assert_eq!(ids(&scratch, &["--filter", old, "--filter", red]), ["pot"]);
    assert_eq!(
        ids(&scratch, &["--without", r#"{"exists": "price"}"#]),
        ["mat"]
    );
    let in_order = |arguments: &[&str]| {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let report = json(&search(&scratch, &arguments).done());
        let hits = report["hits"].as_array().unwrap().iter();
        let ids = hits.map(|hit| hit["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(in_order(&["--sort", "price"]), ["cup", "pot", "mat"]);
    assert_eq!(
        in_order(&["--sort", "price:desc", "--offset", "1"]),
        ["cup", "mat"]
    );
    let report = json(&search(&scratch, &["--json"]).done());
    let scores = report["hits"].as_array().unwrap().iter();
    let scores: Vec<f64> = scores.map(|hit| hit["score"].as_f64().unwrap()).collect();
    let reached = scores.iter().filter(|score| **score >= scores[1]).count();
    let min = scores[1].to_string();
    assert_eq!(in_order(&["--min-score", &min]).len(), reached);
    assert_eq!(in_order(&["--min-score", "-1.5"]).len(), 3);
    let nothing = search(&scratch, &["--min-score", "1e9", "--count"]).done();
    assert!(nothing.contains("this min score"), "{nothing}");
    let failed = search(&scratch, &["--sort", "size"]).failed();
    assert!(failed.contains("field `size`"), "{failed}");
    let explained = search(&scratch, &["--filter", cheap, "--explain", "pot"]).done();
    assert!(
        explained.contains("a filter of the query rejects"),
        "{explained}"
    );

    scratch.write("queries.jsonl", "{\"_id\":\"q\",\"text\":\"tea\"}\n");
    let output = Command::new(env!("CARGO_BIN_EXE_esparsa"))
        .args([
            "search",
            "--index",
            "shop",
            "--queries",
            "queries.jsonl",
            "--filter",
            red,
        ])
        .current_dir(scratch.path(""))
        .output()
        .unwrap();
    let run = String::from_utf8(output.stdout).unwrap();
    assert_eq!(run.lines().count(), 2, "{run}");
}

#[test]
fn columns_are_kept_when_documents_are_replaced_merged_and_checked() {
    let scratch = indexed();
    scratch.write(
        "more.jsonl",
        r#"{"_id":"mat","text":"tea","price":3,"color":"blue"}"#,
    );
    scratch
        .run("index more.jsonl --index shop --segments 1")
        .done();
    scratch.run("check --index shop").done();
    let cheap = r#"{"range": {"price": {"lte": 4.5}}}"#;
    assert_eq!(ids(&scratch, &["--filter", cheap]), ["cup", "mat"]);
    let inspected = scratch.run("inspect --index shop").done();
    assert!(
        inspected.contains("color") && inspected.contains("keyword"),
        "{inspected}"
    );
}

#[test]
fn what_matches_a_query_is_deleted() {
    let scratch = indexed();
    let delete = |query: &str, more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_esparsa"))
            .args(["delete", "--index", "shop", "--query", query])
            .args(more)
            .current_dir(scratch.path(""))
            .output()
            .unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    };
    let out = delete(
        r#"{"text": {"text": "tea"}, "filter": {"term": {"color": "white"}}}"#,
        &[],
    );
    assert_eq!(
        out.done(),
        "1 document deleted; the index holds 2 documents\n"
    );
    assert_eq!(ids(&scratch, &[]), ["mat", "pot"]);
    let report = json(&delete(r#"{"exists": "price"}"#, &["--json"]).done());
    assert_eq!(
        (&report["deleted"], &report["documents"]),
        (&1.into(), &1.into())
    );
    assert!(report.get("given").is_none());
    let failed = delete(r#"{"exists": "weight"}"#, &[]).failed();
    assert!(failed.contains("field `weight`"), "{failed}");
    assert_eq!(delete(r#"{"exist": "price"}"#, &[]).code, Some(2));
    assert_eq!(delete(r#"{"all": {}}"#, &["mat"]).code, Some(2));
    assert_eq!(ids(&scratch, &[]), ["mat"]);
}

#[test]
fn a_column_is_added_to_an_index() {
    let scratch = indexed();
    scratch.write(
        "more.jsonl",
        r#"{"_id":"set","text":"tea set","price":40,"size":6}"#,
    );
    let load = |columns: &str| {
        let load = format!("index more.jsonl --index shop {columns}");
        scratch.run(&load).done();
        let summary = json(&scratch.run("inspect --index shop --json").done());
        summary["commit"].as_u64().unwrap()
    };
    let commit = load("--column size:i64 --column price:f64");
    // The same columns again are no change.
    assert_eq!(load("--column size:i64"), commit + 1);
    scratch.run("check --index shop").done();
    let sized = r#"{"exists": "size"}"#;
    assert_eq!(ids(&scratch, &["--filter", sized]), ["set"]);
    let dear = r#"{"range": {"price": {"gte": 20}}}"#;
    assert_eq!(ids(&scratch, &["--filter", dear]), ["pot", "set"]);
    assert_eq!(ids(&scratch, &[]), ["cup", "mat", "pot", "set"]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let scratch = indexed();
    scratch.write(
        "bad.jsonl",
        "{\"_id\":\"x\",\"text\":\"tea\"}\n{\"_id\":\"y\",\"price\":\"dear\"}\n",
    );
    let failed = scratch.run("index bad.jsonl --index shop").failed();
    assert!(
        failed.contains("bad.jsonl:2: field `price`: document `y`: expected a number"),
        "{failed}"
    );
    let failed = scratch
        .run("index products.jsonl --index shop --column price:i64")
        .failed();
    assert!(failed.contains("contradicts the index"), "{failed}");
    let failed = scratch
        .run("index products.jsonl --index shop --column text:keyword")
        .failed();
    assert!(
        failed.contains("field `text`: expected a column"),
        "{failed}"
    );
    let ran = scratch.run("index products.jsonl --index new --column price:money");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("i64, u64, f64, bool, date, keyword"),
        "{}",
        ran.stderr
    );
    let ran = search(
        &scratch,
        &["--filter", r#"{"range": {"price": {"over": 3}}}"#],
    );
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("expected `gt`, `gte`, `lt` or `lte`"),
        "{}",
        ran.stderr
    );
    let failed = search(&scratch, &["--filter", r#"{"term": {"size": 3}}"#]).failed();
    assert!(failed.contains("field `size`"), "{failed}");
    let failed = scratch
        .run("search --index shop --field price tea")
        .failed();
    assert!(
        failed.contains("no field that can be searched has this name"),
        "{failed}"
    );
}

#[test]
fn records_of_columns_alone_are_documents() {
    let scratch = Scratch::new();
    scratch.write(
        "log.jsonl",
        "{\"id\":\"a\",\"ms\":3}\n{\"id\":\"b\",\"ms\":7}\n",
    );
    scratch
        .run("index log.jsonl --index log --language simple --column ms:u64")
        .done();
    scratch.run("check --index log").done();
}
