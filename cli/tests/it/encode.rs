//! `esparsa encode`, with small models with random weights.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use esparsa::neural::{DenseEncoder, SparseEncoder};
use serde_json::Value;

use crate::command::Scratch;
use crate::small_models::{contents, corpus, cpu, encode, model, vectors};

/// A model's folder in the scratch folder, to be changed there.
fn copy_of(scratch: &Scratch, name: &str) -> PathBuf {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &to),
                false => {
                    fs::copy(entry.path(), to).unwrap();
                }
            }
        }
    }
    let to = scratch.path(name);
    copy(&model(name), &to);
    to
}

#[test]
fn dense_vectors_are_arrays_in_the_order_of_documents() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(120));
    let ran = scratch.run(&encode(&model("st-mean"), "--threads 2"));
    assert!(ran.stderr.contains("120 documents, "), "{}", ran.stderr);
    assert!(ran.stderr.contains("tokens/s"), "{}", ran.stderr);
    let found = vectors(&ran.done());
    let texts: Vec<String> = (0..120).map(contents).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let encoder = DenseEncoder::open(model("st-mean"), cpu()).unwrap();
    let expected = encoder.encode_documents(&texts).unwrap();
    assert_eq!(found.len(), 120);
    for (number, ((id, vector), expected)) in found.into_iter().zip(expected).enumerate() {
        assert_eq!(id, format!("d{number}"));
        let vector: Vec<f32> = serde_json::from_value(vector).unwrap();
        assert_eq!(vector, expected);
    }
}

#[test]
fn sparse_vectors_are_objects_that_can_be_indexed_and_searched() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(60));
    let folder = model("splade-max");
    scratch
        .run(&encode(&folder, "--output vectors.jsonl --quiet"))
        .done();
    let found = vectors(&fs::read_to_string(scratch.path("vectors.jsonl")).unwrap());
    let encoder = SparseEncoder::open(&folder, cpu()).unwrap();
    for number in [0, 1, 59] {
        let expected = &encoder.encode_documents(&[&contents(number)]).unwrap()[0];
        let object = found[number].1.as_object().unwrap();
        assert_eq!(object.len(), expected.len());
        for (term, weight) in expected {
            let found = object[&encoder.term(*term)].as_f64().unwrap();
            assert_eq!(found as f32, *weight);
        }
    }
    scratch.run("index vectors.jsonl --index i --quiet").done();
    let mut query: Vec<(&String, f64)> = found[7]
        .1
        .as_object()
        .unwrap()
        .iter()
        .map(|(term, weight)| (term, weight.as_f64().unwrap()))
        .collect();
    query.truncate(200);
    let query: serde_json::Map<String, Value> = query
        .into_iter()
        .map(|(term, weight)| (term.clone(), weight.into()))
        .collect();
    scratch.write(
        "q.jsonl",
        format!("{{\"id\":\"q\",\"vector\":{}}}\n", Value::Object(query)),
    );
    let run = scratch
        .run("search --index i --field sparse --queries q.jsonl --k 5")
        .done();
    assert_eq!(run.lines().count(), 5, "{run}");
}

#[test]
fn queries_of_an_inference_free_model_come_from_its_table() {
    let scratch = Scratch::new();
    scratch.write(
        "in.jsonl",
        "{\"_id\":\"q1\",\"text\":\"lava lava volcano\"}\n",
    );
    let folder = model("splade-inference-free");
    let found = vectors(&scratch.run(&encode(&folder, "--query")).done());
    let encoder = SparseEncoder::open(&folder, cpu()).unwrap();
    assert!(encoder.is_inference_free());
    let expected = &encoder.encode_queries(&["lava lava volcano"]).unwrap()[0];
    assert_eq!(found[0].1.as_object().unwrap().len(), expected.len());
    let documents = vectors(&scratch.run(&encode(&folder, "")).done());
    assert_ne!(documents[0].1, found[0].1);
}

#[test]
fn inputs_of_all_formats_are_encoded_alike() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(5));
    let tsv: String = (0..5)
        .map(|number| format!("d{number}\t{}\n", contents(number)))
        .collect();
    scratch.write("in.tsv", &tsv);
    let model = model("st-cls");
    let expected = scratch.run(&encode(&model, "")).done();
    let run = |arguments: &str| format!("encode {arguments} --model {} --quiet", model.display());
    assert_eq!(scratch.run(&run("in.tsv")).done(), expected);
    let piped = scratch.run_with_input(&run("- --format tsv"), tsv.as_bytes());
    assert_eq!(piped.done(), expected);
}

/// Valid documents around bad ones: without text, without JSON, without an id.
const BAD: &str = "{\"_id\":\"a\",\"text\":\"lava\"}\n{\"_id\":\"b\",\"text\":\" \"}\n{\n{\"text\":\"x\"}\n{\"_id\":\"e\",\"text\":\"honey\"}\n";

#[test]
fn only_judged_texts_are_encoded_on_request() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(9));
    scratch.write(
        "qrels.tsv",
        "query-id\tcorpus-id\tscore\nd7\tx\t1\nd2\ty\t0\nother\tx\t1\n",
    );
    let all = vectors(&scratch.run(&encode(&model("splade-max"), "--query")).done());
    let judged = scratch.run(&encode(&model("splade-max"), "--query --qrels qrels.tsv"));
    assert_eq!(vectors(&judged.done()), [all[2].clone(), all[7].clone()]);
}

#[test]
fn a_bad_document_is_named_and_by_choice_the_rest_goes_on() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", BAD);
    for name in ["st-mean", "splade-max"] {
        let folder = model(name);
        let ran = scratch.run(&encode(&folder, ""));
        assert_eq!(ran.code, Some(1));
        assert!(
            ran.stderr
                .contains("in.jsonl:2: document `b` cannot be encoded: it has no text"),
            "{}",
            ran.stderr
        );

        let ran = scratch.run(&encode(&folder, "--on-bad-input skip --output out.jsonl"));
        for expected in [
            "in.jsonl:2: document `b`",
            "in.jsonl:3: ",
            "in.jsonl:4: ",
            "3 bad records skipped",
        ] {
            assert!(ran.stderr.contains(expected), "{}", ran.stderr);
        }
        ran.done();
        let out = fs::read(scratch.path("out.jsonl")).unwrap();
        let ids: Vec<String> = vectors(std::str::from_utf8(&out).unwrap())
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        assert_eq!(ids, ["a", "e"]);

        fs::write(scratch.path("out.jsonl"), &out[..out.len() - 3]).unwrap();
        scratch
            .run(&encode(
                &folder,
                "--on-bad-input skip --output out.jsonl --resume",
            ))
            .done();
        assert_eq!(fs::read(scratch.path("out.jsonl")).unwrap(), out);
    }
}

#[test]
fn a_text_of_a_megabyte_is_truncated_split_or_refused_as_asked() {
    let scratch = Scratch::new();
    let long = "lava flows from the volcano, bees make honey. ".repeat(23_000);
    assert!(long.len() > 1 << 20);
    let lines = [("a", "short"), ("long", &*long), ("c", "short")]
        .map(|(id, text)| format!("{}\n", serde_json::json!({"_id": id, "text": text})));
    scratch.write("in.jsonl", lines.concat());
    for name in ["st-cls", "splade-max"] {
        let folder = model(name);
        let ran = scratch.run(&encode(&folder, ""));
        assert!(ran.stderr.contains("1 sequence of "), "{}", ran.stderr);
        let truncated = vectors(&ran.done());
        let windows = vectors(
            &scratch
                .run(&encode(&folder, "--long windows --threads 2"))
                .done(),
        );
        assert_eq!(truncated.len(), 3);
        assert_eq!((&truncated[0], &truncated[2]), (&windows[0], &windows[2]));
        assert_ne!(truncated[1], windows[1]);
        let ran = scratch.run(&encode(&folder, "--long refuse"));
        assert_eq!(ran.code, Some(1));
        assert!(
            ran.stderr.contains(
                "in.jsonl:2: document `long` cannot be encoded: expected a text of at most"
            ),
            "{}",
            ran.stderr
        );
    }
    let error = scratch
        .run(&encode(&model("st-cls"), "--overlap 3"))
        .failed();
    assert!(error.contains("--overlap with --long windows"), "{error}");
}

#[test]
fn damaged_models_are_refused_before_anything_is_written() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(3));

    let folder = copy_of(&scratch, "st-mean");
    let weights = folder.join("model.safetensors");
    let good = fs::read(&weights).unwrap();
    let mut bytes = good.clone();
    // The first weight follows the header's length and the header.
    let first = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[first..first + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&weights, &bytes).unwrap();
    let error = scratch.run(&encode(&folder, "--output out.jsonl")).failed();
    assert!(
        error.contains("expected finite values, found NaN"),
        "{error}"
    );
    assert!(error.contains("model.safetensors: tensor `"), "{error}");
    fs::write(&weights, &good[..good.len() / 2]).unwrap();
    let error = scratch.run(&encode(&folder, "--output out.jsonl")).failed();
    assert!(error.contains("model.safetensors"), "{error}");
    assert!(!scratch.path("out.jsonl").exists());

    let folder = copy_of(&scratch, "splade-max");
    fs::copy(
        model("splade-sum").join("tokenizer.json"),
        folder.join("tokenizer.json"),
    )
    .unwrap();
    let error = scratch.run(&encode(&folder, "")).failed();
    assert!(
        error.contains("this tokenizer is another model's"),
        "{error}"
    );

    let error = scratch.run(&encode(&model("ce-bert"), "")).failed();
    assert!(error.contains("take it for `esparsa rerank`"), "{error}");
    let error = scratch.run(&encode(Path::new("nothing-here"), "")).failed();
    assert!(error.contains("nothing-here"), "{error}");
}

/// The peak resident memory of a run in bytes.
#[cfg(target_os = "linux")]
fn peak_of(scratch: &Scratch, arguments: &str) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_esparsa"))
        .args(arguments.split_whitespace())
        .current_dir(scratch.path(""))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        peak = peak.max(kibibytes.unwrap_or(0) * 1024);
        if let Some(code) = child.try_wait().unwrap() {
            assert!(code.success());
            return peak;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_input() {
    let scratch = Scratch::new();
    // Texts are cut at the first of their many tokens, so that reading them is most of the work.
    let lines = |count: usize| -> String {
        let text = "lava flows from the volcano; ".repeat(300);
        (0..count)
            .map(|number| format!("{{\"_id\":\"{number}\",\"text\":\"{text}\"}}\n"))
            .collect()
    };
    let arguments = encode(&model("st-cls"), "--output out.jsonl --threads 2 --quiet");
    scratch.write("in.jsonl", lines(600));
    let short = peak_of(&scratch, &arguments);
    scratch.write("in.jsonl", lines(9_000));
    assert!(fs::metadata(scratch.path("in.jsonl")).unwrap().len() > 75_000_000);
    let long = peak_of(&scratch, &arguments);
    println!("{short} bytes at the peak for 600 documents, {long} for 9,000");
    assert!(long < short + (16 << 20), "{short} {long}");
    assert_eq!(
        fs::read_to_string(scratch.path("out.jsonl"))
            .unwrap()
            .lines()
            .count(),
        9_000
    );
}

#[test]
fn an_output_that_is_an_input_is_refused_before_the_model_is_opened() {
    let scratch = Scratch::new();
    scratch.write("docs/in.tsv", "1\tlava\n");
    for input in ["docs/in.tsv", "docs"] {
        let error = scratch
            .run(&format!(
                "encode {input} --model nowhere --output docs/in.tsv"
            ))
            .failed();
        assert!(error.contains("none of the inputs"), "{input}: {error}");
    }
    let left = std::fs::read_to_string(scratch.path("docs/in.tsv")).unwrap();
    assert_eq!(left, "1\tlava\n");
}
