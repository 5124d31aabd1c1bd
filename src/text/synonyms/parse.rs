//! The format of a list of synonyms.

use crate::error::{Error, Result};
use crate::text::escape::{split, unescape};

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// From 1.
    pub line: u64,
    pub from: Vec<String>,
    /// What replaces them; `None` if they stand for each other.
    pub to: Option<Vec<String>>,
}

/// The rules of a list.
pub(super) fn rules(text: &str) -> Result<Vec<Rule>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = (1..).zip(text.lines().map(str::trim));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let rule = |(number, line)| rule(number, line).map_err(|error| at(error, number));
    lines.map(rule).collect()
}

/// An error in a line of the list.
pub(super) fn at(error: Error, line: u64) -> Error {
    error.at_line("synonyms", line)
}

fn rule(number: u64, line: &str) -> Result<Rule> {
    let sides = split(line, "=>");
    let (from, to) = match sides.as_slice() {
        [from] => (phrases(from)?, None),
        [from, to] => (phrases(from)?, Some(phrases(to)?)),
        _ => {
            return Err(Error::invalid(
                "expected one `=>`, found more; write `\\=>` for the characters themselves",
            ));
        }
    };
    if to.is_none() && from.len() < 2 {
        return Err(Error::invalid(format!(
            "`{line}` stands alone; expected synonyms separated by commas, or `=>` and what replaces it"
        )));
    }
    Ok(Rule {
        line: number,
        from,
        to,
    })
}

/// The words or phrases between commas.
fn phrases(side: &str) -> Result<Vec<String>> {
    let phrase = |phrase: &str| {
        let phrase = unescape(phrase.trim()).ok_or_else(|| {
            Error::invalid("a backslash escapes nothing; expected `\\\\` for a backslash")
        })?;
        match phrase.trim().is_empty() {
            false => Ok(phrase.trim().to_owned()),
            true => Err(Error::invalid(
                "expected a word or phrase before and after each comma and `=>`, found nothing",
            )),
        }
    };
    split(side, ",").into_iter().map(phrase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of(line: u64, from: &[&str], to: Option<&[&str]>) -> Rule {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Rule {
            line,
            from: owned(from),
            to: to.map(owned),
        }
    }

    #[test]
    fn lines_are_rules() {
        let text = "\u{feff}# furniture\r\ncouch , sofa,davenport\r\n\n  # more\nlcd tv=>flat screen, tv\n\
                    a\\,b, \\#x => c\\=>d\\\\";
        assert_eq!(
            rules(text).unwrap(),
            [
                rule_of(2, &["couch", "sofa", "davenport"], None),
                rule_of(5, &["lcd tv"], Some(&["flat screen", "tv"])),
                rule_of(6, &["a,b", "#x"], Some(&["c=>d\\"])),
            ]
        );
        assert_eq!(rules("").unwrap(), []);
    }

    #[test]
    fn errors_name_the_line() {
        for (line, expected) in [
            ("alone", "`alone` stands alone"),
            ("a => b => c", "one `=>`, found more"),
            ("a, , b", "found nothing"),
            ("a, b,", "found nothing"),
            ("=> b", "found nothing"),
            ("a =>", "found nothing"),
            ("a, b\\", "backslash"),
        ] {
            let message = rules(&format!("x, y\n\n{line}")).unwrap_err().to_string();
            let is_right = message.starts_with("synonyms:3: ") && message.contains(expected);
            assert!(is_right, "{message}");
        }
    }
}
