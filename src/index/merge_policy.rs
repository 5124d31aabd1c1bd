//! Which segments to merge.
//!
//! Segments are grouped into tiers by size, each tier `segments_per_tier` times as large as the one
//! below, and only segments of the same tier are merged: a large segment is never rewritten to
//! absorb tiny ones. The policy also respects hard limits ([`MergeLimits`]), so it never starts a
//! merge that must fail.

/// Tiered merging: segments of similar size are merged when there are enough of them, so every
/// document is rewritten a logarithmic number of times.
///
/// ```
/// use esparsa::MergePolicy;
///
/// let policy = MergePolicy::new().segments_per_tier(4).max_segment_bytes(1 << 30);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MergePolicy {
    pub(super) segments_per_tier: usize,
    min_segment_bytes: u64,
    max_segment_bytes: u64,
    deleted_share: f64,
}

impl MergePolicy {
    /// 8 segments per tier, segments of 4 KiB to 5 GiB, rewritten when a third of their documents
    /// is deleted.
    pub fn new() -> Self {
        Self {
            segments_per_tier: 8,
            min_segment_bytes: 4 << 10,
            max_segment_bytes: 5 << 30,
            deleted_share: 0.33,
        }
    }

    /// Never merges.
    pub fn never() -> Self {
        Self {
            segments_per_tier: 0,
            deleted_share: f64::INFINITY,
            ..Self::new()
        }
    }

    /// Number of segments of one tier that are merged into one segment of the next; with 0 or 1
    /// tiers are never merged.
    #[must_use]
    pub fn segments_per_tier(mut self, segments: usize) -> Self {
        self.segments_per_tier = segments;
        self
    }

    /// Size in bytes of the segments of the lowest tier: smaller segments count as this large.
    #[must_use]
    pub fn min_segment_bytes(mut self, bytes: u64) -> Self {
        self.min_segment_bytes = bytes;
        self
    }

    /// Maximum size in bytes of a merged segment: no merge is started that would exceed it.
    #[must_use]
    pub fn max_segment_bytes(mut self, bytes: u64) -> Self {
        self.max_segment_bytes = bytes;
        self
    }

    /// A segment is rewritten when at least this share of its documents, 0 to 1, is deleted.
    #[must_use]
    pub fn deleted_share(mut self, share: f64) -> Self {
        self.deleted_share = share;
        self
    }
}

impl Default for MergePolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// A segment as the policy sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Bytes of the segment (during a merge, of its sources), less the share of deleted documents.
    pub bytes: u64,
    pub documents: u32,
    pub deleted: u32,
    /// Bytes of its largest dictionary.
    pub key_bytes: u64,
    /// False after a merge of this segment failed.
    pub can_merge: bool,
}

impl Candidate {
    fn live(&self) -> u64 {
        u64::from(self.documents.saturating_sub(self.deleted))
    }
}

/// Hard limits of a merged segment, independent of the policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct MergeLimits {
    /// Documents: the smaller of the limits of the format and of memory.
    pub max_documents: u64,
    /// Bytes of the largest dictionary.
    pub max_key_bytes: u64,
}

/// Size of the segment that a merge would write.
#[derive(Clone, Copy, Default)]
struct MergedSize {
    bytes: u64,
    live: u64,
    key_bytes: u64,
}

impl MergedSize {
    fn with(self, segment: &Candidate) -> Self {
        Self {
            bytes: self.bytes.saturating_add(segment.bytes),
            live: self.live + segment.live(),
            key_bytes: self.key_bytes.saturating_add(segment.key_bytes),
        }
    }
}

impl MergePolicy {
    /// The indexes of the segments to merge into one, ascending; empty when there is nothing to do.
    pub(super) fn choose(&self, segments: &[Candidate], limits: &MergeLimits) -> Vec<usize> {
        self.full_tier(segments, limits)
            .or_else(|| self.mostly_deleted(segments, limits))
            .unwrap_or_default()
    }

    fn full_tier(&self, segments: &[Candidate], limits: &MergeLimits) -> Option<Vec<usize>> {
        if self.segments_per_tier < 2 {
            return None;
        }
        let mergeable = (0..).zip(segments).filter(|(_, s)| s.can_merge);
        let mut by_tier: Vec<(u32, usize)> = mergeable
            .map(|(place, segment)| (self.tier(segment.bytes), place))
            .collect();
        by_tier.sort_unstable();
        by_tier
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|tier| tier.len() >= self.segments_per_tier)
            .find_map(|tier| self.group(tier, segments, limits))
    }

    /// The oldest segments of a full tier that fit together: `segments_per_tier` of them, or fewer
    /// if they reach half of a limit. A result of at least half of a limit is hardly merged again,
    /// so the write amplification stays bounded.
    fn group(
        &self,
        tier: &[(u32, usize)],
        segments: &[Candidate],
        limits: &MergeLimits,
    ) -> Option<Vec<usize>> {
        let mut size = MergedSize::default();
        let mut places = Vec::with_capacity(self.segments_per_tier);
        for (_, place) in tier {
            let Some(segment) = segments.get(*place) else {
                continue;
            };
            let larger = size.with(segment);
            if self.fits(larger, limits) {
                size = larger;
                places.push(*place);
            }
            if places.len() == self.segments_per_tier {
                break;
            }
        }
        places.sort_unstable();
        let is_near_limit = size.bytes > self.max_segment_bytes / 2
            || size.live > limits.max_documents / 2
            || size.key_bytes > limits.max_key_bytes / 2;
        let is_enough =
            places.len() == self.segments_per_tier || (places.len() > 1 && is_near_limit);
        is_enough.then_some(places)
    }

    fn fits(&self, size: MergedSize, limits: &MergeLimits) -> bool {
        size.bytes <= self.max_segment_bytes
            && size.live <= limits.max_documents
            && size.key_bytes <= limits.max_key_bytes
    }

    fn mostly_deleted(&self, segments: &[Candidate], limits: &MergeLimits) -> Option<Vec<usize>> {
        let share = |s: &Candidate| f64::from(s.deleted) / f64::from(s.documents.max(1));
        segments
            .iter()
            .position(|s| {
                s.can_merge
                    && s.deleted > 0
                    && share(s) >= self.deleted_share
                    && s.live() <= limits.max_documents
            })
            .map(|place| vec![place])
    }

    /// Tier of a size: 0 for the smallest segments, plus 1 for each factor of `segments_per_tier`.
    fn tier(&self, bytes: u64) -> u32 {
        let factor = self.segments_per_tier as u64;
        let times = bytes.div_ceil(self.min_segment_bytes.max(1)).max(1);
        times.ilog(factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LIMITS: MergeLimits = MergeLimits {
        max_documents: u64::MAX,
        max_key_bytes: u64::MAX,
    };

    fn candidate(bytes: u64) -> Candidate {
        Candidate {
            bytes,
            documents: 10,
            deleted: 0,
            key_bytes: bytes / 10,
            can_merge: true,
        }
    }

    #[test]
    fn a_full_tier_is_merged_oldest_first() {
        let policy = MergePolicy::new()
            .segments_per_tier(3)
            .min_segment_bytes(10);
        let sizes = [5, 500, 7, 1, 9].map(candidate);
        assert_eq!(policy.choose(&sizes, &NO_LIMITS), [0, 2, 3]);
        assert!(policy.choose(&sizes[..3], &NO_LIMITS).is_empty());
        assert!(MergePolicy::never().choose(&sizes, &NO_LIMITS).is_empty());
    }

    #[test]
    fn a_large_segment_is_not_rewritten_with_tiny_ones() {
        let mut segments = vec![candidate(14 << 20)];
        segments.extend([3_000; 7].map(candidate));
        let policy = MergePolicy::default();
        assert!(policy.choose(&segments, &NO_LIMITS).is_empty());
        segments.push(candidate(3_000));
        let places: Vec<usize> = (1..9).collect();
        assert_eq!(policy.choose(&segments, &NO_LIMITS), places);
    }

    #[test]
    fn documents_are_rewritten_a_logarithmic_number_of_times() {
        let policy = MergePolicy::default();
        let (mut segments, mut rewritten) = (Vec::new(), 0u64);
        let commits = 20_000;
        for _ in 0..commits {
            segments.push(candidate(2_000));
            loop {
                let places = policy.choose(&segments, &NO_LIMITS);
                let Some(first) = places.first().copied() else {
                    break;
                };
                let bytes = places.iter().map(|place| segments[*place].bytes).sum();
                rewritten += bytes;
                for place in places.iter().rev() {
                    segments.remove(*place);
                }
                segments.insert(first, candidate(bytes));
            }
        }
        assert!(rewritten < 6 * commits * 2_000, "{rewritten}");
        assert!(segments.len() < 7 * 6, "{}", segments.len());
    }

    #[test]
    fn merges_stay_under_every_limit() {
        let policy = MergePolicy::new()
            .segments_per_tier(2)
            .max_segment_bytes(100);
        let segments = [60, 60].map(candidate);
        assert!(policy.choose(&segments, &NO_LIMITS).is_empty());
        let policy = policy.max_segment_bytes(1_000);
        assert_eq!(policy.choose(&segments, &NO_LIMITS), [0, 1]);
        for limits in [
            MergeLimits {
                max_documents: 19,
                ..NO_LIMITS
            },
            MergeLimits {
                max_key_bytes: 11,
                ..NO_LIMITS
            },
        ] {
            assert!(policy.choose(&segments, &limits).is_empty());
        }
        let mut excluded = segments;
        excluded[1].can_merge = false;
        assert!(policy.choose(&excluded, &NO_LIMITS).is_empty());
    }

    #[test]
    fn near_a_limit_fewer_segments_are_merged() {
        let policy = MergePolicy::new()
            .segments_per_tier(4)
            .max_segment_bytes(100);
        assert_eq!(
            policy.choose(&[30; 4].map(candidate), &NO_LIMITS),
            [0, 1, 2]
        );
        assert!(
            policy
                .choose(&[60; 4].map(candidate), &NO_LIMITS)
                .is_empty()
        );
    }

    #[test]
    fn a_segment_of_mostly_deleted_documents_is_rewritten() {
        let mut segments = [5, 6].map(candidate);
        segments[1].deleted = 4;
        assert_eq!(MergePolicy::default().choose(&segments, &NO_LIMITS), [1]);
    }
}
