//! `esparsa inspect`: what an index holds.

mod summary;

use std::path::{Path, PathBuf};

use clap::builder::RangedI64ValueParser;
use esparsa::index::TermCount;
use esparsa::{Index, Result, Snapshot};
use serde::Serialize;
use serde_json::json;

use self::summary::Summary;
use crate::escape::{escaped, escaped_lines};
use crate::get::all_found;
use crate::output::{self, Output};
use crate::search::report::{StoredDocument, line, print_line};

/// Arguments of `esparsa inspect`.
#[derive(clap::Args)]
pub struct Inspect {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Print JSON: one object, or with --terms one object a line.
    #[arg(long)]
    json: bool,
    /// List the terms of this field with the number of documents that have each, deleted ones
    /// included.
    #[arg(long, value_name = "FIELD", conflicts_with = "document")]
    terms: Option<String>,
    /// List only terms with this prefix.
    #[arg(
        long,
        value_name = "P",
        requires = "terms",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
    /// Number of terms to list, in the order of their bytes.
    #[arg(long, value_name = "N", requires = "terms", default_value_t = 50, value_parser = limit_parser())]
    limit: usize,
    /// Show the document with this id: where it is, and what is stored of it.
    #[arg(long, value_name = "ID")]
    document: Option<String>,
}

/// Where a document is, and what is stored of it.
#[derive(Serialize)]
struct DocumentReport<'a> {
    id: &'a str,
    segment: &'a str,
    document: u32,
    stored: Option<StoredDocument>,
}

impl Inspect {
    /// Prints the requested part.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a field or document that does not exist, and what opening the
    /// index gives.
    pub fn run(self) -> Result<()> {
        let snapshot = Index::open(&self.index)?.snapshot()?;
        if let Some(field) = &self.terms {
            let terms = snapshot.terms(field, self.prefix.as_bytes(), self.limit)?;
            return print_terms(&terms, self.json);
        }
        if let Some(id) = &self.document {
            return print_document(&snapshot, id, self.json);
        }
        print_summary(&snapshot, &self.index, self.json)
    }
}

fn limit_parser() -> RangedI64ValueParser<usize> {
    RangedI64ValueParser::new().range(0..)
}

fn print_summary(snapshot: &Snapshot, folder: &Path, json: bool) -> Result<()> {
    let summary = Summary::of(snapshot, folder);
    if json {
        return print_line(&summary);
    }
    output::print(&*escaped_lines(&summary.to_string()))
}

fn print_terms(terms: &[TermCount], json: bool) -> Result<()> {
    let mut output = Output::new();
    for entry in terms {
        let term = String::from_utf8_lossy(&entry.term);
        let documents = entry.documents;
        if json {
            output.line(line(&json!({ "term": term, "documents": documents }))?)?;
        } else {
            output.line(format!("{documents:>10}  {}", escaped(&term)))?;
        }
    }
    output.finish()
}

fn print_document(snapshot: &Snapshot, id: &str, json: bool) -> Result<()> {
    let Some(address) = snapshot.find(id)? else {
        return all_found(&[id], snapshot);
    };
    let segments = snapshot.segment_statistics();
    let file = &segments[address.segment as usize].file;
    let stored = snapshot.stored(address)?;
    if json {
        return print_line(&DocumentReport {
            id,
            segment: file,
            document: address.document,
            stored: StoredDocument::of(&stored),
        });
    }
    let mut output = Output::new();
    output.line(format!("document {} of {file}", address.document))?;
    output.data(stored)?;
    output.finish()
}
