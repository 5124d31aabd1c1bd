//! Requests whose end could be seen in two places: `esparsa serve` must see one, or close the
//! connection. Each case has a second request within what may be taken for a body, or behind it.

use crate::served::cases::{Case, NEXT, SEARCH, SMUGGLED, case, check_all, post};

#[test]
fn a_body_with_a_length_and_chunks_ends_the_connection() {
    let chunked = format!("b\r\n{{\"q\":\"cup\"}}\r\n0\r\n\r\n{SMUGGLED}");
    let empty = format!("0\r\n\r\n{SMUGGLED}");
    let mut cases = Vec::new();
    for (length, coding) in [
        ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"),
        ("Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n"),
        ("Content-Length: 200\r\n", "Transfer-Encoding: Chunked\r\n"),
        ("content-length: 5\r\n", "Transfer-Encoding:chunked\r\n"),
        (
            "Content-Length: 5\r\n",
            "Transfer-Encoding: identity, chunked\r\n",
        ),
    ] {
        for headers in [format!("{length}{coding}"), format!("{coding}{length}")] {
            cases.push(post(&headers, &chunked, &[200]));
            cases.push(post(&headers, &empty, &[400]));
        }
    }
    check_all(&cases);
}

#[test]
fn codings_that_are_not_chunked_are_refused() {
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let headers = [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked\u{b}\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding: \u{0}chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding:\r\n\tchunked\r\n",
        "X: x\r\n Transfer-Encoding: chunked\r\n",
        "X: x\rTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding\r\n: chunked\r\n",
        "Transfer-Encoding: chunked\r\n\u{0}: x\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n",
    ];
    let mut cases: Vec<Case> = headers
        .iter()
        .map(|headers| post(headers, &body, &[400]))
        .collect();
    // HTTP/1.0 has no chunks.
    let old = format!(
        "POST {SEARCH} HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
    );
    cases.push(case(old, &[400]));
    check_all(&cases);
}

#[test]
fn lengths_that_are_wrong_or_differ_are_refused() {
    let body = format!("{{\"q\":\"cup\"}}{SMUGGLED}");
    let lengths = [
        "Content-Length: 11\r\nContent-Length: 12\r\n",
        "Content-Length: 11\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nContent-Length: 11\r\n",
        "Content-Length: 11, 12\r\n",
        "Content-Length: 11, 11\r\n",
        "Content-Length: 11\r\nContent-Length: x\r\n",
        "Content-Length: +11\r\n",
        "Content-Length: -11\r\n",
        "Content-Length: -0\r\n",
        "Content-Length: 0xb\r\n",
        "Content-Length: 1 1\r\n",
        "Content-Length: 11;\r\n",
        "Content-Length: 11.0\r\n",
        "Content-Length: 1e1\r\n",
        "Content-Length: \"11\"\r\n",
        "Content-Length: \r\n",
        "Content-Length: 18446744073709551627\r\n",
        "Content-Length: 99999999999999999999999999999999\r\n",
        "Content-Length : 11\r\n",
        "Content-Length\u{b}: 11\r\n",
        "Content-Length:\r\n 11\r\n",
        "Content-Length: 1\r\n 1\r\n",
        "Content-Length: \u{ff11}\r\n",
    ];
    let cases = lengths.iter().map(|length| post(length, &body, &[400]));
    check_all(&cases.collect::<Vec<_>>());
}

#[test]
fn chunks_that_are_malformed_are_refused() {
    let body = "{\"q\":\"cup\"}";
    let extension = "x".repeat(1 << 20);
    let bodies = [
        format!("+b\r\n{body}\r\n0\r\n\r\n"),
        format!("-b\r\n{body}\r\n0\r\n\r\n"),
        format!("0xb\r\n{body}\r\n0\r\n\r\n"),
        format!(" b\r\n{body}\r\n0\r\n\r\n"),
        format!("b b\r\n{body}\r\n0\r\n\r\n"),
        format!("\r\n{body}\r\n0\r\n\r\n"),
        format!("1000000000000000b\r\n{body}\r\n0\r\n\r\n"),
        format!("b\n{body}\r\n0\r\n\r\n"),
        format!("b\r{body}\r\n0\r\n\r\n"),
        format!("b\r\n{body}\n0\r\n\r\n"),
        format!("b\r\n{body}0\r\n\r\n"),
        format!("b\r\n{body}xx0\r\n\r\n"),
        format!("a\r\n{body}\r\n0\r\n\r\n"),
        format!("b;a\nb\r\n{body}\r\n0\r\n\r\n"),
        format!("b;{extension}\r\n{body}\r\n0\r\n\r\n"),
        format!("b;{}\r\n{body}\r\n0\r\n\r\n", "x;".repeat(1 << 19)),
        format!("b\r\n{body}\r\n0\r\nX: {extension}\r\n\r\n"),
        format!("b\r\n{body}\r\n0\r\n{}\r\n", "X: x\r\n".repeat(1000)),
        format!("b\r\n{body}\r\n0\r\nno colon\r\n\r\n"),
    ];
    let coding = "Transfer-Encoding: chunked\r\n";
    let cases = bodies.iter().map(|body| {
        let body = format!("{body}{SMUGGLED}");
        post(coding, &body, &[400])
    });
    let mut cases: Vec<Case> = cases.collect();
    // A line feed alone ends no trailers: what follows is one of them, up to an empty line.
    let trailers = format!("b\r\n{body}\r\n0\r\n\n{SMUGGLED}");
    cases.push(post(coding, &trailers, &[200]));
    check_all(&cases);
}

#[test]
fn whole_bodies_of_any_form_are_followed_by_the_next_request() {
    let body = "{\"q\":\"cup\"}";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let end = format!("0\r\n\r\n{NEXT}");
    let both: &[u16] = &[200, 200];
    let cases = [
        post("Content-Length: 11\r\n", &format!("{body}{NEXT}"), both),
        post(
            "Content-Length: 11\r\nContent-Length: 11\r\n",
            &format!("{body}{NEXT}"),
            both,
        ),
        post("Content-Length:\t11\t\r\n", &format!("{body}{NEXT}"), both),
        post(
            "Content-Length: 0000011\r\n",
            &format!("{body}{NEXT}"),
            both,
        ),
        post(chunked, &format!("b\r\n{body}\r\n{end}"), both),
        post(chunked, &format!("B \r\n{body}\r\n{end}"), both),
        post(chunked, &format!("000000b\r\n{body}\r\n{end}"), both),
        post(
            chunked,
            &format!("b;name=\"value\"\r\n{body}\r\n{end}"),
            both,
        ),
        post(
            chunked,
            &format!("6\r\n{}\r\n5\r\n{}\r\n{end}", &body[..6], &body[6..]),
            both,
        ),
        post(
            "Transfer-Encoding:\tchunked \r\n",
            &format!("b\r\n{body}\r\n{end}"),
            both,
        ),
        // Trailers change nothing.
        post(
            chunked,
            &format!("b\r\n{body}\r\n0\r\nContent-Length: 70\r\nHost: example.org\r\n\r\n{NEXT}"),
            both,
        ),
        // A request within a body of the right length is a part of the body.
        post(
            &format!("Content-Length: {}\r\n", SMUGGLED.len()),
            &format!("{SMUGGLED}{NEXT}"),
            &[400, 200],
        ),
        post(
            chunked,
            &format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n{NEXT}", SMUGGLED.len()),
            &[400, 200],
        ),
        // Empty lines before a request, as old clients send them; a line feed alone ends a line.
        case(format!("\r\n\r\n{NEXT}\r\n{NEXT}"), both),
        case(NEXT.replace("\r\n", "\n") + NEXT, both),
        case(NEXT.repeat(50), &[200; 50]),
        // Requests for another protocol are answered in this one.
        case(
            NEXT.replace(
                "\r\n\r\n",
                "\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            ) + NEXT,
            both,
        ),
    ];
    check_all(&cases);
}

#[test]
fn lines_that_are_malformed_end_the_connection() {
    let lines = [
        "GET /health HTTP/1.1 HTTP/1.1",
        "GET /health",
        "GET /health HTTP/1.1\r",
        "GET /he alth HTTP/1.1",
        "GET\u{0}/health HTTP/1.1",
        "GET /health\u{0} HTTP/1.1",
        "GET /health HTTP/1.2",
        "GET /health HTTP/2",
        "GET /health http/1.1",
        "GET /health HTTP/01.1",
        "GET /health XHTTP/1.1",
        " GET /health HTTP/1.1",
        "G(T /health HTTP/1.1",
        "/health HTTP/1.1",
    ];
    let mut cases: Vec<Case> = lines
        .iter()
        .map(|line| {
            case(
                format!("{line}\r\nHost: localhost\r\n\r\n{SMUGGLED}"),
                &[400],
            )
        })
        .collect();
    for header in [
        SMUGGLED.lines().next().unwrap(),
        "no colon",
        ": no name",
        "a b: c",
        "a\u{0}b: c",
        "a: b\u{0}c",
        "a: b\rc",
        "(a): b",
        "é: b",
    ] {
        let sent = format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n{SMUGGLED}");
        cases.push(case(sent, &[400]));
    }
    check_all(&cases);
}
