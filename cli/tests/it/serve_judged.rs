//! `esparsa serve` with relevance judgements, which mark the hits of judged queries.

use serde_json::{Value, json};

use crate::served::{Server, shop};

const SEARCH: &str = "/api/indexes/shop/search";

#[test]
fn hits_of_judged_queries_are_marked() {
    let scratch = shop();
    scratch.write("queries.tsv", "q1\tred  tea\nq2\tiron\nq3\tnot judged\n");
    scratch.write(
        "test.qrels",
        "q1 0 cup 2\nq1 0 mat 0\nq1 0 gone 1\nq2 0 pot 1\n",
    );
    let files = "--qrels test.qrels --queries shop=queries.tsv";
    let server = Server::start(&scratch, &format!("--index shop {files}"));
    let index = &server.get("/api/indexes").done()["indexes"][0];
    assert_eq!(index["judged_queries"], 2);
    let report = server.get(&format!("{SEARCH}?q=+red+tea++&fields=")).done();
    assert_eq!(
        report["judged"],
        json!({"query": "q1", "relevant": 2, "found": 1})
    );
    let hits = report["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 3);
    for hit in hits {
        let expected = match hit["id"].as_str().unwrap() {
            "cup" => json!(2),
            "mat" => json!(0),
            _ => Value::Null,
        };
        assert_eq!(hit["relevance"], expected, "{hit}");
    }
    let other = server.get(&format!("{SEARCH}?q=Red+tea")).done();
    assert!(other.get("judged").is_none());
    let suggested = |q: &str| {
        let answer = server.get(&format!("/api/indexes/shop/suggest?q={q}"));
        answer.done()["queries"].clone()
    };
    let first = json!({"text": "red tea", "relevant": 2});
    assert_eq!(suggested("TEA"), json!([first]));
    let second = json!({"text": "iron", "relevant": 1});
    assert_eq!(suggested(""), json!([first, second]));
}

#[test]
fn files_of_judgements_must_fit_together_and_to_an_index() {
    let scratch = shop();
    scratch.write("queries.tsv", "q1\tred tea\n");
    scratch.write("test.qrels", "q1 0 cup 2\n");
    for (arguments, expected) in [
        ("--qrels test.qrels", "--queries"),
        ("--queries queries.tsv", "--qrels"),
        ("--qrels x=test.qrels --queries queries.tsv", "`x`"),
        (
            "--qrels test.qrels --qrels shop=test.qrels --queries queries.tsv",
            "found two",
        ),
        ("--qrels test.qrels --queries products.jsonl", "none"),
        (
            "--index other=shop --qrels test.qrels --queries queries.tsv",
            "several indexes",
        ),
    ] {
        let message = scratch.run(&format!("serve --index shop {arguments}"));
        let message = message.failed();
        assert!(message.contains(expected), "{arguments}: {message}");
    }
}
