//! Pairs as one text with words around them, for models that were trained on such a text.

use super::Tokenizer;
use super::template::PairTemplate;

/// The places of the two texts.
const PLACES: [&str; 2] = ["{query}", "{document}"];

impl Tokenizer {
    /// Puts pairs into a text with the places `{query}` and `{document}`, in this order. The words
    /// around these become the special tokens of a pair: they are in every pair, whatever its texts
    /// lose to truncation.
    ///
    /// The parts of the text are tokenized one by one. White space around the places, which is
    /// required, makes the result that of the whole text for tokenizers that split there, as those of
    /// T5 do.
    pub(in crate::neural) fn put_pairs_into(&mut self, text: &str) -> Result<(), String> {
        let wrong = || {
            format!(
                "expected a text with {} and {}, each once, in this order and with white space around, found `{text}`",
                PLACES[0], PLACES[1]
            )
        };
        let (before, rest) = text.split_once(PLACES[0]).ok_or_else(wrong)?;
        let (between, after) = rest.split_once(PLACES[1]).ok_or_else(wrong)?;
        let parts = [before, between, after];
        let repeats = PLACES
            .iter()
            .any(|place| parts.iter().any(|part| part.contains(place)));
        let is_apart = [before, between].iter().all(|part| ends_apart(part))
            && [between, after].iter().all(|part| begins_apart(part));
        if repeats || !is_apart || between.is_empty() {
            return Err(wrong());
        }
        let mut ids = [Vec::new(), Vec::new(), Vec::new()];
        for (ids, part) in ids.iter_mut().zip(parts) {
            let tokens = self.body(part.trim(), None);
            *ids = tokens.map_err(|error| error.to_string())?;
        }
        self.pair = PairTemplate::around(&self.single, &ids);
        Ok(())
    }
}

fn ends_apart(part: &str) -> bool {
    part.is_empty() || part.ends_with(char::is_whitespace)
}

fn begins_apart(part: &str) -> bool {
    part.is_empty() || part.starts_with(char::is_whitespace)
}
