//! Indexing and searching with models, from the outside, with small models with random weights.

use std::path::{Path, PathBuf};
use std::time::Instant;

use esparsa::eval::Run;
use esparsa::neural::DenseEncoder;
use esparsa::neural::{Cpu, CpuOptions};
use esparsa::{Index, Schema};
use serde_json::Value;

use crate::command::Scratch;

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/neural/models")
        .join(name)
}

/// A model as an argument.
fn folder(name: &str) -> String {
    model(name).display().to_string()
}

fn text(number: usize) -> String {
    let words = [
        "volcano", "lava", "bees", "honey", "rivers", "flow", "Ação", "25 %", "snow",
    ];
    let count = 3 + number * 7 % 40;
    let words = (0..count).map(|place| words[(number * 3 + place * place) % words.len()]);
    words.collect::<Vec<_>>().join(" ")
}

fn corpus(count: usize) -> String {
    let lines = (0..count).map(|number| {
        let text = text(number);
        format!(
            "{}\n",
            serde_json::json!({"_id": format!("d{number}"), "text": text})
        )
    });
    lines.collect()
}

/// An index of 50 documents with the vectors of two models, and three queries.
fn indexed() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(50));
    let queries = [3, 17, 40].map(|number| format!("q{number}\t{}\n", text(number)));
    scratch.write("queries.tsv", queries.concat());
    let (sparse, dense) = (folder("splade-max"), folder("st-mean"));
    let models = format!("--sparse-model {sparse} --dense-model {dense}");
    let ran = scratch.run(&format!(
        "index in.jsonl --index i {models} --threads 2 --json"
    ));
    let report: Value = serde_json::from_str(&ran.done()).unwrap();
    assert_eq!(report["documents"], 50);
    scratch
}

fn schema(scratch: &Scratch, index: &str) -> Schema {
    Index::open(scratch.path(index)).unwrap().schema().clone()
}

fn run(text: &str) -> Run {
    Run::read(text.as_bytes(), "run").unwrap()
}

fn first(run: &Run, query: &str) -> (String, f32) {
    let hit = run.ranked(query)[0];
    (hit.document.clone(), hit.score as f32)
}

#[test]
fn the_rate_of_a_search_with_a_model_includes_the_encoding() {
    let scratch = indexed();
    let queries = (0..1_500).map(|number| format!("q{number}\t{}\n", text(number)));
    scratch.write("many.tsv", queries.collect::<String>());
    let model = folder("st-mean");
    let search = format!("search --index i --model {model} --queries many.tsv --k 1");
    let started = Instant::now();
    let ran = scratch.run(&search);
    let wall = started.elapsed().as_secs_f64();
    let figure = ran.stderr.split(" in ").nth(1).unwrap();
    let seconds: f64 = figure.split(" s").next().unwrap().parse().unwrap();
    // The search alone takes a hundredth of it.
    assert!(seconds > 0.25 * wall, "{wall}: {}", ran.stderr);
    ran.done();
}

#[test]
fn words_find_what_models_made_of_documents() {
    let scratch = indexed();
    let schema = schema(&scratch, "i");
    for (field, name) in [("sparse", "splade-max"), ("dense", "st-mean")] {
        let noted = schema.model_of(field).unwrap();
        assert_eq!(noted.name, name);

        let model = folder(name);
        let search = format!("search --index i --field {field} --model {model}");
        let found = run(&scratch
            .run(&format!("{search} --queries queries.tsv --k 9"))
            .done());
        assert_eq!(found.ranked("q3").len(), 9);
        // Without a field named, it is the first that the model can search.
        let search = format!("search --index i --model {model} --queries queries.tsv --k 9");
        assert_eq!(run(&scratch.run(&search).done()), found);
        let json = format!("search --index i --field {field} --model {model} --json volcano");
        let one: Value = serde_json::from_str(&scratch.run(&json).done()).unwrap();
        assert_eq!(one["field"], field);
        assert!(!one["hits"].as_array().unwrap().is_empty());
    }
}

#[test]
fn scores_of_a_dense_field_are_those_of_the_library() {
    let scratch = indexed();
    let search = format!(
        "search --index i --model {} --queries queries.tsv --k 50",
        folder("st-mean")
    );
    let found = run(&scratch.run(&search).done());
    let cpu = Cpu::new(CpuOptions::default()).unwrap();
    let encoder = DenseEncoder::open(model("st-mean"), cpu).unwrap();
    let texts: Vec<String> = (0..50).map(text).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let documents = encoder.encode_documents(&texts).unwrap();
    for number in [3, 17, 40] {
        let query = encoder.encode_queries(&[texts[number]]).unwrap().remove(0);
        let ranked = found.results(&format!("q{number}")).unwrap();
        assert_eq!(ranked.len(), 50);
        for hit in ranked {
            let document = &documents[hit.document[1..].parse::<usize>().unwrap()];
            let product: f32 = query.iter().zip(document).map(|(a, b)| a * b).sum();
            assert!((hit.score as f32 - product).abs() < 1e-5);
        }
        let (_, best) = first(&found, &format!("q{number}"));
        assert!(
            (best - 1.0).abs() < 1e-5,
            "a text is nearest to itself: {best}"
        );
    }
}

#[test]
fn encoding_while_indexing_and_before_are_the_same() {
    let scratch = indexed();
    let queries = "--queries queries.tsv --k 20";
    for (field, name) in [("dense", "st-mean"), ("sparse", "splade-max")] {
        let model = folder(name);
        let before = scratch
            .run(&format!("search --index i --model {model} {queries}"))
            .done();
        let vectors = format!("{field}.jsonl");
        scratch
            .run(&format!(
                "encode in.jsonl --model {model} --output {vectors}"
            ))
            .done();
        let index = format!("{field}.index");
        let max_weight = match field {
            // The same scale of weights.
            "sparse" => {
                let report = scratch.run("inspect --index i --json").done();
                let report: Value = serde_json::from_str(&report).unwrap();
                let fields = report["fields"].as_array().unwrap();
                let found = fields
                    .iter()
                    .find_map(|field| field["expected_max_weight"].as_f64());
                format!("--max-weight {}", found.unwrap())
            }
            _ => String::new(),
        };
        scratch
            .run(&format!(
                "index {vectors} --index {index} {max_weight} --quiet"
            ))
            .done();
        let after = scratch
            .run(&format!("search --index {index} --model {model} {queries}"))
            .done();
        assert_eq!(run(&after), run(&before), "{field}");
    }
}

#[test]
fn another_model_is_refused_with_words() {
    let scratch = indexed();
    let error = scratch
        .run(&format!(
            "search --index i --model {} lava",
            folder("st-cls")
        ))
        .failed();
    assert!(error.contains("expected the model `st-mean` ("), "{error}");
    assert!(error.contains("found `st-cls` ("), "{error}");
    let error = scratch.run(&format!(
        "search --index i --field dense --model {} lava",
        folder("splade-max")
    ));
    assert!(error.failed().contains("dense"));
    let error = scratch.run("search --index i --field dense lava").failed();
    assert!(error.contains("--model"), "{error}");

    scratch.write("more.jsonl", "{\"_id\":\"new\",\"text\":\"lava\"}\n");
    let add = |model: &str| {
        format!(
            "index more.jsonl --index i --dense-model {} --quiet",
            folder(model)
        )
    };
    let error = scratch.run(&add("st-cls")).failed();
    assert!(error.contains("expected the model `st-mean`"), "{error}");
    scratch.run(&add("st-mean")).done();
    scratch.run("index more.jsonl --index plain --quiet").done();
    let add = format!(
        "index more.jsonl --index plain --dense-model {} --quiet",
        folder("st-mean")
    );
    let error = scratch.run(&add).failed();
    assert!(error.contains("the index has no dense field"), "{error}");
}

#[test]
fn documents_without_text_have_no_vector_and_bad_ones_are_named() {
    let scratch = Scratch::new();
    let long = "lava ".repeat(500);
    scratch.write(
        "in.jsonl",
        format!(
            "{{\"_id\":\"a\",\"text\":\"lava\"}}\n{{\"_id\":\"b\"}}\n{{\n{{\"_id\":\"long\",\"text\":\"{long}\"}}\n{{\"_id\":\"e\",\"text\":\"bees\"}}\n"
        ),
    );
    let model = folder("st-mean");
    let index = format!("index in.jsonl --index i --dense-model {model} --long refuse");
    let error = scratch.run(&index).failed();
    assert!(error.contains("in.jsonl:3: "), "{error}");
    let ran = scratch.run(&format!("{index} --on-bad-input skip"));
    assert!(
        ran.stderr
            .contains("in.jsonl:4: document `long` cannot be encoded"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stdout.contains("2 bad records skipped"),
        "{}",
        ran.stdout
    );
    ran.done();
    let found = scratch
        .run(&format!(
            "search --index i --model {model} lava --json --k 9"
        ))
        .done();
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["documents"], 3);
    let ids: Vec<&str> = found["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["a", "e"]);
}

#[test]
fn duplicates_are_told_before_anything_is_encoded() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(3) + &corpus(1));
    let model = folder("st-mean");
    let index = format!("index in.jsonl --dense-model {model} --json --index");
    let encode = format!("encode in.jsonl --model {model} --on-duplicate");
    for command in [
        format!("{index} i --on-duplicate fail"),
        format!("{encode} fail"),
    ] {
        let error = scratch.run(&command).failed();
        assert!(
            error.contains("in.jsonl:4: duplicate id `d0`, already used by line 1"),
            "{error}"
        );
    }
    let report = scratch
        .run(&format!("{index} i --on-duplicate skip"))
        .done();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report["documents"], &report["duplicates"]),
        (&3.into(), &1.into())
    );
    assert_eq!(
        scratch
            .run(&format!("{encode} skip"))
            .done()
            .lines()
            .count(),
        3
    );
    assert_eq!(
        scratch
            .run(&format!("{encode} replace"))
            .done()
            .lines()
            .count(),
        4
    );
}

#[test]
fn a_load_with_a_model_can_be_resumed() {
    let scratch = Scratch::new();
    // More than a window of texts before the line that ends the load.
    scratch.write(
        "in.jsonl",
        corpus(1_100) + "broken\n" + &corpus(1_130)[corpus(1_100).len()..],
    );
    let models = format!("--sparse-model {} --quiet", folder("splade-max"));
    let load = |index: &str| {
        format!("index in.jsonl --index {index} {models} --json --threads 1 --max-weight 4")
    };
    scratch
        .run(&format!(
            "{} --on-bad-input skip --segments 1",
            load("whole")
        ))
        .done();

    let every = "--commit-every 1 --resume";
    scratch.run(&format!("{} {every}", load("i"))).failed();
    let plain = "index in.jsonl --index i --commit-every 1 --resume --on-bad-input skip";
    let error = scratch.run(plain).failed();
    assert!(error.contains("models: sparse splade-max"), "{error}");
    let report = scratch
        .run(&format!(
            "{} {every} --on-bad-input skip --segments 1",
            load("i")
        ))
        .done();
    let report: Value = serde_json::from_str(&report).unwrap();
    let documents = report["documents"].as_u64().unwrap();
    assert_eq!(documents + report["resumed_after"].as_u64().unwrap(), 1_130);
    assert!(documents < 1_000, "{documents}");
    assert_eq!(report["index_documents"], 1_130);
    scratch.write("queries.tsv", format!("q\t{}\n", text(17)));
    let search = |index: &str| {
        let model = folder("splade-max");
        scratch
            .run(&format!(
                "search --index {index} --model {model} --queries queries.tsv --k 1000"
            ))
            .done()
    };
    assert_eq!(run(&search("i")), run(&search("whole")));
}

#[test]
fn the_number_of_threads_changes_no_score() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(300));
    let model = folder("st-cls");
    let found = [1, 3].map(|threads| {
        let index = format!(
            "index in.jsonl --index i{threads} --dense-model {model} --threads {threads} --quiet"
        );
        scratch.run(&index).done();
        let search = format!(
            "search --index i{threads} --model {model} --model-threads {threads} --k 300 --json"
        );
        let one: Value =
            serde_json::from_str(&scratch.run(&format!("{search} lava")).done()).unwrap();
        one["hits"].clone()
    });
    assert_eq!(found[0], found[1]);
}

#[test]
fn the_demo_shows_what_models_add() {
    let scratch = Scratch::new();
    let models =
        ["st-mean", "splade-max", "ce-bert"].map(|name| format!("--model {}", folder(name)));
    let shown = scratch
        .run(&format!("demo {} --keep kept", models.join(" ")))
        .done();
    for row in [
        "BM25",
        "st-mean (dense)",
        "BM25 + st-mean",
        "splade-max (sparse)",
        "BM25, then ce-bert",
    ] {
        assert!(shown.contains(row), "{shown}");
    }
    let noted = schema(&scratch, "kept/ko");
    assert_eq!(noted.model_of("dense").unwrap().name, "st-mean");
    let plain = scratch.run("demo").done();
    assert!(!plain.contains("BM25 + "), "{plain}");
    let error = scratch
        .run(&format!("demo {} {}", models[0], models[0]))
        .failed();
    assert!(error.contains("more than one model"), "{error}");
}
