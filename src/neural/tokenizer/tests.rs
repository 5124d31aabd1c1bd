use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::settings::Settings;
use super::*;

mod files;
mod hostile;

const WORDS: [&str; 16] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##b", "##c", "é", "語", ",", "A",
    "wörter", "1",
];

fn config(model_type: &str, vocabulary: usize) -> ModelConfig {
    let keys = json!({"model_type": model_type, "vocab_size": vocabulary});
    let Value::Object(keys) = keys else {
        unreachable!("an object");
    };
    ModelConfig::from_settings(&Settings::new(Path::new("config.json"), keys)).unwrap()
}

/// A folder with files, whose contents are text or JSON.
fn folder(files: &[(&str, Value)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let text = content
            .as_str()
            .map_or_else(|| content.to_string(), str::to_owned);
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn word_list() -> Value {
    json!(WORDS.join("\n"))
}

fn bert(settings: Value) -> Tokenizer {
    let folder = folder(&[
        ("vocab.txt", word_list()),
        ("tokenizer_config.json", settings),
    ]);
    Tokenizer::open(folder.path(), &config("bert", WORDS.len())).unwrap()
}

fn words(tokenizer: &Tokenizer, tokens: &Tokens) -> String {
    let words: Vec<String> = tokens
        .ids
        .iter()
        .map(|id| tokenizer.token(*id).unwrap())
        .collect();
    words.join(" ")
}

fn unigram(pre_tokenizer: Value, normalizer: Value) -> Value {
    let pieces = [
        "<unk>", "<s>", "</s>", "▁", "▁a", "b", "▁ab", "c", "語", ",", "é", "▁1",
    ];
    let vocabulary: Vec<Value> = pieces
        .iter()
        .enumerate()
        .map(|(index, piece)| json!([piece, -(index as f64)]))
        .collect();
    json!({
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"},
        "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [
                {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "</s>", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "</s>", "type_id": 1}}
            ],
            "special_tokens": {
                "<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}
            }
        },
        "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": false}
    })
}

fn metaspace() -> Value {
    json!({"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}
    ]})
}

#[test]
fn an_empty_text_has_special_tokens_only() {
    let tokenizer = bert(json!({}));
    assert_eq!(tokenizer.encode("").unwrap().ids, [2, 3]);
    assert_eq!(tokenizer.encode(" \n\t").unwrap().ids, [2, 3]);
    assert_eq!(tokenizer.windows("", 8, 2).unwrap().len(), 1);
    assert_eq!(
        words(&tokenizer, &tokenizer.encode_pair("", "", 9).unwrap()),
        "[CLS] [SEP] [SEP]"
    );
}

#[test]
fn settings_of_bert_change_what_a_vocabulary_list_means() {
    let uncased = bert(json!({}));
    assert_eq!(
        words(&uncased, &uncased.encode("ABC É語a WÖRTER").unwrap()),
        "[CLS] a ##b ##c [UNK] 語 a [UNK] [SEP]"
    );
    let cased = bert(json!({"do_lower_case": false}));
    assert_eq!(
        words(&cased, &cased.encode("A é wörter").unwrap()),
        "[CLS] A é wörter [SEP]"
    );
    let accents = bert(json!({"strip_accents": false}));
    assert_eq!(
        words(&accents, &accents.encode("WÖRTER É").unwrap()),
        "[CLS] wörter é [SEP]"
    );
    let joined = bert(json!({"tokenize_chinese_chars": false}));
    assert_eq!(
        words(&joined, &joined.encode("a語").unwrap()),
        "[CLS] [UNK] [SEP]"
    );
}

#[test]
fn special_tokens_in_a_text_are_themselves() {
    let tokenizer = bert(json!({}));
    assert_eq!(tokenizer.encode("a [MASK] b").unwrap().ids, [2, 5, 4, 6, 3]);
    assert_eq!((tokenizer.mask(), tokenizer.unknown()), (Some(4), Some(1)));
}

#[test]
fn a_pair_is_shortened_longest_first_with_types() {
    let tokenizer = bert(json!({}));
    let tokens = tokenizer.encode_pair("a a a a a a", "b c", 8).unwrap();
    assert_eq!(words(&tokenizer, &tokens), "[CLS] a a a [SEP] b c [SEP]");
    assert_eq!(tokens.types, [0, 0, 0, 0, 0, 1, 1, 1]);
    let tokens = tokenizer
        .encode_pair("a a a a a a", "b b b b b b", 8)
        .unwrap();
    assert_eq!(words(&tokenizer, &tokens), "[CLS] a a [SEP] b b b [SEP]");
    let tokens = tokenizer
        .encode_pair("a a a a a a a", "b b b b b b", 8)
        .unwrap();
    assert_eq!(words(&tokenizer, &tokens), "[CLS] a a a [SEP] b b [SEP]");
    assert_eq!(tokenizer.encode_pair("a", "b", 3).unwrap().ids, [2, 3, 3]);
    let error = tokenizer.encode_pair("a", "b", 2).unwrap_err();
    assert!(
        error.is_input() && error.to_string().contains("at least 3"),
        "{error}"
    );
}

#[test]
fn the_odd_token_of_two_long_texts_follows_their_true_lengths() {
    let tokenizer = bert(json!({}));
    let (long, longer) = ("a ".repeat(5_000), "b ".repeat(6_000));
    let tokens = tokenizer.encode_pair(&long, &longer, 8).unwrap();
    assert_eq!(words(&tokenizer, &tokens), "[CLS] a a [SEP] b b b [SEP]");
    let tokens = tokenizer.encode_pair(&longer, &long, 8).unwrap();
    assert_eq!(words(&tokenizer, &tokens), "[CLS] b b b [SEP] a a [SEP]");
}

#[test]
fn models_without_types_have_zeros() {
    let folder = folder(&[("vocab.txt", word_list())]);
    let tokenizer = Tokenizer::open(folder.path(), &config("distilbert", WORDS.len())).unwrap();
    assert_eq!(tokenizer.encode_pair("a", "b", 9).unwrap().types, [0; 5]);
    let tokenizer = bert(json!({"model_input_names": ["input_ids", "attention_mask"]}));
    assert_eq!(tokenizer.encode_pair("a", "b", 9).unwrap().types, [0; 5]);
}

#[test]
fn truncation_keeps_the_side_that_the_model_wants() {
    let tokenizer = bert(json!({}));
    assert_eq!(
        words(&tokenizer, &tokenizer.truncated("a b c", 4).unwrap()),
        "[CLS] a b [SEP]"
    );
    let tokenizer = bert(json!({"truncation_side": "left"}));
    assert_eq!(
        words(&tokenizer, &tokenizer.truncated("a b c", 4).unwrap()),
        "[CLS] b c [SEP]"
    );
    let tokens = tokenizer.encode_pair("a a a", "a b c", 7).unwrap();
    assert_eq!(words(&tokenizer, &tokens), "[CLS] a a [SEP] b c [SEP]");
    assert!(tokenizer.truncated("a", 1).is_err());
    assert_eq!(tokenizer.truncated("a", 2).unwrap().ids, [2, 3]);
}

#[test]
fn windows_have_special_tokens_and_overlap() {
    let tokenizer = bert(json!({}));
    let windows = tokenizer.windows("a b c a b c a", 5, 1).unwrap();
    let windows: Vec<String> = windows
        .iter()
        .map(|tokens| words(&tokenizer, tokens))
        .collect();
    assert_eq!(
        windows,
        [
            "[CLS] a b c [SEP]",
            "[CLS] c a b [SEP]",
            "[CLS] b c a [SEP]"
        ]
    );
    assert!(tokenizer.windows("a", 5, 3).is_err());
    assert!(tokenizer.windows("a", 2, 0).is_err());
}

#[test]
fn settings_of_truncation_and_padding_in_the_file_are_off() {
    let folder = folder(&[("tokenizer.json", unigram(metaspace(), json!(null)))]);
    let tokenizer = Tokenizer::open(folder.path(), &config("t5", 12)).unwrap();
    assert_eq!(
        words(&tokenizer, &tokenizer.encode("ab a b 1").unwrap()),
        "▁ab ▁a ▁ b ▁1 </s>"
    );
    let pair = tokenizer.encode_pair("a", "ab", 100).unwrap();
    assert_eq!(words(&tokenizer, &pair), "<s> ▁a </s> </s> ▁ab </s>");
    assert_eq!(
        (
            tokenizer.special_tokens(),
            tokenizer.special_tokens_of_pair()
        ),
        (1, 4)
    );
    assert_eq!(tokenizer.vocabulary(), 12);
}

/// A text in which every second thing is odd.
fn odd_text(repeats: usize) -> String {
    let odd = "ab a, b\u{301}é 語語 [MASK]  a\nb\r\n\tc 1 ab\u{a0}c\u{200b} A.b c <s> wörter(c) \u{0} é。語、語,a1.5!c";
    (0..repeats)
        .map(|index| format!("{odd}{}", ["x ", " ", "\n", "1  "][index % 4]))
        .collect()
}

/// Equality of long lists, of which a message shows the first difference only.
#[track_caller]
fn same(found: &[u32], expected: &[u32]) {
    let differ = found.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!((differ, found.len()), (None, expected.len()));
}

#[test]
fn tokens_of_pieces_are_those_of_the_whole() {
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let first =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true});
    let never =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true});
    let strip = json!({"type": "Strip", "strip_left": true, "strip_right": true});
    let spaces = json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "});
    let both = json!({"type": "Sequence", "normalizers": [spaces, strip]});
    let mut cut = 0;
    for pre_tokenizer in [
        metaspace(),
        first,
        never,
        byte_level,
        json!({"type": "BertPreTokenizer"}),
        json!(null),
    ] {
        for normalizer in [
            json!(null),
            json!({"type": "NFKC"}),
            strip.clone(),
            both.clone(),
        ] {
            let file = unigram(pre_tokenizer.clone(), normalizer);
            let folder = folder(&[("tokenizer.json", file)]);
            let tokenizer = Tokenizer::open(folder.path(), &config("t5", 12)).unwrap();
            cut += usize::from(tokenizer.cuts > Cuts::Nowhere);
            let text = odd_text(800);
            let whole = tokenizer.inner.encode_fast(text.as_str(), false).unwrap();
            same(
                &tokenizer.encode_without_special_tokens(&text).unwrap(),
                whole.get_ids(),
            );
            let few = tokenizer.truncated(&text, 700).unwrap();
            same(&few.ids[..699], &whole.get_ids()[..699]);
        }
    }
    assert!(cut > 12, "most tokenizers split at spaces");
    let tokenizer = bert(json!({}));
    assert_eq!(tokenizer.cuts, Cuts::SpacesAndMarks);
    let text = format!(
        "{}{}",
        odd_text(3_000),
        "語語。é、語,b\u{301}.c 1,5".repeat(3_000)
    );
    let whole = tokenizer.inner.encode_fast(text.as_str(), false).unwrap();
    same(
        &tokenizer.encode_without_special_tokens(&text).unwrap(),
        whole.get_ids(),
    );
}

#[test]
fn an_added_token_with_a_space_inside_keeps_texts_whole() {
    let mut file = unigram(metaspace(), json!(null));
    file["added_tokens"] = json!([{
        "id": 12, "content": "a b", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false
    }]);
    let folder = folder(&[("tokenizer.json", file)]);
    let tokenizer = Tokenizer::open(folder.path(), &config("t5", 13)).unwrap();
    assert_eq!(tokenizer.cuts, Cuts::Nowhere);
}

#[test]
fn limits_are_read_and_thirty_digits_are_none() {
    assert_eq!(
        bert(json!({"model_max_length": 384})).max_tokens(),
        Some(384)
    );
    assert_eq!(bert(json!({"model_max_length": 1e30})).max_tokens(), None);
    let digits: Value = serde_json::from_str("1000000000000000019884624838656").unwrap();
    assert_eq!(bert(json!({"model_max_length": digits})).max_tokens(), None);
}

#[test]
fn words_of_a_hundred_letters_and_more_are_unknown() {
    let tokenizer = bert(json!({}));
    assert_eq!(
        tokenizer
            .encode(&format!("a{}", "b".repeat(99)))
            .unwrap()
            .len(),
        102
    );
    assert_eq!(
        tokenizer
            .encode(&format!("a{}", "b".repeat(100)))
            .unwrap()
            .ids,
        [2, 1, 3]
    );
}

#[test]
fn a_megabyte_costs_what_its_bytes_cost() {
    let tokenizer = bert(json!({}));
    let mixed = odd_text(20_000);
    assert!(mixed.len() > 1 << 20);
    assert!(
        tokenizer
            .encode_without_special_tokens(&mixed)
            .unwrap()
            .len()
            > 300_000
    );
    assert_eq!(
        tokenizer
            .encode_without_special_tokens(&"a".repeat(1 << 17))
            .unwrap(),
        [1]
    );
    assert_eq!(
        tokenizer
            .encode_without_special_tokens(&"語".repeat(1 << 18))
            .unwrap()
            .len(),
        1 << 18
    );
    assert_eq!(
        tokenizer
            .encode_without_special_tokens(&",".repeat(1 << 18))
            .unwrap()
            .len(),
        1 << 18
    );
}
