//! Gradients at shapes at the edge, their bits, and masters that other streams read.

use super::*;
use crate::backend::conformance::{TRAINING_OPERATIONS, check_training};
use crate::backend::{
    Activation, Attention, BackwardOps, Distances, LinearPart, NormGradients, Orientation,
    Positions, Reference, TermWeight, TrainedLinear,
};

fn gradients_equal_the_reference(architecture: u32, schedules: [u64; 2]) {
    for schedule in schedules {
        let Some(gpu) = Emulator::new(architecture, schedule) else {
            return;
        };
        gpu.set_rules(Rule::ALL);
        let cuda = cuda_on(gpu);
        for round in 0..2 {
            for operation in TRAINING_OPERATIONS {
                let seed = u64::from(architecture) + schedule;
                check_training(&cuda, TOLERANCE, seed, round, operation).unwrap();
            }
        }
    }
}

#[test]
fn gradients_equal_the_reference_on_sm_80() {
    gradients_equal_the_reference(80, [0, 5]);
}

#[test]
fn gradients_equal_the_reference_on_sm_90() {
    gradients_equal_the_reference(90, [6, 5]);
}

/// Values without a pattern.
fn values(count: usize, seed: usize) -> Vec<f32> {
    super::kernels::bf16_values(count, seed)
}

/// The gradients of a norm, of a table and of a sum-pooled SPLADE head, in bits.
fn bits(cuda: &Cuda) -> Vec<u32> {
    let (rows, columns, terms) = (150, 20, 300);
    let (x, dy) = (values(rows * columns, 1), values(rows * columns, 2));
    let (x, dy) = (
        cuda.tensor(rows, columns, &x).unwrap(),
        cuda.tensor(rows, columns, &dy).unwrap(),
    );
    let weight = cuda.vector(&values(columns, 3)).unwrap();
    let norm = Norm::RootMeanSquare {
        weight: &weight,
        epsilon: 1e-3,
    };
    let mut of_weight = cuda.buffer(&values(columns, 4)).unwrap();
    let gradients = NormGradients {
        weight: &mut of_weight,
        bias: None,
    };
    let dx = cuda.norm_backward(&x, &norm, &dy, gradients).unwrap();
    let ids: Vec<u32> = (0..rows as u32).map(|row| row * row % 7).collect();
    let mut of_table = cuda.zeros(7 * columns).unwrap();
    cuda.embed_backward(&mut [(&mut of_table, &ids)], &dy)
        .unwrap();
    let mut all = cuda.values(&dx).unwrap();
    for buffer in [&of_weight, &of_table] {
        all.extend(cuda.read(buffer).unwrap());
    }
    all.extend(head_gradient(cuda, &x, terms));
    all.into_iter().map(f32::to_bits).collect()
}

fn head_gradient(cuda: &Cuda, x: &Tensor, terms: usize) -> Vec<f32> {
    let (activation, pooling) = (SpladeActivation::Log1pRelu, SpladePooling::Sum);
    let starts = [0, 60, 60, 150];
    let master = cuda.buffer(&values(terms * x.columns, 5)).unwrap();
    let zeros = vec![0.0; terms * x.columns];
    let mut weight = cuda.matrix(terms, x.columns, &zeros).unwrap();
    let mut transposed = cuda.matrix(x.columns, terms, &zeros).unwrap();
    for (matrix, orientation) in [
        (&mut weight, Orientation::Forward),
        (&mut transposed, Orientation::Transposed),
    ] {
        cuda.pack_matrix(matrix, &[&master], x.columns, orientation)
            .unwrap();
    }
    let layer = Linear {
        weight: &weight,
        bias: None,
    };
    let found = cuda
        .splade_terms(x, &starts, &layer, activation, pooling)
        .unwrap();
    let dy: Vec<Vec<f32>> = found.iter().map(|terms| values(terms.len(), 6)).collect();
    let mut of_weight = cuda.zeros(zeros.len()).unwrap();
    let trained = TrainedLinear {
        layer,
        transposed: &transposed,
    };
    let gradients = LinearPart {
        outputs: terms,
        weight: &mut of_weight,
        bias: None,
    };
    let dx = cuda
        .splade_backward(
            x, &starts, &trained, &master, activation, pooling, &found, &dy, gradients,
        )
        .unwrap();
    [cuda.values(&dx).unwrap(), cuda.read(&of_weight).unwrap()].concat()
}

#[test]
fn bits_depend_neither_on_the_schedule_nor_on_the_gpu() {
    let Some(first) = cuda(80, 0) else { return };
    let expected = bits(&first);
    for (architecture, schedule) in [(80, 1), (80, 5), (90, 6)] {
        let Some(cuda) = cuda(architecture, schedule) else {
            return;
        };
        assert!(bits(&cuda) == expected, "sm_{architecture}, {schedule}");
    }
}

#[test]
fn nothing_and_one_value_have_gradients() {
    let Some(cuda) = cuda(80, 1) else { return };
    let empty = cuda.tensor(0, 5, &[]).unwrap();
    for starts in [&[0_u32][..], &[0, 0, 0]] {
        let dy = cuda.tensor(starts.len() - 1, 5, &vec![1.0; 5 * (starts.len() - 1)]);
        let dx = cuda.pool_backward(&empty, starts, Pooling::Max, &dy.unwrap());
        assert!(cuda.values(&dx.unwrap()).unwrap().is_empty());
        let dx = cuda.im2col_backward(&cuda.tensor(0, 15, &[]).unwrap(), starts, 3);
        assert_eq!(dx.unwrap().shape(), (0, 5));
    }
    let weight = cuda.vector(&[1.0; 5]).unwrap();
    let norm = Norm::RootMeanSquare {
        weight: &weight,
        epsilon: 1.0,
    };
    let mut of_weight = cuda.buffer(&[3.0; 5]).unwrap();
    let gradients = NormGradients {
        weight: &mut of_weight,
        bias: None,
    };
    cuda.norm_backward(&empty, &norm, &empty, gradients)
        .unwrap();
    cuda.embed_backward(&mut [(&mut of_weight, &[])], &empty)
        .unwrap();
    assert_eq!(cuda.read(&of_weight).unwrap(), [3.0; 5]);
    assert_eq!(cuda.sum_of_squares(&cuda.zeros(0).unwrap()).unwrap(), 0.0);
    let one = cuda.tensor(1, 1, &[3.0]).unwrap();
    let found = cuda
        .activate_backward(&one, Activation::Relu, &one)
        .unwrap();
    assert_eq!(cuda.values(&found).unwrap(), [3.0]);
    let mut found = cuda.zeros(1).unwrap();
    cuda.embed_backward(&mut [(&mut found, &[0])], &one)
        .unwrap();
    assert_eq!(cuda.read(&found).unwrap(), [3.0]);
}

#[test]
fn the_first_of_equal_maxima_gets_the_gradient() {
    let Some(cuda) = cuda(80, 0) else { return };
    let x = cuda.tensor(3, 1, &[2.0, 2.0, 1.0]).unwrap();
    let dy = cuda.tensor(1, 1, &[5.0]).unwrap();
    let dx = cuda.pool_backward(&x, &[0, 3], Pooling::Max, &dy).unwrap();
    assert_eq!(cuda.values(&dx).unwrap(), [5.0, 0.0, 0.0]);
}

#[test]
fn masters_are_used_on_the_stream_that_made_them() {
    let Some(cuda) = cuda(80, 0) else { return };
    let streams = cuda.streams();
    let buffer = streams[0].buffer(&[1.0, 2.0]).unwrap();
    let error = streams[1].read(&buffer).unwrap_err().to_string();
    assert!(error.contains("one of another"), "{error}");
}

#[test]
fn other_streams_read_what_was_packed() {
    let Some(gpu) = Emulator::new(80, 3) else {
        return;
    };
    // Work is done as late as it may be.
    let cuda = cuda_on(gpu.with_late_streams());
    let streams = cuda.streams();
    let mut matrix = cuda.matrix(1, 1, &[0.0]).unwrap();
    let one = cuda.tensor(1, 1, &[1.0]).unwrap();
    let on_other = |matrix: &Matrix| {
        let layer = Linear {
            weight: matrix,
            bias: None,
        };
        let other = &streams[1];
        other.linear(&one, &layer, Activation::Identity).unwrap()
    };
    let before = on_other(&matrix);
    let master = cuda.buffer(&[7.0]).unwrap();
    cuda.pack_matrix(&mut matrix, &[&master], 1, Orientation::Forward)
        .unwrap();
    let after = on_other(&matrix);
    assert_eq!(streams[1].values(&before).unwrap(), [0.0]);
    assert_eq!(streams[1].values(&after).unwrap(), [7.0]);
    // A form of another shape is a new one.
    let master = cuda.buffer(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    cuda.pack_matrix(&mut matrix, &[&master], 2, Orientation::Transposed)
        .unwrap();
    assert_eq!((matrix.rows, matrix.columns), (2, 3));
    let x = cuda.tensor(1, 3, &[1.0, 1.0, 1.0]).unwrap();
    let layer = Linear {
        weight: &matrix,
        bias: None,
    };
    let found = cuda.linear(&x, &layer, Activation::Identity).unwrap();
    assert_eq!(cuda.values(&found).unwrap(), [9.0, 12.0]);
}

#[test]
fn attention_reads_newly_packed_biases() {
    let Some(cuda) = cuda(80, 0) else { return };
    let (tokens, heads, head_size) = (5, 2, 8);
    let x = values(tokens * 3 * heads * head_size, 1);
    let distances = Distances::new(8, |distance| distance.unsigned_abs() as u32 % 3);
    let mut table = cuda.vector(&[0.0; 6]).unwrap();
    for (step, seed) in [11, 12].into_iter().enumerate() {
        let biases = values(6, seed);
        let master = cuda.buffer(&biases).unwrap();
        cuda.pack_vector(&mut table, &[&master]).unwrap();
        let found = cuda
            .attention(&Attention {
                projections: &cuda.tensor(tokens, 3 * heads * head_size, &x).unwrap(),
                starts: &[0, 5],
                heads,
                head_size,
                scale: 0.3,
                positions: Positions::Bias {
                    table: &table,
                    distances: &distances,
                },
            })
            .unwrap();
        let reference = Reference.tensor(tokens, 3 * heads * head_size, &x).unwrap();
        let expected = Reference
            .attention(&Attention {
                projections: &reference,
                starts: &[0, 5],
                heads,
                head_size,
                scale: 0.3,
                positions: Positions::Bias {
                    table: &biases,
                    distances: &distances,
                },
            })
            .unwrap();
        super::kernels::close(&cuda.values(&found).unwrap(), expected.values(), 0.01)
            .unwrap_or_else(|error| panic!("step {step}: {error}"));
    }
}

#[test]
fn terms_that_do_not_exist_are_refused() {
    let Some(cuda) = cuda(80, 0) else { return };
    let x = cuda.tensor(2, 1, &[1.0, 1.0]).unwrap();
    let weight = cuda.matrix(3, 1, &[1.0; 3]).unwrap();
    let (master, mut gradient) = (cuda.zeros(3).unwrap(), cuda.zeros(3).unwrap());
    for (term, row) in [(3, 0), (0, 2)] {
        let terms = vec![vec![TermWeight {
            term,
            weight: 1.0,
            row,
        }]];
        let layer = Linear {
            weight: &weight,
            bias: None,
        };
        let found = cuda.splade_backward(
            &x,
            &[0, 2],
            &TrainedLinear {
                layer,
                transposed: &weight,
            },
            &master,
            SpladeActivation::Log1pRelu,
            SpladePooling::Max,
            &terms,
            &[vec![1.0]],
            LinearPart {
                outputs: 3,
                weight: &mut gradient,
                bias: None,
            },
        );
        let error = found.map(drop).unwrap_err().to_string();
        assert!(error.contains("a term below 3 of a row below 2"), "{error}");
    }
}
