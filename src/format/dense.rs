//! Rows of numbers: the vectors of a dense field (`format-spec/dense.md`).

use std::borrow::Cow;
use std::ops::Range;

use half::f16;
use zerocopy::byteorder::little_endian::{F32, U16, U32};
use zerocopy::{FromBytes, IntoBytes};

use super::limits::{MAX_DENSE_DIMENSIONS, MAX_DENSE_NORM};
use super::section::Section;
use super::{DocId, Malformed, Parse, read_u32, wide};
use crate::error::{Error, Result};

/// Rows begin at multiples of this from the section's start.
const ALIGNMENT: usize = 64;
/// The max level of a number in eight bits; its negative is the min.
const MAX_LEVEL: f64 = 127.0;

/// How the numbers of a dense field are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenseElement {
    /// As they are, four bytes each.
    #[default]
    F32,
    /// As the nearest half-precision numbers, two bytes each.
    F16,
    /// As the nearest of 255 levels up to the max of each vector, one byte each.
    I8,
}

/// What the score of a vector is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenseMetric {
    /// The inner product with the query.
    #[default]
    InnerProduct,
    /// The cosine of the angle to the query: vectors are normalized when they are added, queries
    /// when they are searched.
    Cosine,
}

/// What all vectors of a dense field have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenseShape {
    /// How many numbers a vector has.
    pub dimensions: u32,
    /// How they are kept.
    pub element: DenseElement,
    /// How vectors are scored.
    pub metric: DenseMetric,
}

impl DenseElement {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 => 1,
        }
    }
}

impl DenseElement {
    /// The dtype's number on disk.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::I8 => 2,
        }
    }

    /// The dtype of a number on disk.
    pub(super) fn of_code(code: u8) -> Parse<Self> {
        match code {
            0 => Ok(Self::F32),
            1 => Ok(Self::F16),
            2 => Ok(Self::I8),
            _ => Err(Malformed("numbers of a dense field are of no known kind")),
        }
    }
}

impl DenseMetric {
    /// The metric's number on disk.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::InnerProduct => 0,
            Self::Cosine => 1,
        }
    }

    /// The metric of a number on disk.
    pub(super) fn of_code(code: u8) -> Parse<Self> {
        match code {
            0 => Ok(Self::InnerProduct),
            1 => Ok(Self::Cosine),
            _ => Err(Malformed("metric of a dense field is of no known kind")),
        }
    }
}

impl DenseShape {
    /// Bytes from the start of a row to that of the next.
    pub fn row_bytes(self) -> usize {
        (self.dimensions as usize * self.element.bytes()).next_multiple_of(ALIGNMENT)
    }

    /// Numbers of a row, those that only fill it up included.
    pub fn row_numbers(self) -> usize {
        self.row_bytes() / self.element.bytes()
    }

    /// Checks that the dimensions are within their limits.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for none, [`Error::Limit`] for too many.
    pub(crate) fn check_dimensions(self) -> Result<()> {
        match self.dimensions {
            0 => Err(Error::invalid("expected at least 1 dimension, found 0")),
            found if found > MAX_DENSE_DIMENSIONS => {
                let (found, limit) = (u64::from(found), u64::from(MAX_DENSE_DIMENSIONS));
                Err(Error::limit("dimensions of a dense field", found, limit))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a vector can be kept in a field of this shape.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when it has another number of dimensions, a number that is not
    /// finite or does not fit the element, is all zeros and has no direction to compare, or is so
    /// long that scores might not be finite.
    pub fn check(self, vector: &[f32]) -> Result<()> {
        self.check_query(vector)?;
        // Normalized numbers fit any element.
        let is_half = self.element == DenseElement::F16;
        if is_half
            && self.metric == DenseMetric::InnerProduct
            && let Some((place, number)) = find(vector, |number| number.abs() > f16::MAX.to_f32())
        {
            let message = format!(
                "number {place} of the vector is {number}; 16-bit numbers go to {}: scale the vector, or keep f32",
                f16::MAX
            );
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    /// Checks that a field of this shape can be searched with a vector.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), but for what the element holds.
    pub fn check_query(self, vector: &[f32]) -> Result<()> {
        if vector.len() != self.dimensions as usize {
            let message = format!(
                "expected a vector of {} numbers, found {}",
                self.dimensions,
                vector.len()
            );
            return Err(Error::invalid(message));
        }
        if let Some((place, number)) = find(vector, |number| !number.is_finite()) {
            let message =
                format!("number {place} of the vector is {number}; expected finite numbers");
            return Err(Error::invalid(message));
        }
        let norm = norm(vector);
        match self.metric {
            DenseMetric::Cosine if norm == 0.0 => Err(Error::invalid(
                "the vector is all zeros; cosine needs a direction: leave the vector out",
            )),
            DenseMetric::InnerProduct if norm > MAX_DENSE_NORM => Err(Error::invalid(format!(
                "the norm of the vector is {norm:e}; expected at most {MAX_DENSE_NORM:e}, so that scores stay finite"
            ))),
            _ => Ok(()),
        }
    }

    /// A vector as it is kept or searched with: normalized, if it is the angle that counts.
    pub fn prepared(self, vector: &[f32]) -> Cow<'_, [f32]> {
        match self.metric {
            DenseMetric::InnerProduct => Cow::Borrowed(vector),
            DenseMetric::Cosine => {
                let norm = norm(vector);
                Cow::Owned(
                    vector
                        .iter()
                        .map(|n| single(f64::from(*n) / norm))
                        .collect(),
                )
            }
        }
    }
}

/// The first number for which `is_bad` holds, with its place from 0.
fn find(vector: &[f32], is_bad: impl Fn(f32) -> bool) -> Option<(usize, f32)> {
    let mut numbers = vector.iter().copied().enumerate();
    numbers.find(|(_, number)| is_bad(*number))
}

/// The square root of the sum of squares.
fn norm(vector: &[f32]) -> f64 {
    let squares = vector.iter().map(|n| f64::from(*n) * f64::from(*n));
    squares.sum::<f64>().sqrt()
}

/// The nearest single.
#[allow(clippy::cast_possible_truncation)]
fn single(number: f64) -> f32 {
    number as f32
}

/// Rows that were made of vectors, and whose they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DenseRows {
    /// The document of each row, rising.
    pub documents: Vec<DocId>,
    /// The rows, one after another.
    pub vectors: Vec<u8>,
    /// What a level of each row stands for; empty unless numbers are levels.
    pub scales: Vec<f32>,
}

impl DenseRows {
    /// Adds the row of a document whose vector was [checked](DenseShape::check).
    ///
    /// ```
    /// use esparsa::{DenseElement, DenseMetric};
    /// use esparsa::internals::format::dense::{DenseRows, DenseShape};
    ///
    /// let (element, metric) = (DenseElement::I8, DenseMetric::InnerProduct);
    /// let shape = DenseShape { dimensions: 3, element, metric };
    /// let mut rows = DenseRows::default();
    /// rows.push(shape, 0, &[1.0, -2.0, 0.5]);
    /// assert_eq!(rows.vectors.len(), 64);
    /// assert_eq!(rows.vectors[..4], [64, 129, 32, 0]);
    /// assert_eq!(rows.scales, [2.0 / 127.0]);
    /// ```
    pub fn push(&mut self, shape: DenseShape, document: DocId, vector: &[f32]) {
        let vector = shape.prepared(vector);
        let end = self.vectors.len() + shape.row_bytes();
        self.vectors.reserve(shape.row_bytes());
        match shape.element {
            DenseElement::F32 => {
                let numbers = vector.iter().flat_map(|number| number.to_le_bytes());
                self.vectors.extend(numbers);
            }
            DenseElement::F16 => {
                let halves = vector.iter().map(|number| f16::from_f32(*number));
                self.vectors.extend(halves.flat_map(f16::to_le_bytes));
            }
            DenseElement::I8 => self.push_levels(&vector),
        }
        self.vectors.resize(end, 0);
        self.documents.push(document);
    }

    /// The max number becomes 127 levels, the others the nearest whole number of them.
    fn push_levels(&mut self, vector: &[f32]) {
        let max = vector
            .iter()
            .fold(0f32, |most, number| most.max(number.abs()));
        let levels = vector.iter().map(|number| {
            if max == 0.0 {
                return 0;
            }
            level(f64::from(*number) * MAX_LEVEL / f64::from(max))
        });
        self.vectors.extend(levels);
        let scale = single(f64::from(max) / MAX_LEVEL);
        self.scales.push(scale);
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.vectors.len() + 4 * (self.documents.len() + self.scales.len())
    }
}

/// The byte of the level nearest to a number from -127 to 127.
#[allow(clippy::cast_possible_truncation)]
fn level(number: f64) -> u8 {
    (number.round() as i8).cast_unsigned()
}

/// The vectors of a field of a segment.
#[derive(Clone, Debug)]
pub struct DenseVectors {
    shape: DenseShape,
    rows: u32,
    documents: u32,
    vectors: Section,
    scales: Option<Section>,
    /// The document of each row; `None` when every document has one.
    listed: Option<Section>,
}

impl DenseVectors {
    /// Opens the sections of a field in a segment of `documents` documents, of which `rows` have a
    /// vector.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the sections' lengths are not those of this many rows.
    pub fn open(
        shape: DenseShape,
        documents: u32,
        rows: u32,
        vectors: Section,
        scales: Option<Section>,
        listed: Option<Section>,
    ) -> Result<Self> {
        let row_bytes = wide(shape.row_bytes());
        if rows > documents || vectors.len() != u64::from(rows) * row_bytes {
            let message = Malformed("expected one row for each document that has a vector");
            return Err(vectors.malformed(0, message));
        }
        let of_rows = 4 * u64::from(rows);
        let has_scales = shape.element == DenseElement::I8;
        if scales.as_ref().map(Section::len) != has_scales.then_some(of_rows) {
            let message = Malformed("expected one scale for each row of levels");
            return Err(scales.as_ref().unwrap_or(&vectors).malformed(0, message));
        }
        if listed.as_ref().map(Section::len) != (rows < documents).then_some(of_rows) {
            let message = Malformed("expected the document of each row where some have none");
            return Err(listed.as_ref().unwrap_or(&vectors).malformed(0, message));
        }
        Ok(Self {
            shape,
            rows,
            documents,
            vectors,
            scales,
            listed,
        })
    }

    /// What all vectors have in common.
    pub fn shape(&self) -> DenseShape {
        self.shape
    }

    /// Number of rows.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// The bytes of `count` rows from `first` on.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when they are not there or damaged.
    #[inline]
    pub fn row_bytes(&self, first: u32, count: u32) -> Result<&[u8]> {
        let row_bytes = wide(self.shape.row_bytes());
        self.vectors
            .slice(u64::from(first) * row_bytes, u64::from(count) * row_bytes)
    }

    /// What a level of each row from `first` on stands for, into `scales`; nothing when numbers are
    /// no levels.
    ///
    /// # Errors
    ///
    /// As [`row_bytes`](Self::row_bytes).
    pub fn copy_scales(&self, first: u32, scales: &mut [f32]) -> Result<()> {
        let Some(section) = &self.scales else {
            return Ok(());
        };
        let bytes = section.slice(4 * u64::from(first), 4 * wide(scales.len()))?;
        // The slice has exactly this many bytes, so nothing is left over.
        let found = <[F32]>::ref_from_bytes(bytes).unwrap_or_default();
        for (scale, found) in scales.iter_mut().zip(found) {
            *scale = found.get();
        }
        Ok(())
    }

    /// The document of a row.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the row is not there or its document is none of the segment.
    #[inline]
    pub fn document(&self, row: u32) -> Result<DocId> {
        let Some(listed) = &self.listed else {
            return Ok(row);
        };
        let at = 4 * u64::from(row);
        let document = listed.parsed(at, read_u32(listed.slice(at, 4)?, 0))?;
        if document < self.documents {
            return Ok(document);
        }
        Err(listed.malformed(at, Malformed("a row is of a document that is not there")))
    }

    /// The rows of a stretch of documents.
    ///
    /// # Errors
    ///
    /// As [`document`](Self::document).
    pub fn rows_of(&self, documents: Range<DocId>) -> Result<Range<u32>> {
        Ok(self.first_row(documents.start)?..self.first_row(documents.end)?)
    }

    /// The row of a document, if it has a vector.
    ///
    /// # Errors
    ///
    /// As [`document`](Self::document).
    pub fn row_of(&self, document: DocId) -> Result<Option<u32>> {
        let row = self.first_row(document)?;
        let is_there = row < self.rows && self.document(row)? == document;
        Ok(is_there.then_some(row))
    }

    /// Number of rows of documents before this one.
    fn first_row(&self, document: DocId) -> Result<u32> {
        if self.listed.is_none() {
            return Ok(document.min(self.rows));
        }
        let (mut start, mut end) = (0, self.rows);
        while start < end {
            let middle = start + (end - start) / 2;
            if self.document(middle)? < document {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        Ok(start)
    }

    /// The numbers of a row as they are searched: rounded or levels, and normalized where the angle
    /// counts.
    ///
    /// # Errors
    ///
    /// As [`row_bytes`](Self::row_bytes).
    pub fn numbers(&self, row: u32) -> Result<Vec<f32>> {
        let (mut numbers, _) = self.row(row)?;
        numbers.truncate(self.shape.dimensions as usize);
        Ok(numbers)
    }

    /// All numbers of a row, those that fill it up included, and whether each is as the chapter
    /// says.
    fn row(&self, row: u32) -> Result<(Vec<f32>, bool)> {
        let bytes = self.row_bytes(row, 1)?;
        let mut scale = [0.0];
        self.copy_scales(row, &mut scale)?;
        let [scale] = scale;
        let numbers: Vec<f32> = match self.shape.element {
            DenseElement::F32 => {
                let numbers = <[F32]>::ref_from_bytes(bytes).unwrap_or_default();
                numbers.iter().map(|number| number.get()).collect()
            }
            DenseElement::F16 => {
                let halves = <[U16]>::ref_from_bytes(bytes).unwrap_or_default();
                let numbers = halves.iter().map(|half| f16::from_bits(half.get()));
                numbers.map(f16::to_f32).collect()
            }
            DenseElement::I8 => {
                let levels = bytes.iter().map(|byte| byte.cast_signed());
                levels.map(|level| f32::from(level) * scale).collect()
            }
        };
        let is_level = |byte: &u8| byte.cast_signed() != i8::MIN;
        let are_levels = self.shape.element != DenseElement::I8 || bytes.iter().all(is_level);
        Ok((numbers, are_levels && scale >= 0.0 && scale.is_finite()))
    }

    /// Checks a row against the chapter's invariants.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] with the row's offset.
    pub fn check_row(&self, row: u32) -> Result<()> {
        let (numbers, mut is_good) = self.row(row)?;
        let (vector, filling) = numbers
            .split_at_checked(self.shape.dimensions as usize)
            .unwrap_or_default();
        is_good &= filling.iter().all(|number| number.to_bits() == 0);
        // Rounding adds a little.
        is_good &= norm(vector) <= MAX_DENSE_NORM * 1.01;
        if is_good {
            return Ok(());
        }
        Err(self.bad_row(row))
    }

    /// The error for a row whose numbers make no sense.
    #[cold]
    pub fn bad_row(&self, row: u32) -> Error {
        let at = u64::from(row) * wide(self.shape.row_bytes());
        self.vectors.malformed(
            at,
            Malformed("numbers of a row are not finite or too great"),
        )
    }
}

/// The bytes of the section that lists the documents of rows.
pub fn encode_documents(documents: &[DocId]) -> Vec<u8> {
    let documents: Vec<U32> = documents
        .iter()
        .map(|document| U32::new(*document))
        .collect();
    documents.as_bytes().to_vec()
}

/// The bytes of the section of scales.
pub fn encode_scales(scales: &[f32]) -> Vec<u8> {
    let scales: Vec<F32> = scales.iter().map(|scale| F32::new(*scale)).collect();
    scales.as_bytes().to_vec()
}

#[cfg(test)]
mod tests;
