//! Stop words.

/// The set of stop words of a language, folded.
#[derive(Debug, Default)]
pub(super) struct StopWords {
    /// Sorted, without duplicates.
    words: Vec<String>,
}

impl StopWords {
    /// The words of a [`list`], each folded with `fold`.
    pub(super) fn parse(text: &str, fold: impl Fn(&str) -> String) -> Self {
        Self::new(list(text).map(fold).collect())
    }

    /// The set of `words`, which are folded.
    pub(super) fn new(mut words: Vec<String>) -> Self {
        words.sort_unstable();
        words.dedup();
        Self { words }
    }

    /// True if the folded word `word` is a stop word.
    pub(super) fn contains(&self, word: &str) -> bool {
        self.words
            .binary_search_by(|known| known.as_str().cmp(word))
            .is_ok()
    }
}

/// The words of a list: separated by white space; lines that begin with `#` are comments.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_not_stop_words() {
        let words = StopWords::parse("# articles\nthe a\n\nan The", str::to_lowercase);
        assert_eq!(words.words, ["a", "an", "the"]);
        assert!(words.contains("the"));
        assert!(!words.contains("articles"));
    }
}
