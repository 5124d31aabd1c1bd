#![no_main]

#[path = "../../tests/fuzz/targets/range_list.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::run(bytes));
