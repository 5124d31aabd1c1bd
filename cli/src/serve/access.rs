//! Who may ask: anybody on this machine, or whoever knows the token.
//!
//! Without a token the server listens on the loopback interface only. A page of a foreign site could
//! still reach it from a browser on this machine, under a name of its own that resolves to the
//! loopback address; so the header `Host` must be a local name then.

use std::hint::black_box;
use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST};

use super::error::ApiError;
use super::route::RouteKind;

/// Characters that a token has at least.
const MIN_TOKEN: usize = 16;

/// What requests must show.
#[derive(Clone)]
pub enum Access {
    /// A local name in the header `Host`.
    Local,
    /// The token.
    Token(String),
}

impl Access {
    /// Checks a request for a route.
    ///
    /// # Errors
    ///
    /// 401 without the token, 403 for another host.
    pub fn check(&self, kind: RouteKind, headers: &HeaderMap) -> Result<(), ApiError> {
        match self {
            Self::Local if !is_local(headers) => Err(ApiError::wrong_host()),
            Self::Local if is_foreign(headers) && kind != RouteKind::Page => {
                Err(ApiError::foreign_site())
            }
            Self::Local => Ok(()),
            Self::Token(_) if kind.is_public() => Ok(()),
            Self::Token(token) => {
                let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
                let given = given.and_then(bearer);
                match given.is_some_and(|given| equal(given, token.as_bytes())) {
                    true => Ok(()),
                    false => Err(ApiError::unauthorized()),
                }
            }
        }
    }
}

/// Parser of a token.
pub fn token_parser(text: &str) -> Result<String, String> {
    let is_good = text.len() >= MIN_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic());
    match is_good {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "expected at least {MIN_TOKEN} letters, digits and signs of ASCII, without white space"
        )),
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// Compares in a time that depends on the lengths only: from the time of an early exit an attacker
/// could learn the token byte by byte.
fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let difference = a
        .iter()
        .zip(b)
        .fold(0, |sum, (x, y)| black_box(sum | (x ^ y)));
    black_box(difference) == 0
}

/// Whether a browser says that the page of another site asks: it could not read the answer, but its
/// cost would be ours.
fn is_foreign(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    sites.any(|site| matches!(site.as_bytes(), b"cross-site" | b"same-site"))
}

/// Whether the header `Host` is a name of this machine; HTTP/1.0 may lack it.
fn is_local(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else {
        return true;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.is_loopback();
    let is_local = name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback);
    is_local && hosts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_the_whole_token_is_accepted() {
        let access = Access::Token("0123456789abcdef".to_owned());
        let check = |value| access.check(RouteKind::Search, &headers(&[("authorization", value)]));
        assert!(check("Bearer 0123456789abcdef").is_ok());
        assert!(check("bearer 0123456789abcdef").is_ok());
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcdeF",
            "Bearer 0123456789abcdef0",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
        assert!(access.check(RouteKind::Health, &headers(&[])).is_ok());
        assert!(access.check(RouteKind::Metrics, &headers(&[])).is_err());
        assert!(token_parser("short").is_err() && token_parser("0123456789 abcdef").is_err());
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        for (site, is_accepted) in [
            ("cross-site", false),
            ("same-site", false),
            ("same-origin", true),
            ("none", true),
        ] {
            let headers = headers(&[("host", "localhost:7700"), ("sec-fetch-site", site)]);
            let access = Access::Local;
            assert_eq!(
                access.check(RouteKind::Search, &headers).is_ok(),
                is_accepted,
                "{site}"
            );
            assert!(access.check(RouteKind::Page, &headers).is_ok());
        }
    }

    #[test]
    fn without_a_token_only_local_names_are_accepted() {
        let check = |host| {
            let headers = headers(&[("host", host)]);
            Access::Local.check(RouteKind::Page, &headers).is_ok()
        };
        for local in [
            "localhost",
            "LOCALHOST:7700",
            "127.0.0.1:7700",
            "127.9.9.9",
            "[::1]:80",
        ] {
            assert!(check(local), "{local}");
        }
        for foreign in [
            "",
            "example.org",
            "localhost.example.org:7700",
            "10.0.0.1",
            "127.0.0.1.example.org",
        ] {
            assert!(!check(foreign), "{foreign}");
        }
        assert!(Access::Local.check(RouteKind::Page, &headers(&[])).is_ok());
        let two = headers(&[("host", "localhost"), ("host", "example.org")]);
        assert!(Access::Local.check(RouteKind::Page, &two).is_err());
    }
}
