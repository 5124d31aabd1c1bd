//! Bytes as a schema: what is read is written to something that reads the same.
#![no_main]

use esparsa::Schema;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(schema) = Schema::decode(bytes) {
        assert_eq!(Schema::decode(&schema.encode()), Ok(schema));
    }
});
