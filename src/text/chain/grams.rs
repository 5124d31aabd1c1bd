//! N-grams: the substrings of a term of some lengths, in characters.
//!
//! Characters are Unicode scalar values, as in Lucene: what a gram is then does not change with the
//! version of Unicode, as grapheme clusters do. A term shorter than the shortest gram stays whole,
//! so short words are not lost.

/// Min and max of a length, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub min: usize,
    pub max: usize,
}

/// Emits the prefixes of `term`.
pub(super) fn edge(term: &str, span: Span, emit: &mut dyn FnMut(&str)) {
    let mut count = 0;
    for end in ends(term).take(span.max) {
        count += 1;
        if count >= span.min {
            emit(&term[..end]);
        }
    }
    if count < span.min {
        emit(term);
    }
}

/// The first `max` characters of `term`.
pub(super) fn prefix(term: &str, max: usize) -> &str {
    let end = ends(term).take(max).last();
    &term[..end.unwrap_or(0)]
}

/// Emits the substrings of `term`, by where they begin and then by length.
pub(super) fn all(term: &str, span: Span, emit: &mut dyn FnMut(&str)) {
    let mut boundaries = vec![0];
    boundaries.extend(ends(term));
    if boundaries.len() <= span.min {
        return emit(term);
    }
    for (number, start) in boundaries.iter().enumerate() {
        let longest = boundaries.iter().skip(number).take(span.max + 1);
        for end in longest.skip(span.min) {
            emit(&term[*start..*end]);
        }
    }
}

/// Where each character of `term` ends.
fn ends(term: &str) -> impl Iterator<Item = usize> {
    let characters = term.char_indices();
    characters.map(|(at, character)| at + character.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reference for both kinds: every substring, kept or not.
    fn naive(term: &str, span: Span, only_first: bool) -> Vec<String> {
        let characters: Vec<char> = term.chars().collect();
        let mut grams = Vec::new();
        for start in 0..characters.len() {
            for end in start + 1..=characters.len() {
                let length = end - start;
                if length >= span.min && length <= span.max && (start == 0 || !only_first) {
                    grams.push(characters[start..end].iter().collect());
                }
            }
        }
        if characters.len() < span.min {
            grams.push(term.to_owned());
        }
        grams
    }

    type Grams = fn(&str, Span, &mut dyn FnMut(&str));

    fn collect(grams: Grams, term: &str, min: usize, max: usize) -> Vec<String> {
        let mut found = Vec::new();
        grams(term, Span { min, max }, &mut |gram| {
            found.push(gram.to_owned())
        });
        found
    }

    #[test]
    fn grams_are_in_order_and_short_terms_stay() {
        assert_eq!(collect(edge, "fogo", 2, 3), ["fo", "fog"]);
        assert_eq!(collect(edge, "é", 2, 3), ["é"]);
        assert_eq!(collect(all, "fogo", 2, 3), ["fo", "fog", "og", "ogo", "go"]);
        assert_eq!(collect(all, "f", 2, 3), ["f"]);
        assert_eq!(prefix("ação", 3), "açã");
        assert_eq!(prefix("fo", 3), "fo");
    }

    proptest! {
        #[test]
        fn grams_equal_the_naive_ones(
            term in "[a-cé漢\u{1f600}\u{301}]{1,12}", min in 1usize..6, more in 0usize..6,
        ) {
            let span = Span { min, max: min + more };
            prop_assert_eq!(collect(edge, &term, span.min, span.max), naive(&term, span, true));
            prop_assert_eq!(collect(all, &term, span.min, span.max), naive(&term, span, false));
            let longest = collect(edge, &term, span.min, span.max).pop();
            prop_assert_eq!(Some(prefix(&term, span.max).to_owned()), longest);
        }
    }
}
