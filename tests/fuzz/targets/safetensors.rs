//! Bytes as the weights of a model: with an even first byte one file, with an odd one the list of two
//! shards, a zero byte, and the shards.

use std::fs;

use esparsa::Error;
use esparsa::neural::Weights;

pub fn run(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    if first.is_multiple_of(2) {
        write("model.safetensors", bytes);
    } else {
        let end = bytes.iter().position(|byte| *byte == 0);
        let (list, shards) = bytes.split_at(end.unwrap_or(bytes.len()));
        let shards = shards.get(1..).unwrap_or_default();
        let (one, other) = shards.split_at(shards.len() / 2);
        write("model.safetensors.index.json", list);
        write("a.safetensors", one);
        write("b.safetensors", other);
    }
    let weights = match Weights::open(folder.path()) {
        Ok(weights) => weights,
        Err(error) => {
            assert!(matches!(error, Error::Model { .. }), "{error}");
            return;
        }
    };
    for name in weights.names() {
        let shape = weights.shape(name).expect("the shape of a tensor").to_vec();
        if let Ok(numbers) = weights.tensor(name, &shape) {
            assert_eq!(numbers.len(), shape.iter().product::<usize>(), "{name}");
            assert!(numbers.len() <= bytes.len(), "{name}");
        }
        let mut other = shape;
        other.push(2);
        assert!(weights.tensor(name, &other).is_err(), "{name}");
    }
    let _ = weights.fingerprint();
}
