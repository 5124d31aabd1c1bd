//! Commands that read and change an existing index: get, delete, merge, attach and backup.

use esparsa::Index;

use crate::command::{Scratch, found};
use crate::two_documents::{LINES, VECTORS, indexed, json};

#[test]
fn stored_json_is_printed_as_it_was_loaded() {
    let scratch = Scratch::new();
    let line = r#"{"_id":"a","text":"lava","n":1e999,"half":"\ud800"}"#;
    scratch.write("odd.jsonl", line);
    scratch.run("index odd.jsonl --index index").done();
    let report = scratch.run("search --index index lava --json").done();
    assert!(
        report.contains(&format!(r#""document":{line}"#)),
        "{report}"
    );
    let report = scratch
        .run("inspect --index index --document a --json")
        .done();
    assert!(report.contains(&format!(r#""stored":{line}"#)), "{report}");
}

#[test]
fn get_prints_one_line_for_each_document() {
    let scratch = indexed(LINES);
    let both = scratch.run("get --index index garda etna").done();
    let lines: Vec<&str> = both.lines().collect();
    let originals: Vec<&str> = LINES.lines().collect();
    assert_eq!(lines, [originals[1], originals[0]]);

    let ran = scratch.run("get --index index etna nowhere nothing");
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), [originals[0]]);
    let message = ran.failed();
    assert!(message.contains("`nowhere`, `nothing`"), "{message}");
}

#[test]
fn delete_counts_what_was_there() {
    let scratch = indexed(LINES);
    let out = scratch.run("delete --index index etna etna nowhere").done();
    assert!(
        out.starts_with("1 document deleted of 2 ids given"),
        "{out}"
    );
    assert_eq!(found(scratch.path("index"), "volcano lake"), ["garda"]);
    scratch.write("ids.txt", "garda\r\n\netna\n");
    let out = scratch.run("delete --index index --from ids.txt").done();
    assert!(out.contains("the index holds 0 documents"), "{out}");
    scratch.run("get --index index garda").failed();

    scratch.write("bad.txt", b"garda\n\xff\n");
    let message = scratch.run("delete --index index --from bad.txt").failed();
    assert!(message.contains("bad.txt:2: "), "{message}");
    assert_eq!(scratch.run("delete --index index").code, Some(2));
}

#[test]
fn a_backup_is_an_index_of_its_own() {
    let scratch = indexed(LINES);
    scratch.run("delete --index index garda").done();
    let out = scratch
        .run("backup --index index --output copies/one")
        .done();
    assert!(
        out.contains("the copy holds 1 document in 1 segment"),
        "{out}"
    );
    scratch.run("delete --index index etna").done();
    scratch.run("check --index copies/one").done();
    assert_eq!(found(scratch.path("copies/one"), "volcano lake"), ["etna"]);
    let failed = scratch
        .run("backup --index index --output copies/one")
        .failed();
    assert!(failed.contains("already holds an index"), "{failed}");
    scratch.run("backup --index nowhere --output two").failed();
    assert!(!scratch.path("two").exists());
    let report = json(
        &scratch
            .run("backup --index index --output three --json")
            .done(),
    );
    assert_eq!(report["documents"], 0);
}

#[test]
fn merge_drops_deleted_documents_from_disk() {
    let scratch = indexed(LINES);
    scratch.write("three.tsv", "baikal\tA lake.\n");
    scratch.run("index three.tsv --index index").done();
    scratch.run("delete --index index garda").done();
    let out = scratch.run("merge --index index").done();
    assert!(
        out.starts_with("2 segments before, 1 after: 2 documents"),
        "{out}"
    );
    let summary = json(&scratch.run("inspect --index index --json").done());
    assert_eq!(summary["segments"][0]["documents"], 2);
    assert_eq!(summary["deleted"], 0);
    assert_eq!(
        found(scratch.path("index"), "volcano lake"),
        ["baikal", "etna"]
    );
    assert_eq!(
        scratch.run("merge --index index --segments 0").code,
        Some(2)
    );
}

#[test]
fn attach_brings_in_all_folders_in_one_commit() {
    let scratch = indexed(LINES);
    scratch.write("b.tsv", "baikal\tA lake.\n");
    scratch.write("c.tsv", "etna\tA mountain.\n");
    scratch.run("index b.tsv --index b").done();
    scratch.run("index c.tsv --index c").done();
    let out = scratch.run("attach --index index b c").done();
    assert!(out.contains("3 documents in 3 segments"), "{out}");
    let index = scratch.path("index");
    assert_eq!(found(&index, "lake"), ["baikal", "garda"]);
    assert_eq!(found(&index, "mountain"), ["etna"]);
    assert_eq!(found(&index, "volcano"), [""; 0]);
    let snapshot = Index::open(&index).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.commit(), 3);
    scratch.run("check --index index").done();
}

#[test]
fn attach_refuses_other_fields_damage_and_itself() {
    let scratch = indexed(LINES);
    scratch.write("pt.tsv", "v\tO vulcão\n");
    scratch.run("index pt.tsv --index pt --language pt").done();
    scratch.run("index two.jsonl --index damaged").done();
    let segment = scratch.path("damaged/segment-0000000001");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    scratch.run("index two.jsonl --index good").done();
    let cases = [
        (
            "good pt",
            "pt has a different schema from this index: the field `text`: expected text, analyzer en",
        ),
        ("good damaged", "damaged/segment-0000000001"),
        ("good ./index", "cannot be attached to itself"),
        ("good nowhere", "nowhere is not an index"),
    ];
    for (folders, expected) in cases {
        let message = scratch
            .run(&format!("attach --index index {folders}"))
            .failed();
        assert!(message.contains(expected), "{message}");
        let snapshot = Index::open(scratch.path("index")).unwrap().snapshot();
        assert_eq!(snapshot.unwrap().commit(), 2, "nothing is attached");
    }
    scratch.run("attach --index nowhere good").failed();
}

#[test]
fn work_on_an_index_is_reported_as_json() {
    let scratch = indexed(VECTORS);
    let report_of = |arguments: &str| {
        let out = scratch.run(&format!("{arguments} --json")).done();
        assert_eq!(out.trim_end().lines().count(), 1, "{out}");
        json(&out)
    };
    scratch.write("b.jsonl", VECTORS.replace("etna", "vulcano"));
    scratch.run("index b.jsonl --index b").done();
    let report = report_of("attach --index index b");
    assert_eq!(
        (&report["attached"], &report["documents"]),
        (&1.into(), &3.into())
    );
    let report = report_of("delete --index index garda nowhere");
    assert_eq!(
        (&report["given"], &report["deleted"]),
        (&2.into(), &1.into())
    );
    assert_eq!(report["documents"], 2);
    let report = report_of("merge --index index");
    assert_eq!(
        (&report["segments_before"], &report["segments"]),
        (&2.into(), &1.into())
    );
    assert!(report["bytes"].as_u64().unwrap() < report["bytes_before"].as_u64().unwrap());
    let report = report_of("check --index index");
    assert_eq!(
        (&report["documents"], &report["commit"]),
        (&2.into(), &5.into())
    );
    assert_eq!(report["segments"][0]["documents"], 2);
    assert_eq!(report["bytes"], report["segments"][0]["bytes"]);
}
