//! The binary: everything it does is in the library `esparsa_cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    esparsa_cli::main()
}
