//! `esparsa backup`: a copy of an index, while a writer may go on.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use esparsa::{Error, Index, Result};
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3Default;

use crate::output;
use crate::search::report::print_line;
use crate::size::counted;

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

/// Writes the list of the files of a copy, which appears whole or not at all.
fn write_file_list(folder: &Path) -> Result<()> {
    let failed = |path: &Path, action| {
        let path = path.to_path_buf();
        move |error: io::Error| Error::io(path, action, error)
    };
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(failed(folder, "list"))?;
    for entry in entries {
        let path = entry.map_err(failed(folder, "list"))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let is_of_index = ["manifest-", "segment-", "deletes-"].iter();
        if is_of_index.clone().any(|prefix| name.starts_with(prefix)) {
            files.push(listed(name, &path).map_err(failed(&path, "read"))?);
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let list = folder.join("files.json");
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, &files)?;
        file.write_all(b"\n")?;
        file.persist(&list)?;
        Ok(())
    };
    write().map_err(failed(&list, "write"))
}

fn listed(name: &str, path: &Path) -> io::Result<Listed> {
    let (mut file, mut hash) = (File::open(path)?, Xxh3Default::new());
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
    Ok(Listed {
        name: name.to_owned(),
        bytes,
        version: format!("{:016x}", hash.digest()),
    })
}
