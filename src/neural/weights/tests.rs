use std::fs;

use safetensors::tensor::TensorView;
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// A file of any header and data, right or wrong.
fn file_bytes(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn folder_with(bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(ONE_FILE), bytes).unwrap();
    folder
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// A file of f32 vectors, as the crate `safetensors` writes it.
fn vectors(tensors: &[(&str, &[f32])]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, values)| f32_bytes(values))
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, values), bytes)| {
        let view = TensorView::new(Dtype::F32, vec![values.len()], bytes).unwrap();
        (*name, view)
    });
    safetensors::serialize(views, None).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    let folder = folder_with(bytes);
    let error = Weights::open(folder.path()).expect_err("refused");
    assert!(matches!(error, Error::Model { .. }), "{error}");
    error.to_string()
}

#[test]
fn values_of_all_three_dtypes_are_read() {
    let header = json!({
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "b": {"dtype": "F16", "shape": [2], "data_offsets": [8, 12]},
        "c": {"dtype": "BF16", "shape": [2], "data_offsets": [12, 16]},
    });
    let mut data = f32_bytes(&[1.5, -0.1]);
    for value in [0.5f32, -65504.0] {
        data.extend(half::f16::from_f32(value).to_le_bytes());
    }
    for value in [3.0f32, -1e30] {
        data.extend(half::bf16::from_f32(value).to_le_bytes());
    }
    let folder = folder_with(&file_bytes(&header.to_string(), &data));
    let weights = Weights::open(folder.path()).unwrap();
    assert_eq!(weights.tensor("a", &[2, 1]).unwrap(), [1.5, -0.1]);
    assert_eq!(weights.tensor("b", &[2]).unwrap(), [0.5, -65504.0]);
    let c = weights.tensor("c", &[2]).unwrap();
    assert_eq!(c[0], 3.0);
    assert!((c[1] / -1e30 - 1.0).abs() < 0.01);
    assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn tensors_longer_than_a_piece_are_whole() {
    let values: Vec<f32> = (0..200_000).map(|value| value as f32).collect();
    let folder = folder_with(&vectors(&[("first", &[7.0]), ("long", &values)]));
    let weights = Weights::open(folder.path()).unwrap();
    assert_eq!(weights.tensor("long", &[200_000]).unwrap(), values);
}

#[test]
fn names_are_found_with_and_without_prefix() {
    let folder = folder_with(&vectors(&[
        ("bert.embeddings.LayerNorm.gamma", &[1.0]),
        ("0.auto_model.pooler.dense.bias", &[2.0]),
        ("auto_model.pooler.dense.weight", &[5.0]),
        ("classifier.bias", &[3.0]),
        ("encoder.embed_tokens.weight", &[4.0]),
    ]));
    let weights = Weights::open(folder.path()).unwrap();
    assert_eq!(
        weights.tensor("embeddings.LayerNorm.weight", &[1]).unwrap(),
        [1.0]
    );
    assert_eq!(weights.tensor("pooler.dense.bias", &[1]).unwrap(), [2.0]);
    assert_eq!(weights.tensor("pooler.dense.weight", &[1]).unwrap(), [5.0]);
    assert_eq!(weights.tensor("classifier.bias", &[1]).unwrap(), [3.0]);
    assert_eq!(weights.tensor("shared.weight", &[1]).unwrap(), [4.0]);
    assert!(weights.has("classifier.bias") && !weights.has("classifier.weight"));
    assert_eq!(weights.shape("pooler.dense.bias"), Some([1].as_slice()));
}

#[test]
fn a_missing_tensor_names_its_nearest() {
    let folder = folder_with(&vectors(&[
        ("encoder.layer.0.output.dense.weight", &[1.0]),
        ("encoder.layer.0.output.dense.bias", &[1.0]),
        ("something.else.entirely", &[1.0]),
        ("pooler", &[1.0]),
    ]));
    let weights = Weights::open(folder.path()).unwrap();
    let error = weights
        .tensor("encoder.layer.0.output.dense.weights", &[1])
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("`encoder.layer.0.output.dense.weights` of shape [1]"),
        "{message}"
    );
    assert!(
        message.contains("nearest names are `encoder.layer.0.output.dense.weight`"),
        "{message}"
    );
    assert!(message.contains(ONE_FILE), "{message}");
}

#[test]
fn an_error_of_shapes_names_both() {
    let folder = folder_with(&vectors(&[("bert.a", &[1.0, 2.0])]));
    let weights = Weights::open(folder.path()).unwrap();
    let message = weights.tensor("a", &[2, 1]).unwrap_err().to_string();
    assert!(
        message.contains("`bert.a`: expected the shape [2, 1], found [2]"),
        "{message}"
    );
}

#[test]
fn a_dtype_that_is_no_float_is_refused_when_the_tensor_is_read() {
    let header = json!({"ids": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}});
    let folder = folder_with(&file_bytes(&header.to_string(), &[0; 8]));
    let weights = Weights::open(folder.path()).unwrap();
    let message = weights.tensor("ids", &[1]).unwrap_err().to_string();
    assert!(message.contains("found I64"), "{message}");
}

#[test]
fn values_that_are_not_finite_are_named_with_their_coordinates() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let header = json!({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}});
        let data = f32_bytes(&[0.0, 1.0, 2.0, 3.0, bad, 5.0]);
        let folder = folder_with(&file_bytes(&header.to_string(), &data));
        let weights = Weights::open(folder.path()).unwrap();
        let message = weights.tensor("w", &[2, 3]).unwrap_err().to_string();
        assert!(
            message.contains("`w`") && message.contains("[1, 1]"),
            "{message}"
        );
    }
}

#[test]
fn the_fingerprint_depends_on_contents_and_not_on_their_order() {
    let print = |bytes: &[u8]| {
        let folder = folder_with(bytes);
        Weights::open(folder.path()).unwrap().fingerprint().unwrap()
    };
    let one = print(&vectors(&[("a", &[1.0]), ("b", &[2.0])]));
    let other_order = file_bytes(
        &json!({
            "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            "a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        })
        .to_string(),
        &f32_bytes(&[2.0, 1.0]),
    );
    assert_eq!(one, print(&other_order));
    for different in [
        vectors(&[("a", &[1.0]), ("c", &[2.0])]),
        vectors(&[("a", &[2.0]), ("b", &[1.0])]),
        vectors(&[("a", &[1.0, 2.0])]),
    ] {
        assert_ne!(one, print(&different));
    }
}

#[test]
fn the_fingerprint_is_the_same_before_and_after_reading() {
    let folder = folder_with(&vectors(&[("a", &[1.0, 2.0]), ("b", &[3.0])]));
    let weights = Weights::open(folder.path()).unwrap();
    weights.tensor("a", &[2]).unwrap();
    let after = weights.fingerprint().unwrap();
    assert_eq!(
        after,
        Weights::open(folder.path()).unwrap().fingerprint().unwrap()
    );
}

#[test]
fn files_that_are_cut_short_are_refused() {
    let whole = vectors(&[("a", &[1.0, 2.0]), ("b", &[3.0])]);
    for length in 0..whole.len() {
        refused(&whole[..length]);
    }
    let mut longer = whole.clone();
    longer.push(0);
    refused(&longer);
    Weights::open(folder_with(&whole).path()).unwrap();
}

#[test]
fn a_huge_header_length_is_refused_before_memory_is_taken() {
    for length in [u64::MAX, u64::MAX - 7, 1 << 40, 100_000_001] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend([b'{'; 64]);
        let message = refused(&bytes);
        assert!(message.contains(&length.to_string()), "{message}");
    }
}

#[test]
fn a_pointer_of_git_lfs_is_not_reported_as_damage() {
    let message = refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n");
    assert!(message.contains("git lfs pull"), "{message}");
}

#[test]
fn headers_that_lie_are_refused() {
    let cases = [
        (
            "out of the file",
            r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#,
        ),
        (
            "backwards",
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
        ),
        (
            "fewer bytes",
            r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#,
        ),
        (
            "more bytes",
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#,
        ),
        (
            "overlap",
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        ),
        (
            "same bytes",
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
        ),
        (
            "gap",
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        ),
        (
            "rest",
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        ),
        (
            "twice",
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
        ),
        (
            "overflow",
            r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8]}}"#,
        ),
        (
            "negative",
            r#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#,
        ),
        (
            "fraction",
            r#"{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#,
        ),
        (
            "unknown type",
            r#"{"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}"#,
        ),
        ("no shape", r#"{"a":{"dtype":"F32","data_offsets":[0,8]}}"#),
        ("list", "[]"),
        ("no JSON", "hello"),
        ("deep", &("[".repeat(10_000))),
        ("not text", "\u{0}"),
    ];
    for (case, header) in cases {
        let message = refused(&file_bytes(header, &[0; 8]));
        assert!(message.contains(ONE_FILE), "{case}: {message}");
    }
}

#[test]
fn a_header_that_lies_about_a_tensor_is_refused_with_the_name_of_the_tensor() {
    let first = r#""first":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    for (second, expected) in [
        (
            r#"{"dtype":"F32","shape":[2],"data_offsets":[4,8]}"#,
            "the shape [2] of F32, found 4 bytes",
        ),
        (
            r#"{"dtype":"F4","shape":[3],"data_offsets":[4,8]}"#,
            "the shape [3] of F4, found 4 bytes",
        ),
        (
            r#"{"dtype":"F16","shape":[9223372036854775808,4],"data_offsets":[4,8]}"#,
            "the shape [9223372036854775808, 4] of F16, found 4 bytes",
        ),
        (
            r#"{"dtype":"F32","shape":[1],"data_offsets":[2,6]}"#,
            "found a gap or an overlap",
        ),
        (
            r#"{"dtype":"F33","shape":[1],"data_offsets":[4,8]}"#,
            "unknown variant `F33`",
        ),
        (
            r#"{"dtype":"F32","data_offsets":[4,8]}"#,
            "missing field `shape`",
        ),
    ] {
        let header = format!(r#"{{{first},"second":{second}}}"#);
        let message = refused(&file_bytes(&header, &[0; 8]));
        assert!(message.contains("tensor `second`"), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_tensor_at_an_odd_offset_is_read() {
    let header = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}"#;
    let mut data = vec![9];
    data.extend(f32_bytes(&[-2.5]));
    let folder = folder_with(&file_bytes(header, &data));
    let weights = Weights::open(folder.path()).unwrap();
    assert_eq!(weights.tensor("b", &[1]).unwrap(), [-2.5]);
}

#[test]
fn empty_tensors_are_no_error() {
    let header = r#"{"none":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let folder = folder_with(&file_bytes(header, &[0; 8]));
    let weights = Weights::open(folder.path()).unwrap();
    assert!(weights.tensor("none", &[0, 3]).unwrap().is_empty());
}

fn shards(list: serde_json::Value, files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(SHARD_LIST), list.to_string()).unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

#[test]
fn shards_are_one_model() {
    let list = json!({"metadata": {"total_size": 8}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors"}});
    let one = ("1.safetensors", vectors(&[("a", &[1.0])]));
    let two = ("2.safetensors", vectors(&[("b", &[2.0])]));
    let folder = shards(list.clone(), &[one.clone(), two.clone()]);
    let weights = Weights::open(folder.path()).unwrap();
    assert_eq!(weights.tensor("b", &[1]).unwrap(), [2.0]);
    let whole = folder_with(&vectors(&[("a", &[1.0]), ("b", &[2.0])]));
    assert_eq!(
        weights.fingerprint().unwrap(),
        Weights::open(whole.path()).unwrap().fingerprint().unwrap()
    );

    let message = Weights::open(shards(list.clone(), std::slice::from_ref(&one)).path())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("2.safetensors, which is missing"),
        "{message}"
    );

    let both = ("2.safetensors", vectors(&[("b", &[2.0]), ("a", &[1.0])]));
    let message = Weights::open(shards(list.clone(), &[one.clone(), both]).path())
        .unwrap_err()
        .to_string();
    assert!(message.contains("another shard"), "{message}");

    let without = ("2.safetensors", vectors(&[("c", &[2.0])]));
    let message = Weights::open(shards(list, &[one.clone(), without]).path())
        .unwrap_err()
        .to_string();
    assert!(message.contains("`b`"), "{message}");

    for outside in ["../1.safetensors", "/etc/passwd", "1.bin"] {
        let list = json!({"weight_map": {"a": outside}});
        assert!(
            Weights::open(shards(list, std::slice::from_ref(&one)).path()).is_err(),
            "{outside}"
        );
    }
}

#[test]
fn other_formats_are_told_how_to_become_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let message = Weights::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains(SHARD_LIST), "{message}");
    fs::write(folder.path().join("pytorch_model.bin"), "PK").unwrap();
    let message = Weights::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("save_pretrained"), "{message}");
}

#[test]
fn a_file_that_shrinks_after_opening_is_an_error() {
    let folder = folder_with(&vectors(&[("a", &[1.0, 2.0])]));
    let weights = Weights::open(folder.path()).unwrap();
    fs::write(folder.path().join(ONE_FILE), b"short").unwrap();
    assert!(matches!(weights.tensor("a", &[2]), Err(Error::Io { .. })));
}
