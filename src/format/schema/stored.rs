//! The options of the field that keeps documents: it has none.

use super::options::KindOptions;
use super::records::{OptionRecord, OptionRecords};
use crate::error::Result;
use crate::format::Parse;

/// The field that keeps the document itself, which is returned with a hit.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StoredOptions;

impl KindOptions for StoredOptions {
    const SECTIONS: &'static [&'static str] = &["stored", "stored-index"];

    fn changed_to(&self, to: &Self) -> Option<Self> {
        Some(to.clone())
    }

    fn encode(&self) -> Vec<OptionRecord> {
        Vec::new()
    }

    fn decode(_: &mut OptionRecords) -> Parse<Self> {
        Ok(Self)
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn describe(&self) -> String {
        "stored documents".to_owned()
    }
}
