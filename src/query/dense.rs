//! Searching a dense field: the inner product of the query with every row.
//!
//! Rows are scored block by block, and only those of a block whose score exceeds the threshold are looked at one by one, so that
//! keeping the best costs next to nothing. A deleted document's row is scored too, and then left out.
//!
//! Rows of levels (8 bits) are multiplied with a query of whole numbers of up to 15 bits and a sign, and the products summed
//! exactly: that takes half the instructions of making floating-point numbers of the levels, while the query loses nothing that
//! matters: its rounding is less than a hundredth of the rows' own. Figures are in `benches/README.md`.

use super::part::Part;
use super::plan::Algorithm;
use super::score::Similarity;
use super::segment_search::{Found, STRETCHES_PER_THREAD, Searched};
use super::simd::{self, Level, SLACK};
use crate::error::Result;
use crate::format::dense::{DenseShape, DenseVectors};
use crate::format::{DenseElement, FieldKind, FieldNumber};
use crate::index::{Snapshot, SnapshotSegment};

/// Rows that are scored before any is looked at.
const BLOCK_ROWS: usize = 256;
/// Bytes of rows that take as long to score as a posting elsewhere.
const BYTES_PER_POSTING: u64 = 8;
/// Whole numbers of a query, all together, with which no sum of products with levels from -128 to 127 is beyond 32 bits.
const MOST_SUM: f64 = (i32::MAX / 128) as f64;

/// A vector made ready for the rows of a field.
pub(super) struct PreparedDense {
    pub field: FieldNumber,
    level: Level,
    numbers: Numbers,
}

/// A query's numbers, as many as a row has, for the rows' kind.
enum Numbers {
    Singles(Vec<f32>),
    Halves(Vec<f32>),
    Levels { numbers: Vec<i16>, unit: f32 },
}

impl PreparedDense {
    /// Checks the vector, and makes of it what the field's rows are multiplied with.
    pub fn new(snapshot: &Snapshot, name: &str, vector: &[f32]) -> Result<Self> {
        let field = snapshot.schema().expect(name, FieldKind::Dense)?;
        let shape = field.options.dense_shape().ok_or_else(|| {
            crate::Error::invalid("expected a dense field of the index").in_field(name)
        })?;
        let checked = shape.check_query(vector);
        checked.map_err(|error| error.in_field(name))?;
        Ok(Self {
            field: field.number,
            level: Level::detect(),
            numbers: Numbers::new(shape, vector),
        })
    }

    /// The scores of the rows from `first` on.
    fn score(&self, vectors: &DenseVectors, first: u32, scores: &mut [f32]) -> Result<()> {
        // At most the rows of a block.
        let rows = vectors.row_bytes(first, scores.len() as u32)?;
        match &self.numbers {
            Numbers::Singles(query) => simd::products_f32(self.level, rows, query, scores),
            Numbers::Halves(query) => simd::products_f16(self.level, rows, query, scores),
            Numbers::Levels { numbers, unit } => {
                let scales = &mut [0.0; BLOCK_ROWS][..scores.len()];
                vectors.copy_scales(first, scales)?;
                simd::products_i8(self.level, rows, numbers, scales, *unit, scores);
            }
        }
        Ok(())
    }

    /// The score of one row, bit-equal to that of a search.
    pub fn score_of(&self, vectors: &DenseVectors, row: u32) -> Result<f32> {
        let mut score = [0.0];
        self.score(vectors, row, &mut score)?;
        match score[0].is_finite() {
            true => Ok(simd::score_of(simd::rank(score[0]))),
            false => Err(vectors.bad_row(row)),
        }
    }
}

impl Numbers {
    fn new(shape: DenseShape, vector: &[f32]) -> Self {
        let mut vector = shape.prepared(vector).into_owned();
        vector.resize(shape.row_numbers(), 0.0);
        match shape.element {
            DenseElement::F32 => Self::Singles(vector),
            DenseElement::F16 => Self::Halves(vector),
            DenseElement::I8 => Self::levels(&vector),
        }
    }

    /// Whole numbers, as great as they may be without a sum beyond 32 bits.
    fn levels(vector: &[f32]) -> Self {
        let sizes = vector.iter().map(|number| f64::from(number.abs()));
        let greatest = sizes.clone().fold(0.0, f64::max);
        if greatest == 0.0 {
            let numbers = vec![0; vector.len()];
            return Self::Levels { numbers, unit: 0.0 };
        }
        let rounding = vector.len() as f64 / 2.0;
        let most = (MOST_SUM - rounding) / (sizes.sum::<f64>() / greatest);
        let most = most.min(f64::from(i16::MAX)).floor();
        let level = |number: &f32| (f64::from(*number) / greatest * most).round() as i16;
        Self::Levels {
            numbers: vector.iter().map(level).collect(),
            unit: (greatest / most) as f32,
        }
    }
}

/// A query on a dense field.
pub(super) struct DenseSearch<'a> {
    pub segments: &'a [SnapshotSegment],
    pub dense: &'a PreparedDense,
}

impl DenseSearch<'_> {
    fn vectors(&self, place: usize) -> Option<&DenseVectors> {
        self.segments[place].reader.dense(self.dense.field)
    }
}

impl Searched for DenseSearch<'_> {
    type Score = Similarity;
    type Lists = ();

    fn parts_per_thread(&self) -> u64 {
        STRETCHES_PER_THREAD
    }

    fn postings(&self, place: usize) -> u64 {
        self.vectors(place).map_or(0, |vectors| {
            let bytes = u64::from(vectors.rows()) * vectors.shape().row_bytes() as u64;
            bytes / BYTES_PER_POSTING
        })
    }

    fn open(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn search(
        &self,
        (): &(),
        place: usize,
        part: Part,
        found: &mut Found<Similarity>,
    ) -> Result<()> {
        let Some(vectors) = self.vectors(place) else {
            return Ok(());
        };
        found.enter(place);
        let segment = &self.segments[place];
        let rows = vectors.rows_of(part.stretch(segment.reader.documents()))?;
        let (mut scores, mut ranks) = ([0.0; BLOCK_ROWS], [0; BLOCK_ROWS]);
        let mut good = [0; BLOCK_ROWS + SLACK];
        let level = self.dense.level;
        for first in rows.clone().step_by(BLOCK_ROWS) {
            let count = ((rows.end - first) as usize).min(BLOCK_ROWS);
            let (scores, ranks) = (&mut scores[..count], &mut ranks[..count]);
            self.dense.score(vectors, first, scores)?;
            if !simd::rank_scores(level, scores, ranks) {
                let bad = scores.iter().position(|score| !score.is_finite());
                return Err(vectors.bad_row(first + bad.unwrap_or(0) as u32));
            }
            found.top.exchange();
            let cut = found.top.threshold().unwrap_or_default();
            let good_count = simd::above_u32(level, ranks, cut.rank(), first, &mut good);
            for row in &good[..good_count] {
                let document = vectors.document(*row)?;
                if segment.is_live(document) {
                    let score = Similarity::new(ranks[(*row - first) as usize]);
                    found.top.offer(document, score);
                }
            }
        }
        found.statistics.postings_scored += u64::from(rows.end - rows.start);
        if part.is_first() {
            found.statistics.algorithms.push(Algorithm::Exhaustive);
            found.statistics.postings += u64::from(vectors.rows());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_of_products_with_levels_fit_32_bits(
            vector in prop::collection::vec(prop_oneof![-1f32..1.0, Just(1.0f32)], 1..600),
            times in 1usize..100,
        ) {
            let vector = vector.repeat(times);
            let greatest = vector.iter().fold(0f32, |most, number| most.max(number.abs()));
            let Numbers::Levels { numbers, unit } = Numbers::levels(&vector) else {
                panic!("expected levels");
            };
            let sum: i64 = numbers.iter().map(|number| 128 * i64::from(*number).abs()).sum();
            prop_assert!(sum <= i64::from(i32::MAX));
            for (number, level) in vector.iter().zip(&numbers) {
                let off = (f32::from(*level) * unit - number).abs();
                prop_assert!(off <= 0.51 * unit + 1e-6 * greatest);
            }
        }
    }

    #[test]
    fn a_query_of_many_equal_numbers_keeps_eight_bits() {
        let Numbers::Levels { numbers, .. } = Numbers::levels(&vec![0.5; 65_536]) else {
            panic!("expected levels");
        };
        assert_eq!(numbers[0], 255);
        let Numbers::Levels { numbers, unit } = Numbers::levels(&[0.0, -0.0]) else {
            panic!("expected levels");
        };
        assert_eq!((numbers, unit), (vec![0, 0], 0.0));
    }
}
