//! Inner products of a query with the rows of a dense field.
//!
//! The definition is [`product_scalar`]: sixteen sums, to each of which every sixteenth product is
//! added with a single rounding (fused multiply-add), and then a tree that adds the sums eight,
//! four, two and one apart. The vector code does just that: a register of sixteen lanes (or two of
//! eight) holds the sixteen sums of a row. Cache lines some KiB ahead are prefetched: with that,
//! scoring takes hardly longer than reading. Two rows of f16 are scored side by side, because their
//! bytes arrive faster than one chain of additions consumes them; f32 arrives slowly enough, and i8
//! is summed in integers, which is faster, and where order does not matter. The ends of the trees
//! of eight rows are computed together.

use half::f16;

use super::{Level, Task};

/// Rows that end their trees together.
const ROWS: usize = 8;
/// Sums of a row.
const LANES: usize = 16;
/// Bytes of a cache line; rows are whole lines.
const LINE: usize = 64;

/// Scores of rows of f32: one for each `query.len()` elements. Rows are whole cache lines.
pub(in crate::query) fn products_f32(level: Level, rows: &[u8], query: &[f32], scores: &mut [f32]) {
    check(rows.len(), 4 * query.len(), scores.len());
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level, and the lengths fit.
        Level::Avx512 => unsafe { x86::f32_avx512(rows, query, scores) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level, and the lengths fit.
        Level::Avx2 => unsafe { x86::f32_avx2(rows, query, scores) },
        _ => products_scalar::<4>(rows, query, scores, |four| f32::from_le_bytes(*four)),
    }
}

/// Scores of rows of f16, as [`products_f32`] of rows of f32.
pub(in crate::query) fn products_f16(level: Level, rows: &[u8], query: &[f32], scores: &mut [f32]) {
    check(rows.len(), 2 * query.len(), scores.len());
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level, and the lengths fit.
        Level::Avx512 => unsafe { x86::f16_avx512(rows, query, scores) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level, and the lengths fit.
        Level::Avx2 => unsafe { x86::f16_avx2(rows, query, scores) },
        _ => products_scalar::<2>(rows, query, scores, |two| f16::from_le_bytes(*two).to_f32()),
    }
}

/// Scores of rows of i8: the sum of integer products, times the scale of the row, times `unit`.
/// There are `query.len()` elements in a row; sums of products must fit 32 bits.
pub(in crate::query) fn products_i8(
    level: Level,
    rows: &[u8],
    query: &[i16],
    scales: &[f32],
    unit: f32,
    scores: &mut [f32],
) {
    check(rows.len(), query.len(), scores.len());
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level, and the lengths fit.
        Level::Avx512 => unsafe { x86::i8_avx512(rows, query, scores) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level, and the lengths fit.
        Level::Avx2 => unsafe { x86::i8_avx2(rows, query, scores) },
        _ => {
            for (row, score) in rows.chunks_exact(query.len()).zip(&mut *scores) {
                let products = row
                    .iter()
                    .zip(query)
                    .map(|(level, weight)| i32::from(level.cast_signed()) * i32::from(*weight));
                *score = products.fold(0i32, i32::wrapping_add) as f32;
            }
        }
    }
    level.run(Scale {
        scales,
        unit,
        scores,
    });
}

struct Scale<'a> {
    scales: &'a [f32],
    unit: f32,
    scores: &'a mut [f32],
}

impl Task for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (score, scale) in self.scores.iter_mut().zip(self.scales) {
            *score *= scale * self.unit;
        }
    }
}

/// The paths read without looking at lengths again.
fn check(bytes: usize, row_bytes: usize, rows: usize) {
    assert!(row_bytes > 0 && row_bytes.is_multiple_of(LINE));
    assert!(rows.checked_mul(row_bytes) == Some(bytes));
}

fn products_scalar<const BYTES: usize>(
    rows: &[u8],
    query: &[f32],
    scores: &mut [f32],
    number: impl Fn(&[u8; BYTES]) -> f32,
) {
    for (row, score) in rows.chunks_exact(BYTES * query.len()).zip(scores) {
        let numbers = row.as_chunks::<BYTES>().0.iter().map(&number);
        *score = product_scalar(numbers, query);
    }
}

/// The definition.
fn product_scalar(numbers: impl Iterator<Item = f32>, query: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    for (place, (number, weight)) in numbers.zip(query).enumerate() {
        let sum = &mut sums[place % LANES];
        *sum = number.mul_add(*weight, *sum);
    }
    let mut apart = LANES / 2;
    while apart > 0 {
        for lane in 0..apart {
            sums[lane] += sums[lane + apart];
        }
        apart /= 2;
    }
    sums[0]
}

/// Numbers that are in the order of the scores, into `ranks`; whether all scores are finite.
///
/// Zeros of both signs are the same.
pub(in crate::query) fn rank_scores(level: Level, scores: &[f32], ranks: &mut [u32]) -> bool {
    level.run(RankScores { scores, ranks })
}

/// The number in the order of the scores for one of them.
#[inline(always)]
pub(in crate::query) fn rank(score: f32) -> u32 {
    // Adding zero makes zeros positive.
    let bits = (score + 0.0).to_bits();
    let is_negative = (bits.cast_signed() >> 31).cast_unsigned();
    bits ^ (is_negative | 0x8000_0000)
}

/// The score with this number.
#[inline]
pub(in crate::query) fn score_of(rank: u32) -> f32 {
    let was_negative = !(rank.cast_signed() >> 31).cast_unsigned();
    f32::from_bits(rank ^ (was_negative | 0x8000_0000))
}

struct RankScores<'a> {
    scores: &'a [f32],
    ranks: &'a mut [u32],
}

impl Task for RankScores<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let mut all_finite = true;
        for (score, rank_of) in self.scores.iter().zip(self.ranks) {
            *rank_of = rank(*score);
            all_finite &= score.abs() < f32::INFINITY;
        }
        all_finite
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::array::from_fn;

    use super::{LINE, ROWS};

    /// Pointers to some rows, from the `first` of `count` on; the last stands in for those that are
    /// not there.
    #[inline(always)]
    fn starts<const SIDE: usize>(
        rows: &[u8],
        row_bytes: usize,
        first: usize,
        count: usize,
    ) -> [*const u8; SIDE] {
        from_fn(|row| {
            let start = (first + row).min(count - 1) * row_bytes;
            rows[start..start + row_bytes].as_ptr()
        })
    }

    /// How many bytes ahead to prefetch, about `bytes`: a multiple of the rows that are scored side
    /// by side, so that no line is prefetched after it was read.
    #[inline(always)]
    fn distance(bytes: usize, side_by_side: usize) -> usize {
        side_by_side * (bytes / side_by_side).max(1)
    }

    /// Asks for a line of a row further on; nothing else happens.
    #[inline(always)]
    fn fetch(line: *const u8) {
        // SAFETY: a prefetch changes nothing and never faults, at any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
    }

    /// Stores as many of eight scores as there is room for.
    #[target_feature(enable = "avx2")]
    fn store(sums: __m256, scores: &mut [f32]) {
        let mut rest = [0f32; ROWS];
        let to = match scores.first_chunk_mut::<ROWS>() {
            Some(eight) => eight,
            None => &mut rest,
        };
        // SAFETY: there is room for eight.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), sums) };
        if scores.len() < ROWS {
            for (score, sum) in scores.iter_mut().zip(rest) {
                *score = sum;
            }
        }
    }

    /// Ends the tree of eight rows, each with the sums of lanes eight apart.
    #[target_feature(enable = "avx2")]
    fn end_tree(halves: [__m256; ROWS]) -> __m256 {
        // Four apart: two rows a register.
        let two = |a: __m256, b: __m256| {
            let low = _mm256_permute2f128_ps::<0x20>(a, b);
            _mm256_add_ps(low, _mm256_permute2f128_ps::<0x31>(a, b))
        };
        let [a, b, c, d, e, f, g, h] = halves;
        let (a, c, e, g) = (two(a, b), two(c, d), two(e, f), two(g, h));
        // Two apart: four rows a register.
        let four = |a: __m256, b: __m256| {
            let low = _mm256_shuffle_ps::<0b01_00_01_00>(a, b);
            _mm256_add_ps(low, _mm256_shuffle_ps::<0b11_10_11_10>(a, b))
        };
        let (a, e) = (four(a, c), four(e, g));
        // One apart: rows 0, 2, 4, 6, 1, 3, 5, 7.
        let low = _mm256_shuffle_ps::<0b10_00_10_00>(a, e);
        let sums = _mm256_add_ps(low, _mm256_shuffle_ps::<0b11_01_11_01>(a, e));
        _mm256_permutevar8x32_ps(sums, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
    }

    /// The same for integers.
    #[target_feature(enable = "avx2")]
    fn end_tree_of_levels(halves: [__m256i; ROWS]) -> __m256 {
        let pair = |a: __m256i, b: __m256i| _mm256_hadd_epi32(a, b);
        let [a, b, c, d, e, f, g, h] = halves;
        let low = pair(pair(a, b), pair(c, d));
        let high = pair(pair(e, f), pair(g, h));
        let sums = _mm256_add_epi32(
            _mm256_permute2x128_si256::<0x20>(low, high),
            _mm256_permute2x128_si256::<0x31>(low, high),
        );
        _mm256_cvtepi32_ps(sums)
    }

    /// Adds up lanes eight apart.
    #[target_feature(enable = "avx512f")]
    fn halve(sums: __m512) -> __m256 {
        let high = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(sums));
        _mm256_add_ps(_mm512_castps512_ps256(sums), _mm256_castpd_ps(high))
    }

    #[target_feature(enable = "avx512f")]
    fn halve_levels(sums: __m512i) -> __m256i {
        let high = _mm512_extracti64x4_epi64::<1>(sums);
        _mm256_add_epi32(_mm512_castsi512_si256(sums), high)
    }

    /// The two functions for one element type: how many rows go side by side, how many bytes ahead
    /// are prefetched, how many elements of a row fill a wide register and what bytes they take,
    /// zero, how products are added to sums, and how lanes eight apart are.
    macro_rules! paths {
        (
            $wide:ident, $narrow:ident, $side:literal side by side, $ahead:literal bytes ahead,
            $query:ty, $numbers:literal a register of $bytes:literal bytes,
            wide: $zero:expr, |$number:ident, $weight:ident, $sum:ident| $step:expr, $halve:path,
            narrow: $zero8:expr, |$number8:ident, $weight8:ident, $sum8:ident| $step8:expr, $add8:path,
            $end_tree:path
        ) => {
            /// # Safety
            ///
            /// There are whole rows of `query.len()` elements, which are whole cache lines, one for
            /// each score.
            #[target_feature(enable = "avx512f,avx512bw,avx2")]
            pub unsafe fn $wide(rows: &[u8], query: &[$query], scores: &mut [f32]) {
                let row_bytes = query.len() * $bytes / $numbers;
                let ahead = distance($ahead, $side * row_bytes);
                let count = scores.len();
                for (scores, first) in scores.chunks_mut(ROWS).zip((0..).step_by(ROWS)) {
                    let mut halves = [$zero8; ROWS];
                    for some in (0..ROWS).step_by($side) {
                        let starts = starts::<$side>(rows, row_bytes, first + some, count);
                        let mut sums = [$zero; $side];
                        for line in (0..row_bytes).step_by(LINE) {
                            for start in starts {
                                fetch(start.wrapping_add(ahead + line));
                            }
                            for at in (line..line + LINE).step_by($bytes) {
                                // SAFETY: a register's elements begin here, in the query and in
                                // each row.
                                unsafe {
                                    let $weight = query.as_ptr().add(at / $bytes * $numbers);
                                    for (sum, start) in sums.iter_mut().zip(starts) {
                                        let ($number, $sum) = (start.add(at), *sum);
                                        *sum = $step;
                                    }
                                }
                            }
                        }
                        for (half, sum) in halves[some..].iter_mut().zip(sums) {
                            *half = $halve(sum);
                        }
                    }
                    store($end_tree(halves), scores);
                }
            }

            /// # Safety
            ///
            /// There are whole rows of `query.len()` elements, which are whole cache lines, one for
            /// each score.
            #[target_feature(enable = "avx2,fma,f16c")]
            pub unsafe fn $narrow(rows: &[u8], query: &[$query], scores: &mut [f32]) {
                let row_bytes = query.len() * $bytes / $numbers;
                let ahead = distance($ahead, $side * row_bytes);
                let count = scores.len();
                for (scores, first) in scores.chunks_mut(ROWS).zip((0..).step_by(ROWS)) {
                    let mut halves = [$zero8; ROWS];
                    for some in (0..ROWS).step_by($side) {
                        let starts = starts::<$side>(rows, row_bytes, first + some, count);
                        let mut sums = [[$zero8; 2]; $side];
                        for line in (0..row_bytes).step_by(LINE) {
                            for start in starts {
                                fetch(start.wrapping_add(ahead + line));
                            }
                            for at in (line..line + LINE).step_by($bytes) {
                                for half in 0..2 {
                                    // SAFETY: half a wide register's elements begin here, in the
                                    // query and in each row.
                                    unsafe {
                                        let place = at / $bytes * $numbers + half * $numbers / 2;
                                        let $weight8 = query.as_ptr().add(place);
                                        for (sums, start) in sums.iter_mut().zip(starts) {
                                            let $number8 = start.add(at + half * $bytes / 2);
                                            let $sum8 = sums[half];
                                            sums[half] = $step8;
                                        }
                                    }
                                }
                            }
                        }
                        for (half, [low, high]) in halves[some..].iter_mut().zip(sums) {
                            *half = $add8(low, high);
                        }
                    }
                    store($end_tree(halves), scores);
                }
            }
        };
    }

    paths!(
        f32_avx512, f32_avx2, 1 side by side, 16_384 bytes ahead, f32, 16 a register of 64 bytes,
        wide: _mm512_setzero_ps(),
        |at, weights, sum| _mm512_fmadd_ps(_mm512_loadu_ps(at.cast()), _mm512_loadu_ps(weights), sum),
        halve,
        narrow: _mm256_setzero_ps(),
        |at, weights, sum| _mm256_fmadd_ps(_mm256_loadu_ps(at.cast()), _mm256_loadu_ps(weights), sum),
        _mm256_add_ps,
        end_tree
    );

    paths!(
        f16_avx512, f16_avx2, 2 side by side, 8_192 bytes ahead, f32, 16 a register of 32 bytes,
        wide: _mm512_setzero_ps(),
        |at, weights, sum| {
            let numbers = _mm512_cvtph_ps(_mm256_loadu_si256(at.cast()));
            _mm512_fmadd_ps(numbers, _mm512_loadu_ps(weights), sum)
        },
        halve,
        narrow: _mm256_setzero_ps(),
        |at, weights, sum| {
            let numbers = _mm256_cvtph_ps(_mm_loadu_si128(at.cast()));
            _mm256_fmadd_ps(numbers, _mm256_loadu_ps(weights), sum)
        },
        _mm256_add_ps,
        end_tree
    );

    paths!(
        i8_avx512, i8_avx2, 1 side by side, 8_192 bytes ahead, i16, 32 a register of 32 bytes,
        wide: _mm512_setzero_si512(),
        |at, weights, sum| {
            let levels = _mm512_cvtepi8_epi16(_mm256_loadu_si256(at.cast()));
            let products = _mm512_madd_epi16(levels, _mm512_loadu_si512(weights.cast()));
            _mm512_add_epi32(sum, products)
        },
        halve_levels,
        narrow: _mm256_setzero_si256(),
        |at, weights, sum| {
            let levels = _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast()));
            let products = _mm256_madd_epi16(levels, _mm256_loadu_si256(weights.cast()));
            _mm256_add_epi32(sum, products)
        },
        _mm256_add_epi32,
        end_tree_of_levels
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows of finite numbers that do not overflow, and a query, of `dimensions` elements padded to
    /// whole cache lines of every element type.
    fn rows_and_query() -> impl Strategy<Value = (Vec<Vec<f32>>, Vec<f32>)> {
        (1usize..140, 0usize..21).prop_flat_map(|(dimensions, rows)| {
            let number = prop_oneof![
                -2f32..2.0,
                -1e-30f32..1e-30,
                Just(0.0),
                Just(-0.0),
                -3e3f32..3e3
            ];
            let vector = prop::collection::vec(number, dimensions).prop_map(|mut vector| {
                vector.resize(vector.len().next_multiple_of(64), 0.0);
                vector
            });
            (prop::collection::vec(vector.clone(), rows), vector)
        })
    }

    fn bits(scores: &[f32]) -> Vec<u32> {
        scores.iter().map(|score| score.to_bits()).collect()
    }

    proptest! {
        #[test]
        fn every_level_of_floats_equals_the_scalar_one((rows, query) in rows_and_query()) {
            let singles: Vec<u8> = rows.iter().flatten().flat_map(|n| n.to_le_bytes()).collect();
            let halves = rows.iter().flatten().map(|n| f16::from_f32(*n));
            let halves: Vec<u8> = halves.flat_map(f16::to_le_bytes).collect();
            let mut expected = [vec![0.0; rows.len()], vec![0.0; rows.len()]];
            products_f32(Level::Scalar, &singles, &query, &mut expected[0]);
            products_f16(Level::Scalar, &halves, &query, &mut expected[1]);
            for (row, score) in rows.iter().zip(&expected[0]) {
                let exact: f64 = row.iter().zip(&query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let size: f64 = row.iter().zip(&query).map(|(a, b)| (f64::from(*a) * f64::from(*b)).abs()).sum();
                prop_assert!((exact - f64::from(*score)).abs() <= 1e-5 * size + 1e-37);
            }
            for level in Level::all() {
                let mut scores = vec![7.0; rows.len()];
                products_f32(level, &singles, &query, &mut scores);
                prop_assert_eq!(bits(&scores), bits(&expected[0]), "{:?}", level);
                products_f16(level, &halves, &query, &mut scores);
                prop_assert_eq!(bits(&scores), bits(&expected[1]), "{:?}", level);
            }
        }

        #[test]
        fn every_level_of_8_bit_rows_equals_the_scalar_one(
            rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 128), 0..21),
            query in prop::collection::vec(any::<i16>(), 128),
            unit in 1e-6f32..1.0,
        ) {
            let bytes = rows.concat();
            let scales: Vec<f32> = (0..rows.len()).map(|row| 0.01 * row as f32).collect();
            let expected = rows.iter().zip(&scales).map(|(row, scale)| {
                let products = row.iter().zip(&query);
                let sum: i32 = products.map(|(a, b)| i32::from(a.cast_signed()) * i32::from(*b)).sum();
                sum as f32 * (scale * unit)
            });
            let expected: Vec<f32> = expected.collect();
            for level in Level::all() {
                let mut scores = vec![7.0; rows.len()];
                products_i8(level, &bytes, &query, &scales, unit, &mut scores);
                prop_assert_eq!(bits(&scores), bits(&expected), "{:?}", level);
            }
        }

        #[test]
        fn ranks_are_in_the_order_of_scores(scores in prop::collection::vec(
            prop_oneof![any::<f32>(), Just(0.0f32), Just(-0.0f32), Just(f32::INFINITY)], 1..70)
        ) {
            let mut ranks = vec![0; scores.len()];
            let finite = scores.iter().all(|score| score.is_finite());
            for level in Level::all() {
                prop_assert_eq!(rank_scores(level, &scores, &mut ranks), finite);
            }
            for (score, rank) in scores.iter().zip(&ranks) {
                if score.is_nan() {
                    continue;
                }
                prop_assert_eq!(score_of(*rank), *score);
                for (other, other_rank) in scores.iter().zip(&ranks).filter(|(s, _)| !s.is_nan()) {
                    prop_assert_eq!(score.partial_cmp(other), Some(rank.cmp(other_rank)));
                }
            }
        }
    }
}
