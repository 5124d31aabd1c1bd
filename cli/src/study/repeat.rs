//! Sparse vectors as texts, in which each term is repeated by its weight.
//!
//! Engines that have an index of words alone are given learned sparse vectors in this way, as by the
//! "fake words" of Anserini. BM25 then saturates what were weights.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use esparsa::{Error, Result};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// More repetitions of a word change no rank and take memory.
const MAX_REPEATS: f32 = 10_000.0;

/// What `esparsa encode` writes of a text.
#[derive(Deserialize)]
struct Encoded {
    id: String,
    vector: BTreeMap<String, f32>,
}

/// What `esparsa index` and `esparsa search` read.
#[derive(Serialize)]
struct Repeated {
    #[serde(rename = "_id")]
    id: String,
    text: String,
}

/// Writes a text of each vector of a file.
///
/// # Errors
///
/// [`Error::Io`], and [`Error::InvalidInput`] for a line that is no vector.
pub(super) fn write(vectors: &Path, repeats: f32, to: &Path) -> Result<()> {
    let read = |source| Error::io(vectors, "read", source);
    let failed = |source| Error::io(to, "write", source);
    let lines = BufReader::new(File::open(vectors).map_err(read)?).lines();
    let mut output = BufWriter::new(File::create(to).map_err(failed)?);
    for (line, number) in lines.zip(1..) {
        let encoded: Encoded = serde_json::from_str(&line.map_err(read)?).map_err(|error| {
            let message = format!("expected a vector, found {error}");
            Error::invalid(message).at_line(vectors.display().to_string(), number)
        })?;
        let repeated = Repeated {
            text: text(&encoded.vector, repeats),
            id: encoded.id,
        };
        let line = serde_json::to_string(&repeated).map_err(|error| failed(error.into()))?;
        writeln!(output, "{line}").map_err(failed)?;
    }
    output.flush().map_err(failed)
}

fn text(vector: &BTreeMap<String, f32>, repeats: f32) -> String {
    let mut text = String::new();
    for (term, weight) in vector {
        // No analyzer may cut or change a word piece.
        let word = format!("t{:016x} ", xxh3_64(term.as_bytes()));
        // A term that is there stays.
        let count = (weight * repeats).round().clamp(1.0, MAX_REPEATS) as usize;
        (0..count).for_each(|_| text.push_str(&word));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_repeated_by_their_weight_and_none_is_lost() {
        let vector = BTreeMap::from([("##s".to_owned(), 0.01), ("tea".to_owned(), 2.04)]);
        let text = text(&vector, 10.0);
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words.len(), 21);
        let first = words.iter().filter(|word| **word == words[0]).count();
        assert!(first == 1 || first == 20);
    }
}
