//! Who may ask: anybody on this machine, or whoever knows the token.
//!
//! Without a token the server listens on the loopback interface only. A page of a foreign site could
//! still reach it from a browser on this machine, under a name of its own that resolves to the
//! loopback address; so the header `Host` must be a local name then. A proxy may change that header,
//! so that a server behind one cannot tell its own page from a foreign one: it needs a token.

use std::hint::black_box;
use std::net::IpAddr;

use hyper::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN};
use hyper::{HeaderMap, Request, Uri, Version};

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
    /// 400 without exactly one host, 401 without the token, 403 for another host.
    pub fn check<B>(&self, kind: RouteKind, request: &Request<B>) -> Result<(), ApiError> {
        check_host(request)?;
        match self {
            Self::Local => check_local(kind, request),
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

/// Whether an origin is that of a page of this host. Its scheme may be that of a proxy; browsers leave
/// the default port of the scheme out of `Origin`.
fn is_origin_of(origin: &HeaderValue, host: &HeaderValue) -> bool {
    let schemes: [(&[u8], &[u8]); 2] = [(b"http://", b":80"), (b"https://", b":443")];
    schemes.iter().any(|(scheme, port)| {
        let without_port = |name: &[u8]| name.strip_suffix(*port).unwrap_or(name).to_owned();
        let authority = origin.as_bytes().strip_prefix(*scheme).map(without_port);
        let host = without_port(host.as_bytes());
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(&host))
    })
}

/// Checks that a request has one host, as RFC 9112 asks for in section 3.2: of two, a proxy could have
/// read the other one. HTTP/1.0 has hosts only by custom.
fn check_host<B>(request: &Request<B>) -> Result<(), ApiError> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let found = match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => return Ok(()),
        (Some(host), None) if is_host(host.as_bytes()) => return Ok(()),
        (None, _) => "none",
        (Some(_), None) => "another value",
        (Some(_), Some(_)) => "several",
    };
    Err(ApiError::invalid(format!(
        "expected one header `Host` with a name or an address, and a port or none, found {found}; correct the request"
    )))
}

/// Whether the value of the header `Host` is one in HTTP, in which it may be empty.
fn is_host(value: &[u8]) -> bool {
    let authority = Uri::try_from(value).ok().and_then(|uri| {
        let authority = uri.authority()?.as_str();
        Some((authority.len(), authority.contains('@')))
    });
    value.is_empty() || authority == Some((value.len(), false))
}

/// Checks that a request names this machine, in the header `Host` and in its target, whose authority
/// would stand in the place of the header, and that no foreign page asks.
fn check_local<B>(kind: RouteKind, request: &Request<B>) -> Result<(), ApiError> {
    let authority = request.uri().authority();
    if authority.is_some_and(|authority| !is_local_name(authority.as_str())) {
        return Err(ApiError::wrong_authority());
    }
    let host = request.headers().get(HOST);
    if host.is_some_and(|host| !host.to_str().is_ok_and(is_local_name)) {
        return Err(ApiError::wrong_host());
    }
    // A link of a foreign page may lead to this one.
    match kind != RouteKind::Page && is_foreign(request.headers()) {
        true => Err(ApiError::foreign_site()),
        false => Ok(()),
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

    use super::super::error::ErrorKind;
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn request(target: &str, pairs: &[(&str, &str)]) -> Request<()> {
        let builder = Request::builder().uri(target);
        let builder = pairs.iter().fold(builder, |builder, (name, value)| {
            builder.header(*name, *value)
        });
        builder.body(()).unwrap()
    }

    const HOST: (&str, &str) = ("host", "localhost");

    fn kinds() -> impl Iterator<Item = RouteKind> {
        RouteKind::ALL.into_iter()
    }

    #[test]
    fn only_the_whole_token_is_accepted() {
        let access = Access::Token(TOKEN.to_owned());
        let check = |kind, value: &str| {
            access.check(kind, &request("/", &[HOST, ("authorization", value)]))
        };
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
            let without = access.check(kind, &request("/", &[HOST]));
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
            let [first, second] = pair.map(|value| ("authorization", value));
            let request = request("/", &[HOST, first, second]);
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
            ("origin", "http://localhost", false),
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
    }

    #[test]
    fn the_default_port_of_a_scheme_may_be_left_out() {
        for (host, origin, is_accepted) in [
            ("localhost", "http://localhost", true),
            ("localhost:80", "http://localhost", true),
            ("localhost", "http://localhost:80", true),
            ("[::1]:80", "http://[::1]", true),
            ("localhost:443", "https://localhost", true),
            ("localhost", "https://localhost", true),
            ("localhost:443", "http://localhost", false),
            ("localhost:80", "https://localhost", false),
            ("localhost:8080", "http://localhost", false),
            ("localhost", "http://localhost:8080", false),
            ("localhost:80", "http://localhost:443", false),
            ("localhost:80", "http://localhost:80.example.org", false),
        ] {
            let request = request("/", &[("host", host), ("origin", origin)]);
            let checked = Access::Local.check(RouteKind::Search, &request);
            assert_eq!(checked.is_ok(), is_accepted, "{host} {origin}");
        }
    }

    #[test]
    fn a_request_has_one_host_with_a_token_and_without() {
        let ways = [Access::Local, Access::Token(TOKEN.to_owned())];
        let token = ("authorization", "Bearer 0123456789abcdef");
        let other = ("host", "localhost:7700");
        let no_hosts = [
            "localhost/x",
            "a b",
            "a@localhost",
            "http://localhost",
            "*",
            "é",
        ];
        let mut cases = vec![
            vec![token],
            vec![token, HOST, other],
            vec![token, HOST, HOST],
        ];
        cases.extend(no_hosts.map(|host| vec![token, ("host", host)]));
        for (access, kind) in ways
            .iter()
            .flat_map(|one| kinds().map(move |kind| (one, kind)))
        {
            for pairs in &cases {
                let refused = access.check(kind, &request("/", pairs)).unwrap_err();
                assert_eq!(
                    refused.kind,
                    ErrorKind::InvalidRequest,
                    "{kind:?} {pairs:?}"
                );
                assert!(refused.message.contains("`Host`"), "{}", refused.message);
            }
            assert!(access.check(kind, &request("/", &[token, HOST])).is_ok());
            // Only HTTP/1.0 may leave it out.
            let mut old = request("/", &[token]);
            *old.version_mut() = Version::HTTP_10;
            assert!(access.check(kind, &old).is_ok());
            let mut old = request("/", &[token, HOST, other]);
            *old.version_mut() = Version::HTTP_10;
            assert!(access.check(kind, &old).is_err());
        }
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
            if let Err(refused) = checked {
                assert_eq!(refused.kind, ErrorKind::WrongHost, "{target}");
                assert!(refused.message.contains("target"), "{}", refused.message);
            }
        }
    }
}
