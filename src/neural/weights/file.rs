//! One `safetensors` file: its header, read and checked once, and the bytes of its tensors, read in
//! pieces.
//!
//! The crate `safetensors` knows the format: dtypes, sizes, and that tensors follow one another
//! without gaps or overlaps. This file adds what the crate leaves open: names that occur twice, the
//! length of the file, and errors that say which tensor is wrong. Tensors are read at their offsets
//! instead of through a memory map, so that a file that somebody truncates meanwhile gives an error
//! and not a signal.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::result;
use std::sync::{Mutex, PoisonError};

use safetensors::SafeTensorError;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};

use crate::error::{Error, Result};

/// The longest header, in bytes: the limit of the crate, which checks it only with a whole file in
/// memory.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// The bytes of the header's length, before the header.
const LENGTH_BYTES: u64 = 8;
/// Bytes read at a time: large enough to cost few calls, small enough to stay in the CPU's cache. A
/// multiple of the size of every dtype that is read.
const PIECE_BYTES: usize = 256 << 10;
/// What a header calls the strings that describe the file; not a tensor.
const METADATA: &str = "__metadata__";

/// An open file of tensors.
#[derive(Debug)]
pub(super) struct TensorFile {
    path: PathBuf,
    /// A file has one position: readers take turns.
    file: Mutex<File>,
    /// Where the bytes of tensors begin, from which offsets count.
    data_start: u64,
}

impl TensorFile {
    /// Opens a file and reads its header: the name of each tensor, with its dtype, shape and place.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<(String, TensorInfo)>)> {
        let mut file = File::open(path).map_err(|error| Error::io(path, "open", error))?;
        let length = file
            .metadata()
            .map_err(|error| Error::io(path, "read the length of", error))?
            .len();
        let damaged = |message| Error::model(path, message);
        let text = header_text(&mut file, length)
            .map_err(|error| Error::io(path, "read", error))?
            .map_err(damaged)?;
        let data_start = LENGTH_BYTES + text.len() as u64;
        let tensors = parse(&text, length - data_start).map_err(damaged)?;
        let file = Self {
            path: path.to_path_buf(),
            file: Mutex::new(file),
            data_start,
        };
        Ok((file, tensors))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Calls `each` with the bytes of a tensor of this file, piece after piece. No piece ends
    /// inside an element.
    pub(super) fn for_each_piece(
        &self,
        tensor: &TensorInfo,
        mut each: impl FnMut(&[u8]),
    ) -> Result<()> {
        let failed = |error| Error::io(&self.path, "read", error);
        let (start, end) = tensor.data_offsets;
        let mut left = end - start;
        let mut buffer = vec![0; PIECE_BYTES.min(left)];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.data_start + start as u64))
            .map_err(failed)?;
        while left > 0 {
            let piece = &mut buffer[..PIECE_BYTES.min(left)];
            file.read_exact(piece).map_err(failed)?;
            each(piece);
            left -= piece.len();
        }
        Ok(())
    }
}

/// The text of the header, of which no more is read than the file can hold. The inner error says
/// what is wrong with the file.
fn header_text(file: &mut File, length: u64) -> io::Result<result::Result<Vec<u8>, String>> {
    if length < LENGTH_BYTES {
        return Ok(Err(format!(
            "expected a safetensors file, found {length} bytes, too few for its header; download it again"
        )));
    }
    let mut header_bytes = [0; LENGTH_BYTES as usize];
    file.read_exact(&mut header_bytes)?;
    if &header_bytes == b"version " {
        return Ok(Err(
            "expected a safetensors file, found the text that Git LFS leaves in its place; fetch the file with `git lfs pull`"
                .to_owned(),
        ));
    }
    let header_bytes = u64::from_le_bytes(header_bytes);
    let max = MAX_HEADER_BYTES.min(length - LENGTH_BYTES);
    if header_bytes > max {
        return Ok(Err(format!(
            "expected a safetensors header of at most {max} bytes, found {header_bytes}; the file is truncated or of another format"
        )));
    }
    let mut text = vec![0; header_bytes as usize];
    file.read_exact(&mut text)?;
    Ok(Ok(text))
}

/// The tensors of a header in the order of their bytes, of which there are `data_bytes`: no tensor
/// reaches out of the file or overlaps another, and each has as many bytes as its shape takes.
fn parse(text: &[u8], data_bytes: u64) -> result::Result<Vec<(String, TensorInfo)>, String> {
    let header: Header = serde_json::from_slice(text)
        .map_err(|error| format!("the safetensors header is damaged: {error}"))?;
    let mut tensors = header.0;
    tensors.sort_by_key(|(_, tensor)| tensor.data_offsets);
    let checked = Metadata::new(None, tensors.clone()).map_err(|error| explain(error, &tensors))?;
    if checked.data_len() as u64 != data_bytes {
        return Err(format!(
            "expected {} bytes of tensors, found {data_bytes}; the file is truncated or damaged",
            checked.data_len()
        ));
    }
    Ok(tensors)
}

/// What is wrong with tensors that the crate refused, and with which of them.
fn explain(error: SafeTensorError, tensors: &[(String, TensorInfo)]) -> String {
    if let SafeTensorError::InvalidOffset(name) = &error {
        return format!(
            "tensor `{name}`: expected its bytes to begin where those of the tensor before end, found a gap or an overlap; \
             the header is damaged"
        );
    }
    // The crate does not name a tensor whose size is wrong. Checked alone, that tensor is refused
    // again.
    let is_wrong = |(name, tensor): &&(String, TensorInfo)| {
        let (start, end) = tensor.data_offsets;
        let mut alone = tensor.clone();
        alone.data_offsets = (0, end.saturating_sub(start));
        Metadata::new(None, vec![(name.clone(), alone)]).is_err()
    };
    match tensors.iter().find(is_wrong) {
        Some((name, tensor)) => {
            let (start, end) = tensor.data_offsets;
            format!(
                "tensor `{name}`: expected the bytes of the shape {:?} of {}, found {} bytes; the header is damaged",
                tensor.shape,
                tensor.dtype,
                end.saturating_sub(start)
            )
        }
        None => format!("the safetensors header is damaged: {error}"),
    }
}

/// The tensors of a header as written, none twice: the crate keeps the last of two that have one
/// name.
struct Header(Vec<(String, TensorInfo)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> result::Result<Self, D::Error> {
        struct Tensors;

        impl<'de> Visitor<'de> for Tensors {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> result::Result<Header, A::Error> {
                let mut tensors = Vec::new();
                let mut seen = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(format!("`{name}` is there twice")));
                    }
                    if name == METADATA {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        let tensor = map.next_value().map_err(|error| {
                            A::Error::custom(format!("tensor `{name}`: {error}"))
                        })?;
                        tensors.push((name, tensor));
                    }
                }
                Ok(Header(tensors))
            }
        }

        deserializer.deserialize_map(Tensors)
    }
}
