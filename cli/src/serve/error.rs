//! Errors of the API, as every client gets them: a status, and a JSON object that says what was
//! expected, what was found and what to do.
//!
//! Invariant: no message names a path, and none is the text of an error that is not the client's.

use esparsa::Error;
use hyper::StatusCode;
use serde::Serialize;

use crate::output;

/// The kinds of errors in one list, so that none lacks a status or is missing among all.
macro_rules! kinds {
    ($($kind:ident: $status:ident,)*) => {
        /// The kind of an error, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorKind {
            $($kind,)*
        }

        impl ErrorKind {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$kind,)*];

            fn status(self) -> StatusCode {
                match self {
                    $(Self::$kind => StatusCode::$status,)*
                }
            }
        }
    };
}

kinds! {
    InvalidRequest: BAD_REQUEST,
    Unauthorized: UNAUTHORIZED,
    WrongHost: FORBIDDEN,
    ForeignSite: FORBIDDEN,
    NotFound: NOT_FOUND,
    MethodNotAllowed: METHOD_NOT_ALLOWED,
    SlowRequest: REQUEST_TIMEOUT,
    BodyTooLarge: PAYLOAD_TOO_LARGE,
    Overloaded: SERVICE_UNAVAILABLE,
    ModelsBusy: SERVICE_UNAVAILABLE,
    AnswersWaiting: SERVICE_UNAVAILABLE,
    TimedOut: GATEWAY_TIMEOUT,
    Internal: INTERNAL_SERVER_ERROR,
}

/// A request that is refused or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status of the response.
    pub status: StatusCode,
    /// The kind, for programs.
    pub kind: ErrorKind,
    /// The message, for people.
    pub message: String,
    /// Seconds after which the client may try again.
    pub retry_after: Option<u32>,
    /// The methods that the path has, if the request's is not one of them.
    pub allow: Option<&'static str>,
}

/// The body of a response with an error.
#[derive(Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    kind: ErrorKind,
    message: &'a str,
}

impl ApiError {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            status: kind.status(),
            kind,
            message: message.into(),
            retry_after: None,
            allow: None,
        }
    }

    /// The request has a mistake.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    /// The token is missing or wrong.
    pub fn unauthorized() -> Self {
        let message = "expected the header `Authorization: Bearer TOKEN` with the server's token, found none or another; \
                       ask whoever runs the server for it";
        Self::new(ErrorKind::Unauthorized, message)
    }

    /// The header `Host` names a host that is not this one.
    pub fn wrong_host() -> Self {
        let message = "expected a local name in the header `Host`, such as `localhost`, found another; use the address \
                       that the server prints, or start it with a token (`--token` or ESPARSA_TOKEN)";
        Self::new(ErrorKind::WrongHost, message)
    }

    /// The target of the request names a host that is not this one.
    pub fn wrong_authority() -> Self {
        let message = "expected a path or a local name in the target of the request, found the authority of another host; \
                       send the path alone, or start the server with a token (`--token` or ESPARSA_TOKEN)";
        Self::new(ErrorKind::WrongHost, message)
    }

    /// There is nothing at the path, or no such index or document.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// The path has other methods.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let message =
            format!("expected one of the methods {allow}, found another; use one of these");
        Self {
            allow: Some(allow),
            ..Self::new(ErrorKind::MethodNotAllowed, message)
        }
    }

    /// The body did not come in time.
    pub fn slow_body(timeout_ms: u64) -> Self {
        let message = format!(
            "expected the whole body within {timeout_ms} ms, found less; send it faster, or send less"
        );
        Self::new(ErrorKind::SlowRequest, message)
    }

    /// The body is too large.
    pub fn too_large(limit: usize) -> Self {
        let message = format!(
            "expected a body of at most {limit} bytes, found a larger one; send less, or raise `--max-body`"
        );
        Self::new(ErrorKind::BodyTooLarge, message)
    }

    /// Too many requests are being answered.
    pub fn overloaded(limit: usize) -> Self {
        let message = format!(
            "expected at most {limit} requests at once, found more; try again after a second"
        );
        Self {
            retry_after: Some(1),
            ..Self::new(ErrorKind::Overloaded, message)
        }
    }

    /// Many requests wait for a model already.
    pub fn models_busy() -> Self {
        let message = "expected few requests that need a model at once, found many that wait already; try again \
                       after a second, or raise `--max-model-calls`";
        Self {
            retry_after: Some(1),
            ..Self::new(ErrorKind::ModelsBusy, message)
        }
    }

    /// Answers that clients have not taken yet fill the memory for them.
    pub fn answers_waiting() -> Self {
        let message = "expected clients that take their answers, found many answers that wait to be taken; try again \
                       after a second";
        Self {
            retry_after: Some(1),
            ..Self::new(ErrorKind::AnswersWaiting, message)
        }
    }

    /// A page of another site asks.
    pub fn foreign_site() -> Self {
        let message = "expected a request of the server's own page or of a program, found one of another site's page \
                       (the headers `Sec-Fetch-Site` and `Origin`); a server behind a proxy needs a token (`--token` or \
                       ESPARSA_TOKEN)";
        Self::new(ErrorKind::ForeignSite, message)
    }

    /// The work took too long.
    pub fn timed_out(timeout_ms: u64) -> Self {
        let message = format!(
            "expected an answer within {timeout_ms} ms, found that it takes longer; ask for less, with fewer or rarer \
             terms, or raise `--timeout-ms`"
        );
        Self::new(ErrorKind::TimedOut, message)
    }

    /// The server is at fault. The reason goes to its standard error, not to the client.
    pub fn internal(reason: &str) -> Self {
        output::message(&format!("error: a request failed: {reason}"));
        let message = "expected an answer, found an error of the server or of its index; the server's standard error says \
                       more, so tell whoever runs it";
        Self::new(ErrorKind::Internal, message)
    }

    /// The body of the response.
    pub fn to_json(&self) -> Vec<u8> {
        let inner = Inner {
            kind: self.kind,
            message: &self.message,
        };
        // Two strings are always valid JSON, so there is nothing that could fail.
        serde_json::to_vec(&Body { error: inner }).unwrap_or_default()
    }
}

impl From<Error> for ApiError {
    /// Mistakes of the query are the client's; anything else is the server's, whose message may name
    /// files.
    fn from(error: Error) -> Self {
        match error {
            error if error.is_input() => Self::invalid(error.to_string()),
            Error::Cancelled { .. } => {
                let message = "the request took too long and was stopped; ask for less";
                Self::new(ErrorKind::TimedOut, message)
            }
            error => Self::internal(&error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::page::OPEN_API;
    use super::*;

    #[test]
    fn the_description_has_exactly_the_kinds_and_their_statuses() {
        let description: Value = serde_json::from_str(OPEN_API).unwrap();
        let kinds = "/components/schemas/Error/properties/error/properties/kind/enum";
        assert_eq!(
            description.pointer(kinds),
            Some(&json!(ErrorKind::ALL)),
            "the kinds of `cli/src/serve/error.rs`"
        );
        let responses = &description["components"]["responses"];
        let text = responses["Error"]["description"].as_str().unwrap();
        for kind in ErrorKind::ALL {
            let status = format!(" {}: ", kind.status().as_u16());
            assert!(text.contains(&status), "{kind:?}: {text}");
        }
    }

    #[test]
    fn errors_of_files_are_not_shown() {
        let source = std::io::Error::other("broken disk");
        let error = ApiError::from(Error::io("/secret/folder", "read", source));
        assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
        let body = String::from_utf8(error.to_json()).unwrap();
        assert!(!body.contains("secret") && !body.contains("disk"), "{body}");
    }

    #[test]
    fn mistakes_of_a_query_are_shown() {
        let error = ApiError::from(Error::invalid("expected a word").in_field("text"));
        assert_eq!(error.status, StatusCode::BAD_REQUEST);
        assert_eq!(error.message, "field `text`: expected a word");
        let body =
            r#"{"error":{"kind":"invalid_request","message":"field `text`: expected a word"}}"#;
        assert_eq!(String::from_utf8(error.to_json()).unwrap(), body);
    }
}
