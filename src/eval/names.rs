//! Ids as columns of a TREC run.
//!
//! The columns of a run are separated by white space and its lines by line feeds, but an id may
//! contain any character. In a run, each UTF-8 byte of white space and of control characters
//! (including bidirectional ones) is written as `%` and two hexadecimal digits: `lava lake` becomes
//! `lava%20lake`. In such an id, a `%` before two digits is encoded as well, and so it is in an id
//! that would otherwise be decoded: `a%20b` becomes `a%2520b`. Reading decodes exactly the ids that
//! writing encodes, so every id is read back unchanged.
//!
//! All other ids are written unchanged, including those with escapes of other characters, such as
//! `Who%3F`: other programs evaluate runs with qrels that have the same ids.

use std::borrow::Cow;
use std::fmt::Write;

/// True for a character that a terminal interprets instead of showing: a control character, or one
/// that changes the text direction.
pub fn is_control(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_special(letter: char) -> bool {
    letter.is_whitespace() || is_control(letter)
}

/// The form of an id in a run.
pub(super) fn encoded(id: &str) -> Cow<'_, str> {
    if !is_escaped(id) {
        return Cow::Borrowed(id);
    }
    let mut text = String::with_capacity(id.len() + 8);
    for (start, letter) in id.char_indices() {
        if is_special(letter) || byte_at(id.as_bytes(), start).is_some() {
            for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        } else {
            text.push(letter);
        }
    }
    Cow::Owned(text)
}

/// The id whose form in a run is `text`.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    match is_escaped(text) {
        true => without_escapes(text),
        false => Cow::Borrowed(text),
    }
}

/// True if an id has a special character, or would have one after decoding its escapes any number
/// of times. An id and its encoded form give the same answer, so writing and reading agree on which
/// ids are encoded.
pub fn is_escaped(id: &str) -> bool {
    if !id.contains(|letter| letter == '%' || is_special(letter)) {
        return false;
    }
    let mut id = Cow::Borrowed(id);
    while !id.contains(is_special) {
        match without_escapes(&id) {
            Cow::Borrowed(_) => return false,
            // Terminates: each decoding shortens the id.
            Cow::Owned(decoded) => id = Cow::Owned(decoded),
        }
    }
    true
}

/// The text with every escape replaced by its byte; unchanged if it has no escape, or if the result
/// would not be UTF-8.
fn without_escapes(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if !(0..bytes.len()).any(|at| byte_at(bytes, at).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut id = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte_at(bytes, at) {
            Some(escaped) => {
                id.push(escaped);
                at += 3;
            }
            None => {
                id.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(id).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The byte of the escape at `start`, if there is an escape.
fn byte_at(bytes: &[u8], start: usize) -> Option<u8> {
    let [b'%', high, low] = bytes.get(start..start + 3)? else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_that_fit_in_a_column_are_not_encoded() {
        for id in [
            "etna",
            "a/b?c=d",
            "100%",
            "50%x1",
            "세종대왕",
            "é",
            "%",
            "Who%3F",
            "%C3%A9",
        ] {
            assert_eq!(encoded(id), id);
            assert_eq!(decoded(id), id);
        }
    }

    #[test]
    fn white_space_and_control_characters_are_percent_encoded() {
        for (id, text) in [
            ("lava lake", "lava%20lake"),
            ("a\tb\nc", "a%09b%0Ac"),
            ("\x1b[1m", "%1B[1m"),
            ("a\u{a0}b", "a%C2%A0b"),
            ("\u{202e}x", "%E2%80%AEx"),
            ("a%20b", "a%2520b"),
            ("% 20", "%%2020"),
        ] {
            assert_eq!(encoded(id), text);
            assert_eq!(decoded(text), id);
        }
    }

    #[test]
    fn escapes_that_are_not_utf_8_are_not_decoded() {
        assert_eq!(decoded("a%FFb"), "a%FFb");
        assert_eq!(decoded("%C2%A"), "%C2%A");
        assert_eq!(decoded("%20%FF"), "%20%FF");
    }

    proptest! {
        #[test]
        fn every_id_is_read_back_unchanged(id in "[%0-9a-fA-F \\t\\n\\x1b\u{85}\u{202e}é]{0,12}|\\PC{0,8}") {
            let text = encoded(&id);
            prop_assert!(!text.contains(|c: char| c.is_whitespace() || is_control(c)));
            prop_assert_eq!(&*decoded(&text), &*id);
        }
    }
}
