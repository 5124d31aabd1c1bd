//! Files that make the crate `tokenizers` panic, or worse: errors that name the file.

use super::*;

/// Opens a tokenizer and tokenizes texts with it; the error, which must be one of the model or of a
/// text.
fn error_of(tokenizer: Value) -> String {
    let folder = folder(&[("tokenizer.json", tokenizer)]);
    match Tokenizer::open(folder.path(), &config("bert", 64)) {
        Err(error) => {
            assert!(matches!(error, Error::Model { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains("tokenizer.json"), "{text}");
            text
        }
        Ok(tokenizer) => {
            let texts = ["aa bb", "日本", "x", &"a".repeat(5_000)];
            let failed = texts.iter().find_map(|text| tokenizer.encode(text).err());
            failed.map_or_else(String::new, |error| {
                assert!(error.is_input(), "{error}");
                error.to_string()
            })
        }
    }
}

fn byte_pairs(prefix: &str, vocabulary: Value, merges: Value) -> Value {
    json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": null,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": prefix,
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "byte_fallback": false,
            "vocab": vocabulary,
            "merges": merges,
        },
    })
}

#[test]
fn a_merge_that_is_longer_than_all_tokens_is_an_error() {
    let tokenizer = byte_pairs("", json!({"aa": 0, "bb": 1}), json!([["aa", "bb"]]));
    assert!(error_of(tokenizer).contains("expected a tokenizer"));
}

#[test]
fn a_merge_without_the_prefix_is_refused_before_its_bytes_are_cut() {
    // Shorter than the prefix, and cut in the middle of a character.
    for (prefix, second) in [("###", "b"), ("ab", "日")] {
        let vocabulary = json!({"x": 0, "b": 1, "日": 2});
        for merges in [json!([["x", second]]), json!([format!("x {second}")])] {
            let error = error_of(byte_pairs(prefix, vocabulary.clone(), merges));
            assert!(error.contains("begin with the prefix"), "{error}");
        }
    }
    let right = byte_pairs(
        "##",
        json!({"x": 0, "##b": 1, "xb": 2}),
        json!([["x", "##b"]]),
    );
    assert_eq!(error_of(right), "");
}

#[test]
fn other_files_that_panic_or_have_no_end_are_errors_or_do_no_harm() {
    let usual = byte_pairs("", json!({"a": 0, "b": 1, "x": 2, " ": 3}), json!([]));
    let with = |part: &str, value: Value| {
        let mut tokenizer = usual.clone();
        tokenizer[part] = value;
        tokenizer
    };
    let split = |pattern: &str| {
        let split = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        with("pre_tokenizer", split)
    };
    let template = json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [],
        "special_tokens": {},
    });
    let truncation =
        json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 9});
    let hostile = [
        with("truncation", truncation),
        with("post_processor", template),
        with(
            "normalizer",
            json!({"type": "Precompiled", "precompiled_charsmap": "////////AAAA"}),
        ),
        with(
            "normalizer",
            json!({"type": "Precompiled", "precompiled_charsmap": ""}),
        ),
        with(
            "pre_tokenizer",
            json!({"type": "Sequence", "pretokenizers": []}),
        ),
        with(
            "added_tokens",
            json!([{"id": 4294967295u32, "content": "", "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": true, "special": true}]),
        ),
        split("(a+)+$"),
        split("(a|a)*b"),
        split("(?=(a*)*)"),
        split("("),
        split(""),
    ];
    let start = std::time::Instant::now();
    for tokenizer in hostile {
        error_of(tokenizer);
    }
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn of_two_models_in_one_file_none_is_taken() {
    let file = r#"{"model": {"type": "BPE"}, "model": {"type": "BPE", "vocab": {}, "merges": []}}"#;
    assert!(error_of(json!(file)).contains("duplicate"));
}
