//! Writing TREC runs line by line.

use std::fmt::Display;
use std::io::Write;

use super::lines::{check_id, check_name, quote};
use super::names::encoded;
use crate::error::{Error, Result};

/// Writes a TREC run query by query, without buffering it in memory.
///
/// Ids with white space or control characters would break the run, so they are percent-encoded:
/// `lava lake` is written as `lava%20lake`. [`Run::read`](super::Run::read) decodes them.
///
/// ```
/// use esparsa::eval::RunWriter;
///
/// let mut writer = RunWriter::new(Vec::new(), "bm25.run", "bm25")?;
/// writer.write_query("301", [("b", 3.5_f32), ("a", 2.0)])?;
/// let bytes = writer.finish()?;
/// assert_eq!(bytes, b"301 Q0 b 1 3.5 bm25\n301 Q0 a 2 2 bm25\n");
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Debug)]
pub struct RunWriter<W> {
    writer: W,
    file: String,
    tag: String,
}

impl<W: Write> RunWriter<W> {
    /// Starts a run; `file` is the name used in errors, `tag` the name of the system.
    ///
    /// Writes are not buffered: pass a [`std::io::BufWriter`] to write to a file.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the tag is empty or contains white space.
    pub fn new(writer: W, file: &str, tag: &str) -> Result<Self> {
        check_name("run tag", tag)?;
        Ok(Self {
            writer,
            file: file.to_owned(),
            tag: tag.to_owned(),
        })
    }

    /// Writes the results of one query, best first; ranks are counted from 1.
    ///
    /// Scores are written with enough digits to be read back exactly.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if an id is empty, a score is not finite, or a score is above the
    /// previous one: evaluation sorts by score, so it would not use the given order. [`Error::Io`]
    /// if writing fails.
    pub fn write_query<D, S>(
        &mut self,
        query: &str,
        results: impl IntoIterator<Item = (D, S)>,
    ) -> Result<()>
    where
        D: AsRef<str>,
        S: Copy + Display + Into<f64>,
    {
        let mut before = f64::INFINITY;
        for (index, (document, score)) in results.into_iter().enumerate() {
            let document = document.as_ref();
            let value: f64 = score.into();
            if value > before {
                return Err(Error::invalid(format!(
                    "expected results by descending score, found {score} after {before} \
                     at rank {} of query {}; sort them first",
                    index + 1,
                    quote(query)
                )));
            }
            before = value;
            self.write_line(query, document, index + 1, score)?;
        }
        Ok(())
    }

    /// Flushes and returns the inner writer.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if flushing fails.
    pub fn finish(mut self) -> Result<W> {
        match self.writer.flush() {
            Ok(()) => Ok(self.writer),
            Err(source) => Err(Error::io(&self.file, "write", source)),
        }
    }

    /// Writes one line; `rank` counts from 1.
    pub(super) fn write_line<S>(
        &mut self,
        query: &str,
        document: &str,
        rank: usize,
        score: S,
    ) -> Result<()>
    where
        S: Copy + Display + Into<f64>,
    {
        check_id("query id", query)?;
        check_id("document id", document)?;
        check_score(query, document, score.into())?;
        let tag = &self.tag;
        let (query, document) = (encoded(query), encoded(document));
        writeln!(self.writer, "{query} Q0 {document} {rank} {score} {tag}")
            .map_err(|source| Error::io(&self.file, "write", source))
    }
}

/// Rejects scores that are infinite or NaN.
pub(super) fn check_score(query: &str, document: &str, score: f64) -> Result<()> {
    if score.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "expected a finite score for document {} of query {}, found {score}",
        quote(document),
        quote(query)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Run;

    #[test]
    fn scores_are_written_in_the_shortest_exact_form() {
        let mut writer = RunWriter::new(Vec::new(), "r", "t").unwrap();
        writer.write_query("q", [("a", 0.1_f32)]).unwrap();
        writer
            .write_query("r", [("a", 4_000_000_007_u32), ("b", 7)])
            .unwrap();
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        assert_eq!(
            text,
            "q Q0 a 1 0.1 t\nr Q0 a 1 4000000007 t\nr Q0 b 2 7 t\n"
        );
    }

    #[test]
    fn the_writer_rejects_what_cannot_be_read_back() {
        let mut writer = RunWriter::new(Vec::new(), "r", "t").unwrap();
        assert!(writer.write_query("q", [("a", 1.0), ("b", 2.0)]).is_err());
        assert!(writer.write_query("q", [("a", f64::NAN)]).is_err());
        assert!(writer.write_query("", [("a", 1.0)]).is_err());
        assert!(RunWriter::new(Vec::new(), "r", "two words").is_err());
    }

    #[test]
    fn ids_with_white_space_or_escape_sequences_do_not_break_a_run() {
        let mut writer = RunWriter::new(Vec::new(), "r", "t").unwrap();
        let results = [("lava lake", 3.0), ("\x1b[1mid\n", 2.0), ("Who%3F", 1.0)];
        writer.write_query("a b", results).unwrap();
        let bytes = writer.finish().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert_eq!(
            text,
            "a%20b Q0 lava%20lake 1 3 t\na%20b Q0 %1B[1mid%0A 2 2 t\na%20b Q0 Who%3F 3 1 t\n"
        );
        let run = Run::read(&*bytes, "r").unwrap();
        let read = run.results("a b").unwrap().iter();
        let read: Vec<(&str, f64)> = read.map(|hit| (&*hit.document, hit.score)).collect();
        assert_eq!(read, results);
    }
}
