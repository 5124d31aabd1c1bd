//! Pages of other sites and names of other hosts, on every route and method of `esparsa serve`
//! without a token.

use crate::served::{Server, for_each};

/// Header lines behind the request line, and the status of their refusal; 0 if they are not refused.
const HEADERS: [(&str, u16); 35] = [
    ("Host: localhost\r\n", 0),
    ("Host: LOCALHOST:7700\r\n", 0),
    ("Host: 127.0.0.1:1\r\n", 0),
    ("Host: 127.1.2.3\r\n", 0),
    ("Host: [::1]:7700\r\n", 0),
    ("Host: localhost\r\nSec-Fetch-Site: none\r\n", 0),
    ("Host: localhost\r\nSec-Fetch-Site: same-origin\r\n", 0),
    (
        "Host: localhost:7700\r\nOrigin: http://localhost:7700\r\n",
        0,
    ),
    ("Host: localhost:80\r\nOrigin: http://localhost\r\n", 0),
    ("Host: localhost:443\r\nOrigin: https://localhost\r\n", 0),
    ("Host: localhost:443\r\nOrigin: http://localhost\r\n", 403),
    ("Host: example.org\r\n", 403),
    ("Host: example.org:7700\r\n", 403),
    ("Host: localhost.example.org\r\n", 403),
    ("Host: 127.0.0.1.example.org\r\n", 403),
    ("Host: localhost@example.org\r\n", 400),
    ("Host: example.org@localhost\r\n", 400),
    ("Host: localhost, example.org\r\n", 400),
    ("Host: localhost/x\r\n", 400),
    ("Host: localhost.\r\n", 403),
    ("Host: 0.0.0.0:7700\r\n", 403),
    ("Host: 192.168.0.1\r\n", 403),
    ("Host: \r\n", 403),
    ("Host: a@localhost\r\n", 400),
    ("Host: lo\u{e7}alhost\r\n", 400),
    ("Host: localhost\r\nHost: example.org\r\n", 400),
    ("Host: example.org\r\nHost: localhost\r\n", 400),
    ("Host: localhost\r\nHost: localhost\r\n", 400),
    ("X-Forwarded-Host: localhost\r\n", 400),
    ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403),
    ("Host: localhost\r\nSec-Fetch-Site: same-site\r\n", 403),
    (
        "Host: localhost\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n",
        403,
    ),
    (
        "Host: localhost:7700\r\nOrigin: http://localhost:8080\r\n",
        403,
    ),
    (
        "Host: localhost:7700\r\nOrigin: https://example.org\r\n",
        403,
    ),
    ("Host: localhost:7700\r\nOrigin: null\r\n", 403),
];

fn status(server: &Server, head: &str) -> u16 {
    let answers = server.exchange(format!("{head}Connection: close\r\n\r\n").as_bytes());
    assert_eq!(answers.len(), 1, "{head} {answers:?}");
    answers[0].status
}

#[test]
fn other_sites_and_other_hosts_reach_no_route_by_any_method() {
    let (_scratch, server) = Server::of_shop();
    let mut cases = Vec::new();
    for route in server.routes("") {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
            // A page may have a link to the page.
            let is_page = route.path == "/";
            cases.push((route.path.clone(), method, route.status(method), is_page));
        }
    }
    for_each(&cases, |(path, method, answered, is_page)| {
        for (headers, refused) in HEADERS {
            let is_link = *is_page && headers.starts_with("Host: localhost");
            let is_link = is_link && (headers.contains("Sec-Fetch") || headers.contains("Origin"));
            let refused = if is_link { 0 } else { refused };
            let found = status(&server, &format!("{method} {path} HTTP/1.1\r\n{headers}"));
            let shown = format!("{method} {path} {headers:?}: {found}");
            let expected = if refused == 0 { *answered } else { refused };
            assert_eq!(found, expected, "{shown}");
        }
    });
}

#[test]
fn the_authority_of_a_target_counts_as_the_host() {
    let (_scratch, server) = Server::of_shop();
    for route in server.routes("") {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            for (authority, host, is_accepted) in [
                ("http://localhost", "localhost", true),
                ("http://127.0.0.1:7700", "localhost", true),
                ("http://example.org", "localhost", false),
                ("http://example.org:80", "127.0.0.1", false),
                ("https://localhost@example.org", "localhost", false),
                ("http://localhost", "example.org", false),
            ] {
                let path = &route.path;
                let head = format!("{method} {authority}{path} HTTP/1.1\r\nHost: {host}\r\n");
                let expected = if is_accepted {
                    route.status(method)
                } else {
                    403
                };
                assert_eq!(status(&server, &head), expected, "{head}");
            }
        }
    }
}

#[test]
fn only_http_1_0_may_leave_the_host_out_and_none_may_have_two() {
    let (scratch, open) = Server::of_shop();
    let closed = Server::start(&scratch, "--index shop --token 0123456789abcdef");
    let token = "Authorization: Bearer 0123456789abcdef\r\n";
    // The statuses without a token, and with one.
    for (head, without, with) in [
        ("GET /api/indexes HTTP/1.0\r\n", 200, 200),
        ("GET /api/indexes HTTP/1.0\r\nHost: localhost\r\n", 200, 200),
        (
            "GET /api/indexes HTTP/1.0\r\nHost: example.org\r\n",
            403,
            200,
        ),
        ("GET http://example.org/api/indexes HTTP/1.0\r\n", 403, 200),
        (
            "GET /api/indexes HTTP/1.0\r\nSec-Fetch-Site: cross-site\r\n",
            403,
            200,
        ),
        (
            "GET /api/indexes HTTP/1.0\r\nOrigin: http://localhost\r\n",
            403,
            200,
        ),
        (
            "GET /api/indexes HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n",
            400,
            400,
        ),
        ("GET /api/indexes HTTP/1.1\r\n", 400, 400),
        ("GET / HTTP/1.1\r\n", 400, 400),
        ("GET /health HTTP/1.1\r\n", 400, 400),
        ("GET /none HTTP/1.1\r\n", 400, 400),
        ("GET http://localhost/health HTTP/1.1\r\n", 400, 400),
        (
            "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
            400,
            400,
        ),
        ("GET /health HTTP/1.1\r\nHost: a b\r\n", 400, 400),
        ("GET /health HTTP/1.1\r\nHost: \r\n", 403, 200),
    ] {
        assert_eq!(status(&open, head), without, "{head}");
        assert_eq!(status(&closed, &format!("{head}{token}")), with, "{head}");
    }
}
