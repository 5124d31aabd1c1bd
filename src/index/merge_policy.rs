//! Which segments to merge.

/// Tiered merging: segments of about the same size are merged when there are enough of them, so that
/// every document is rewritten a logarithmic number of times.
///
/// ```
/// use esparsa::MergePolicy;
///
/// let policy = MergePolicy { segments_per_tier: 8, ..MergePolicy::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MergePolicy {
    /// So many segments of one tier are merged into one of the next; 0 never merges.
    pub segments_per_tier: usize,
    /// Segments smaller than this are taken to be this large, so that many tiny ones are one tier.
    pub smallest_bytes: u64,
    /// A merge that would make a larger segment than this is not begun.
    pub largest_bytes: u64,
    /// A segment is rewritten when at least this share of its documents is deleted.
    pub deleted_share: f64,
}

impl Default for MergePolicy {
    fn default() -> Self {
        Self {
            segments_per_tier: 8,
            smallest_bytes: 2 << 20,
            largest_bytes: 5 << 30,
            deleted_share: 0.33,
        }
    }
}

/// What the policy looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Bytes of the segment, or, while it is being merged, of all that go into it.
    pub bytes: u64,
    pub documents: u32,
    pub deleted: u32,
}

impl MergePolicy {
    /// Never merges.
    pub fn never() -> Self {
        Self {
            segments_per_tier: 0,
            deleted_share: f64::INFINITY,
            ..Self::default()
        }
    }

    /// The places of the segments to merge into one, rising; empty when nothing is to be done.
    pub(super) fn choose(&self, segments: &[Candidate]) -> Vec<usize> {
        self.full_tier(segments)
            .or_else(|| self.mostly_deleted(segments))
            .unwrap_or_default()
    }

    fn full_tier(&self, segments: &[Candidate]) -> Option<Vec<usize>> {
        if self.segments_per_tier < 2 {
            return None;
        }
        let mut by_tier: Vec<(u32, usize)> = segments
            .iter()
            .map(|segment| self.tier(segment.bytes))
            .zip(0..)
            .collect();
        by_tier.sort_unstable();
        by_tier
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|tier| tier.len() >= self.segments_per_tier)
            .find_map(|tier| {
                let mut places: Vec<usize> = tier
                    .iter()
                    .take(self.segments_per_tier)
                    .map(|(_, place)| *place)
                    .collect();
                places.sort_unstable();
                let bytes: u64 = places
                    .iter()
                    .filter_map(|place| segments.get(*place))
                    .map(|segment| segment.bytes)
                    .sum();
                (bytes <= self.largest_bytes).then_some(places)
            })
    }

    fn mostly_deleted(&self, segments: &[Candidate]) -> Option<Vec<usize>> {
        let share = |s: &Candidate| f64::from(s.deleted) / f64::from(s.documents.max(1));
        segments
            .iter()
            .position(|s| s.deleted > 0 && share(s) >= self.deleted_share)
            .map(|place| vec![place])
    }

    /// 0 for the smallest segments, then one more for each factor of `segments_per_tier`.
    fn tier(&self, bytes: u64) -> u32 {
        let factor = self.segments_per_tier as u64;
        let times = bytes.div_ceil(self.smallest_bytes.max(1)).max(1);
        times.ilog(factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(bytes: u64) -> Candidate {
        Candidate {
            bytes,
            documents: 10,
            deleted: 0,
        }
    }

    #[test]
    fn a_full_tier_is_merged_oldest_first() {
        let policy = MergePolicy {
            segments_per_tier: 3,
            smallest_bytes: 10,
            ..MergePolicy::default()
        };
        let sizes = [5, 500, 7, 1, 9].map(candidate);
        assert_eq!(policy.choose(&sizes), [0, 2, 3]);
        assert!(policy.choose(&sizes[..3]).is_empty());
        assert!(MergePolicy::never().choose(&sizes).is_empty());
    }

    #[test]
    fn merges_stay_under_the_largest_size() {
        let policy = MergePolicy {
            segments_per_tier: 2,
            largest_bytes: 100,
            ..MergePolicy::default()
        };
        assert!(policy.choose(&[60, 60].map(candidate)).is_empty());
    }

    #[test]
    fn a_segment_of_mostly_deleted_documents_is_rewritten() {
        let mut segments = [5, 6].map(candidate);
        segments[1].deleted = 4;
        assert_eq!(MergePolicy::default().choose(&segments), [1]);
    }
}
