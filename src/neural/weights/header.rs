//! The header of a `safetensors` file, checked.

use std::collections::HashSet;
use std::fmt;
use std::result;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};

use crate::error::{Error, Result};

use super::file::TensorFile;

/// The longest header, in bytes; the format's own limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// The length of the header's length.
const LENGTH_BYTES: u64 = 8;

/// A tensor as the header tells it, after all checks.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) shape: Vec<usize>,
    /// Offset in the file.
    pub(super) start: u64,
    pub(super) bytes: u64,
}

/// The type of a tensor's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind(String);

/// A type that values can be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Float {
    F32,
    F16,
    Bf16,
}

impl Kind {
    pub(super) fn name(&self) -> &str {
        &self.0
    }

    pub(super) fn float(&self) -> Option<Float> {
        match self.name() {
            "F32" => Some(Float::F32),
            "F16" => Some(Float::F16),
            "BF16" => Some(Float::Bf16),
            _ => None,
        }
    }

    /// Bits a number, of the types that the format has.
    fn bits(&self) -> Option<u64> {
        match self.name() {
            "F4" => Some(4),
            "F6_E2M3" | "F6_E3M2" => Some(6),
            "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "F8_E4M3FNUZ"
            | "F8_E5M2FNUZ" => Some(8),
            "U16" | "I16" | "F16" | "BF16" => Some(16),
            "U32" | "I32" | "F32" => Some(32),
            "U64" | "I64" | "F64" | "C64" => Some(64),
            _ => None,
        }
    }
}

impl Float {
    /// Appends the values of `piece`, which holds whole numbers.
    pub(super) fn decode(self, piece: &[u8], values: &mut Vec<f32>) {
        match self {
            Self::F32 => {
                let (numbers, _) = piece.as_chunks::<4>();
                values.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            Self::F16 => {
                let (numbers, _) = piece.as_chunks::<2>();
                values.extend(
                    numbers
                        .iter()
                        .map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()),
                );
            }
            Self::Bf16 => {
                let (numbers, _) = piece.as_chunks::<2>();
                values.extend(
                    numbers
                        .iter()
                        .map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()),
                );
            }
        }
    }
}

/// Reads and checks the header: no tensor of it reaches out of the file, overlaps another, or has more or fewer bytes than its shape asks for.
pub(super) fn read(file: &TensorFile) -> Result<Vec<Entry>> {
    let broken = |message: String| Error::model(file.path(), message);
    let length = file.length();
    if length < LENGTH_BYTES {
        return Err(broken(format!(
            "expected a safetensors file, found {length} bytes, too few for its header; download it again"
        )));
    }
    let mut header_bytes = [0; LENGTH_BYTES as usize];
    header_bytes.copy_from_slice(&file.bytes(0, LENGTH_BYTES as usize)?);
    if &header_bytes == b"version " {
        return Err(broken(
            "expected a safetensors file, found the text that Git LFS leaves in its place; fetch the file with `git lfs pull`".to_owned(),
        ));
    }
    let header_bytes = u64::from_le_bytes(header_bytes);
    let most = MAX_HEADER_BYTES.min(length - LENGTH_BYTES);
    if header_bytes > most {
        return Err(broken(format!(
            "expected a safetensors header of at most {most} bytes, found {header_bytes}; the file is truncated or of another format"
        )));
    }
    // Bounded by the check above.
    let text = file.bytes(LENGTH_BYTES, header_bytes as usize)?;
    let header: Header = serde_json::from_slice(&text)
        .map_err(|error| broken(format!("the safetensors header is damaged: {error}")))?;
    let data_start = LENGTH_BYTES + header_bytes;
    let data_bytes = length - data_start;
    let mut entries = Vec::with_capacity(header.0.len());
    for (name, raw) in header.0 {
        entries.push(check(name, raw, data_bytes).map_err(broken)?);
    }
    check_coverage(&mut entries, data_bytes).map_err(broken)?;
    for entry in &mut entries {
        entry.start += data_start;
    }
    Ok(entries)
}

/// Checks one tensor; offsets are still those from the end of the header.
fn check(name: String, raw: Raw, data_bytes: u64) -> result::Result<Entry, String> {
    let (start, end) = raw.data_offsets;
    if start > end || end > data_bytes {
        return Err(format!(
            "tensor `{name}`: expected bytes within the {data_bytes} after the header, found {start} to {end}; the file is truncated or damaged"
        ));
    }
    let kind = Kind(raw.dtype);
    let bits = kind
        .bits()
        .ok_or_else(|| format!("tensor `{name}`: the type `{}` is not known", kind.name()))?;
    let needed = raw
        .shape
        .iter()
        .try_fold(bits, |bits, size| bits.checked_mul(*size))
        .filter(|bits| bits % 8 == 0)
        .map(|bits| bits / 8);
    if needed != Some(end - start) {
        return Err(format!(
            "tensor `{name}`: the shape {:?} of {} does not take the {} bytes that are there",
            raw.shape,
            kind.name(),
            end - start
        ));
    }
    let shape = raw
        .shape
        .iter()
        .map(|size| usize::try_from(*size))
        .collect::<result::Result<Vec<_>, _>>()
        .map_err(|_| format!("tensor `{name}`: the shape {:?} is too large", raw.shape))?;
    Ok(Entry {
        name,
        kind,
        shape,
        start,
        bytes: end - start,
    })
}

/// Sorts tensors by place and refuses overlaps and gaps, as the format does: every byte belongs to one tensor.
fn check_coverage(entries: &mut [Entry], data_bytes: u64) -> result::Result<(), String> {
    entries.sort_by_key(|entry| (entry.start, entry.bytes));
    let mut end = 0;
    for entry in entries.iter() {
        if entry.start != end {
            return Err(format!(
                "tensor `{}`: expected to begin at byte {end}, where the one before ends, found {}; the header is damaged",
                entry.name, entry.start
            ));
        }
        end += entry.bytes;
    }
    if end != data_bytes {
        return Err(format!(
            "expected {end} bytes of tensors, found {data_bytes}; the file is damaged"
        ));
    }
    Ok(())
}

/// A tensor as written.
#[derive(Deserialize)]
struct Raw {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// All tensors as written, none twice.
struct Header(Vec<(String, Raw)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> result::Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> result::Result<Header, A::Error> {
                let mut entries = Vec::new();
                let mut seen = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(format!("`{name}` is there twice")));
                    }
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Header(entries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
