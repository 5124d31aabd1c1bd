//! Requests: sent on the directory's threads, repeated when they fail for a moment.

use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::requests::Kind;
use super::{Shared, api, bytes_of};
use crate::bytes::{Bytes, OnBytes};
use crate::error::Result;
use api::path::Path;
use api::{GetOptions, GetRange};

/// The pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

impl Shared {
    /// Runs a request and waits for it, also inside another asynchronous runtime. What sends a file may
    /// take long; any other attempt has the time of a read.
    pub(super) fn wait<T, F, Made>(self: &Arc<Self>, kind: Kind, make: Made) -> api::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = api::Result<T>> + Send + 'static,
        Made: Fn(Arc<Self>) -> F + Send + Sync,
    {
        // The requests are made here, so that `make` may borrow; only their futures move.
        let mut attempt = 1;
        loop {
            self.requests.sent(kind);
            let (sender, receiver) = mpsc::sync_channel(1);
            let request = make(self.clone());
            let limit = match kind {
                Kind::Put => None,
                _ => Some(self.options.timeout),
            };
            self.spawn(async move {
                let answer = match limit {
                    None => request.await,
                    Some(limit) => tokio::time::timeout(limit, request)
                        .await
                        .unwrap_or_else(|_| Err(generic("the request took too long"))),
                };
                // The receiver waits until it has the answer.
                let _ = sender.send(answer);
            });
            let answer = receiver.recv().unwrap_or_else(|_| Err(ended()));
            match answer {
                Err(error) if is_transient(&error) && attempt < self.options.attempts => {
                    std::thread::sleep(pause(attempt));
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Reads a range of an object and waits for it.
    pub(super) fn read(
        self: &Arc<Self>,
        name: &str,
        range: Range<u64>,
        tag: Option<&str>,
    ) -> Result<Bytes> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let done = move |read| {
            let _ = sender.send(read);
        };
        self.request(name, range, tag, Box::new(done));
        receiver
            .recv()
            .unwrap_or_else(|_| Err(self.error(name, "read", ended())))
    }

    /// Reads a range of an object and calls `done` with it.
    pub(super) fn request(
        self: &Arc<Self>,
        name: &str,
        range: Range<u64>,
        tag: Option<&str>,
        done: OnBytes,
    ) {
        if range.is_empty() {
            return done(Ok(Bytes::from(Vec::new())));
        }
        let (shared, name, tag) = (self.clone(), name.to_owned(), tag.map(str::to_owned));
        self.spawn(async move {
            let location = shared.location(&name);
            let read = shared.get(&location, range, tag).await;
            let read = read.map_err(|error| shared.error(&name, "read", error));
            done(read.map(bytes_of));
        });
    }

    async fn get(
        &self,
        location: &Path,
        range: Range<u64>,
        tag: Option<String>,
    ) -> api::Result<bytes::Bytes> {
        let _permit = self.permits.acquire().await;
        let mut attempt = 1;
        loop {
            self.requests.sent(Kind::Get);
            let options = GetOptions {
                range: Some(GetRange::Bounded(range.clone())),
                if_match: tag.clone(),
                ..GetOptions::default()
            };
            let read = async { self.store.get_opts(location, options).await?.bytes().await };
            let read = match tokio::time::timeout(self.options.timeout, read).await {
                Ok(read) => read.and_then(|bytes| whole(bytes, &range)),
                Err(_) => Err(generic("the request took too long")),
            };
            match read {
                Err(error) if is_transient(&error) && attempt < self.options.attempts => {
                    tokio::time::sleep(pause(attempt)).await;
                    attempt += 1;
                }
                read => {
                    if let Ok(bytes) = &read {
                        self.requests.read(bytes.len());
                    }
                    return read;
                }
            }
        }
    }

    /// Runs a request on the directory's threads. In a child made by `fork`, which has none, the
    /// request ends at once.
    fn spawn(&self, request: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime
            && self.is_own_process()
        {
            drop(runtime.spawn(request));
        }
    }
}

/// The bytes, if they are as many as were asked for.
fn whole(bytes: bytes::Bytes, range: &Range<u64>) -> api::Result<bytes::Bytes> {
    let (expected, found) = (range.end - range.start, bytes.len());
    if expected == found as u64 {
        return Ok(bytes);
    }
    Err(generic(&format!(
        "expected {expected} bytes, found {found}"
    )))
}

/// Whether the same request may succeed a moment later.
fn is_transient(error: &api::Error) -> bool {
    matches!(error, api::Error::Generic { .. })
}

fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(6))
}

fn generic(message: &str) -> api::Error {
    api::Error::Generic {
        store: "object store",
        source: message.into(),
    }
}

/// A request that ended without an answer: it panicked, or this is a child made by `fork`.
fn ended() -> api::Error {
    generic(
        "the request ended without an answer; a process made by `fork` must open the index anew",
    )
}
