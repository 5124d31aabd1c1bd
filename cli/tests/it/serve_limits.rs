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
    let text = "cup ".repeat(1_600);
    let lines = (0..2_000).map(|id| format!("{id}\ttea {text}\n"));
    scratch.write("docs.tsv", lines.collect::<String>());
    scratch
        .run("index docs.tsv --index shop --language simple")
        .done();
    let limits = "--timeout-ms 40 --max-k 2000 --max-requests 2 --threads 1";
    let server = Server::start(&scratch, &format!("--index shop {limits}"));
    // Two thousand texts take far longer to cut into passages.
    let path = format!("{SEARCH}?q=tea&k=2000&snippets=100&fields=");
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
fn clients_that_do_not_read_are_cut_off() {
    let scratch = Scratch::new();
    let text = "tea ".repeat(25_000);
    let lines = (0..150).map(|id| format!("{id}\t{text}\n"));
    scratch.write("docs.tsv", lines.collect::<String>());
    scratch
        .run("index docs.tsv --index shop --language simple")
        .done();
    let server = Server::start(&scratch, "--index shop --write-timeout-ms 1000");
    let path = format!("{SEARCH}?q=tea&k=150");
    let head = |connection: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n")
    };
    let whole = server.get(&path).body.len();
    assert!(whole > 14_000_000, "{whole}");
    // The answers are larger together than the buffers of the system between server and client.
    let mut slow = server.connect();
    let requests = head("keep-alive").repeat(5) + &head("close");
    slow.write_all(requests.as_bytes()).unwrap();
    // The first of them is ready, and then nobody takes it.
    server.until("/metrics", |answer| {
        let line = "route=\"/api/indexes/{name}/search\",status=\"200\"} 2\n";
        answer.body.contains(line)
    });
    std::thread::sleep(Duration::from_millis(3_000));
    let mut received = Vec::new();
    let _ = slow.read_to_end(&mut received);
    assert!(received.len() < 6 * whole, "{}", received.len());
    // A client that waits less, and then reads, has it all.
    let mut patient = server.connect();
    patient.write_all(head("close").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(ids(&Answer::read(patient).done()).len(), 150);
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
