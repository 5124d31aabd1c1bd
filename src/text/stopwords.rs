//! Stop words.

/// The set of stop words of a language, folded.
#[derive(Debug, Default)]
pub(super) struct StopWords {
    /// Sorted, without duplicates.
    words: Vec<String>,
}

impl StopWords {
    /// Parses words separated by white space and folds each with `fold`; lines that begin with `#`
    /// are comments.
    pub(super) fn parse(list: &str, fold: impl Fn(&str) -> String) -> Self {
        let mut words: Vec<_> = list
            .lines()
            .filter(|line| !line.starts_with('#'))
            .flat_map(str::split_whitespace)
            .map(fold)
            .collect();
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
