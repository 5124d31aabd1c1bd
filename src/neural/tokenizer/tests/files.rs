use super::*;

#[test]
fn a_byte_level_vocabulary_with_merges_is_a_roberta() {
    let vocabulary = json!({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "ab": 6, "Ġ": 7, "Ġa": 8, "<mask>": 9});
    let merges = json!("#version: 0.2\na b\nĠ a\n");
    let files = [("vocab.json", vocabulary), ("merges.txt", merges)];
    let tokenizer = Tokenizer::open(folder(&files).path(), &config("roberta", 10)).unwrap();
    assert_eq!(tokenizer.encode("ab a").unwrap().ids, [0, 6, 8, 2]);
    assert_eq!(tokenizer.encode("a <mask>b").unwrap().ids, [0, 4, 9, 5, 2]);
    let pair = tokenizer.encode_pair("a", "b", 9).unwrap();
    assert_eq!((pair.ids, pair.types), (vec![0, 4, 2, 2, 5, 2], vec![0; 6]));
    assert_eq!(tokenizer.mask(), Some(9));
    let [(_, vocabulary), _] = files;
    let herbert = [
        ("vocab.json", vocabulary.clone()),
        ("merges.txt", json!("a b\n")),
        (
            "tokenizer_config.json",
            json!({"tokenizer_class": "HerbertTokenizer"}),
        ),
    ];
    let error = Tokenizer::open(folder(&herbert).path(), &config("bert", 10)).unwrap_err();
    assert!(error.to_string().contains("`HerbertTokenizer`"), "{error}");
    let broken = folder(&[("vocab.json", vocabulary), ("merges.txt", json!("a b c\n"))]);
    assert!(Tokenizer::open(broken.path(), &config("roberta", 10)).is_err());
}

#[test]
fn ids_beyond_the_embeddings_are_refused() {
    let folder = folder(&[("vocab.txt", word_list())]);
    let error = Tokenizer::open(folder.path(), &config("bert", 15))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("below 15") && error.contains("found 15 (`1`)"),
        "{error}"
    );
}

#[test]
fn special_tokens_beyond_the_vocabulary_are_refused_too() {
    let mut file = unigram(metaspace(), json!(null));
    file["post_processor"]["special_tokens"]["</s>"]["ids"] = json!([77]);
    let folder = folder(&[("tokenizer.json", file)]);
    let error = Tokenizer::open(folder.path(), &config("t5", 12))
        .unwrap_err()
        .to_string();
    assert!(error.contains("found 77"), "{error}");
}

#[test]
fn folders_without_a_tokenizer_say_how_to_get_one() {
    let error = |files: &[(&str, Value)]| {
        let error = Tokenizer::open(folder(files).path(), &config("bert", 99)).unwrap_err();
        assert!(matches!(error, Error::Model { .. }), "{error}");
        error.to_string()
    };
    assert!(error(&[]).contains("tokenizer.json"));
    let message = error(&[("spiece.model", json!("binary"))]);
    assert!(
        message.contains("spiece.model") && message.contains("save_pretrained"),
        "{message}"
    );
    assert!(error(&[("tokenizer.json", json!("{"))]).contains("tokenizer.json"));
    assert!(error(&[("tokenizer.json", json!({"model": {}}))]).contains("tokenizer.json"));
    assert!(error(&[("vocab.txt", json!("a\nb"))]).contains("`[UNK]`"));
    assert!(error(&[("vocab.txt", json!("[UNK]\n[CLS]"))]).contains("`[SEP]`"));
    assert!(
        error(&[
            ("vocab.txt", word_list()),
            ("tokenizer_config.json", json!({"do_lower_case": "no"}))
        ])
        .contains("do_lower_case")
    );
}

#[test]
fn a_vocabulary_of_another_tokenizer_is_never_read_as_plain_word_piece() {
    let open = |files: &[(&str, Value)]| {
        let mut files = files.to_vec();
        files.push(("vocab.txt", word_list()));
        Tokenizer::open(folder(&files).path(), &config("bert", WORDS.len()))
    };
    let class = |name: &str| json!({"tokenizer_class": name});
    for name in [
        "BertJapaneseTokenizer",
        "KoBertTokenizer",
        "PhobertTokenizer",
        "BertweetTokenizer",
        "SomethingNewTokenizerFast",
        "PreTrainedTokenizerFast",
    ] {
        for file in ["tokenizer_config.json", "config.json"] {
            let error = open(&[(file, class(name))]).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
            assert!(error.contains("tokenizer.json"), "{error}");
        }
    }
    let own = json!({"AutoTokenizer": ["tokenization_kobert.KoBertTokenizer", null]});
    for map in [own, json!(["tokenization_kobert.KoBertTokenizer", null])] {
        let file = ("tokenizer_config.json", json!({"auto_map": map}));
        let error = open(&[file]).unwrap_err().to_string();
        assert!(error.contains("`KoBertTokenizer`"), "{error}");
    }
    let error = open(&[("bpe.codes", json!("a b"))]).unwrap_err();
    assert!(error.to_string().contains("bpe.codes"), "{error}");

    for name in ["BertTokenizer", "DistilBertTokenizerFast"] {
        let of_config = ("config.json", class("BertJapaneseTokenizer"));
        let tokenizer = open(&[("tokenizer_config.json", class(name)), of_config]);
        assert!(tokenizer.is_ok(), "{name}");
    }
    assert!(open(&[]).is_ok());
    let words = [("vocab.txt", word_list())];
    let error = Tokenizer::open(folder(&words).path(), &config("t5", 99)).unwrap_err();
    assert!(error.to_string().contains("the family T5"), "{error}");
}

#[test]
fn a_vocabulary_without_unknown_token_makes_odd_words_an_input_error() {
    let file = json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {"a": 0}}
    });
    let folder = folder(&[("tokenizer.json", file)]);
    let tokenizer = Tokenizer::open(folder.path(), &config("bert", 9)).unwrap();
    assert_eq!(tokenizer.encode("a a").unwrap().ids, [0, 0]);
    let error = tokenizer.encode("a z").unwrap_err();
    assert!(error.is_input(), "{error}");
}

#[test]
fn the_config_wins_over_the_file_for_classes_of_bert() {
    let file = |lowercases: bool| {
        json!({
            "version": "1.0", "added_tokens": [],
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": lowercases},
            "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                "vocab": {"[UNK]": 0, "a": 1, "A": 2}}
        })
    };
    let ids = |settings: Value, lowercases: bool| {
        let folder = folder(&[
            ("tokenizer.json", file(true)),
            ("tokenizer_config.json", settings),
        ]);
        let tokenizer =
            Tokenizer::open_with(folder.path(), &config("bert", 3), lowercases).unwrap();
        tokenizer.encode("A").unwrap().ids
    };
    assert_eq!(
        ids(
            json!({"tokenizer_class": "BertTokenizerFast", "do_lower_case": false}),
            false
        ),
        [2]
    );
    assert_eq!(
        ids(
            json!({"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": false}),
            false
        ),
        [1]
    );
    assert_eq!(ids(json!({"tokenizer_class": "BertTokenizer"}), false), [1]);
    assert_eq!(
        ids(
            json!({"tokenizer_class": "BertTokenizer", "do_lower_case": false}),
            true
        ),
        [1]
    );
}

#[test]
fn the_fingerprint_follows_files_and_settings() {
    let one = bert(json!({})).fingerprint();
    assert_eq!(one, bert(json!({"model_max_length": 77})).fingerprint());
    assert_ne!(one, bert(json!({"do_lower_case": false})).fingerprint());
    assert_ne!(one, bert(json!({"truncation_side": "left"})).fingerprint());
}

#[test]
fn the_config_wins_over_the_file_for_the_class_of_roberta() {
    let file = json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null, "decoder": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": {"a": 0, "Ġ": 1, "Ġa": 2}, "merges": [["Ġ", "a"]]}
    });
    let ids = |class: &str| {
        let settings = json!({"tokenizer_class": class, "add_prefix_space": true});
        let folder = folder(&[
            ("tokenizer.json", file.clone()),
            ("tokenizer_config.json", settings),
        ]);
        let tokenizer = Tokenizer::open(folder.path(), &config("roberta", 3)).unwrap();
        tokenizer.encode("a").unwrap().ids
    };
    assert_eq!(ids("RobertaTokenizerFast"), [2]);
    assert_eq!(ids("PreTrainedTokenizerFast"), [0]);
}

#[test]
fn post_processors_that_make_no_sense_are_errors() {
    let special = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    for (single, pair) in [
        (
            json!([text("A"), special("gone")]),
            json!([text("A"), text("B")]),
        ),
        (json!([special("</s>")]), json!([text("A"), text("B")])),
        (json!([text("A"), text("A")]), json!([text("A"), text("B")])),
        (json!([text("A")]), json!([text("A")])),
        (json!([text("A")]), json!([text("B"), text("A")])),
    ] {
        let mut file = unigram(metaspace(), json!(null));
        file["post_processor"]["single"] = single.clone();
        file["post_processor"]["pair"] = pair.clone();
        let folder = folder(&[("tokenizer.json", file)]);
        let opened = Tokenizer::open(folder.path(), &config("t5", 12));
        assert!(opened.is_err(), "{single} {pair}");
    }
}
