//! Backslash escapes in lists of words: stop words in the name of an analyzer, files of synonyms.

/// The parts of `text` between separators that no backslash precedes; escapes stay in them.
pub(super) fn split<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(character) = text[at..].chars().next() {
        if character == '\\' {
            let escaped = text[at + 1..].chars().next();
            at += 1 + escaped.map_or(0, char::len_utf8);
        } else if text[at..].starts_with(separator) {
            parts.push(&text[start..at]);
            at += separator.len();
            start = at;
        } else {
            at += character.len_utf8();
        }
    }
    parts.push(&text[start..]);
    parts
}

/// `text` without the backslash of each escape; `None` if it ends with a backslash that escapes
/// nothing.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => characters.next()?,
            _ => character,
        });
    }
    Some(plain)
}

/// Appends `text` with a backslash before each of the characters `special` and each backslash.
pub(super) fn push_escaped(text: &str, special: &[char], out: &mut String) {
    for character in text.chars() {
        if character == '\\' || special.contains(&character) {
            out.push('\\');
        }
        out.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escaped_separators_do_not_separate() {
        assert_eq!(split(r"a,b\,c,\\,", ","), ["a", r"b\,c", r"\\", ""]);
        assert_eq!(split(r"a=>b\=>c", "=>"), ["a", r"b\=>c"]);
        assert_eq!(unescape(r"b\,c\\\é").as_deref(), Some(r"b,c\é"));
        assert_eq!(unescape(r"b\"), None);
        assert_eq!(split(r"b\", ","), [r"b\"]);
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(words in prop::collection::vec(r"[a-c,|\\é]{0,6}", 1..5)) {
            let mut joined = String::new();
            for (number, word) in words.iter().enumerate() {
                if number > 0 {
                    joined.push(',');
                }
                push_escaped(word, &[',', '|'], &mut joined);
            }
            let back: Option<Vec<_>> = split(&joined, ",").into_iter().map(unescape).collect();
            prop_assert_eq!(back, Some(words));
            prop_assert_eq!(split(&joined, "|").len(), 1);
        }
    }
}
