//! Sums of chosen rows: out[target] += the sum of source[row] · factor over the target's entries.
//!
//! Entries are grouped by target on the host, in the order in which they come. The GPU sums
//! segments of entries; those of a target with several segments become parts, which a second launch
//! sums in order. So a frequent target (the type of all tokens) is not one long loop, and no order
//! depends on the GPU.

use super::super::device::Address;
use super::super::parameters::ABSENT;
use super::super::rows::grid_of;
use super::super::{Cuda, sources, to_i32};
use super::parameters::Gather;
use crate::error::{Error, Result};

/// Entries of a segment.
const SEGMENT: usize = 256;
/// Columns per block of the kernels.
const COLUMNS: usize = 256;

/// Entries in groups of the same target.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Groups {
    /// The row of each entry.
    rows: Vec<u32>,
    /// Its factor; none if all are 1.
    factors: Vec<f32>,
    /// Begin, end, target, and whether the sum is a part: entries into parts or targets.
    segments: Vec<[u32; 4]>,
    /// The same for parts into targets.
    of_parts: Vec<[u32; 4]>,
    parts: usize,
}

impl Groups {
    /// Groups entries of a target and a row; `factors` has one for each, or none. Targets are below
    /// `count`.
    pub(super) fn new(
        count: usize,
        entries: impl ExactSizeIterator<Item = (u32, u32)> + Clone,
        factors: &[f32],
    ) -> Result<Self> {
        u32::try_from(entries.len())
            .map_err(|_| Error::device("expected less than 2^32 rows in one batch"))?;
        // A counting sort: places[target] is where the next entry of the target goes.
        let mut places = vec![0_u32; count + 1];
        for (target, _) in entries.clone() {
            places[target as usize + 1] += 1;
        }
        for target in 0..count {
            places[target + 1] += places[target];
        }
        let mut groups = Self {
            rows: vec![0; entries.len()],
            factors: vec![0.0; factors.len()],
            ..Self::default()
        };
        for target in 0..count {
            groups.cut(target as u32, places[target], places[target + 1]);
        }
        for (entry, (target, row)) in entries.enumerate() {
            let place = &mut places[target as usize];
            groups.rows[*place as usize] = row;
            if let Some(factor) = factors.get(entry) {
                groups.factors[*place as usize] = *factor;
            }
            *place += 1;
        }
        Ok(groups)
    }

    /// Cuts the entries of a target into segments.
    fn cut(&mut self, target: u32, begin: u32, end: u32) {
        let (size, first_part) = (SEGMENT as u32, self.parts as u32);
        match end - begin {
            0 => {}
            count if count <= size => self.segments.push([begin, end, target, 0]),
            count => {
                let parts = count.div_ceil(size);
                for part in 0..parts {
                    let from = begin + part * size;
                    let to = end.min(from + size);
                    self.segments.push([from, to, first_part + part, 1]);
                }
                self.of_parts
                    .push([first_part, first_part + parts, target, 0]);
                self.parts += parts as usize;
            }
        }
    }
}

/// Rows of f32 or, if they have a stride, of bf16.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// Added to.
    F32(Address),
    /// Overwritten; rows without entries are left as they are.
    Bf16(Address, usize),
}

impl Cuda {
    /// Sums rows of bf16 values with this stride.
    pub(super) fn gather(
        &self,
        groups: &Groups,
        (source, stride): (Address, usize),
        target: Target,
        columns: usize,
    ) -> Result<()> {
        if groups.segments.is_empty() || columns == 0 {
            return Ok(());
        }
        let upload = |bytes| self.stream.upload(bytes);
        let rows = upload(zerocopy::IntoBytes::as_bytes(&groups.rows[..]))?;
        let factors = match groups.factors.is_empty() {
            true => None,
            false => Some(upload(zerocopy::IntoBytes::as_bytes(&groups.factors[..]))?),
        };
        let segments = upload(zerocopy::IntoBytes::as_bytes(&groups.segments[..]))?;
        let parts = match groups.parts {
            0 => None,
            count => Some(self.stream.allocate(count * columns * size_of::<f32>())?),
        };
        let (sums, out, out_stride) = match target {
            Target::F32(sums) => (sums, ABSENT, 0),
            Target::Bf16(out, stride) => (ABSENT, out, stride),
        };
        let address = |buffer: &Option<_>| {
            buffer
                .as_ref()
                .map_or(ABSENT, super::super::stream::Buffer::address)
        };
        let mut parameters = Gather {
            source,
            segments: segments.address(),
            indices: rows.address(),
            factors: address(&factors),
            parts: address(&parts),
            sums,
            out,
            count: to_i32(groups.segments.len())?,
            columns: to_i32(columns)?,
            stride: to_i32(stride)?,
            out_stride: to_i32(out_stride)?,
        };
        let grid = |segments: usize| [grid_of(segments)[0], columns.div_ceil(COLUMNS), 1];
        let kernel = const { sources::kernel("gather_rows") };
        self.stream
            .launch(kernel, grid(groups.segments.len()), 0, &parameters)?;
        if groups.parts == 0 {
            return Ok(());
        }
        let segments = upload(zerocopy::IntoBytes::as_bytes(&groups.of_parts[..]))?;
        parameters.source = parameters.parts;
        parameters.segments = segments.address();
        (parameters.indices, parameters.factors) = (ABSENT, ABSENT);
        parameters.count = to_i32(groups.of_parts.len())?;
        parameters.stride = to_i32(columns)?;
        let kernel = const { sources::kernel("gather_rows_f32") };
        self.stream
            .launch(kernel, grid(groups.of_parts.len()), 0, &parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_order_within_a_target() {
        let entries = [(2, 9), (0, 4), (2, 3), (0, 1)];
        let found = Groups::new(4, entries.into_iter(), &[1.0, 2.0, 3.0, 4.0]).unwrap();
        let expected = Groups {
            rows: vec![4, 1, 9, 3],
            factors: vec![2.0, 4.0, 1.0, 3.0],
            segments: vec![[0, 2, 0, 0], [2, 4, 2, 0]],
            of_parts: Vec::new(),
            parts: 0,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn targets_with_many_entries_are_cut_into_parts() {
        let size = SEGMENT as u32;
        let entries = (0..2 * size + 1).map(|row| (1, row)).collect::<Vec<_>>();
        let found = Groups::new(2, entries.into_iter(), &[]).unwrap();
        let segments = [
            [0, size, 0, 1],
            [size, 2 * size, 1, 1],
            [2 * size, 2 * size + 1, 2, 1],
        ];
        assert_eq!(found.segments, segments);
        assert_eq!((found.of_parts, found.parts), (vec![[0, 3, 1, 0]], 3));
        assert!(found.factors.is_empty());
    }
}
