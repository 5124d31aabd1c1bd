//! The content of one file as a stream of bytes, for formats that are not cut into records.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use esparsa::{Error, Result};

use super::decompress::{self, Compression};
use super::detect::BYTE_ORDER_MARK;
use super::encoding::InputEncoding;

/// The content of a file, decompressed, decoded to UTF-8 and without a byte order mark. Bytes that
/// are not UTF-8 stay as they are unless an encoding is named.
///
/// ```
/// use std::io::Read;
///
/// use esparsa_cli::input::{Content, InputEncoding};
///
/// # fn main() -> esparsa::Result<()> {
/// let path = std::env::temp_dir().join("esparsa-content-example.txt");
/// std::fs::write(&path, b"\xef\xbb\xbfcaf\xc3\xa9").unwrap();
/// let mut text = String::new();
/// let mut content = Content::open(&path, InputEncoding::default())?;
/// content.read_to_string(&mut text).unwrap();
/// assert_eq!(text, "café");
/// # std::fs::remove_file(path).unwrap();
/// # Ok(())
/// # }
/// ```
pub struct Content {
    bytes: Box<dyn Read + Send>,
    path: PathBuf,
    compression: Compression,
    bytes_read: Arc<AtomicU64>,
}

impl Content {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be opened or read, and [`Error::InvalidInput`] for a
    /// folder and for a compression that is not read here.
    pub fn open(path: &Path, encoding: InputEncoding) -> Result<Self> {
        if path.is_dir() {
            let message = "expected a file, found a folder; name a file in it";
            return Err(Error::invalid(message).at_line(path.display().to_string(), 0));
        }
        let bytes_read = Arc::new(AtomicU64::new(0));
        let stream = decompress::open(path, Arc::clone(&bytes_read))?;
        let compression = stream.compression;
        let failed = |source| compression.read_error(path, source);
        let mut bytes = encoding.decode(stream.bytes).map_err(failed)?.bytes;
        let mut start = Vec::new();
        let mark_bytes = BYTE_ORDER_MARK.len() as u64;
        let read = bytes.by_ref().take(mark_bytes).read_to_end(&mut start);
        read.map_err(failed)?;
        if start == BYTE_ORDER_MARK {
            start.clear();
        }
        Ok(Self {
            bytes: Box::new(Cursor::new(start).chain(bytes)),
            path: path.to_owned(),
            compression,
            bytes_read,
        })
    }

    /// Number of bytes read so far, compressed as they are on disk; it goes on counting.
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_read)
    }

    /// The error for a failure to read this content.
    pub fn read_error(&self, source: io::Error) -> Error {
        self.compression.read_error(&self.path, source)
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::decompress::tests::{gzip, zstd};
    use super::*;

    #[test]
    fn content_is_decompressed_and_a_truncated_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let text = b"{\"data\": []}".repeat(1_000);
        for packed in [text.clone(), gzip(&text), zstd(&text)] {
            std::fs::write(&path, packed).unwrap();
            let mut found = Vec::new();
            let mut content = Content::open(&path, InputEncoding::default()).unwrap();
            content.read_to_end(&mut found).unwrap();
            assert!(found == text);
        }
        let packed = gzip(&text);
        std::fs::write(&path, &packed[..packed.len() - 9]).unwrap();
        let mut content = Content::open(&path, InputEncoding::default()).unwrap();
        let error = content.read_to_end(&mut Vec::new()).unwrap_err();
        let message = content.read_error(error).to_string();
        assert!(message.contains("truncated"), "{message}");
    }

    #[test]
    fn utf_16_with_a_mark_is_decoded_and_a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, b"\xff\xfe{\0}\0").unwrap();
        let mut text = String::new();
        let mut content = Content::open(&path, InputEncoding::default()).unwrap();
        content.read_to_string(&mut text).unwrap();
        assert_eq!(text, "{}");
        assert!(Content::open(folder.path(), InputEncoding::default()).is_err());
    }
}
