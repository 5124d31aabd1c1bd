//! The weights of the documents of a new segment become impacts.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::Kind;
use crate::format::impact::{ImpactScale, Quantized, choose_base, pack};
use crate::format::{FieldNumber, Sparse};
use crate::segment::fields::Part;
use crate::segment::write::Source;

/// Quantizes the weights of one sparse field for one segment, and counts those that lost their
/// place.
pub(in crate::segment) struct Quantizer {
    scale: ImpactScale,
    clamped: Cell<u64>,
    rounded_up: Cell<u64>,
}

impl Quantizer {
    /// Chooses the base exponent of a segment made of `sources`.
    ///
    /// New documents decide; a merge of segments alone takes the base of the one with the most
    /// postings. No impact depends on the choice once it is in a segment.
    pub fn choose(sources: &[Source<'_>], field: FieldNumber, options: &Sparse) -> Self {
        let base = match options.clamps {
            true => 0,
            false => base_of(sources, field),
        };
        Self {
            scale: ImpactScale::new(options.scale, base, options.clamps),
            clamped: Cell::new(0),
            rounded_up: Cell::new(0),
        }
    }

    /// The base exponent of the segment.
    pub fn base(&self) -> i16 {
        self.scale.base()
    }

    /// How many weights were clamped.
    pub fn clamped(&self) -> u64 {
        self.clamped.get()
    }

    /// How many weights were rounded up to the smallest step.
    pub fn rounded_up(&self) -> u64 {
        self.rounded_up.get()
    }

    /// Turns the bits of weights into [packed](pack) impacts.
    pub fn quantize(&self, weights: &mut [u32]) {
        let (mut clamped, mut rounded_up) = (0, 0);
        for weight in weights {
            let (impact, quantized) = self.scale.quantize(f32::from_bits(*weight));
            *weight = pack(impact, self.scale.base());
            clamped += u64::from(quantized == Quantized::Clamped);
            rounded_up += u64::from(quantized == Quantized::RoundedUp);
        }
        self.clamped.set(self.clamped.get() + clamped);
        self.rounded_up.set(self.rounded_up.get() + rounded_up);
    }
}

fn base_of(sources: &[Source<'_>], field: FieldNumber) -> i16 {
    let mut needed: BTreeMap<i16, u64> = BTreeMap::new();
    let mut of_segments = None;
    for source in sources {
        match source.field::<Kind>(field) {
            None => {}
            Some(Part::Batch(inverted)) => {
                for (exponent, count) in &inverted.exponents {
                    *needed.entry(*exponent).or_default() += count;
                }
            }
            Some(Part::Segment(segment, _)) => {
                let found = segment.info().field(field);
                let found = found.map(|found| (found.postings, found.base));
                // Of equal ones the first stays.
                if found.map(|(postings, _)| postings)
                    > of_segments.map(|(postings, _): (u64, i16)| postings)
                {
                    of_segments = found;
                }
            }
        }
    }
    match of_segments {
        Some((_, base)) if needed.is_empty() => base,
        _ => choose_base(&needed.into_iter().collect::<Vec<_>>()),
    }
}
