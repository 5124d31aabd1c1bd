//! The options of a flag field, a kind that exists in tests alone: it proves that a kind is one row in
//! the list, its options, and its stages.

use super::options::KindOptions;
use super::records::{OptionRecord, OptionRecords};
use crate::error::Result;
use crate::format::{Malformed, Parse};

/// A field that says yes or no of each document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flag {
    /// What is said of documents without a value.
    pub default: bool,
}

const DEFAULT: u64 = 1;

impl KindOptions for Flag {
    const SECTIONS: &'static [&'static str] = &["flags"];

    fn changed_to(&self, to: &Self) -> Option<Self> {
        (self == to).then(|| to.clone())
    }

    fn encode(&self) -> Vec<OptionRecord> {
        vec![OptionRecord::required(DEFAULT, [u8::from(self.default)])]
    }

    fn decode(records: &mut OptionRecords) -> Parse<Self> {
        match records.take_array(DEFAULT)? {
            [flag @ (0 | 1)] => Ok(Self { default: flag == 1 }),
            _ => Err(Malformed("a flag is neither yes nor no")),
        }
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn describe(&self) -> String {
        format!("flag, {} by default", self.default)
    }
}
