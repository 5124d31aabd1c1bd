//! Texts alone as training data, for masked language modelling.

use std::sync::Arc;

use super::example::{Example, Source};
use super::texts::Texts;
use crate::error::{Error, Result};

/// The documents of a collection, each an example without candidates.
#[derive(Debug)]
pub struct CorpusExamples {
    corpus: Arc<Texts>,
    /// The numbers of the texts that are not empty.
    numbers: Vec<u32>,
}

impl CorpusExamples {
    /// The texts that are not empty.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when all are; those of [`Texts::text`].
    pub fn new(corpus: Arc<Texts>) -> Result<Self> {
        let mut numbers = Vec::new();
        for number in 0..corpus.len() {
            if !corpus.text(number)?.text.trim().is_empty() {
                numbers.push(number);
            }
        }
        if numbers.is_empty() {
            return Err(Error::invalid("expected documents with text, found none")
                .at_line(corpus.path().display().to_string(), 0));
        }
        Ok(Self { corpus, numbers })
    }
}

impl Source for CorpusExamples {
    fn len(&self) -> u64 {
        self.numbers.len() as u64
    }

    fn example(&self, number: u64, _epoch: u64, _seed: u64) -> Result<Example> {
        let place = usize::try_from(number).ok();
        let number = place
            .and_then(|place| self.numbers.get(place))
            .ok_or_else(|| {
                Error::invalid(format!(
                    "expected an example below {}, found {number}",
                    self.len()
                ))
            })?;
        Ok(Example {
            query: self.corpus.text(*number)?,
            candidates: Vec::new(),
            relevant: Vec::new(),
        })
    }

    fn fingerprint(&self) -> u64 {
        self.corpus.fingerprint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_texts_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.tsv");
        let open = |text: &str| {
            std::fs::write(&path, text).unwrap();
            CorpusExamples::new(Arc::new(Texts::open(&path).unwrap()))
        };
        let source = open("a\tlava\nb\t \nc\tbees\n").unwrap();
        assert_eq!(source.len(), 2);
        assert_eq!(&*source.example(1, 0, 0).unwrap().query.text, "bees");
        assert!(source.example(2, 0, 0).is_err());
        assert!(open("a\t \n").is_err());
    }
}
