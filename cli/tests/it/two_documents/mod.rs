//! An index of two documents, as text and as vectors.

use std::io::Write;

use serde_json::Value;

use crate::command::Scratch;

pub const LINES: &str = r#"{"_id":"etna","title":"Etna","text":"A volcano in Sicily."}
{"_id":"garda","title":"Garda","text":"A lake below the Alps."}
"#;

pub const VECTORS: &str = r#"{"id":"etna","contents":"A volcano in Sicily.","vector":{"lava":3.0,"ash":1.5}}
{"id":"garda","contents":"A lake below the Alps.","vector":{"water":2.0}}
"#;

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A folder with an index `index` of the two documents, and their file `two.jsonl`.
pub fn indexed(lines: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("two.jsonl", lines);
    scratch.run("index two.jsonl --index index").done();
    scratch
}
