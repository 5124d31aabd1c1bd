//! Vectors as lines of JSON.

use std::fmt::Write;

use esparsa::backend::SparseVector;
use esparsa::neural::SparseTextEncoder;
use esparsa::{Error, Result};

/// How vectors of one kind are written.
pub trait Format<V>: Sync {
    /// Adds the JSON value of a vector to a line.
    fn write(&self, vector: &V, line: &mut String);
}

/// Dense vectors: arrays of numbers, each with the fewest digits that read back as the same number.
pub struct DenseFormat;

impl Format<Vec<f32>> for DenseFormat {
    fn write(&self, vector: &Vec<f32>, line: &mut String) {
        line.push('[');
        for (place, number) in vector.iter().enumerate() {
            if place > 0 {
                line.push(',');
            }
            push_number(*number, line);
        }
        line.push(']');
    }
}

/// Sparse vectors: objects of term to weight, in the order of the vocabulary.
pub struct SparseFormat {
    /// Each term of the vocabulary as a JSON string.
    names: Vec<String>,
}

impl SparseFormat {
    /// The terms of a model.
    pub fn of(encoder: &dyn SparseTextEncoder) -> Self {
        let names = encoder.terms().into_iter().map(|name| json_string(&name));
        Self {
            names: names.collect(),
        }
    }
}

impl Format<SparseVector> for SparseFormat {
    fn write(&self, vector: &SparseVector, line: &mut String) {
        line.push('{');
        for (place, (term, weight)) in vector.iter().enumerate() {
            if place > 0 {
                line.push(',');
            }
            // Terms of a vector are below the vocabulary's length.
            let name = self.names.get(*term as usize);
            line.push_str(name.map_or("\"\"", String::as_str));
            line.push(':');
            push_number(*weight, line);
        }
        line.push('}');
    }
}

/// A line with a vector, and the line feed.
pub fn line<V>(id: &str, vector: &V, format: &impl Format<V>) -> String {
    let mut line = format!("{{\"id\":{},\"vector\":", json_string(id));
    format.write(vector, &mut line);
    line.push_str("}\n");
    line
}

/// The id and the vector of a line.
///
/// # Errors
///
/// [`Error::InvalidInput`] when it has none.
pub fn read_line(line: &str) -> Result<(String, serde_json::Value)> {
    #[derive(serde::Deserialize)]
    struct Line {
        id: String,
        vector: serde_json::Value,
    }
    let line: Line = serde_json::from_str(line).map_err(|error| {
        Error::invalid(format!("expected a line with `id` and `vector`: {error}"))
    })?;
    Ok((line.id, line.vector))
}

/// `Display` writes the shortest decimal that reads back as the same number, without an exponent:
/// valid JSON.
fn push_number(number: f32, line: &mut String) {
    // Writing to a string does not fail.
    let _ = write!(line, "{number}");
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_they_were() {
        let vector = vec![
            0.1,
            -2.0,
            1e-9,
            3.402_823_5e38,
            0.333_333_34,
            f32::MIN_POSITIVE,
            -0.0,
        ];
        let line = line("a\"b", &vector, &DenseFormat);
        assert!(
            line.starts_with(r#"{"id":"a\"b","vector":[0.1,-2,0.000000001,"#),
            "{line}"
        );
        let (id, value) = read_line(&line).unwrap();
        assert_eq!(id, "a\"b");
        let read: Vec<f32> = serde_json::from_value(value).unwrap();
        assert_eq!(read, vector);
    }

    #[test]
    fn terms_are_written_by_name() {
        let names = ["[PAD]", "lava", "##\"s"].map(json_string).to_vec();
        let terms = SparseFormat { names };
        let line = line("7", &vec![(1, 2.5), (2, 0.25)], &terms);
        assert_eq!(
            line,
            "{\"id\":\"7\",\"vector\":{\"lava\":2.5,\"##\\\"s\":0.25}}\n"
        );
        assert_eq!(
            super::line("8", &Vec::new(), &terms),
            "{\"id\":\"8\",\"vector\":{}}\n"
        );
    }

    #[test]
    fn other_lines_are_errors() {
        for line in ["", "{}", r#"{"id":"a"}"#, r#"{"id":"a","vector":[1"#] {
            assert!(read_line(line).is_err(), "{line}");
        }
    }
}
