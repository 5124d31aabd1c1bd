//! The hits of an answer, with what is wanted of their documents.

use std::collections::HashMap;

use esparsa::{DocAddress, Hits, Query, SearchResult, Snapshot};
use serde::Serialize;

use super::app::Work;
use super::error::ApiError;
use super::judged::JudgedQuery;
use super::options::Options;
use super::passages::Passages;
use super::stored::Document;
use super::system::System;

/// Bytes of documents and passages of one answer, and of the values of its facets.
pub const MAX_BYTES: usize = 16 << 20;

/// A hit of an answer.
#[derive(Serialize)]
pub struct HitReport {
    rank: usize,
    id: String,
    /// 0 when the hits are in the order of columns.
    score: f32,
    /// The grade of the document for a judged query.
    #[serde(skip_serializing_if = "Option::is_none")]
    relevance: Option<i32>,
    /// Where the rankings of a fusion have it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rankings: Vec<PlaceReport>,
    /// Where it was before the re-ranking.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_stage: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippets: Option<Passages>,
}

/// The place of a document in one ranking.
#[derive(Clone, Copy, Serialize)]
struct Place {
    rank: usize,
    score: f32,
}

/// The place of a document in one ranking of a fusion.
#[derive(Clone, Serialize)]
struct PlaceReport {
    system: System,
    #[serde(flatten)]
    place: Place,
}

/// Where documents were before a fusion and a re-ranking.
#[derive(Default)]
pub struct Places {
    rankings: HashMap<DocAddress, Vec<PlaceReport>>,
    first_stage: HashMap<DocAddress, Place>,
}

/// What is wanted of the hits.
pub struct Wanted<'a> {
    /// What passages mark.
    pub query: Option<&'a Query>,
    /// The options of the search.
    pub options: &'a Options,
    /// Where the documents were before.
    pub places: &'a Places,
    /// The judgements, if the query is judged.
    pub judged: Option<&'a JudgedQuery>,
}

impl HitReport {
    /// Whether its document is judged relevant.
    pub fn is_relevant(&self) -> bool {
        self.relevance.is_some_and(|grade| grade > 0)
    }
}

impl Places {
    /// Adds the rankings of a fusion.
    pub fn add_rankings(&mut self, systems: &[System], lists: &[Hits]) {
        for (system, hits) in systems.iter().zip(lists) {
            for (address, place) in places(hits) {
                let system = *system;
                let report = PlaceReport { system, place };
                self.rankings.entry(address).or_default().push(report);
            }
        }
    }

    /// Adds the hits that are re-ranked.
    pub fn add_first_stage(&mut self, hits: &Hits) {
        self.first_stage.extend(places(hits));
    }
}

fn places(hits: &Hits) -> impl Iterator<Item = (DocAddress, Place)> {
    let ranked = (1..).zip(hits.scored());
    ranked.map(|(rank, (address, score))| {
        let score = *score;
        (*address, Place { rank, score })
    })
}

impl Wanted<'_> {
    /// The hits of a result that are returned.
    ///
    /// # Errors
    ///
    /// 400 when they are too large together, 504 when the time is up, what reading gives.
    pub fn hits(
        &self,
        work: &Work,
        snapshot: &Snapshot,
        result: &SearchResult,
    ) -> Result<Vec<HitReport>, ApiError> {
        let options = self.options;
        let needs_stored = options.snippets.is_some() || !options.parts.is_empty();
        let shown = result.hits.iter().skip(options.before()).take(options.k);
        let mut hits = Vec::with_capacity(shown.len());
        let mut bytes = 0;
        for (rank, hit) in (options.offset + 1..).zip(shown) {
            work.cancel.check("reading documents")?;
            let stored = match needs_stored {
                true => hit.stored()?,
                false => Vec::new(),
            };
            let document = options.parts.of(snapshot, hit.address, &stored)?;
            let snippets = options.snippets.as_ref().zip(self.query);
            let snippets = snippets.map(|(wanted, query)| wanted.of(snapshot, query, &stored));
            let snippets = snippets.transpose()?;
            bytes += snippets.as_ref().map_or(0, Passages::bytes);
            bytes += document.as_ref().map_or(0, |one| one.bytes(&stored));
            if bytes > MAX_BYTES {
                return Err(ApiError::invalid(format!(
                    "expected documents and passages of at most {MAX_BYTES} bytes together, found more; ask for fewer hits, \
                     or for none of their documents by an empty `fields`"
                )));
            }
            let id = hit.id()?;
            let rankings = self.places.rankings.get(&hit.address);
            hits.push(HitReport {
                rank,
                relevance: self.judged.and_then(|query| query.grade(&id)),
                id,
                score: hit.score,
                rankings: rankings.cloned().unwrap_or_default(),
                first_stage: self.places.first_stage.get(&hit.address).copied(),
                document,
                snippets,
            });
        }
        Ok(hits)
    }
}
