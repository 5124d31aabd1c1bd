//! `esparsa get`: stored documents by id.

use std::path::PathBuf;

use esparsa::{Error, Index, Result, Snapshot};

use crate::output::Output;
use crate::size::counted;

/// Arguments of `esparsa get`.
#[derive(clap::Args)]
pub struct Get {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Ids of the documents to print.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

impl Get {
    /// Prints the documents that exist, in the order of the ids.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when one is not there or the index stores no documents, and what
    /// opening the index gives.
    pub fn run(self) -> Result<()> {
        let snapshot = Index::open(&self.index)?.snapshot()?;
        if snapshot.schema().stored_field().is_none() {
            return Err(Error::invalid(format!(
                "{} stores no documents: it was built with --no-stored",
                self.index.display()
            )));
        }
        let mut output = Output::new();
        let mut missing = Vec::new();
        for id in &self.ids {
            match snapshot.get(id)? {
                Some(document) => output.data(document)?,
                None => missing.push(id.as_str()),
            }
        }
        output.finish()?;
        all_found(&missing, &snapshot)
    }
}

/// The error for ids without a document, if there are any.
pub fn all_found(missing: &[&str], snapshot: &Snapshot) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "no document has the id `{}`; the index holds {}",
        missing.join("`, `"),
        counted(snapshot.documents(), "document")
    )))
}
