//! More connections than `esparsa serve` takes at once, and connections that send very slowly.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::served::cases::SEARCH;
use crate::served::{Answer, Server, for_each, shop};

/// Connections that are open at once.
const MAX_CONNECTIONS: usize = 1_024;
const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// How long a connection that is not taken is watched.
const MOMENT: Duration = Duration::from_millis(150);

/// Whether an answer begins to come within a moment.
fn is_answered(stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    let is_answered = stream.peek(&mut [0]).is_ok_and(|bytes| bytes > 0);
    stream
        .set_read_timeout(Some(crate::served::PATIENCE))
        .unwrap();
    is_answered
}

/// Open files that a process may have, where the system says so (Linux).
fn file_limit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let limit = line.and_then(|line| line.split_whitespace().nth(3));
    limit.map_or(0, |limit| limit.parse().unwrap_or(usize::MAX))
}

#[test]
fn a_connection_above_the_limit_waits_until_another_ends() {
    // Test and server each have a file for every connection.
    if file_limit() < MAX_CONNECTIONS + 500 {
        eprintln!("not tested: at most {} files may be open", file_limit());
        return;
    }
    let scratch = shop();
    let server = Server::start(&scratch, "--index shop --header-timeout-ms 60000");
    let mut taken: Vec<TcpStream> = (0..MAX_CONNECTIONS).map(|_| server.connect()).collect();
    let mut waiting: Vec<TcpStream> = (0..75).map(|_| server.connect()).collect();
    for stream in &mut waiting {
        stream.write_all(REQUEST).unwrap();
    }
    assert!(!is_answered(&waiting[0]) && !is_answered(&waiting[74]));
    // Those that are taken are served meanwhile.
    let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    taken[5].write_all(request).unwrap();
    assert_eq!(taken[5].peek(&mut [0]).unwrap(), 1);
    // One place is enough for all that wait, one behind the other.
    drop(taken.pop());
    for stream in waiting {
        assert_eq!(Answer::read(stream).status, 200);
    }
    let mut first = taken.swap_remove(0);
    first.write_all(REQUEST).unwrap();
    assert_eq!(Answer::read(first).status, 200);
}

/// With few files the system refuses connections before the server does: it must wait, and go on.
#[cfg(unix)]
#[test]
fn a_server_without_free_files_serves_again_when_some_are() {
    let scratch = shop();
    let mut command = Command::new("sh");
    let script = "ulimit -n 48; exec \"$0\" serve --index shop --listen 127.0.0.1:0 --header-timeout-ms 60000";
    command.args(["-c", script, env!("CARGO_BIN_EXE_esparsa")]);
    let mut server = Server::of(command, &scratch).unwrap();
    let taken: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
    let mut late = server.connect();
    late.write_all(REQUEST).unwrap();
    assert!(!is_answered(&late));
    sleep(MOMENT);
    assert!(server.is_running());
    drop(taken);
    assert_eq!(Answer::read(late).status, 200);
    server.get("/api/indexes/shop/search?q=cup").done();
}

/// The time for a head and for a body is for the whole: a byte now and then does not begin it anew.
#[test]
fn heads_and_bodies_that_trickle_are_cut_off() {
    let scratch = shop();
    let limits = "--header-timeout-ms 300 --timeout-ms 300";
    let server = Server::start(&scratch, &format!("--index shop {limits}"));
    let post = format!("POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let head = String::from_utf8(REQUEST.to_vec()).unwrap();
    let cases = [
        // What comes at once, what comes byte by byte, and the status of the answer if there is one.
        (String::new(), &*head, 0),
        (head[..20].to_owned(), &head[20..], 0),
        (
            format!("{post}Content-Length: 11\r\n\r\n"),
            r#"{"q":"cup"}"#,
            408,
        ),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\n"),
            "b\r\n{\"q\":\"cup\"}\r\n0\r\n\r\n",
            408,
        ),
    ];
    for_each(&cases, |(at_once, slowly, status)| {
        let mut stream = server.connect();
        stream.write_all(at_once.as_bytes()).unwrap();
        for byte in slowly.bytes() {
            sleep(Duration::from_millis(40));
            if stream.write_all(&[byte]).is_err() {
                break;
            }
        }
        let answer = Answer::read(stream);
        assert_eq!(answer.status, *status, "{at_once}{slowly}");
    });
}
