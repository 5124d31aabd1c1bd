//! A pair whose second text is long, as several pairs.

use crate::error::{Error, Result};

use super::assemble::{longest_first, windows};
use super::{Tokenizer, Tokens, room_for};

impl Tokenizer {
    /// The tokens of two texts in as many pairs as all of the second needs: each of at most `limit`
    /// tokens with special tokens, with the first text and a window of the second. Each window
    /// begins with the last `overlap` tokens of the one before, or with fewer where the first text
    /// leaves little room.
    ///
    /// The first pair is that of [`Tokenizer::encode_pair`]; if that has all of the second text, it
    /// is the only one.
    ///
    /// ```
    /// # use esparsa::neural::{ModelConfig, Tokenizer};
    /// # let folder = tempfile::tempdir()?;
    /// # std::fs::write(folder.path().join("config.json"), r#"{"model_type": "bert", "vocab_size": 6}"#)?;
    /// # std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\nyou\n")?;
    /// let tokenizer = Tokenizer::open(folder.path(), &ModelConfig::open(folder.path())?)?;
    /// let pairs = tokenizer.pair_windows("hello", "you you you", 6, 1)?;
    /// assert_eq!(pairs.len(), 2);
    /// assert_eq!(pairs[0].ids, [2, 4, 3, 5, 5, 3]);
    /// assert_eq!(pairs[1].types, [0, 0, 0, 1, 1, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode_pair`], and if special tokens leave no room for texts.
    pub fn pair_windows(
        &self,
        first: &str,
        second: &str,
        limit: usize,
        overlap: usize,
    ) -> Result<Vec<Tokens>> {
        let room = room_for(limit, self.special_tokens_of_pair(), "a pair's")?;
        let first = self.body(first, None)?;
        let second = self.body(second, None)?;
        let (kept, left) = longest_first(first.len(), second.len(), room);
        if left == 0 && !second.is_empty() {
            return Err(Error::invalid(format!(
                "expected a limit that leaves room for the second text, found {limit} tokens"
            )));
        }
        let first = self.kept(&first, kept);
        let overlap = overlap.min(left / 2);
        let ranges = windows(second.len(), left.max(1), overlap);
        let pair = |range| self.pair.fill(first, &second[range], self.has_types);
        Ok(ranges.map(pair).collect())
    }
}
