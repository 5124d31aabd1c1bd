//! Malformed requests, which `esparsa serve` must refuse without harm: broken HTTP, JSON, UTF-8,
//! parameters, sizes and paths. `ESPARSA_MALFORMED_REQUESTS` sets how many are sent.

use std::io::{Read, Write};
use std::thread::scope;

use crate::served::{Answer, Server, ids, shop};

const SEARCH: &str = "/api/indexes/shop/search";
/// Requests that are sent unless another number is set.
const REQUESTS: u64 = 1_000;
/// Clients that send at once.
const CLIENTS: u64 = 20;
/// Memory that the server may have more at the end: allocators keep some for each thread.
const MAX_GROWTH: u64 = 24 << 20;

/// Requests that are well formed before something happens to them.
const GOOD: [&[u8]; 5] = [
    b"GET /api/indexes/shop/search?q=tea&k=2&facets=color HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /api/indexes/shop/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\n{\"q\":\"+tea -cup\",\"sort\":[\"p\"]}",
    b"GET /api/indexes/shop/documents/cup HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    b"POST /api/indexes/shop/explain?id=cup HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"q\":\"t\"}\r\n0\r\n\r\n",
    b"GET /api/indexes/shop/encode?text=tea&system=sparse HTTP/1.1\r\nHost: localhost\r\n\r\n",
];
const PATHS: [&str; 10] = [
    "/",
    "/health",
    "/metrics",
    "/api/indexes",
    "/api/indexes/shop/search",
    "/api/indexes/shop/explain",
    "/api/indexes/shop/suggest",
    "/api/indexes/shop/encode",
    "/api/indexes/shop/documents/cup",
    "/api/indexes/none/search",
];
const NAMES: [&str; 31] = [
    "q",
    "query",
    "strict",
    "search_fields",
    "filter",
    "system",
    "field",
    "fusion",
    "normalization",
    "weights",
    "fusion_k",
    "rerank",
    "rerank_k",
    "query_terms",
    "k",
    "offset",
    "sort",
    "facets",
    "count",
    "min_score",
    "snippets",
    "snippet_length",
    "fields",
    "id",
    "text",
    "role",
    "K",
    "q[]",
    "",
    "__proto__",
    "q\u{0}",
];
const VALUES: [&str; 30] = [
    "tea",
    "",
    "0",
    "-1",
    "1",
    "18446744073709551615",
    "18446744073709551616",
    "1e9",
    "NaN",
    "true",
    "null",
    "[]",
    "{}",
    "\"tea\"",
    "bm25",
    "sparse",
    "dense",
    "fused",
    "%FF%FE",
    "%",
    "%zz",
    "title:(",
    "\"open",
    "+-+-",
    "color",
    "color:width=0",
    "price:desc",
    "{\"bool\":{\"must\":[{\"bool\":{}}]}}",
    "{\"regex\":{\"text\":\"(a*)*b\"}}",
    "😀\u{202e}",
];
const JSON: [&str; 14] = [
    "{",
    "}",
    "[",
    "]",
    "\"q\"",
    ":",
    ",",
    "\"tea\"",
    "1e999",
    "-0",
    "null",
    "\\u0000",
    "\"\\ud800\"",
    "{\"q\":",
];

#[test]
fn malformed_requests_do_no_harm() {
    let requests = std::env::var("ESPARSA_MALFORMED_REQUESTS");
    let requests = requests.map_or(REQUESTS, |number| number.parse().unwrap());
    let scratch = shop();
    // Most connections stay open, with a part of a request or after an answer, until their time is up.
    let limits = "--header-timeout-ms 25 --timeout-ms 500 --max-requests 1000 --max-body 64kB";
    let mut server = Server::start(&scratch, &format!("--index shop {limits}"));
    let send = |first: u64, count: u64| {
        scope(|scope| {
            for client in 0..CLIENTS {
                let server = &server;
                scope.spawn(move || {
                    let numbers =
                        (first..first + count).filter(|number| number % CLIENTS == client);
                    numbers.for_each(|number| send_one(server, number));
                });
            }
        });
    };
    // The first requests start threads and fill buffers, which stay.
    let warm = requests / 5;
    send(0, warm);
    let before = server.resident_bytes();
    send(warm, requests - warm);
    if let (Some(before), Some(after)) = (before, server.resident_bytes()) {
        assert!(after < before + MAX_GROWTH, "{before} bytes, then {after}");
    }
    assert!(server.is_running());
    let report = server
        .until(&format!("{SEARCH}?q=cup"), |answer| answer.status == 200)
        .done();
    assert_eq!(ids(&report), ["cup"]);
    // Every one of them is over, and none was the server's fault.
    let metrics = server.until("/metrics", |answer: &Answer| {
        answer.body.contains("esparsa_requests_open 1\n")
    });
    assert!(!metrics.body.contains("status=\"500\""), "{}", metrics.body);
}

/// Sends a malformed request, and waits until the server has closed the connection.
fn send_one(server: &Server, number: u64) {
    let mut random = Random(number);
    let bytes = match random.below(6) {
        0 => damaged(&mut random),
        1 => parameters(&mut random),
        2 => body(&mut random),
        3 => path(&mut random),
        4 => sizes(&mut random),
        _ => noise(&mut random),
    };
    let mut stream = server.connect();
    let _ = stream.write_all(&bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let sent = String::from_utf8_lossy(&bytes);
    assert!(!answer.contains("HTTP/1.1 500"), "{sent}\n{answer}");
}

/// A good request with some bytes changed, added, removed or repeated.
fn damaged(random: &mut Random) -> Vec<u8> {
    let mut bytes = random.one(&GOOD).to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[at] = random.byte(),
            1 => bytes.insert(at, random.byte()),
            2 if bytes.len() > 1 => drop(bytes.remove(at)),
            3 => bytes.truncate(at.max(1)),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

/// Parameters that are unknown, repeated, out of range or of the wrong kind.
fn parameters(random: &mut Random) -> Vec<u8> {
    let count = 1 + random.below(6);
    let pairs = (0..count).map(|_| {
        let (name, value) = (random.one(&NAMES), random.one(&VALUES));
        match random.below(4) {
            0 => format!("{name}={value}"),
            1 => format!("{}={}", escaped(name), escaped(value)),
            2 => escaped(value),
            _ => format!(
                "{}={}",
                escaped(name),
                escaped(&value.repeat(1 + random.below(50)))
            ),
        }
    });
    let query = pairs.collect::<Vec<_>>().join("&");
    get(&format!("{}?{query}", random.one(&PATHS)))
}

/// A body that is no JSON, or not the JSON that is expected.
fn body(random: &mut Random) -> Vec<u8> {
    let mut content = Vec::new();
    match random.below(4) {
        0 => (0..random.below(20)).for_each(|_| content.extend(random.one(&JSON).as_bytes())),
        1 => {
            let (name, value) = (random.one(&NAMES), random.one(&VALUES));
            content.extend(format!("{{\"{name}\":{value},\"q\":\"tea\"}}").as_bytes());
        }
        2 => {
            let open = random.one(&["[", "{\"q\":", "{\"query\":{\"bool\":{\"must\":["]);
            content.extend(open.repeat(1 + random.below(3_000)).as_bytes());
        }
        _ => {
            content.extend(br#"{"q":"tea"#);
            (0..random.below(40)).for_each(|_| content.push(random.byte()));
            content.extend(br#""}"#);
        }
    }
    let path = *random.one(&PATHS);
    post(path, content.len(), &content)
}

/// A path with parts that are too many, empty, escaped or not of ASCII.
fn path(random: &mut Random) -> Vec<u8> {
    const PARTS: [&str; 16] = [
        "api",
        "indexes",
        "shop",
        "search",
        "documents",
        "cup",
        "..",
        ".",
        "",
        "%2e%2e",
        "%00",
        "%FF",
        "%",
        "a%2Fb",
        "%C3%28",
        "é",
    ];
    let parts = (0..random.below(9)).map(|_| *random.one(&PARTS));
    let parts: Vec<&str> = parts.collect();
    get(&format!("/{}", parts.join("/")))
}

/// Lengths that are wrong, huge, repeated or not numbers, and heads and bodies that are too large.
fn sizes(random: &mut Random) -> Vec<u8> {
    match random.below(6) {
        0 => get(&format!(
            "{SEARCH}?q={}",
            "a".repeat(1 + random.below(100_000))
        )),
        1 => post(SEARCH, random.below(100_000), br#"{"q":"tea"}"#),
        2 => {
            let content = vec![b' '; random.below(100_000)];
            post(SEARCH, content.len(), &content)
        }
        3 => {
            let length = random.one(&["-1", "abc", "1e3", "99999999999999999999", "1, 2", ""]);
            format!(
                "POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{{}}"
            )
            .into()
        }
        4 => {
            let size = random.one(&["ffffffffffffffff", "-1", "zz", "10000000", ""]);
            let head = "Host: localhost\r\nTransfer-Encoding: chunked";
            format!("POST {SEARCH} HTTP/1.1\r\n{head}\r\n\r\n{size}\r\n{{}}\r\n0\r\n\r\n").into()
        }
        _ => {
            let lines = (0..random.below(300)).map(|number| format!("X-{number}: {number}\r\n"));
            let lines: String = lines.collect();
            format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").into()
        }
    }
}

/// Bytes that are no HTTP, or another version of it.
fn noise(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => (0..1 + random.below(500)).map(|_| random.byte()).collect(),
        1 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        2 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        _ => {
            let method = random.one(&[
                "GETT", "get", "DELETE", "CONNECT", "TRACE", "PATCH", "\u{e9}",
            ]);
            let version = random.one(&["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/9.9", ""]);
            format!("{method} {SEARCH} {version}\r\nHost: localhost\r\n\r\n").into()
        }
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into()
}

fn post(path: &str, length: usize, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), content].concat()
}

/// A text with every byte percent-encoded.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A generator of numbers that differ but are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // The high bits of neighboring seeds would be alike without this.
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 33) as usize % end
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
