//! Queries that must or must not find a document: a test checks each line of `cases.tsv`.
//!
//! Columns: the analyzer, a document, a query, whether the query finds the document, and why.

use std::collections::HashSet;

use super::Analyzer;

const CASES: &str = include_str!("cases.tsv");

/// True if the document has a term of the query.
fn finds(analyzer: &Analyzer, document: &str, query: &str) -> bool {
    let mut terms = HashSet::new();
    analyzer.analyze(document, &mut |term, _| {
        terms.insert(term.to_owned());
    });
    let mut found = false;
    analyzer.analyze_query(query, &mut |term, _| found |= terms.contains(term));
    found
}

#[test]
fn words_are_found_as_people_write_them() {
    let mut wrong = Vec::new();
    for line in CASES.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[name, document, query, expected, reason] = columns.as_slice() else {
            panic!("expected five columns: {line}");
        };
        let found = finds(&Analyzer::named(name).unwrap(), document, query);
        if found != (expected == "yes") {
            wrong.push(format!("{name}: `{query}` in `{document}`: {reason}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
