//! What `esparsa serve` refuses, and that its description fits.

use std::collections::BTreeSet;
use std::io::Write;

use crate::served::{Answer, Server, shop};

const SEARCH: &str = "/api/indexes/shop/search";

#[test]
fn what_is_wrong_is_refused_without_paths() {
    let (scratch, server) = Server::of_shop();
    let folder = scratch.path("").display().to_string();
    for (path, expected) in [
        (SEARCH.to_owned(), "`q`"),
        (format!("{SEARCH}?q=a&query=%7B%22all%22:%7B%7D%7D"), "both"),
        (format!("{SEARCH}?q=a&kk=1"), "found `kk`"),
        (
            format!("{SEARCH}?q=a&k=ten"),
            "a whole number for `k`, found `ten`",
        ),
        (format!("{SEARCH}?q=a&k=0"), "`k` from 1"),
        (format!("{SEARCH}?q=a&k=-1"), "found `-1`"),
        (format!("{SEARCH}?q=a&q=b"), "`q` once"),
        (format!("{SEARCH}?q=a&sort=size"), "size"),
        (format!("{SEARCH}?q=a&facets=color:much"), "`much`"),
        (format!("{SEARCH}?q=a&filter=%7B%22al%22:1%7D"), "`filter`"),
        (format!("{SEARCH}?q=a&search_fields=color"), "color"),
        (format!("{SEARCH}?q=a&snippets=1000"), "passages"),
        (format!("{SEARCH}?q=a&snippet_length=0"), "`snippet_length`"),
        (
            format!("{SEARCH}?query=%7B%22text%22:%7B%22none%22:%22a%22%7D%7D"),
            "none",
        ),
        (
            "/api/indexes/shop/documents/cup?k=1".to_owned(),
            "found `k`",
        ),
        ("/api/indexes/shop/documents/%FF".to_owned(), "UTF-8"),
    ] {
        let message = server.get(&path).refused(400, "invalid_request");
        assert!(message.contains(expected), "{path}: {message}");
        assert!(
            !message.contains(&folder) && !message.contains("src/"),
            "{message}"
        );
    }
    for body in [
        "[]",
        "{",
        "\"q\"",
        r#"{"q":1}"#,
        r#"{"q":"a","q":"b"}"#,
        r#"{"q":"a","sort":"x"}"#,
        "\u{0}",
    ] {
        server.post(SEARCH, body).refused(400, "invalid_request");
    }
    for path in [
        "/none",
        "/api",
        "/api/indexes/shop",
        "/api/indexes/shop/search/",
        "/../x",
        "/%2e%2e/x",
    ] {
        server.get(path).refused(404, "not_found");
    }
    for (method, path, allow) in [
        ("POST", "/", "allow: get, head"),
        ("DELETE", SEARCH, "allow: get, head, post"),
        ("PUT", "/api/indexes/shop/documents/cup", "allow: get, head"),
        ("OPTIONS", "/metrics", "allow: get, head"),
    ] {
        let answer = server.request(method, path, "", None);
        answer.refused(405, "method_not_allowed");
        assert!(answer.has_header(allow), "{answer:?}");
    }
}

#[test]
fn a_foreign_page_cannot_reach_the_server_under_a_name_of_its_own() {
    let (_scratch, server) = Server::of_shop();
    let raw = |host: &str| {
        let mut stream = server.connect();
        let request =
            format!("GET /api/indexes HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(stream)
    };
    raw("example.org").refused(403, "wrong_host");
    raw("localhost\r\nOrigin: https://example.org").refused(403, "foreign_site");
    raw(&server.address.to_string()).done();
}

#[test]
fn a_token_is_asked_for_where_one_is_set() {
    let scratch = shop();
    let token = "0123456789abcdef";
    let server = Server::start(&scratch, &format!("--index shop --token {token}"));
    let with = |token: &str| {
        let header = format!("Authorization: Bearer {token}\r\n");
        server.request("GET", "/api/indexes", &header, None)
    };
    with(token).done();
    let refused = with("0123456789abcdeX");
    refused.refused(401, "unauthorized");
    assert!(refused.has_header("www-authenticate: bearer"));
    for path in [
        "/api/indexes",
        "/metrics",
        "/api/openapi.json",
        SEARCH,
        "/none",
    ] {
        server.get(path).refused(401, "unauthorized");
    }
    for path in ["/", "/page.js", "/health"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let message = Server::refused(&scratch, "--index shop --listen 0.0.0.0:0", None).failed();
    assert!(message.contains("expected a token"), "{message}");
    let short = Server::refused(&scratch, "--index shop --token short", None);
    assert_eq!(short.code, Some(2));
    Server::refused(&scratch, "--index shop --listen 127.0.0.1:0", Some("short")).failed();
}

#[test]
fn the_description_has_the_parameters_that_the_routes_take() {
    let (_scratch, server) = Server::of_shop();
    let description = server.get("/api/openapi.json").done();
    assert_eq!(description["openapi"], "3.1.0");
    let mut operations = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        let address = path.replace("{name}", "shop").replace("{id}", "cup");
        for method in ["get", "post"] {
            let Some(operation) = item.get(method) else {
                continue;
            };
            operations += 1;
            let described: BTreeSet<String> = match method {
                "get" => {
                    let parameters = operation["parameters"]
                        .as_array()
                        .cloned()
                        .unwrap_or_default();
                    parameters
                        .iter()
                        .map(|one| one["name"].as_str().unwrap().to_owned())
                        .collect()
                }
                _ => {
                    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                    let pointer = schema["$ref"].as_str().unwrap().trim_start_matches('#');
                    let properties = &description.pointer(pointer).unwrap()["properties"];
                    properties.as_object().unwrap().keys().cloned().collect()
                }
            };
            // The message for an unknown parameter lists the known ones.
            let asked = format!("{address}?zzz=1&q=tea&id=cup");
            let asked = match path.contains("documents") {
                true => format!("{address}?zzz=1"),
                false => asked,
            };
            let answer = server.request(&method.to_uppercase(), &asked, "", None);
            if !path.contains("{name}") {
                assert_eq!(answer.status, 200, "{path}");
                continue;
            }
            let message = answer.refused(400, "invalid_request");
            let known: BTreeSet<String> = message
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|name| *name != "zzz")
                .map(str::to_owned)
                .collect();
            assert_eq!(known, described, "{method} {path}");
        }
    }
    assert_eq!(operations, 13);
}
