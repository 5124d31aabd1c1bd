//! The SPLADE head in training: the row of each max, and gradients without tokens × terms logits.

use std::ops::Range;

use super::super::linear::Epilogue;
use super::super::multiply::{Layout, Multiply, Sink};
use super::super::simd::{Tile, WIDTH};
use super::super::splade::{joined, sequences_of_rows};
use super::super::{Cpu, Matrix, Tensor};
use crate::backend::{Activation, Linear, LinearPart, SpladeActivation, SpladePooling, TermWeight};

/// Panels whose maxima are in memory at once.
const PANELS: usize = 32;
/// Terms whose logits are computed again at once, for the gradient of sums.
const TERMS: usize = 1_024;

impl Cpu {
    /// The terms of each sequence. Shapes have been checked.
    pub(super) fn terms_of(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
    ) -> Vec<Vec<TermWeight>> {
        if pooling == SpladePooling::Sum {
            let vectors = self.sparse_vectors(x, starts, decoder, activation, pooling);
            let of_pair = |(term, weight)| TermWeight {
                term,
                weight,
                row: 0,
            };
            let of_vector = |vector: Vec<(u32, f32)>| vector.into_iter().map(of_pair).collect();
            return vectors.into_iter().map(of_vector).collect();
        }
        let sequences = starts.len() - 1;
        let sequence_of_row = sequences_of_rows(starts, x.rows());
        let parts = self.par_ranges(decoder.weight.panels(), |panels| {
            let mut vectors = vec![Vec::new(); sequences];
            for first in panels.clone().step_by(PANELS) {
                let panels = first..panels.end.min(first + PANELS);
                let mut fold = ArgMax::new(&sequence_of_row, sequences, panels.clone());
                Multiply {
                    level: self.level,
                    values: x.values(),
                    layout: Layout::Rows,
                    columns: x.columns(),
                    rows: 0..x.rows(),
                    matrix: decoder.weight,
                    panels,
                    sink: &mut fold,
                }
                .run();
                fold.read(decoder, activation, &mut vectors);
            }
            vectors
        });
        joined(parts, sequences)
    }
}

/// The max logit of each sequence and term of some panels, before the bias, and its row.
struct ArgMax<'a> {
    sequence_of_row: &'a [usize],
    first: usize,
    /// Terms per sequence.
    stride: usize,
    max: Vec<f32>,
    row: Vec<u32>,
}

impl<'a> ArgMax<'a> {
    fn new(sequence_of_row: &'a [usize], sequences: usize, panels: Range<usize>) -> Self {
        let stride = panels.len() * WIDTH;
        Self {
            sequence_of_row,
            first: panels.start * WIDTH,
            stride,
            max: vec![f32::NEG_INFINITY; sequences * stride],
            row: vec![0; sequences * stride],
        }
    }

    /// Appends the terms with weights above 0.
    fn read(
        &self,
        decoder: &Linear<'_, Cpu>,
        activation: SpladeActivation,
        vectors: &mut [Vec<TermWeight>],
    ) {
        let outputs = decoder.weight.outputs();
        let logits = self
            .max
            .chunks_exact(self.stride)
            .zip(self.row.chunks_exact(self.stride));
        for (vector, (max, rows)) in vectors.iter_mut().zip(logits) {
            for (place, (max, row)) in max.iter().zip(rows).enumerate() {
                let term = self.first + place;
                if term >= outputs {
                    break;
                }
                let logit = max + decoder.bias.map_or(0.0, |bias| bias[term]);
                if logit > 0.0 {
                    let once = logit.ln_1p();
                    vector.push(TermWeight {
                        term: u32::try_from(term).unwrap_or(u32::MAX),
                        weight: match activation {
                            SpladeActivation::Log1pRelu => once,
                            SpladeActivation::Log1pLog1pRelu => once.ln_1p(),
                        },
                        row: *row,
                    });
                }
            }
        }
    }
}

impl Sink for ArgMax<'_> {
    #[inline(always)]
    fn take<const FUSED: bool>(&mut self, rows: Range<usize>, columns: Range<usize>, tile: &Tile) {
        let column = columns.start - self.first;
        for (index, row) in rows.enumerate() {
            let place = self.sequence_of_row[row] * self.stride + column;
            let (max, _) = self.max[place..].as_chunks_mut::<WIDTH>();
            let (of_row, _) = self.row[place..].as_chunks_mut::<WIDTH>();
            let (max, of_row, logits) = (&mut max[0], &mut of_row[0], tile.row(index));
            let number = row as u32;
            for lane in 0..WIDTH {
                let is_above = logits[lane] > max[lane];
                max[lane] = if is_above { logits[lane] } else { max[lane] };
                of_row[lane] = if is_above { number } else { of_row[lane] };
            }
        }
    }
}

/// The slope of a weight at its logit, from the weight: with w = ln(1 + x), 1 / (1 + x) = e^-w.
fn slope_of_weight(weight: f32, activation: SpladeActivation) -> f32 {
    match activation {
        SpladeActivation::Log1pRelu => (-weight).exp(),
        SpladeActivation::Log1pLog1pRelu => (-weight - weight.exp_m1()).exp(),
    }
}

/// The gradient of the head.
pub(super) struct HeadGradient<'a> {
    pub cpu: &'a Cpu,
    pub x: &'a Tensor,
    pub starts: &'a [u32],
    pub decoder: &'a Linear<'a, Cpu>,
    /// Terms × columns.
    pub master: &'a [f32],
    pub activation: SpladeActivation,
}

/// A logit with a gradient.
#[derive(Clone, Copy)]
struct Logit {
    term: u32,
    row: u32,
    slope: f32,
}

impl HeadGradient<'_> {
    /// Only the logit of each max has a gradient.
    pub fn of_max(
        &self,
        terms: &[Vec<TermWeight>],
        dy: &[Vec<f32>],
        gradients: LinearPart<'_, Cpu>,
    ) -> Tensor {
        let columns = self.x.columns();
        let mut dx = self.cpu.buffers.tensor(self.x.rows(), columns);
        dx.values_mut().fill(0.0);
        let pairs = terms.iter().flatten().zip(dy.iter().flatten());
        let logit = |(term, dy): (&TermWeight, &f32)| Logit {
            term: term.term,
            row: term.row,
            slope: dy * slope_of_weight(term.weight, self.activation),
        };
        let mut logits: Vec<Logit> = pairs
            .map(logit)
            .filter(|logit| logit.slope != 0.0)
            .collect();
        for logit in &logits {
            let (row, term) = (logit.row as usize * columns, logit.term as usize * columns);
            let decoder = &self.master[term..term + columns];
            add_scaled(
                &mut dx.values_mut()[row..row + columns],
                logit.slope,
                decoder,
            );
        }
        // By term, so that the rows of the decoder's gradient are gone through once; the order of the
        // sequences of a term stays.
        logits.sort_by_key(|logit| logit.term);
        let LinearPart {
            weight, mut bias, ..
        } = gradients;
        for logit in &logits {
            let term = logit.term as usize;
            let sums = &mut weight[term * columns..(term + 1) * columns];
            add_scaled(sums, logit.slope, self.x.row(logit.row as usize));
            if let Some(bias) = &mut bias {
                bias[term] += logit.slope;
            }
        }
        dx
    }

    /// Every logit above 0 has a gradient: logits are computed again, some terms at a time.
    pub fn of_sum(
        &self,
        terms: &[Vec<TermWeight>],
        dy: &[Vec<f32>],
        gradients: LinearPart<'_, Cpu>,
    ) -> Tensor {
        let (rows, columns) = self.x.shape();
        let count = self.decoder.weight.outputs();
        let mut dx = self.cpu.buffers.tensor(rows, columns);
        dx.values_mut().fill(0.0);
        let LinearPart {
            weight, mut bias, ..
        } = gradients;
        let mut next = vec![0; terms.len()];
        for first in (0..count).step_by(TERMS) {
            let chunk = first..count.min(first + TERMS);
            let slopes = self.slopes(terms, dy, &chunk, &mut next);
            let decoder = &self.master[chunk.start * columns..chunk.end * columns];
            let logits = self.logits(decoder, &chunk, &slopes);
            let back = self.cpu.packed_transposed(columns, chunk.len(), decoder);
            let identity = Epilogue::Activate(Activation::Identity);
            let more = self.cpu.products(&logits, &back, None, identity, None);
            add_scaled(dx.values_mut(), 1.0, more.values());
            let range = chunk.start * columns..chunk.end * columns;
            let mut part_weight = weight[range.clone()].to_vec();
            let mut part_bias = bias.as_ref().map(|bias| bias[chunk.clone()].to_vec());
            let part = LinearPart {
                outputs: chunk.len(),
                weight: &mut part_weight,
                bias: part_bias.as_mut(),
            };
            self.cpu.add_weight_gradients(self.x, &logits, &mut [part]);
            weight[range].copy_from_slice(&part_weight);
            if let (Some(bias), Some(part)) = (&mut bias, part_bias) {
                bias[chunk].copy_from_slice(&part);
            }
        }
        dx
    }

    /// The gradients of the weights of some terms: sequences × terms.
    fn slopes(
        &self,
        terms: &[Vec<TermWeight>],
        dy: &[Vec<f32>],
        chunk: &Range<usize>,
        next: &mut [usize],
    ) -> Vec<f32> {
        let mut slopes = vec![0.0; terms.len() * chunk.len()];
        let of_sequences = slopes.chunks_exact_mut(chunk.len());
        for (sequence, (slopes, next)) in of_sequences.zip(next).enumerate() {
            let rest = terms[sequence].iter().zip(&dy[sequence]).skip(*next);
            for (term, dy) in rest {
                let Some(place) = (term.term as usize).checked_sub(chunk.start) else {
                    continue;
                };
                if place >= chunk.len() {
                    break;
                }
                slopes[place] = *dy;
                *next += 1;
            }
        }
        slopes
    }

    /// The gradients of the logits of some terms: tokens × terms.
    fn logits(&self, decoder: &[f32], chunk: &Range<usize>, slopes: &[f32]) -> Tensor {
        let packed = Matrix::pack(chunk.len(), self.x.columns(), decoder, self.cpu.unit);
        let bias = self.decoder.bias.map(|bias| &bias[chunk.clone()]);
        let identity = Epilogue::Activate(Activation::Identity);
        let mut logits = self.cpu.products(self.x, &packed, bias, identity, None);
        let width = chunk.len();
        for (sequence, pair) in self.starts.windows(2).enumerate() {
            let slopes = &slopes[sequence * width..(sequence + 1) * width];
            let rows = pair[0] as usize * width..pair[1] as usize * width;
            for logits in logits.values_mut()[rows].chunks_exact_mut(width) {
                for (logit, slope) in logits.iter_mut().zip(slopes) {
                    let above = logit.max(0.0);
                    let inner = match self.activation {
                        SpladeActivation::Log1pRelu => 1.0 + above,
                        SpladeActivation::Log1pLog1pRelu => (1.0 + above) * (1.0 + above.ln_1p()),
                    };
                    *logit = if *logit > 0.0 { slope / inner } else { 0.0 };
                }
            }
        }
        logits
    }
}

fn add_scaled(sums: &mut [f32], factor: f32, values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}
