//! The fuzz targets of the command line on their kept corpora, as `tests/fuzz` of the library has them
//! for its own.

#[path = "../../../tests/fuzz/replay.rs"]
mod replay;
mod seeds;

use std::path::Path;

/// One test for each target, and a list of them.
macro_rules! targets {
    ($($target:ident),* $(,)?) => {
        $(
            #[test]
            fn $target() {
                replay::replay((stringify!($target), esparsa_cli::fuzz::$target));
            }
        )*

        const ALL: &[replay::Target] = &[$((stringify!($target), esparsa_cli::fuzz::$target)),*];
    };
}

targets!(ciff, compressed, http, json_lines, trec, tsv);

#[test]
fn valid_inputs_pass() {
    let working = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    replay::seed(ALL, seeds::all(), &working);
}
