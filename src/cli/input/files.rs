//! From the paths that the user names to the list of files to be read.
//!
//! Folders are read with all folders below them, in the order of their names, so the list is the same on every run.
//! Names that begin with a dot are passed over, and links to folders are not followed.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::collection::{BEIR_CORPUS, Contents};
use super::decompress;
use super::detect::{self, Choice, InputFormat, SNIFF_BYTES, Shape};
use super::encoding::InputEncoding;
use crate::error::{Error, Result};

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

/// What there is to read.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The files, in the order in which they are read.
    pub(super) files: Vec<InputFile>,
    /// Files of the folders whose format or compression is none that is read here.
    pub(super) left_out: Vec<PathBuf>,
    /// Queries and judgements beside the documents of the folders.
    pub(super) queries: Vec<PathBuf>,
    /// The encoding of all files.
    encoding: InputEncoding,
}

/// Lists the files that `inputs` stand for.
///
/// # Errors
///
/// [`Error::Io`] for a path that cannot be looked at; [`Error::InvalidInput`] for no inputs, a folder with nothing to
/// read, a named file whose format cannot be told, and standard input named twice.
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
            choice: Choice::Known(shape_of(format).unwrap_or(Shape::JsonLines)),
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
        let choice = match shape_of(format) {
            Some(shape) => Choice::Known(shape),
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
                Contents::Corpus(corpus) => vec![corpus],
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
        let choice = match shape_of(format) {
            Some(shape) => Some(Choice::Known(shape)),
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
            None => self.left_out.push(path),
        }
        Ok(())
    }
}

/// Names of what is in a folder, in order, without those that begin with a dot.
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

/// The shape of every file, if the user named the format.
fn shape_of(format: InputFormat) -> Option<Shape> {
    match format {
        InputFormat::Auto => None,
        InputFormat::Beir | InputFormat::JsonLines => Some(Shape::JsonLines),
        InputFormat::Tsv => Some(Shape::Tsv),
        InputFormat::Trec => Some(Shape::Trec),
        InputFormat::Text => Some(Shape::Text),
    }
}

/// Tells the format by the first bytes of a file; `None` when they say nothing.
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
        // The same error comes again when the file is read, and is reported there.
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
mod tests {
    use super::*;

    /// A folder with these files in it.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn list_paths(paths: &[PathBuf], format: InputFormat) -> Result<Listing> {
        list(paths, format, InputEncoding::default())
    }

    fn names(listing: &Listing) -> Vec<String> {
        let name = |file: &InputFile| file.name.to_string_lossy().into_owned();
        listing.files.iter().map(name).collect()
    }

    fn list_folder(files: &[(&str, &str)], format: InputFormat) -> Result<Listing> {
        list_paths(&[folder(files).path().to_path_buf()], format)
    }

    #[test]
    fn of_a_beir_folder_only_the_corpus_is_read() {
        let files = [
            ("corpus.jsonl", ""),
            ("queries.jsonl", ""),
            ("qrels/test.tsv", ""),
        ];
        let listing = list_folder(&files, InputFormat::Auto).unwrap();
        assert_eq!(names(&listing), ["corpus.jsonl"]);
        let listing = list_folder(&[("corpus.jsonl.zst", "")], InputFormat::Beir).unwrap();
        assert_eq!(names(&listing), ["corpus.jsonl.zst"]);
    }

    #[test]
    fn queries_beside_a_folder_of_documents_are_not_read() {
        let files = [
            ("c/corpus/1.jsonl", ""),
            ("c/corpus/2.jsonl", ""),
            ("c/queries.jsonl", ""),
            ("c/qrels/test.tsv", ""),
            ("d/collection.tsv", ""),
            ("d/qrels.dev.tsv", ""),
            ("d/queries.dev.tsv", ""),
        ];
        let listing = list_folder(&files, InputFormat::Auto).unwrap();
        let corpus = ["c/corpus/1.jsonl", "c/corpus/2.jsonl"];
        assert_eq!(
            names(&listing),
            [&corpus[..], &["d/collection.tsv"]].concat()
        );
        assert_eq!(listing.queries.len(), 2);
        assert!(listing.queries[1].ends_with("queries.dev.tsv"));
    }

    #[test]
    fn beir_folders_are_found_inside_a_folder() {
        let files = [
            ("b/corpus.jsonl", ""),
            ("b/queries.jsonl", ""),
            ("a.tsv", ""),
        ];
        let listing = list_folder(&files, InputFormat::Auto).unwrap();
        assert_eq!(names(&listing), ["a.tsv", "b/corpus.jsonl"]);
    }

    #[test]
    fn folders_are_listed_in_order_without_hidden_files() {
        let files = [
            ("z.md", ""),
            ("a/2.txt", ""),
            ("a/1.txt", ""),
            (".git/x.txt", ""),
            (".hidden.txt", ""),
        ];
        let listing = list_folder(&files, InputFormat::Auto).unwrap();
        assert_eq!(names(&listing), ["a/1.txt", "a/2.txt", "z.md"]);
    }

    #[test]
    fn files_of_a_folder_are_told_by_content_or_left_out() {
        let files = [("FT911", "<DOC>\n"), ("rows", "a\tb\n"), ("x.png", "\u{1}")];
        let listing = list_folder(&files, InputFormat::Auto).unwrap();
        assert_eq!(listing.files[0].choice, Choice::Known(Shape::Trec));
        assert_eq!(listing.files[1].choice, Choice::Known(Shape::Tsv));
        assert_eq!(names(&listing).len(), 2);
        assert!(listing.left_out[0].ends_with("x.png"));
    }

    #[test]
    fn a_packed_file_is_refused_by_name_and_left_out_of_a_folder() {
        let folder = folder(&[("a.txt", "x"), ("b.zip", "PK\u{3}\u{4}rest")]);
        let listing = list_paths(&[folder.path().to_path_buf()], InputFormat::Auto).unwrap();
        assert_eq!(names(&listing), ["a.txt"]);
        assert!(listing.left_out[0].ends_with("b.zip"));
        let error = list_paths(&[folder.path().join("b.zip")], InputFormat::Auto).unwrap_err();
        assert!(error.to_string().contains("packed by zip"), "{error}");
    }

    #[test]
    fn a_named_format_takes_every_file() {
        let files = [("main.rs", "fn main() {}"), ("x.jsonl", "")];
        let listing = list_folder(&files, InputFormat::Text).unwrap();
        assert_eq!(names(&listing), ["main.rs", "x.jsonl"]);
        let known = Choice::Known(Shape::Text);
        assert!(listing.files.iter().all(|file| file.choice == known));
    }

    #[test]
    fn a_folder_with_nothing_to_read_is_an_error() {
        for format in [InputFormat::Auto, InputFormat::Beir, InputFormat::Tsv] {
            let message = list_folder(&[], format).unwrap_err().to_string();
            assert!(message.contains("expected") || message.contains("no files"));
        }
        let error = list_folder(&[("x.png", "\u{1}")], InputFormat::Auto).unwrap_err();
        assert!(error.to_string().contains("--format"), "{error}");
        let error = list_folder(&[("x.jsonl", "")], InputFormat::Beir).unwrap_err();
        assert!(error.to_string().contains("not a BEIR folder"), "{error}");
    }

    #[test]
    fn a_path_that_does_not_exist_is_an_io_error() {
        let error = list_paths(&[PathBuf::from("no/such/file")], InputFormat::Auto).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert!(error.to_string().starts_with("no/such/file: cannot open"));
    }

    #[test]
    fn an_unknown_extension_says_how_to_name_the_format() {
        let folder = folder(&[("data.bin", "no tabs here"), ("data.dat", "{\"id\":1}")]);
        let path = folder.path().join("data.bin");
        let error = list_paths(std::slice::from_ref(&path), InputFormat::Auto).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("data.bin: "), "{message}");
        assert!(message.contains("--format (beir, jsonl"), "{message}");
        assert!(list_paths(&[path], InputFormat::Text).is_ok());
        let listing = list_paths(&[folder.path().join("data.dat")], InputFormat::Auto).unwrap();
        assert_eq!(listing.files[0].choice, Choice::Known(Shape::JsonLines));
    }

    #[test]
    fn standard_input_is_json_lines_unless_named_and_read_once() {
        let dash = PathBuf::from("-");
        let listing = list_paths(std::slice::from_ref(&dash), InputFormat::Auto).unwrap();
        assert_eq!(listing.files[0].choice, Choice::Known(Shape::JsonLines));
        let listing = list_paths(std::slice::from_ref(&dash), InputFormat::Trec).unwrap();
        assert_eq!(listing.files[0].choice, Choice::Known(Shape::Trec));
        assert!(list_paths(&[dash.clone(), dash], InputFormat::Auto).is_err());
        assert!(list_paths(&[], InputFormat::Auto).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_to_folders_are_not_followed_and_links_to_files_are() {
        let folder = folder(&[("a.txt", "")]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        std::os::unix::fs::symlink("a.txt", folder.path().join("b.txt")).unwrap();
        let listing = list_paths(&[folder.path().to_path_buf()], InputFormat::Auto).unwrap();
        assert_eq!(names(&listing), ["a.txt", "b.txt"]);
    }
}
