//! Character encodings of inputs that are not UTF-8.
//!
//! Everything after this module sees UTF-8. An encoding that the user names holds for whole files,
//! and so does UTF-16 with a byte order mark. The documents of one TREC file often come from many
//! web servers, so their encodings are detected document by document.

use std::borrow::Cow;
use std::io::{self, Cursor, Read};
use std::str::FromStr;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;
use encoding_rs_io::DecodeReaderBytesBuilder;
use esparsa::{Error, Result};

/// The character encoding of the inputs, as the user names it.
///
/// ```
/// use esparsa_cli::input::InputEncoding;
///
/// assert!("latin1".parse::<InputEncoding>().is_ok());
/// assert!("klingon".parse::<InputEncoding>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputEncoding(Option<&'static Encoding>);

impl FromStr for InputEncoding {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if name.eq_ignore_ascii_case("auto") {
            return Ok(Self(None));
        }
        match Encoding::for_label(name.as_bytes()) {
            Some(encoding) => Ok(Self(Some(encoding))),
            None => Err(Error::invalid(format!(
                "no encoding is called `{name}`; expected auto or a name of the WHATWG Encoding Standard, such as utf-8, \
                 utf-16le, latin1, windows-1252, iso-8859-2, koi8-r, shift_jis, euc-kr, gb18030, big5"
            ))),
        }
    }
}

impl InputEncoding {
    /// The name of the encoding, or `auto`.
    pub fn name(self) -> &'static str {
        self.0.map_or("auto", Encoding::name)
    }

    /// `bytes` as UTF-8; decoded if necessary. With `auto` only UTF-16 with a byte order mark is
    /// decoded here.
    ///
    /// Bytes that are invalid in a named encoding become U+FFFD.
    pub(super) fn decode(self, mut bytes: Box<dyn Read + Send>) -> io::Result<Decoded> {
        let mut start = Vec::new();
        bytes.by_ref().take(2).read_to_end(&mut start)?;
        let is_utf_16 = matches!(start[..], [0xff, 0xfe] | [0xfe, 0xff]);
        let bytes = Box::new(Cursor::new(start).chain(bytes));
        if self.0.is_none() && !is_utf_16 {
            return Ok(Decoded {
                bytes,
                is_changed: false,
            });
        }
        let decoder = DecodeReaderBytesBuilder::new()
            .encoding(self.0)
            .build(bytes);
        Ok(Decoded {
            bytes: Box::new(decoder),
            is_changed: true,
        })
    }
}

/// A stream after decoding.
pub(super) struct Decoded {
    /// The bytes.
    pub(super) bytes: Box<dyn Read + Send>,
    /// Whether they may differ from the input.
    pub(super) is_changed: bool,
}

/// The text of one document that is not valid UTF-8, in the encoding that it is most likely in.
///
/// Returns `None` for a document that is UTF-8 but for a few damaged bytes: read as anything else,
/// all its other characters would be wrong.
pub(super) fn detect(document: &[u8]) -> Option<(Cow<'_, str>, &'static str)> {
    if is_damaged_utf8(document) {
        return None;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(document, true);
    let encoding = detector.guess(None, Utf8Detection::Deny);
    let text = encoding.decode_without_bom_handling_and_without_replacement(document)?;
    Some((text, encoding.name()))
}

/// True if `bytes` has more multi-byte characters than bytes that are part of no character.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut valid, mut invalid) = (0usize, 0usize);
    for piece in bytes.utf8_chunks() {
        let characters = piece.valid().chars();
        valid += characters.filter(|character| !character.is_ascii()).count();
        invalid += piece.invalid().len();
    }
    valid > invalid
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: &str, bytes: &[u8]) -> String {
        let encoding: InputEncoding = encoding.parse().unwrap();
        let decoded = encoding.decode(Box::new(Cursor::new(bytes.to_vec())));
        let mut text = String::new();
        decoded.unwrap().bytes.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn named_encodings_and_utf_16_with_a_mark_become_utf_8() {
        assert_eq!(decode("latin1", b"caf\xe9"), "café");
        assert_eq!(decode("koi8-r", b"\xcd\xc9\xd2"), "мир");
        assert_eq!(decode("auto", b"\xff\xfea\0\xe9\0"), "aé");
        assert_eq!(decode("auto", b"\xfe\xff\0a\0\xe9"), "aé");
        assert_eq!(decode("auto", "é".as_bytes()), "é");
        assert_eq!(decode("utf-8", b"a\xffb"), "a\u{fffd}b");
        assert_eq!(decode("auto", b"a"), "a");
    }

    #[test]
    fn a_document_in_latin_1_is_detected_and_damaged_utf_8_is_not_taken_for_it() {
        let (text, name) = detect(b"Le caf\xe9 est ferm\xe9 l'\xe9t\xe9.").unwrap();
        assert_eq!((&*text, name), ("Le café est fermé l'été.", "windows-1252"));
        let mut damaged = "Le café est fermé l'été.".as_bytes().to_vec();
        damaged.push(0xff);
        assert_eq!(detect(&damaged), None);
    }
}
