//! Pairs of (term frequency, length) that dominate a block (`format-spec/text_postings.md`).
//!
//! Scores change with the collection and with k1 and b, so a block keeps what scores are made of.
//! For every posting of the block some pair has a frequency at least as great and a length at most
//! as great, and BM25 rises with the one and falls with the other.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::lengths;

/// A frequency of this and above is stored as this, and stands for any frequency.
pub const UNBOUNDED_FREQUENCY: u8 = 255;

/// A term frequency and a length code that bound some postings.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Bound {
    /// Term frequency; [`UNBOUNDED_FREQUENCY`] stands for any.
    pub frequency: u8,
    /// Length code, see [`lengths`].
    pub length: u8,
}

impl Bound {
    /// The bound of one posting.
    pub fn of(frequency: u32, length: u8) -> Self {
        Self {
            frequency: u8::try_from(frequency).unwrap_or(UNBOUNDED_FREQUENCY),
            length,
        }
    }

    /// Whether no posting under `other` can score more than this bound.
    pub fn dominates(self, other: Self) -> bool {
        self.frequency >= other.frequency && self.length <= other.length
    }

    fn union(self, other: Self) -> Self {
        Self {
            frequency: self.frequency.max(other.frequency),
            length: self.length.min(other.length),
        }
    }

    /// The BM25 weight at the parameters that the chapter names, to choose which bounds to join.
    fn nominal_weight(self) -> f32 {
        if self.frequency == UNBOUNDED_FREQUENCY {
            return 1.0;
        }
        let frequency = f32::from(self.frequency);
        // Lengths of codes stay far below 2^24, so the conversion is exact.
        let length = lengths::decode(self.length) as f32;
        frequency / (frequency + 0.9 * (0.6 + 0.4 * length / 64.0))
    }
}

/// Collects bounds and keeps those that no other dominates.
pub struct Frontier {
    /// For each frequency the smallest length seen; 256 for none.
    min_length: [u16; 256],
    max_frequency: u8,
}

impl Default for Frontier {
    fn default() -> Self {
        Self {
            min_length: [256; 256],
            max_frequency: 0,
        }
    }
}

impl Frontier {
    /// Takes one more bound into account.
    #[inline]
    pub fn add(&mut self, bound: Bound) {
        if let Some(length) = self.min_length.get_mut(usize::from(bound.frequency)) {
            *length = (*length).min(u16::from(bound.length));
        }
        self.max_frequency = self.max_frequency.max(bound.frequency);
    }

    /// The bounds that no other dominates: frequencies falling, lengths falling.
    pub fn undominated(&self) -> Vec<Bound> {
        let mut frontier = Vec::with_capacity(8);
        let mut best = 256;
        for frequency in (0..=self.max_frequency).rev() {
            let length = self
                .min_length
                .get(usize::from(frequency))
                .copied()
                .unwrap_or(256);
            if length < best {
                best = length;
                // Below 256, where `best` starts.
                let length = length.to_le_bytes()[0];
                frontier.push(Bound { frequency, length });
            }
        }
        frontier
    }

    /// At most `SLOTS` bounds that dominate everything added; slots to spare repeat the first.
    pub fn reduced<const SLOTS: usize>(&self) -> [Bound; SLOTS] {
        let mut bounds = self.undominated();
        while bounds.len() > SLOTS {
            let rise = |pair: &[Bound]| match pair {
                [a, b] => {
                    let before = a.nominal_weight().max(b.nominal_weight());
                    a.union(*b).nominal_weight() - before
                }
                _ => f32::INFINITY,
            };
            let cheapest = bounds
                .windows(2)
                .map(rise)
                .enumerate()
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map_or(0, |(index, _)| index);
            let second = bounds.remove(cheapest + 1);
            if let Some(first) = bounds.get_mut(cheapest) {
                *first = first.union(second);
            }
        }
        let filler = bounds.first().copied().unwrap_or(Bound {
            frequency: 0,
            length: 0,
        });
        let mut slots = [filler; SLOTS];
        for (slot, bound) in slots.iter_mut().zip(bounds) {
            *slot = bound;
        }
        slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reduced_bounds_dominate_everything(
            postings in prop::collection::vec((1u32..400, any::<u8>()), 1..200),
        ) {
            let mut frontier = Frontier::default();
            for (frequency, length) in &postings {
                frontier.add(Bound::of(*frequency, *length));
            }
            let (one, two, four) =
                (frontier.reduced::<1>(), frontier.reduced::<2>(), frontier.reduced::<4>());
            for (frequency, length) in postings {
                let posting = Bound::of(frequency, length);
                for bounds in [&one[..], &two[..], &four[..]] {
                    prop_assert!(bounds.iter().any(|bound| bound.dominates(posting)));
                }
            }
        }
    }

    #[test]
    fn the_frontier_drops_what_is_dominated() {
        let mut frontier = Frontier::default();
        for (frequency, length) in [(1, 10), (2, 10), (2, 30), (5, 40), (4, 50)] {
            frontier.add(Bound::of(frequency, length));
        }
        let expected = [(5, 40), (2, 10)].map(|(f, l)| Bound::of(f, l));
        assert_eq!(frontier.undominated(), expected);
    }
}
