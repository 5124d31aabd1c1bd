//! Texts alone as training data, for masked language modelling.

use xxhash_rust::xxh3::Xxh3;

use super::collection::NamedTexts;
use super::example::{Example, Source};
use crate::error::{Error, Result};

/// The documents of a collection, each an example without candidates.
pub struct CorpusSource {
    documents: NamedTexts,
    fingerprint: u64,
}

impl CorpusSource {
    /// The texts that are not empty.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when all are.
    pub fn new(documents: NamedTexts) -> Result<Self> {
        let mut kept = NamedTexts::default();
        let mut hash = Xxh3::new();
        for (id, text) in documents.ids.into_iter().zip(documents.texts) {
            if !text.text.trim().is_empty() {
                hash.update(&text.key.to_le_bytes());
                kept.add(id, text.text.to_string())?;
            }
        }
        if kept.ids.is_empty() {
            return Err(Error::invalid("expected documents with text, found none"));
        }
        Ok(Self {
            documents: kept,
            fingerprint: hash.digest(),
        })
    }

    /// The documents.
    pub fn documents(&self) -> &NamedTexts {
        &self.documents
    }
}

impl Source for CorpusSource {
    fn len(&self) -> u64 {
        self.documents.texts.len() as u64
    }

    fn example(&self, number: u64, _epoch: u64, _seed: u64) -> Result<Example> {
        let text = usize::try_from(number)
            .ok()
            .and_then(|place| self.documents.texts.get(place));
        let text = text.ok_or_else(|| {
            Error::invalid(format!(
                "expected an example below {}, found {number}",
                self.len()
            ))
        })?;
        Ok(Example {
            query: text.clone(),
            candidates: Vec::new(),
            relevant: Vec::new(),
        })
    }

    fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_texts_are_left_out() {
        let mut documents = NamedTexts::default();
        for (id, text) in [("a", "lava"), ("b", " "), ("c", "bees")] {
            documents.add(id.to_owned(), text.to_owned()).unwrap();
        }
        let source = CorpusSource::new(documents).unwrap();
        assert_eq!(source.len(), 2);
        assert_eq!(&*source.example(1, 0, 0).unwrap().query.text, "bees");
        assert!(source.example(2, 0, 0).is_err());
        assert!(CorpusSource::new(NamedTexts::default()).is_err());
    }
}
