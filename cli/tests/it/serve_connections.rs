//! More connections than `esparsa serve` takes at once, and connections that send very slowly.

#[cfg(unix)]
use std::ffi::OsStr;
use std::io::Write;
#[cfg(unix)]
use std::net::TcpStream;
#[cfg(unix)]
use std::process::Command;
use std::time::Duration;

use crate::served::cases::SEARCH;
use crate::served::{Answer, PATIENCE, Server, for_each, shop};

/// Connections that are open at once.
#[cfg(unix)]
const MAX_CONNECTIONS: usize = 1_024;
/// Files that test and server each need: one for every connection, and some more.
#[cfg(unix)]
const FILES: usize = MAX_CONNECTIONS + 500;
const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// How long a connection that is not taken is watched.
#[cfg(unix)]
const MOMENT: Duration = Duration::from_millis(150);

/// Whether an answer begins to come within a moment.
#[cfg(unix)]
fn is_answered(stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    let is_answered = stream.peek(&mut [0]).is_ok_and(|bytes| bytes > 0);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    is_answered
}

/// A command of the shell, with an argument.
#[cfg(unix)]
fn shell(script: &str, argument: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(argument);
    command
}

/// Open files that this process may have, and how many it may ask for.
#[cfg(unix)]
fn file_limits() -> [usize; 2] {
    ["ulimit -Sn", "ulimit -Hn"].map(|script| {
        let output = shell(script, "").output().unwrap();
        let limit = String::from_utf8(output.stdout).unwrap();
        // `unlimited` is no number.
        limit.trim().parse().unwrap_or(usize::MAX)
    })
}

/// Runs a test again, in a process that may open more files.
#[cfg(unix)]
fn run_with_more_files(test: &str) {
    let script = format!("ulimit -Sn {FILES} && exec \"$0\" --exact {test} --nocapture");
    let mut command = shell(&script, std::env::current_exe().unwrap());
    let output = command.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let has_passed = output.status.success() && shown.contains("test result: ok. 1 passed");
    assert!(has_passed, "{shown}{errors}");
}

#[cfg(unix)]
#[test]
fn a_connection_above_the_limit_waits_until_another_ends() {
    let [soft, hard] = file_limits();
    if soft < FILES && hard < FILES {
        eprintln!("not tested: at most {hard} files may be open");
        return;
    }
    if soft < FILES {
        let test = "serve_connections::a_connection_above_the_limit_waits_until_another_ends";
        return run_with_more_files(test);
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
    let script = "ulimit -n 48; exec \"$0\" serve --index shop --listen 127.0.0.1:0 --header-timeout-ms 60000";
    let command = shell(script, env!("CARGO_BIN_EXE_esparsa"));
    let mut server = Server::of(command, &scratch).unwrap();
    let taken: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
    let mut late = server.connect();
    late.write_all(REQUEST).unwrap();
    assert!(!is_answered(&late));
    std::thread::sleep(MOMENT);
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
    // Blanks, so that what is sent takes seconds and not a little more than its time.
    let body = format!("{{{}\"q\":\"cup\"}}", " ".repeat(53));
    let cases = [
        // What comes at once, what comes byte by byte, and the status of the answer if there is one.
        (String::new(), head.clone(), 0),
        (head[..7].to_owned(), head[7..].to_owned(), 0),
        (
            format!("{post}Content-Length: 64\r\n\r\n"),
            body.clone(),
            408,
        ),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\n"),
            format!("40\r\n{body}\r\n0\r\n\r\n"),
            408,
        ),
    ];
    for_each(&cases, |(at_once, slowly, status)| {
        let mut stream = server.connect();
        stream.write_all(at_once.as_bytes()).unwrap();
        let pause = Some(Duration::from_millis(40));
        stream.set_read_timeout(pause).unwrap();
        let mut sent = 0;
        // Until an answer or the end comes.
        while sent < slowly.len() && stream.peek(&mut [0]).is_err() {
            if stream.write_all(&slowly.as_bytes()[sent..=sent]).is_err() {
                break;
            }
            sent += 1;
        }
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let answer = Answer::read(stream);
        assert_eq!(answer.status, *status, "{at_once}{slowly}");
        assert!(sent < slowly.len(), "{at_once}{slowly}");
    });
}
