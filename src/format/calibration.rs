//! What approximate searches of a field lose and take, as measured (`format-spec/manifest.md`).

use zerocopy::byteorder::little_endian::{F32, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{FieldNumber, Malformed, Parse, wide};
use crate::error::{Error, Result};

/// Most points of a calibration.
const MAX_CALIBRATION_POINTS: usize = 1_024;

/// A way to search approximately, with what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationPoint {
    /// Number of documents asked for.
    pub k: u32,
    /// Share of the query's weight in the terms that are kept, those with the highest weights
    /// first; above 0, at most 1.
    pub share: f32,
    /// The upper bound of each range of documents is multiplied by this before it is compared with
    /// the score that the top k needs: with 1 no range is skipped wrongly, and the lower it is, the
    /// more ranges are skipped. Above 0, at most 1.
    pub slack: f32,
    /// Share of the exact `k` documents that were found, from 0 to 1, the mean of the queries.
    pub recall: f32,
    /// Microseconds a query, the mean, on one thread of the machine that measured.
    pub microseconds: f32,
}

/// Points measured on one field; `recall` of [`SearchOptions`](crate::SearchOptions::recall)
/// chooses among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The sparse field.
    pub field: FieldNumber,
    /// Documents of the index when it was measured.
    pub documents: u64,
    /// Queries measured with.
    pub queries: u64,
    /// For each k that was measured, ways of rising recall and cost.
    pub points: Vec<CalibrationPoint>,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Head {
    documents: U64,
    queries: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Record {
    k: U32,
    share: F32,
    slack: F32,
    recall: F32,
    microseconds: F32,
}

impl CalibrationPoint {
    fn is_good(&self) -> bool {
        let is_share = |number: f32| number > 0.0 && number <= 1.0;
        self.k > 0
            && is_share(self.share)
            && is_share(self.slack)
            && (0.0..=1.0).contains(&self.recall)
            && self.microseconds.is_finite()
            && self.microseconds >= 0.0
    }
}

impl Calibration {
    /// Whether the numbers make sense.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when one is out of its range, [`Error::Limit`] when there are too
    /// many points.
    pub(crate) fn check(&self) -> Result<()> {
        if self.points.len() > MAX_CALIBRATION_POINTS {
            let (found, limit) = (wide(self.points.len()), wide(MAX_CALIBRATION_POINTS));
            return Err(Error::limit("points of a calibration", found, limit));
        }
        match self.points.iter().find(|point| !point.is_good()) {
            None => Ok(()),
            Some(point) => Err(Error::invalid(format!(
                "expected k of at least 1, share and slack above 0 and at most 1, recall from 0 to 1 and a time, found {point:?}"
            ))),
        }
    }

    /// The bytes of the section.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let head = Head {
            documents: U64::new(self.documents),
            queries: U64::new(self.queries),
        };
        let mut out = head.as_bytes().to_vec();
        for point in &self.points {
            let record = Record {
                k: U32::new(point.k),
                share: F32::new(point.share),
                slack: F32::new(point.slack),
                recall: F32::new(point.recall),
                microseconds: F32::new(point.microseconds),
            };
            out.extend_from_slice(record.as_bytes());
        }
        out
    }

    /// Reads the bytes of a field's section.
    pub(crate) fn decode(field: FieldNumber, bytes: &[u8]) -> Parse<Self> {
        let short = Malformed("expected 16 bytes and points of 20 bytes");
        let (head, rest) = Head::ref_from_prefix(bytes).map_err(|_| short)?;
        let records = <[Record]>::ref_from_bytes(rest).map_err(|_| short)?;
        let point = |record: &Record| CalibrationPoint {
            k: record.k.get(),
            share: record.share.get(),
            slack: record.slack.get(),
            recall: record.recall.get(),
            microseconds: record.microseconds.get(),
        };
        let calibration = Self {
            field,
            documents: head.documents.get(),
            queries: head.queries.get(),
            points: records.iter().map(point).collect(),
        };
        let is_good = calibration.check().is_ok();
        is_good
            .then_some(calibration)
            .ok_or(Malformed("a point of the calibration is out of its range"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point() -> impl Strategy<Value = CalibrationPoint> {
        let share = 0.001f32..=1.0;
        (1u32.., share.clone(), share, 0.0f32..=1.0, 0.0f32..1e9).prop_map(
            |(k, share, slack, recall, microseconds)| CalibrationPoint {
                k,
                share,
                slack,
                recall,
                microseconds,
            },
        )
    }

    proptest! {
        #[test]
        fn calibrations_are_read_as_written(
            points in prop::collection::vec(point(), 0..20),
            documents in any::<u64>(),
        ) {
            let calibration = Calibration { field: 3, documents, queries: 9, points };
            prop_assert!(calibration.check().is_ok());
            prop_assert_eq!(Calibration::decode(3, &calibration.encode()), Ok(calibration));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Calibration::decode(0, &bytes);
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let good = CalibrationPoint {
            k: 10,
            share: 0.9,
            slack: 1.0,
            recall: 0.99,
            microseconds: 80.0,
        };
        for bad in [
            CalibrationPoint { k: 0, ..good },
            CalibrationPoint { share: 0.0, ..good },
            CalibrationPoint {
                share: f32::NAN,
                ..good
            },
            CalibrationPoint { slack: 1.5, ..good },
            CalibrationPoint {
                recall: -0.1,
                ..good
            },
            CalibrationPoint {
                microseconds: f32::INFINITY,
                ..good
            },
        ] {
            let calibration = Calibration {
                field: 0,
                documents: 1,
                queries: 1,
                points: vec![good, bad],
            };
            assert!(calibration.check().is_err(), "{bad:?}");
            assert!(
                Calibration::decode(0, &calibration.encode()).is_err(),
                "{bad:?}"
            );
        }
    }
}
