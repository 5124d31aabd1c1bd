//! The routes of `esparsa serve`, and what they answer.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::served::{Server, ids, shop};

const SEARCH: &str = "/api/indexes/shop/search";

#[test]
fn words_are_searched() {
    let (_scratch, server) = Server::of_shop();
    let report = server
        .get(&format!("{SEARCH}?q=tea+cup&snippets=1&count=100"))
        .done();
    assert_eq!(ids(&report)[0], "cup");
    assert_eq!(
        (&report["index"], &report["documents"], &report["count"]),
        (
            &json!("shop"),
            &json!(4),
            &json!({"value": 3, "is_exact": true})
        )
    );
    assert!(report["took_ms"].as_f64().unwrap() >= 0.0);
    assert!(report["postings_scored"].as_u64().unwrap() > 0, "{report}");
    let hit = &report["hits"][0];
    assert_eq!(
        (&hit["rank"], &hit["document"]["price"]),
        (&json!(1), &json!(4.5))
    );
    let part = |text: &str, is_match: bool| json!({"text": text, "is_match": is_match});
    assert_eq!(hit["snippets"]["title"], json!([part("Cup", true)]));
    let passage = &hit["snippets"]["text"][0];
    assert_eq!(
        passage["parts"],
        json!([
            part("A red ", false),
            part("tea", true),
            part(" ", false),
            part("cup", true),
            part(". It is small.", false)
        ])
    );
    assert_eq!(
        (&passage["begins_text"], &passage["ends_text"]),
        (&json!(true), &json!(true))
    );
    // The document's markup is text.
    let report = server.get(&format!("{SEARCH}?q=iron&snippets=1")).done();
    let parts = &report["hits"][0]["snippets"]["text"][0]["parts"];
    assert_eq!(parts[0]["text"], "A tea pot <b>of</b> ");
}

#[test]
fn query_trees_filters_facets_pages_and_orders_are_those_of_the_library() {
    let (_scratch, server) = Server::of_shop();
    let post = |body: Value| server.post(SEARCH, &body.to_string()).done();
    let tea = || json!({"text": {"text": "tea"}});
    let report = post(json!({"query": tea(), "filter": {"range": {"price": {"lt": 10}}}}));
    assert_eq!(ids(&report), ["cup"]);
    let filters = json!([{"term": {"color": "red"}}, {"exists": "price"}]);
    let report =
        post(json!({"query": tea(), "filter": filters, "sort": ["price:desc"], "fields": []}));
    assert_eq!(ids(&report), ["pot", "cup"]);
    assert!(report["hits"][0].get("document").is_none());
    let report = post(
        json!({"q": "tea", "sort": ["price:desc"], "k": 1, "offset": 1, "fields": ["price", "color", "none"]}),
    );
    assert_eq!(ids(&report), ["cup"]);
    let hit = &report["hits"][0];
    assert_eq!(
        (&hit["rank"], &hit["document"]),
        (&json!(2), &json!({"price": 4.5, "color": ["red", "white"]}))
    );
    let report = post(json!({"q": "tea", "facets": ["color", "price:statistics"]}));
    assert_eq!(
        report["facets"][0],
        json!({"column": "color", "values": [["red", 2], ["blue", 1], ["white", 1]]})
    );
    assert_eq!(report["facets"][1]["statistics"]["max"], 20.0);
    let all = server.get(&format!("{SEARCH}?q=tea+cup&count=9")).done();
    let best = &all["hits"][0]["score"];
    let report = post(json!({"q": "tea cup", "min_score": best, "count": 9, "facets": ["color"]}));
    assert_eq!(ids(&report), ids(&all)[..1]);
    assert_eq!(
        (&all["count"]["value"], &report["count"]["value"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(
        report["facets"][0]["values"],
        json!([["red", 1], ["white", 1]])
    );
    let message = server
        .get(&format!("{SEARCH}?q=tea&min_score=1&sort=price"))
        .refused(400, "invalid_request");
    assert!(message.contains("no min score"), "{message}");
    let report = server.get(&format!("{SEARCH}?q=tea&fields=")).done();
    assert!(report["hits"][0].get("document").is_none());
    // Parameters of the query string and of the body are one set.
    let report = server
        .post(&format!("{SEARCH}?k=1"), r#"{"q":"tea"}"#)
        .done();
    assert_eq!(ids(&report).len(), 1);
}

#[test]
fn mistakes_in_words_are_notes_or_errors() {
    let (_scratch, server) = Server::of_shop();
    let report = server.get(&format!("{SEARCH}?q=tea+AND")).done();
    assert_eq!(report["notes"].as_array().unwrap().len(), 1);
    let message = server
        .get(&format!("{SEARCH}?q=tea+AND&strict=true"))
        .refused(400, "invalid_request");
    assert!(
        message.contains("expected") && message.contains("AND"),
        "{message}"
    );
}

#[test]
fn documents_are_found_by_id() {
    let (_scratch, server) = Server::of_shop();
    let report = server.get("/api/indexes/shop/documents/a%2Fb%20c").done();
    assert_eq!(
        (&report["id"], &report["document"]["text"]),
        (&json!("a/b c"), &json!("Volcanoes of Sicily."))
    );
    let report = server
        .get("/api/indexes/shop/documents/cup?fields=price")
        .done();
    assert_eq!(report["document"], json!({"price": 4.5}));
    let message = server
        .get("/api/indexes/shop/documents/none")
        .refused(404, "not_found");
    assert!(message.contains("`none`"), "{message}");
}

#[test]
fn scores_are_explained() {
    let (_scratch, server) = Server::of_shop();
    let found = server.get(&format!("{SEARCH}?q=tea+cup")).done();
    let report = server
        .get("/api/indexes/shop/explain?id=cup&q=tea+cup")
        .done();
    let explanation = &report["explanation"];
    assert_eq!(explanation["score"], found["hits"][0]["score"]);
    let terms = explanation["terms"].as_array().unwrap();
    let sum: f64 = terms
        .iter()
        .map(|term| term["contribution"].as_f64().unwrap())
        .sum();
    assert!(
        (sum - explanation["score"].as_f64().unwrap()).abs() < 1e-5,
        "{report}"
    );
    let body = r#"{"query":{"text":{"text":"tea"}},"filter":{"exists":"price"}}"#;
    let report = server.post("/api/indexes/shop/explain?id=mat", body).done();
    assert_eq!(report["explanation"]["is_filtered_out"], true);
    server
        .get("/api/indexes/shop/explain?q=tea&id=none")
        .refused(404, "not_found");
    server
        .get("/api/indexes/shop/explain?q=tea")
        .refused(400, "invalid_request");
}

#[test]
fn words_are_completed_and_corrected() {
    let (scratch, server) = Server::of_shop();
    let report = server.get("/api/indexes/shop/suggest?q=red+vol").done();
    assert_eq!(
        report["completions"],
        json!([{"text": "volcanoes", "query": "red volcanoes", "documents": 1}])
    );
    let report = server.get("/api/indexes/shop/suggest?q=sicly").done();
    assert_eq!(
        (&report["completions"], &report["correction"]),
        (&json!([]), &json!("sicily"))
    );
    let report = server
        .get("/api/indexes/shop/suggest?q=RE&field=color")
        .done();
    assert_eq!(report["completions"][0]["query"], "red");
    for wrong in ["", "?q=a&k=0", "?q=a&field=none"] {
        server
            .get(&format!("/api/indexes/shop/suggest{wrong}"))
            .refused(400, "invalid_request");
    }
    // Words of documents stand for the terms of a field with stems.
    scratch
        .run("index products.jsonl --index stems --language en")
        .done();
    let server = Server::start(&scratch, "--index stems");
    let report = server.get("/api/indexes/stems/suggest?q=Volcano").done();
    assert_eq!(report["completions"][0]["text"], "volcanoes");
}

#[test]
fn several_indexes_have_names() {
    let scratch = shop();
    scratch.write("two.tsv", "1\tlava\n");
    scratch
        .run("index two.tsv --index other --language simple")
        .done();
    let server = Server::start(&scratch, "--index shop --index lava=other");
    let report = server.get("/api/indexes").done();
    let indexes = report["indexes"].as_array().unwrap();
    let names: Vec<&Value> = indexes.iter().map(|index| &index["name"]).collect();
    assert_eq!(names, ["lava", "shop"]);
    let fields = indexes[1]["fields"].as_array().unwrap();
    assert!(
        fields.contains(&json!({"name": "color", "kind": "column", "column_type": "keyword"})),
        "{report}"
    );
    assert_eq!(report["limits"]["max_k"], 1000);
    assert_eq!(
        ids(&server.get("/api/indexes/lava/search?q=lava").done()),
        ["1"]
    );
    let message = server
        .get("/api/indexes/none/search?q=a")
        .refused(404, "not_found");
    assert!(message.contains("`none`"), "{message}");
    let message = scratch
        .run("serve --index shop --index shop=other --listen 127.0.0.1:0")
        .failed();
    assert!(message.contains("called `shop`"), "{message}");
}

#[test]
fn the_page_loads_its_own_files_only() {
    let (_scratch, server) = Server::of_shop();
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert!(page.has_header("content-type: text/html; charset=utf-8"));
    assert!(
        page.head
            .contains("content-security-policy: default-src 'none'; script-src 'self'")
    );
    assert!(page.has_header("x-content-type-options: nosniff"));
    let mut files = BTreeSet::from([
        "/page.js".to_owned(),
        "/page.css".to_owned(),
        "/icon.svg".to_owned(),
    ]);
    let script = server.get("/page.js").body;
    for import in script.lines().filter(|line| line.starts_with("import ")) {
        files.insert(import.rsplit('"').nth(1).unwrap().replace("./", "/"));
    }
    for path in &files {
        let file = server.get(path);
        assert_eq!(file.status, 200, "{path}");
        let tag = file
            .head
            .lines()
            .find_map(|line| line.strip_prefix("etag: "))
            .unwrap();
        let again = server.request("GET", path, &format!("If-None-Match: {tag}\r\n"), None);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
    }
    let head = server.request("HEAD", "/", "", None);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn what_the_server_did_is_counted() {
    let (_scratch, server) = Server::of_shop();
    assert_eq!(
        server.get("/health").done(),
        json!({"status": "ok", "indexes": 1})
    );
    server.get(&format!("{SEARCH}?q=tea")).done();
    server.get("/none").refused(404, "not_found");
    let metrics = server.get("/metrics");
    assert!(metrics.has_header("content-type: text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "esparsa_requests_total{route=\"/api/indexes/{name}/search\",status=\"200\"} 1",
        "esparsa_requests_total{route=\"unknown\",status=\"404\"} 1",
        "esparsa_request_duration_seconds_count{route=\"/health\"} 1",
        "esparsa_requests_open 1",
        "esparsa_index_documents{index=\"shop\"} 4",
        "esparsa_index_commit{index=\"shop\"} 2",
        "esparsa_index_failed_reloads_total{index=\"shop\"} 0",
    ] {
        assert!(
            metrics.body.lines().any(|one| one == line),
            "{line}\n{}",
            metrics.body
        );
    }
}
