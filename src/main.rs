//! The door of the command line; everything behind it is in the library, in `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    esparsa::cli::main()
}
