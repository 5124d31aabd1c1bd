//! Queries: from words or weights to the exact top k of a snapshot.
//!
//! A [`Query`] and a [`Snapshot`](crate::Snapshot) come in, [`Hit`]s go out. Nothing here reads bytes: postings
//! come through cursors over the lists that `segment` opened. All algorithms return the same
//! documents with bit-equal scores: a document's score is the sum of its terms' contributions in the query's term order,
//! which is fixed when the query is prepared (the weightiest term first), and ties go to the lower
//! [`DocAddress`](crate::DocAddress).
//!
//! | file | concept |
//! | --- | --- |
//! | `request` | [`Query`], [`SearchOptions`] |
//! | `capabilities` | which algorithms and options a field can honour; others are refused |
//! | `prepare` | terms, weights and statistics of a query on a snapshot |
//! | `sparse_weights` | the weights of a sparse query as integers, for impacts of any exponent |
//! | `score` | numbers that scores are made of, and safe comparisons with bounds |
//! | `cursor` | the trait that algorithms are written against, and moving through blocks |
//! | `text_cursor`, `sparse_cursor` | contributions and bounds of the two kinds of fields; a sparse one is a `tier_cursor` or a `range_cursor` |
//! | `top_k` | the best documents so far |
//! | `window` | one sum for each document of a stretch of documents |
//! | `exhaustive`, `wand`, `block_max_wand`, `max_score`, `ranges` | one algorithm each; `ranges` works on lists that are cut at ranges, not on cursors |
//! | `conjunction` | the algorithm for queries that ask for all terms |
//! | `dense` | every vector of a dense field |
//! | `simd` | vector instructions: good sums of a window, bounds and scores of ranges, inner products |
//! | `plan` | which algorithm, from measured costs |
//! | `search` | a snapshot's segments, one after another, with one threshold |
//! | `part`, `threads`, `shared_threshold` | one query on several threads: parts of segments, who searches them, and one threshold for all |
//! | `batch` | many queries on several threads |
//! | `explain` | where a score comes from |
//! | `highlight` | where a text matches |

mod batch;
mod block_max_wand;
mod calibrate;
mod capabilities;
mod conjunction;
mod cursor;
mod dense;
mod effort;
mod exhaustive;
mod explain;
mod highlight;
mod max_score;
mod part;
mod plan;
mod prepare;
mod range_cursor;
mod ranges;
mod request;
mod score;
mod search;
mod segment_search;
mod shared_threshold;
mod simd;
mod sparse_cursor;
mod sparse_weights;
mod text_cursor;
mod threads;
mod tier_cursor;
mod top_k;
mod wand;
mod window;

pub use explain::{Explanation, TermExplanation};
pub use plan::Algorithm;
pub use request::{Query, SearchOptions};
pub use search::{Hit, SearchResult, SearchStatistics};
