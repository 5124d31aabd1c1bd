//! `esparsa encode` and `esparsa rerank`, from the outside, with small models with random weights.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use esparsa::eval::Run;
use esparsa::neural::{Cpu, CpuOptions};
use esparsa::neural::{CrossEncoder, DenseEncoder, SparseEncoder};
use esparsa::rank::Scorer;
use serde_json::Value;

use crate::command::Scratch;

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/neural/models")
        .join(name)
}

fn cpu() -> Cpu {
    Cpu::new(CpuOptions::default()).unwrap()
}

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

/// The text of a document.
fn text(number: usize) -> String {
    let words = [
        "volcano", "lava", "bees", "honey", "rivers", "flow", "the", "Ação", "25 %", "snow",
    ];
    let words =
        (0..3 + number * 7 % 50).map(|place| words[(number * 3 + place * place) % words.len()]);
    words.collect::<Vec<_>>().join(" ")
}

/// BEIR lines of documents; every third has a title.
fn corpus(count: usize) -> String {
    let lines = (0..count).map(|number| {
        let title = if number % 3 == 0 { "A title" } else { "" };
        let line =
            serde_json::json!({"_id": format!("d{number}"), "title": title, "text": text(number)});
        format!("{line}\n")
    });
    lines.collect()
}

fn contents(number: usize) -> String {
    match number % 3 {
        0 => format!("A title {}", text(number)),
        _ => text(number),
    }
}

/// Id and vector of each line.
fn vectors(lines: &str) -> Vec<(String, Value)> {
    let parsed = lines.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let id = value["id"].as_str().unwrap().to_owned();
        (id, value["vector"].take())
    });
    parsed.collect()
}

fn encode(model: &Path, more: &str) -> String {
    format!("encode in.jsonl --model {} {more}", model.display())
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

#[test]
fn an_output_that_was_cut_anywhere_is_continued_with_equal_result() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(40));
    for name in ["st-mean", "splade-sum"] {
        let folder = model(name);
        scratch.run(&encode(&folder, "--output whole.jsonl")).done();
        let whole = fs::read(scratch.path("whole.jsonl")).unwrap();
        let line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for kept in [
            0,
            1,
            line - 1,
            line,
            line + 1,
            whole.len() / 2,
            whole.len() - 1,
            whole.len(),
        ] {
            fs::write(scratch.path("cut.jsonl"), &whole[..kept]).unwrap();
            scratch
                .run(&encode(&folder, "--output cut.jsonl --resume --threads 2"))
                .done();
            let again = fs::read(scratch.path("cut.jsonl")).unwrap();
            assert!(again == whole, "{name}, cut at {kept} of {}", whole.len());
        }
    }
}

#[test]
fn a_killed_process_is_continued_with_equal_result() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(30_000));
    let folder = model("st-cls");
    let mut child = Command::new(env!("CARGO_BIN_EXE_esparsa"))
        .args(encode(&folder, "--output out.jsonl --threads 1 --quiet").split_whitespace())
        .current_dir(scratch.path(""))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (out, partial) = (scratch.path("out.jsonl"), scratch.path("out.jsonl.partial"));
    while fs::metadata(&partial).map_or(0, |metadata| metadata.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it is still at work");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.exists(), "what is not whole has no name yet");
    let before = fs::read(&partial).unwrap();
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    assert!(lines < 30_000, "it was killed before it was done");

    let ran = scratch.run(&encode(&folder, "--output out.jsonl --threads 2 --resume"));
    assert!(ran.stderr.contains("resuming after"), "{}", ran.stderr);
    ran.done();
    scratch
        .run(&encode(&folder, "--output whole.jsonl --threads 2 --quiet"))
        .done();
    let (found, expected) = (
        fs::read(&out).unwrap(),
        fs::read(scratch.path("whole.jsonl")).unwrap(),
    );
    assert!(found == expected);
    assert!(!partial.exists());
}

#[test]
fn vectors_of_yesterday_stay_until_the_new_ones_are_whole() {
    let scratch = Scratch::new();
    let folder = model("st-mean");
    scratch.write("out.jsonl", "yesterday");
    scratch.write("in.jsonl", format!("{}{{\n", corpus(3)));
    let error = scratch.run(&encode(&folder, "--output out.jsonl")).failed();
    assert!(error.contains("are kept in "), "{error}");
    assert_eq!(fs::read(scratch.path("out.jsonl")).unwrap(), b"yesterday");

    scratch.write("in.jsonl", corpus(5));
    let ran = scratch.run(&encode(&folder, "--output out.jsonl --resume"));
    assert!(ran.stderr.contains("resuming after 3"), "{}", ran.stderr);
    ran.done();
    let text = fs::read_to_string(scratch.path("out.jsonl")).unwrap();
    assert_eq!(vectors(&text).len(), 5);
    assert!(!scratch.path("out.jsonl.partial").exists());
}

#[test]
fn an_output_of_another_model_or_other_inputs_is_not_continued() {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(9));
    let (first, second) = (model("st-mean"), model("st-cls"));
    scratch.run(&encode(&first, "--output out.jsonl")).done();
    let before = fs::read(scratch.path("out.jsonl")).unwrap();
    let error = scratch
        .run(&encode(&second, "--output out.jsonl --resume"))
        .failed();
    assert!(
        error.contains("out.jsonl:1: the vector of `d0` is not what st-cls makes of it"),
        "{error}"
    );
    scratch.write("in.jsonl", "{\"_id\":\"other\",\"text\":\"lava\"}\n");
    let error = scratch
        .run(&encode(&first, "--output out.jsonl --resume"))
        .failed();
    assert!(error.contains("expected the vector of `other`"), "{error}");
    assert_eq!(fs::read(scratch.path("out.jsonl")).unwrap(), before);
}

/// Valid documents around bad ones: without text, without JSON, without an id.
const BAD: &str = "{\"_id\":\"a\",\"text\":\"lava\"}\n{\"_id\":\"b\",\"text\":\" \"}\n{\n{\"text\":\"x\"}\n{\"_id\":\"e\",\"text\":\"honey\"}\n";

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
            "3 bad records left out",
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
#[cfg(feature = "cuda")]
fn kernels_for_an_unknown_architecture_are_refused() {
    let scratch = Scratch::new();
    let error = scratch
        .run("cuda compile --arch sm_75 --output kernels")
        .failed();
    assert!(error.contains("sm_80, sm_86, sm_89, sm_90"), "{error}");
    assert!(!scratch.path("kernels").exists());
    let error = scratch.run("cuda compile --output kernels").stderr;
    assert!(error.contains("--arch"), "{error}");
}
