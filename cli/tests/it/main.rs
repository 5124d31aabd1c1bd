//! The tests of the binary from the outside, as one binary: linking many takes most of the time.

mod bad_input;
mod cli;
mod cli_dense;
mod cli_fuse;
mod cli_neural;
mod cli_neural_index;
mod cli_search;
mod command;
