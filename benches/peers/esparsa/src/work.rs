//! A folder of work: what `work.json` says, and the names of its files.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::Result;
use crate::forms::form_of;

/// What the documents are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Lines of terms with a space between them.
    Text,
    /// Vectors of numbered terms with weights from 1 to 255.
    Sparse,
    /// Texts with columns, and a file of queries for each form of query.
    Forms,
}

impl Kind {
    /// The name in `work.json` and in front of modes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Sparse => "sparse",
            Self::Forms => "forms",
        }
    }

    /// Name of the file of documents.
    pub fn documents_file(self) -> &'static str {
        match self {
            Self::Text | Self::Forms => "documents.txt",
            Self::Sparse => "documents.bin",
        }
    }

    /// Name of the file of queries; that of one form where there are several.
    pub fn queries_file(self) -> &'static str {
        match self {
            Self::Text => "queries.txt",
            Self::Sparse => "queries.bin",
            Self::Forms => "union.txt",
        }
    }

    /// Reads the next record (a line without its end, or a vector) to the end of `bytes`; whether there was one.
    ///
    /// # Errors
    ///
    /// When the file ends within a vector, or cannot be read.
    pub fn read_record(self, reader: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Self::Text | Self::Forms => {
                let read = reader.read_until(b'\n', bytes)?;
                if bytes.ends_with(b"\n") && read > 0 {
                    bytes.pop();
                }
                Ok(read > 0)
            }
            Self::Sparse => {
                if reader.fill_buf()?.is_empty() {
                    return Ok(false);
                }
                let mut length = [0; 2];
                reader.read_exact(&mut length)?;
                bytes.extend_from_slice(&length);
                let rest = 3 * usize::from(u16::from_le_bytes(length));
                let start = bytes.len();
                bytes.resize(start + rest, 0);
                reader.read_exact(&mut bytes[start..])?;
                Ok(true)
            }
        }
    }
}

/// The terms and weights of a sparse record.
pub fn vector(record: &[u8]) -> impl ExactSizeIterator<Item = (u16, u8)> {
    let (terms, weights) = record[2..].split_at((record.len() - 2) / 3 * 2);
    let terms = terms.chunks_exact(2);
    terms
        .zip(weights)
        .map(|(term, weight)| (u16::from_le_bytes([term[0], term[1]]), *weight))
}

/// Appends a vector, terms rising, as a sparse record.
pub fn push_vector(vector: &[(u16, u8)], bytes: &mut Vec<u8>) {
    // A vector has at most as many terms as there are numbers for them, less one.
    bytes.extend_from_slice(&(vector.len() as u16).to_le_bytes());
    for (term, _) in vector {
        bytes.extend_from_slice(&term.to_le_bytes());
    }
    bytes.extend(vector.iter().map(|(_, weight)| weight));
}

/// What `work.json` says, and where the folder is.
#[derive(Clone, Debug)]
pub struct Work {
    /// The folder.
    pub folder: PathBuf,
    /// What the documents are.
    pub kind: Kind,
    /// The name in reports.
    pub name: String,
    /// Number of documents.
    pub documents: u32,
    /// Number of queries.
    pub queries: u32,
    /// Size of the vocabulary.
    pub terms: u64,
    /// Number of pairs of a document and a term that it has.
    pub postings: u64,
    /// What the work was generated from; none when it was not.
    pub seed: Option<u64>,
}

impl Work {
    /// Reads `work.json`.
    ///
    /// # Errors
    ///
    /// When it is missing or lacks something.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("work.json");
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let value: Value = serde_json::from_str(&text)?;
        let number = |name: &str| {
            let number = value[name].as_u64();
            number.ok_or_else(|| format!("{}: expected a number `{name}`", path.display()))
        };
        let kind = match value["kind"].as_str() {
            Some("text") => Kind::Text,
            Some("sparse") => Kind::Sparse,
            Some("forms") => Kind::Forms,
            _ => {
                let message = "expected `kind`: text, sparse or forms";
                return Err(format!("{}: {message}", path.display()).into());
            }
        };
        Ok(Self {
            folder: folder.to_path_buf(),
            kind,
            name: value["name"].as_str().unwrap_or_default().to_owned(),
            documents: number("documents")?.try_into()?,
            queries: number("queries")?.try_into()?,
            terms: number("terms")?,
            postings: number("postings")?,
            seed: value["seed"].as_u64(),
        })
    }

    /// Writes `work.json`, by which the folder is complete: so it is written last.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn save(&self) -> Result<()> {
        let mut value = json!({
            "kind": self.kind.name(),
            "name": self.name,
            "documents": self.documents,
            "queries": self.queries,
            "terms": self.terms,
            "postings": self.postings,
        });
        if let Some(seed) = self.seed {
            value["seed"] = seed.into();
        }
        fs::write(self.folder.join("work.json"), format!("{value}\n"))?;
        Ok(())
    }

    /// The file of documents.
    pub fn documents_path(&self) -> PathBuf {
        self.folder.join(self.kind.documents_file())
    }

    /// All queries as records, or the first `limit`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read_queries(&self, limit: Option<usize>) -> Result<Vec<Vec<u8>>> {
        self.read_queries_of(self.kind.queries_file(), limit)
    }

    /// As [`read_queries`](Self::read_queries), of the queries that a mode is measured with.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read_queries_for(&self, mode: &str, limit: Option<usize>) -> Result<Vec<Vec<u8>>> {
        match self.kind {
            Kind::Forms => self.read_queries_of(&format!("{}.txt", form_of(mode)), limit),
            _ => self.read_queries(limit),
        }
    }

    fn read_queries_of(&self, file: &str, limit: Option<usize>) -> Result<Vec<Vec<u8>>> {
        let path = self.folder.join(file);
        let mut reader = BufReader::new(File::open(path)?);
        let mut queries = Vec::new();
        while queries.len() < limit.unwrap_or(usize::MAX) {
            let mut record = Vec::new();
            if !self.kind.read_record(&mut reader, &mut record)? {
                break;
            }
            queries.push(record);
        }
        Ok(queries)
    }
}

/// Reads a file of little-endian u32 that holds every number below `documents` once.
///
/// # Errors
///
/// When it holds anything else.
pub fn read_order(path: &Path, documents: u32) -> Result<Vec<u32>> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let numbers = bytes.chunks_exact(4);
    let order: Vec<u32> = numbers
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let mut seen = vec![false; documents as usize];
    let mut all = bytes.len() == 4 * documents as usize;
    for number in &order {
        let place = seen.get_mut(*number as usize);
        all &= place.is_some_and(|seen| !std::mem::replace(seen, true));
    }
    if all {
        Ok(order)
    } else {
        let message = format!("expected each of {documents} documents once");
        Err(format!("{}: {message}", path.display()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_read_as_written() {
        let mut bytes = Vec::new();
        push_vector(&[(3, 255), (30_521, 1)], &mut bytes);
        push_vector(&[], &mut bytes);
        let (mut reader, mut record) = (&bytes[..], Vec::new());
        assert!(Kind::Sparse.read_record(&mut reader, &mut record).unwrap());
        assert_eq!(vector(&record).collect::<Vec<_>>(), [(3, 255), (30_521, 1)]);
        record.clear();
        assert!(Kind::Sparse.read_record(&mut reader, &mut record).unwrap());
        assert_eq!(vector(&record).len(), 0);
        assert!(!Kind::Sparse.read_record(&mut reader, &mut record).unwrap());
        let mut cut = &bytes[..5];
        assert!(Kind::Sparse.read_record(&mut cut, &mut record).is_err());
    }

    #[test]
    fn empty_lines_are_documents_too() {
        let (mut reader, mut lines) = (&b"a b\n\nc"[..], Vec::new());
        let mut record = Vec::new();
        while Kind::Text.read_record(&mut reader, &mut record).unwrap() {
            lines.push(String::from_utf8(std::mem::take(&mut record)).unwrap());
        }
        assert_eq!(lines, ["a b", "", "c"]);
    }
}
