//! Batches: which sequences go through the model together, and the layout of their tokens.

use crate::error::{Error, Result};

use super::tokenizer::Tokens;

/// The tokens of several sequences, one after the other, without padding.
///
/// ```
/// use esparsa::neural::{Batch, Tokens};
///
/// let one = Tokens { ids: vec![2, 7, 3], types: vec![0; 3] };
/// let two = Tokens { ids: vec![2, 3], types: vec![0; 2] };
/// let batch = Batch::of([&one, &two])?;
/// assert_eq!(batch.ids, [2, 7, 3, 2, 3]);
/// assert_eq!(batch.starts, [0, 3, 5]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The vocabulary id of each token.
    pub ids: Vec<u32>,
    /// The type of each token.
    pub types: Vec<u32>,
    /// The offset of each sequence, then the number of all tokens (often called `cu_seqlens`).
    pub starts: Vec<u32>,
}

impl Batch {
    /// Packs sequences in the order in which they come.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] if they have 2³² tokens or more in all.
    pub fn of<'a>(sequences: impl IntoIterator<Item = &'a Tokens>) -> Result<Self> {
        let mut batch = Self {
            ids: Vec::new(),
            types: Vec::new(),
            starts: vec![0],
        };
        for tokens in sequences {
            batch.ids.extend_from_slice(&tokens.ids);
            batch.types.extend_from_slice(&tokens.types);
            let end = u32::try_from(batch.ids.len()).map_err(|_| {
                Error::limit(
                    "tokens of a batch",
                    batch.ids.len() as u64,
                    u64::from(u32::MAX),
                )
            })?;
            batch.starts.push(end);
        }
        Ok(batch)
    }

    /// The number of tokens.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// The number of sequences.
    #[cfg(test)]
    pub fn sequences(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }
}

/// Divides texts, whose `lengths` are in tokens, into batches of at most `tokens_per_batch` tokens.
///
/// A batch holds texts of similar length. The longest batches come first, so that threads that
/// share them finish at about the same time. Every text is in one batch, as its index in `lengths`;
/// one longer than `tokens_per_batch` is alone.
///
/// ```
/// use esparsa::neural::plan_batches;
///
/// assert_eq!(plan_batches(&[3, 9, 4, 3, 20], 10), [vec![4], vec![1], vec![2, 0, 3]]);
/// ```
pub fn plan_batches(lengths: &[usize], tokens_per_batch: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    // A stable sort: texts of the same length stay in their order.
    order.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut used = 0usize;
    for index in order {
        let length = lengths[index];
        match batches.last_mut() {
            Some(batch) if used.saturating_add(length) <= tokens_per_batch => {
                batch.push(index);
                used += length;
            }
            _ => {
                batches.push(vec![index]);
                used = length;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_in_one_batch_within_the_budget() {
        let lengths: Vec<usize> = (0..500).map(|index| (index * 7919) % 97).collect();
        for budget in [0, 1, 50, 96, 1_000, usize::MAX] {
            let batches = plan_batches(&lengths, budget);
            let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                let tokens: usize = batch.iter().map(|index| lengths[*index]).sum();
                assert!(tokens <= budget || batch.len() == 1, "{tokens} of {budget}");
            }
        }
    }

    #[test]
    fn lengths_fall_from_batch_to_batch() {
        let lengths: Vec<usize> = (0..300).map(|index| (index * 31) % 61 + 1).collect();
        let planned: Vec<usize> = plan_batches(&lengths, 128).concat();
        assert!(planned.is_sorted_by_key(|index| std::cmp::Reverse(lengths[*index])));
    }

    #[test]
    fn no_texts_make_no_batches() {
        assert!(plan_batches(&[], 100).is_empty());
        let batch = Batch::of([]).unwrap();
        assert_eq!((batch.tokens(), batch.sequences()), (0, 0));
        assert_eq!(batch.starts, [0]);
    }

    #[test]
    fn an_empty_sequence_keeps_its_place() {
        let empty = Tokens::default();
        let one = Tokens {
            ids: vec![5],
            types: vec![1],
        };
        let batch = Batch::of([&empty, &one, &empty]).unwrap();
        assert_eq!(batch.starts, [0, 0, 1, 1]);
        assert_eq!(batch.types, [1]);
    }
}
