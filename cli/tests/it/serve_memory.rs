//! What answers of `esparsa serve` may take of memory: one alone, and all that wait for clients.

use std::io::Write;

use crate::command::Scratch;
use crate::served::{Server, ids};

const SEARCH: &str = "/api/indexes/shop/search";
/// Bytes of documents, passages or values of facets of an answer.
const MAX_BYTES: usize = 16 << 20;

/// An index of large documents.
fn large(documents: usize, bytes: usize) -> Scratch {
    let scratch = Scratch::new();
    let text = "tea ".repeat(bytes / 4);
    let lines = (0..documents).map(|id| format!("{{\"_id\":\"{id}\",\"text\":\"{text}\"}}\n"));
    scratch.write("docs.jsonl", lines.collect::<String>());
    scratch
        .run("index docs.jsonl --index shop --language simple")
        .done();
    scratch
}

/// Answers that no client takes fill the memory for them; then others are refused, until a client
/// takes its answer or goes.
#[test]
fn answers_count_until_clients_have_taken_them() {
    // Longer than the buffers of the system between server and client.
    let scratch = large(160, 100_000);
    let server = Server::start(&scratch, "--index shop --write-timeout-ms 60000");
    let path = format!("{SEARCH}?q=tea&k=160");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let whole = server.get(&path).body.len();
    assert!(whole > 15_900_000 && whole < MAX_BYTES, "{whole}");
    let fit = (256 << 20) / whole;
    let answered = |count: usize| {
        let line = format!("route=\"/api/indexes/{{name}}/search\",status=\"200\"}} {count}\n");
        server.until("/metrics", |answer| answer.body.contains(&line));
    };
    let mut waiting = Vec::new();
    for number in 0..fit {
        let mut client = server.connect();
        client.write_all(request.as_bytes()).unwrap();
        waiting.push(client);
        answered(number + 2);
    }
    let refused = server.get(&path);
    refused.refused(503, "answers_waiting");
    assert!(refused.has_header("retry-after: 1"), "{refused:?}");
    // Small answers have room still, and the memory is what was promised.
    assert_eq!(
        ids(&server.get(&format!("{SEARCH}?q=tea&k=1&fields=_id")).done()).len(),
        1
    );
    if let Some(bytes) = server.resident_bytes() {
        assert!(bytes < 600 << 20, "{bytes}");
    }
    drop(waiting.pop());
    server.until(&path, |answer| answer.status == 200);
}

#[test]
fn documents_and_passages_of_an_answer_are_bounded_together() {
    let scratch = large(200, 100_000);
    let server = Server::start(&scratch, "--index shop --timeout-ms 30000");
    let refused = |parameters: &str| {
        let path = format!("{SEARCH}?q=tea&{parameters}");
        let message = server.get(&path).refused(400, "invalid_request");
        assert!(message.contains(&MAX_BYTES.to_string()), "{message}");
    };
    refused("k=168");
    refused("k=168&fields=text");
    // Passages alone, and with the documents that they are of.
    refused("k=200&fields=&snippets=100&snippet_length=10000");
    refused("k=90&fields=text&snippets=100&snippet_length=10000");
    for good in [
        "k=160",
        "k=160&fields=text",
        "k=200&fields=_id",
        "k=200&fields=",
    ] {
        server.get(&format!("{SEARCH}?q=tea&{good}")).done();
    }
}

#[test]
fn a_field_that_is_asked_for_twice_is_sent_once() {
    let scratch = large(20, 100_000);
    let server = Server::start(&scratch, "--index shop");
    let fields = "&fields=text".repeat(256);
    let answer = server.get(&format!("{SEARCH}?q=tea&k=20{fields}"));
    answer.done();
    assert!(answer.body.len() < 20 * 101_000, "{}", answer.body.len());
    let answer = server.get(&format!("/api/indexes/shop/documents/1?{}", &fields[1..]));
    answer.done();
    assert!(answer.body.len() < 101_000, "{}", answer.body.len());
}

#[test]
fn values_of_columns_count_as_a_part_of_the_document() {
    let scratch = Scratch::new();
    let colors: Vec<String> = (0..1_000).map(|one| format!("{one:01000}")).collect();
    let line =
        |id: usize| serde_json::json!({"_id": id.to_string(), "text": "tea", "color": colors});
    let lines = (0..20).map(|id| format!("{}\n", line(id)));
    scratch.write("docs.jsonl", lines.collect::<String>());
    let columns = "--column color:keyword:several";
    scratch
        .run(&format!(
            "index docs.jsonl --index shop --language simple --no-stored {columns}"
        ))
        .done();
    let server = Server::start(&scratch, "--index shop");
    let message = server
        .get(&format!("{SEARCH}?q=tea&k=20&fields=color"))
        .refused(400, "invalid_request");
    assert!(message.contains(&MAX_BYTES.to_string()), "{message}");
    server
        .get(&format!("{SEARCH}?q=tea&k=15&fields=color"))
        .done();
}

#[test]
fn facets_have_so_many_values_and_bytes_only() {
    let scratch = Scratch::new();
    let lines = (0..10_001).map(|id| {
        let keyword = format!("{id:01000}");
        format!("{{\"_id\":\"{id}\",\"text\":\"tea\",\"number\":{id},\"keyword\":\"{keyword}\"}}\n")
    });
    scratch.write("docs.jsonl", lines.collect::<String>());
    let columns = "--column number:i64 --column keyword:keyword";
    scratch
        .run(&format!(
            "index docs.jsonl --index shop --language simple {columns}"
        ))
        .done();
    let server = Server::start(&scratch, "--index shop");
    let get = |facets: &str| server.get(&format!("{SEARCH}?q=tea&k=1&{facets}"));
    for (more, found) in [
        ("facets=number:10001", "found 10001"),
        ("facets=number:18446744073709551615", "found 10001"),
        ("facets=number:width=1", "found 10001"),
        ("facets=number:5&facets=number:10001", "found 10001"),
        (
            "facets=keyword:10000&facets=keyword:10000",
            "16777216 bytes",
        ),
    ] {
        let message = get(more).refused(400, "invalid_request");
        assert!(message.contains(found), "{message}");
    }
    for (good, count) in [
        ("facets=number:10000", 10_000),
        ("facets=keyword:10000", 10_000),
        ("facets=number:width=2", 5_001),
    ] {
        let report = get(good).done();
        let facet = &report["facets"][0];
        let values = facet.get("values").or(facet.get("histogram")).unwrap();
        assert_eq!(values.as_array().unwrap().len(), count, "{good}");
    }
}
