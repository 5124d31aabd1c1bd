//! One ranking from several: score normalization, fusion and re-ranking.
//!
//! What comes in: for one query, the ranked lists of several systems or of several fields of one
//! index, as pairs of document and score, as [`Hit`](crate::query::Hit)s, or as whole
//! [`Run`](crate::eval::Run)s. What goes out: one ranked list, or one run. Invariant: nothing here
//! reads an index or a file, or looks at a judgement, and only [`Hybrid`] searches; the result
//! depends on documents, scores and weights alone, never on the order of a hash table.
//!
//! ```
//! use esparsa::rank::{Fusion, Normalization};
//!
//! let words = [("etna", 12.5), ("po", 9.0), ("arno", 3.0)];
//! let vectors = [("po", 0.83), ("garda", 0.80), ("etna", 0.43)];
//! let lists = [words, vectors];
//!
//! let fused = Fusion::reciprocal_rank().fuse(&lists)?;
//! assert_eq!(fused[0], ("po", 1.0 / 62.0 + 1.0 / 61.0));
//!
//! let fusion = Fusion::weighted_sum(Normalization::MinMax).weights([0.7, 0.3]).k(2);
//! let fused: Vec<&str> = fusion.fuse(&lists)?.into_iter().map(|(document, _)| document).collect();
//! assert_eq!(fused, ["po", "etna"]);
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! # Methods
//!
//! A list holds documents best first, `s` is the score of a document in it after normalization, `w`
//! the weight of the list, and `rank` counts from 1.
//!
//! | method | score of a document | a list that lacks it |
//! | --- | --- | --- |
//! | reciprocal rank (Cormack, Clarke and Büttcher, SIGIR 2009) | sum of `w / (k + rank)` | adds nothing |
//! | weighted sum; with all weights 1 CombSUM (Fox and Shaw, TREC-2) | sum of `w · s` | adds `w` times what [`Missing`] says |
//! | CombMNZ (Fox and Shaw), weighted as WMNZ (Wu and Crestani, CIKM 2002) | sum of `s` times sum of `w` | adds to neither |
//! | CombMAX (Fox and Shaw) | max of `w · s` | is ignored |
//!
//! A list without results lacks every document. A list of weight 0 is ignored as if it had not been
//! passed: documents that no other list holds are not in the result, and neither are queries that
//! no other run holds.
//!
//! # Normalizations, and what a missing document gets
//!
//! | normalization | `s` of a list with scores `x` | range | 0, the score of a missing document, means |
//! | --- | --- | --- | --- |
//! | none | `x` | any | nothing in particular: right where every score is above 0, such as BM25 |
//! | min-max | `(x - min) / (max - min)` | 0 to 1 | as the last document of the list |
//! | sum | `(x - min) / sum of (x - min)` | 0 to 1 | as the last document of the list |
//! | z-score | `(x - mean) / standard deviation` | about -3 to 3 | as an average document of the list |
//! | sigmoid | `1 / (1 + e^-x)` | 0 to 1 | as a score of minus infinity |
//! | rank | `1 - (rank - 1) / length` | above 0, to 1 | one step after the last document |
//!
//! Min-max, sum and z-score are the Standard, Sum and ZMUV of Montague and Aslam (CIKM 2001). Two
//! ways to score a missing document are in use, and a weighted sum takes either: [`Missing::Zero`],
//! the default, is what metasearch and `ranx` do; [`Missing::Lowest`] is the lowest normalized
//! score of that list, as sums of raw sparse and dense scores commonly do. They are the same under
//! min-max and sum. Under z-score and under none with scores below 0, zero ranks a document that a
//! list lacks above documents that it holds: prefer [`Missing::Lowest`] there.
//!
//! # Which normalization suits
//!
//! Z-score or min-max for re-ranking with a model that knows the language; sum where it may not,
//! because a model that cannot tell documents apart gives flat scores, and sum lets these weigh
//! little. Methods that use ranks alone trust a bad model as much as a good one. The sigmoid is for
//! logits: BM25's scores are far above 0, where it is 1 for all of them. The measurements behind
//! this are in `benches/README.md`, section "Fusion and re-ranking".
//!
//! # Edges
//!
//! - Where all scores of a list are equal, and so where it has one document, min-max and z-score
//!   give 1, and sum gives 1 over their number: the documents were found, and 0 is what a missing
//!   document gets. [`Missing::Lowest`] is 0 for such a list, unless scores are not normalized.
//! - Ranks within equal scores are those of the list. In a run that is the order that evaluation
//!   uses.
//! - Results are ordered by descending score, compared as 32-bit numbers as evaluation does. Ties
//!   go to the lower [`DocAddress`](crate::DocAddress) among hits, as in search; to the higher
//!   document name in runs, as in evaluation.
//! - Scores that are not finite, or beyond ±[`MAX_SCORE`], are refused.
//!
//! # Beside `ranx`
//!
//! The tests hold every method and normalization that is also in `ranx` 0.3.21 to its figures,
//! within 1e-6. It differs in these points:
//!
//! - Where all scores of a list are equal, its min-max, sum and zmuv give 0, as if nothing had been
//!   found.
//! - It divides by at least 1e-9, so that scores closer together than that do not fill the range.
//!   Here they do.
//! - It keeps the documents of a list of weight 0, with score 0 if no other list has them.
//! - It refuses runs that lack a query of another, and its z-score loses other queries where a list
//!   is empty. Here a run that lacks a query has an empty list for it, and an empty list is a list
//!   like any other.
//! - Among equal scores its ranks are those of an unstable sort.
//!
//! It has no sigmoid, and no weights for reciprocal rank and CombMAX.

// | file | concept |
// | --- | --- |
// | `normalize` | `Normalization`: the scores of one list on a scale of their own |
// | `method` | `Method` and `Missing`: how the scores of a document in several lists become one |
// | `fusion` | `Fusion`: weights, and the fusion of lists for one query |
// | `candidates` | the scores of each document in all lists |
// | `hits` | `Fusion::fuse_hits`: results of several searches in one snapshot |
// | `hybrid` | `Hybrid`: several queries in one request |
// | `rerank` | `Scorer` and `rerank()`: hits scored again by something that reads them |
// | `runs` | `Fusion::fuse_runs` and `Normalization::normalize_run` |

mod candidates;
mod fusion;
mod hits;
mod hybrid;
mod method;
mod normalize;
mod rerank;
mod runs;

pub use fusion::Fusion;
pub use hybrid::Hybrid;
pub use method::{Method, Missing};
pub use normalize::{MAX_SCORE, Normalization};
pub use rerank::rerank;

pub use crate::scorer::Scorer;
