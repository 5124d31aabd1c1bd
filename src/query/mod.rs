//! Queries: from words or weights to the exact top k of a snapshot.
//!
//! A [`Query`] and a [`Snapshot`](crate::Snapshot) come in, [`Hits`] go out. Nothing here reads
//! bytes: postings come through cursors over the lists that `segment` opened. All algorithms return
//! the same documents with bit-equal scores: a document's score is the sum of its terms'
//! contributions in the query's term order, which is fixed when the query is prepared (the highest
//! weight first), and ties go to the lower [`DocAddress`](crate::DocAddress).
//!
//! A file imports only files above it in this table.
//!
//! | file | concept |
//! | --- | --- |
//! | `simd` | vector instructions: sums above a threshold, bounds and scores of ranges, inner products |
//! | `score` | types of scores, and safe comparisons with bounds |
//! | `window` | one accumulator for each document of a window of documents |
//! | `cursor` | the trait that algorithms are written against, and moving through blocks |
//! | `text_cursor`, `sparse_cursor` | contributions and bounds of the two kinds of fields; a sparse one is a `tier_cursor` or a `range_cursor` |
//! | `plan` | [`Algorithm`], and which one to use, from measured costs |
//! | `result` | [`Hits`], [`SearchResult`], [`SearchStatistics`] |
//! | `shared_threshold`, `top_k` | the best documents so far, and one threshold for all threads of a query |
//! | `part` | parts of segments, searched in parallel |
//! | `accept` | which documents a search may return: live ones, and those that a filter accepts |
//! | `effort` | how much of an approximate query is worked on |
//! | `options` | [`SearchOptions`] |
//! | `request` | [`Query`] |
//! | `json` | queries as JSON |
//! | `language`, `parse` | the query language for people: its syntax, and what it means in an index |
//! | `leaf` | a query on one field, and the task of searching a part of a segment |
//! | `exhaustive`, `wand`, `block_max_wand`, `max_score`, `single_list`, `conjunction`, `selective`, `ranges` | one algorithm each; `ranges` works on lists that are cut at ranges, not on cursors |
//! | `cursor_search` | a segment searched by the planner's algorithm |
//! | `lists` | the documents of lists, without scores |
//! | `look_up` | the query's terms in the dictionaries of all segments |
//! | `explanation` | where a score comes from, as data |
//! | `text_terms` | the words of a query in a field and its segments |
//! | `text_documents` | which documents have the words of a query, without scores |
//! | `patterns`, `matching_terms` | patterns of terms as automata, and the documents with such terms |
//! | `in_field`, `matching`, `conditions` | what documents must have in a field, which documents match a query, and queries of conditions alone |
//! | `phrase_places` | the words of a phrase, and which positions are an occurrence |
//! | `text`, `sparse`, `dense` | one kind of query each; `sparse_terms` and `sparse_weights` prepare the weights of a sparse query |
//! | `tree` | queries that are made of others, over cursors of all kinds of fields |
//! | `threads` | one query on several threads |
//! | `run` | the segments one after another, or on several threads |
//! | `prepare` | from a query to its leaf: the list of all kinds of queries |
//! | `capabilities` | which algorithms and options a field can honour; others are refused |
//! | `histogram` | intervals of numbers and of the calendar |
//! | `sort`, `facets` | hits in the order of columns, and counts of their values |
//! | `high_scores` | counts of the documents whose scores are high enough |
//! | `suggest` | completions of prefixes, and corrections of misspelled words |
//! | `marks` | the words of a text that a query looks for |
//! | `search`, `batch`, `explain`, `highlight`, `snippet`, `calibrate` | the methods of [`Snapshot`](crate::Snapshot) |
//! | `delete` | deleting what matches a query |

mod accept;
mod batch;
mod block_max_wand;
mod calibrate;
mod capabilities;
mod conditions;
mod conjunction;
mod cursor;
mod cursor_search;
mod delete;
mod dense;
mod effort;
mod exhaustive;
mod explain;
mod explanation;
mod facets;
mod high_scores;
mod highlight;
mod histogram;
mod in_field;
mod json;
mod language;
mod leaf;
mod lists;
mod look_up;
mod marks;
mod matching;
mod matching_terms;
mod max_score;
mod options;
mod parse;
mod part;
mod patterns;
mod phrase_places;
mod plan;
mod prefetch;
mod prepare;
mod range_cursor;
mod ranges;
mod request;
mod result;
mod run;
mod score;
mod search;
mod selective;
mod shared_threshold;
mod simd;
mod single_list;
mod snippet;
mod sort;
mod sparse;
mod sparse_cursor;
mod sparse_terms;
mod sparse_weights;
mod suggest;
mod text;
mod text_cursor;
mod text_documents;
mod text_terms;
mod threads;
mod tier_cursor;
mod top_k;
mod tree;
mod wand;
mod window;

#[cfg(any(test, feature = "internals"))]
pub use accept::Filter;
pub use explanation::{ClauseExplanation, Explanation, TermExplanation};
pub use facets::{ColumnStatistics, Facet, FacetResult};
pub use histogram::Interval;
pub use options::SearchOptions;
pub use parse::QueryParser;
pub use plan::Algorithm;
pub use request::Query;
pub use result::{Hit, Hits, Iter as HitsIter, MatchCount, SearchResult, SearchStatistics};
pub use snippet::{Snippet, SnippetOptions};
pub use sort::Sort;
pub use suggest::{Completion, CorrectedWord, Correction, Suggestion};
