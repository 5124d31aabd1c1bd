//! Detects the format of an input by its name and by its first bytes.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use esparsa::{Error, Result};

use super::RecordFormat;

/// Number of bytes at the start of a file that are examined to detect its format.
pub(super) const SNIFF_BYTES: usize = 4096;

/// The byte order mark that some programs put before UTF-8 text; it is not part of the text.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The format of the inputs, as the user names it.
///
/// ```
/// use esparsa_cli::input::InputFormat;
///
/// assert_eq!("tsv".parse::<InputFormat>().unwrap(), InputFormat::Tsv);
/// assert_eq!("vectors".parse::<InputFormat>().unwrap(), InputFormat::JsonLines);
/// assert!("parquet".parse::<InputFormat>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputFormat {
    /// Detected for each file by its name and its first bytes; standard input is JSON Lines.
    #[default]
    Auto,
    /// A folder with `corpus.jsonl` in it, or that file itself.
    Beir,
    /// One JSON object a line, with or without sparse vectors (`jsonl`, `vectors`).
    JsonLines,
    /// Lines of id, tab, text, or id, tab, title, tab, text.
    Tsv,
    /// TREC SGML.
    Trec,
    /// Plain text, one document a file.
    Text,
}

impl InputFormat {
    /// The names that parse to a format.
    pub const NAMES: [&'static str; 7] =
        ["auto", "beir", "jsonl", "vectors", "tsv", "trec", "text"];
}

impl FromStr for InputFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "beir" => Ok(Self::Beir),
            "jsonl" | "vectors" => Ok(Self::JsonLines),
            "tsv" => Ok(Self::Tsv),
            "trec" => Ok(Self::Trec),
            "text" => Ok(Self::Text),
            _ => Err(Error::invalid(format!(
                "no input format is called `{name}`; expected one of {}",
                Self::NAMES.join(", ")
            ))),
        }
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Beir => "beir",
            Self::JsonLines => "jsonl",
            Self::Tsv => "tsv",
            Self::Trec => "trec",
            Self::Text => "text",
        })
    }
}

/// The layout of the records of a file: a [`RecordFormat`] without the id of a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    JsonLines,
    Tsv,
    Trec,
    Text,
}

impl Layout {
    /// The record format; `id` is the document's id if the file is plain text.
    pub(super) fn with_id(self, id: &str) -> RecordFormat {
        match self {
            Self::JsonLines => RecordFormat::JsonLines,
            Self::Tsv => RecordFormat::Tsv,
            Self::Trec => RecordFormat::Trec,
            Self::Text => RecordFormat::Text { id: Arc::from(id) },
        }
    }
}

/// What is known of a file's layout before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Named by the user, or certain from the file name.
    Known(Layout),
    /// Plain text by its name, but TREC files are often called `.txt` too.
    TextUnlessTrec,
    /// Unknown; the first bytes tell.
    ByContent,
}

impl Choice {
    /// The layout, given the first decompressed bytes of the file; `None` if it is not detected.
    pub(super) fn settle(self, start: &[u8]) -> Option<Layout> {
        match self {
            Self::Known(layout) => Some(layout),
            Self::TextUnlessTrec if by_content(start) == Some(Layout::Trec) => Some(Layout::Trec),
            Self::TextUnlessTrec => Some(Layout::Text),
            Self::ByContent => by_content(start),
        }
    }
}

/// Detects the format by the extension of the file name, with or without `.gz` or `.zst` after it.
pub(super) fn by_name(path: &Path) -> Choice {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let name = without_compression(&name);
    let extension = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension,
        _ => "",
    };
    match extension {
        "jsonl" | "ndjson" | "json" => Choice::Known(Layout::JsonLines),
        "tsv" | "tab" => Choice::Known(Layout::Tsv),
        "trec" | "sgml" | "sgm" => Choice::Known(Layout::Trec),
        "md" | "markdown" => Choice::Known(Layout::Text),
        "txt" | "text" => Choice::TextUnlessTrec,
        _ => Choice::ByContent,
    }
}

/// The file name (in lower case) without the extension of a compressed file.
pub(super) fn without_compression(name: &str) -> &str {
    [".gz", ".zst", ".zstd"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

/// Detects the format by the first decompressed bytes of a file.
pub(super) fn by_content(start: &[u8]) -> Option<Layout> {
    let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start);
    let trimmed = start.trim_ascii_start();
    if trimmed.starts_with(b"{") {
        return Some(Layout::JsonLines);
    }
    if super::trec::starts_document(trimmed) {
        return Some(Layout::Trec);
    }
    let line = start.split(|&byte| byte == b'\n').next()?;
    let tabs = line.iter().filter(|&&byte| byte == b'\t').count();
    let is_utf8 = match std::str::from_utf8(line) {
        Ok(_) => true,
        // The start of the file may end within a character.
        Err(error) => error.error_len().is_none(),
    };
    let is_text = is_utf8
        && line
            .iter()
            .all(|&byte| byte >= b' ' || byte == b'\t' || byte == b'\r');
    (is_text && (1..=2).contains(&tabs) && !line.starts_with(b"\t")).then_some(Layout::Tsv)
}

/// The error for a file whose format is detected neither by name nor by content.
pub(super) fn unknown_format(file: &str) -> Error {
    Error::invalid(format!(
        "cannot tell the format from the file name or the content; name it with --format ({})",
        InputFormat::NAMES[1..].join(", ")
    ))
    .at_line(file, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_format_with_and_without_compression() {
        let cases = [
            ("corpus.jsonl", Choice::Known(Layout::JsonLines)),
            ("a/b.JSON.GZ", Choice::Known(Layout::JsonLines)),
            ("x.ndjson.zst", Choice::Known(Layout::JsonLines)),
            ("collection.tsv.gz", Choice::Known(Layout::Tsv)),
            ("ft.sgml", Choice::Known(Layout::Trec)),
            ("notes.md", Choice::Known(Layout::Text)),
            ("notes.txt.zst", Choice::TextUnlessTrec),
            ("FT911_1", Choice::ByContent),
            (".json", Choice::ByContent),
            ("image.png", Choice::ByContent),
        ];
        for (name, expected) in cases {
            assert_eq!(by_name(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn content_tells_the_format() {
        let cases: [(&[u8], Option<Layout>); 12] = [
            (b"{\"id\": 1}", Some(Layout::JsonLines)),
            (b"\xef\xbb\xbf\n {\"id\": 1}", Some(Layout::JsonLines)),
            (b"\n<DOC>\n<DOCNO>", Some(Layout::Trec)),
            (b"<doc id=1>", Some(Layout::Trec)),
            (b"<DOCUMENT>", None),
            (b"d1\tsome text\nd2\tmore", Some(Layout::Tsv)),
            (b"d1\ttitle\ttext\r\n", Some(Layout::Tsv)),
            (b"q1\t0\td1\t1\n", None),
            (b"\x89PNG\t", None),
            (b"a\t\0", None),
            (b"plain words", None),
            (b"", None),
        ];
        for (content, expected) in cases {
            assert_eq!(by_content(content), expected, "{content:?}");
        }
    }

    #[test]
    fn every_name_parses_and_parses_back() {
        for name in InputFormat::NAMES {
            let format: InputFormat = name.parse().unwrap();
            assert_eq!(format.to_string().parse::<InputFormat>().unwrap(), format);
        }
        let message = "xml".parse::<InputFormat>().unwrap_err().to_string();
        assert!(
            message.contains("`xml`") && message.contains("trec"),
            "{message}"
        );
    }

    #[test]
    fn text_files_that_hold_trec_are_trec() {
        assert_eq!(Choice::TextUnlessTrec.settle(b"<DOC>"), Some(Layout::Trec));
        assert_eq!(Choice::TextUnlessTrec.settle(b"{"), Some(Layout::Text));
        assert_eq!(
            Choice::Known(Layout::Text).settle(b"<DOC>"),
            Some(Layout::Text)
        );
    }
}
