//! A finished file in an object store.

use std::ops::Range;
use std::sync::{Arc, mpsc};

use api::ObjectMeta;

use super::cache::CachedFile;
use super::{Shared, TAIL_BYTES, api};
use crate::bytes::{Bytes, FileHandle, OnBytes, OnDemand};
use crate::error::Result;

/// A file that is read by ranges, with a local copy of what was read.
#[derive(Clone)]
pub(super) struct RemoteFile {
    shared: Arc<Shared>,
    name: String,
    tag: Option<String>,
    cached: Arc<CachedFile>,
}

impl RemoteFile {
    /// Opens a file: a short one by reading it, another by reading its end, unless the cache has it.
    pub fn open(
        shared: &Arc<Shared>,
        name: &str,
        meta: &ObjectMeta,
    ) -> Result<Arc<dyn FileHandle>> {
        let tag = meta.e_tag.as_deref();
        if meta.size <= TAIL_BYTES {
            let read = shared.known().read.remove(name);
            if let Some((_, bytes)) = read.filter(|(read, _)| read == meta) {
                return Ok(Arc::new(bytes));
            }
            return Ok(Arc::new(shared.read(name, 0..meta.size, tag)?));
        }
        let cached = match shared.cache.find(name, meta)? {
            Some(cached) => cached,
            None => {
                let tail = meta.size - TAIL_BYTES..meta.size;
                let tail = shared.read(name, tail, tag)?;
                shared.cache.create(name, meta, &tail)?
            }
        };
        Ok(Arc::new(Self {
            shared: shared.clone(),
            name: name.to_owned(),
            tag: meta.e_tag.clone(),
            cached,
        }))
    }

    /// Reads what [`open`](Self::open) needs of several files at once.
    pub fn will_open(shared: &Arc<Shared>, files: Vec<(String, ObjectMeta)>) {
        let (sender, receiver) = mpsc::channel();
        for (name, meta) in files {
            let is_short = meta.size <= TAIL_BYTES;
            if !is_short
                && shared
                    .cache
                    .find(&name, &meta)
                    .is_ok_and(|found| found.is_some())
            {
                continue;
            }
            let range = meta.size.saturating_sub(TAIL_BYTES)..meta.size;
            let tag = meta.e_tag.clone();
            let (file, sender) = ((name.clone(), meta), sender.clone());
            let done = move |read| {
                let _ = sender.send((file, read));
            };
            shared.request(&name, range, tag.as_deref(), Box::new(done));
        }
        drop(sender);
        for ((name, meta), read) in receiver {
            match read {
                Ok(bytes) if meta.size <= TAIL_BYTES => {
                    shared.known().read.insert(name, (meta, bytes));
                }
                Ok(bytes) => {
                    let _ = shared.cache.create(&name, &meta, &bytes);
                }
                Err(_) => {}
            }
        }
    }

    /// The bytes of a range, if it lies in the end of the file that is always there.
    fn in_tail(&self, range: &Range<u64>) -> Option<Bytes> {
        let size = self.cached.len();
        let in_tail = range.start >= size - TAIL_BYTES && range.end <= size;
        let place = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        self.cached.bytes().slice(place).filter(|_| in_tail)
    }
}

impl FileHandle for RemoteFile {
    fn len(&self) -> u64 {
        self.cached.len()
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        match self.in_tail(&range) {
            Some(bytes) => Ok(bytes),
            None => self.shared.read(&self.name, range, self.tag.as_deref()),
        }
    }

    fn on_demand(&self) -> Option<Arc<dyn OnDemand>> {
        Some(Arc::new(self.clone()))
    }

    fn discard(&self) -> bool {
        self.cached.evict()
    }

    fn is_evicted(&self) -> bool {
        self.cached.is_evicted()
    }
}

impl OnDemand for RemoteFile {
    fn copy(&self) -> Bytes {
        self.cached.bytes()
    }

    fn request(&self, range: Range<u64>, done: OnBytes) {
        // Also of the end: it is asked for where the local copy is not right.
        let tag = self.tag.as_deref();
        self.shared.request(&self.name, range, tag, done);
    }

    fn keep(&self, start: u64, bytes: &[u8]) -> Result<()> {
        self.shared.cache.keep(&self.cached, start, bytes)
    }
}
