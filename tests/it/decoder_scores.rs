//! Re-rankers with a decoder (monoT5) against `transformers`, on small models with random weights.
//!
//! `tests/neural/make_fixtures.py` writes the models, pairs, and what Python makes of them.

use std::fs;
use std::path::{Path, PathBuf};

use esparsa::internals::backend::{Backend, Cpu, CpuOptions, Reference};
use esparsa::neural::{
    CrossEncoder, Hardware, LongText, Model, ModelFolder, ModelKind, PairScorer,
};
use esparsa::rank::Scorer;
use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::close::assert_close;

/// T5 1.0 with tied logits, and mT5 with a head of its own.
const MODELS: [&str; 2] = ["mono-t5", "mono-mt5"];
const LIMIT: usize = 80;

fn model(name: &str) -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models");
    models.join(name)
}

fn cpu(threads: usize) -> Cpu {
    Cpu::new(CpuOptions {
        threads,
        ..CpuOptions::default()
    })
    .unwrap()
}

fn pairs(name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(model(name).join("pairs.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(a, b)| (&**a, &**b)).collect()
}

/// A tensor of what Python computed, as the bytes of its values.
fn expected(name: &str, tensor: &str) -> Vec<[u8; 4]> {
    let bytes = fs::read(model(name).join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (values, rest) = tensors.tensor(tensor).unwrap().data().as_chunks::<4>();
    assert!(rest.is_empty() && !values.is_empty());
    values.to_vec()
}

fn floats(name: &str, tensor: &str) -> Vec<f32> {
    let values = expected(name, tensor).into_iter();
    values.map(f32::from_le_bytes).collect()
}

fn integers(name: &str, tensor: &str) -> Vec<u32> {
    let values = expected(name, tensor).into_iter();
    values.map(u32::from_le_bytes).collect()
}

/// A copy of a model's folder with other settings in config.json.
fn changed(name: &str, change: impl Fn(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in [
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ] {
        fs::copy(model(name).join(file), folder.path().join(file)).unwrap();
    }
    let text = fs::read_to_string(model(name).join("config.json")).unwrap();
    let mut config = serde_json::from_str(&text).unwrap();
    change(&mut config);
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

fn scores_equal_transformers<B: Backend>(backend: &B) {
    for name in MODELS {
        let encoder = CrossEncoder::open(model(name), backend.clone()).unwrap();
        assert_eq!((encoder.labels(), encoder.max_tokens()), (2, LIMIT));
        let pairs = pairs(name);
        let logits = encoder.logits(&borrowed(&pairs)).unwrap().concat();
        assert_close(name, &logits, &floats(name, "answer_logits"));
        let scores = encoder.score_pairs(&borrowed(&pairs)).unwrap();
        let what = format!("{name}, log-probabilities");
        let expected = floats(name, "log_probabilities");
        assert_close(&what, &scores.all().unwrap(), &expected);
    }
}

#[test]
fn scores_of_a_decoder_of_the_reference_equal_transformers() {
    scores_equal_transformers(&Reference);
}

#[test]
fn scores_of_a_decoder_of_the_cpu_equal_transformers() {
    scores_equal_transformers(&cpu(1));
    scores_equal_transformers(&cpu(2));
}

/// The pairs of the fixture are of every proportion: both texts empty, and longer than the limit.
#[test]
fn pairs_have_the_tokens_of_the_whole_text_and_keep_its_words_when_truncated() {
    for name in MODELS {
        let folder = ModelFolder::open(&model(name)).unwrap();
        assert_eq!(folder.kind, ModelKind::CrossEncoder);
        let (ids, starts) = (integers(name, "pair_ids"), integers(name, "pair_starts"));
        for (place, (query, document)) in pairs(name).iter().enumerate() {
            let tokenizer = &folder.tokenizer;
            let found = tokenizer.encode_pair(query, document, LIMIT).unwrap();
            let rows = starts[place] as usize..starts[place + 1] as usize;
            assert_eq!(found.ids, ids[rows], "{name}: {query:?}, {document:?}");
            let end = tokenizer.encode("Relevant:").unwrap().ids;
            assert!(found.ids.ends_with(&end));
        }
    }
}

#[test]
fn a_score_depends_neither_on_the_batch_nor_on_the_order() {
    for name in MODELS {
        let encoder = CrossEncoder::open(model(name), cpu(2)).unwrap();
        let pairs = pairs(name);
        let mut pairs = borrowed(&pairs);
        let together = encoder.score_pairs(&pairs).unwrap().all().unwrap();
        for (pair, score) in pairs.iter().zip(&together) {
            let alone = encoder.score_pairs(&[*pair]).unwrap().all().unwrap();
            assert!((alone[0] - score).abs() < 1e-5, "{name}: {pair:?}");
        }
        pairs.reverse();
        let mut reversed = encoder.score_pairs(&pairs).unwrap().all().unwrap();
        reversed.reverse();
        for (one, other) in reversed.iter().zip(&together) {
            assert!((one - other).abs() < 1e-5, "{name}");
        }
        assert!(encoder.score_pairs(&[]).unwrap().results.is_empty());
    }
}

#[test]
fn a_model_of_any_hardware_is_a_scorer() {
    let hardware = Hardware::cpu(CpuOptions::default()).unwrap();
    let Model::Cross(scorer) = Model::open(model("mono-t5"), hardware).unwrap() else {
        panic!("expected a cross-encoder");
    };
    let scores = scorer
        .scores("what is lava", &["Lava is rock.", ""])
        .unwrap();
    assert!(scores.iter().all(|score| *score < 0.0) && scores[0] != scores[1]);
}

#[test]
fn windows_score_the_best_passage_and_refusal_names_the_limit() {
    let long = pairs("mono-t5")
        .iter()
        .map(|pair| pair.1.clone())
        .collect::<Vec<_>>()
        .join(" ");
    let passages = [&*long, "lava"];
    let open = || CrossEncoder::open(model("mono-mt5"), cpu(1)).unwrap();
    let first = open().scores("what is lava", &passages).unwrap();
    let windows = open().with_long(LongText::Windows { overlap: 8 });
    let best = windows.scores("what is lava", &passages).unwrap();
    assert!(best[0] > first[0], "{best:?} {first:?}");
    assert_eq!(best[1], first[1]);
    let refused = open().with_long(LongText::Refuse);
    let error = refused
        .scores("what is lava", &passages)
        .unwrap_err()
        .to_string();
    assert!(error.contains("at most 80 tokens"), "{error}");
    // A query that is too long is cut, as with other cross-encoders.
    assert!(open().scores(&long, &["lava"]).unwrap()[0].is_finite());
}

#[test]
fn answers_and_text_may_be_set_in_the_configuration() {
    let own = |own: Value| changed("mono-t5", |config| config["esparsa"] = own.clone());
    let scores = |folder: &Path| {
        let encoder = CrossEncoder::open(folder, cpu(1)).unwrap();
        encoder.scores("what is lava", &["Lava is rock."]).unwrap()[0]
    };
    let usual = scores(&model("mono-t5"));
    let swapped = own(json!({"true": "▁false", "false": "▁true"}));
    let (score, other) = (usual.exp(), scores(swapped.path()).exp());
    assert!((score + other - 1.0).abs() < 1e-5);
    let template = "Query: {query} Document: {document} Relevant:";
    assert_eq!(scores(own(json!({"template": template})).path()), usual);
    let template = own(json!({"template": "Pergunta: {query} Documento: {document} Relevante:"}));
    assert_ne!(scores(template.path()), usual);
    let print = |folder: &Path| ModelFolder::open(folder).unwrap().fingerprint().unwrap();
    assert_ne!(print(swapped.path()), print(&model("mono-t5")));

    let refused = |value: Value| {
        ModelFolder::open(own(value).path())
            .unwrap_err()
            .to_string()
    };
    let error = refused(json!({"true": "▁true"}));
    assert!(error.contains("both `true` and `false`"), "{error}");
    let error = refused(json!({"true": "▁verdadeiro", "false": "▁false"}));
    assert!(error.contains("▁verdadeiro"), "{error}");
    for template in [
        "{query}",
        "{document} {query}",
        "{query}{document}",
        "a{query} {document}",
    ] {
        let error = refused(json!({ "template": template }));
        assert!(error.contains("in this order"), "{error}");
    }
}

#[test]
fn a_portuguese_vocabulary_answers_in_portuguese() {
    let folder = changed("mono-t5", |_| {});
    let path = folder.path().join("tokenizer.json");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("▁true", "▁sim").replace("▁false", "▁não");
    fs::write(&path, text).unwrap();
    let encoder = CrossEncoder::open(folder.path(), cpu(1)).unwrap();
    let pairs = pairs("mono-t5");
    let found = encoder.logits(&borrowed(&pairs)).unwrap().concat();
    assert_close("mono-t5, sim", &found, &floats("mono-t5", "answer_logits"));
}

#[test]
fn a_vocabulary_without_answers_is_refused_unless_the_folder_is_opened_as_another_kind() {
    let folder = changed("mono-t5", |config| config["model_type"] = json!("mt5"));
    let error = ModelFolder::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("`▁yes` and `▁no`"), "{error}");
    let kind = Some(ModelKind::BiEncoder);
    let opened = ModelFolder::open_as(folder.path(), kind).unwrap();
    assert_eq!(opened.kind, ModelKind::BiEncoder);
}

#[test]
fn the_head_of_tied_logits_is_the_table_of_words_and_a_missing_one_is_named() {
    let untied = changed("mono-t5", |config| {
        config["tie_word_embeddings"] = json!(false);
    });
    let open = |folder: &Path| {
        CrossEncoder::open(folder, cpu(1))
            .err()
            .map(|e| e.to_string())
    };
    let error = open(untied.path()).unwrap();
    assert!(error.contains("`lm_head.weight`"), "{error}");
    // The configuration that newer versions of `transformers` write.
    let newer = changed("mono-mt5", |config| {
        config["tie_word_embeddings"] = json!(true)
    });
    let encoder = CrossEncoder::open(newer.path(), cpu(1)).unwrap();
    let pairs = pairs("mono-mt5");
    let found = encoder.logits(&borrowed(&pairs)).unwrap().concat();
    assert_close(
        "mono-mt5, tied",
        &found,
        &floats("mono-mt5", "answer_logits"),
    );

    let layers = changed("mono-t5", |config| config["num_decoder_layers"] = json!(2));
    let error = open(layers.path()).unwrap();
    assert!(
        error.contains("decoder.block.1.layer.0.layer_norm"),
        "{error}"
    );
    let wide = changed("mono-t5", |config| config["d_ff"] = json!(41));
    let error = open(wide.path()).unwrap();
    assert!(
        error.contains("expected the shape [41, 24], found [40, 24]"),
        "{error}"
    );
}
