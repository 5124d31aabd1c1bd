//! Bytes as a schema: what is read is written to something that reads the same.
use esparsa::Schema;
use esparsa::internals::format::Section;

pub fn run(bytes: &[u8]) {
    let read = |bytes: &[u8]| Schema::read(&Section::from_bytes("schema", bytes.to_vec()));
    if let Ok(schema) = read(bytes) {
        assert_eq!(read(&schema.encode()).unwrap(), schema);
    }
}
