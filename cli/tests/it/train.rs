//! `esparsa train`: models from a collection, whole runs of a tiny one.

use std::fmt::Write;

use serde_json::json;

use crate::command::Scratch;

/// A folder with a collection of 24 documents, each with a query, and a new model.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let subjects = ["lava", "honey", "ocean", "piano", "bread", "river"];
    let places = ["in the north", "by the sea", "of the old town", "at night"];
    let (mut corpus, mut queries) = (String::new(), String::new());
    let mut qrels = "query-id\tcorpus-id\tscore\n".to_owned();
    for subject in subjects {
        for (number, place) in places.iter().enumerate() {
            let id = format!("{subject}-{number}");
            let text = format!("A text about {subject} {place}, and what people say of {subject}.");
            writeln!(corpus, "{}", json!({"_id": id, "text": text})).unwrap();
            let text = format!("{subject} {place}");
            writeln!(queries, "{}", json!({"_id": id, "text": text})).unwrap();
            writeln!(qrels, "{id}\t{id}\t1").unwrap();
        }
    }
    std::fs::create_dir_all(scratch.path("data/qrels")).unwrap();
    scratch.write("data/corpus.jsonl", corpus);
    scratch.write("data/queries.jsonl", queries);
    for split in ["train", "dev"] {
        scratch.write(&format!("data/qrels/{split}.tsv"), &qrels);
    }
    scratch
        .run(
            "train new --texts data/corpus.jsonl --output base --tokens 100 --layers 1 --hidden 32 \
             --intermediate 64 --max-tokens 48",
        )
        .done();
    scratch.write(
        "run.toml",
        "base = \"base\"\ncollection = \"data\"\nbatch = 6\nmax-tokens = 40\nlearning-rate = 3e-3\n\
         initial-terms = 20\nsteps = 8\nevaluate-every = 4\ndevelopment-documents = 0\nthreads = 1\n",
    );
    scratch
}

#[test]
fn a_configuration_is_trained_and_the_model_is_indexed_and_searched() {
    let scratch = scratch();
    scratch
        .run("train splade run.toml --output out --seed 3")
        .done();
    for file in [
        "model/model.safetensors",
        "model/modules.json",
        "model/README.md",
        "train.jsonl",
        "train.html",
    ] {
        assert!(scratch.path("out").join(file).is_file(), "{file}");
    }
    let card = std::fs::read_to_string(scratch.path("out/model/README.md")).unwrap();
    assert!(
        card.contains("learning-rate") && card.contains("ndcg@10"),
        "{card}"
    );
    scratch
        .run("index data/corpus.jsonl --index idx --language en --sparse-model out/model")
        .done();
    let found = scratch
        .run("search --index idx --field sparse --model out/model --json lava")
        .done();
    assert!(found.contains("lava-"), "{found}");
}

#[test]
fn a_model_is_aligned_to_a_teacher_by_ids() {
    let scratch = scratch();
    scratch
        .run("train splade run.toml --output teacher --steps 4")
        .done();
    scratch.write(
        "ids.txt",
        "lava-0\nhoney-1\nocean-2\npiano-3\nbread-0\nriver-1\n",
    );
    scratch
        .run(
            "train align run.toml --output out --base teacher/model --teacher teacher/model \
             --documents data --parallel-documents data --parallel-ids ids.txt --echo 0.5",
        )
        .done();
    let card = std::fs::read_to_string(scratch.path("out/model/README.md")).unwrap();
    assert!(card.contains("Lexical echo"), "{card}");
    let encode = "encode data/corpus.jsonl --model out/model --output vectors.jsonl";
    scratch.run(encode).done();
}

#[test]
fn a_run_is_not_begun_over_another_but_goes_on_when_asked_to() {
    let scratch = scratch();
    scratch
        .run("train cross run.toml --output out --negatives 2")
        .done();
    let again = "train cross run.toml --output out --negatives 2";
    let error = scratch.run(again).failed();
    assert!(error.contains("resume"), "{error}");
    // There is nothing left to do.
    scratch.run(&format!("{again} --resume")).done();
    let error = scratch
        .run(&format!("{again} --learning-rate 1e-3 --resume"))
        .failed();
    assert!(error.contains("options"), "{error}");
    let error = scratch
        .run("train cross run.toml --output out --negatives 1 --resume")
        .failed();
    assert!(error.contains("data"), "{error}");
}

#[test]
fn a_vocabulary_is_cut_to_the_texts_that_use_it() {
    let scratch = scratch();
    scratch.write("few.txt", "lava in the north\nhoney at night\n");
    let ran = scratch.run("train cut --base base --texts few.txt --output cut");
    assert!(ran.stderr.contains("pieces stay"), "{}", ran.stderr);
    ran.done();
    let vectors = |model: &str| {
        let command = format!("encode few.txt --model {model} --kind dense --output {model}.jsonl");
        scratch.run(&command).done();
        std::fs::read_to_string(scratch.path(&format!("{model}.jsonl"))).unwrap()
    };
    assert_eq!(vectors("base"), vectors("cut"));
}

#[test]
fn what_is_wrong_is_named() {
    let scratch = scratch();
    scratch.write("typo.toml", "learning-rat = 1\n");
    for (command, named) in [
        ("train splade typo.toml", "learning-rat"),
        ("train splade missing.toml", "missing.toml"),
        (
            "train splade run.toml --output out --base nowhere",
            "nowhere",
        ),
        (
            "train splade run.toml --output out --losses softer",
            "softer",
        ),
        ("train bi run.toml --output out --split test", "test"),
        ("train bi run.toml", "output"),
        ("train align run.toml --output out", "teacher"),
        (
            "train align run.toml --output out --teacher base --documents data",
            "parallel-documents",
        ),
        ("train splade run.toml --output out --labels 3", "labels"),
        ("train new --texts nowhere.txt --output new", "nowhere.txt"),
    ] {
        let error = scratch.run(command).failed();
        assert!(error.contains(named), "{command}: {error}");
    }
    assert!(!scratch.path("out").join("model").exists());
}
