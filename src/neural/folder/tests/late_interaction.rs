use super::*;

fn pylate(about: Value) -> TempDir {
    with(
        bert("BertModel", ""),
        &[
            (
                "modules.json",
                modules(&[TRANSFORMER, ("1_Dense", "pylate.models.Dense.Dense")]),
            ),
            (
                "1_Dense/config.json",
                json!({"in_features": 4, "out_features": 3, "bias": false}),
            ),
            (
                "1_Dense/model.safetensors",
                tensor("linear.weight", &[3, 4]),
            ),
            ("config_sentence_transformers.json", about),
        ],
    )
}

#[test]
fn a_folder_of_pylate_is_late_interaction() {
    let model = open(&pylate(json!({
        "model_type": "ColBERT", "query_prefix": "[unused0]", "document_prefix": "[D] ", "query_length": 24, "document_length": 500,
        "skiplist_words": [",", "!"], "attend_to_expansion_tokens": true
    })));
    assert_eq!(model.kind, ModelKind::LateInteraction);
    let [
        Module::Dense(dense),
        Module::Normalize { is_of_tokens: true },
    ] = &model.modules[..]
    else {
        panic!("{:?}", model.modules);
    };
    assert!(dense.is_of_tokens);
    let late = model.late.unwrap();
    assert_eq!((late.query_tokens, late.document_tokens), (24, 64));
    assert_eq!((late.query_prefix, late.document_prefix), (Some(8), None));
    assert_eq!(
        (model.prompts.query(), model.prompts.document()),
        ("", "[D] ")
    );
    assert_eq!(
        late.expansion,
        Some(Expansion {
            token: 4,
            tokens: 24,
            is_attended: true
        })
    );
    assert_eq!((late.skipped, late.skips_in_queries), (vec![7], false));
}

#[test]
fn settings_that_pylate_does_not_write_have_its_defaults() {
    let late = open(&pylate(
        json!({"model_type": "ColBERT", "do_query_expansion": false}),
    ))
    .late
    .unwrap();
    assert_eq!(
        (late.query_tokens, late.document_tokens, late.expansion),
        (32, 64, None)
    );
    assert_eq!(late.skipped, [7]);
}

#[test]
fn a_multi_vector_encoder_is_known_by_its_modules() {
    let folder = with(
        bert("BertModel", ""),
        &[
            (
                "modules.json",
                modules(&[
                    TRANSFORMER,
                    ("1_Mask", "x.multi_vector_mask.MultiVectorMask"),
                    ("2_Normalize", "x.Normalize"),
                ]),
            ),
            (
                "1_Mask/config.json",
                json!({"skiplist_words": [","], "skiplist_tasks": ["query", "document"], "keep_only_token_ids": null}),
            ),
            (
                "2_Normalize/config.json",
                json!({"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}),
            ),
            (
                "sentence_bert_config.json",
                json!({
                    "query_length": 12, "document_length": 40, "query_expansion": {"strategy": "fixed", "length": 20, "token": "b"}
                }),
            ),
            (
                "config_sentence_transformers.json",
                json!({"model_type": "MultiVectorEncoder", "prompts": {"query": "[Q] "}}),
            ),
        ],
    );
    let model = open(&folder);
    assert_eq!(model.modules.len(), 1);
    assert_eq!(model.prompts.query(), "[Q] ");
    let late = model.late.unwrap();
    assert_eq!((late.query_tokens, late.document_tokens), (20, 40));
    assert_eq!(
        late.expansion,
        Some(Expansion {
            token: 6,
            tokens: 20,
            is_attended: false
        })
    );
    assert_eq!(
        (late.skipped, late.skips_in_queries, late.query_prefix),
        (vec![7], true, None)
    );
}

#[test]
fn a_colbert_of_stanford_has_its_layer_in_the_file_of_the_transformer() {
    let mut files = bert("HF_ColBERT", "");
    files[2].1 = tensor("linear.weight", &[3, 4]);
    let metadata = json!({"query_maxlen": 20, "doc_maxlen": 50, "mask_punctuation": false, "doc_token_id": "[unused1]"});
    let model = open(&with(files, &[("artifact.metadata", metadata)]));
    assert_eq!(model.kind, ModelKind::LateInteraction);
    let late = model.late.unwrap();
    assert_eq!((late.query_tokens, late.document_tokens), (20, 50));
    assert_eq!(
        (late.query_prefix, late.document_prefix),
        (Some(8), Some(9))
    );
    assert!(late.skipped.is_empty());
    assert!(refused(&folder(bert("HF_ColBERT", ""))).contains("linear.weight"));
}
