//! Bodies that `esparsa serve` does not read to their end: no part of one is ever a request.

use std::io::{Read, Write};

use crate::served::cases::{SEARCH, SMUGGLED, case, check_all, post};
use crate::served::{Answer, Server, shop};

#[test]
fn a_body_that_nobody_reads_is_no_request() {
    let length = format!("Content-Length: {}\r\n", SMUGGLED.len());
    let mut cases = Vec::new();
    for (line, host, status) in [
        ("GET /health", "localhost", &[200]),
        ("GET /", "localhost", &[200]),
        ("GET /api/indexes/shop/documents/cup", "localhost", &[200]),
        ("HEAD /health", "localhost", &[200]),
        ("POST /health", "localhost", &[405]),
        ("DELETE /api/indexes/shop/search", "localhost", &[405]),
        ("POST /none", "localhost", &[404]),
        ("OPTIONS *", "localhost", &[404]),
        ("POST /api/indexes/shop/search", "example.org", &[403]),
    ] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{expect}");
            cases.push(case(format!("{head}{length}\r\n{SMUGGLED}"), status));
            let chunked = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
            let coded = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunked}");
            cases.push(case(coded, status));
        }
    }
    check_all(&cases);
}

#[test]
fn the_rest_of_a_body_that_is_too_large_is_no_request() {
    let padding = "a".repeat(900);
    let large = format!("{padding}{SMUGGLED}{SMUGGLED}");
    let rest = SMUGGLED.repeat(20_000);
    let chunks = format!("{:x}\r\n{large}\r\n", large.len());
    let coding = "Transfer-Encoding: chunked\r\n";
    let mut cases = Vec::new();
    for expect in ["", "Expect: 100-continue\r\n"] {
        for length in [large.len(), rest.len(), 10_000_000_000, usize::MAX - 2] {
            let headers = format!("{expect}Content-Length: {length}\r\n");
            let body = match length == large.len() {
                true => &large,
                false => &rest,
            };
            cases.push(post(&headers, body, &[413]));
        }
    }
    cases.push(post(coding, &format!("{chunks}{SMUGGLED}"), &[413]));
    cases.push(post(coding, &chunks.repeat(1_000), &[413]));
    cases.push(post(coding, &format!("ffffffffffffffff\r\n{rest}"), &[413]));
    cases.push(post(coding, &"1\r\n \r\n".repeat(200_000), &[413]));
    // Less than was said: what comes is the body, until the time for it is up.
    cases.push(post("Content-Length: 900\r\n", SMUGGLED, &[408]));
    cases.push(post(coding, &format!("384\r\n{SMUGGLED}"), &[408]));
    check_all(&cases);
}

#[test]
fn nothing_is_asked_for_that_would_be_refused() {
    let scratch = shop();
    let server = Server::start(&scratch, "--index shop --max-body 1000");
    let head = |length: usize| {
        format!(
            "POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    // The client waits for a word of the server, which is that the body is too large.
    for length in [1_001, 1 << 40] {
        let answers = server.exchange(head(length).as_bytes());
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [413]);
    }
    let mut stream = server.connect();
    stream.write_all(head(11).as_bytes()).unwrap();
    let mut note = [0; 25];
    stream.read_exact(&mut note).unwrap();
    assert_eq!(&note, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(br#"{"q":"cup"}"#).unwrap();
    let answer = Answer::read(stream);
    assert_eq!(answer.status, 200, "{answer:?}");
}
