//! Porter's stemmer for English, the original of 1980 with its author's two later changes (`-bli`, `-logi`).
//!
//! M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980. A word is seen as consonants and vowels,
//! `[C](VC){m}[V]`; m, its measure, says whether enough is left after a suffix for the suffix to go. Each step looks
//! for the longest of its suffixes; if the condition on the rest fails, the step does nothing.

/// Suffix and replacement of step 2, where the rest has a measure above 0.
const STEP_2: &[(&str, &str)] = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("logi", "log"),
];

/// Suffix and replacement of step 3, where the rest has a measure above 0.
const STEP_3: &[(&str, &str)] = &[
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

/// Suffixes that step 4 removes where the rest has a measure above 1.
const STEP_4: &[&str] = &[
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
];

/// Hands the stem of the folded word `word` to `emit`.
pub(super) fn stem(word: &str, emit: &mut dyn FnMut(&str)) {
    if word.len() <= 2 {
        return emit(word);
    }
    let mut stem = String::with_capacity(word.len() + 1);
    stem.push_str(word);
    plurals(&mut stem);
    past_and_progressive(&mut stem);
    final_y(&mut stem);
    replace_longest(&mut stem, STEP_2);
    replace_longest(&mut stem, STEP_3);
    remove_longest(&mut stem, STEP_4);
    tidy(&mut stem);
    emit(&stem);
}

/// Step 1a.
fn plurals(word: &mut String) {
    if word.ends_with("sses") || word.ends_with("ies") {
        cut(word, 2);
    } else if word.ends_with('s') && !word.ends_with("ss") {
        cut(word, 1);
    }
}

/// Step 1b.
fn past_and_progressive(word: &mut String) {
    if let Some(rest) = word.strip_suffix("eed") {
        if measure(rest) > 0 {
            cut(word, 1);
        }
        return;
    }
    let Some(rest) = word.strip_suffix("ed").or_else(|| word.strip_suffix("ing")) else {
        return;
    };
    if !has_vowel(rest) {
        return;
    }
    word.truncate(rest.len());
    if word.ends_with("at") || word.ends_with("bl") || word.ends_with("iz") {
        word.push('e');
    } else if ends_in_double_consonant(word) {
        if !word.ends_with(['l', 's', 'z']) {
            cut(word, 1);
        }
    } else if measure(word) == 1 && ends_in_short_syllable(word) {
        word.push('e');
    }
}

/// Step 1c.
fn final_y(word: &mut String) {
    if let Some(rest) = word.strip_suffix('y')
        && has_vowel(rest)
    {
        cut(word, 1);
        word.push('i');
    }
}

/// Steps 2 and 3.
fn replace_longest(word: &mut String, table: &[(&str, &str)]) {
    let longest = table
        .iter()
        .filter(|(suffix, _)| word.ends_with(suffix))
        .max_by_key(|(suffix, _)| suffix.len());
    if let Some((suffix, replacement)) = longest {
        let rest = word.len() - suffix.len();
        if measure(&word[..rest]) > 0 {
            word.truncate(rest);
            word.push_str(replacement);
        }
    }
}

/// Step 4.
fn remove_longest(word: &mut String, suffixes: &[&str]) {
    let longest = suffixes
        .iter()
        .filter(|suffix| word.ends_with(*suffix))
        .max_by_key(|suffix| suffix.len());
    if let Some(suffix) = longest {
        let rest = &word[..word.len() - suffix.len()];
        if measure(rest) > 1 && (*suffix != "ion" || rest.ends_with(['s', 't'])) {
            word.truncate(rest.len());
        }
    }
}

/// Steps 5a and 5b.
fn tidy(word: &mut String) {
    if let Some(rest) = word.strip_suffix('e') {
        let m = measure(rest);
        if m > 1 || (m == 1 && !ends_in_short_syllable(rest)) {
            cut(word, 1);
        }
    }
    if word.ends_with("ll") && measure(word) > 1 {
        cut(word, 1);
    }
}

/// Removes the last `count` bytes, which are ASCII.
fn cut(word: &mut String, count: usize) {
    word.truncate(word.len() - count);
}

/// True for each byte that is a vowel: a, e, i, o, u, and y after a consonant.
fn vowels(word: &str) -> impl Iterator<Item = bool> {
    let mut after_consonant = false;
    word.bytes().map(move |byte| {
        let vowel = match byte {
            b'a' | b'e' | b'i' | b'o' | b'u' => true,
            b'y' => after_consonant,
            _ => false,
        };
        after_consonant = !vowel;
        vowel
    })
}

fn has_vowel(word: &str) -> bool {
    vowels(word).any(|vowel| vowel)
}

/// How often a consonant follows a vowel.
fn measure(word: &str) -> usize {
    let mut after_vowel = false;
    let mut count = 0;
    for vowel in vowels(word) {
        count += usize::from(after_vowel && !vowel);
        after_vowel = vowel;
    }
    count
}

fn ends_in_double_consonant(word: &str) -> bool {
    let mut last = word.bytes().rev();
    last.next() == last.next() && vowels(word).last() == Some(false)
}

/// Consonant, vowel, consonant at the end, the last not w, x or y.
fn ends_in_short_syllable(word: &str) -> bool {
    let mut last = [true, false, true];
    for vowel in vowels(word) {
        last = [last[1], last[2], vowel];
    }
    word.len() >= 3 && last == [false, true, false] && !word.ends_with(['w', 'x', 'y'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stemmed(word: &str) -> String {
        let mut result = String::new();
        stem(word, &mut |stem| result.push_str(stem));
        result
    }

    #[test]
    fn the_examples_of_the_paper_come_out() {
        for (word, expected) in [
            ("caresses", "caress"),
            ("ponies", "poni"),
            ("cats", "cat"),
            ("feed", "feed"),
            ("agreed", "agre"),
            ("plastered", "plaster"),
            ("bled", "bled"),
            ("motoring", "motor"),
            ("sing", "sing"),
            ("conflated", "conflat"),
            ("troubled", "troubl"),
            ("hopping", "hop"),
            ("falling", "fall"),
            ("hissing", "hiss"),
            ("fizzed", "fizz"),
            ("failing", "fail"),
            ("filing", "file"),
            ("happy", "happi"),
            ("sky", "sky"),
            ("relational", "relat"),
            ("conditional", "condit"),
            ("digitizer", "digit"),
            ("vietnamization", "vietnam"),
            ("sensibiliti", "sensibl"),
            ("triplicate", "triplic"),
            ("goodness", "good"),
            ("revival", "reviv"),
            ("replacement", "replac"),
            ("adoption", "adopt"),
            ("probate", "probat"),
            ("rate", "rate"),
            ("cease", "ceas"),
            ("controlling", "control"),
            ("generalizations", "gener"),
            ("oscillators", "oscil"),
        ] {
            assert_eq!(stemmed(word), expected, "{word}");
        }
    }

    #[test]
    fn short_and_foreign_words_survive() {
        assert_eq!(stemmed("is"), "is");
        assert_eq!(stemmed("\u{e9}s"), "\u{e9}");
        assert_eq!(stemmed("na\u{ef}ves"), "na\u{ef}v");
    }
}
