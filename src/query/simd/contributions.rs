//! BM25 contributions of many postings, added to the accumulators of their documents.
//!
//! [`contribution`] is the definition. Every level does the same four operations in the same order,
//! and fuses none, so all give the same bits. All documents are different, so vectors of sums can
//! be gathered, added to and scattered.

use super::{Level, Task};
use crate::format::DocId;

/// What the contributions of a term's postings are made of, beside document and frequency.
#[derive(Clone, Copy)]
pub(in crate::query) struct Bm25Term<'a> {
    /// The limit of a contribution.
    pub weight: f32,
    /// Length normalization, for every length code: 1 / (k1 · (1 - b + b · length / average)).
    pub norms: &'a [f32; 256],
    /// The length codes of all documents.
    pub lengths: &'a [u8],
}

impl Bm25Term<'_> {
    /// The contribution of a posting, whose value is its frequency less one.
    #[inline]
    pub fn contribution(&self, document: DocId, value: u32) -> f32 {
        contribution(self.weight, value, self.norm(document))
    }

    /// The contribution of a frequency, which need not be a whole number, in a document.
    #[inline]
    pub fn contribution_at(&self, document: DocId, frequency: f32) -> f32 {
        self.weight - self.weight / (1.0 + frequency * self.norm(document))
    }

    /// The normalized frequency of a posting, whose value is its frequency less one.
    #[inline]
    pub fn amount(&self, document: DocId, value: u32) -> f32 {
        (value as f32 + 1.0) * self.norm(document)
    }

    /// The contribution of any posting with this frequency and length code.
    #[inline]
    pub fn contribution_of(&self, frequency: u8, length: u8) -> f32 {
        let value = u32::from(frequency).saturating_sub(1);
        contribution(self.weight, value, self.norms[usize::from(length)])
    }

    #[inline(always)]
    fn norm(&self, document: DocId) -> f32 {
        let code = self.lengths.get(document as usize).copied().unwrap_or(0);
        self.norms[usize::from(code)]
    }
}

/// The definition. `weight - weight / (1 + tf · norm)` equals `weight · tf / (tf + 1 / norm)`.
#[inline(always)]
fn contribution(weight: f32, value: u32, norm: f32) -> f32 {
    // Frequencies above 2^24 round, in the same direction always.
    let frequency = value as f32 + 1.0;
    weight - weight / (1.0 + frequency * norm)
}

/// Adds the contribution of each posting to the accumulator of its document, which is at the
/// document less `start`.
///
/// # Panics
///
/// When a document has no accumulator.
#[inline]
pub(in crate::query) fn add_contributions(
    level: Level,
    term: Bm25Term<'_>,
    (documents, values): (&[DocId], &[u32]),
    start: DocId,
    sums: &mut [f32],
) {
    let postings = Postings {
        term,
        documents,
        values,
        start,
        sums,
    };
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx512 => unsafe { x86::add_avx512(postings) },
        _ => level.run(postings),
    }
}

/// Postings that are processed together, so that the compiler can vectorize the division.
const LANES: usize = 16;

struct Postings<'a> {
    term: Bm25Term<'a>,
    documents: &'a [DocId],
    values: &'a [u32],
    start: DocId,
    sums: &'a mut [f32],
}

impl Task for Postings<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let lanes = self.documents.chunks(LANES).zip(self.values.chunks(LANES));
        for (documents, values) in lanes {
            let mut all = [0.0f32; LANES];
            for (norm, document) in all.iter_mut().zip(documents) {
                *norm = self.term.norm(*document);
            }
            for (norm, value) in all.iter_mut().zip(values) {
                *norm = contribution(self.term.weight, *value, *norm);
            }
            for (contribution, document) in all.iter().zip(documents) {
                self.sums[(document - self.start) as usize] += contribution;
            }
        }
    }
}

/// Computes the contribution of each posting.
pub(in crate::query) struct Contributions<'a> {
    pub term: Bm25Term<'a>,
    pub documents: &'a [DocId],
    pub values: &'a [u32],
    /// As many as documents.
    pub contributions: &'a mut [f32],
}

impl Task for Contributions<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (norm, document) in self.contributions.iter_mut().zip(self.documents) {
            *norm = self.term.norm(*document);
        }
        for (norm, value) in self.contributions.iter_mut().zip(self.values) {
            *norm = contribution(self.term.weight, *value, *norm);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{LANES, Postings, Task};

    /// # Safety
    ///
    /// - The CPU has AVX-512F and BMI2.
    #[target_feature(enable = "avx512f,bmi2")]
    pub unsafe fn add_avx512(postings: Postings<'_>) {
        let Postings {
            term,
            documents,
            values,
            start,
            sums,
        } = postings;
        let one = _mm512_set1_ps(1.0);
        let weight = _mm512_set1_ps(term.weight);
        let first = _mm512_set1_epi32(start.cast_signed());
        let sums_end = _mm512_set1_epi32(as_end(sums.len()));
        // Four bytes are read for each length.
        let lengths_end = _mm512_set1_epi32(as_end(term.lengths.len().saturating_sub(3)));
        let lanes = documents.chunks(LANES).zip(values.chunks(LANES));
        for (documents, values) in lanes {
            let there = _bzhi_u32(0xFFFF, documents.len().min(values.len()) as u32) as __mmask16;
            // SAFETY: only what is there is read.
            let (numbers, values_read) = unsafe {
                (
                    _mm512_maskz_loadu_epi32(there, documents.as_ptr().cast()),
                    _mm512_maskz_loadu_epi32(there, values.as_ptr().cast()),
                )
            };
            let places = _mm512_sub_epi32(numbers, first);
            let fit = _mm512_mask_cmplt_epu32_mask(there, places, sums_end)
                & _mm512_mask_cmplt_epu32_mask(there, numbers, lengths_end);
            if fit != there {
                // The last documents of all, whose lengths are no four bytes from the end.
                let postings = Postings {
                    term,
                    documents,
                    values,
                    start,
                    sums,
                };
                postings.run();
                continue;
            }
            // SAFETY: every document has a length and three bytes more behind it, a code is below
            // 256, and every place is that of a sum; all below 2^31.
            unsafe {
                let zero = _mm512_setzero_si512();
                let lengths = term.lengths.as_ptr().cast();
                let codes = _mm512_mask_i32gather_epi32::<1>(zero, there, numbers, lengths);
                let codes = _mm512_and_si512(codes, _mm512_set1_epi32(0xFF));
                let norms = term.norms.as_ptr().cast();
                let norms = _mm512_mask_i32gather_ps::<4>(one, there, codes, norms);
                let frequencies = _mm512_add_ps(_mm512_cvtepu32_ps(values_read), one);
                let divisor = _mm512_add_ps(one, _mm512_mul_ps(frequencies, norms));
                let contributions = _mm512_sub_ps(weight, _mm512_div_ps(weight, divisor));
                let at = sums.as_mut_ptr();
                let before = _mm512_mask_i32gather_ps::<4>(one, there, places, at.cast());
                let after = _mm512_add_ps(before, contributions);
                _mm512_mask_i32scatter_ps::<4>(at.cast(), there, places, after);
            }
        }
    }

    /// A slice's length as an end that is compared unsigned and used signed.
    fn as_end(length: usize) -> i32 {
        i32::try_from(length).unwrap_or(i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_path_adds_the_definition(
            postings in prop::collection::btree_map(0u32..700, prop_oneof![0u32..9, any::<u32>()], 0..300),
            lengths in prop::collection::vec(any::<u8>(), 700..710),
            start in 0u32..300,
            weight in 0.01f32..12.0,
            average in 1.0f32..100.0,
        ) {
            let norms = crate::format::Bm25::default().norms(average);
            let term = Bm25Term { weight, norms: &norms, lengths: &lengths };
            let inside = postings.range(start..);
            let (documents, values): (Vec<u32>, Vec<u32>) = inside.map(|(d, v)| (*d, *v)).unzip();
            let before: Vec<f32> = (0..700 - start).map(|place| place as f32 / 7.0).collect();
            let mut expected = before.clone();
            for (document, value) in documents.iter().zip(&values) {
                let norm = norms[usize::from(lengths[*document as usize])];
                expected[(document - start) as usize] += contribution(weight, *value, norm);
            }
            let mut alone = vec![0.0; documents.len()];
            for ((alone, document), value) in alone.iter_mut().zip(&documents).zip(&values) {
                *alone = term.contribution(*document, *value);
            }
            let bits = |sums: &[f32]| sums.iter().map(|sum| sum.to_bits()).collect::<Vec<_>>();
            for level in Level::all() {
                let mut sums = before.clone();
                add_contributions(level, term, (&documents, &values), start, &mut sums);
                prop_assert_eq!(bits(&sums), bits(&expected));
                let mut contributions = vec![0.0; documents.len()];
                level.run(Contributions {
                    term,
                    documents: &documents,
                    values: &values,
                    contributions: &mut contributions,
                });
                prop_assert_eq!(bits(&contributions), bits(&alone));
            }
        }
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn a_document_without_a_sum_panics() {
        let norms = crate::format::Bm25::default().norms(5.0);
        let term = Bm25Term {
            weight: 1.0,
            norms: &norms,
            lengths: &[3; 40],
        };
        add_contributions(Level::detect(), term, (&[7], &[0]), 0, &mut [0.0; 7]);
    }
}
