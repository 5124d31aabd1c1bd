//! Words: where they end, which of their characters are operators, and what they ask for.

use super::tree::{NodeKind, Piece};

/// A character of a word. A backslash and the character after it are one, and no operator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letter {
    pub character: char,
    /// Its first byte in the source: that of the backslash if there is one.
    pub at: usize,
    pub escaped: bool,
}

impl Letter {
    pub fn is(&self, character: char) -> bool {
        self.character == character && !self.escaped
    }

    /// Whether it is a backslash at the end of the source, which is at `end`.
    pub fn is_lone_backslash(&self, end: usize) -> bool {
        self.escaped && self.character == '\\' && self.at + 1 == end
    }
}

/// The letters from `at` up to white space, a parenthesis or a quote, and where they end. The
/// first one is taken whatever it is. A backslash at the very end stands for itself.
pub(super) fn letters(source: &str, at: usize) -> (Vec<Letter>, usize) {
    let mut letters = Vec::new();
    let mut end = at;
    let mut characters = source.get(at..).unwrap_or_default().chars();
    while let Some(first) = characters.next() {
        let is_delimiter = first.is_whitespace() || matches!(first, '(' | ')' | '"');
        if is_delimiter && !letters.is_empty() {
            break;
        }
        let start = end;
        end += first.len_utf8();
        let mut letter = Letter {
            character: first,
            at: start,
            escaped: first == '\\',
        };
        if let ('\\', Some(second)) = (first, characters.clone().next()) {
            characters.next();
            end += second.len_utf8();
            letter.character = second;
        }
        letters.push(letter);
    }
    (letters, end)
}

/// The letters as text, without escapes.
pub(super) fn text(letters: &[Letter]) -> String {
    letters.iter().map(|letter| letter.character).collect()
}

/// Whether the letters are this text, without an escape among them.
pub(super) fn is_exactly(letters: &[Letter], text: &str) -> bool {
    letters.len() == text.len() && letters.iter().zip(text.chars()).all(|(l, c)| l.is(c))
}

/// Whether the letters are an address such as `https://a.b/c?d=e`, in which nothing is an operator.
pub(super) fn is_url(letters: &[Letter]) -> bool {
    letters.windows(3).any(|three| is_exactly(three, "://"))
}

/// The pattern that the letters are; `None` if nothing in them is a wildcard.
///
/// `*` always is one. `?` mostly ends a question or starts the parameters of an address: alone, it
/// is a wildcard only before a letter or a digit, in a word without `/` and `=`.
pub(super) fn pattern(letters: &[Letter]) -> Option<Vec<Piece>> {
    let is_address = letters
        .iter()
        .any(|letter| letter.is('/') || letter.is('='));
    let is_inside = |pair: &[Letter]| matches!(pair, [mark, next] if mark.is('?') && next.character.is_alphanumeric());
    let any_star = letters.iter().any(|letter| letter.is('*'));
    if !any_star && (is_address || !letters.windows(2).any(is_inside)) {
        return None;
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for letter in letters {
        match (letter, pieces.last_mut()) {
            (letter, Some(Piece::AnyCharacters)) if letter.is('*') => {}
            (letter, _) if letter.is('*') => pieces.push(Piece::AnyCharacters),
            (letter, _) if letter.is('?') => pieces.push(Piece::OneCharacter),
            (letter, Some(Piece::Literal(text))) => text.push(letter.character),
            (letter, _) => pieces.push(Piece::Literal(letter.character.into())),
        }
    }
    Some(pieces)
}

/// What a word asks for, its modifiers aside.
pub(super) fn classify(letters: &[Letter], in_field: bool) -> NodeKind {
    match pattern(letters).as_deref() {
        None => NodeKind::Words(text(letters)),
        Some([Piece::AnyCharacters]) if in_field => NodeKind::Exists,
        Some([Piece::AnyCharacters]) => NodeKind::Everything,
        Some([Piece::Literal(prefix), Piece::AnyCharacters]) => NodeKind::Prefix(prefix.clone()),
        Some(pieces) => NodeKind::Wildcard(pieces.to_vec()),
    }
}

/// Whether a term can start with this character. `+`, `-` and `!` are operators only before one
/// of these: `C++ - a language`, `--flag`, `->` and `!=` are words.
pub(super) fn starts_term(character: char) -> bool {
    !character.is_whitespace() && !")]}+-!<>=&|~^:;,".contains(character)
}

/// The text as a word that means nothing but itself.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let is_operator = matches!(text, "AND" | "OR" | "NOT");
    for (position, character) in text.chars().enumerate() {
        let is_special = character.is_whitespace() || "\\()\"*?~^:/=".contains(character);
        let is_first = position == 0
            && (is_operator || !starts_term(character) || matches!(character, '[' | '{'));
        if is_special || is_first {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_mark_is_a_wildcard_inside_a_word() {
        let is_pattern = |word: &str| pattern(&letters(word, 0).0).is_some();
        for word in ["te?t", "?ox", "a*", "*a", "a?*", "a*?", "a?b?", "é?é"] {
            assert!(is_pattern(word), "{word}");
        }
        for word in [
            "rust?",
            "what??",
            "what?!",
            "?",
            "a.b/c?d=e",
            r"te\?t",
            r"a\*",
        ] {
            assert!(!is_pattern(word), "{word}");
        }
    }

    #[test]
    fn words_end_at_delimiters_but_for_the_first_letter() {
        let lengths = |source: &str| letters(source, 0).1;
        assert_eq!(lengths("ab c"), 2);
        assert_eq!(lengths(r"ab\ c d"), 5);
        assert_eq!(lengths("a(b)"), 1);
        assert_eq!(lengths("\"a\""), 2);
        assert_eq!(lengths("a\u{3000}b"), 1);
        assert_eq!(lengths(r"a\"), 2);
    }
}
