//! Flags of one byte for each document, as bits of words.
//!
//! Setting a bit reads the byte that the bit before may have written; setting a byte does not. For
//! documents that lie close, flags are several times as fast.

use super::Level;

/// Flags of a word.
const WORD: usize = 64;

/// Sets in each word the bits whose flags are 1, lowest first, and clears the flags. Flags are 0 or
/// 1, 64 for each word.
pub fn take_flags(level: Level, flags: &mut [u8], words: &mut [u64]) {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx2 | Level::Avx512 => unsafe { x86::take(flags, words) },
        _ => take_scalar(flags, words),
    }
    flags.fill(0);
}

fn take_scalar(flags: &[u8], words: &mut [u64]) {
    let (groups, _) = flags.as_chunks::<WORD>();
    for (word, group) in words.iter_mut().zip(groups) {
        let (eights, _) = group.as_chunks::<8>();
        for (place, eight) in eights.iter().enumerate() {
            // The product moves the lowest bit of each byte to its place in the highest byte.
            let product = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080);
            *word |= (product >> 56) << (8 * place);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::WORD;

    #[target_feature(enable = "avx2")]
    pub fn take(flags: &[u8], words: &mut [u64]) {
        let (groups, _) = flags.as_chunks::<WORD>();
        for (word, group) in words.iter_mut().zip(groups) {
            // SAFETY: a group has 64 bytes.
            let halves = unsafe {
                let low = _mm256_loadu_si256(group.as_ptr().cast());
                let high = _mm256_loadu_si256(group.as_ptr().add(32).cast());
                [low, high]
            };
            // The highest bit of each byte counts.
            let [low, high] = halves.map(|half| {
                let moved = _mm256_slli_epi16::<7>(half);
                u64::from(_mm256_movemask_epi8(moved) as u32)
            });
            *word |= low | high << 32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_are_those_of_the_flags(
            mut flags in prop::collection::vec(0u8..2, 0..300),
            before in any::<u64>(),
        ) {
            flags.resize(flags.len().next_multiple_of(WORD), 0);
            let set = |word: usize, place: usize| u64::from(flags[word * WORD + place]) << place;
            let words = flags.len() / WORD;
            let expected: Vec<u64> = (0..words)
                .map(|word| (0..WORD).fold(before, |bits, place| bits | set(word, place)))
                .collect();
            for level in Level::all() {
                let mut flags = flags.clone();
                let mut found = vec![before; words];
                take_flags(level, &mut flags, &mut found);
                prop_assert_eq!(&found, &expected);
                prop_assert!(flags.iter().all(|flag| *flag == 0));
            }
        }
    }
}
