//! What the fuzz targets call: bytes as each kind of input. Panics where what is promised does not
//! hold.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use esparsa::{Column, Document, Error, Index, Result, Schema, Text};

use crate::ciff::Ciff;
use crate::input::{Chunk, InputEncoding, InputFormat, Reader, Record, RecordFormat, parse};
use crate::serve::Serve;

/// Lines of JSON as documents.
pub fn json_lines(bytes: &[u8]) {
    records(bytes, RecordFormat::JsonLines);
}

/// SGML of TREC as documents.
pub fn trec(bytes: &[u8]) {
    records(bytes, RecordFormat::Trec);
}

/// Lines of columns as documents.
pub fn tsv(bytes: &[u8]) {
    records(bytes, RecordFormat::Tsv);
}

fn records(bytes: &[u8], format: RecordFormat) {
    let chunk = Chunk {
        file: "documents".into(),
        first_line: 1,
        format,
        bytes: bytes.to_vec(),
    };
    let _ = chunk.records_about();
    parse(&chunk, &mut check_parsed);
}

fn check_parsed(parsed: Result<Record>) {
    let record = match parsed {
        Ok(record) => record,
        Err(error) => {
            assert!(error.is_input(), "{error}");
            return;
        }
    };
    // What is stored is a line of JSON that says the same.
    let stored = Chunk {
        file: "stored".into(),
        first_line: 1,
        format: RecordFormat::JsonLines,
        bytes: record.source.clone(),
    };
    let mut again = Vec::new();
    parse(&stored, &mut |parsed| {
        again.push(parsed.expect("a stored document"))
    });
    let again = again.first().expect("one stored document");
    assert_eq!(
        (&again.id, &again.title, &again.text),
        (&record.id, &record.title, &record.text)
    );
}

/// Names that say more or less of what is in a file.
const NAMES: [&str; 8] = [
    "a",
    "a.gz",
    "a.zst",
    "a.jsonl",
    "a.jsonl.gz",
    "a.tsv.zst",
    "a.txt",
    "a.trec.gz",
];
const ENCODINGS: [&str; 6] = [
    "auto",
    "utf-8",
    "latin1",
    "utf-16le",
    "shift_jis",
    "gb18030",
];
/// Chunks that are looked at: a few bytes may stand for gigabytes.
const MAX_CHUNKS: usize = 4;

/// A file of any format, compressed or not: the first two bytes say its name and its encoding.
pub fn compressed(bytes: &[u8]) {
    let Some((&[name, encoding], bytes)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(NAMES[usize::from(name) % NAMES.len()]);
    fs::write(&path, bytes).expect("a file");
    let encoding = ENCODINGS[usize::from(encoding) % ENCODINGS.len()];
    let encoding: InputEncoding = encoding.parse().expect("an encoding");
    let Ok(reader) = Reader::open_encoded(&[path], InputFormat::Auto, encoding) else {
        return;
    };
    for chunk in reader.take(MAX_CHUNKS).flatten() {
        parse(&chunk, &mut check_parsed);
    }
}

/// The part of the command line that is called.
#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Ciff(Ciff),
    Serve(Box<Serve>),
}

fn command<const N: usize>(arguments: [&str; N]) -> Command {
    CommandLine::parse_from(["esparsa"].into_iter().chain(arguments)).command
}

/// A file of the Common Index File Format: the first byte says what its frequencies are.
pub fn ciff(bytes: &[u8]) {
    let Some((&kind, bytes)) = bytes.split_first() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (file, index) = (folder.path().join("a.ciff"), folder.path().join("index"));
    fs::write(&file, bytes).expect("a file");
    let kind = if kind.is_multiple_of(2) {
        "text"
    } else {
        "sparse"
    };
    let arguments = [
        "ciff",
        "import",
        text(&file),
        "--index",
        text(&index),
        "--kind",
        kind,
    ];
    let Command::Ciff(ciff) = command(arguments) else {
        unreachable!("another command");
    };
    match ciff.run() {
        Ok(()) => {
            let snapshot = Index::open(&index).and_then(|index| index.snapshot());
            let snapshot = snapshot.expect("an index");
            for segment in 0..snapshot.segment_count() {
                snapshot.verify_segment(segment).expect("a whole segment");
            }
        }
        Err(error) => assert!(
            error.is_input() || matches!(error, Error::Io { .. }),
            "{error}"
        ),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of UTF-8")
}

/// How long an answer may take, and the start of the server.
const PATIENCE: Duration = Duration::from_secs(8);

/// Requests of HTTP, as they come over a connection.
pub fn http(bytes: &[u8]) {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    let answer = exchange(*SERVER.get_or_init(start_server), bytes);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1."),
        "{answer}"
    );
    // Nothing that a client sends may be the server's fault.
    for line in answer.lines().filter(|line| line.starts_with("HTTP/1.")) {
        assert!(!line.contains(" 500 "), "{answer}");
    }
}

/// Sends bytes on a connection, and reads until the server closes it. It is not closed for writing:
/// the server takes that for a client that is gone, and drops the answers that a thread works on.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    // The server may refuse a request, and close, before it has read all of it.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        let is_late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!is_late, "the connection is open after {PATIENCE:?}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn start_server() -> SocketAddr {
    let folder = tempfile::tempdir().expect("a folder");
    // The server uses it until the process ends.
    let index: PathBuf = folder.keep().join("shop");
    build_shop(&index).expect("an index");
    // A port that is free now.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
    let address = free.expect("a port");
    let listen = address.to_string();
    // An open connection is closed soon, which is when all its answers have come.
    let arguments = [
        ["serve", "--threads", "1", "--index", text(&index)],
        ["--listen", &listen, "--max-body", "64kB", "--max-k=100"],
        [
            "--timeout-ms",
            "1000",
            "--header-timeout-ms",
            "50",
            "--reload-ms=86400000",
        ],
    ];
    let arguments = arguments.concat().try_into().expect("fifteen arguments");
    let Command::Serve(serve) = command::<15>(arguments) else {
        unreachable!("another command");
    };
    let server = thread::spawn(move || serve.run().expect("a server"));
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        let is_starting = !server.is_finished() && started.elapsed() < PATIENCE;
        assert!(is_starting, "the server does not start");
        thread::sleep(Duration::from_millis(5));
    }
    check_server(address);
    address
}

/// Checks that answers arrive, also those that a thread of its own works on: where none does, no
/// other check could fail.
fn check_server(address: SocketAddr) {
    for path in ["/health", "/api/indexes/shop/search?q=tea"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = exchange(address, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer:?}");
    }
}

fn build_shop(path: &Path) -> Result<()> {
    let schema = Schema::builder()
        .text("text", Text::new().analyzer("en").positions())
        .column("price", Column::f64())
        .column("color", Column::keyword().several())
        .stored("source");
    let mut writer = Index::create(path, schema.build()?)?.writer()?;
    let products = [
        ("cup", "A red tea cup. It is small.", 4.5, "red"),
        ("pot", "A tea pot <b>of</b> iron.", 20.0, "red"),
        ("mat", "A tea mat.", 7.0, "blue"),
        ("a/b c", "Volcanoes of Sicily.", 0.0, "white"),
    ];
    for (id, text, price, color) in products {
        let stored = format!("{{\"_id\":\"{id}\",\"text\":\"{text}\"}}");
        let document = Document::new(id)
            .with_text("text", text)
            .with_stored("source", stored);
        writer.add(document.with("price", price).with("color", color))?;
    }
    writer.commit()?;
    Ok(())
}
