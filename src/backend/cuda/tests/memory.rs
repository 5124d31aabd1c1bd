//! Memory that other streams do not need is given up when the GPU has none left.

use std::path::Path;

use super::*;
use crate::neural::{Batch, Encoder, ModelConfig, Weights};

/// Sequences of these lengths.
fn batch(config: &ModelConfig, lengths: &[u32]) -> Batch {
    let mut starts = vec![0];
    for length in lengths {
        starts.push(starts.last().unwrap() + length);
    }
    let tokens: u32 = lengths.iter().sum();
    Batch {
        ids: (0..tokens)
            .map(|token| token * 37 % config.vocabulary as u32)
            .collect(),
        types: vec![0; tokens as usize],
        starts,
    }
}

#[test]
fn graphs_of_other_streams_are_given_up() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models/bert");
    let (config, weights) = (
        ModelConfig::open(&folder).unwrap(),
        Weights::open(&folder).unwrap(),
    );
    let Some(gpu) = Emulator::new(80, 0) else {
        return;
    };
    let cuda = cuda_on(gpu.clone());
    let encoder = Encoder::load(&cuda, &config, &weights).unwrap();
    let (short, long) = (batch(&config, &[60]), batch(&config, &[40; 3]));
    let values = |stream: &Cuda, batch: &Batch| {
        let hidden = encoder.forward(stream, batch).unwrap();
        stream.values(&hidden).unwrap()
    };
    let of_weights = cuda.memory_in_use().0;
    let expected = values(&cuda, &long);
    let peak = cuda.memory_in_use().1;

    // The second run captures a graph, which keeps its buffers.
    let other = &cuda.streams()[1];
    let graphed = values(other, &short);
    let before = cuda.memory_in_use().0;
    values(other, &short);
    let of_graph = cuda.memory_in_use().0 - before;
    assert!(of_graph > 0 && before < peak);

    // Both together do not fit.
    gpu.limit(before + (peak - of_weights) + of_graph / 2);
    assert_eq!(values(&cuda, &long), expected);
    // The graph is captured again when there is room.
    gpu.limit(1 << 30);
    for _ in 0..3 {
        assert_eq!(values(other, &short), graphed);
    }
}
