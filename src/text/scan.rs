//! The fast path of word segmentation, for the common scripts.
//!
//! The idea: in ASCII each rule of UAX #29 needs one character of look-behind and one of
//! look-ahead, so one pass with a table of character classes suffices. Letters and punctuation of
//! the common alphabets follow the same rules, as long as NFKC leaves them unchanged and no
//! following character can change them. At any other character the scan stops at the start of the
//! current word, and the general algorithm takes over.

use super::tokenizer::Word;

/// The class of a character in the scan; in parentheses its Word_Break property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Always separates words: spaces, most punctuation, control characters.
    Other,
    /// A letter (ALetter).
    Letter,
    /// A digit (Numeric).
    Digit,
    /// The underscore, which joins letters and digits on both sides (ExtendNumLet).
    Join,
    /// The colon, which joins two letters (MidLetter).
    MidLetter,
    /// Comma and semicolon, which join two digits (MidNum).
    MidDigit,
    /// Dot and apostrophe, which join two letters or two digits (MidNumLet, Single_Quote).
    MidBoth,
    /// Needs the general algorithm.
    Unknown,
}

/// Classes of the code points of one and two bytes in UTF-8: below U+0800.
static CLASSES: [Class; 0x800] = {
    let mut classes = [Class::Unknown; 0x800];
    let mut code = 0;
    while code < 0x800 {
        classes[code] = class_of_short(code as u16);
        code += 1;
    }
    classes
};

const fn class_of_short(code: u16) -> Class {
    match code {
        0x41..=0x5a | 0x61..=0x7a => Class::Letter,
        0x30..=0x39 => Class::Digit,
        0x5f => Class::Join,
        0x3a => Class::MidLetter,
        0x2c | 0x3b => Class::MidDigit,
        0x2e | 0x27 => Class::MidBoth,
        ..0x80 => Class::Other,
        // Latin, without the digraphs that NFKC decomposes.
        0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..=0x131 | 0x14a..=0x17e => Class::Letter,
        0x180..=0x1c3 | 0x1cd..=0x1f0 | 0x1f4..=0x2af => Class::Letter,
        // Greek and Cyrillic.
        0x388..=0x38a | 0x38e..=0x3a1 | 0x3a3..=0x3cf => Class::Letter,
        0x3fa..=0x481 | 0x48a..=0x52f => Class::Letter,
        // Arabic.
        0x620..=0x64a | 0x679..=0x6d3 => Class::Letter,
        // Angle quotes.
        0xab | 0xbb => Class::Other,
        _ => Class::Unknown,
    }
}

/// The class of a code point of three bytes.
fn class_of_long(code: u32) -> Class {
    match code {
        // Hangul syllables.
        0xac00..=0xd7a3 => Class::Letter,
        // More Latin: Vietnamese among others.
        0x1e00..=0x1e99 | 0x1e9e..=0x1eff => Class::Letter,
        // Dashes, curly double quotes, bullets.
        0x2012..=0x2015 | 0x201c..=0x201e | 0x2020..=0x2022 => Class::Other,
        // Curly single quotes; the right one is an apostrophe.
        0x2018 | 0x2019 => Class::MidBoth,
        _ => Class::Unknown,
    }
}

/// Class and length in bytes of the character at `at`; the end of the text acts as a space.
#[inline]
fn class_at(bytes: &[u8], at: usize) -> (Class, usize) {
    match bytes.get(at) {
        Some(&byte) if byte < 0x80 => (CLASSES[usize::from(byte)], 1),
        Some(&byte) => class_beyond_ascii(&bytes[at..], byte),
        None => (Class::Other, 1),
    }
}

fn class_beyond_ascii(bytes: &[u8], lead: u8) -> (Class, usize) {
    match (lead, bytes) {
        (0xc2..=0xdf, &[_, b, ..]) => {
            let code = usize::from(lead & 0x1f) << 6 | usize::from(b & 0x3f);
            (CLASSES[code], 2)
        }
        (0xe0..=0xef, &[_, b, c, ..]) => {
            let code = u32::from(lead & 0xf) << 12 | u32::from(b & 0x3f) << 6 | u32::from(c & 0x3f);
            (class_of_long(code), 3)
        }
        _ => (Class::Unknown, 1),
    }
}

/// Emits words from byte `at` on, and returns where it stopped: at the end of the text, or at the
/// start of the word or character that needs the general algorithm.
///
/// Punctuation directly before such a character may belong to the same word, so the scan stops
/// before it.
pub(super) fn words(text: &str, mut at: usize, emit: &mut impl FnMut(Word<'_>)) -> usize {
    let bytes = text.as_bytes();
    let mut punctuation = None;
    while at < bytes.len() {
        let (class, length) = class_at(bytes, at);
        match class {
            Class::Letter | Class::Digit | Class::Join => {
                let Some((end, has_alphanumeric)) = word_end(bytes, at) else {
                    return at;
                };
                if has_alphanumeric {
                    emit(Word::new(&text[at..end], at..end));
                }
                punctuation = None;
                at = end;
            }
            Class::Unknown => return punctuation.unwrap_or(at),
            Class::Other | Class::MidLetter | Class::MidDigit | Class::MidBoth => {
                punctuation = (!bytes[at].is_ascii_whitespace()).then_some(at);
                at += length;
            }
        }
    }
    at
}

/// The end of the word that begins at `at`, and whether it has a letter or digit; `None` if the
/// word needs the general algorithm.
#[inline]
fn word_end(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut last = Class::Other;
    let mut has_alphanumeric = false;
    loop {
        let (class, length) = class_at(bytes, at);
        match class {
            Class::Letter | Class::Digit => has_alphanumeric = true,
            Class::Join => {}
            Class::Other => return Some((at, has_alphanumeric)),
            Class::MidLetter | Class::MidDigit | Class::MidBoth => {
                let (next, _) = class_at(bytes, at + length);
                if !joins(last, class, next)? {
                    return Some((at, has_alphanumeric));
                }
            }
            Class::Unknown => return None,
        }
        last = class;
        at += length;
    }
}

/// True if `mark` joins `last` and `next`; `None` if the scan cannot decide.
#[inline]
fn joins(last: Class, mark: Class, next: Class) -> Option<bool> {
    match (last, next) {
        (_, Class::Unknown) => None,
        (Class::Letter, Class::Letter) => Some(mark != Class::MidDigit),
        (Class::Digit, Class::Digit) => Some(mark != Class::MidLetter),
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment;
    use super::*;

    fn collect(
        segment: impl Fn(&str, &mut dyn FnMut(Word<'_>)),
        text: &str,
    ) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        segment(text, &mut |word| {
            found.push((word.text.to_owned(), word.start, word.end))
        });
        found
    }

    #[test]
    fn every_known_character_behaves_as_the_general_algorithm_says() {
        for character in '\0'..='\u{ffff}' {
            let (class, length) = class_at(character.to_string().as_bytes(), 0);
            if class == Class::Unknown {
                continue;
            }
            assert_eq!(length, character.len_utf8());
            let text = format!(
                "{c} a{c}a 1{c}1 a{c}1 1{c}a _{c}_ a.{c} 1,{c} {c}:{c} {c}.{c} {c};{c} {c}{c}\u{301}{c}",
                c = character
            );
            assert_eq!(
                collect(|text, emit| segment::words(text, emit), &text),
                collect(|text, emit| segment::words_reference(text, emit), &text),
                "{character:?}"
            );
        }
    }
}
