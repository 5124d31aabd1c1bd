use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::super::negatives::{Margin, Ranks};
use super::*;
use crate::eval::Run;

/// A BEIR folder. Document `copy` has the text of `lava`; query `q2` has two relevant documents.
pub(in super::super) struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write(
            "corpus.jsonl",
            concat!(
                "{\"_id\": \"lava\", \"title\": \"Lava\", \"text\": \"flows from the volcano\"}\n",
                "{\"_id\": \"quiet\", \"title\": \"\", \"text\": \"the volcano is quiet\"}\n",
                "{\"_id\": \"copy\", \"title\": \"\", \"text\": \"Lava flows from the volcano\"}\n",
                "{\"_id\": \"lamps\", \"title\": \"\", \"text\": \"lava lamps and volcano toys\"}\n",
                "{\"_id\": \"bees\", \"title\": \"\", \"text\": \"bees make honey\"}\n",
                "{\"_id\": \"honey\", \"title\": \"\", \"text\": \"honey of bees\"}\n",
                "{\"_id\": \"wasps\", \"title\": \"\", \"text\": \"wasps make no honey\"}\n",
            ),
        );
        folder.write(
            "queries.jsonl",
            "{\"_id\": \"q1\", \"text\": \"lava volcano\"}\n{\"_id\": \"q2\", \"text\": \"honey\"}\n{\"_id\": \"q3\", \"text\": \"unused\"}\n",
        );
        fs::create_dir(folder.path("qrels")).unwrap();
        folder.write(
            "qrels/train.tsv",
            "query-id\tcorpus-id\tscore\nq1\tlava\t1\nq2\tbees\t2\nq2\thoney\t1\nq2\twasps\t0\n",
        );
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn open(&self) -> Result<Arc<Collection>> {
        Collection::open(self.0.path(), "train").map(Arc::new)
    }

    fn error(&self) -> String {
        let message = self.open().unwrap_err().to_string();
        message.replace(&self.0.path().display().to_string(), "")
    }
}

/// A run with documents in the order given for each query, their scores 1 apart from 10 down.
pub(in super::super) fn run(lists: &[(&str, &[&str])]) -> Run {
    let mut text = String::new();
    for (query, documents) in lists {
        for (rank, document) in documents.iter().enumerate() {
            text += &format!("{query} Q0 {document} {} {} t\n", rank + 1, 10 - rank);
        }
    }
    Run::read(text.as_bytes(), "a.run").unwrap()
}

/// Ids of the documents of an example, with targets.
fn shown(source: &CollectionExamples, number: u64, epoch: u64) -> Vec<(String, f64)> {
    let corpus = source.collection().corpus();
    let id_of = |candidate: &Candidate| {
        let ids = (0..corpus.len()).find(|&document| {
            let is_copy = corpus.id(document).unwrap() == "copy";
            !is_copy && corpus.text(document).unwrap() == candidate.document
        });
        corpus.id(ids.unwrap()).unwrap()
    };
    let example = source.example(number, epoch, 1).unwrap();
    assert!(example.candidates[0].is_relevant);
    assert!(!example.candidates[1..].iter().any(|one| one.is_relevant));
    let candidates = example.candidates.iter();
    candidates.map(|one| (id_of(one), one.target)).collect()
}

fn examples(
    collection: Arc<Collection>,
    negatives: Option<&Negatives>,
    count: usize,
    teacher: Option<&TeacherScores>,
) -> Result<CollectionExamples> {
    let options = ExampleOptions {
        negatives,
        count,
        teacher,
    };
    CollectionExamples::new(collection, options)
}

fn negatives(collection: &Collection) -> Negatives {
    let run = run(&[
        ("q1", &["quiet", "lava", "lamps", "bees"]),
        ("q2", &["wasps", "lamps"]),
    ]);
    Negatives::from_run(collection, &run, "a.run", Ranks { from: 1, to: 4 }).unwrap()
}

#[test]
fn relevant_documents_take_turns() {
    let folder = Folder::new();
    let collection = folder.open().unwrap();
    assert_eq!(collection.len(), 2);
    let source = examples(collection, None, 0, None).unwrap();
    assert_eq!(source.len(), 2);
    for epoch in 0..4 {
        assert_eq!(shown(&source, 0, epoch), [("lava".to_owned(), 1.0)]);
    }
    let turns: BTreeSet<String> = (0..2)
        .map(|epoch| shown(&source, 1, epoch)[0].0.clone())
        .collect();
    assert_eq!(turns, BTreeSet::from(["bees", "honey"].map(str::to_owned)));
    let example = source.example(1, 0, 1).unwrap();
    assert_eq!(&*example.query.text, "honey");
    assert_eq!(example.relevant.len(), 2);
    assert!(source.example(2, 0, 1).is_err());
}

#[test]
fn negatives_take_turns() {
    let collection = Folder::new().open().unwrap();
    let negatives = negatives(&collection);
    let source = examples(collection, Some(&negatives), 2, None).unwrap();
    let mut seen = BTreeSet::new();
    for epoch in 0..3 {
        let example = shown(&source, 0, epoch);
        assert_eq!(example.len(), 3);
        assert_eq!(example, shown(&source, 0, epoch));
        seen.extend(example[1..].iter().map(|(id, _)| id.clone()));
    }
    assert_eq!(
        seen,
        BTreeSet::from(["bees", "lamps", "quiet"].map(str::to_owned))
    );
    assert_eq!(source.short_of_negatives(), 0);
}

#[test]
fn queries_short_of_negatives_have_those_there_are() {
    let collection = Folder::new().open().unwrap();
    let negatives = negatives(&collection);
    let source = examples(collection, Some(&negatives), 3, None).unwrap();
    assert_eq!(shown(&source, 0, 0).len(), 4);
    assert_eq!(shown(&source, 1, 0).len(), 3);
    assert_eq!(source.short_of_negatives(), 1);
}

#[test]
fn targets_come_from_the_teacher() {
    let collection = Folder::new().open().unwrap();
    let negatives = negatives(&collection);
    let scores = run(&[("q1", &["lava", "lamps"]), ("q2", &["lamps", "wasps"])]);
    let teacher = TeacherScores::from_run(&collection, &scores, "t.run").unwrap();
    let graded = examples(Arc::clone(&collection), Some(&negatives), 2, None).unwrap();
    let source = examples(collection, Some(&negatives), 2, Some(&teacher)).unwrap();
    assert_ne!(source.fingerprint(), graded.fingerprint());
    // No relevant document of the second query has a score, and two negatives of the first have none.
    assert_eq!((source.len(), source.queries_left_out()), (1, 1));
    let expected = [("lava".to_owned(), 10.0), ("lamps".to_owned(), 9.0)];
    assert_eq!(shown(&source, 0, 0), expected);
}

#[test]
fn what_no_query_has_is_refused() {
    let collection = Folder::new().open().unwrap();
    let own = run(&[("q1", &["lava"]), ("q2", &["bees"])]);
    let none = Negatives::from_run(&collection, &own, "a.run", Ranks { from: 1, to: 9 }).unwrap();
    assert!(examples(Arc::clone(&collection), Some(&none), 1, None).is_err());
    assert!(examples(Arc::clone(&collection), Some(&none), 0, None).is_ok());
    let others = run(&[("q2", &["wasps"])]);
    let teacher = TeacherScores::from_run(&collection, &others, "t.run").unwrap();
    assert!(examples(collection, None, 0, Some(&teacher)).is_err());
}

#[test]
fn negatives_of_another_collection_are_refused() {
    let (folder, other) = (Folder::new(), Folder::new());
    other.write(
        "queries.jsonl",
        "{\"_id\": \"q1\", \"text\": \"x\"}\n{\"_id\": \"q2\", \"text\": \"y\"}\n",
    );
    let (collection, other) = (folder.open().unwrap(), other.open().unwrap());
    let negatives = negatives(&collection);
    assert!(examples(Arc::clone(&other), Some(&negatives), 1, None).is_err());
    let scores = run(&[("q1", &["lava"])]);
    let teacher = TeacherScores::from_run(&collection, &scores, "t.run").unwrap();
    assert!(
        negatives
            .filter_by_margin(&other, &teacher, Margin::Absolute(1.0))
            .is_err()
    );
    assert!(examples(other, None, 0, Some(&teacher)).is_err());
}

#[test]
fn wrong_qrels_are_named() {
    let folder = Folder::new();
    let qrels = |content: &str| folder.write("qrels/train.tsv", content);
    qrels("query-id\tcorpus-id\tscore\nq1\tlava\t1\nq1\tnothing\t1\nq9\tlava\t1\nq8\tbees\t1\n");
    let error = folder.error();
    assert!(
        error.starts_with("/qrels/train.tsv:3: expected ids"),
        "{error}"
    );
    assert!(
        error.contains("2 query ids that /queries.jsonl does not have, such as `q9`, `q8`"),
        "{error}"
    );
    assert!(
        error.contains("1 document id that /corpus.jsonl does not have, such as `nothing`"),
        "{error}"
    );
    qrels("query-id\tcorpus-id\tscore\nq1\tlava\t0\n");
    assert!(
        folder
            .error()
            .starts_with("/qrels/train.tsv: expected at least one document")
    );
    qrels("");
    assert!(
        folder
            .error()
            .starts_with("/qrels/train.tsv: expected at least one document")
    );
    qrels("q1\tlava\n");
    assert!(folder.error().starts_with("/qrels/train.tsv:1: "));
    fs::remove_file(folder.path("qrels/train.tsv")).unwrap();
    folder.write("qrels/dev.tsv", "q1\tlava\t1\n");
    assert!(
        folder
            .error()
            .contains("expected one of the splits dev, found `train`")
    );
    fs::remove_file(folder.path("corpus.jsonl")).unwrap();
    folder.write("qrels/train.tsv", "q1\tlava\t1\n");
    assert!(matches!(folder.open(), Err(Error::Io { .. })));
}

#[test]
fn the_fingerprint_follows_texts_and_judgments() {
    let folder = Folder::new();
    let first = folder.open().unwrap().fingerprint();
    assert_eq!(Folder::new().open().unwrap().fingerprint(), first);
    folder.write(
        "qrels/train.tsv",
        "q1\tlava\t1\nq2\tbees\t2\nq2\thoney\t2\nq2\twasps\t0\n",
    );
    assert_ne!(folder.open().unwrap().fingerprint(), first);
}

#[test]
fn a_sample_has_all_relevant_documents_and_some_others() {
    let collection = Folder::new().open().unwrap();
    assert_eq!(collection.sample(0), [0, 1, 2, 3, 4, 5, 6]);
    // Relevant are lava, bees and honey.
    assert_eq!(collection.sample(5), [0, 1, 3, 4, 5]);
    assert_eq!(collection.sample(1), [0, 4, 5]);
    let queries: Vec<u32> = collection.judged_queries().collect();
    assert_eq!(queries, [0, 1]);
}
