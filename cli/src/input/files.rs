//! Turns the paths that the user names into the list of files to be read.
//!
//! Folders are read with all folders below them, in the order of their names, so the list is the
//! same on every run. Hidden files and folders are skipped, and links to folders are not followed.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use esparsa::{Error, Result};

use super::collection::{BEIR_CORPUS, Contents};
use super::decompress;
use super::detect::{self, Choice, InputFormat, Layout, SNIFF_BYTES};
use super::encoding::InputEncoding;

/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// A file to be read.
#[derive(Debug)]
pub(super) struct InputFile {
    /// Where it is, or `None` for standard input.
    pub(super) path: Option<PathBuf>,
    /// The path within the folder that the user named, or the file name.
    pub(super) name: PathBuf,
    /// What is known of its format.
    pub(super) choice: Choice,
    /// Its size on disk in bytes; `None` for standard input and pipes.
    pub(super) bytes: Option<u64>,
}

/// The files to read.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The files, in the order in which they are read.
    pub(super) files: Vec<InputFile>,
    /// Files of the folders in an unknown format or compression.
    pub(super) skipped: Vec<PathBuf>,
    /// Queries and judgements beside the documents of the folders.
    pub(super) queries: Vec<PathBuf>,
    /// Files beside the corpus of a folder, which are not read.
    pub(super) beside: Vec<PathBuf>,
    /// The encoding of all files.
    encoding: InputEncoding,
}

/// Lists the files that `inputs` stand for.
///
/// # Errors
///
/// [`Error::Io`] for a path that cannot be looked at; [`Error::InvalidInput`] for no inputs, a
/// folder with nothing to read, a named file whose format cannot be told, and standard input named
/// twice.
pub(super) fn list(
    inputs: &[PathBuf],
    format: InputFormat,
    encoding: InputEncoding,
) -> Result<Listing> {
    if inputs.is_empty() {
        return Err(Error::invalid(
            "no input given; name files or folders, or `-` for standard input",
        ));
    }
    let mut listing = Listing {
        encoding,
        ..Listing::default()
    };
    for input in inputs {
        if input.as_os_str() == STANDARD_INPUT {
            listing.add_standard_input(format)?;
            continue;
        }
        let metadata = fs::metadata(input).map_err(|source| Error::io(input, "open", source))?;
        if metadata.is_dir() {
            let before = listing.files.len();
            listing.add_folder(input, Path::new(""), format)?;
            if listing.files.len() == before {
                return Err(nothing_to_read(input, format));
            }
        } else {
            listing.add_named_file(input, &metadata, format)?;
        }
    }
    Ok(listing)
}

impl Listing {
    fn add_standard_input(&mut self, format: InputFormat) -> Result<()> {
        if self.files.iter().any(|file| file.path.is_none()) {
            return Err(Error::invalid(
                "standard input (`-`) is named twice; it can be read once",
            ));
        }
        self.files.push(InputFile {
            path: None,
            name: PathBuf::from("stdin"),
            choice: Choice::Known(layout_of(format).unwrap_or(Layout::JsonLines)),
            bytes: None,
        });
        Ok(())
    }

    fn add_named_file(
        &mut self,
        path: &Path,
        metadata: &Metadata,
        format: InputFormat,
    ) -> Result<()> {
        let choice = match layout_of(format) {
            Some(layout) => Choice::Known(layout),
            None => match detect::by_name(path) {
                // A pipe can be read only once, so its first bytes are left for later.
                Choice::ByContent if metadata.is_file() => sniff(path, self.encoding)?
                    .ok_or_else(|| detect::unknown_format(&path.to_string_lossy()))?,
                choice => choice,
            },
        };
        self.files.push(InputFile {
            path: Some(path.to_path_buf()),
            name: PathBuf::from(path.file_name().unwrap_or(path.as_os_str())),
            choice,
            bytes: metadata.is_file().then_some(metadata.len()),
        });
        Ok(())
    }

    /// Adds the files of the folder `root`/`below`, and of the folders in it.
    fn add_folder(&mut self, root: &Path, below: &Path, format: InputFormat) -> Result<()> {
        let folder = root.join(below);
        let names = sorted_names(&folder)?;
        let names = match format {
            InputFormat::Auto | InputFormat::Beir => match Contents::of(&folder, names) {
                Contents::Corpus { documents, others } => {
                    let others = others.into_iter().map(|name| folder.join(name));
                    self.beside.extend(others);
                    vec![documents]
                }
                _ if format == InputFormat::Beir => return Err(nothing_to_read(&folder, format)),
                Contents::Collection { documents, others } => {
                    let others = others.into_iter().map(|name| folder.join(name));
                    self.queries.extend(others);
                    documents
                }
                Contents::Documents(names) => names,
            },
            _ => names,
        };
        for name in names {
            self.add_folder_entry(root, &below.join(name), format)?;
        }
        Ok(())
    }

    fn add_folder_entry(&mut self, root: &Path, name: &Path, format: InputFormat) -> Result<()> {
        let path = root.join(name);
        let inspect_error = |source| Error::io(&path, "open", source);
        let mut metadata = fs::symlink_metadata(&path).map_err(inspect_error)?;
        if metadata.is_dir() {
            return self.add_folder(root, name, format);
        }
        if metadata.is_symlink() {
            metadata = fs::metadata(&path).map_err(inspect_error)?;
        }
        if !metadata.is_file() {
            return Ok(());
        }
        let choice = match layout_of(format) {
            Some(layout) => Some(Choice::Known(layout)),
            None => match detect::by_name(&path) {
                Choice::ByContent => sniff(&path, self.encoding).unwrap_or(None),
                choice => Some(choice),
            },
        };
        match choice {
            Some(choice) => self.files.push(InputFile {
                path: Some(path),
                name: name.to_path_buf(),
                choice,
                bytes: Some(metadata.len()),
            }),
            None => self.skipped.push(path),
        }
        Ok(())
    }
}

/// Sorted names of the entries of a folder, without hidden ones.
fn sorted_names(folder: &Path) -> Result<Vec<OsString>> {
    let list_error = |source| Error::io(folder, "list", source);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(list_error)? {
        let name = entry.map_err(list_error)?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The layout of every file, if the user named the format.
fn layout_of(format: InputFormat) -> Option<Layout> {
    match format {
        InputFormat::Auto => None,
        InputFormat::Beir | InputFormat::JsonLines => Some(Layout::JsonLines),
        InputFormat::Tsv => Some(Layout::Tsv),
        InputFormat::Trec => Some(Layout::Trec),
        InputFormat::Text => Some(Layout::Text),
    }
}

/// Detects the format by the first bytes of a file; `None` if they do not tell.
///
/// # Errors
///
/// [`Error::InvalidInput`] for a compression that is not read here.
fn sniff(path: &Path, encoding: InputEncoding) -> Result<Option<Choice>> {
    let mut start = Vec::new();
    let read = decompress::open(path, Arc::default()).and_then(|stream| {
        let compression = stream.compression;
        let decoded = encoding.decode(stream.bytes);
        decoded
            .and_then(|decoded| {
                decoded
                    .bytes
                    .take(SNIFF_BYTES as u64)
                    .read_to_end(&mut start)
            })
            .map_err(|source| compression.read_error(path, source))
    });
    match read {
        Ok(_) => Ok(detect::by_content(&start).map(Choice::Known)),
        Err(error) if error.is_input() => Err(error),
        // The same error recurs when the file is read, and is reported there.
        Err(_) => Ok(Some(Choice::ByContent)),
    }
}

fn nothing_to_read(folder: &Path, format: InputFormat) -> Error {
    let message = match format {
        InputFormat::Beir => format!(
            "not a BEIR folder: expected a file {} or a folder corpus in it",
            BEIR_CORPUS.join(", ")
        ),
        InputFormat::Auto => format!(
            "nothing to read in this folder: expected corpus.jsonl, or files ending in .jsonl, .json, .tsv, .sgml, \
             .txt or .md; for other names, name the format with --format ({})",
            InputFormat::NAMES[1..].join(", ")
        ),
        _ => "nothing to read in this folder: it holds no files".to_owned(),
    };
    Error::invalid(message).at_line(folder.to_string_lossy(), 0)
}

#[cfg(test)]
mod tests;
