use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn read(value: Value) -> Result<ModelConfig> {
    let Value::Object(keys) = value else {
        panic!("an object");
    };
    ModelConfig::from_settings(&Settings::new(Path::new("config.json"), keys))
}

fn refused(value: Value) -> String {
    read(value).expect_err("refused").to_string()
}

#[test]
fn what_a_bert_leaves_out_has_its_official_default() {
    let config = read(json!({"model_type": "bert"})).unwrap();
    assert_eq!(config.family, Family::Bert);
    assert_eq!(
        (
            config.vocabulary,
            config.hidden,
            config.layers,
            config.heads
        ),
        (30_522, 768, 12, 12)
    );
    assert_eq!((config.head_size, config.intermediate), (64, 3_072));
    assert_eq!(config.activation, Activation::Gelu);
    assert_eq!(config.norm_epsilon, 1e-12);
    assert_eq!(config.max_positions, Some(512));
    assert_eq!((config.types, config.pad, config.labels), (2, 0, 2));
    assert!(config.has_positions && config.ties_embeddings && !config.is_gated);
}

#[test]
fn distilbert_has_names_of_its_own() {
    let config = read(json!({
        "model_type": "distilbert", "dim": 64, "n_heads": 4, "n_layers": 2, "hidden_dim": 96, "activation": "relu"
    }))
    .unwrap();
    assert_eq!((config.hidden, config.heads, config.layers), (64, 4, 2));
    assert_eq!(
        (config.intermediate, config.activation),
        (96, Activation::Relu)
    );
    assert_eq!(config.types, 0);
}

#[test]
fn positions_of_roberta_begin_after_the_padding() {
    let config = read(json!({"model_type": "roberta", "max_position_embeddings": 514})).unwrap();
    assert_eq!((config.pad, config.first_position), (1, 2));
    assert_eq!(config.max_positions, Some(512));
    assert_eq!(config.vocabulary, 50_265);
    let config = read(json!({"model_type": "xlm-roberta", "pad_token_id": 4})).unwrap();
    assert_eq!(
        (config.family, config.first_position),
        (Family::XlmRoberta, 5)
    );
    assert_eq!(config.max_positions, Some(507));
    refused(json!({"model_type": "roberta", "max_position_embeddings": 2}));
}

#[test]
fn electra_has_embeddings_narrower_than_its_states() {
    let config = read(json!({"model_type": "electra"})).unwrap();
    assert_eq!(
        (config.hidden, config.embedding_size, config.heads),
        (256, 128, 4)
    );
}

#[test]
fn t5_heads_have_a_size_of_their_own_and_no_absolute_positions() {
    let config =
        read(json!({"model_type": "t5", "d_model": 96, "num_heads": 5, "d_kv": 16})).unwrap();
    assert_eq!((config.hidden, config.heads, config.head_size), (96, 5, 16));
    assert_eq!((config.max_positions, config.has_positions), (None, false));
    assert_eq!(
        (config.is_gated, config.activation),
        (false, Activation::Relu)
    );
    let positions = config.t5.unwrap();
    assert_eq!((positions.buckets, positions.max_distance), (32, 128));
}

#[test]
fn the_gate_of_mt5_is_the_approximated_gelu() {
    let config = read(json!({"model_type": "mt5"})).unwrap();
    assert_eq!(
        (config.is_gated, config.activation),
        (true, Activation::GeluTanh)
    );
    assert_eq!(config.vocabulary, 250_112);
    let config = read(json!({"model_type": "t5", "feed_forward_proj": "gated-silu"})).unwrap();
    assert_eq!(
        (config.is_gated, config.activation),
        (true, Activation::Silu)
    );
}

#[test]
fn a_decoder_of_t5_is_read_if_the_folder_was_saved_with_it() {
    assert_eq!(read(json!({"model_type": "t5"})).unwrap().decoder, None);
    let decoder = |keys: Value| {
        let mut all = json!({
            "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "num_layers": 3, "vocab_size": 50
        });
        for (key, value) in keys.as_object().unwrap() {
            all[key] = value.clone();
        }
        read(all).map(|config| config.decoder.unwrap())
    };
    let first = decoder(json!({"pad_token_id": 4})).unwrap();
    assert_eq!((first.layers, first.start), (3, 4));
    assert!(first.scales_outputs);
    let other =
        json!({"num_decoder_layers": 2, "decoder_start_token_id": 7, "tie_word_embeddings": false});
    let other = decoder(other).unwrap();
    assert_eq!((other.layers, other.start), (2, 7));
    assert!(!other.scales_outputs);
    let newer = json!({"tie_word_embeddings": true, "scale_decoder_outputs": false});
    assert!(!decoder(newer).unwrap().scales_outputs);
    let multilingual = json!({"model_type": "mt5", "tie_word_embeddings": true});
    assert!(!decoder(multilingual).unwrap().scales_outputs);
    for wrong in [
        json!({"decoder_start_token_id": 50}),
        json!({"num_decoder_layers": 0}),
    ] {
        assert!(decoder(wrong).is_err());
    }
}

#[test]
fn deberta_v3_settings_are_understood() {
    let config = read(json!({
        "model_type": "deberta-v2", "hidden_size": 768, "num_attention_heads": 12, "relative_attention": true,
        "max_relative_positions": -1, "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": true,
        "pos_att_type": "p2c|c2p", "position_biased_input": false, "type_vocab_size": 0
    }))
    .unwrap();
    assert!(!config.has_positions);
    let positions = config.deberta.unwrap();
    assert_eq!(
        (positions.span, positions.buckets, positions.max_relative),
        (256, 256, 512)
    );
    assert!(positions.is_content_to_position && positions.is_position_to_content);
    assert!(positions.shares_keys && positions.has_norm);
    assert_eq!(positions.convolution, None);
    assert_eq!(config.pooler_activation, Activation::Gelu);
}

#[test]
fn deberta_v2_has_a_convolution_and_may_list_its_kinds() {
    let config = read(json!({
        "model_type": "deberta-v2", "relative_attention": true, "pos_att_type": ["c2p"], "conv_kernel_size": 3, "conv_act": "gelu"
    }))
    .unwrap();
    let positions = config.deberta.unwrap();
    assert_eq!((positions.span, positions.buckets), (512, 0));
    assert!(!positions.is_position_to_content && !positions.shares_keys);
    let convolution = positions.convolution.unwrap();
    assert_eq!((convolution.width, convolution.groups), (3, 1));
    assert_eq!(convolution.activation, Activation::Gelu);
}

#[test]
fn an_unknown_family_is_refused_with_the_names_of_the_known() {
    let message = refused(json!({"model_type": "llama"}));
    assert!(
        message.contains("deberta-v2") && message.contains("`llama`"),
        "{message}"
    );
    let message = refused(json!({"model_type": "deberta"}));
    assert!(message.contains("version 1"), "{message}");
    assert!(refused(json!({"hidden_size": 12})).contains("`model_type`"));
}

#[test]
fn an_old_file_without_type_is_known_by_its_architecture() {
    let config = read(json!({"architectures": ["BertForMaskedLM"]})).unwrap();
    assert_eq!(config.family, Family::Bert);
    assert!(config.is_saved_as("ForMaskedLM"));
    let config = read(json!({"architectures": ["XLMRobertaModel"]})).unwrap();
    assert_eq!(config.family, Family::XlmRoberta);
}

#[test]
fn features_that_would_change_results_are_refused() {
    let refused_for = |key: &str, value: Value| {
        let mut keys = json!({"model_type": "bert"});
        keys[key] = value;
        let message = refused(keys);
        assert!(message.contains(key), "{key}: {message}");
    };
    refused_for("position_embedding_type", json!("relative_key_query"));
    refused_for("is_decoder", json!(true));
    refused_for("quantization_config", json!({"bits": 8}));
    refused_for("pruned_heads", json!({"0": [1]}));
    refused_for("hidden_act", json!("quick_gelu"));
}

#[test]
fn hostile_sizes_are_refused() {
    for (key, value) in [
        ("hidden_size", json!(0)),
        ("hidden_size", json!(1u64 << 60)),
        ("hidden_size", json!(-768)),
        ("hidden_size", json!("768")),
        ("vocab_size", json!(0)),
        ("vocab_size", json!(u64::MAX)),
        ("num_attention_heads", json!(7)),
        ("num_attention_heads", json!(0)),
        ("num_hidden_layers", json!(1e9)),
        ("intermediate_size", json!(0)),
        ("max_position_embeddings", json!(0)),
        ("type_vocab_size", json!(-1)),
        ("pad_token_id", json!(30_522)),
        ("layer_norm_eps", json!(-1.0)),
        ("layer_norm_eps", json!(7)),
        ("id2label", json!({})),
    ] {
        let mut keys = json!({"model_type": "bert"});
        keys[key] = value.clone();
        assert!(refused(keys).contains(key), "{key} {value}");
    }
    refused(json!({"model_type": "t5", "relative_attention_num_buckets": 33}));
    refused(json!({"model_type": "t5", "relative_attention_max_distance": 8}));
    refused(
        json!({"model_type": "deberta-v2", "relative_attention": true, "position_buckets": 1024}),
    );
    refused(json!({"model_type": "deberta-v2", "relative_attention": true, "conv_kernel_size": 2}));
    refused(json!({"model_type": "deberta-v2", "relative_attention": true, "pos_att_type": "p2p"}));
}

#[test]
fn labels_are_those_with_names() {
    let config = read(json!({"model_type": "bert", "id2label": {"0": "LABEL_0"}})).unwrap();
    assert_eq!(config.labels, 1);
    assert_eq!(
        read(json!({"model_type": "bert", "num_labels": 5}))
            .unwrap()
            .labels,
        5
    );
}

#[test]
fn every_published_name_of_an_activation_is_known() {
    for (name, activation) in [
        ("gelu", Activation::Gelu),
        ("gelu_python", Activation::Gelu),
        ("gelu_new", Activation::GeluTanh),
        ("gelu_fast", Activation::GeluTanh),
        ("gelu_pytorch_tanh", Activation::GeluTanh),
        ("relu", Activation::Relu),
        ("silu", Activation::Silu),
        ("swish", Activation::Silu),
        ("tanh", Activation::Tanh),
    ] {
        let config = read(json!({"model_type": "bert", "hidden_act": name})).unwrap();
        assert_eq!(config.activation, activation, "{name}");
    }
}

#[test]
fn a_missing_or_broken_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        ModelConfig::open(folder.path())
            .unwrap_err()
            .to_string()
            .contains("config.json")
    );
    for content in ["", "{", "[]", "{\"model_type\": 3}"] {
        std::fs::write(folder.path().join("config.json"), content).unwrap();
        assert!(ModelConfig::open(folder.path()).is_err(), "{content}");
    }
}
