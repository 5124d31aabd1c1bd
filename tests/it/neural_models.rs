//! From text to vectors and scores, against sentence-transformers, on small models with random
//! weights.
//!
//! `tests/neural/make_fixtures.py` writes the models, texts, and what Python makes of them.
//! Tokenizers, encoders and heads have parity tests of their own; here they are combined by the
//! public API, on the reference and on the CPU backend.

use std::fs;
use std::path::{Path, PathBuf};

use esparsa::backend::{Backend, Cpu, CpuOptions, Reference, SparseVector};
use esparsa::neural::{
    CrossEncoder, DenseEncoder, LateEncoder, LongText, ModelFolder, ModelKind, PairScorer, Role,
    SparseEncoder, TextEncoder,
};
use esparsa::rank::Scorer;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::close::assert_close;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models")
}

fn model(name: &str) -> PathBuf {
    models().join(name)
}

fn cpu(threads: usize) -> Cpu {
    Cpu::new(CpuOptions {
        threads,
        ..CpuOptions::default()
    })
    .unwrap()
}

/// A JSON file beside a model.
fn read<T: serde::de::DeserializeOwned>(name: &str, file: &str) -> T {
    let text = fs::read_to_string(model(name).join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn texts(name: &str) -> Vec<String> {
    read(name, "texts.json")
}

fn queries(name: &str) -> Vec<String> {
    read(name, "queries.json")
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// A tensor of what Python computed: its shape and its rows.
fn expected(name: &str, tensor: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(model(name).join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let found = tensors.tensor(tensor).unwrap();
    let numbers = found.data().chunks_exact(4);
    let numbers = numbers.map(|bytes| bytes.try_into().unwrap());
    let numbers = match found.dtype() {
        Dtype::F32 => numbers.map(f32::from_le_bytes).collect(),
        Dtype::I32 => numbers.map(|n| i32::from_le_bytes(n) as f32).collect(),
        other => panic!("{other:?}"),
    };
    (found.shape().to_vec(), numbers)
}

/// Sparse vectors as rows of all terms.
fn rows(vectors: &[SparseVector], vocabulary: usize) -> Vec<f32> {
    let mut rows = vec![0.0; vectors.len() * vocabulary];
    for (vector, row) in vectors.iter().zip(rows.chunks_exact_mut(vocabulary)) {
        assert!(vector.is_sorted_by(|a, b| a.0 < b.0));
        for (term, weight) in vector {
            assert!(*weight > 0.0);
            row[*term as usize] = *weight;
        }
    }
    rows
}

fn sparse_vectors_equal_python<B: Backend>(backend: &B) {
    for name in [
        "splade-max",
        "splade-sum",
        "splade-log1p",
        "splade-separate",
        "splade-inference-free",
        "splade-inference-free-published",
    ] {
        let encoder = SparseEncoder::open(model(name), backend.clone()).unwrap();
        let (shape, sparse) = expected(name, "sparse");
        assert_eq!(shape[1], encoder.vocabulary(), "{name}");
        let texts = texts(name);
        let found = encoder.encode_documents(&borrowed(&texts)).unwrap();
        assert!(found.iter().any(|vector| vector.len() > 3), "{name}");
        assert_close(name, &rows(&found, shape[1]), &sparse);
        if name.contains("inference-free") {
            let (_, sparse) = expected(name, "sparse_queries");
            let queries = queries(name);
            let found = encoder.encode_queries(&borrowed(&queries)).unwrap();
            assert_close(
                &format!("{name}, queries"),
                &rows(&found, shape[1]),
                &sparse,
            );
        } else {
            let again = encoder.encode_queries(&borrowed(&texts)).unwrap();
            assert_eq!(
                found, again,
                "{name}: queries and documents are encoded alike"
            );
        }
    }
}

#[test]
fn sparse_vectors_of_the_reference_equal_python() {
    sparse_vectors_equal_python(&Reference);
}

#[test]
fn sparse_vectors_of_the_cpu_equal_python() {
    sparse_vectors_equal_python(&cpu(2));
}

fn dense_vectors_equal_python<B: Backend>(backend: &B) {
    for name in ["st-mean", "st-cls", "st-max", "st-dense", "st-prompts"] {
        let encoder = DenseEncoder::open(model(name), backend.clone()).unwrap();
        let texts = texts(name);
        let texts = borrowed(&texts);
        let (shape, embeddings) = expected(name, "embeddings");
        assert_eq!(shape, [texts.len(), encoder.dimensions()], "{name}");
        let has_prompts = name == "st-prompts";
        if !has_prompts {
            let found = encoder.encode_documents(&texts).unwrap().concat();
            assert_close(name, &found, &embeddings);
            continue;
        }
        let (_, of_queries) = expected(name, "query_embeddings");
        let (_, of_documents) = expected(name, "document_embeddings");
        let found = encoder.encode_queries(&texts).unwrap().concat();
        assert_close("queries", &found, &of_queries);
        let found = encoder.encode_documents(&texts).unwrap().concat();
        assert_close("documents", &found, &of_documents);
        let bare = encoder.with_prompts("", "");
        let found = bare.encode_queries(&texts).unwrap().concat();
        assert_close("without prompt", &found, &embeddings);
    }
}

#[test]
fn dense_vectors_of_the_reference_equal_python() {
    dense_vectors_equal_python(&Reference);
}

#[test]
fn dense_vectors_of_the_cpu_equal_python() {
    dense_vectors_equal_python(&cpu(2));
}

fn scores_of_pairs_equal_python<B: Backend>(backend: &B) {
    for (name, labels) in [
        ("ce-bert", 1),
        ("ce-bert-old", 1),
        ("ce-roberta", 2),
        ("ce-electra", 1),
        ("ce-distilbert", 3),
        ("ce-deberta", 1),
    ] {
        let encoder = CrossEncoder::open(model(name), backend.clone()).unwrap();
        assert_eq!(encoder.labels(), labels, "{name}");
        let pairs: Vec<(String, String)> = read(name, "pairs.json");
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(a, b)| (&**a, &**b)).collect();
        let (_, logits) = expected(name, "logits");
        let found = encoder.logits(&pairs).unwrap();
        assert_close(name, &found.concat(), &logits);

        let scores = encoder.score_pairs(&pairs).unwrap().all().unwrap();
        if labels == 1 {
            let (_, expected) = expected(name, "scores");
            assert_close(&format!("{name}, scores"), &scores, &expected);
        } else {
            let (_, probabilities) = expected(name, "probabilities");
            let last = probabilities
                .chunks_exact(labels)
                .map(|row| row[labels - 1]);
            let found: Vec<f32> = scores
                .iter()
                .map(|score| 1.0 / (1.0 + (-score).exp()))
                .collect();
            assert_close(
                &format!("{name}, scores"),
                &found,
                &last.collect::<Vec<_>>(),
            );
        }
    }
}

#[test]
fn scores_of_pairs_of_the_reference_equal_python() {
    scores_of_pairs_equal_python(&Reference);
}

#[test]
fn scores_of_pairs_of_the_cpu_equal_python() {
    scores_of_pairs_equal_python(&cpu(2));
}

fn late_interaction_equals_python<B: Backend>(name: &str, backend: &B) {
    let encoder = LateEncoder::open(model(name), backend.clone()).unwrap();
    let (texts, queries) = (texts(name), queries(name));
    for (vectors, tensor, starts) in [
        (
            encoder.encode_documents(&borrowed(&texts)).unwrap(),
            "token_vectors",
            "starts",
        ),
        (
            encoder.encode_queries(&borrowed(&queries)).unwrap(),
            "query_vectors",
            "query_starts",
        ),
    ] {
        let (shape, expected_vectors) = expected(name, tensor);
        assert_eq!(shape[1], encoder.dimensions());
        let (_, starts) = expected(name, starts);
        let lengths = starts.windows(2).map(|pair| (pair[1] - pair[0]) as usize);
        let found = vectors.iter().map(|vectors| vectors.tokens());
        assert_eq!(
            found.collect::<Vec<_>>(),
            lengths.collect::<Vec<_>>(),
            "{name}, {tensor}"
        );
        let found: Vec<f32> = vectors.iter().flat_map(|one| one.values.clone()).collect();
        assert_close(&format!("{name}, {tensor}"), &found, &expected_vectors);
    }
    let (_, max_sim) = expected(name, "max_sim");
    for (query, expected) in queries.iter().zip(max_sim.chunks_exact(texts.len())) {
        let found = encoder.scores(query, &borrowed(&texts)).unwrap();
        assert_close(&format!("{name}, {query:?}"), &found, expected);
    }
}

#[test]
fn late_interaction_of_the_reference_equals_python() {
    late_interaction_equals_python("colbert", &Reference);
}

#[test]
fn late_interaction_of_the_cpu_equals_python() {
    late_interaction_equals_python("colbert", &cpu(2));
}

/// Queries of this model are expanded with masks that other tokens do not attend to: the vectors
/// before these are compared.
#[test]
fn prefixes_and_skipped_punctuation_are_those_of_pylate() {
    let name = "colbert-pylate";
    let encoder = LateEncoder::open(model(name), cpu(2)).unwrap();
    let texts = texts(name);
    let (_, vectors) = expected(name, "token_vectors");
    let found = encoder.encode_documents(&borrowed(&texts)).unwrap();
    let found: Vec<f32> = found.into_iter().flat_map(|one| one.values).collect();
    assert_close("documents", &found, &vectors);

    let queries = queries(name);
    let ((_, vectors), (_, starts)) = (
        expected(name, "query_vectors"),
        expected(name, "query_starts"),
    );
    let found = encoder.encode_queries(&borrowed(&queries)).unwrap();
    for ((query, found), start) in queries.iter().zip(found).zip(starts) {
        let first = start as usize * encoder.dimensions();
        assert!(found.tokens() > 2);
        assert_close(
            query,
            &found.values,
            &vectors[first..first + found.values.len()],
        );
    }
}

#[test]
fn folders_say_what_kind_of_model_they_hold() {
    for entry in fs::read_dir(models()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let expected = match name.split('-').next().unwrap() {
            "splade" => ModelKind::SparseEncoder,
            "st" => ModelKind::BiEncoder,
            "ce" => ModelKind::CrossEncoder,
            "colbert" => ModelKind::LateInteraction,
            _ => continue,
        };
        let folder = ModelFolder::open(&path).unwrap();
        assert_eq!(folder.kind, expected, "{name}");
    }
}

/// Texts of many lengths, in one and in many batches.
fn many_texts() -> Vec<String> {
    let words: Vec<String> = texts("st-mean")
        .iter()
        .flat_map(|text| text.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    (0..150)
        .map(|number| {
            words
                .iter()
                .cycle()
                .skip(number * 3)
                .take(1 + number * 7 % 31)
                .cloned()
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

#[test]
fn the_vector_of_a_text_depends_on_neither_other_texts_nor_threads() {
    let all = many_texts();
    let dense = |threads| DenseEncoder::open(model("st-mean"), cpu(threads)).unwrap();
    let sparse = |threads| SparseEncoder::open(model("splade-max"), cpu(threads)).unwrap();
    let expected_dense = dense(1).encode_documents(&borrowed(&all)).unwrap();
    let expected_sparse = sparse(1).encode_documents(&borrowed(&all)).unwrap();
    for threads in [2, 3] {
        let (dense, sparse) = (dense(threads), sparse(threads));
        assert_eq!(
            dense.encode_documents(&borrowed(&all)).unwrap(),
            expected_dense
        );
        assert_eq!(
            sparse.encode_documents(&borrowed(&all)).unwrap(),
            expected_sparse
        );
        for number in [0, 17, 149] {
            let one = dense.encode_documents(&[&all[number]]).unwrap();
            assert_eq!(one[0], expected_dense[number]);
            let one = sparse.encode_documents(&[&all[number]]).unwrap();
            assert_eq!(one[0], expected_sparse[number]);
        }
    }
}

#[test]
fn windows_of_a_long_text_count_together() {
    let long = many_texts().join(" ");
    let windows = LongText::Windows { overlap: 5 };

    let sparse = SparseEncoder::open(model("splade-max"), cpu(1)).unwrap();
    let limit = sparse.max_tokens();
    let tokenizer = ModelFolder::open(&model("splade-max")).unwrap().tokenizer;
    let count = tokenizer.windows(&long, limit, 5).unwrap().len();
    assert!(count > 10);
    let first = sparse.encode_documents(&[&long]).unwrap().remove(0);
    let sparse = sparse.with_long(windows);
    let encoded = sparse.encode(&[&long], Role::Document).unwrap();
    assert!(encoded.full as usize >= count - 1);
    let all = encoded.all().unwrap().remove(0);
    let weight = |term| {
        all.iter()
            .find(|(found, _)| *found == term)
            .map_or(0.0, |(_, weight)| *weight)
    };
    assert!(first.iter().all(|(term, least)| weight(*term) >= *least));
    assert!(all.len() > first.len());

    let dense = DenseEncoder::open(model("st-mean"), cpu(1)).unwrap();
    let first = dense.encode_documents(&[&long]).unwrap().remove(0);
    let all = dense
        .with_long(windows)
        .encode_documents(&[&long])
        .unwrap()
        .remove(0);
    let length = all.iter().map(|number| number * number).sum::<f32>().sqrt();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
    assert_ne!(first, all);

    for name in ["ce-bert", "ce-roberta"] {
        let cross = CrossEncoder::open(model(name), cpu(1)).unwrap();
        let passages: Vec<&str> = vec![&long, "lava"];
        let first = cross.scores("what is lava", &passages).unwrap();
        let best = cross
            .with_long(windows)
            .scores("what is lava", &passages)
            .unwrap();
        assert!(best[0] > first[0], "{name}: {best:?} {first:?}");
        assert_eq!(best[1], first[1]);
    }

    let late = LateEncoder::open(model("colbert"), cpu(1)).unwrap();
    let first = late.scores("what is lava", &[&long]).unwrap();
    let best = late
        .with_long(windows)
        .scores("what is lava", &[&long])
        .unwrap();
    assert!(best[0] > first[0], "{best:?} {first:?}");
}

#[test]
fn a_long_text_is_an_error_by_choice_and_names_the_text() {
    let long = many_texts().join(" ");
    let dense = DenseEncoder::open(model("st-mean"), cpu(2)).unwrap();
    let dense = dense.with_long(LongText::Refuse);
    let error = dense
        .encode_documents(&["short", &long])
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("text 2 of 2: "), "{error}");
    assert!(
        error.contains(&format!("{}", dense.max_tokens())),
        "{error}"
    );
    let encoded = dense
        .encode(&["short", &long, "short"], Role::Document)
        .unwrap();
    assert!(encoded.results[1].is_err());
    let bare = dense.encode_documents(&["short"]).unwrap();
    assert_eq!(encoded.results[0].as_ref().unwrap(), &bare[0]);
    assert_eq!(encoded.results[2].as_ref().unwrap(), &bare[0]);
}

#[test]
fn fingerprints_differ_between_models_and_are_stable() {
    let mut seen = Vec::new();
    for name in [
        "splade-max",
        "splade-sum",
        "splade-log1p",
        "splade-inference-free",
    ] {
        let open = || SparseEncoder::open(model(name), Reference).unwrap();
        let (fingerprint, name) = (open().fingerprint(), open().name().to_owned());
        assert_eq!(fingerprint, open().fingerprint());
        assert!(model(&name).is_dir(), "{name}");
        assert!(!seen.contains(&fingerprint), "{name}");
        seen.push(fingerprint);
    }
}
