//! The fuzz targets of the command line on their kept corpora, as `tests/fuzz` of the library has them
//! for its own.

mod replay;
mod seeds;

/// One test for each target.
macro_rules! replay {
    ($($target:ident),* $(,)?) => {
        $(
            #[test]
            fn $target() {
                replay::replay(stringify!($target), esparsa_cli::fuzz::$target);
            }
        )*
    };
}

replay!(ciff, compressed, http, json_lines, trec, tsv);
