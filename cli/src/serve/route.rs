//! From the method and the path of a request to what it asks for.

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::error::ApiError;
use super::page::File;
use super::parameters::Parameters;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A file of the page.
    Page(&'static File),
    /// `/health`.
    Health,
    /// `/metrics`.
    Metrics,
    /// `/api/openapi.json`.
    OpenApi,
    /// `/api/indexes`.
    Indexes,
    /// `/api/indexes/{name}/search`.
    Search { index: String },
    /// `/api/indexes/{name}/documents/{id}`.
    Document { index: String, id: String },
    /// `/api/indexes/{name}/explain`.
    Explain { index: String },
    /// `/api/indexes/{name}/suggest`.
    Suggest { index: String },
    /// `/api/indexes/{name}/encode`.
    Encode { index: String },
}

/// The kinds of routes, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    Page,
    Health,
    Metrics,
    OpenApi,
    Indexes,
    Search,
    Document,
    Explain,
    Suggest,
    Encode,
    /// No route: an unknown path.
    Unknown,
}

impl RouteKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Page,
        Self::Health,
        Self::Metrics,
        Self::OpenApi,
        Self::Indexes,
        Self::Search,
        Self::Document,
        Self::Explain,
        Self::Suggest,
        Self::Encode,
        Self::Unknown,
    ];

    /// The path, as the OpenAPI file and the metrics name it.
    pub fn path(self) -> &'static str {
        match self {
            Self::Page => "/",
            Self::Health => "/health",
            Self::Metrics => "/metrics",
            Self::OpenApi => "/api/openapi.json",
            Self::Indexes => "/api/indexes",
            Self::Search => "/api/indexes/{name}/search",
            Self::Document => "/api/indexes/{name}/documents/{id}",
            Self::Explain => "/api/indexes/{name}/explain",
            Self::Suggest => "/api/indexes/{name}/suggest",
            Self::Encode => "/api/indexes/{name}/encode",
            Self::Unknown => "unknown",
        }
    }

    /// The methods, as the header `Allow` lists them.
    pub fn methods(self) -> &'static str {
        match self {
            Self::Search | Self::Explain | Self::Encode => "GET, HEAD, POST",
            _ => "GET, HEAD",
        }
    }

    /// Whether the route is open without a token.
    pub fn is_public(self) -> bool {
        matches!(self, Self::Page | Self::Health)
    }
}

impl Route {
    /// The kind of the route.
    pub fn kind(&self) -> RouteKind {
        match self {
            Self::Page(_) => RouteKind::Page,
            Self::Health => RouteKind::Health,
            Self::Metrics => RouteKind::Metrics,
            Self::OpenApi => RouteKind::OpenApi,
            Self::Indexes => RouteKind::Indexes,
            Self::Search { .. } => RouteKind::Search,
            Self::Document { .. } => RouteKind::Document,
            Self::Explain { .. } => RouteKind::Explain,
            Self::Suggest { .. } => RouteKind::Suggest,
            Self::Encode { .. } => RouteKind::Encode,
        }
    }

    /// Whether a request uses a model.
    pub fn needs_model(&self, parameters: &Parameters) -> bool {
        match self {
            Self::Encode { .. } => true,
            Self::Search { .. } | Self::Explain { .. } => parameters.need_model(),
            _ => false,
        }
    }

    /// The route of a path, which is still percent-encoded.
    ///
    /// # Errors
    ///
    /// 404 when there is none.
    pub fn of(path: &str) -> Result<Self, ApiError> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let found = match &*parts {
            ["health"] => Some(Self::Health),
            ["metrics"] => Some(Self::Metrics),
            ["api", "openapi.json"] => Some(Self::OpenApi),
            ["api", "indexes"] => Some(Self::Indexes),
            ["api", "indexes", index, of_index @ ..] => Self::of_index(&decoded(index)?, of_index)?,
            _ => File::at(path).map(Self::Page),
        };
        found.ok_or_else(|| {
            ApiError::not_found(
                "expected a path of the API, found another; `GET /api/openapi.json` describes them all",
            )
        })
    }

    fn of_index(index: &str, parts: &[&str]) -> Result<Option<Self>, ApiError> {
        let index = index.to_owned();
        Ok(match parts {
            ["search"] => Some(Self::Search { index }),
            ["explain"] => Some(Self::Explain { index }),
            ["suggest"] => Some(Self::Suggest { index }),
            ["encode"] => Some(Self::Encode { index }),
            ["documents", id] if !id.is_empty() => Some(Self::Document {
                index,
                id: decoded(id)?,
            }),
            _ => None,
        })
    }

    /// Checks the method.
    ///
    /// # Errors
    ///
    /// 405 when the route has it not.
    pub fn check_method(&self, method: &Method) -> Result<(), ApiError> {
        let methods = self.kind().methods();
        match methods.split(", ").any(|one| one == method.as_str()) {
            true => Ok(()),
            false => Err(ApiError::method_not_allowed(methods)),
        }
    }
}

fn decoded(part: &str) -> Result<String, ApiError> {
    let decoded = percent_decode_str(part).decode_utf8();
    decoded.map(Into::into).map_err(|_| {
        ApiError::invalid("expected a path in UTF-8, found other bytes; percent-encode it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::super::error::ErrorKind;
    use super::super::page::OPEN_API;
    use super::*;

    #[test]
    fn paths_are_read() {
        let index = || "a b".to_owned();
        let document = Route::Document {
            index: index(),
            id: "x/y".to_owned(),
        };
        assert_eq!(Route::of("/").unwrap().kind(), RouteKind::Page);
        assert_eq!(Route::of("/api/indexes").unwrap(), Route::Indexes);
        let search = Route::of("/api/indexes/a%20b/search").unwrap();
        assert_eq!(search, Route::Search { index: index() });
        assert_eq!(
            Route::of("/api/indexes/a%20b/documents/x%2Fy").unwrap(),
            document
        );
        for unknown in [
            "",
            "*",
            "//",
            "/api",
            "/api/indexes/",
            "/api/indexes/a",
            "/api/indexes/a/documents/",
            "/api/indexes/a/search/",
            "/../etc/passwd",
        ] {
            assert_eq!(
                Route::of(unknown).unwrap_err().kind,
                ErrorKind::NotFound,
                "{unknown}"
            );
        }
        let error = Route::of("/api/indexes/%ff/search").unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidRequest);
    }

    #[test]
    fn the_description_has_exactly_the_routes() {
        let description: serde_json::Value = serde_json::from_str(OPEN_API).unwrap();
        let paths = description["paths"].as_object().unwrap();
        let kinds = RouteKind::ALL.into_iter();
        let kinds: Vec<_> = kinds.filter(|kind| *kind != RouteKind::Unknown).collect();
        assert_eq!(paths.len(), kinds.len());
        for kind in kinds {
            let item = &paths[kind.path()];
            let methods = kind
                .methods()
                .split(", ")
                .filter(|method| *method != "HEAD");
            let methods: Vec<String> = methods.map(str::to_lowercase).collect();
            let described: Vec<&String> = item.as_object().unwrap().keys().collect();
            let described = described.into_iter().filter(|key| *key != "parameters");
            assert!(described.eq(&methods), "{kind:?}");
            for method in &methods {
                let is_public = item[method].get("security").is_some();
                assert_eq!(is_public, kind.is_public(), "{kind:?}");
            }
        }
    }

    #[test]
    fn every_kind_has_its_number() {
        for (number, kind) in RouteKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }

    #[test]
    fn methods_are_checked() {
        let search = Route::of("/api/indexes/a/search").unwrap();
        assert!(search.check_method(&Method::POST).is_ok());
        let refused = Route::Health.check_method(&Method::POST).unwrap_err();
        assert_eq!(refused.allow, Some("GET, HEAD"));
    }
}
