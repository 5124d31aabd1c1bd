//! Where phrases, regular expressions, ranges, sets and names of fields end, and what is in them.
//!
//! Nothing is reported here: what is no such thing may be a word.

use std::ops::Bound;

/// A place and what was expected there.
type Missing = (usize, &'static str);

/// Characters of the source, with escapes resolved.
struct Scan<'a> {
    source: &'a str,
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<char> {
        self.source.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn skip(&mut self, character: char) -> bool {
        let is_there = self.peek() == Some(character);
        if is_there {
            self.at += character.len_utf8();
        }
        is_there
    }

    fn skip_while(&mut self, accept: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&accept) {
            self.next();
        }
    }

    /// The text up to one of `ends` or white space; a backslash makes any character part of it.
    fn bare(&mut self, ends: &str) -> String {
        let mut text = String::new();
        while let Some(character) = self.peek() {
            if character.is_whitespace() || ends.contains(character) {
                break;
            }
            self.next();
            let escaped = if character == '\\' { self.next() } else { None };
            text.push(escaped.unwrap_or(character));
        }
        text
    }

    /// The text in quotes; `None` if they are not closed.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        self.skip('"');
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.next()?),
                character => text.push(character),
            }
        }
    }
}

/// The text in the quotes that open at `at`, and where they end.
pub(super) fn quoted(source: &str, at: usize) -> Option<(String, usize)> {
    let mut scan = Scan { source, at };
    let text = scan.quoted()?;
    Some((text, scan.at))
}

/// The regular expression whose slash is at `at`, and where it ends. Escapes are its own, but for
/// those of slashes.
///
/// Paths are none: the second slash must end the word, and white space at either end is no part
/// of an expression.
pub(super) fn regex(source: &str, at: usize) -> Option<(String, usize)> {
    let mut scan = Scan { source, at };
    let mut pattern = String::new();
    let mut ends_with_space = true;
    scan.skip('/');
    loop {
        match scan.next()? {
            '/' => break,
            '\\' => {
                let escaped = scan.next()?;
                if escaped != '/' {
                    pattern.push('\\');
                }
                pattern.push(escaped);
                ends_with_space = false;
            }
            character => {
                ends_with_space = character.is_whitespace();
                if ends_with_space && pattern.is_empty() {
                    return None;
                }
                pattern.push(character);
            }
        }
    }
    let is_end = scan
        .peek()
        .is_none_or(|c| c.is_whitespace() || c == ')' || c == '^');
    (is_end && !ends_with_space).then_some((pattern, scan.at))
}

/// The bounds of the range whose bracket is at `at`, and where it ends.
pub(super) fn range(
    source: &str,
    at: usize,
) -> Result<(Bound<String>, Bound<String>, usize), Missing> {
    let mut scan = Scan { source, at };
    let excludes_lower = scan.next() == Some('{');
    let lower = bound(&mut scan)?;
    let to = scan.at;
    if scan.bare("]}\"") != "TO" {
        return Err((to, "`TO` between the bounds of the range"));
    }
    let upper = bound(&mut scan)?;
    let end = scan.at;
    let excludes_upper = match scan.next() {
        Some(']') => false,
        Some('}') => true,
        _ => return Err((end, "`]` or `}` after the range")),
    };
    let as_bound = |value: Option<String>, is_excluded| match value {
        None => Bound::Unbounded,
        Some(value) if is_excluded => Bound::Excluded(value),
        Some(value) => Bound::Included(value),
    };
    Ok((
        as_bound(lower, excludes_lower),
        as_bound(upper, excludes_upper),
        scan.at,
    ))
}

/// A bound and the white space around it; `None` for `*`.
fn bound(scan: &mut Scan<'_>) -> Result<Option<String>, Missing> {
    scan.skip_while(char::is_whitespace);
    let start = scan.at;
    let value = if scan.peek() == Some('"') {
        Some(scan.quoted().ok_or((start, "a closing quote"))?)
    } else {
        let value = scan.bare("]}\"");
        if value.is_empty() {
            return Err((start, "a bound of the range"));
        }
        let is_open = scan.source.get(start..scan.at) == Some("*");
        (!is_open).then_some(value)
    };
    scan.skip_while(char::is_whitespace);
    Ok(value)
}

/// The values of a set from `at`, after its parenthesis, where it ends, and whether it is closed.
/// Values are separated by white space or commas.
pub(super) fn set(source: &str, at: usize) -> Result<(Vec<String>, usize, bool), Missing> {
    let mut scan = Scan { source, at };
    let mut values = Vec::new();
    loop {
        scan.skip_while(|c| c.is_whitespace() || c == ',');
        let start = scan.at;
        let is_closed = match scan.peek() {
            Some(')') => scan.skip(')'),
            None => false,
            Some('(') => return Err((start, "a value or `)`")),
            Some('"') => {
                values.push(scan.quoted().ok_or((start, "a closing quote"))?);
                continue;
            }
            Some(_) => {
                values.push(scan.bare(",()\""));
                continue;
            }
        };
        if values.is_empty() {
            return Err((start, "at least one value in the set"));
        }
        return Ok((values, scan.at, is_closed));
    }
}

/// The names before a colon: `title:` or `title,body:`.
pub(super) struct FieldPrefix {
    pub names: Vec<String>,
    /// After the colon.
    pub end: usize,
    /// A name starts with a digit, as in `12:30`: unless it is a field, this is text.
    pub may_be_text: bool,
}

impl FieldPrefix {
    /// `None` where no name stands before a colon, for `https://` and for `std::vec`.
    pub fn read(source: &str, at: usize) -> Option<Self> {
        let mut scan = Scan { source, at };
        let mut prefix = Self {
            names: Vec::new(),
            end: at,
            may_be_text: false,
        };
        let mut name = String::new();
        loop {
            let character = scan.next()?;
            match character {
                '\\' => name.push(scan.next()?),
                '_' => name.push(character),
                '-' | '.' if !name.is_empty() => name.push(character),
                ',' | ':' if !name.is_empty() => {
                    prefix.names.push(std::mem::take(&mut name));
                    if character == ':' {
                        break;
                    }
                }
                _ if character.is_alphanumeric() => {
                    prefix.may_be_text |= name.is_empty() && character.is_numeric();
                    name.push(character);
                }
                _ => return None,
            }
        }
        prefix.end = scan.at;
        let rest = source.get(scan.at..)?;
        (!rest.starts_with("//") && !rest.starts_with(':')).then_some(prefix)
    }
}

/// The name of a field as [`FieldPrefix::read`] reads it.
pub(super) fn escape_name(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for (position, character) in name.chars().enumerate() {
        let is_plain = character.is_alphanumeric()
            || character == '_'
            || (position > 0 && matches!(character, '-' | '.'));
        if !is_plain {
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
    fn regular_expressions_are_told_from_paths() {
        let is = |source: &str| regex(source, 0).map(|(pattern, _)| pattern);
        assert_eq!(is("/fire(fox|bird)/ x").as_deref(), Some("fire(fox|bird)"));
        assert_eq!(is(r"/a\/b\d\\/^2").as_deref(), Some(r"a/b\d\\"));
        assert_eq!(is("/a b/)").as_deref(), Some("a b"));
        for path in [
            "/usr/bin",
            "//",
            "/ a/",
            "/a /",
            "/a",
            r"/a\/",
            "/etc /usr/x",
        ] {
            assert_eq!(is(path), None, "{path}");
        }
    }

    #[test]
    fn names_are_told_from_times_addresses_and_paths() {
        let names = |source: &str| FieldPrefix::read(source, 0).map(|prefix| prefix.names);
        assert_eq!(names("title:x"), Some(vec!["title".into()]));
        assert_eq!(
            names("title,body:x"),
            Some(vec!["title".into(), "body".into()])
        );
        assert_eq!(names(r"my\ field:x"), Some(vec!["my field".into()]));
        assert_eq!(names("größe.x-1:"), Some(vec!["größe.x-1".into()]));
        for text in [
            "https://x",
            "std::vec",
            ":x",
            "a@b:c",
            "l'eau:x",
            r"a\:b",
            "a b:c",
            "a,:x",
            "-a:b",
            "title",
        ] {
            assert_eq!(names(text), None, "{text}");
        }
        assert!(FieldPrefix::read("12:30", 0).is_some_and(|prefix| prefix.may_be_text));
    }

    #[test]
    fn ranges_and_sets_say_what_is_missing() {
        let missing = |source: &str| range(source, 0).err();
        assert_eq!(
            missing("[a to b]"),
            Some((3, "`TO` between the bounds of the range"))
        );
        assert_eq!(missing("[a TO b"), Some((7, "`]` or `}` after the range")));
        assert_eq!(
            missing("[ TO b]"),
            Some((5, "`TO` between the bounds of the range"))
        );
        assert_eq!(missing("[]"), Some((1, "a bound of the range")));
        assert_eq!(missing("[\"a TO b]"), Some((1, "a closing quote")));
        assert_eq!(set(" , )", 0), Err((3, "at least one value in the set")));
        assert_eq!(
            set("a,b \"c d\")x", 0),
            Ok((vec!["a".into(), "b".into(), "c d".into()], 10, true))
        );
    }
}
