//! Modifiers: what stands after a term, such as `^2` and `~1`.

use super::word::{Letter, text};

/// An operator after a term, and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Modifier {
    /// `~`, `~2`: the distance of a fuzzy term, or the slop of a phrase.
    Tilde(String),
    /// `^2`.
    Boost(String),
    /// `^=2`.
    ConstantScore(String),
    /// `@2`: the minimum of a group.
    Minimum(String),
}

/// The modifiers that the letters end with, in the order of the source, each with its byte, and
/// how many letters are before them: at least `keep`. `marks` says whether `@` is one.
///
/// They are taken off from the end, each letter once, so that a long word takes linear time.
pub(super) fn modifiers(
    letters: &[Letter],
    keep: usize,
    marks: &str,
) -> (usize, Vec<(usize, Modifier)>) {
    let mut length = letters.len();
    let mut found = Vec::new();
    while let Some(letters) = letters.get(keep..length)
        && let Some((start, modifier)) = last_modifier(letters, marks)
    {
        length = keep + start;
        let at = letters.get(start).map_or(0, |letter| letter.at);
        found.push((at, modifier));
    }
    found.reverse();
    (length, found)
}

fn last_modifier(letters: &[Letter], marks: &str) -> Option<(usize, Modifier)> {
    let is_number = |letter: &&Letter| {
        !letter.escaped && (letter.character.is_ascii_digit() || letter.character == '.')
    };
    let digits = letters.iter().rev().take_while(is_number).count();
    let number = letters.len() - digits;
    let has = |position: usize, character| {
        position > 0
            && letters
                .get(position - 1)
                .is_some_and(|letter| letter.is(character))
    };
    let mut mark = number;
    let mut value = text(letters.get(number..)?);
    let is_valid = value.parse::<f32>().is_ok();
    if is_valid && has(mark, '-') {
        mark -= 1;
        value.insert(0, '-');
    }
    let is_constant = is_valid && has(mark, '=');
    if is_constant {
        mark -= 1;
    }
    if has(mark, '^') && is_valid {
        let modifier = if is_constant {
            Modifier::ConstantScore
        } else {
            Modifier::Boost
        };
        return Some((mark - 1, modifier(value)));
    }
    if mark != number {
        return None;
    }
    if has(mark, '~') && (is_valid || value.is_empty()) {
        return Some((mark - 1, Modifier::Tilde(value)));
    }
    (marks.contains('@') && has(mark, '@') && is_valid)
        .then(|| (mark - 1, Modifier::Minimum(value)))
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Boost {
    Factor(f32),
    Constant(f32),
}

/// The modifiers after a term, checked.
#[derive(Debug, Default)]
pub(super) struct Tail {
    pub boost: Option<Boost>,
    /// Where `~` is, and what follows it.
    pub tilde: Option<(usize, String)>,
    /// Where `@` is, and what follows it.
    pub minimum: Option<(usize, String)>,
    /// `*` after a phrase.
    pub is_prefix: bool,
}

/// The marks of modifiers. `@` is an ordinary character of words.
pub(super) const TERM_MARKS: &str = "~^";
pub(super) const GROUP_MARKS: &str = "~^@";

/// What stands before a tail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tailed {
    Phrase,
    Group,
    Other,
}

#[cfg(test)]
mod tests {
    use super::super::word::letters;
    use super::*;

    fn split(word: &str) -> (String, Vec<Modifier>) {
        let (letters, _) = letters(word, 0);
        let (length, found) = modifiers(&letters, 1, "~^@");
        (
            text(&letters[..length]),
            found.into_iter().map(|(_, modifier)| modifier).collect(),
        )
    }

    #[test]
    fn modifiers_are_numbers_at_the_end() {
        use Modifier::{Boost, ConstantScore, Minimum, Tilde};

        let none = [
            "a^b", "^_^", "^2", "~1", "a~b", "a^", "a^=", "a^1.2.3", "a~-1", r"a\~1", r"a\^2",
            "2^x3",
        ];
        for word in none {
            assert_eq!(split(word).1, [], "{word}");
        }
        let one = |word: &str, base: &str, modifier| {
            assert_eq!(split(word), (base.into(), vec![modifier]))
        };
        one("a~", "a", Tilde("".into()));
        one("a~0.8", "a", Tilde("0.8".into()));
        one("a^.5", "a", Boost(".5".into()));
        one("a^-1", "a", Boost("-1".into()));
        one("a^=3", "a", ConstantScore("3".into()));
        one("a@2", "a", Minimum("2".into()));
        one(r"a\^2^3", "a^2", Boost("3".into()));
        assert_eq!(
            split("a~1^2"),
            ("a".into(), vec![Tilde("1".into()), Boost("2".into())])
        );
        assert_eq!(
            split("a^2~1"),
            ("a".into(), vec![Boost("2".into()), Tilde("1".into())])
        );
    }
}
