//! Bytes as `tokenizer.json`, a zero byte, and a text to tokenize: the first byte says of which family
//! the model is.

use std::fs;

use esparsa::Error;
use esparsa::neural::{ModelConfig, Tokenizer};

const FAMILIES: [&str; 4] = ["bert", "roberta", "t5", "deberta-v2"];
const TEXTS: [&str; 4] = ["aa bb, c", "日本 é", "", "x"];
/// Tokens of a truncated text.
const LIMIT: usize = 8;

pub fn run(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    let family = FAMILIES[usize::from(first) % FAMILIES.len()];
    let end = bytes.iter().position(|byte| *byte == 0);
    let (json, text) = bytes.split_at(end.unwrap_or(bytes.len()));
    let text = String::from_utf8_lossy(text.get(1..).unwrap_or_default());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let config = format!(r#"{{"model_type":"{family}","vocab_size":1000,"d_model":8}}"#);
    write("config.json", config.as_bytes());
    write("tokenizer.json", json);
    let config = ModelConfig::open(folder.path()).expect("a configuration");
    match Tokenizer::open(folder.path(), &config) {
        Ok(tokenizer) => {
            assert!(tokenizer.vocabulary() <= config.vocabulary);
            TEXTS.iter().for_each(|text| encode(&tokenizer, text));
            encode(&tokenizer, &text);
        }
        Err(error) => assert!(matches!(error, Error::Model { .. }), "{error}"),
    }
}

fn encode(tokenizer: &Tokenizer, text: &str) {
    match tokenizer.encode(text) {
        Ok(tokens) => {
            let vocabulary = tokenizer.vocabulary();
            assert!(
                tokens.ids.iter().all(|id| (*id as usize) < vocabulary),
                "{text:?}"
            );
        }
        Err(error) => assert!(error.is_input(), "{error}"),
    }
    if let Ok(tokens) = tokenizer.truncated(text, LIMIT) {
        assert!(tokens.len() <= LIMIT, "{text:?}");
    }
    let _ = tokenizer.encode_pair(text, "b", LIMIT);
    let _ = tokenizer.windows(text, LIMIT, 2);
}
