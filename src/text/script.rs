//! Scripts, as far as East Asian tokenization distinguishes them.

/// The script of a character, as far as it decides how words become terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// Korean syllables.
    Hangul,
    /// Chinese characters, Japanese kana, Bopomofo: written without spaces.
    HanOrKana,
    /// Everything else: Latin, digits, marks.
    Other,
}

impl Script {
    pub(super) fn of(character: char) -> Self {
        match character {
            '\0'..='\u{2e7f}' => Self::Other,
            '\u{ac00}'..='\u{d7a3}' => Self::Hangul,
            // Radicals, iteration marks, numerals.
            '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' => {
                Self::HanOrKana
            }
            // Hiragana and Katakana with their marks, Bopomofo, small Katakana.
            '\u{3041}'..='\u{30fa}'
            | '\u{30fc}'..='\u{312f}'
            | '\u{31a0}'..='\u{31bf}'
            | '\u{31f0}'..='\u{31ff}' => Self::HanOrKana,
            // Ideographs of the basic plane, compatibility ideographs, and those of the other
            // planes.
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => {
                Self::HanOrKana
            }
            '\u{1aff0}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}' => Self::HanOrKana,
            _ => Self::Other,
        }
    }
}

/// True if a character of [`Script::HanOrKana`] is Han: a word, or a part of a word with a meaning.
pub(super) fn is_han(character: char) -> bool {
    !matches!(character, '\u{3041}'..='\u{312f}' | '\u{31a0}'..='\u{31ff}' | '\u{1aff0}'..='\u{1b16f}')
}

/// The maximal runs of one script in `text`, in order.
pub(super) fn runs(text: &str) -> impl Iterator<Item = (Script, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let script = Script::of(rest.chars().next()?);
        let end = rest
            .find(|character| Script::of(character) != script)
            .unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some((script, run))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_where_the_script_changes() {
        let found: Vec<_> = runs("GNOME용データ3").collect();
        assert_eq!(
            found,
            [
                (Script::Other, "GNOME"),
                (Script::Hangul, "용"),
                (Script::HanOrKana, "データ"),
                (Script::Other, "3")
            ]
        );
        assert_eq!(runs("").count(), 0);
    }
}
