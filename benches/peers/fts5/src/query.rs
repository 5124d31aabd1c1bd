//! Queries of many forms as SQL.

use peers::Result;
use peers::forms::{Form, Task};

use crate::build::{COLUMNS, TERMS};

/// A statement and what is bound to it.
pub struct Question {
    pub sql: String,
    /// What FTS5 is to match.
    pub terms: String,
    pub range: Option<(u32, u32)>,
}

pub fn question(form: &Form, task: Task, k: usize) -> Result<Question> {
    let columns = format!("JOIN {COLUMNS} ON {COLUMNS}.id = {TERMS}.rowid");
    let (join, and) = match form.range {
        Some(_) => (
            columns.as_str(),
            format!("AND {COLUMNS}.number BETWEEN ?2 AND ?3"),
        ),
        None => ("", String::new()),
    };
    let matching = |join: &str| format!("FROM {TERMS} {join} WHERE {TERMS} MATCH ?1 {and}");
    let sql = match task {
        Task::Top => format!(
            "SELECT {TERMS}.rowid, {TERMS}.rank {} ORDER BY {TERMS}.rank LIMIT {k}",
            matching(join)
        ),
        Task::Count => format!("SELECT 0, count(*) {}", matching(join)),
        Task::Sort => format!(
            "SELECT {TERMS}.rowid, {COLUMNS}.number {} ORDER BY {COLUMNS}.number LIMIT {k}",
            matching(&columns)
        ),
        Task::Facets => format!(
            "SELECT {COLUMNS}.keyword, count(*) AS documents {} GROUP BY 1 ORDER BY documents DESC LIMIT {k}",
            matching(&columns)
        ),
    };
    Ok(Question {
        sql,
        terms: terms(form)?,
        range: form.range,
    })
}

/// A form in the syntax of FTS5. Terms are quoted, so that none is an operator.
fn terms(form: &Form) -> Result<String> {
    let quoted = |term: &String| format!("\"{term}\"");
    let joined = |terms: &[String], operator: &str| {
        let terms: Vec<String> = terms.iter().map(quoted).collect();
        terms.join(operator)
    };
    if !form.phrase.is_empty() {
        return Ok(format!("\"{}\"", form.phrase.join(" ")));
    }
    if let Some(prefix) = &form.prefix {
        return Ok(format!("\"{prefix}\" *"));
    }
    if form.fuzzy.is_some() {
        return Err("FTS5 has no fuzzy terms".into());
    }
    let all = joined(&form.must, " AND ");
    let any = joined(&form.should, " OR ");
    let terms = match (form.must.is_empty(), form.should.is_empty()) {
        (true, _) => format!("({any})"),
        (false, true) => format!("({all})"),
        // What should match counts where it does.
        (false, false) => format!("(({all}) OR (({all}) AND ({any})))"),
    };
    Ok(match form.must_not.is_empty() {
        true => terms,
        false => format!("{terms} NOT ({})", joined(&form.must_not, " OR ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_written_as_fts5_reads_them() {
        let terms = |line: &str| terms(&Form::parse(line.as_bytes()).unwrap()).unwrap();
        assert_eq!(terms("a b"), r#"("a" OR "b")"#);
        assert_eq!(terms("+a +b"), r#"("a" AND "b")"#);
        assert_eq!(terms("a -b"), r#"("a") NOT ("b")"#);
        assert_eq!(terms("abc*"), r#""abc" *"#);
        assert_eq!(terms(r#""a b""#), r#""a b""#);
    }
}
