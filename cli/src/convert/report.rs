//! The report of a conversion: what was written, and what was left out and why.

use std::fmt;

use esparsa::{Error, Result};
use serde::Serialize;

use super::Options;
use super::layout::Part;
use crate::index::{Problem, Problems};
use crate::input::OnDuplicate;
use crate::output;
use crate::progress::Progress;
use crate::search::report::print_line;
use crate::size::counted;

/// Why something is left out, with the noun that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reason {
    pub what: &'static str,
    pub why: &'static str,
}

/// Things of one kind that are left out.
#[derive(Debug, Serialize)]
struct LeftOut {
    #[serde(flatten)]
    reason: Reason,
    count: u64,
    /// The first of them, with file and line.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
}

/// What was written of a part.
#[derive(Debug, Serialize)]
struct PartReport {
    part: &'static str,
    queries: u64,
    judgements: u64,
}

/// Counts what is written and what is left out, and applies the policies for both.
#[derive(Debug)]
pub(super) struct Report {
    is_strict: bool,
    is_json: bool,
    output: String,
    problems: Problems,
    left_out: Vec<LeftOut>,
    parts: [PartReport; Part::ALL.len()],
    pub documents: u64,
    pub queries: u64,
}

impl Report {
    /// Nothing yet.
    pub fn new(options: &Options) -> Self {
        Self {
            is_strict: options.strict,
            is_json: options.json,
            output: options.output.display().to_string(),
            problems: Problems::new(options.on_bad_input, OnDuplicate::Skip),
            left_out: Vec::new(),
            parts: Part::ALL.map(|part| PartReport {
                part: part.name(),
                queries: 0,
                judgements: 0,
            }),
            documents: 0,
            queries: 0,
        }
    }

    /// A record that cannot be read.
    ///
    /// # Errors
    ///
    /// The error, unless bad records are skipped.
    pub fn bad(&mut self, error: Error, progress: &Progress) -> Result<()> {
        self.problems.take(Problem::bad(error), progress)
    }

    /// A record that has the id of an earlier one.
    ///
    /// # Errors
    ///
    /// The error, if the conversion is strict.
    pub fn duplicate(&mut self, error: Error, progress: &Progress) -> Result<()> {
        if self.is_strict {
            return Err(error);
        }
        let is_duplicate = true;
        self.problems.take(
            Problem {
                error,
                is_duplicate,
            },
            progress,
        )
    }

    /// One that is left out because something is wrong; `error` says where.
    ///
    /// # Errors
    ///
    /// The error, if the conversion is strict.
    pub fn leave_out(&mut self, reason: Reason, error: impl FnOnce() -> Error) -> Result<()> {
        if self.is_strict {
            return Err(error());
        }
        let entry = self.entry(reason);
        entry.count += 1;
        if entry.count == 1 {
            entry.first = Some(error().to_string());
        }
        Ok(())
    }

    /// Several that are left out although nothing is wrong with them.
    pub fn count(&mut self, reason: Reason, count: u64) {
        if count > 0 {
            self.entry(reason).count += count;
        }
    }

    fn entry(&mut self, reason: Reason) -> &mut LeftOut {
        let found = self
            .left_out
            .iter()
            .position(|entry| entry.reason == reason);
        let place = found.unwrap_or_else(|| {
            self.left_out.push(LeftOut {
                reason,
                count: 0,
                first: None,
            });
            self.left_out.len() - 1
        });
        &mut self.left_out[place]
    }

    /// Adds a query of a part, with this number of judgements.
    pub fn judged(&mut self, part: Part, judgements: u64) {
        let report = &mut self.parts[part as usize];
        report.queries += 1;
        report.judgements += judgements;
    }

    /// Checks that something is left to be written.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is no document or no judgement.
    pub fn check(&self, progress: &Progress) -> Result<()> {
        self.problems.finish(progress);
        if self.documents > 0 && self.parts.iter().any(|part| part.judgements > 0) {
            return Ok(());
        }
        let found = match self.documents {
            0 => "no document".to_owned(),
            documents => format!(
                "{} and {}, but no judgement of these",
                counted(documents, "document"),
                counted(self.queries, "query")
            ),
        };
        let left_out: Vec<String> = self.left_out.iter().map(LeftOut::to_string).collect();
        let left_out = match left_out.is_empty() {
            true => String::new(),
            false => format!(" ({})", left_out.join("; ")),
        };
        Err(Error::invalid(format!(
            "expected documents, and judgements of them for queries, found {found}{left_out}; name files that belong together"
        )))
    }

    /// Prints the report.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn print(&self) -> Result<()> {
        if !self.is_json {
            return output::print(self.to_string());
        }
        print_line(&JsonReport {
            output: &self.output,
            documents: self.documents,
            queries: self.queries,
            parts: self.parts.iter().filter(|part| part.queries > 0).collect(),
            bad_records: self.problems.bad_records,
            duplicates: self.problems.duplicates,
            left_out: &self.left_out,
        })
    }
}

#[derive(Serialize)]
struct JsonReport<'a> {
    output: &'a str,
    documents: u64,
    queries: u64,
    parts: Vec<&'a PartReport>,
    bad_records: u64,
    duplicates: u64,
    left_out: &'a [LeftOut],
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason { what, why } = self.reason;
        write!(f, "left out: {} {why}", counted(self.count, what))?;
        match &self.first {
            Some(first) => write!(f, ", the first at {first}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (documents, queries) = (
            counted(self.documents, "document"),
            counted(self.queries, "query"),
        );
        write!(f, "{}: {documents}, {queries}", self.output)?;
        for part in self.parts.iter().filter(|part| part.queries > 0) {
            let queries = counted(part.queries, "query");
            let judgements = counted(part.judgements, "judgement");
            write!(f, "\n{}: {queries} with {judgements}", part.part)?;
        }
        for left_out in &self.left_out {
            write!(f, "\n{left_out}")?;
        }
        for (count, noun, why) in [
            (self.problems.bad_records, "record", "that cannot be read"),
            (
                self.problems.duplicates,
                "record",
                "with the id of an earlier one",
            ),
        ] {
            if count > 0 {
                write!(f, "\nleft out: {} {why}", counted(count, noun))?;
            }
        }
        Ok(())
    }
}
