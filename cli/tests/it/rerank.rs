//! `esparsa rerank` and `search --rerank`, with small models with random weights.

use std::fs;

use esparsa::eval::Run;
use esparsa::neural::CrossEncoder;
use esparsa::rank::Scorer;
use serde_json::Value;

use crate::command::Scratch;
use crate::small_models::{contents, corpus, cpu, encode, model, vectors};

/// Documents, two queries, and a run of all documents for both.
fn to_rerank() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(30));
    scratch.write("queries.tsv", "1\twhat is lava\n2\twho makes honey\n");
    let line =
        |query: usize, number: usize| format!("{query} Q0 d{number} 1 {} bm25\n", 100 - number);
    let lines = [1, 2].map(|query| {
        (0..30)
            .map(|number| line(query, number))
            .collect::<String>()
    });
    scratch.write("first.run", lines.concat());
    scratch
}

#[test]
fn a_run_is_scored_again_from_files_and_from_an_index() {
    let scratch = to_rerank();
    let folder = model("ce-bert");
    let arguments = format!(
        "rerank --model {} --run first.run --queries queries.tsv --k 20",
        folder.display()
    );
    let ran = scratch.run(&format!(
        "{arguments} --corpus in.jsonl --output second.run --threads 2"
    ));
    assert!(
        ran.stderr.contains("2 queries, 40 documents in "),
        "{}",
        ran.stderr
    );
    ran.done();
    let run = Run::open(scratch.path("second.run")).unwrap();
    let encoder = CrossEncoder::open(&folder, cpu()).unwrap();
    let texts: Vec<String> = (0..20).map(contents).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (id, query) in [("1", "what is lava"), ("2", "who makes honey")] {
        let expected = encoder.scores(query, &texts).unwrap();
        let ranked = run.ranked(id);
        assert_eq!(ranked.len(), 20);
        for hit in ranked {
            let number: usize = hit.document[1..].parse().unwrap();
            assert_eq!(hit.score as f32, expected[number]);
        }
    }

    scratch.run("index in.jsonl --index i --quiet").done();
    let from_index = scratch.run(&format!("{arguments} --index i")).done();
    assert_eq!(
        from_index,
        fs::read_to_string(scratch.path("second.run")).unwrap()
    );
}

#[test]
fn a_search_is_reranked_by_a_model() {
    let scratch = to_rerank();
    let folder = model("ce-bert");
    scratch.run("index in.jsonl --index i --quiet").done();
    let search = |more: &str| format!("search --index i --queries queries.tsv {more}");
    let first = scratch.run(&search("--k 10 --output first.run")).done();
    assert_eq!(first, "");
    let expected = format!(
        "rerank --model {} --run first.run --queries queries.tsv --index i --k 10",
        folder.display()
    );
    let expected = Run::read(scratch.run(&expected).done().as_bytes(), "expected").unwrap();
    let rerank = format!(
        "--rerank {} --rerank-k 10 --k 4 --model-threads 2",
        folder.display()
    );
    let found = scratch.run(&search(&rerank)).done();
    let found = Run::read(found.as_bytes(), "found").unwrap();
    for query in ["1", "2"] {
        let scores = |run: &Run| {
            run.ranked(query)
                .iter()
                .take(4)
                .map(|hit| hit.score as f32)
                .collect::<Vec<_>>()
        };
        assert_eq!(found.ranked(query).len(), 4);
        assert_eq!(scores(&found), scores(&expected));
    }
    let one = scratch
        .run(&format!("search --index i lava --json {rerank}"))
        .done();
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["hits"].as_array().unwrap().len(), 4);

    scratch
        .run("index in.jsonl --index bare --no-stored --quiet")
        .done();
    let error = scratch
        .run(&format!("search --index bare lava {rerank}"))
        .failed();
    assert!(error.contains("the index stores none"), "{error}");
}

#[test]
fn late_interaction_scores_runs_too() {
    let scratch = to_rerank();
    let folder = model("colbert");
    let arguments = format!(
        "rerank --model {} --run first.run --queries queries.tsv --corpus in.jsonl",
        folder.display()
    );
    let run = Run::read(scratch.run(&arguments).done().as_bytes(), "run").unwrap();
    assert_eq!((run.len(), run.ranked("1").len()), (2, 30));
    assert_ne!(run.ranked("1")[0].document, "d0");
}

#[test]
fn what_a_run_lacks_is_named() {
    let scratch = to_rerank();
    let arguments = |model_name: &str, more: &str| {
        format!(
            "rerank --model {} --run first.run --queries queries.tsv {more}",
            model(model_name).display()
        )
    };
    scratch.write("part.jsonl", corpus(29));
    let error = scratch
        .run(&arguments("ce-bert", "--corpus part.jsonl"))
        .failed();
    assert!(error.contains("document `d29`"), "{error}");
    let error = scratch
        .run(&arguments("splade-max", "--corpus in.jsonl"))
        .failed();
    assert!(error.contains("expected a cross-encoder"), "{error}");
    scratch
        .run("index in.jsonl --index bare --no-stored --quiet")
        .done();
    let error = scratch.run(&arguments("ce-bert", "--index bare")).failed();
    assert!(error.contains("stores no documents"), "{error}");
    scratch.write("queries.tsv", "1\twhat is lava\n");
    let error = scratch
        .run(&arguments("ce-bert", "--corpus in.jsonl"))
        .failed();
    assert!(error.contains("the text of query `2`"), "{error}");
}

#[test]
fn devices_that_are_not_there_are_errors_with_advice() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(3));
    let on = |device: &str| scratch.run(&encode(&model("st-mean"), &format!("--device {device}")));
    assert_eq!(vectors(&on("cpu").done()).len(), 3);
    assert_eq!(vectors(&on("auto").done()).len(), 3);
    // No machine has that many GPUs.
    let error = on("cuda:99").failed();
    let advice = match cfg!(feature = "cuda") {
        true => ["driver", "GPU"],
        false => ["--features cuda", "without CUDA"],
    };
    assert!(advice.iter().any(|word| error.contains(word)), "{error}");
    assert!(on("gpu").stderr.contains("cpu, cuda, cuda:N or auto"));
}

#[test]
fn an_output_that_is_an_input_is_refused_before_the_model_is_opened() {
    let scratch = to_rerank();
    for output in ["first.run", "queries.tsv", "in.jsonl"] {
        let before = fs::read(scratch.path(output)).unwrap();
        let arguments = "rerank --model nowhere --run first.run --queries queries.tsv --corpus .";
        let error = scratch
            .run(&format!("{arguments} --output {output}"))
            .failed();
        assert!(error.contains("none of the inputs"), "{output}: {error}");
        assert_eq!(fs::read(scratch.path(output)).unwrap(), before, "{output}");
    }
}
