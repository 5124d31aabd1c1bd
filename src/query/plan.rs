//! Which algorithm to use.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// An algorithm that finds the exact top k. All give the same documents and the same scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// Every posting of every term.
    Exhaustive,
    /// Skips by the bounds of whole lists.
    Wand,
    /// Skips by the bounds of blocks too.
    BlockMaxWand,
    /// Window by window, terms that cannot matter last.
    MaxScore,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 4] = [
        Self::Exhaustive,
        Self::Wand,
        Self::BlockMaxWand,
        Self::MaxScore,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exhaustive => "exhaustive",
            Self::Wand => "wand",
            Self::BlockMaxWand => "block-max-wand",
            Self::MaxScore => "max-score",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|a| a.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::invalid(format!(
                "unknown algorithm `{name}`; expected one of {names}"
            ))
        })
    }
}

/// What the planner knows of a query in one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    /// Cursors: terms, or tiers of terms.
    pub cursors: usize,
    /// Postings of all of them.
    pub postings: u64,
    /// Documents asked for.
    pub k: usize,
    /// Documents of the segment.
    pub documents: u32,
}

/// The cheapest algorithm for a workload, and why.
pub(super) fn choose(workload: Workload) -> (Algorithm, String) {
    let k = workload.k as u64;
    if k.saturating_mul(2) >= workload.postings.min(u64::from(workload.documents)) {
        let why = format!(
            "k = {k} asks for most of the {} postings: nothing can be skipped",
            workload.postings
        );
        return (Algorithm::Exhaustive, why);
    }
    let why = format!(
        "{} lists with {} postings: windows cost least",
        workload.cursors, workload.postings
    );
    (Algorithm::MaxScore, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_written() {
        for algorithm in Algorithm::ALL {
            assert_eq!(
                algorithm.to_string().parse::<Algorithm>().unwrap(),
                algorithm
            );
        }
        assert!("quantum".parse::<Algorithm>().is_err());
    }
}
