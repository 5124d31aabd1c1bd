//! The options of a search: how many hits, in what order, and what of them is returned.

use esparsa::{SearchOptions, Snapshot, Sort};

use super::app::Work;
use super::engine::check_terms;
use super::error::ApiError;
use super::fusion::FusionRequest;
use super::passages;
use super::plan::RerankRequest;
use super::stored::Parts;
use super::system::System;
use crate::search::facets::{self, FacetArgument};
use crate::search::sort_parser;

/// Hits that are returned unless another number is asked for.
const DEFAULT_K: usize = 10;
/// Facets of one search.
const MAX_FACETS: usize = 64;
/// Columns that hits are ordered by.
const MAX_SORTS: usize = 16;

/// How the query is searched, and what is returned.
pub struct Options {
    /// The options of the library. With a re-ranking they ask for the hits that are re-ranked.
    pub search: SearchOptions,
    /// Hits that are returned.
    pub k: usize,
    /// Hits that are left out before these.
    pub offset: usize,
    /// What is counted.
    pub facets: Vec<FacetArgument>,
    /// The fusion, if the system is one.
    pub fusion: Option<FusionRequest>,
    /// The re-ranking, if one is wanted.
    pub rerank: Option<RerankRequest>,
    /// Terms of each query that are returned.
    pub query_terms: usize,
    /// The passages that are wanted.
    pub snippets: Option<passages::Wanted>,
    /// The parts of documents that are wanted.
    pub parts: Parts,
}

impl Options {
    /// Takes all options of a search.
    ///
    /// # Errors
    ///
    /// 400 for mistakes in them.
    pub fn take(work: &mut Work, snapshot: &Snapshot, system: System) -> Result<Self, ApiError> {
        let max_k = work.app.limits.max_k;
        let rerank = RerankRequest::take(work, snapshot)?;
        let parameters = &mut work.parameters;
        let fusion = FusionRequest::take(parameters, system, max_k)?;
        let k = parameters.size("k", DEFAULT_K.min(max_k))?;
        let offset = parameters.size("offset", 0)?;
        if k == 0 || k.saturating_add(offset) > max_k {
            return Err(ApiError::invalid(format!(
                "expected `k` from 1, and `k` and `offset` together up to {max_k}; found {k} and {offset}; ask for fewer \
                 hits, or narrow the search by filters"
            )));
        }
        let mut search = match &rerank {
            Some(rerank) => SearchOptions::new(rerank.depth),
            None => SearchOptions::new(k).offset(offset),
        };
        search = search.cancel(work.cancel.clone());
        let sorts = parameters.texts("sort", MAX_SORTS)?.unwrap_or_default();
        for sort in &sorts {
            search = search.sort(sort_of(sort)?);
        }
        let facets = parameters.texts("facets", MAX_FACETS)?.unwrap_or_default();
        let facets = facets.iter().map(|text| facets::parser(text));
        let facets = facets.collect::<Result<Vec<_>, String>>();
        let facets = facets.map_err(|error| ApiError::invalid(format!("`facets`: {error}")))?;
        search = search.facets(facets.iter().map(FacetArgument::facet));
        let count = parameters.number("count", 0)?;
        if count > 0 {
            search = search.count_up_to(count);
        }
        if let Some(score) = parameters.score("min_score")? {
            if rerank.is_some() || fusion.is_some() {
                return Err(ApiError::invalid(
                    "expected `min_score` with hits that have the score of one search, found it with `rerank` or \
                     `system=fused`; leave one out",
                ));
            }
            search = search.min_score(score);
        }
        if !sorts.is_empty() && (rerank.is_some() || fusion.is_some()) {
            return Err(ApiError::invalid(
                "expected hits in one order, found `sort` together with `rerank` or `system=fused`; leave one out",
            ));
        }
        if fusion.is_some() && (!facets.is_empty() || count > 0) {
            return Err(ApiError::invalid(
                "expected `facets` and `count` with a system that is one search, found them with `fused`, of whose searches \
                 each has other matches; leave them out",
            ));
        }
        let query_terms = parameters.size("query_terms", 0)?;
        check_terms(query_terms)?;
        Ok(Self {
            search,
            k,
            offset,
            facets,
            fusion,
            rerank,
            query_terms,
            snippets: passages::Wanted::take(parameters)?,
            parts: Parts::take(parameters)?,
        })
    }

    /// The rank of the last hit that is returned.
    pub fn end(&self) -> usize {
        self.offset + self.k
    }

    /// How many hits of the result are before those that are returned: a single search leaves them
    /// out itself.
    pub fn before(&self) -> usize {
        match self.fusion.is_some() || self.rerank.is_some() {
            true => self.offset,
            false => 0,
        }
    }
}

fn sort_of(text: &str) -> Result<Sort, ApiError> {
    sort_parser(text).map_err(|error| ApiError::invalid(format!("`sort`: {error}")))
}
