//! `esparsa convert`: bad input is named with its place, and nothing is written; or it is skipped and
//! counted.

use serde_json::json;

use crate::command::Scratch;
use crate::published::{MS_MARCO, assert_usable, beir, gzip, ms_marco, objects, read};

#[test]
fn bad_squad_files_are_named() {
    let scratch = Scratch::new();
    let convert = |content: &str| {
        scratch.write("a.json", content);
        let message = scratch.run("convert squad a.json --output out").failed();
        assert!(!scratch.path("out").exists());
        message
    };
    for (content, expected) in [
        ("", "a.json:1: expected JSON as SQuAD has it"),
        ("{}", "missing field `data`"),
        (
            "{\"data\":\n[{\"paragraphs\":[{\"qas\":[]}]}]}",
            "a.json:2: ",
        ),
        (
            r#"{"data":[{"paragraphs":[{"context":"c","qas":[{"question":"q"}]}]}]}"#,
            "expected `id` or `guid` of the question `q`",
        ),
        (
            r#"{"data":[{"paragraphs":[{"context":"c","qas":[{"question":"q","id":"a\tb"}]}]}]}"#,
            "expected an id without tabs",
        ),
        (
            r#"{"data":[{"paragraphs":[{"context":"c","qas":[]}]}]}"#,
            "1 document and 0 queries, but no judgement",
        ),
    ] {
        let message = convert(content);
        assert!(message.contains(expected), "{content}: {message}");
    }
    let twice = r#"{"data":[{"title":"t","paragraphs":[{"context":"c","qas":[
        {"question":"q","id":"1"},{"question":"r","id":"1"}]}]}]}"#;
    scratch.write("a.json", twice);
    let ran = scratch.run("convert squad a.json --output out");
    assert!(
        ran.stderr.contains("skipped: a.json: duplicate id `1`"),
        "{}",
        ran.stderr
    );
    ran.done();
    let message = scratch
        .run("convert squad a.json --output strict --strict")
        .failed();
    assert!(
        message.contains("error: a.json: duplicate id `1`"),
        "{message}"
    );
    let ran = scratch.run("convert squad a.json --output out --shares 50,50");
    assert_eq!(ran.code, Some(2));
    assert_eq!(scratch.run("convert squad --output out").code, Some(2));
}

#[test]
fn strict_conversions_refuse_faults_with_their_place() {
    let scratch = beir();
    let strict = |expected: &str| {
        let message = scratch
            .run("convert beir beir --output out --strict --quiet")
            .failed();
        assert!(message.contains(expected), "{message}");
        assert!(!scratch.path("out").exists());
    };
    let corpus = read(&scratch, "beir/corpus.jsonl");
    strict("error: beir/corpus.jsonl:31: duplicate id `28`");
    let corpus: Vec<&str> = corpus.lines().collect();
    scratch.write(
        "beir/corpus.jsonl",
        [&corpus[..30], &corpus[31..]].concat().join("\n"),
    );
    strict("error: beir/corpus.jsonl:31: expected a title or a text");
    scratch.write("beir/corpus.jsonl", corpus[..30].join("\n"));
    strict(
        "error: beir/qrels/validation.tsv:3: expected the document of a judgement among the documents",
    );
    scratch.write("beir/qrels/validation.tsv", "q0\t0\t1\n");
    strict("error: beir/qrels/test.tsv:3: expected the query of a judgement among the queries");
    scratch.write("beir/qrels/test.tsv", "q2\t2\t1\n");
    scratch
        .run("convert beir beir --output out --strict")
        .done();
}

#[test]
fn bad_inputs_are_refused_with_their_place_and_nothing_is_written() {
    let scratch = ms_marco();
    let good = |name: &str| read(&scratch, name);
    let (collection, queries, judgements) = (
        good("collection.tsv"),
        good("queries.dev.tsv"),
        good("qrels.dev.tsv"),
    );
    let command = "convert ms-marco collection.tsv --queries queries.dev.tsv --test qrels.dev.tsv --output out";
    let refused = |name: &str, content: &[u8], expected: &str| {
        scratch.write(name, content);
        let message = scratch.run(command).failed();
        assert!(message.contains(expected), "{name}: {message}");
        assert!(!scratch.path("out").exists());
        for (name, good) in [
            ("collection.tsv", &collection),
            ("queries.dev.tsv", &queries),
            ("qrels.dev.tsv", &judgements),
        ] {
            scratch.write(name, good);
        }
    };
    refused(
        "collection.tsv",
        b"0\tum\nsem tab\n",
        "collection.tsv:2: expected an id, a tab, and the text",
    );
    refused(
        "collection.tsv",
        b"0\tum\n1\tcaf\xe9\n",
        "collection.tsv:2: not valid UTF-8 at byte 6",
    );
    refused(
        "collection.tsv",
        b"\ttexto\n",
        "collection.tsv:1: the id is empty",
    );
    refused("collection.tsv", b"", "found no document");
    refused(
        "queries.dev.tsv",
        b"1000\n",
        "queries.dev.tsv:1: expected an id, a tab, and the text",
    );
    refused(
        "queries.dev.tsv",
        b"",
        "30 documents and 0 queries, but no judgement",
    );
    refused(
        "qrels.dev.tsv",
        b"1000 0 0 1\n1003 0 3\n",
        "qrels.dev.tsv:2: expected four columns",
    );
    refused(
        "qrels.dev.tsv",
        b"1000 0 0 um\n",
        "qrels.dev.tsv:1: expected an integer as grade",
    );
    refused(
        "qrels.dev.tsv",
        b"",
        "qrels.dev.tsv: expected relevance judgements, found none",
    );
    refused(
        "qrels.dev.tsv",
        b"1000 0 77 1\n",
        "1 judgement whose document no input has",
    );
    let packed = gzip(collection.as_bytes());
    refused(
        "collection.tsv",
        &packed[..packed.len() - 9],
        "the file is truncated",
    );
    for missing in ["collection.tsv", "queries.dev.tsv", "qrels.dev.tsv"] {
        let command = command.replace(missing, "nowhere.tsv");
        let message = scratch.run(&command).failed();
        assert!(message.contains("nowhere.tsv: cannot open"), "{message}");
        assert!(!scratch.path("out").exists());
    }
    let message = scratch
        .run(&command.replace("--test qrels.dev.tsv", ""))
        .failed();
    assert!(message.contains("--train, --dev or --test"), "{message}");
}

#[test]
fn bad_records_can_be_skipped_and_other_encodings_named() {
    let scratch = ms_marco();
    let mut collection = read(&scratch, "collection.tsv").into_bytes();
    collection.extend(b"sem tab\n77\tcaf\xe9\n78\tum\0dois\n");
    scratch.write("collection.tsv", &collection);
    let ran = scratch.run(&format!("{MS_MARCO} --on-bad-input skip"));
    assert!(
        ran.stderr.contains("bad record: collection.tsv:31: "),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("bad record: collection.tsv:32: "),
        "{}",
        ran.stderr
    );
    assert!(
        ran.done()
            .contains("left out: 2 records that cannot be read")
    );
    let corpus = objects(&scratch, "out/corpus.jsonl");
    assert_eq!(
        corpus[30],
        json!({"_id": "78", "title": "", "text": "um\0dois"})
    );
    assert_usable(&scratch, "pt");

    let scratch = ms_marco();
    scratch.write("collection.tsv", b"0\tcaf\xe9\n");
    scratch.write("qrels.dev.tsv", "1000 0 0 1\n");
    scratch.run(&format!("{MS_MARCO} --encoding latin1")).done();
    assert_eq!(objects(&scratch, "out/corpus.jsonl")[0]["text"], "café");
}

#[test]
fn an_output_folder_in_use_is_refused() {
    let scratch = ms_marco();
    scratch.write("out/notes.txt", "mine");
    let message = scratch.run(MS_MARCO).failed();
    assert!(
        message.contains("error: out: expected a new or empty folder"),
        "{message}"
    );
    assert!(message.contains("`notes.txt`"), "{message}");
    assert_eq!(std::fs::read_dir(scratch.path("out")).unwrap().count(), 1);
    let message = scratch
        .run(&MS_MARCO.replace("--output out", "--output collection.tsv"))
        .failed();
    assert!(message.contains("found a file"), "{message}");
    let message = scratch.run("convert beir out --output out").failed();
    assert!(
        message.contains("error: out: expected a file of queries"),
        "{message}"
    );
    std::fs::remove_file(scratch.path("out/notes.txt")).unwrap();
    scratch.run(MS_MARCO).done();
    // The result is not replaced.
    let message = scratch.run(MS_MARCO).failed();
    assert!(message.contains("in it"), "{message}");
}

#[test]
fn queries_in_several_files_are_written_once_and_those_in_two_parts_are_said() {
    let scratch = ms_marco();
    let ran = scratch.run(&format!(
        "{MS_MARCO} --dev qrels.dev.tsv --queries queries.dev.tsv"
    ));
    assert!(
        ran.stderr
            .contains("10 queries are judged for both dev and test"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("duplicate"), "{}", ran.stderr);
    ran.done();
    assert_eq!(objects(&scratch, "out/queries.jsonl").len(), 10);
    std::fs::remove_dir_all(scratch.path("out")).unwrap();
    scratch.write("other.tsv", "1000\toutra pergunta\n");
    let ran = scratch.run(&format!("{MS_MARCO} --queries other.tsv"));
    let expected = "skipped: other.tsv:1: duplicate id `1000`, already used by queries.dev.tsv:1";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    ran.done();
}

#[test]
fn changed_bytes_of_tsv_files_never_panic() {
    let scratch = ms_marco();
    let good = read(&scratch, "collection.tsv").into_bytes();
    let mut state = 1u64;
    for _ in 0..20 {
        let mut bytes = good.clone();
        for _ in 0..6 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let place = (state >> 33) as usize % bytes.len();
            bytes[place] = (state >> 20) as u8;
        }
        scratch.write("collection.tsv", &bytes);
        let ran = scratch.run(MS_MARCO);
        assert!(matches!(ran.code, Some(0 | 1)), "{}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        let _ = std::fs::remove_dir_all(scratch.path("out"));
    }
}
