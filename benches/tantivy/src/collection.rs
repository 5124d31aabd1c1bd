//! What is indexed and searched: a BEIR folder, read into memory so that reading is not timed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use esparsa::eval::BeirFolder;
use serde_json::Value;

use crate::Result;

/// A document: its id, and title and text as one text.
pub struct Document {
    pub id: String,
    pub text: String,
}

pub struct Collection {
    pub documents: Vec<Document>,
    /// The queries that `qrels/test.tsv` judges.
    pub queries: Vec<String>,
}

impl Collection {
    pub fn read(path: &Path) -> Result<Self> {
        let folder = BeirFolder::open(path)?;
        let queries = folder.queries_of(&folder.qrels("test")?)?;
        let mut documents = Vec::new();
        for line in BufReader::new(File::open(folder.corpus_path())?).lines() {
            let value: Value = serde_json::from_str(&line?)?;
            let part = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            documents.push(Document {
                id: part("_id"),
                text: format!("{} {}", part("title"), part("text")),
            });
        }
        Ok(Self {
            documents,
            queries: queries.into_iter().filter_map(|query| query.text).collect(),
        })
    }
}
