//! Text as a query tree in JSON, searched in a small index.

#[path = "../common/small_index.rs"]
mod small_index;

use esparsa::Query;

use small_index::{search, snapshot};

pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let Ok(query) = Query::from_json(text) else {
        return;
    };
    // Escapes, white space and the order of keys mean nothing.
    let json: serde_json::Value = serde_json::from_str(text).expect("a query is JSON");
    let again = Query::from_json(&json.to_string()).expect("the same JSON");
    assert_eq!(query, again);
    search(snapshot(), &query);
}
