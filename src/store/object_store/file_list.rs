//! The file that lists the files of an index, for hosts that list nothing.
//!
//! `files.json` is an array of objects with the `name` of a file, its length in `bytes`, and a
//! `version`, which differs for different content; `esparsa backup --file-list` writes it.

use std::sync::Arc;

use api::{ObjectMeta, ObjectStoreExt};
use serde_json::Value;

use super::requests::Kind;
use super::{Shared, api};

const NAME: &str = "files.json";

pub(super) fn read(shared: &Arc<Shared>) -> api::Result<Vec<ObjectMeta>> {
    let location = shared.location(NAME);
    let bytes = shared.wait(Kind::List, |shared| {
        let location = location.clone();
        async move { shared.store.get(&location).await?.bytes().await }
    })?;
    let files: Value =
        serde_json::from_slice(&bytes).map_err(|error| refused(&error.to_string()))?;
    let Some(files) = files.as_array() else {
        return Err(refused("it is no array"));
    };
    files.iter().map(|file| meta_of(shared, file)).collect()
}

fn meta_of(shared: &Shared, file: &Value) -> api::Result<ObjectMeta> {
    let name = file["name"].as_str().filter(|name| !name.contains('/'));
    let (Some(name), Some(size)) = (name, file["bytes"].as_u64()) else {
        return Err(refused(&format!(
            "{file} has no name without `/` or no bytes"
        )));
    };
    Ok(ObjectMeta {
        location: shared.location(name),
        last_modified: std::time::SystemTime::UNIX_EPOCH.into(),
        size,
        e_tag: None,
        version: file["version"].as_str().map(str::to_owned),
    })
}

fn refused(message: &str) -> api::Error {
    api::Error::Generic {
        store: "HTTP",
        source: format!(
            "expected a list of files with name, bytes and version in {NAME}: {message}"
        )
        .into(),
    }
}
