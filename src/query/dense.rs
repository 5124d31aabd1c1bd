//! Queries of a vector on a dense field: the inner product with every row.
//!
//! Rows are scored block by block. Only those of a block whose score exceeds the threshold are
//! looked at one by one, so keeping the best costs next to nothing. Rows of documents that are not
//! accepted are scored too, and then dropped.
//!
//! Rows of 8-bit integers are multiplied with a query quantized to 15 bits and a sign, and the
//! products summed exactly. That takes half the instructions of converting the rows to floating
//! point, and the query loses nothing that matters: its rounding error is less than a hundredth of
//! the rows' own. Figures are in `benches/README.md`.

use std::sync::Arc;

use super::explanation::{Explain, Explanation};
use super::leaf::{Found, Leaf, SegmentTask};
use super::plan::Algorithm;
use super::score::Similarity;
use super::simd::{self, Level, SLACK};
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::format::dense::{DenseShape, DenseVectors};
use crate::format::{DenseElement, FieldKind, FieldNumber};
use crate::index::{DocAddress, Snapshot, SnapshotSegment};

/// Rows of a block.
const BLOCK_ROWS: usize = 256;
/// Bytes of rows that take as long to score as a posting elsewhere.
const BYTES_PER_POSTING: u64 = 8;
/// The largest sum of the absolute values of a quantized query with which no inner product with
/// 8-bit integers overflows 32 bits.
const MAX_SUM: f64 = (i32::MAX / 128) as f64;

/// A vector, prepared for the rows of a field.
pub(super) struct DenseLeaf<'a> {
    segments: &'a [SnapshotSegment],
    field: FieldNumber,
    level: Level,
    query: QueryVector,
}

/// The query's components, padded to the length of a row, for the rows' element type.
enum QueryVector {
    F32(Vec<f32>),
    F16(Vec<f32>),
    I8 { quantized: Vec<i16>, unit: f32 },
}

impl<'a> DenseLeaf<'a> {
    /// Checks the vector and prepares it.
    pub fn new(snapshot: &'a Snapshot, name: &str, vector: &[f32]) -> Result<Self> {
        let field = snapshot.schema().expect(name, FieldKind::Dense)?;
        let shape = field.options.dense_shape().ok_or_else(|| {
            crate::Error::invalid("expected a dense field of the index").in_field(name)
        })?;
        let checked = shape.check_query(vector);
        checked.map_err(|error| error.in_field(name))?;
        Ok(Self {
            segments: snapshot.segments(),
            field: field.number,
            level: Level::detect(),
            query: QueryVector::new(shape, vector),
        })
    }

    /// The scores of the rows from `first` on.
    fn score(&self, vectors: &DenseVectors, first: u32, scores: &mut [f32]) -> Result<()> {
        // At most the rows of a block.
        let rows = vectors.row_bytes(first, scores.len() as u32)?;
        match &self.query {
            QueryVector::F32(query) => simd::products_f32(self.level, rows, query, scores),
            QueryVector::F16(query) => simd::products_f16(self.level, rows, query, scores),
            QueryVector::I8 { quantized, unit } => {
                let scales = &mut [0.0; BLOCK_ROWS][..scores.len()];
                vectors.copy_scales(first, scales)?;
                simd::products_i8(self.level, rows, quantized, scales, *unit, scores);
            }
        }
        Ok(())
    }

    /// The score of one row, bit-equal to that of a search.
    fn score_of_row(&self, vectors: &DenseVectors, row: u32) -> Result<f32> {
        let mut score = [0.0];
        self.score(vectors, row, &mut score)?;
        match score[0].is_finite() {
            true => Ok(simd::score_of(simd::rank(score[0]))),
            false => Err(vectors.bad_row(row)),
        }
    }
}

impl QueryVector {
    fn new(shape: DenseShape, vector: &[f32]) -> Self {
        let mut vector = shape.prepared(vector).into_owned();
        vector.resize(shape.row_numbers(), 0.0);
        match shape.element {
            DenseElement::F32 => Self::F32(vector),
            DenseElement::F16 => Self::F16(vector),
            DenseElement::I8 => Self::quantized(&vector),
        }
    }

    /// Quantizes as finely as is possible without a sum beyond 32 bits.
    fn quantized(vector: &[f32]) -> Self {
        let sizes = vector.iter().map(|component| f64::from(component.abs()));
        let max = sizes.clone().fold(0.0, f64::max);
        if max == 0.0 {
            let quantized = vec![0; vector.len()];
            return Self::I8 {
                quantized,
                unit: 0.0,
            };
        }
        let rounding = vector.len() as f64 / 2.0;
        let max_level = (MAX_SUM - rounding) / (sizes.sum::<f64>() / max);
        let max_level = max_level.min(f64::from(i16::MAX)).floor();
        let level = |component: &f32| (f64::from(*component) / max * max_level).round() as i16;
        Self::I8 {
            quantized: vector.iter().map(level).collect(),
            unit: (max / max_level) as f32,
        }
    }
}

impl DenseLeaf<'_> {
    fn vectors(&self, ordinal: usize) -> Option<&DenseVectors> {
        self.segments[ordinal].reader.dense(self.field)
    }
}

impl Leaf for DenseLeaf<'_> {
    type Score = Similarity;
    type Lists = ();

    fn score_of(&self, address: DocAddress) -> Result<Option<Similarity>> {
        let Some(vectors) = self.vectors(address.segment as usize) else {
            return Ok(None);
        };
        match vectors.row_of(address.document)? {
            Some(row) => {
                let score = self.score_of_row(vectors, row)?;
                Ok(Some(Similarity::new(simd::rank(score))))
            }
            None => Ok(None),
        }
    }

    fn postings(&self, ordinal: usize) -> u64 {
        self.vectors(ordinal).map_or(0, |vectors| {
            let bytes = u64::from(vectors.rows()) * vectors.shape().row_bytes() as u64;
            bytes / BYTES_PER_POSTING
        })
    }

    fn open(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn matching(&self, ordinal: usize) -> Result<Arc<DocSet>> {
        let mut set = DocSet::empty(self.segments[ordinal].reader.documents());
        if let Some(vectors) = self.vectors(ordinal) {
            for row in 0..vectors.rows() {
                set.insert(vectors.document(row)?);
            }
        }
        Ok(Arc::new(set))
    }

    fn search(&self, (): &(), task: &SegmentTask<'_>, found: &mut Found<Similarity>) -> Result<()> {
        let Some(vectors) = self.vectors(task.ordinal) else {
            return Ok(());
        };
        let rows = vectors.rows_of(task.doc_range())?;
        let (mut scores, mut ranks) = ([0.0; BLOCK_ROWS], [0; BLOCK_ROWS]);
        let mut above = [0; BLOCK_ROWS + SLACK];
        for first in rows.clone().step_by(BLOCK_ROWS) {
            task.check_cancelled()?;
            let count = ((rows.end - first) as usize).min(BLOCK_ROWS);
            let (scores, ranks) = (&mut scores[..count], &mut ranks[..count]);
            self.score(vectors, first, scores)?;
            if !simd::rank_scores(self.level, scores, ranks) {
                let bad = scores.iter().position(|score| !score.is_finite());
                return Err(vectors.bad_row(first + bad.unwrap_or(0) as u32));
            }
            found.top.exchange();
            let cut = found.top.threshold().unwrap_or_default();
            let above_count = simd::above_u32(self.level, ranks, cut.rank(), first, &mut above);
            for row in &above[..above_count] {
                let document = vectors.document(*row)?;
                if task.accept.contains(document) {
                    let score = Similarity::new(ranks[(*row - first) as usize]);
                    found.top.offer(document, score);
                }
            }
        }
        found.statistics.postings_scored += u64::from(rows.end - rows.start);
        if task.part.is_first() {
            found.statistics.algorithms.push(Algorithm::Exhaustive);
            found.statistics.postings += u64::from(vectors.rows());
        }
        Ok(())
    }
}

impl Explain for DenseLeaf<'_> {
    fn explain(&self, address: DocAddress, _: usize, explanation: &mut Explanation) -> Result<()> {
        explanation.why = "the document has no vector in this field".into();
        if let Some(vectors) = self.vectors(address.segment as usize)
            && let Some(row) = vectors.row_of(address.document)?
        {
            explanation.score = self.score_of_row(vectors, row)?;
            explanation.why = format!("all {} vectors are scored", vectors.rows());
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
        fn inner_products_with_8_bit_rows_fit_32_bits(
            vector in prop::collection::vec(prop_oneof![-1f32..1.0, Just(1.0f32)], 1..600),
            times in 1usize..100,
        ) {
            let vector = vector.repeat(times);
            let max = vector.iter().fold(0f32, |max, component| max.max(component.abs()));
            let QueryVector::I8 { quantized, unit } = QueryVector::quantized(&vector) else {
                panic!("expected 8 bits");
            };
            let sum: i64 = quantized.iter().map(|level| 128 * i64::from(*level).abs()).sum();
            prop_assert!(sum <= i64::from(i32::MAX));
            for (component, level) in vector.iter().zip(&quantized) {
                let off = (f32::from(*level) * unit - component).abs();
                prop_assert!(off <= 0.51 * unit + 1e-6 * max);
            }
        }
    }

    #[test]
    fn a_query_of_many_equal_components_keeps_eight_bits() {
        let QueryVector::I8 { quantized, .. } = QueryVector::quantized(&vec![0.5; 65_536]) else {
            panic!("expected 8 bits");
        };
        assert_eq!(quantized[0], 255);
        let QueryVector::I8 { quantized, unit } = QueryVector::quantized(&[0.0, -0.0]) else {
            panic!("expected 8 bits");
        };
        assert_eq!((quantized, unit), (vec![0, 0], 0.0));
    }
}
