//! Opens a byte stream and decompresses it; its first bytes tell the compression.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use esparsa::{Error, Result};
use flate2::bufread::MultiGzDecoder;

/// Size of the buffer of compressed bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Number of first bytes that tell the compression.
const MAGIC_BYTES: usize = 6;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Decompressed bytes.
pub(super) struct Stream {
    /// The bytes.
    pub(super) bytes: Box<dyn Read + Send>,
    /// How they were compressed.
    pub(super) compression: Compression,
}

impl Compression {
    /// The error for a failure to read a stream compressed in this way.
    pub(super) fn read_error(self, path: impl AsRef<Path>, source: io::Error) -> Error {
        let (action, name) = match self {
            Self::None => return Error::io(path, "read", source),
            Self::Gzip => ("decompress", "gzip"),
            Self::Zstd => ("decompress", "zstd"),
        };
        if source.kind() == io::ErrorKind::UnexpectedEof {
            let message = format!("the {name} data ends too early; the file is truncated");
            return Error::io(path, action, io::Error::new(source.kind(), message));
        }
        Error::io(path, action, source)
    }
}

/// Opens a file; the bytes read from it, compressed as they are, are added to `counter`.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be opened or read, or is too short for the compression in its
/// name; [`Error::InvalidInput`] for a compression that is not read here.
pub(super) fn open(path: &Path, counter: Arc<AtomicU64>) -> Result<Stream> {
    let file = File::open(path).map_err(|source| Error::io(path, "open", source))?;
    decompress(Box::new(file), path, counter)
}

/// Decompresses a stream; `path` is for messages, and for what its name says of the compression.
pub(super) fn decompress(
    raw: Box<dyn Read + Send>,
    path: &Path,
    counter: Arc<AtomicU64>,
) -> Result<Stream> {
    let mut raw = Counting { raw, counter };
    let mut start = Vec::with_capacity(MAGIC_BYTES);
    raw.by_ref()
        .take(MAGIC_BYTES as u64)
        .read_to_end(&mut start)
        .map_err(|source| Error::io(path, "read", source))?;
    let compression = tell(&start, path)?;
    let raw = Cursor::new(start).chain(raw);
    let bytes: Box<dyn Read + Send> = match compression {
        Compression::None => Box::new(raw),
        Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(
            BUFFER_BYTES,
            raw,
        ))),
        Compression::Zstd => {
            let buffered = BufReader::with_capacity(BUFFER_BYTES, raw);
            let decoder = zstd::stream::read::Decoder::with_buffer(buffered)
                .map_err(|source| compression.read_error(path, source))?;
            Box::new(decoder)
        }
    };
    Ok(Stream { bytes, compression })
}

/// Tells the compression by the first bytes of a stream.
fn tell(start: &[u8], path: &Path) -> Result<Compression> {
    match start {
        [0x1f, 0x8b, ..] => return Ok(Compression::Gzip),
        // A zstd frame, or one that decoders skip, which some tools write first.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            return Ok(Compression::Zstd);
        }
        _ => {}
    }
    let unread = match start {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => Some("bzip2"),
        [b'P', b'K', 3, 4, ..] => Some("zip"),
        [0x1f, 0x9d, ..] | [0x1f, 0xa0, ..] => Some("compress (.Z)"),
        _ => None,
    };
    if let Some(name) = unread {
        let message = format!(
            "compressed by {name}; expected gzip, zstd or no compression: decompress it first, or pipe it in as `-`"
        );
        return Err(Error::invalid(message).at_line(path.to_string_lossy(), 0));
    }
    // A file that lost its content is not an empty collection.
    let named = compression_named(path);
    if named != Compression::None && start.len() < 4 {
        return Err(named.read_error(path, io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(Compression::None)
}

/// The compression that the file name indicates.
fn compression_named(path: &Path) -> Compression {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str() {
        Some("gz") => Compression::Gzip,
        Some("zst" | "zstd") => Compression::Zstd,
        _ => Compression::None,
    }
}

/// A stream that counts the bytes taken from it.
struct Counting {
    raw: Box<dyn Read + Send>,
    counter: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.raw.read(buffer)?;
        self.counter.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// `content` as a gzip member.
    pub(in super::super) fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// `content` as a zstd frame.
    pub(in super::super) fn zstd(content: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(content, 1).unwrap()
    }

    fn read(compressed: &[u8], name: &str) -> Result<(Vec<u8>, u64)> {
        let counter = Arc::new(AtomicU64::new(0));
        let raw = Box::new(Cursor::new(compressed.to_vec()));
        let path = Path::new(name);
        let mut stream = decompress(raw, path, Arc::clone(&counter))?;
        let mut content = Vec::new();
        stream
            .bytes
            .read_to_end(&mut content)
            .map_err(|source| stream.compression.read_error(path, source))?;
        Ok((content, counter.load(Ordering::Relaxed)))
    }

    #[test]
    fn first_bytes_tell_the_compression_whatever_the_name() {
        let content = b"{\"id\": 1}\n".repeat(1000);
        for packed in [content.clone(), gzip(&content), zstd(&content)] {
            for name in ["a.jsonl", "a.jsonl.gz", "a.zst", "<stdin>"] {
                let (found, count) = read(&packed, name).unwrap();
                assert!(found == content);
                assert_eq!(count, packed.len() as u64);
            }
        }
    }

    #[test]
    fn all_members_and_frames_are_read() {
        let (found, _) = read(&[gzip(b"one "), gzip(b"two")].concat(), "a.gz").unwrap();
        assert_eq!(found, b"one two");
        let (found, _) = read(&[zstd(b"one "), zstd(b"two")].concat(), "a.zst").unwrap();
        assert_eq!(found, b"one two");
    }

    #[test]
    fn a_truncated_file_is_an_io_error_that_names_it() {
        let content: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        for (name, packed) in [("a.gz", gzip(&content)), ("a.zst", zstd(&content))] {
            for length in [0, 3, 7, 30, packed.len() / 2, packed.len() - 1] {
                let error = read(&packed[..length], name).unwrap_err();
                assert!(
                    matches!(error, Error::Io { .. }),
                    "{name} {length}: {error}"
                );
                let message = error.to_string();
                assert!(message.starts_with(name), "{message}");
                assert!(message.contains("truncated"), "{name} {length}: {message}");
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_an_io_error() {
        let content = b"some text to compress ".repeat(100);
        let mut packed = gzip(&content);
        let checksum = packed.len() - 6;
        packed[checksum] ^= 1;
        let error = read(&packed, "a.gz").unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }

    #[test]
    fn other_compressions_are_named() {
        let message = read(b"\xfd7zXZ\0rest", "a.jsonl.xz")
            .unwrap_err()
            .to_string();
        assert!(message.contains("compressed by xz"), "{message}");
        assert!(read(b"BZh is a word", "a.txt").is_ok());
    }

    #[test]
    fn empty_and_short_plain_files_are_accepted() {
        assert_eq!(read(b"", "a.jsonl").unwrap().0, b"");
        assert_eq!(read(b"a", "a.txt").unwrap().0, b"a");
    }
}
