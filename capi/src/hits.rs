//! What a search found.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use esparsa::rank::Fusion;
use esparsa::{FacetResult, Hits, MatchCount, Result, SearchResult};

use crate::arguments::{array, leave, object};
use crate::status::{EsparsaStatus, free, run};

/// The best documents of a search, best first. It does not change.
pub struct EsparsaHits {
    hits: Hits,
    ids: Vec<CString>,
    stored: Vec<OnceLock<Vec<u8>>>,
    count: Option<MatchCount>,
    facets: Vec<Vec<(CString, u64)>>,
}

impl EsparsaHits {
    pub fn of(result: SearchResult) -> Result<Self> {
        let mut hits = Self::of_hits(result.hits)?;
        hits.count = result.count;
        hits.facets = result.facets.into_iter().map(values).collect();
        Ok(hits)
    }

    fn of_hits(hits: Hits) -> Result<Self> {
        let ids = hits.ids()?;
        Ok(Self {
            ids: ids.into_iter().map(c_string).collect(),
            stored: hits.iter().map(|_| OnceLock::new()).collect(),
            hits,
            count: None,
            facets: Vec::new(),
        })
    }
}

/// A string of C; what is behind a zero byte is left out.
pub fn c_string(text: String) -> CString {
    let mut bytes = text.into_bytes();
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes.truncate(end.unwrap_or(bytes.len()));
    CString::new(bytes).unwrap_or_default()
}

/// Bytes with a zero byte behind them.
pub fn terminated(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.push(0);
    bytes
}

/// The values that were counted, and their counts.
fn values(facet: FacetResult) -> Vec<(CString, u64)> {
    let FacetResult::Values(values) = facet else {
        return Vec::new();
    };
    let values = values.into_iter();
    values
        .map(|(value, count)| (c_string(value.to_string()), count))
        .collect()
}

/// How many hits there are; 0 for null.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_hits_length(hits: Option<&EsparsaHits>) -> usize {
    hits.map_or(0, |hits| hits.ids.len())
}

/// The external id of a hit; null beyond the last. It is valid until the hits are freed. Of an id with
/// a zero byte in it, what is before.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_hits_id(hits: Option<&EsparsaHits>, place: usize) -> *const c_char {
    let id = hits.and_then(|hits| hits.ids.get(place));
    id.map_or(std::ptr::null(), |id| id.as_ptr())
}

/// The score of a hit: BM25, the dot product of weights, the inner product or cosine of vectors, or
/// that of a fusion. 0 beyond the last.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_hits_score(hits: Option<&EsparsaHits>, place: usize) -> f32 {
    let scored = hits.and_then(|hits| hits.hits.scored().get(place));
    scored.map_or(0.0, |(_, score)| *score)
}

/// The bytes that are stored for a hit, with a zero byte behind them that `length` does not count.
/// They are valid until the hits are freed.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_hits_stored(
    hits: Option<&EsparsaHits>,
    place: usize,
    bytes: Option<&mut MaybeUninit<*const c_char>>,
    length: Option<&mut MaybeUninit<usize>>,
) -> EsparsaStatus {
    run(|| {
        let bytes = object(bytes, "bytes")?;
        bytes.write(std::ptr::null());
        let length = length.map(|length| length.write(0));
        let hits = object(hits, "hits")?;
        let found = hits.hits.get(place).zip(hits.stored.get(place));
        let (hit, kept) = found.ok_or_else(|| {
            let count = hits.ids.len();
            esparsa::Error::invalid(format!("expected one of {count} hits, found place {place}"))
        })?;
        let stored = match kept.get() {
            Some(stored) => stored,
            None => {
                let stored = terminated(hit.stored()?);
                kept.get_or_init(|| stored)
            }
        };
        bytes.write(stored.as_ptr().cast());
        if let Some(length) = length {
            *length = stored.len() - 1;
        }
        Ok(())
    })
}

/// How many documents match, if `esparsa_options_count_up_to` asked for it; 0 otherwise. `is_exact`,
/// unless it is null, says whether the count is exact or a lower bound.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_hits_count(
    hits: Option<&EsparsaHits>,
    is_exact: Option<&mut MaybeUninit<bool>>,
) -> u64 {
    let (count, exact) = match hits.and_then(|hits| hits.count) {
        Some(MatchCount::Exact(count)) => (count, true),
        Some(MatchCount::AtLeast(count)) => (count, false),
        None => (0, false),
    };
    if let Some(is_exact) = is_exact {
        is_exact.write(exact);
    }
    count
}

/// How many values a facet has; 0 if there is no such facet.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_hits_facet_length(hits: Option<&EsparsaHits>, facet: usize) -> usize {
    let values = hits.and_then(|hits| hits.facets.get(facet));
    values.map_or(0, Vec::len)
}

/// A value of a facet, the most frequent first, and in how many documents it is, unless `documents`
/// is null. The value is null beyond the last; it is valid until the hits are freed.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_hits_facet_value(
    hits: Option<&EsparsaHits>,
    facet: usize,
    place: usize,
    documents: Option<&mut MaybeUninit<u64>>,
) -> *const c_char {
    let values = hits.and_then(|hits| hits.facets.get(facet));
    let found = values.and_then(|values| values.get(place));
    if let Some(documents) = documents {
        documents.write(found.map_or(0, |(_, count)| *count));
    }
    found.map_or(std::ptr::null(), |(value, _)| value.as_ptr())
}

/// Fuses the hits of several searches of one snapshot by reciprocal rank: the best `k`.
///
/// # Safety
///
/// `lists` leads to `length` pointers to hits. `hits` may be one of these places, whose hits are then
/// not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn esparsa_fuse(
    lists: *const Option<&EsparsaHits>,
    length: usize,
    k: usize,
    hits: *mut *mut EsparsaHits,
) -> EsparsaStatus {
    let fuse = || {
        // SAFETY: the caller vouches for the array.
        let lists = unsafe { array(lists, length, "lists") }?;
        let lists = lists.iter().map(|list| Ok(&object(*list, "lists")?.hits));
        let lists = lists.collect::<Result<Vec<&Hits>>>()?;
        EsparsaHits::of_hits(Fusion::reciprocal_rank().k(k).fuse_hits(&lists)?)
    };
    run(|| {
        // The array is read before the place is borrowed, which may be in it.
        let fused = fuse();
        // SAFETY: the caller vouches for the place.
        let hits = unsafe { hits.cast::<MaybeUninit<_>>().as_mut() };
        leave(hits, "hits", || fused)
    })
}

/// Frees hits.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_hits_free(hits: Option<Box<EsparsaHits>>) {
    free(hits);
}
