//! Decompressed blocks of stored documents, and the few of them that a segment keeps.
//!
//! Hits of one search, and of searches that resemble each other, often lie in the same blocks.
//! Keeping [`KEPT_BLOCKS`] of them makes that cheap, in at most [`KEPT_BLOCKS`] times
//! [`MAX_KEPT_BYTES`] (1 MiB) for each open segment that has stored documents, 256 KiB as a rule.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

use super::super::read_u32;
use super::StoredBlock;

/// Blocks that are kept.
const KEPT_BLOCKS: usize = 16;
/// Larger blocks, which hold one large document, are not kept.
const MAX_KEPT_BYTES: usize = 64 << 10;

thread_local! {
    /// Making one allocates more than most blocks take.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A block, decompressed: the ends of its documents, then the documents.
pub(super) struct RawBlock {
    raw: Vec<u8>,
    documents: usize,
}

impl RawBlock {
    /// Decompresses a frame and checks that it is as long as was recorded.
    pub fn decompress(block: &StoredBlock<impl AsRef<[u8]>>) -> Result<Self, &'static str> {
        let (frame, length) = (block.frame.as_ref(), block.raw_length as usize);
        // Memory of the recorded size is taken first, so the frame must agree if it says its own.
        let of_frame = get_frame_content_size(frame).map_err(|_| "expected a zstd frame")?;
        if of_frame.is_some_and(|of_frame| of_frame != u64::from(block.raw_length)) {
            return Err("a block is not as long as its entry says");
        }
        let raw =
            decompress(frame, length).map_err(|_| "expected a zstd frame of the recorded size")?;
        if raw.len() != length {
            return Err("a block is not as long as its entry says");
        }
        let documents = block.documents as usize;
        if documents.checked_mul(4).is_none_or(|ends| ends > length) {
            return Err("a block is too short for its documents");
        }
        Ok(Self { raw, documents })
    }

    pub fn documents(&self) -> usize {
        self.documents
    }

    /// A document, by its place in the block; `None` when there is none.
    pub fn document(&self, place: usize) -> Result<Option<&[u8]>, &'static str> {
        if place >= self.documents {
            return Ok(None);
        }
        let end_of = |place: usize| read_u32(&self.raw, place * 4).map_err(|m| m.0);
        let start = match place.checked_sub(1) {
            Some(before) => end_of(before)?,
            None => 0,
        };
        let content = self.raw.get(self.documents * 4..).unwrap_or_default();
        let range: Range<usize> = start as usize..end_of(place)? as usize;
        let bytes = content.get(range);
        bytes
            .map(Some)
            .ok_or("ends of documents do not rise in their block")
    }
}

fn decompress(frame: &[u8], length: usize) -> std::io::Result<Vec<u8>> {
    let reused = DECOMPRESSOR.try_with(|decompressor| {
        let mut decompressor = decompressor.borrow_mut();
        let decompressor = match &mut *decompressor {
            Some(decompressor) => decompressor,
            empty => empty.insert(Decompressor::new()?),
        };
        decompressor.decompress(frame, length)
    });
    // A thread that ends may still read, in a destructor, when its decompressor is gone.
    reused.unwrap_or_else(|_| Decompressor::new()?.decompress(frame, length))
}

/// The blocks that were used last, the latest at the end.
#[derive(Default)]
pub(super) struct KeptBlocks {
    blocks: Mutex<Vec<(u64, Arc<RawBlock>)>>,
}

impl KeptBlocks {
    /// The block of a number, read by `read` unless it is kept.
    pub fn get<E>(
        &self,
        number: u64,
        read: impl FnOnce() -> Result<RawBlock, E>,
    ) -> Result<Arc<RawBlock>, E> {
        {
            let mut blocks = self.lock();
            if let Some(place) = blocks.iter().position(|(n, _)| *n == number) {
                let kept = blocks.remove(place);
                let block = kept.1.clone();
                blocks.push(kept);
                return Ok(block);
            }
        }
        // Without the lock: other threads read other blocks meanwhile.
        let block = Arc::new(read()?);
        if block.raw.len() <= MAX_KEPT_BYTES {
            let mut blocks = self.lock();
            blocks.retain(|(n, _)| *n != number);
            if blocks.len() >= KEPT_BLOCKS {
                blocks.remove(0);
            }
            blocks.push((number, block.clone()));
        }
        Ok(block)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Arc<RawBlock>)>> {
        // It is whole between any two calls above, even after a panic.
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for KeptBlocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptBlocks({})", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_used_last_are_kept_and_no_others() {
        let kept = KeptBlocks::default();
        let reads = RefCell::new(Vec::new());
        let get = |number: u64, length: usize| {
            let read = || {
                reads.borrow_mut().push(number);
                let raw = vec![0; length];
                Ok::<_, ()>(RawBlock { raw, documents: 0 })
            };
            kept.get(number, read).unwrap();
        };
        let all = 0..KEPT_BLOCKS as u64;
        all.clone().for_each(|number| get(number, 9));
        all.clone().for_each(|number| get(number, 9));
        assert_eq!(*reads.borrow(), all.clone().collect::<Vec<_>>());
        get(0, 9);
        get(99, 9); // takes the place of 1, which was used the longest time ago
        get(0, 9);
        get(1, 9);
        assert_eq!(reads.borrow()[KEPT_BLOCKS..], [99, 1]);
        get(200, MAX_KEPT_BYTES + 1);
        get(200, MAX_KEPT_BYTES + 1);
        assert_eq!(reads.borrow()[KEPT_BLOCKS + 2..], [200, 200]);
    }
}
