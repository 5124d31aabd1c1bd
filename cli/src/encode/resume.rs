//! Continuing an interrupted output: the vectors that a file already holds are matched with the
//! inputs.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use esparsa::{Error, Result};
use serde_json::Value;

use super::lines::read_line;
use crate::input::Record;
use crate::output_file::{OutputFile, PartialFile};
use crate::records::Records;

/// Bytes read at a time while searching for the last line feed of a file.
const STEP: u64 = 1 << 16;
/// Vectors of one model differ less than this between CPUs; relative for values above 1.
const TOLERANCE: f64 = 5e-5;

/// A partial file that ends with a complete line, to be continued from there.
pub struct ResumedOutput {
    partial: PartialFile,
    name: String,
}

/// What the file holds.
#[derive(Debug)]
pub struct Found {
    /// Documents that it holds.
    pub documents: u64,
    /// Records of the input before the last of these that the file lacks.
    pub skipped: u64,
    /// The first document and its vector.
    pub first: Option<(Record, Value)>,
}

impl ResumedOutput {
    /// Opens the partial or the finished output for `path`, and truncates it after the last line
    /// feed.
    ///
    /// # Errors
    ///
    /// Those of [`PartialFile::resume`].
    pub fn open(path: &Path) -> Result<Self> {
        let mut partial = PartialFile::resume(path)?;
        let cut = cut_after_last_line(partial.file());
        cut.map_err(|source| Error::io(path, "cut", source))?;
        let name = partial.source().display().to_string();
        Ok(Self { partial, name })
    }

    /// Name of the file in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Consumes the documents from `records` that the file holds.
    ///
    /// Documents of the input that the file lacks were skipped by the previous run; unless `skips`,
    /// they are errors.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the file holds something else than vectors of these inputs'
    /// documents, in their order; [`Error::Io`].
    pub fn pass_over(&mut self, records: &mut Records, skips: bool) -> Result<Found> {
        let mut found = Found {
            documents: 0,
            skipped: 0,
            first: None,
        };
        let mut lines = BufReader::new(self.partial.file());
        let mut line = String::new();
        loop {
            line.clear();
            let read = lines.read_line(&mut line);
            if read.map_err(|source| Error::io(&self.name, "read", source))? == 0 {
                return Ok(found);
            }
            let number = found.documents + 1;
            let at_line = |error: Error| error.at_line(&*self.name, number);
            let (id, vector) = read_line(&line).map_err(at_line)?;
            let record = next_named(&id, records, skips, &mut found.skipped).map_err(at_line)?;
            found.documents = number;
            found.first.get_or_insert((record, vector));
        }
    }

    /// The output, positioned at its end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn into_output(mut self) -> Result<OutputFile> {
        match self.partial.file().seek(SeekFrom::End(0)) {
            Ok(_) => OutputFile::from_partial(self.partial),
            Err(source) => Err(Error::io(self.name, "seek", source)),
        }
    }
}

/// The next record with this id; those before it are counted.
fn next_named(id: &str, records: &mut Records, skips: bool, skipped: &mut u64) -> Result<Record> {
    for read in records {
        match read.record {
            Ok(record) if record.id == id => return Ok(record),
            Ok(record) if !skips => {
                return Err(Error::invalid(format!(
                    "expected the vector of `{}`, the next document of the input, found that of `{id}`; name the same inputs \
                     as before, or omit --resume to start over",
                    record.id
                )));
            }
            // The previous run skipped the duplicate too; with `--on-duplicate fail` it would have
            // ended here.
            Err(_) if read.is_duplicate => *skipped += 1,
            Err(error) if !skips || !error.is_input() => return Err(error),
            Ok(_) | Err(_) => *skipped += 1,
        }
    }
    Err(Error::invalid(format!(
        "expected the vector of a document of the input, found that of `{id}`; name the same inputs as before, or omit \
         --resume to start over"
    )))
}

/// True if two vectors are equal up to rounding. A term that an object lacks has weight 0.
pub fn are_close(one: &Value, other: &Value) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0);
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(a, b)| near(number(a), number(b)))
        }
        (Value::Object(one), Value::Object(other)) => one.keys().chain(other.keys()).all(|key| {
            let weight = |object: &serde_json::Map<_, _>| object.get(key).map_or(0.0, number);
            near(weight(one), weight(other))
        }),
        _ => false,
    }
}

fn cut_after_last_line(file: &mut File) -> std::io::Result<()> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut bytes = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        bytes.clear();
        file.by_ref().take(end - start).read_to_end(&mut bytes)?;
        if let Some(place) = bytes.iter().rposition(|byte| *byte == b'\n') {
            end = start + place as u64 + 1;
            break;
        }
        end = start;
    }
    file.set_len(end)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::input::{Ids, InputFormat, OnDuplicate, Reader, Source};
    use serde_json::json;

    fn resumed(text: &str) -> (tempfile::TempDir, ResumedOutput) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.jsonl");
        fs::write(&path, text).unwrap();
        let resumed = ResumedOutput::open(&path).unwrap();
        (folder, resumed)
    }

    fn records(folder: &tempfile::TempDir, text: &str) -> Records {
        let path = folder.path().join("in.jsonl");
        fs::write(&path, text).unwrap();
        Records::new(Reader::open(&[path], InputFormat::Auto).unwrap())
    }

    #[test]
    fn a_file_is_cut_behind_its_last_line_feed_and_written_on_from_there() {
        let long = "x".repeat(3 * STEP as usize);
        let cases = [
            ("", ""),
            ("half", ""),
            ("a\nb\n", "a\nb\n"),
            ("a\nb", "a\n"),
            (&*long, ""),
            (&*format!("a\n{long}"), "a\n"),
        ];
        for (before, after) in cases {
            let (folder, resumed) = resumed(before);
            let mut output = resumed.into_output().unwrap();
            output.write_all(b"end\n").unwrap();
            output.finish().unwrap();
            let text = fs::read_to_string(folder.path().join("vectors.jsonl")).unwrap();
            assert_eq!(text, format!("{after}end\n"));
        }
    }

    #[test]
    fn documents_that_are_there_are_taken_from_the_input() {
        let (folder, mut resumed) =
            resumed("{\"id\":\"a\",\"vector\":[1]}\n{\"id\":\"c\",\"vector\":[2]}\n{\"id\":\"d");
        let input = "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{}\n{\"id\":\"c\"}\n{\"id\":\"d\"}\n";
        let mut rest = records(&folder, input);
        let found = resumed.pass_over(&mut rest, true).unwrap();
        assert_eq!((found.documents, found.skipped), (2, 2));
        let (record, vector) = found.first.unwrap();
        assert_eq!((&*record.id, vector), ("a", json!([1])));
        assert_eq!(rest.next().unwrap().record.unwrap().id, "d");
    }

    #[test]
    fn duplicates_that_were_skipped_are_passed_over() {
        let (folder, mut resumed) =
            resumed("{\"id\":\"a\",\"vector\":[1]}\n{\"id\":\"b\",\"vector\":[2]}\n");
        let path = folder.path().join("in.jsonl");
        let ids = ["a", "a", "b", "a", "c"].map(|id| format!("{{\"id\":\"{id}\"}}\n"));
        fs::write(&path, ids.concat()).unwrap();
        let reader = Reader::open(&[path], InputFormat::Auto).unwrap();
        let source = Source::new(Vec::new(), reader);
        let mut rest = Records::of(source, Ids::new(OnDuplicate::Skip));
        let found = resumed.pass_over(&mut rest, false).unwrap();
        assert_eq!((found.documents, found.skipped), (2, 1));
        assert!(rest.next().unwrap().is_duplicate);
        assert_eq!(rest.next().unwrap().record.unwrap().id, "c");
    }

    #[test]
    fn a_file_of_other_inputs_is_refused() {
        let (folder, mut resumed) =
            resumed("{\"id\":\"a\",\"vector\":[1]}\n{\"id\":\"x\",\"vector\":[2]}\n");
        let mut rest = records(&folder, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
        let error = resumed.pass_over(&mut rest, false).unwrap_err().to_string();
        assert!(
            error.contains("vectors.jsonl:2: expected the vector of `b`"),
            "{error}"
        );
        let (folder, mut resumed) = self::resumed("{\"id\":\"x\",\"vector\":[2]}\n");
        let mut rest = records(&folder, "{\"id\":\"a\"}\n");
        let error = resumed.pass_over(&mut rest, true).unwrap_err().to_string();
        assert!(error.contains("found that of `x`"), "{error}");
    }

    #[test]
    fn vectors_are_close_if_they_differ_by_rounding_alone() {
        assert!(are_close(&json!([0.5, -3]), &json!([0.500001, -3.0])));
        assert!(!are_close(&json!([0.5]), &json!([0.501])));
        assert!(!are_close(&json!([0.5]), &json!([0.5, 0.5])));
        assert!(are_close(
            &json!({"a": 1.5, "b": 0.000001}),
            &json!({"a": 1.5})
        ));
        assert!(!are_close(&json!({"a": 1.5}), &json!({"b": 1.5})));
        assert!(!are_close(&json!([1]), &json!({"a": 1})));
    }
}
