#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| esparsa_cli::fuzz::tsv(bytes));
