//! Streams that work only when somebody waits for them: buffers must live, and keep their values,
//! until all that reads them has run.

use super::models::{batch, model_folder};
use super::*;
use crate::neural::{Encoder, ModelConfig, Weights};

/// A GPU with late streams, and an encoder on it.
fn late(name: &str, schedule: u64) -> Option<(Cuda, ModelConfig, Encoder<Cuda>)> {
    let cuda = cuda_on(Emulator::new(80, schedule)?.with_late_streams());
    let folder = model_folder(name);
    let (config, weights) = (
        ModelConfig::open(&folder).unwrap(),
        Weights::open(&folder).unwrap(),
    );
    let encoder = Encoder::load(&cuda, &config, &weights).unwrap();
    Some((cuda, config, encoder))
}

#[test]
fn operations_of_late_streams_equal_the_reference() {
    let Some(gpu) = Emulator::new(80, 1) else {
        return;
    };
    check(&cuda_on(gpu.with_late_streams()), TOLERANCE, 300, 1).unwrap();
}

#[test]
fn results_keep_their_values_while_other_streams_read_them() {
    for schedule in 0..4 {
        let Some((cuda, config, encoder)) = late("bert", schedule) else {
            return;
        };
        let [own, other] = &cuda.streams()[..] else {
            panic!("expected two streams");
        };
        let run = |seed| encoder.forward(own, &batch(&config, &[4], seed)).unwrap();
        // The first run is direct, the second is captured, later ones launch the graph.
        let expected: Vec<f32> = own.values(&run(0)).unwrap();
        own.values(&run(0)).unwrap();
        let hidden = run(0);
        let twice = other.add(&hidden, &hidden, None).unwrap();
        drop(hidden);
        // This may use the memory of the dropped tensor.
        own.values(&run(1)).unwrap();
        let found = other.values(&twice).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            let error = (found - 2.0 * expected).abs();
            assert!(error < 0.05, "schedule {schedule}: {found}, {expected}");
        }
    }
}

#[test]
fn graphs_that_have_not_run_keep_their_memory() {
    let Some((cuda, config, encoder)) = late("bert", 0) else {
        return;
    };
    // More shapes than a stream has graphs: the first ones are dropped while they wait.
    for length in 1..=52 {
        for seed in 0..2 {
            encoder
                .forward(&cuda, &batch(&config, &[length], seed))
                .unwrap();
        }
    }
    let last = encoder.forward(&cuda, &batch(&config, &[3], 0)).unwrap();
    cuda.values(&last).unwrap();
}
