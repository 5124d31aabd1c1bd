//! Opening a folder of an object store by its URL.

use std::sync::Arc;

use ::object_store as api;
use api::path::Path;
use url::Url;

use super::{ObjectStore, ObjectStoreOptions};
use crate::error::{Error, Result};

impl ObjectStore {
    /// The folder of an object store at a URL: `s3://bucket/folder`, `gs://bucket/folder`,
    /// `az://container/folder`, `https://host/folder` or `file:///folder`.
    ///
    /// A plain web server lists nothing: there the file `files.json` does, which
    /// `esparsa backup --file-list` writes.
    ///
    /// Credentials, regions and addresses come from the environment, as the tools of each store read
    /// them: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`;
    /// `GOOGLE_SERVICE_ACCOUNT`; `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`. An
    /// endpoint with `http:` needs `AWS_ALLOW_HTTP=true`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when it is no such URL, or when a credential is missing; otherwise as
    /// [`ObjectStore::new`].
    pub fn at_url(url: &str, options: ObjectStoreOptions) -> Result<Self> {
        // Not the URL itself: it may hold what is secret.
        let unreadable = |error: &str| {
            Error::invalid(format!(
                "expected a URL such as s3://bucket/folder, found one that cannot be read: {error}"
            ))
        };
        let parsed = Url::parse(url).map_err(|error| unreadable(&error.to_string()))?;
        if parsed.cannot_be_a_base() {
            return Err(unreadable("there is no `//` behind its scheme"));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            // Stores would ignore them, signatures too.
            return Err(Error::invalid(format!(
                "expected a URL that ends with a folder, found a query or a fragment behind {}",
                shown(&parsed)
            )));
        }
        let address = shown(&parsed);
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(Error::invalid(format!(
                "expected a URL without a name and a password, found one for {address}; credentials \
                 come from the environment"
            )));
        }
        let refused = |error: api::Error| Error::invalid(format!("{address}: {error}"));
        let (store, prefix) = store_at(&parsed).map_err(refused)?;
        let endpoint = ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AZURE_STORAGE_ENDPOINT"]
            .map(|variable| std::env::var(variable).unwrap_or_default());
        let place = &parsed[..url::Position::BeforePath];
        let identity = Some(format!("{place} {}", endpoint.join(" ")));
        // Plain servers list nothing.
        let is_http = matches!(
            api::ObjectStoreScheme::parse(&parsed),
            Ok((api::ObjectStoreScheme::Http, _))
        );
        Self::with_address((store, prefix), address, options, (identity, is_http))
    }
}

fn store_at(url: &Url) -> api::Result<(Arc<dyn api::ObjectStore>, Path)> {
    let variables = std::env::vars().filter_map(|(key, value)| {
        let key = key.to_ascii_lowercase();
        let of_store = ["aws_", "google_", "azure_"];
        of_store
            .iter()
            .any(|prefix| key.starts_with(prefix))
            .then_some((key, value))
    });
    // Each attempt to read has a limit of its own, and an upload may take long.
    let fixed = [
        ("timeout", "6 h"),
        ("connect_timeout", "5 s"),
        ("aws_copy_if_not_exists", "multipart"),
    ];
    // Whoever writes `http:` wants it.
    let is_http = url.scheme() == "http";
    let fixed = fixed
        .into_iter()
        .chain(is_http.then_some(("allow_http", "true")));
    let fixed = fixed.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let options = fixed.chain(variables);
    // An error says that the application has chosen one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (store, prefix) = api::parse_url_opts(url, options)?;
    Ok((store.into(), prefix))
}

/// The URL without what may be secret.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_password(None);
    let _ = shown.set_username("");
    shown.set_query(None);
    shown.set_fragment(None);
    shown.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hunter2";

    /// What opening says, as people and programs see it.
    fn said(url: &str) -> String {
        match ObjectStore::at_url(url, ObjectStoreOptions::new()) {
            Ok(store) => format!("opened {store:?}"),
            Err(error) => format!("{error} {error:?}"),
        }
    }

    #[test]
    fn a_url_with_a_password_is_refused_and_the_password_is_shown_nowhere() {
        for url in [
            "https://user:hunter2@host/folder",
            "https://user:hunter2@host:8443/folder?x=hunter2#hunter2",
            "https://:hunter2@host/folder",
            "https://hunter2@host/folder",
            "https://hunter2:@host/folder",
            "https://user:hunter2%40x@host/folder",
            "https://user:a@hunter2@host/folder",
            "HTTPS://USER:hunter2@host/folder",
            "http:user:hunter2@host/folder",
            "http:\\\\user:hunter2@host\\folder",
            "http://user:hunter2@127.0.0.1:1/folder",
            " https://user:hunter2@host/folder",
            "ht\ttps://user:hunter2@host/folder",
            "s3://key:hunter2@bucket/folder",
            "s3://hunter2@bucket/folder",
            "s3a://key:hunter2@bucket",
            "gs://key:hunter2@bucket/folder",
            "az://key:hunter2@container/folder",
            "abfss://key:hunter2@container/folder",
            "unknown://key:hunter2@host/folder",
        ] {
            let said = said(url);
            assert!(
                said.contains("without a name and a password"),
                "{url}: {said}"
            );
            assert!(!said.contains(SECRET), "{url}: {said}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_shown() {
        for url in [
            "https://user:hunter2@",
            "https://user:hunter2@/folder",
            "https://user:hunter2@host:port/folder",
            "https://user:hunter2@ho st/folder",
            "https://user:hunter2@[::1/folder",
            "https://user:hunter2@1.2.3.4.5/folder",
            "https://user:hunter2@host:99999/",
            "file://user:hunter2@host/folder",
            "//user:hunter2@host/folder",
            "://user:hunter2@host/folder",
            "s3:key:hunter2@bucket",
        ] {
            let said = said(url);
            assert!(said.contains("expected a URL"), "{url}: {said}");
            assert!(!said.contains(SECRET), "{url}: {said}");
        }
    }

    #[test]
    fn a_url_with_a_query_is_refused_and_the_query_is_shown_nowhere() {
        for url in [
            "https://host/folder?signature=hunter2",
            "http://127.0.0.1:1/folder#hunter2",
            "https://host/folder/?a=hunter2#hunter2",
            "https://host/folder?",
            "file://host/x?sig=hunter2",
            "unknown://host/x?sig=hunter2#hunter2",
        ] {
            let said = said(url);
            assert!(
                said.contains("a query or a fragment behind"),
                "{url}: {said}"
            );
            assert!(!said.contains(SECRET), "{url}: {said}");
        }
        let opened = said("https://host/folder");
        assert!(
            opened.starts_with("opened ObjectStore(https://host/folder"),
            "{opened}"
        );
    }
}
