//! Case folding: words that differ only in case become the same.
//!
//! Folding maps to lower case by the full Unicode mapping, and does what case folding adds to it:
//! the final sigma becomes the ordinary one, and a letter whose upper case is several letters
//! becomes those letters (`ß` becomes `ss`). Invisible, ignorable characters such as the soft
//! hyphen are dropped, and so are the skin tones of emoji. The dotted capital `İ` becomes `i`; in
//! Turkish the capital `I` becomes the dotless `ı`. Typographic apostrophes become the straight
//! one, and digits of any script become ASCII digits.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// How the letter I folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LetterI {
    /// `I` folds to `i`.
    Dotted,
    /// `I` folds to `ı`, as in Turkish.
    Dotless,
}

/// Appends the folded form of `word` to `folded`.
pub(super) fn fold(word: &str, letter_i: LetterI, folded: &mut String) {
    if word.is_ascii() && letter_i == LetterI::Dotted {
        folded.extend(
            word.bytes()
                .map(|byte| char::from(byte.to_ascii_lowercase())),
        );
        return;
    }
    let start = folded.len();
    for character in word.chars() {
        fold_character(character, letter_i, folded);
    }
    if is_nfc_quick(folded[start..].chars()) != IsNormalized::Yes {
        let composed: String = folded[start..].nfc().collect();
        folded.truncate(start);
        folded.push_str(&composed);
    }
}

fn fold_character(character: char, letter_i: LetterI, folded: &mut String) {
    match character {
        'I' if letter_i == LetterI::Dotless => folded.push('ı'),
        '\0'..='\x7f' => folded.push(character.to_ascii_lowercase()),
        'İ' => folded.push('i'),
        'ς' => folded.push('σ'),
        '\u{2bc}' | '\u{2018}' | '\u{2019}' | '\u{201b}' => folded.push('\''),
        _ if is_ignorable(character) => {}
        _ => {
            let upper = character.to_uppercase();
            if upper.len() > 1 {
                folded.extend(upper.flat_map(char::to_lowercase));
            } else if character == 'ẞ' {
                folded.push_str("ss");
            } else {
                folded.extend(
                    ascii_digit(character)
                        .map_or_else(|| character.to_lowercase(), |digit| digit.to_lowercase()),
                );
            }
        }
    }
}

/// The digit zero of the scripts of Arabic, Persian, N'Ko, India, Thai, Lao, Tibetan, Myanmar and
/// Khmer; nine follow.
const ZEROS: [u32; 18] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50,
    0xed0, 0xf20, 0x1040, 0x17e0, 0x1810,
];

/// The ASCII digit with the value of a digit of another script.
fn ascii_digit(character: char) -> Option<char> {
    let code = u32::from(character);
    if !(0x660..0x1900).contains(&code) {
        return None;
    }
    let values = ZEROS.iter().filter_map(|zero| code.checked_sub(*zero));
    char::from_digit(values.min().filter(|value| *value < 10)?, 10)
}

/// Soft hyphen, zero-width characters, joiners, direction marks, variation selectors, skin tones.
fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(word: &str) -> String {
        let mut folded = String::new();
        fold(word, LetterI::Dotted, &mut folded);
        folded
    }

    #[test]
    fn case_makes_no_difference() {
        assert_eq!(folded("STRASSE"), folded("Straße"));
        assert_eq!(folded("ẞ"), "ss");
        assert_eq!(folded("ΣΊΣΥΦΟΣ"), folded("σίσυφος"));
        assert_eq!(folded("ÉTÉ"), "été");
        assert_eq!(folded("ΐ"), folded("\u{3aa}\u{301}"));
    }

    #[test]
    fn turkish_distinguishes_dotted_and_dotless_i() {
        let mut turkish = String::new();
        fold("ISPARTA İzmir", LetterI::Dotless, &mut turkish);
        assert_eq!(turkish, "ısparta izmir");
        assert_eq!(folded("İzmir"), "izmir");
    }

    #[test]
    fn variants_of_apostrophes_and_digits_become_ascii() {
        assert_eq!(folded("O\u{2019}Brien"), folded("o'brien"));
        assert_eq!(folded("м\u{2bc}яч"), "м'яч");
        assert_eq!(folded("٣۴५๖"), "3456");
    }

    #[test]
    fn invisible_characters_are_dropped() {
        assert_eq!(folded("co\u{ad}operate\u{200b}"), "cooperate");
        assert_eq!(folded("👍🏽"), "👍");
    }
}
