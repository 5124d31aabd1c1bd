use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

mod late_interaction;
mod module_kinds;
mod routes;

const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n,\n[unused0]\n[unused1]";

/// The files of a small BERT with hidden states of four dimensions, under `prefix` in a folder.
fn bert(architecture: &str, prefix: &str) -> Vec<(String, Value)> {
    let config = json!({
        "model_type": "bert", "vocab_size": 10, "hidden_size": 4, "num_attention_heads": 2, "max_position_embeddings": 64,
        "architectures": [architecture]
    });
    vec![
        (format!("{prefix}config.json"), config),
        (format!("{prefix}vocab.txt"), json!(WORDS)),
        (format!("{prefix}model.safetensors"), tensor("x", &[1])),
    ]
}

/// A file with one tensor of zeros, as text.
fn tensor(name: &str, shape: &[usize]) -> Value {
    let bytes = 4 * shape.iter().product::<usize>();
    let header =
        json!({name: {"dtype": "F32", "shape": shape, "data_offsets": [0, bytes]}}).to_string();
    let length: String = (header.len() as u64)
        .to_le_bytes()
        .map(char::from)
        .into_iter()
        .collect();
    json!(format!("{length}{header}{}", "\0".repeat(bytes)))
}

fn folder(files: impl IntoIterator<Item = (String, Value)>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = content
            .as_str()
            .map_or_else(|| content.to_string(), str::to_owned);
        fs::write(path, text).unwrap();
    }
    folder
}

fn with(mut files: Vec<(String, Value)>, more: &[(&str, Value)]) -> TempDir {
    files.extend(
        more.iter()
            .map(|(name, content)| ((*name).to_owned(), content.clone())),
    );
    folder(files)
}

fn open(folder: &TempDir) -> ModelFolder {
    ModelFolder::open(folder.path()).unwrap()
}

fn refused(folder: &TempDir) -> String {
    ModelFolder::open(folder.path())
        .expect_err("refused")
        .to_string()
}

fn modules(types: &[(&str, &str)]) -> Value {
    let list = types
        .iter()
        .map(|(path, kind)| json!({"idx": 0, "name": "", "path": path, "type": kind}));
    Value::Array(list.collect())
}

const TRANSFORMER: (&str, &str) = ("", "sentence_transformers.models.Transformer");
const POOLING: (&str, &str) = (
    "1_Pooling",
    "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
);

fn dense_folder(settings: Value) -> TempDir {
    let list = modules(&[
        TRANSFORMER,
        POOLING,
        ("2_Dense", "sentence_transformers.models.Dense"),
        ("3_Normalize", "x.Normalize"),
    ]);
    with(
        bert("BertModel", ""),
        &[
            ("modules.json", list),
            ("1_Pooling/config.json", json!({"pooling_mode": "mean"})),
            ("2_Dense/config.json", settings),
            (
                "2_Dense/model.safetensors",
                tensor("linear.weight", &[3, 4]),
            ),
        ],
    )
}

#[test]
fn a_folder_without_modules_is_of_the_kind_of_its_head() {
    for (architecture, kind, name) in [
        ("BertModel", ModelKind::BiEncoder, "Pooling"),
        ("BertForPreTraining", ModelKind::BiEncoder, "Pooling"),
        ("BertForMaskedLM", ModelKind::SparseEncoder, "SpladePooling"),
        (
            "BertForSequenceClassification",
            ModelKind::CrossEncoder,
            "Classifier",
        ),
    ] {
        let model = open(&folder(bert(architecture, "")));
        assert_eq!(
            (model.kind, model.modules[0].name(), model.modules.len()),
            (kind, name, 1)
        );
        assert_eq!(model.max_tokens, 64);
    }
    let plain = folder(bert("BertForMaskedLM", ""));
    let model = ModelFolder::open_as(plain.path(), Some(ModelKind::BiEncoder)).unwrap();
    assert_eq!(
        (model.kind, model.modules[0].name()),
        (ModelKind::BiEncoder, "Pooling")
    );
}

#[test]
fn paths_out_of_the_folder_are_refused() {
    for path in ["../other", "/etc", "a/../../b"] {
        let list = modules(&[TRANSFORMER, (path, "x.Pooling")]);
        let message = refused(&with(bert("BertModel", ""), &[("modules.json", list)]));
        assert!(message.contains(path), "{message}");
    }
    for list in [json!([]), json!({}), json!([{"path": ""}]), json!("[")] {
        assert!(
            refused(&with(bert("BertModel", ""), &[("modules.json", list)]))
                .contains("modules.json")
        );
    }
}

#[test]
fn limits_come_from_the_settings_the_tokenizer_and_the_positions() {
    let tokens = |settings: Value, tokenizer: Value| {
        let files = [
            ("modules.json", modules(&[TRANSFORMER, POOLING])),
            ("1_Pooling/config.json", json!({})),
            ("sentence_bert_config.json", settings),
            ("tokenizer_config.json", tokenizer),
        ];
        ModelFolder::open(with(bert("BertModel", ""), &files).path()).map(|model| model.max_tokens)
    };
    assert_eq!(
        tokens(
            json!({"max_seq_length": 16}),
            json!({"model_max_length": 32})
        )
        .unwrap(),
        16
    );
    assert_eq!(
        tokens(
            json!({"max_seq_length": null}),
            json!({"model_max_length": 32})
        )
        .unwrap(),
        32
    );
    assert_eq!(
        tokens(json!({"max_seq_length": 512}), json!({})).unwrap(),
        64
    );
    assert_eq!(
        tokens(json!({}), json!({"model_max_length": 1e30})).unwrap(),
        64
    );
    assert!(tokens(json!({"max_seq_length": 2}), json!({})).is_err());
    assert!(tokens(json!({"max_seq_length": 0}), json!({})).is_err());
}

#[test]
fn lowercasing_may_be_set_outside_of_the_tokenizer() {
    let files = [
        ("modules.json", modules(&[TRANSFORMER, POOLING])),
        ("1_Pooling/config.json", json!({})),
        ("sentence_bert_config.json", json!({"do_lower_case": true})),
        ("tokenizer_config.json", json!({"do_lower_case": false})),
    ];
    let model = open(&with(bert("BertModel", ""), &files));
    assert_eq!(model.tokenizer.encode("A").unwrap().ids, [2, 5, 3]);
}

#[test]
fn prompts_are_found_by_the_role_of_a_text() {
    let prompts = |about: Value| {
        let folder = with(
            bert("BertModel", ""),
            &[("config_sentence_transformers.json", about)],
        );
        ModelFolder::open(folder.path()).map(|model| model.prompts)
    };
    let found = prompts(json!({"prompts": {"query": "q: ", "passage": "p: ", "none": null}, "default_prompt_name": "query"})).unwrap();
    assert_eq!((found.query(), found.document()), ("q: ", "p: "));
    assert_eq!(found.default.as_deref(), Some("query"));
    assert_eq!(prompts(json!({})).unwrap().query(), "");
    assert!(prompts(json!({"prompts": {}, "default_prompt_name": "gone"})).is_err());
    assert!(prompts(json!({"prompts": {"query": 3}})).is_err());
}

#[test]
fn the_fingerprint_changes_with_what_changes_results() {
    let print = |files: &[(&str, Value)]| {
        let folder = with(bert("BertModel", ""), files);
        open(&folder).fingerprint().unwrap()
    };
    let about = |value: Value| ("config_sentence_transformers.json", value);
    let one = print(&[]);
    assert_eq!(one, print(&[]));
    assert_eq!(one, print(&[("README.md", json!("text"))]));
    assert_eq!(one, print(&[about(json!({}))]));
    assert_eq!(
        print(&[about(json!({"__version__": {"pytorch": "1"}}))]),
        one
    );
    let changed = [
        print(&[about(json!({"prompts": {"query": "q: "}}))]),
        print(&[("tokenizer_config.json", json!({"do_lower_case": false}))]),
        print(&[("tokenizer_config.json", json!({"model_max_length": 32}))]),
        print(&[("model.safetensors", tensor("y", &[1]))]),
        print(&[("vocab.txt", json!(WORDS.replace("b\n", "c\n")))]),
    ];
    for (index, print) in changed.iter().enumerate() {
        assert_ne!(*print, one, "{index}");
    }
}

#[test]
fn weights_of_a_module_are_part_of_the_fingerprint() {
    let settings = json!({"in_features": 4, "out_features": 3, "bias": false});
    let one = dense_folder(settings.clone());
    let two = dense_folder(settings);
    let path = two.path().join("2_Dense/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() = 0x40;
    fs::write(&path, bytes).unwrap();
    assert_ne!(
        open(&one).fingerprint().unwrap(),
        open(&two).fingerprint().unwrap()
    );
}

#[test]
fn a_missing_folder_or_file_is_named() {
    let error = ModelFolder::open(Path::new("/nowhere/at/all"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/at/all"), "{error}");
    for missing in ["config.json", "vocab.txt", "model.safetensors"] {
        let files = bert("BertModel", "")
            .into_iter()
            .filter(|(name, _)| name != missing);
        let message = refused(&folder(files));
        assert!(message.contains(missing), "{missing}: {message}");
    }
    let list = [("modules.json", modules(&[TRANSFORMER, POOLING]))];
    assert!(refused(&with(bert("BertModel", ""), &list)).contains("1_Pooling"));
}
