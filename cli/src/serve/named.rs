//! Folders and files with a name before them, `NAME=PATH`, as options take them.

use std::path::{Path, PathBuf};

/// A folder, and the name that requests know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFolder {
    /// The name in addresses and parameters.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
}

/// A file that belongs to an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOfIndex {
    /// The index's name; `None` for the only index.
    pub index: Option<String>,
    /// The file.
    pub file: PathBuf,
}

/// Parser of `NAME=DIR` or `DIR`, whose last part is the name then.
pub fn folder_parser(text: &str) -> Result<NamedFolder, String> {
    let (name, folder) = match split(text) {
        Some((name, folder)) => (name.to_owned(), folder),
        None => (last_part(Path::new(without_query(text))), text),
    };
    let is_refused = |c: char| c == '/' || c == '\\' || c.is_control();
    if name.is_empty() || name.contains(is_refused) || folder.is_empty() {
        return Err(
            "expected a folder with a name, or NAME=DIR with a name without slashes".to_owned(),
        );
    }
    Ok(NamedFolder {
        name,
        folder: folder.into(),
    })
}

/// Parser of `NAME=FILE` or `FILE`.
pub fn file_parser(text: &str) -> Result<FileOfIndex, String> {
    let (index, file) = match split(text) {
        Some((index, file)) => (Some(index.to_owned()), file),
        None => (None, text),
    };
    if file.is_empty() || index.as_ref().is_some_and(String::is_empty) {
        return Err("expected a file, or NAME=FILE with the name of an index".to_owned());
    }
    Ok(FileOfIndex {
        index,
        file: file.into(),
    })
}

/// The name before a path; a path that has slashes before its first `=` has none.
fn split(text: &str) -> Option<(&str, &str)> {
    let (name, path) = text.split_once('=')?;
    (!name.contains(['/', '\\'])).then_some((name, path))
}

/// A URL without its query, which may be a signature that no answer should show.
fn without_query(text: &str) -> &str {
    match text.contains("://") {
        true => text.split(['?', '#']).next().unwrap_or(text),
        false => text,
    }
}

/// The name of a folder; of `.` and the like, the name of the folder that is meant.
fn last_part(folder: &Path) -> String {
    let resolved = || folder.canonicalize().ok();
    let name = folder.file_name().map(ToOwned::to_owned);
    let name = name.or_else(|| resolved()?.file_name().map(ToOwned::to_owned));
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_its_own_name_or_another() {
        let named = |text| folder_parser(text).map(|found| (found.name, found.folder));
        let pair = |name: &str, folder: &str| Ok((name.to_owned(), PathBuf::from(folder)));
        assert_eq!(named("a/wiki.index"), pair("wiki.index", "a/wiki.index"));
        assert_eq!(named("a/wiki.index/"), pair("wiki.index", "a/wiki.index/"));
        assert_eq!(named("wiki=a/b"), pair("wiki", "a/b"));
        assert_eq!(named("a/b=c"), pair("b=c", "a/b=c"));
        assert!(named(".").is_ok_and(|(name, _)| !name.is_empty()));
        for refused in ["", "=a", "a=", "/"] {
            assert!(named(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn the_query_of_a_url_is_no_part_of_a_name() {
        let url = "https://host/a/wiki.index?signature=secret#secret";
        let named = folder_parser(url).unwrap();
        assert_eq!(
            (&*named.name, named.folder),
            ("wiki.index", PathBuf::from(url))
        );
        assert_eq!(folder_parser("a/what?").unwrap().name, "what?");
    }

    #[test]
    fn a_file_names_its_index_or_none() {
        let named = |text| file_parser(text).map(|found| (found.index, found.file));
        let file = PathBuf::from("a/test.tsv");
        assert_eq!(named("a/test.tsv"), Ok((None, file.clone())));
        assert_eq!(named("wiki=a/test.tsv"), Ok((Some("wiki".into()), file)));
        for refused in ["", "=a", "a="] {
            assert!(named(refused).is_err(), "{refused}");
        }
    }
}
