//! Text as a pattern of terms: the first byte says of which kind. Searched in a text field and in a
//! column, and compared with slow versions.

#[path = "../common/patterns.rs"]
mod slow;

use std::sync::OnceLock;

use esparsa::{Column, Document, Index, Query, Schema, Snapshot, Text};
use regex::RegexBuilder;

/// Terms that begin alike, with characters of one to four bytes.
const TERMS: [&str; 40] = [
    "a",
    "ab",
    "abc",
    "abd",
    "ac",
    "b",
    "ba",
    "bab",
    "baa",
    "bb",
    "bbb",
    "c",
    "ca",
    "cab",
    "x1",
    "x12",
    "x123",
    "x2",
    "fire",
    "firefox",
    "firebird",
    "wildfire",
    "é",
    "éa",
    "è",
    "ée",
    "日",
    "日本",
    "旦",
    "日本語",
    "😀",
    "😁",
    "😀a",
    "a.b",
    "a*b",
    "a?b",
    "a\\b",
    "A",
    "ß",
    "_-",
];

/// Longer ones take the slow versions too long.
const MAX_BYTES: usize = 200;

fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(|| {
        let schema = Schema::builder()
            .text("text", Text::new().analyzer("whitespace"))
            .column("tag", Column::keyword());
        let index = Index::in_memory(schema.build().unwrap()).unwrap();
        let mut writer = index.writer().unwrap();
        for (number, term) in TERMS.iter().enumerate() {
            let document = Document::new(*term);
            let document = document.with_text("text", *term).with("tag", *term);
            writer.add(document).unwrap();
            if number == 25 {
                writer.commit().unwrap();
            }
        }
        writer.commit().unwrap();
        index.snapshot().unwrap()
    })
}

/// Holds what a query finds to what a slow version says of each term.
fn check(query: impl Fn(&str) -> Query, matches: Option<&dyn Fn(&str) -> bool>) {
    for field in ["text", "tag"] {
        let query = query(field);
        let hits = match snapshot().search(&query, TERMS.len()) {
            Ok(hits) => hits,
            Err(error) => {
                assert!(error.is_input(), "{error}");
                continue;
            }
        };
        let Some(matches) = matches else {
            continue;
        };
        let mut found = hits.ids().unwrap();
        found.sort_unstable();
        let mut expected: Vec<&str> = TERMS.into_iter().filter(|term| matches(term)).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{query:?}");
    }
}

fn check_regex(expression: &str) {
    let query = |field: &str| Query::regex(field, expression);
    let compile = |expression: &str| {
        let mut builder = RegexBuilder::new(expression);
        let builder = builder.dot_matches_new_line(true).size_limit(1 << 20);
        builder.build().ok()
    };
    // An expression that is none by itself may become one between parentheses, such as `a)|(b`.
    let whole = compile(expression).and_then(|_| compile(&format!(r"\A(?:{expression})\z")));
    match whole {
        Some(whole) => check(query, Some(&|term| whole.is_match(term))),
        None => check(query, None),
    }
}

pub fn run(bytes: &[u8]) {
    let Some((&kind, bytes)) = bytes.split_first() else {
        return;
    };
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if text.len() > MAX_BYTES {
        return;
    }
    match kind % 8 {
        0 => check(
            |field| Query::prefix(field, text),
            Some(&|term| term.starts_with(text)),
        ),
        1 | 2 => check(
            |field| Query::wildcard(field, text),
            Some(&|term| slow::is_like(text, term)),
        ),
        3 | 4 => {
            let (distance, prefix) = (kind >> 3 & 3, usize::from(kind >> 5));
            check(
                |field| Query::fuzzy_after(field, text, distance, prefix),
                Some(&|term| slow::is_near(text, term, distance, prefix)),
            );
        }
        _ => check_regex(text),
    }
}
