//! Lists to and from files in the Common Index File Format.

use std::fs;
use std::path::Path;

use esparsa::{Document, Index, Query, Schema, Snapshot, Sparse};

use crate::command::Scratch;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo");

fn snapshot(path: impl AsRef<Path>) -> Snapshot {
    Index::open(path).unwrap().snapshot().unwrap()
}

/// Ids and the bits of scores.
fn ranking(snapshot: &Snapshot, query: &Query) -> Vec<(String, u32)> {
    let hits = snapshot.search(query, 1_000).unwrap();
    let ids = hits.ids().unwrap().into_iter();
    let scores = hits.scored().iter().map(|(_, score)| score.to_bits());
    ids.zip(scores).collect()
}

#[test]
fn rankings_of_words_are_equal_after_a_round_trip() {
    let scratch = Scratch::new();
    let corpus = fs::read_to_string(Path::new(DEMO).join("corpus.jsonl")).unwrap();
    scratch.write("corpus.jsonl", corpus);
    scratch
        .run("index corpus.jsonl --index old --language en")
        .done();
    // A deleted document is not exported: it may not count in the old index either.
    scratch.run("delete --index old en-03").done();
    scratch.run("merge --index old --segments 1").done();
    scratch
        .run("ciff export --index old --output words.ciff")
        .done();
    // In several parts: 1 MiB is more than all postings take, so the limit is set by hand below.
    scratch.run("ciff import words.ciff --index new").done();

    let (old, new) = (snapshot(scratch.path("old")), snapshot(scratch.path("new")));
    assert_eq!(new.documents(), 119);
    let analyzer = old
        .analyzer(old.schema().field("text").unwrap().number)
        .unwrap();
    let queries = fs::read_to_string(Path::new(DEMO).join("queries.jsonl")).unwrap();
    let mut found = 0;
    for line in queries.lines() {
        let query: serde_json::Value = serde_json::from_str(line).unwrap();
        let words = query["text"].as_str().unwrap();
        let mut terms = Vec::new();
        analyzer.analyze_query(words, &mut |term, _| terms.push(term.to_owned()));
        let before = ranking(&old, &Query::text("text", words));
        assert_eq!(
            before,
            ranking(&new, &Query::analyzed("text", terms)),
            "{words}"
        );
        found += before.len();
    }
    assert!(found > 500, "{found}");
}

#[test]
fn several_segments_are_exported_as_one_list() {
    let scratch = Scratch::new();
    let corpus = fs::read_to_string(Path::new(DEMO).join("corpus.jsonl")).unwrap();
    let lines: Vec<&str> = corpus.lines().collect();
    for (number, part) in lines.chunks(50).enumerate() {
        scratch.write("part.jsonl", part.join("\n"));
        let load = "index part.jsonl --index old --language en --quiet";
        scratch.run(load).done();
        // Each load is a segment of its own.
        let old = snapshot(scratch.path("old"));
        assert_eq!(old.segment_count(), number + 1);
    }
    scratch
        .run("ciff export --index old --output a.ciff")
        .done();
    scratch.run("ciff import a.ciff --index new").done();
    let (old, new) = (snapshot(scratch.path("old")), snapshot(scratch.path("new")));
    for term in ["volcano", "water", "year", "rio"] {
        let query = Query::analyzed("text", [term]);
        let before = ranking(&old, &query);
        assert!(!before.is_empty(), "{term}");
        assert_eq!(before, ranking(&new, &query), "{term}");
    }

    // Deleted documents are in none of the lists.
    scratch.run("delete --index old en-01 en-60 pt-05").done();
    scratch
        .run("ciff export --index old --output b.ciff")
        .done();
    scratch.run("ciff import b.ciff --index fewer").done();
    let fewer = snapshot(scratch.path("fewer"));
    let left = snapshot(scratch.path("old"));
    assert_eq!(fewer.documents(), left.documents());
    for id in ["en-01", "pt-05"] {
        assert!(new.find(id).unwrap().is_some() && fewer.find(id).unwrap().is_none());
    }
    let query = Query::analyzed("text", ["volcano"]);
    let mut found = fewer.search(&query, 100).unwrap().ids().unwrap();
    let mut expected = left.search(&query, 100).unwrap().ids().unwrap();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn impacts_stay_in_proportion_and_files_may_be_compressed() {
    let scratch = Scratch::new();
    let mut lines = String::new();
    for number in 0..200u32 {
        // Weights of several magnitudes, so that lists have parts of several exponents.
        let weights = (1..12u32).map(|term| {
            let weight =
                f64::from(1 + number * term % 97) * [0.01, 1.0, 300.0][(term % 3) as usize];
            format!("\"t{}\": {weight}", number * term % 31)
        });
        let mut vector: Vec<String> = weights.collect();
        vector.sort();
        vector.dedup_by_key(|pair| pair.split(':').next().unwrap().to_owned());
        lines += &format!(
            "{{\"_id\": \"d{number}\", \"vector\": {{{}}}}}\n",
            vector.join(", ")
        );
    }
    scratch.write("vectors.jsonl", lines);
    scratch
        .run("index vectors.jsonl --index old --segments 1")
        .done();
    let ran = scratch.run("inspect --index old").done();
    let field = if ran.contains("vector") {
        "vector"
    } else {
        "sparse"
    };
    scratch
        .run(&format!(
            "ciff export --index old --field {field} --output a.ciff"
        ))
        .done();
    scratch
        .run("ciff import a.ciff --index new --kind sparse --field impacts")
        .done();
    let (old, new) = (snapshot(scratch.path("old")), snapshot(scratch.path("new")));
    let mut unit = None;
    for query in [
        vec![("t1", 1.0)],
        vec![("t3", 2.0), ("t4", 1.0)],
        vec![("t30", 1.0), ("t7", 5.0), ("t2", 1.0)],
    ] {
        let before = old
            .search(&Query::sparse(field, query.clone()), 1_000)
            .unwrap();
        let after = new.search(&Query::sparse("impacts", query), 1_000).unwrap();
        assert_eq!(before.len(), after.len());
        for (before, after) in before.iter().zip(after.iter()) {
            let ratio = f64::from(after.score) / f64::from(before.score);
            let unit = *unit.get_or_insert(ratio);
            // Above 255 steps the new index rounds again.
            assert!((ratio / unit - 1.0).abs() < 0.005, "{ratio} {unit}");
        }
    }

    let bytes = fs::read(scratch.path("a.ciff")).unwrap();
    let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut compressed, &bytes).unwrap();
    scratch.write("a.ciff.gz", compressed.finish().unwrap());
    scratch
        .run("ciff import a.ciff.gz --index again --kind sparse")
        .done();
    assert_eq!(snapshot(scratch.path("again")).documents(), 200);
}

#[test]
fn small_impacts_are_exact_and_numbers_are_terms() {
    let scratch = Scratch::new();
    let sparse = Sparse::new().numbered().max_weight(255.0);
    let schema = Schema::builder().sparse("impacts", sparse).build().unwrap();
    let index = Index::create(scratch.path("old"), schema).unwrap();
    let mut writer = index.writer().unwrap();
    for number in 1..=255u8 {
        let vector = [(7, f32::from(number)), (900, 1.0)];
        let document = Document::new(number.to_string());
        let document = document.with_sparse_numbered("impacts", vector);
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
    drop(writer);
    let export = "ciff export --index old --field impacts --output a.ciff";
    scratch.run(export).done();
    let import = "ciff import a.ciff --index new --kind sparse --field impacts";
    scratch.run(import).done();
    let (old, new) = (snapshot(scratch.path("old")), snapshot(scratch.path("new")));
    let numbered = Query::sparse_numbered("impacts", [(7, 2.0), (900, 0.5)]);
    let named = Query::sparse("impacts", [("7", 2.0), ("900", 0.5)]);
    assert_eq!(ranking(&old, &numbered), ranking(&new, &named));
    let (id, score) = ranking(&new, &named).remove(0);
    let score = f32::from_bits(score);
    assert!(id == "255" && (score - 510.5).abs() < 0.01, "{id} {score}");
}

#[test]
fn what_is_no_file_of_the_format_is_refused() {
    let scratch = Scratch::new();
    scratch.write(
        "documents.jsonl",
        "{\"_id\": \"a\", \"text\": \"lava ash lava\"}\n{\"_id\": \"b\", \"text\": \"ash\"}\n",
    );
    scratch
        .run("index documents.jsonl --index old --language simple")
        .done();
    scratch
        .run("ciff export --index old --output good.ciff")
        .done();
    let good = fs::read(scratch.path("good.ciff")).unwrap();
    for length in 0..good.len() {
        scratch.write("cut.ciff", &good[..length]);
        let message = scratch.run("ciff import cut.ciff --index new").failed();
        assert!(message.contains("cut.ciff: expected"), "{message}");
        assert!(!scratch.path("new").exists());
    }
    scratch.write("long.ciff", [&good[..], b"more"].concat());
    assert!(
        scratch
            .run("ciff import long.ciff --index new")
            .failed()
            .contains("found more")
    );
    scratch.write("huge.ciff", [0xFF; 12]);
    assert!(
        scratch
            .run("ciff import huge.ciff --index new")
            .failed()
            .contains("the length of a header")
    );
    scratch.write("length.ciff", [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]);
    assert!(
        scratch
            .run("ciff import length.ciff --index new")
            .failed()
            .contains("at most")
    );
    let mut version = good.clone();
    // The second byte of the header's first field, which is the version.
    version[2] = 9;
    scratch.write("version.ciff", version);
    assert!(
        scratch
            .run("ciff import version.ciff --index new")
            .failed()
            .contains("found 9")
    );
    let message = scratch
        .run("ciff export --index old --field title --output x.ciff")
        .failed();
    assert!(
        message.contains("field `title`") && !scratch.path("x.ciff").exists(),
        "{message}"
    );
    scratch.run("ciff import good.ciff --index new").done();
    scratch.run("ciff import good.ciff --index new").failed();
}

#[test]
fn a_header_that_claims_two_thousand_million_documents_takes_no_memory_for_them() {
    let scratch = Scratch::new();
    // Version 1, and as many documents as there can be, of which none follows.
    scratch.write("a.ciff", b"\x08\x08\x01\x18\xff\xff\xff\xff\x07");
    let error = scratch.run("ciff import a.ciff --index new").failed();
    assert!(
        error.contains("expected a document, found the end of the file"),
        "{error}"
    );
    assert!(!scratch.path("new").exists());
}

#[test]
fn a_frequency_that_makes_an_endless_text_is_refused_before_the_text_is_made() {
    let scratch = Scratch::new();
    // One document with the term `a`, 2^31 - 1 times.
    let file = b"\x06\x08\x01\x10\x01\x18\x01\x0b\x0a\x01\x61\x22\x06\x10\xff\xff\xff\xff\x07\x05\x12\x01\x78\x18\x01";
    scratch.write("a.ciff", file);
    let error = scratch.run("ciff import a.ciff --index new").failed();
    assert!(
        error.contains("bytes of document `x`") && error.contains("67108864"),
        "{error}"
    );
}
