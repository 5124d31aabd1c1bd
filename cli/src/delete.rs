//! `esparsa delete`: documents by id, or those that match a query.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use esparsa::{Error, Index, IndexWriter, Query, Result};
use serde::Serialize;

use crate::output;
use crate::search::report::print_line;
use crate::size::counted;

/// Arguments of `esparsa delete`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("documents").required(true).multiple(true).args(["ids", "from", "query"]))]
pub struct Delete {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Ids of the documents to delete; ids that are not in the index are ignored.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// File with more ids, one per line; blank lines are ignored.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Delete every document that matches this query, as JSON; for example
    /// '{"range": {"year": {"lt": 2000}}}'.
    #[arg(long, value_name = "JSON", value_parser = Query::from_json, conflicts_with_all = ["ids", "from"])]
    query: Option<Query>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    /// Number of distinct ids; none for a query.
    #[serde(skip_serializing_if = "Option::is_none")]
    given: Option<usize>,
    deleted: u64,
    commit: u64,
    /// Documents that the index holds now.
    documents: u64,
}

impl Delete {
    /// Deletes the documents in one commit, and prints how many there were.
    ///
    /// # Errors
    ///
    /// What reading the file and writing the index give; nothing is deleted then.
    pub fn run(self) -> Result<()> {
        let json = self.json;
        let report = match &self.query {
            Some(query) => {
                let mut writer = Index::open(&self.index)?.writer()?;
                let deleted = writer.delete_matching(query)?;
                report_of(None, deleted, &mut writer)?
            }
            None => self.delete_ids()?,
        };
        if json {
            return print_line(&report);
        }
        let of = report.given.map_or_else(String::new, |given| {
            format!(" of {} given", counted(given as u64, "id"))
        });
        output::print(format!(
            "{} deleted{of}; the index holds {}",
            counted(report.deleted, "document"),
            counted(report.documents, "document")
        ))
    }

    fn delete_ids(self) -> Result<Report> {
        let mut ids: BTreeSet<String> = self.ids.into_iter().collect();
        if let Some(file) = &self.from {
            ids.extend(read_ids(file)?);
        }
        let index = Index::open(&self.index)?;
        // The writer comes first: while its lock is held, nobody else changes the index.
        let mut writer = index.writer()?;
        let snapshot = index.snapshot()?;
        let mut deleted = 0;
        for id in &ids {
            if snapshot.find(id)?.is_some() {
                writer.delete(id)?;
                deleted += 1;
            }
        }
        report_of(Some(ids.len()), deleted, &mut writer)
    }
}

/// Commits, and reports what was deleted.
fn report_of(given: Option<usize>, deleted: u64, writer: &mut IndexWriter) -> Result<Report> {
    let report = writer.commit()?;
    Ok(Report {
        given,
        deleted,
        commit: report.commit,
        documents: report.documents,
    })
}

fn read_ids(file: &Path) -> Result<Vec<String>> {
    let bytes = fs::read(file).map_err(|source| Error::io(file, "read", source))?;
    let mut ids = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = std::str::from_utf8(line).map_err(|_| {
            Error::invalid("the line is not valid UTF-8").at_line(file.to_string_lossy(), number)
        })?;
        let id = line.strip_suffix('\r').unwrap_or(line);
        if !id.trim().is_empty() {
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}
