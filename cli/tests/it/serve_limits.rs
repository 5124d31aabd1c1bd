//! The bounds of `esparsa serve`: sizes, times, requests at once, commits and the end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::Duration;

use crate::command::Scratch;
use crate::served::{Answer, PATIENCE, Server, ids, shop};

const SEARCH: &str = "/api/indexes/shop/search";

#[test]
fn a_request_may_cost_only_so_much() {
    let scratch = shop();
    let server = Server::start(&scratch, "--index shop --max-k 5 --max-body 1000");
    server.get(&format!("{SEARCH}?q=tea&k=3&offset=2")).done();
    for more in ["k=6", "k=3&offset=3", "k=1&offset=18446744073709551615"] {
        let message = server
            .get(&format!("{SEARCH}?q=tea&{more}"))
            .refused(400, "invalid_request");
        assert!(message.contains("up to 5"), "{message}");
    }
    let body = |length: usize| format!(r#"{{"q":"{}"}}"#, "a".repeat(length - 8));
    server.post(SEARCH, &body(1000)).done();
    let message = server
        .post(SEARCH, &body(1001))
        .refused(413, "body_too_large");
    assert!(message.contains("1000"), "{message}");
    // The length is not known before a body in chunks ends.
    let chunked = format!(
        "POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n{}\r\n0\r\n\r\n",
        " ".repeat(2000)
    );
    let mut stream = server.connect();
    stream.write_all(chunked.as_bytes()).unwrap();
    Answer::read(stream).refused(413, "body_too_large");

    let server = Server::start(&scratch, "--index shop");
    let message = server
        .get(&format!("{SEARCH}?q={}", "a".repeat(9_000)))
        .refused(400, "invalid_request");
    assert!(message.contains("8192 bytes"), "{message}");
    let answer = server.get(&format!("{SEARCH}?q={}", "a".repeat(100_000)));
    assert!([414, 431].contains(&answer.status), "{}", answer.status);
}

#[test]
fn requests_above_the_limit_are_told_to_come_back() {
    let scratch = shop();
    let server = Server::start(&scratch, "--index shop --max-requests 1 --threads 1");
    let path = format!("{SEARCH}?q=tea");
    let mut hanging = server.hang(SEARCH);
    // Metrics take no place.
    server.until("/metrics", |answer| {
        answer.body.contains("esparsa_requests_open 2\n")
    });
    let refused = server.get(&path);
    refused.refused(503, "overloaded");
    assert!(refused.has_header("retry-after: 1"), "{refused:?}");
    // Whoever watches the server is answered.
    server.get("/health").done();
    assert_eq!(server.get("/metrics").status, 200);
    hanging.write_all(br#""q":"tea"}"#).unwrap();
    drop(hanging);
    server.until(&path, |answer| answer.status == 200);
}

#[test]
fn what_takes_too_long_is_stopped() {
    let scratch = Scratch::new();
    let text = "tea ".repeat(400);
    let lines = (0..2_000).map(|id| format!("{id}\t{text}\n"));
    scratch.write("docs.tsv", lines.collect::<String>());
    scratch
        .run("index docs.tsv --index shop --language simple")
        .done();
    let limits = "--timeout-ms 40 --max-k 2000 --max-requests 2 --threads 1";
    let server = Server::start(&scratch, &format!("--index shop {limits}"));
    // Two thousand texts take far longer to cut into passages.
    let path = format!("{SEARCH}?q=tea&k=2000&snippets=100");
    let message = server.get(&path).refused(504, "timed_out");
    assert!(message.contains("40 ms"), "{message}");
    // The thread has stopped too, or else the next requests would wait for it.
    let quick = format!("{SEARCH}?q=tea&k=1&fields=_id");
    server.until(&quick, |answer| answer.status == 200);
    // A body that does not come takes no longer.
    let stream = server.hang(SEARCH);
    Answer::read(stream).refused(408, "slow_request");
}

#[test]
fn slow_heads_and_idle_connections_are_closed() {
    let scratch = shop();
    let server = Server::start(&scratch, "--index shop --header-timeout-ms 100");
    let mut sent = Vec::new();
    for begun in [
        "",
        "GET / HT",
        "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        sent.push(stream);
    }
    for mut stream in sent {
        // The end of the stream, well before the patience of the test ends.
        let mut received = Vec::new();
        if let Err(error) = stream.read_to_end(&mut received) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }
}

#[test]
fn a_commit_of_another_process_is_taken_without_a_lost_request() {
    let scratch = shop();
    let server = Server::start(&scratch, "--index shop --reload-ms 5");
    let is_done = AtomicBool::new(false);
    let path = format!("{SEARCH}?q=tea");
    scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !is_done.load(Ordering::Relaxed) {
                server.get(&path).done();
                asked += 1;
            }
            asked
        });
        for (number, words) in ["green", "black", "white"].into_iter().enumerate() {
            scratch.write(
                "more.jsonl",
                format!(r#"{{"_id":"{number}","text":"{words} tea","color":["{words}"]}}"#),
            );
            scratch
                .run("index more.jsonl --index shop --segments 1")
                .done();
            let found = format!("{SEARCH}?q={words}");
            let report = server
                .until(&found, |answer| {
                    answer.body.contains(&format!("\"id\":\"{number}\""))
                })
                .done();
            assert!(ids(&report).contains(&&*number.to_string()));
        }
        is_done.store(true, Ordering::Relaxed);
        assert!(asking.join().unwrap() > 0);
    });
    let metrics = server.get("/metrics").body;
    assert!(
        metrics.contains("esparsa_index_documents{index=\"shop\"} 7\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("failed_reloads_total{index=\"shop\"} 0\n"),
        "{metrics}"
    );
}

#[test]
fn a_damaged_commit_is_not_taken() {
    let scratch = shop();
    let server = Server::start(&scratch, "--index shop --reload-ms 5");
    scratch.write("shop/manifest-0000000003", "no manifest");
    let failed = |answer: &Answer| {
        !answer
            .body
            .contains("failed_reloads_total{index=\"shop\"} 0\n")
    };
    server.until("/metrics", failed);
    assert_eq!(ids(&server.get(&format!("{SEARCH}?q=cup")).done()), ["cup"]);
}

#[cfg(unix)]
#[test]
fn running_requests_finish_before_the_end() {
    let scratch = shop();
    let mut server = Server::start(&scratch, "--index shop");
    let mut idle = server.connect();
    let mut hanging = server.hang(SEARCH);
    server.until("/metrics", |answer| {
        answer.body.contains("esparsa_requests_open 2\n")
    });
    server.terminate();
    // An idle connection is closed, and no new one is accepted.
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0);
    let started = std::time::Instant::now();
    while TcpStream::connect_timeout(&server.address, Duration::from_secs(1)).is_ok() {
        assert!(started.elapsed() < PATIENCE);
    }
    assert!(server.is_running());
    hanging.write_all(br#""q":"cup"}"#).unwrap();
    let report = Answer::read(hanging).done();
    assert_eq!(ids(&report), ["cup"]);
    assert_eq!(server.end().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn the_end_waits_only_so_long() {
    let scratch = shop();
    let mut server = Server::start(&scratch, "--index shop --drain-ms 50");
    let _hanging = server.hang(SEARCH);
    server.until("/metrics", |answer| {
        answer.body.contains("esparsa_requests_open 2\n")
    });
    server.terminate();
    assert_eq!(server.end().code(), Some(0));
}

/// Requests that are well formed before something happens to them.
const GOOD: [&[u8]; 4] = [
    b"GET /api/indexes/shop/search?q=tea&k=2&facets=color HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /api/indexes/shop/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\n{\"q\":\"+tea -cup\",\"sort\":[\"p\"]}",
    b"GET /api/indexes/shop/documents/cup HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    b"POST /api/indexes/shop/explain?id=cup HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"q\":\"t\"}\r\n0\r\n\r\n",
];

/// Sends a damaged request, and waits until the server has closed the connection.
fn send_damaged(server: &Server, random: &mut Random) {
    let mut bytes = GOOD[random.below(GOOD.len())].to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes.insert(at, random.below(256) as u8),
            2 if bytes.len() > 1 => drop(bytes.remove(at)),
            3 => bytes.truncate(at.max(1)),
            _ => bytes.extend_from_within(at..),
        }
    }
    let mut stream = server.connect();
    let _ = stream.write_all(&bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let sent = String::from_utf8_lossy(&bytes);
    assert!(!answer.contains("HTTP/1.1 500"), "{sent}\n{answer}");
}

#[test]
fn malformed_requests_do_no_harm() {
    const CLIENTS: u64 = 40;
    const REQUESTS: u64 = 50;
    let scratch = shop();
    // Most connections stay open, with a part of a request or after an answer, until their time is up.
    let limits = "--header-timeout-ms 25 --timeout-ms 25 --max-requests 1000";
    let mut server = Server::start(&scratch, &format!("--index shop {limits}"));
    scope(|scope| {
        for client in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || {
                let mut random = Random(client);
                (0..REQUESTS).for_each(|_| send_damaged(server, &mut random));
            });
        }
    });
    assert!(server.is_running());
    let path = format!("{SEARCH}?q=cup");
    let report = server.until(&path, |answer| answer.status == 200).done();
    assert_eq!(ids(&report), ["cup"]);
    // Every one of them is over.
    let is_over = |answer: &Answer| answer.body.contains("esparsa_requests_open 1\n");
    server.until("/metrics", is_over);
}

/// A generator of numbers that differ but are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}
