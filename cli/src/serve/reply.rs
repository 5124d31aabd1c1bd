//! Responses: their bodies and headers.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, Response, StatusCode};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use xxhash_rust::xxh3::xxh3_64;

use super::error::ApiError;

/// A response as it is sent.
pub type Reply = Response<Full<Bytes>>;

/// Bytes that count as memory until they are sent or given up.
struct Counted {
    bytes: Box<[u8]>,
    _memory: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// An answer that counts as memory until the client has taken it. The bytes hold the permit, and not
/// the body: a connection drops the body as soon as it has its bytes, which then wait for the client.
pub fn counted(bytes: Vec<u8>, memory: OwnedSemaphorePermit) -> Bytes {
    Bytes::from_owner(Counted {
        bytes: bytes.into_boxed_slice(),
        _memory: memory,
    })
}

/// The content type of JSON.
pub const JSON: &str = "application/json";
/// The content type of metrics for Prometheus.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page loads nothing but its own files, runs no inline script, and stands in no frame. An
/// answer of the API that a browser shows as a page can do nothing at all.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A response of the API.
pub fn answer(content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    reply(StatusCode::OK, content_type, "no-store", body.into())
}

/// A report as JSON.
///
/// # Errors
///
/// 500 when it cannot be written, which no report of ours causes.
pub fn to_json(report: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(report).map_err(|error| ApiError::internal(&error.to_string()))
}

/// Bytes of a text as a string of JSON, without the quotes.
pub fn escaped_bytes(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        // `\u0000`
        0..0x20 => 6,
        _ => 1,
    });
    bytes.sum()
}

/// A static file, or 304 when the client has it.
pub fn file(content_type: &'static str, text: &'static str, headers: &HeaderMap) -> Reply {
    let tag = format!("\"{:016x}\"", xxh3_64(text.as_bytes()));
    let known = headers.get(IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut reply = match is_known {
        true => reply(
            StatusCode::NOT_MODIFIED,
            content_type,
            "no-cache",
            Bytes::new(),
        ),
        false => reply(
            StatusCode::OK,
            content_type,
            "no-cache",
            Bytes::from_static(text.as_bytes()),
        ),
    };
    insert(&mut reply, ETAG, &tag);
    reply
}

/// The response for an error.
pub fn refusal(error: &ApiError) -> Reply {
    let mut reply = reply(error.status, JSON, "no-store", error.to_json().into());
    if let Some(seconds) = error.retry_after {
        insert(&mut reply, RETRY_AFTER, &seconds.to_string());
    }
    if let Some(methods) = error.allow {
        insert(&mut reply, ALLOW, methods);
    }
    if error.status == StatusCode::UNAUTHORIZED {
        insert(&mut reply, WWW_AUTHENTICATE, "Bearer");
    }
    reply
}

fn reply(status: StatusCode, content_type: &str, cache: &str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, cache),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        insert(&mut reply, name, value);
    }
    reply
}

fn insert(reply: &mut Reply, name: HeaderName, value: &str) {
    // All values are ASCII of our own, so none is refused.
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn escaped_bytes_are_those_of_the_string() {
        let ascii: String = (0..128).map(char::from).collect();
        for text in [
            &*ascii,
            "",
            "a\"b\\",
            "\u{1}\u{1f}\n",
            "é 한국어 😀 \u{2028}",
        ] {
            let json = to_json(&text).unwrap();
            assert_eq!(escaped_bytes(text), json.len() - 2, "{text:?}");
        }
    }

    #[test]
    fn an_answer_counts_as_long_as_its_bytes_are_held() {
        let memory = Arc::new(Semaphore::new(2));
        let permit = memory.clone().try_acquire_many_owned(2).unwrap();
        let held = counted(vec![1, 2, 3], permit);
        let reply = answer(JSON, held.clone());
        drop(reply);
        assert_eq!((&*held, memory.available_permits()), (&[1, 2, 3][..], 0));
        drop(held);
        assert_eq!(memory.available_permits(), 2);
    }
}
