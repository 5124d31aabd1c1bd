//! The tests of the binary from the outside, as one binary: linking many takes most of the time.

mod bad_input;
mod cli_dense;
mod cli_fuse;
mod cli_neural_index;
mod columns;
mod command;
#[cfg(feature = "cuda")]
mod cuda_compile;
mod demo;
mod encode;
mod encode_resume;
mod index_input;
mod index_resume;
mod inspect_and_check;
mod maintenance;
mod measurement;
mod rerank;
mod search_failures;
mod search_file;
mod search_fixture;
mod search_query;
mod serve;
mod serve_judged;
mod serve_limits;
mod serve_malformed;
mod serve_models;
mod serve_refusals;
mod served;
mod small_models;
mod study;
mod suggest;
mod train;
mod two_documents;
mod usage;
