//! The commands that measure: `esparsa eval`, `calibrate` and `bench`.

use serde_json::Value;

use crate::search_fixture::{Fixture, ids, json};

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
        text.contains("a.run: 1 query without judgements, skipped"),
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
    assert!(error.contains("`vector` in query `1`"), "{error}");
    let help = fixture.done(&["calibrate", "--help"]);
    assert!(!help.contains("--k1") && !help.contains("BM25"), "{help}");
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
