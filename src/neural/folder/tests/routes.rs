use super::*;

fn routed(query: &[&str]) -> Vec<(&'static str, Value)> {
    let router = json!({
        "types": {
            "query_0": "sentence_transformers.sparse_encoder.models.SparseStaticEmbedding.SparseStaticEmbedding",
            "document_0": "sentence_transformers.sparse_encoder.models.MLMTransformer.MLMTransformer",
            "document_1": "sentence_transformers.sparse_encoder.models.SpladePooling.SpladePooling"
        },
        "structure": {"query": query, "document": ["document_0", "document_1"]},
        "parameters": {"default_route": "document", "allow_empty_key": true}
    });
    vec![
        (
            "modules.json",
            modules(&[("", "sentence_transformers.models.Router")]),
        ),
        ("router_config.json", router),
        ("document_1/config.json", json!({"pooling_strategy": "max"})),
        ("query_0/vocab.txt", json!(WORDS)),
        ("query_0/config.json", json!({"frozen": true})),
    ]
}

#[test]
fn a_router_has_a_table_for_queries() {
    let mut files = routed(&["query_0"]);
    files.push(("query_0/model.safetensors", tensor("weight", &[10])));
    let model = open(&with(bert("BertForMaskedLM", "document_0/"), &files));
    assert_eq!(model.kind, ModelKind::SparseEncoder);
    let queries = model.static_queries.unwrap();
    assert_eq!(queries.weights.vocabulary(), 10);
    assert_eq!(queries.tokens("a b a").unwrap(), [5, 6, 5]);
}

#[test]
fn a_table_in_json_is_found_by_its_name() {
    let mut files = routed(&["query_0"]);
    files.push((
        "query_0/config.json",
        json!({"path": "/home/someone/idf.json"}),
    ));
    files.push(("idf.json", json!({"a": 2.5, ",": 0.25})));
    let model = open(&with(bert("BertForMaskedLM", "document_0/"), &files));
    let queries = model.static_queries.unwrap();
    assert_eq!(
        queries.weights.encode(&[5, 7, 6]).unwrap(),
        [(5, 2.5), (7, 0.25)]
    );
    let plain = with(
        bert("BertForMaskedLM", ""),
        &[("idf.json", json!({"b": 1.5}))],
    );
    assert_eq!(
        open(&plain)
            .static_queries
            .unwrap()
            .weights
            .encode(&[6])
            .unwrap(),
        [(6, 1.5)]
    );
}

#[test]
fn the_same_route_for_both_is_no_route() {
    let files = routed(&["document_0", "document_1"]);
    let model = open(&with(bert("BertForMaskedLM", "document_0/"), &files));
    assert!(model.static_queries.is_none());
}

#[test]
fn routers_that_are_not_supported_are_refused() {
    let refuse = |files: Vec<(&str, Value)>, named: &str| {
        let message = refused(&with(bert("BertForMaskedLM", "document_0/"), &files));
        assert!(message.contains(named), "{message}");
    };
    refuse(routed(&["document_0"]), "SparseStaticEmbedding for queries");
    refuse(routed(&["unknown"]), "`unknown`");
    refuse(routed(&[]), "`query` and `document`");
    refuse(routed(&["query_0"]), "model.safetensors");
    let mut files = routed(&["query_0"]);
    files.push(("query_0/model.safetensors", tensor("weight", &[9])));
    refuse(files, "10 tokens");
    let mut files = routed(&["query_0"]);
    files.push(("query_0/model.safetensors", tensor("weight", &[11])));
    refuse(files, "at most 10");
    let mut files = routed(&["query_0"]);
    files[1].1["parameters"]["route_mappings"] = json!({"('query', 'text')": "query"});
    refuse(files, "route_mappings");
}
