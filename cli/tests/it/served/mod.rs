//! A server in a process of its own, and a client that sends requests byte for byte.

pub mod cases;
mod process;
mod raw;

pub use raw::for_each;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{Ran, Scratch};
use crate::two_documents::json;

/// After so long a test has failed: nothing here takes more than a fraction of it.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const PRODUCTS: &str = r#"{"_id":"cup","title":"Cup","text":"A red tea cup. It is small.","price":4.5,"color":["red","white"]}
{"_id":"pot","title":"Pot","text":"A tea pot <b>of</b> iron.","price":20,"color":["red"]}
{"_id":"mat","text":"A tea mat.","color":["blue"]}
{"_id":"a/b c","text":"Volcanoes of Sicily."}
"#;

/// A folder with an index `shop` of the products.
pub fn shop() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("products.jsonl", PRODUCTS);
    let columns = "--column price:f64 --column color:keyword:several";
    scratch
        .run(&format!(
            "index products.jsonl --index shop {columns} --language simple"
        ))
        .done();
    scratch
}

/// A running server, which is killed at the end of the test.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts `esparsa serve` on a free port, and waits until it listens.
    pub fn start(scratch: &Scratch, arguments: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_esparsa"));
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.args(arguments.split_whitespace());
        Self::of(command, scratch).unwrap_or_else(|line| panic!("no address in `{line}`"))
    }

    /// Starts a server by a command, and waits until it listens; what it prints instead is the
    /// error.
    pub fn of(mut command: Command, scratch: &Scratch) -> Result<Self, String> {
        let mut child = command
            .current_dir(scratch.path(""))
            .env_remove("ESPARSA_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.and_then(|address| address.strip_suffix('/'));
        match address {
            Some(address) => Ok(Self {
                address: address.parse().unwrap(),
                child,
            }),
            None => {
                let _ = child.wait();
                Err(line)
            }
        }
    }

    /// Runs `esparsa serve` with what it must refuse, and with a token in its environment or none.
    pub fn refused(scratch: &Scratch, arguments: &str, token: Option<&str>) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_esparsa"));
        command.arg("serve").args(arguments.split_whitespace());
        command.env_remove("ESPARSA_TOKEN");
        command.envs(token.map(|token| ("ESPARSA_TOKEN", token)));
        let child = command
            .current_dir(scratch.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that serves after all is killed at the end of the test.
        let mut refused = Self {
            child,
            address: SocketAddr::from(([0; 4], 0)),
        };
        let code = refused.end().code();
        let read = |pipe: &mut dyn Read| {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        };
        Ran {
            code,
            stdout: read(&mut refused.child.stdout.take().unwrap()),
            stderr: read(&mut refused.child.stderr.take().unwrap()),
        }
    }

    /// A server of the products.
    pub fn of_shop() -> (Scratch, Self) {
        let scratch = shop();
        let server = Self::start(&scratch, "--index shop");
        (scratch, server)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "", None)
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.request("POST", path, "", Some(body))
    }

    /// Sends a request with more headers, each with its line end, and reads the answer.
    pub fn request(&self, method: &str, path: &str, headers: &str, body: Option<&str>) -> Answer {
        let mut stream = self.connect();
        let length = body.map_or_else(String::new, |body| {
            format!("Content-Length: {}\r\n", body.len())
        });
        let body = body.unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}"
        );
        // The server may answer, and close, before it has read a body that is too large.
        let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes());
        Answer::read(stream)
    }

    /// A request with a body of 11 bytes, of which only `{` is sent: it holds its place meanwhile.
    pub fn hang(&self, path: &str) -> TcpStream {
        let mut stream = self.connect();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n{{");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    /// Asks until the answer is as expected.
    pub fn until(&self, path: &str, is_expected: impl Fn(&Answer) -> bool) -> Answer {
        let started = Instant::now();
        loop {
            let answer = self.get(path);
            if is_expected(&answer) {
                return answer;
            }
            assert!(started.elapsed() < PATIENCE, "{path}: {answer:?}");
            sleep(Duration::from_millis(5));
        }
    }

    /// Asks the process to end.
    #[cfg(unix)]
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(killed.success());
    }

    /// Waits for the end of the process.
    pub fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the server does not end");
            sleep(Duration::from_millis(5));
        }
    }

    /// Bytes of memory that the process has resident, where the system says so.
    pub fn resident_bytes(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kilobytes << 10)
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer; header names are in lower case.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Reads until the server closes the connection.
    pub fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A connection that is closed with unread bytes is reset, behind what was sent before.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    /// The JSON of an answer that must be one.
    #[track_caller]
    pub fn done(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        json(&self.body)
    }

    /// The message of an error that must have this status and kind.
    #[track_caller]
    pub fn refused(&self, status: u16, kind: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        let error = &json(&self.body)["error"];
        assert_eq!(error["kind"], kind, "{self:?}");
        error["message"].as_str().unwrap().to_owned()
    }

    pub fn has_header(&self, line: &str) -> bool {
        self.head.lines().any(|one| one == line)
    }
}

/// The ids of the hits of a search, in order.
pub fn ids(report: &Value) -> Vec<&str> {
    let hits = report["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["id"].as_str().unwrap()).collect()
}
