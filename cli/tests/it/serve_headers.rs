//! The headers of `esparsa serve`, on every kind of answer.

use std::collections::BTreeSet;
use std::process::Command;

use crate::command::Scratch;
use crate::served::{Answer, Server, shop};

const SEARCH: &str = "/api/indexes/shop/search";
/// All headers that an answer may have: what is not listed here, such as `Access-Control-*`, is a
/// decision that belongs into this test.
const KNOWN: [&str; 12] = [
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "etag",
    "referrer-policy",
    "retry-after",
    "www-authenticate",
    "x-content-type-options",
];
/// What a browser sends before and with a request of another site's page.
const FOREIGN: &str = "Origin: https://example.org\r\nAccess-Control-Request-Method: POST\r\n\
                       Access-Control-Request-Headers: authorization\r\nAuthorization: Bearer 0123456789abcdef\r\n";

/// Checks what all answers have.
#[track_caller]
fn check(answer: &Answer, status: u16, cache: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let policy = answer.values("content-security-policy");
    let [policy] = *policy else {
        panic!("{answer:?}");
    };
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", cache),
    ] {
        assert_eq!(answer.values(name), [value], "{answer:?}");
    }
    assert_eq!(answer.values("content-type").len(), 1, "{answer:?}");
    only_known(answer, &KNOWN);
}

#[track_caller]
fn only_known(answer: &Answer, known: &[&str]) {
    for line in answer.head.lines().skip(1) {
        let name = line.split(':').next().unwrap();
        assert!(known.contains(&name), "{name}: {answer:?}");
    }
}

#[test]
fn every_route_and_method_has_the_header_policy() {
    let scratch = shop();
    let open = Server::start(&scratch, "--index shop");
    let closed = Server::start(&scratch, "--index shop --token 0123456789abcdef");
    for (server, headers) in [(&open, ""), (&closed, FOREIGN), (&closed, "")] {
        for route in open.routes("") {
            let cache = match &*route.path {
                "/" | "/api/openapi.json" => "no-cache",
                _ => "no-store",
            };
            for method in [
                "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE",
            ] {
                let answer = server.request(method, &route.path, headers, None);
                let has_no_token = headers.is_empty() && std::ptr::eq(server, &closed);
                match route.status(method) {
                    _ if has_no_token && !route.is_public => check(&answer, 401, "no-store"),
                    200 => check(&answer, 200, cache),
                    status => check(&answer, status, "no-store"),
                }
            }
        }
    }
}

#[test]
fn the_files_of_the_page_have_the_header_policy_also_when_they_are_known() {
    let (_scratch, server) = Server::of_shop();
    let script = server.get("/page.js").body;
    let imports = script.lines().filter(|line| line.starts_with("import "));
    let imports = imports.map(|line| line.rsplit('"').nth(1).unwrap().replace("./", "/"));
    let mut paths: BTreeSet<String> = imports.collect();
    let own = [
        "/",
        "/page.js",
        "/page.css",
        "/icon.svg",
        "/api/openapi.json",
    ];
    paths.extend(own.map(str::to_owned));
    for path in paths {
        let file = server.get(&path);
        check(&file, 200, "no-cache");
        let tag = file.values("etag")[0];
        let known = format!("If-None-Match: {tag}\r\n");
        for method in ["GET", "HEAD"] {
            let again = server.request(method, &path, &known, None);
            check(&again, 304, "no-cache");
            assert_eq!(again.body, "");
        }
    }
}

#[test]
fn every_refusal_has_the_header_policy() {
    let scratch = shop();
    let server = Server::start(&scratch, "--index shop --max-body 1000");
    let large = format!(r#"{{"q":"{}"}}"#, "a".repeat(1000));
    for (method, path, headers, body, status) in [
        ("GET", "/none", "", None, 404),
        ("HEAD", "/none", "", None, 404),
        ("OPTIONS", "*", "", None, 404),
        ("CONNECT", "localhost:80", "", None, 404),
        ("GET", "/api/indexes/none/search?q=a", "", None, 404),
        ("GET", "/api/indexes/shop/documents/none", "", None, 404),
        ("GET", "/api/indexes/shop/search", "", None, 400),
        ("GET", "/api/indexes/%FF/search", "", None, 400),
        ("POST", SEARCH, "", Some("["), 400),
        ("POST", SEARCH, "", Some(&large), 413),
        (
            "GET",
            "/api/indexes",
            "Sec-Fetch-Site: cross-site\r\n",
            None,
            403,
        ),
        ("GET", "/api/indexes", "Origin: null\r\n", None, 403),
        // A second name of the host.
        ("GET", "/", "Host: example.org\r\n", None, 400),
        ("GET", "http://example.org/", "", None, 403),
    ] {
        let answer = server.request(method, path, headers, body);
        check(&answer, status, "no-store");
        assert_eq!(answer.values("content-type"), ["application/json"]);
    }
}

#[test]
fn what_is_too_much_is_refused_with_the_header_policy() {
    let scratch = shop();
    // The hanging request holds its place for the time of a request, which is ten seconds.
    let server = Server::start(&scratch, "--index shop --max-requests 1 --threads 1");
    let _hanging = server.hang(SEARCH);
    server.until("/metrics", |answer| {
        answer.body.contains("esparsa_requests_open 2\n")
    });
    check(&server.get(&format!("{SEARCH}?q=tea")), 503, "no-store");
}

#[test]
fn what_is_slow_is_refused_with_the_header_policy() {
    let scratch = Scratch::new();
    let text = "cup ".repeat(400);
    let lines = (0..2_000).map(|id| format!("{id}\ttea {text}\n"));
    scratch.write("docs.tsv", lines.collect::<String>());
    scratch
        .run("index docs.tsv --index shop --language simple")
        .done();
    let limits = "--timeout-ms 1 --max-k 2000";
    let server = Server::start(&scratch, &format!("--index shop {limits}"));
    // No machine cuts two thousand texts into passages within a millisecond.
    let slow = server.get(&format!("{SEARCH}?q=tea&k=2000&snippets=100&fields="));
    check(&slow, 504, "no-store");
    check(&Answer::read(server.hang(SEARCH)), 408, "no-store");
}

#[test]
fn errors_of_the_server_have_the_header_policy_and_name_no_path() {
    let scratch = shop();
    let failed = (1..64).find_map(|part| {
        let (_copy, damaged) = damaged(&scratch, part)?;
        ["cup", "pot", "mat"].iter().find_map(|id| {
            let answer = damaged.get(&format!("/api/indexes/shop/documents/{id}"));
            (answer.status == 500).then_some(answer)
        })
    });
    let failed = &failed.unwrap();
    check(failed, 500, "no-store");
    failed.refused(500, "internal");
    let folder = scratch.path("").display().to_string();
    for hidden in [&*folder, "shop/", "segment", "src/", "checksum", "CRC"] {
        assert!(!failed.body.contains(hidden), "{}", failed.body);
    }
}

/// A server of the index with another byte at a 64th of its largest file, if that can be opened:
/// only a part of it is checked before it is read.
fn damaged(scratch: &Scratch, part: usize) -> Option<(Scratch, Server)> {
    let copy = Scratch::new();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(scratch.path("shop")).unwrap() {
        let entry = entry.unwrap();
        let name = format!("shop/{}", entry.file_name().display());
        files.push((name, std::fs::read(entry.path()).unwrap()));
    }
    files.sort_by_key(|(_, bytes)| bytes.len());
    let place = files.last()?.1.len() * part / 64;
    files.last_mut()?.1[place] ^= 1;
    for (name, bytes) in files {
        copy.write(&name, bytes);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_esparsa"));
    command.args(["serve", "--index", "shop", "--listen", "127.0.0.1:0"]);
    let server = Server::of(command, &copy).ok()?;
    Some((copy, server))
}

/// What `hyper` answers before a request is one. None of these has a body that a browser could take
/// for something, and each ends its connection, so that they are harmless without the policy.
#[test]
fn answers_to_what_is_no_request_have_no_content() {
    let (_scratch, server) = Server::of_shop();
    let many: String = (0..200)
        .map(|number| format!("X-{number}: 1\r\n"))
        .collect();
    let large = format!("X: {}\r\n", "a".repeat(70_000));
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a".repeat(70_000)
    );
    let head = |more: &str| format!("GET / HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
    for (bytes, status) in [
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n".to_owned(),
            400,
        ),
        ("GET\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400),
        (head("Content-Length: x\r\n"), 400),
        (head("X: \u{0}\r\n"), 400),
        (head(&many), 431),
        (head(&large), 431),
        (long, 431),
    ] {
        let answers = server.exchange(bytes.as_bytes());
        let [answer] = &*answers else {
            panic!("{answers:?} {bytes:.100}");
        };
        assert_eq!((answer.status, &*answer.body), (status, ""), "{bytes:.100}");
        assert_eq!(answer.values("content-length"), ["0"]);
        assert_eq!(answer.values("connection"), ["close"], "{answer:?}");
        only_known(answer, &["connection", "content-length", "date"]);
    }
    let answers = server.exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(answers.is_empty(), "{answers:?}");
    // A note to a client that asks whether to send its body; the answer comes behind it.
    let waits = format!(
        "POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 11\r\n\
         Expect: 100-continue\r\n\r\n{{\"q\":\"cup\"}}"
    );
    let answers = server.exchange(waits.as_bytes());
    let [note, answer] = &*answers else {
        panic!("{answers:?}");
    };
    assert_eq!((note.status, note.head.lines().count()), (100, 1));
    check(answer, 200, "no-store");
}
