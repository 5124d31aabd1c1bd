//! Paths that lead elsewhere: no part of a request opens a file, and no answer names one.

use crate::command::Scratch;
use crate::served::{Answer, Server, for_each, ids};

/// What a file beside the index has, and the index has not.
const SECRET: &str = "do-not-show-this";
/// Ways to write the name of a file that is not the index's.
const NAMES: [&[u8]; 34] = [
    b"..",
    b".",
    b"../secret.txt",
    b"../../../../../../../../etc/passwd",
    b"/etc/passwd",
    b"//etc/passwd",
    b"///etc/passwd",
    b"./secret.txt",
    b"..;/secret.txt",
    b"....//secret.txt",
    b"..\\secret.txt",
    b"..%5csecret.txt",
    b"..%5Csecret.txt",
    b"..%2fsecret.txt",
    b"..%2Fsecret.txt",
    b"%2e%2e/secret.txt",
    b"%2e%2e%2fsecret.txt",
    b"%2E%2E%2Fsecret.txt",
    b"%252e%252e%252fsecret.txt",
    b"%u002e%u002e%u2215secret.txt",
    b"%c0%ae%c0%ae%c0%afsecret.txt",
    b"%e0%80%ae%e0%80%ae%e0%80%afsecret.txt",
    b"\xc0\xae\xc0\xae\xc0\xafsecret.txt",
    "．．／secret.txt".as_bytes(),
    b"%ef%bc%8e%ef%bc%8e%ef%bc%8fsecret.txt",
    b"secret.txt%00",
    b"cup%00.html",
    b"%00",
    b"C:%5Cwindows%5Cwin.ini",
    b"%5C%5Chost%5Cshare",
    b"file:///etc/passwd",
    b"file:%2f%2f%2fetc%2fpasswd",
    b"shop/manifest-0000000002",
    b"%2fproc%2fself%2fenviron",
];

/// A folder with a secret beside and within that of the index, whose documents have ids like paths.
fn served() -> (Scratch, Server) {
    let scratch = Scratch::new();
    let lines = [
        r#"{"_id":"cup","text":"A tea cup."}"#,
        r#"{"_id":"../secret.txt","text":"A document of its own."}"#,
        r#"{"_id":"/etc/passwd","text":"Another document."}"#,
    ];
    scratch.write("products.jsonl", lines.join("\n"));
    scratch
        .run("index products.jsonl --index shop --language simple")
        .done();
    scratch.write("secret.txt", SECRET);
    scratch.write("shop/secret.txt", SECRET);
    let server = Server::start(&scratch, "--index shop");
    (scratch, server)
}

/// The only answer to a request; it shows no file and no place of this machine.
#[track_caller]
fn check(scratch: &Scratch, server: &Server, sent: &[u8]) -> Answer {
    let mut answers = server.exchange(sent);
    let folder = scratch.path("").display().to_string();
    let shown = format!("{}\n{answers:?}", sent.escape_ascii());
    assert_eq!(answers.len(), 1, "{shown}");
    let answer = answers.remove(0);
    let source = env!("CARGO_MANIFEST_DIR");
    for hidden in [
        SECRET, "root:", &folder, source, "os error", "src/", ".rs:", "PATH=",
    ] {
        let is_shown = answer.body.contains(hidden) || answer.head.contains(hidden);
        assert!(!is_shown, "{hidden}: {shown}");
    }
    assert_ne!(answer.status, 500, "{shown}");
    answer
}

#[test]
fn no_path_leads_out_of_what_is_served() {
    let (scratch, server) = served();
    // What is before a name, what is behind it, and whether anything may be found there.
    let places = [
        ("/", "", false),
        ("/page.js/", "", false),
        ("/api/", "", false),
        ("/api/indexes/", "", false),
        ("/api/indexes/", "/search?q=tea", false),
        ("/api/indexes/", "/documents/cup", false),
        ("/api/indexes/", "/explain?q=tea&id=cup", false),
        ("/api/indexes/", "/suggest?q=tea", false),
        ("/api/indexes/", "/encode?text=tea", false),
        ("/api/indexes/shop/", "", false),
        ("/api/indexes/shop/documents/", "", true),
        ("/api/indexes/shop/documents/", "/", false),
        ("/health/", "", false),
        ("/metrics/", "", false),
        ("http://localhost/", "", false),
    ];
    let mut cases = Vec::new();
    for (before, behind, may_be_found) in places {
        for name in NAMES {
            let before = format!("GET {before}");
            let head = format!("{behind} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            cases.push((
                [before.as_bytes(), name, head.as_bytes()].concat(),
                may_be_found,
            ));
        }
    }
    for_each(&cases, |(sent, may_be_found)| {
        let answer = check(&scratch, &server, sent);
        let is_expected = match answer.status {
            400 | 404 => true,
            200 => *may_be_found && answer.body.contains("document"),
            _ => false,
        };
        assert!(is_expected, "{} {answer:?}", sent.escape_ascii());
    });
}

#[test]
fn no_parameter_leads_out_of_what_is_served() {
    let (scratch, server) = served();
    // What is before a name, and how it is refused.
    let places = [
        ("explain?q=tea&id=", 404),
        ("suggest?q=a&field=", 400),
        ("encode?text=a&field=", 400),
        ("encode?text=a&system=", 400),
        ("search?q=tea&rerank=", 400),
        ("search?q=tea&system=", 400),
        ("search?q=tea&field=", 400),
        ("search?q=tea&search_fields=", 400),
        ("search?q=tea&sort=", 400),
        ("search?q=tea&facets=", 400),
        ("search?q=tea&filter=", 400),
        ("search?query=", 400),
        // What is no field of a document is left out.
        ("search?q=tea&fields=", 200),
        // Any words may be searched.
        ("search?q=", 200),
        ("suggest?q=", 200),
    ];
    let mut cases = Vec::new();
    for (place, status) in places {
        for name in NAMES {
            let place = format!("GET /api/indexes/shop/{place}");
            let head = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            cases.push(([place.as_bytes(), name, head].concat(), status));
        }
    }
    for_each(&cases, |(sent, status)| {
        let answer = check(&scratch, &server, sent);
        // Two of the names are ids; a word may be no query.
        let is_id = sent.starts_with(b"GET /api/indexes/shop/explain") && answer.status == 200;
        let is_expected = answer.status == *status || answer.status == 400 || is_id;
        assert!(is_expected, "{} {answer:?}", sent.escape_ascii());
    });
}

#[test]
fn ids_that_look_like_paths_are_only_ids() {
    let (_scratch, server) = served();
    for (id, text) in [
        ("..%2fsecret.txt", "A document of its own."),
        ("%2e%2e%2Fsecret%2Etxt", "A document of its own."),
        ("%2fetc%2fpasswd", "Another document."),
    ] {
        let report = server
            .get(&format!("/api/indexes/shop/documents/{id}"))
            .done();
        assert_eq!(report["document"]["text"], text);
    }
    let report = server.get("/api/indexes/shop/search?q=own").done();
    assert_eq!(ids(&report), ["../secret.txt"]);
}

#[test]
fn the_name_of_an_index_is_no_folder() {
    let (scratch, _server) = served();
    // Names with slashes are none, so that no address needs to have one.
    for name in ["", "a\\b"] {
        let arguments = format!("--index {name}=shop --listen 127.0.0.1:0");
        let ran = Server::refused(&scratch, &arguments, None);
        assert_ne!(ran.code, Some(0), "{name}");
    }
    // A name that is a path of another file is still the name of this index only.
    let server = Server::start(&scratch, "--index ..=shop --index secret.txt=shop");
    for name in ["..", "%2e%2e", "secret.txt"] {
        let report = server
            .get(&format!("/api/indexes/{name}/documents/cup"))
            .done();
        assert_eq!(report["document"]["text"], "A tea cup.");
    }
}
