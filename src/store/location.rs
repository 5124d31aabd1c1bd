//! From where an index is, a path or a URL, to its directory.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::{Directory, FileSystem};
use crate::error::{Error, Result};

/// The directory of an index that is there: a folder or, with the feature `cloud`, a URL such as
/// `s3://bucket/folder`, whose cache is in the folder that the variable `ESPARSA_CACHE` names, or a
/// temporary one.
///
/// # Errors
///
/// [`Error::NoIndex`] when there is no such folder; [`Error::InvalidInput`] when the URL cannot be
/// used.
pub fn open_directory(path: impl AsRef<Path>) -> Result<Arc<dyn Directory>> {
    let path = path.as_ref();
    if let Some(directory) = remote(path) {
        return directory;
    }
    match FileSystem::open(path) {
        Ok(directory) => Ok(Arc::new(directory)),
        Err(error) => Err(match &error {
            Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
                Error::no_index(path, "no such folder")
            }
            Error::Io { source, .. } if source.kind() == ErrorKind::NotADirectory => {
                Error::no_index(path, "a file, not a folder")
            }
            _ => error,
        }),
    }
}

/// As [`open_directory`], of an index that may be created: so is its folder.
///
/// # Errors
///
/// [`Error::Io`] when the folder cannot be created; [`Error::InvalidInput`] when the URL cannot be
/// used.
pub fn create_directory(path: impl AsRef<Path>) -> Result<Arc<dyn Directory>> {
    let path = path.as_ref();
    match remote(path) {
        Some(directory) => directory,
        None => Ok(Arc::new(FileSystem::create(path)?)),
    }
}

/// True if a path is a URL of an object store or a web server.
fn is_url(path: &str) -> bool {
    const SCHEMES: [&str; 11] = [
        "s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "http", "https", "file",
    ];
    path.split_once("://")
        .is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

#[cfg(feature = "cloud")]
fn remote(path: &Path) -> Option<Result<Arc<dyn Directory>>> {
    use super::{ObjectStore, ObjectStoreOptions};

    let url = path.to_str().filter(|path| is_url(path))?;
    let mut options = ObjectStoreOptions::new();
    if let Some(folder) = std::env::var_os("ESPARSA_CACHE") {
        options = options.cache(folder);
    }
    let directory = ObjectStore::at_url(url, options);
    Some(directory.map(|directory| Arc::new(directory) as Arc<dyn Directory>))
}

/// A URL without the feature is refused by name: as a path it would be a new folder.
#[cfg(not(feature = "cloud"))]
fn remote(path: &Path) -> Option<Result<Arc<dyn Directory>>> {
    let url = path.to_str().filter(|path| is_url(path))?;
    // Not the whole URL: it may hold what is secret.
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    Some(Err(Error::invalid(format!(
        "expected a folder, found a URL of the scheme {scheme}: this program was built without the \
         feature `cloud`, which reads indexes in object stores"
    ))))
}

#[cfg(all(test, not(feature = "cloud")))]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_opened_is_not_shown_whole() {
        let url = "s3://key:hunter2@bucket/folder?sig=hunter2";
        for outcome in [open_directory(url), create_directory(url)] {
            let error = outcome.unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(
                said.contains("scheme s3") && !said.contains("hunter2"),
                "{said}"
            );
        }
    }
}
