//! Unification of letters that a language writes in more than one way.
//!
//! Variants without a difference in meaning (`ё` and `е`, `ş` and `ș`, alef with and without hamza)
//! are unified before stop words and stemming. Differences that a stemmer needs to recognize its
//! suffixes, such as the length of Hindi vowels, are unified only in the stem.

use unicode_normalization::char::{decompose_canonical, is_combining_mark};

/// Which letters a language unifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    AsWritten,
    /// Removes accents of Latin letters and splits ligatures: French, Portuguese, the option
    /// `fold`.
    Unaccented,
    /// Removes harakat and tatweel; unifies alef forms, yeh forms, and teh marbuta with heh.
    Arabic,
    /// Arabic yeh, kaf and heh become the Persian letters.
    Persian,
    /// Removes tonos and dialytika, which capitals do not have.
    Greek,
    /// Removes nukta; chandrabindu becomes anusvara; long vowels become short ones in the stem.
    Hindi,
    /// `ş` and `ţ` with cedilla become those with comma below.
    Romanian,
    /// `ё` becomes `е`; removes stress marks.
    Russian,
    /// `ґ` becomes `г`; removes stress marks.
    Ukrainian,
    /// Cyrillic becomes Latin; in the stem, `đ` becomes `dj` and accents are removed.
    Serbian,
    /// Swedish and German letters become Danish and Norwegian ones; `aa` becomes `å`.
    DanoNorwegian,
    /// Danish and Norwegian letters become Swedish ones.
    Swedish,
}

impl Letters {
    /// Unifies the letters of a folded word, before stop words and stemming.
    pub(super) fn unify(self, word: &mut String) {
        match self {
            Self::AsWritten => {}
            Self::Unaccented => drop_accents(word),
            Self::DanoNorwegian if word.is_ascii() => {
                if word.contains("aa") {
                    *word = word.replace("aa", "å");
                }
            }
            _ if word.is_ascii() => {}
            Self::Arabic => replace(word, arabic),
            Self::Persian => replace(word, persian),
            Self::Greek => replace(word, greek),
            Self::Hindi => replace(word, hindi),
            Self::Romanian => replace(word, romanian),
            Self::Russian => replace(word, russian),
            Self::Ukrainian => replace(word, ukrainian),
            Self::Serbian => replace(word, serbian),
            Self::DanoNorwegian => {
                replace(word, danish);
                *word = word.replace("aa", "å");
            }
            Self::Swedish => replace(word, swedish),
        }
    }

    /// True if [`unify_stem`](Letters::unify_stem) may change a stem.
    pub(super) fn changes_stems(self) -> bool {
        matches!(self, Self::Hindi | Self::Serbian | Self::Unaccented)
    }

    /// Unifies the letters of a stem whose difference only the stemmer needed.
    pub(super) fn unify_stem(self, stem: &mut String) {
        match self {
            Self::Hindi => replace(stem, hindi_stem),
            Self::Serbian => {
                *stem = stem.replace('đ', "dj");
                drop_accents(stem);
            }
            Self::Unaccented => drop_accents(stem),
            _ => {}
        }
    }
}

/// Removes the accents of Latin letters and splits ligatures.
pub(super) fn drop_accents(word: &mut String) {
    replace(word, |letter, out| match letter {
        'œ' => out.push_str("oe"),
        'æ' => out.push_str("ae"),
        'þ' => out.push_str("th"),
        'ø' => out.push('o'),
        'đ' | 'ð' => out.push('d'),
        'ħ' => out.push('h'),
        'ı' => out.push('i'),
        'ł' => out.push('l'),
        'ŋ' => out.push('n'),
        'ŧ' => out.push('t'),
        // Capitals reach this only in a chain that does not fold case before.
        'Œ' => out.push_str("OE"),
        'Æ' => out.push_str("AE"),
        'Þ' => out.push_str("TH"),
        'Ø' => out.push('O'),
        'Đ' | 'Ð' => out.push('D'),
        'Ħ' => out.push('H'),
        'Ł' => out.push('L'),
        'Ŋ' => out.push('N'),
        'Ŧ' => out.push('T'),
        '\u{300}'..='\u{36f}' => {}
        'À'..='ɏ' | 'Ḁ'..='ỿ' => push_base(letter, out),
        _ => out.push(letter),
    });
}

/// Rewrites a word letter by letter with `push`, which appends the replacement; ASCII words stay.
fn replace(word: &mut String, push: impl Fn(char, &mut String)) {
    if word.is_ascii() {
        return;
    }
    let mut out = String::with_capacity(word.len());
    for letter in word.chars() {
        push(letter, &mut out);
    }
    *word = out;
}

/// Appends a letter without its combining marks.
fn push_base(letter: char, out: &mut String) {
    decompose_canonical(letter, |part| {
        if !is_combining_mark(part) {
            out.push(part);
        }
    });
}

fn is_haraka_or_tatweel(letter: char) -> bool {
    matches!(letter, '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

fn arabic(letter: char, out: &mut String) {
    match letter {
        _ if is_haraka_or_tatweel(letter) => {}
        'آ' | 'أ' | 'إ' | 'ٱ' => out.push('ا'),
        'ى' => out.push('ي'),
        'ة' => out.push('ه'),
        _ => out.push(letter),
    }
}

fn persian(letter: char, out: &mut String) {
    match letter {
        _ if is_haraka_or_tatweel(letter) => {}
        'أ' | 'إ' | 'ٱ' => out.push('ا'),
        'ي' | 'ى' | 'ئ' | 'ے' => out.push('ی'),
        'ك' => out.push('ک'),
        'ة' | 'ۀ' | 'ہ' | 'ە' => out.push('ه'),
        'ؤ' => out.push('و'),
        _ => out.push(letter),
    }
}

fn greek(letter: char, out: &mut String) {
    match letter {
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => push_base(letter, out),
        '\u{300}'..='\u{36f}' => {}
        _ => out.push(letter),
    }
}

fn hindi(letter: char, out: &mut String) {
    match letter {
        '\u{93c}' => {}
        'ँ' => out.push('ं'),
        _ => out.push(letter),
    }
}

/// Lucene's table for Hindi: vowels become short, and the virama is removed.
fn hindi_stem(letter: char, out: &mut String) {
    match letter {
        '\u{94d}' => {}
        'आ' => out.push('अ'),
        'ई' => out.push('इ'),
        'ऊ' => out.push('उ'),
        'ॠ' => out.push('ऋ'),
        'ऍ' | 'ऎ' | 'ऐ' => out.push('ए'),
        'ऑ' | 'ऒ' | 'औ' => out.push('ओ'),
        'ी' => out.push('ि'),
        'ू' => out.push('ु'),
        'ॄ' => out.push('ृ'),
        'ॅ' | 'ॆ' | 'ै' => out.push('े'),
        'ॉ' | 'ॊ' | 'ौ' => out.push('ो'),
        _ => out.push(letter),
    }
}

fn romanian(letter: char, out: &mut String) {
    out.push(match letter {
        'ş' => 'ș',
        'ţ' => 'ț',
        _ => letter,
    });
}

fn is_stress_mark(letter: char) -> bool {
    matches!(letter, '\u{300}' | '\u{301}')
}

fn russian(letter: char, out: &mut String) {
    match letter {
        _ if is_stress_mark(letter) => {}
        'ё' | 'ѐ' => out.push('е'),
        'ѝ' => out.push('и'),
        _ => out.push(letter),
    }
}

fn ukrainian(letter: char, out: &mut String) {
    match letter {
        _ if is_stress_mark(letter) => {}
        'ґ' => out.push('г'),
        _ => out.push(letter),
    }
}

#[rustfmt::skip]
fn serbian(letter: char, out: &mut String) {
    out.push_str(match letter {
        'а' => "a", 'б' => "b", 'в' => "v", 'г' => "g", 'д' => "d", 'ђ' => "đ", 'е' => "e", 'ж' => "ž",
        'з' => "z", 'и' => "i", 'ј' => "j", 'к' => "k", 'л' => "l", 'љ' => "lj", 'м' => "m", 'н' => "n",
        'њ' => "nj", 'о' => "o", 'п' => "p", 'р' => "r", 'с' => "s", 'т' => "t", 'ћ' => "ć", 'у' => "u",
        'ф' => "f", 'х' => "h", 'ц' => "c", 'ч' => "č", 'џ' => "dž", 'ш' => "š",
        _ => return out.push(letter),
    });
}

fn danish(letter: char, out: &mut String) {
    out.push(match letter {
        'ä' => 'æ',
        'ö' => 'ø',
        _ => letter,
    });
}

fn swedish(letter: char, out: &mut String) {
    out.push(match letter {
        'æ' => 'ä',
        'ø' => 'ö',
        _ => letter,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_word_become_one() {
        use Letters::*;
        for (letters, one, other) in [
            (Unaccented, "cœur español łódź", "coeur espanol lodz"),
            (Unaccented, "tiếng việt", "tieng viet"),
            (Arabic, "القُرْآن", "القران"),
            (Arabic, "مدرســة على", "مدرسه علي"),
            (Persian, "كتاب علي", "کتاب علی"),
            (Greek, "δρόμος ϊ ΐ", "δρομος ι ι"),
            (Hindi, "हाँ क\u{93c}", "हां क"),
            (Romanian, "informaţii şi", "informații și"),
            (Russian, "за\u{301}мок ёлка", "замок елка"),
            (Ukrainian, "ґанок", "ганок"),
            (Serbian, "љубав џеп ђак", "ljubav džep đak"),
            (DanoNorwegian, "aarhus köpenhamn", "århus køpenhamn"),
            (Swedish, "sømand fædre", "sömand fädre"),
        ] {
            let mut word = one.to_owned();
            letters.unify(&mut word);
            assert_eq!(word, other, "{letters:?}");
        }
    }

    #[test]
    fn stems_lose_differences_that_only_the_stemmer_needed() {
        let mut stem = "mreža đak".to_owned();
        Letters::Serbian.unify_stem(&mut stem);
        assert_eq!(stem, "mreza djak");
        let mut stem = "हिन्दी".to_owned();
        Letters::Hindi.unify_stem(&mut stem);
        assert_eq!(stem, "हिनदि");
    }

    #[test]
    fn letters_of_other_scripts_keep_their_marks() {
        let mut word = "йод ガ".to_owned();
        drop_accents(&mut word);
        assert_eq!(word, "йод ガ");
    }
}
