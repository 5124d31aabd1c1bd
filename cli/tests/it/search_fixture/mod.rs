//! A folder with an index of two segments, queries and judgements.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use esparsa::{Document, Index, Schema, Sparse, Text};
use serde_json::Value;

/// A folder with an index, queries and judgements.
pub struct Fixture {
    folder: tempfile::TempDir,
}

pub const DOCUMENTS: [(&str, &str, &str); 6] = [
    (
        "etna",
        "Etna",
        "A volcano in Sicily. The volcano erupts often.",
    ),
    (
        "stromboli",
        "Stromboli",
        "An island volcano north of Sicily.",
    ),
    (
        "po",
        "Po",
        "The longest river of Italy flows through Turin.",
    ),
    (
        "arno",
        "Arno",
        "A river that flows through Florence and Pisa.",
    ),
    ("tie-a", "", "Twins look alike."),
    ("tie-b", "", "Twins look alike."),
];

pub const QUERIES: &str = "1\tvolcanoes of Sicily\n2\trivers of Italy\n3\ttwins\n4\tthe\n";
pub const QRELS: &str = "1 0 etna 2\n1 0 stromboli 1\n2 0 arno 1\n3 0 tie-b 1\n";

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let schema = Schema::builder()
            .text("contents", Text::new().analyzer("en"))
            .sparse("splade", Sparse::new())
            .stored("source")
            .build()
            .unwrap();
        let index = Index::create(folder.path().join("index"), schema).unwrap();
        let mut writer = index.writer().unwrap();
        for (number, (id, title, text)) in DOCUMENTS.into_iter().enumerate() {
            let stored = serde_json::json!({ "_id": id, "title": title, "text": text });
            let document = Document::new(id)
                .with_text("contents", format!("{title} {text}"))
                .with_sparse("splade", [("all", 1.0), (id, 0.5 + number as f32 / 4.0)])
                .with_stored("source", stored.to_string());
            writer.add(document).unwrap();
            // Two segments.
            if number == 2 {
                writer.commit().unwrap();
            }
        }
        writer.commit().unwrap();
        let fixture = Self { folder };
        fixture.write("queries.tsv", QUERIES);
        fixture.write("test.qrels", QRELS);
        fixture
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        run_in(self.folder.path(), arguments)
    }

    /// Standard output of a command that must succeed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a command that must end with `code`.
    pub fn failed(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        error
    }

    pub fn search(&self, arguments: &[&str]) -> String {
        self.done(&[&["search", "--index", "index"], arguments].concat())
    }
}

pub fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_esparsa"));
    command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub fn ids(report: &Value) -> Vec<&str> {
    let hits = report["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}
