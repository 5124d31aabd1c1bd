//! `esparsa inspect` and `esparsa check`, on sound and on damaged indexes.

use crate::two_documents::{LINES, VECTORS, indexed, json};

#[test]
fn check_says_what_it_checked_and_finds_damage() {
    // With more deletes the segment would be rewritten.
    let scratch = indexed(&format!("{VECTORS}{{\"id\":\"x\"}}\n{{\"id\":\"y\"}}\n"));
    scratch.run("delete --index index garda").done();
    let out = scratch.run("check --index index").done();
    assert!(
        out.contains("segment-0000000001: 4 documents (1 deleted)"),
        "{out}"
    );
    assert!(out.contains("intact: 3 documents in 1 segment"), "{out}");

    let segment = scratch.path("index/segment-0000000001");
    let whole = std::fs::read(&segment).unwrap();
    // In the header, in the first section, and in the trailer; zeros between sections mean nothing.
    for place in [40, 70, 130, whole.len() - 10] {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        std::fs::write(&segment, bytes).unwrap();
        let message = scratch.run("check --index index").failed();
        assert!(
            message.contains("segment-0000000001: section "),
            "{message}"
        );
    }
    std::fs::write(&segment, &whole[..whole.len() / 2]).unwrap();
    scratch.run("check --index index").failed();
    std::fs::write(&segment, whole).unwrap();
    scratch.run("check --index index").done();
    std::fs::remove_file(&segment).unwrap();
    for command in ["check --index index", "search --index index volcano"] {
        let message = scratch.run(command).failed();
        assert!(
            message.contains("segment-0000000001")
                && message.contains("restore the file from a copy"),
            "{command}: {message}"
        );
    }
}

#[test]
fn a_damaged_newest_commit_is_reported_and_an_older_one_is_taken_only_when_asked_for() {
    let scratch = indexed(LINES);
    let older = scratch.path("index/manifest-0000000002");
    let kept = std::fs::read(&older).unwrap();
    scratch.run("delete --index index garda").done();
    let newest = scratch.path("index/manifest-0000000003");
    let mut damaged = std::fs::read(&newest).unwrap();
    damaged[70] ^= 1;
    std::fs::write(&newest, damaged).unwrap();
    // Without an older commit there is nothing to go back to.
    let message = scratch
        .run("check --index index --accept-older-commit")
        .failed();
    assert!(
        message.contains("manifest-0000000003") && message.contains("no older commit is whole"),
        "{message}"
    );
    let message = scratch.run("check --index index").failed();
    assert!(!message.contains("no older commit"), "{message}");
    std::fs::write(&older, kept).unwrap();
    for command in [
        "check --index index",
        "delete --index index etna",
        "get --index index etna",
    ] {
        let message = scratch.run(command).failed();
        assert!(
            message.contains("manifest-0000000003"),
            "{command}: {message}"
        );
    }
    let message = scratch.run("check --index index").failed();
    assert!(message.contains("check --accept-older-commit"), "{message}");
    let report = scratch
        .run("check --index index --accept-older-commit --json")
        .done();
    assert_eq!(json(&report)["documents"], 2);
    assert_eq!(json(&report)["commit"], 4);
    let report = scratch.run("check --index index --json").done();
    assert_eq!(json(&report)["commit"], 4);
}

#[test]
fn inspect_shows_fields_segments_terms_and_documents() {
    let scratch = indexed(VECTORS);
    let people = scratch.run("inspect --index index").done();
    for part in [
        "field `sparse`",
        "analyzer english",
        "segment-0000000001",
        "impacts",
    ] {
        assert!(people.contains(part), "{part}: {people}");
    }
    let summary = json(&scratch.run("inspect --index index --json").done());
    assert_eq!(summary["documents"], 2);
    assert_eq!(summary["manifest"], "manifest-0000000002");
    assert_eq!(summary["fields"][0]["analyzer"], "english");
    assert_eq!(summary["fields"][1]["postings"], 3);
    assert_eq!(summary["segments"][0]["file"], "segment-0000000001");

    let terms = |options: &str| {
        let out = scratch.run(&format!("inspect --index index --json --terms {options}"));
        let terms = out.done();
        let of_line = |line: &str| {
            let entry = json(line);
            (
                entry["term"].as_str().unwrap().to_owned(),
                entry["documents"].as_u64().unwrap(),
            )
        };
        terms.lines().map(of_line).collect::<Vec<_>>()
    };
    let of_sparse = [
        ("ash".to_owned(), 1),
        ("lava".to_owned(), 1),
        ("water".to_owned(), 1),
    ];
    assert_eq!(terms("sparse"), of_sparse);
    assert_eq!(terms("sparse --prefix l"), of_sparse[1..2]);
    assert_eq!(terms("sparse --limit 1"), of_sparse[..1]);
    let plain = scratch
        .run("inspect --index index --terms text --prefix volc")
        .done();
    assert_eq!(plain.trim(), "1  volcano");
    let message = scratch.run("inspect --index index --terms title").failed();
    assert!(message.contains("text, sparse, source"), "{message}");

    let document = json(
        &scratch
            .run("inspect --index index --document garda --json")
            .done(),
    );
    assert_eq!(document["segment"], "segment-0000000001");
    assert_eq!(document["stored"]["contents"], "A lake below the Alps.");
    let people = scratch.run("inspect --index index --document garda").done();
    assert!(people.starts_with("document "), "{people}");
    scratch
        .run("inspect --index index --document nowhere")
        .failed();
    assert_eq!(
        scratch.run("inspect --index index --prefix x").code,
        Some(2)
    );
}
