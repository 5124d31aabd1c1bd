//! `esparsa search` with one query: fields, options, and what is printed.

use std::sync::Arc;

use esparsa::eval::Run;
use esparsa::store::FileSystem;
use esparsa::text::{Analyzer, Tokenizer, Word};
use esparsa::{Document, Index, IndexOptions, Schema, Sparse, Text};

use crate::search_fixture::{Fixture, ids, json};

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
fn all_matches_are_counted_when_asked() {
    let fixture = Fixture::new();
    let all = json(&fixture.search(&["volcano river", "--json"]));
    let count = ids(&all).len();
    assert!(all.get("count").is_none() && count > 1);
    let counted = ["volcano river", "--count", "--k", "1"];
    let text = fixture.search(&counted);
    assert!(
        text.contains(&format!("1 of {count} results of 6 documents")),
        "{text}"
    );
    let report = json(&fixture.search(&[&counted[..], &["--json"]].concat()));
    assert_eq!((ids(&report).len(), &report["count"]), (1, &count.into()));
}

#[test]
fn several_indexes_are_searched_as_one() {
    let fixture = Fixture::new();
    let once = json(&fixture.search(&["volcano", "--json"]));
    let twice = json(&fixture.search(&["volcano", "--json", "--index", "index"]));
    assert_eq!(ids(&twice).len(), 2 * ids(&once).len());
    let other = Schema::builder().text("contents", Text::new());
    Index::create(fixture.path("other"), other.build().unwrap()).unwrap();
    let arguments = ["search", "--index", "index", "--index", "other", "volcano"];
    let refused = fixture.failed(&arguments, 1);
    assert!(refused.contains("number 2 differs"), "{refused}");
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
fn a_vector_searches_the_only_field_of_its_kind() {
    let fixture = Fixture::new();
    let report = json(&fixture.search(&[r#"{"po": 1}"#, "--json"]));
    assert_eq!(
        (ids(&report), &report["field"]),
        (vec!["po"], &"splade".into())
    );
    // An array of anything but numbers is words.
    let report = json(&fixture.search(&[r#"["river"]"#, "--json"]));
    assert_eq!(report["field"], "contents");
    assert_eq!(ids(&report).len(), 2);
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
fn a_query_that_finds_nothing_is_told_why() {
    let fixture = Fixture::new();
    let cases: [(&[&str], &str); 5] = [
        (&[""], "expected a query with at least one word, found ``"),
        (&["!!!"], "at least one word, found `!!!`"),
        (&["the"], "is a stop word (the)"),
        (
            &["volcano the zeppelin", "--all-terms"],
            "no document has `zeppelin`, and --all-terms",
        ),
        (
            &["volcano twins", "--all-terms"],
            "no document has all words of the query",
        ),
    ];
    for (arguments, expected) in cases {
        let output = fixture.run(&[&["search", "--index", "index"], arguments].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(output.stdout.starts_with(b"No results"), "{arguments:?}");
    }
    let output = fixture.run(&["search", "--index", "index", "zeppelin"]);
    assert!(output.stderr.is_empty(), "{:?}", output.stderr);
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
