//! What is known of the objects of a folder, and since when: so few requests look them up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use api::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::requests::Kind;
use super::{Shared, api, file_list};
use crate::bytes::Bytes;
use crate::error::Result;

/// What is known of the objects of the folder, and since when.
#[derive(Default)]
pub(super) struct Known {
    pub objects: BTreeMap<String, ObjectMeta>,
    pub listed: Option<Instant>,
    /// Names that were looked up after the folder was listed.
    pub looked_up: HashMap<String, Instant>,
    pub cleaned: Option<Instant>,
    /// Short files that were read before they are opened.
    pub read: HashMap<String, (ObjectMeta, Bytes)>,
}

impl Shared {
    /// What a listing that is fresh enough, or else the store, says of an object.
    pub(super) fn look_up(self: &Arc<Self>, name: &str) -> Result<Option<ObjectMeta>> {
        {
            let known = self.known();
            let since = known.looked_up.get(name).copied().max(known.listed);
            if since.is_some_and(|since| since.elapsed() < self.options.refresh) {
                return Ok(known.objects.get(name).cloned());
            }
        }
        if self.has_file_list {
            self.list()?;
            return Ok(self.known().objects.get(name).cloned());
        }
        let location = self.location(name);
        let started = Instant::now();
        let found = self.wait(Kind::Head, |shared| {
            let location = location.clone();
            async move { shared.store.head(&location).await }
        });
        let found = match found {
            Ok(meta) => Some(meta),
            Err(api::Error::NotFound { .. }) => None,
            Err(error) => return Err(self.error(name, "look up", error)),
        };
        let mut known = self.known();
        // Not if this process has created or removed it meanwhile.
        if known
            .looked_up
            .get(name)
            .is_none_or(|since| *since <= started)
        {
            known.looked_up.insert(name.to_owned(), started);
            match &found {
                Some(meta) => known.objects.insert(name.to_owned(), meta.clone()),
                None => known.objects.remove(name),
            };
        }
        Ok(found)
    }

    /// Lists the folder, and remembers what is in it.
    pub(super) fn list(self: &Arc<Self>) -> Result<Vec<String>> {
        let started = Instant::now();
        let listed = if self.has_file_list {
            file_list::read(self)
        } else {
            let listed = self.wait(Kind::List, |shared| async move {
                let prefix = Some(&shared.prefix);
                shared.store.list_with_delimiter(prefix).await
            });
            listed.map(|listed| listed.objects)
        };
        let objects = listed
            .map_err(|error| self.error("", "list", error))?
            .into_iter();
        let objects = objects.filter_map(|meta| {
            let name = meta.location.filename()?.to_owned();
            Some((name, meta))
        });
        let mut listed: BTreeMap<String, ObjectMeta> = objects.collect();
        let mut known = self.known();
        let known = &mut *known;
        // What this process has seen or done since may not be in the listing.
        known.looked_up.retain(|_, since| *since > started);
        for name in known.looked_up.keys() {
            match known.objects.remove(name) {
                Some(meta) => listed.insert(name.clone(), meta),
                None => listed.remove(name),
            };
        }
        known.objects = listed;
        known.listed = Some(started);
        Ok(known.objects.keys().cloned().collect())
    }

    /// Remembers an object that this process created.
    pub(super) fn created(&self, name: &str, meta: ObjectMeta) {
        let mut known = self.known();
        known.looked_up.insert(name.to_owned(), Instant::now());
        known.objects.insert(name.to_owned(), meta);
    }

    /// Remembers that this process has removed an object.
    pub(super) fn removed(&self, name: &str) {
        let mut known = self.known();
        known.looked_up.insert(name.to_owned(), Instant::now());
        known.objects.remove(name);
    }

    /// Forgets what is known of an object that this process has changed: it is looked up anew.
    pub(super) fn forget(&self, name: &str) {
        let mut known = self.known();
        known.objects.remove(name);
        known.looked_up.remove(name);
        // What was listed does not say that it is there.
        known.listed = None;
    }
}
