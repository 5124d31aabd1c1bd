//! `esparsa serve` with models: systems, fusion, re-ranking and vectors of texts.

use serde_json::{Value, json};

use crate::command::Scratch;
use crate::served::{Answer, Server, ids};
use crate::small_models::{corpus, model, text};

const SEARCH: &str = "/api/indexes/i/search";
const EXPLAIN: &str = "/api/indexes/i/explain";
const ENCODE: &str = "/api/indexes/i/encode";

/// An index of 40 documents with words and the vectors of two models.
fn indexed() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("in.jsonl", corpus(40));
    let (sparse, dense) = (model("splade-max"), model("st-mean"));
    scratch
        .run(&format!(
            "index in.jsonl --index i --language simple --threads 1 --sparse-model {} --dense-model {}",
            sparse.display(),
            dense.display()
        ))
        .done();
    scratch
}

/// A server with both models, and a cross-encoder that is called `cross`.
fn served(scratch: &Scratch, more: &str) -> Server {
    let (sparse, dense, cross) = (model("splade-max"), model("st-mean"), model("ce-bert"));
    Server::start(
        scratch,
        &format!(
            "--index i --model {} --model d={} --rerank cross={} --model-threads 1 {more}",
            sparse.display(),
            dense.display(),
            cross.display()
        ),
    )
}

fn post(server: &Server, path: &str, body: &Value) -> Answer {
    server.post(path, &body.to_string())
}

fn scores(report: &Value) -> Vec<f64> {
    let hits = report["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["score"].as_f64().unwrap()).collect()
}

#[test]
fn each_system_searches_as_the_command_line_does() {
    let scratch = indexed();
    let server = served(&scratch, "");
    let report = server.get("/api/indexes").done();
    assert_eq!(
        report["indexes"][0]["systems"],
        json!([
            {"system": "bm25"},
            {"system": "sparse", "field": "sparse", "model": "splade-max"},
            {"system": "dense", "field": "dense", "model": "d"},
            {"system": "fused"}
        ])
    );
    assert_eq!(report["rerankers"], json!(["cross"]));
    assert_eq!(report["limits"]["max_rerank"], 50);
    let q = text(7);
    for (system, name) in [("sparse", "splade-max"), ("dense", "st-mean")] {
        let body = json!({"q": q, "system": system, "k": 5, "query_terms": 3, "snippets": 1});
        let report = post(&server, SEARCH, &body).done();
        scratch.write("q.tsv", format!("q\t{q}\n"));
        let run = scratch
            .run(&format!(
                "search --index i --field {system} --model {} --queries q.tsv --k 5",
                model(name).display()
            ))
            .done();
        let expected: Vec<&str> = run
            .lines()
            .map(|line| line.split(' ').nth(2).unwrap())
            .collect();
        assert_eq!(ids(&report), expected, "{system}");
        let ranking = &report["rankings"][0];
        assert_eq!(
            (&ranking["system"], &ranking["field"]),
            (&json!(system), &json!(system))
        );
        assert!(ranking["encode_ms"].as_f64().unwrap() > 0.0);
        assert!(report["hits"][0]["snippets"]["text"].is_array());
        // The explanation is of the same score.
        let id = ids(&report)[0];
        let body = json!({"q": q, "system": system, "id": id});
        let explained = post(&server, EXPLAIN, &body).done();
        assert_eq!(
            explained["explanation"]["score"],
            report["hits"][0]["score"]
        );
        match system {
            "sparse" => {
                let terms = ranking["terms"].as_array().unwrap();
                assert_eq!(terms.len(), 3);
                assert!(ranking["term_count"].as_u64().unwrap() > 3);
                assert!(terms[0]["weight"].as_f64() >= terms[1]["weight"].as_f64());
            }
            _ => assert!(ranking["dimensions"].as_u64().unwrap() > 1),
        }
    }
    let report = post(&server, SEARCH, &json!({"q": "lava", "query_terms": 5})).done();
    let term = &report["rankings"][0]["terms"][0];
    assert_eq!(
        (&term["term"], &term["is_added"]),
        (&json!("lava"), &json!(false))
    );
    assert!(term["document_frequency"].as_u64().unwrap() > 0);
}

#[test]
fn filters_facets_and_pages_work_with_vectors_too() {
    let scratch = indexed();
    let server = served(&scratch, "");
    let all = json!({"q": "lava", "system": "dense", "k": 6, "fields": []});
    let all = post(&server, SEARCH, &all).done();
    let kept = &ids(&all)[2..5];
    let body = json!({
        "q": "lava", "system": "dense", "k": 3, "fields": [], "count": 100,
        "filter": {"ids": kept}
    });
    let report = post(&server, SEARCH, &body).done();
    assert_eq!(ids(&report), kept);
    assert_eq!(report["count"]["value"], 3);
    let body = json!({"q": "lava", "system": "dense", "k": 3, "offset": 3, "fields": []});
    assert_eq!(ids(&post(&server, SEARCH, &body).done()), &ids(&all)[3..6]);
}

#[test]
fn a_fusion_says_where_its_rankings_have_a_document() {
    let scratch = indexed();
    let server = served(&scratch, "");
    let ask = |more: Value| {
        let mut body = json!({"q": "lava honey", "k": 8, "fields": []});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        post(&server, SEARCH, &body).done()
    };
    let report = ask(json!({"system": "fused"}));
    assert_eq!(report["rankings"].as_array().unwrap().len(), 3);
    for hit in report["hits"].as_array().unwrap() {
        let places = hit["rankings"].as_array().unwrap().iter();
        let sum: f64 = places
            .map(|place| 1.0 / (60.0 + place["rank"].as_f64().unwrap()))
            .sum();
        assert!((hit["score"].as_f64().unwrap() - sum).abs() < 1e-6, "{hit}");
    }
    // One system alone is in its own order.
    let alone = ask(json!({"system": "fused", "weights": ["sparse:0", "dense:0"]}));
    assert_eq!(ids(&alone), ids(&ask(json!({}))));
    let weighted = ask(json!({"system": "fused", "fusion": "weighted-sum", "weights": ["bm25:2"]}));
    let highest = scores(&weighted)[0];
    assert!(highest > 1.0 && highest <= 4.0, "{highest}");
    let page = ask(json!({"system": "fused", "k": 4, "offset": 4}));
    assert_eq!(ids(&page), &ids(&report)[4..]);
    assert_eq!(page["hits"][0]["rank"], 5);
}

#[test]
fn the_first_hits_are_re_ranked() {
    let scratch = indexed();
    let server = served(&scratch, "--max-rerank 12");
    for system in ["bm25", "sparse", "fused"] {
        let body = json!({"q": "lava", "system": system, "k": 12, "fields": []});
        let before = post(&server, SEARCH, &body).done();
        let body = json!({
            "q": "lava", "system": system, "k": 12, "fields": [], "rerank": "cross", "rerank_k": 7
        });
        let after = post(&server, SEARCH, &body).done();
        assert_eq!(after["rerank"]["documents"], 7);
        let scores = scores(&after);
        assert_eq!(scores.len(), 7);
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        for hit in after["hits"].as_array().unwrap() {
            let rank = hit["first_stage"]["rank"].as_u64().unwrap() as usize;
            assert_eq!(hit["id"], ids(&before)[rank - 1]);
        }
        let body = json!({
            "q": "lava", "system": system, "k": 3, "offset": 2, "fields": [], "rerank": "cross", "rerank_k": 7
        });
        let page = post(&server, SEARCH, &body).done();
        assert_eq!(ids(&page), &ids(&after)[2..5]);
    }
}

#[test]
fn texts_are_encoded() {
    let scratch = indexed();
    let server = served(&scratch, "");
    let report = server.get(&format!("{ENCODE}?text=lava+snow")).done();
    assert_eq!(
        (&report["field"], &report["model"]),
        (&json!("sparse"), &json!("splade-max"))
    );
    let terms = report["terms"].as_array().unwrap();
    let weights: Vec<f64> = terms
        .iter()
        .map(|term| term["weight"].as_f64().unwrap())
        .collect();
    assert!(weights.is_sorted_by(|a, b| a >= b) && weights[0] > 0.0);
    // Random weights give most terms to every text.
    let added = terms.iter().filter(|term| term["is_added"] == true).count();
    assert!(added > 0 && added <= terms.len());
    // The vector is what the index is searched with.
    let vector = terms.iter().map(|term| {
        (
            term["term"].as_str().unwrap().to_owned(),
            term["weight"].clone(),
        )
    });
    let vector: serde_json::Map<String, Value> = vector.collect();
    let by_vector = json!({"query": {"sparse": {"sparse": vector}}, "k": 5});
    let by_text = json!({"q": "lava snow", "system": "sparse", "k": 5});
    let [by_vector, by_text] = [by_vector, by_text].map(|body| post(&server, SEARCH, &body).done());
    assert_eq!(ids(&by_vector), ids(&by_text));
    let query = post(&server, ENCODE, &json!({"text": "lava", "system": "dense"})).done();
    let dimensions = query["dimensions"].as_u64().unwrap() as usize;
    assert_eq!(query["vector"].as_array().unwrap().len(), dimensions);
    let document = json!({"text": "lava", "field": "dense", "role": "document"});
    post(&server, ENCODE, &document).done();
    post(&server, ENCODE, &json!({"text": "lava ".repeat(10_000)})).done();
    let long = json!({"text": "lava ".repeat(100_000)});
    let refused = post(&server, ENCODE, &long).refused(400, "invalid_request");
    assert!(refused.contains("at most 65536 bytes"), "{refused}");
}

#[test]
fn what_models_cannot_do_is_refused() {
    let scratch = indexed();
    let server = served(&scratch, "--max-rerank 12");
    for (body, expected) in [
        (json!({"q": "a", "system": "BM25"}), "`sparse`"),
        (json!({"system": "sparse"}), "expected `q`"),
        (
            json!({"query": {"all": {}}, "system": "dense"}),
            "expected `q`",
        ),
        (
            json!({"q": "a", "system": "dense", "strict": true}),
            "`strict`",
        ),
        (
            json!({"q": "a", "system": "dense", "field": "sparse"}),
            "sparse",
        ),
        (json!({"q": "a", "field": "sparse"}), "`search_fields`"),
        (json!({"q": "a", "rerank": "other"}), "`cross`"),
        (
            json!({"q": "a", "rerank": "cross", "rerank_k": 13}),
            "from 1 to 12",
        ),
        (json!({"q": "a", "rerank_k": 3}), "`rerank`"),
        (
            json!({"query": {"all": {}}, "rerank": "cross"}),
            "expected `q`",
        ),
        (
            json!({"q": "a", "system": "fused", "facets": ["x"]}),
            "`facets`",
        ),
        (
            json!({"q": "a", "system": "fused", "sort": ["x"]}),
            "`sort`",
        ),
        (json!({"q": "a", "fusion": "rrf"}), "`system=fused`"),
        (
            json!({"q": "a", "system": "fused", "fusion": "sum"}),
            "`weighted-sum`",
        ),
        (
            json!({"q": "a", "system": "fused", "weights": ["bm25:0", "sparse:0", "dense:0"]}),
            "weight",
        ),
        (json!({"q": "a", "query_terms": 1001}), "1000"),
    ] {
        let message = post(&server, SEARCH, &body).refused(400, "invalid_request");
        assert!(message.contains(expected), "{body}: {message}");
    }
    let fused = json!({"q": "a", "system": "fused", "id": "d1"});
    post(&server, EXPLAIN, &fused).refused(400, "invalid_request");
    for (query, expected) in [
        ("", "`text`"),
        ("?text=a&role=both", "`role`"),
        ("?text=a&system=bm25", "`dense`"),
        ("?text=a&field=text", "text"),
    ] {
        let message = server
            .get(&format!("{ENCODE}{query}"))
            .refused(400, "invalid_request");
        assert!(message.contains(expected), "{query}: {message}");
    }
    // Without models the message says which one is missing, and no path.
    let bare = Server::start(&scratch, "--index i");
    let systems = bare.get("/api/indexes").done();
    assert_eq!(
        systems["indexes"][0]["systems"],
        json!([{"system": "bm25"}])
    );
    for path in [
        format!("{SEARCH}?q=a&system=sparse"),
        format!("{ENCODE}?text=a"),
        format!("{EXPLAIN}?q=a&id=d1&system=dense"),
    ] {
        let message = bare.get(&path).refused(400, "invalid_request");
        assert!(
            message.contains("model") && message.contains("--model"),
            "{message}"
        );
        assert!(!message.contains("tests/"), "{message}");
    }
    let (sparse, other) = (model("splade-max"), model("splade-sum"));
    let same = format!(
        "--model a={} --model a={}",
        sparse.display(),
        other.display()
    );
    let message = scratch.run(&format!("serve --index i {same}")).failed();
    assert!(message.contains("different names"), "{message}");
}

#[test]
fn requests_wait_for_a_model_within_their_time_only() {
    let scratch = indexed();
    let server = served(&scratch, "--max-model-calls 1 --threads 2");
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..6)
            .map(|number| {
                let server = &server;
                scope.spawn(move || {
                    let body = json!({"q": text(number), "system": "sparse", "rerank": "cross"});
                    post(server, SEARCH, &body).done();
                })
            })
            .collect();
        // Words need no model, so they do not wait for one.
        server.get(&format!("{SEARCH}?q=lava&system=bm25")).done();
        asking.into_iter().for_each(|one| one.join().unwrap());
    });
}
