//! Records that are not loaded, and whether they end the load.

use clap::ValueEnum;
use esparsa::{Error, Result};

use crate::input::OnDuplicate;
use crate::progress::Progress;

/// Number of problems of each kind that are printed; more are only counted.
const SHOWN: u64 = 20;

/// The policy for bad records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnBadInput {
    /// The first one ends the load, and nothing that was loaded since the last commit is committed.
    #[default]
    Fail,
    /// It is reported and skipped; from the 21st on they are only counted.
    Skip,
}

/// Why a record is not loaded.
#[derive(Debug)]
pub struct Problem {
    /// What is wrong.
    pub error: Error,
    /// True if it is the id of another record.
    pub is_duplicate: bool,
}

impl Problem {
    /// A record that cannot be read.
    pub fn bad(error: Error) -> Self {
        Self {
            error,
            is_duplicate: false,
        }
    }
}

/// Counts problems, and applies the policies.
#[derive(Debug)]
pub struct Problems {
    on_bad_input: OnBadInput,
    on_duplicate: OnDuplicate,
    /// Records that could not be read.
    pub bad_records: u64,
    /// Records skipped because another one has their id.
    pub duplicates: u64,
}

impl Problems {
    /// None yet.
    pub fn new(on_bad_input: OnBadInput, on_duplicate: OnDuplicate) -> Self {
        Self {
            on_bad_input,
            on_duplicate,
            bad_records: 0,
            duplicates: 0,
        }
    }

    /// Counts a problem, and prints it if there were few before.
    ///
    /// # Errors
    ///
    /// The problem, when it ends the work.
    pub fn take(&mut self, problem: Problem, progress: &Progress) -> Result<()> {
        let Problem {
            error,
            is_duplicate,
        } = problem;
        if !error.is_input() {
            return Err(error);
        }
        let (fails, count, kind, hint) = match is_duplicate {
            true => (
                self.on_duplicate != OnDuplicate::Skip,
                &mut self.duplicates,
                "skipped",
                "`--on-duplicate skip` skips a record with the id of an earlier one, `replace` keeps the later one",
            ),
            false => (
                self.on_bad_input == OnBadInput::Fail,
                &mut self.bad_records,
                "bad record",
                "`--on-bad-input skip` skips records that cannot be read",
            ),
        };
        if fails {
            progress.message(hint);
            return Err(error);
        }
        *count += 1;
        if *count <= SHOWN {
            progress.message(&format!("{kind}: {error}"));
        }
        Ok(())
    }

    /// Prints how many there are beyond those printed.
    pub fn finish(&self, progress: &Progress) {
        for (count, kind) in [
            (self.bad_records, "bad records"),
            (self.duplicates, "duplicates"),
        ] {
            if count > SHOWN {
                progress.message(&format!("… and {} more {kind}", count - SHOWN));
            }
        }
    }
}
