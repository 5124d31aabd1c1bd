//! Ids that no text has: counted, and some of them quoted in one error.

use super::texts::Texts;
use crate::error::{Error, Result};
use crate::eval::lines::quote;

/// Ids that an error quotes.
const SHOWN: usize = 5;

/// Ids of one kind that were looked up and not found.
#[derive(Debug)]
pub(super) struct UnknownIds {
    /// What has the ids, such as `query`.
    what: &'static str,
    count: u64,
    shown: Vec<String>,
}

impl UnknownIds {
    pub fn new(what: &'static str) -> Self {
        Self {
            what,
            count: 0,
            shown: Vec::new(),
        }
    }

    /// Looks an id up; one that no text has is counted.
    pub fn number(&mut self, texts: &Texts, id: &str) -> Result<Option<u32>> {
        let found = texts.find(id)?;
        if found.is_none() {
            self.count += 1;
            if self.shown.len() < SHOWN && !self.has_shown(id) {
                self.shown.push(id.to_owned());
            }
        }
        Ok(found)
    }

    /// Ids that were not found, one found missing twice counts twice.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True if the error quotes this id.
    pub fn has_shown(&self, id: &str) -> bool {
        self.shown.iter().any(|shown| shown == id)
    }

    /// The error about ids of several kinds, each with the texts that lack them; `None` if there are
    /// none.
    pub fn error<const N: usize>(unknown: &[Self; N], texts: [&Texts; N]) -> Option<Error> {
        let found: Vec<String> = unknown
            .iter()
            .zip(texts)
            .filter(|(ids, _)| ids.count > 0)
            .map(|(ids, texts)| {
                let shown: Vec<String> = ids.shown.iter().map(|id| quote(id)).collect();
                let (s, path) = (if ids.count == 1 { "" } else { "s" }, texts.path());
                format!(
                    "{} {} id{s} that {} does not have, such as {}",
                    ids.count,
                    ids.what,
                    path.display(),
                    shown.join(", ")
                )
            })
            .collect();
        (!found.is_empty()).then(|| {
            Error::invalid(format!(
                "expected ids of the given texts, found {}; use files that belong together",
                found.join(", and ")
            ))
        })
    }
}
