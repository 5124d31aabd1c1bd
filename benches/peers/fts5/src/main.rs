//! The driver of SQLite's FTS5: the same command line and reports as those of the other engines.

mod build;
mod query;

use std::path::Path;
use std::process::ExitCode;

use peers::Result;
use peers::driver::{self, BuildOptions, Built, Engine};
use peers::forms::{Form, Task, form_of, keyword_number, task_of};
use peers::work::{Kind, Work};
use rusqlite::{Connection, OpenFlags, Row};

use crate::query::Question;

/// The file in the folder of an index.
const FILE: &str = "fts5.sqlite";
/// Pages are read through a memory map, and those that are written or looked up again are kept: in KiB.
const PRAGMAS: &str =
    "PRAGMA mmap_size = 8589934592; PRAGMA cache_size = -262144; PRAGMA temp_store = MEMORY;";

fn main() -> ExitCode {
    driver::main::<Fts5>()
}

struct Fts5 {
    connection: Connection,
    task: Task,
    k: usize,
}

impl Engine for Fts5 {
    const NAME: &'static str = "fts5";
    type Query = Question;
    /// Numbers of documents or keywords, and scores, values or counts.
    type Found = Vec<(u32, f64)>;

    fn version() -> String {
        rusqlite::version().to_owned()
    }

    /// It has no fuzzy terms.
    fn modes() -> Vec<(Kind, String)> {
        let modes = peers::forms::modes().into_iter();
        let modes = modes.filter(|mode| !form_of(mode).starts_with("fuzzy"));
        modes.map(|mode| (Kind::Forms, mode)).collect()
    }

    fn build(work: &Work, index: &Path, options: &BuildOptions) -> Result<Built> {
        build::build(work, index, options)
    }

    fn open(index: &Path, _kind: Kind, mode: &str, k: usize) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(index.join(FILE), flags)?;
        connection.execute_batch(PRAGMAS)?;
        Ok(Self {
            connection,
            task: task_of(mode)?,
            k,
        })
    }

    fn query(&self, record: &[u8]) -> Result<Question> {
        query::question(&Form::parse(record)?, self.task, self.k)
    }

    fn search(&self, question: &Question) -> Result<Self::Found> {
        let mut statement = self.connection.prepare_cached(&question.sql)?;
        let row = |row: &Row<'_>| match self.task {
            Task::Facets => Ok((keyword_of(&row.get::<_, String>(0)?), row.get(1)?)),
            _ => Ok((row.get(0)?, row.get(1)?)),
        };
        let rows = match question.range {
            None => statement.query_map((&question.terms,), row)?,
            Some((low, high)) => statement.query_map((&question.terms, low, high), row)?,
        };
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn name(&self, found: Self::Found) -> Result<Vec<(u32, f32)>> {
        // The best rank is the lowest number, below zero.
        let sign = if self.task == Task::Top { -1.0 } else { 1.0 };
        let found = found.into_iter();
        Ok(found
            .map(|(number, score)| (number, (sign * score) as f32))
            .collect())
    }

    fn note(&self) -> String {
        "memory map, 256 MiB of pages, statements prepared once".to_owned()
    }
}

/// The number of a keyword; one of another engine's would be beyond all.
fn keyword_of(keyword: &str) -> u32 {
    keyword_number(keyword).unwrap_or(u32::MAX)
}
