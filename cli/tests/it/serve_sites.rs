//! Pages of other sites and names of other hosts, on every route and method of `esparsa serve`
//! without a token.

use crate::served::{Server, for_each};

/// Header lines behind the request line, and whether a request with them is answered.
const HEADERS: [(&str, bool); 31] = [
    ("Host: localhost\r\n", true),
    ("Host: LOCALHOST:7700\r\n", true),
    ("Host: 127.0.0.1:1\r\n", true),
    ("Host: 127.1.2.3\r\n", true),
    ("Host: [::1]:7700\r\n", true),
    ("Host: localhost\r\nSec-Fetch-Site: none\r\n", true),
    ("Host: localhost\r\nSec-Fetch-Site: same-origin\r\n", true),
    (
        "Host: localhost:7700\r\nOrigin: http://localhost:7700\r\n",
        true,
    ),
    ("Host: example.org\r\n", false),
    ("Host: example.org:7700\r\n", false),
    ("Host: localhost.example.org\r\n", false),
    ("Host: 127.0.0.1.example.org\r\n", false),
    ("Host: localhost@example.org\r\n", false),
    ("Host: example.org@localhost\r\n", false),
    ("Host: localhost, example.org\r\n", false),
    ("Host: localhost/x\r\n", false),
    ("Host: localhost.\r\n", false),
    ("Host: 0.0.0.0:7700\r\n", false),
    ("Host: 192.168.0.1\r\n", false),
    ("Host: \r\n", false),
    ("Host: lo\u{e7}alhost\r\n", false),
    ("Host: localhost\r\nHost: example.org\r\n", false),
    ("Host: example.org\r\nHost: localhost\r\n", false),
    ("Host: localhost\r\nHost: localhost\r\n", false),
    ("X-Forwarded-Host: localhost\r\n", false),
    ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", false),
    ("Host: localhost\r\nSec-Fetch-Site: same-site\r\n", false),
    (
        "Host: localhost\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n",
        false,
    ),
    (
        "Host: localhost:7700\r\nOrigin: http://localhost:8080\r\n",
        false,
    ),
    (
        "Host: localhost:7700\r\nOrigin: https://example.org\r\n",
        false,
    ),
    ("Host: localhost:7700\r\nOrigin: null\r\n", false),
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
            let has_method = route.methods.iter().any(|one| one == method);
            // A page may have a link to the page.
            let is_page = route.path == "/";
            cases.push((route.path.clone(), method, has_method, is_page));
        }
    }
    for_each(&cases, |(path, method, has_method, is_page)| {
        for (headers, is_accepted) in HEADERS {
            let is_link = *is_page && headers.starts_with("Host: localhost");
            let is_link = is_link && (headers.contains("Sec-Fetch") || headers.contains("Origin"));
            let found = status(&server, &format!("{method} {path} HTTP/1.1\r\n{headers}"));
            let shown = format!("{method} {path} {headers:?}: {found}");
            match is_accepted || is_link {
                false => assert_eq!(found, 403, "{shown}"),
                true if *has_method => assert!([200, 400].contains(&found), "{shown}"),
                true => assert_eq!(found, 405, "{shown}"),
            }
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
                assert_eq!(status(&server, &head) != 403, is_accepted, "{head}");
            }
        }
    }
}

#[test]
fn only_http_1_0_may_leave_the_host_out() {
    let (_scratch, server) = Server::of_shop();
    for (head, expected) in [
        ("GET /api/indexes HTTP/1.0\r\n", 200),
        ("GET /api/indexes HTTP/1.0\r\nHost: localhost\r\n", 200),
        ("GET /api/indexes HTTP/1.0\r\nHost: example.org\r\n", 403),
        ("GET http://example.org/api/indexes HTTP/1.0\r\n", 403),
        (
            "GET /api/indexes HTTP/1.0\r\nSec-Fetch-Site: cross-site\r\n",
            403,
        ),
        (
            "GET /api/indexes HTTP/1.0\r\nOrigin: http://localhost\r\n",
            403,
        ),
        ("GET /api/indexes HTTP/1.1\r\n", 403),
    ] {
        assert_eq!(status(&server, head), expected, "{head}");
    }
}
