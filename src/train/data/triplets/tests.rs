use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::*;

/// A folder with files.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, content) in files {
            folder.write(name, content);
        }
        folder
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn texts(&self, name: &str) -> Arc<Texts> {
        Arc::new(Texts::open(self.path(name)).unwrap())
    }

    fn text_triplets(&self) -> Result<TextTriplets> {
        TextTriplets::open(self.path("triples"), self.path("scratch"))
    }

    fn id_triplets(&self) -> Result<IdTriplets> {
        let (queries, corpus) = (self.texts("queries"), self.texts("corpus"));
        IdTriplets::open(self.path("triples"), queries, corpus, self.path("scratch"))
    }

    fn scratch_files(&self) -> usize {
        fs::read_dir(self.path("scratch")).unwrap().count()
    }
}

fn with_ids(triples: &str) -> Folder {
    Folder::new(&[
        ("queries", "1\tone?\n2\ttwo?\n"),
        (
            "corpus",
            "{\"_id\": \"a\", \"text\": \"A\"}\n{\"_id\": 7, \"text\": \"B\"}\n{\"_id\": \"c\", \"text\": \"C\"}\n{\"_id\": \"d\", \"text\": \"D\"}\n",
        ),
        ("triples", triples),
    ])
}

/// An example as `query: documents`, relevant ones in brackets.
fn shown(source: &impl Source, number: u64, epoch: u64) -> String {
    let example = source.example(number, epoch, 5).unwrap();
    let documents = example.candidates.iter().map(|candidate| {
        assert_eq!(candidate.target, f64::from(u8::from(candidate.is_relevant)));
        match candidate.is_relevant {
            true => format!(" [{}]", candidate.document.text),
            false => format!(" {}", candidate.document.text),
        }
    });
    format!("{}:{}", example.query.text, documents.collect::<String>())
}

fn all(source: &impl Source) -> Vec<String> {
    (0..source.len())
        .map(|number| shown(source, number, 0))
        .collect()
}

fn error_of<T>(result: Result<T>) -> String {
    let message = result.err().expect("an error").to_string();
    message.rsplit('/').next().unwrap().to_owned()
}

#[test]
fn texts_of_triplets_come_from_the_file() {
    let folder = Folder::new(&[(
        "triples",
        "\u{feff}what is it\tyes\tno\r\n\nsecond\tp \tn1\tn2\tn3\nlast\tp\tn",
    )]);
    let triplets = folder.text_triplets().unwrap();
    assert_eq!(
        all(&triplets),
        [
            "what is it: [yes] no",
            "second: [p] n1 n2 n3",
            "last: [p] n"
        ]
    );
    let example = triplets.example(1, 0, 5).unwrap();
    assert_eq!(example.relevant, [Text::new("p").key]);
}

#[test]
fn texts_come_as_json_too() {
    let folder = Folder::new(&[(
        "triples",
        "[\"a\\tb\", [\"yes\", \"also\"], \"no\"]\n{\"anchor\": \"q\", \"positive\": \"p\", \"negative\": \"n\"}\n",
    )]);
    let triplets = folder.text_triplets().unwrap();
    let epochs: BTreeSet<String> = (0..2).map(|epoch| shown(&triplets, 0, epoch)).collect();
    let expected = ["a\tb: [also] no", "a\tb: [yes] no"].map(str::to_owned);
    assert_eq!(epochs, BTreeSet::from(expected));
    assert_eq!(shown(&triplets, 1, 0), "q: [p] n");
    // With tabs it is a query that begins with a bracket.
    folder.write("triples", "[1] means\tyes\tno\n");
    assert_eq!(
        all(&folder.text_triplets().unwrap()),
        ["[1] means: [yes] no"]
    );
}

#[test]
fn ids_of_every_layout_are_resolved() {
    for triples in [
        "1\ta\t7\n2\tc\ta\td\n",
        "[1, \"a\", 7]\n[\"2\", [\"c\"], \"a\", \"d\"]\n",
        "{\"qid\": 1, \"pos\": [\"a\"], \"neg\": [7]}\n{\"query\": \"2\", \"positive\": \"c\", \"negative\": [\"a\", \"d\"]}\n",
        "{\"qid\": 1, \"pos\": \"a\", \"neg\": 7}\n\n[2, \"c\", [\"a\", \"d\"]]\n",
        "{\"qid\": 1, \"pos\": [\"a\"], \"neg\": {\"bm25\": [7]}}\n{\"qid\": 2, \"pos\": [\"c\"], \"neg\": {\"bm25\": [\"a\", \"d\"], \"splade\": [\"d\", \"a\"]}}\n",
    ] {
        let triplets = with_ids(triples).id_triplets().unwrap();
        assert_eq!(
            all(&triplets),
            ["one?: [A] B", "two?: [C] A D"],
            "{triples}"
        );
    }
}

#[test]
fn relevant_documents_take_turns_and_all_of_them_are_known() {
    let folder = with_ids("[1, [\"a\", \"c\", \"d\"], 7]\n");
    let triplets = folder.id_triplets().unwrap();
    let epochs: BTreeSet<String> = (0..3).map(|epoch| shown(&triplets, 0, epoch)).collect();
    assert_eq!(epochs.len(), 3, "{epochs:?}");
    let example = triplets.example(0, 0, 5).unwrap();
    let mut keys: Vec<u128> = ["A", "C", "D"].map(|text| Text::new(text).key).to_vec();
    keys.sort_unstable();
    assert_eq!(example.relevant, keys);
}

#[test]
fn negatives_are_sampled_by_epoch() {
    let folder = Folder::new(&[("triples", "q\tp\t1\t2\t3\t4\t5\t6\n")]);
    let triplets = folder.text_triplets().unwrap().with_negatives(2);
    let mut seen = BTreeSet::new();
    for epoch in 0..3 {
        let example = triplets.example(0, epoch, 5).unwrap();
        assert_eq!(example.candidates.len(), 3);
        let negatives = example.candidates[1..].iter();
        seen.extend(negatives.map(|candidate| candidate.document.text.to_string()));
        assert_eq!(triplets.example(0, epoch, 5).unwrap(), example);
    }
    assert_eq!(seen.len(), 6, "three epochs show every negative");
    assert_ne!(
        triplets.fingerprint(),
        folder.text_triplets().unwrap().fingerprint()
    );
}

#[test]
fn scratch_files_are_used_again_until_the_data_change() {
    let folder = with_ids("1\ta\t7\n");
    let first = folder.id_triplets().unwrap().fingerprint();
    assert_eq!(folder.id_triplets().unwrap().fingerprint(), first);
    assert_eq!(folder.scratch_files(), 1);
    folder.write("triples", "1\tc\t7\n2\ta\td\n");
    assert_ne!(folder.id_triplets().unwrap().fingerprint(), first);
    assert_eq!(folder.scratch_files(), 2);
    folder.write("queries", "0\tzero?\n1\tone?\n2\ttwo?\n");
    assert_eq!(shown(&folder.id_triplets().unwrap(), 1, 0), "two?: [A] D");
    assert_eq!(folder.scratch_files(), 3);
}

#[test]
fn wrong_lines_are_named() {
    for (triples, expected) in [
        ("", "triples: expected lines of a query"),
        (
            "a\tb\tc\nd\te\n",
            "triples:2: expected a query, a relevant document and one or more negatives, separated by tabs, found 2 columns",
        ),
        (
            "a\tb\tc\n\nd\t\tf\n",
            "triples:3: expected columns that are not empty, found nothing in column 2",
        ),
    ] {
        let found = error_of(Folder::new(&[("triples", triples)]).text_triplets());
        assert!(found.starts_with(expected), "{found}");
    }
    for (triples, expected) in [
        ("\n", "triples: expected lines of a query"),
        ("1\ta\n", "triples:1: expected a query, a relevant document"),
        (
            "[1, \"a\", \"c\"]\n[1, \"a\"]\n",
            "triples:2: expected one or more entries for a negative",
        ),
        (
            "[1]\n",
            "triples:1: expected `[query, relevant document, negative, ...]`, found 1 entries",
        ),
        ("[1, \"a\"\n", "triples:1: expected one JSON array"),
        (
            "[1, \"a\", null]\n",
            "triples:1: expected a string, an integer or an array of these, found `null`",
        ),
        (
            "{\"qid\": 1, \"pos\": [\"a\"]}\n",
            "triples:1: expected `query`, `pos` and `neg`, found no `neg`",
        ),
        (
            "{\"qid\": 1, \"pos\": [], \"neg\": [7]}\n",
            "triples:1: expected one or more entries for a relevant document",
        ),
    ] {
        let found = error_of(with_ids(triples).id_triplets());
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn unknown_ids_are_counted_and_some_are_quoted() {
    let lines: String = (0..20)
        .map(|number| format!("1\ta\tx{}\n", number % 9))
        .collect();
    let folder = with_ids(&format!("2\tc\ta\n{lines}3\ta\tc\n"));
    let message = folder.id_triplets().unwrap_err().to_string();
    assert!(message.contains("triples:2: "), "{message}");
    assert!(message.contains("found 1 query id that "), "{message}");
    assert!(message.contains("20 document ids that "), "{message}");
    assert!(
        message.contains("`x0`, `x1`, `x2`, `x3`, `x4`;"),
        "{message}"
    );
    assert_eq!(folder.scratch_files(), 0);
}

#[test]
fn missing_and_compressed_files_are_refused() {
    let folder = Folder::new(&[]);
    assert!(matches!(folder.text_triplets(), Err(Error::Io { .. })));
    fs::write(folder.path("triples"), b"\x1f\x8b\x08\x00").unwrap();
    assert!(error_of(folder.text_triplets()).contains("decompress it first"));
}

#[test]
fn a_damaged_scratch_file_is_an_error_and_no_panic() {
    let folder = with_ids("1\ta\t7\n2\tc\ta\n");
    let triplets = folder.id_triplets().unwrap();
    let scratch = fs::read_dir(folder.path("scratch"))
        .unwrap()
        .next()
        .unwrap();
    let scratch = scratch.unwrap().path();
    let mut bytes = fs::read(&scratch).unwrap();
    bytes[4..8].copy_from_slice(&9u32.to_le_bytes());
    bytes[16..20].copy_from_slice(&9u32.to_le_bytes());
    fs::write(&scratch, bytes).unwrap();
    for number in 0..2 {
        assert!(triplets.example(number, 0, 5).is_err());
    }
}
