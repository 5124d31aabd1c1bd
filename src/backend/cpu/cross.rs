//! Attention of one query for each sequence: every key and every value is read once, so that packing
//! them into panels would cost more than the products.

use std::ops::Range;

use super::attention::exp_scores;
use super::math::{LANES, fold_lanes, multiply_add};
use super::simd::Task;
use super::{Cpu, Tensor};
use crate::backend::CrossAttention;

impl Cpu {
    /// Cross-attention; threads take some of the sequences. Shapes have been checked.
    pub(super) fn cross_attend(&self, attention: &CrossAttention<'_, Self>) -> Tensor {
        let sequences = attention.starts.len().saturating_sub(1);
        let width = attention.heads * attention.head_size;
        let mut out = self.buffers.tensor(sequences, width);
        self.par_rows(out.values_mut(), width, |sequences, out| {
            self.level.run(Sequences {
                attention,
                sequences,
                out,
            });
        });
        out
    }
}

/// Some sequences; `out` has one row for each of them.
struct Sequences<'a, 'b> {
    attention: &'a CrossAttention<'b, Cpu>,
    sequences: Range<usize>,
    out: &'a mut [f32],
}

impl Task for Sequences<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let CrossAttention {
            queries,
            memory,
            starts,
            heads,
            head_size,
            scale,
        } = *self.attention;
        let inner = heads * head_size;
        let mut scores = Vec::new();
        let rows = self.out.chunks_exact_mut(inner.max(1));
        for (sequence, out) in self.sequences.zip(rows) {
            let tokens = starts[sequence] as usize..starts[sequence + 1] as usize;
            out.fill(0.0);
            if tokens.is_empty() {
                continue;
            }
            let query = queries.row(sequence);
            for first in (0..inner).step_by(head_size.max(1)) {
                let columns = first..first + head_size;
                scores.clear();
                for token in tokens.clone() {
                    let key = &memory.row(token)[columns.clone()];
                    scores.push(scale * dot::<FUSED>(&query[columns.clone()], key));
                }
                let factor = exp_scores::<FUSED>(&mut scores);
                let out = &mut out[columns.clone()];
                for (token, weight) in tokens.clone().zip(&scores) {
                    let value = &memory.row(token)[inner + first..][..head_size];
                    for (sum, value) in out.iter_mut().zip(value) {
                        *sum = multiply_add::<FUSED>(*weight, *value, *sum);
                    }
                }
                for sum in out {
                    *sum *= factor;
                }
            }
        }
    }
}

/// The inner product, summed in lanes.
#[inline(always)]
fn dot<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] = multiply_add::<FUSED>(a[lane], b[lane], sums[lane]);
        }
    }
    for (sum, (a, b)) in sums.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *sum = multiply_add::<FUSED>(*a, *b, *sum);
    }
    fold_lanes(sums, |a, b| a + b)
}
