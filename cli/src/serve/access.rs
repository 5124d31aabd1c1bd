//! Who may ask: anybody on this machine, or whoever knows the token.
//!
//! Without a token the server listens on the loopback interface only. A page of a foreign site could
//! still reach it from a browser on this machine, under a name of its own that resolves to the
//! loopback address; so the header `Host` must be a local name then.

use std::hint::black_box;
use std::net::IpAddr;

use hyper::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN};
use hyper::{HeaderMap, Request, Version};

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
    pub fn check<B>(&self, kind: RouteKind, request: &Request<B>) -> Result<(), ApiError> {
        match self {
            Self::Local if !is_local(request) => Err(ApiError::wrong_host()),
            Self::Local if is_foreign(request.headers()) && kind != RouteKind::Page => {
                Err(ApiError::foreign_site())
            }
            Self::Local => Ok(()),
            Self::Token(_) if kind.is_public() => Ok(()),
            Self::Token(token) => {
                let given = bearer(request.headers());
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

/// The token of a request. Two headers have none: a proxy may have read the other one.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    let is_bearer = values.next().is_none() && scheme.eq_ignore_ascii_case(b"bearer ");
    is_bearer.then_some(token)
}

/// Compares in a time that depends on the lengths only: from the time of an early exit an attacker
/// could learn the token byte by byte.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && all_equal(a.iter().zip(b))
}

/// Whether the bytes of every pair are equal. It takes all pairs, also after one that is not.
fn all_equal<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> bool {
    let difference = pairs.fold(0, |sum, (x, y)| black_box(sum | (x ^ y)));
    black_box(difference) == 0
}

/// Whether a browser says that the page of another site asks: it could not read the answer, but its
/// cost would be ours. Browsers that do not know `Sec-Fetch-Site` send `Origin` with most requests.
fn is_foreign(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        return !sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    }
    let host = headers.get(HOST);
    let mut origins = headers.get_all(ORIGIN).iter();
    origins.any(|origin| !host.is_some_and(|host| is_origin_of(origin, host)))
}

/// Whether an origin is that of a page of this host. Its scheme may be that of a proxy.
fn is_origin_of(origin: &HeaderValue, host: &HeaderValue) -> bool {
    let origin = origin.as_bytes();
    let schemes: [&[u8]; 2] = [b"http://", b"https://"];
    let mut authorities = schemes
        .iter()
        .filter_map(|scheme| origin.strip_prefix(*scheme));
    authorities.any(|authority| authority.eq_ignore_ascii_case(host.as_bytes()))
}

/// Whether a request names this machine: in the header `Host`, which HTTP/1.0 may lack, and in its
/// target, whose authority would stand in the place of the header.
fn is_local<B>(request: &Request<B>) -> bool {
    let authority = request.uri().authority();
    if authority.is_some_and(|authority| !is_local_name(authority.as_str())) {
        return false;
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() < Version::HTTP_11,
        (Some(host), None) => host.to_str().is_ok_and(is_local_name),
        (Some(_), Some(_)) => false,
    }
}

/// Whether a host, with a port or without, is a name of the loopback interface.
fn is_local_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn request(target: &str, pairs: &[(&str, &str)]) -> Request<()> {
        let builder = Request::builder().uri(target);
        let builder = pairs.iter().fold(builder, |builder, (name, value)| {
            builder.header(*name, *value)
        });
        builder.body(()).unwrap()
    }

    fn kinds() -> impl Iterator<Item = RouteKind> {
        RouteKind::ALL.into_iter()
    }

    #[test]
    fn only_the_whole_token_is_accepted() {
        let access = Access::Token(TOKEN.to_owned());
        let check =
            |kind, value: &str| access.check(kind, &request("/", &[("authorization", value)]));
        let wrong = [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcdeF",
            "Bearer 0123456789abcdef0",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
        ];
        for kind in kinds() {
            assert!(check(kind, "Bearer 0123456789abcdef").is_ok());
            assert!(check(kind, "bearer 0123456789abcdef").is_ok());
            let is_public = matches!(kind, RouteKind::Page | RouteKind::Health);
            let without = access.check(kind, &request("/", &[]));
            assert_eq!(without.is_ok(), is_public, "{kind:?}");
            for wrong in wrong {
                assert_eq!(check(kind, wrong).is_ok(), is_public, "{kind:?} {wrong}");
            }
        }
        assert!(token_parser("short").is_err() && token_parser("0123456789 abcdef").is_err());
    }

    #[test]
    fn the_right_token_beside_another_is_refused() {
        let access = Access::Token(TOKEN.to_owned());
        let (right, wrong) = ("Bearer 0123456789abcdef", "Bearer 0123456789abcdeX");
        for pair in [[right, wrong], [wrong, right], [right, right]] {
            let request = request("/", &pair.map(|value| ("authorization", value)));
            assert!(
                access.check(RouteKind::Search, &request).is_err(),
                "{pair:?}"
            );
        }
    }

    #[test]
    fn a_comparison_takes_every_byte_wherever_the_first_difference_is() {
        let token = TOKEN.as_bytes();
        let mut others: Vec<Vec<u8>> = (0..token.len())
            .map(|place| {
                let mut other = token.to_vec();
                other[place] ^= 1;
                other
            })
            .collect();
        others.push(vec![0; token.len()]);
        others.push(token.to_vec());
        for other in others {
            let taken = Cell::new(0);
            let pairs = other.iter().zip(token);
            let pairs = pairs.inspect(|_| taken.set(taken.get() + 1));
            assert_eq!(all_equal(pairs), other == token);
            assert_eq!(taken.get(), token.len());
            assert_eq!(equal(&other, token), other == token);
        }
        assert!(!equal(&token[1..], token) && !equal(&[], token));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let own = ("host", "localhost:7700");
        for (name, value, is_accepted) in [
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "a-later-value", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("origin", "http://localhost:7700", true),
            ("origin", "https://localhost:7700", true),
            ("origin", "http://localhost:8080", false),
            ("origin", "http://example.org", false),
            ("origin", "http://localhost:7700.example.org", false),
            ("origin", "null", false),
        ] {
            for kind in kinds() {
                let is_accepted = is_accepted || kind == RouteKind::Page;
                let checked = Access::Local.check(kind, &request("/", &[own, (name, value)]));
                assert_eq!(checked.is_ok(), is_accepted, "{kind:?} {name} {value}");
            }
        }
        // What a browser says of the site is newer than the origin.
        let both = [own, ("origin", "null"), ("sec-fetch-site", "same-origin")];
        assert!(
            Access::Local
                .check(RouteKind::Search, &request("/", &both))
                .is_ok()
        );
    }

    #[test]
    fn without_a_token_only_local_names_are_accepted() {
        let check = |host: &str| {
            let request = request("/", &[("host", host)]);
            Access::Local.check(RouteKind::Page, &request).is_ok()
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
        let two = request("/", &[("host", "localhost"), ("host", "example.org")]);
        assert!(Access::Local.check(RouteKind::Page, &two).is_err());
    }

    #[test]
    fn only_http_1_0_may_leave_the_host_out() {
        let mut none = request("/", &[]);
        assert!(Access::Local.check(RouteKind::Page, &none).is_err());
        *none.version_mut() = Version::HTTP_10;
        assert!(Access::Local.check(RouteKind::Page, &none).is_ok());
    }

    #[test]
    fn the_authority_of_an_absolute_target_must_be_local_too() {
        for (target, is_accepted) in [
            ("http://localhost:7700/", true),
            ("http://example.org/", false),
            ("http://localhost@example.org/", false),
            ("http://example.org@localhost/", false),
        ] {
            let request = request(target, &[("host", "localhost")]);
            let checked = Access::Local.check(RouteKind::Indexes, &request);
            assert_eq!(checked.is_ok(), is_accepted, "{target}");
        }
    }
}
