//! Records of TREC SGML: `<DOC>`, with `<DOCNO>` and other elements in it, to `</DOC>`.
//!
//! TREC collections are not valid SGML: ampersands and angle brackets stand unescaped in the text,
//! and end tags are missing. So only what is needed is parsed. A tag is `<`, an optional `/`, a
//! letter, and no other `<` before the `>`; everything else is text.

use std::borrow::Cow;
use std::sync::Arc;

use esparsa::{Error, Result};

use super::encoding::detect;
use super::entities::decode;
use super::lines::{count_line_feeds, length_through, utf8};
use super::{Chunk, Record, excerpt};

/// Elements whose content is not text: the header of a web crawl, scripts, and style sheets.
const HIDDEN: [&str; 3] = ["dochdr", "script", "style"];

const START: &[u8] = b"<doc";
const END: &[u8] = b"</doc>";

/// Number of bytes that tell a document's start or end for certain.
pub(super) const MAX_TAG_BYTES: usize = END.len();

/// True if `bytes` begin with `<DOC>` or `<DOC` and a blank, ignoring case.
pub(super) fn starts_document(bytes: &[u8]) -> bool {
    bytes.len() > START.len()
        && bytes[..START.len()].eq_ignore_ascii_case(START)
        && (bytes[START.len()] == b'>' || bytes[START.len()].is_ascii_whitespace())
}

fn ends_document(bytes: &[u8]) -> bool {
    bytes.len() >= END.len() && bytes[..END.len()].eq_ignore_ascii_case(END)
}

/// Where the tag at `position`, if it is one, cuts `bytes`: after `</DOC>` and before `<DOC>`; 0 is
/// no cut.
fn cut_at(bytes: &[u8], position: usize) -> Option<usize> {
    if ends_document(&bytes[position..]) {
        Some(position + END.len())
    } else {
        (position > 0 && starts_document(&bytes[position..])).then_some(position)
    }
}

/// The first place after the start at which `bytes` may be cut.
pub(super) fn first_cut(bytes: &[u8]) -> Option<usize> {
    let mut position = 0;
    while position < bytes.len() {
        let length = length_through(&bytes[position..], b'<');
        position += length;
        if bytes[..position].ends_with(b"<")
            && let Some(cut) = cut_at(bytes, position - 1)
        {
            return Some(cut);
        }
    }
    None
}

/// The last place after the start at which `bytes` may be cut; the first `searched` bytes are known
/// to hold none.
pub(super) fn last_cut(bytes: &[u8], searched: usize) -> Option<usize> {
    // A tag may start in the bytes that were searched before.
    let first = searched.saturating_sub(MAX_TAG_BYTES - 1);
    let mut end = bytes.len();
    while let Some(offset) = bytes[first..end].iter().rposition(|&byte| byte == b'<') {
        let position = first + offset;
        if let Some(cut) = cut_at(bytes, position) {
            return Some(cut);
        }
        end = position;
    }
    None
}

/// Number of ends of documents in `bytes`.
pub(super) fn count_documents(bytes: &[u8]) -> u64 {
    let mut count = 0;
    let mut position = 0;
    while position < bytes.len() {
        position += length_through(&bytes[position..], b'<');
        let is_end = bytes[..position].ends_with(b"<") && ends_document(&bytes[position - 1..]);
        count += u64::from(is_end);
    }
    count
}

/// Parses the documents of a chunk.
pub(super) fn parse(chunk: &Chunk, emit: &mut dyn FnMut(Result<Record>)) {
    let mut rest = chunk.bytes.as_slice();
    let mut line = chunk.first_line;
    while !rest.is_empty() {
        let (region, after) = rest.split_at(first_cut(rest).unwrap_or(rest.len()));
        rest = after;
        let start = region.trim_ascii_start();
        let first_line = line + count_line_feeds(&region[..region.len() - start.len()]);
        line += count_line_feeds(region);
        let result = if start.is_empty() {
            continue;
        } else if starts_document(start) {
            parse_document(start, &chunk.file, first_line)
        } else {
            match outside_documents(start, &chunk.file, first_line) {
                Ok(()) => continue,
                Err(error) => Err(error),
            }
        };
        emit(result.map_err(|error| error.at_line(&*chunk.file, first_line)));
    }
}

/// Checks the text between documents: tags, such as those around all documents, are allowed, words
/// are not.
fn outside_documents(bytes: &[u8], file: &str, line: u64) -> Result<()> {
    for piece in Pieces::new(utf8(bytes, file, line)?) {
        if let Piece::Text(text) = piece
            && !text.trim().is_empty()
        {
            return Err(Error::invalid(format!(
                "text outside of a document: expected <DOC>, found `{}`",
                excerpt(text.trim(), 0)
            )));
        }
    }
    Ok(())
}

/// Where the text between two tags goes.
#[derive(Clone, Copy, PartialEq)]
enum Target {
    Id,
    Title,
    Text,
}

fn parse_document(bytes: &[u8], file: &Arc<str>, line: u64) -> Result<Record> {
    let (document, encoding) = match utf8(bytes, file, line) {
        Ok(document) => (Cow::Borrowed(document), None),
        Err(error) => match detect(bytes) {
            Some((document, encoding)) => (document, Some(encoding)),
            None => return Err(error),
        },
    };
    if !bytes[bytes.len().saturating_sub(END.len())..].eq_ignore_ascii_case(END) {
        return Err(Error::invalid(
            "<DOC> without </DOC>: the document does not end before the next one or the end of the file",
        ));
    }
    let (mut id, mut title, mut text) = (None, String::new(), String::new());
    let mut target = Target::Text;
    let mut pieces = Pieces::new(&document);
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Text(words) => match target {
                Target::Id => add_words(id.get_or_insert_default(), words),
                Target::Title => add_words(&mut title, words),
                Target::Text => add_words(&mut text, words),
            },
            Piece::Open(name) if is_id(name) => {
                if id.is_some() {
                    return Err(Error::invalid("a second <DOCNO> in one <DOC>"));
                }
                id = Some(String::new());
                target = Target::Id;
            }
            Piece::Close(name) if is_id(name) || is_title(name) => target = Target::Text,
            Piece::Open(_) | Piece::Close(_) if target == Target::Id => {
                return Err(Error::invalid("<DOCNO> without </DOCNO>"));
            }
            Piece::Open(name) if is_title(name) => target = Target::Title,
            // The end tag of a title may be missing.
            Piece::Open(name) if name.eq_ignore_ascii_case("text") => target = Target::Text,
            Piece::Open(name) => pieces.skip_hidden(name),
            Piece::Close(_) => {}
        }
    }
    let id = id.ok_or_else(|| Error::invalid("<DOC> without <DOCNO>, which is its id"))?;
    let record = Record::from_parts(&id, &title, &text, file, line)?;
    Ok(Record { encoding, ..record })
}

fn is_id(name: &str) -> bool {
    name.eq_ignore_ascii_case("docno")
}

fn is_title(name: &str) -> bool {
    name.eq_ignore_ascii_case("title") || name.eq_ignore_ascii_case("headline")
}

/// Adds the words of SGML text to `words`, with one space between any two.
fn add_words(words: &mut String, text: &str) {
    for word in decode(text).split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
}

/// A piece of SGML.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    /// Text between tags, entities not decoded.
    Text(&'a str),
    /// A start tag's name; also comments and declarations, whose name is empty.
    Open(&'a str),
    /// An end tag's name.
    Close(&'a str),
}

/// Cuts SGML into text and tags.
struct Pieces<'a> {
    rest: &'a str,
    /// False once an unterminated comment was found, so that the search for its end is not repeated
    /// and parsing stays linear.
    comments_end: bool,
    /// The same for elements of each [`HIDDEN`] name.
    hidden_end: [bool; HIDDEN.len()],
}

impl<'a> Pieces<'a> {
    fn new(sgml: &'a str) -> Self {
        Self {
            rest: sgml,
            comments_end: true,
            hidden_end: [true; HIDDEN.len()],
        }
    }

    /// Moves past the element whose start tag `name` was read last, if its content is not text. One
    /// without end tag is not skipped, so that no text is lost.
    fn skip_hidden(&mut self, name: &str) {
        let mut hidden = HIDDEN.iter();
        let Some(place) = hidden.position(|hidden| name.eq_ignore_ascii_case(hidden)) else {
            return;
        };
        if !self.hidden_end[place] {
            return;
        }
        let is_end = |start: &usize| {
            let tag = self.rest.as_bytes().get(start + 2..start + 2 + name.len());
            tag.is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()))
        };
        let mut ends = self.rest.match_indices("</").map(|(start, _)| start);
        match ends.find(is_end) {
            Some(end) => self.rest = &self.rest[end..],
            None => self.hidden_end[place] = false,
        }
    }

    /// The tag or comment that begins at `position`, and its length in bytes.
    fn tag_at(&mut self, position: usize) -> Option<(Piece<'a>, usize)> {
        let sgml = &self.rest[position..];
        if self.comments_end && sgml.starts_with("<!--") {
            if let Some(length) = sgml.find("-->") {
                return Some((Piece::Open(""), length + 3));
            }
            self.comments_end = false;
        }
        tag_at_start(sgml)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut text_bytes = 0;
        while let Some(offset) = self.rest[text_bytes..].find('<') {
            text_bytes += offset;
            if let Some((tag, length)) = self.tag_at(text_bytes) {
                if text_bytes > 0 {
                    break;
                }
                self.rest = &self.rest[length..];
                return Some(tag);
            }
            text_bytes += 1;
        }
        if !self.rest[text_bytes..].starts_with('<') {
            text_bytes = self.rest.len();
        }
        let (text, rest) = self.rest.split_at(text_bytes);
        self.rest = rest;
        Some(Piece::Text(text))
    }
}

/// The tag with which `sgml` begins, and its length in bytes.
fn tag_at_start(sgml: &str) -> Option<(Piece<'_>, usize)> {
    let length = sgml[1..].find(['<', '>'])? + 2;
    let inside = sgml[1..length].strip_suffix('>')?;
    let (name, is_end) = match inside.strip_prefix('/') {
        Some(name) => (name, true),
        None => (inside, false),
    };
    if inside.starts_with(['!', '?']) {
        return Some((Piece::Open(""), length));
    }
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return None;
    }
    let name = name
        .split(|character: char| character.is_ascii_whitespace() || character == '/')
        .next()?;
    let tag = if is_end {
        Piece::Close(name)
    } else {
        Piece::Open(name)
    };
    Some((tag, length))
}

#[cfg(test)]
mod tests;
