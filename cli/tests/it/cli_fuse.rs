//! `esparsa fuse`, from the outside.

use esparsa::eval::Run;

use crate::command::Scratch;

const WORDS: &str = "1 Q0 etna 1 12.5 bm25\n1 Q0 po 2 9 bm25\n1 Q0 arno 3 2.5 bm25\n\
                     2 Q0 arno 1 4 bm25\n";
const VECTORS: &str = "1 Q0 po 1 0.8 dense\n1 Q0 garda 2 0.7 dense\n1 Q0 etna 3 0.3 dense\n\
                       3 Q0 po 1 0.9 dense\n";

fn fixture() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("words.run", WORDS);
    scratch.write("vectors.run", VECTORS);
    scratch
}

/// Query and document of each line.
fn lines(run: &str) -> Vec<(&str, &str)> {
    let columns = run.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    columns.map(|columns| (columns[0], columns[2])).collect()
}

#[test]
fn reciprocal_rank_fusion_is_the_default_and_goes_to_standard_output() {
    let ran = fixture().run("fuse words.run vectors.run");
    assert!(
        ran.stderr.contains("3 queries, 6 results from 2 runs"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("words.run: lacks 1 of the queries"),
        "{}",
        ran.stderr
    );
    let text = ran.done();
    let first = format!("1 Q0 po 1 {} esparsa-rrf\n", 1.0 / 62.0 + 1.0 / 61.0);
    assert!(text.starts_with(&first), "{text}");
    let order = ["po", "etna", "garda", "arno"].map(|document| ("1", document));
    assert_eq!(lines(&text)[..4], order);
    assert_eq!(lines(&text)[4..], [("2", "arno"), ("3", "po")]);
}

#[test]
fn a_weighted_sum_is_written_to_a_file_and_cut() {
    let scratch = fixture();
    let arguments = "--method weighted-sum --normalization min-max --weights 0.25,0.75 --k 2";
    let command = format!("fuse words.run vectors.run {arguments} --output fused.run");
    assert_eq!(scratch.run(&command).done(), "");
    let run = Run::open(scratch.path("fused.run")).unwrap();
    let ranked = run.ranked("1");
    assert_eq!(ranked.len(), 2);
    assert_eq!(
        (&*ranked[0].document, ranked[0].score),
        ("po", 0.25 * 0.65 + 0.75)
    );
    assert_eq!(ranked[1].document, "garda");
    assert_eq!(run.tag(), Some("esparsa-weighted-sum"));
    // Min-max is the normalization that is meant when none is named, and `-` is standard output.
    let shorter =
        "fuse words.run vectors.run --method weighted-sum --weights 0.25,0.75 --k 2 --output -";
    let text = std::fs::read_to_string(scratch.path("fused.run")).unwrap();
    assert_eq!(scratch.run(shorter).done(), text);
}

#[test]
fn every_method_and_normalization_has_a_name() {
    let scratch = fixture();
    for method in ["weighted-sum", "comb-mnz", "comb-max"] {
        for normalization in ["none", "min-max", "sum", "z-score", "sigmoid", "rank"] {
            let options = format!("--method {method} --normalization {normalization}");
            let text = scratch
                .run(&format!("fuse words.run vectors.run {options}"))
                .done();
            assert_eq!(lines(&text).len(), 6, "{options}");
            assert!(text.ends_with(&format!(" esparsa-{method}\n")), "{text}");
        }
    }
    let rrf = scratch
        .run("fuse words.run vectors.run --method rrf --rrf-k 0")
        .done();
    assert!(rrf.starts_with("1 Q0 po 1 1.5 "), "{rrf}");
}

#[test]
fn missing_documents_get_what_is_asked_for() {
    let scratch = fixture();
    let fuse = |missing: &str| {
        let options = "--method weighted-sum --normalization none --missing";
        let text = scratch.run(&format!("fuse words.run vectors.run {options} {missing}"));
        let run = Run::read(text.done().as_bytes(), "fused").unwrap();
        let hits = run.results("1").unwrap();
        hits.iter()
            .find(|hit| hit.document == "arno")
            .unwrap()
            .score
    };
    assert_eq!(fuse("zero"), 2.5);
    assert_eq!(fuse("lowest"), 2.5 + 0.3);
}

#[test]
fn runs_of_weight_zero_are_skipped() {
    let text = fixture()
        .run("fuse words.run vectors.run --weights 1,0")
        .done();
    let order = [("1", "etna"), ("1", "po"), ("1", "arno"), ("2", "arno")];
    assert_eq!(lines(&text), order);
}

#[test]
fn runs_come_compressed_and_from_standard_input() {
    let scratch = fixture();
    let plain = scratch.run("fuse words.run vectors.run").done();
    scratch.write(
        "words.run.zst",
        zstd::encode_all(WORDS.as_bytes(), 1).unwrap(),
    );
    let ran = scratch.run_with_input("fuse words.run.zst -", VECTORS.as_bytes());
    assert_eq!(ran.done(), plain);
    let error = scratch.run_with_input("fuse - -", b"").failed();
    assert!(error.contains("found `-` more than once"), "{error}");
}

#[test]
fn mistakes_are_named_and_write_nothing() {
    let scratch = fixture();
    scratch.write("broken.run", "1 Q0 etna 1 high bm25\n");
    let cases = [
        ("words.run absent.run", "absent.run: cannot open"),
        (
            "words.run broken.run",
            "broken.run:1: expected a finite score",
        ),
        (
            "words.run vectors.run --weights 1",
            "each of the 2 lists, found 1",
        ),
        (
            "words.run vectors.run --weights 0,0",
            "expected a weight above 0",
        ),
        ("words.run vectors.run --weights nan,1", "found NaN"),
        ("words.run vectors.run --weights -1,1", "found -1"),
        (
            "words.run vectors.run --normalization sum",
            "expected --normalization with any method but rrf",
        ),
        (
            "words.run vectors.run --missing lowest",
            "expected --missing with weighted-sum",
        ),
        (
            "words.run vectors.run --method comb-mnz --rrf-k 1",
            "expected --rrf-k with rrf",
        ),
    ];
    for (arguments, expected) in cases {
        let error = scratch
            .run(&format!("fuse {arguments} --output out.run"))
            .failed();
        assert!(error.contains(expected), "{arguments}: {error}");
        assert!(!scratch.path("out.run").exists(), "{arguments}");
    }
}

#[test]
fn an_output_that_is_an_input_is_refused_and_the_input_stays() {
    let scratch = fixture();
    scratch.write("sub/place.txt", "");
    for output in ["words.run", "./words.run", "sub/../vectors.run"] {
        let error = scratch
            .run(&format!("fuse words.run vectors.run --output {output}"))
            .failed();
        assert!(
            error.contains("expected an output that is none of the inputs")
                && error.contains("choose another name"),
            "{output}: {error}"
        );
    }
    // An input that is the partial file of the output would be overwritten too.
    scratch.write("new.run.partial", WORDS);
    let error = scratch
        .run("fuse new.run.partial vectors.run --output new.run")
        .failed();
    assert!(error.contains("the input new.run.partial"), "{error}");
    for (name, content) in [
        ("words.run", WORDS),
        ("vectors.run", VECTORS),
        ("new.run.partial", WORDS),
    ] {
        let left = std::fs::read_to_string(scratch.path(name)).unwrap();
        assert_eq!(left, content, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn an_output_that_is_a_link_to_an_input_is_refused() {
    let scratch = fixture();
    std::os::unix::fs::symlink(scratch.path("words.run"), scratch.path("link.run")).unwrap();
    let error = scratch
        .run("fuse words.run vectors.run --output link.run")
        .failed();
    assert!(error.contains("the input words.run"), "{error}");
}

#[test]
fn wrong_usage_ends_with_code_two() {
    let scratch = fixture();
    for arguments in [
        "words.run",
        "words.run vectors.run --method median",
        "words.run vectors.run --normalization minmax",
        "words.run vectors.run --weights half,half",
        "words.run vectors.run --k 0",
    ] {
        let ran = scratch.run(&format!("fuse {arguments}"));
        assert_eq!(ran.code, Some(2), "{arguments}: {}", ran.stderr);
    }
    let ran = scratch.run("fuse words.run vectors.run --weights 1,x");
    assert!(
        ran.stderr.contains("expected a number of at least 0") && ran.stderr.contains("found x"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_document_that_is_the_only_hit_of_a_run_counts() {
    let scratch = Scratch::new();
    scratch.write("one.run", "1 Q0 only 1 5 a\n");
    scratch.write("two.run", "1 Q0 x 1 9 b\n1 Q0 y 2 1 b\n");
    for (method, expected) in [("weighted-sum", 1.0), ("comb-mnz", 1.0), ("comb-max", 1.0)] {
        for normalization in ["min-max", "sum", "z-score"] {
            let options = format!("--method {method} --normalization {normalization}");
            let text = scratch
                .run(&format!("fuse one.run two.run {options}"))
                .done();
            let run = Run::read(text.as_bytes(), "fused").unwrap();
            let hit = run
                .ranked("1")
                .into_iter()
                .find(|hit| hit.document == "only");
            assert_eq!(hit.unwrap().score, expected, "{options}: {text}");
        }
    }
}

#[test]
fn json_has_a_line_for_each_query_and_goes_where_the_run_would() {
    let scratch = fixture();
    let text = scratch.run("fuse words.run vectors.run --json").done();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<&str> = lines
        .iter()
        .map(|line| line["query_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(lines[0]["hits"].as_array().unwrap().len(), 4);
    assert_eq!(lines[0]["hits"][0]["id"], "po");
    assert_eq!(lines[0]["hits"][0]["rank"], 1);
    let to_file = "fuse words.run vectors.run --json --output fused.jsonl";
    assert_eq!(scratch.run(to_file).done(), "");
    let written = std::fs::read_to_string(scratch.path("fused.jsonl")).unwrap();
    assert_eq!(written, text);
}
