//! Terms that stand in the text as they are, a space between them.

use esparsa::text::{Tokenizer, Word};

/// Splits at single spaces and changes nothing.
pub struct Spaces;

impl Tokenizer for Spaces {
    fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        let mut start = 0;
        for word in text.split(' ') {
            let end = start + word.len();
            if !word.is_empty() {
                emit(Word::new(word, start..end));
            }
            start = end + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::analyzer;

    #[test]
    fn words_stay_as_they_are() {
        let mut terms = Vec::new();
        let text = "the  Dogs' café";
        analyzer().analyze(text, &mut |term, range| {
            terms.push((term.to_owned(), range))
        });
        let expected = [("the", 0..3), ("Dogs'", 5..10), ("café", 11..16)];
        assert_eq!(
            terms,
            expected.map(|(term, range)| (term.to_owned(), range))
        );
    }
}
