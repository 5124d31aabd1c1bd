//! The documents that have a value in a range, or in a set.
//!
//! Bounds of superblocks and blocks say what need not be decoded. What is selected is first one bit
//! for each value; where a document has one value and every document has, these are the bits of
//! documents.

use super::ColumnValues;
use super::numbers::{BLOCK_NUMBERS, SUPERBLOCK_BLOCKS, Within};
use super::packing::BLOCK;
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::format::{DocId, wide};

const WORD_BITS: usize = 64;
/// Words of the bits of a block.
const BLOCK_WORDS: usize = BLOCK / WORD_BITS;

/// Documents are looked up where there are at least this many blocks for each of them.
const BLOCKS_PER_LOOK_UP: usize = 4;

/// The codes that are selected.
#[derive(Clone, Copy)]
struct Selection<'a> {
    low: u64,
    high: u64,
    /// Of those from `low` to `high` only these, which rise.
    among: Option<&'a [u64]>,
}

impl ColumnValues {
    /// The documents with a value whose code is from `low` to `high`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when bytes that must be read are damaged.
    pub fn in_range(&self, low: u64, high: u64) -> Result<DocSet> {
        let among = None;
        self.select(Selection { low, high, among })
    }

    /// Of documents that rise, keeps those that [`in_range`](Self::in_range) finds, or those that it
    /// does not; false, and nothing done, when finding all of them is faster or documents may have
    /// no value or several.
    ///
    /// # Errors
    ///
    /// As [`in_range`](Self::in_range).
    pub fn retain_in_range(
        &self,
        low: u64,
        high: u64,
        documents: &mut Vec<DocId>,
        are_kept: bool,
    ) -> Result<bool> {
        let blocks = self.values.blocks() as usize;
        let is_simple = self.with_value.is_none() && self.starts.is_none();
        if !is_simple || documents.len() * BLOCKS_PER_LOOK_UP > blocks {
            return Ok(false);
        }
        let (mut block, mut words, mut decoded) = (None, [0; BLOCK_WORDS], Vec::new());
        let mut kept = Vec::with_capacity(documents.len());
        for document in &*documents {
            let (number, place) = (document / BLOCK_NUMBERS, document % BLOCK_NUMBERS);
            if block != Some(number) {
                words.fill(0);
                match self.values.block_within(number, low, high)? {
                    Within::None => {}
                    Within::All => words.fill(u64::MAX),
                    Within::Some => {
                        let range = (low, high);
                        self.values
                            .select(number, range, &mut words, &mut decoded)?;
                    }
                }
                block = Some(number);
            }
            let word = words.get(place as usize / WORD_BITS).copied().unwrap_or(0);
            if (word >> (place as usize % WORD_BITS) & 1 == 1) == are_kept {
                kept.push(*document);
            }
        }
        *documents = kept;
        Ok(true)
    }

    /// The documents with a value whose code is one of these, which rise.
    ///
    /// # Errors
    ///
    /// As [`in_range`](Self::in_range).
    pub fn in_set(&self, codes: &[u64]) -> Result<DocSet> {
        let (Some(low), Some(high)) = (codes.first(), codes.last()) else {
            return Ok(DocSet::empty(self.documents));
        };
        let has_gaps = high.saturating_sub(*low) >= wide(codes.len());
        self.select(Selection {
            low: *low,
            high: *high,
            among: has_gaps.then_some(codes),
        })
    }

    /// The documents that have a value.
    ///
    /// # Errors
    ///
    /// As [`in_range`](Self::in_range).
    pub fn having_value(&self) -> Result<DocSet> {
        match &self.with_value {
            Some(with_value) => self.set(with_value.bits()?),
            None => Ok(DocSet::full(self.documents)),
        }
    }

    fn set(&self, words: Vec<u64>) -> Result<DocSet> {
        let set = DocSet::from_words(self.documents, words);
        set.ok_or_else(|| self.broken("documents with a value are not in the segment"))
    }

    fn select(&self, selection: Selection<'_>) -> Result<DocSet> {
        let shape = self.values.shape();
        if shape.count == 0 || selection.low > shape.max || selection.high < shape.min {
            return Ok(DocSet::empty(self.documents));
        }
        let bits = self.selected_values(selection)?;
        match (&self.with_value, &self.starts) {
            (None, None) => self.set(bits),
            _ => self.documents_of(&bits),
        }
    }

    /// One bit for each value, lowest first: whether it is selected.
    fn selected_values(&self, selection: Selection<'_>) -> Result<Vec<u64>> {
        let words = self.values.shape().count.div_ceil(wide(WORD_BITS));
        let words = usize::try_from(words).map_err(|_| self.broken("a column has too many values"));
        let mut bits = vec![0u64; words?];
        let mut decoded = Vec::new();
        let (low, high) = (selection.low, selection.high);
        let mut superblock = Within::None;
        for (block, words) in (0..self.values.blocks()).zip(bits.chunks_mut(BLOCK_WORDS)) {
            if block % SUPERBLOCK_BLOCKS == 0 {
                let number = block / SUPERBLOCK_BLOCKS;
                superblock = self.values.superblock_within(number, low, high)?;
            }
            let within = match superblock {
                Within::Some => self.values.block_within(block, low, high)?,
                known => known,
            };
            match within {
                Within::None => {}
                Within::All if selection.among.is_none() => words.fill(u64::MAX),
                _ => match selection.among {
                    None => self
                        .values
                        .select(block, (low, high), words, &mut decoded)?,
                    Some(among) => {
                        self.values.decode(block, &mut decoded)?;
                        mark(words, &decoded, among);
                    }
                },
            }
        }
        self.clear_beyond(&mut bits);
        Ok(bits)
    }

    /// Clears the bits beyond the last value.
    fn clear_beyond(&self, bits: &mut [u64]) {
        let used = self.values.shape().count % wide(WORD_BITS);
        if let Some(last) = bits.last_mut()
            && used > 0
        {
            *last &= (1 << used) - 1;
        }
    }

    /// The documents that have any of the values whose bits are set.
    fn documents_of(&self, bits: &[u64]) -> Result<DocSet> {
        let mut set = DocSet::empty(self.documents);
        self.for_each_places(|document, places| {
            if any_bit(bits, places.start, places.end) {
                set.insert(document);
            }
            Ok(())
        })?;
        Ok(set)
    }
}

/// Sets the bits of the codes that are among these, which rise.
fn mark(words: &mut [u64], codes: &[u64], among: &[u64]) {
    let (low, high) = (among.first().copied(), among.last().copied());
    let is_within = |code: u64| Some(code) >= low && Some(code) <= high;
    for (word, codes) in words.iter_mut().zip(codes.chunks(WORD_BITS)) {
        let bits = codes.iter().enumerate();
        *word = bits.fold(0, |word, (place, code)| {
            let is_among = is_within(*code) && among.binary_search(code).is_ok();
            word | u64::from(is_among) << place
        });
    }
}

fn any_bit(bits: &[u64], start: u64, end: u64) -> bool {
    (start..end).any(|place| {
        let word = usize::try_from(place / wide(WORD_BITS)).ok();
        let word = word.and_then(|word| bits.get(word)).copied().unwrap_or(0);
        word >> (place % wide(WORD_BITS)) & 1 == 1
    })
}

#[cfg(test)]
mod tests {
    use super::super::{ColumnSections, ColumnType, documents, numbers, starts};
    use super::*;
    use crate::format::Section;
    use proptest::prelude::*;

    /// A column of whole numbers, and its values by document.
    fn column(values: &[Vec<u64>]) -> ColumnValues {
        let all: Vec<u64> = values.iter().flatten().copied().collect();
        let having = (0..).zip(values).filter(|(_, values)| !values.is_empty());
        let having: Vec<(u32, &Vec<u64>)> = having.collect();
        let count = values.len() as u32;
        let is_sparse = having.len() < values.len();
        let has_several = having.iter().any(|(_, values)| values.len() > 1);
        let counts = having.iter().map(|(_, values)| values.len());
        let sections = ColumnSections {
            values: Section::from_bytes("column-values", numbers::tests::encode(&all)),
            documents: is_sparse.then(|| {
                let documents = having.iter().map(|(document, _)| *document);
                let bytes = documents::tests::encode(count, documents);
                Section::from_bytes("column-documents", bytes)
            }),
            starts: has_several.then(|| {
                let bytes = starts::tests::encode(&counts.collect::<Vec<_>>());
                Section::from_bytes("column-starts", bytes)
            }),
            keywords: None,
        };
        let column = ColumnValues::open(ColumnType::U64, count, sections).unwrap();
        column.verify().unwrap();
        column
    }

    fn values() -> impl Strategy<Value = Vec<Vec<u64>>> {
        let max = prop::sample::select(vec![0u64, 1, 30, 5_000, u64::MAX]);
        let several = prop::sample::select(vec![1usize, 1, 4]);
        // The last are more than a superblock.
        let documents = prop_oneof![20 => 0usize..3_000, 1 => 66_000usize..140_000];
        (max, several, any::<bool>(), documents, any::<u64>()).prop_map(
            |(max, several, is_sparse, documents, seed)| {
                let random = |place: usize| {
                    let random = (seed ^ place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    (random ^ random >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 8
                };
                let of = |document: usize| {
                    let lowest = usize::from(!is_sparse);
                    let count = (random(document * 9) as usize % (several + 1)).max(lowest);
                    // Documents of one thousand lie close, so that bounds of blocks differ.
                    let base = ((document / 1_000) as u64).saturating_mul(max / 3);
                    let value =
                        |n: usize| base.saturating_add(random(document * 9 + n) % (max / 2 + 1));
                    let mut values: Vec<u64> = (1..=count).map(value).collect();
                    values.sort_unstable();
                    values
                };
                (0..documents).map(of).collect()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn selecting_is_looking_at_each_document(
            values in values(),
            places in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            low in any::<u64>(),
            high in any::<u64>(),
        ) {
            let column = column(&values);
            let matching = |is_in: &dyn Fn(u64) -> bool| {
                let mut set = DocSet::empty(values.len() as u32);
                for (document, values) in (0..).zip(&values) {
                    if values.iter().any(|value| is_in(*value)) {
                        set.insert(document);
                    }
                }
                set
            };
            prop_assert_eq!(column.having_value().unwrap(), matching(&|_| true));
            let all: Vec<u64> = values.iter().flatten().copied().collect();
            let mut chosen = vec![low];
            if !all.is_empty() {
                chosen.extend(places.iter().map(|place| *place.get(&all)));
            }
            chosen.sort_unstable();
            chosen.dedup();
            prop_assert_eq!(
                column.in_set(&chosen).unwrap(),
                matching(&|value| chosen.contains(&value))
            );
            let mut ranges = vec![(low, high), (0, u64::MAX), (3, 2)];
            ranges.extend(chosen.windows(2).map(|pair| (pair[0], pair[1])));
            for (low, high) in ranges {
                prop_assert_eq!(
                    column.in_range(low, high).unwrap(),
                    matching(&|value| value >= low && value <= high)
                );
                for are_kept in [false, true] {
                    let some = (0..values.len() as u32).step_by(5_000).collect::<Vec<u32>>();
                    let mut found = some.clone();
                    if column.retain_in_range(low, high, &mut found, are_kept).unwrap() {
                        let set = column.in_range(low, high).unwrap();
                        let expected = some.iter().filter(|d| set.contains(**d) == are_kept);
                        prop_assert_eq!(found, expected.copied().collect::<Vec<u32>>());
                    } else {
                        prop_assert_eq!(found, some);
                    }
                }
            }
            for (document, expected) in (0..).zip(&values) {
                let places = column.places(document).unwrap();
                let found: Vec<u64> = places.map(|place| column.code(place).unwrap()).collect();
                prop_assert_eq!(&found, expected);
            }
            let mut visited = vec![Vec::new(); values.len()];
            column.for_each(|document, codes| {
                visited[document as usize] = codes.to_vec();
                Ok(())
            }).unwrap();
            prop_assert_eq!(visited, values);
        }
    }
}
