//! The tests of the library from the outside, as one binary: linking many takes most of the time.

mod all_terms;
mod analyzers;
mod approximate;
mod child;
#[cfg(feature = "neural")]
mod close;
mod collections;
mod commits;
mod concurrency;
mod conditions;
mod contents;
mod copies;
mod corruption;
mod crash;
#[cfg(feature = "neural")]
mod decoder_scores;
mod dense;
mod eval_reference;
mod every_bit;
mod filters;
mod golden;
mod hostile;
mod index_lifecycle;
mod kills;
mod language;
mod lazy_executor;
mod lies;
mod limits;
mod lost_update;
mod min_score;
#[cfg(feature = "neural")]
mod minilm;
#[cfg(feature = "neural")]
mod neural_models;
#[cfg(feature = "neural")]
mod neural_parity;
#[cfg(feature = "neural")]
mod neural_tokens;
#[cfg(feature = "object-store")]
mod object_store;
mod only_segments;
mod oracle;
mod public_api;
mod query_threads;
mod random;
mod rank;
mod released;
mod reseal;
mod scored;
mod untrusted;
mod walk;
