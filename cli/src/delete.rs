//! `esparsa delete`: documents by id.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use esparsa::{Error, Index, Result};
use serde::Serialize;

use crate::output;
use crate::search::report::print_line;
use crate::size::counted;

/// Arguments of `esparsa delete`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("documents").required(true).multiple(true).args(["ids", "from"]))]
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
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    /// Number of distinct ids.
    given: usize,
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
        let report = writer.commit()?;
        if self.json {
            return print_line(&Report {
                given: ids.len(),
                deleted,
                commit: report.commit,
                documents: report.documents,
            });
        }
        output::print(format!(
            "{} deleted of {} given; the index holds {}",
            counted(deleted, "document"),
            counted(ids.len() as u64, "id"),
            counted(report.documents, "document")
        ))
    }
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
