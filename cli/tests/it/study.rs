//! `esparsa study`, from the outside.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::command::Scratch;
use crate::small_models::model;

const SYSTEMS: &str = r#"
[[systems]]
name = "bm25"
kind = "bm25"
k1 = [0.6, 1.2]
b = [0.3, 0.75]

[[systems]]
name = "splade"
kind = "sparse"
model = "${MODELS}/splade-max"

[[systems]]
name = "fused"
kind = "fuse"
of = ["bm25", "splade"]
normalization = ["min-max", "rank"]
weights = [[0.5, 0.5], [0.9, 0.1]]

[[systems]]
name = "re-ranked"
kind = "rerank"
of = ["fused"]
top = 5
model = "${MODELS}/ce-bert"

[[systems]]
name = "words"
kind = "repeated"
model = "${MODELS}/splade-max"
repeats = 20
k1 = [1000]
b = [0]

[[systems]]
name = "rrf"
kind = "fuse"
of = ["bm25", "re-ranked"]
method = "rrf"

[[systems]]
name = "shuffled"
kind = "shuffled"
of = ["bm25"]

[[systems]]
name = "constant"
kind = "constant"
of = ["bm25"]

[[systems]]
name = "random"
kind = "random"
of = ["bm25"]
"#;

/// Two collections, of which documents have words that their queries have.
fn fixture() -> Scratch {
    let scratch = Scratch::new();
    for (name, count) in [("one", 60), ("two", 30)] {
        let words = |n: usize| format!("word{} topic{} shared{}", n % 7, n % 13, n % 3);
        let documents = (0..count).map(|n| {
            format!(
                "{{\"_id\": \"d{n}\", \"title\": \"\", \"text\": \"{} own{n}\"}}\n",
                words(n)
            )
        });
        let queries =
            (0..20).map(|n| format!("{{\"_id\": \"q{n}\", \"text\": \"{}\"}}\n", words(n)));
        scratch.write(
            &format!("{name}/corpus.jsonl"),
            documents.collect::<String>(),
        );
        scratch.write(
            &format!("{name}/queries.jsonl"),
            queries.collect::<String>(),
        );
        for (part, range) in [("dev", 0..10), ("test", 10..20)] {
            let lines = range
                .map(|n| format!("q{n}\td{n}\t1\n"))
                .collect::<String>();
            let text = format!("query-id\tcorpus-id\tscore\n{lines}");
            scratch.write(&format!("{name}/qrels/{part}.tsv"), text);
        }
    }
    let head = "title = \"Words\"\nmetrics = [\"ndcg@10\", \"recall@20\"]\ndepth = 20\n\n\
                [[collections]]\nname = \"one\"\npath = \"one\"\nlanguage = \"simple\"\n\n\
                [[collections]]\nname = \"two\"\npath = \"two\"\nlanguage = \"simple\"\n";
    scratch.write("words.toml", format!("{head}{SYSTEMS}"));
    scratch
}

fn study(scratch: &Scratch, more: &[&str]) -> Command {
    study_with(scratch, &[&["--threads", "1"], more].concat())
}

fn study_with(scratch: &Scratch, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_esparsa"));
    command.args(["study", "words.toml"]).args(more);
    command
        .current_dir(scratch.path(""))
        .env("MODELS", model(""));
    command.stdin(Stdio::null());
    command
}

#[track_caller]
fn done(mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|t| String::from_utf8(t).unwrap());
    assert!(output.status.success(), "{stdout}{stderr}");
    (stdout, stderr)
}

/// When each step was done.
fn times(folder: &Path) -> BTreeMap<String, SystemTime> {
    let steps = std::fs::read_dir(folder.join("steps")).unwrap();
    let noted = steps.map(|step| step.unwrap().path().join("step.json"));
    let noted = noted.filter_map(|path| Some((path.display().to_string(), path.metadata().ok()?)));
    noted
        .map(|(path, metadata)| (path, metadata.modified().unwrap()))
        .collect()
}

/// The reports without costs.
fn report(scratch: &Scratch) -> String {
    let report = std::fs::read_to_string(scratch.path("words/report.md")).unwrap();
    let report = report.split("## Cost").next().unwrap();
    let page = page(scratch);
    let parts = page.split("<h3>").filter(|part| !part.starts_with("Cost<"));
    format!("{report}{}", parts.collect::<String>())
}

fn page(scratch: &Scratch) -> String {
    std::fs::read_to_string(scratch.path("words/report.html")).unwrap()
}

/// Panics unless each element is closed where it should be, and all `<` are of tags.
#[track_caller]
fn check_elements(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some((text, behind)) = rest.split_once('<') {
        let is_style = open.last() == Some(&"style");
        assert!(is_style || !text.contains('>'), "{text}");
        let (tag, after) = behind.split_once('>').unwrap();
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap();
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        assert!(is_name, "<{tag}>");
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "behind {text}");
        } else if !tag.ends_with('/') && name != "meta" {
            open.push(name);
        }
        rest = after;
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn a_study_compares_systems_and_does_only_what_has_changed() {
    let scratch = fixture();
    let (planned, _) = done(study(&scratch, &["--dry-run"]));
    assert!(
        planned.lines().all(|line| line.starts_with("to do")),
        "{planned}"
    );
    assert!(!scratch.path("words").exists());
    done(study(&scratch, &[]));
    let first = report(&scratch);
    for expected in [
        "# Words",
        "## one: 10 test queries",
        "## two: 10 test queries",
        "| bm25 | 1.0000 [1.000, 1.000] |",
        "| random | 0.",
        "| fused | normalization ",
        "Parameters, chosen on the development",
    ] {
        assert!(first.contains(expected), "{expected} is not in\n{first}");
    }
    let before = times(&scratch.path("words"));
    assert_eq!(before.len(), planned.lines().count());

    // Nothing is done again.
    let (planned, _) = done(study(&scratch, &["--dry-run"]));
    assert!(
        planned.lines().all(|line| line.starts_with("done")),
        "{planned}"
    );
    done(study(&scratch, &[]));
    assert_eq!(times(&scratch.path("words")), before);
    assert_eq!(report(&scratch), first);

    // What was cut is made again, and nothing depends on the number of threads.
    let steps = std::fs::read_dir(scratch.path("words/steps")).unwrap();
    let run = steps
        .map(|step| step.unwrap().path().join("run.txt"))
        .find(|run| run.is_file())
        .unwrap();
    std::fs::write(&run, "").unwrap();
    let (planned, _) = done(study(&scratch, &["--dry-run"]));
    let to_do = planned.lines().filter(|line| line.starts_with("to do"));
    assert_eq!(to_do.count(), 1, "{planned}");
    done(study_with(&scratch, &["--threads", "2"]));
    assert_eq!(report(&scratch), first);

    // Another document in the second collection: what depends on the first alone stays.
    let corpus = scratch.path("two/corpus.jsonl");
    let more =
        std::fs::read_to_string(&corpus).unwrap() + "{\"_id\": \"more\", \"text\": \"word1\"}\n";
    std::fs::write(&corpus, more).unwrap();
    let (planned, _) = done(study(&scratch, &["--dry-run"]));
    let to_do: Vec<&str> = planned
        .lines()
        .filter(|line| line.starts_with("to do"))
        .collect();
    assert!(
        !to_do.is_empty() && to_do.iter().all(|line| line.contains("two")),
        "{planned}"
    );
}

/// A study in which models are made from one another.
fn with_models() -> Scratch {
    let scratch = fixture();
    let dev = std::fs::read_to_string(scratch.path("one/qrels/dev.tsv")).unwrap();
    scratch.write("one/qrels/train.tsv", dev);
    let config = std::fs::read_to_string(scratch.path("words.toml")).unwrap();
    let config = config.replacen("path = \"one\"", "path = \"one\"\ntest-queries = 6", 1);
    let models = r#"
[[models]]
name = "cut"
kind = "cut"
base = "${MODELS}/splade-max"

[[models]]
name = "trained"
kind = "splade"
base = "cut"
negatives = "bm25"
scores = "ranks"
train = { steps = 2, batch = 4, max-tokens = 16, losses = ["kl"], development-queries = 4 }
grid = { learning-rate = [1e-3, 1e-4] }

[[systems]]
name = "ranks"
kind = "fuse"
of = ["bm25", "re-ranked"]
method = "rrf"

[[systems]]
name = "own"
kind = "sparse"
model = "trained"
long = "windows"
"#;
    scratch.write("words.toml", config + models);
    scratch
}

#[test]
fn models_are_cut_trained_chosen_and_used() {
    let scratch = with_models();
    done(study(&scratch, &[]));
    let report = report(&scratch);
    for expected in [
        "one: 6 test queries",
        "| own | ",
        "| trained | learning-rate 0.00",
    ] {
        assert!(report.contains(expected), "{expected} is not in\n{report}");
    }
    let (planned, _) = done(study(&scratch, &["--dry-run"]));
    assert!(planned.lines().all(|line| line.starts_with("done")));
    for expected in [
        "cut cut",
        "train trained, learning-rate 0.001",
        "training queries of one",
    ] {
        assert!(
            planned.contains(expected),
            "{expected} is not in\n{planned}"
        );
    }
    // A test query says nothing about a model.
    let test = scratch.path("one/qrels/test.tsv");
    let fewer = std::fs::read_to_string(&test).unwrap();
    std::fs::write(&test, fewer.rsplit_once("q19").unwrap().0).unwrap();
    let (planned, _) = done(study(&scratch, &["--dry-run"]));
    let trained = planned.lines().filter(|line| line.contains("  train "));
    assert!(trained.clone().count() == 2 && trained.clone().all(|line| line.starts_with("done")));
}

#[test]
fn models_that_cannot_be_made_are_refused() {
    for (from, to, expected) in [
        (
            "base = \"cut\"",
            "base = \"trained\"",
            "`trained` is made of itself",
        ),
        (
            "base = \"cut\"",
            "base = \"cot\"",
            "one of the models cut, trained, found neither",
        ),
        (
            "negatives = \"bm25\"",
            "negatives = \"own\"",
            "`trained` is made of itself",
        ),
        (
            "negatives = \"bm25\"",
            "teacher = \"cut\"",
            "expected no `teacher`",
        ),
        ("steps = 2", "stepps = 2", "unknown field `stepps`"),
        ("[\"kl\"]", "[\"kll\"]", "found `kll`"),
        ("steps = 2", "metric = \"ndgc@10\"", "ndgc"),
        (
            "steps = 2",
            "split = \"mine\"",
            "expected the split `train`",
        ),
        (
            "steps = 2",
            "development = \"mine\"",
            "for the training of `trained`, found no file",
        ),
        (
            "steps = 2",
            "development = \"test\"",
            "expected other judgements than those of the test",
        ),
        (
            "development-queries = 4",
            "development-queries = 0",
            "expected `development-queries` above 0",
        ),
        (
            "learning-rate = [1e-3, 1e-4]",
            "metric = [\"ndcg@10\", \"mrr@10\"]",
            "found `metric`",
        ),
        (
            "steps = 2",
            "output = \"x\"",
            "expected no `base`, `output`",
        ),
        ("learning-rate = [", "learning-rates = [", "learning-rates"),
        ("[1e-3, 1e-4]", "[]", "expected lists of candidates"),
        (
            "kind = \"sparse\"\nmodel = \"trained\"",
            "kind = \"dense\"\nmodel = \"trained\"",
            "found one of kind splade",
        ),
        (
            "\"windows\"",
            "\"window\"",
            "expected truncate or windows, found `window`",
        ),
        (
            "test-queries = 6",
            "test-queries = 0",
            "expected a number from 1 to",
        ),
    ] {
        let scratch = with_models();
        let config = std::fs::read_to_string(scratch.path("words.toml")).unwrap();
        assert!(config.contains(from), "{from}");
        scratch.write("words.toml", config.replacen(from, to, 1));
        let output = study(&scratch, &[]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            message.contains(expected) && message.contains("words.toml:"),
            "{message}"
        );
        assert!(!scratch.path("words").exists());
    }
}

#[test]
fn inputs_are_opened_before_any_work() {
    type Break = fn(&Scratch);
    let breaks: [(Break, &str); 6] = [
        (
            |s| drop(s.write("one/queries.jsonl", "")),
            "queries.jsonl, found an empty one",
        ),
        (
            |s| drop(s.write("two/corpus.jsonl", "")),
            "corpus.jsonl, found an empty one",
        ),
        (
            |s| drop(s.write("two/queries.jsonl", "{\"_id\": 3, \"te")),
            "queries.jsonl:1",
        ),
        (
            |s| drop(s.write("one/qrels/dev.tsv", "x\td1\t1\n")),
            "found none of a query",
        ),
        (
            |s| drop(s.write("two/qrels/test.tsv", "q10\td1\thigh\n")),
            "test.tsv:",
        ),
        (
            |s| {
                let config = std::fs::read_to_string(s.path("words.toml")).unwrap();
                s.write("words.toml", config.replacen("splade-max", "ce-bert", 1));
            },
            "found CrossEncoder",
        ),
    ];
    for (damage, expected) in breaks {
        let scratch = fixture();
        damage(&scratch);
        let output = study(&scratch, &[]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            message.contains(expected) && message.contains("words.toml:"),
            "{message}"
        );
        assert!(!scratch.path("words").exists());
    }
    let scratch = fixture();
    let output = study(&scratch, &["--folder", "one/study"])
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("outside its inputs"), "{message}");
}

#[test]
fn the_page_needs_nothing_else_and_takes_texts_as_texts() {
    let scratch = fixture();
    let hostile = "<script>alert(1)</script>\\u001b[2J\\n\\u202e</p>&lt;\\\"'";
    for file in ["one/queries.jsonl", "one/corpus.jsonl"] {
        let text = std::fs::read_to_string(scratch.path(file)).unwrap();
        let text = text.replace("\"text\": \"", &format!("\"text\": \"{hostile} "));
        std::fs::write(scratch.path(file), text).unwrap();
    }
    let config = std::fs::read_to_string(scratch.path("words.toml")).unwrap();
    let title = "title = \"</title><script>\\n# Words\"";
    let config = config.replace("title = \"Words\"", title);
    scratch.write("words.toml", config);
    done(study(&scratch, &[]));
    let page = page(&scratch);
    check_elements(&page);
    for wrong in [
        "<script", "http:", "https:", " src=", "url(", "@import", "NaN", "\u{1b}", "\u{202e}",
    ] {
        assert!(!page.contains(wrong), "{wrong} is in\n{page}");
    }
    let links = page.split(" href=\"").skip(1);
    assert!(links.clone().count() > 3);
    for link in links {
        let id = link.strip_prefix('#').unwrap().split('"').next().unwrap();
        assert!(page.contains(&format!(" id=\"{id}\"")), "{id}");
    }
    for expected in [
        "<h1>&lt;/title&gt;&lt;script&gt;\\n# Words</h1>",
        "&lt;script&gt;alert(1)&lt;/script&gt;\\u001b[2J \\u202e&lt;/p&gt;&amp;lt;&quot;&#x27;",
        "id=\"parameters\"",
        "No system is above the baseline bm25 by ndcg@10 (1.0000).",
        "Queries won and lost against bm25",
        "<li class=\"added\"",
        "re-ranked returns the 5 documents that it re-ranks: no others count for ndcg@10, recall@20.",
        "the first of ",
    ] {
        assert!(page.contains(expected), "{expected} is not in\n{page}");
    }
    // Floors are not compared, and have no p values.
    assert!(!page.contains("<summary>shuffled"));
    let markdown = std::fs::read_to_string(scratch.path("words/report.md")).unwrap();
    assert!(
        markdown.starts_with("# </title><script>\\n# Words\n"),
        "{markdown}"
    );
    for line in markdown
        .lines()
        .filter(|line| line.starts_with("| random |"))
    {
        assert!(!line.contains("p = ") && !line.contains("p < "), "{line}");
    }
}

#[test]
fn a_study_that_is_killed_goes_on_and_reports_the_same() {
    let whole = fixture();
    done(study(&whole, &[]));
    let scratch = fixture();
    let (mut kills, mut wait) = (0, Duration::from_millis(20));
    loop {
        let mut child = study(&scratch, &[]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(wait);
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        (kills, wait) = (kills + 1, wait.mul_f32(1.3));
        // Its command may be at work still, and then holds the folder.
        std::thread::sleep(Duration::from_millis(300));
    }
    done(study(&scratch, &[]));
    assert!(kills > 0);
    assert_eq!(report(&scratch), report(&whole));
}

#[test]
fn one_study_at_a_time_works_in_a_folder() {
    let scratch = fixture();
    std::fs::create_dir(scratch.path("words")).unwrap();
    let lock = std::fs::File::create(scratch.path("words/lock")).unwrap();
    lock.lock().unwrap();
    let output = study(&scratch, &[]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && message.contains("no study is at work"),
        "{message}"
    );
}

#[test]
fn mistakes_are_refused_with_their_line_before_any_work() {
    for (from, to, line, expected) in [
        ("depth = 20", "depht = 20", 3, "unknown field `depht`"),
        ("\"ndcg@10\"", "\"ndgc@10\"", 2, "ndgc"),
        (
            "recall@20",
            "recall@21",
            2,
            "expected a metric of up to 20 results",
        ),
        ("recall@20", "ndcg@10", 2, "expected each metric once"),
        (
            "depth = 20",
            "depth = 0",
            3,
            "expected a number from 1 to 10000000, found 0",
        ),
        (
            "path = \"two\"",
            "path = \"three\"",
            12,
            "expected a folder with corpus.jsonl",
        ),
        (
            "of = [\"bm25\", \"splade\"]",
            "of = [\"bm25\", \"spalde\"]",
            29,
            "expected a system that stands above, found `spalde`",
        ),
        (
            "kind = \"shuffled\"",
            "kind = \"shufled\"",
            56,
            "unknown variant `shufled`",
        ),
        (
            "k1 = [0.6, 1.2]",
            "top = 10",
            18,
            "expected no `top` for a system of kind bm25",
        ),
        ("[0.9, 0.1]", "[0.9]", 31, "expected lists of 2 weights"),
        ("\"rank\"", "\"rnak\"", 30, "rnak"),
        ("ce-bert", "no-such", 38, "expected the folder of a model"),
        (
            "${MODELS}/splade-max",
            "${NO_SUCH_VARIABLE}/splade",
            24,
            "NO_SUCH_VARIABLE",
        ),
        (
            "name = \"random\"",
            "name = \"bm25\"",
            65,
            "a second system `bm25`",
        ),
        ("title = \"Words\"", "title = ", 1, "expected"),
    ] {
        let scratch = fixture();
        let config = std::fs::read_to_string(scratch.path("words.toml")).unwrap();
        assert!(config.contains(from), "{from}");
        scratch.write("words.toml", config.replacen(from, to, 1));
        let output = study(&scratch, &[]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(expected), "{expected} is not in {message}");
        assert!(
            message.contains(&format!("words.toml:{line}: ")),
            "{line}: {message}"
        );
        assert!(!scratch.path("words").exists());
    }
}
