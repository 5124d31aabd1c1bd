//! Bad input: the message names file and line, and what was committed before stays and can be
//! searched.

use std::io::{BufWriter, Write};

use esparsa::{Bm25, Error, Index, Query};
use serde_json::Value;

use crate::command::{Scratch, found};

/// A folder with an index `index` that holds the document `kept`, in commit 2.
fn with_commit() -> Scratch {
    let scratch = Scratch::new();
    let line = r#"{"id":"kept","text":"a volcano","vector":{"lava":2.5}}"#;
    scratch.write("kept.jsonl", line);
    scratch.run("index kept.jsonl --index index").done();
    scratch
}

/// Checks that the index holds `kept` and nothing else.
#[track_caller]
fn assert_unchanged(scratch: &Scratch) {
    let index = scratch.path("index");
    assert_eq!(found(&index, "volcano good"), ["kept"]);
    let snapshot = Index::open(&index).unwrap().snapshot().unwrap();
    let query = Query::sparse("sparse", [("lava", 1.0)]);
    assert_eq!(snapshot.search(&query, 10).unwrap().len(), 1);
    assert_eq!((snapshot.commit(), snapshot.documents()), (2, 1));
    scratch.run("check --index index").done();
}

/// Checks that the load of `good` lines around a bad one fails at line 2, and that `skip` skips
/// only that line.
#[track_caller]
fn assert_refused(bad: impl AsRef<[u8]>, expected: &str) {
    let scratch = with_commit();
    let good = |id: &str| format!("{{\"id\":\"{id}\",\"text\":\"good\"}}\n").into_bytes();
    let lines = [&good("first")[..], bad.as_ref(), b"\n", &good("last")].concat();
    scratch.write("bad.jsonl", &lines);

    let message = scratch.run("index bad.jsonl --index index").failed();
    assert!(message.contains("error: bad.jsonl:2: "), "{message}");
    assert!(message.contains(expected), "{message}");
    assert_unchanged(&scratch);
    let message = scratch
        .run_with_input("index - --index index", &lines)
        .failed();
    assert!(message.contains("error: <stdin>:2: "), "{message}");
    assert_unchanged(&scratch);

    let ran = scratch.run("index bad.jsonl --index index --on-bad-input skip --json");
    assert!(
        ran.stderr.contains("bad record: bad.jsonl:2: "),
        "{}",
        ran.stderr
    );
    let report: Value = serde_json::from_str(&ran.done()).unwrap();
    assert_eq!(
        (&report["documents"], &report["bad_records"]),
        (&2.into(), &1.into())
    );
    let index = scratch.path("index");
    assert_eq!(found(index, "volcano good"), ["first", "kept", "last"]);
}

fn vector(weight: &str) -> String {
    format!("{{\"id\":\"x\",\"text\":\"good\",\"vector\":{{\"lava\":{weight}}}}}")
}

#[test]
fn a_broken_json_line_is_refused() {
    assert_refused(r#"{"id":"x","text":"good""#, "does not end on its line");
    assert_refused(r#"{"id":"x" "text":"good"}"#, "not valid JSON");
    assert_refused(r#"["id","x"]"#, "expected one JSON object");
}

#[test]
fn a_missing_id_is_refused() {
    assert_refused(r#"{"text":"good"}"#, "no id");
    assert_refused(r#"{"id":"","text":"good"}"#, "id is empty");
}

#[test]
fn an_id_that_is_too_long_is_refused() {
    let line = format!("{{\"id\":\"{}\",\"text\":\"good\"}}", "x".repeat(513));
    assert_refused(line, "more than the limit of 512");
}

#[test]
fn of_two_records_with_the_same_id_the_later_is_kept_unless_asked_otherwise() {
    let scratch = Scratch::new();
    scratch.write("a.tsv", "x\tfirst\ny\tother\nx\tsecond\n");
    let load = |index: &str, options: &str| {
        scratch.run(&format!("index a.tsv --index {index} --json {options}"))
    };
    let counts = |report: &str| {
        let report: Value = serde_json::from_str(report).unwrap();
        let count = |name: &str| report[name].as_u64().unwrap();
        ["documents", "duplicates", "replaced", "index_documents"].map(count)
    };
    assert_eq!(counts(&load("replace", "").done()), [3, 0, 1, 2]);
    assert_eq!(found(scratch.path("replace"), "first second"), ["x"]);
    assert_eq!(found(scratch.path("replace"), "first"), [""; 0]);
    // The same in another order of threads and with commits in between.
    let options = "--threads 3 --commit-every 1 --on-duplicate replace";
    assert_eq!(counts(&load("replace", options).done()), [3, 0, 3, 2]);
    assert_eq!(found(scratch.path("replace"), "second"), ["x"]);

    let skipped = load("skip", "--on-duplicate skip");
    let message = "skipped: a.tsv:3: duplicate id `x`, already used by line 1";
    assert!(skipped.stderr.contains(message), "{}", skipped.stderr);
    assert_eq!(counts(&skipped.done()), [2, 1, 0, 2]);
    assert_eq!(found(scratch.path("skip"), "first"), ["x"]);
    // Skipping bad records does not skip duplicates.
    let message = load("fail", "--on-duplicate fail --on-bad-input skip").failed();
    assert!(
        message.contains("error: a.tsv:3: duplicate id `x`"),
        "{message}"
    );
    assert!(message.contains("--on-duplicate"), "{message}");
    // A second load of the same documents replaces them, whatever the policy for duplicates within
    // one load.
    scratch.write("a.tsv", "x\tthird\ny\tother\n");
    for policy in ["fail", "skip", "replace"] {
        let options = format!("--on-duplicate {policy}");
        assert_eq!(counts(&load("skip", &options).done()), [2, 0, 2, 2]);
        assert_eq!(found(scratch.path("skip"), "third"), ["x"]);
    }
}

#[test]
fn a_duplicate_id_is_found_across_chunks_and_files() {
    let scratch = with_commit();
    let filler = "good ".repeat(300_000);
    let lines = format!(
        "{{\"id\":\"x\"}}\n{{\"id\":\"y\",\"text\":\"{filler}\"}}\n{{\"id\":\"z\"}}\n{{\"id\":\"x\"}}\n"
    );
    scratch.write("a.jsonl", lines);
    let message = scratch
        .run("index a.jsonl --index index --on-duplicate fail")
        .failed();
    assert!(message.contains("a.jsonl:4: duplicate id `x`"), "{message}");
    scratch.write("b.tsv", "p\tgood\nq\tgood\n");
    scratch.write("c.tsv", "r\tgood\nq\tgood\n");
    let message = scratch
        .run("index b.tsv c.tsv --index index --on-duplicate fail")
        .failed();
    let expected = "c.tsv:2: duplicate id `q`, already used by b.tsv:2";
    assert!(message.contains(expected), "{message}");
    assert_unchanged(&scratch);
}

#[test]
fn weights_that_are_no_weights_are_refused() {
    for weight in [
        "NaN",
        "-1.5",
        "-0.001",
        "Infinity",
        "-Infinity",
        "1e999",
        "1e39",
        "null",
    ] {
        assert_refused(vector(weight), "the weight of the term `lava` must be");
    }
    assert_refused(vector("\"heavy\""), "the string `heavy`");
}

#[test]
fn a_term_of_100_kilobytes_is_refused_in_a_vector() {
    let line = format!(
        "{{\"id\":\"x\",\"vector\":{{\"{}\":1}}}}",
        "t".repeat(100_000)
    );
    assert_refused(line, "is 100000, more than the limit of 1024");
}

#[test]
fn a_term_of_100_kilobytes_is_skipped_and_counted() {
    let scratch = with_commit();
    let word = "t".repeat(100_000);
    scratch.write("long.tsv", format!("x\tgood {word} words\n"));
    let report = scratch.run("index long.tsv --index index --json").done();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["terms_skipped"], 1);
    let index = scratch.path("index");
    assert_eq!(found(&index, "words"), ["x"]);
    assert_eq!(found(&index, &word), [""; 0]);
    scratch.run("check --index index").done();
}

#[test]
fn invalid_utf_8_is_refused() {
    assert_refused(b"{\"id\":\"x\",\"text\":\"good \xff\"}", "UTF-8");
}

#[test]
fn bad_rows_and_documents_of_other_formats_are_refused() {
    let scratch = with_commit();
    scratch.write("rows.tsv", "x\tgood\nno tab here\n");
    let message = scratch.run("index rows.tsv --index index").failed();
    assert!(message.contains("error: rows.tsv:2: "), "{message}");
    scratch.write(
        "news.sgml",
        "<DOC>\n<DOCNO>x</DOCNO>\n</DOC>\n<DOC>\n<TEXT>good</TEXT>\n</DOC>\n",
    );
    let message = scratch.run("index news.sgml --index index").failed();
    assert!(message.contains("error: news.sgml:4: "), "{message}");
    scratch.write("text/bad.txt", b"good\n\xff\n");
    let message = scratch.run("index text --index index").failed();
    assert!(message.contains("error: text/bad.txt:2: "), "{message}");
    assert_unchanged(&scratch);
}

#[test]
fn an_empty_document_is_accepted() {
    let scratch = with_commit();
    let lines = "{\"id\":\"a\"}\n{\"id\":\"b\",\"text\":\"\"}\n{\"id\":\"c\",\"vector\":{}}\n{\"id\":\"d\",\"text\":\"good\"}\n";
    scratch.write("empty.jsonl", lines);
    let out = scratch.run("index empty.jsonl --index index").done();
    assert!(out.starts_with("4 documents in "), "{out}");
    let snapshot = Index::open(scratch.path("index")).unwrap().snapshot();
    assert_eq!(snapshot.unwrap().documents(), 5);
    assert_eq!(found(scratch.path("index"), "volcano"), ["kept"]);
    assert_eq!(
        scratch.run("get --index index a").done(),
        "{\"id\":\"a\"}\n"
    );
    scratch.run("check --index index").done();
}

#[test]
fn a_load_in_which_nothing_can_be_searched_fails_and_names_the_keys() {
    let scratch = with_commit();
    scratch.write(
        "other.jsonl",
        "{\"id\":1,\"abstract\":\"good\",\"year\":1999}\n{\"id\":2,\"abstract\":\"good\"}\n",
    );
    let message = scratch
        .run("index other.jsonl --index index --commit-every 1")
        .failed();
    for part in [
        "`abstract`, `id`, `year`",
        "`text`, `contents`, `content`, `body`, `passage`",
        "nothing from this load was committed",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_unchanged(&scratch);
    scratch.write("empty.tsv", "a\t \n");
    scratch.run("index empty.tsv --index index").failed();
    // One document with words is enough.
    scratch.write(
        "some.jsonl",
        "{\"id\":1}\n{\"id\":2,\"passage\":\"good\"}\n",
    );
    scratch.run("index some.jsonl --index index").done();
    assert_eq!(found(scratch.path("index"), "good"), ["2"]);
    let help = scratch.run("index --help").done();
    for key in ["contents", "content", "body", "passage"] {
        assert!(help.contains(key), "{key}: {help}");
    }
}

#[test]
fn json_that_python_writes_is_read() {
    let scratch = with_commit();
    let lines = "{\"id\":\"a\",\"text\":\"good \\ud83d\",\"score\":NaN}\n{\"id\":\"b\",\"title\":NaN,\"text\":\"good\"}\n";
    scratch.write("python.jsonl", lines);
    scratch.run("index python.jsonl --index index").done();
    assert_eq!(found(scratch.path("index"), "good"), ["a", "b"]);
    let stored: Value = serde_json::from_str(&scratch.run("get --index index a").done()).unwrap();
    assert_eq!(stored["text"], "good \u{fffd}");
    assert_eq!(stored["score"], Value::Null);
}

#[test]
fn ids_that_runs_must_escape_are_said_at_load() {
    let scratch = with_commit();
    scratch.write(
        "ids.tsv",
        "a b\tgood\nc%20d\tgood\n\u{1b}[2J\tgood\n100%\tgood\n",
    );
    let ran = scratch.run("index ids.tsv --index index");
    let warnings = ran.stderr.lines().filter(|line| line.contains("%20"));
    let warnings: Vec<&str> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{}", ran.stderr);
    assert!(warnings[0].starts_with("3 ids have"), "{}", warnings[0]);
    assert!(warnings[0].contains("`a b`"), "{}", warnings[0]);
    ran.done();
    let quiet = scratch.run("index kept.jsonl --index index");
    assert!(!quiet.stderr.contains("%20"), "{}", quiet.stderr);
}

#[test]
fn inputs_in_other_encodings_are_read() {
    let scratch = with_commit();
    scratch.write("latin.tsv", b"x\tcaf\xe9 good\n");
    let message = scratch.run("index latin.tsv --index index").failed();
    assert!(message.contains("--encoding"), "{message}");
    scratch
        .run("index latin.tsv --index index --encoding latin1")
        .done();
    assert_eq!(found(scratch.path("index"), "café"), ["x"]);
    scratch.write(
        "page.sgml",
        b"<DOC><DOCNO>p</DOCNO><DOCHDR>Server: good</DOCHDR>Le caf\xe9 est ferm\xe9.<script>good</script></DOC>",
    );
    let ran = scratch.run("index page.sgml --index index");
    let message = "1 document not UTF-8, read as windows-1252";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    ran.done();
    assert_eq!(found(scratch.path("index"), "fermé"), ["p"]);
    assert_eq!(found(scratch.path("index"), "good"), ["x"]);
    let ran = scratch.run("index latin.tsv --index index --encoding klingon");
    assert_eq!(ran.code, Some(2));
}

#[test]
fn a_document_of_100_megabytes_is_refused_and_those_after_it_are_read() {
    let scratch = with_commit();
    let file = std::fs::File::create(scratch.path("large.jsonl")).unwrap();
    let mut out = BufWriter::new(file);
    out.write_all(b"{\"id\":\"a\",\"text\":\"good\"}\n{\"id\":\"x\",\"text\":\"")
        .unwrap();
    for _ in 0..100 {
        out.write_all(&[b'x'; 1_000_000]).unwrap();
    }
    out.write_all(b"\"}\n{\"id\":\"z\",\"text\":\"good\"}\n")
        .unwrap();
    out.into_inner().unwrap();

    let message = scratch.run("index large.jsonl --index index").failed();
    assert!(message.contains("error: large.jsonl:2: "), "{message}");
    assert!(
        message.contains("more than the limit of 67108864"),
        "{message}"
    );
    assert_unchanged(&scratch);
    let ran = scratch.run("index large.jsonl --index index --on-bad-input skip");
    assert!(
        ran.stderr.contains("bad record: large.jsonl:2: "),
        "{}",
        ran.stderr
    );
    assert!(ran.done().contains("1 bad record skipped"));
    assert_eq!(found(scratch.path("index"), "good"), ["a", "z"]);
}

#[test]
fn many_bad_records_are_counted_but_not_all_printed() {
    let scratch = with_commit();
    scratch.write("bad.tsv", "no tab here\n".repeat(50) + "x\tgood\n");
    let ran = scratch.run("index bad.tsv --index index --on-bad-input skip");
    assert_eq!(ran.stderr.matches("bad record: bad.tsv:").count(), 20);
    assert!(ran.stderr.contains("30 more bad records"), "{}", ran.stderr);
    assert!(ran.done().contains("50 bad records skipped"));
    assert_eq!(found(scratch.path("index"), "good"), ["x"]);
}

#[test]
fn the_first_bad_line_is_the_one_reported() {
    let scratch = with_commit();
    let lines = "{\"id\":\"a\"}\n{\"id\":\"a\"}\n{\"id\":\"b\"}\nbroken\n";
    scratch.write("bad.jsonl", lines);
    for threads in [1, 2, 4] {
        let command =
            format!("index bad.jsonl --index index --threads {threads} --on-duplicate fail");
        let message = scratch.run(&command).failed();
        assert!(message.contains("bad.jsonl:2: duplicate"), "{message}");
    }
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_always_fails() {
    let scratch = with_commit();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(b"{\"id\":\"x\",\"text\":\"good\"}\n")
        .unwrap();
    let whole = encoder.finish().unwrap();
    scratch.write("cut.jsonl.gz", &whole[..whole.len() - 9]);
    for options in ["", "--on-bad-input skip"] {
        let command = format!("index cut.jsonl.gz --index index {options}");
        let message = scratch.run(&command).failed();
        assert!(message.contains("cut.jsonl.gz: cannot "), "{message}");
        assert_unchanged(&scratch);
    }
    scratch.run("index nowhere.jsonl --index index").failed();
    scratch.run("index nowhere.jsonl --index other").failed();
    assert!(!scratch.path("other").exists());
}

#[test]
fn a_first_load_that_fails_leaves_no_index() {
    let scratch = Scratch::new();
    scratch.write("bad.tsv", "x\tgood\nbroken\n");
    scratch.run("index bad.tsv --index index").failed();
    let error = Index::open(scratch.path("index")).unwrap_err();
    assert!(error.to_string().contains("is not an index"), "{error}");
    scratch.write("good.tsv", "x\tOs vulcões\n");
    scratch
        .run("index good.tsv --index index --language pt")
        .done();
    assert_eq!(found(scratch.path("index"), "vulcão"), ["x"]);
}

#[test]
fn an_empty_query_finds_nothing() {
    let scratch = with_commit();
    let snapshot = Index::open(scratch.path("index"))
        .unwrap()
        .snapshot()
        .unwrap();
    let no_terms: [(&str, f32); 0] = [];
    for query in [
        Query::text("text", ""),
        Query::text("text", " \t\n?!"),
        Query::text("text", "the of"),
        Query::sparse("sparse", no_terms),
    ] {
        assert!(snapshot.search(&query, 10).unwrap().is_empty(), "{query:?}");
    }
}

#[test]
fn k_of_0_is_refused_and_a_large_k_gives_what_there_is() {
    let scratch = with_commit();
    let snapshot = Index::open(scratch.path("index"))
        .unwrap()
        .snapshot()
        .unwrap();
    let query = Query::text("text", "volcano");
    let error = snapshot.search(&query, 0).unwrap_err();
    assert!(error.to_string().contains("at least 1"), "{error}");
    assert_eq!(snapshot.search(&query, 10_000_000).unwrap().len(), 1);
    let error = snapshot.search(&query, usize::MAX).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
}

#[test]
fn query_weights_and_parameters_that_are_no_numbers_are_refused() {
    let scratch = with_commit();
    let snapshot = Index::open(scratch.path("index"))
        .unwrap()
        .snapshot()
        .unwrap();
    for weight in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0] {
        let query = Query::sparse("sparse", [("lava", weight)]);
        let error = snapshot.search(&query, 10).unwrap_err();
        assert!(error.is_input(), "{error}");
    }
    for bm25 in [
        Bm25 {
            k1: f32::NAN,
            b: 0.5,
        },
        Bm25 { k1: 1.0, b: 1.5 },
    ] {
        let query = Query::text("text", "volcano").with_bm25(bm25);
        assert!(snapshot.search(&query, 10).unwrap_err().is_input());
    }
}

#[test]
fn a_folder_that_is_no_index_is_refused() {
    let scratch = Scratch::new();
    scratch.write("folder/notes.txt", "hello");
    scratch.write("file", "hello");
    for command in [
        "get x",
        "delete x",
        "merge",
        "attach other",
        "check",
        "inspect",
    ] {
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let message = scratch
            .run(&format!("{name} --index folder {rest}"))
            .failed();
        assert!(
            message.contains("folder is not an index"),
            "{command}: {message}"
        );
        let message = scratch
            .run(&format!("{name} --index nowhere {rest}"))
            .failed();
        assert!(
            message.contains("nowhere is not an index"),
            "{command}: {message}"
        );
        let message = scratch.run(&format!("{name} --index file {rest}")).failed();
        assert!(message.contains("not a folder"), "{command}: {message}");
    }
    assert_eq!(
        std::fs::read(scratch.path("folder/notes.txt")).unwrap(),
        b"hello"
    );
    assert!(!scratch.path("nowhere").exists());
}

#[test]
fn an_index_of_a_newer_version_is_refused_and_left_alone() {
    for name in ["manifest-0000000002", "segment-0000000001"] {
        let scratch = with_commit();
        let path = scratch.path("index").join(name);
        let whole = std::fs::read(&path).unwrap();
        let mut newer = whole.clone();
        // The version follows the magic of eight bytes.
        newer[8..12].copy_from_slice(&2u32.to_le_bytes());
        std::fs::write(&path, &newer).unwrap();
        scratch.write("more.tsv", "x\tgood\n");
        for command in [
            "index more.tsv",
            "get kept",
            "delete kept",
            "merge",
            "check",
            "inspect",
        ] {
            let message = scratch.run(&format!("{command} --index index")).failed();
            assert!(message.contains(name), "{command}: {message}");
            assert!(
                message.contains("newer version (format version 2)"),
                "{message}"
            );
            assert!(message.contains("upgrade esparsa"), "{command}: {message}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), newer);
        std::fs::write(&path, whole).unwrap();
        assert_unchanged(&scratch);
    }
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let scratch = with_commit();
    scratch.write("more.tsv", "x\tgood\n");
    let index = Index::open(scratch.path("index")).unwrap();
    let writer = index.writer().unwrap();
    for command in ["index more.tsv", "delete kept", "merge", "attach index2"] {
        let message = scratch.run(&format!("{command} --index index")).failed();
        assert!(
            message.contains("another writer holds this index"),
            "{command}: {message}"
        );
    }
    // Readers need no lock.
    scratch.run("get --index index kept").done();
    assert_unchanged(&scratch);
    drop(writer);
    scratch.run("index more.tsv --index index").done();
    assert_eq!(found(scratch.path("index"), "good"), ["x"]);
}
