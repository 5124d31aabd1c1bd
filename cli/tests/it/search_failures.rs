//! Wrong usage and failures of the commands that search and measure.

use crate::search_fixture::Fixture;

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
        (
            "search --index index a --k -1",
            "expected a whole number from 1 to 10,000,000, found -1",
        ),
        (
            "search --index index a --k 99999999999999999999999999",
            "from 1 to 10,000,000, found 99999999999999999999999999",
        ),
        ("delete --index index", "--from"),
        (
            "search --index index a --recall -0.5",
            "up to 1, such as 0.97, found -0.5",
        ),
        (
            "search --index index a --min-score NaN",
            "expected a finite number, such as 7.5, found NaN",
        ),
        ("search --index index a --min-score 1 --sort year", "--sort"),
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
    fixture.write("header.qrels", "query-id\tcorpus-id\tscore\n");
    fixture.write(
        "lines.jsonl",
        "{\"_id\": \"train\", \"text\": \"a b c d\"}\n",
    );
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
            "search --index index [1,2]",
            "`contents` (text), `splade` (sparse)",
        ),
        (
            "search --index index {\"bee\":-1}",
            "error: field `splade`: expected a weight of at least 0",
        ),
        (
            "search --index index {\"bee\":1e40}",
            "at most 3.4e38 for term `bee`, found `1e+40`",
        ),
        (
            "search --index index [1] --field splade",
            "field `splade`: expected a JSON object",
        ),
        (
            "calibrate --index index --queries queries.tsv",
            "`vector` in query `1`, found none; add it, as `esparsa encode --query` does",
        ),
        (
            "calibrate --index index --queries queries.tsv --field contents",
            "field `contents`: expected a sparse field, found one of another kind",
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
        (
            "eval --qrels empty.tsv a.run",
            "empty.tsv: expected relevance judgements, found none",
        ),
        (
            "eval --qrels header.qrels a.run",
            "header.qrels: expected relevance judgements, found none",
        ),
        (
            "search --index index --queries queries.tsv --qrels empty.tsv",
            "empty.tsv: expected relevance judgements, found none",
        ),
        (
            "eval --qrels test.qrels lines.jsonl",
            "lines.jsonl: expected a run in TREC format",
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
