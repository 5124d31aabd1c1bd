//! The beginning of a string as a number, so that most words are compared and hashed without their
//! bytes.

/// The first fifteen bytes of a string, the first one highest, and in the lowest byte its length,
/// for which 16 stands from 16 on.
///
/// Heads are in the order of their strings. Two different strings have the same head only when both
/// are longer than fifteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Head {
    high: u64,
    low: u64,
}

/// Stands for the length of a string that is longer than its head.
const LONGER: u64 = 16;

impl Head {
    /// Greater than every string's.
    pub const END: Self = Self {
        high: u64::MAX,
        low: u64::MAX,
    };

    /// The head of a string.
    #[inline]
    pub fn of(string: &[u8]) -> Self {
        let length = string.len() as u64;
        if let (Some(first), Some(last)) = (string.first_chunk::<8>(), string.last_chunk::<8>()) {
            let high = u64::from_be_bytes(*first);
            if let Some((_, next)) = string
                .first_chunk::<16>()
                .and_then(|bytes| bytes.split_last_chunk::<8>())
            {
                let low = u64::from_be_bytes(*next) & !0xFF | LONGER;
                return Self { high, low };
            }
            // Of the last eight bytes, those that the first eight do not have.
            let rest = u64::from_be_bytes(*last);
            let low = rest.checked_shl(u32::from(8 * (16 - lowest_byte(length))));
            return Self {
                high,
                low: low.unwrap_or(0) | length,
            };
        }
        let high = match (string.first_chunk::<4>(), string.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                let (first, last) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
                let rest = last.checked_shl(u32::from(8 * (8 - lowest_byte(length))));
                u64::from(first) << 32 | u64::from(rest.unwrap_or(0))
            }
            _ => {
                let bytes = string.iter().zip([56, 48, 40]);
                bytes.fold(0, |high, (byte, at)| high | u64::from(*byte) << at)
            }
        };
        Self { high, low: length }
    }

    /// Whether the head says all of its string.
    #[inline]
    pub fn is_whole(self) -> bool {
        self.low & 0xFF != LONGER
    }

    /// The first eight bytes, the first one highest.
    pub fn first_eight(self) -> u64 {
        self.high
    }

    /// A hash: the halves of a product, folded.
    #[inline]
    pub fn hash(self, seeds: (u64, u64)) -> u64 {
        let product = u128::from(self.high ^ seeds.0) * u128::from(self.low ^ seeds.1);
        // The upper half and the lower one.
        #[allow(clippy::cast_possible_truncation)]
        let halves = ((product >> 64) as u64, product as u64);
        halves.0 ^ halves.1
    }
}

/// A length below 16 as a byte.
#[inline]
fn lowest_byte(length: u64) -> u8 {
    let [byte, ..] = length.to_le_bytes();
    byte
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop::sample::select(vec![0u8, 1, b'a', 255]);
        prop::collection::vec(byte, 0..20)
    }

    proptest! {
        #[test]
        fn heads_are_in_the_order_of_their_strings(
            before in string(),
            a in string(),
            b in string(),
        ) {
            let (a, b) = ([&before[..], &a].concat(), [&before[..], &b].concat());
            let (head_a, head_b) = (Head::of(&a), Head::of(&b));
            if head_a == head_b {
                prop_assert!(a == b || (a.len() > 15 && b.len() > 15));
                prop_assert_eq!(head_a.is_whole(), a.len() <= 15);
            } else {
                prop_assert_eq!(head_a.cmp(&head_b), a.cmp(&b));
            }
            prop_assert!(head_a < Head::END);
        }
    }

    #[test]
    fn every_length_has_its_head() {
        let string: Vec<u8> = (1..=20).collect();
        for length in 0..=20 {
            let head = Head::of(&string[..length]);
            let mut bytes = [0; 16];
            let said = length.min(15);
            bytes[..said].copy_from_slice(&string[..said]);
            bytes[15] = length.min(16) as u8;
            let (high, low) = ((head.high as u128) << 64, head.low as u128);
            assert_eq!((high | low).to_be_bytes(), bytes, "{length}");
        }
    }

    #[test]
    fn hashes_of_words_are_spread() {
        let words = (0..200_000u32).map(|number| format!("w{number}"));
        // Seeds are random numbers of 64 bits, as a writer's are.
        let seeds = (0x9E37_79B9_7F4A_7C15, 0xD1B5_4A32_D192_ED03);
        let hashes = words.map(|word| Head::of(word.as_bytes()).hash(seeds));
        let hashes: Vec<u64> = hashes.collect();
        for shift in [0, 20, 57] {
            let mut counts = [0u32; 128];
            for hash in &hashes {
                counts[(hash >> shift & 127) as usize] += 1;
            }
            let most = counts.iter().max().unwrap();
            assert!(*most < 2 * 200_000 / 128, "{shift}: {most}");
        }
    }
}
