//! Text as a query in the query language, strictly and leniently, searched in a small index.

#[path = "../common/small_index.rs"]
mod small_index;

use esparsa::QueryParser;

use small_index::{search, snapshot};

pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let snapshot = snapshot();
    let parser = QueryParser::new(["text", "title"]);
    let (lenient, mistakes) = parser.parse_lenient(snapshot, text);
    search(snapshot, &lenient);
    match parser.parse(snapshot, text) {
        // Without mistakes there is nothing to be lenient about.
        Ok(query) => assert_eq!((query, mistakes.len()), (lenient, 0)),
        Err(error) => assert!(error.is_input() && !mistakes.is_empty(), "{error}"),
    }
}
