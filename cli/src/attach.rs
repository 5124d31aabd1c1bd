//! `esparsa attach`: adds the segments of other indexes.

use std::fs;
use std::path::{Path, PathBuf};

use esparsa::{Error, Index, Result};
use serde::Serialize;

use crate::output;
use crate::search::report::print_line;
use crate::size::counted;

/// Arguments of `esparsa attach`.
#[derive(clap::Args)]
pub struct Attach {
    /// Folder of the index, which must exist.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Folders of other indexes with the same fields; a document of a later folder replaces one
    /// with the same id. The index itself is refused.
    #[arg(value_name = "FOLDER", required = true)]
    folders: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    attached: usize,
    commit: u64,
    documents: u64,
    segments: usize,
}

impl Attach {
    /// Attaches all folders in one commit, and prints what the index holds now.
    ///
    /// # Errors
    ///
    /// What opening the folders and writing the index give; nothing is attached then.
    pub fn run(self) -> Result<()> {
        for folder in &self.folders {
            refuse_itself(&self.index, folder)?;
        }
        let index = Index::open(&self.index)?;
        let mut writer = index.writer()?;
        for folder in &self.folders {
            writer
                .attach(folder)
                .map_err(|error| in_folder(error, folder))?;
        }
        let report = writer.commit()?;
        if self.json {
            return print_line(&Report {
                attached: self.folders.len(),
                commit: report.commit,
                documents: report.documents,
                segments: report.segments,
            });
        }
        output::print(format!(
            "{} attached: the index holds {} in {}",
            counted(self.folders.len() as u64, "index folder"),
            counted(report.documents, "document"),
            counted(report.segments as u64, "segment")
        ))
    }
}

/// Attached to itself, an index would hold every document twice, one of them deleted.
fn refuse_itself(index: &Path, folder: &Path) -> Result<()> {
    let same = match (fs::canonicalize(index), fs::canonicalize(folder)) {
        (Ok(index), Ok(folder)) => index == folder,
        // A missing folder is reported when it is opened.
        _ => false,
    };
    if same {
        let message = format!("{} cannot be attached to itself", folder.display());
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// Adds the folder to the file name of an error, which is relative to one of several folders.
fn in_folder(mut error: Error, folder: &Path) -> Error {
    if let Error::Corrupt { file, .. } | Error::TooNew { file, .. } | Error::TooOld { file, .. } =
        &mut error
    {
        *file = folder.join(&*file).to_string_lossy().into_owned();
    }
    error
}
