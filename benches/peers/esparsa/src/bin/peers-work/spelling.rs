//! Words made of syllables: the more common the shorter, each rank its own.

const CONSONANTS: &[u8; 20] = b"bcdfghjklmnpqrstvwxz";
const VOWELS: &[u8; 5] = b"aeiou";
/// Ranks of a length are shuffled by this factor, which shares no divisor with a power of 100, so that the
/// alphabet says nothing of frequencies.
const SHUFFLE: u64 = 38_196_657;

/// Appends the word of a rank below 10^8: 100 words have two letters, 10,000 four, a million six, the others eight.
pub fn push_word(rank: u32, bytes: &mut Vec<u8>) {
    let (mut place, mut words) = (u64::from(rank), 100);
    while place >= words {
        place -= words;
        words *= 100;
    }
    let mut shuffled = place * SHUFFLE % words;
    while words > 1 {
        words /= 100;
        let syllable = (shuffled / words) as usize;
        shuffled %= words;
        bytes.push(CONSONANTS[syllable / VOWELS.len()]);
        bytes.push(VOWELS[syllable % VOWELS.len()]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_unique_and_grow_with_the_rank() {
        let (mut seen, mut longest) = (HashSet::new(), 0);
        for rank in (0..20_000).chain(1_010_000..1_020_000) {
            let mut word = Vec::new();
            push_word(rank, &mut word);
            assert!(word.iter().all(u8::is_ascii_lowercase));
            assert!(word.len() >= longest);
            longest = word.len();
            assert!(seen.insert(word), "{rank}");
        }
        assert_eq!(longest, 8);
    }
}
