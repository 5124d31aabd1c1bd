//! The token of `esparsa serve`: asked for everywhere, and accepted in one form only.

use crate::command::Scratch;
use crate::served::{Answer, Server, for_each, shop};

const TOKEN: &str = "0123456789abcdef";
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY",
];

fn closed() -> (Scratch, Server) {
    let scratch = shop();
    let server = Server::start(&scratch, &format!("--index shop --token {TOKEN}"));
    (scratch, server)
}

/// Sends a head whose header lines may have any bytes.
fn ask(server: &Server, method: &str, path: &str, headers: &[u8]) -> Answer {
    let line = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let answers = server.exchange(&[line.as_bytes(), headers, b"\r\n"].concat());
    answers.into_iter().next_back().unwrap()
}

/// Header lines that show no token, or not this one.
fn wrong() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer 0",
        "Bearer 0123456789abcde",
        "Bearer 123456789abcdef",
        "Bearer 0123456789abcdef0",
        "Bearer 00123456789abcdef",
        "Bearer 0123456789abcdefg",
        "Bearer 0123456789ABCDEF",
        "Bearer 0123456789abcdeX",
        "Bearer X123456789abcdef",
        "Bearer  0123456789abcdef",
        "Bearer\t0123456789abcdef",
        "Bearer 0123456789 abcdef",
        "Bearer \"0123456789abcdef\"",
        "Bearer 0123456789abcdef,",
        "Bearer 0123456789abcdef, Bearer 0123456789abcdef",
        "Bearer:0123456789abcdef",
        "Bearer=0123456789abcdef",
        "Bearer0123456789abcdef",
        "Bearers 0123456789abcdef",
        "Basic 0123456789abcdef",
        "Basic MDEyMzQ1Njc4OWFiY2RlZjo=",
        "Token 0123456789abcdef",
        "Digest 0123456789abcdef",
        "0123456789abcdef",
        "Bearer %30123456789abcdef",
        "Bearer ０123456789abcdef",
    ]
    .into_iter()
    .map(|value| value.as_bytes().to_vec())
    .collect();
    values.push(b"Bearer 0123456789abcdef\xff".to_vec());
    values.push(b"Bearer \xc0\xb0123456789abcdef".to_vec());
    values.push([b"Bearer ".to_vec(), b"a".repeat(60_000)].concat());
    let lines = values.into_iter();
    let lines = lines.map(|value| [b"Authorization: ".to_vec(), value, b"\r\n".to_vec()].concat());
    let mut lines: Vec<Vec<u8>> = lines.collect();
    for other in [
        "",
        "Cookie: token=0123456789abcdef\r\n",
        "Proxy-Authorization: Bearer 0123456789abcdef\r\n",
        "X-Authorization: Bearer 0123456789abcdef\r\n",
        "Authorization: Bearer 0123456789abcdef\r\nAuthorization: Bearer 0123456789abcdeX\r\n",
        "Authorization: Bearer 0123456789abcdeX\r\nAuthorization: Bearer 0123456789abcdef\r\n",
        "Authorization: Bearer 0123456789abcdef\r\nauthorization: Bearer 0123456789abcdef\r\n",
        // The loopback address is no reason.
        "X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n",
    ] {
        lines.push(other.as_bytes().to_vec());
    }
    lines
}

#[test]
fn no_other_token_opens_any_route() {
    let (_scratch, server) = closed();
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    let routes = server.routes(&right);
    assert_eq!(routes.iter().filter(|route| route.is_public).count(), 2);
    let mut cases = Vec::new();
    for route in &routes {
        for method in METHODS {
            let has_method = route.methods.iter().any(|one| one == method);
            cases.push((route.path.clone(), method, has_method, route.is_public));
        }
    }
    let others = [
        "/none",
        "/api",
        "/api/indexes/none/search?q=a",
        "/api/indexes/%ff/search",
    ];
    cases.extend(others.map(|path| (path.to_owned(), "GET", true, false)));
    let wrong = wrong();
    for_each(&cases, |(path, method, has_method, is_public)| {
        for headers in &wrong {
            let answer = ask(&server, method, path, headers);
            let shown = format!("{method} {path} {}", headers.escape_ascii());
            match is_public {
                true => assert_eq!(answer.status == 200, *has_method, "{shown:.300}"),
                false => {
                    assert_eq!(answer.status, 401, "{shown:.300}");
                    assert!(
                        answer.has_header("www-authenticate: bearer"),
                        "{shown:.300}"
                    );
                }
            }
        }
        let answer = ask(&server, method, path, right.as_bytes());
        assert_ne!(answer.status, 401, "{method} {path}");
    });
    // What is refused is the same for all, also where nothing is, so that it tells nothing.
    let bodies = others.map(|path| server.get(path).body);
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[test]
fn a_token_in_an_address_or_a_body_is_not_accepted() {
    let (_scratch, server) = closed();
    for path in [
        "/api/indexes?token=0123456789abcdef",
        "/api/indexes?access_token=0123456789abcdef",
        "/api/indexes?authorization=Bearer+0123456789abcdef",
        "/api/indexes;token=0123456789abcdef",
        "/metrics?0123456789abcdef",
        "http://token:0123456789abcdef@localhost/api/indexes",
        "http://0123456789abcdef@localhost/api/indexes",
    ] {
        assert_eq!(ask(&server, "GET", path, b"").status, 401, "{path}");
    }
    let path = "/api/indexes/shop/search";
    let body =
        r#"{"q":"tea","token":"0123456789abcdef","authorization":"Bearer 0123456789abcdef"}"#;
    server.post(path, body).refused(401, "unauthorized");
    // With the token in its place another one is an unknown parameter.
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    let answer = server.request("POST", path, &right, Some(body));
    answer.refused(400, "invalid_request");
}

#[test]
fn the_scheme_and_the_name_of_the_header_have_any_case() {
    let (_scratch, server) = closed();
    for headers in [
        "Authorization: Bearer 0123456789abcdef\r\n",
        "AUTHORIZATION: BEARER 0123456789abcdef\r\n",
        "authorization: bearer 0123456789abcdef\r\n",
        // White space around a value is no part of it.
        "Authorization:Bearer 0123456789abcdef \t\r\n",
    ] {
        assert_eq!(
            ask(&server, "GET", "/api/indexes", headers.as_bytes()).status,
            200,
            "{headers}"
        );
    }
}

#[test]
fn no_answer_and_no_file_of_the_page_shows_the_token() {
    let (_scratch, server) = closed();
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    for route in server.routes(&right) {
        for headers in [&right, ""] {
            let answer = server.request("GET", &route.path, headers, None);
            assert!(!answer.body.contains(TOKEN) && !answer.head.contains(TOKEN));
        }
    }
}
