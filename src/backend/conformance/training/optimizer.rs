//! Masters: packing, the optimizer, buffers.

use crate::backend::conformance::Case;
use crate::backend::{
    Activation, AdamW, BackwardOps, Device, ForwardOps, Linear, Norm, Orientation, Reference,
};
use crate::error::Result;

/// The bound on the relative error of a step of the optimizer, in f32.
const STEP_ERROR: f32 = 1e-5;

impl<B: BackwardOps> Case<'_, B> {
    /// Masters are packed over other values of the same shape, and used.
    pub(super) fn packing(&mut self) -> Result<()> {
        let inputs = self.random.size();
        let outputs = [self.random.size(), self.random.size()];
        self.packing_of(inputs, outputs)
    }

    pub(in crate::backend::conformance) fn packing_of(
        &mut self,
        inputs: usize,
        outputs: [usize; 2],
    ) -> Result<()> {
        let shape = format!("{} + {} × {inputs}", outputs[0], outputs[1]);
        let (backend, all) = (self.backend, outputs[0] + outputs[1]);
        let mut masters = (Vec::new(), Vec::new());
        for outputs in outputs {
            let (given, seen) = self.factors(outputs * inputs, 1.0 / (all as f32).sqrt());
            masters.0.push(backend.buffer(&given)?);
            masters.1.push(seen);
        }
        let (ours, reference): (Vec<_>, Vec<_>) =
            (masters.0.iter().collect(), masters.1.iter().collect());
        for (orientation, [rows, columns]) in [
            (Orientation::Forward, [all, inputs]),
            (Orientation::Transposed, [inputs, all]),
        ] {
            self.begin(format!("pack {orientation:?}"), &shape);
            let x = self.pair(7, columns)?;
            let zeros = vec![0.0; rows * columns];
            let mut matrix = backend.matrix(rows, columns, &zeros)?;
            backend.pack_matrix(&mut matrix, &ours, inputs, orientation)?;
            let mut ref_matrix = Reference.matrix(rows, columns, &zeros)?;
            Reference.pack_matrix(&mut ref_matrix, &reference, inputs, orientation)?;
            let (layer, ref_layer) = (
                Linear {
                    weight: &matrix,
                    bias: None,
                },
                Linear {
                    weight: &ref_matrix,
                    bias: None,
                },
            );
            let found = backend.linear(&x.ours, &layer, Activation::Identity)?;
            let expected = Reference.linear(&x.reference, &ref_layer, Activation::Identity)?;
            self.same(&found, &expected)?;
        }
        self.begin("pack a table", &shape);
        let zeros = vec![0.0; outputs[0] * inputs];
        let mut table = backend.table(outputs[0], inputs, &zeros)?;
        backend.pack_table(&mut table, ours[0], outputs[0], inputs)?;
        let ids: Vec<u32> = (0..outputs[0] as u32).rev().collect();
        let found = backend.embed(&[(&table, &ids)], None)?;
        let ref_table = Reference.table(outputs[0], inputs, &masters.1[0])?;
        let expected = Reference.embed(&[(&ref_table, &ids)], None)?;
        self.same(&found, &expected)?;
        self.packed_row(outputs)
    }

    fn packed_row(&mut self, lens: [usize; 2]) -> Result<()> {
        let (backend, columns) = (self.backend, lens[0] + lens[1]);
        self.begin("pack a row", &format!("{} + {}", lens[0], lens[1]));
        let values = lens.map(|len| self.random.values(len));
        let (first, second) = (backend.buffer(&values[0])?, backend.buffer(&values[1])?);
        let mut vector = backend.vector(&vec![0.0; columns])?;
        backend.pack_vector(&mut vector, &[&first, &second])?;
        let x = self.pair(3, columns)?;
        let epsilon = 1e-3;
        let found = backend.norm(
            &x.ours,
            &Norm::RootMeanSquare {
                weight: &vector,
                epsilon,
            },
        )?;
        let expected = Reference.norm(
            &x.reference,
            &Norm::RootMeanSquare {
                weight: &values.concat(),
                epsilon,
            },
        )?;
        self.same(&found, &expected)
    }

    pub(super) fn optimizer(&mut self) -> Result<()> {
        let len = self.random.choose(&[1, 3, 4, 1_023, 1_025, 4_097, 33_000]);
        self.optimizer_of(len)
    }

    pub(in crate::backend::conformance) fn optimizer_of(&mut self, len: usize) -> Result<()> {
        let shape = format!("{len} values");
        let step = AdamW {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-6,
            weight_decay: 0.01,
            step: 1 + self.random.below(100) as u64,
            gradient_scale: 0.5,
        };
        let [mut master, gradient, mut mean, mut square] = [
            self.gradient(len)?,
            self.gradient(len)?,
            self.gradient(len)?,
            self.gradient(len)?,
        ];
        // Means of squares are positive.
        square.reference.iter_mut().for_each(|x| *x = x.abs());
        self.begin("write a buffer", &shape);
        self.backend.write(&mut square.ours, &square.reference)?;
        self.same_gradient(&square)?;
        self.begin("AdamW", &shape);
        self.backend.adamw(
            &step,
            &mut master.ours,
            &gradient.ours,
            &mut mean.ours,
            &mut square.ours,
        )?;
        Reference.adamw(
            &step,
            &mut master.reference,
            &gradient.reference,
            &mut mean.reference,
            &mut square.reference,
        )?;
        for state in [&master, &mean, &square] {
            let found = self.backend.read(&state.ours)?;
            self.compare_within(&found, &state.reference, STEP_ERROR)?;
        }
        self.begin("sum of squares", &shape);
        let found = self.backend.sum_of_squares(&gradient.ours)?;
        let expected = Reference.sum_of_squares(&gradient.reference)?;
        if (found - expected).abs() > f64::from(STEP_ERROR) * expected {
            self.fail(format!("expected {expected}, found {found}"))?;
        }
        self.begin("clear a buffer", &shape);
        self.backend.clear(&mut mean.ours)?;
        let zeros = self.backend.zeros(len)?;
        for buffer in [&mean.ours, &zeros] {
            let found = self.backend.read(buffer)?;
            self.compare_within(&found, &vec![0.0; len], 0.0)?;
        }
        Ok(())
    }
}
