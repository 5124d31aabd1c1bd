//! Which model makes the vectors of a field (`format-spec/manifest.md`).

use super::limits::MAX_MODEL_NAME_BYTES;
use super::{Malformed, Parse, wide};
use crate::error::{Error, Result};

/// Names a model, so that vectors of documents and of queries come from the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelIdentity {
    /// What people call it, such as the name of its folder.
    pub name: String,
    /// A hash of its weights: models with the same are the same.
    pub fingerprint: u128,
}

impl ModelIdentity {
    /// Checks the name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when it is empty, [`Error::Limit`] when it is too long.
    pub(crate) fn check(&self) -> Result<()> {
        match self.name.len() {
            0 => Err(Error::invalid(
                "expected a name of the model, found an empty one",
            )),
            found if found > MAX_MODEL_NAME_BYTES => {
                let (found, limit) = (wide(found), wide(MAX_MODEL_NAME_BYTES));
                Err(Error::limit("bytes of a model's name", found, limit))
            }
            _ => Ok(()),
        }
    }

    /// The bytes of the option.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.fingerprint.to_le_bytes().to_vec();
        bytes.extend_from_slice(self.name.as_bytes());
        bytes
    }

    /// Reads the bytes of a field's option.
    pub(super) fn decode(bytes: &[u8]) -> Parse<Self> {
        let short = Malformed("expected a fingerprint of 16 bytes and a name");
        let (fingerprint, name) = bytes.split_first_chunk::<16>().ok_or(short)?;
        let name = std::str::from_utf8(name).map_err(|_| Malformed("a name is not UTF-8"))?;
        let model = Self {
            name: name.to_owned(),
            fingerprint: u128::from_le_bytes(*fingerprint),
        };
        let is_good = model.check().is_ok();
        is_good
            .then_some(model)
            .ok_or(Malformed("the name of a model is empty or too long"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn identities_are_read_as_written(name in ".{1,40}", fingerprint in any::<u128>()) {
            let model = ModelIdentity { name, fingerprint };
            prop_assert!(model.check().is_ok());
            prop_assert_eq!(ModelIdentity::decode(&model.encode()), Ok(model));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = ModelIdentity::decode(&bytes);
        }
    }

    #[test]
    fn names_are_neither_empty_nor_too_long() {
        assert!(ModelIdentity::decode(&[0; 16]).is_err());
        assert!(ModelIdentity::decode(&[b'a'; 16 + 1_024]).is_ok());
        assert!(ModelIdentity::decode(&[b'a'; 16 + 1_025]).is_err());
    }
}
