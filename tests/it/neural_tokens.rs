//! Token ids are those of the tokenizers in Python, for every folder in `tests/neural/tokens`.

use std::fs;
use std::path::{Path, PathBuf};

use esparsa::neural::{ModelConfig, Tokenizer};
use serde_json::Value;

/// The files that say what Python makes of texts; there must be some.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/tokens");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no file", folder.display());
    files
}

struct Case {
    path: PathBuf,
    content: Value,
    config: ModelConfig,
    tokenizer: Tokenizer,
}

impl Case {
    fn read(path: PathBuf) -> Self {
        let content: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let folder = content["folder"].as_str().expect("a folder");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let config = ModelConfig::open(&folder).unwrap();
        let tokenizer = Tokenizer::open(&folder, &config).unwrap();
        Self {
            path,
            content,
            config,
            tokenizer,
        }
    }

    fn list(&self, key: &str) -> &[Value] {
        self.content[key]
            .as_array()
            .unwrap_or_else(|| panic!("{}: no list `{key}`", self.path.display()))
    }

    fn is_with(&self, key: &str) -> bool {
        self.content.get(key).is_some()
    }
}

fn numbers(value: &Value) -> Vec<u32> {
    let numbers = value.as_array().expect("a list of numbers").iter();
    numbers
        .map(|number| u32::try_from(number.as_u64().unwrap()).unwrap())
        .collect()
}

fn texts(value: &Value) -> (&str, &str) {
    (value[0].as_str().unwrap(), value[1].as_str().unwrap())
}

#[test]
fn ids_of_texts_are_those_of_python() {
    for path in files() {
        let case = Case::read(path);
        let (texts, expected) = (case.list("texts"), case.list("ids"));
        assert_eq!(texts.len(), expected.len());
        assert!(!texts.is_empty());
        let wrong: Vec<String> = texts
            .iter()
            .zip(expected)
            .filter_map(|(text, ids)| {
                let text = text.as_str().unwrap();
                let found = case.tokenizer.encode(text).unwrap().ids;
                let expected = numbers(ids);
                (found != expected).then(|| format!("{text:?}: {found:?} for {expected:?}"))
            })
            .collect();
        let first = &wrong[..wrong.len().min(5)];
        assert!(
            wrong.is_empty(),
            "{}: {} texts differ: {first:#?}",
            case.path.display(),
            wrong.len()
        );
    }
}

#[test]
fn ids_and_types_of_pairs_are_those_of_python() {
    let mut pairs = 0;
    for path in files() {
        let case = Case::read(path);
        if !case.is_with("pairs") {
            continue;
        }
        let limit = case.content["pair_limit"].as_u64().unwrap() as usize;
        let (ids, types) = (case.list("pair_ids"), case.list("pair_types"));
        assert_eq!(case.list("pairs").len(), ids.len());
        for (index, pair) in case.list("pairs").iter().enumerate() {
            let (first, second) = texts(pair);
            let found = case.tokenizer.encode_pair(first, second, limit).unwrap();
            let place = format!(
                "{}: pair {index}, {first:?} {second:?}",
                case.path.display()
            );
            assert_eq!(found.ids, numbers(&ids[index]), "{place}");
            // A model without embeddings of types has zeros, whatever its tokenizer gives.
            let expected = match case.config.types {
                0 => vec![0; found.len()],
                _ => numbers(&types[index]),
            };
            assert_eq!(found.types, expected, "{place}");
            pairs += 1;
        }
    }
    assert!(pairs > 0, "no file holds pairs");
}

#[test]
fn truncation_and_windows_hold_the_tokens_of_the_whole() {
    for path in files() {
        let case = Case::read(path);
        let tokenizer = &case.tokenizer;
        let texts: Vec<&str> = case
            .list("texts")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        // All texts in one are long enough to be tokenized in pieces.
        let long = texts.join(" and so on ");
        let body = tokenizer.encode_without_special_tokens(&long).unwrap();
        let limit = 50;
        let room = limit - tokenizer.special_tokens();
        assert!(body.len() > 10 * room);
        for text in [long.as_str()].into_iter().chain(texts.iter().copied()) {
            let whole = tokenizer.encode_without_special_tokens(text).unwrap();
            let few = tokenizer.truncated(text, limit).unwrap();
            let kept = whole.len().min(room);
            assert_eq!(few.len(), kept + tokenizer.special_tokens());
            let is_there = few
                .ids
                .windows(kept.max(1))
                .any(|ids| ids == &whole[..kept]);
            assert!(is_there || kept == 0, "{}: {text:?}", case.path.display());
        }
        let windows = tokenizer.windows(&long, limit, 10).unwrap();
        assert_eq!(windows.len(), 1 + (body.len() - room).div_ceil(room - 10));
        assert!(windows.iter().all(|tokens| tokens.len() <= limit));
    }
}
