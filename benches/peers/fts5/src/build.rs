//! Building an index: one table of terms without the texts, and one of columns.

use std::path::Path;
use std::time::Instant;

use peers::Result;
use peers::documents::Documents;
use peers::driver::{BuildOptions, Built};
use peers::forms::Columns;
use peers::work::{Kind, Work};
use rusqlite::Connection;

use crate::{FILE, PRAGMAS};

/// The tables.
pub const TERMS: &str = "terms";
pub const COLUMNS: &str = "columns";

/// Terms are what stands between spaces: everything else is a letter. Positions are kept, texts are not.
const SCHEMA: &str = r#"
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE VIRTUAL TABLE terms USING fts5(
    text, content = '', detail = full,
    tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* P* S* Co Cf'"
);
CREATE TABLE columns(id INTEGER PRIMARY KEY, number INTEGER NOT NULL, keyword TEXT NOT NULL);
BEGIN;
"#;

pub fn build(work: &Work, folder: &Path, options: &BuildOptions) -> Result<Built> {
    if work.kind != Kind::Forms {
        return Err("FTS5 is measured with queries of many forms only".into());
    }
    let columns = Columns::read(&work.folder, work.documents)?;
    let connection = Connection::open(folder.join(FILE))?;
    connection.execute_batch(PRAGMAS)?;
    connection.execute_batch(SCHEMA)?;
    {
        let mut terms = connection.prepare("INSERT INTO terms(rowid, text) VALUES (?, ?)")?;
        let mut row =
            connection.prepare("INSERT INTO columns(id, number, keyword) VALUES (?, ?, ?)")?;
        for chunk in Documents::open(work, options.order.as_deref())? {
            for (document, line) in chunk?.records() {
                terms.execute((document, std::str::from_utf8(line)?))?;
                row.execute((
                    document,
                    columns.number(document),
                    columns.keyword(document),
                ))?;
            }
        }
    }
    connection.execute_batch("COMMIT")?;
    let start = Instant::now();
    connection.execute_batch("INSERT INTO terms(terms) VALUES ('optimize')")?;
    connection.execute_batch("CREATE INDEX numbers ON columns(number); ANALYZE; VACUUM")?;
    let merge_seconds = start.elapsed().as_secs_f64();
    let count = |sql: &str| -> Result<u64> {
        let count: i64 = connection.query_row(sql, (), |row| row.get(0))?;
        Ok(u64::try_from(count)?)
    };
    let bytes = |name: &str| {
        count(&format!(
            "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name LIKE '{name}'"
        ))
    };
    Ok(Built {
        documents: count("SELECT count(*) FROM columns")?,
        merge_seconds,
        note: "1 thread, one transaction without a journal, optimized; positions are among the postings".to_owned(),
        parts: vec![
            ("columns", bytes("columns")? + bytes("numbers")?),
            ("lengths", bytes("terms_docsize")?),
        ],
    })
}
