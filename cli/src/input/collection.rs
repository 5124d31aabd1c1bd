//! Which entries of a folder hold documents, if the folder is a test collection.
//!
//! A test collection has queries and relevance judgements beside its documents. They look like
//! documents, but indexing them would put the questions among the answers.

use std::ffi::OsString;
use std::path::Path;

use super::detect::without_compression;

/// The document file of a BEIR folder, in order of preference.
pub(super) const BEIR_CORPUS: [&str; 3] = ["corpus.jsonl", "corpus.jsonl.gz", "corpus.jsonl.zst"];

/// The folder that holds the documents of a collection cut into several files.
const CORPUS_FOLDER: &str = "corpus";

/// What judgements are called, and what queries are called beside them.
const JUDGEMENTS: &str = "qrels";
const QUERIES: [&str; 3] = [JUDGEMENTS, "queries", "topics"];

/// The entries of a folder.
#[derive(Debug, PartialEq)]
pub(super) enum Contents {
    /// A file or folder that holds all documents, and the other entries that are no queries or
    /// judgements, judging by the names.
    Corpus {
        documents: OsString,
        others: Vec<OsString>,
    },
    /// Judgements are among the entries, so queries may be too.
    Collection {
        documents: Vec<OsString>,
        others: Vec<OsString>,
    },
    /// Documents, judging by the names.
    Documents(Vec<OsString>),
}

impl Contents {
    /// Classifies the entries of `folder` by their sorted `names`.
    pub(super) fn of(folder: &Path, names: Vec<OsString>) -> Self {
        let has = |wanted: &&str| names.iter().any(|name| name == wanted);
        if let Some(corpus) = BEIR_CORPUS.iter().find(|corpus| has(corpus)) {
            return Self::corpus(corpus, names);
        }
        let has_any = |stem: &str| names.iter().any(|name| is_named(name, stem));
        if QUERIES.iter().any(|stem| has_any(stem))
            && has(&CORPUS_FOLDER)
            && folder.join(CORPUS_FOLDER).is_dir()
        {
            return Self::corpus(CORPUS_FOLDER, names);
        }
        if !has_any(JUDGEMENTS) {
            return Self::Documents(names);
        }
        let (others, documents) = names.into_iter().partition(is_of_queries);
        Self::Collection { documents, others }
    }

    /// A folder whose entry `documents` is the corpus.
    fn corpus(documents: &str, names: Vec<OsString>) -> Self {
        let names = names.into_iter();
        let others = names.filter(|name| name != documents && !is_of_queries(name));
        Self::Corpus {
            documents: OsString::from(documents),
            others: others.collect(),
        }
    }
}

/// True for names of queries and judgements.
fn is_of_queries(name: &OsString) -> bool {
    QUERIES.iter().any(|stem| is_named(name, stem))
}

/// True for `stem` itself, and with an extension or more words after it: `qrels`, `qrels.dev.tsv`,
/// `queries-test.jsonl.gz`.
fn is_named(name: &OsString, stem: &str) -> bool {
    let name = name.to_string_lossy().to_lowercase();
    let rest = without_compression(&name).strip_prefix(stem);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(folder: &Path, names: &[&str]) -> Contents {
        Contents::of(folder, names.iter().map(OsString::from).collect())
    }

    #[test]
    fn queries_of_a_collection_are_told_from_its_documents() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let corpus_beside = |name: &str, others: &[&str]| Contents::Corpus {
            documents: OsString::from(name),
            others: others.iter().map(OsString::from).collect(),
        };
        let corpus = |name: &str| corpus_beside(name, &[]);
        let of = |names| of(folder, names);
        assert_eq!(
            of(&["corpus.jsonl.gz", "qrels", "queries.jsonl"]),
            corpus("corpus.jsonl.gz")
        );
        assert_eq!(
            of(&["c.tsv", "corpus.jsonl", "queries.jsonl"]),
            corpus_beside("corpus.jsonl", &["c.tsv"])
        );
        // Not a folder, so it may be anything.
        let names = ["corpus", "queries.jsonl"];
        assert!(matches!(of(&names), Contents::Documents(_)));
        std::fs::create_dir(folder.join("corpus")).unwrap();
        assert_eq!(of(&names), corpus("corpus"));
        // One folder of documents among others.
        assert!(matches!(of(&["corpus", "a.tsv"]), Contents::Documents(_)));
        assert_eq!(of(&["corpus", "qrels", "queries.jsonl"]), corpus("corpus"));

        let names = [
            "collection.tsv",
            "qrels.dev.tsv",
            "queries.dev.tsv",
            "queries_test.jsonl.zst",
            "queriesabout.md",
            "topics",
        ];
        let Contents::Collection { documents, others } = of(&names) else {
            panic!("judgements are among them");
        };
        assert_eq!(documents, ["collection.tsv", "queriesabout.md"]);
        assert_eq!(others.len(), 4);
        // Without judgements these are notes like any others.
        assert!(
            matches!(of(&["queries.md", "topics.txt"]), Contents::Documents(names) if names.len() == 2)
        );
    }
}
