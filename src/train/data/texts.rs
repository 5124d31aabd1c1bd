//! Documents or queries by id, whose texts stay on disk.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::example::Text;
use super::random_file::{Offsets, RandomFile};
use crate::error::{Error, Result};
use crate::eval::json::{id_of, parse_object, wrong_type};
use crate::eval::lines::{Lines, check_id, open, quote};

/// The layouts of a file of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// BEIR: objects with `_id`, `title` and `text`.
    JsonLines,
    /// MS MARCO: an id, a tab, and the text.
    Tsv,
}

/// A file of documents or queries, numbered in its order. Texts stay on disk and are read one at a
/// time: in memory there are a hash of each id and the place of its line, 17 bytes a text.
///
/// The first character that is not white space decides the layout:
///
/// - `{`: JSON Lines, as BEIR's `corpus.jsonl` and `queries.jsonl`. Each line has `_id` or `id` (a
///   string or an integer), `text`, and possibly `title`. A title comes before the text, with a space
///   between them.
/// - anything else: TSV, as MS MARCO's `collection.tsv` and `queries.tsv`: an id, a tab, and the text.
///
/// ```
/// # use esparsa::internals::train::Texts;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("collection.tsv");
/// std::fs::write(&path, "0\tEtna is a volcano.\n1\tBees dance.\n")?;
/// let texts = Texts::open(&path)?;
/// assert_eq!(texts.find("1")?, Some(1));
/// assert_eq!(&*texts.text(1)?.text, "Bees dance.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Texts {
    file: RandomFile,
    layout: Layout,
    offsets: Offsets,
    /// For each text the upper half of the hash of its id in the upper 32 bits and its number in the
    /// lower ones, ascending.
    ids: Vec<u64>,
    /// The lower halves of the hashes, by number. With them ids are told apart in memory: triplets name
    /// ids hundreds of millions of times, and comparing each on disk takes hours.
    tags: Vec<u32>,
    /// The hashes that several ids have, ascending. These are compared on disk.
    shared: Vec<u64>,
    fingerprint: u64,
}

impl Texts {
    /// Opens a file, in one pass over it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read, and [`Error::InvalidInput`] with file and line for a
    /// file without texts, a compressed file, a line that does not fit the layout or is not UTF-8, and
    /// an id that is empty or occurs twice.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = RandomFile::open(path)?;
        refuse_compressed(&file)?;
        let mut lines = Lines::new(open(path)?, &file.name());
        let mut layout = None;
        let mut offsets = Offsets::default();
        let mut ids = Vec::new();
        let mut tags = Vec::new();
        let mut hash = Xxh3::new();
        while let Some((start, line)) = lines.next_with_offset()? {
            if line.trim().is_empty() {
                continue;
            }
            let known = *layout.get_or_insert_with(|| detect_layout(line));
            let parsed = parse(line, known).and_then(|(id, _)| {
                check_id("text id", &id)?;
                Ok(xxh3_64(id.as_bytes()))
            });
            hash.update(line.as_bytes());
            hash.update(b"\n");
            let number = u32::try_from(ids.len());
            let added = parsed.and_then(|id| {
                let number = number.map_err(|_| too_many())?;
                ids.push((u64::from(upper(id)) << 32) | u64::from(number));
                // The lower half.
                tags.push(id as u32);
                Ok(())
            });
            if let Err(error) = added.and_then(|()| offsets.push(start)) {
                return Err(lines.place(error));
            }
        }
        let Some(layout) = layout else {
            return Err(
                Error::invalid("expected texts with ids, found an empty file")
                    .at_line(file.name(), 0),
            );
        };
        offsets.shrink();
        ids.shrink_to_fit();
        tags.shrink_to_fit();
        ids.sort_unstable();
        let mut texts = Self {
            file,
            layout,
            offsets,
            ids,
            tags,
            shared: Vec::new(),
            fingerprint: hash.digest(),
        };
        texts.shared = texts.shared_hashes()?;
        Ok(texts)
    }

    /// Number of texts, at least 1.
    #[allow(
        clippy::len_without_is_empty,
        reason = "a file without texts is refused"
    )]
    pub fn len(&self) -> u32 {
        // `open` refuses more.
        self.offsets.len() as u32
    }

    /// Path of the file.
    pub fn path(&self) -> PathBuf {
        self.file.path().to_path_buf()
    }

    /// A hash of the lines of the file that are not blank.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The number of the text with an id; `None` if there is none. Ids are compared by their 64-bit
    /// hashes, and on disk where several ids of the file have the same.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if ids are compared on disk and the file cannot be read.
    pub fn find(&self, id: &str) -> Result<Option<u32>> {
        let hash = xxh3_64(id.as_bytes());
        for entry in &self.ids[self.first_of(upper(hash))..] {
            if (entry >> 32) as u32 != upper(hash) {
                break;
            }
            // The lower half, in which numbers are stored.
            let number = *entry as u32;
            if self.tags[number as usize] != hash as u32 {
                continue;
            }
            if self.shared.binary_search(&hash).is_err() || self.id(number)? == id {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// The id of a text.
    ///
    /// # Errors
    ///
    /// As those of [`Texts::text`].
    pub fn id(&self, number: u32) -> Result<String> {
        Ok(self.read(number)?.0)
    }

    /// A text.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] for a number that is not below [`Texts::len`] and
    /// for a file that changed after it was opened.
    pub fn text(&self, number: u32) -> Result<Text> {
        Ok(Text::new(self.read(number)?.1))
    }

    /// The id of a text, and the text.
    ///
    /// # Errors
    ///
    /// As those of [`Texts::text`].
    pub fn entry(&self, number: u32) -> Result<(String, Text)> {
        let (id, text) = self.read(number)?;
        Ok((id, Text::new(text)))
    }

    /// The place of a text, for errors about it: file and line.
    fn place(&self, error: Error, number: u32) -> Error {
        let offset = self.offsets.get(number as usize).unwrap_or(0);
        match self.file.line_number(offset) {
            Ok(line) => error.at_line(self.file.name(), line),
            Err(other) => other,
        }
    }

    /// Id and text.
    fn read(&self, number: u32) -> Result<(String, String)> {
        let index = number as usize;
        let Some(start) = self.offsets.get(index) else {
            return Err(Error::invalid(format!(
                "expected the number of one of {} texts, found {number}",
                self.len()
            ))
            .at_line(self.file.name(), 0));
        };
        let end = self.offsets.get(index + 1).unwrap_or(self.file.len());
        let line = self.file.line(start, end)?;
        parse(&line, self.layout).map_err(|_| self.file.changed(start))
    }

    /// The index of the first entry whose hash is `hash` or more. Hashes are uniform, so it is close
    /// to where a uniform distribution would have it: within a few standard deviations.
    fn first_of(&self, hash: u32) -> usize {
        let len = self.ids.len();
        let key = u64::from(hash) << 32;
        let guess = ((u64::from(hash) * len as u64) >> 32) as usize;
        let margin = 4 * len.isqrt() + 1;
        let mut low = guess.saturating_sub(margin);
        let mut high = (guess + margin).min(len);
        if low > 0 && self.ids[low - 1] >= key {
            low = 0;
        }
        if high < len && self.ids[high] < key {
            high = len;
        }
        low + self.ids[low..high].partition_point(|&entry| entry < key)
    }

    /// The hashes that several ids have. Refuses a file in which two texts have the same id.
    fn shared_hashes(&self) -> Result<Vec<u64>> {
        let mut shared = Vec::new();
        let mut first: Option<(u32, u32, String)> = None;
        for equal in self.ids.chunk_by(|a, b| a >> 32 == b >> 32) {
            if equal.len() == 1 {
                continue;
            }
            let tag = |entry: &u64| self.tags[*entry as u32 as usize];
            let mut equal = equal.to_vec();
            equal.sort_unstable_by_key(|entry| (tag(entry), *entry));
            for same in equal.chunk_by(|a, b| tag(a) == tag(b)) {
                if same.len() == 1 {
                    continue;
                }
                shared.push((same[0] >> 32 << 32) | u64::from(tag(&same[0])));
                if let Some(repeat) = self.repeat_among(same)?
                    && first.as_ref().is_none_or(|(_, known, _)| repeat.1 < *known)
                {
                    first = Some(repeat);
                }
            }
        }
        let Some((earlier, number, id)) = first else {
            return Ok(shared);
        };
        let earlier = self.offsets.get(earlier as usize).unwrap_or(0);
        let line = self.file.line_number(earlier)?;
        let error = Error::invalid(format!(
            "id {} was already used on line {line}; every text needs its own",
            quote(&id)
        ));
        Err(self.place(error, number))
    }

    /// The first two texts of the same id among some: their numbers, and the id.
    fn repeat_among(&self, entries: &[u64]) -> Result<Option<(u32, u32, String)>> {
        let mut ids = Vec::with_capacity(entries.len());
        for &entry in entries {
            ids.push((self.id(entry as u32)?, entry as u32));
        }
        ids.sort_unstable();
        let repeats = ids.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        let first = repeats.min_by_key(|pair| pair[1].1);
        Ok(first.map(|pair| (pair[0].1, pair[1].1, pair[0].0.clone())))
    }
}

/// Refuses a file compressed with gzip, by its first bytes.
pub(super) fn refuse_compressed(file: &RandomFile) -> Result<()> {
    let mut start = [0; 2];
    if file.len() >= 2 {
        file.read(0, &mut start)?;
    }
    match start {
        [0x1f, 0x8b] => Err(Error::invalid(
            "expected text, found a file compressed with gzip, which cannot be read at any position; \
             decompress it first",
        )
        .at_line(file.name(), 0)),
        _ => Ok(()),
    }
}

/// The upper half of a hash.
fn upper(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn too_many() -> Error {
    Error::limit(
        "number of texts",
        u64::from(u32::MAX) + 1,
        u64::from(u32::MAX),
    )
}

fn detect_layout(line: &str) -> Layout {
    match line.trim_start().starts_with('{') {
        true => Layout::JsonLines,
        false => Layout::Tsv,
    }
}

/// Id and text of a line.
fn parse(line: &str, layout: Layout) -> Result<(String, String)> {
    match layout {
        Layout::Tsv => match line.split_once('\t') {
            Some((id, text)) => Ok((id.trim().to_owned(), text.trim().to_owned())),
            None => Err(Error::invalid(format!(
                "expected an id, a tab and a text, found {} without a tab",
                quote(line)
            ))),
        },
        Layout::JsonLines => {
            let object = parse_object(line)?;
            let id = id_of(&object, line, "text id")?;
            let part = |name: &str| match object.get(name) {
                None | Some(serde_json::Value::Null) => Ok(None),
                Some(serde_json::Value::String(text)) => Ok(Some(text.trim())),
                Some(other) => Err(wrong_type("a string", other).in_field(name)),
            };
            let Some(text) = part("text")? else {
                return Err(Error::invalid(format!(
                    "expected `text` for id {}, found none",
                    quote(&id)
                )));
            };
            let text = match part("title")? {
                None | Some("") => text.to_owned(),
                Some(title) if text.is_empty() => title.to_owned(),
                Some(title) => format!("{title} {text}"),
            };
            Ok((id, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn texts(content: impl AsRef<[u8]>) -> Result<Texts> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, content).unwrap();
        // The file stays open, although the folder is removed.
        Texts::open(&path)
    }

    fn message(content: impl AsRef<[u8]>) -> String {
        let message = texts(content).unwrap_err().to_string();
        message[message.find("a.txt").unwrap()..].to_owned()
    }

    fn text(texts: &Texts, id: &str) -> Option<String> {
        let number = texts.find(id).unwrap()?;
        assert_eq!(texts.id(number).unwrap(), id);
        let entry = (id.to_owned(), texts.text(number).unwrap());
        assert_eq!(texts.entry(number).unwrap(), entry);
        Some(entry.1.text.to_string())
    }

    #[test]
    fn beir_documents_are_title_and_text() {
        let texts = texts(concat!(
            "\u{feff}{\"_id\": \"a\", \"title\": \"Etna\", \"text\": \"A volcano.\"}\r\n",
            "\n",
            "{\"_id\": 7, \"title\": \"\", \"text\": \" Bees. \"}\n",
            "{\"id\": \"c\", \"title\": \"Only\", \"text\": \"\", \"metadata\": {}}",
        ))
        .unwrap();
        assert_eq!(texts.len(), 3);
        assert_eq!(text(&texts, "a").unwrap(), "Etna A volcano.");
        assert_eq!(text(&texts, "7").unwrap(), "Bees.");
        assert_eq!(text(&texts, "c").unwrap(), "Only");
        assert_eq!(text(&texts, "d"), None);
    }

    #[test]
    fn tsv_keeps_everything_after_the_first_tab() {
        let texts = texts("0\tone\ttwo\n1\t\n").unwrap();
        assert_eq!(text(&texts, "0").unwrap(), "one\ttwo");
        assert_eq!(text(&texts, "1").unwrap(), "");
        assert!(texts.text(2).is_err());
    }

    /// 100,000 ids have about one pair with equal 32-bit hashes; each id is found all the same, and
    /// ids that are absent are not.
    #[test]
    fn ids_of_equal_hashes_are_told_apart() {
        let ids: Vec<String> = (0..300_000).map(|number| format!("d{number}")).collect();
        let content: String = ids
            .iter()
            .map(|id| format!("{id}\ttext of {id}\n"))
            .collect();
        let texts = texts(content).unwrap();
        let equal = texts.ids.chunk_by(|a, b| a >> 32 == b >> 32);
        let collisions: Vec<&[u64]> = equal.filter(|equal| equal.len() > 1).collect();
        assert!(!collisions.is_empty());
        for &entry in collisions.into_iter().flatten() {
            assert_eq!(
                texts.find(&ids[entry as u32 as usize]).unwrap(),
                Some(entry as u32)
            );
        }
        for number in (0..300_000).step_by(97) {
            assert_eq!(texts.find(&ids[number as usize]).unwrap(), Some(number));
            assert_eq!(texts.find(&format!("e{number}")).unwrap(), None);
        }
    }

    #[test]
    fn ids_of_equal_64_bit_hashes_are_compared_on_disk() {
        let mut texts = texts("a\tone\nb\ttwo\n").unwrap();
        assert!(texts.shared.is_empty());
        // As if another id had the hash of `b`: the entry of `a` claims it.
        let hash = xxh3_64(b"b");
        texts.ids = vec![
            u64::from(upper(hash)) << 32,
            (u64::from(upper(hash)) << 32) | 1,
        ];
        texts.tags = vec![hash as u32; 2];
        assert_eq!(texts.find("b").unwrap(), Some(0));
        texts.shared = texts.shared_hashes().unwrap();
        assert_eq!(texts.shared, [hash]);
        assert_eq!(texts.find("b").unwrap(), Some(1));
    }

    #[test]
    fn memory_is_at_most_20_bytes_a_text() {
        let content: String = (0..50_000)
            .map(|number| format!("{number}\ttext\n"))
            .collect();
        let texts = texts(content).unwrap();
        let bytes = texts.ids.capacity() * 8 + texts.tags.capacity() * 4 + texts.offsets.bytes();
        assert!(bytes <= 20 * 50_000, "{bytes}");
    }

    #[test]
    fn errors_name_file_and_line() {
        for (content, expected) in [
            ("", "a.txt: expected texts with ids, found an empty file"),
            ("\n\n", "a.txt: expected texts"),
            (
                "0\ta\n1 b\n",
                "a.txt:2: expected an id, a tab and a text, found `1 b`",
            ),
            ("0\ta\n\tb\n", "a.txt:2: expected a text id"),
            (
                "0\ta\n\n1\tb\n0\tc\n1\td\n",
                "a.txt:4: id `0` was already used on line 1",
            ),
            ("{\"_id\": \"a\"", "a.txt:1: expected one JSON object"),
            (
                "{\"_id\": \"a\", \"text\": \"\"}\nnull\n",
                "a.txt:2: expected a JSON object",
            ),
            ("{\"_id\": \"a\"}\n", "a.txt:1: expected `text` for id `a`"),
            (
                "{\"text\": \"a\"}\n",
                "a.txt:1: expected a text id under `_id`",
            ),
            (
                "{\"_id\": 1, \"text\": 2}\n",
                "a.txt:1: field `text`: expected a string",
            ),
            (
                "{\"_id\": [], \"text\": \"\"}\n",
                "a.txt:1: field `id`: expected a string",
            ),
        ] {
            let found = message(content);
            assert!(found.starts_with(expected), "{found}");
        }
        assert!(message(b"0\ta\n1\t\xff\n").starts_with("a.txt:2: expected UTF-8"));
        assert!(message(b"\x1f\x8b\x08").contains("decompress it first"));
        let missing = Texts::open("/nowhere/a.tsv").unwrap_err();
        assert!(matches!(missing, Error::Io { .. }), "{missing}");
    }

    #[test]
    fn a_file_that_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        fs::write(&path, "0\tone\n1\ttwo\n").unwrap();
        let texts = Texts::open(&path).unwrap();
        fs::write(&path, "a b c d e f g h").unwrap();
        let error = texts.text(1).unwrap_err().to_string();
        assert!(error.contains("changed after it was opened"), "{error}");
    }

    #[test]
    fn the_fingerprint_follows_the_lines() {
        let fingerprint = |content: &str| texts(content).unwrap().fingerprint();
        assert_eq!(fingerprint("0\ta\n1\tb\n"), fingerprint("0\ta\r\n\n1\tb"));
        assert_ne!(fingerprint("0\ta\n1\tb\n"), fingerprint("0\ta\n1\tc\n"));
    }
}
