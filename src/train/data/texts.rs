//! Texts by id, which stay on disk: documents or queries of millions.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::collection::parsed;
use super::line_index::read_line;
use crate::error::{Error, Result};

/// A file of texts. Memory holds 16 bytes a text: a hash of its id, and where it begins.
///
/// Two formats are read: JSON lines with `_id`, `title` and `text`, and lines of an id, a tab and a
/// text, as MS MARCO's.
pub struct Texts {
    path: PathBuf,
    file: File,
    len: u64,
    /// Ascending.
    hashes: Vec<u64>,
    offsets: Vec<u64>,
    is_json: bool,
}

impl Texts {
    /// Opens a file and checks each line.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with file and line for a line in neither format, an id that comes twice,
    /// and a file without lines; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::io(path, "read", source);
        let file = File::open(path).map_err(|source| Error::io(path, "open", source))?;
        let len = file.metadata().map_err(io)?.len();
        // The number of lines first: a vector that grows would take twice the memory.
        let mut count = 1;
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        loop {
            let buffer = reader.fill_buf().map_err(io)?;
            if buffer.is_empty() {
                break;
            }
            count += buffer.iter().filter(|byte| **byte == b'\n').count();
            let used = buffer.len();
            reader.consume(used);
        }
        let mut entries: Vec<(u64, u64)> = Vec::with_capacity(count);
        let mut is_json = None;
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(io)?);
        let (mut line, mut offset, mut number) = (Vec::new(), 0u64, 0u64);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(io)?;
            if read == 0 {
                break;
            }
            number += 1;
            let content = line.trim_ascii_end();
            if !content.is_empty() {
                let is_json = *is_json.get_or_insert(content.starts_with(b"{"));
                let (id, _) = split(content, is_json)
                    .map_err(|error| error.at_line(path.display().to_string(), number))?;
                entries.push((xxh3_64(id.as_bytes()), offset));
            }
            offset += read as u64;
        }
        if entries.is_empty() {
            return Err(
                Error::invalid("expected texts, found none").at_line(path.display().to_string(), 0)
            );
        }
        entries.sort_unstable();
        let twice = entries.windows(2).find(|pair| pair[0].0 == pair[1].0);
        let texts = Self {
            path: path.to_path_buf(),
            file,
            len,
            hashes: entries.iter().map(|(hash, _)| *hash).collect(),
            offsets: entries.iter().map(|(_, offset)| *offset).collect(),
            is_json: is_json.unwrap_or(false),
        };
        if let Some(pair) = twice {
            let (id, _) = texts.at(pair[1].1)?;
            return Err(
                Error::invalid(format!("expected ids that differ, found `{id}` twice"))
                    .at_line(path.display().to_string(), 0),
            );
        }
        Ok(texts)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True if there is a text of this id. Of two ids of the same hash (64 bits) this may be wrong,
    /// which [`text`](Self::text) finds.
    pub fn has(&self, id: &str) -> bool {
        self.hashes.binary_search(&xxh3_64(id.as_bytes())).is_ok()
    }

    /// The text of an id.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is none; [`Error::Io`].
    pub fn text(&self, id: &str) -> Result<String> {
        let place = self.hashes.binary_search(&xxh3_64(id.as_bytes()));
        let found = place.map(|place| self.at(self.offsets[place]));
        match found {
            Ok(found) => {
                let (found_id, text) = found?;
                if found_id == id {
                    return Ok(text);
                }
            }
            Err(_) => {}
        }
        Err(Error::invalid(format!(
            "expected a text of the id `{id}` in {}, found none",
            self.path.display()
        )))
    }

    fn at(&self, offset: u64) -> Result<(String, String)> {
        let line = read_line(&self.file, &self.path, self.len, offset)?;
        split(&line, self.is_json)
    }
}

/// The id and the text of a line.
fn split(line: &[u8], is_json: bool) -> Result<(String, String)> {
    let line = std::str::from_utf8(line)
        .map_err(|error| Error::invalid(format!("expected UTF-8, found {error}")))?;
    if is_json {
        return parsed(line);
    }
    match line.split_once('\t') {
        Some((id, text)) if !id.is_empty() => Ok((id.to_owned(), text.replace('\t', " "))),
        _ => Err(Error::invalid(
            "expected an id, a tab and a text, found a line without",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &[u8]) -> (tempfile::TempDir, Result<Texts>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts");
        std::fs::write(&path, text).unwrap();
        let texts = Texts::open(&path);
        (folder, texts)
    }

    #[test]
    fn both_formats_are_read() {
        let json = b"{\"_id\": \"a\", \"title\": \"T\", \"text\": \"x\"}\n{\"_id\": \"b\", \"text\": \"y\"}";
        for (text, expected) in [(&json[..], "T x"), (b"a\tx z\nb\ty\n", "x z")] {
            let (_folder, texts) = open(text);
            let texts = texts.unwrap();
            assert_eq!(texts.text("a").unwrap(), expected);
            assert_eq!(texts.text("b").unwrap(), "y");
            assert!(texts.has("a") && !texts.has("c"));
            assert!(texts.text("c").unwrap_err().to_string().contains("`c`"));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            (&b"a\tx\nb\n"[..], "texts:2"),
            (b"a\tx\na\ty\n", "`a`"),
            (b"\n", "none"),
            (b"a\t\xff\n", "UTF-8"),
            (b"{\"_id\": \"a\", \"text\": \"x\"}\n{}\n", "texts:2"),
        ] {
            let (_folder, texts) = open(text);
            let error = texts.err().unwrap().to_string();
            assert!(error.contains(named), "{named}: {error}");
        }
    }
}
