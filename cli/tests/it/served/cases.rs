//! What is sent on one connection, with a request hidden in it, and the answers that it must have.

use super::{Server, for_each, shop};

/// A path that takes a body.
pub const SEARCH: &str = "/api/indexes/shop/search";
/// The request that only a server that is fooled would answer: its answer names `smuggled`.
pub const SMUGGLED: &str =
    "GET /api/indexes/smuggled/search?q=a HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// A request that really follows: its answer names `cup`.
pub const NEXT: &str = "GET /api/indexes/shop/documents/cup HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What is sent on one connection, and the statuses of all answers that come back.
pub struct Case {
    sent: Vec<u8>,
    statuses: &'static [u16],
}

pub fn case(sent: impl Into<Vec<u8>>, statuses: &'static [u16]) -> Case {
    let sent = sent.into();
    Case { sent, statuses }
}

/// A search by POST, with header lines, a body, and what follows.
pub fn post(headers: &str, body: &str, statuses: &'static [u16]) -> Case {
    let head = format!("POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    case(head + body, statuses)
}

/// Sends each case to a server of the shop.
pub fn check_all(cases: &[Case]) {
    let scratch = shop();
    // An open connection is closed soon, which is when a case has all its answers.
    let limits = "--header-timeout-ms 250 --timeout-ms 600 --max-body 1000 --max-requests 1000";
    let server = Server::start(&scratch, &format!("--index shop {limits}"));
    for_each(cases, |case| {
        let answers = server.exchange(&case.sent);
        let sent = case.sent[..case.sent.len().min(400)].escape_ascii();
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, case.statuses, "{sent}\n{answers:?}");
        for answer in &answers {
            assert!(!answer.body.contains("smuggled"), "{sent}\n{answers:?}");
        }
    });
    let metrics = server.get("/metrics").body;
    assert!(!metrics.contains("status=\"500\""), "{metrics}");
}
