//! Korean words become bigrams of syllables.
//!
//! A Korean token between spaces is a noun or a verb with particles and endings attached, and nouns
//! form compounds freely. Most nouns, and most parts of compounds, have two syllables. We therefore
//! strip one particle or ending, if the final sound before it allows it, and split the rest into
//! bigrams that do not overlap: 검색엔진을 gives 검색 and 엔진. A word of three syllables gives both of its
//! overlapping bigrams. A longer word with an odd number of syllables loses the last one, which is
//! often the rest of an ending.
//!
//! Fewer terms per long word measure better, because a long word otherwise outweighs the others.
//! But with the first bigram alone, 엔진 no longer finds 검색엔진, and with one bigram per word of three
//! syllables, names that differ in the last syllable become equal. `benches/README.md` has the
//! measurements. The option `compounds` emits all bigrams of longer words, so that 처리 finds 자연어처리.
//!
//! A noun of one syllable loses a particle too (책을 becomes 책) if the particle hardly ever ends a
//! word of two or three syllables. 결과 and 제도 look like a noun with a particle but are not: for such
//! words a document gets the possible noun as well as the whole word, and a query only the whole
//! word.

/// The final sound of a stem after which a particle may stand.
#[derive(Clone, Copy)]
enum After {
    Any,
    Consonant,
    Vowel,
    /// A vowel or ㄹ.
    Open,
    /// A consonant but ㄹ.
    Closed,
}

use After::{Any, Closed, Consonant, Open, Vowel};

/// Particles, and the forms of the copula that are written like them.
const PARTICLES: &[(&str, After)] = &[
    ("은", Consonant),
    ("는", Vowel),
    ("이", Consonant),
    ("가", Vowel),
    ("을", Consonant),
    ("를", Vowel),
    ("과", Consonant),
    ("와", Vowel),
    ("과의", Consonant),
    ("와의", Vowel),
    ("의", Any),
    ("에", Any),
    ("도", Any),
    ("만", Any),
    ("만이", Any),
    ("들", Any),
    ("들은", Any),
    ("들이", Any),
    ("들을", Any),
    ("들의", Any),
    ("들에", Any),
    ("등", Any),
    ("로", Open),
    ("으로", Closed),
    ("로서", Open),
    ("으로서", Closed),
    ("로써", Open),
    ("으로써", Closed),
    ("로부터", Open),
    ("으로부터", Closed),
    ("에서", Any),
    ("에서부터", Any),
    ("에게", Any),
    ("께서", Any),
    ("한테", Any),
    ("부터", Any),
    ("까지", Any),
    ("처럼", Any),
    ("보다", Any),
    ("마다", Any),
    ("조차", Any),
    ("마저", Any),
    ("밖에", Any),
    ("하고", Any),
    ("이나", Consonant),
    ("나", Vowel),
    ("이란", Consonant),
    ("란", Vowel),
    ("이며", Consonant),
    ("며", Vowel),
    ("으며", Consonant),
    ("이고", Consonant),
    ("이라", Consonant),
    ("라", Vowel),
    ("이라는", Any),
    ("라는", Any),
    ("이라고", Consonant),
    ("라고", Vowel),
    ("인", Any),
    ("이다", Consonant),
    ("이자", Consonant),
    ("이던", Consonant),
    ("이었다", Consonant),
    ("이었던", Any),
    ("였다", Vowel),
    ("였던", Any),
];

/// Endings of verbs made from nouns with 하다, 되다, 시키다, and of statements and questions.
const ENDINGS: &[&str] = &[
    "하는",
    "하기",
    "하여",
    "하며",
    "하면",
    "하게",
    "하지",
    "하던",
    "하도록",
    "하였다",
    "하였습니다",
    "한",
    "한다",
    "할",
    "합니다",
    "합니까",
    "해",
    "해서",
    "했다",
    "했던",
    "했습니다",
    "되는",
    "되어",
    "되었다",
    "되었던",
    "되었습니다",
    "된",
    "된다",
    "될",
    "됐다",
    "됩니다",
    "시키는",
    "시킨",
    "시킵니다",
    "입니다",
    "있습니다",
    "습니다",
    "인가",
    "인가요",
    "인지",
    "적인",
    "적으로",
];

/// Minimum number of syllables of a stem; see [`SURE_PARTICLES`] for stems of one.
const MIN_STEM_SYLLABLES: usize = 2;

/// One-syllable particles that are stripped from nouns of one syllable. Others end too many words
/// of two syllables: 결과, 제도, 회의.
const SURE_PARTICLES: [&str; 8] = ["은", "는", "이", "가", "을", "를", "에", "와"];

/// Emits the terms of `word`, which is all Hangul syllables; `attached` if it directly follows
/// another script, as in `GNOME은`.
pub(super) fn terms(word: &str, attached: bool, compounds: bool, emit: &mut dyn FnMut(&str)) {
    if attached && is_ending(word) {
        return;
    }
    let stem = stem(word);
    let bigram = |first: usize, emit: &mut dyn FnMut(&str)| {
        emit(syllables(stem, first, first + 2));
    };
    match syllable_count(stem) {
        0..=2 => emit(stem),
        3 => {
            bigram(0, emit);
            bigram(1, emit);
        }
        count if compounds => (0..count - 1).for_each(|first| bigram(first, emit)),
        count => (0..count / 2).for_each(|index| bigram(2 * index, emit)),
    }
}

/// `word` without its longest particle or ending.
fn stem(word: &str) -> &str {
    let particles = PARTICLES
        .iter()
        .filter_map(|(particle, after)| Some((word.strip_suffix(particle)?, *after)))
        .filter(|(stem, after)| may_follow(stem, *after));
    let endings = ENDINGS
        .iter()
        .filter_map(|ending| Some((word.strip_suffix(ending)?, Any)));
    particles
        .chain(endings)
        .map(|(stem, _)| stem)
        .filter(|stem| syllable_count(stem) >= MIN_STEM_SYLLABLES)
        .min_by_key(|stem| stem.len())
        .or_else(|| noun_of_one_syllable(word))
        .unwrap_or(word)
}

/// The noun of one syllable in a word that is certainly a noun and a particle.
fn noun_of_one_syllable(word: &str) -> Option<&str> {
    noun_before_particle(word, |particle| {
        particle.len() > SYLLABLE_BYTES || SURE_PARTICLES.contains(&particle)
    })
}

/// The noun of one syllable in a word that may be a noun and a particle, but often is not.
///
/// Documents get it as a term in addition to the word. Queries do not: it would match too much.
pub(super) fn possible_noun(word: &str) -> Option<&str> {
    noun_before_particle(word, |particle| {
        particle.len() == SYLLABLE_BYTES && !SURE_PARTICLES.contains(&particle)
    })
}

/// The first syllable of a word if the rest is a particle that may follow it and is `wanted`.
fn noun_before_particle(word: &str, wanted: impl Fn(&str) -> bool) -> Option<&str> {
    let (noun, particle) = word.split_at_checked(SYLLABLE_BYTES)?;
    let mut particles = PARTICLES.iter().filter(|(known, _)| *known == particle);
    (wanted(particle) && particles.any(|(_, after)| may_follow(noun, *after))).then_some(noun)
}

fn is_ending(word: &str) -> bool {
    PARTICLES.iter().any(|(particle, _)| *particle == word) || ENDINGS.contains(&word)
}

/// True if the final sound of `stem` is one of `after`.
fn may_follow(stem: &str, after: After) -> bool {
    const FIRST_SYLLABLE: u32 = 0xac00;
    const FINAL_SOUNDS: u32 = 28;
    const NONE: u32 = 0;
    const RIEUL: u32 = 8;
    let Some(last) = stem.chars().next_back() else {
        return false;
    };
    let sound = u32::from(last).wrapping_sub(FIRST_SYLLABLE) % FINAL_SOUNDS;
    match after {
        Any => true,
        Consonant => sound != NONE,
        Vowel => sound == NONE,
        Open => sound == NONE || sound == RIEUL,
        Closed => sound != NONE && sound != RIEUL,
    }
}

/// Bytes of a Hangul syllable in UTF-8.
const SYLLABLE_BYTES: usize = 3;

fn syllable_count(word: &str) -> usize {
    word.len() / SYLLABLE_BYTES
}

/// The syllables of `word` from `first` to before `end`.
fn syllables(word: &str, first: usize, end: usize) -> &str {
    &word[first * SYLLABLE_BYTES..end * SYLLABLE_BYTES]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(word: &str) -> Vec<String> {
        let mut found = Vec::new();
        terms(word, false, false, &mut |term| found.push(term.to_owned()));
        found
    }

    #[test]
    fn joined_nouns_come_apart() {
        assert_eq!(found("검색엔진"), ["검색", "엔진"]);
        assert_eq!(found("국립중앙도서관"), ["국립", "중앙", "도서"]);
        assert_eq!(found("컴퓨터"), ["컴퓨", "퓨터"]);
    }

    #[test]
    fn particles_and_endings_go() {
        for (word, stem) in [
            ("패키지는", "패키지"),
            ("시스템을", "시스템"),
            ("서버로부터", "서버"),
            ("설치합니다", "설치"),
            ("제공하는", "제공"),
            ("사용자들의", "사용자"),
        ] {
            assert_eq!(found(word), found(stem), "{word}");
        }
    }

    #[test]
    fn the_final_sound_decides_what_is_a_particle() {
        // 는 follows vowels only, 을 consonants only.
        assert_eq!(found("작은는"), ["작은", "은는"]);
        assert_eq!(found("바다을"), ["바다", "다을"]);
    }

    #[test]
    fn a_noun_of_one_syllable_is_told_by_its_particle() {
        assert_eq!(noun_of_one_syllable("책은"), Some("책"));
        assert_eq!(noun_of_one_syllable("집에서"), Some("집"));
        // 이 follows consonants only.
        assert_eq!(noun_of_one_syllable("나이"), None);
        assert_eq!(noun_of_one_syllable("결과"), None);
        assert_eq!(possible_noun("결과"), Some("결"));
        assert_eq!(possible_noun("책을"), None);
        assert_eq!(noun_of_one_syllable("책"), None);
    }

    #[test]
    fn short_words_stay_whole() {
        assert_eq!(found("책"), ["책"]);
        assert_eq!(found("결과"), ["결과"]);
        assert_eq!(found("한국"), ["한국"]);
    }

    #[test]
    fn a_particle_after_a_foreign_word_is_no_term() {
        let mut found = Vec::new();
        terms("은", true, false, &mut |term| found.push(term.to_owned()));
        terms("용", true, false, &mut |term| found.push(term.to_owned()));
        assert_eq!(found, ["용"]);
    }
}
