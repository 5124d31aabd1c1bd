//! The SPLADE head by every kernel, and sparse vectors from tables as wide as a vocabulary.

use super::{Scale, starts_of};
use crate::backend::conformance::Case;
use crate::backend::cuda::TableKind;
use crate::backend::{
    Cuda, Device, ForwardOps, Linear, SparseVector, SpladeActivation, SpladePooling,
};
use crate::error::Result;

/// The terms of BERT's vocabulary.
const VOCABULARY: usize = 30_522;
/// Cells of each table that are computed in f64.
const SPOTS: usize = 64;
/// The bound on the error of a logit whose terms have a sum of about 1, in f32.
const MAX_LOGIT_ERROR: f64 = 1e-3;
/// The bound on the relative error of a weight that was computed from a given cell.
const MAX_WEIGHT_ERROR: f32 = 1e-5;
const UNITS: f64 = 4_294_967_296.0;

const KINDS: [(TableKind, &str); 3] = [
    (TableKind::Max, "max"),
    (TableKind::Argmax, "argmax"),
    (TableKind::Sum, "sum"),
];
const ACTIVATIONS: [SpladeActivation; 2] = [
    SpladeActivation::Log1pRelu,
    SpladeActivation::Log1pLog1pRelu,
];

/// The weight of a logit.
fn weight(logit: f64, activation: SpladeActivation) -> f64 {
    let once = logit.max(0.0).ln_1p();
    match activation {
        SpladeActivation::Log1pRelu => once,
        SpladeActivation::Log1pLog1pRelu => once.ln_1p(),
    }
}

/// The value of a cell: a logit, or the sum of weights.
fn value(cell: u64, kind: TableKind) -> f64 {
    match kind {
        TableKind::Max => f64::from(f32::from_bits(cell as u32)),
        TableKind::Argmax => f64::from(f32::from_bits((cell >> 32) as u32)),
        TableKind::Sum => cell as f64 / UNITS,
    }
}

/// The head of one batch.
struct Head {
    starts: Vec<u32>,
    inputs: usize,
    terms: usize,
    x: Vec<f32>,
    decoder: Vec<f32>,
    bias: Vec<f32>,
}

impl Head {
    fn logit(&self, row: usize, term: usize) -> f64 {
        let x = &self.x[row * self.inputs..][..self.inputs];
        let decoder = &self.decoder[term * self.inputs..][..self.inputs];
        let products = x.iter().zip(decoder);
        let sum: f64 = products.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
        sum + f64::from(self.bias[term])
    }

    /// An error unless the cell has this value in f64.
    fn check_cell(
        &self,
        cell: u64,
        place: usize,
        kind: TableKind,
        activation: SpladeActivation,
    ) -> std::result::Result<(), String> {
        let (sequence, term) = (place / self.terms, place % self.terms);
        let rows = self.starts[sequence] as usize..self.starts[sequence + 1] as usize;
        let logits = rows.clone().map(|row| self.logit(row, term));
        let (expected, bound) = match kind {
            TableKind::Max | TableKind::Argmax => (logits.fold(0.0, f64::max), MAX_LOGIT_ERROR),
            TableKind::Sum => (
                logits.map(|logit| weight(logit, activation)).sum(),
                MAX_LOGIT_ERROR * rows.len().max(1) as f64,
            ),
        };
        let found = value(cell, kind);
        let about = format!("sequence {sequence}, term {term}");
        if found.is_nan() || (found - expected).abs() > bound {
            return Err(format!(
                "{about}: expected {expected} within {bound}, computed in f64, found {found}"
            ));
        }
        if kind == TableKind::Argmax && cell != 0 {
            let row = !(cell as u32) as usize;
            if !rows.contains(&row) || expected - self.logit(row, term) > bound {
                return Err(format!(
                    "{about}: expected the row of the maximum, found {row}"
                ));
            }
        }
        Ok(())
    }
}

impl Case<'_, Cuda> {
    pub(super) fn splade_tables(&mut self, scale: Scale) -> Result<()> {
        let (lengths, inputs, terms): (&[u32], _, _) = scale.choose(
            (&[128, 1, 0, 257, 64, 300], 768, VOCABULARY),
            (&[70, 1, 0, 90], 264, 300),
        );
        self.splade_head(lengths, inputs, terms)?;
        self.splade_head(&[9], 40, 30)
    }

    /// The tables of one head by every kernel, and the vectors of the operation.
    fn splade_head(&mut self, lengths: &[u32], inputs: usize, terms: usize) -> Result<()> {
        let starts = starts_of(lengths);
        let rows = starts[starts.len() - 1] as usize;
        let mut bias = self.random.values(terms);
        // About half of the terms of a long sequence are left.
        bias.iter_mut().for_each(|bias| *bias -= 2.5);
        let head = Head {
            x: self.bf16_values(rows * inputs, 1.0),
            decoder: self.bf16_values(terms * inputs, 1.0 / (inputs as f32).sqrt()),
            starts,
            inputs,
            terms,
            bias,
        };
        for activation in ACTIVATIONS {
            for (kind, name) in KINDS {
                self.splade_kind(&head, activation, kind, name)?;
            }
            self.attempt(|case| case.splade_vectors(&head, activation))?;
        }
        Ok(())
    }

    fn splade_kind(
        &mut self,
        head: &Head,
        activation: SpladeActivation,
        kind: TableKind,
        name: &str,
    ) -> Result<()> {
        let mut kernels = vec![format!("splade_{name}")];
        if self.backend.uses_wgmma() {
            kernels.push(format!("splade_hopper_{name}"));
        }
        let (starts, terms) = (&head.starts, head.terms);
        let shape = format!(
            "starts {starts:?}, {} inputs, {terms} terms, {activation:?}",
            head.inputs
        );
        let mut first: Option<Vec<u64>> = None;
        for kernel in &kernels {
            self.attempt(|case| {
                case.begin(kernel, &shape);
                let cuda = case.backend;
                let x = cuda.tensor(head.x.len() / head.inputs, head.inputs, &head.x)?;
                let weight = cuda.matrix(terms, head.inputs, &head.decoder)?;
                let bias = cuda.vector(&head.bias)?;
                let decoder = Linear {
                    weight: &weight,
                    bias: Some(&bias),
                };
                let cells = cuda.splade_table_by(kernel, kind, &x, starts, &decoder, activation)?;
                for _ in 0..SPOTS.min(cells.len()) {
                    let place = case.random.below(cells.len());
                    if let Err(difference) = head.check_cell(cells[place], place, kind, activation)
                    {
                        case.fail(difference)?;
                        break;
                    }
                }
                match &first {
                    None => first = Some(cells),
                    Some(expected) => case.same_tables(head, kind, &cells, expected)?,
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn same_tables(
        &mut self,
        head: &Head,
        kind: TableKind,
        found: &[u64],
        expected: &[u64],
    ) -> Result<()> {
        let longest = head.starts.windows(2).map(|pair| pair[1] - pair[0]).max();
        let bound = MAX_LOGIT_ERROR
            * match kind {
                TableKind::Max | TableKind::Argmax => 1.0,
                TableKind::Sum => f64::from(longest.unwrap_or(0).max(1)),
            };
        let differs = |(found, expected): (&u64, &u64)| {
            let difference = (value(*found, kind) - value(*expected, kind)).abs();
            difference.is_nan() || difference > bound
        };
        let mut pairs = found.iter().zip(expected);
        match pairs.position(differs) {
            None => Ok(()),
            Some(place) => self.fail(format!(
                "sequence {}, term {}: expected {} within {bound} as by the other kernel, found {}",
                place / head.terms,
                place % head.terms,
                value(expected[place], kind),
                value(found[place], kind)
            )),
        }
    }

    /// The operation as models call it: the largest weights of each sequence.
    fn splade_vectors(&mut self, head: &Head, activation: SpladeActivation) -> Result<()> {
        let terms = head.terms;
        let max_terms = terms / 4;
        let shape = format!(
            "starts {:?}, {} inputs, {terms} terms",
            head.starts, head.inputs
        );
        self.begin(
            format!("splade {activation:?}, {max_terms} terms at most"),
            &shape,
        );
        let cuda = self.backend;
        let x = cuda.tensor(head.x.len() / head.inputs, head.inputs, &head.x)?;
        let (weights, bias) = (
            cuda.matrix(terms, head.inputs, &head.decoder)?,
            cuda.vector(&head.bias)?,
        );
        let decoder = Linear {
            weight: &weights,
            bias: Some(&bias),
        };
        let max = SpladePooling::Max;
        let all = cuda.splade(&x, &head.starts, &decoder, activation, max, usize::MAX)?;
        let cut = cuda.splade(&x, &head.starts, &decoder, activation, max, max_terms)?;
        for (sequence, (all, cut)) in all.iter().zip(&cut).enumerate() {
            let is_part = cut.iter().all(|pair| all.contains(pair));
            let mut falling: Vec<f32> = all.iter().map(|(_, weight)| *weight).collect();
            falling.sort_by(|a, b| b.total_cmp(a));
            falling.truncate(max_terms);
            let min = cut
                .iter()
                .fold(f32::INFINITY, |min, (_, weight)| min.min(*weight));
            let is_top = falling.last().is_none_or(|last| min >= *last);
            if !is_part || !is_top || cut.len() != falling.len() {
                self.fail(format!(
                    "sequence {sequence}: expected the {} largest of {} weights, found {} terms",
                    falling.len(),
                    all.len(),
                    cut.len()
                ))?;
            }
        }
        Ok(())
    }

    pub(super) fn sparse_tables(&mut self, scale: Scale) -> Result<()> {
        let (sequences, terms) = (5, scale.choose(VOCABULARY, 4_200));
        for activation in ACTIVATIONS {
            for (kind, _) in KINDS {
                self.sparse_table(kind, [sequences, terms], activation, None)?;
            }
        }
        for max_terms in [0, 1, 200, terms / 5, terms] {
            let activation = SpladeActivation::Log1pRelu;
            self.sparse_table(
                TableKind::Max,
                [sequences, terms],
                activation,
                Some(max_terms),
            )?;
        }
        // More sequences than a block takes at once.
        self.sparse_table(
            TableKind::Max,
            [1_030, 40],
            SpladeActivation::Log1pRelu,
            None,
        )
    }

    /// The vectors of random cells, many of them equal, exactly.
    fn sparse_table(
        &mut self,
        kind: TableKind,
        [sequences, terms]: [usize; 2],
        activation: SpladeActivation,
        max_terms: Option<usize>,
    ) -> Result<()> {
        let values: Vec<(f32, u32)> = (0..sequences * terms)
            .map(|_| match self.random.below(3) {
                0 => (
                    (1 + self.random.below(400)) as f32 / 64.0,
                    self.random.below(512) as u32,
                ),
                _ => (0.0, 0),
            })
            .collect();
        let cells: Vec<u64> = values
            .iter()
            .map(|(value, row)| match kind {
                _ if *value == 0.0 => 0,
                TableKind::Max => u64::from(value.to_bits()),
                TableKind::Argmax => u64::from(value.to_bits()) << 32 | u64::from(!*row),
                TableKind::Sum => (f64::from(*value) * UNITS) as u64,
            })
            .collect();
        let shape = format!("{sequences} × {terms}, {activation:?}, at most {max_terms:?} terms");
        self.attempt(|case| {
            case.begin(format!("sparse vectors of a {kind:?} table"), &shape);
            let cuda = case.backend;
            let (found, rows) =
                cuda.sparse_vectors_of_table(kind, &cells, sequences, activation, max_terms)?;
            let (expected, expected_rows) = vectors_of(&values, kind, terms, activation, max_terms);
            if let Some(sequence) = (0..sequences).find(|sequence| {
                let (found, expected) = (&found[*sequence], &expected[*sequence]);
                !is_near(found, expected)
            }) {
                let (found, expected) = (found[sequence].len(), expected[sequence].len());
                return case.fail(format!(
                    "sequence {sequence}: expected other terms or weights; {expected} terms expected, {found} found"
                ));
            }
            match kind == TableKind::Argmax && rows != expected_rows {
                true => case.fail("expected other rows of the weights"),
                false => Ok(()),
            }
        })
    }
}

fn is_near(found: &SparseVector, expected: &SparseVector) -> bool {
    let pairs = found.iter().zip(expected);
    let mut near = pairs.map(|((term, weight), (expected_term, expected))| {
        term == expected_term && (weight - expected).abs() <= MAX_WEIGHT_ERROR * expected.abs()
    });
    found.len() == expected.len() && near.all(|is_near| is_near)
}

/// The vectors of such cells; of two equal cells the lower term is kept.
fn vectors_of(
    values: &[(f32, u32)],
    kind: TableKind,
    terms: usize,
    activation: SpladeActivation,
    max_terms: Option<usize>,
) -> (Vec<SparseVector>, Vec<u32>) {
    let mut rows = Vec::new();
    let mut vectors = Vec::new();
    for sequence in values.chunks_exact(terms) {
        let mut kept: Vec<(u32, f32, u32)> = (0..)
            .zip(sequence)
            .filter(|(_, (value, _))| *value > 0.0)
            .map(|(term, (value, row))| (term, *value, *row))
            .collect();
        if let Some(max_terms) = max_terms {
            kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            kept.truncate(max_terms);
            kept.sort_by_key(|(term, ..)| *term);
        }
        rows.extend(kept.iter().map(|(_, _, row)| *row));
        let weight_of = |value: f32| match kind {
            TableKind::Sum => value,
            TableKind::Max | TableKind::Argmax => weight(f64::from(value), activation) as f32,
        };
        let vector = kept
            .iter()
            .map(|(term, value, _)| (*term, weight_of(*value)));
        vectors.push(vector.collect());
    }
    (vectors, rows)
}
