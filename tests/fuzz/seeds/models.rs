//! The small models of other tests.

use std::fs;
use std::path::{Path, PathBuf};

use super::Seeds;

/// Models with small tokenizers of different kinds, and the number of their family.
const TOKENIZERS: [(&str, u8); 6] = [
    ("bert-bf16", 0),
    ("ce-bert", 0),
    ("ce-roberta", 1),
    ("t5", 2),
    ("deberta-v3", 3),
    ("xlm-roberta", 1),
];

const SETTINGS: [&str; 10] = [
    "bert-bf16",
    "ce-bert",
    "ce-deberta",
    "ce-distilbert",
    "colbert",
    "electra",
    "mono-mt5",
    "splade-max",
    "st-dense",
    "st-mean",
];

const FILES: [&str; 8] = [
    "config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "1_Pooling/config.json",
    "2_Dense/config.json",
];

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/neural/models")
        .join(name)
}

pub fn all() -> Vec<Seeds> {
    let tokenizers = TOKENIZERS.map(|(name, family)| {
        let json = fs::read(model(name).join("tokenizer.json")).unwrap();
        // Without white space it takes half of the bytes.
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        [&[family], json.to_string().as_bytes(), b"\0a b"].concat()
    });
    let settings = SETTINGS.map(|name| {
        let read = |file: &&str| fs::read(model(name).join(file)).unwrap_or_default();
        FILES.iter().map(read).collect::<Vec<_>>().join(&0)
    });
    vec![
        ("tokenizer_json", tokenizers.into()),
        ("model_config", settings.into()),
        ("safetensors", weights()),
    ]
}

/// Small files of each type of number, and two shards.
fn weights() -> Vec<Vec<u8>> {
    let file = |dtype: &str, bytes: usize| {
        let header = format!(
            r#"{{"__metadata__":{{"format":"pt"}},"a.weight":{{"dtype":"{dtype}","shape":[2,3],"data_offsets":[0,{bytes}]}}}}"#
        );
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], header.as_bytes(), &vec![60; bytes]].concat()
    };
    let alone = [
        ("F32", 24),
        ("F16", 12),
        ("BF16", 12),
        ("F64", 48),
        ("I64", 48),
        ("U8", 6),
    ];
    let alone = alone.map(|(dtype, bytes)| [&[0], &file(dtype, bytes)[..]].concat());
    let list = br#"{"weight_map":{"a.weight":"a.safetensors","b.weight":"b.safetensors"}}"#;
    let (one, other) = (file("F32", 24), file("F32", 24));
    let other = String::from_utf8(other)
        .unwrap()
        .replace("a.weight", "b.weight");
    let shards = [&[1], &list[..], &[0], &one, other.as_bytes()].concat();
    alone.into_iter().chain([shards]).collect()
}
