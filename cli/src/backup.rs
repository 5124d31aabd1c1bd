//! `esparsa backup`: a copy of an index, while a writer may go on.

use std::path::{Path, PathBuf};

use esparsa::store::{Directory, open_directory};
use esparsa::{Error, Index, Result};
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

use crate::output;
use crate::search::report::print_line;
use crate::size::counted;

const FILE_LIST: &str = "files.json";

/// Arguments of `esparsa backup`.
#[derive(clap::Args)]
pub struct Backup {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Folder of the copy, which must not hold an index. On the file system of the index the copy
    /// shares its files (hard links).
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Also write `files.json`, which lists the files with their lengths and versions: with it a
    /// plain web server can serve the index to programs and pages that read it over HTTP.
    #[arg(long)]
    file_list: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    commit: u64,
    documents: u64,
    segments: usize,
}

impl Backup {
    /// Copies the newest commit, and prints what the copy holds.
    ///
    /// # Errors
    ///
    /// What reading the index and writing the copy give; the folder then holds no index.
    pub fn run(self) -> Result<()> {
        let snapshot = Index::open(&self.index)?.snapshot()?;
        snapshot.backup(&self.output)?;
        if self.file_list {
            write_file_list(&self.output)?;
        }
        let report = Report {
            commit: snapshot.commit(),
            documents: snapshot.documents(),
            segments: snapshot.segment_count(),
        };
        if self.json {
            return print_line(&report);
        }
        output::print(format!(
            "commit {} backed up: the copy holds {} in {}",
            report.commit,
            counted(report.documents, "document"),
            counted(report.segments as u64, "segment")
        ))
    }
}

/// A file of an index, as `files.json` lists it.
#[derive(Serialize)]
struct Listed {
    name: String,
    bytes: u64,
    /// Another one for other content.
    version: String,
}

/// Writes the list of the files of a copy, wherever it is.
fn write_file_list(output: &Path) -> Result<()> {
    let directory = open_directory(output)?;
    let is_of_index = |name: &String| {
        let mut prefixes = ["manifest-", "segment-", "deletes-"].iter();
        prefixes.any(|prefix| name.starts_with(prefix))
    };
    let names = directory.list()?.into_iter().filter(is_of_index);
    let files = names.map(|name| listed(&*directory, name));
    let files: Vec<Listed> = files.collect::<Result<_>>()?;
    let mut list = serde_json::to_vec_pretty(&files).map_err(|error| {
        Error::invalid(format!("expected files with names of text, found: {error}"))
    })?;
    list.push(b'\n');
    if directory.publish(FILE_LIST, &list)? {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "expected no {FILE_LIST} in {}, found one, which is of other files; remove it, or choose another folder",
        output.display()
    )))
}

fn listed(directory: &dyn Directory, name: String) -> Result<Listed> {
    const PIECE: u64 = 8 << 20;
    let (file, mut hash) = (directory.open(&name)?, Xxh3::new());
    for start in (0..file.len()).step_by(PIECE as usize) {
        hash.update(&file.read(start..file.len().min(start + PIECE))?);
    }
    Ok(Listed {
        name,
        bytes: file.len(),
        version: format!("{:016x}", hash.digest()),
    })
}
