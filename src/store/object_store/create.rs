//! Creating objects whose names must be free, by conditional puts and copies.
//!
//! A request may be carried out, lose its answer and be repeated. Then the name is taken, by this
//! request itself: what is there is compared.

use std::sync::Arc;

use api::{ObjectMeta, ObjectStore as _, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::requests::Kind;
use super::{ObjectStore, Shared, api};
use crate::error::Result;
use crate::store::Directory;

impl ObjectStore {
    /// Copies an object of the same store to a new name of this folder, inside the store. False if
    /// it is another store, or one that cannot copy to a free name.
    pub(super) fn copy_inside(&self, source: &Self, source_name: &str, name: &str) -> Result<bool> {
        let (to_shared, from_shared) = (&self.shared, &source.shared);
        let identities = (&to_shared.store_identity, &from_shared.store_identity);
        let is_same = Arc::ptr_eq(&to_shared.store, &from_shared.store)
            || matches!(identities, (Some(a), Some(b)) if a == b);
        if !is_same {
            return Ok(false);
        }
        let (from, to) = (from_shared.location(source_name), to_shared.location(name));
        let copied = to_shared.wait(Kind::Put, |shared| {
            let (from, to) = (from.clone(), to.clone());
            async move { shared.store.copy_if_not_exists(&from, &to).await }
        });
        to_shared.forget(name);
        match copied {
            Ok(()) => Ok(true),
            Err(
                api::Error::NotImplemented { .. }
                | api::Error::NotSupported { .. }
                | api::Error::NotFound { .. },
            ) => Ok(false),
            // A copy may be carried out, lose its answer and be repeated.
            Err(api::Error::AlreadyExists { .. } | api::Error::Precondition { .. })
                if self.is_copy_of(source, source_name, name)? =>
            {
                Ok(true)
            }
            Err(error) => Err(to_shared.error(name, "copy to", error)),
        }
    }

    /// Whether a file has the content of one of another folder.
    pub(super) fn is_copy_of(&self, source: &Self, source_name: &str, name: &str) -> Result<bool> {
        const PIECE: u64 = 8 << 20;
        let (from, to) = (source.open(source_name)?, self.open(name)?);
        let pieces = (0..from.len()).step_by(PIECE as usize);
        for start in pieces.filter(|_| from.len() == to.len()) {
            let range = start..from.len().min(start + PIECE);
            if from.read(range.clone())?[..] != to.read(range)?[..] {
                return Ok(false);
            }
        }
        Ok(from.len() == to.len())
    }
}

impl Shared {
    /// Creates an object whose name must be free. False if it is taken by other content.
    pub(super) fn put(self: &Arc<Self>, name: &str, payload: &PutPayload) -> Result<bool> {
        let location = self.location(name);
        let put = self.wait(Kind::Put, |shared| {
            let (location, payload) = (location.clone(), payload.clone());
            async move {
                shared.requests.wrote(payload.content_length());
                let options = PutOptions::from(PutMode::Create);
                shared.store.put_opts(&location, payload, options).await
            }
        });
        match put {
            Ok(put) => {
                let meta = ObjectMeta {
                    location: self.location(name),
                    last_modified: std::time::SystemTime::now().into(),
                    size: payload.content_length() as u64,
                    e_tag: put.e_tag,
                    version: put.version,
                };
                // Without a tag, the version of the file is not known yet.
                match meta.e_tag {
                    Some(_) => self.created(name, meta),
                    None => self.forget(name),
                }
                Ok(true)
            }
            // A request may be carried out, lose its answer and be repeated: then the object is the
            // one that this request created.
            Err(api::Error::AlreadyExists { .. } | api::Error::Precondition { .. }) => {
                self.forget(name);
                self.has_content(name, payload)
            }
            Err(error) => Err(self.error(name, "create", error)),
        }
    }

    /// Whether an object has exactly these bytes.
    pub(super) fn has_content(self: &Arc<Self>, name: &str, payload: &PutPayload) -> Result<bool> {
        let length = payload.content_length() as u64;
        let meta = self.look_up(name)?;
        if meta.is_none_or(|meta| meta.size != length) {
            return Ok(false);
        }
        let mut start = 0;
        for part in payload {
            for piece in part.chunks(8 << 20) {
                let end = start + piece.len() as u64;
                if self.read(name, start..end, None)?[..] != *piece {
                    return Ok(false);
                }
                start = end;
            }
        }
        Ok(true)
    }
}
