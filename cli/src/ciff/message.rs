//! The messages of a file: a header, a list for each term, a record for each document, each behind
//! its length.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use esparsa::{Error, Result};
use prost::Message;

/// The version that is written and read.
pub const VERSION: i32 = 1;
/// No message is longer: a list of 2^31 documents is not either.
const MAX_BYTES: u64 = 16 << 30;

/// What is in the file.
#[derive(Clone, PartialEq, Message)]
pub struct Header {
    #[prost(int32, tag = "1")]
    pub version: i32,
    /// Lists of the file.
    #[prost(int32, tag = "2")]
    pub num_postings_lists: i32,
    /// Documents of the file.
    #[prost(int32, tag = "3")]
    pub num_docs: i32,
    /// Terms of the collection; a file may have some of them.
    #[prost(int32, tag = "4")]
    pub total_postings_lists: i32,
    /// Documents of the collection.
    #[prost(int32, tag = "5")]
    pub total_docs: i32,
    /// The sum of the documents' lengths.
    #[prost(int64, tag = "6")]
    pub total_terms_in_collection: i64,
    #[prost(double, tag = "7")]
    pub average_doclength: f64,
    #[prost(string, tag = "8")]
    pub description: String,
}

/// A document of a list.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Posting {
    /// The first document, and then the distance of each from the one before.
    #[prost(int32, tag = "1")]
    pub docid: i32,
    /// The frequency, or the impact.
    #[prost(int32, tag = "2")]
    pub tf: i32,
}

/// The documents of a term.
#[derive(Clone, PartialEq, Message)]
pub struct PostingsList {
    #[prost(string, tag = "1")]
    pub term: String,
    /// How many documents have it.
    #[prost(int64, tag = "2")]
    pub df: i64,
    /// The sum of the frequencies.
    #[prost(int64, tag = "3")]
    pub cf: i64,
    #[prost(message, repeated, tag = "4")]
    pub postings: Vec<Posting>,
}

/// A document.
#[derive(Clone, PartialEq, Message)]
pub struct DocRecord {
    #[prost(int32, tag = "1")]
    pub docid: i32,
    /// The external id.
    #[prost(string, tag = "2")]
    pub collection_docid: String,
    #[prost(int32, tag = "3")]
    pub doclength: i32,
}

/// Writes a message behind its length.
pub fn write(
    out: &mut impl Write,
    message: &impl Message,
    buffer: &mut Vec<u8>,
) -> std::io::Result<()> {
    buffer.clear();
    message
        .encode_length_delimited(buffer)
        .map_err(std::io::Error::other)?;
    out.write_all(buffer)
}

/// Reads the messages of a file, which may be compressed by gzip.
pub struct Messages {
    name: String,
    input: Box<dyn BufRead>,
    buffer: Vec<u8>,
}

impl Messages {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io(path, "open", source))?;
        let mut input = BufReader::with_capacity(1 << 18, file);
        let start = input.fill_buf();
        let start = start.map_err(|source| Error::io(path, "read", source))?;
        let is_compressed = start.starts_with(&[0x1F, 0x8B]);
        let input: Box<dyn BufRead> = match is_compressed {
            true => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(input))),
            false => Box::new(input),
        };
        Ok(Self {
            name: path.display().to_string(),
            input,
            buffer: Vec::new(),
        })
    }

    /// The next message, of which `what` is the name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] when the file ends or another message is there.
    pub fn next<M: Message + Default>(&mut self, what: &str) -> Result<M> {
        let length = self.length(what)?;
        self.buffer.clear();
        let taken = self
            .input
            .by_ref()
            .take(length)
            .read_to_end(&mut self.buffer);
        let taken = taken.map_err(|source| Error::io(Path::new(&self.name), "read", source))?;
        self.expect_whole(what, length, taken as u64)?;
        M::decode(&*self.buffer).map_err(|error| self.wrong(&format!("expected {what}: {error}")))
    }

    /// Skips the next message.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] when the file ends.
    pub fn skip(&mut self, what: &str) -> Result<()> {
        let length = self.length(what)?;
        let mut message = self.input.by_ref().take(length);
        let taken = io::copy(&mut message, &mut io::sink());
        let taken = taken.map_err(|source| Error::io(Path::new(&self.name), "read", source))?;
        self.expect_whole(what, length, taken)
    }

    fn expect_whole(&self, what: &str, length: u64, taken: u64) -> Result<()> {
        match taken == length {
            true => Ok(()),
            false => Err(self.wrong(&format!("expected {what} of {length} bytes, found {taken}"))),
        }
    }

    /// The length of the next message, a varint.
    fn length(&mut self, what: &str) -> Result<u64> {
        let mut length = 0u64;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            let read = self.input.read_exact(&mut byte);
            read.map_err(|_| self.wrong(&format!("expected {what}, found the end of the file")))?;
            length |= u64::from(byte[0] & 0x7F) << shift;
            if byte[0] & 0x80 == 0 {
                return match length <= MAX_BYTES {
                    true => Ok(length),
                    false => Err(self.wrong(&format!(
                        "expected {what} of at most {MAX_BYTES} bytes, found the length {length}"
                    ))),
                };
            }
        }
        Err(self.wrong(&format!("expected the length of {what}, found other bytes")))
    }

    /// Fails when there is more in the file.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is.
    pub fn expect_end(&mut self) -> Result<()> {
        let rest = self.input.fill_buf();
        let rest = rest.map_err(|source| Error::io(Path::new(&self.name), "read", source))?;
        match rest.is_empty() {
            true => Ok(()),
            false => Err(self.wrong("expected the end behind the documents, found more")),
        }
    }

    /// An error about the file.
    pub fn wrong(&self, message: &str) -> Error {
        Error::invalid(format!("{}: {message}", self.name))
    }
}
