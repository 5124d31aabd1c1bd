//! The reader: all inputs, one after another, as chunks.

use std::io::{Cursor, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use esparsa::{Error, Result};

use super::Chunk;
use super::chunks::{FileChunks, Limits};
use super::decompress::{self, Compression, Stream};
use super::detect::{self, BYTE_ORDER_MARK, InputFormat, Layout, SNIFF_BYTES};
use super::encoding::InputEncoding;
use super::files::{self, InputFile};

/// Name of standard input in messages and records.
const STANDARD_INPUT: &str = "<stdin>";

/// Reads inputs and cuts them into chunks of whole records, in order.
///
/// As an iterator it yields the chunks of all files. An error does not end it: a record over
/// [`MAX_RECORD_BYTES`](super::MAX_RECORD_BYTES) is an [`Error::Limit`], with file and line,
/// followed by the chunks after that record; a file that cannot be read is an [`Error::Io`],
/// followed by the next file.
///
/// ```
/// use esparsa_cli::input::{InputFormat, Reader, parse};
///
/// # fn main() -> esparsa::Result<()> {
/// let folder = std::env::temp_dir().join("esparsa-input-example");
/// std::fs::create_dir_all(&folder).unwrap();
/// let path = folder.join("documents.tsv");
/// std::fs::write(&path, "d1\tfirst text\nd2\ta title\tsecond text\n").unwrap();
///
/// let mut ids = Vec::new();
/// for chunk in Reader::open(&[path], InputFormat::Auto)? {
///     parse(&chunk?, &mut |record| ids.push(record.unwrap().id));
/// }
/// assert_eq!(ids, ["d1", "d2"]);
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok(())
/// # }
/// ```
pub struct Reader {
    files: std::vec::IntoIter<InputFile>,
    current: Option<FileChunks>,
    total_bytes: Option<u64>,
    bytes_read: Arc<AtomicU64>,
    skipped: Vec<PathBuf>,
    queries: Vec<PathBuf>,
    beside: Vec<PathBuf>,
    encoding: InputEncoding,
    limits: Limits,
}

impl Reader {
    /// Lists the files that `inputs` name (files, folders, `-` for standard input), with the format
    /// of each.
    ///
    /// Content is read here only where a file name does not tell the format.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] for a path that does not exist or a folder that cannot be listed;
    /// [`Error::InvalidInput`] for no inputs, a folder with nothing to read, a named file whose
    /// format cannot be told, or standard input named twice.
    pub fn open(inputs: &[PathBuf], format: InputFormat) -> Result<Self> {
        Self::open_encoded(inputs, format, InputEncoding::default())
    }

    /// As [`Reader::open`], for inputs in this encoding.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::open`].
    pub fn open_encoded(
        inputs: &[PathBuf],
        format: InputFormat,
        encoding: InputEncoding,
    ) -> Result<Self> {
        Self::with_limits(inputs, format, encoding, Limits::default())
    }

    /// As [`Reader::open_encoded`], with other sizes of chunks and records.
    pub(super) fn with_limits(
        inputs: &[PathBuf],
        format: InputFormat,
        encoding: InputEncoding,
        limits: Limits,
    ) -> Result<Self> {
        let listing = files::list(inputs, format, encoding)?;
        Ok(Self {
            total_bytes: listing.files.iter().map(|file| file.bytes).sum(),
            files: listing.files.into_iter(),
            current: None,
            bytes_read: Arc::default(),
            skipped: listing.skipped,
            queries: listing.queries,
            beside: listing.beside,
            encoding,
            limits,
        })
    }

    /// The files that are still to be opened, with their sizes in bytes; standard input has no
    /// path, and pipes have no size.
    pub fn files(&self) -> impl Iterator<Item = (Option<&Path>, Option<u64>)> {
        let files = self.files.as_slice().iter();
        files.map(|file| (file.path.as_deref(), file.bytes))
    }

    /// Size of all inputs on disk in bytes, compressed as they are; `None` with standard input or a
    /// pipe among them.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// Number of bytes read so far, compressed as they are on disk.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Files of the named folders that are not read, because their format is unknown.
    pub fn skipped(&self) -> &[PathBuf] {
        &self.skipped
    }

    /// Files and folders among the documents that are not read, because their names say that they
    /// hold queries or judgements.
    pub fn queries(&self) -> &[PathBuf] {
        &self.queries
    }

    /// Files and folders that are not read, because they are beside the corpus of a folder, which
    /// holds all its documents.
    pub fn beside(&self) -> &[PathBuf] {
        &self.beside
    }

    /// Opens a file, and detects its format if that is not known yet.
    fn open_file(&self, file: &InputFile) -> Result<FileChunks> {
        let counter = Arc::clone(&self.bytes_read);
        let (name, stream) = match &file.path {
            Some(path) => (path.to_string_lossy(), decompress::open(path, counter)?),
            None => {
                let input = Box::new(std::io::stdin());
                let stream = decompress::decompress(input, Path::new(STANDARD_INPUT), counter)?;
                (STANDARD_INPUT.into(), stream)
            }
        };
        let Stream { bytes, compression } = stream;
        let decoded = self.encoding.decode(bytes);
        let decoded = decoded.map_err(|source| compression.read_error(&*name, source))?;
        let mut bytes = decoded.bytes;
        let mut start = Vec::new();
        bytes
            .by_ref()
            .take(SNIFF_BYTES as u64)
            .read_to_end(&mut start)
            .map_err(|source| compression.read_error(&*name, source))?;
        if start.starts_with(BYTE_ORDER_MARK) {
            start.drain(..BYTE_ORDER_MARK.len());
        }
        let layout = file
            .choice
            .settle(&start)
            .ok_or_else(|| detect::unknown_format(&name))?;
        let id = match layout {
            Layout::Text => id_from_path(&file.name).map_err(|error| error.at_line(&*name, 0))?,
            _ => String::new(),
        };
        let expected_bytes = match compression {
            Compression::None if !decoded.is_changed => file.bytes,
            _ => None,
        };
        let stream = Stream {
            bytes: Box::new(Cursor::new(start).chain(bytes)),
            compression,
        };
        Ok(FileChunks::new(
            Arc::from(&*name),
            layout.with_id(&id),
            stream,
            expected_bytes,
            self.limits,
        ))
    }
}

impl Iterator for Reader {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(chunk) = self.current.as_mut().and_then(Iterator::next) {
                return Some(chunk);
            }
            let file = self.files.next()?;
            match self.open_file(&file) {
                Ok(chunks) => self.current = Some(chunks),
                Err(error) => {
                    self.current = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// The id of a text file: its path within the folder, with `/` between the parts on every system.
fn id_from_path(path: &Path) -> Result<String> {
    let mut id = String::new();
    for component in path.components() {
        let Component::Normal(part) = component else {
            continue;
        };
        let part = part.to_str().ok_or_else(|| {
            Error::invalid(
                "the file name is not valid UTF-8, so it cannot be the document's id; rename it",
            )
        })?;
        if !id.is_empty() {
            id.push('/');
        }
        id.push_str(part);
    }
    Ok(id)
}

#[cfg(test)]
mod tests;
