//! Which algorithm to use.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// An algorithm that finds the exact top k. All give the same documents and the same scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Every posting of every term.
    Exhaustive,
    /// WAND: skips by the upper bounds of whole lists. A baseline: never chosen by default.
    Wand,
    /// Block-max WAND: skips by the upper bounds of blocks too. A baseline: never chosen by default.
    BlockMaxWand,
    /// MaxScore with block maxima, window by window.
    MaxScore,
    /// Ranges: document numbers are divided into ranges of equal size, each term stores its max
    /// impact in every range, and the sums of these max impacts are the upper bounds of the ranges'
    /// scores. Ranges are scored in falling order of their upper bounds until the next one is too
    /// low for the top k. Only for sparse fields with
    /// [`SparseLayout::Ranges`](crate::SparseLayout::Ranges). A segment whose lists are all too
    /// short to be cut at ranges is searched by [`MaxScore`](Self::MaxScore).
    Ranges,
    /// The documents of the rarest term, looked up in the lists of the others. Only for queries
    /// that ask for [all terms](crate::Query::with_all_terms), which take it unless
    /// [`Exhaustive`](Self::Exhaustive) is asked for.
    Conjunction,
    /// The documents that a filter accepts, looked up in the lists of all terms: for filters that
    /// accept few. Only for queries with [filters](crate::Query::with_filter).
    Selective,
}

impl Algorithm {
    /// All algorithms. [`Snapshot::algorithms`](crate::Snapshot::algorithms) lists those that can
    /// search with a given query.
    pub const ALL: [Self; 7] = [
        Self::Exhaustive,
        Self::Wand,
        Self::BlockMaxWand,
        Self::MaxScore,
        Self::Ranges,
        Self::Conjunction,
        Self::Selective,
    ];

    /// The name, as [`from_str`](Self::from_str) reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exhaustive => "exhaustive",
            Self::Wand => "wand",
            Self::BlockMaxWand => "block-max-wand",
            Self::MaxScore => "max-score",
            Self::Ranges => "ranges",
            Self::Conjunction => "conjunction",
            Self::Selective => "selective",
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
    /// Postings of the rarest term, when documents must have all.
    pub rarest: Option<u64>,
}

/// An algorithm, and why it was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub algorithm: Algorithm,
    pub reason: Reason,
}

/// Why the planner chose an algorithm; [`Display`](fmt::Display) puts it into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// All terms are required.
    AllTerms { rarest: u64, postings: u64 },
    /// k is not much less than the number of documents that match.
    LargeK { k: u64, postings: u64 },
    /// There are many lists, and k is large.
    ManyLists {
        cursors: usize,
        k: u64,
        documents: u64,
    },
    /// Upper bounds may skip postings.
    BoundsSkip {
        cursors: usize,
        postings: u64,
        k: u64,
        documents: u64,
    },
    /// The lists have a bound for each range of documents.
    RangeBounds {
        cursors: usize,
        postings: u64,
        k: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllTerms { rarest, postings } => write!(
                f,
                "all terms are asked for: the {rarest} postings of the rarest are looked up in the other lists, \
                 with {postings} postings in all"
            ),
            Self::LargeK { k, postings } => write!(
                f,
                "k = {k} asks for most of the {postings} postings: nothing can be skipped"
            ),
            Self::ManyLists {
                cursors,
                k,
                documents,
            } => write!(
                f,
                "{} and k = {k} of {documents} documents: little can be skipped, and bounds would \
                 cost more",
                lists(*cursors)
            ),
            Self::BoundsSkip {
                cursors,
                postings,
                k,
                documents,
            } => write!(
                f,
                "{} with {postings} postings, k = {k} of {documents} documents: postings whose upper \
                 bounds are too low for the top k are skipped",
                lists(*cursors)
            ),
            Self::RangeBounds {
                cursors,
                postings,
                k,
            } => write!(
                f,
                "{} with {postings} postings, k = {k}: the lists are cut at ranges of documents, and \
                 each range has upper bounds",
                lists(*cursors)
            ),
        }
    }
}

fn lists(count: usize) -> String {
    match count {
        1 => "1 list".to_owned(),
        _ => format!("{count} lists"),
    }
}

/// From this number of lists on, keeping bounds for each costs as much as it saves, when k is
/// large.
const MANY_CURSORS: usize = 30;
/// k is large when it is more than one in this number of documents.
const LARGE_K_SHARE: u64 = 320;
/// Exhaustive search has an accumulator for every document, so it needs a posting for at least one
/// in this number of documents.
const SPARSE_SHARE: u64 = 8;

/// The cheapest algorithm for a workload. The costs behind it are in `benches/README.md`.
pub(super) fn choose(workload: Workload) -> Choice {
    let Workload {
        cursors,
        postings,
        k,
        documents,
        rarest,
    } = workload;
    if let Some(rarest) = rarest {
        return Choice {
            algorithm: Algorithm::Conjunction,
            reason: Reason::AllTerms { rarest, postings },
        };
    }
    let (k, documents) = (k as u64, u64::from(documents));
    let is_dense = postings * SPARSE_SHARE >= documents;
    if is_dense && k * 2 >= postings.min(documents) {
        return Choice {
            algorithm: Algorithm::Exhaustive,
            reason: Reason::LargeK { k, postings },
        };
    }
    if is_dense && cursors >= MANY_CURSORS && k * LARGE_K_SHARE >= documents {
        let reason = Reason::ManyLists {
            cursors,
            k,
            documents,
        };
        return Choice {
            algorithm: Algorithm::Exhaustive,
            reason,
        };
    }
    let reason = Reason::BoundsSkip {
        cursors,
        postings,
        k,
        documents,
    };
    Choice {
        algorithm: Algorithm::MaxScore,
        reason,
    }
}

/// As [`choose`], for lists of which some may be cut at ranges.
pub(super) fn choose_sparse(workload: Workload, is_cut: bool) -> Choice {
    if !is_cut || workload.rarest.is_some() {
        return choose(workload);
    }
    let Workload {
        cursors,
        postings,
        k,
        ..
    } = workload;
    let reason = Reason::RangeBounds {
        cursors,
        postings,
        k,
    };
    Choice {
        algorithm: Algorithm::Ranges,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_follow_the_measured_costs() {
        let choose = |cursors, postings, k, documents| {
            super::choose(Workload {
                cursors,
                postings,
                k,
                documents,
                rarest: None,
            })
            .algorithm
        };
        // Figures of `benches/README.md`: the cheaper of the two there.
        assert_eq!(choose(120, 406_512, 10, 300_000), Algorithm::MaxScore);
        assert_eq!(choose(120, 406_512, 1_000, 300_000), Algorithm::Exhaustive);
        assert_eq!(choose(5, 21_000, 10, 59_980), Algorithm::MaxScore);
        assert_eq!(choose(5, 21_000, 1_000, 59_980), Algorithm::MaxScore);
        // A rare word in many documents must not pay for all of them.
        assert_eq!(choose(1, 10, 10, 1_000_000), Algorithm::MaxScore);
        assert_eq!(choose(2, 50, 100, 60), Algorithm::Exhaustive);
    }

    #[test]
    fn one_list_is_singular() {
        let reason = |cursors| {
            let workload = Workload {
                cursors,
                postings: 122,
                k: 10,
                documents: 1_000,
                rarest: None,
            };
            super::choose(workload).reason.to_string()
        };
        assert!(reason(1).starts_with("1 list with 122 postings"));
        assert!(reason(2).starts_with("2 lists with 122 postings"));
    }

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
